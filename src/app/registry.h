/* The registered handlers of an application, in the order of registration. */
#ifndef APP_REGISTRY_H
#define APP_REGISTRY_H

#include "event/event.h"
#include "pubhook/app.h"

struct handler {
    enum ph_event_kind kind;
    const char *hub;     /* NULL: any */
    const char *pattern; /* user events */
    ph_handler_fn *fn;
    void *arg;
    void (*free_fn)(void *arg);
};

struct registry {
    struct handler *handlers;
    size_t count;
    size_t cap;
};

/* Copies hub and pattern. On failure the handler's argument has been freed. */
enum ph_err registry__add(struct registry *r, const struct handler *handler);
/* Frees the arguments of all handlers. */
void registry__free(struct registry *r);

/* Asks the matching handlers until one does not pass. *found says whether one decided;
 * its reply, which may be NULL, is returned and owned by the caller. */
struct ph_reply *registry__dispatch(const struct registry *r, const struct ph_event *ev,
                                    bool *found);

/* True when `name` matches `pattern`, in which "*" stands for any run of characters,
 * without case. */
bool registry__matches(struct str pattern, struct str name);

#endif
