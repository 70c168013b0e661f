/* What a client and the service have to say to each other over many sockets: requests and
 * their answers, sequence ids, recovery, reconnecting, groups to be joined again, streams,
 * keep-alive. No I/O, no clock, no threads: news and times come in, and what follows from
 * them are calls of struct dialog_ops.
 *
 * The functions of dialog_ops must not call back into the dialog. */
#ifndef CLIENT_DIALOG_H
#define CLIENT_DIALOG_H

#include "base/map.h"
#include "client/frames.h"
#include "client/op.h"

/* Of a close frame; what is not heard of by one is WS_CLOSE_ABNORMAL. */
#define DIALOG_CLOSE_REFUSED 1008 /* a recovery: client-and-rest section 3 */

struct dialog_ops {
    /* The socket. */
    void (*need_url)(void *ctx);             /* answered by dialog__url */
    void (*open)(void *ctx, struct str url); /* dialog__opened or dialog__closed follow */
    void (*close)(void *ctx);                /* in order; dialog__closed follows */
    void (*drop)(void *ctx);                 /* at once; nothing follows */
    bool (*write)(void *ctx, bool binary, struct str frame); /* false: out of memory */
    bool (*ping)(void *ctx);     /* of WebSocket; false: out of memory */
    bool (*has_room)(void *ctx); /* for another frame; else dialog__drained */
    uint64_t (*new_ack_id)(void *ctx);
    uint32_t (*chance)(void *ctx); /* any number */
    /* News for the program. */
    void (*finished)(void *ctx, struct op *op, const struct ph_client_result *result);
    void (*connected)(void *ctx, struct str connection_id, struct str user_id);
    void (*disconnected)(void *ctx, struct str connection_id, struct str reason);
    void (*stopped)(void *ctx);
    /* `stream`: the one that wants it; NULL: a message of its own. */
    void (*message)(void *ctx, const struct answer *message, struct ph_client_incoming *stream);
    void (*rejoin_failed)(void *ctx, struct str group, const struct ph_client_result *result);
    void (*stream_opened)(void *ctx, struct ph_client_stream *s); /* refers to it until */
    void (*stream_ended)(void *ctx, struct ph_client_stream *s,
                         const struct ph_client_result *result);
    void (*incoming_begun)(void *ctx, struct ph_client_incoming *stream);
    void (*incoming_ended)(void *ctx, struct ph_client_incoming *stream,
                           const struct ph_client_result *result);
    void (*complain)(void *ctx, const char *what); /* for the log */
};

/* All numbers are set; no retries are 0. The times of keep-alive may be PH_CLIENT_NEVER. */
struct dialog_settings {
    enum ph_client_subprotocol protocol;
    struct str url; /* absent: need_url */
    bool reconnects, rejoins;
    struct ph_client_retry reconnect, resend;
    uint32_t keep_alive_ms, keep_alive_timeout_ms;
    uint32_t connect_timeout_ms, recovery_ms;
    uint32_t max_incoming; /* streams; 0: their fragments are messages like all others */
};

struct dialog;

/* `settings`, `ops` and `seed` outlive the dialog. NULL: out of memory. */
struct dialog *dialog__new(const struct dialog_settings *settings, const struct dialog_ops *ops,
                           void *ctx, const struct map_seed *seed);
/* Ends it: finishes what has no answer with PH_ERR_CLOSED, without other news. */
void dialog__free(struct dialog *d);

/* Takes the operation over; ops->finished gives it back. */
void dialog__submit(struct dialog *d, struct op *op, int64_t now_ms);
void dialog__opened(struct dialog *d, int64_t now_ms);
/* `err` and `why`: what happened when no close frame came. */
void dialog__closed(struct dialog *d, uint16_t code, enum ph_err err, struct str why,
                    int64_t now_ms);
/* A whole message of the socket. */
void dialog__take(struct dialog *d, bool binary, struct str frame, int64_t now_ms);
/* The socket has given some sign of life. */
void dialog__alive(struct dialog *d, int64_t now_ms);
/* There is room again. */
void dialog__drained(struct dialog *d, int64_t now_ms);
/* What is due; dialog__next_ms says when to come again, INT64_MAX for never. */
void dialog__tick(struct dialog *d, int64_t now_ms);
int64_t dialog__next_ms(const struct dialog *d);

#endif
