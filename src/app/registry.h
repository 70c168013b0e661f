/* The registered handlers of an application, in the order of registration. Once events are
 * served, a registry does not change any more: another takes its place, and who asks the
 * handlers of one holds a reference to it until they have answered. */
#ifndef APP_REGISTRY_H
#define APP_REGISTRY_H

#include "app/counts.h"
#include "event/event.h"
#include "pubhook/app.h"

#include <stdatomic.h>

struct handler {
    enum ph_event_kind kind;
    const char *hub;     /* NULL: any */
    const char *pattern; /* user events */
    ph_handler_fn *fn;
    void *arg;
    void (*free_fn)(void *arg);
    const void *owner; /* those of one plugin have one, and go together; or NULL */
    bool never_blocks;
    struct handler_counts *counts; /* outlives the registry; NULL: it is not counted */
};

struct registry {
    atomic_size_t refs;
    struct shared_handler **handlers; /* registries have them in common */
    size_t count;
    size_t cap;
    size_t blocking; /* how many may block */
};

/* NULL: memory is out. */
struct registry *registry__new(void);
struct registry *registry__ref(struct registry *r);
/* The last one frees the arguments of the handlers that no other registry has. NULL is fine. */
void registry__unref(struct registry *r);
/* Copies hub and pattern. On failure the handler's argument has been freed. */
enum ph_err registry__add(struct registry *r, const struct handler *handler);
/* Another registry: all handlers of `old`, but in the place of those of `owner` those of
 * `fresh`; behind all others if there are none. NULL: memory is out. */
struct registry *registry__exchanged(const struct registry *old, const void *owner,
                                     const struct registry *fresh);

/* Who was asked last, and so has decided, if somebody has. */
struct turn {
    bool decided;
    struct handler_counts *counts;
    int64_t asked_us;
};

/* May one of the handlers that match block? */
bool registry__may_block(const struct registry *r, const struct ph_event *ev);

/* Asks the matching handlers until one does not pass. Its reply, which may be NULL, is returned
 * and owned by the caller. */
struct ph_reply *registry__dispatch(const struct registry *r, const struct ph_event *ev,
                                    struct turn *turn);

/* True when `name` matches `pattern`, in which "*" stands for any run of characters,
 * without case. */
bool registry__matches(struct str pattern, struct str name);

#endif
