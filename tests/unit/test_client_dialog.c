/* The dialog of a client with the service, without a socket or a clock: what it does is
 * written down, a line for each thing, and compared. */
#include "client/dialog.h"
#include "memory_kit.h"
#include "unit.h"

#include <stdio.h>

#define CONNECTED                                                                                  \
    "{\"type\":\"system\",\"event\":\"connected\",\"userId\":\"ann\",\"connectionId\":\"c1\","     \
    "\"reconnectionToken\":\"t/1\"}"
#define PING "> {\"type\":\"ping\"}\n"

struct shell {
    struct dialog *dialog;
    struct dialog_settings settings;
    struct map_seed seed;
    struct buf log;
    size_t room; /* frames that fit */
    uint64_t ack_id;
    int64_t now;
    uint64_t heard; /* fragments */
    bool quiet;     /* nobody reads the log */
};

#define NOTE(s, ...)                                                                               \
    do {                                                                                           \
        if (!(s)->quiet)                                                                           \
            buf__printf(&(s)->log, __VA_ARGS__);                                                   \
    } while (0)

static void need_url(void *ctx)
{
    NOTE((struct shell *)ctx, "need url\n");
}

static void open_socket(void *ctx, struct str url)
{
    NOTE((struct shell *)ctx, "open %.*s\n", STR_FMT(url));
}

static void close_socket(void *ctx)
{
    NOTE((struct shell *)ctx, "close\n");
}

static void drop_socket(void *ctx)
{
    NOTE((struct shell *)ctx, "drop\n");
}

static bool write_frame(void *ctx, bool binary, struct str frame)
{
    struct shell *s = ctx;

    NOTE(s, "%s %.*s\n", binary ? ">>" : ">", STR_FMT(frame));
    if (s->room != SIZE_MAX && s->room > 0)
        s->room--;
    return true;
}

static bool write_ping(void *ctx)
{
    NOTE((struct shell *)ctx, "> ping\n");
    return true;
}

static bool has_room(void *ctx)
{
    return ((struct shell *)ctx)->room > 0;
}

static uint64_t new_ack_id(void *ctx)
{
    return ++((struct shell *)ctx)->ack_id;
}

static uint32_t chance(void *ctx)
{
    (void)ctx;
    return 0;
}

static void finished(void *ctx, struct op *op, const struct ph_client_result *r)
{
    struct shell *s = ctx;

    NOTE(s, "done %s: %d%s%s%s\n", (const char *)op->arg, r->err, r->duplicate ? " duplicate" : "",
         r->name[0] ? " " : "", r->name);
    op__free(op);
}

static void connected(void *ctx, struct str id, struct str user)
{
    NOTE((struct shell *)ctx, "connected %.*s %.*s\n", STR_FMT(id), STR_FMT(user));
}

static void disconnected(void *ctx, struct str id, struct str reason)
{
    NOTE((struct shell *)ctx, "disconnected %.*s: %.*s\n", STR_FMT(id), STR_FMT(reason));
}

static void stopped(void *ctx)
{
    NOTE((struct shell *)ctx, "stopped\n");
}

static void message(void *ctx, const struct answer *a, struct ph_client_incoming *stream)
{
    NOTE((struct shell *)ctx, "%s %.*s\n", stream ? stream->stream_id : "message",
         STR_FMT(a->data));
}

/* The dialog asks whether there is one; a client would call it. */
static void read_fragment(struct ph_client_incoming *stream, const struct ph_client_message *m,
                          void *arg)
{
    (void)stream, (void)m, (void)arg;
}

/* Those whose id is a small letter are wanted. */
static void incoming_begun(void *ctx, struct ph_client_incoming *stream)
{
    NOTE((struct shell *)ctx, "begun %s in %s at %d\n", stream->stream_id, stream->group,
         (int)stream->sequence_id);
    if (stream->stream_id[0] >= 'a')
        stream->fragment = read_fragment;
    stream->idle_timeout_ms = stream->stream_id[0] == 'q' ? 1000 : 0;
}

static void incoming_ended(void *ctx, struct ph_client_incoming *stream,
                           const struct ph_client_result *r)
{
    NOTE((struct shell *)ctx, "ended %s: %d %s%s%s\n", stream->stream_id, r->err, r->name,
         r->user_error_code ? " " : "", r->user_error_code ? r->user_error_code : "");
}

static void rejoin_failed(void *ctx, struct str group, const struct ph_client_result *r)
{
    NOTE((struct shell *)ctx, "rejoin failed %.*s: %d\n", STR_FMT(group), r->err);
}

static void stream_opened(void *ctx, struct ph_client_stream *stream)
{
    (void)ctx;
    stream->refs++;
}

static void stream_ended(void *ctx, struct ph_client_stream *stream,
                         const struct ph_client_result *r)
{
    NOTE((struct shell *)ctx, "stream %.*s ended: %d %s\n", STR_FMT(stream->id), r->err, r->name);
    stream->refs--;
}

static void complain(void *ctx, const char *what)
{
    (void)what;
    NOTE((struct shell *)ctx, "complaint\n");
}

static const struct dialog_ops ops = {
    need_url,      open_socket,  close_socket,   drop_socket,    write_frame,
    write_ping,    has_room,     new_ack_id,     chance,         finished,
    connected,     disconnected, stopped,        message,        rejoin_failed,
    stream_opened, stream_ended, incoming_begun, incoming_ended, complain,
};

/* --- What tests say ------------------------------------------------------------------ */

static void expect_at(struct shell *s, const char *want, int line)
{
    if (!s->quiet && !str__eq(buf__view(&s->log), str__of(want)))
        fail_msg("line %d: got\n%.*swant\n%s", line, STR_FMT(buf__view(&s->log)), want);
    buf__reset(&s->log);
}

#define expect(s, want) expect_at(s, want, __LINE__)

static void ask(struct shell *s, enum op_kind kind, const char *name, uint64_t ack_id,
                const char *frame)
{
    struct op *op = op__new(kind, str__of(name), 4096);

    if (!op)
        return;
    op->arg = (void *)name;
    op->ack_id = ack_id;
    op->timeout_ms = 30000;
    buf__append(&op->frame, frame, strlen(frame));
    if (op->frame.failed)
        op__free(op);
    else
        dialog__submit(s->dialog, op, s->now);
}

static void hear(struct shell *s, const char *frame)
{
    dialog__take(s->dialog, false, str__of(frame), s->now);
}

static void pass(struct shell *s, int64_t ms)
{
    s->now += ms;
    dialog__tick(s->dialog, s->now);
}

static void lose(struct shell *s, uint16_t code)
{
    dialog__closed(s->dialog, code, code == 1006 ? PH_ERR_CLOSED : PH_OK, STR("cut"), s->now);
}

static void opened(struct shell *s)
{
    dialog__opened(s->dialog, s->now);
}

static void begin(struct shell *s, enum ph_client_subprotocol protocol)
{
    *s = (struct shell){.room = SIZE_MAX, .ack_id = 100};
    s->settings = (struct dialog_settings){
        .protocol = protocol,
        .url = STR("ws://h/client/hubs/chat?access_token=x"),
        .reconnects = true,
        .rejoins = true,
        .reconnect = {UINT32_MAX, 1000, 4000, PH_CLIENT_BACKOFF_EXPONENTIAL},
        .resend = {1, 1000, 30000, PH_CLIENT_BACKOFF_FIXED},
        .keep_alive_ms = 20000,
        .keep_alive_timeout_ms = 120000,
        .connect_timeout_ms = 30000,
        .recovery_ms = 30000,
        .max_incoming = 2,
    };
    buf__init(&s->log, 1u << 20);
    s->dialog = dialog__new(&s->settings, &ops, s, &s->seed);
}

static void connect_first(struct shell *s)
{
    ask(s, OP_START, "start", 0, "");
    opened(s);
    hear(s, CONNECTED);
    expect(s, "open ws://h/client/hubs/chat?access_token=x\nconnected c1 ann\ndone start: 0\n");
}

static void finish(struct shell *s)
{
    dialog__free(s->dialog);
    buf__free(&s->log);
}

#define RECOVERY                                                                                   \
    "open ws://h/client/hubs/chat?access_token=x&awps_connection_id=c1&"                           \
    "awps_reconnection_token=t%2F1\n"

/* --- Tests ---------------------------------------------------------------------------- */

static void test_recovery_sends_again_under_the_same_id(void **state)
{
    struct shell s;

    (void)state;
    begin(&s, PH_CLIENT_RELIABLE);
    connect_first(&s);
    ask(&s, OP_SEND, "one", 1, "one");
    ask(&s, OP_SEND, "two", 2, "two");
    ask(&s, OP_NOTICE, "note", 0, "note");
    hear(&s, "{\"type\":\"ack\",\"ackId\":1,\"success\":true}");
    expect(&s, "> one\n> two\n> note\ndone note: 0\ndone one: 0\n");
    lose(&s, 1006);
    ask(&s, OP_SEND, "three", 3, "three");
    expect(&s, RECOVERY);
    lose(&s, 1006); /* not even open */
    expect(&s, "");
    pass(&s, 999);
    expect(&s, "");
    pass(&s, 1);
    expect(&s, RECOVERY);
    opened(&s);
    expect(&s, PING "> two\n> three\n");
    hear(&s, "{\"type\":\"ack\",\"ackId\":2,\"success\":false,\"error\":{\"name\":\"Duplicate\","
             "\"message\":\"\"}}");
    hear(&s, "{\"type\":\"ack\",\"ackId\":3,\"success\":true}");
    hear(&s, "{\"type\":\"ack\",\"ackId\":3,\"success\":true}");
    expect(&s, "done two: 0 duplicate\ndone three: 0\n");
    finish(&s);
}

static void test_a_refused_recovery_is_a_new_connection(void **state)
{
    struct shell s;

    (void)state;
    begin(&s, PH_CLIENT_RELIABLE);
    connect_first(&s);
    ask(&s, OP_JOIN, "g", 1, "join g");
    hear(&s, "{\"type\":\"ack\",\"ackId\":1,\"success\":true}");
    ask(&s, OP_JOIN, "left", 2, "join left");
    hear(&s, "{\"type\":\"ack\",\"ackId\":2,\"success\":true}");
    ask(&s, OP_LEAVE, "left", 3, "leave left");
    hear(&s, "{\"type\":\"ack\",\"ackId\":3,\"success\":true}");
    ask(&s, OP_SEND, "x", 4, "x");
    expect(&s, "> join g\ndone g: 0\n> join left\ndone left: 0\n> leave left\ndone left: 0\n> x\n");
    lose(&s, 1006);
    opened(&s);
    lose(&s, 1008);
    expect(&s, RECOVERY PING "> x\ndisconnected c1: cut\n"
                             "open ws://h/client/hubs/chat?access_token=x\n");
    opened(&s);
    hear(&s, CONNECTED);
    expect(&s, "> {\"type\":\"joinGroup\",\"group\":\"g\",\"ackId\":101}\n> x\n");
    hear(&s, "{\"type\":\"ack\",\"ackId\":101,\"success\":true}");
    expect(&s, "done (null): 0\nconnected c1 ann\n");
    lose(&s, 1008); /* the second time, and there is one retry */
    expect(&s, "done x: 208\ndisconnected c1: cut\nopen ws://h/client/hubs/chat?access_token=x\n");
    finish(&s);
}

static void test_a_group_that_cannot_be_joined_again(void **state)
{
    struct shell s;

    (void)state;
    begin(&s, PH_CLIENT_JSON);
    connect_first(&s);
    ask(&s, OP_JOIN, "g", 1, "join g");
    hear(&s, "{\"type\":\"ack\",\"ackId\":1,\"success\":true}");
    lose(&s, 1006);
    opened(&s);
    hear(&s, CONNECTED);
    expect(&s, "> join g\ndone g: 0\ndisconnected c1: cut\n"
               "open ws://h/client/hubs/chat?access_token=x\n"
               "> {\"type\":\"joinGroup\",\"group\":\"g\",\"ackId\":101}\n");
    hear(&s,
         "{\"type\":\"ack\",\"ackId\":101,\"success\":false,\"error\":{\"name\":\"Forbidden\"}}");
    expect(&s, "rejoin failed g: 203\ndone (null): 203 Forbidden\nconnected c1 ann\n");
    finish(&s);
}

static void say_message(struct shell *s, unsigned n)
{
    char frame[128];

    snprintf(frame, sizeof(frame),
             "{\"sequenceId\":%u,\"type\":\"message\",\"from\":\"server\",\"dataType\":\"json\","
             "\"data\":%u}",
             n, n);
    hear(s, frame);
}

static void test_sequence_ids(void **state)
{
    struct shell s;

    (void)state;
    begin(&s, PH_CLIENT_RELIABLE);
    connect_first(&s);
    say_message(&s, 1);
    say_message(&s, 2);
    say_message(&s, 2);
    say_message(&s, 1);
    expect(&s, "message 1\nmessage 2\n");
    pass(&s, 999);
    expect(&s, "");
    pass(&s, 1);
    expect(&s, "> {\"type\":\"sequenceAck\",\"sequenceId\":2}\n");
    pass(&s, 5000);
    expect(&s, "");
    for (unsigned n = 3; n < 302; n++)
        say_message(&s, n);
    buf__reset(&s.log);
    say_message(&s, 302);
    expect(&s, "message 302\n> {\"type\":\"sequenceAck\",\"sequenceId\":302}\n");
    say_message(&s, 303);
    lose(&s, 1006);
    opened(&s);
    expect(&s, "message 303\n" RECOVERY "> {\"type\":\"sequenceAck\",\"sequenceId\":303}\n" PING);
    say_message(&s, 303); /* it was on its way already */
    say_message(&s, 304);
    expect(&s, "message 304\n");
    finish(&s);
}

static void test_what_the_service_could_not_do_is_tried_again(void **state)
{
    static const char failed[] = "{\"type\":\"ack\",\"ackId\":1,\"success\":false,\"error\":{"
                                 "\"name\":\"InternalServerError\"}}";
    struct shell s;

    (void)state;
    begin(&s, PH_CLIENT_JSON);
    connect_first(&s);
    ask(&s, OP_SEND, "x", 1, "x");
    hear(&s, failed);
    ask(&s, OP_SEND, "y", 2, "y");
    hear(&s, "{\"type\":\"ack\",\"ackId\":2,\"success\":false,\"error\":{\"name\":\"Forbidden\"}}");
    expect(&s, "> x\n> y\ndone y: 203 Forbidden\n");
    pass(&s, 1000);
    expect(&s, "> x\n");
    hear(&s, failed);
    expect(&s, "done x: 209 InternalServerError\n");
    ask(&s, OP_SEND, "late", 3, "late");
    pass(&s, 29999);
    hear(&s, "{\"type\":\"pong\"}");
    buf__reset(&s.log);
    pass(&s, 1);
    expect(&s, "done late: 206\n");
    finish(&s);
}

static void test_invocations(void **state)
{
    struct shell s;

    (void)state;
    begin(&s, PH_CLIENT_RELIABLE);
    connect_first(&s);
    ask(&s, OP_INVOKE, "a", 0, "a");
    ask(&s, OP_INVOKE, "b", 0, "b");
    ask(&s, OP_INVOKE, "c", 0, "c");
    hear(&s, "{\"type\":\"invokeResponse\",\"invocationId\":\"b\",\"success\":false,\"error\":"
             "{\"name\":\"NotFound\",\"message\":\"m\"}}");
    ask(&s, OP_CANCEL, "a", 0, "");
    expect(&s,
           "> a\n> b\n> c\ndone b: 205 NotFound\n"
           "> {\"type\":\"cancelInvocation\",\"invocationId\":\"a\"}\ndone a: 210\ndone a: 0\n");
    lose(&s, 1006);
    expect(&s, "done c: 208\n" RECOVERY);
    opened(&s);
    ask(&s, OP_INVOKE, "d", 0, "d");
    expect(&s, PING "> d\n");
    hear(&s, "{\"type\":\"pong\"}");
    pass(&s, 30000);
    expect(&s, PING "> {\"type\":\"cancelInvocation\",\"invocationId\":\"d\"}\ndone d: 206\n");
    finish(&s);
}

static void test_keep_alive(void **state)
{
    struct shell s;

    (void)state;
    begin(&s, PH_CLIENT_RELIABLE);
    connect_first(&s);
    for (int i = 0; i < 5; i++)
        pass(&s, 20000);
    expect(&s, PING PING PING PING PING);
    hear(&s, "{\"type\":\"pong\"}");
    for (int i = 0; i < 5; i++)
        pass(&s, 20000);
    buf__reset(&s.log);
    pass(&s, 20000);
    expect(&s, "drop\n" RECOVERY);
    finish(&s);
}

/* A message that is too large would be sent again after each recovery. */
static void test_what_cannot_be_taken_ends_the_connection(void **state)
{
    static const struct {
        enum ph_err err;
        bool ends;
    } rows[] = {{PH_ERR_LIMIT, true}, {PH_ERR_SYNTAX, true}, {PH_ERR_CLOSED, false}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct shell s;

        begin(&s, PH_CLIENT_RELIABLE);
        connect_first(&s);
        dialog__closed(s.dialog, 1006, rows[i].err, STR("too large"), s.now);
        expect(&s, rows[i].ends ? "disconnected c1: too large\n"
                                  "open ws://h/client/hubs/chat?access_token=x\n"
                                : RECOVERY);
        finish(&s);
    }
}

/* A proxy's strange answer to a recovery is only one that failed. */
static void test_a_recovery_that_is_not_answered_in_order_is_tried_again(void **state)
{
    struct shell s;

    (void)state;
    begin(&s, PH_CLIENT_RELIABLE);
    connect_first(&s);
    lose(&s, 1006);
    dialog__closed(s.dialog, 1006, PH_ERR_SYNTAX, STR("no WebSocket"), s.now);
    pass(&s, 1000);
    expect(&s, RECOVERY RECOVERY);
    finish(&s);
}

static void test_the_reason_is_that_of_the_last_socket(void **state)
{
    struct shell s;

    (void)state;
    begin(&s, PH_CLIENT_RELIABLE);
    connect_first(&s);
    dialog__closed(s.dialog, 1006, PH_ERR_CLOSED, STR("first"), s.now);
    opened(&s);
    hear(&s, "{\"type\":\"pong\"}");
    dialog__closed(s.dialog, 1008, PH_OK, STR("second"), s.now);
    expect(&s, RECOVERY PING "disconnected c1: second\n"
                             "open ws://h/client/hubs/chat?access_token=x\n");
    finish(&s);
}

static void test_recovering_is_given_up(void **state)
{
    struct shell s;

    (void)state;
    begin(&s, PH_CLIENT_RELIABLE);
    connect_first(&s);
    lose(&s, 1006);
    for (int i = 0; i < 29; i++) { /* open each time, but never a word */
        opened(&s);
        lose(&s, 1000);
        pass(&s, 1000);
    }
    buf__reset(&s.log);
    pass(&s, 1000);
    expect(&s, "drop\ndisconnected c1: cut\nopen ws://h/client/hubs/chat?access_token=x\n");
    finish(&s);
}

static void test_reconnecting_waits_longer_each_time(void **state)
{
    static const int64_t pauses[] = {1000, 2000, 4000, 4000};
    struct shell s;

    (void)state;
    begin(&s, PH_CLIENT_JSON);
    connect_first(&s);
    lose(&s, 1006);
    expect(&s, "disconnected c1: cut\nopen ws://h/client/hubs/chat?access_token=x\n");
    for (size_t i = 0; i < sizeof(pauses) / sizeof(*pauses); i++) {
        lose(&s, 1006);
        pass(&s, pauses[i] - 1);
        expect(&s, "");
        pass(&s, 1);
        expect(&s, "open ws://h/client/hubs/chat?access_token=x\n");
    }
    ask(&s, OP_STOP, "stop", 0, "");
    expect(&s, "drop\nstopped\ndone stop: 0\n");
    finish(&s);
}

static void test_start_fails(void **state)
{
    struct shell s;

    (void)state;
    begin(&s, PH_CLIENT_JSON);
    s.settings.url = STR_NONE;
    ask(&s, OP_START, "start", 0, "");
    ask(&s, OP_START, "again", 0, "");
    ask(&s, OP_SEND, "x", 1, "x");
    ask(&s, OP_URL, "ws://other", 0, "");
    expect(&s, "need url\ndone again: 101\nopen ws://other\ndone ws://other: 0\n");
    dialog__closed(s.dialog, 1006, PH_ERR_AUTH, STR("401"), s.now);
    expect(&s, "done x: 208\ndone start: 202\n");
    ask(&s, OP_SEND, "x", 1, "x");
    expect(&s, "done x: 208\n");
    ask(&s, OP_START, "start", 0, "");
    pass(&s, 30000);
    expect(&s, "need url\ndrop\ndone start: 206\n");
    finish(&s);
}

static void test_stop_lets_out_what_waits(void **state)
{
    struct shell s;

    (void)state;
    begin(&s, PH_CLIENT_RELIABLE);
    connect_first(&s);
    s.room = 1;
    ask(&s, OP_SEND, "x", 1, "x");
    ask(&s, OP_NOTICE, "note", 0, "note");
    expect(&s, "> x\n");
    ask(&s, OP_STOP, "stop", 0, "");
    ask(&s, OP_SEND, "late", 2, "late");
    expect(&s, "> note\ndone note: 0\nclose\ndone late: 208\n");
    lose(&s, 1005);
    expect(&s, "done x: 208\ndisconnected c1: \nstopped\ndone stop: 0\n");
    finish(&s);
}

static struct ph_client_stream *new_stream(void)
{
    struct ph_client_stream *stream = calloc(1, sizeof(*stream));

    assert_non_null(stream);
    list__init(&stream->link);
    stream->id = STR("s");
    return stream;
}

static void ask_stream(struct shell *s, struct ph_client_stream *stream, enum op_kind kind,
                       const char *name, uint64_t sequence_id)
{
    struct op *op = op__new(kind, STR(""), 4096);

    assert_non_null(op);
    op->arg = (void *)name;
    op->stream = stream;
    op->stream_sequence_id = sequence_id;
    op->timeout_ms = 30000;
    buf__append(&op->frame, name, strlen(name));
    dialog__submit(s->dialog, op, s->now);
}

static void test_streams(void **state)
{
    struct ph_client_stream *stream = new_stream();
    struct shell s;

    (void)state;
    begin(&s, PH_CLIENT_RELIABLE);
    connect_first(&s);
    ask_stream(&s, stream, OP_STREAM_OPEN, "open", 0);
    ask_stream(&s, stream, OP_STREAM_DATA, "a", 1);
    ask_stream(&s, stream, OP_STREAM_DATA, "b", 2);
    hear(&s, "{\"type\":\"streamAck\",\"streamId\":\"s\",\"expectedSequenceId\":2}");
    expect(&s, "> open\n> a\n> b\ndone open: 0\ndone a: 0\n");
    ask_stream(&s, stream, OP_STREAM_DATA, "c", 3);
    ask(&s, OP_SEND, "x", 9, "x");
    hear(&s,
         "{\"type\":\"streamNack\",\"streamId\":\"s\",\"name\":\"InvalidSequenceId\",\"message\":"
         "\"\",\"expectedSequenceId\":2}");
    expect(&s, "> c\n> x\n> b\n> c\n");
    hear(&s,
         "{\"type\":\"streamNack\",\"streamId\":\"s\",\"name\":\"InvalidSequenceId\",\"message\":"
         "\"\",\"expectedSequenceId\":2}");
    expect(&s, ""); /* of the first c */
    hear(&s,
         "{\"type\":\"streamNack\",\"streamId\":\"s\",\"name\":\"InvalidSequenceId\",\"message\":"
         "\"\",\"expectedSequenceId\":2}");
    expect(&s, "> b\n> c\n");
    lose(&s, 1006);
    opened(&s);
    expect(&s, RECOVERY PING "> x\n> b\n> c\n");
    ask_stream(&s, stream, OP_STREAM_END, "end", UINT64_MAX - 1);
    hear(&s, "{\"type\":\"streamClosed\",\"streamId\":\"s\"}");
    expect(&s, "> end\ndone b: 0\ndone c: 0\ndone end: 0\nstream s ended: 0 \n");
    ask_stream(&s, stream, OP_STREAM_DATA, "late", 4);
    expect(&s, "done late: 208\n");
    ask_stream(&s, stream, OP_STREAM_OPEN, "open", 0);
    hear(&s, "{\"type\":\"streamClosed\",\"streamId\":\"s\",\"error\":{\"name\":\"Forbidden\"}}");
    expect(&s, "> open\ndone open: 203 Forbidden\nstream s ended: 203 Forbidden\n");
    assert_int_equal(stream->refs, 0);
    finish(&s);
    free(stream);
}

/* Of stream `id` in group g; `how`: '.' its end, '+' its end with data, '!' by an error. */
static void hear_fragment(struct shell *s, char id, char number, char how, uint64_t sequence_id)
{
    static const char error[] = ",\"error\":{\"name\":\"UserError\",\"message\":\"m\","
                                "\"userErrorCode\":\"E\"}";
    char data[3] = {id, number, '\0'};
    char frame[512];

    snprintf(frame, sizeof(frame),
             "{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\",\"dataType\":\"text\","
             "\"data\":\"%s\",\"sequenceId\":%d,\"stream\":{\"streamId\":\"%c\","
             "\"streamSequenceId\":%c,\"endOfStream\":%s%s}}",
             how && how != '+' ? "" : data, (int)sequence_id, id, number, how ? "true" : "false",
             how == '!' ? error : "");
    hear(s, frame);
}

/* A word for each fragment: the stream, its number, how it ends. */
static void hear_fragments(struct shell *s, const char *words)
{
    for (const char *at = words; *at; at++) {
        bool ends = strchr(".+!", at[2]) && at[2];

        hear_fragment(s, at[0], at[1], ends ? at[2] : '\0', ++s->heard);
        at += 2 + ends;
        if (!*at)
            break;
    }
}

static void test_incoming_streams(void **state)
{
    static const struct {
        const char *words, *want;
    } cases[] = {
        {"a1 a2 a3.", "begun a in g at 1\na a1\na a2\nended a: 0 \n"},
        {"a1 b1 a2. b2!", "begun a in g at 1\na a1\nbegun b in g at 1\nb b1\nended a: 0 \n"
                          "ended b: 209 UserError E\n"},
        {"a1 a2+", "begun a in g at 1\na a1\na a2\nended a: 0 \n"},
        {"a1.", "begun a in g at 1\nended a: 0 \n"},
        /* joined in the middle */
        {"a5 a6 a7.", "begun a in g at 5\na a5\na a6\nended a: 0 \n"},
        {"a5.", "begun a in g at 5\nended a: 0 \n"},
        /* not wanted, which is asked once for a stream */
        {"N1 a1 N2 a2. N3. N1 N2.",
         "begun N in g at 1\nmessage N1\nbegun a in g at 1\na a1\nmessage N2\nended a: 0 \n"
         "message \nbegun N in g at 1\nmessage N1\nmessage \n"},
        /* an error may end it under any number; a gap, a repetition and the start of another
         * end it too */
        {"a1 a9!", "begun a in g at 1\na a1\nended a: 209 UserError E\n"},
        {"a1 a3 a4.", "begun a in g at 1\na a1\nended a: 200 \nbegun a in g at 3\na a3\n"
                      "ended a: 0 \n"},
        {"a1 a1 a2.", "begun a in g at 1\na a1\nended a: 200 \nbegun a in g at 1\na a1\n"
                      "ended a: 0 \n"},
        {"a1 a2 a4.", "begun a in g at 1\na a1\na a2\nended a: 200 \nbegun a in g at 4\n"
                      "ended a: 0 \n"},
        /* one too many */
        {"a1 b1 c1 c2 d1 a2. d2 d3. c3. b2.",
         "begun a in g at 1\na a1\nbegun b in g at 1\nb b1\ncomplaint\nmessage c1\n"
         "message c2\nmessage d1\nended a: 0 \nbegun d in g at 2\nd d2\nended d: 0 \n"
         "begun c in g at 3\nended c: 0 \nended b: 0 \n"},
        /* that is complained of again when there was room between */
        {"a1 b1 c1 a2. d1 c2 b2. d2.",
         "begun a in g at 1\na a1\nbegun b in g at 1\nb b1\ncomplaint\nmessage c1\n"
         "ended a: 0 \nbegun d in g at 1\nd d1\ncomplaint\nmessage c2\nended b: 0 \n"
         "ended d: 0 \n"},
    };
    struct shell s;

    (void)state;
    begin(&s, PH_CLIENT_RELIABLE);
    connect_first(&s);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        hear_fragments(&s, cases[i].words);
        expect(&s, cases[i].want);
    }
    s.settings.max_incoming = 0;
    hear_fragments(&s, "a1 a2.");
    expect(&s, "message a1\nmessage \n");
    finish(&s);
}

/* Streams of the same id are told apart by their groups; absurd names are not kept. */
static void test_names_of_incoming_streams(void **state)
{
    static const char format[] =
        "{\"type\":\"message\",\"from\":\"group\",\"group\":\"%s\",\"dataType\":\"text\","
        "\"data\":\"%s\",\"stream\":{\"streamId\":\"s%0*d\",\"streamSequenceId\":1}}";
    char frame[4096];
    struct shell s;

    (void)state;
    begin(&s, PH_CLIENT_JSON);
    connect_first(&s);
    for (int length = 2043; length < 2049; length += 5) { /* with "s" and the group */
        snprintf(frame, sizeof(frame), format, "gone", "x", length, 0);
        hear(&s, frame);
        assert_int_equal(strncmp(s.log.data, length == 2043 ? "begun s0" : "complaint", 8), 0);
        buf__reset(&s.log);
    }
    finish(&s);
    begin(&s, PH_CLIENT_JSON);
    connect_first(&s);
    snprintf(frame, sizeof(frame), format, "one", "1", 1, 0);
    hear(&s, frame);
    snprintf(frame, sizeof(frame), format, "two", "2", 1, 0);
    hear(&s, frame);
    expect(&s, "begun s0 in one at 1\ns0 1\nbegun s0 in two at 1\ns0 2\n");
    finish(&s);
}

static void test_incoming_streams_and_recovery(void **state)
{
    struct shell s;

    (void)state;
    begin(&s, PH_CLIENT_RELIABLE);
    connect_first(&s);
    hear_fragments(&s, "a1 a2 q1");
    lose(&s, 1006);
    expect(&s, "begun a in g at 1\na a1\na a2\nbegun q in g at 1\nq q1\n" RECOVERY);
    pass(&s, 5000); /* a silence that is nobody's fault */
    opened(&s);
    expect(&s, "> {\"type\":\"sequenceAck\",\"sequenceId\":3}\n" PING);
    s.heard = 1;
    hear_fragments(&s, "a2 q1 a3 q2"); /* two of them again */
    expect(&s, "a a3\nq q2\n");
    pass(&s, 999);
    hear_fragments(&s, "q3");
    pass(&s, 999);
    expect(&s, "q q3\n> {\"type\":\"sequenceAck\",\"sequenceId\":6}\n");
    pass(&s, 1);
    expect(&s, "ended q: 206 IdleTimeout\n");
    hear_fragments(&s, "q4");
    lose(&s, 1008); /* for good */
    expect(&s, "begun q in g at 4\nq q4\nended a: 208 \nended q: 208 \n"
               "disconnected c1: cut\nopen ws://h/client/hubs/chat?access_token=x\n");
    opened(&s);
    hear(&s, CONNECTED);
    s.heard = 0;
    hear_fragments(&s, "a4");
    expect(&s, "connected c1 ann\nbegun a in g at 4\na a4\n");
    ask(&s, OP_STOP, "stop", 0, "");
    lose(&s, 1005);
    expect(&s, "close\nended a: 208 \ndisconnected c1: \nstopped\ndone stop: 0\n");
    ask(&s, OP_START, "start", 0, "");
    opened(&s);
    hear(&s, CONNECTED);
    s.heard = 0;
    hear_fragments(&s, "a1");
    buf__reset(&s.log);
    dialog__free(s.dialog);
    expect(&s, "ended a: 208 \n");
    buf__free(&s.log);
}

static void test_raw(void **state)
{
    struct shell s;

    (void)state;
    begin(&s, PH_CLIENT_RAW);
    ask(&s, OP_START, "start", 0, "");
    opened(&s);
    ask(&s, OP_NOTICE, "hi", 0, "hi");
    hear(&s, "not JSON");
    pass(&s, 20000);
    expect(&s, "open ws://h/client/hubs/chat?access_token=x\nconnected  \ndone start: 0\n> hi\n"
               "done hi: 0\nmessage not JSON\n> ping\n");
    finish(&s);
}

static void test_malformed_frames_are_passed_over(void **state)
{
    struct shell s;

    (void)state;
    begin(&s, PH_CLIENT_JSON);
    connect_first(&s);
    hear(&s, "{");
    hear(&s, "{\"type\":\"ack\",\"ackId\":99,\"success\":true}");
    hear(&s, "{\"type\":\"streamAck\",\"streamId\":\"?\",\"expectedSequenceId\":1}");
    hear(&s, "{\"type\":\"news\"}");
    expect(&s, "complaint\n");
    finish(&s);
}

/* All of it again, each allocation failing in turn: no crash, no leak. */
static void whole_life(void *ctx)
{
    struct shell s;

    (void)ctx;
    begin(&s, PH_CLIENT_RELIABLE);
    s.quiet = true;
    if (s.dialog) {
        ask(&s, OP_START, "start", 0, "");
        opened(&s);
        hear(&s, CONNECTED);
        ask(&s, OP_JOIN, "g", 1, "join g");
        hear(&s, "{\"type\":\"ack\",\"ackId\":1,\"success\":true}");
        ask(&s, OP_SEND, "x", 2, "x");
        say_message(&s, 1);
        s.heard = 1;
        hear_fragments(&s, "a1 b1 c1 b2. a2");
        lose(&s, 1006);
        opened(&s);
        lose(&s, 1008);
        pass(&s, 1000);
        opened(&s);
        hear(&s, CONNECTED);
        hear(&s, "{\"type\":\"ack\",\"ackId\":101,\"success\":true}");
        pass(&s, 30000);
    }
    finish(&s);
}

static void test_memory(void **state)
{
    (void)state;
    memory_kit__each_fails(whole_life, NULL, 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recovery_sends_again_under_the_same_id),
        cmocka_unit_test(test_a_refused_recovery_is_a_new_connection),
        cmocka_unit_test(test_a_group_that_cannot_be_joined_again),
        cmocka_unit_test(test_sequence_ids),
        cmocka_unit_test(test_what_the_service_could_not_do_is_tried_again),
        cmocka_unit_test(test_invocations),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_what_cannot_be_taken_ends_the_connection),
        cmocka_unit_test(test_a_recovery_that_is_not_answered_in_order_is_tried_again),
        cmocka_unit_test(test_the_reason_is_that_of_the_last_socket),
        cmocka_unit_test(test_recovering_is_given_up),
        cmocka_unit_test(test_reconnecting_waits_longer_each_time),
        cmocka_unit_test(test_start_fails),
        cmocka_unit_test(test_stop_lets_out_what_waits),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_incoming_streams),
        cmocka_unit_test(test_names_of_incoming_streams),
        cmocka_unit_test(test_incoming_streams_and_recovery),
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_malformed_frames_are_passed_over),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
