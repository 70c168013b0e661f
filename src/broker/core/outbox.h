/* What goes out to one client: a ring of references to encoded frames.
 *
 * A frame leaves when it is written; one with a sequence id (reliable clients) stays
 * until the client acknowledges it, to be written again after a recovery. The ring
 * holds, oldest first, [kept | gap | pending]: what is written and kept, slots that
 * written control frames left, and what is still to be written. Writing therefore
 * moves a reference down the ring and never needs memory. */
#ifndef BROKER_CORE_OUTBOX_H
#define BROKER_CORE_OUTBOX_H

#include "base/prefetch.h"
#include "broker/core/session.h"

/* Acks, pongs and system frames may go this far beyond the limits of messages, so that
 * a client whose queue is full can still be told so (official-emulator section 2.4). */
#define OUTBOX_CONTROL_MESSAGES 32
#define OUTBOX_CONTROL_BYTES (64u << 10)
#define OUTBOX_FETCH 192 /* bytes of a frame that come into the cache ahead: a small one */

struct outbox {
    struct out_item *items;
    uint32_t size; /* slots: 0 or a power of two */
    /* Positions count up for ever; the slot of one is its remainder by `size`. */
    uint32_t head, kept_end, next, tail;
    uint32_t messages; /* kept and pending, without control frames */
    uint32_t controls; /* pending */
    bool begun;        /* the first pending frame is written in part */
    size_t message_bytes, control_bytes;
    int64_t expires_ms; /* nothing expires before; 0: nothing does */
    uint64_t sequence;  /* id of the newest sequenced frame */
    uint64_t written;   /* id of the newest one that was ever written */
    uint64_t acked;     /* newest acknowledged */
};

enum outbox_result { OUTBOX_OK, OUTBOX_FULL, OUTBOX_MEMORY };

/* A zeroed outbox is empty. */
void outbox__free(struct outbox *o);
/* Takes a reference of its own and gives a sequenced frame the next id. An empty outbox
 * takes a message of any size: an answer of an event handler may have 16 MiB
 * (event-handler section 3.6), and base64 makes it larger than the limit. */
enum outbox_result outbox__push(struct outbox *o, struct frame *f,
                                const struct queue_limits *limits);
/* The same in front of all that is pending, whatever the limits. */
bool outbox__push_front(struct outbox *o, struct frame *f);
static inline bool outbox__pending(const struct outbox *o)
{
    return o->next != o->tail;
}
/* Into the cache: where the next frame goes; what is written next. */
static inline void outbox__prefetch_end(const struct outbox *o)
{
    if (o->items)
        prefetch__line(&o->items[o->tail & (o->size - 1)]);
}
static inline void outbox__prefetch(const struct outbox *o)
{
    if (o->items)
        prefetch__line(&o->items[o->next & (o->size - 1)]);
}
/* And when that is there, the frame to which it refers. */
static inline void outbox__prefetch_frame(const struct outbox *o)
{
    if (o->next != o->tail)
        prefetch__bytes(o->items[o->next & (o->size - 1)].frame, OUTBOX_FETCH);
}
/* Is half of what the limits allow still to be written? */
bool outbox__half_full(const struct outbox *o, const struct queue_limits *limits);
size_t outbox__peek(const struct outbox *o, struct out_item *items, size_t max);
/* `begun`: the frame behind those is written in part, and so has to be finished. */
void outbox__written(struct outbox *o, size_t count, bool begun);
/* Cumulative: everything up to the id is done with. Ids never written are ignored. */
void outbox__ack(struct outbox *o, uint64_t sequence_id);
/* Forgets messages whose time is over, also those that would be written again after a
 * recovery. Their sequence ids are missing then. */
void outbox__expire(struct outbox *o, int64_t now_ms);
static inline bool outbox__expired(const struct outbox *o, int64_t now_ms)
{
    return o->expires_ms && o->expires_ms <= now_ms;
}
/* A new transport: all that is kept is pending again; control frames were for the old one. */
void outbox__rewind(struct outbox *o);

#endif
