/* Frames as a client writes and reads them (client-and-rest sections 2.1 and 2.2). */
#include "client/frames.h"
#include "unit.h"

#include <stdio.h>

#define ARENA_MAX (1u << 20)

static void test_requests(void **state)
{
    static const struct metadata_entry pair[] = {{STR("k"), STR("v")}, {STR("l"), STR("w\"")}};
    const struct {
        const char *want;
        struct frame_request r;
    } rows[] = {
        /* As the official client sends them. */
        {"{\"type\":\"joinGroup\",\"group\":\"g1\",\"ackId\":1}",
         {.kind = FRAME_JOIN_GROUP, .group = STR("g1"), .ack_id = 1}},
        {"{\"type\":\"leaveGroup\",\"group\":\"g\\\"1\",\"ackId\":18446744073709551615}",
         {.kind = FRAME_LEAVE_GROUP, .group = STR("g\"1"), .ack_id = UINT64_MAX}},
        {"{\"type\":\"sendToGroup\",\"group\":\"g1\",\"ackId\":2,\"noEcho\":false,"
         "\"dataType\":\"text\",\"data\":\"hi\"}",
         {.kind = FRAME_SEND_TO_GROUP,
          .group = STR("g1"),
          .ack_id = 2,
          .type = PH_DATA_TEXT,
          .data = STR("hi")}},
        {"{\"type\":\"sendToGroup\",\"group\":\"g\",\"noEcho\":true,\"ttlSeconds\":9,"
         "\"dataType\":\"binary\",\"data\":\"AAE=\",\"metadata\":{\"k\":\"v\",\"l\":\"w\\\"\"}}",
         {.kind = FRAME_SEND_TO_GROUP,
          .group = STR("g"),
          .no_echo = true,
          .ttl_seconds = 9,
          .type = PH_DATA_BINARY,
          .data = STR("\0\1"),
          .metadata = {pair, 2}}},
        {"{\"type\":\"event\",\"event\":\"ev\",\"ackId\":4,\"dataType\":\"json\",\"data\":{\"a\":1}"
         "}",
         {.kind = FRAME_EVENT,
          .event = STR("ev"),
          .ack_id = 4,
          .type = PH_DATA_JSON,
          .data = STR("{\"a\":1}")}},
        {"{\"type\":\"event\",\"event\":\"ev\",\"dataType\":\"protobuf\",\"data\":\"CgA=\"}",
         {.kind = FRAME_EVENT, .event = STR("ev"), .type = PH_DATA_PROTOBUF, .data = STR("\n\0")}},
        {"{\"type\":\"ping\"}", {.kind = FRAME_PING}},
        {"{\"type\":\"sequenceAck\",\"sequenceId\":0}", {.kind = FRAME_SEQUENCE_ACK}},
        {"{\"type\":\"invoke\",\"invocationId\":\"1\",\"target\":\"event\",\"event\":\"inv\","
         "\"dataType\":\"text\",\"data\":\"\"}",
         {.kind = FRAME_INVOKE,
          .invocation_id = STR("1"),
          .event = STR("inv"),
          .type = PH_DATA_TEXT,
          .data = STR("")}},
        {"{\"type\":\"cancelInvocation\",\"invocationId\":\"1\"}",
         {.kind = FRAME_CANCEL_INVOCATION, .invocation_id = STR("1")}},
        {"{\"type\":\"sendToGroup\",\"group\":\"g\",\"noEcho\":false,\"stream\":{\"streamId\":"
         "\"s\","
         "\"idleTimeoutMs\":5}}",
         {.kind = FRAME_STREAM_OPEN,
          .group = STR("g"),
          .stream_id = STR("s"),
          .idle_timeout_ms = 5}},
        {"{\"type\":\"streamData\",\"streamId\":\"s\",\"streamSequenceId\":3,\"dataType\":\"text\","
         "\"data\":\"x\"}",
         {.kind = FRAME_STREAM_DATA,
          .stream_id = STR("s"),
          .stream_sequence_id = 3,
          .type = PH_DATA_TEXT,
          .data = STR("x")}},
        {"{\"type\":\"streamData\",\"streamId\":\"s\"}",
         {.kind = FRAME_STREAM_DATA, .stream_id = STR("s")}},
        {"{\"type\":\"streamEnd\",\"streamId\":\"s\"}",
         {.kind = FRAME_STREAM_END, .stream_id = STR("s")}},
        {"{\"type\":\"streamEnd\",\"streamId\":\"s\",\"error\":{\"message\":\"m\","
         "\"userErrorCode\":\"c\"}}",
         {.kind = FRAME_STREAM_END,
          .stream_id = STR("s"),
          .failed = true,
          .error_message = STR("m"),
          .error_code = STR("c")}},
        {"{\"type\":\"streamEnd\",\"streamId\":\"s\",\"error\":{\"userErrorCode\":\"c\"}}",
         {.kind = FRAME_STREAM_END, .stream_id = STR("s"), .failed = true, .error_code = STR("c")}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct buf b;

        buf__init(&b, 4096);
        frames__encode(&b, &rows[i].r);
        assert_false(b.failed);
        assert_str(buf__view(&b), rows[i].want);
        buf__free(&b);
    }
}

/* What a frame says, in a line. */
static void describe(const struct answer *a, char *out, size_t size)
{
    static const char *const kinds[] = {
        [ANSWER_UNKNOWN] = "unknown",
        [ANSWER_CONNECTED] = "connected",
        [ANSWER_DISCONNECTED] = "disconnected",
        [ANSWER_ACK] = "ack",
        [ANSWER_PONG] = "pong",
        [ANSWER_GROUP_MESSAGE] = "group",
        [ANSWER_SERVER_MESSAGE] = "server",
        [ANSWER_INVOKE_RESPONSE] = "invokeResponse",
        [ANSWER_STREAM_ACK] = "streamAck",
        [ANSWER_STREAM_NACK] = "streamNack",
        [ANSWER_STREAM_CLOSED] = "streamClosed",
    };
    const struct {
        const char *name;
        struct str value;
    } texts[] = {
        {"connection", a->connection_id},
        {"user", a->user_id},
        {"token", a->reconnection_token},
        {"reason", a->reason},
        {"group", a->group},
        {"from", a->from_user_id},
        {"invocation", a->invocation_id},
        {"stream", a->stream_id},
        {"error", a->error.name},
        {"message", a->error.message},
        {"code", a->error.user_code},
        {"data", a->has_data ? a->data : STR_NONE},
    };
    size_t at = (size_t)snprintf(out, size, "%s", kinds[a->kind]);

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (texts[i].value.ptr)
            at += (size_t)snprintf(out + at, size - at, " %s=%.*s", texts[i].name,
                                   STR_FMT(texts[i].value));
    }
    for (size_t i = 0; i < a->metadata.count; i++)
        at += (size_t)snprintf(out + at, size - at, " %s:%s", a->metadata.items[i].name.ptr,
                               a->metadata.items[i].value.ptr);
    snprintf(out + at, size - at, " %llu %llu %llu%s%s", (unsigned long long)a->ack_id,
             (unsigned long long)a->sequence_id,
             (unsigned long long)(a->stream_sequence_id + a->expected_sequence_id),
             a->success ? " ok" : "", a->end_of_stream ? " end" : "");
}

#define MALFORMED "(malformed)"

static const struct {
    const char *frame, *want;
} answers[] = {
    {"{\"type\":\"system\",\"event\":\"connected\",\"userId\":\"ann\",\"connectionId\":\"c1\","
     "\"reconnectionToken\":\"t\"}",
     "connected connection=c1 user=ann token=t 0 0 0"},
    {"{\"type\":\"system\",\"event\":\"connected\",\"userId\":null,\"connectionId\":\"c1\"}",
     "connected connection=c1 0 0 0"},
    {"{\"type\":\"system\",\"event\":\"disconnected\",\"message\":\"bye\"}",
     "disconnected reason=bye 0 0 0"},
    {"{\"type\":\"system\",\"event\":\"other\"}", "unknown 0 0 0"},
    {"{\"type\":\"ack\",\"ackId\":7,\"success\":true}", "ack 7 0 0 ok"},
    {"{\"type\":\"ack\",\"ackId\":7,\"success\":false,\"error\":{\"name\":\"Forbidden\","
     "\"message\":\"no\"}}",
     "ack error=Forbidden message=no 7 0 0"},
    {"{\"type\":\"pong\"}", "pong 0 0 0"},
    {"{\"sequenceId\":3,\"type\":\"message\",\"from\":\"group\",\"group\":\"g\",\"dataType\":"
     "\"json\",\"data\":{\"a\": [1]},\"fromUserId\":\"u\",\"later\":{\"x\":[]}}",
     "group group=g from=u data={\"a\": [1]} 0 3 0"},
    {"{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\",\"dataType\":\"binary\",\"data\":"
     "\"aGk=\",\"metadata\":{\"k\":\"v\"}}",
     "group group=g data=hi k:v 0 0 0"},
    {"{\"type\":\"message\",\"from\":\"server\",\"dataType\":\"text\",\"data\":\"h\\u00e9\"}",
     "server data=h\xc3\xa9 0 0 0"},
    {"{\"type\":\"message\",\"from\":\"server\",\"dataType\":\"json\",\"data\":null}",
     "server data=null 0 0 0"},
    {"{\"type\":\"message\",\"from\":\"elsewhere\",\"dataType\":\"text\",\"data\":\"x\"}",
     "unknown 0 0 0"},
    {"{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\",\"dataType\":\"text\",\"data\":\"\","
     "\"stream\":{\"streamId\":\"s\",\"streamSequenceId\":4,\"endOfStream\":true,\"error\":"
     "{\"name\":\"UserError\",\"message\":\"m\",\"userErrorCode\":\"c\"}}}",
     "group group=g stream=s error=UserError message=m code=c data= 0 0 4 end"},
    {"{\"type\":\"invokeResponse\",\"invocationId\":\"1\",\"success\":true,\"dataType\":\"text\","
     "\"data\":\"x\"}",
     "invokeResponse invocation=1 data=x 0 0 0 ok"},
    {"{\"type\":\"invokeResponse\",\"invocationId\":\"1\",\"success\":true}",
     "invokeResponse invocation=1 0 0 0 ok"},
    {"{\"type\":\"streamAck\",\"streamId\":\"s\",\"expectedSequenceId\":2}",
     "streamAck stream=s 0 0 2"},
    {"{\"type\":\"streamNack\",\"streamId\":\"s\",\"name\":\"InvalidSequenceId\",\"message\":\"m\","
     "\"expectedSequenceId\":2}",
     "streamNack stream=s error=InvalidSequenceId message=m 0 0 2"},
    {"{\"type\":\"streamClosed\",\"streamId\":\"s\"}", "streamClosed stream=s 0 0 0"},
    {"{\"type\":\"groupStateUpdate\",\"group\":\"g\",\"items\":[]}", "unknown 0 0 0"},
    {"[]", MALFORMED},
    {"{}", MALFORMED},
    {"{\"type\":1}", MALFORMED},
    {"{\"type\":\"ack\",\"success\":true}", MALFORMED},
    {"{\"type\":\"ack\",\"ackId\":\"7\",\"success\":true}", MALFORMED},
    {"{\"type\":\"ack\",\"ackId\":-1,\"success\":true}", MALFORMED},
    {"{\"type\":\"ack\",\"ackId\":7}", MALFORMED},
    {"{\"type\":\"ack\",\"ackId\":7,\"success\":false,\"error\":\"x\"}", MALFORMED},
    {"{\"type\":\"message\",\"from\":\"server\",\"data\":\"x\"}", MALFORMED},
    {"{\"type\":\"message\",\"from\":\"server\",\"dataType\":\"blob\",\"data\":\"x\"}", MALFORMED},
    {"{\"type\":\"message\",\"from\":\"server\",\"dataType\":\"text\",\"data\":1}", MALFORMED},
    {"{\"type\":\"message\",\"from\":\"server\",\"dataType\":\"binary\",\"data\":\"?\"}",
     MALFORMED},
    {"{\"type\":\"message\",\"from\":\"group\",\"dataType\":\"text\",\"data\":\"x\"}", MALFORMED},
    {"{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\",\"dataType\":\"text\",\"data\":\"\","
     "\"stream\":{\"streamSequenceId\":4}}",
     MALFORMED},
    {"{\"type\":\"system\",\"event\":\"connected\"}", MALFORMED},
};

static void check(struct str frame, const char *want)
{
    struct arena a;
    struct answer answer;
    struct diag diag = {""};
    char got[1024] = MALFORMED;

    arena__init(&a, NULL, 0, ARENA_MAX);
    if (frames__decode(&a, frame, &answer, &diag) == PH_OK)
        describe(&answer, got, sizeof(got));
    else
        assert_true(diag.text[0]);
    if (strcmp(got, want) != 0)
        fail_msg("%.*s\n  gives %s\n  want  %s", STR_FMT(frame), got, want);
    arena__free(&a);
}

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++)
        check(str__of(answers[i].frame), answers[i].want);
}

/* Each in a block of its own, so that the sanitizer sees a step outside. */
static void test_cut_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        size_t len = strlen(answers[i].frame);

        for (size_t cut = 0; cut < len; cut++) {
            char *copy = malloc(cut + 1);

            assert_non_null(copy);
            memcpy(copy, answers[i].frame, cut);
            check(str__n(copy, cut), MALFORMED);
            free(copy);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_cut_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
