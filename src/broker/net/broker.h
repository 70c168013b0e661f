/* The running broker: its shards, and what all of them read and none writes. */
#ifndef BROKER_NET_BROKER_H
#define BROKER_NET_BROKER_H

#include "broker/config/settings.h"
#include "broker/core/core.h"

#include <semaphore.h>

struct entra_keys;
struct publisher;
struct shard;
struct handler_tokens;

struct broker_limits {
    struct core_limits core;
    size_t transports;          /* of one shard; 0: as many as the limit on open files allows */
    size_t webhooks;            /* connections of one shard to event handlers; 1024, and a
                                 * quarter of what the descriptors allow */
    size_t mailbox_bytes;       /* waiting for a shard; while it is more, the others do not read
                                 * from their clients; 4 MiB */
    unsigned http_connections;  /* of one shard at a time; upgraded ones do not count; 4096 */
    unsigned request_seconds;   /* for a whole request, and for the wait before it; 30 */
    unsigned close_seconds;     /* from the wish to close a WebSocket to the end of its socket; 5 */
    unsigned drain_seconds;     /* for clients and `disconnected` events at shutdown; 5 */
    unsigned key_seconds;       /* at least, between two readings of Entra's keys; 30 */
    unsigned handler_threads;   /* of libuv's pool, for handlers of plugins; 32 */
    uint32_t message_bytes;     /* of a client's message; 1 MiB */
    uint32_t frames_per_second; /* of a connection; 0: as many as come */
};
#define BROKER_LIMITS_DEFAULT                                                                      \
    ((struct broker_limits){CORE_LIMITS_DEFAULT, 0, 1024, 4u << 20, 4096, 30, 5, 5, 30, 32,        \
                            1u << 20, 0})
/* The defaults, but for what the settings say. */
struct broker_limits broker__limits(const struct limits *set);

struct broker {
    struct ph_log *log;
    struct publisher *publisher; /* to event listeners */
    struct broker_limits limits;
    struct map_seed seed;
    char own_host[300]; /* HOST:PORT as clients reach it, from the settings */
    size_t shard_count;
    struct shard **shards;
    struct entra_keys *entra;       /* NULL: services have access keys alone */
    const struct settings *initial; /* with `entra`: its tokens are judged by these for good */
    struct handler_tokens *tokens;  /* for event handlers */
    int64_t start_ms;               /* Unix time */
    struct news *news;              /* what the log has heard of */
    sem_t drained;                  /* posted once by each shard that has nothing left to do */
};

/* Listens and starts the shards' threads; accepts connections when it returns. References
 * to `settings` are taken; settings that are not counted and `log` outlive the broker.
 * NULL: `diag` says why. */
struct broker *broker__start(const struct settings *settings, const struct broker_limits *limits,
                             struct ph_log *log, struct diag *diag);
/* What only the files that settings name can tell. PH_ERR_CONFIG: do not use them. Done by
 * broker__start. */
enum ph_err broker__check(const struct settings *settings, struct diag *diag);
/* Any thread: other settings for what comes from now on; what is under way ends as it has
 * begun. Where to listen and the number of threads stay. `done` is called once, on a thread of
 * the broker: as soon as they hold on all of them, in the order of the calls, and before
 * broker__stop returns. False: out of memory, and the settings from before stay everywhere. */
bool broker__configure(struct broker *b, const struct settings *settings, void (*done)(void *arg),
                       void *arg);
/* How long broker__stop may take, if no handler inside of the broker hangs. */
unsigned broker__stop_seconds(const struct broker *b);
/* Stops accepting, closes clients with 1001, waits for the `disconnected` events, ends
 * the threads and frees everything. NULL is fine. */
void broker__stop(struct broker *b);

#endif
