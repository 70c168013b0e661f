/* FastCGI, spoken record by record (FastCGI specification 1.0). */
#include "base/buf.h"
#include "serve_client.h"
#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS 64
#define THREADS 2
#define REPLY_SIZE 65536

enum { BEGIN_REQUEST = 1, END_REQUEST = 3, PARAMS = 4, STDIN = 5, STDOUT = 6 };

struct fixture {
    struct ph_app *app;
    struct ph_server *server;
    char folder[64];
    char path[96];
};

static void start_with(struct fixture *f, unsigned threads)
{
    const char *why = "";

    if (ph_serve_fastcgi(f->app, f->path, threads, &f->server, &why))
        fail_msg("%s", why);
}

static void start(struct fixture *f)
{
    start_with(f, THREADS);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->folder, "/tmp/pubhook-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/s", f->folder);
    f->app = serve_client__echo_app();
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    ph_server_free(f->server);
    if (f->server)
        assert_int_equal(stat(f->path, &st), -1); /* removed at the end */
    unlink(f->path);
    assert_int_equal(rmdir(f->folder), 0);
    ph_app_free(f->app);
    free(f);
    return 0;
}

/* --- a client ---------------------------------------------------------------- */

static void put_record(struct buf *out, int type, struct str content)
{
    char head[8] = {1, (char)type, 0, 1, (char)(content.len >> 8), (char)content.len, 0, 0};

    buf__append(out, head, sizeof(head));
    buf__str(out, content);
}

static void put_length(struct buf *out, size_t len)
{
    if (len < 128) {
        buf__byte(out, (char)len);
        return;
    }
    buf__byte(out, (char)(0x80 | (len >> 24)));
    buf__byte(out, (char)(len >> 16));
    buf__byte(out, (char)(len >> 8));
    buf__byte(out, (char)len);
}

static void put_param(struct buf *out, const char *name, const char *value)
{
    put_length(out, strlen(name));
    put_length(out, strlen(value));
    buf__str(out, str__of(name));
    buf__str(out, str__of(value));
}

static const char *const event_params[][2] = {
    {"REQUEST_METHOD", "POST"},
    {"REQUEST_URI", "/eventhandler"},
    {"CONTENT_TYPE", "text/plain"},
    {"HTTP_HOST", "localhost"},
    {"HTTP_CE_SPECVERSION", "1.0"},
    {"HTTP_CE_AWPSVERSION", "1.0"},
    {"HTTP_CE_TYPE", "azure.webpubsub.user.message"},
    {"HTTP_CE_SOURCE", "/hubs/chat/client/conn1"},
    {"HTTP_CE_ID", "2"},
    {"HTTP_CE_TIME", "2026-11-20T12:00:00Z"},
    {"HTTP_CE_SIGNATURE", WEBHOOK_SIGNATURE},
    {"HTTP_CE_CONNECTIONID", WEBHOOK_CONNECTION},
    {"HTTP_CE_HUB", "chat"},
    {"HTTP_CE_EVENTNAME", "message"},
    {"HTTP_CE_USERID", "\xd0\xba\xd0\xbb"},
    {"HTTP_WEBHOOK_REQUEST_ORIGIN", "localhost"},
};

/* A signed event with `body`, of which Content-Length says that it has `length` bytes. */
static void put_event(struct buf *out, bool keep, struct str body, size_t length)
{
    char begin[8] = {0, 1, keep, 0, 0, 0, 0, 0}, number[24];
    struct buf params;

    buf__init(&params, 65535);
    for (size_t i = 0; i < sizeof(event_params) / sizeof(*event_params); i++)
        put_param(&params, event_params[i][0], event_params[i][1]);
    snprintf(number, sizeof(number), "%zu", length);
    put_param(&params, "CONTENT_LENGTH", number);
    put_record(out, BEGIN_REQUEST, str__n(begin, sizeof(begin)));
    put_record(out, PARAMS, buf__view(&params));
    put_record(out, PARAMS, STR(""));
    while (body.len > 0) {
        size_t n = body.len < 32768 ? body.len : 32768;

        put_record(out, STDIN, str__n(body.ptr, n));
        body = str__n(body.ptr + n, body.len - n);
    }
    put_record(out, STDIN, STR(""));
    buf__free(&params);
}

static bool send_event(int fd, bool keep, const char *body, size_t length)
{
    struct buf out;
    bool sent;

    buf__init(&out, 4 << 20);
    put_event(&out, keep, str__of(body), length);
    sent = serve_client__send(fd, out.data, out.len);
    buf__free(&out);
    return sent;
}

static bool receive(int fd, void *to, size_t len)
{
    return recv(fd, to, len, MSG_WAITALL) == (ssize_t)len;
}

/* Reads to the end of the request; false when the connection ended before. */
static bool read_response(int fd, char *out, size_t size)
{
    unsigned char head[8];
    char content[65536 + 256];
    size_t len = 0;

    while (receive(fd, head, sizeof(head))) {
        size_t n = (size_t)head[4] << 8 | head[5];

        if (!receive(fd, content, n + head[6]))
            return false;
        if (head[1] == STDOUT) {
            assert_true(len + n < size);
            memcpy(out + len, content, n);
            len += n;
        }
        out[len] = '\0';
        if (head[1] == END_REQUEST)
            return true;
    }
    return false;
}

static void expect_echo(int fd, const char *body)
{
    char reply[REPLY_SIZE], *end;

    assert_true(read_response(fd, reply, sizeof(reply)));
    if (strncmp(reply, "Status: 200 OK\r\n", 16) != 0)
        fail_msg("got \"%s\"", reply);
    end = strstr(reply, "\r\n\r\n");
    assert_non_null(end);
    assert_string_equal(end + 4, body);
}

/* --- tests --------------------------------------------------------------------- */

static void serve_many_open_connections(struct fixture *f, unsigned threads)
{
    int fds[CLIENTS];
    char body[32];

    start_with(f, threads);
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = serve_client__connect_unix(f->path);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < CLIENTS; i++) {
            snprintf(body, sizeof(body), "%d of %d", i, round);
            assert_true(send_event(fds[i], true, body, strlen(body)));
        }
        /* the last first: the order of answers must not matter */
        for (int i = CLIENTS; i-- > 0;) {
            snprintf(body, sizeof(body), "%d of %d", i, round);
            expect_echo(fds[i], body);
        }
    }
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    ph_server_free(f->server);
    f->server = NULL;
}

static void open_connections_starve_nobody(void **state)
{
    static const unsigned threads[] = {1, 2, 16};

    for (size_t i = 0; i < sizeof(threads) / sizeof(*threads); i++)
        serve_many_open_connections(*state, threads[i]);
}

static void closes_what_is_not_to_be_kept(void **state)
{
    struct fixture *f = *state;
    char rest[16];
    int fd;

    start(f);
    fd = serve_client__connect_unix(f->path);
    assert_true(send_event(fd, false, "once", 4));
    expect_echo(fd, "once");
    assert_int_equal(serve_client__read_all(fd, rest, sizeof(rest)), 0);
    close(fd);
}

static void half_a_request_holds_no_thread_for_long(void **state)
{
    struct fixture *f = *state;
    int stalled[2 * THREADS], fd;
    struct buf out;

    ph_app_set_limit(f->app, PH_LIMIT_REQUEST_MS, 200);
    start(f);
    buf__init(&out, 65536);
    put_event(&out, true, STR("hello"), 5);
    for (size_t i = 0; i < sizeof(stalled) / sizeof(*stalled); i++) {
        stalled[i] = serve_client__connect_unix(f->path);
        assert_true(serve_client__send(stalled[i], out.data, out.len * (i + 1) / 5));
    }
    fd = serve_client__connect_unix(f->path);
    assert_true(send_event(fd, true, "hello", 5));
    expect_echo(fd, "hello");
    for (size_t i = 0; i < sizeof(stalled) / sizeof(*stalled); i++)
        close(stalled[i]);
    close(fd);
    buf__free(&out);
}

static void expect_status(int fd, const char *status)
{
    char reply[REPLY_SIZE];

    assert_true(read_response(fd, reply, sizeof(reply)));
    if (strncmp(reply, status, strlen(status)) != 0)
        fail_msg("got \"%s\", expected \"%s\"", reply, status);
}

static void refuses_bodies_and_keeps_the_connection(void **state)
{
    struct fixture *f = *state;
    char *large = malloc(200001);
    int fd;

    memset(large, 'x', 200000);
    large[200000] = '\0';
    ph_app_set_limit(f->app, PH_LIMIT_BODY, 100000);
    start(f);
    fd = serve_client__connect_unix(f->path);
    assert_true(send_event(fd, true, large, 200000));
    expect_status(fd, "Status: 413 ");
    assert_true(send_event(fd, true, "cut", 10));
    expect_status(fd, "Status: 400 ");
    assert_true(send_event(fd, true, "more than that", 3));
    expect_status(fd, "Status: 400 ");
    assert_true(send_event(fd, true, "hello", 5));
    expect_echo(fd, "hello");
    close(fd);
    free(large);
}

static void nonsense_ends_its_connection_only(void **state)
{
    struct fixture *f = *state;
    char rest[64];
    int good, bad;

    start(f);
    good = serve_client__connect_unix(f->path);
    for (int i = 0; i < 2 * THREADS; i++) {
        bad = serve_client__connect_unix(f->path);
        serve_client__send(bad, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
        serve_client__read_all(bad, rest, sizeof(rest));
        close(bad);
    }
    assert_true(send_event(good, true, "hello", 5));
    expect_echo(good, "hello");
    close(good);
}

static void takes_over_a_stale_socket_only(void **state)
{
    struct fixture *f = *state;
    struct ph_server *second = NULL;
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    const char *why = NULL;
    int fd = open(f->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(ph_serve_fastcgi(f->app, f->path, 1, &second, &why), PH_ERR_SYSTEM);
    assert_non_null(strstr(why, f->path));
    unlink(f->path);
    start(f);
    assert_int_equal(ph_serve_fastcgi(f->app, f->path, 1, &second, &why), PH_ERR_SYSTEM);
    assert_non_null(strstr(why, "another process listens"));
    ph_server_free(f->server);
    f->server = NULL;

    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", f->path);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    close(fd); /* its file stays */
    start(f);
    fd = serve_client__connect_unix(f->path);
    assert_true(send_event(fd, true, "hello", 5));
    expect_echo(fd, "hello");
    close(fd);
}

static void listens_on_tcp_too(void **state)
{
    struct fixture *f = *state;
    struct ph_server *server;
    char authority[64];
    int fd;

    start(f);
    assert_int_equal(ph_serve_fastcgi(f->app, "127.0.0.1:0", 1, &server, NULL), PH_OK);
    assert_int_equal(strncmp(ph_server_address(server), "fastcgi:127.0.0.1:", 18), 0);
    fd = serve_client__connect_tcp(serve_client__authority(server, authority));
    assert_true(send_event(fd, true, "hello", 5));
    expect_echo(fd, "hello");
    close(fd);
    ph_server_free(server);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(open_connections_starve_nobody),
        TEST(closes_what_is_not_to_be_kept),
        TEST(half_a_request_holds_no_thread_for_long),
        TEST(refuses_bodies_and_keeps_the_connection),
        TEST(nonsense_ends_its_connection_only),
        TEST(takes_over_a_stale_socket_only),
        TEST(listens_on_tcp_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
