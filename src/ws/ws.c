/* The decoder: frames from the peer (RFC 6455 section 5) to events. */
#include "ws/ws.h"

#include "base/buf.h"
#include "base/word.h"

#include <stdlib.h>

#define FIN 0x80
#define RSV 0x70
#define OPCODE 0x0F
#define CONTROL 0x08 /* bit of the opcode that control frames have */
#define MASK 0x80
#define LENGTH 0x7F
#define LENGTH_16 126
#define LENGTH_64 127

/* A frame or message of which a part is still to come. */
struct ws_partial {
    struct buf message;
    char control[WS_MAX_CONTROL]; /* may come between the fragments of the message */
};

/* What the peer can do wrong. The texts are sent to it as the reason of the close. */
enum rule {
    RULE_KEPT,
    RULE_RSV,
    RULE_OPCODE,
    RULE_MASK,
    RULE_NO_MASK,
    RULE_CONTROL_LENGTH,
    RULE_CONTROL_FINAL,
    RULE_CONTINUATION,
    RULE_NEW_MESSAGE,
    RULE_MINIMAL,
    RULE_TOP_BIT,
    RULE_MESSAGE_SIZE,
    RULE_FRAME_COUNT,
    RULE_UTF8,
    RULE_CLOSE_LENGTH,
    RULE_CLOSE_CODE,
    RULE_CLOSE_UTF8,
    RULE_MEMORY /* ours, not the peer's */
};

static const struct {
    uint16_t code;
    const char *text;
} rules[] = {
    [RULE_RSV] = {WS_CLOSE_PROTOCOL, "RSV bits must be 0, no extension was negotiated"},
    [RULE_OPCODE] = {WS_CLOSE_PROTOCOL, "reserved opcode"},
    [RULE_MASK] = {WS_CLOSE_PROTOCOL, "a client must mask its frames"},
    [RULE_NO_MASK] = {WS_CLOSE_PROTOCOL, "a server must not mask its frames"},
    [RULE_CONTROL_LENGTH] = {WS_CLOSE_PROTOCOL, "a control frame has at most 125 bytes"},
    [RULE_CONTROL_FINAL] = {WS_CLOSE_PROTOCOL, "a control frame must not be fragmented"},
    [RULE_CONTINUATION] = {WS_CLOSE_PROTOCOL, "continuation frame without a message to continue"},
    [RULE_NEW_MESSAGE] = {WS_CLOSE_PROTOCOL, "expected a continuation frame, got a new message"},
    [RULE_MINIMAL] = {WS_CLOSE_PROTOCOL, "payload length must use the fewest bytes"},
    [RULE_TOP_BIT] = {WS_CLOSE_PROTOCOL, "top bit of a 64-bit payload length must be 0"},
    [RULE_MESSAGE_SIZE] = {WS_CLOSE_TOO_BIG, "message is larger than is accepted here"},
    [RULE_FRAME_COUNT] = {WS_CLOSE_POLICY, "message has more frames than are accepted here"},
    [RULE_UTF8] = {WS_CLOSE_BAD_DATA, "text message is not UTF-8"},
    [RULE_CLOSE_LENGTH] = {WS_CLOSE_PROTOCOL, "close payload must be empty or start with a code"},
    [RULE_CLOSE_CODE] = {WS_CLOSE_PROTOCOL, "close code must not be sent in a frame"},
    [RULE_CLOSE_UTF8] = {WS_CLOSE_BAD_DATA, "close reason is not UTF-8"},
    [RULE_MEMORY] = {WS_CLOSE_INTERNAL, "out of memory"},
};

void ws__init(struct ws *ws, uint32_t max_message, uint32_t max_frames)
{
    *ws = (struct ws){
        .max_message = max_message ? max_message : WS_DEFAULT_MAX_MESSAGE,
        .max_frames = max_frames ? max_frames : WS_DEFAULT_MAX_FRAMES,
        .key_len = WS_MASK_KEY_LEN,
    };
}

void ws__init_client(struct ws *ws, uint32_t max_message, uint32_t max_frames)
{
    ws__init(ws, max_message, max_frames);
    ws->key_len = 0;
}

static void drop_partial(struct ws *ws)
{
    if (!ws->partial)
        return;
    buf__free(&ws->partial->message);
    free(ws->partial);
    ws->partial = NULL;
}

void ws__free(struct ws *ws)
{
    drop_partial(ws);
}

static struct ws_partial *need_partial(struct ws *ws)
{
    if (!ws->partial) {
        ws->partial = calloc(1, sizeof(*ws->partial));
        if (ws->partial)
            buf__init(&ws->partial->message, ws->max_message);
    }
    return ws->partial;
}

static bool is_control(const struct ws *ws)
{
    return ws->head[0] & CONTROL;
}

static bool is_final(const struct ws *ws)
{
    return ws->head[0] & FIN;
}

static enum ws_event_type emit(struct ws_event *out, enum ws_event_type type, struct str data)
{
    out->type = type;
    out->data = data;
    return type;
}

static enum ws_event_type fail(struct ws *ws, struct ws_event *out, enum rule rule)
{
    ws->done = true;
    out->code = rules[rule].code;
    return emit(out, WS_ERROR, str__of(rules[rule].text));
}

/* Length of the header that starts with the two bytes in `head`. */
static size_t header_len(const struct ws *ws)
{
    switch (ws->head[1] & LENGTH) {
    case LENGTH_16:
        return 2u + 2 + ws->key_len;
    case LENGTH_64:
        return 2u + 8 + ws->key_len;
    default:
        return 2u + ws->key_len;
    }
}

static const uint8_t *mask_key(const struct ws *ws)
{
    return ws->head + header_len(ws) - WS_MASK_KEY_LEN;
}

static uint64_t read_length(const struct ws *ws)
{
    size_t len = header_len(ws) - 2 - ws->key_len;
    uint64_t value = 0;

    if (len == 0)
        return ws->head[1] & LENGTH;
    for (size_t i = 0; i < len; i++)
        value = value << 8 | ws->head[2 + i];
    return value;
}

/* The first two bytes alone (sections 5.1, 5.2 and 5.5). */
static enum rule check_control(const struct ws *ws)
{
    if ((ws->head[0] & OPCODE) > WS_OP_PONG)
        return RULE_OPCODE;
    if (!is_final(ws))
        return RULE_CONTROL_FINAL;
    return (ws->head[1] & LENGTH) > WS_MAX_CONTROL ? RULE_CONTROL_LENGTH : RULE_KEPT;
}

/* Section 5.4: fragments of one message are not interleaved with another. */
static enum rule check_data(const struct ws *ws)
{
    uint8_t opcode = ws->head[0] & OPCODE;
    bool open = ws->message_opcode != WS_OP_CONTINUATION;

    if (opcode > WS_OP_BINARY)
        return RULE_OPCODE;
    if (opcode == WS_OP_CONTINUATION)
        return open ? RULE_KEPT : RULE_CONTINUATION;
    return open ? RULE_NEW_MESSAGE : RULE_KEPT;
}

/* Section 5.1: clients mask, servers do not. */
static enum rule check_start(const struct ws *ws)
{
    if (ws->head[0] & RSV)
        return RULE_RSV;
    if (!(ws->head[1] & MASK) != !ws->key_len)
        return ws->key_len ? RULE_MASK : RULE_NO_MASK;
    return is_control(ws) ? check_control(ws) : check_data(ws);
}

/* Section 5.2: "the minimal number of bytes MUST be used", "the most significant
 * bit MUST be 0". Limits are judged here, before any payload is read or stored. */
static enum rule check_length(const struct ws *ws, uint64_t len)
{
    uint8_t form = ws->head[1] & LENGTH;

    if (form == LENGTH_64 && len >> 63)
        return RULE_TOP_BIT;
    if ((form == LENGTH_16 && len < LENGTH_16) || (form == LENGTH_64 && len <= UINT16_MAX))
        return RULE_MINIMAL;
    if (is_control(ws))
        return RULE_KEPT;
    if (len > ws->max_message - ws->message_len)
        return RULE_MESSAGE_SIZE;
    return ws->frames == ws->max_frames ? RULE_FRAME_COUNT : RULE_KEPT;
}

/* Takes bytes until `head` holds `want`. */
static bool fill_head(struct ws *ws, size_t want, char **at, char *end)
{
    size_t take = want - ws->head_len;

    if (take > (size_t)(end - *at))
        take = (size_t)(end - *at);
    memcpy(ws->head + ws->head_len, *at, take);
    ws->head_len += (uint8_t)take;
    *at += take;
    return ws->head_len == want;
}

static void open_frame(struct ws *ws, uint32_t len)
{
    uint8_t opcode = ws->head[0] & OPCODE;

    ws->in_payload = true;
    ws->payload_len = len;
    ws->payload_done = 0;
    if (is_control(ws))
        return;
    if (opcode != WS_OP_CONTINUATION) {
        ws->message_opcode = opcode;
        ws->utf8 = UTF8_START;
    }
    ws->frames++;
    ws->message_len += len;
}

static enum ws_event_type read_header(struct ws *ws, char **at, char *end, struct ws_event *out)
{
    enum rule rule;

    if (ws->head_len < 2) {
        if (!fill_head(ws, 2, at, end))
            return WS_NEED_MORE;
        rule = check_start(ws);
        if (rule != RULE_KEPT)
            return fail(ws, out, rule);
    }
    if (!fill_head(ws, header_len(ws), at, end))
        return WS_NEED_MORE;
    rule = check_length(ws, read_length(ws));
    if (rule != RULE_KEPT)
        return fail(ws, out, rule);
    open_frame(ws, (uint32_t)read_length(ws));
    return WS_NEED_MORE;
}

typedef uint64_t words __attribute__((vector_size(16)));

static void mask_words(char *data, words wide)
{
    words at;

    memcpy(&at, data, sizeof(at));
    at ^= wide;
    memcpy(data, &at, sizeof(at));
}

static void mask_word(char *data, uint64_t wide)
{
    const uint64_t word = word__at(data) ^ wide;

    memcpy(data, &word, sizeof(word));
}

/* Section 5.3, sixteen bytes at a time. */
void ws__mask(char *data, size_t len, const uint8_t key[WS_MASK_KEY_LEN], size_t offset)
{
    uint8_t keys[3 * WS_MASK_KEY_LEN];
    const uint8_t *turned = keys + offset % WS_MASK_KEY_LEN;
    uint64_t wide;

    for (size_t i = 0; i < sizeof(keys); i += WS_MASK_KEY_LEN)
        memcpy(keys + i, key, WS_MASK_KEY_LEN);
    wide = word__at(turned);
    for (; len >= sizeof(words); data += sizeof(words), len -= sizeof(words))
        mask_words(data, (words){wide, wide});
    if (len >= sizeof(wide)) {
        mask_word(data, wide);
        data += sizeof(wide);
        len -= sizeof(wide);
    }
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(data[i] ^ turned[i]);
}

static void close_frame(struct ws *ws)
{
    ws->in_payload = false;
    ws->head_len = 0;
}

/* Section 5.5.1: empty, or a code of two bytes and a reason in UTF-8. */
static enum ws_event_type read_close(struct ws *ws, struct str payload, struct ws_event *out)
{
    const uint8_t *p = (const uint8_t *)payload.ptr;
    struct str reason;

    ws->done = true;
    out->code = WS_CLOSE_NONE;
    if (payload.len == 0)
        return emit(out, WS_CLOSE, STR(""));
    if (payload.len == 1)
        return fail(ws, out, RULE_CLOSE_LENGTH);
    out->code = (uint16_t)(p[0] << 8 | p[1]);
    reason = str__n(payload.ptr + 2, payload.len - 2);
    if (!ws__valid_close_code(out->code))
        return fail(ws, out, RULE_CLOSE_CODE);
    if (!utf8__valid(reason))
        return fail(ws, out, RULE_CLOSE_UTF8);
    return emit(out, WS_CLOSE, reason);
}

/* `data` are the next `len` bytes of the payload, unmasked. */
static enum ws_event_type read_control(struct ws *ws, const char *data, size_t len,
                                       struct ws_event *out)
{
    struct str payload = str__n(data, len);

    if (len < ws->payload_len) {
        if (!need_partial(ws))
            return fail(ws, out, RULE_MEMORY);
        memcpy(ws->partial->control + ws->payload_done - len, data, len);
        if (ws->payload_done < ws->payload_len)
            return WS_NEED_MORE;
        payload = str__n(ws->partial->control, ws->payload_len);
    }
    close_frame(ws);
    switch (ws->head[0] & OPCODE) {
    case WS_OP_CLOSE:
        return read_close(ws, payload, out);
    case WS_OP_PING:
        return emit(out, WS_PING, payload);
    default:
        return emit(out, WS_PONG, payload);
    }
}

static enum ws_event_type finish_message(struct ws *ws, struct str message, struct ws_event *out)
{
    out->binary = ws->message_opcode == WS_OP_BINARY;
    if (!out->binary && !utf8__complete(&ws->utf8))
        return fail(ws, out, RULE_UTF8);
    ws->message_opcode = WS_OP_CONTINUATION;
    ws->message_len = 0;
    ws->frames = 0;
    return emit(out, WS_MESSAGE, message);
}

/* Section 8.1: text is judged as it arrives, so that bad bytes end the connection
 * before the rest of a large message is sent. */
static enum ws_event_type read_data(struct ws *ws, const char *data, size_t len,
                                    struct ws_event *out)
{
    bool frame_whole = len == ws->payload_len;
    bool frame_done = ws->payload_done == ws->payload_len;
    struct buf *message;

    if (frame_done)
        close_frame(ws);
    if (ws->message_opcode == WS_OP_TEXT && !utf8__feed(&ws->utf8, data, len))
        return fail(ws, out, RULE_UTF8);
    if (frame_whole && is_final(ws) && ws->frames == 1)
        return finish_message(ws, str__n(data, len), out);
    if (!need_partial(ws))
        return fail(ws, out, RULE_MEMORY);
    message = &ws->partial->message;
    buf__append(message, data, len);
    if (message->failed)
        return fail(ws, out, RULE_MEMORY);
    if (!frame_done || !is_final(ws))
        return WS_NEED_MORE;
    return finish_message(ws, buf__view(message), out);
}

static enum ws_event_type read_payload(struct ws *ws, char **at, char *end, struct ws_event *out)
{
    size_t len = ws->payload_len - ws->payload_done;
    char *data = *at;

    if (len > (size_t)(end - data))
        len = (size_t)(end - data);
    if (len == 0 && ws->payload_len > 0)
        return WS_NEED_MORE;
    if (ws->key_len)
        ws__mask(data, len, mask_key(ws), ws->payload_done);
    *at += len;
    ws->payload_done += (uint32_t)len;
    return is_control(ws) ? read_control(ws, data, len, out) : read_data(ws, data, len, out);
}

enum ws_event_type ws__next(struct ws *ws, char **at, char *end, struct ws_event *out)
{
    bool idle = ws->message_opcode == WS_OP_CONTINUATION && !ws->in_payload;

    *out = (struct ws_event){.type = WS_NEED_MORE};
    if (idle || ws->done)
        drop_partial(ws); /* the caller has seen what was in it */
    while (!ws->done && *at < end) {
        if (!ws->in_payload && read_header(ws, at, end, out) != WS_NEED_MORE)
            return out->type;
        if (ws->in_payload && read_payload(ws, at, end, out) != WS_NEED_MORE)
            return out->type;
    }
    if (ws->done)
        *at = end;
    return WS_NEED_MORE;
}
