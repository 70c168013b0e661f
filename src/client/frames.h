/* Frames of the JSON subprotocols as a client sees them (client-and-rest sections 2.1 and
 * 2.2): requests to text, and what the service says to data. No I/O. */
#ifndef CLIENT_FRAMES_H
#define CLIENT_FRAMES_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/diag.h"
#include "base/metadata.h"
#include "pubhook/event.h"

enum frame_kind {
    FRAME_JOIN_GROUP,
    FRAME_LEAVE_GROUP,
    FRAME_SEND_TO_GROUP,
    FRAME_EVENT,
    FRAME_PING,
    FRAME_SEQUENCE_ACK,
    FRAME_INVOKE,
    FRAME_CANCEL_INVOCATION,
    FRAME_STREAM_OPEN, /* a sendToGroup without data */
    FRAME_STREAM_DATA, /* without data: keep-alive */
    FRAME_STREAM_END
};

/* What a kind has no use for is ignored. Names are UTF-8. */
struct frame_request {
    enum frame_kind kind;
    struct str group, event;
    struct str invocation_id, stream_id;
    uint64_t ack_id; /* 0: none */
    uint64_t sequence_id;
    uint64_t stream_sequence_id;
    uint32_t ttl_seconds;     /* 0: none */
    uint32_t idle_timeout_ms; /* 0: none */
    bool no_echo;
    enum ph_data_type type;
    struct str data; /* absent: none. JSON is put in as it is */
    struct metadata metadata;
    bool failed; /* streamEnd: with an error */
    struct str error_message, error_code;
};

void frames__encode(struct buf *out, const struct frame_request *r);

enum answer_kind {
    ANSWER_UNKNOWN, /* of a type that is not known here: to be ignored */
    ANSWER_CONNECTED,
    ANSWER_DISCONNECTED,
    ANSWER_ACK,
    ANSWER_PONG,
    ANSWER_GROUP_MESSAGE,
    ANSWER_SERVER_MESSAGE,
    ANSWER_INVOKE_RESPONSE,
    ANSWER_STREAM_ACK,
    ANSWER_STREAM_NACK,
    ANSWER_STREAM_CLOSED
};

struct answer_error {
    struct str name, message, user_code; /* name.ptr is NULL when there is none */
};

/* Strings live in the arena or in the text, those of the arena with a NUL behind them: all
 * but data of JSON. */
struct answer {
    enum answer_kind kind;
    struct str connection_id, user_id, reconnection_token; /* connected */
    struct str reason;                                     /* disconnected */
    uint64_t ack_id;
    bool success; /* ack, invokeResponse */
    struct answer_error error;
    struct str group, from_user_id;
    uint64_t sequence_id; /* 0: none */
    bool has_data;
    enum ph_data_type type;
    struct str data; /* never NULL in a message */
    struct metadata metadata;
    struct str invocation_id;
    struct str stream_id; /* absent in a message that is no part of a stream */
    uint64_t stream_sequence_id, expected_sequence_id;
    bool end_of_stream;
};

/* PH_ERR_SYNTAX: it is not what the protocol says, `diag` tells why. PH_ERR_LIMIT: nested
 * too deeply, or too many members. PH_ERR_MEMORY. */
enum ph_err frames__decode(struct arena *a, struct str text, struct answer *out, struct diag *diag);

#endif
