/* A message on its way to connections: what was sent, to be encoded once for each
 * wire format. Immutable and reference-counted by any thread, so that shards share
 * it; what a shard encodes from it (struct frame) is that shard's own. */
#ifndef BROKER_CORE_MESSAGE_H
#define BROKER_CORE_MESSAGE_H

#include "base/metadata.h"
#include "base/str.h"
#include "pubhook/event.h"

#include <stdatomic.h>

/* Whom a receiving client sees as the sender (client-and-rest section 2.2). */
enum message_from { MESSAGE_FROM_SERVER, MESSAGE_FROM_GROUP };

/* A fragment of a stream (section 2.4). */
struct message_stream {
    struct str id;        /* absent: the message belongs to no stream */
    uint64_t sequence_id; /* from 1 */
    bool end;             /* the terminal message, which has no data of the publisher */
    /* Why it ended; absent: normally. `user_error_code` only with the name UserError. */
    struct str error_name, error_message, user_error_code;
};

struct message {
    atomic_uint refs;
    enum message_from from;
    enum ph_data_type type;
    struct str group;     /* MESSAGE_FROM_GROUP */
    struct str from_user; /* absent when sent by the service or by an anonymous client */
    struct str data;      /* text, JSON text, bytes, or a serialized Any */
    struct metadata metadata;
    struct message_stream stream;
    int64_t expires_ms; /* on the loops' clock; whoever has not got it by then will not
                           (ttlSeconds). 0: never */
};

/* A copy of all of `draft` but its refs, in one allocation; one reference is the
 * caller's. NULL: memory. */
struct message *message__new(const struct message *draft);
struct message *message__ref(struct message *m);
void message__unref(struct message *m); /* NULL is fine */

/* Encoded bytes, ready for many connections of one shard. Not for two threads. */
struct frame {
    uint32_t refs;
    uint32_t len;
    uint8_t opcode;     /* WebSocket: 1 text, 2 binary, 8 close */
    bool sequenced;     /* `bytes` is the start of a payload that each connection completes with its
                           sequenceId; otherwise a whole WebSocket frame, header included */
    bool control;       /* says something about the connection (ack, pong, connected): it has no
                           sequence id and is not replayed after a recovery */
    uint8_t field;      /* for the enclose of its format alone */
    int64_t expires_ms; /* of its message; 0: never */
    char bytes[];
};

struct frame *frame__new(uint32_t len);
static inline struct frame *frame__ref(struct frame *f)
{
    f->refs++;
    return f;
}
void frame__unref(struct frame *f); /* NULL is fine */
/* A thread that has had frames ends. */
void frame__free_spare(void);

#endif
