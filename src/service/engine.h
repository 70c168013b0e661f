/* What the clients for several hubs share: who calls, the rules, and the connections. */
#ifndef SERVICE_ENGINE_H
#define SERVICE_ENGINE_H

#include "service/background.h"

#include <pthread.h>
#include <stdatomic.h>

struct engine {
    atomic_size_t refs;
    struct errand_rules rules;
    struct attempt_options attempts;
    char *proxy, *ca_file, *user_agent;
    struct background_config in_background;
    atomic_bool may_not_wait; /* those that call it run on a loop that others need */

    pthread_mutex_t lock; /* of what follows */
    struct identity *identity;
    struct background *background; /* made when it is first needed */
    struct attempt *idle; /* the last one that was used is first: its connection is the warmest */
    size_t idle_count;
};

struct ph_service {
    struct engine *engine;
    char hub[];
};

/* All or nothing; errors are those of ph_service_new. */
enum ph_err engine__new(const char *connection_string, const struct ph_service_options *options,
                        struct engine **out, struct diag *diag);
struct engine *engine__ref(struct engine *e);
void engine__unref(struct engine *e);

/* A reference to who calls from now on. Any thread. */
struct identity *engine__identity(struct engine *e);
/* Takes over a reference. Any thread. */
void engine__set_identity(struct engine *e, struct identity *identity);

/* An attempt for one call at a time; NULL: no memory. Any thread. */
struct attempt *engine__take(struct engine *e);
void engine__put(struct engine *e, struct attempt *attempt);

/* NULL: no memory, no descriptor, no thread. Any thread. */
struct background *engine__background(struct engine *e);
/* The same if it was needed before. */
struct background *engine__has_background(struct engine *e);

/* Performs a request on this thread; never NULL. */
struct ph_service_result *engine__call(struct engine *e, struct str hub,
                                       const struct ph_service_request *request);

#endif
