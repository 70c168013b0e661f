/* Handlers that block, on threads of their own (ph_app_set_workers). */
#include "pubhook/defer.h"
#include "pubhook/serve.h"
#include "serve_client.h"
#include "unit.h"
#include "webhook.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS 2
#define QUEUE 3

struct fixture {
    struct ph_app *app;
    struct webhook_log log;
    struct ph_server *server;
    pthread_t here;
    sem_t entered, leave, done;
    atomic_int calls;
    atomic_bool on_workers, event_is_whole;
    struct ph_deferred *token;
};

static struct ph_reply *block(const struct ph_event *ev, void *arg)
{
    struct fixture *f = arg;
    size_t len;
    const void *data = ph_event_data(ev, &len);
    const char *header;

    f->on_workers = !pthread_equal(pthread_self(), f->here);
    sem_post(&f->entered);
    sem_wait(&f->leave);
    f->calls++;
    header = ph_event_http_header(ev, "CE-Hub"); /* whoever gave it to us has long gone on */
    f->event_is_whole = header && strcmp(header, "chat") == 0;
    return ph_reply_text(data, len);
}

static struct ph_reply *defer(const struct ph_event *ev, void *arg)
{
    struct fixture *f = arg;
    struct ph_reply *reply = ph_reply_defer(ev, 600000, &f->token);

    sem_post(&f->entered);
    return reply;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->app = ph_app_new();
    f->here = pthread_self();
    webhook__log_open(&f->log);
    ph_app_set_log(f->app, f->log.log);
    assert_int_equal(ph_app_add_key(f->app, WEBHOOK_KEY), PH_OK);
    assert_int_equal(ph_app_on_event(f->app, NULL, "message", block, f, NULL), PH_OK);
    assert_int_equal(ph_app_on_event(f->app, NULL, "defer", defer, f, NULL), PH_OK);
    assert_int_equal(ph_app_set_workers(f->app, THREADS, QUEUE), PH_OK);
    sem_init(&f->entered, 0, 0);
    sem_init(&f->leave, 0, 0);
    sem_init(&f->done, 0, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    ph_server_free(f->server);
    ph_app_free(f->app);
    ph_deferred_unref(f->token);
    webhook__log_close(&f->log);
    sem_destroy(&f->entered);
    sem_destroy(&f->leave);
    sem_destroy(&f->done);
    free(f);
    return 0;
}

static void wait_n(sem_t *sem, int n)
{
    while (n-- > 0)
        sem_wait(sem);
}

static void post_n(sem_t *sem, int n)
{
    while (n-- > 0)
        sem_post(sem);
}

struct request {
    struct fixture *f;
    struct ph_request *req;
    struct ph_response *res;
};

static void done(struct ph_response *res, void *arg)
{
    struct fixture *f = arg;

    (void)res;
    sem_post(&f->done);
}

static struct request post(struct fixture *f, const char *name)
{
    struct ph_event ev = webhook__user_event(name, PH_DATA_TEXT, "hello");
    struct request r = {f, ph_request_new("POST", "/eventhandler"), ph_response_new()};
    struct diag diag;

    assert_int_equal(event__encode(&r.req->arena, &ev, STR(WEBHOOK_SIGNATURE), &r.req->http, &diag),
                     PH_OK);
    assert_int_equal(ph_app_serve_async(f->app, r.req, r.res, done, f), PH_OK);
    return r;
}

static void expect(struct request *r, int status)
{
    assert_int_equal(ph_response_status(r->res), status);
    ph_request_free(r->req);
    ph_response_free(r->res);
}

static void handlers_run_on_their_own_threads(void **state)
{
    struct fixture *f = *state;
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "hello");
    struct ph_response *res;

    sem_post(&f->leave);
    res = webhook__post(f->app, &ev); /* waits for it */
    assert_true(f->on_workers);
    assert_int_equal(ph_response_status(res), 200);
    ph_response_free(res);
}

static void one_too_many_is_refused(void **state)
{
    struct fixture *f = *state;
    struct request r[THREADS + QUEUE], refused;

    for (int i = 0; i < THREADS; i++)
        r[i] = post(f, "message");
    wait_n(&f->entered, THREADS);
    for (int i = THREADS; i < THREADS + QUEUE; i++)
        r[i] = post(f, "message");
    assert_string_equal(f->log.text, "");
    refused = post(f, "message");
    wait_n(&f->done, 1);
    expect(&refused, 503);
    assert_non_null(strstr(f->log.text, "all 2 worker threads run handlers, and 3 events stand"));
    post_n(&f->leave, THREADS + QUEUE);
    wait_n(&f->done, THREADS + QUEUE);
    for (int i = 0; i < THREADS + QUEUE; i++)
        expect(&r[i], 200);
    assert_true(f->event_is_whole);
}

static void who_stands_in_line_may_go(void **state)
{
    struct fixture *f = *state;
    struct request r[THREADS + 2];

    for (int i = 0; i < THREADS; i++)
        r[i] = post(f, "message");
    wait_n(&f->entered, THREADS);
    for (int i = THREADS; i < THREADS + 2; i++)
        r[i] = post(f, "message");
    assert_int_equal(ph_response_cancel(r[THREADS + 1].res), 1); /* the last */
    assert_int_equal(ph_response_cancel(r[0].res), 0);           /* its handler runs */
    expect(&r[THREADS + 1], 0);
    r[THREADS + 1] = post(f, "message");
    post_n(&f->leave, THREADS + 2);
    wait_n(&f->done, THREADS + 2);
    for (int i = 0; i < THREADS + 2; i++)
        expect(&r[i], 200);
    assert_int_equal(f->calls, THREADS + 2);
}

static void a_worker_may_defer(void **state)
{
    struct fixture *f = *state;
    struct request r = post(f, "defer");

    wait_n(&f->entered, 1);
    assert_int_equal(ph_deferred_answer(f->token, ph_reply_text("later", 5)), PH_OK);
    wait_n(&f->done, 1);
    expect(&r, 200);
}

static void application_ends_with_events_in_line(void **state)
{
    struct fixture *f = *state;
    struct request r[THREADS + QUEUE];

    for (int i = 0; i < THREADS; i++)
        r[i] = post(f, "message");
    wait_n(&f->entered, THREADS);
    for (int i = THREADS; i < THREADS + QUEUE; i++)
        r[i] = post(f, "message");
    post_n(&f->leave, THREADS + QUEUE);
    ph_app_free(f->app);
    f->app = NULL;
    wait_n(&f->done, THREADS + QUEUE);
    for (int i = 0; i < THREADS + QUEUE; i++)
        expect(&r[i], 200);
}

static void settings_that_cannot_be(void **state)
{
    struct fixture *f = *state;
    struct ph_app *app = ph_app_new();

    assert_int_equal(ph_app_set_workers(app, 0, 0), PH_ERR_ARGUMENT);
    assert_int_equal(ph_app_set_workers(app, 257, 0), PH_ERR_ARGUMENT);
    assert_int_equal(ph_app_set_workers(f->app, 1, 0), PH_ERR_STATE);
    ph_app_free(app);
}

/* One thread of the server, and more handlers that block than that. */
static void blocked_handlers_leave_the_server_alone(void **state)
{
    struct fixture *f = *state;
    char authority[64], request[4096], reply[4096];
    struct str s = serve_client__event(request, sizeof(request), "", "hello");
    int fds[THREADS + 1], other;
    const char *why;

    assert_int_equal(ph_serve_http(f->app, "127.0.0.1:0", 1, &f->server, &why), PH_OK);
    serve_client__authority(f->server, authority);
    for (int i = 0; i < THREADS + 1; i++) {
        fds[i] = serve_client__connect_tcp(authority);
        assert_true(serve_client__send(fds[i], s.ptr, s.len));
    }
    wait_n(&f->entered, THREADS);
    other = serve_client__connect_tcp(authority);
    assert_true(serve_client__send(other, "GET /else HTTP/1.1\r\nHost: a\r\n\r\n", 31));
    assert_int_equal(serve_client__read_http(other, reply, sizeof(reply)), 404);
    close(other);
    post_n(&f->leave, THREADS + 1);
    for (int i = 0; i < THREADS + 1; i++) {
        assert_int_equal(serve_client__read_http(fds[i], reply, sizeof(reply)), 200);
        close(fds[i]);
    }
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(handlers_run_on_their_own_threads),
        TEST(one_too_many_is_refused),
        TEST(who_stands_in_line_may_go),
        TEST(a_worker_may_defer),
        TEST(application_ends_with_events_in_line),
        TEST(settings_that_cannot_be),
        TEST(blocked_handlers_leave_the_server_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
