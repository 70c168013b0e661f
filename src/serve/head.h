/* The head of a request, taken over from libmicrohttpd; for the listener and the broker. */
#ifndef SERVE_HEAD_H
#define SERVE_HEAD_H

#include "base/http.h"

#include <microhttpd.h>

/* The request line as libmicrohttpd hands it out. `raw_target` is where the target
 * stood in its buffer, `target` a copy from before it was decoded in place. */
struct head_line {
    const char *method;
    const char *raw_target;
    const char *target;
    const char *version;
};

/* For the callback that gets the target, once it is copied: empties the query there. The
 * text is in libmicrohttpd's own buffer, and it is about to index the query in its pool,
 * where a few hundred parameters have no room, and neither has its answer that says so. */
void head__hide_query(const char *target);

/* Fills in a request with all header lines of `mhd`, borrowed. False: out of memory.
 * `malformed` gets what is wrong with characters that libmicrohttpd lets pass, or NULL. */
bool head__take(struct arena *a, struct MHD_Connection *mhd, const struct head_line *line,
                struct http_request *out, const char **malformed);

#endif
