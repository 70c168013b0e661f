/* What somebody asked of the client, from the call until `done` was told. */
#ifndef CLIENT_OP_H
#define CLIENT_OP_H

#include "base/buf.h"
#include "base/deadlines.h"
#include "base/list.h"
#include "pubhook/client.h"

#include <pthread.h>

struct dialog;

/* Something with a deadline in a dialog. */
struct dialog_timer {
    struct deadline due;
    void (*ring)(struct dialog *d, struct dialog_timer *t, int64_t now_ms);
};

enum op_kind {
    /* to the client itself */
    OP_START,
    OP_STOP,
    OP_URL,     /* `name` is the URL; empty: there is none */
    OP_CANCEL,  /* `name` is the invocation */
    OP_ABANDON, /* `stream` is nobody's any more */
    /* to the service */
    OP_NOTICE, /* has no answer: is finished when it is on its way */
    OP_SEND,   /* has an ack, as the next two */
    OP_JOIN,
    OP_LEAVE,
    OP_INVOKE,
    OP_STREAM_OPEN,
    OP_STREAM_DATA,
    OP_STREAM_END
};

struct op {
    struct dialog_timer timer; /* first, see dialog.c */
    struct link link;
    enum op_kind kind;
    bool binary;       /* opcode of the frame */
    bool rejoin;       /* a join of our own */
    bool counts;       /* towards max_pending and max_queue */
    bool has_room;     /* its deadline is reserved */
    bool was_sent;     /* on any socket */
    bool in_flight;    /* sent on this socket, without an answer */
    unsigned attempts; /* that failed */
    uint64_t ack_id;   /* 0: none */
    uint64_t stream_sequence_id;
    uint32_t timeout_ms;
    int64_t expires_ms;
    struct ph_client_stream *stream; /* a reference */
    ph_client_done *done;
    void *arg;
    struct buf frame;
    struct str name; /* group, invocation id, URL */
    char text[];
};

/* NULL: out of memory. The frame can have `max` bytes. */
struct op *op__new(enum op_kind kind, struct str name, size_t max);
/* Its reference to a stream is the caller's. */
void op__free(struct op *op);
/* What it counts for in the queue. */
size_t op__bytes(const struct op *op);

/* A stream that this client publishes. Each operation on it has a reference, the dialog has
 * one from its opening to its end, and the caller. */
struct ph_client_stream {
    struct ph_client *client;
    struct link link;      /* in the dialog's list of open ones */
    unsigned nacks;        /* since the service last took something */
    unsigned stale_nacks;  /* that are still to come for what was sent before the last one */
    uint64_t nacked_id;    /* what that one asked for */
    pthread_mutex_t order; /* of the next two */
    uint64_t last_id;      /* of the last fragment */
    bool ending;           /* its end was asked for */
    /* Under the client's lock. */
    unsigned refs;
    bool over; /* the service, or the connection, has ended it */
    void (*failed)(struct ph_client_stream *stream, const struct ph_client_result *result,
                   void *arg);
    void *arg;
    struct str id;
    char text[];
};

#endif
