/* How a session speaks to its client: one constant table for each subprotocol,
 * implemented in broker/wire. The core calls through it and knows no encoding. */
#ifndef BROKER_CORE_FORMAT_H
#define BROKER_CORE_FORMAT_H

#include "base/arena.h"
#include "base/diag.h"
#include "broker/core/message.h"

enum command_kind {
    COMMAND_JOIN_GROUP,
    COMMAND_LEAVE_GROUP,
    COMMAND_SEND_TO_GROUP,
    COMMAND_EVENT,
    COMMAND_PING,
    COMMAND_SEQUENCE_ACK,
};

/* What a client asked for (client-and-rest section 2.1). Views into the received
 * message or the arena of its decoding. */
struct command {
    enum command_kind kind;
    bool has_ack_id;
    bool no_echo;
    enum ph_data_type type;
    uint64_t ack_id;
    uint64_t sequence_id; /* COMMAND_SEQUENCE_ACK */
    struct str group;
    struct str event;
    struct str data;
};

/* An ack that says no (section 2.3); NULL means success. */
struct ack_error {
    const char *name; /* Forbidden, InternalServerError, Duplicate, BadRequest */
    struct str message;
};

struct connected_info {
    struct str connection_id;
    struct str user_id;            /* absent: null */
    struct str reconnection_token; /* absent unless reliable */
};

#define FORMAT_COUNT 8 /* room for all; `index` is below it */
/* Longest private piece in front of and behind a sequenced frame's bytes. */
#define FORMAT_MAX_HEAD 16
#define FORMAT_MAX_TAIL 48

struct format {
    const char *subprotocol; /* NULL for raw clients, who may have a custom one */
    unsigned index;          /* position in per-message caches */
    bool reliable;           /* numbered messages, kept until acknowledged; recovery */
    bool accepts_text, accepts_binary;

    /* Decodes one WebSocket message. PH_OK; PH_ERR_SYNTAX: close 1007 and say why;
     * PH_ERR_MEMORY. */
    enum ph_err (*decode)(struct arena *a, bool binary, struct str data, struct command *out,
                          struct diag *diag);
    /* Encoders return a frame with one reference for the caller, NULL when memory is
     * out. All but `message` are NULL in formats that have no such frame (raw). */
    struct frame *(*message)(const struct message *m);
    struct frame *(*ack)(uint64_t ack_id, const struct ack_error *error);
    struct frame *(*pong)(void);
    struct frame *(*connected)(const struct connected_info *info);
    struct frame *(*disconnected)(struct str reason);
    /* For sequenced frames: what to write before and behind `bytes`. Returns nothing; sets lengths.
     */
    void (*enclose)(const struct frame *f, uint64_t sequence_id, char head[FORMAT_MAX_HEAD],
                    size_t *head_len, char tail[FORMAT_MAX_TAIL], size_t *tail_len);
};

#endif
