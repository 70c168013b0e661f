/* One client connection as its event handlers see it: its events in the order in which
 * they happened, their numbers, and the state and the cookies that handlers gave it
 * (event-handler section 2.1). delivery.h moves the queue on. */
#ifndef BROKER_UPSTREAM_PEER_H
#define BROKER_UPSTREAM_PEER_H

#include "broker/upstream/cookies.h"
#include "broker/upstream/exchange.h"
#include "broker/upstream/queued_event.h"
#include "broker/upstream/validation.h"

struct upstream_peer {
    struct exchange exchange; /* of the first event; first member */
    struct validation_waiter waiter;
    struct upstream *up;
    struct upstream_peer *next, *previous;
    struct queued_event *first, **last;
    /* In the queue, with the one under way. */
    size_t user_bytes;
    uint32_t user_events, presence_events;
    struct arena work;        /* of the first event's request and answer */
    struct http_request http; /* its request */
    struct str url;           /* where it goes; absent for a plugin */
    const char *target;       /* the same for texts, once one needed it */
    void *owner;
    uint64_t next_id;
    bool active;     /* the first event is being worked on */
    bool delivering; /* inside an outcome: what is called back leaves the queue alone */
    bool ended;      /* to be freed when the queue is empty */
    bool refused;    /* to be freed behind the outcome */
    bool presence_lost;
    char *names;                     /* memory of the next two */
    struct str user_id, subprotocol; /* each with a NUL behind it */
    struct str state;                /* its own memory */
    struct cookies cookies;
    struct str hub, connection_id; /* in `text`, each with a NUL behind it */
    unsigned plain;                /* of these and the names: for struct ph_event */
    char *signature;
    unsigned signed_by; /* up->settings_count when it was made */
    char text[];
};

/* Takes hub and connection id from `connect`. NULL when memory is out. */
struct upstream_peer *peer__new(struct upstream *up, const struct ph_event *connect,
                                exchange_finished_fn *finished, exchange_target_fn *target);
void peer__free(struct upstream_peer *p);
/* The final names of the client. False when memory is out. */
bool peer__name(struct upstream_peer *p, struct str user_id, struct str subprotocol);

bool peer__has_room(const struct upstream_peer *p, size_t bytes);
/* The event is the peer's from here on. */
void peer__append(struct upstream_peer *p, struct queued_event *q);
/* Takes the event that hangs at `at` off the queue; the caller frees it. */
struct queued_event *peer__take(struct upstream_peer *p, struct queued_event **at);

/* Adds to an event that has a handler what is the connection's. It lives as long as `work` and
 * the peer's own do. False when memory is out. */
bool peer__complete(struct upstream_peer *p, struct queued_event *q);
/* Encodes the request for a complete event into `work`. */
enum ph_err peer__encode(struct upstream_peer *p, const struct queued_event *q, struct diag *diag);
/* Takes what a 2xx answer leaves with the connection. Only a blocking event can set the
 * state (event-handler section 3.3). */
void peer__keep(struct upstream_peer *p, const struct answer *answer, bool blocking,
                struct str url);

#endif
