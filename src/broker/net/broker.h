/* The running broker: its shards, and what all of them read and none writes. */
#ifndef BROKER_NET_BROKER_H
#define BROKER_NET_BROKER_H

#include "base/log.h"
#include "base/map.h"
#include "broker/config/settings.h"

#include <semaphore.h>

#define BROKER_DRAIN_MS 5000 /* given to clients and `disconnected` events at shutdown */

struct shard;

struct broker {
    const struct settings *settings;
    struct ph_log *log;
    struct map_seed seed;
    char own_host[300]; /* HOST:PORT as clients reach it, from the settings */
    size_t shard_count;
    struct shard **shards;
    size_t max_transports; /* of one shard */
    sem_t drained;         /* posted once by each shard that has nothing left to do */
};

/* Listens and starts the shards' threads; accepts connections when it returns.
 * `settings` and `log` outlive the broker. NULL: `diag` says why. */
struct broker *broker__start(const struct settings *settings, struct ph_log *log,
                             struct diag *diag);
/* Stops accepting, closes clients with 1001, waits for the `disconnected` events, ends
 * the threads and frees everything. NULL is fine. */
void broker__stop(struct broker *b);

#endif
