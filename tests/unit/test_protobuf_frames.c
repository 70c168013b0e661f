/* The protobuf subprotocols: vectors in tests/vectors/protobuf for what comes in, exact
 * bytes for what goes out. */
#include "base/buf.h"
#include "broker/wire/any.h"
#include "broker/wire/formats.h"
#include "frames_kit.h"
#include "protobuf_text.h"
#include "unit.h"
#include "ws/ws.h"

#include <stdio.h>

#define ARENA_MAX (8u << 20) /* as a transport has it */
#define BYTES_MAX (8u << 20)

/* The bytes of a message that is written as in the vectors. */
static struct buf bytes_of(struct str text)
{
    struct buf b;

    buf__init(&b, BYTES_MAX);
    protobuf_text__write(&b, text);
    return b;
}

/* Decodes from memory of exactly this size, so that reading beyond it is found. */
static enum ph_err decode(struct arena *a, const struct format *format, struct str frame,
                          struct command *cmd, struct diag *diag)
{
    char *copy = malloc(frame.len ? frame.len : 1);
    enum ph_err err;

    memcpy(copy, frame.ptr, frame.len);
    err = format->decode(a, true, str__n(copy, frame.len), cmd, diag);
    free(copy); /* what the command needs is in the arena */
    return err;
}

static enum ph_err decode_only(const struct format *format, struct str frame)
{
    struct command cmd;
    struct diag diag = {""};
    struct arena arena;
    enum ph_err err;

    arena__init(&arena, NULL, 0, ARENA_MAX);
    err = decode(&arena, format, frame, &cmd, &diag);
    assert_int_equal(diag.text[0] == '\0', err == PH_OK);
    arena__free(&arena);
    return err;
}

/* --- Vectors ------------------------------------------------------------------ */

static void expect_meaning(const struct format *format, struct str text, const char *want)
{
    struct buf frame = bytes_of(text), got;
    struct command cmd;
    struct diag diag;
    struct arena arena;

    arena__init(&arena, NULL, 0, ARENA_MAX);
    buf__init(&got, BYTES_MAX);
    if (decode(&arena, format, buf__view(&frame), &cmd, &diag) != PH_OK)
        fail_msg("%.*s: %s", STR_FMT(text), diag.text);
    frames_kit__describe(&got, &cmd);
    assert_string_equal(got.data, want);
    buf__free(&got);
    buf__free(&frame);
    arena__free(&arena);
}

static void expect_refusal(const struct format *format, struct str text, const char *want)
{
    struct buf frame = bytes_of(text);
    struct command cmd;
    struct diag diag;
    struct arena arena;

    arena__init(&arena, NULL, 0, ARENA_MAX);
    if (decode(&arena, format, buf__view(&frame), &cmd, &diag) != PH_ERR_SYNTAX)
        fail_msg("accepted: %.*s", STR_FMT(text));
    if (!strstr(diag.text, want))
        fail_msg("%.*s: \"%s\" has no \"%s\"", STR_FMT(text), diag.text, want);
    buf__free(&frame);
    arena__free(&arena);
}

/* A frame that is one field cannot be cut anywhere; others may lose whole fields. */
static void expect_cuts_refused(const struct format *format, struct str text, const char *want)
{
    struct buf frame = bytes_of(text);
    bool one_field = (size_t)(unsigned char)frame.data[1] + 2 == frame.len;

    (void)want;
    for (size_t cut = 0; cut < frame.len; cut++) {
        enum ph_err err = decode_only(format, str__n(frame.data, cut));

        if (one_field ? err != PH_ERR_SYNTAX : err != PH_OK && err != PH_ERR_SYNTAX)
            fail_msg("%.*s: cut at %zu: %d", STR_FMT(text), cut, err);
    }
    buf__free(&frame);
}

static void check_file(const char *path, frames_kit_check *check)
{
    frames_kit__file(path, &format_protobuf, &format_protobuf_reliable, check);
}

static void valid_frames(void **state)
{
    (void)state;
    check_file(VECTORS_DIR "/protobuf/valid.txt", expect_meaning);
}

static void malformed_frames(void **state)
{
    (void)state;
    check_file(VECTORS_DIR "/protobuf/invalid.txt", expect_refusal);
}

static void frames_cut_at_every_byte(void **state)
{
    (void)state;
    check_file(VECTORS_DIR "/protobuf/valid.txt", expect_cuts_refused);
}

/* --- Limits ------------------------------------------------------------------- */

/* The text with `%` replaced by `count` times `unit`. */
static enum ph_err decode_long(const char *text, const char *unit, size_t count)
{
    const char *hole = strchr(text, '%');
    struct buf b, frame;
    enum ph_err err;

    buf__init(&b, BYTES_MAX);
    buf__append(&b, text, (size_t)(hole - text));
    for (size_t i = 0; i < count; i++)
        buf__str(&b, str__of(unit));
    buf__str(&b, str__of(hole + 1));
    frame = bytes_of(buf__view(&b));
    err = decode_only(&format_protobuf, buf__view(&frame));
    buf__free(&frame);
    buf__free(&b);
    return err;
}

static void names_at_their_limits(void **state)
{
    static const struct {
        const char *text, *unit;
        size_t limit;
    } rows[] = {
        {"6{1:\"%\"}", "g", 1024},
        {"7{1:\"%\"}", "g", 1024},
        {"1{1:\"%\" 3{1:\"x\"}}", "\xf0\x9f\x98\x80", 1024}, /* characters, not bytes */
        {"15{1:\"%\"}", "g", 1024},
        {"16{1:\"%\"}", "g", 1024},
        {"17{1:\"%\"}", "g", 1024},
        {"5{1:\"%\" 2{1:\"x\"}}", "e", 128},
        {"10{1:\"%\" 2:\"1\"}", "e", 128},
        {"10{1:\"e\" 2:\"%\"}", "1", 256},
        {"11{1:\"%\"}", "1", 256},
        {"1{1:\"g\" 7{1:\"%\"}}", "s", 256},
        {"13{1:\"%\"}", "s", 256},
        {"14{1:\"%\"}", "s", 256},
        {"5{1:\"e\" 4{1:\"%\"}}", "m", 256},          /* name of metadata */
        {"5{1:\"e\" 4{1:\"a\" 2:\"%\"}}", "m", 1024}, /* its value */
        {"1{1:\"g\" 3{4:\"%\"}}", "[1,", 0},          /* not JSON, however often */
        {"15{1:\"g\" 3{%}}", "1{1:\"a\"} ", 1000},    /* entries of a state */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].limit > 0) {
            assert_int_equal(decode_long(rows[i].text, rows[i].unit, rows[i].limit - 1), PH_OK);
            assert_int_equal(decode_long(rows[i].text, rows[i].unit, rows[i].limit), PH_OK);
        }
        assert_int_equal(decode_long(rows[i].text, rows[i].unit, rows[i].limit + 1), PH_ERR_SYNTAX);
    }
}

/* As deep as the frames of JSON clients may be. */
static void json_data_has_a_depth(void **state)
{
    struct buf b;

    (void)state;
    for (unsigned depth = 63; depth <= 65; depth++) {
        buf__init(&b, BYTES_MAX);
        buf__str(&b, STR("1{1:\"g\" 3{4:\""));
        for (unsigned i = 0; i < depth; i++)
            buf__byte(&b, '[');
        for (unsigned i = 0; i < depth; i++)
            buf__byte(&b, ']');
        buf__str(&b, STR("\"}}"));
        {
            struct buf frame = bytes_of(buf__view(&b));

            assert_int_equal(decode_only(&format_protobuf, buf__view(&frame)),
                             depth <= 64 ? PH_OK : PH_ERR_SYNTAX);
            buf__free(&frame);
        }
        buf__free(&b);
    }
}

/* Thousands of names, as short as they can be while they differ: 8192 bytes in all. */
static enum ph_err decode_metadata(size_t bytes)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~";
    const size_t n = sizeof(letters) - 1;
    struct buf b, frame;
    enum ph_err err;

    buf__init(&b, BYTES_MAX);
    buf__str(&b, STR("5{1:\"e\" "));
    for (size_t i = 0; i < bytes / 2 - 1; i++)
        buf__printf(&b, "4{1:\"%c%c\"} ", letters[i / n % n], letters[i % n]);
    buf__printf(&b, "4{1:\"%.*s\"}}", bytes % 2 ? 3 : 2, "~~~");
    frame = bytes_of(buf__view(&b));
    err = decode_only(&format_protobuf, buf__view(&frame));
    buf__free(&frame);
    buf__free(&b);
    return err;
}

static void metadata_at_its_limit(void **state)
{
    (void)state;
    /* 51 * 51 different names of two bytes are fewer than the limit has room for. */
    assert_int_equal(decode_metadata(2 * 51 * 51 - 2), PH_OK);
    assert_int_equal(decode_metadata(2 * 51 * 51 + 2), PH_ERR_SYNTAX); /* a name twice */
    assert_int_equal(decode_long("5{1:\"e\" 4{1:\"a\" 2:\"%\"} 4{1:\"b\" 2:\"123\"}}", "x", 1024),
                     PH_OK);
}

/* Eight values and names of 1024 bytes together fill 8192. */
static void metadata_in_all(void **state)
{
    (void)state;
    for (int over = 0; over <= 1; over++) {
        struct buf b, frame;

        buf__init(&b, BYTES_MAX);
        buf__str(&b, STR("5{1:\"e\" "));
        for (int i = 0; i < 8; i++) {
            buf__printf(&b, "4{1:\"%d\" 2:\"", i);
            for (int k = 0; k < 1023 + (i == 7 && over); k++)
                buf__byte(&b, 'v');
            buf__str(&b, STR("\"} "));
        }
        buf__byte(&b, '}');
        frame = bytes_of(buf__view(&b));
        assert_int_equal(decode_only(&format_protobuf, buf__view(&frame)),
                         over ? PH_ERR_SYNTAX : PH_OK);
        buf__free(&frame);
        buf__free(&b);
    }
}

/* A frame of the largest size that is nothing but tiny fields costs no more memory than
 * any other. */
static void a_megabyte_of_fields_is_refused(void **state)
{
    static const struct {
        struct str start, unit;
    } rows[] = {
        {STR(""), STR("\x98\x06\x01")},                             /* unknown varints */
        {STR(""), STR("\x4a\x00")},                                 /* pings */
        {STR(""), STR("\x32\x00")},                                 /* joins */
        {STR("\x0a\x80\x80\x40"), STR("\x32\x00")},                 /* empty metadata */
        {STR("\x0a\x80\x80\x40"), STR("\x0a\x00")},                 /* groups */
        {STR("\x0a\x80\x80\x40"), STR("\x1a\x02\x0a\x00")},         /* data */
        {STR("\x0a\x80\x80\x40\x1a\xfc\xff\x3f"), STR("\x28\x01")}, /* unknown in data */
        {STR("\x7a\x80\x80\x40\x1a\xfc\xff\x3f"), STR("\x0a\x00")}, /* entries of a state */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct command cmd;
        struct diag diag = {""};
        struct arena arena;
        struct buf b;

        buf__init(&b, BYTES_MAX);
        buf__str(&b, rows[i].start);
        while (b.len + rows[i].unit.len <= 4 + (1u << 20))
            buf__str(&b, rows[i].unit);
        arena__init(&arena, NULL, 0, ARENA_MAX);
        assert_int_equal(decode(&arena, &format_protobuf, buf__view(&b), &cmd, &diag),
                         PH_ERR_SYNTAX);
        if (!strstr(diag.text, "too many fields"))
            fail_msg("row %zu: %s", i, diag.text);
        arena__free(&arena);
        buf__free(&b);
    }
}

/* Data of a megabyte is decoded, whatever is in it. */
static void data_may_have_a_megabyte(void **state)
{
    struct str start = STR("1{1:\"g\" 3{1:\"");
    struct command cmd;
    struct arena arena;
    struct buf b, frame;

    (void)state;
    buf__init(&b, BYTES_MAX);
    buf__str(&b, start);
    while (b.len < start.len + (1u << 20) - 100)
        buf__byte(&b, 'a' + (char)(b.len % 26));
    buf__str(&b, STR("\"}}"));
    frame = bytes_of(buf__view(&b));
    arena__init(&arena, NULL, 0, ARENA_MAX);
    assert_int_equal(decode(&arena, &format_protobuf, buf__view(&frame), &cmd, NULL), PH_OK);
    assert_int_equal(cmd.data.len, (1u << 20) - 100);
    assert_memory_equal(cmd.data.ptr, b.data + start.len, cmd.data.len);
    arena__free(&arena);
    buf__free(&frame);
    buf__free(&b);
}

static void text_is_kept_behind_a_nul(void **state)
{
    struct buf frame = bytes_of(STR("1{1:\"a\\x00b\" 3{1:\"c\\x00d\"}}"));
    struct command cmd;
    struct arena arena;

    (void)state;
    arena__init(&arena, NULL, 0, ARENA_MAX);
    assert_int_equal(decode(&arena, &format_protobuf, buf__view(&frame), &cmd, NULL), PH_OK);
    assert_int_equal(cmd.group.len, 3);
    assert_memory_equal(cmd.group.ptr, "a\0b", 3);
    assert_int_equal(cmd.data.len, 3);
    assert_memory_equal(cmd.data.ptr, "c\0d", 3);
    arena__free(&arena);
    buf__free(&frame);
}

static void memory_may_be_out_anywhere(void **state)
{
    struct buf frame =
        bytes_of(STR("1{1:\"group\" 2:7 3{1:\"text\"} 6{1:\"a\" 2:\"b\"} 6{1:\"c\"}}"));
    size_t max = 0;
    enum ph_err err;

    (void)state;
    do {
        struct command cmd;
        struct arena arena;

        arena__init(&arena, NULL, 0, max);
        err = decode(&arena, &format_protobuf, buf__view(&frame), &cmd, NULL);
        assert_true(err == PH_OK || err == PH_ERR_MEMORY);
        arena__free(&arena);
        max += 8;
    } while (err != PH_OK);
    assert_in_range(max, 200, 8192);
    buf__free(&frame);
}

/* --- What goes out ------------------------------------------------------------ */

static void assert_bytes(struct str got, struct str want, const char *text)
{
    if (!str__eq(got, want)) {
        for (size_t i = 0; i < got.len && i < 200; i++)
            print_message("%02x", (unsigned char)got.ptr[i]);
        print_message("\n");
        fail_msg("%zu bytes, expected %zu of %.100s", got.len, want.len, text);
    }
}

/* A whole frame: header and payload. */
static void assert_whole(struct str frame, struct str text)
{
    struct buf payload = bytes_of(text), want;
    char header[WS_MAX_HEADER];

    buf__init(&want, BYTES_MAX);
    buf__append(&want, header, ws__header(header, WS_OP_BINARY, payload.len));
    buf__str(&want, buf__view(&payload));
    assert_bytes(frame, buf__view(&want), text.ptr);
    buf__free(&want);
    buf__free(&payload);
}

static void assert_frame(struct frame *f, bool control, const char *text)
{
    assert_non_null(f);
    assert_int_equal(f->opcode, WS_OP_BINARY);
    assert_false(f->sequenced);
    assert_int_equal(f->control, control);
    assert_whole(str__n(f->bytes, f->len), str__of(text));
    frame__unref(f);
}

/* What a reliable client gets. */
static void assert_sequenced(struct frame *f, uint64_t sequence_id, struct str text)
{
    char head[FORMAT_MAX_HEAD], tail[FORMAT_MAX_TAIL];
    size_t head_len, tail_len;
    struct buf whole;

    assert_true(f && f->sequenced && !f->control);
    assert_int_equal(f->opcode, WS_OP_BINARY);
    format_protobuf_reliable.enclose(f, sequence_id, head, &head_len, tail, &tail_len);
    assert_true(head_len <= FORMAT_MAX_HEAD && tail_len <= FORMAT_MAX_TAIL);
    buf__init(&whole, BYTES_MAX);
    buf__append(&whole, head, head_len);
    buf__append(&whole, f->bytes, f->len);
    buf__append(&whole, tail, tail_len);
    assert_whole(buf__view(&whole), text);
    buf__free(&whole);
}

static void acks_and_pongs(void **state)
{
    const struct ack_error error = {"Forbidden", STR("no \"x\"")};

    (void)state;
    assert_frame(format_protobuf.ack(7, NULL), true, "1{1:7 2:1}");
    assert_frame(format_protobuf.ack(0, NULL), true, "1{1:0 2:1}");
    assert_frame(format_protobuf.ack(UINT64_MAX, &error), true,
                 "1{1:18446744073709551615 3{1:\"Forbidden\" 2:\"no \\\"x\\\"\"}}");
    assert_frame(format_protobuf.pong(), true, "4{}");
}

static void system_messages(void **state)
{
    (void)state;
    assert_frame(format_protobuf.connected(&(struct connected_info){.connection_id = STR("c")}),
                 true, "3{1{1:\"c\"}}");
    assert_frame(
        format_protobuf_reliable.connected(&(struct connected_info){STR("c"), STR("u"), STR("t")}),
        true, "3{1{1:\"c\" 2:\"u\" 3:\"t\"}}");
    assert_frame(format_protobuf.disconnected(STR("why")), true, "3{2{2:\"why\"}}");
    assert_frame(format_protobuf.disconnected(STR("")), true, "3{2{}}");
}

static void invoke_responses(void **state)
{
    const struct metadata_entry entries[] = {{STR("a"), STR("b")}, {STR("c"), STR("")}};
    const struct ack_error error = {"InternalServerError", STR("m")};

    (void)state;
    /* Its data may be large: it counts as a message in the queue. */
    assert_frame(
        format_protobuf.invoke_response(&(struct invoke_response){
            .invocation_id = STR("1"), .has_data = true, .type = PH_DATA_JSON, .data = STR("{}")}),
        false, "5{1:\"1\" 2:1 3{4:\"{}\"}}");
    assert_frame(format_protobuf.invoke_response(&(struct invoke_response){
                     .invocation_id = STR("1"), .metadata = {entries, 2}}),
                 false, "5{1:\"1\" 2:1 5{1:\"a\" 2:\"b\"} 5{1:\"c\"}}");
    assert_frame(format_protobuf.invoke_response(
                     &(struct invoke_response){.invocation_id = STR("1"), .error = &error}),
                 false, "5{1:\"1\" 4{1:\"InternalServerError\" 2:\"m\"}}");
}

static void stream_answers(void **state)
{
    const struct ack_error error = {"IdleTimeout", STR("m")};

    (void)state;
    assert_frame(format_protobuf.stream_ack(STR("s"), 300), true, "6{1:\"s\" 2:300}");
    assert_frame(format_protobuf.stream_nack(
                     &(struct stream_nack){STR("s"), "InvalidSequenceId", STR("m"), 1}),
                 true, "7{1:\"s\" 2:\"InvalidSequenceId\" 3:\"m\" 4:1}");
    assert_frame(format_protobuf.stream_closed(STR("s"), NULL), true, "8{1:\"s\"}");
    assert_frame(format_protobuf.stream_closed(STR("s"), &error), true,
                 "8{1:\"s\" 2{1:\"IdleTimeout\" 2:\"m\"}}");
}

static void group_states(void **state)
{
    const struct metadata_entry entries[] = {{STR("k"), STR("v")}, {STR("e"), STR("")}};
    const struct group_state_item items[] = {
        {STR("c1"), STR("u"), true, {entries, 2}, 1000},
        {STR("c2"), STR_NONE, true, {NULL, 0}, 0},
        {STR("c3"), STR(""), false, {NULL, 0}, 1},
    };
    const char *body = "1:\"g\" 2{1:\"c1\" 2:\"u\" 3{1{1:\"k\" 2:\"v\"} 1{1:\"e\"}} 4:1000} "
                       "2{1:\"c2\" 3{} 4:0} 2{1:\"c3\" 2:\"\" 4:1}";
    char text[400];
    struct frame *f;

    (void)state;
    snprintf(text, sizeof(text), "9{%s}", body);
    assert_frame(format_protobuf.group_state(false, STR("g"), items, 3), false, text);
    snprintf(text, sizeof(text), "10{%s}", body);
    assert_frame(format_protobuf.group_state(true, STR("g"), items, 3), false, text);
    assert_frame(format_protobuf.group_state(true, STR("g"), NULL, 0), false, "10{1:\"g\"}");

    f = format_protobuf_reliable.group_state(false, STR("g"), items, 3);
    snprintf(text, sizeof(text), "9{%s 3:300}", body);
    assert_sequenced(f, 300, str__of(text));
    frame__unref(f);
    f = format_protobuf_reliable.group_state(true, STR("g"), items, 3);
    snprintf(text, sizeof(text), "10{%s 3:1}", body);
    assert_sequenced(f, 1, str__of(text));
    frame__unref(f);
}

static const struct metadata_entry some_metadata[] = {{STR("a"), STR("b")}, {STR("c"), STR("")}};

/* `fields` is all that the DataMessage has, but for its sequence id. */
static const struct message_row {
    struct message message;
    const char *fields;
} messages[] = {
    {{.from = MESSAGE_FROM_SERVER, .type = PH_DATA_TEXT, .data = STR("Hello")},
     "1:\"server\" 3{1:\"Hello\"}"},
    {{.from = MESSAGE_FROM_SERVER, .type = PH_DATA_JSON, .data = STR("{ \"a\":1}")},
     "1:\"server\" 3{4:\"{ \\\"a\\\":1}\"}"},
    /* The sender has no field. */
    {{.from = MESSAGE_FROM_GROUP,
      .type = PH_DATA_BINARY,
      .group = STR("g"),
      .from_user = STR("ann"),
      .data = STR("\x01\x02")},
     "1:\"group\" 2:\"g\" 3{2:\"\\x01\\x02\"}"},
    {{.from = MESSAGE_FROM_GROUP,
      .type = PH_DATA_PROTOBUF,
      .group = STR("g"),
      .data = STR("\x0a\x01t\x12\x01v")},
     "1:\"group\" 2:\"g\" 3{3{1:\"t\" 2:\"v\"}}"},
    {{.from = MESSAGE_FROM_GROUP, .type = PH_DATA_PROTOBUF, .group = STR("g"), .data = STR("")},
     "1:\"group\" 2:\"g\" 3{3{}}"},
    /* No Any, whatever it was called. */
    {{.from = MESSAGE_FROM_GROUP, .type = PH_DATA_PROTOBUF, .group = STR("g"), .data = STR("xyz")},
     "1:\"group\" 2:\"g\" 3{2:\"xyz\"}"},
    /* Empty, but there. */
    {{.from = MESSAGE_FROM_SERVER, .type = PH_DATA_TEXT, .data = STR("")},
     "1:\"server\" 3{1:\"\"}"},
    {{.from = MESSAGE_FROM_SERVER, .type = PH_DATA_BINARY, .data = STR("")},
     "1:\"server\" 3{2:\"\"}"},
    {{.from = MESSAGE_FROM_GROUP,
      .type = PH_DATA_TEXT,
      .group = STR("g"),
      .data = STR("x"),
      .metadata = {some_metadata, 2}},
     "1:\"group\" 2:\"g\" 3{1:\"x\"} 5{1:\"a\" 2:\"b\"} 5{1:\"c\"}"},
    {{.from = MESSAGE_FROM_GROUP,
      .type = PH_DATA_TEXT,
      .group = STR("g"),
      .data = STR("x"),
      .stream = {.id = STR("s"), .sequence_id = 1}},
     "1:\"group\" 2:\"g\" 3{1:\"x\"} 6{1:\"s\" 2:1}"},
    {{.from = MESSAGE_FROM_GROUP,
      .type = PH_DATA_TEXT,
      .group = STR("g"),
      .data = STR(""),
      .stream = {.id = STR("s"), .sequence_id = 1000, .end = true}},
     "1:\"group\" 2:\"g\" 3{1:\"\"} 6{1:\"s\" 2:1000 3:1}"},
    {{.from = MESSAGE_FROM_GROUP,
      .type = PH_DATA_TEXT,
      .group = STR("g"),
      .data = STR(""),
      .metadata = {some_metadata, 1},
      .stream = {STR("s"), 2, true, STR("UserError"), STR(""), STR("E1")}},
     "1:\"group\" 2:\"g\" 3{1:\"\"} 5{1:\"a\" 2:\"b\"} "
     "6{1:\"s\" 2:2 3:1 4{1:\"UserError\" 2:\"\" 3:\"E1\"}}"},
    {{.from = MESSAGE_FROM_GROUP,
      .type = PH_DATA_TEXT,
      .group = STR("g"),
      .data = STR(""),
      .stream = {STR("s"), 2, true, STR("Cancelled"), STR_NONE, STR_NONE}},
     "1:\"group\" 2:\"g\" 3{1:\"\"} 6{1:\"s\" 2:2 3:1 4{1:\"Cancelled\"}}"},
};

static void messages_to_clients(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        struct message *m = message__new(&messages[i].message);
        char text[400];

        assert_non_null(m);
        snprintf(text, sizeof(text), "2{%s}", messages[i].fields);
        assert_frame(format_protobuf.message(m), false, text);
        message__unref(m);
    }
}

static void messages_to_reliable_clients(void **state)
{
    static const uint64_t ids[] = {0, 1, 127, 128, 16384, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        struct message *m = message__new(&messages[i].message);
        struct frame *f = format_protobuf_reliable.message(m);
        char text[400];

        for (size_t k = 0; k < sizeof(ids) / sizeof(ids[0]); k++) {
            snprintf(text, sizeof(text), "2{%s 4:%llu}", messages[i].fields,
                     (unsigned long long)ids[k]);
            assert_sequenced(f, ids[k], str__of(text));
        }
        frame__unref(f);
        message__unref(m);
    }
}

/* Around each size where a length needs another byte. */
static void lengths_of_all_sizes(void **state)
{
    static const size_t around[] = {0, 60, 100, 128, 16384, 65536, 2097152};
    struct buf data, text;

    (void)state;
    buf__init(&data, BYTES_MAX);
    buf__init(&text, BYTES_MAX);
    for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
        size_t from = around[i] > 30 ? around[i] - 30 : 0, step = around[i] > 100000 ? 7 : 1;

        for (size_t len = from; len <= around[i] + 3; len += step) {
            struct message *m;
            struct frame *f;

            buf__reset(&data);
            while (data.len < len)
                buf__byte(&data, 'd');
            m = message__new(&(struct message){
                .from = MESSAGE_FROM_SERVER, .type = PH_DATA_TEXT, .data = buf__view(&data)});
            buf__reset(&text);
            buf__printf(&text, "2{1:\"server\" 3{1:\"%s\"}}", data.data ? data.data : "");
            f = format_protobuf.message(m);
            assert_whole(str__n(f->bytes, f->len), buf__view(&text));
            frame__unref(f);

            buf__reset(&text);
            buf__printf(&text, "2{1:\"server\" 3{1:\"%s\"} 4:300}", data.data ? data.data : "");
            f = format_protobuf_reliable.message(m);
            assert_sequenced(f, 300, buf__view(&text));
            frame__unref(f);
            message__unref(m);
        }
    }
    buf__free(&data);
    buf__free(&text);
}

/* --- Any ------------------------------------------------------------------------ */

static void what_may_be_called_an_any(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } rows[] = {
        {"", true},
        {"1:\"type.googleapis.com/x\" 2:\"\\xff\\x00\"", true},
        {"2:\"v\"", true},
        {"3:1 1:\"t\"", true},
        {"1:\"ü\"", true},
        {"1:\"\\xff\"", false},
        {"1:1", false},
        {"2#00010203", false},
        {"x0a", false},
        {"x0a05", false},
        {"x0a056162", false},
        {"x00", false},
        {"x0b0c", false},
        {"x1e", false},
        {"x18ffffffffffffffffff01", true},    /* ten bytes of varint */
        {"x18ffffffffffffffffffff01", false}, /* eleven */
        {"x0affffffffffffffffff01", false},   /* a length beyond everything */
        {"xffffffffff0f01", false},           /* a tag beyond 32 bits */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf b = bytes_of(str__of(rows[i].text));

        if (any__valid(buf__view(&b)) != rows[i].valid)
            fail_msg("%s", rows[i].text);
        assert_int_equal(format_protobuf.carries(PH_DATA_PROTOBUF, buf__view(&b)), rows[i].valid);
        assert_true(format_protobuf.carries(PH_DATA_BINARY, buf__view(&b)));
        buf__free(&b);
    }
}

static void formats_are_found(void **state)
{
    (void)state;
    assert_ptr_equal(formats__find(STR("protobuf.webpubsub.azure.v1")), &format_protobuf);
    assert_ptr_equal(formats__find(STR("Protobuf.Reliable.WebPubSub.Azure.V1")),
                     &format_protobuf_reliable);
    assert_false(format_protobuf.accepts_text || format_protobuf_reliable.accepts_text);
    assert_true(format_protobuf.accepts_binary && format_protobuf_reliable.accepts_binary);
    assert_true(!format_protobuf.reliable && format_protobuf_reliable.reliable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_frames),
        cmocka_unit_test(malformed_frames),
        cmocka_unit_test(frames_cut_at_every_byte),
        cmocka_unit_test(names_at_their_limits),
        cmocka_unit_test(json_data_has_a_depth),
        cmocka_unit_test(metadata_at_its_limit),
        cmocka_unit_test(metadata_in_all),
        cmocka_unit_test(a_megabyte_of_fields_is_refused),
        cmocka_unit_test(data_may_have_a_megabyte),
        cmocka_unit_test(text_is_kept_behind_a_nul),
        cmocka_unit_test(memory_may_be_out_anywhere),
        cmocka_unit_test(acks_and_pongs),
        cmocka_unit_test(system_messages),
        cmocka_unit_test(invoke_responses),
        cmocka_unit_test(stream_answers),
        cmocka_unit_test(group_states),
        cmocka_unit_test(messages_to_clients),
        cmocka_unit_test(messages_to_reliable_clients),
        cmocka_unit_test(lengths_of_all_sizes),
        cmocka_unit_test(what_may_be_called_an_any),
        cmocka_unit_test(formats_are_found),
    };

    return cmocka_run_group_tests_name("protobuf frames", tests, NULL, NULL);
}
