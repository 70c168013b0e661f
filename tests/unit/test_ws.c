/* The WebSocket codec. The rules of RFC 6455 are in tests/vectors/ws, a file for each
 * section, a case for each clause:
 *
 *     case SECTION WHAT
 *     limit N, frames N            settings, before the input
 *     raw BYTES                    input as it is
 *     frame FIRST-BYTE BYTES       a masked frame of the shortest form
 *     want TYPE [CODE] BYTES       an event; none may be missing or more
 *
 * BYTES are hex digits, "text", and `fill N` for N times the letter a. Every case runs
 * with its input whole, split in two at every place, and byte by byte, and must give
 * the same events. */
#include "base/arena.h"
#include "unit.h"
#include "ws/ws.h"
#include "ws_client.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_FILE (64 * 1024)
#define MAX_BYTES (512 * 1024)

static const char *const type_names[] = {
    [WS_MESSAGE] = "binary", [WS_PING] = "ping",   [WS_PONG] = "pong",
    [WS_CLOSE] = "close",    [WS_ERROR] = "error",
};

/* Running input and writing down what came out ------------------------------------ */

static void write_hex(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        buf__printf(out, "%02x", (unsigned char)s.ptr[i]);
    buf__byte(out, '\n');
}

/* The text of an error is for people; its code is the contract. */
static void write_event(struct buf *out, const struct ws_event *ev)
{
    bool has_code = ev->type == WS_CLOSE || ev->type == WS_ERROR;

    buf__printf(out, "%s ", ev->type == WS_MESSAGE && !ev->binary ? "text" : type_names[ev->type]);
    if (has_code)
        buf__printf(out, "%u ", ev->code);
    write_hex(out, ev->type == WS_ERROR ? STR("") : ev->data);
}

/* Each piece is a block of its own, so that the address sanitizer sees any step outside. */
static void feed(struct ws *ws, struct str piece, struct buf *events)
{
    char *copy = malloc(piece.len + 1), *at = copy;
    struct ws_event ev;

    assert_non_null(copy);
    memcpy(copy, piece.ptr, piece.len);
    copy[piece.len] = '#';
    while (ws__next(ws, &at, copy + piece.len, &ev) != WS_NEED_MORE)
        write_event(events, &ev);
    assert_ptr_equal(at, copy + piece.len);
    assert_int_equal(copy[piece.len], '#');
    free(copy);
}

struct vector {
    char name[128];
    uint32_t limit, frames;
    struct buf input;
    struct buf want;
};

static void check(const struct vector *v, const char *how, size_t first, size_t step)
{
    struct str input = buf__view(&v->input);
    struct buf events;
    struct ws ws;
    size_t at = first < input.len ? first : input.len;

    buf__init(&events, MAX_BYTES);
    ws__init(&ws, v->limit, v->frames);
    feed(&ws, str__n(input.ptr, at), &events);
    for (; at < input.len; at += step) {
        size_t len = input.len - at < step ? input.len - at : step;

        feed(&ws, str__n(input.ptr + at, len), &events);
    }
    if (!str__eq(buf__view(&events), buf__view(&v->want)))
        fail_msg("%s, %s %zu: got\n%.*sexpected\n%.*s", v->name, how, first,
                 STR_FMT(buf__view(&events)), STR_FMT(buf__view(&v->want)));
    ws__free(&ws);
    buf__free(&events);
}

static void run_vector(const struct vector *v)
{
    size_t len = v->input.len;

    check(v, "whole", len, 1);
    for (size_t at = 1; at < len; at++)
        check(v, "split at", at, len);
    check(v, "byte by byte", 1, 1);
}

/* Reading the files ---------------------------------------------------------------- */

static void read_token(struct buf *out, struct str *rest, struct str token)
{
    struct str digits;
    uint64_t count = 0;
    char byte[3] = "";

    if (str__eq(token, STR("fill"))) {
        assert_true(str__split(rest, ' ', &digits) && str__to_u64(digits, &count));
        while (count-- > 0)
            buf__byte(out, 'a');
        return;
    }
    assert_int_equal(token.len % 2, 0);
    for (size_t i = 0; i < token.len; i += 2) {
        char *end;

        memcpy(byte, token.ptr + i, 2);
        buf__byte(out, (char)strtoul(byte, &end, 16));
        assert_ptr_equal(end, byte + 2);
    }
}

static void read_bytes(struct buf *out, struct str rest)
{
    struct str token;

    while (rest.len > 0) {
        if (rest.ptr[0] == '"') {
            rest = str__n(rest.ptr + 1, rest.len - 1);
            assert_true(str__split(&rest, '"', &token));
            buf__str(out, token);
            rest = str__trim(rest);
        } else if (str__split(&rest, ' ', &token)) {
            read_token(out, &rest, token);
        }
    }
}

static void read_frame(struct vector *v, struct str rest)
{
    static const char key[4] = {0x37, (char)0xfa, 0x21, 0x3d};
    struct buf first, payload;
    struct str token;

    buf__init(&first, 1);
    buf__init(&payload, MAX_FILE);
    str__split(&rest, ' ', &token);
    read_bytes(&first, token);
    read_bytes(&payload, rest);
    ws_client__frame(&v->input, (uint8_t)first.data[0], buf__view(&payload), key);
    buf__free(&first);
    buf__free(&payload);
}

static void read_want(struct vector *v, struct str rest)
{
    struct buf data;
    struct str token;

    str__split(&rest, ' ', &token);
    buf__printf(&v->want, "%.*s ", STR_FMT(token));
    if (str__eq(token, STR("close")) || str__eq(token, STR("error"))) {
        str__split(&rest, ' ', &token);
        buf__printf(&v->want, "%.*s ", STR_FMT(token));
    }
    buf__init(&data, MAX_FILE);
    read_bytes(&data, rest);
    write_hex(&v->want, buf__view(&data));
    buf__free(&data);
}

static void read_number(uint32_t *out, struct str s)
{
    uint64_t value;

    assert_true(str__to_u64(s, &value));
    *out = (uint32_t)value;
}

static void start_vector(struct vector *v, struct str name)
{
    snprintf(v->name, sizeof(v->name), "%.*s", STR_FMT(name));
    v->limit = v->frames = 0;
    buf__reset(&v->input);
    buf__reset(&v->want);
}

static void read_line(struct vector *v, struct str line)
{
    struct str word, rest = line;

    str__split(&rest, ' ', &word);
    if (str__eq(word, STR("limit")))
        read_number(&v->limit, rest);
    else if (str__eq(word, STR("frames")))
        read_number(&v->frames, rest);
    else if (str__eq(word, STR("raw")))
        read_bytes(&v->input, rest);
    else if (str__eq(word, STR("frame")))
        read_frame(v, rest);
    else if (str__eq(word, STR("want")))
        read_want(v, rest);
    else
        fail_msg("%s: cannot read \"%.*s\"", v->name, STR_FMT(line));
}

static void run_text(struct str text, struct vector *v)
{
    struct str line;

    while (str__split(&text, '\n', &line)) {
        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        if (!str__starts_with(line, STR("case "))) {
            read_line(v, line);
            continue;
        }
        if (v->name[0])
            run_vector(v);
        start_vector(v, str__n(line.ptr + 5, line.len - 5));
    }
    assert_true(v->name[0]);
    run_vector(v);
}

static void run_file(const char *name)
{
    struct vector v = {.name = ""};
    struct buf text;
    char path[1024];
    FILE *f;

    snprintf(path, sizeof(path), VECTORS_DIR "/ws/%s", name);
    f = fopen(path, "r");
    assert_non_null(f);
    buf__init(&text, MAX_FILE);
    assert_non_null(buf__reserve(&text, MAX_FILE));
    text.len = fread(text.data, 1, MAX_FILE, f);
    fclose(f);
    buf__init(&v.input, MAX_BYTES);
    buf__init(&v.want, MAX_BYTES);
    run_text(buf__view(&text), &v);
    buf__free(&v.input);
    buf__free(&v.want);
    buf__free(&text);
}

static void every_clause_of_the_rfc(void **state)
{
    DIR *dir = opendir(VECTORS_DIR "/ws");
    struct dirent *entry;
    size_t files = 0;

    (void)state;
    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        if (!strstr(entry->d_name, ".txt"))
            continue;
        run_file(entry->d_name);
        files++;
    }
    closedir(dir);
    assert_int_equal(files, 10);
}

/* What vectors cannot say ---------------------------------------------------------- */

static struct buf frame_of(size_t len)
{
    struct buf payload, out;

    buf__init(&payload, len + 1);
    buf__init(&out, len + 64);
    assert_non_null(buf__reserve(&payload, len));
    memset(payload.data, 'x', len);
    payload.len = len;
    ws_client__frame(&out, 0x82, buf__view(&payload), "\1\2\3\4");
    buf__free(&payload);
    assert_false(out.failed);
    return out;
}

static void long_lengths_and_the_default_limit(void **state)
{
    static const struct {
        size_t len;
        enum ws_event_type type;
    } rows[] = {{65535, WS_MESSAGE},
                {65536, WS_MESSAGE},
                {WS_DEFAULT_MAX_MESSAGE - 1, WS_MESSAGE},
                {WS_DEFAULT_MAX_MESSAGE, WS_MESSAGE},
                {WS_DEFAULT_MAX_MESSAGE + 1, WS_ERROR}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf frame = frame_of(rows[i].len);
        char *at = frame.data, *end = at + frame.len;
        struct ws_event ev;
        struct ws ws;

        ws__init(&ws, 0, 0);
        assert_int_equal(ws__next(&ws, &at, end, &ev), rows[i].type);
        if (rows[i].type == WS_MESSAGE)
            assert_int_equal(ev.data.len, rows[i].len);
        else
            assert_int_equal(ev.code, WS_CLOSE_TOO_BIG);
        ws__free(&ws);
        buf__free(&frame);
    }
}

static void whole_message_is_a_view_of_the_input(void **state)
{
    struct buf frame = frame_of(1000);
    char *at = frame.data;
    struct ws_event ev;
    struct ws ws;

    (void)state;
    ws__init(&ws, 0, 0);
    assert_int_equal(ws__next(&ws, &at, frame.data + frame.len, &ev), WS_MESSAGE);
    assert_ptr_equal(ev.data.ptr, frame.data + frame.len - 1000);
    assert_int_equal(ev.data.ptr[999], 'x');
    assert_null(ws.partial);
    ws__free(&ws);
    buf__free(&frame);
}

static void memory_is_held_only_while_a_message_is_incomplete(void **state)
{
    struct buf frame = frame_of(1000);
    char *at = frame.data, *end = at + frame.len;
    struct ws_event ev;
    struct ws ws;

    (void)state;
    assert_true(sizeof(ws) <= 64);
    ws__init(&ws, 0, 0);
    assert_int_equal(ws__next(&ws, &at, at + 8, &ev), WS_NEED_MORE);
    assert_null(ws.partial); /* a header alone reserves nothing */
    assert_int_equal(ws__next(&ws, &at, end - 1, &ev), WS_NEED_MORE);
    assert_non_null(ws.partial);
    assert_int_equal(ws__next(&ws, &at, end, &ev), WS_MESSAGE);
    assert_int_equal(ev.data.len, 1000);
    assert_int_equal(ws__next(&ws, &at, end, &ev), WS_NEED_MORE);
    assert_null(ws.partial);
    ws__free(&ws);
    buf__free(&frame);
}

static void freed_in_the_middle_of_a_message(void **state)
{
    struct buf frame = frame_of(1000);
    char *at = frame.data;
    struct ws_event ev;
    struct ws ws;

    (void)state;
    ws__init(&ws, 0, 0);
    assert_int_equal(ws__next(&ws, &at, at + 500, &ev), WS_NEED_MORE);
    ws__free(&ws);
    buf__free(&frame);
}

/* Frames that we send ---------------------------------------------------------------- */

static void header_takes_the_fewest_bytes(void **state)
{
    static const struct {
        uint64_t len;
        size_t head_len;
        const char *head;
    } rows[] = {{0, 2, "\x81\x00"},
                {125, 2, "\x81\x7d"},
                {126, 4, "\x81\x7e\x00\x7e"},
                {65535, 4, "\x81\x7e\xff\xff"},
                {65536, 10, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char head[WS_MAX_HEADER];

        assert_int_equal(ws__header(head, WS_OP_TEXT, rows[i].len), rows[i].head_len);
        assert_memory_equal(head, rows[i].head, rows[i].head_len);
    }
}

static void control_frames_are_cut_at_125_bytes(void **state)
{
    char long_text[200], out[WS_MAX_CONTROL_FRAME];

    (void)state;
    memset(long_text, 'p', sizeof(long_text));
    assert_int_equal(ws__control_frame(out, WS_OP_PONG, STR("hi")), 4);
    assert_memory_equal(out, "\x8a\x02hi", 4);
    assert_int_equal(ws__control_frame(out, WS_OP_PING, STR_NONE), 2);
    assert_int_equal(ws__control_frame(out, WS_OP_PONG, str__n(long_text, 200)), 127);
    assert_int_equal(out[1], 125);
}

static void close_frames(void **state)
{
    char out[WS_MAX_CONTROL_FRAME];

    (void)state;
    assert_int_equal(ws__close_frame(out, 1000, STR("bye")), 7);
    assert_memory_equal(out,
                        "\x88\x05\x03\xe8"
                        "bye",
                        7);
    assert_int_equal(ws__close_frame(out, 1001, STR_NONE), 4);
    assert_int_equal(ws__close_frame(out, WS_CLOSE_NONE, STR("unsendable")), 2);
    assert_int_equal(ws__close_frame(out, WS_CLOSE_ABNORMAL, STR("")), 2);
}

static void close_reason_is_cut_between_characters(void **state)
{
    char out[WS_MAX_CONTROL_FRAME], reason[128];

    (void)state;
    memset(reason, 'r', sizeof(reason));
    assert_int_equal(ws__close_frame(out, 1000, str__n(reason, 123)), 127);
    assert_int_equal(ws__close_frame(out, 1000, str__n(reason, 124)), 127);
    memcpy(reason + 121, "\xe2\x82\xac", 3); /* would end at 124 */
    assert_int_equal(ws__close_frame(out, 1000, str__n(reason, 124)), 2 + 2 + 121);
    memcpy(reason + 120, "\xe2\x82\xacr", 4); /* ends at 123 */
    assert_int_equal(ws__close_frame(out, 1000, str__n(reason, 124)), 2 + 2 + 123);
}

/* Handshake keys --------------------------------------------------------------------- */

static void accept_key_of_the_rfc(void **state)
{
    char out[WS_ACCEPT_LEN + 1];

    (void)state;
    assert_true(ws__accept_key(STR("dGhlIHNhbXBsZSBub25jZQ=="), out));
    assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); /* section 1.3 */
}

static void keys_are_base64_of_16_bytes(void **state)
{
    static const struct {
        const char *key;
        bool valid;
    } rows[] = {{"dGhlIHNhbXBsZSBub25jZQ==", true},
                {"AAAAAAAAAAAAAAAAAAAAAA==", true},
                {"", false},
                {"dGhlIHNhbXBsZSBub25jZQ", false},
                {"dGhlIHNhbXBsZSBub25jZQ=A", false},
                {"dGhlIHNhbXBsZSBub25jZQ= ", false},
                {"dGhlIHNhbXBsZSBub25jZSE=", false},
                {"dGhlIHNhbXBsZSBub25jZSEh", false},
                {"dGhlIHNhbXBsZSBub25j", false},
                {"dGhlIHNhbXBsZSBub25jZSEhISE=", false},
                {"dGhlIHNhbXBsZSBub25_ZQ==", false}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (ws__valid_key(str__of(rows[i].key)) != rows[i].valid)
            fail_msg("key \"%s\"", rows[i].key);
    }
    assert_false(ws__valid_key(STR_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_clause_of_the_rfc),
        cmocka_unit_test(long_lengths_and_the_default_limit),
        cmocka_unit_test(whole_message_is_a_view_of_the_input),
        cmocka_unit_test(memory_is_held_only_while_a_message_is_incomplete),
        cmocka_unit_test(freed_in_the_middle_of_a_message),
        cmocka_unit_test(header_takes_the_fewest_bytes),
        cmocka_unit_test(control_frames_are_cut_at_125_bytes),
        cmocka_unit_test(close_frames),
        cmocka_unit_test(close_reason_is_cut_between_characters),
        cmocka_unit_test(accept_key_of_the_rfc),
        cmocka_unit_test(keys_are_base64_of_16_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
