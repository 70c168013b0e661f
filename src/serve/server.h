/* What every running server has in common, whatever it speaks. */
#ifndef SERVE_SERVER_H
#define SERVE_SERVER_H

#include "base/diag.h"
#include "base/str.h"
#include "pubhook/serve.h"

#define SERVER_MAX_THREADS 256

struct ph_server {
    struct ph_app *app;
    char *address;
    int stop_fd; /* eventfd, readable once the server was asked to stop */
    unsigned threads;
    /* Answers what is under way, joins the threads, frees everything that is not here,
     * then the server itself. */
    void (*close)(struct ph_server *server);
};

/* Fills the common part: PH_ERR_CONFIG when the application may not serve,
 * PH_ERR_ARGUMENT when there are too many threads. */
enum ph_err server__init(struct ph_server *server, struct ph_app *app, unsigned threads,
                         struct diag *diag);
/* Frees the common part; fine for one that was only zeroed. */
void server__fini(struct ph_server *server);

/* Where this thread's last failure is explained (the `why` of pubhook/serve.h). */
struct diag *server__diag(void);
/* Hands the explanation out and the error back. */
enum ph_err server__fail(enum ph_err err, const char **why);

#endif
