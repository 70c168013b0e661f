/* Requests as CGI and FastCGI describe them: meta-variables (RFC 3875 section 4.1), a
 * stream with the body, and one with the response. No I/O of its own. */
#ifndef SERVE_GATEWAY_H
#define SERVE_GATEWAY_H

#include "serve/exchange.h"

/* Reads up to `len` bytes of the body; 0 at its end, also when it broke off. */
typedef size_t gateway_read_fn(void *source, char *to, size_t len);

/* What serving takes; a connection keeps it for its next request. */
struct gateway {
    struct ph_app *app;
    struct exchange exchange;
    struct buf out;
    bool taken; /* the head of the request */
};

/* False: memory is out. The gateway may be freed in any case. */
bool gateway__init(struct gateway *g, struct ph_app *app);
void gateway__free(struct gateway *g);
/* Serves one request. False: the answer comes later, as with app__serve_checked; the
 * variables must last until then.
 *
 * @param variables  "NAME=value" strings, NULL-terminated
 * @param done       gets the gateway; NULL: waits in place */
bool gateway__serve(struct gateway *g, const char *const *variables, gateway_read_fn *read,
                    void *source, ph_served_fn *done, void *arg);
/* Once it is answered: the response, head and body, which lasts until the gateway is reset for
 * the next. */
struct str gateway__response(struct gateway *g);
/* Answers a request that was withdrawn (app__withdraw). */
void gateway__refuse(struct gateway *g, int status, const char *why);
/* Forgets the request; memory that is larger than usual is freed. */
void gateway__reset(struct gateway *g);

/* Value of a variable, absent when it is not there. */
struct str gateway__variable(const char *const *variables, struct str name);

#endif
