/* What the files of the core know of each other, and nobody else. */
#ifndef BROKER_CORE_STATE_H
#define BROKER_CORE_STATE_H

#include "base/deadlines.h"
#include "base/list.h"
#include "base/prefetch.h"
#include "broker/core/ack_ids.h"
#include "broker/core/backlog.h"
#include "broker/core/group_state.h"
#include "broker/core/hub.h"
#include "broker/core/in_flight.h"
#include "broker/core/membership.h"
#include "broker/core/outbox.h"
#include "broker/core/permission.h"

struct core {
    struct core_config config;
    struct map hubs;
    struct backlog backlog;
    struct link detached; /* waiting for recovery, the next to expire first; all of them ... */
    struct link detached_before; /* ... by the recovery time of now, and by those of before */
    struct link ended;          /* to be taken out of their hubs when nobody walks these any more */
    struct link closing;        /* out of everything; their transports still send the rest */
    struct link owing;          /* the streams of sessions that are to be sent streamAck */
    struct link walks;          /* commands that go in slices; the next to have its turn first */
    uint64_t room;              /* work that still fits into this turn */
    struct deadlines deadlines; /* of timers */
    size_t sessions;            /* that have not ended */
    size_t attached;            /* of them: have a transport */
    unsigned depth;             /* calls from outside that are under way */
};

/* Something to do at a time of the loops' clock, with core__tick. */
struct timer {
    struct deadline due; /* first member */
    void (*ring)(struct timer *t, int64_t now_ms);
};

/* An idle client costs one of these and its entries in maps and groups: keep it small.
 * What every delivery touches comes first, so that it lies in two or three cache lines. */
struct session {
    const struct format *format;
    struct transport *transport; /* NULL: detached */
    struct core *core;
    bool ended;
    bool presented; /* session__present was called */
    bool excluded;  /* from the command that is being applied */
    bool publish_no_echo;
    uint8_t id_len;
    uint32_t in_flight_count, in_flight_size;
    struct outbox outbox;
    struct link dirty; /* on a list of core->backlog, or alone */

    struct hub *hub; /* NULL once it is taken out */
    struct user *user;
    struct session *user_prev, *user_next;
    struct link in_hub; /* on hub->sessions */
    struct upstream_peer *peer;
    struct memberships groups;
    struct permissions permissions;
    struct own_states *states; /* NULL: it has none and listens to none */
    struct ack_ids *ack_ids;
    struct in_flight *in_flight;
    struct streams *streams; /* that it publishes; NULL: never one */
    uint64_t last_ticket;
    struct link waiting;   /* on core->detached, ended or closing, or alone */
    int64_t recover_until; /* while detached */
    char *publish_group;   /* raw clients in sendToGroup mode, else NULL */
    char id[];             /* with a NUL */
};

/* Into the cache: what every delivery touches. */
static inline void session__prefetch(const struct session *s)
{
    prefetch__bytes(s, offsetof(struct session, hub));
}

/* Every call from outside that may end a session stands between these two. A session
 * that ends stays where it is until the outermost one is left, so that whoever walks a
 * group, a user or a hub finds it unchanged. */
void core__enter(struct core *core);
void core__leave(struct core *core);

/* Queues a frame for the client; one who cannot take it is ended. */
void session__deliver(struct session *s, struct frame *f);
/* The same for a new frame, whose reference is taken over; NULL: memory was out. */
void session__deliver_new(struct session *s, struct frame *f);
/* A control frame that the client can do without: queued only if there is room. */
void session__offer(struct session *s, struct frame *f);
/* Sends a message of this client to its group, on all shards; `no_echo`: but not to the
 * client itself. False: memory is out. */
bool session__publish(struct session *s, const struct message *draft, bool no_echo);
/* Out of its hub, and freed unless its transport still needs it. */
void session__retire(struct session *s);
void session__free(struct session *s);

#endif
