/* A running broker and its WebSocket clients: frames in every shape, close codes,
 * keep-alive, slow readers, shutdown. */
#include "broker_kit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_MESSAGE (1u << 20)
#define PING "{\"type\":\"ping\"}"
#define PONG "{\"type\":\"pong\"}"
#define ALL_GROUPS ",\"role\":[\"webpubsub.joinLeaveGroup\",\"webpubsub.sendToGroup\"]"

static const struct client_options json_client = {.protocol = JSON_PROTOCOL, .claims = ALL_GROUPS};

static struct broker_kit kit;

static int setup(void **state)
{
    (void)state;
    broker_kit__init(&kit, 2);
    kit.limits.core.queue.messages = 100;
    kit.limits.close_seconds = BROKER_KIT_WAIT_S; /* the slow reader is slow to read it, too */
    broker_kit__start(&kit);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    broker_kit__free(&kit);
    return 0;
}

/* A JSON client behind its connected frame. */
static void open_json(struct client *c)
{
    client__open(c, &kit, &json_client);
    assert_int_equal(c->status, 101);
    assert_int_equal(client__read(c), WS_OP_TEXT);
    assert_non_null(strstr(c->payload.data, "\"event\":\"connected\""));
}

/* Frames of the broker's own making are not enough: the same bytes as a client sends. */
static void ping_bytes(struct buf *out)
{
    static const char key[4] = {1, 2, 3, 4};

    buf__init(out, 64);
    buf__append(out, "\x81\x8f\x01\x02\x03\x04", 6);
    for (size_t i = 0; i < sizeof(PING) - 1; i++)
        buf__byte(out, (char)(PING[i] ^ key[i % 4]));
}

static void test_ping_pong(void **state)
{
    struct client c;

    (void)state;
    open_json(&c);
    client__text(&c, PING);
    client__expect(&c, WS_OP_TEXT, PONG);
    client__frame(&c, 0x80 | WS_OP_PING, STR("are you there"));
    client__expect(&c, WS_OP_PONG, "are you there");
    client__close(&c);
}

/* Urgent bytes are bytes like others, and those behind them are heard as well. */
static void test_urgent_bytes(void **state)
{
    struct client c;
    struct buf bytes;

    (void)state;
    open_json(&c);
    ping_bytes(&bytes);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(send(c.fd, bytes.data, 8, MSG_OOB), 8); /* the last of them is urgent */
        broker_kit__write(c.fd, bytes.data + 8, bytes.len - 8);
        client__expect(&c, WS_OP_TEXT, PONG);
    }
    buf__free(&bytes);
    client__close(&c);
}

/* Whoever counts pongs misses none, however many pings come in one read. */
static void test_many_pings(void **state)
{
    struct buf bytes;
    struct client c;
    unsigned i;

    (void)state;
    open_json(&c);
    buf__init(&bytes, 1u << 20);
    for (i = 0; i < 10000; i++) {
        buf__append(&bytes, "\x89\x81\0\0\0\0", 6);
        buf__byte(&bytes, (char)('0' + i % 10));
    }
    broker_kit__write(c.fd, bytes.data, bytes.len);
    for (i = 0; i < 10000; i++)
        client__expect(&c, WS_OP_PONG, (char[]){(char)('0' + i % 10), '\0'});
    buf__free(&bytes);
    client__close(&c);
}

static void test_byte_by_byte(void **state)
{
    struct buf bytes;
    struct client c;

    (void)state;
    open_json(&c);
    ping_bytes(&bytes);
    for (size_t i = 0; i < bytes.len; i++)
        broker_kit__write(c.fd, bytes.data + i, 1);
    client__expect(&c, WS_OP_TEXT, PONG);
    buf__free(&bytes);
    client__close(&c);
}

static void test_fragments_with_a_ping_between(void **state)
{
    struct client c;

    (void)state;
    open_json(&c);
    client__frame(&c, WS_OP_TEXT, STR("{\"type\""));
    client__frame(&c, 0x80 | WS_OP_PING, STR("mid"));
    client__expect(&c, WS_OP_PONG, "mid");
    client__frame(&c, WS_OP_CONTINUATION, STR(":\"pi"));
    client__frame(&c, 0x80 | WS_OP_CONTINUATION, STR("ng\"}"));
    client__expect(&c, WS_OP_TEXT, PONG);
    client__close(&c);
}

/* What comes in one packet with the upgrade request belongs to the first frames. */
static void test_early_frames(void **state)
{
    struct client_options options = json_client;
    struct buf bytes;
    struct client c;

    (void)state;
    ping_bytes(&bytes);
    options.early = buf__view(&bytes);
    client__open(&c, &kit, &options);
    assert_int_equal(c.status, 101);
    assert_int_equal(client__read(&c), WS_OP_TEXT);
    client__expect(&c, WS_OP_TEXT, PONG);
    buf__free(&bytes);
    client__close(&c);
}

/* A ping whose frame has exactly this many bytes of payload. */
static char *padded_ping(size_t len)
{
    char *text = malloc(len + 1);

    assert_non_null(text);
    memset(text, ' ', len);
    memcpy(text, PING, sizeof(PING) - 1);
    text[len] = '\0';
    return text;
}

static void test_message_limit(void **state)
{
    static const size_t fine[] = {MAX_MESSAGE - 1, MAX_MESSAGE};
    struct client c;
    char *text;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        open_json(&c);
        text = padded_ping(fine[i]);
        client__text(&c, text);
        client__expect(&c, WS_OP_TEXT, PONG);
        free(text);
        client__close(&c);
    }
    open_json(&c);
    text = padded_ping(MAX_MESSAGE + 1);
    client__text(&c, text);
    assert_int_equal(client__read(&c), WS_OP_TEXT);
    assert_non_null(strstr(c.payload.data, "\"event\":\"disconnected\""));
    assert_int_equal(client__expect_close(&c), WS_CLOSE_TOO_BIG);
    free(text);
    client__close(&c);
}

/* client-and-rest section 3. A JSON client is told in a frame first. */
static void test_close_codes(void **state)
{
    static const struct {
        uint8_t first;
        const char *payload;
        unsigned code;
    } rows[] = {
        {0x80 | WS_OP_BINARY, "{}", WS_CLOSE_UNSUPPORTED},
        {0x80 | WS_OP_TEXT, "{not json", WS_CLOSE_BAD_DATA},
        {0x80 | WS_OP_TEXT, "[]", WS_CLOSE_BAD_DATA},
        {0x80 | WS_OP_TEXT, "{\"type\":\"unheard of\"}", WS_CLOSE_BAD_DATA},
        {0x80 | WS_OP_TEXT, "\"\xc3\x28\"", WS_CLOSE_BAD_DATA},
        {0x80 | WS_OP_CONTINUATION, "x", WS_CLOSE_PROTOCOL},
        {0xc0 | WS_OP_TEXT, "x", WS_CLOSE_PROTOCOL},
        {0x80 | 0x3, "x", WS_CLOSE_PROTOCOL},
        {WS_OP_PING, "x", WS_CLOSE_PROTOCOL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct client c;

        open_json(&c);
        client__frame(&c, rows[i].first, str__of(rows[i].payload));
        assert_int_equal(client__read(&c), WS_OP_TEXT);
        assert_non_null(strstr(c.payload.data, "\"event\":\"disconnected\""));
        assert_int_equal(client__expect_close(&c), rows[i].code);
        client__close(&c);
    }
}

/* A client that answers our close frame with nonsense need not wait for the limit. */
static void test_error_after_close(void **state)
{
    struct client c;

    (void)state;
    open_json(&c);
    client__text(&c, "{}");
    assert_int_equal(client__read(&c), WS_OP_TEXT);
    assert_int_equal(client__read(&c), WS_OP_CLOSE);
    client__frame(&c, 0x80 | 0x3, STR("x"));
    assert_int_equal(client__read(&c), -1);
    client__close(&c);
}

static void test_nested_too_deep(void **state)
{
    char *text = malloc(200001);
    struct client c;

    (void)state;
    assert_non_null(text);
    memset(text, '[', 100000);
    memset(text + 100000, ']', 100000);
    text[200000] = '\0';
    open_json(&c);
    client__text(&c, text);
    assert_int_equal(client__expect_close(&c), WS_CLOSE_BAD_DATA);
    free(text);
    client__close(&c);
}

static void test_client_closes(void **state)
{
    static const struct {
        const char *payload;
        size_t len;
        unsigned echo;
    } rows[] = {
        {"\x03\xe8", 2, WS_CLOSE_NORMAL},
        {"", 0, WS_CLOSE_NONE},
        {"\x03\xe9", 2, WS_CLOSE_GOING_AWAY},
        {"\x0f\xa0why", 5, 4000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct client c;

        open_json(&c);
        client__frame(&c, 0x80 | WS_OP_CLOSE, str__n(rows[i].payload, rows[i].len));
        assert_int_equal(client__read(&c), WS_OP_CLOSE);
        assert_int_equal(c.code, rows[i].echo);
        assert_int_equal(client__read(&c), -1);
        client__close(&c);
    }
}

static void test_refusals(void **state)
{
    static const struct {
        struct client_options options;
        int status;
    } rows[] = {
        {{.no_token = true, .protocol = JSON_PROTOCOL}, 401},
        {{.hub = "1bad", .protocol = JSON_PROTOCOL}, 400},
        {{.query = "webpubsub_mode=unknown"}, 400},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct client c;

        client__open(&c, &kit, &rows[i].options);
        assert_int_equal(c.status, rows[i].status);
        client__close(&c);
    }
}

/* --- Fan-out ------------------------------------------------------------------------- */

static void join(struct client *c, const char *group)
{
    char text[128];

    snprintf(text, sizeof(text), "{\"type\":\"joinGroup\",\"group\":\"%s\",\"ackId\":1}", group);
    client__text(c, text);
    client__expect(c, WS_OP_TEXT, "{\"type\":\"ack\",\"ackId\":1,\"success\":true}");
}

static void publish(struct client *c, const char *group, const char *data)
{
    char *text;

    assert_true(asprintf(&text,
                         "{\"type\":\"sendToGroup\",\"group\":\"%s\",\"dataType\":\"text\","
                         "\"data\":\"%s\",\"noEcho\":true}",
                         group, data) > 0);
    client__text(c, text);
    free(text);
}

static void expect_data(struct client *c, const char *data)
{
    char want[64];

    assert_int_equal(client__read(c), WS_OP_TEXT);
    snprintf(want, sizeof(want), "\"data\":\"%s", data);
    if (!strstr(c->payload.data, want))
        fail_msg("got %.200s, expected %s", c->payload.data, want);
}

/* One reader stops: it is closed by the limit of its queue, and the other one gets
 * every message meanwhile. */
static void test_slow_reader(void **state)
{
    struct client_options small = json_client;
    struct client sender, good, slow;
    size_t size = 64 << 10;
    char *data = malloc(size + 1);
    unsigned sent = 0;

    (void)state;
    assert_non_null(data);
    memset(data, 'x', size);
    data[size] = '\0';
    small.receive_buffer = 256 << 10;
    open_json(&sender);
    open_json(&good);
    client__open(&slow, &kit, &small);
    assert_int_equal(client__read(&slow), WS_OP_TEXT);
    join(&slow, "slow");
    join(&good, "slow");
    /* Socket buffers take a few megabytes before the queue begins to grow. */
    for (; sent < 400; sent++) {
        char number[16];

        memcpy(data, number, (size_t)snprintf(number, sizeof(number), "%06u", sent));
        publish(&sender, "slow", data);
        expect_data(&good, number);
    }
    assert_int_equal(client__expect_close(&slow), WS_CLOSE_POLICY);
    publish(&sender, "slow", "still here");
    expect_data(&good, "still here");
    free(data);
    client__close(&slow);
    client__close(&good);
    client__close(&sender);
}

/* --- Time ------------------------------------------------------------------------------ */

static void test_keep_alive(void **state)
{
    static const char config[] =
        "{\"hubs\":{\"chat\":{\"webSocketKeepAliveIntervalInSeconds\":3}}}"; /* to answer, on a busy
                                                                                machine */
    struct broker_kit k;
    struct diag diag = {""};
    struct client answers, silent;

    (void)state;
    broker_kit__init(&k, 1);
    assert_int_equal(settings__parse_file(&k.settings, "test", STR(config), &diag), PH_OK);
    broker_kit__start(&k);
    client__open(&answers, &k, &(struct client_options){0});
    client__open(&silent, &k, &(struct client_options){0});
    for (unsigned i = 0; i < 2; i++) {
        client__expect(&answers, WS_OP_PING, "");
        client__frame(&answers, 0x80 | WS_OP_PONG, STR(""));
    }
    client__expect(&silent, WS_OP_PING, "");
    assert_int_equal(client__read_frame(&silent), -1);
    client__expect(&answers, WS_OP_PING, "");
    client__close(&answers);
    client__close(&silent);
    broker_kit__free(&k);
}

/* --- End ---------------------------------------------------------------------------------- */

static void *stop(void *arg)
{
    struct broker_kit *k = arg;

    broker__stop(k->broker);
    k->broker = NULL;
    return NULL;
}

static void test_shutdown(void **state)
{
    struct client json, raw, deaf;
    struct broker_kit k;
    pthread_t thread;

    (void)state;
    broker_kit__init(&k, 2);
    k.limits.close_seconds = k.limits.drain_seconds = 1;
    broker_kit__start(&k);
    client__open(&json, &k, &json_client);
    client__open(&raw, &k, &(struct client_options){0});
    client__open(&deaf, &k, &(struct client_options){0});
    assert_int_equal(client__read(&json), WS_OP_TEXT);
    assert_int_equal(pthread_create(&thread, NULL, stop, &k), 0);
    client__expect(&json, WS_OP_TEXT,
                   "{\"type\":\"system\",\"event\":\"disconnected\",\"message\":"
                   "\"The service is shutting down.\"}");
    assert_int_equal(client__expect_close(&json), WS_CLOSE_GOING_AWAY);
    assert_int_equal(client__expect_close(&raw), WS_CLOSE_GOING_AWAY);
    /* One that does not answer is not waited for longer than the limit. */
    pthread_join(thread, NULL);
    assert_int_equal(client__read(&deaf), WS_OP_CLOSE);
    assert_int_equal(client__read(&deaf), -1);
    client__close(&json);
    client__close(&raw);
    client__close(&deaf);
    broker_kit__free(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ping_pong),
        cmocka_unit_test(test_urgent_bytes),
        cmocka_unit_test(test_many_pings),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_fragments_with_a_ping_between),
        cmocka_unit_test(test_early_frames),
        cmocka_unit_test(test_message_limit),
        cmocka_unit_test(test_close_codes),
        cmocka_unit_test(test_error_after_close),
        cmocka_unit_test(test_nested_too_deep),
        cmocka_unit_test(test_client_closes),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_shutdown),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
