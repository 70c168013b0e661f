/* The head of a request, taken over from libmicrohttpd. */
#ifndef SERVE_HEAD_H
#define SERVE_HEAD_H

#include "app/app.h"

#include <microhttpd.h>

/* The request line as libmicrohttpd hands it out. `raw_target` is where the target
 * stood in its buffer, `target` a copy from before it was decoded in place. */
struct head_line {
    const char *method;
    const char *raw_target;
    const char *target;
    const char *version;
};

/* A request with all header lines of `mhd`, borrowed; NULL when memory is out.
 * `malformed` gets what is wrong with characters that libmicrohttpd lets pass, or NULL. */
struct ph_request *head__take(struct MHD_Connection *mhd, const struct head_line *line,
                              const char **malformed);

#endif
