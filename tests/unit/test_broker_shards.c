/* A running broker with several shards: order across them, commands that reach the
 * right one, and sessions that come back on any. */
#include "broker_kit.h"
#include "ws_client.h"

#include "broker/core/connection_id.h"
#include "broker/net/shard.h"

#include <semaphore.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define SHARDS 3
#define CLIENTS 24
#define MESSAGES 100
#define API "api-version=2024-12-01"
#define MEMBER ",\"webpubsub.group\":\"g\",\"role\":\"webpubsub.sendToGroup\""

static struct broker_kit kit;

static int setup(void **state)
{
    (void)state;
    broker_kit__init(&kit, SHARDS);
    kit.limits.drain_seconds = 1;
    broker_kit__start(&kit);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    broker_kit__free(&kit);
    return 0;
}

struct member {
    struct client client;
    char id[64];
    uint8_t shard;
};

static void open_member(struct member *m, const char *protocol, const char *claims)
{
    uint16_t node;

    client__open(&m->client, &kit,
                 &(struct client_options){.protocol = protocol, .claims = claims});
    assert_int_equal(m->client.status, 101);
    assert_int_equal(client__read(&m->client), WS_OP_TEXT);
    client__member(&m->client, "connectionId", m->id, sizeof(m->id));
    assert_true(connection_id__owner(str__of(m->id), &node, &m->shard));
}

/* The kernel spreads connections; with this many every shard gets some. */
static void open_all(struct member *members)
{
    unsigned seen = 0;

    for (unsigned i = 0; i < CLIENTS; i++) {
        open_member(&members[i], JSON_PROTOCOL, MEMBER);
        seen |= 1u << members[i].shard;
    }
    assert_int_equal(seen, (1u << SHARDS) - 1);
}

static void close_all(struct member *members)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        client__close(&members[i].client);
}

static void expect_number(struct client *c, unsigned number)
{
    char want[32];

    assert_int_equal(client__read(c), WS_OP_TEXT);
    snprintf(want, sizeof(want), "\"data\":%u", number);
    if (!strstr(c->payload.data, want))
        fail_msg("got %s, expected %s", c->payload.data, want);
}

static void test_order_of_one_client(void **state)
{
    struct member members[CLIENTS];

    (void)state;
    open_all(members);
    for (unsigned i = 0; i < MESSAGES; i++) {
        char text[128];

        snprintf(text, sizeof(text), "{\"type\":\"sendToGroup\",\"group\":\"g\",\"data\":%u}", i);
        client__text(&members[0].client, text);
    }
    for (unsigned m = 0; m < CLIENTS; m++) {
        for (unsigned i = 0; i < MESSAGES; i++)
            expect_number(&members[m].client, i);
    }
    close_all(members);
}

/* Clients send faster than the other shards take it: everybody waits, nothing is lost. */
static void test_congestion(void **state)
{
    struct member m[2];
    struct broker_kit k = kit;

    (void)state;
    broker_kit__init(&kit, 2);
    kit.limits.mailbox_bytes = 0; /* a single message is too much */
    broker_kit__start(&kit);
    open_member(&m[0], JSON_PROTOCOL, MEMBER);
    open_member(&m[1], JSON_PROTOCOL, MEMBER);
    while (m[1].shard == m[0].shard) {
        client__close(&m[1].client);
        open_member(&m[1], JSON_PROTOCOL, MEMBER);
    }
    for (unsigned i = 0; i < MESSAGES; i++) {
        char text[128];

        snprintf(text, sizeof(text), "{\"type\":\"sendToGroup\",\"group\":\"g\",\"data\":%u}", i);
        client__text(&m[0].client, text);
    }
    for (unsigned i = 0; i < MESSAGES; i++) {
        expect_number(&m[1].client, i);
        expect_number(&m[0].client, i);
    }
    client__close(&m[0].client);
    client__close(&m[1].client);
    broker_kit__free(&kit);
    kit = k;
}

/* Each call comes in over another connection, and so on any shard. */
static void test_order_of_rest_calls(void **state)
{
    struct member members[CLIENTS];

    (void)state;
    open_all(members);
    for (unsigned i = 0; i < MESSAGES; i++) {
        char body[16];

        snprintf(body, sizeof(body), "%u", i);
        assert_int_equal(broker_kit__rest(&kit, "POST", "/api/hubs/chat/groups/g/:send?" API,
                                          "application/json", str__of(body), NULL),
                         202);
    }
    for (unsigned m = 0; m < CLIENTS; m++) {
        for (unsigned i = 0; i < MESSAGES; i++)
            expect_number(&members[m].client, i);
    }
    close_all(members);
}

/* METHOD on /api/hubs/chat/KIND/ID */
static int call(const char *method, const char *kind, const char *id)
{
    char target[256];

    snprintf(target, sizeof(target), "/api/hubs/chat/%s/%s?" API, kind, id);
    return broker_kit__rest(&kit, method, target, "text/plain", STR(""), NULL);
}

/* A connection is found whichever shard takes the call. */
static void test_one_connection(void **state)
{
    struct member members[CLIENTS];

    (void)state;
    open_all(members);
    for (unsigned i = 0; i < CLIENTS; i++)
        assert_int_equal(call("HEAD", "connections", members[i].id), 200);
    assert_int_equal(call("HEAD", "connections", "nobody"), 404);
    for (unsigned i = 0; i < CLIENTS; i++) {
        assert_int_equal(call("DELETE", "connections", members[i].id), 204);
        assert_int_equal(client__expect_close(&members[i].client), WS_CLOSE_NORMAL);
        assert_int_equal(call("HEAD", "connections", members[i].id), 404);
    }
    close_all(members);
}

static void test_a_user_on_several_shards(void **state)
{
    struct member members[CLIENTS];

    (void)state;
    for (unsigned i = 0; i < CLIENTS; i++)
        open_member(&members[i], JSON_PROTOCOL, ",\"sub\":\"ann\"");
    assert_int_equal(call("HEAD", "users", "ann"), 200);
    assert_int_equal(call("HEAD", "users", "bob"), 404);
    assert_int_equal(call("PUT", "users", "ann/groups/x"), 200);
    assert_int_equal(broker_kit__rest(&kit, "POST", "/api/hubs/chat/groups/x/:send?" API,
                                      "application/json", STR("7"), NULL),
                     202);
    for (unsigned i = 0; i < CLIENTS; i++)
        expect_number(&members[i].client, 7);
    close_all(members);
}

/* --- Recovery ------------------------------------------------------------------------ */

#define PING "{\"type\":\"ping\"}"
#define PONG "{\"type\":\"pong\"}"

/* The ping comes in one packet with the upgrade request, and travels with the socket. */
static void recover(struct client *c, const char *id, const char *token)
{
    char query[2048];
    struct buf ping;

    snprintf(query, sizeof(query), "awps_connection_id=%s&awps_reconnection_token=%s", id, token);
    buf__init(&ping, 64);
    ws_client__frame(&ping, 0x80 | WS_OP_TEXT, STR(PING), "\x12\x34\x56\x78");
    client__open(c, &kit,
                 &(struct client_options){.protocol = RELIABLE_PROTOCOL,
                                          .query = query,
                                          .no_token = true,
                                          .early = buf__view(&ping)});
    assert_int_equal(c->status, 101);
    buf__free(&ping);
}

/* Comes back many times, now and then from a shard that does not own the session, with
 * the old socket closed, reset or still open. */
static void test_recovery_on_any_shard(void **state)
{
    char token[2048], id[64];
    struct member m, sender;
    unsigned sent = 0;

    (void)state;
    open_member(&m, RELIABLE_PROTOCOL, MEMBER);
    open_member(&sender, JSON_PROTOCOL, ",\"role\":\"webpubsub.sendToGroup\"");
    for (unsigned round = 0; round < 12; round++) {
        struct client old = m.client;

        client__member(&old, "reconnectionToken", token, sizeof(token));
        if (round % 2 == 0)
            client__close(&old);
        for (unsigned i = 0; i < 5; i++, sent++) {
            char text[128];

            snprintf(text, sizeof(text),
                     "{\"type\":\"sendToGroup\",\"group\":\"g\",\"data\":%u,\"ackId\":%u}", sent,
                     sent + 1);
            client__text(&sender.client, text);
            assert_int_equal(client__read(&sender.client), WS_OP_TEXT);
        }
        recover(&m.client, m.id, token);
        assert_int_equal(client__read(&m.client), WS_OP_TEXT);
        client__member(&m.client, "connectionId", id, sizeof(id));
        assert_string_equal(id, m.id);
        client__member(&m.client, "reconnectionToken", token, sizeof(token));
        if (round % 2 == 1)
            client__close(&old);
        for (unsigned i = 0; i < sent; i++)
            expect_number(&m.client, i);
        client__expect(&m.client, WS_OP_TEXT, PONG);
        /* expect_number has read over the frame that holds the token */
        buf__reset(&m.client.payload);
        buf__printf(&m.client.payload, "{\"reconnectionToken\":\"%s\"}", token);
    }
    client__close(&m.client);
    client__close(&sender.client);
}

static void test_recovery_refused(void **state)
{
    char token[2048];
    struct member m, other;
    struct client c;

    (void)state;
    open_member(&m, RELIABLE_PROTOCOL, NULL);
    client__member(&m.client, "reconnectionToken", token, sizeof(token));
    open_member(&other, RELIABLE_PROTOCOL, NULL);

    recover(&c, "nobody", token);
    assert_int_equal(client__expect_close(&c), WS_CLOSE_POLICY);
    client__close(&c);
    recover(&c, other.id, token); /* a token is for one connection */
    assert_int_equal(client__expect_close(&c), WS_CLOSE_POLICY);
    client__close(&c);
    recover(&c, m.id, "no.token.at-all");
    assert_int_equal(client__expect_close(&c), WS_CLOSE_POLICY);
    assert_non_null(strstr(c.payload.data + 2, "could not be recovered"));
    client__close(&c);

    /* The client's own word that it is over. */
    client__frame(&m.client, 0x80 | WS_OP_CLOSE, STR("\x03\xe8"));
    assert_int_equal(client__read(&m.client), WS_OP_CLOSE);
    recover(&c, m.id, token);
    assert_int_equal(client__expect_close(&c), WS_CLOSE_POLICY);
    client__close(&c);
    client__close(&m.client);
    client__close(&other.client);
}

/* --- Shutdown ------------------------------------------------------------------------ */

#define CALLS 50
#define CALL_TARGET "/api/hubs/chat/users/ann?" API

/* Each call asks all shards, and some of the answers come while the broker stops. */
static void stop_with_calls_under_way(void)
{
    struct broker_kit k;
    struct buf request;
    int fds[CALLS];

    broker_kit__init(&k, SHARDS);
    broker_kit__start(&k);
    buf__init(&request, 4096);
    buf__str(&request, STR("HEAD " CALL_TARGET " HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "));
    broker_kit__token(&k, CALL_TARGET, NULL, &request);
    buf__str(&request, STR("\r\n\r\n"));
    for (unsigned i = 0; i < CALLS; i++)
        fds[i] = broker_kit__connect(&k);
    for (unsigned i = 0; i < CALLS; i++) {
        broker_kit__write(fds[i], request.data, request.len);
        broker_kit__write(fds[i], request.data, request.len);
    }
    broker__stop(k.broker);
    k.broker = NULL;
    for (unsigned i = 0; i < CALLS; i++) {
        char in[4096];

        while (recv(fds[i], in, sizeof(in), 0) > 0)
            ; /* with or without an answer, the connection ends */
        close(fds[i]);
    }
    buf__free(&request);
    broker_kit__free(&k);
}

static void test_stop_with_calls_under_way(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++)
        stop_with_calls_under_way();
}

/* --- Other settings ------------------------------------------------------------------- */

/* A shard that opens this does nothing else until it is let go. */
struct halt {
    struct letter letter;
    sem_t reached, go;
};

static void open_halt(struct letter *letter, void *reader)
{
    struct halt *h = (struct halt *)letter;

    (void)reader;
    sem_post(&h->reached);
    assert_int_equal(unit__wait(&h->go), 0);
}

static void halt_at(struct halt *h, struct shard *s)
{
    *h = (struct halt){.letter = {.open = open_halt}};
    sem_init(&h->reached, 0, 0);
    sem_init(&h->go, 0, 0);
    shard__post(s, &h->letter);
    assert_int_equal(unit__wait(&h->reached), 0);
}

/* It goes on to use `h` until it has done what comes next. */
static void let_go(struct halt *h)
{
    sem_post(&h->go);
}

/* What held where when the broker said that it did everywhere. */
struct change {
    const struct settings *settings;
    atomic_uint said, held;
    sem_t over;
};

static void on_changed(void *arg)
{
    struct change *c = arg;

    for (unsigned i = 0; i < SHARDS; i++)
        c->held += kit.broker->shards[i]->settings == c->settings;
    c->said++;
    sem_post(&c->over);
}

static void begin_change(struct change *c, const struct settings *settings)
{
    *c = (struct change){.settings = settings};
    sem_init(&c->over, 0, 0);
    assert_true(broker__configure(kit.broker, settings, on_changed, c));
}

static void end_change(struct change *c)
{
    assert_int_equal(unit__wait(&c->over), 0);
    assert_int_equal(c->said, 1);
    assert_int_equal(c->held, SHARDS);
    sem_destroy(&c->over);
}

/* Whichever shard is the last. */
static void test_settings_hold_everywhere_when_it_is_said(void **state)
{
    struct broker_kit other;

    (void)state;
    broker_kit__init(&other, SHARDS);
    for (unsigned late = 0; late < SHARDS; late++) {
        struct halt halts[SHARDS];
        struct change change;

        halt_at(&halts[late], kit.broker->shards[late]);
        begin_change(&change, &other.settings);
        for (unsigned i = 0; i < SHARDS; i++) { /* behind the settings */
            if (i != late) {
                halt_at(&halts[i], kit.broker->shards[i]);
                let_go(&halts[i]);
            }
        }
        assert_int_equal(change.said, 0);
        let_go(&halts[late]);
        end_change(&change);
        begin_change(&change, &kit.settings); /* behind all that was halted */
        end_change(&change);
    }
    broker_kit__free(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_of_one_client),
        cmocka_unit_test(test_order_of_rest_calls),
        cmocka_unit_test(test_congestion),
        cmocka_unit_test(test_one_connection),
        cmocka_unit_test(test_a_user_on_several_shards),
        cmocka_unit_test(test_recovery_on_any_shard),
        cmocka_unit_test(test_recovery_refused),
        cmocka_unit_test(test_stop_with_calls_under_way),
        cmocka_unit_test(test_settings_hold_everywhere_when_it_is_said),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
