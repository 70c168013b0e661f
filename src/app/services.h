/* The service as handlers reach it (ph_event_service): a client for each hub, made when one is
 * first asked for. */
#ifndef APP_SERVICES_H
#define APP_SERVICES_H

#include "base/diag.h"
#include "base/log.h"
#include "base/str.h"
#include "pubhook/service.h"

#include <pthread.h>

struct services {
    pthread_mutex_t lock;
    struct service_source *sources; /* in their order; the one that was set is first */
    bool was_set, told;
};

bool services__init(struct services *s);
/* Waits a little for what was posted, and says in the log how much of it was given up. */
void services__free(struct services *s, struct ph_log *log);

/* A connection string, for events of its host, or, if it is the first, for all that no other
 * is for. PH_ERR_MEMORY. */
enum ph_err services__add(struct services *s, struct str host, struct str connection_string);
/* The one for all events; errors are those of ph_service_new. Any thread. */
enum ph_err services__set(struct services *s, const char *connection_string,
                          const struct ph_service_options *options, struct ph_log *log,
                          const char **why);

/* NULL: there is none, and the log says why. `may_not_wait`: for handlers on a loop. Any
 * thread. */
struct ph_service *services__get(struct services *s, struct str origin, const char *hub,
                                 bool may_not_wait, struct ph_log *log);

#endif
