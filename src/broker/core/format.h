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
    COMMAND_INVOKE, /* preview: section 2.5 */
    COMMAND_CANCEL_INVOCATION,
    COMMAND_STREAM_DATA, /* section 2.4 */
    COMMAND_STREAM_END,
    COMMAND_SET_GROUP_STATE, /* preview: section 2.6 */
    COMMAND_SUBSCRIBE_GROUP_STATE,
    COMMAND_UNSUBSCRIBE_GROUP_STATE,
    COMMAND_INVOKE_RESPONSE, /* answers nothing, for nobody invokes clients; without effect */
    COMMAND_COUNT
};

/* What a client asked for (client-and-rest section 2.1). Views into the received
 * message or the arena of its decoding. */
struct command {
    enum command_kind kind;
    bool has_ack_id;
    bool no_echo;
    enum ph_data_type type;
    uint64_t ack_id;
    bool has_data;        /* false: no data at all, which is not the same as empty data */
    uint64_t sequence_id; /* COMMAND_SEQUENCE_ACK */
    struct str group;
    struct str event;
    struct str data;
    struct metadata metadata;
    uint32_t ttl_seconds;     /* COMMAND_SEND_TO_GROUP: 0 to 300; 0: for ever */
    struct str invocation_id; /* COMMAND_INVOKE, COMMAND_CANCEL_INVOCATION */
    /* COMMAND_STREAM_*, and the COMMAND_SEND_TO_GROUP that opens a stream; else absent */
    struct str stream_id;
    uint32_t idle_timeout_ms;    /* of the opening; 0: none was given */
    bool has_stream_sequence_id; /* COMMAND_STREAM_DATA; without: keep-alive */
    uint64_t stream_sequence_id;
    bool stream_failed; /* COMMAND_STREAM_END with an error, whose parts may be absent */
    struct str error_message, user_error_code;
    bool has_state; /* COMMAND_SET_GROUP_STATE; without: clear it */
    struct metadata state;
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

/* The answer to an invocation (section 2.5); `error` NULL: success. */
struct invoke_response {
    struct str invocation_id;
    const struct ack_error *error;
    bool has_data;
    enum ph_data_type type;
    struct str data;
    struct metadata metadata;
};

/* Service to publisher (section 2.4). */
struct stream_nack {
    struct str stream_id;
    const char *name; /* InvalidSequenceId, TransientError */
    struct str message;
    uint64_t expected_sequence_id;
};

/* What a connection says about itself in a group (section 2.6). */
struct group_state_item {
    struct str connection_id;
    struct str user_id; /* absent: anonymous */
    bool has_state;     /* false: it was cleared */
    struct metadata state;
    int64_t updated_ms; /* Unix time */
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
    /* Can an answer of this data be told to the client as what it is? NULL: any can. */
    bool (*carries)(enum ph_data_type type, struct str data);
    /* Encoders return a frame with one reference for the caller, NULL when memory is
     * out. All but `message` are NULL in formats that have no such frame (raw). */
    struct frame *(*message)(const struct message *m);
    struct frame *(*ack)(uint64_t ack_id, const struct ack_error *error);
    struct frame *(*pong)(void);
    struct frame *(*connected)(const struct connected_info *info);
    struct frame *(*disconnected)(struct str reason);
    struct frame *(*invoke_response)(const struct invoke_response *response);
    struct frame *(*stream_ack)(struct str stream_id, uint64_t expected_sequence_id);
    struct frame *(*stream_nack)(const struct stream_nack *nack);
    /* `error` NULL: a normal end. */
    struct frame *(*stream_closed)(struct str stream_id, const struct ack_error *error);
    /* groupStateSnapshot or groupStateUpdate; sequenced in reliable formats. */
    struct frame *(*group_state)(bool snapshot, struct str group,
                                 const struct group_state_item *items, size_t count);
    /* For sequenced frames: what to write before and behind `bytes`. Sets lengths. What
     * is in front depends on the frame and on the length of what is behind alone. */
    void (*enclose)(const struct frame *f, uint64_t sequence_id, char head[FORMAT_MAX_HEAD],
                    size_t *head_len, char tail[FORMAT_MAX_TAIL], size_t *tail_len);
};

#endif
