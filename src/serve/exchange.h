/* What serving one request takes: the request, its body as it comes, and the response. */
#ifndef SERVE_EXCHANGE_H
#define SERVE_EXCHANGE_H

#include "app/app.h"
#include "base/buf.h"

struct exchange {
    struct ph_request *request;
    struct ph_response *response;
    struct buf body;
    struct exchange *next; /* among the free ones */
};

/* False: memory is out. It may be freed in any case. */
bool exchange__init(struct exchange *x, const struct ph_app *app);
void exchange__fini(struct exchange *x);
/* Ready for the next request; memory that is larger than usual is freed. */
void exchange__reset(struct exchange *x);

/* Those of one thread. A connection has one from its request's first line to the end of the
 * response only, and the next request of whichever connection gets the one that was used last:
 * the processor still has it in its caches. */
struct exchanges {
    const struct ph_app *app;
    struct exchange *free;
    unsigned count; /* of the free ones */
};

/* NULL: memory is out. */
struct exchange *exchanges__take(struct exchanges *list);
/* NULL is fine. */
void exchanges__give(struct exchanges *list, struct exchange *x);
void exchanges__free(struct exchanges *list);

#endif
