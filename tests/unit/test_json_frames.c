/* The JSON subprotocols: vectors in tests/vectors/json for what comes in, exact strings
 * for what goes out. */
#include "broker/wire/formats.h"
#include "frames_kit.h"
#include "unit.h"
#include "ws/ws.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#define ARENA_MAX (64u << 20)

static enum ph_err decode(struct arena *a, const struct format *format, struct str text,
                          struct command *cmd, struct diag *diag)
{
    return format->decode(a, false, text, cmd, diag);
}

/* --- Vectors ------------------------------------------------------------------ */

static void expect_meaning(const struct format *format, struct str text, const char *want)
{
    struct command cmd;
    struct diag diag;
    struct arena arena;
    struct buf got;

    arena__init(&arena, NULL, 0, ARENA_MAX);
    buf__init(&got, ARENA_MAX);
    if (decode(&arena, format, text, &cmd, &diag) != PH_OK)
        fail_msg("%.*s: %s", STR_FMT(text), diag.text);
    frames_kit__describe(&got, &cmd);
    assert_string_equal(got.data, want);
    buf__free(&got);
    arena__free(&arena);
}

static void expect_refusal(const struct format *format, struct str text, const char *want)
{
    struct command cmd;
    struct diag diag;
    struct arena arena;

    arena__init(&arena, NULL, 0, ARENA_MAX);
    if (decode(&arena, format, text, &cmd, &diag) != PH_ERR_SYNTAX)
        fail_msg("accepted: %.*s", STR_FMT(text));
    if (!strstr(diag.text, want))
        fail_msg("%.*s: \"%s\" has no \"%s\"", STR_FMT(text), diag.text, want);
    assert_true(utf8__valid(str__of(diag.text))); /* the client gets it */
    arena__free(&arena);
}

static void valid_frames(void **state)
{
    (void)state;
    frames_kit__file(VECTORS_DIR "/json/valid.txt", &format_json, &format_json_reliable,
                     expect_meaning);
}

static void malformed_frames(void **state)
{
    (void)state;
    frames_kit__file(VECTORS_DIR "/json/invalid.txt", &format_json, &format_json_reliable,
                     expect_refusal);
}

/* --- Limits ------------------------------------------------------------------- */

/* {"type":"TYPE","MEMBER":"<count times unit>","data":1} */
static enum ph_err decode_long_name(const char *type, const char *member, const char *unit,
                                    size_t count)
{
    struct command cmd;
    struct arena arena;
    struct buf b;
    enum ph_err err;

    arena__init(&arena, NULL, 0, ARENA_MAX);
    buf__init(&b, ARENA_MAX);
    buf__printf(&b, "{\"type\":\"%s\",\"%s\":\"", type, member);
    for (size_t i = 0; i < count; i++)
        buf__str(&b, str__of(unit));
    buf__str(&b, STR("\",\"data\":1}"));
    err = decode(&arena, &format_json, buf__view(&b), &cmd, NULL);
    buf__free(&b);
    arena__free(&arena);
    return err;
}

static void names_at_their_limits(void **state)
{
    static const struct {
        const char *type, *member, *unit;
        size_t limit;
    } rows[] = {
        {"joinGroup", "group", "g", 1024},
        {"sendToGroup", "group", "\xf0\x9f\x98\x80", 1024}, /* characters, not bytes */
        {"event", "event", "e", 128},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(
            decode_long_name(rows[i].type, rows[i].member, rows[i].unit, rows[i].limit - 1), PH_OK);
        assert_int_equal(
            decode_long_name(rows[i].type, rows[i].member, rows[i].unit, rows[i].limit), PH_OK);
        assert_int_equal(
            decode_long_name(rows[i].type, rows[i].member, rows[i].unit, rows[i].limit + 1),
            PH_ERR_SYNTAX);
    }
}

/* PREFIX<count times unit>SUFFIX */
static enum ph_err decode_repeated(const char *prefix, const char *unit, size_t count,
                                   const char *suffix, struct command *cmd)
{
    struct arena arena;
    struct buf b;
    enum ph_err err;

    arena__init(&arena, NULL, 0, ARENA_MAX);
    buf__init(&b, ARENA_MAX);
    buf__str(&b, str__of(prefix));
    for (size_t i = 0; i < count; i++)
        buf__str(&b, str__of(unit));
    buf__str(&b, str__of(suffix));
    err = decode(&arena, &format_json, buf__view(&b), cmd, NULL);
    buf__free(&b);
    arena__free(&arena);
    return err;
}

static void values_at_their_limits(void **state)
{
    static const struct {
        const char *prefix, *unit, *suffix;
        size_t limit;
    } rows[] = {
        {"{\"type\":\"streamData\",\"streamId\":\"", "s", "\"}", 256},
        {"{\"type\":\"streamEnd\",\"streamId\":\"", "\xc3\xa9", "\"}", 128},
        {"{\"type\":\"sendToGroup\",\"group\":\"g\",\"stream\":{\"streamId\":\"", "s", "\"}}", 256},
        {"{\"type\":\"cancelInvocation\",\"invocationId\":\"", "1", "\"}", 256},
        {"{\"type\":\"invoke\",\"event\":\"e\",\"invocationId\":\"", "1", "\"}", 256},
        {"{\"type\":\"event\",\"event\":\"e\",\"metadata\":{\"", "n", "\":\"\"}}", 256},
        {"{\"type\":\"event\",\"event\":\"e\",\"metadata\":{\"n\":\"", "v", "\"}}", 1024},
        {"{\"type\":\"sendToGroup\",\"group\":\"g\",\"metadata\":{\"n\":\"", "v", "\"}}", 1024},
        {"{\"type\":\"setGroupState\",\"group\":\"g\",\"state\":{", "\"k\":\"\",", "\"l\":\"\"}}",
         999},
    };
    struct command cmd;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t n = rows[i].limit - 1; n <= rows[i].limit + 1; n++)
            assert_int_equal(decode_repeated(rows[i].prefix, rows[i].unit, n, rows[i].suffix, &cmd),
                             n <= rows[i].limit ? PH_OK : PH_ERR_SYNTAX);
    }
}

/* 8 entries of 1016 bytes each leave 64 bytes to the limit of 8192. */
static void metadata_at_its_limit(void **state)
{
    struct command cmd;
    struct buf b;

    (void)state;
    buf__init(&b, ARENA_MAX);
    buf__str(&b, STR("{\"type\":\"event\",\"event\":\"e\",\"metadata\":{"));
    for (int i = 0; i < 8; i++)
        buf__printf(&b, "\"n%d\":\"%01014d\",", i, 7);
    buf__str(&b, STR("\"last\":\""));
    for (size_t n = 59; n <= 61; n++)
        assert_int_equal(decode_repeated(b.data, "x", n, "\"}}", &cmd),
                         n <= 60 ? PH_OK : PH_ERR_SYNTAX);
    buf__free(&b);
}

/* Members that are objects are cut open one level deep, and no deeper. */
static void objects_in_objects_cost_nothing(void **state)
{
    struct command cmd;

    (void)state;
    assert_int_equal(decode_repeated("{\"type\":\"sendToGroup\",\"group\":\"g\",\"stream\":{"
                                     "\"streamId\":\"s\",\"x\":[1",
                                     ",{\"a\":[]}", 50000, "]}}", &cmd),
                     PH_OK);
    assert_true(cmd.stream_id.ptr && !cmd.has_data);
}

static void bad_utf8_is_refused(void **state)
{
    (void)state;
    assert_int_equal(decode_long_name("joinGroup", "group", "\xff", 1), PH_ERR_SYNTAX);
    assert_int_equal(decode_long_name("joinGroup", "group", "\xed\xa0\x80", 1), PH_ERR_SYNTAX);
}

static void a_hundred_thousand_brackets_are_refused(void **state)
{
    struct command cmd;
    struct arena arena;
    struct buf b;

    (void)state;
    arena__init(&arena, NULL, 0, ARENA_MAX);
    buf__init(&b, ARENA_MAX);
    for (int i = 0; i < 100000; i++)
        buf__byte(&b, '[');
    assert_int_equal(decode(&arena, &format_json, buf__view(&b), &cmd, NULL), PH_ERR_SYNTAX);
    buf__free(&b);
    arena__free(&arena);
}

/* A megabyte of small values is data like any other. */
static void data_may_have_many_values(void **state)
{
    struct command cmd;
    struct arena arena;
    struct buf b;

    (void)state;
    arena__init(&arena, NULL, 0, 64u << 10);
    buf__init(&b, ARENA_MAX);
    buf__str(&b, STR("{\"data\":[{}"));
    for (int i = 0; i < 500000; i++)
        buf__str(&b, STR(",1"));
    buf__str(&b, STR(",[{\"type\":\"x\"}]] ,\"type\":\"event\",\"event\":\"e\"}"));
    assert_int_equal(decode(&arena, &format_json, buf__view(&b), &cmd, NULL), PH_OK);
    assert_str(cmd.event, "e");
    assert_int_equal(cmd.data.len, 4 + 500000 * 2 + 15);
    assert_memory_equal(cmd.data.ptr + cmd.data.len - 4, "\"}]]", 4);
    buf__free(&b);
    arena__free(&arena);
}

/* --- What goes out ------------------------------------------------------------ */

/* The payload of a frame with its header; text. */
static struct str payload(const struct frame *f)
{
    size_t header = (f->bytes[1] & 0x7f) < 126 ? 2 : 4;

    assert_int_equal((unsigned char)f->bytes[0], 0x81);
    assert_false(f->sequenced);
    return str__n(f->bytes + header, f->len - header);
}

static void assert_frame(struct frame *f, bool control, const char *want)
{
    assert_non_null(f);
    assert_str(payload(f), want);
    assert_int_equal(f->control, control);
    frame__unref(f);
}

static void control_frames(void **state)
{
    const struct ack_error error = {"Forbidden", STR("no \"x\"")};

    (void)state;
    assert_frame(format_json.ack(7, NULL), true, "{\"type\":\"ack\",\"ackId\":7,\"success\":true}");
    assert_frame(format_json.ack(UINT64_MAX, &error), true,
                 "{\"type\":\"ack\",\"ackId\":18446744073709551615,\"success\":false,"
                 "\"error\":{\"name\":\"Forbidden\",\"message\":\"no \\\"x\\\"\"}}");
    assert_frame(format_json.pong(), true, "{\"type\":\"pong\"}");
    assert_frame(format_json.connected(&(struct connected_info){.connection_id = STR("c")}), true,
                 "{\"type\":\"system\",\"event\":\"connected\",\"userId\":null,"
                 "\"connectionId\":\"c\"}");
    assert_frame(
        format_json_reliable.connected(&(struct connected_info){STR("c"), STR("u"), STR("t")}),
        true,
        "{\"type\":\"system\",\"event\":\"connected\",\"userId\":\"u\","
        "\"connectionId\":\"c\",\"reconnectionToken\":\"t\"}");
    assert_frame(format_json.disconnected(STR("why")), true,
                 "{\"type\":\"system\",\"event\":\"disconnected\",\"message\":\"why\"}");
}

static void frames_of_streams(void **state)
{
    const struct ack_error error = {"IdleTimeout", STR("too \"slow\"")};
    const struct stream_nack nack = {STR("s"), "InvalidSequenceId", STR("gap"), 3};

    (void)state;
    assert_frame(format_json.stream_ack(STR("s\"1"), 1), true,
                 "{\"type\":\"streamAck\",\"streamId\":\"s\\\"1\",\"expectedSequenceId\":1}");
    assert_frame(format_json.stream_nack(&nack), true,
                 "{\"type\":\"streamNack\",\"streamId\":\"s\",\"name\":\"InvalidSequenceId\","
                 "\"message\":\"gap\",\"expectedSequenceId\":3}");
    assert_frame(format_json_reliable.stream_closed(STR("s"), NULL), true,
                 "{\"type\":\"streamClosed\",\"streamId\":\"s\"}");
    assert_frame(format_json_reliable.stream_closed(STR("s"), &error), true,
                 "{\"type\":\"streamClosed\",\"streamId\":\"s\",\"error\":{"
                 "\"name\":\"IdleTimeout\",\"message\":\"too \\\"slow\\\"\"}}");
}

/* Not control frames: their data may be as large as that of messages. */
static void answers_to_invocations(void **state)
{
    const struct ack_error error = {"NotFound", STR("no handler")};
    const struct metadata_entry entry = {STR("a"), STR("b")};

    (void)state;
    assert_frame(format_json.invoke_response(&(struct invoke_response){.invocation_id = STR("1")}),
                 false, "{\"type\":\"invokeResponse\",\"invocationId\":\"1\",\"success\":true}");
    assert_frame(
        format_json_reliable.invoke_response(&(struct invoke_response){.invocation_id = STR("1"),
                                                                       .has_data = true,
                                                                       .type = PH_DATA_BINARY,
                                                                       .data = STR("hello"),
                                                                       .metadata = {&entry, 1}}),
        false,
        "{\"type\":\"invokeResponse\",\"invocationId\":\"1\",\"success\":true,"
        "\"dataType\":\"binary\",\"data\":\"aGVsbG8=\",\"metadata\":{\"a\":\"b\"}}");
    assert_frame(format_json.invoke_response(
                     &(struct invoke_response){.invocation_id = STR("x"), .error = &error}),
                 false,
                 "{\"type\":\"invokeResponse\",\"invocationId\":\"x\",\"success\":false,"
                 "\"error\":{\"name\":\"NotFound\",\"message\":\"no handler\"}}");
}

static void group_states(void **state)
{
    static const struct metadata_entry entries[] = {{STR("a"), STR("b")}, {STR("c\n"), STR("")}};
    static const struct group_state_item items[] = {
        {STR("c1"), STR("ann"), true, {entries, 2}, 1758000000123},
        {STR("c2"), {NULL, 0}, true, {NULL, 0}, 1},
        {STR("c3"), {NULL, 0}, false, {NULL, 0}, 0},
    };
    static const char snapshot[] =
        "{\"type\":\"groupStateSnapshot\",\"group\":\"g\",\"items\":["
        "{\"connectionId\":\"c1\",\"userId\":\"ann\",\"state\":{\"a\":\"b\",\"c\\n\":\"\"},"
        "\"updatedAt\":1758000000123},"
        "{\"connectionId\":\"c2\",\"state\":{},\"updatedAt\":1},"
        "{\"connectionId\":\"c3\",\"updatedAt\":0}]";
    char whole[512];
    struct frame *f;

    (void)state;
    snprintf(whole, sizeof(whole), "%s}", snapshot);
    assert_frame(format_json.group_state(true, STR("g"), items, 3), false, whole);
    assert_frame(format_json.group_state(false, STR("g"), items, 0), false,
                 "{\"type\":\"groupStateUpdate\",\"group\":\"g\",\"items\":[]}");
    f = format_json_reliable.group_state(true, STR("g"), items, 3);
    assert_true(f && f->sequenced && !f->control);
    assert_str(str__n(f->bytes, f->len), snapshot);
    frame__unref(f);
}

/* A row of messages[] has no room for these. */
static void messages_with_metadata_and_streams(void **state)
{
    static const struct metadata_entry entries[] = {{STR("a"), STR("b")}, {STR("c"), STR("\"")}};
    const struct message draft = {
        .from = MESSAGE_FROM_GROUP,
        .type = PH_DATA_TEXT,
        .group = STR("g"),
        .data = STR("hi"),
        .metadata = {entries, 2},
        .stream = {.id = STR("s"), .sequence_id = 1},
    };
    const struct message end = {
        .from = MESSAGE_FROM_GROUP,
        .type = PH_DATA_TEXT,
        .group = STR("g"),
        .from_user = STR("ann"),
        .data = STR(""),
        .stream = {STR("s"), 8, true, STR("UserError"), STR("why"), STR("E1")},
    };
    const struct message silent_end = {
        .from = MESSAGE_FROM_GROUP,
        .type = PH_DATA_TEXT,
        .group = STR("g"),
        .data = STR(""),
        .stream = {.id = STR("s"), .sequence_id = 8, .end = true, .error_name = STR("Cancelled")}};
    const struct {
        const struct message *draft;
        const char *json;
    } rows[] = {
        {&draft, "{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\",\"dataType\":\"text\","
                 "\"data\":\"hi\",\"metadata\":{\"a\":\"b\",\"c\":\"\\\"\"},"
                 "\"stream\":{\"streamId\":\"s\",\"streamSequenceId\":1}"},
        {&end, "{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\",\"fromUserId\":\"ann\","
               "\"dataType\":\"text\",\"data\":\"\",\"stream\":{\"streamId\":\"s\","
               "\"streamSequenceId\":8,\"endOfStream\":true,\"error\":{\"name\":\"UserError\","
               "\"message\":\"why\",\"userErrorCode\":\"E1\"}}"},
        {&silent_end, "{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\","
                      "\"dataType\":\"text\",\"data\":\"\",\"stream\":{\"streamId\":\"s\","
                      "\"streamSequenceId\":8,\"endOfStream\":true,\"error\":{"
                      "\"name\":\"Cancelled\",\"message\":\"\"}}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct message *m = message__new(rows[i].draft);
        struct frame *f = format_json_reliable.message(m);
        char whole[512];

        assert_non_null(f);
        assert_str(str__n(f->bytes, f->len), rows[i].json);
        snprintf(whole, sizeof(whole), "%s}", rows[i].json);
        assert_frame(format_json.message(m), false, whole);
        frame__unref(f);
        message__unref(m);
    }
}

static const struct message_row {
    enum message_from from;
    enum ph_data_type type;
    struct str group, user, data;
    const char *json; /* without the closing brace */
    const char *raw;
} messages[] = {
    {MESSAGE_FROM_SERVER,
     PH_DATA_TEXT,
     {NULL, 0},
     {NULL, 0},
     STR("Hello"),
     "{\"type\":\"message\",\"from\":\"server\",\"dataType\":\"text\",\"data\":\"Hello\"",
     "Hello"},
    {MESSAGE_FROM_SERVER,
     PH_DATA_JSON,
     {NULL, 0},
     {NULL, 0},
     STR("{ \"a\":1}"),
     "{\"type\":\"message\",\"from\":\"server\",\"dataType\":\"json\",\"data\":{ \"a\":1}",
     "{ \"a\":1}"},
    {MESSAGE_FROM_GROUP,
     PH_DATA_BINARY,
     STR("g"),
     {NULL, 0},
     STR("hello"),
     "{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\",\"dataType\":\"binary\","
     "\"data\":\"aGVsbG8=\"",
     "hello"},
    {MESSAGE_FROM_GROUP, PH_DATA_PROTOBUF, STR("g"), STR("ann"), STR("x"),
     "{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\",\"fromUserId\":\"ann\","
     "\"dataType\":\"protobuf\",\"data\":\"eA==\"",
     "x"},
    {MESSAGE_FROM_GROUP, PH_DATA_TEXT, STR("g\"\n"), STR(""), STR("\\\x01"),
     "{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\\\"\\n\",\"fromUserId\":\"\","
     "\"dataType\":\"text\",\"data\":\"\\\\\\u0001\"",
     "\\\x01"},
};

static struct message *message_of(const struct message_row *row)
{
    struct message *m = message__new(&(struct message){.from = row->from,
                                                       .type = row->type,
                                                       .group = row->group,
                                                       .from_user = row->user,
                                                       .data = row->data});

    assert_non_null(m);
    return m;
}

static void messages_to_json_clients(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        struct message *m = message_of(&messages[i]);
        char want[256];

        snprintf(want, sizeof(want), "%s}", messages[i].json);
        assert_frame(format_json.message(m), false, want);
        message__unref(m);
    }
}

static void messages_to_reliable_clients(void **state)
{
    char head[FORMAT_MAX_HEAD], tail[FORMAT_MAX_TAIL], header[WS_MAX_HEADER];
    size_t head_len, tail_len;

    (void)state;
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        struct message *m = message_of(&messages[i]);
        struct frame *f = format_json_reliable.message(m);

        assert_true(f && f->sequenced && !f->control);
        assert_str(str__n(f->bytes, f->len), messages[i].json);
        format_json_reliable.enclose(f, UINT64_MAX, head, &head_len, tail, &tail_len);
        assert_str(str__n(tail, tail_len), ",\"sequenceId\":18446744073709551615}");
        assert_int_equal(head_len, ws__header(header, WS_OP_TEXT, f->len + tail_len));
        assert_memory_equal(head, header, head_len);
        format_json_reliable.enclose(f, 0, head, &head_len, tail, &tail_len);
        assert_str(str__n(tail, tail_len), ",\"sequenceId\":0}");
        frame__unref(f);
        message__unref(m);
    }
}

static void messages_to_raw_clients(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        struct message *m = message_of(&messages[i]);
        struct frame *f = format_raw.message(m);
        bool text = m->type == PH_DATA_TEXT || m->type == PH_DATA_JSON;

        assert_non_null(f);
        assert_int_equal((unsigned char)f->bytes[0], text ? 0x81 : 0x82);
        assert_str(str__n(f->bytes + 2, f->len - 2), messages[i].raw);
        frame__unref(f);
        message__unref(m);
    }
}

static void raw_messages_are_events(void **state)
{
    struct command cmd;

    (void)state;
    assert_int_equal(format_raw.decode(NULL, true, STR("{"), &cmd, NULL), PH_OK);
    assert_int_equal(cmd.kind, COMMAND_EVENT);
    assert_str(cmd.event, "message");
    assert_int_equal(cmd.type, PH_DATA_BINARY);
    assert_int_equal(format_raw.decode(NULL, false, STR(""), &cmd, NULL), PH_OK);
    assert_int_equal(cmd.type, PH_DATA_TEXT);
    assert_str(cmd.data, "");
}

static void formats_are_found_without_case(void **state)
{
    (void)state;
    assert_ptr_equal(formats__find(STR("json.webpubsub.azure.v1")), &format_json);
    assert_ptr_equal(formats__find(STR("JSON.Reliable.WebPubSub.Azure.V1")), &format_json_reliable);
    assert_null(formats__find(STR("json.webpubsub.azure.v2")));
    assert_null(formats__find(STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_frames),
        cmocka_unit_test(malformed_frames),
        cmocka_unit_test(names_at_their_limits),
        cmocka_unit_test(values_at_their_limits),
        cmocka_unit_test(metadata_at_its_limit),
        cmocka_unit_test(objects_in_objects_cost_nothing),
        cmocka_unit_test(bad_utf8_is_refused),
        cmocka_unit_test(a_hundred_thousand_brackets_are_refused),
        cmocka_unit_test(data_may_have_many_values),
        cmocka_unit_test(control_frames),
        cmocka_unit_test(frames_of_streams),
        cmocka_unit_test(answers_to_invocations),
        cmocka_unit_test(group_states),
        cmocka_unit_test(messages_with_metadata_and_streams),
        cmocka_unit_test(messages_to_json_clients),
        cmocka_unit_test(messages_to_reliable_clients),
        cmocka_unit_test(messages_to_raw_clients),
        cmocka_unit_test(raw_messages_are_events),
        cmocka_unit_test(formats_are_found_without_case),
    };

    return cmocka_run_group_tests_name("JSON frames", tests, NULL, NULL);
}
