/* A running broker and its HTTP front: what is malformed, too large or too slow. */
#include "broker_kit.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_ALL "/api/hubs/chat/:send?api-version=2024-12-01"
#define MAX_BODY (1u << 20)

static struct broker_kit kit;

static int setup(void **state)
{
    (void)state;
    broker_kit__init(&kit, 2);
    broker_kit__start(&kit);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    broker_kit__free(&kit);
    return 0;
}

static void expect_status(struct str request, int status)
{
    int got = broker_kit__http(&kit, request, NULL);

    if (got != status)
        fail_msg("status %d, expected %d for %.*s", got, status, STR_FMT(request));
}

static void test_paths(void **state)
{
    struct buf out;

    (void)state;
    buf__init(&out, 4096);
    assert_int_equal(
        broker_kit__http(&kit, STR("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), &out),
        200);
    assert_non_null(strstr(out.data, "pubhook-broker"));
    expect_status(STR("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"), 404);
    expect_status(STR("HEAD /api/health HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    expect_status(STR("GET /client/hubs/chat HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
    buf__free(&out);
}

#define ROW(text)                                                                                  \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define HEAD "HEAD /api/health HTTP/1.1\r\nHost: a\r\n"

static void test_malformed(void **state)
{
    static const struct str rows[] = {
        ROW(HEAD "Host: b\r\n\r\n"),
        ROW(HEAD "Content-Length: 0\r\nContent-Length: 0\r\n\r\n"),
        ROW(HEAD "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc"),
        ROW(HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ROW(HEAD "X: a\x01"
                 "b\r\n\r\n"),
        ROW(HEAD "X: a\0b\r\n\r\n"),
        ROW(HEAD "X: a\r\n folded\r\n\r\n"),
        ROW("HEAD /api/health HTTP/1.1\r\n\r\n"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        expect_status(rows[i], 400);
}

static void test_header_limits(void **state)
{
    struct buf request;

    (void)state;
    for (unsigned lines = 99; lines <= 101; lines++) {
        buf__init(&request, 65536);
        buf__str(&request, STR(HEAD));
        for (unsigned i = 1; i < lines; i++)
            buf__str(&request, STR("X: y\r\n"));
        buf__str(&request, STR("\r\n"));
        expect_status(buf__view(&request), lines <= 100 ? 200 : 431);
        buf__free(&request);
    }
}

/* An upgrade request with a body could smuggle frames past somebody in front of us. */
static void test_upgrade_with_body(void **state)
{
    (void)state;
    expect_status(STR("GET /client/hubs/chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                      "Connection: Upgrade\r\nContent-Length: 3\r\n\r\nabc"),
                  400);
}

static void test_body_limits(void **state)
{
    static const struct {
        size_t len;
        int status;
    } rows[] = {{0, 202}, {MAX_BODY - 1, 202}, {MAX_BODY, 202}, {MAX_BODY + 1, 413}};
    char *body = malloc(MAX_BODY + 1);

    (void)state;
    assert_non_null(body);
    memset(body, 'x', MAX_BODY + 1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_int_equal(
            broker_kit__rest(&kit, "POST", SEND_ALL, "text/plain", str__n(body, rows[i].len), NULL),
            rows[i].status);
    free(body);
}

/* Chunks are accepted and counted. */
static int send_chunked(size_t chunks, size_t chunk_len)
{
    struct buf request;
    int status;

    buf__init(&request, 16u << 20);
    buf__printf(&request,
                "POST " SEND_ALL " HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Type: text/plain\r\n"
                "Transfer-Encoding: chunked\r\nAuthorization: Bearer ",
                kit.port);
    broker_kit__token(&kit, SEND_ALL, NULL, &request);
    buf__str(&request, STR("\r\n\r\n"));
    for (size_t i = 0; i < chunks; i++) {
        buf__printf(&request, "%zx\r\n", chunk_len);
        for (size_t j = 0; j < chunk_len; j++)
            buf__byte(&request, 'x');
        buf__str(&request, STR("\r\n"));
    }
    buf__str(&request, STR("0\r\n\r\n"));
    assert_false(request.failed);
    status = broker_kit__http(&kit, buf__view(&request), NULL);
    buf__free(&request);
    return status;
}

static void test_chunked(void **state)
{
    (void)state;
    assert_int_equal(send_chunked(3, 5), 202);
    assert_int_equal(send_chunked(16, MAX_BODY / 16), 202);
    assert_int_equal(send_chunked(17, MAX_BODY / 16), 413);
}

/* A client that never ends its body reads the refusal all the same. */
static void test_endless_chunks(void **state)
{
    struct buf request;

    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        buf__init(&request, 16u << 20);
        buf__printf(&request,
                    "POST " SEND_ALL " HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                    "Transfer-Encoding: chunked\r\nAuthorization: Bearer ",
                    kit.port);
        broker_kit__token(&kit, SEND_ALL, NULL, &request);
        /* one byte too much, and far too much */
        buf__printf(&request, "\r\n\r\n%x\r\n", kind ? 8 * MAX_BODY : MAX_BODY + 1);
        for (size_t i = 0; i < (kind ? 4 * MAX_BODY : MAX_BODY + 1); i++)
            buf__byte(&request, 'x');
        assert_false(request.failed);
        expect_status(buf__view(&request), 413);
        buf__free(&request);
    }
}

/* Who asks before it sends is told at once. */
static void test_expect_continue(void **state)
{
    static const struct {
        const char *line;
        bool token;
        int status;
    } rows[] = {
        {"Content-Length: 1048576", true, 100},     {"Content-Length: 1048577", true, 413},
        {"Content-Length: 8", false, 401},          {"Transfer-Encoding: chunked", true, 100},
        {"Transfer-Encoding: chunked", false, 401},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct buf request;

        buf__init(&request, 8192);
        buf__printf(&request,
                    "POST " SEND_ALL " HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nExpect: 100-continue\r\n"
                    "%s\r\nAuthorization: Bearer ",
                    kit.port, rows[i].line);
        broker_kit__token(&kit, rows[i].token ? SEND_ALL : "/other", NULL, &request);
        buf__str(&request, STR("\r\n\r\n"));
        expect_status(buf__view(&request), rows[i].status);
        buf__free(&request);
    }
}

/* A request has a deadline as a whole: each byte of this client comes in time. */
static void test_slow_request(void **state)
{
    struct broker_kit k;
    int64_t begin;
    char byte;
    int fd;

    (void)state;
    broker_kit__init(&k, 1);
    k.limits.request_seconds = 1;
    broker_kit__start(&k);
    begin = clock__mono_ms();
    fd = broker_kit__connect(&k);
    broker_kit__write(fd, "GET / HTTP/1.1\r\nX: ", 19);
    for (;;) {
        struct timeval wait = {.tv_usec = 100000};
        ssize_t n;

        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
        n = recv(fd, &byte, 1, 0);
        if (n >= 0)
            break;
        broker_kit__write(fd, "x", 1);
        assert_true(clock__mono_ms() - begin < 1000 * BROKER_KIT_WAIT_S);
    }
    assert_true(clock__mono_ms() - begin >= 1000);
    close(fd);
    broker_kit__free(&k);
}

/* Two requests on one connection; the second is refused and ends it. */
static void test_kept_connection(void **state)
{
    static const char first[] = "HEAD /api/health HTTP/1.1\r\nHost: a\r\n\r\n";
    static const char second[] = "HEAD /api/health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
    int fd = broker_kit__connect(&kit);
    char in[2048];
    size_t len = 0;
    ssize_t n;

    (void)state;
    broker_kit__write(fd, first, sizeof(first) - 1);
    n = recv(fd, in, sizeof(in) - 1, 0);
    assert_true(n > 0);
    assert_memory_equal(in, "HTTP/1.1 200", 12);
    broker_kit__write(fd, second, sizeof(second) - 1);
    while ((n = recv(fd, in + len, sizeof(in) - 1 - len, 0)) > 0)
        len += (size_t)n;
    assert_memory_equal(in, "HTTP/1.1 400", 12);
    close(fd);
}

/* The answer comes by the head alone, and arrives although the body is on its way. */
static void test_refused_body_in_flight(void **state)
{
    size_t size = 8u << 20;
    char *body = calloc(1, size);

    (void)state;
    assert_non_null(body);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(broker_kit__rest(&kit, "POST", SEND_ALL, "application/octet-stream",
                                          str__n(body, size), NULL),
                         413);
    free(body);
}

/* A client that asks to be let in and does not wait for the answer. */
static int ask(const struct broker_kit *k)
{
    struct buf request;
    int fd = broker_kit__connect(k);

    buf__init(&request, 8192);
    buf__str(&request, STR("GET /client/hubs/slow?access_token="));
    broker_kit__token(k, "/client/hubs/slow", NULL, &request);
    buf__printf(&request,
                " HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                k->port);
    broker_kit__write(fd, request.data, request.len);
    buf__free(&request);
    return fd;
}

/* A connect handler that hangs takes a quarter of the HTTP connections at the most. */
static void test_hanging_connect_handler(void **state)
{
    uint16_t port;
    struct diag diag = {""};
    struct broker_kit k;
    int clients[2], handler;
    struct client c;
    char url[64];

    (void)state;
    handler = open_silent_server(&port);
    snprintf(url, sizeof(url), "slow=http://127.0.0.1:%u/eventhandler", port);
    broker_kit__init(&k, 1);
    k.limits.http_connections = 8;
    k.limits.drain_seconds = 1;
    assert_int_equal(settings__add_event_handler(&k.settings, url, &diag), PH_OK);
    broker_kit__start(&k);
    for (unsigned i = 0; i < 2; i++)
        clients[i] = ask(&k);
    client__open(&c, &k, &(struct client_options){.hub = "slow"});
    assert_int_equal(c.status, 503);
    client__close(&c);
    client__open(&c, &k, &(struct client_options){.hub = "other"});
    assert_int_equal(c.status, 101);
    client__close(&c);
    broker_kit__free(&k);
    for (unsigned i = 0; i < 2; i++)
        close(clients[i]);
    close(handler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_header_limits),
        cmocka_unit_test(test_upgrade_with_body),
        cmocka_unit_test(test_body_limits),
        cmocka_unit_test(test_chunked),
        cmocka_unit_test(test_endless_chunks),
        cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_refused_body_in_flight),
        cmocka_unit_test(test_kept_connection),
        cmocka_unit_test(test_hanging_connect_handler),
        cmocka_unit_test(test_slow_request),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
