/* Each field of each frame that clients may send (client-and-rest sections 2.1 to 2.7), in
 * both encodings: missing, of every other type, at its limits and beyond. The vectors say
 * what frames mean; these tables see to it that no cell of field and fault is left out. */
#include "base/buf.h"
#include "broker/wire/check.h"
#include "broker/wire/formats.h"
#include "protobuf_text.h"
#include "unit.h"

#include <stdio.h>

#define TEXT_MAX (1u << 20)
#define MAX_VALUES 8

/* A value as it is written: START, COUNT times UNIT, END. A text alone is a START. */
struct value {
    const char *start, *unit;
    size_t count;
    const char *end;
};

/* What a field may be; `forms` are those of its encoding, a bit for each. */
struct kind {
    unsigned forms;
    struct value good[MAX_VALUES], bad[MAX_VALUES];
};

enum presence { REQUIRED, OPTIONAL };

/* A frame that is valid but for the field, whose place is `@`. */
struct field {
    enum command_kind frame;
    const char *text;
    const char *name; /* of the field, as it is written */
    enum presence presence;
    const struct kind *kind;
    const char *called; /* in the refusal; NULL: by its name */
};

struct encoding {
    const struct format *plain, *reliable;
    /* Of a form: a value that has it. */
    const char *const *forms;
    size_t form_count;
    void (*write_field)(struct buf *out, const char *name);
    void (*write_frame)(struct buf *out, struct str text);
};

/* --- One cell ---------------------------------------------------------------- */

static void write_value(struct buf *out, const struct value *v)
{
    buf__str(out, str__of(v->start));
    for (size_t i = 0; i < v->count; i++)
        buf__str(out, str__of(v->unit));
    if (v->end)
        buf__str(out, str__of(v->end));
}

/* The frame with the field as `v`, or without it. */
static void write_cell(struct buf *out, const struct encoding *e, const struct field *f,
                       const struct value *v)
{
    const char *hole = strchr(f->text, '@');
    struct buf text;

    assert_non_null(hole);
    buf__init(&text, TEXT_MAX);
    buf__append(&text, f->text, (size_t)(hole - f->text));
    if (v) {
        e->write_field(&text, f->name);
        write_value(&text, v);
    }
    buf__str(&text, str__of(hole + 1));
    e->write_frame(out, buf__view(&text));
    buf__free(&text);
}

/* Of what is no frame at all, in which no field can be named. */
static const char *format_refusal(const struct format *format)
{
    return format->accepts_binary ? "does not parse as one" : "no JSON frame: not valid JSON";
}

static void check_with(const struct format *format, struct str frame, const struct field *f,
                       bool good)
{
    const char *called = f->called ? f->called : f->name;
    struct command cmd;
    struct diag diag = {""};
    struct arena arena;
    enum ph_err err;

    arena__init(&arena, NULL, 0, 8 * TEXT_MAX);
    err = format->decode(&arena, format->accepts_binary, frame, &cmd, &diag);
    if (err != (good ? PH_OK : PH_ERR_SYNTAX))
        fail_msg("%s %s, %s: %d %s: %.*s", check__frame_name(f->frame).ptr, f->name,
                 good ? "good" : "bad", err, diag.text, (int)(frame.len < 200 ? frame.len : 200),
                 frame.ptr);
    if (good)
        assert_int_equal(cmd.kind, f->frame);
    else if (!strstr(diag.text, called) && !strstr(diag.text, format_refusal(format)))
        fail_msg("%s: the refusal does not name %s: %s", f->text, called, diag.text);
    arena__free(&arena);
}

static void check_cell(const struct encoding *e, const struct field *f, const struct value *v,
                       bool good)
{
    struct buf frame;

    buf__init(&frame, TEXT_MAX);
    write_cell(&frame, e, f, v);
    if (f->frame != COMMAND_SEQUENCE_ACK)
        check_with(e->plain, buf__view(&frame), f, good);
    check_with(e->reliable, buf__view(&frame), f, good);
    buf__free(&frame);
}

static void check_field(const struct encoding *e, const struct field *f)
{
    check_cell(e, f, NULL, f->presence == OPTIONAL);
    for (size_t i = 0; i < e->form_count; i++) {
        if (!(f->kind->forms & 1u << i))
            check_cell(e, f, &(struct value){.start = e->forms[i]}, false);
    }
    assert_non_null(f->kind->good[0].start);
    for (size_t i = 0; i < MAX_VALUES && f->kind->good[i].start; i++)
        check_cell(e, f, &f->kind->good[i], true);
    for (size_t i = 0; i < MAX_VALUES && f->kind->bad[i].start; i++)
        check_cell(e, f, &f->kind->bad[i], false);
}

static void check_table(const struct encoding *e, const struct field *fields, size_t count,
                        unsigned without)
{
    unsigned seen = without;

    for (size_t i = 0; i < count; i++) {
        seen |= 1u << fields[i].frame;
        check_field(e, &fields[i]);
    }
    assert_int_equal(seen, (1u << COMMAND_COUNT) - 1); /* no frame is left out */
}

/* --- JSON -------------------------------------------------------------------- */

enum json_form { NUL, BOOL, NUMBER, STRING, ARRAY, OBJECT };
static const char *const json_forms[] = {"null", "true", "7", "\"x\"", "[]", "{}"};

#define F(form) (1u << (form))

static const struct kind json_group = {
    F(STRING),
    {{.start = "\"g\""},
     {.start = "\" x \""},
     {"\"", "g", 1024, "\""},
     {"\"", "\xf0\x9f\x98\x80", 1024, "\""}}, /* characters, not bytes */
    {{.start = "\"\""}, {.start = "\" \\t\""}, {"\"", "g", 1025, "\""}, {.start = "\"\xff\""}},
};
static const struct kind json_event = {
    F(STRING),
    {{.start = "\"A0_.-z\""}, {"\"", "e", 128, "\""}},
    {{.start = "\"\""},
     {.start = "\"1a\""},
     {.start = "\"a b\""},
     {.start = "\"\xc3\xa9\""},
     {"\"", "e", 129, "\""}},
};
static const struct kind json_id = {
    F(STRING),
    {{.start = "\"1\""}, {"\"", "s", 256, "\""}, {"\"", "\xc3\xa9", 128, "\""}},
    {{.start = "\"\""}, {"\"", "s", 257, "\""}, {"\"", "\xc3\xa9", 129, "\""}},
};
#define JSON_NUMBERS                                                                               \
    {{.start = "0"}, {.start = "18446744073709551615"}},                                           \
    {                                                                                              \
        {.start = "18446744073709551616"}, {.start = "-1"}, {.start = "1.0"}, {.start = "1e3"},    \
        {                                                                                          \
            .start = "-0.5"                                                                        \
        }                                                                                          \
    }
static const struct kind json_ack_id = {F(NUMBER) | F(NUL), JSON_NUMBERS};
static const struct kind json_sequence_id = {F(NUMBER), JSON_NUMBERS};
static const struct kind json_bool = {F(BOOL), {{.start = "true"}, {.start = "false"}}, {{0}}};
static const struct kind json_ttl = {
    F(NUMBER) | F(NUL),
    {{.start = "0"}, {.start = "300"}, {.start = "null"}},
    {{.start = "301"}, {.start = "-1"}, {.start = "1.5"}, {.start = "99999999999999999999"}},
};
static const struct kind json_idle = {
    F(NUMBER) | F(NUL),
    {{.start = "1"}, {.start = "4294967295"}, {.start = "null"}},
    {{.start = "0"}, {.start = "4294967296"}, {.start = "-1"}, {.start = "1.5"}},
};
/* Beside data that is right for each of them. */
static const struct kind json_data_type = {
    F(STRING),
    {{.start = "\"text\""},
     {.start = "\"json\""},
     {.start = "\"binary\""},
     {.start = "\"protobuf\""},
     {.start = "\"TEXT\""}},
    {{.start = "\"\""}, {.start = "\"xml\""}, {.start = "\"text \""}},
};
static const struct kind json_text = {F(STRING), {{.start = "\"\""}}, {{.start = "\"\xff\""}}};
static const struct kind json_json = {
    F(BOOL) | F(NUMBER) | F(STRING) | F(ARRAY) | F(OBJECT),
    {{.start = "false"},
     {.start = "0"},
     {.start = "\"\""},
     {.start = "[null]"},
     {.start = "{}"},
     {"[", "[],", 20000, "0]"}},
    {{.start = "null"}},
};
static const struct kind json_base64 = {
    F(STRING) | F(NUL), /* null is among the bad ones */
    {{.start = "\"\""}, {.start = "\"aGVsbG8=\""}},
    {{.start = "null"},
     {.start = "\"aGVsbG8\""},
     {.start = "\"aGVs bG8=\""},
     {.start = "\"__8=\""},
     {.start = "\"%\""}},
};
static const struct kind json_metadata = {
    F(OBJECT) | F(NUL),
    {{.start = "{}"},
     {.start = "null"},
     {.start = "{\"a\":\"\"}"},
     {"{\"", "n", 256, "\":\"\"}"},
     {"{\"n\":\"", "v", 1024, "\"}"}},
    {{.start = "{\"\":\"\"}"},
     {.start = "{\"a\":1}"},
     {.start = "{\"a\":null}"},
     {.start = "{\"a b\":\"\"}"},
     {.start = "{\"a\":\"\",\"A\":\"\"}"},
     {.start = "{\"a\":\"\xc3\xa9\"}"},
     {"{\"", "n", 257, "\":\"\"}"},
     {"{\"n\":\"", "v", 1025, "\"}"}},
};
static const struct kind json_state = {
    F(OBJECT) | F(NUL),
    {{.start = "{}"},
     {.start = "null"},
     {.start = "{\"\":\"\"}"},
     {"{\"a\":\"", "v", 2000, "\"}"}, /* more than 512 bytes are refused by an ack */
     {"{\"b\":\"\"", ",\"a\":\"\"", 999, "}"}},
    {{.start = "{\"a\":1}"}, {.start = "{\"a\":null}"}, {"{\"b\":\"\"", ",\"a\":\"\"", 1000, "}"}},
};
static const struct kind json_stream = {
    F(OBJECT),
    {{.start = "{\"streamId\":\"s\"}"}, {"{\"streamId\":\"s\"", ",\"x\":1", 15, "}"}},
    {{.start = "{\"idleTimeoutMs\":1}"}, {"{\"streamId\":\"s\"", ",\"x\":1", 16, "}"}},
};
static const struct kind json_error = {
    F(OBJECT) | F(NUL),
    {{.start = "{}"}, {.start = "null"}, {"{\"x\":1", ",\"x\":1", 15, "}"}},
    {{"{\"x\":1", ",\"x\":1", 16, "}"}},
};
/* Of a frame whose size is their limit. */
static const struct kind json_error_text = {
    F(STRING) | F(NUL), {{.start = "\"\""}, {"\"", "x", 100000, "\""}}, {{.start = "\"\xff\""}}};
static const struct kind json_target = {
    F(STRING) | F(NUL),
    {{.start = "\"event\""}, {.start = "\"EVENT\""}, {.start = "null"}},
    {{.start = "\"\""}, {.start = "\"group\""}},
};
static const struct kind json_anything = {
    F(NUL) | F(BOOL) | F(NUMBER) | F(STRING) | F(ARRAY) | F(OBJECT), {{.start = "1"}}, {{0}}};

#define JSON_DATA(frame, more, presence)                                                            \
    {                                                                                               \
        COMMAND_##frame, more ",\"data\":\"aGVsbG8=\"@}",                                           \
        "dataType",      OPTIONAL,                                                                  \
        &json_data_type, NULL},                                                                     \
        {COMMAND_##frame, more ",\"dataType\":\"text\"@}", "data", presence, &json_text, NULL},     \
        {COMMAND_##frame, more ",\"dataType\":\"json\"@}", "data", presence, &json_json, NULL},     \
        {COMMAND_##frame, more ",\"dataType\":\"binary\"@}", "data", presence, &json_base64, NULL}, \
    {                                                                                               \
        COMMAND_##frame, more ",\"dataType\":\"protobuf\"@}", "data", presence, &json_base64, NULL  \
    }

#define JSON_OF_GROUP(frame, type)                                                                 \
    {                                                                                              \
        COMMAND_##frame, "{\"type\":\"" type "\",\"ackId\":1@}",                                   \
        "group",         REQUIRED,                                                                 \
        &json_group,     NULL},                                                                    \
    {                                                                                              \
        COMMAND_##frame, "{\"type\":\"" type "\",\"group\":\"g\"@}", "ackId", OPTIONAL,            \
            &json_ack_id, NULL                                                                     \
    }

#define SEND "{\"type\":\"sendToGroup\",\"group\":\"g\""
#define EVENT "{\"type\":\"event\",\"event\":\"e\""
#define INVOKE "{\"type\":\"invoke\",\"invocationId\":\"1\",\"event\":\"e\""
#define ANSWER "{\"type\":\"invokeResponse\",\"invocationId\":\"1\",\"success\":true"
#define PIECE "{\"type\":\"streamData\",\"streamId\":\"s\""

static const struct field json_fields[] = {
    JSON_OF_GROUP(JOIN_GROUP, "joinGroup"),
    JSON_OF_GROUP(LEAVE_GROUP, "leaveGroup"),
    {COMMAND_SEND_TO_GROUP, "{\"type\":\"sendToGroup\",\"data\":1@}", "group", REQUIRED,
     &json_group, NULL},
    {COMMAND_SEND_TO_GROUP, SEND ",\"data\":1@}", "ackId", OPTIONAL, &json_ack_id, NULL},
    {COMMAND_SEND_TO_GROUP, SEND ",\"data\":1@}", "noEcho", OPTIONAL, &json_bool, NULL},
    {COMMAND_SEND_TO_GROUP, SEND ",\"data\":1@}", "ttlSeconds", OPTIONAL, &json_ttl, NULL},
    {COMMAND_SEND_TO_GROUP, SEND ",\"data\":1@}", "metadata", OPTIONAL, &json_metadata, NULL},
    JSON_DATA(SEND_TO_GROUP, SEND, REQUIRED),
    {COMMAND_SEND_TO_GROUP, SEND ",\"metadata\":{\"a\":\"\"}@}", "data", OPTIONAL, &json_json,
     NULL},
    {COMMAND_SEND_TO_GROUP, SEND "@}", "stream", REQUIRED, &json_stream, ""},
    {COMMAND_SEND_TO_GROUP, SEND ",\"stream\":{\"x\":1@}}", "streamId", REQUIRED, &json_id, NULL},
    {COMMAND_SEND_TO_GROUP, SEND ",\"stream\":{\"streamId\":\"s\"@}}", "idleTimeoutMs", OPTIONAL,
     &json_idle, NULL},
    {COMMAND_EVENT, "{\"type\":\"event\",\"data\":1@}", "event", REQUIRED, &json_event, NULL},
    {COMMAND_EVENT, EVENT ",\"data\":1@}", "ackId", OPTIONAL, &json_ack_id, NULL},
    {COMMAND_EVENT, EVENT ",\"data\":1@}", "metadata", OPTIONAL, &json_metadata, NULL},
    JSON_DATA(EVENT, EVENT, REQUIRED),
    {COMMAND_PING, "{\"type\":\"ping\"@}", "ackId", OPTIONAL, &json_anything, NULL},
    {COMMAND_SEQUENCE_ACK, "{\"type\":\"sequenceAck\"@}", "sequenceId", REQUIRED, &json_sequence_id,
     NULL},
    {COMMAND_INVOKE, "{\"type\":\"invoke\",\"event\":\"e\",\"data\":1@}", "invocationId", REQUIRED,
     &json_id, NULL},
    {COMMAND_INVOKE, "{\"type\":\"invoke\",\"invocationId\":\"1\",\"data\":1@}", "event", REQUIRED,
     &json_event, NULL},
    {COMMAND_INVOKE, INVOKE ",\"data\":1@}", "target", OPTIONAL, &json_target, NULL},
    {COMMAND_INVOKE, INVOKE ",\"data\":1@}", "metadata", OPTIONAL, &json_metadata, NULL},
    JSON_DATA(INVOKE, INVOKE, OPTIONAL),
    {COMMAND_CANCEL_INVOCATION, "{\"type\":\"cancelInvocation\"@}", "invocationId", REQUIRED,
     &json_id, NULL},
    {COMMAND_INVOKE_RESPONSE, "{\"type\":\"invokeResponse\",\"success\":true@}", "invocationId",
     REQUIRED, &json_id, NULL},
    {COMMAND_INVOKE_RESPONSE, "{\"type\":\"invokeResponse\",\"invocationId\":\"1\"@}", "success",
     REQUIRED, &json_bool, NULL},
    {COMMAND_INVOKE_RESPONSE, ANSWER "@}", "error", OPTIONAL, &json_error, NULL},
    {COMMAND_INVOKE_RESPONSE, ANSWER ",\"error\":{\"x\":1@}}", "name", OPTIONAL, &json_error_text,
     NULL},
    {COMMAND_INVOKE_RESPONSE, ANSWER ",\"error\":{\"x\":1@}}", "message", OPTIONAL,
     &json_error_text, NULL},
    JSON_DATA(INVOKE_RESPONSE, ANSWER, OPTIONAL),
    {COMMAND_STREAM_DATA, "{\"type\":\"streamData\"@}", "streamId", REQUIRED, &json_id, NULL},
    {COMMAND_STREAM_DATA, PIECE ",\"data\":1@}", "streamSequenceId", REQUIRED, &json_sequence_id,
     NULL},
    {COMMAND_STREAM_DATA, PIECE "@}", "streamSequenceId", OPTIONAL,
     &(const struct kind){F(NUL) | F(NUMBER), {{.start = "null"}}, {{.start = "1"}}}, NULL},
    JSON_DATA(STREAM_DATA, PIECE ",\"streamSequenceId\":1", REQUIRED),
    {COMMAND_STREAM_END, "{\"type\":\"streamEnd\"@}", "streamId", REQUIRED, &json_id, NULL},
    {COMMAND_STREAM_END, "{\"type\":\"streamEnd\",\"streamId\":\"s\"@}", "error", OPTIONAL,
     &json_error, NULL},
    {COMMAND_STREAM_END, "{\"type\":\"streamEnd\",\"streamId\":\"s\",\"error\":{\"x\":1@}}",
     "message", OPTIONAL, &json_error_text, NULL},
    {COMMAND_STREAM_END, "{\"type\":\"streamEnd\",\"streamId\":\"s\",\"error\":{\"x\":1@}}",
     "userErrorCode", OPTIONAL, &json_error_text, NULL},
    JSON_OF_GROUP(SET_GROUP_STATE, "setGroupState"),
    {COMMAND_SET_GROUP_STATE, "{\"type\":\"setGroupState\",\"group\":\"g\"@}", "state", OPTIONAL,
     &json_state, NULL},
    JSON_OF_GROUP(SUBSCRIBE_GROUP_STATE, "subscribeGroupState"),
    JSON_OF_GROUP(UNSUBSCRIBE_GROUP_STATE, "unsubscribeGroupState"),
};

static void write_json_member(struct buf *out, const char *name)
{
    buf__printf(out, ",\"%s\":", name);
}

static void write_json_frame(struct buf *out, struct str text)
{
    buf__str(out, text);
}

static void json_cells(void **state)
{
    static const struct encoding json = {&format_json,      &format_json_reliable, json_forms, 6,
                                         write_json_member, write_json_frame};

    (void)state;
    check_table(&json, json_fields, sizeof(json_fields) / sizeof(json_fields[0]), 0);
}

/* --- Protobuf: values as protobuf_text.h has them, behind the number of the field ----- */

enum protobuf_form { VARINT, FIXED64, LENGTH, FIXED32 };
static const char *const protobuf_forms[] = {":7", "#0001020304050607", ":\"x\"", "#00010203"};

static const struct kind pb_group = {
    F(LENGTH),
    {{.start = ":\"g\""},
     {.start = ":\" x \""},
     {":\"", "g", 1024, "\""},
     {":\"", "\xf0\x9f\x98\x80", 1024, "\""}},
    {{.start = ":\"\""},
     {.start = ":\" \\x09\""},
     {":\"", "g", 1025, "\""},
     {.start = ":\"\\xff\""}},
};
static const struct kind pb_event = {
    F(LENGTH),
    {{.start = ":\"A0_.-z\""}, {":\"", "e", 128, "\""}},
    {{.start = ":\"\""},
     {.start = ":\"1a\""},
     {.start = ":\"a b\""},
     {.start = ":\"\\xff\""},
     {":\"", "e", 129, "\""}},
};
static const struct kind pb_id = {
    F(LENGTH),
    {{.start = ":\"1\""}, {":\"", "s", 256, "\""}, {":\"", "\xc3\xa9", 128, "\""}},
    {{.start = ":\"\""}, {.start = ":\"\\xff\""}, {":\"", "s", 257, "\""}},
};
static const struct kind pb_u64 = {
    F(VARINT), {{.start = ":0"}, {.start = ":18446744073709551615"}}, {{0}}};
static const struct kind pb_bool = {F(VARINT), {{.start = ":0"}, {.start = ":1"}}, {{0}}};
static const struct kind pb_ttl = {
    F(VARINT), {{.start = ":0"}, {.start = ":300"}}, {{.start = ":301"}, {.start = ":4294967295"}}};
static const struct kind pb_idle = {
    F(VARINT), {{.start = ":1"}, {.start = ":4294967295"}}, {{.start = ":0"}}};
static const struct kind pb_text = {
    F(LENGTH), {{.start = ":\"\""}, {":\"", "x", 100000, "\""}}, {{.start = ":\"\\xff\""}}};
static const struct kind pb_bytes = {
    F(LENGTH), {{.start = ":\"\""}, {.start = ":\"\\xff\""}, {":\"", "x", 100000, "\""}}, {{0}}};
static const struct kind pb_any = {
    F(LENGTH),
    {{.start = "{}"}, {.start = "{1:\"t\" 2:\"\\xff\"}"}},
    {{.start = ":\"x\""}, {.start = "{1:1}"}, {.start = "{1:\"\\xff\"}"}},
};
static const struct kind pb_json = {
    F(LENGTH),
    {{.start = ":\"0\""}, {.start = ":\"[null]\""}, {":\"[", "[],", 20000, "0]\""}},
    {{.start = ":\"\""},
     {.start = ":\"null\""},
     {.start = ":\"{\""},
     {.start = ":\"1 2\""},
     {.start = ":\"\\\"\\xff\\\"\""}},
};
static const struct kind pb_data = {
    F(LENGTH),
    {{.start = "{1:\"\"}"}, {.start = "{2:\"\"}"}, {.start = "{3{}}"}, {.start = "{4:\"1\"}"}},
    {{.start = "{}"}, {.start = "{9:1}"}, {.start = ":\"x\""}},
};
/* Where none is needed, empty is none. */
static const struct kind pb_optional_data = {
    F(LENGTH), {{.start = "{1:\"\"}"}, {.start = "{}"}}, {{.start = ":\"x\""}}};
static const struct kind pb_metadata = {
    F(LENGTH),
    {{.start = "{1:\"a\"}"}, {.start = "{1:\"a\" 2:\"b\"}"}},
    {{.start = "{}"}, {.start = "{1:\"a b\"}"}},
};
static const struct kind pb_metadata_name = {
    F(LENGTH),
    {{.start = ":\"a\""}, {":\"", "n", 256, "\""}},
    {{.start = ":\"\""}, {.start = ":\"\\xff\""}, {":\"", "n", 257, "\""}},
};
static const struct kind pb_metadata_value = {
    F(LENGTH),
    {{.start = ":\"\""}, {":\"", "v", 1024, "\""}},
    {{.start = ":\"\xc3\xa9\""}, {.start = ":\"\\xff\""}, {":\"", "v", 1025, "\""}},
};
static const struct kind pb_stream = {
    F(LENGTH), {{.start = "{1:\"s\"}"}}, {{.start = "{}"}, {.start = "{2:1}"}}};
static const struct kind pb_error = {F(LENGTH), {{.start = "{}"}}, {{.start = ":\"x\""}}};
static const struct kind pb_state = {
    F(LENGTH),
    {{.start = "{}"}, {"{", "1{1:\"a\"} ", 1000, "}"}},
    {{.start = ":\"x\""}, {"{", "1{1:\"a\"} ", 1001, "}"}},
};
static const struct kind pb_state_entry = {
    F(LENGTH), {{.start = "{}"}, {.start = "{1:\"a\" 2:\"b\"}"}}, {{.start = ":\"x\""}}};

#define PB_OF_GROUP(frame, number)                                                                 \
    {COMMAND_##frame, number "{2:1 @}", "1", REQUIRED, &pb_group, "\"group\""},                    \
    {                                                                                              \
        COMMAND_##frame, number "{1:\"g\" @}", "2", OPTIONAL, &pb_u64, NULL                        \
    }

/* The kinds of data, in a message whose text goes on behind `more`. */
#define PB_DATA(frame, more, presence)                                                             \
    {COMMAND_##frame, more "{@}}", "1", presence, &pb_text, "ata\""},                              \
        {COMMAND_##frame, more "{@}}", "2", presence, &pb_bytes, "ata\""},                         \
        {COMMAND_##frame, more "{@}}", "3", presence, &pb_any, "ata\""},                           \
    {                                                                                              \
        COMMAND_##frame, more "{@}}", "4", presence, &pb_json, "ata\""                             \
    }

#define PB_METADATA(frame, more, number)                                                           \
    {COMMAND_##frame, more " @}", number, OPTIONAL, &pb_metadata, "\"metadata\""},                 \
        {COMMAND_##frame, more " " number "{2:\"b\" @}}", "1", REQUIRED, &pb_metadata_name,        \
         "\"metadata\""},                                                                          \
    {                                                                                              \
        COMMAND_##frame, more " " number "{1:\"a\" @}}", "2", OPTIONAL, &pb_metadata_value,        \
            "\"metadata\""                                                                         \
    }

static const struct field protobuf_fields[] = {
    {COMMAND_SEND_TO_GROUP, "1{3{1:\"x\"} @}", "1", REQUIRED, &pb_group, "\"group\""},
    {COMMAND_SEND_TO_GROUP, "1{1:\"g\" 3{1:\"x\"} @}", "2", OPTIONAL, &pb_u64, NULL},
    {COMMAND_SEND_TO_GROUP, "1{1:\"g\" @}", "3", REQUIRED, &pb_data, "ata\""},
    PB_DATA(SEND_TO_GROUP, "1{1:\"g\" 3", REQUIRED),
    {COMMAND_SEND_TO_GROUP, "1{1:\"g\" 3{1:\"x\"} @}", "4", OPTIONAL, &pb_bool, NULL},
    {COMMAND_SEND_TO_GROUP, "1{1:\"g\" 3{1:\"x\"} @}", "5", OPTIONAL, &pb_ttl, "\"ttlSeconds\""},
    PB_METADATA(SEND_TO_GROUP, "1{1:\"g\" 3{1:\"x\"}", "6"),
    {COMMAND_SEND_TO_GROUP, "1{1:\"g\" @}", "7", REQUIRED, &pb_stream, ""},
    {COMMAND_SEND_TO_GROUP, "1{1:\"g\" 7{@}}", "1", REQUIRED, &pb_id, "\"streamId\""},
    {COMMAND_SEND_TO_GROUP, "1{1:\"g\" 7{1:\"s\" @}}", "2", OPTIONAL, &pb_idle,
     "\"idleTimeoutMs\""},
    {COMMAND_EVENT, "5{2{1:\"x\"} @}", "1", REQUIRED, &pb_event, "\"event\""},
    {COMMAND_EVENT, "5{1:\"e\" @}", "2", REQUIRED, &pb_data, "ata\""},
    PB_DATA(EVENT, "5{1:\"e\" 2", REQUIRED),
    {COMMAND_EVENT, "5{1:\"e\" 2{1:\"x\"} @}", "3", OPTIONAL, &pb_u64, NULL},
    PB_METADATA(EVENT, "5{1:\"e\" 2{1:\"x\"}", "4"),
    PB_OF_GROUP(JOIN_GROUP, "6"),
    PB_OF_GROUP(LEAVE_GROUP, "7"),
    {COMMAND_SEQUENCE_ACK, "8{@}", "1", OPTIONAL, &pb_u64, NULL},
    {COMMAND_PING, "@", "9", REQUIRED, &(const struct kind){F(LENGTH), {{.start = "{}"}}, {{0}}},
     "UpstreamMessage"},
    {COMMAND_INVOKE, "10{2:\"1\" @}", "1", REQUIRED, &pb_event, "\"event\""},
    {COMMAND_INVOKE, "10{1:\"e\" @}", "2", REQUIRED, &pb_id, "\"invocationId\""},
    {COMMAND_INVOKE, "10{1:\"e\" 2:\"1\" @}", "3", OPTIONAL, &pb_optional_data, NULL},
    PB_DATA(INVOKE, "10{1:\"e\" 2:\"1\" 3", OPTIONAL),
    PB_METADATA(INVOKE, "10{1:\"e\" 2:\"1\"", "4"),
    {COMMAND_CANCEL_INVOCATION, "11{@}", "1", REQUIRED, &pb_id, "\"invocationId\""},
    {COMMAND_STREAM_DATA, "13{@}", "1", REQUIRED, &pb_id, "\"streamId\""},
    {COMMAND_STREAM_DATA, "13{1:\"s\" 3{1:\"x\"} @}", "2", REQUIRED, &pb_u64, "ata\""},
    {COMMAND_STREAM_DATA, "13{1:\"s\" 2:1 @}", "3", REQUIRED, &pb_data, "ata\""},
    PB_DATA(STREAM_DATA, "13{1:\"s\" 2:1 3", REQUIRED),
    {COMMAND_STREAM_END, "14{@}", "1", REQUIRED, &pb_id, "\"streamId\""},
    {COMMAND_STREAM_END, "14{1:\"s\" @}", "2", OPTIONAL, &pb_error, NULL},
    {COMMAND_STREAM_END, "14{1:\"s\" 2{@}}", "1", OPTIONAL, &pb_text, "error.message"},
    {COMMAND_STREAM_END, "14{1:\"s\" 2{@}}", "2", OPTIONAL, &pb_text, "error.userErrorCode"},
    PB_OF_GROUP(SET_GROUP_STATE, "15"),
    {COMMAND_SET_GROUP_STATE, "15{1:\"g\" @}", "3", OPTIONAL, &pb_state, "\"state\""},
    {COMMAND_SET_GROUP_STATE, "15{1:\"g\" 3{@}}", "1", OPTIONAL, &pb_state_entry, "\"state\""},
    {COMMAND_SET_GROUP_STATE, "15{1:\"g\" 3{1{@}}}", "1", OPTIONAL, &pb_text, "\"state\""},
    {COMMAND_SET_GROUP_STATE, "15{1:\"g\" 3{1{@}}}", "2", OPTIONAL, &pb_text, "\"state\""},
    PB_OF_GROUP(SUBSCRIBE_GROUP_STATE, "16"),
    PB_OF_GROUP(UNSUBSCRIBE_GROUP_STATE, "17"),
};

static void write_number(struct buf *out, const char *name)
{
    buf__str(out, str__of(name));
}

static void protobuf_cells(void **state)
{
    static const struct encoding protobuf = {&format_protobuf, &format_protobuf_reliable,
                                             protobuf_forms,   4,
                                             write_number,     protobuf_text__write};

    (void)state;
    /* Of the answer to an invocation the schema has no frame. */
    check_table(&protobuf, protobuf_fields, sizeof(protobuf_fields) / sizeof(protobuf_fields[0]),
                1u << COMMAND_INVOKE_RESPONSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_cells),
        cmocka_unit_test(protobuf_cells),
    };

    return cmocka_run_group_tests_name("cells of frames", tests, NULL, NULL);
}
