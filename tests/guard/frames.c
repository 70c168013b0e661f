/* WebSocket frames and the client protocols. */
#include "broker/wire/formats.h"
#include "guard.h"
#include "ws/ws.h"

#include <stdlib.h>

#define DATA_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DATA_128 DATA_64 DATA_64

/* --- Decoding ------------------------------------------------------------------- */

struct decoding {
    const struct format *format;
    bool binary;
    struct str frame;
    struct arena arena;
    char first[16 << 10];
};

struct sample {
    const struct format *format;
    enum command_kind kind;
    struct str frame;
};

static void *prepare_decoding(const void *what)
{
    const struct sample *sample = what;
    struct decoding *d = guard__zalloc(sizeof(*d));
    struct command cmd = {0};

    d->format = sample->format;
    d->binary = !sample->format->accepts_text;
    d->frame = sample->frame;
    arena__init(&d->arena, d->first, sizeof(d->first), 1 << 20);
    MUST(d->format->decode(&d->arena, d->binary, d->frame, &cmd, NULL) == PH_OK);
    MUST(cmd.kind == sample->kind);
    return d;
}

static void decode(void *world)
{
    struct decoding *d = world;
    struct command cmd = {0};

    arena__reset(&d->arena);
    MUST(d->format->decode(&d->arena, d->binary, d->frame, &cmd, NULL) == PH_OK);
}

static void drop_decoding(void *world)
{
    arena__free(&((struct decoding *)world)->arena);
    free(world);
}

#define JSON_OBJECT_128                                                                            \
    "{\"from\":\"alice\",\"at\":1763640000000,\"tags\":[\"a\",\"b\\n\",true,null],"                \
    "\"text\":\"" DATA_64 "\"}"

#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static const struct sample
    json_send = {&format_json, COMMAND_SEND_TO_GROUP,
                 TEXT("{\"type\":\"sendToGroup\",\"group\":\"room-17\",\"ackId\":12345,"
                      "\"noEcho\":true,\"dataType\":\"text\",\"data\":\"" DATA_128 "\"}")},
    json_event = {&format_json, COMMAND_EVENT,
                  TEXT("{\"type\":\"event\",\"event\":\"order\",\"ackId\":12345,"
                       "\"dataType\":\"json\",\"data\":" JSON_OBJECT_128 "}")},
    json_ack = {&format_json_reliable, COMMAND_SEQUENCE_ACK,
                TEXT("{\"type\":\"sequenceAck\",\"sequenceId\":12345}")},
    /* Tags as in webpubsub.proto, each with its length. */
    protobuf_send = {&format_protobuf, COMMAND_SEND_TO_GROUP,
                     TEXT("\x0a\x94\x01\x0a\x07room-17\x10\xb9\x60\x1a\x83\x01\x0a\x80\x01" DATA_128
                          "\x20\x01")},
    protobuf_event = {&format_protobuf, COMMAND_EVENT,
                      TEXT("\x2a\x90\x01\x0a\x05order\x12\x83\x01\x0a\x80\x01" DATA_128
                           "\x18\xb9\x60")},
    protobuf_ack = {&format_protobuf_reliable, COMMAND_SEQUENCE_ACK, TEXT("\x42\x03\x08\xb9\x60")};

/* --- Encoding --------------------------------------------------------------------- */

static const struct format *const formats[] = {&format_json, &format_json_reliable,
                                               &format_protobuf, &format_protobuf_reliable};

static void *prepare_encoding(const void *what)
{
    struct message *m =
        message__new(&(struct message){.from = MESSAGE_FROM_GROUP,
                                       .type = PH_DATA_TEXT,
                                       .group = STR("room-17"),
                                       .from_user = STR("alice"),
                                       .data = STR(DATA_64 "\"quoted\"\n" DATA_64)});

    (void)what;
    MUST(m);
    return m;
}

static void encode(void *world)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
        struct frame *f = formats[i]->message(world);

        MUST(f);
        frame__unref(f);
    }
}

static void drop_encoding(void *world)
{
    message__unref(world);
}

/* --- Frames ----------------------------------------------------------------------- */

struct stream {
    struct ws ws;
    char *sent, *input; /* as it came, and what the decoder has unmasked */
    size_t len;
    size_t step; /* bytes of a read */
    size_t messages;
};

struct stream_of {
    size_t messages, size, step;
};

/* A text message as clients send it: masked. */
static char *put_message(char *at, size_t size)
{
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};

    *at++ = (char)0x81;
    if (size < 126) {
        *at++ = (char)(0x80 | size);
    } else if (size < 65536) {
        *at++ = (char)(0x80 | 126);
        *at++ = (char)(size >> 8);
        *at++ = (char)size;
    } else {
        *at++ = (char)(0x80 | 127);
        for (int shift = 56; shift >= 0; shift -= 8)
            *at++ = (char)((uint64_t)size >> shift);
    }
    memcpy(at, mask, 4);
    at += 4;
    for (size_t i = 0; i < size; i++)
        *at++ = (char)((unsigned char)('a' + i % 26) ^ mask[i % 4]);
    return at;
}

static void *prepare_stream(const void *what)
{
    const struct stream_of *of = what;
    struct stream *s = guard__zalloc(sizeof(*s));
    char *at;

    at = s->sent = guard__zalloc(of->messages * (of->size + 14));
    for (size_t i = 0; i < of->messages; i++)
        at = put_message(at, of->size);
    s->len = (size_t)(at - s->sent);
    s->input = guard__zalloc(s->len);
    s->step = of->step ? of->step : s->len;
    s->messages = of->messages;
    ws__init(&s->ws, 0, 0);
    return s;
}

static void cut_stream(void *world)
{
    struct stream *s = world;
    struct ws_event ev;
    size_t messages = 0;

    memcpy(s->input, s->sent, s->len);
    for (size_t done = 0; done < s->len; done += s->step) {
        char *at = s->input + done;
        char *end = s->len - done < s->step ? s->input + s->len : at + s->step;

        while (ws__next(&s->ws, &at, end, &ev) == WS_MESSAGE)
            messages++;
    }
    MUST(messages == s->messages);
}

static void drop_stream(void *world)
{
    struct stream *s = world;

    ws__free(&s->ws);
    free(s->sent);
    free(s->input);
    free(s);
}

static const struct stream_of small_messages = {64, 160, 0}, large_message = {1, 100000, 0},
                              in_reads = {1, 100000, 16384};

#define DECODE(name, sample)                                                                       \
    {                                                                                              \
        name, 200, &(sample), prepare_decoding, decode, drop_decoding                              \
    }
#define CUT(name, of)                                                                              \
    {                                                                                              \
        name, 10, &(of), prepare_stream, cut_stream, drop_stream                                   \
    }

const struct scenario guard_frames[] = {
    DECODE("json-decode-send-to-group", json_send),
    DECODE("json-decode-event", json_event),
    DECODE("json-decode-sequence-ack", json_ack),
    DECODE("protobuf-decode-send-to-group", protobuf_send),
    DECODE("protobuf-decode-event", protobuf_event),
    DECODE("protobuf-decode-sequence-ack", protobuf_ack),
    {"encode-message-in-four-formats", 200, NULL, prepare_encoding, encode, drop_encoding},
    CUT("ws-cut-64-small-frames", small_messages),
    CUT("ws-unmask-100000-bytes", large_message),
    CUT("ws-collect-100000-bytes", in_reads),
    {.name = NULL},
};
