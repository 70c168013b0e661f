/* An event that waits for its turn to be told to an event handler. */
#ifndef BROKER_UPSTREAM_QUEUED_EVENT_H
#define BROKER_UPSTREAM_QUEUED_EVENT_H

#include "base/clock.h"
#include "broker/upstream/gate.h"
#include "broker/upstream/upstream.h"

struct queued_event {
    struct queued_event *next; /* in its queue, or of the spare ones */
    size_t size;
    const struct event_handler *handler; /* NULL: none wants it */
    const struct settings *settings;     /* that it is in; a reference */
    const struct hub_settings *hub;      /* likewise */
    struct gate *gate;                   /* of the handler; a reference */
    void *token;                         /* of a connect */
    uint64_t ticket;                     /* of a user event */
    int64_t since_ms;                    /* the loop's clock, when it was queued */
    bool heard;                          /* a listener was told of it */
    struct ph_event event;     /* its texts have a NUL behind them; what is the connection's is
                                  added when its turn has come: peer__complete */
    char digits[STR_U64_SIZE]; /* of event.id, at the end */
    char time[CLOCK_RFC3339_SIZE];
    char guid[37];                   /* x-ms-client-request-id, the same on each try */
    struct metadata_entry entries[]; /* and the texts behind them */
};

/* Memory of those that are gone, for the next: a turn of a shard makes many before the first of
 * them goes, which is more than malloc keeps at hand. */
struct spare_events {
    struct queued_event *first;
    unsigned count;
};

void spare_events__free(struct spare_events *spare);

/* A copy of name, data (which may be absent, and is the reason of disconnected and the group of
 * joined and left), type, metadata and ticket of `event`. NULL
 * when memory is out. */
struct queued_event *queued_event__new(struct spare_events *spare, enum ph_event_kind kind,
                                       const struct upstream_event *event, uint64_t id,
                                       int64_t unix_ms);
/* NULL is fine. */
void queued_event__free(struct spare_events *spare, struct queued_event *q);
/* What it counts for in a queue. */
size_t queued_event__bytes(const struct queued_event *q);

#endif
