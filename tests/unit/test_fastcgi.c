/* FastCGI, spoken record by record (FastCGI specification 1.0). */
#include "fastcgi_client.h"
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

/* --- tests --------------------------------------------------------------------- */

static void expect_echo(int fd, const char *body)
{
    char reply[REPLY_SIZE], *end;

    assert_true(fastcgi_client__read_response(fd, reply, sizeof(reply)));
    if (strncmp(reply, "Status: 200 OK\r\n", 16) != 0)
        fail_msg("got \"%s\"", reply);
    end = strstr(reply, "\r\n\r\n");
    assert_non_null(end);
    assert_string_equal(end + 4, body);
}

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
            assert_true(fastcgi_client__send_event(fds[i], true, body, strlen(body)));
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
    assert_true(fastcgi_client__send_event(fd, false, "once", 4));
    expect_echo(fd, "once");
    assert_int_equal(serve_client__read_all(fd, rest, sizeof(rest)), 0);
    close(fd);
}

/* On a connection of its own. On a busy machine a whole request may take longer than the limit,
 * too; a server without a thread to spare says nothing, which fails in the client. */
static bool is_echoed(const struct fixture *f, const char *body)
{
    int fd = serve_client__connect_unix(f->path);
    char reply[REPLY_SIZE] = "";
    bool answered = fastcgi_client__send_event(fd, true, body, strlen(body)) &&
                    fastcgi_client__read_response(fd, reply, sizeof(reply));

    close(fd);
    return answered && strstr(reply, body);
}

static void half_a_request_holds_no_thread_for_long(void **state)
{
    struct fixture *f = *state;
    int stalled[2 * THREADS];
    struct buf out;

    ph_app_set_limit(f->app, PH_LIMIT_REQUEST_MS, 200);
    start(f);
    buf__init(&out, 65536);
    fastcgi_client__put_event(&out, true, STR("hello"), 5);
    for (size_t i = 0; i < sizeof(stalled) / sizeof(*stalled); i++) {
        stalled[i] = serve_client__connect_unix(f->path);
        assert_true(serve_client__send(stalled[i], out.data, out.len * (i + 1) / 5));
    }
    while (!is_echoed(f, "hello"))
        ;
    for (size_t i = 0; i < sizeof(stalled) / sizeof(*stalled); i++)
        close(stalled[i]);
    buf__free(&out);
}

static void expect_status(int fd, const char *status)
{
    char reply[REPLY_SIZE];

    assert_true(fastcgi_client__read_response(fd, reply, sizeof(reply)));
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
    assert_true(fastcgi_client__send_event(fd, true, large, 200000));
    expect_status(fd, "Status: 413 ");
    assert_true(fastcgi_client__send_event(fd, true, "cut", 10));
    expect_status(fd, "Status: 400 ");
    assert_true(fastcgi_client__send_event(fd, true, "more than that", 3));
    expect_status(fd, "Status: 400 ");
    assert_true(fastcgi_client__send_event(fd, true, "hello", 5));
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
    assert_true(fastcgi_client__send_event(good, true, "hello", 5));
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
    assert_true(fastcgi_client__send_event(fd, true, "hello", 5));
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
    assert_true(fastcgi_client__send_event(fd, true, "hello", 5));
    expect_echo(fd, "hello");
    close(fd);
    ph_server_free(server);
}

/* --- as many connections as there may be ------------------------------------------ */

static void expect_served(int fd)
{
    assert_true(fastcgi_client__send_event(fd, true, "hello", 5));
    expect_echo(fd, "hello");
}

static void expect_end(int fd)
{
    char rest[16];

    assert_int_equal(serve_client__read_all(fd, rest, sizeof(rest)), 0);
    close(fd);
}

/* As many as there may be are kept; each one more ends one, no other. With one thread, one is back
 * among those that idle before the next request is read. */
static void keep_and_replace(struct fixture *f, int most)
{
    int fds[CLIENTS];

    ph_app_set_limit(f->app, PH_LIMIT_CONNECTIONS, (size_t)most);
    start_with(f, 1);
    for (int i = 0; i < most; i++)
        fds[i] = serve_client__connect_unix(f->path);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < most; i++)
            expect_served(fds[i]);
    }
    for (int i = 0; i < most; i++) {
        int more = serve_client__connect_unix(f->path);

        expect_served(more);
        expect_end(fds[i]);
        fds[i] = more;
        for (int k = 0; k < most; k++)
            expect_served(fds[(i + 1 + k) % most]);
    }
    for (int i = 0; i < most; i++)
        close(fds[i]);
    ph_server_free(f->server);
    f->server = NULL;
}

static void the_one_that_idles_longest_makes_room(void **state)
{
    static const int most[] = {1, 2, 16};

    for (size_t i = 0; i < sizeof(most) / sizeof(*most); i++)
        keep_and_replace(*state, most[i]);
}

/* A web server that connects has a request. Whoever has none may not keep others out. */
static void those_without_a_request_make_room(void **state)
{
    struct fixture *f = *state;
    int silent;

    ph_app_set_limit(f->app, PH_LIMIT_CONNECTIONS, 1);
    ph_app_set_limit(f->app, PH_LIMIT_REQUEST_MS, 200);
    start(f);
    silent = serve_client__connect_unix(f->path);
    while (!is_echoed(f, "hello"))
        ;
    expect_end(silent);
}

/* A handler that says that it was called and waits until the test lets it go on. */
struct stall {
    int entered[2], leave[2];
};

static struct ph_reply *wait_to_leave(const struct ph_event *ev, void *arg)
{
    const struct stall *s = arg;
    char c = 0;

    (void)ev;
    if (write(s->entered[1], &c, 1) != 1 || read(s->leave[0], &c, 1) != 1)
        return NULL;
    return ph_reply_text("done", 4);
}

static void wait_for_one_more(const struct stall *s)
{
    struct pollfd entered = {.fd = s->entered[0], .events = POLLIN};
    char c;

    assert_int_equal(poll(&entered, 1, UNIT_WAIT_S * 1000), 1);
    assert_int_equal(read(s->entered[0], &c, 1), 1);
}

static void open_stall(struct fixture *f, struct stall *s)
{
    assert_int_equal(pipe(s->entered) | pipe(s->leave), 0);
    ph_app_free(f->app);
    f->app = ph_app_new();
    ph_app_allow_unsigned(f->app);
    ph_app_on_event(f->app, NULL, "*", wait_to_leave, s, NULL);
}

static void let_go_on(const struct stall *s)
{
    char c = 0;

    assert_int_equal(write(s->leave[1], &c, 1), 1);
}

static void close_stall(struct fixture *f, const struct stall *s)
{
    ph_server_free(f->server);
    f->server = NULL;
    for (int i = 0; i < 2; i++) {
        close(s->entered[i]);
        close(s->leave[i]);
    }
}

/* All of them have requests under way, and then none has: the next to be done is ended. */
static void the_first_that_is_done_makes_room(void **state)
{
    enum { MOST = 2, CLIENTS_HERE = 5 };
    struct fixture *f = *state;
    struct stall s;
    int fds[CLIENTS_HERE];

    open_stall(f, &s);
    ph_app_set_limit(f->app, PH_LIMIT_CONNECTIONS, MOST);
    start_with(f, MOST + 1);
    for (int i = 0; i < CLIENTS_HERE; i++) {
        fds[i] = serve_client__connect_unix(f->path);
        assert_true(fastcgi_client__send_event(fds[i], true, "hello", 5));
        if (i < MOST)
            wait_for_one_more(&s);
    }
    for (int i = 0; i < CLIENTS_HERE; i++)
        let_go_on(&s);
    for (int i = 0; i < CLIENTS_HERE; i++) {
        expect_echo(fds[i], "done");
        close(fds[i]);
    }
    close_stall(f, &s);
}

/* The only thread is busy; one more comes, then a request on the connection that idles longest. */
static void a_request_that_is_here_is_answered(void **state)
{
    enum { IDLE, BUSY, MORE, ALL };
    static const int order[ALL] = {MORE, IDLE, BUSY};
    struct fixture *f = *state;
    struct stall s;
    int fds[ALL];

    open_stall(f, &s);
    ph_app_set_limit(f->app, PH_LIMIT_CONNECTIONS, ALL - 1);
    start_with(f, 1);
    for (int i = IDLE; i <= BUSY; i++) {
        fds[i] = serve_client__connect_unix(f->path);
        assert_true(fastcgi_client__send_event(fds[i], true, "hello", 5));
        wait_for_one_more(&s);
        if (i == IDLE) {
            let_go_on(&s);
            expect_echo(fds[i], "done");
        }
    }
    fds[MORE] = serve_client__connect_unix(f->path);
    assert_true(fastcgi_client__send_event(fds[MORE], true, "hello", 5));
    assert_true(fastcgi_client__send_event(fds[IDLE], true, "hello", 5));
    for (int i = 0; i < ALL; i++)
        let_go_on(&s);
    for (int i = 0; i < ALL; i++)
        expect_echo(fds[order[i]], "done");
    expect_end(fds[BUSY]);
    close(fds[IDLE]);
    close(fds[MORE]);
    close_stall(f, &s);
}

/* The only thread is busy for longer than a request may take to come: one that has come stays. */
static void a_request_that_is_here_is_not_late(void **state)
{
    struct fixture *f = *state;
    struct stall s;
    int early, silent, busy;

    open_stall(f, &s);
    ph_app_set_limit(f->app, PH_LIMIT_REQUEST_MS, 1000);
    start_with(f, 1);
    early = serve_client__connect_unix(f->path);
    silent = serve_client__connect_unix(f->path);
    busy = serve_client__connect_unix(f->path);
    assert_true(fastcgi_client__send_event(busy, true, "hello", 5));
    wait_for_one_more(&s); /* so the others were accepted before */
    assert_true(fastcgi_client__send_event(early, true, "hello", 5));
    expect_end(silent);
    let_go_on(&s);
    let_go_on(&s);
    expect_echo(busy, "done");
    expect_echo(early, "done");
    close(busy);
    close(early);
    close_stall(f, &s);
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
        TEST(the_one_that_idles_longest_makes_room),
        TEST(those_without_a_request_make_room),
        TEST(the_first_that_is_done_makes_room),
        TEST(a_request_that_is_here_is_answered),
        TEST(a_request_that_is_here_is_not_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
