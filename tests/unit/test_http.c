/* The HTTP listener, on the wire. */
#include "app/app.h"
#include "app/registry.h"
#include "base/buf.h"
#include "base/clock.h"
#include "serve_client.h"
#include "unit.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

#define REPLY_SIZE 65536

struct fixture {
    struct ph_app *app;
    struct ph_server *server;
    char authority[64];
};

static void start_threads(struct fixture *f, unsigned threads)
{
    const char *why = "";

    if (ph_serve_http(f->app, "127.0.0.1:0", threads, &f->server, &why))
        fail_msg("%s", why);
    serve_client__authority(f->server, f->authority);
}

static void start(struct fixture *f)
{
    start_threads(f, 2);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->app = serve_client__echo_app();
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    ph_server_free(f->server);
    ph_app_free(f->app);
    free(f);
    return 0;
}

/* Sends bytes on a connection of their own; the status, 0 when there is none. The
 * connection must be closed by the server when `closes`. */
static int exchange(const struct fixture *f, const void *data, size_t len, bool closes)
{
    char reply[REPLY_SIZE];
    int fd = serve_client__connect_tcp(f->authority), status;

    serve_client__send(fd, data, len);
    status = serve_client__read_http(fd, reply, sizeof(reply));
    if (closes)
        assert_int_equal(serve_client__read_all(fd, reply, sizeof(reply)), 0);
    close(fd);
    return status;
}

static void keeps_a_connection_for_more_requests(void **state)
{
    struct fixture *f = *state;
    char request[4096], reply[REPLY_SIZE];
    int fd;

    start(f);
    fd = serve_client__connect_tcp(f->authority);
    for (int i = 0; i < 3; i++) {
        struct str s = serve_client__event(request, sizeof(request), "", "hello");

        assert_true(serve_client__send(fd, s.ptr, s.len));
        assert_int_equal(serve_client__read_http(fd, reply, sizeof(reply)), 200);
        assert_non_null(strstr(reply, "\r\n\r\nhello"));
    }
    close(fd);
}

/* More than a thread keeps the memory of, each of them begun before any other has ended. */
static void keeps_requests_apart_that_are_under_way_together(void **state)
{
    enum { CLIENTS = 100 };
    struct fixture *f = *state;
    char request[4096], body[32], reply[REPLY_SIZE];
    int fds[CLIENTS];

    start_threads(f, 1);
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = serve_client__connect_tcp(f->authority);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < CLIENTS; i++) {
            struct str s;

            snprintf(body, sizeof(body), "of %d.%03d ", round, i);
            s = serve_client__event(request, sizeof(request), "", body);
            assert_true(serve_client__send(fds[i], s.ptr, s.len - 1));
        }
        for (int i = 0; i < CLIENTS; i++) {
            assert_true(serve_client__send(fds[i], "!", 1));
            assert_int_equal(serve_client__read_http(fds[i], reply, sizeof(reply)), 200);
            snprintf(body, sizeof(body), "of %d.%03d!", round, i);
            assert_string_equal(strstr(reply, "\r\n\r\n") + 4, body);
        }
    }
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
}

/* An application as with a plugin that says so. */
static void serve_promptly(struct fixture *f, ph_handler_fn *fn, void *arg)
{
    const struct handler handler = {
        .kind = PH_EVENT_USER, .pattern = "*", .fn = fn, .arg = arg, .never_blocks = true};
    struct registry *handlers = registry__new();

    ph_app_free(f->app);
    f->app = ph_app_new();
    ph_app_allow_unsigned(f->app);
    assert_int_equal(registry__add(handlers, &handler), PH_OK);
    assert_int_equal(app__exchange(f->app, handlers, handlers), PH_OK);
    registry__unref(handlers);
    start_threads(f, 1);
}

/* Nothing but a status to those without a body. */
static struct ph_reply *echo_if_any(const struct ph_event *ev, void *arg)
{
    size_t len;
    const void *data = ph_event_data(ev, &len);

    (void)arg;
    return len > 0 ? ph_reply_text(data, len) : ph_reply_ok();
}

static struct str next_answer(const char **at)
{
    const char *start = *at, *end = strstr(start + 1, "HTTP/1.1 ");

    *at = end ? end : start + strlen(start);
    return str__n(start, (size_t)(*at - start));
}

static void check_answers(const char *at, int count)
{
    char body[32];

    for (int i = 0; i < count; i++) {
        struct str answer = next_answer(&at), status;

        status = i % 3 ? STR("HTTP/1.1 204 ") : STR("HTTP/1.1 200 ");
        snprintf(body, sizeof(body), i % 3 ? "\r\n\r\n" : "\r\n\r\nnumber %d", i);
        if (!str__starts_with(answer, status))
            fail_msg("answer %d is %.*s", i, STR_FMT(answer));
        assert_memory_equal(answer.ptr + answer.len - strlen(body), body, strlen(body));
    }
    assert_string_equal(at, "");
}

/* Many in each turn of the loop, so that some answers leave together, behind one another; and
 * peers that are gone when theirs do. */
static void answers_all_that_come_at_once_in_their_order(void **state)
{
    enum { CLIENTS = 32, EACH = 60 };
    struct fixture *f = *state;
    static char requests[EACH * 1024], reply[REPLY_SIZE];
    const struct linger reset = {.l_onoff = 1};
    size_t len = 0;
    int fds[CLIENTS];

    for (int i = 0; i < EACH; i++) {
        char body[32] = "";

        if (i % 3 == 0)
            snprintf(body, sizeof(body), "number %d", i);
        len += serve_client__event(requests + len, sizeof(requests) - len,
                                   i == EACH - 1 ? "Connection: close\r\n" : "", body)
                   .len;
    }
    serve_promptly(f, echo_if_any, NULL);
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = serve_client__connect_tcp(f->authority);
    for (int i = 0; i < CLIENTS; i++)
        assert_true(serve_client__send(fds[i], requests, len));
    for (int i = 0; i < CLIENTS; i++) {
        if (i % 4 == 0) {
            setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        } else {
            serve_client__read_all(fds[i], reply, sizeof(reply));
            check_answers(reply, EACH);
        }
        close(fds[i]);
    }
}

#define CROWD 16
#define CROWDS 12

/* One request, in whose handler the first crowd comes; in the last of each, the next comes. So each
 * crowd has a turn of the loop. */
struct crowds {
    int fds[CROWDS][CROWD];
    struct str request;
    atomic_bool begun;
    int calls;    /* since then */
    int answered; /* of each but the first, when the last of it is served */
};

/* Until the other side's kernel has it. */
static void arrive(int fd)
{
    int waiting = 1;

    while (ioctl(fd, SIOCOUTQ, &waiting) == 0 && waiting > 0)
        poll(NULL, 0, 1);
}

static void send_crowd(const struct crowds *c, int number)
{
    for (int i = 0; i < CROWD; i++)
        serve_client__send(c->fds[number][i], c->request.ptr, c->request.len);
    for (int i = 0; i < CROWD; i++)
        arrive(c->fds[number][i]);
}

static int answers_there(const int *fds)
{
    int count = 0;
    char byte;

    for (int i = 0; i < CROWD; i++)
        count += recv(fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
    return count;
}

static struct ph_reply *serve_crowds(const struct ph_event *ev, void *arg)
{
    struct crowds *c = arg;
    int next = c->calls / CROWD;

    (void)ev;
    if (atomic_load(&c->begun) && c->calls++ % CROWD == 0) {
        if (next > 1)
            c->answered += answers_there(c->fds[next - 1]);
        if (next < CROWDS)
            send_crowd(c, next);
    }
    return ph_reply_ok();
}

static void ask(struct str request, int fd)
{
    char reply[REPLY_SIZE];

    assert_true(serve_client__send(fd, request.ptr, request.len));
    assert_int_equal(serve_client__read_http(fd, reply, sizeof(reply)), 204);
}

/* After a turn of many: each peer would be woken alone. */
static void holds_a_status_back_until_all_of_a_turn_are_served(void **state)
{
    struct fixture *f = *state;
    struct crowds c = {.begun = false};
    char request[4096], reply[REPLY_SIZE];
    int fd;

    c.request = serve_client__event(request, sizeof(request), "", "");
    serve_promptly(f, serve_crowds, &c);
    fd = serve_client__connect_tcp(f->authority);
    for (int i = 0; i < CROWDS * CROWD; i++) {
        c.fds[i / CROWD][i % CROWD] = serve_client__connect_tcp(f->authority);
        ask(c.request, c.fds[i / CROWD][i % CROWD]); /* it is accepted, and has been alone */
    }
    atomic_store(&c.begun, true);
    ask(c.request, fd);
    close(fd);
    for (int i = 0; i < CROWDS * CROWD; i++) {
        fd = c.fds[i / CROWD][i % CROWD];
        assert_int_equal(serve_client__read_http(fd, reply, sizeof(reply)), 204);
        close(fd);
    }
    assert_int_equal(c.answered, 0);
}

/* What the check of the head's end must let pass. */
static void takes_blanks_and_nothing_as_a_last_value(void **state)
{
    static const char *const lines[] = {"X: y \t \r\n", "X:\r\n", "X: \r\n"};
    struct fixture *f = *state;
    char request[4096];

    start(f);
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        int len = snprintf(request, sizeof(request),
                           "POST /eventhandler HTTP/1.1\r\nContent-Length: "
                           "2\r\n" SERVE_CLIENT_EVENT_LINES "%s\r\nhi",
                           lines[i]);

        assert_int_equal(exchange(f, request, (size_t)len, false), 200);
    }
}

/* The query belongs to the application; libmicrohttpd's index of it has no say. */
static void takes_queries_of_many_parameters(void **state)
{
    static const size_t counts[] = {1, 300, 1000, 3000};
    struct fixture *f = *state;
    struct buf request;

    start(f);
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        buf__init(&request, 65536);
        buf__str(&request, STR("POST /eventhandler?"));
        for (size_t n = 0; n < counts[i]; n++)
            buf__str(&request, STR("a&"));
        buf__str(&request,
                 STR(" HTTP/1.1\r\nContent-Length: 2\r\n" SERVE_CLIENT_EVENT_LINES "\r\nhi"));
        assert_false(request.failed);
        assert_int_equal(exchange(f, request.data, request.len, false), 200);
        buf__free(&request);
    }
}

static struct ph_reply *empty_the_state(const struct ph_event *ev, void *arg)
{
    struct ph_reply *reply = ph_reply_ok();

    (void)ev, (void)arg;
    ph_reply_set_state(reply, "");
    return reply;
}

/* An empty state is sent, not left out (event-handler section 3.1). */
static void sends_an_empty_state(void **state)
{
    struct fixture *f = *state;
    char request[4096], reply[REPLY_SIZE];
    struct str s = serve_client__event(request, sizeof(request), "", "hello");
    int fd;

    ph_app_free(f->app);
    f->app = ph_app_new();
    ph_app_allow_unsigned(f->app);
    ph_app_on_event(f->app, NULL, "*", empty_the_state, NULL, NULL);
    start(f);
    fd = serve_client__connect_tcp(f->authority);
    assert_true(serve_client__send(fd, s.ptr, s.len));
    assert_int_equal(serve_client__read_http(fd, reply, sizeof(reply)), 204);
    assert_non_null(strstr(reply, "\r\nce-connectionState:  \r\n"));
    close(fd);
}

#define HEAD "POST /eventhandler HTTP/1.1\r\nHost: a\r\n"
#define ROW(status, bytes)                                                                         \
    {                                                                                              \
        status, bytes, sizeof(bytes) - 1                                                           \
    }

static void refuses_malformed_requests(void **state)
{
    static const struct {
        int status;
        const char *bytes;
        size_t len;
    } rows[] = {
        ROW(400, HEAD "Host: b\r\nContent-Length: 2\r\n\r\nhi"),
        ROW(400, HEAD "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi"),
        ROW(400, HEAD "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi"),
        ROW(400,
            HEAD "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
        ROW(400, HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ROW(501, HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ROW(400, HEAD "X: a\x01z\r\nContent-Length: 2\r\n\r\nhi"),
        ROW(400, HEAD "X: a\x7fz\r\nContent-Length: 2\r\n\r\nhi"),
        ROW(400, HEAD "X: a\rb\r\nContent-Length: 2\r\n\r\nhi"),
        ROW(400, HEAD "X: a\0b\r\nContent-Length: 2\r\n\r\nhi"),
        ROW(400, HEAD "Content-Length: 2\r\nX: a\0b\r\n\r\nhi"),
        ROW(400, HEAD "X: a\r\n b\r\nContent-Length: 2\r\n\r\nhi"),
        ROW(400, HEAD ": x\r\nContent-Length: 2\r\n\r\nhi"),
        ROW(400, HEAD ":x\r\nContent-Length: 2\r\n\r\nhi"),
        ROW(400, HEAD ":\r\nContent-Length: 2\r\n\r\nhi"),
        ROW(400, HEAD "X: a\n\nhi"),
        ROW(400, HEAD "X : a\r\nContent-Length: 2\r\n\r\nhi"),
        ROW(400, HEAD "Content-Length: -2\r\n\r\nhi"),
        ROW(413, HEAD "Content-Length: 99999999999999999999\r\n\r\nhi"),
        ROW(400, "POST /eventhandler HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"),
        ROW(400, "POST /event\x01handler HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"),
        ROW(400, "POST /eventhandler\0x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"),
        ROW(404, "GET /elsewhere HTTP/1.1\r\nHost: a\r\n\r\n"),
        ROW(405, "PUT /eventhandler HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"),
    };
    struct fixture *f = *state;

    start(f);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        int status = exchange(f, rows[i].bytes, rows[i].len, true);

        if (status != rows[i].status)
            fail_msg("row %zu: got %d, expected %d", i, status, rows[i].status);
    }
}

static struct str with_body(char *out, size_t body_len)
{
    int head = sprintf(out,
                       "POST /eventhandler HTTP/1.1\r\n" SERVE_CLIENT_EVENT_LINES
                       "Content-Length: %zu\r\n\r\n",
                       body_len);

    memset(out + head, 'x', body_len);
    return str__n(out, (size_t)head + body_len);
}

static void bounds_the_body(void **state)
{
    static const size_t limit = 50000;
    struct fixture *f = *state;
    char *out = malloc(3000000);
    struct str s;

    ph_app_set_limit(f->app, PH_LIMIT_BODY, limit);
    start(f);
    s = with_body(out, limit - 1);
    assert_int_equal(exchange(f, s.ptr, s.len, false), 200);
    s = with_body(out, limit);
    assert_int_equal(exchange(f, s.ptr, s.len, false), 200);
    s = with_body(out, limit + 1);
    assert_int_equal(exchange(f, s.ptr, s.len, true), 413);
    s = with_body(out, 2000000);
    assert_int_equal(exchange(f, s.ptr, s.len, true), 413);
    free(out);
}

static struct str chunked(char *out, size_t body_len)
{
    char *at = out;

    at += sprintf(at, "POST /eventhandler HTTP/1.1\r\n" SERVE_CLIENT_EVENT_LINES
                      "Transfer-Encoding: chunked\r\n\r\n");
    while (body_len > 0) {
        size_t n = body_len < 4096 ? body_len : 4096;

        at += sprintf(at, "%zx\r\n", n);
        memset(at, 'x', n);
        at += n;
        at += sprintf(at, "\r\n");
        body_len -= n;
    }
    at += sprintf(at, "0\r\n\r\n");
    return str__n(out, (size_t)(at - out));
}

static void bounds_a_chunked_body(void **state)
{
    static const size_t limit = 50000;
    struct fixture *f = *state;
    char *out = malloc(3000000);
    struct webhook_log log;
    struct str s;

    webhook__log_open(&log);
    ph_app_set_log(f->app, log.log);
    ph_app_set_limit(f->app, PH_LIMIT_BODY, limit);
    start(f);
    s = chunked(out, limit);
    assert_int_equal(exchange(f, s.ptr, s.len, false), 200);
    s = chunked(out, limit + 1);
    assert_int_equal(exchange(f, s.ptr, s.len, true), 413);
    s = chunked(out, 2000000);
    assert_int_equal(exchange(f, s.ptr, s.len, true), 413);
    ph_server_free(f->server);
    f->server = NULL;
    ph_app_set_log(f->app, NULL);
    assert_non_null(strstr(log.text, "POST /eventhandler: the body is larger"));
    webhook__log_close(&log);
    free(out);
}

/* A request whose header names and values have `bytes` bytes together. */
static int with_header_bytes(const struct fixture *f, size_t bytes)
{
    static const char head[] = "GET /eventhandler HTTP/1.1\r\nHost: a\r\nX: ";
    char *out = malloc(bytes + sizeof(head) + 8);
    size_t fill = bytes - strlen("Hosta") - strlen("X"), len = sizeof(head) - 1;
    int status;

    memcpy(out, head, len);
    memset(out + len, 'a', fill);
    memcpy(out + len + fill, "\r\n\r\n", 4);
    status = exchange(f, out, len + fill + 4, false);
    free(out);
    return status;
}

static void bounds_the_headers(void **state)
{
    struct fixture *f = *state;
    size_t limit = ph_app_limit(f->app, PH_LIMIT_HEADER_BYTES);

    start(f);
    /* 400: a validation request without an origin */
    assert_int_equal(with_header_bytes(f, limit - 1), 400);
    assert_int_equal(with_header_bytes(f, limit), 400);
    assert_int_equal(with_header_bytes(f, limit + 1), 431);
    assert_int_equal(with_header_bytes(f, 4 * limit), 431);
}

static void bounds_the_number_of_headers(void **state)
{
    struct fixture *f = *state;
    size_t limit = ph_app_limit(f->app, PH_LIMIT_HEADERS);

    start(f);
    for (size_t n = limit - 1; n <= limit + 1; n++) {
        char out[4096], *at = out;

        at += sprintf(at, "GET /eventhandler HTTP/1.1\r\nHost: a\r\n");
        for (size_t i = 1; i < n; i++)
            at += sprintf(at, "X: a\r\n");
        at += sprintf(at, "\r\n");
        assert_int_equal(exchange(f, out, (size_t)(at - out), false), n <= limit ? 400 : 431);
    }
}

static void takes_all_that_the_limits_allow(void **state)
{
    struct fixture *f = *state;
    size_t lines = ph_app_limit(f->app, PH_LIMIT_HEADERS);
    size_t bytes = ph_app_limit(f->app, PH_LIMIT_HEADER_BYTES) - strlen("Hosta");
    char *out = malloc(2 * bytes), *at = out;

    start(f);
    at += sprintf(at, "GET /eventhandler HTTP/1.1\r\nHost: a\r\n");
    for (size_t i = 1; i < lines; i++) {
        size_t n = bytes / (lines - i);

        at += sprintf(at, "X: %0*d\r\n", (int)n - 1, 0);
        bytes -= n;
    }
    assert_int_equal(bytes, 0);
    at += sprintf(at, "\r\n");
    assert_int_equal(exchange(f, out, (size_t)(at - out), false), 400); /* no origin */
    free(out);
}

/* Sends one byte at a time, all but the last, until the server gives up, which must not be
 * before this time. */
static void drip(const struct fixture *f, struct str s, int least_ms)
{
    int64_t began = clock__mono_ms();
    int fd = serve_client__connect_tcp(f->authority);
    struct pollfd p = {.fd = fd, .events = POLLIN};

    for (size_t i = 0; i + 1 < s.len && poll(&p, 1, 20) == 0; i++) {
        if (!serve_client__send(fd, s.ptr + i, 1))
            break;
    }
    assert_int_equal(poll(&p, 1, 1000 * UNIT_WAIT_S), 1);
    assert_true(clock__mono_ms() - began >= least_ms);
    close(fd);
}

static void ends_requests_that_only_drip_in(void **state)
{
    struct fixture *f = *state;
    char request[4096];
    struct str s = serve_client__event(request, sizeof(request), "", "hello");

    ph_app_set_limit(f->app, PH_LIMIT_REQUEST_MS, 200);
    start(f);
    drip(f, s, 150); /* it looks at the clock now and then */
    drip(f, with_body(request, 2000), 150);
}

static void silence_ends_a_connection(void **state)
{
    struct fixture *f = *state;
    char reply[64];
    int fd;

    ph_app_set_limit(f->app, PH_LIMIT_REQUEST_MS, 200);
    start(f);
    fd = serve_client__connect_tcp(f->authority);
    assert_int_equal(serve_client__read_all(fd, reply, sizeof(reply)), 0);
    close(fd);
}

/* While one has a turn of the loop after the other, the next would have had one, too. */
static void more_connections_than_the_limit_wait(void **state)
{
    struct fixture *f = *state;
    char request[4096], reply[REPLY_SIZE];
    struct str s = serve_client__event(request, sizeof(request), "", "hello");
    struct pollfd next = {.events = POLLIN};
    int fd;

    ph_app_set_limit(f->app, PH_LIMIT_CONNECTIONS, 1);
    start_threads(f, 1);
    fd = serve_client__connect_tcp(f->authority);
    for (int i = 0; i < 10; i++) {
        assert_true(serve_client__send(fd, s.ptr, s.len));
        assert_int_equal(serve_client__read_http(fd, reply, sizeof(reply)), 200);
        if (i == 0) {
            next.fd = serve_client__connect_tcp(f->authority);
            assert_true(serve_client__send(next.fd, s.ptr, s.len));
        }
    }
    assert_int_equal(poll(&next, 1, 0), 0);
    close(fd);
    assert_int_equal(serve_client__read_http(next.fd, reply, sizeof(reply)), 200);
    close(next.fd);
}

/* A handler that waits until the test lets it go on. */
struct gate {
    int entered[2], leave[2];
};

static struct ph_reply *wait_at_gate(const struct ph_event *ev, void *arg)
{
    struct gate *g = arg;
    char c = 0;

    (void)ev;
    if (write(g->entered[1], &c, 1) != 1 || read(g->leave[0], &c, 1) != 1)
        return NULL;
    return ph_reply_text("done", 4);
}

static void *free_server(void *arg)
{
    ph_server_free(arg);
    return NULL;
}

static void open_gate(struct fixture *f, struct gate *g)
{
    assert_int_equal(pipe(g->entered) | pipe(g->leave), 0);
    ph_app_free(f->app);
    f->app = ph_app_new();
    ph_app_allow_unsigned(f->app);
    ph_app_on_event(f->app, NULL, "*", wait_at_gate, g, NULL);
}

static void close_gate(const struct gate *g)
{
    for (int i = 0; i < 2; i++) {
        close(g->entered[i]);
        close(g->leave[i]);
    }
}

/* As many as libmicrohttpd hears of at a time, all ready while its thread is in a handler. */
static void a_full_batch_is_answered(void **state)
{
    enum { BATCH = 128 };
    struct fixture *f = *state;
    struct gate g;
    char request[4096], reply[REPLY_SIZE], bytes[BATCH + 1] = {0};
    struct str s = serve_client__event(request, sizeof(request), "", "hello");
    int fds[BATCH + 1];

    open_gate(f, &g);
    start_threads(f, 1);
    assert_int_equal(write(g.leave[1], bytes, BATCH), BATCH);
    for (int i = 0; i < BATCH; i++) { /* all of them are known and kept */
        fds[i] = serve_client__connect_tcp(f->authority);
        assert_true(serve_client__send(fds[i], s.ptr, s.len));
        assert_int_equal(serve_client__read_http(fds[i], reply, sizeof(reply)), 200);
        assert_int_equal(read(g.entered[0], bytes, 1), 1);
    }
    fds[BATCH] = serve_client__connect_tcp(f->authority);
    assert_true(serve_client__send(fds[BATCH], s.ptr, s.len));
    assert_int_equal(read(g.entered[0], bytes, 1), 1);
    for (int i = 0; i < BATCH; i++)
        assert_true(serve_client__send(fds[i], s.ptr, s.len));
    assert_int_equal(write(g.leave[1], bytes, BATCH + 1), BATCH + 1);
    for (int i = 0; i <= BATCH; i++) {
        assert_int_equal(serve_client__read_http(fds[i], reply, sizeof(reply)), 200);
        close(fds[i]);
    }
    close_gate(&g);
}

static void stopping_answers_what_is_under_way(void **state)
{
    struct fixture *f = *state;
    struct gate g;
    char request[4096], reply[REPLY_SIZE], c = 0;
    struct str s = serve_client__event(request, sizeof(request), "", "hello");
    pthread_t thread;
    int fd;

    open_gate(f, &g);
    start(f);
    fd = serve_client__connect_tcp(f->authority);
    assert_true(serve_client__send(fd, s.ptr, s.len));
    assert_int_equal(read(g.entered[0], &c, 1), 1);
    assert_int_equal(pthread_create(&thread, NULL, free_server, f->server), 0);
    assert_int_equal(write(g.leave[1], &c, 1), 1);
    assert_int_equal(serve_client__read_http(fd, reply, sizeof(reply)), 200);
    assert_non_null(strstr(reply, "done"));
    pthread_join(thread, NULL);
    f->server = NULL;
    close(fd);
    close_gate(&g);
}

static struct ph_server *signalled;

static void on_signal(int number)
{
    (void)number;
    ph_server_stop(signalled);
}

static void a_signal_handler_may_stop_it(void **state)
{
    struct fixture *f = *state;

    start(f);
    signalled = f->server;
    signal(SIGUSR2, on_signal);
    raise(SIGUSR2);
    ph_server_wait(f->server); /* returns, now and again */
    ph_server_wait(f->server);
    signal(SIGUSR2, SIG_DFL);
}

static void refuses_to_start(void **state)
{
    struct fixture *f = *state;
    struct ph_app *unsure = ph_app_new();
    struct ph_server *other = NULL;
    const char *why = NULL;

    start(f);
    assert_int_equal(ph_serve_http(unsure, "127.0.0.1:0", 1, &other, &why), PH_ERR_CONFIG);
    assert_non_null(strstr(why, "key"));
    assert_int_equal(ph_serve_http(f->app, "127.0.0.1", 1, &other, &why), PH_ERR_ARGUMENT);
    assert_non_null(strstr(why, "HOST:PORT"));
    assert_int_equal(ph_serve_http(f->app, "127.0.0.1:0", 257, &other, &why), PH_ERR_ARGUMENT);
    assert_int_equal(ph_serve_http(f->app, f->authority, 1, &other, &why), PH_ERR_SYSTEM);
    assert_non_null(strstr(why, "in use"));
    assert_null(other);
    ph_app_free(unsure);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(keeps_a_connection_for_more_requests),
        TEST(keeps_requests_apart_that_are_under_way_together),
        TEST(answers_all_that_come_at_once_in_their_order),
        TEST(holds_a_status_back_until_all_of_a_turn_are_served),
        TEST(takes_blanks_and_nothing_as_a_last_value),
        TEST(takes_queries_of_many_parameters),
        TEST(sends_an_empty_state),
        TEST(refuses_malformed_requests),
        TEST(bounds_the_body),
        TEST(bounds_a_chunked_body),
        TEST(bounds_the_headers),
        TEST(bounds_the_number_of_headers),
        TEST(takes_all_that_the_limits_allow),
        TEST(ends_requests_that_only_drip_in),
        TEST(silence_ends_a_connection),
        TEST(more_connections_than_the_limit_wait),
        TEST(a_full_batch_is_answered),
        TEST(stopping_answers_what_is_under_way),
        TEST(a_signal_handler_may_stop_it),
        TEST(refuses_to_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
