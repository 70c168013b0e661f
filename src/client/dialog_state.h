/* What the files of the dialog share: its state, and the parts it is made of.
 *
 *     pending.c     operations: sending, answers, time limits, trying again
 *     publishing.c  streams that this client publishes
 *     incoming.c    streams that come in
 *     rejoin.c      groups, and joining them again
 *     connection.c  connecting, losing a socket, recovering, keep-alive
 *     dialog.c      what comes and what the program asks, handed to the others */
#ifndef CLIENT_DIALOG_STATE_H
#define CLIENT_DIALOG_STATE_H

#include "client/dialog.h"

#define DIALOG_MAX_URL (64u << 10)
#define DIALOG_TIMERS 7 /* of the dialog itself */

enum dialog_state {
    STOPPED,
    ASKING,    /* for a URL */
    OPENING,   /* a socket for a new connection */
    GREETING,  /* the socket is open, `connected` has not come */
    CONNECTED, /* may send */
    RECOVERING,
    PAUSING, /* before connecting again */
    STOPPING /* the socket closes in order */
};

struct joined {
    struct str group;
    char text[];
};

struct dialog {
    const struct dialog_settings *settings;
    const struct dialog_ops *ops;
    void *ctx;
    enum dialog_state state;
    bool announced;                     /* `connected` was told, `disconnected` not yet */
    bool unproven;                      /* a recovered socket that has not said a word */
    bool flushing;                      /* what waits goes out whatever the room */
    unsigned attempts;                  /* to connect that failed */
    size_t rejoins;                     /* that have no answer yet */
    size_t in_flight;                   /* operations in `sent` */
    size_t window;                      /* how many there may be */
    struct op *start;                   /* whom to tell that it is connected, or not */
    struct link stops;                  /* and stopped */
    struct link waiting, sent, delayed; /* operations */
    struct link streams;
    struct link incoming; /* streams */
    size_t incoming_count;
    bool crowded;      /* there were too many, which was told */
    struct map groups; /* joined by our calls */
    struct buf url, connection_id, user_id, token, reason;
    uint64_t sequence_id; /* the last one that came */
    unsigned unacked;
    struct deadlines deadlines;
    struct dialog_timer connect_by, recover, give_up, retry, ping, silence, sequence_ack;
};

static inline void dialog__set_timer(struct dialog *d, struct dialog_timer *t, int64_t at_ms)
{
    deadlines__set(&d->deadlines, &t->due, at_ms);
}

static inline void dialog__clear_timer(struct dialog *d, struct dialog_timer *t)
{
    deadlines__clear(&d->deadlines, &t->due);
}

/* An absent string leaves it empty. */
static inline bool dialog__keep(struct buf *b, struct str s)
{
    buf__reset(b);
    if (s.ptr)
        buf__str(b, s);
    return !b->failed;
}

static inline struct ph_client_result dialog__failure(enum ph_err err, const char *message)
{
    return (struct ph_client_result){.err = err, .name = "", .message = message};
}

static inline struct ph_client_result dialog__success(void)
{
    return dialog__failure(PH_OK, "");
}

static inline bool dialog__has_retries(const struct ph_client_retry *r, unsigned failed)
{
    return failed <= r->retries;
}

static inline struct op *op__of(struct link *l)
{
    return LIST_ITEM(l, struct op, link);
}

/* --- Operations ---------------------------------------------------------------------- */

/* Off the list that it is on. */
void pending__take_out(struct dialog *d, struct op *op);
/* It ends, and is given back. */
void pending__finish(struct dialog *d, struct op *op, const struct ph_client_result *result);
void pending__finish_all(struct dialog *d, struct link *list,
                         const struct ph_client_result *result);
void pending__fail(struct dialog *d, struct op *op, enum ph_err err, const char *message);
/* A frame of our own, without an answer of its own. False: out of memory. */
bool dialog__say(struct dialog *d, const struct frame_request *r);
/* Sends what waits, as far as it may. */
void pending__pump(struct dialog *d, int64_t now_ms);
/* What was sent and has no answer goes in front of what waits, in its order. */
void pending__requeue(struct dialog *d);
/* False: out of memory. */
bool pending__give_deadline(struct dialog *d, struct op *op, int64_t now_ms);
/* What the service said when it said no. */
struct ph_client_result pending__refusal(const struct answer *a);
void pending__take_ack(struct dialog *d, const struct answer *a, int64_t now_ms);
void pending__take_invoke_response(struct dialog *d, const struct answer *a);
/* For one that had no answer when the connection was lost for good. */
void pending__retry_or_fail(struct dialog *d, struct op *op);
/* Those that were sent: they do not outlive their socket. */
void pending__fail_invocations(struct dialog *d);
void pending__cancel(struct dialog *d, struct op *op);

/* --- Streams ------------------------------------------------------------------------- */

struct ph_client_stream *publishing__find(struct dialog *d, struct str id);
void publishing__end_all(struct dialog *d, const struct ph_client_result *result);
void publishing__take_ack(struct dialog *d, const struct answer *a);
void publishing__take_nack(struct dialog *d, const struct answer *a, int64_t now_ms);
void publishing__take_closed(struct dialog *d, const struct answer *a);
/* Nobody writes to it any more. */
void publishing__abandon(struct dialog *d, struct ph_client_stream *s);

/* False: it is a message like all others. */
bool incoming__take(struct dialog *d, const struct answer *a, int64_t now_ms);
void incoming__end_all(struct dialog *d, const struct ph_client_result *result);
/* Silence does not count while there is no socket. */
void incoming__pause(struct dialog *d);
void incoming__resume(struct dialog *d, int64_t now_ms);

/* --- Groups -------------------------------------------------------------------------- */

struct str rejoin__key(const void *item);
/* False: out of memory. */
bool rejoin__remember(struct dialog *d, struct str name);
void rejoin__forget(struct dialog *d, struct str name);
/* In front of all that waits. */
void rejoin__all(struct dialog *d, int64_t now_ms);
/* Nobody is told of them. */
void rejoin__drop(struct dialog *d);

/* --- Connections --------------------------------------------------------------------- */

/* Before the next try, after so many that failed. */
uint32_t dialog__pause_ms(struct dialog *d, const struct ph_client_retry *r, unsigned failed);
void connection__clear_timers(struct dialog *d);
/* Tells the program that it is connected. */
void connection__announce(struct dialog *d);
/* Stopped: all ends. */
void connection__end(struct dialog *d);
/* Ends all that waits for the service, streams too. */
void connection__fail_all(struct dialog *d, const struct ph_client_result *why);
/* A new connection could not be had. */
void connection__attempt_failed(struct dialog *d, enum ph_err err, struct str why, int64_t now_ms);
void connection__socket_lost(struct dialog *d, uint16_t code, enum ph_err err, struct str why,
                             int64_t now_ms);
/* The socket is dropped. */
void connection__out_of_memory(struct dialog *d, int64_t now_ms);
/* Tells the service what has come. */
void connection__acknowledge(struct dialog *d, struct dialog_timer *t, int64_t now_ms);
void connection__open(struct dialog *d, struct str url, int64_t now_ms);
void connection__begin(struct dialog *d, int64_t now_ms);
void connection__take_connected(struct dialog *d, const struct answer *a, int64_t now_ms);
void connection__init(struct dialog *d);

#endif
