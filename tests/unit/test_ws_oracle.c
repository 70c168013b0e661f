/* Our WebSocket decoder against wslay's, on random frames, well-formed and damaged.
 *
 * Each round gives the same bytes to both: to wslay whole, to ours in random pieces.
 * Both write down what they saw, an event a line, and the lines must be equal. The
 * seed is printed; PUBHOOK_TEST_SEED=N runs it again.
 *
 * Where the two differ on purpose stands at `differences`, and where wslay errs or
 * speaks differently at the functions that listen to it. */
#include "base/random.h"
#include "unit.h"
#include "ws/ws.h"
#include "ws_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <wslay/wslay.h>

#define ROUNDS 10000
#define MAX_MESSAGE 512
#define MAX_BYTES (64 * 1024)
/* wslay reads this much at a time, and skips the first two bytes of each piece of a
 * close frame when it looks for bad UTF-8: keep the input within one piece. */
#define MAX_PIECE 4096

/* Randomness that can be replayed (splitmix64) -------------------------------------- */

static uint64_t random_state;

static uint64_t next_random(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static size_t below(size_t n)
{
    return next_random() % n;
}

/* Making input ---------------------------------------------------------------------- */

static void random_text(struct buf *out)
{
    static const char *const pieces[] = {
        "a", "Z", " ", "\xc3\xbf", "\xe2\x82\xac", "\xf0\x9d\x84\x9e"};

    for (size_t n = below(40); n > 0; n--)
        buf__str(out, str__of(pieces[below(6)]));
}

static void random_binary(struct buf *out)
{
    for (size_t n = below(below(8) ? 140 : MAX_MESSAGE + 2); n > 0; n--)
        buf__byte(out, (char)next_random());
}

static void add_frame(struct buf *out, uint8_t first, struct str payload)
{
    uint64_t r = next_random();
    char key[4];

    memcpy(key, &r, sizeof(key));
    ws_client__frame(out, first, payload, key);
}

static void add_control(struct buf *out)
{
    char payload[WS_MAX_CONTROL + 1];
    size_t len = below(8) ? below(10) : below(sizeof(payload) + 1);

    memset(payload, 'c', sizeof(payload));
    add_frame(out, (uint8_t)(0x80 | (below(2) ? WS_OP_PING : WS_OP_PONG)), str__n(payload, len));
}

/* A message in up to four fragments, control frames between some of them. */
static void add_message(struct buf *out)
{
    bool text = below(2);
    uint8_t opcode = text ? WS_OP_TEXT : WS_OP_BINARY;
    struct buf payload;
    struct str rest;

    buf__init(&payload, MAX_BYTES);
    text ? random_text(&payload) : random_binary(&payload);
    rest = buf__view(&payload);
    for (size_t left = below(3) ? 0 : below(4); left > 0; left--) {
        size_t len = below(rest.len + 1);

        add_frame(out, opcode, str__n(rest.ptr, len));
        rest = str__n(rest.ptr + len, rest.len - len);
        opcode = WS_OP_CONTINUATION;
        if (below(3) == 0)
            add_control(out);
    }
    add_frame(out, 0x80 | opcode, rest);
    buf__free(&payload);
}

static void add_close(struct buf *out)
{
    static const uint16_t codes[] = {1000, 1001, 1004, 1005, 1006, 1008, 1011, 1012,
                                     1014, 1015, 2999, 3000, 4999, 5000, 0,    999};
    uint16_t code = below(4) ? codes[below(16)] : (uint16_t)next_random();
    char payload[] = {(char)(code >> 8), (char)code, 'o', 'k', (char)0xc3, (char)0xbf};
    size_t lengths[] = {0, 1, 2, 3, 4, 5, 6};

    add_frame(out, 0x80 | WS_OP_CLOSE, str__n(payload, lengths[below(7)]));
}

static void damage(struct buf *b)
{
    size_t at = below(b->len);

    switch (below(4)) {
    case 0:
        b->data[at] = (char)next_random();
        break;
    case 1:
        memmove(b->data + at, b->data + at + 1, b->len - at - 1);
        b->len--;
        break;
    default:
        b->data[at] = (char)(b->data[at] ^ 1 << below(8));
        break;
    }
}

static void make_input(struct buf *b)
{
    static const char zeros[14 + WS_MAX_CONTROL];

    for (size_t n = 1 + below(5); n > 0; n--)
        below(4) ? add_message(b) : add_control(b);
    if (below(3) == 0)
        add_close(b);
    for (size_t n = below(2) ? 0 : 1 + below(3); n > 0 && b->len > 0; n--)
        damage(b);
    /* Which of two decoders refuses an unfinished header or control frame earlier is no
     * difference: finish it. */
    buf__append(b, zeros, sizeof(zeros));
    assert_false(b->failed);
}

/* Writing down what is seen --------------------------------------------------------- */

static void note(struct buf *out, const char *type, unsigned code, struct str data)
{
    buf__printf(out, "%s %u ", type, code);
    for (size_t i = 0; i < data.len; i++)
        buf__printf(out, "%02x", (unsigned char)data.ptr[i]);
    buf__byte(out, '\n');
}

static void note_ours(struct buf *out, const struct ws_event *ev)
{
    static const char *const names[] = {
        [WS_MESSAGE] = "text", [WS_PING] = "ping",   [WS_PONG] = "pong",
        [WS_CLOSE] = "close",  [WS_ERROR] = "error",
    };

    note(out, ev->binary ? "binary" : names[ev->type], ev->code,
         ev->type == WS_ERROR ? STR("") : ev->data);
}

/* Returns the opcode of the last frame. */
static uint8_t run_ours(struct str input, struct buf *out)
{
    struct ws_event ev;
    struct ws ws;

    ws__init(&ws, MAX_MESSAGE, 0);
    while (input.len > 0) {
        size_t len = 1 + below(below(2) ? input.len : 8);
        char *copy, *at;

        len = len < input.len ? len : input.len;
        at = copy = malloc(len);
        assert_non_null(copy);
        memcpy(copy, input.ptr, len);
        while (ws__next(&ws, &at, copy + len, &ev) != WS_NEED_MORE)
            note_ours(out, &ev);
        free(copy);
        input = str__n(input.ptr + len, input.len - len);
    }
    ws__free(&ws);
    return ws.head[0] & 0x0F;
}

struct oracle {
    struct str input;
    struct buf *out;
};

static ssize_t oracle_recv(wslay_event_context_ptr ctx, uint8_t *data, size_t len, int flags,
                           void *arg)
{
    struct oracle *o = arg;

    (void)flags;
    if (o->input.len == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    len = len < o->input.len ? len : o->input.len;
    memcpy(data, o->input.ptr, len);
    o->input = str__n(o->input.ptr + len, o->input.len - len);
    return (ssize_t)len;
}

static ssize_t oracle_send(wslay_event_context_ptr ctx, const uint8_t *data, size_t len, int flags,
                           void *arg)
{
    (void)ctx;
    (void)data;
    (void)flags;
    (void)arg;
    return (ssize_t)len;
}

static void oracle_message(wslay_event_context_ptr ctx,
                           const struct wslay_event_on_msg_recv_arg *ev, void *arg)
{
    static const char *const names[16] = {
        [WS_OP_TEXT] = "text", [WS_OP_BINARY] = "binary", [WS_OP_CLOSE] = "close",
        [WS_OP_PING] = "ping", [WS_OP_PONG] = "pong",
    };
    struct oracle *o = arg;
    struct str data = str__n(ev->msg, ev->msg_length);
    unsigned code = 0;

    (void)ctx;
    if (ev->opcode == WS_OP_CLOSE) {
        if (data.len == 1) { /* wslay takes it for an empty one (RFC 6455 section 5.5.1) */
            note(o->out, "error", WS_CLOSE_PROTOCOL, STR(""));
            return;
        }
        code = ev->status_code ? ev->status_code : WS_CLOSE_NONE;
        if (data.len >= 2) /* wslay leaves the code in the message */
            data = str__n(data.ptr + 2, data.len - 2);
    }
    note(o->out, names[ev->opcode], code, data);
}

/* wslay refuses a malformed header without naming a code. */
static void note_refusal(struct buf *out, unsigned code)
{
    note(out, "error", code == WS_CLOSE_NONE ? WS_CLOSE_PROTOCOL : code, STR(""));
}

static void run_oracle(struct str input, struct buf *out)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = oracle_recv,
        .send_callback = oracle_send,
        .on_msg_recv_callback = oracle_message,
    };
    struct oracle o = {input, out};
    wslay_event_context_ptr ctx;

    assert_int_equal(wslay_event_context_server_init(&ctx, &callbacks, &o), 0);
    wslay_event_config_set_max_recv_msg_length(ctx, MAX_MESSAGE);
    while (o.input.len > 0 && wslay_event_get_read_enabled(ctx) && wslay_event_recv(ctx) == 0)
        ;
    wslay_event_send(ctx);
    if (!wslay_event_get_close_received(ctx) && wslay_event_get_close_sent(ctx))
        note_refusal(out, wslay_event_get_status_code_sent(ctx));
    wslay_event_context_free(ctx);
}

/* The last lines of both, where they may differ: only for a close frame, and only so. */
static const struct {
    const char *ours, *theirs;
} differences[] = {
    /* With a bad code and a bad reason either may be named; wslay sees the reason first. */
    {"error 1002 \n", "error 1007 \n"},
    /* Registered with IANA after RFC 6455; wslay does not know them. */
    {"close 1012 ", "error 1002 \n"},
    {"close 1013 ", "error 1002 \n"},
    {"close 1014 ", "error 1002 \n"},
};

/* Takes the last line off. */
static struct str cut_last_line(struct str *lines)
{
    size_t at = lines->len > 0 ? lines->len - 1 : 0;
    struct str last;

    while (at > 0 && lines->ptr[at - 1] != '\n')
        at--;
    last = str__n(lines->ptr + at, lines->len - at);
    lines->len = at;
    return last;
}

static bool deliberate(struct str ours, struct str theirs)
{
    struct str our_last = cut_last_line(&ours), their_last = cut_last_line(&theirs);

    for (size_t i = 0; i < sizeof(differences) / sizeof(differences[0]); i++) {
        if (str__starts_with(our_last, str__of(differences[i].ours)) &&
            str__eq(their_last, str__of(differences[i].theirs)))
            return str__eq(ours, theirs);
    }
    return false;
}

static void print_hex(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        fprintf(stderr, "%02x", (unsigned char)s.ptr[i]);
    fprintf(stderr, "\n");
}

static void one_round(size_t round)
{
    struct buf input, ours, theirs;
    bool closing;

    buf__init(&input, MAX_BYTES);
    buf__init(&ours, MAX_BYTES);
    buf__init(&theirs, MAX_BYTES);
    do {
        buf__reset(&input);
        make_input(&input);
    } while (input.len > MAX_PIECE);
    run_oracle(buf__view(&input), &theirs);
    closing = run_ours(buf__view(&input), &ours) == WS_OP_CLOSE;
    if (!str__eq(buf__view(&ours), buf__view(&theirs)) &&
        !(closing && deliberate(buf__view(&ours), buf__view(&theirs)))) {
        print_hex(buf__view(&input));
        fail_msg("round %zu: ours\n%.*swslay\n%.*s", round, STR_FMT(buf__view(&ours)),
                 STR_FMT(buf__view(&theirs)));
    }
    buf__free(&input);
    buf__free(&ours);
    buf__free(&theirs);
}

static void same_events_as_wslay(void **state)
{
    const char *seed = getenv("PUBHOOK_TEST_SEED");

    (void)state;
    assert_true(random__bytes(&random_state, sizeof(random_state)));
    if (seed)
        random_state = strtoull(seed, NULL, 10);
    print_message("PUBHOOK_TEST_SEED=%" PRIu64 "\n", random_state);
    for (size_t round = 0; round < ROUNDS; round++)
        one_round(round);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_events_as_wslay)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
