/* What happens in a broker, as numbers. Each shard has one of these, which its thread
 * alone writes: a plain load and store for each thing that happens, without a lock or a
 * locked instruction. Whoever is asked adds up those of all shards (metrics_text.h), so a
 * number may be that of a moment ago.
 *
 * How many series there are is bounded: every label has a fixed set of values, but for
 * the names of hubs, of which the first METRICS_MAX_HUBS are told apart.
 *
 * All functions take NULL for "nobody counts". */
#ifndef BROKER_METRICS_METRICS_H
#define BROKER_METRICS_METRICS_H

#include "base/str.h"

#include <stdatomic.h>

#define METRICS_MAX_HUBS 256
#define METRICS_MAX_OPERATIONS 64 /* of the REST API */

/* Events that event handlers are asked about or told of. */
enum metric_event {
    METRIC_CONNECT,
    METRIC_CONNECTED,
    METRIC_USER,
    METRIC_DISCONNECTED,
    METRIC_JOINED,
    METRIC_LEFT
};
#define METRIC_EVENTS 6

enum metric_outcome {
    OUTCOME_OK,
    OUTCOME_REFUSED, /* connect: the handler keeps the client out */
    OUTCOME_FAILED,
    OUTCOME_NO_HANDLER,
    OUTCOME_DROPPED /* the connection ended before its turn came */
};
#define METRIC_OUTCOMES 5

/* Why a handler did not do what it was asked. */
enum metric_failure {
    FAILURE_OTHER,
    FAILURE_CONNECT,
    FAILURE_TIMEOUT,
    FAILURE_STATUS_4XX,
    FAILURE_STATUS_5XX,
    FAILURE_BAD_ANSWER,
    FAILURE_VALIDATION,
    FAILURE_QUEUE_FULL,
    FAILURE_BREAKER
};
#define METRIC_FAILURES 9

#define METRIC_CLOSES 12   /* categories of client-and-rest section 3, and others */
#define METRIC_REFUSALS 12 /* statuses of refused handshakes */
#define METRIC_CLASSES 4   /* of statuses: 2xx to 5xx */
#define METRIC_BUCKETS 15  /* of the histogram, without the last one that takes all */

/* Numbers of series. A family with a label has as many as the label has values. */
enum metric {
    METRIC_ACCEPTED,  /* new connections */
    METRIC_RECOVERED, /* connections that got another socket */
    METRIC_CLOSED,
    METRIC_REFUSED = METRIC_CLOSED + METRIC_CLOSES,
    METRIC_RECOVERY_REFUSED = METRIC_REFUSED + METRIC_REFUSALS,
    METRIC_MESSAGES_IN,
    METRIC_MESSAGES_OUT,
    METRIC_BYTES_IN,
    METRIC_BYTES_OUT,
    METRIC_EVENT_OUTCOMES,
    METRIC_EVENT_RETRIES = METRIC_EVENT_OUTCOMES + METRIC_EVENTS * METRIC_OUTCOMES,
    METRIC_HANDLER_FAILURES,
    METRIC_REST = METRIC_HANDLER_FAILURES + METRIC_FAILURES,
    METRIC_EVENT_BUCKETS = METRIC_REST + (METRICS_MAX_OPERATIONS + 1) * METRIC_CLASSES,
    METRIC_EVENT_MS = METRIC_EVENT_BUCKETS + METRIC_EVENTS * (METRIC_BUCKETS + 1),
    /* Gauges: what is there now. */
    METRIC_SOCKETS = METRIC_EVENT_MS + METRIC_EVENTS,
    METRIC_BLOCKED,
    METRIC_DETACHED,
    METRIC_PENDING_EVENTS,
    METRIC_COUNT
};

/* A number that one thread writes. */
typedef atomic_uint_least64_t metrics_number;

/* The connections of one hub. */
struct metrics_hub {
    metrics_number connections;
    size_t len;
    char name[];
};

struct metrics {
    metrics_number values[METRIC_COUNT];
    _Atomic(struct metrics_hub *) hubs[METRICS_MAX_HUBS]; /* NULL behind the last */
    metrics_number other_hubs;
};

/* NULL: memory is out. */
struct metrics *metrics__new(void);
void metrics__free(struct metrics *m);

static inline void metrics__store(metrics_number *value, uint64_t n)
{
    atomic_store_explicit(value, n, memory_order_relaxed);
}

static inline uint64_t metrics__load(const metrics_number *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static inline void metrics__add(struct metrics *m, unsigned metric, uint64_t n)
{
    if (m)
        metrics__store(&m->values[metric], metrics__load(&m->values[metric]) + n);
}

static inline void metrics__set(struct metrics *m, unsigned metric, uint64_t n)
{
    if (m)
        metrics__store(&m->values[metric], n);
}

/* A connection ended, with a category of struct close_reason. */
void metrics__closed(struct metrics *m, struct str category);
/* A handshake was refused. */
void metrics__refused(struct metrics *m, int status);
/* A REST call was answered; `operation` is the row of its route, METRICS_MAX_OPERATIONS: none. */
void metrics__rest(struct metrics *m, size_t operation, int status);
void metrics__event(struct metrics *m, enum metric_event event, enum metric_outcome outcome);
/* From when it happened to when it was settled. */
void metrics__event_took(struct metrics *m, enum metric_event event, int64_t ms);
static inline void metrics__failure(struct metrics *m, enum metric_failure why)
{
    metrics__add(m, METRIC_HANDLER_FAILURES + why, 1);
}

/* Where the connections of a hub are counted; NULL without `m`. The same for ever, for a
 * hub may come back. */
metrics_number *metrics__hub(struct metrics *m, struct str name);
static inline void metrics__up(metrics_number *n)
{
    if (n)
        metrics__store(n, metrics__load(n) + 1);
}
static inline void metrics__down(metrics_number *n)
{
    if (n)
        metrics__store(n, metrics__load(n) - 1);
}

#endif
