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

/* Fills in a request with all header lines of `mhd`, borrowed. False: out of memory.
 * `malformed` gets what is wrong with characters that libmicrohttpd lets pass, or NULL. */
bool head__take(struct arena *a, struct MHD_Connection *mhd, const struct head_line *line,
                struct http_request *out, const char **malformed);

#endif
