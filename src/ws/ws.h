/* WebSocket frames (RFC 6455): bytes to events and back, no I/O. The broker is a server,
 * the client library a client; they differ in who masks.
 *
 * The decoder sits in every idle connection, so it is small; memory for a message
 * or control frame that is not complete yet exists only until it is. A whole
 * unfragmented message is handed out where it lies in the input. Extensions are
 * never negotiated.
 *
 *     char *at = input;
 *     while (ws__next(&ws, &at, input + len, &ev) != WS_NEED_MORE)
 *         handle(&ev);
 */
#ifndef WS_WS_H
#define WS_WS_H

#include "base/str.h"
#include "base/utf8.h"

/* client-and-rest section 6: one message has at most 1 MiB, else 1009. */
#define WS_DEFAULT_MAX_MESSAGE (1u << 20)
/* Frames of one message. A client that needs more sends fragments so small that
 * their headers cost more than the data: closed with 1008, since 1009 speaks of size. */
#define WS_DEFAULT_MAX_FRAMES 4096u

#define WS_MAX_HEADER 10   /* of a frame that we send */
#define WS_MAX_CONTROL 125 /* payload of close, ping and pong (section 5.5) */
#define WS_MAX_CONTROL_FRAME (2 + WS_MAX_CONTROL) /* the same with its header */
#define WS_MASK_KEY_LEN 4
#define WS_MAX_MASKED_HEADER (WS_MAX_HEADER + WS_MASK_KEY_LEN)
#define WS_KEY_LEN 24 /* Sec-WebSocket-Key: base64 of WS_NONCE_LEN bytes */
#define WS_NONCE_LEN 16
#define WS_ACCEPT_LEN 28

enum ws_opcode {
    WS_OP_CONTINUATION = 0x0,
    WS_OP_TEXT = 0x1,
    WS_OP_BINARY = 0x2,
    WS_OP_CLOSE = 0x8,
    WS_OP_PING = 0x9,
    WS_OP_PONG = 0xA
};

/* Section 7.4.1, those that we send or look at. */
enum ws_close_code {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL = 1002,
    WS_CLOSE_UNSUPPORTED = 1003,
    WS_CLOSE_NONE = 1005,     /* "no code in the frame"; never on the wire */
    WS_CLOSE_ABNORMAL = 1006, /* "no close frame at all"; never on the wire */
    WS_CLOSE_BAD_DATA = 1007,
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_BIG = 1009,
    WS_CLOSE_INTERNAL = 1011
};

enum ws_event_type {
    WS_NEED_MORE, /* the input is used up */
    WS_MESSAGE,   /* a whole text or binary message */
    WS_PING,      /* answer with ws__control_frame(WS_OP_PONG, data) */
    WS_PONG,
    WS_CLOSE, /* the peer closes: answer with its code, unless we closed first */
    WS_ERROR  /* the peer broke a rule: close with `code` and `data` */
};

struct ws_event {
    enum ws_event_type type;
    bool binary;     /* WS_MESSAGE: not text. Text is valid UTF-8. */
    uint16_t code;   /* WS_CLOSE: the peer's code or WS_CLOSE_NONE. WS_ERROR: the code to send */
    struct str data; /* message; payload of ping and pong; reason of a close or an error */
};

struct ws_partial;

/* Decoder. Fields are private. */
struct ws {
    struct ws_partial *partial; /* what is collected; NULL most of the time */
    uint32_t max_message;
    uint32_t max_frames;
    uint32_t frames;       /* of the message that is open */
    uint32_t message_len;  /* its bytes announced so far */
    uint32_t payload_len;  /* of the frame being read */
    uint32_t payload_done; /* its bytes seen */
    uint8_t head[14];      /* header of the frame being read, as far as it came */
    uint8_t head_len;
    uint8_t message_opcode; /* of the message that is open, WS_OP_CONTINUATION for none */
    struct utf8 utf8;       /* of the text message that is open */
    uint8_t key_len;        /* of the masking key in what comes; 0: a server's frames */
    bool in_payload;
    bool done; /* after a close or an error nothing is processed */
};

/* For frames from a client. A limit of 0 takes the default. Allocates nothing. */
void ws__init(struct ws *ws, uint32_t max_message, uint32_t max_frames);
/* The same for frames from a server. */
void ws__init_client(struct ws *ws, uint32_t max_message, uint32_t max_frames);
void ws__free(struct ws *ws);

/* Reads from *at up to `end` until one event is complete and moves *at behind it.
 * The input is unmasked in place. `out->data` points into the input or into the
 * decoder and is valid until the next call, or until the input is overwritten.
 * After WS_CLOSE and WS_ERROR all later input is dropped. Returns out->type. */
enum ws_event_type ws__next(struct ws *ws, char **at, char *end, struct ws_event *out);

/* Header of an unmasked, final frame. Returns its length. */
size_t ws__header(char out[WS_MAX_HEADER], enum ws_opcode opcode, uint64_t len);
/* The same for a client, who then masks the payload with ws__mask. `key` is random and
 * new for each frame (section 5.3). */
size_t ws__masked_header(char out[WS_MAX_MASKED_HEADER], enum ws_opcode opcode, uint64_t len,
                         const uint8_t key[WS_MASK_KEY_LEN]);
/* Masks or unmasks in place. `offset` is the place of `data` in the payload. */
void ws__mask(char *data, size_t len, const uint8_t key[WS_MASK_KEY_LEN], size_t offset);
/* The payload of a close frame; empty when `code` may not be sent. Returns its length. */
size_t ws__close_payload(char out[WS_MAX_CONTROL], uint16_t code, struct str reason);
/* A whole ping or pong; `payload` is cut at WS_MAX_CONTROL. Returns the frame's length. */
size_t ws__control_frame(char out[WS_MAX_CONTROL_FRAME], enum ws_opcode opcode, struct str payload);
/* A whole close frame; no payload when `code` may not be sent (WS_CLOSE_NONE). A long
 * `reason` (UTF-8) is cut between two characters. Returns the frame's length. */
size_t ws__close_frame(char out[WS_MAX_CONTROL_FRAME], uint16_t code, struct str reason);
/* True for a code that may stand in a close frame (sections 7.4.1 and 7.4.2). */
bool ws__valid_close_code(uint16_t code);

/* Sec-WebSocket-Key: base64 of 16 bytes (section 4.2.1). */
bool ws__valid_key(struct str key);
/* Sec-WebSocket-Accept for a valid key, with a NUL (section 4.2.2). False only when
 * OpenSSL fails. */
bool ws__accept_key(struct str key, char out[WS_ACCEPT_LEN + 1]);

#endif
