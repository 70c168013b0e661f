/* Requests as CGI and FastCGI describe them: meta-variables (RFC 3875 section 4.1), a
 * stream with the body, and one with the response. No I/O of its own. */
#ifndef SERVE_GATEWAY_H
#define SERVE_GATEWAY_H

#include "app/app.h"
#include "base/buf.h"

/* Reads up to `len` bytes of the body; 0 at its end, also when it broke off. */
typedef size_t gateway_read_fn(void *source, char *to, size_t len);

/* Serves one request.
 *
 * @param variables  "NAME=value" strings, NULL-terminated
 * @param out        empty; gets the response, head and body; empty after a failure of memory */
void gateway__serve(struct ph_app *app, const char *const *variables, gateway_read_fn *read,
                    void *source, struct buf *out);

/* Value of a variable, absent when it is not there. */
struct str gateway__variable(const char *const *variables, struct str name);

#endif
