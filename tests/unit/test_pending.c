/* Events that wait for their answers at a server (pubhook/defer.h): over HTTP and FastCGI, on
 * the wire. */
#include "fastcgi_client.h"
#include "pubhook/auth.h"
#include "pubhook/defer.h"
#include "serve_client.h"
#include "unit.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MANY 5000
#define SERVER_THREADS 2
#define ANSWERING_THREADS 4
#define NEVER_MS 600000
#define LIMIT_MS 3000 /* of a request, where the test waits for it: enough on a busy machine */
#define REPLY_SIZE 65536

/* How events come. */
struct way {
    enum ph_err (*serve)(struct ph_app *, const char *, unsigned, struct ph_server **,
                         const char **);
    void (*send)(int fd, const char *body);
    int (*read)(int fd, char *out, size_t size); /* the status, 0 for none */
};

struct fixture {
    const struct way *way;
    struct ph_app *app;
    struct ph_server *server;
    char authority[64];
    atomic_uint deadline_ms;
    atomic_bool answers_at_once, over;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct ph_deferred *tokens[MANY];
    size_t count, taken, told;
    enum ph_err why;
};

/* cmocka's assertions are for the first thread. */
#define must(what)                                                                                 \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* --- HTTP and FastCGI ----------------------------------------------------------------- */

static void send_http(int fd, const char *body)
{
    char request[4096];
    struct str s = serve_client__event(request, sizeof(request), "", body);

    assert_true(serve_client__send(fd, s.ptr, s.len));
}

static void send_fastcgi(int fd, const char *body)
{
    assert_true(fastcgi_client__send_event(fd, true, body, strlen(body)));
}

static int read_fastcgi(int fd, char *out, size_t size)
{
    int status = 0;

    if (fastcgi_client__read_response(fd, out, size))
        sscanf(out, "Status: %d", &status);
    return status;
}

static const struct way http = {ph_serve_http, send_http, serve_client__read_http};
static const struct way fastcgi = {ph_serve_fastcgi, send_fastcgi, read_fastcgi};

/* --- An application that defers --------------------------------------------------------- */

static void on_cancel(struct ph_deferred *token, enum ph_err why, void *arg)
{
    struct fixture *f = arg;

    (void)token;
    pthread_mutex_lock(&f->lock);
    f->told++;
    f->why = why;
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static struct ph_reply *reply_to(const struct ph_deferred *token)
{
    size_t len;
    const void *data = ph_event_data(ph_deferred_event(token), &len);

    return ph_reply_text(data, len);
}

static struct ph_reply *defer(const struct ph_event *ev, void *arg)
{
    struct fixture *f = arg;
    struct ph_deferred *token;
    struct ph_reply *reply = ph_reply_defer(ev, f->deadline_ms, &token);

    if (!token)
        return reply;
    ph_deferred_on_cancel(token, on_cancel, f, NULL);
    if (f->answers_at_once) {
        must(ph_deferred_answer(token, reply_to(token)) == PH_OK);
        ph_deferred_unref(token);
        return reply;
    }
    pthread_mutex_lock(&f->lock);
    f->tokens[f->count++] = token;
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
    return reply;
}

static void wait_for(struct fixture *f, const size_t *counter, size_t count)
{
    pthread_mutex_lock(&f->lock);
    while (*counter < count)
        pthread_cond_wait(&f->changed, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

/* Answers with the event's own data what is not answered yet. */
static void *answer(void *arg)
{
    struct fixture *f = arg;

    for (;;) {
        struct ph_deferred *token = NULL;

        pthread_mutex_lock(&f->lock);
        if (f->taken < f->count)
            token = f->tokens[f->taken++];
        pthread_mutex_unlock(&f->lock);
        if (!token)
            return NULL;
        must(ph_deferred_answer(token, reply_to(token)) == PH_OK);
        must(ph_deferred_answer(token, reply_to(token)) == PH_ERR_STATE);
    }
}

/* --- Fixture ------------------------------------------------------------------------------- */

static int set_up(void **state, const struct way *way)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->way = way;
    f->deadline_ms = NEVER_MS;
    f->app = ph_app_new();
    assert_int_equal(ph_app_add_key(f->app, WEBHOOK_KEY), PH_OK);
    assert_int_equal(ph_app_on_event(f->app, NULL, "*", defer, f, NULL), PH_OK);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    *state = f;
    return 0;
}

static int set_up_http(void **state)
{
    return set_up(state, &http);
}

static int set_up_fastcgi(void **state)
{
    return set_up(state, &fastcgi);
}

static void stop(struct fixture *f)
{
    ph_server_free(f->server);
    f->server = NULL;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < f->count / 2; i++)
        ph_deferred_unref(f->tokens[i]);
    stop(f);
    ph_app_free(f->app);
    for (size_t i = f->count / 2; i < f->count; i++) /* whatever is gone before */
        ph_deferred_unref(f->tokens[i]);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    free(f);
    return 0;
}

static void start(struct fixture *f)
{
    const char *why = "";

    if (f->way->serve(f->app, "127.0.0.1:0", SERVER_THREADS, &f->server, &why))
        fail_msg("%s", why);
    serve_client__authority(f->server, f->authority);
}

/* A connection on which an event is. */
static int post(struct fixture *f, const char *body)
{
    int fd = serve_client__connect_tcp(f->authority);

    f->way->send(fd, body);
    return fd;
}

static void expect(struct fixture *f, int fd, int status, const char *body)
{
    char reply[REPLY_SIZE];
    const char *end;
    int got = f->way->read(fd, reply, sizeof(reply));

    if (got != status)
        fail_msg("status %d, expected %d: %s", got, status, reply);
    end = strstr(reply, "\r\n\r\n");
    assert_non_null(end);
    assert_string_equal(end + 4, body);
}

/* --- Tests ----------------------------------------------------------------------------------- */

/* With FastCGI, the server has two descriptors for each, and the client's are here too. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < 3 * MANY + 100)
        skip();
}

static void five_thousand_wait_at_once(void **state)
{
    struct fixture *f = *state;
    int *fds = calloc(MANY, sizeof(*fds));
    pthread_t threads[ANSWERING_THREADS];
    char body[32];

    raise_descriptor_limit();
    start(f);
    for (int i = 0; i < MANY; i++) {
        snprintf(body, sizeof(body), "event %d", i);
        fds[i] = post(f, body);
    }
    wait_for(f, &f->count, MANY);
    for (int i = 0; i < ANSWERING_THREADS; i++)
        pthread_create(&threads[i], NULL, answer, f);
    for (int i = 0; i < MANY; i++) {
        snprintf(body, sizeof(body), "event %d", i);
        expect(f, fds[i], 200, body);
        close(fds[i]);
    }
    for (int i = 0; i < ANSWERING_THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(f->told, 0);
    free(fds);
}

static void connection_serves_on(void **state)
{
    struct fixture *f = *state;
    int fd;

    start(f);
    fd = post(f, "one");
    wait_for(f, &f->count, 1);
    answer(f);
    expect(f, fd, 200, "one");
    f->deadline_ms = 5;
    f->way->send(fd, "two");
    expect(f, fd, 504, "");
    wait_for(f, &f->told, 1);
    assert_int_equal(f->why, PH_ERR_TIMEOUT);
    assert_int_equal(ph_deferred_answer(f->tokens[1], ph_reply_ok()), PH_ERR_TIMEOUT);
    f->answers_at_once = true;
    f->way->send(fd, "three");
    expect(f, fd, 200, "three");
    close(fd);
}

static void requests_sent_at_once_are_answered_in_order(void **state)
{
    struct fixture *f = *state;
    int fd;

    start(f);
    fd = post(f, "one");
    f->way->send(fd, "two");
    wait_for(f, &f->count, 1);
    answer(f);
    expect(f, fd, 200, "one");
    wait_for(f, &f->count, 2);
    answer(f);
    expect(f, fd, 200, "two");
    close(fd);
}

static void client_goes_away(void **state)
{
    struct fixture *f = *state;
    int fd, other;

    start(f);
    fd = post(f, "one");
    other = post(f, "two");
    wait_for(f, &f->count, 2);
    close(fd);
    wait_for(f, &f->told, 1);
    assert_int_equal(f->why, PH_ERR_GONE);
    for (int i = 0; i < 2; i++) {
        const struct ph_event *ev = ph_deferred_event(f->tokens[i]);
        size_t len;
        bool gone = strcmp(ph_event_data(ev, &len), "one") == 0;

        assert_int_equal(ph_deferred_answer(f->tokens[i], reply_to(f->tokens[i])),
                         gone ? PH_ERR_GONE : PH_OK);
    }
    expect(f, other, 200, "two");
    close(other);
}

/* A silent connection, which comes later, is ended; the one that waits for us is not. */
static void waiting_takes_none_of_a_requests_time(void **state)
{
    struct fixture *f = *state;
    char rest[16];
    int fd, stalled;

    ph_app_set_limit(f->app, PH_LIMIT_REQUEST_MS, LIMIT_MS);
    start(f);
    fd = post(f, "one");
    wait_for(f, &f->count, 1);
    stalled = serve_client__connect_tcp(f->authority);
    assert_true(serve_client__send(stalled, "\1\1\0\1", 4)); /* half a record; no HTTP at all */
    serve_client__read_all(stalled, rest, sizeof(rest));
    close(stalled);
    answer(f);
    expect(f, fd, 200, "one");
    close(fd);
}

static void *free_server(void *arg)
{
    ph_server_free(arg);
    return NULL;
}

static void stopping_waits_for_answers(void **state)
{
    struct fixture *f = *state;
    char reply[REPLY_SIZE] = "";
    pthread_t thread;
    int fd, other;

    start(f);
    fd = post(f, "one");
    wait_for(f, &f->count, 1);
    f->answers_at_once = true;
    other = post(f, "two");
    expect(f, other, 200, "two");
    assert_int_equal(pthread_create(&thread, NULL, free_server, f->server), 0);
    f->server = NULL;
    /* over HTTP each answer says when the end has begun, over FastCGI there is none any more */
    while (!strstr(reply, "Connection: close")) {
        f->way->send(other, "three");
        if (f->way->read(other, reply, sizeof(reply)) == 0)
            break;
    }
    answer(f);
    expect(f, fd, 200, "one");
    pthread_join(thread, NULL);
    close(other);
    close(fd);
}

static void stopping_fails_what_is_not_answered(void **state)
{
    struct fixture *f = *state;
    int fds[20];

    ph_app_set_limit(f->app, PH_LIMIT_REQUEST_MS, LIMIT_MS);
    start(f);
    for (int i = 0; i < 20; i++)
        fds[i] = post(f, "one");
    wait_for(f, &f->count, 20);
    stop(f);
    assert_int_equal(f->told, 20);
    assert_int_equal(f->why, PH_ERR_GONE);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(ph_deferred_answer(f->tokens[i], ph_reply_ok()), PH_ERR_GONE);
        expect(f, fds[i], 503, "the server is stopping");
        close(fds[i]);
    }
}

/* Everything at once: answers, deadlines, clients that go, and the end. */
static void *churn(void *arg)
{
    struct fixture *f = arg;
    unsigned seed = (unsigned)(uintptr_t)&seed;

    for (int i = 0; i < 200; i++) {
        int fd = post(f, "one");
        char reply[REPLY_SIZE];

        if (rand_r(&seed) % 2)
            f->way->read(fd, reply, sizeof(reply));
        close(fd);
    }
    return NULL;
}

static void answers_and_ends_meet(void **state)
{
    struct fixture *f = *state;
    pthread_t clients[4], server;
    size_t at = 0;

    f->deadline_ms = 2;
    start(f);
    for (int i = 0; i < 4; i++)
        pthread_create(&clients[i], NULL, churn, f);
    while (at < 800) {
        wait_for(f, &f->count, at + 1);
        ph_deferred_answer(f->tokens[at], reply_to(f->tokens[at]));
        at++;
    }
    for (int i = 0; i < 4; i++)
        pthread_join(clients[i], NULL);
    pthread_create(&server, NULL, free_server, f->server);
    pthread_join(server, NULL);
    f->server = NULL;
}

/* The same events come again and again, while their handlers run on threads of their own. */
static void *churn_again(void *arg)
{
    struct fixture *f = arg;
    unsigned seed = (unsigned)(uintptr_t)&seed;

    for (int i = 0; i < 200; i++) {
        char body[32], reply[REPLY_SIZE];
        int fd;

        snprintf(body, sizeof(body), "event %d", rand_r(&seed) % 20 + i / 20 * 20);
        fd = post(f, body);
        if (rand_r(&seed) % 2)
            must(f->way->read(fd, reply, sizeof(reply)) > 0);
        close(fd);
    }
    return NULL;
}

static void *change_keys(void *arg)
{
    struct fixture *f = arg;
    struct ph_keys *keys = ph_keys_new();

    must(keys && ph_keys_add(keys, NULL, WEBHOOK_KEY) == PH_OK);
    while (!f->over) {
        must(ph_app_replace_keys(f->app, keys) == PH_OK);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    ph_keys_free(keys);
    return NULL;
}

/* Every second event: the deadlines of the others pass. */
static void *answer_some(void *arg)
{
    struct fixture *f = arg;

    while (!f->over) {
        struct ph_deferred *token = NULL;

        pthread_mutex_lock(&f->lock);
        if (f->taken < f->count)
            token = f->tokens[f->taken++];
        pthread_mutex_unlock(&f->lock);
        if (!token)
            nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        else if (f->taken % 2)
            ph_deferred_answer(token, reply_to(token));
    }
    return NULL;
}

static void repetitions_workers_and_ends_meet(void **state)
{
    struct fixture *f = *state;
    pthread_t clients[4], answering, changing;
    int fds[20];

    f->deadline_ms = 5;
    ph_app_set_limit(f->app, PH_LIMIT_REQUEST_MS, LIMIT_MS);
    assert_int_equal(ph_app_set_deduplication(f->app, 60, 50, 0), PH_OK);
    assert_int_equal(ph_app_set_workers(f->app, 2, 0), PH_OK);
    start(f);
    pthread_create(&changing, NULL, change_keys, f);
    pthread_create(&answering, NULL, answer_some, f);
    for (int i = 0; i < 4; i++)
        pthread_create(&clients[i], NULL, churn_again, f);
    for (int i = 0; i < 4; i++)
        pthread_join(clients[i], NULL);
    f->deadline_ms = NEVER_MS;
    for (int i = 0; i < 20; i++)
        fds[i] = post(f, i < 10 ? "the last" : "but one");
    close(fds[0]);
    stop(f);
    f->over = true;
    for (int i = 1; i < 20; i++)
        close(fds[i]);
    pthread_join(answering, NULL);
    pthread_join(changing, NULL);
}

int main(void)
{
#define TEST(fn)                                                                                   \
    {#fn " (http)", fn, set_up_http, tear_down, NULL},                                             \
    {                                                                                              \
#fn " (fastcgi)", fn, set_up_fastcgi, tear_down, NULL                                      \
    }
    const struct CMUnitTest tests[] = {
        TEST(five_thousand_wait_at_once),
        TEST(connection_serves_on),
        TEST(client_goes_away),
        TEST(waiting_takes_none_of_a_requests_time),
        TEST(stopping_waits_for_answers),
        TEST(stopping_fails_what_is_not_answered),
        TEST(answers_and_ends_meet),
        TEST(repetitions_workers_and_ends_meet),
        {"requests_sent_at_once_are_answered_in_order (http)",
         requests_sent_at_once_are_answered_in_order, set_up_http, tear_down, NULL},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
