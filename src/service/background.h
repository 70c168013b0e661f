/* Requests that nobody waits for on the spot: started by any thread, carried on in a loop,
 * which is the caller's or has a thread of its own. */
#ifndef SERVICE_BACKGROUND_H
#define SERVICE_BACKGROUND_H

#include "service/errand.h"

struct background;

struct background_config {
    const struct errand_rules *rules;
    const struct attempt_options *attempts;
    unsigned max_connections, max_pending;
    bool thread; /* of its own */
    struct ph_log *log;
    ph_service_done_fn *failed; /* of those that were started without `done` */
    void *failed_arg;
};

/* NULL: no memory, no descriptor, no thread. What the configuration points to outlives it. */
struct background *background__new(const struct background_config *config);
/* Gives up what is under way: nobody is told. */
void background__free(struct background *b);

/* Any thread; takes over the reference to who makes it. PH_ERR_LIMIT: too many are pending.
 * PH_ERR_MEMORY. Anything else is told by `done`; `id` may be NULL. */
enum ph_err background__start(struct background *b, struct identity *identity, struct str hub,
                              const struct ph_service_request *request, ph_service_done_fn *done,
                              void *arg, uint64_t *id);
/* Any thread. PH_ERR_NOT_FOUND: it has ended, or is just being told of. */
enum ph_err background__cancel(struct background *b, uint64_t id);
size_t background__pending(struct background *b);

/* The descriptor to watch for reading; -1 when it has a thread of its own. */
int background__fd(const struct background *b);
/* Does what is due; one thread at a time, others come back at once. */
void background__process(struct background *b);
/* Until nothing is pending; false when the time is up before. */
bool background__flush(struct background *b, int64_t timeout_ms);

#endif
