/* The webhook sender against a small HTTP server in the same loop, which says exactly
 * the bytes that a test wants. All but what is ours alone runs over libcurl as well. */
#include "unit.h"

#include "broker/net/addresses.h"
#include "broker/net/outbound.h"
#include "broker/net/webhook.h"
#include "broker/upstream/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define GUARD_MS (1000 * UNIT_WAIT_S) /* a test that takes longer hangs */
#define MAX_EXCHANGES 24
#define MAX_CONNECTIONS 16 /* to one host */

struct outcome {
    struct exchange x;
    int calls, status;
    size_t body_len, header_count;
    char body[256], header[64], why[512];
    bool transient;
};

struct fixture {
    uv_loop_t loop;
    uv_timer_t guard;
    uv_tcp_t server;
    int port;
    struct webhook *w;
    struct outcome outcomes[MAX_EXCHANGES];
    int reported;
    /* the server's side */
    struct str reply; /* what it says to each request; absent: nothing */
    bool closes;      /* behind the reply */
    int deserts;      /* this request, by closing the connection; 0: none */
    size_t drinks;    /* answers once a connection, when it has read so much; 0: to each request */
    int connections, open, requests;
    char request[4096]; /* the last one */
    int fd;             /* of the last connection */
    /* what a report does */
    struct exchange *cancel_in_report, *send_in_report;
};

/* --- the server -------------------------------------------------------------------- */

struct client {
    uv_tcp_t tcp;
    struct fixture *f;
    char in[4096];
    size_t len, drunk;
    uv_write_t write;
};

static void client_closed(uv_handle_t *handle)
{
    struct client *c = handle->data;

    c->f->open--;
    free(c);
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct client *c = handle->data;

    (void)suggested;
    *out = uv_buf_init(c->in + c->len, (unsigned)(sizeof(c->in) - 1 - c->len));
}

static void written(uv_write_t *write, int status)
{
    struct client *c = write->data;

    (void)status;
    if (c->f->closes && !uv_is_closing((uv_handle_t *)&c->tcp))
        uv_close((uv_handle_t *)&c->tcp, client_closed);
}

static size_t content_length(const char *request)
{
    const char *at = strstr(request, "Content-Length: ");

    return at ? strtoul(at + strlen("Content-Length: "), NULL, 10) : 0;
}

static void answer(struct client *c)
{
    struct fixture *f = c->f;
    uv_buf_t out = uv_buf_init((char *)f->reply.ptr, (unsigned)f->reply.len);

    c->len = 0;
    if (++f->requests == f->deserts) {
        uv_close((uv_handle_t *)&c->tcp, client_closed);
    } else if (f->reply.ptr) {
        c->write.data = c;
        assert_int_equal(uv_write(&c->write, (uv_stream_t *)&c->tcp, &out, 1, written), 0);
    }
}

static void answer_if_complete(struct client *c)
{
    char *end = strstr(c->in, "\r\n\r\n");

    if (!end || strlen(end + 4) < content_length(c->in))
        return;
    strcpy(c->f->request, c->in);
    answer(c);
}

static void drink(struct client *c, size_t count)
{
    c->drunk += count;
    c->len = 0;
    if (c->drunk == c->f->drinks)
        answer(c);
}

static void received(uv_stream_t *stream, ssize_t count, const uv_buf_t *in)
{
    struct client *c = stream->data;

    (void)in;
    if (count < 0) {
        if (!uv_is_closing((uv_handle_t *)stream))
            uv_close((uv_handle_t *)stream, client_closed);
        return;
    }
    if (c->f->drinks) {
        drink(c, (size_t)count);
        return;
    }
    c->len += (size_t)count;
    c->in[c->len] = '\0';
    answer_if_complete(c);
}

static void accepted(uv_stream_t *server, int status)
{
    struct fixture *f = server->data;
    struct client *c = calloc(1, sizeof(*c));

    assert_int_equal(status, 0);
    c->f = f;
    c->tcp.data = c;
    uv_tcp_init(&f->loop, &c->tcp);
    assert_int_equal(uv_accept(server, (uv_stream_t *)&c->tcp), 0);
    uv_read_start((uv_stream_t *)&c->tcp, give_room, received);
    assert_int_equal(uv_fileno((uv_handle_t *)&c->tcp, &f->fd), 0);
    f->connections++;
    f->open++;
}

static void listen_somewhere(struct fixture *f)
{
    struct sockaddr_in address;
    int len = sizeof(address);

    uv_ip4_addr("0.0.0.0", 0, &address);
    uv_tcp_init(&f->loop, &f->server);
    f->server.data = f;
    assert_int_equal(uv_tcp_bind(&f->server, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&f->server, 64, accepted), 0);
    uv_tcp_getsockname(&f->server, (struct sockaddr *)&address, &len);
    f->port = ntohs(address.sin_port);
}

/* --- fixture ------------------------------------------------------------------------- */

static void guard_bites(uv_timer_t *timer)
{
    (void)timer;
    fprintf(stderr, "test_webhook: nothing happens any more\n");
    abort();
}

static void send_to(struct fixture *f, struct exchange *x, const char *method, const char *url,
                    int64_t timeout_ms)
{
    static struct http_header items[] = {
        {{"ce-userId", 9}, {"\xe7\x8e\x8b", 3}},
        {{"ce-connectionState", 18}, {"", 0}},
        {{"Content-Type", 12}, {"text/plain", 10}},
    };
    static struct http_request http;
    struct upstream_request req = {.http = &http, .url = str__of(url), .timeout_ms = timeout_ms};

    http = (struct http_request){.method = str__of(method),
                                 .headers = {.items = items, .count = 3, .cap = 3}};
    if (strcmp(method, "POST") == 0)
        http.body = STR("hello");
    assert_true(webhook__send(f->w, x, &req));
}

static const char *url_of(const struct fixture *f)
{
    static char url[64];

    snprintf(url, sizeof(url), "http://127.0.0.1:%d/eh?x=1", f->port);
    return url;
}

static void post(struct fixture *f, int n)
{
    send_to(f, &f->outcomes[n].x, "POST", url_of(f), 10000);
}

static void report(void *ctx, struct exchange *x, const struct exchange_result *result)
{
    struct fixture *f = ctx;
    struct outcome *o = (struct outcome *)x;
    const struct http_response *res = result->response;

    assert_null(exchange__shell(x));
    uv_stop(&f->loop); /* a report from a timer does not end a turn by itself */
    f->reported++;
    o->calls++;
    o->transient = result->transient;
    if (res) {
        struct str header = http__get(&res->headers, STR("ce-connectionState"));

        o->status = res->status;
        o->body_len = res->body.len;
        o->header_count = res->headers.count;
        snprintf(o->body, sizeof(o->body), "%.*s", (int)(res->body.len < 200 ? res->body.len : 0),
                 res->body.ptr);
        snprintf(o->header, sizeof(o->header), "%.*s", STR_FMT(header));
    } else {
        snprintf(o->why, sizeof(o->why), "%s", result->why);
    }
    if (f->cancel_in_report) {
        webhook__cancel(f->w, x);
        webhook__cancel(f->w, f->cancel_in_report);
        f->cancel_in_report = NULL;
    }
    if (f->send_in_report) {
        struct exchange *next = f->send_in_report;

        f->send_in_report = NULL;
        send_to(f, next, "POST", url_of(f), 10000);
    }
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    uv_loop_init(&f->loop);
    uv_timer_init(&f->loop, &f->guard);
    uv_timer_start(&f->guard, guard_bites, GUARD_MS, 0);
    listen_somewhere(f);
    f->w = webhook__new(&f->loop, 4 * MAX_CONNECTIONS, report, f);
    assert_non_null(f->w);
    f->reply = STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nce-connectionState: s\r\n\r\nok");
    *state = f;
    return 0;
}

static void close_rest(uv_handle_t *handle, void *arg)
{
    struct fixture *f = arg;

    if (!uv_is_closing(handle))
        uv_close(handle, handle == (uv_handle_t *)&f->server || handle == (uv_handle_t *)&f->guard
                             ? NULL
                             : client_closed);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    webhook__free(f->w);
    while (f->open > 0) /* they see that all connections are closed */
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_walk(&f->loop, close_rest, f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    free(f);
    return 0;
}

static void run_until(struct fixture *f, const int *counter, int value)
{
    while (*counter < value)
        uv_run(&f->loop, UV_RUN_ONCE);
}

/* --- tests ------------------------------------------------------------------------------ */

static void request_goes_out_as_given(void **state)
{
    struct fixture *f = *state;

    post(f, 0);
    assert_int_equal(f->reported, 0);
    run_until(f, &f->reported, 1);
    assert_int_equal(f->outcomes[0].status, 200);
    assert_string_equal(f->outcomes[0].body, "ok");
    assert_string_equal(f->outcomes[0].header, "s");
    assert_int_equal(strncmp(f->request, "POST /eh?x=1 HTTP/1.1\r\n", 23), 0);
    assert_non_null(strstr(f->request, "\r\nce-userId: \xe7\x8e\x8b\r\n"));
    assert_non_null(strstr(f->request, "\r\nce-connectionState:\r\n"));
    assert_non_null(strstr(f->request, "\r\nContent-Type: text/plain\r\n"));
    assert_non_null(strstr(f->request, "\r\nContent-Length: 5\r\n"));
    assert_non_null(strstr(f->request, "\r\n\r\nhello"));
    assert_null(strstr(f->request, "Expect"));
    assert_null(strstr(f->request, "Accept"));
    assert_null(strstr(f->request, "User-Agent"));
}

static void methods_of_validation(void **state)
{
    struct fixture *f = *state;

    send_to(f, &f->outcomes[0].x, "OPTIONS", url_of(f), 10000);
    run_until(f, &f->reported, 1);
    assert_int_equal(strncmp(f->request, "OPTIONS /eh?x=1 HTTP/1.1\r\n", 26), 0);
    assert_null(strstr(f->request, "Content-Length"));
    send_to(f, &f->outcomes[1].x, "GET", url_of(f), 10000);
    run_until(f, &f->reported, 2);
    assert_int_equal(strncmp(f->request, "GET /eh?x=1 HTTP/1.1\r\n", 22), 0);
    post(f, 2);
    run_until(f, &f->reported, 3);
    assert_int_equal(strncmp(f->request, "POST /eh?x=1 HTTP/1.1\r\n", 23), 0);
    assert_int_equal(f->connections, 1);
}

static void connections_are_used_again(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 10; i++) {
        post(f, i);
        run_until(f, &f->reported, i + 1);
    }
    assert_int_equal(f->requests, 10);
    assert_int_equal(f->connections, 1);
}

static void requests_run_side_by_side(void **state)
{
    struct fixture *f = *state;

    for (int i = MAX_CONNECTIONS - 1; i <= MAX_CONNECTIONS + 1; i++) {
        f->reported = 0;
        for (int n = 0; n < i; n++)
            post(f, n);
        run_until(f, &f->reported, i);
        assert_int_equal(f->connections, i < MAX_CONNECTIONS ? i : MAX_CONNECTIONS);
    }
    for (int i = 0; i < MAX_CONNECTIONS + 1; i++)
        assert_int_equal(f->outcomes[i].status, 200);
}

static void closed_connection_is_replaced(void **state)
{
    struct fixture *f = *state;

    f->closes = true; /* without a word about it in the headers, as a restarting server does */
    for (int i = 0; i < 5; i++) {
        post(f, i);
        run_until(f, &f->reported, i + 1);
        assert_int_equal(f->outcomes[i].status, 200);
    }
}

static void interim_response_is_skipped(void **state)
{
    struct fixture *f = *state;

    f->reply = STR("HTTP/1.1 103 Early Hints\r\nce-connectionState: no\r\nLink: x\r\n\r\n"
                   "HTTP/1.1 204 No Content\r\nce-connectionState: yes\r\n\r\n");
    post(f, 0);
    run_until(f, &f->reported, 1);
    assert_int_equal(f->outcomes[0].status, 204);
    assert_string_equal(f->outcomes[0].header, "yes");
    assert_int_equal(f->outcomes[0].header_count, 1);
}

static void redirects_are_not_followed(void **state)
{
    struct fixture *f = *state;

    f->reply = STR("HTTP/1.1 307 x\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
    post(f, 0);
    run_until(f, &f->reported, 1);
    assert_int_equal(f->outcomes[0].status, 307);
    assert_int_equal(f->requests, 1);
}

static void expect_failure(struct fixture *f, const char *reply, const char *why, bool transient)
{
    struct outcome *o = &f->outcomes[0];

    *o = (struct outcome){0};
    f->closes = true;
    f->reply = str__of(reply);
    f->reported = 0;
    post(f, 0);
    run_until(f, &f->reported, 1);
    if (!strstr(o->why, why))
        fail_msg("got \"%s\", expected \"%s\"", o->why, why);
    assert_int_equal(o->transient, transient);
}

static void broken_answers(void **state)
{
    struct fixture *f = *state;

    expect_failure(f, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "in the middle", true);
    expect_failure(f, "HTTP/1.1 200 OK\r\nContent-Le", "", true);
    expect_failure(f, "", "without an answer", true);
    expect_failure(f, "SSH-2.0-OpenSSH_9.2\r\n", "must speak HTTP/1.1", false);
}

static void refused_connection(void **state)
{
    struct fixture *f = *state;
    struct outcome *o = &f->outcomes[0];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    char url[64];

    /* bound but not listening: nobody else can take the port, and it refuses */
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", ntohs(address.sin_port));
    send_to(f, &o->x, "POST", url, 10000);
    run_until(f, &f->reported, 1);
    assert_string_equal(o->why, "refused connection: is it running?");
    assert_true(o->transient);
    close(fd);
}

static void other_schemes_are_refused(void **state)
{
    struct fixture *f = *state;

    send_to(f, &f->outcomes[0].x, "POST", "file:///etc/passwd", 10000);
    run_until(f, &f->reported, 1);
    assert_non_null(strstr(f->outcomes[0].why, "must start with http://"));
    assert_false(f->outcomes[0].transient);
}

static void silence_times_out(void **state)
{
    struct fixture *f = *state;

    f->reply = STR_NONE;
    send_to(f, &f->outcomes[0].x, "POST", url_of(f), 300);
    run_until(f, &f->reported, 1);
    assert_non_null(strstr(f->outcomes[0].why, "no answer within 0.3 s"));
    assert_false(f->outcomes[0].transient);
}

static void limit_is_until_the_headers(void **state)
{
    struct fixture *f = *state;

    /* the body never ends: the headers have stopped the short clock, which leaves them time on a
     * busy machine */
    f->reply = STR("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    send_to(f, &f->outcomes[0].x, "POST", url_of(f), 2000);
    run_until(f, &f->requests, 1);
    send_to(f, &f->outcomes[1].x, "POST", "http://127.0.0.1:1/", 10000);
    f->reply = STR_NONE;
    send_to(f, &f->outcomes[2].x, "POST", url_of(f), 3000);
    run_until(f, &f->reported, 2); /* the refused one, then the silent one */
    assert_int_equal(f->outcomes[2].calls, 1);
    assert_int_equal(f->outcomes[0].calls, 0);
}

static void answer_of(struct fixture *f, int n, size_t size, bool chunked)
{
    char head[128];
    size_t head_len;
    char *reply = malloc(size + 256);

    if (chunked)
        snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n",
                 size);
    else
        snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", size);
    head_len = strlen(head);
    memcpy(reply, head, head_len);
    memset(reply + head_len, 'x', size);
    memcpy(reply + head_len + size, "\r\n0\r\n\r\n", 7);
    f->reply = str__n(reply, head_len + size + (chunked ? 7 : 0));
    post(f, n);
    run_until(f, &f->reported, n + 1);
    /* the server may still be writing it: let it see the end of the connection first */
    while (f->outcomes[n].status == 0 && f->open > 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    free(reply);
}

static void responses_are_bounded(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 6; i++)
        answer_of(f, i, UPSTREAM_MAX_RESPONSE - 1 + (size_t)i % 3, i >= 3);
    for (int i = 0; i < 6; i++) {
        struct outcome *o = &f->outcomes[i];

        if (i % 3 < 2) {
            assert_int_equal(o->status, 200);
            assert_int_equal(o->body_len, UPSTREAM_MAX_RESPONSE - 1 + (size_t)i % 3);
        } else {
            assert_string_equal(o->why, "its answer is larger than the limit of 16 MiB");
            assert_false(o->transient);
        }
    }
}

static void headers_are_bounded(void **state)
{
    struct fixture *f = *state;
    char *reply = malloc(65536);

    for (int i = 0; i < 3; i++) {
        int count = WEBHOOK_MAX_HEADERS - 1 + i;
        size_t len = (size_t)sprintf(reply, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");

        for (int n = 1; n < count; n++)
            len += (size_t)sprintf(reply + len, "x-%d: %d\r\n", n, n);
        sprintf(reply + len, "\r\n");
        f->reply = str__of(reply);
        post(f, i);
        run_until(f, &f->reported, i + 1);
        assert_int_equal(f->outcomes[i].status, i < 2 ? 200 : 0);
        assert_int_equal(f->outcomes[i].header_count, i < 2 ? count : 0);
    }
    assert_non_null(strstr(f->outcomes[2].why, "too many or too large"));
    free(reply);
}

static void cancel_stops_it(void **state)
{
    struct fixture *f = *state;

    f->reply = STR_NONE;
    post(f, 0);
    post(f, 1);
    webhook__cancel(f->w, &f->outcomes[0].x);
    run_until(f, &f->requests, 1);
    webhook__cancel(f->w, &f->outcomes[1].x);
    webhook__cancel(f->w, &f->outcomes[1].x);
    while (f->open > 0) /* an HTTP/1.1 connection with a request under way is closed */
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->requests, 1);
    assert_int_equal(f->reported, 0);
}

static void cancel_from_inside_a_report(void **state)
{
    struct fixture *f = *state;

    post(f, 0);
    post(f, 1);
    post(f, 2);
    /* whichever comes first cancels itself, which does nothing, and the last */
    f->cancel_in_report = &f->outcomes[2].x;
    run_until(f, &f->reported, 2);
    assert_int_equal(f->outcomes[0].calls + f->outcomes[1].calls + f->outcomes[2].calls, 2);
}

static void send_from_inside_a_report(void **state)
{
    struct fixture *f = *state;

    f->send_in_report = &f->outcomes[0].x; /* the same exchange again */
    post(f, 0);
    run_until(f, &f->reported, 2);
    assert_int_equal(f->outcomes[0].calls, 2);
    assert_int_equal(f->connections, 1);
}

static void free_with_requests_under_way(void **state)
{
    struct fixture *f = *state;

    f->reply = STR_NONE;
    for (int i = 0; i < 5; i++)
        post(f, i);
    run_until(f, &f->requests, 5);
    for (int i = 5; i < 8; i++)
        post(f, i); /* not even connected */
}

/* As a server does that closes what is idle just when the next request comes. */
static void deserted_request_goes_out_again(void **state)
{
    struct fixture *f = *state;

    post(f, 0);
    run_until(f, &f->reported, 1);
    f->deserts = 2;
    post(f, 1);
    run_until(f, &f->reported, 2);
    assert_int_equal(f->outcomes[1].status, 200);
    assert_int_equal(f->requests, 3);
    assert_int_equal(f->connections, 2);
}

/* What came while the connection was idle is no answer to the next request, even if that goes
 * out before the loop has looked: many servers say 408 before they close. */
static void nothing_is_sent_where_something_came(void **state)
{
    struct fixture *f = *state;
    const struct str late = STR("HTTP/1.1 408 x\r\nContent-Length: 0\r\n\r\n");

    post(f, 0);
    run_until(f, &f->reported, 1);
    assert_int_equal(write(f->fd, late.ptr, late.len), late.len);
    post(f, 1);
    run_until(f, &f->reported, 2);
    assert_int_equal(f->outcomes[1].status, 200);
    assert_int_equal(shutdown(f->fd, SHUT_WR), 0); /* it would hear of a request still */
    post(f, 2);
    run_until(f, &f->reported, 3);
    assert_int_equal(f->outcomes[2].status, 200);
    assert_int_equal(f->requests, 3);
    assert_int_equal(f->connections, 3);
}

static void nobody_is_asked_again_on_a_new_connection(void **state)
{
    struct fixture *f = *state;

    f->deserts = 1;
    post(f, 0);
    run_until(f, &f->reported, 1);
    assert_non_null(strstr(f->outcomes[0].why, "without an answer"));
    assert_true(f->outcomes[0].transient);
    assert_int_equal(f->requests, 1);
}

static void connection_is_not_kept_after(struct fixture *f, const char *reply)
{
    int connections = f->connections;

    f->reply = str__of(reply);
    f->reported = 0;
    for (int i = 0; i < 2; i++) {
        post(f, i);
        run_until(f, &f->reported, i + 1);
        assert_int_equal(f->outcomes[i].status, 200);
    }
    assert_int_equal(f->connections, connections + 2);
}

static void connections_are_closed_when_asked(void **state)
{
    struct fixture *f = *state;

    connection_is_not_kept_after(
        f, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    connection_is_not_kept_after(f, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
}

static void connections_are_closed_when_more_came(void **state)
{
    connection_is_not_kept_after(*state, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore");
}

static void what_breaks_the_rules_is_refused(void **state)
{
    expect_failure(*state, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                   "not proper HTTP/1.1: header Content-Length came 2 times", false);
}

static void body_may_end_with_the_connection(void **state)
{
    struct fixture *f = *state;

    f->closes = true;
    f->reply = STR("HTTP/1.1 200 OK\r\n\r\nall of it");
    post(f, 0);
    run_until(f, &f->reported, 1);
    assert_string_equal(f->outcomes[0].body, "all of it");
}

static void send_large(struct fixture *f, size_t len)
{
    static struct http_request http = {.method = {"POST", 4}};
    const struct upstream_request req = {
        .http = &http, .url = str__of(url_of(f)), .timeout_ms = 10000};

    http.body = str__n(calloc(1, len), len);
    assert_true(webhook__send(f->w, &f->outcomes[0].x, &req));
    run_until(f, &f->reported, 1);
    free((void *)http.body.ptr);
}

static void large_request_goes_out_in_pieces(void **state)
{
    struct fixture *f = *state;
    const size_t len = 8u << 20;
    char head[256];

    f->drinks = len + (size_t)snprintf(head, sizeof(head),
                                       "POST /eh?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                                       "Content-Length: %zu\r\n\r\n",
                                       f->port, len);
    send_large(f, len);
    assert_int_equal(f->outcomes[0].status, 200);
}

/* As a server does that refuses what is too large. */
static void answer_may_come_before_the_request_is_out(void **state)
{
    struct fixture *f = *state;

    f->drinks = 4095; /* the first read */
    f->reply = STR("HTTP/1.1 413 x\r\nContent-Length: 0\r\n\r\n");
    send_large(f, 64u << 20);
    assert_int_equal(f->outcomes[0].status, 413);
    while (f->open > 0) /* the rest of it can go nowhere */
        uv_run(&f->loop, UV_RUN_ONCE);
}

static void names_are_looked_up(void **state)
{
    struct fixture *f = *state;
    char url[128];

    snprintf(url, sizeof(url), "http://localhost:%d/eh", f->port);
    for (int i = 0; i < 3; i++)
        send_to(f, &f->outcomes[i].x, "POST", url, 10000);
    run_until(f, &f->reported, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(f->outcomes[i].status, 200);
    /* a label of 64 characters: nobody needs to be asked */
    snprintf(url, sizeof(url), "http://%064d.example:%d/", 1, f->port);
    url[7] = 'a';
    send_to(f, &f->outcomes[0].x, "POST", url, 10000);
    run_until(f, &f->reported, 4);
    assert_non_null(strstr(f->outcomes[0].why, "is the host name right?"));
    assert_true(f->outcomes[0].transient);
}

static void those_in_line_come_in_order_or_go(void **state)
{
    struct fixture *f = *state;

    f->reply = STR_NONE;
    for (int i = 0; i < MAX_CONNECTIONS; i++)
        post(f, i);
    send_to(f, &f->outcomes[MAX_CONNECTIONS].x, "POST", url_of(f), 200);
    post(f, MAX_CONNECTIONS + 1);
    post(f, MAX_CONNECTIONS + 2);
    run_until(f, &f->requests, MAX_CONNECTIONS);
    webhook__cancel(f->w, &f->outcomes[MAX_CONNECTIONS + 1].x);
    run_until(f, &f->reported, 1); /* its time runs in line */
    assert_non_null(strstr(f->outcomes[MAX_CONNECTIONS].why, "no answer within 0.2 s"));
    f->reply = STR("HTTP/1.1 204 x\r\n\r\n");
    webhook__cancel(f->w, &f->outcomes[3].x); /* makes room */
    run_until(f, &f->reported, 2);
    assert_int_equal(f->outcomes[MAX_CONNECTIONS + 2].status, 204);
    assert_int_equal(f->requests, MAX_CONNECTIONS + 1);
}

/* The connections that another host keeps idle give way. */
static void idle_connections_give_way(void **state)
{
    struct fixture *f = *state;
    const char *const others[] = {"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"};
    char url[64];

    for (int host = 0; host < 4; host++) {
        f->reported = 0;
        snprintf(url, sizeof(url), "http://%s:%d/", others[host], f->port);
        for (int i = 0; i < MAX_CONNECTIONS; i++)
            send_to(f, &f->outcomes[i].x, "POST", url, 10000);
        run_until(f, &f->reported, MAX_CONNECTIONS);
    }
    assert_int_equal(f->open, 4 * MAX_CONNECTIONS);
    f->reported = 0;
    post(f, 0);
    run_until(f, &f->reported, 1);
    assert_int_equal(f->outcomes[0].status, 200);
    while (f->open > 4 * MAX_CONNECTIONS)
        uv_run(&f->loop, UV_RUN_ONCE);
}

/* Whoever was asked last does not get all that becomes free. */
static void hosts_take_turns(void **state)
{
    struct fixture *f = *state;
    char url[64];

    webhook__free(f->w);
    f->w = webhook__new(&f->loop, 4, report, f);
    f->reply = STR_NONE;
    for (int i = 0; i < 6; i++) { /* four hosts with a connection each, another, the first again */
        snprintf(url, sizeof(url), "http://127.0.0.%d:%d/", 2 + i % 5, f->port);
        send_to(f, &f->outcomes[i].x, "POST", url, 10000);
    }
    run_until(f, &f->requests, 4);
    f->reply = STR("HTTP/1.1 204 x\r\n\r\n");
    webhook__cancel(f->w, &f->outcomes[0].x);
    run_until(f, &f->reported, 1);
    assert_int_equal(f->outcomes[4].status, 204);
    run_until(f, &f->reported, 2);
    assert_int_equal(f->outcomes[5].status, 204);
}

struct broken_write {
    struct outbound out;
    struct outbound_room room;
    int listener, ends;
    bool orderly;
};

/* The peer resets the connection, and writing is the first to find out. */
static void write_in_vain(struct outbound *o)
{
    const struct linger reset = {1, 0};
    struct broken_write *b = (struct broken_write *)o;
    int fd = accept(b->listener, NULL, NULL);

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
    outbound__write(o, STR("head"), STR("body"));
}

static void note_end(struct outbound *o, bool orderly)
{
    struct broken_write *b = (struct broken_write *)o;

    b->ends++;
    b->orderly = orderly;
    outbound__close(o);
}

static void was_closed(struct outbound *o)
{
    (void)o;
}

/* Or a body that goes on until then would pass as complete. */
static void what_cannot_be_written_is_no_orderly_end(void **state)
{
    static const struct outbound_events events = {
        .opened = write_in_vain, .ended = note_end, .closed = was_closed};
    struct broken_write *b = calloc(1, sizeof(*b));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    uv_loop_t loop;

    (void)state;
    b->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(b->listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(b->listener, 1), 0);
    assert_int_equal(getsockname(b->listener, (struct sockaddr *)&address, &len), 0);
    uv_loop_init(&loop);
    outbound__dial(&b->out, &loop, (struct sockaddr *)&address, GUARD_MS, &b->room, &events);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(b->ends, 1);
    assert_false(b->orderly);
    close(b->listener);
    free(b);
}

/* Two begin with one that refuses; the second has no luck until the first has found another. */
static void addresses_are_tried_once_each(void **state)
{
    struct addresses a = {.count = 3};
    const unsigned first = a.first;

    (void)state;
    assert_ptr_equal(addresses__at(&a, first, 1), &a.list[1]);
    addresses__prefer(&a, first, 1);
    assert_ptr_equal(addresses__at(&a, first, 1), &a.list[1]);
    assert_ptr_equal(addresses__at(&a, first, 2), &a.list[2]);
    assert_null(addresses__at(&a, first, 3));
    addresses__prefer(&a, first, 1);
    assert_int_equal(a.first, 1);
    assert_ptr_equal(addresses__at(&a, a.first, 0), &a.list[1]);
    assert_ptr_equal(addresses__at(&a, a.first, 2), &a.list[0]);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest both[] = {
        WITH_SERVER(request_goes_out_as_given),
        WITH_SERVER(methods_of_validation),
        WITH_SERVER(connections_are_used_again),
        WITH_SERVER(requests_run_side_by_side),
        WITH_SERVER(closed_connection_is_replaced),
        WITH_SERVER(interim_response_is_skipped),
        WITH_SERVER(redirects_are_not_followed),
        WITH_SERVER(broken_answers),
        WITH_SERVER(refused_connection),
        WITH_SERVER(other_schemes_are_refused),
        WITH_SERVER(silence_times_out),
        WITH_SERVER(limit_is_until_the_headers),
        WITH_SERVER(responses_are_bounded),
        WITH_SERVER(headers_are_bounded),
        WITH_SERVER(cancel_stops_it),
        WITH_SERVER(cancel_from_inside_a_report),
        WITH_SERVER(send_from_inside_a_report),
        WITH_SERVER(free_with_requests_under_way),
        WITH_SERVER(deserted_request_goes_out_again),
        WITH_SERVER(nobody_is_asked_again_on_a_new_connection),
        WITH_SERVER(connections_are_closed_when_asked),
        WITH_SERVER(body_may_end_with_the_connection),
        WITH_SERVER(large_request_goes_out_in_pieces),
        WITH_SERVER(answer_may_come_before_the_request_is_out),
        WITH_SERVER(names_are_looked_up),
        WITH_SERVER(those_in_line_come_in_order_or_go),
        WITH_SERVER(idle_connections_give_way),
    };
    const struct CMUnitTest ours[] = {
        WITH_SERVER(connections_are_closed_when_more_came),
        WITH_SERVER(nothing_is_sent_where_something_came),
        WITH_SERVER(what_breaks_the_rules_is_refused),
        WITH_SERVER(hosts_take_turns),
        cmocka_unit_test(addresses_are_tried_once_each),
        cmocka_unit_test(what_cannot_be_written_is_no_orderly_end),
    };
    int failed;

    unsetenv("http_proxy"); /* which is obeyed even for loopback */
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    failed = cmocka_run_group_tests_name("our own HTTP/1.1", both, NULL, NULL);
    failed += cmocka_run_group_tests_name("our own, stricter", ours, NULL, NULL);
    setenv("http_proxy", "http://127.0.0.1:1", 1); /* libcurl is asked, ... */
    setenv("no_proxy", "*", 1);                    /* and uses no proxy */
    return failed + cmocka_run_group_tests_name("libcurl", both, NULL, NULL);
}
