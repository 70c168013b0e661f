#include "serve/exchange.h"

#include <stdlib.h>

/* A body buffer up to this size is kept for the next request. */
#define KEEP_BODY 65536
/* Free ones that a thread keeps; more are needed only while that many requests wait. */
#define KEEP_FREE 64

bool exchange__init(struct exchange *x, const struct ph_app *app)
{
    *x = (struct exchange){.request = app__request_new(), .response = ph_response_new()};
    buf__init(&x->body, ph_app_limit(app, PH_LIMIT_BODY));
    return x->request && x->response;
}

void exchange__fini(struct exchange *x)
{
    ph_request_free(x->request);
    ph_response_free(x->response);
    buf__free(&x->body);
}

void exchange__reset(struct exchange *x)
{
    app__request_reset(x->request);
    app__response_reset(x->response);
    if (x->body.cap > KEEP_BODY)
        buf__free(&x->body);
    buf__reset(&x->body);
}

static void destroy(struct exchange *x)
{
    exchange__fini(x);
    free(x);
}

static struct exchange *make(const struct ph_app *app)
{
    struct exchange *x = malloc(sizeof(*x));

    if (!x || exchange__init(x, app))
        return x;
    destroy(x);
    return NULL;
}

struct exchange *exchanges__take(struct exchanges *list)
{
    struct exchange *x = list->free;

    if (!x)
        return make(list->app);
    list->free = x->next;
    list->count--;
    return x;
}

void exchanges__give(struct exchanges *list, struct exchange *x)
{
    if (!x)
        return;
    if (list->count == KEEP_FREE) {
        destroy(x);
        return;
    }
    exchange__reset(x);
    x->next = list->free;
    list->free = x;
    list->count++;
}

void exchanges__free(struct exchanges *list)
{
    while (list->free) {
        struct exchange *x = list->free;

        list->free = x->next;
        destroy(x);
    }
    list->count = 0;
}
