/* Handlers inside the broker: the request reaches ph_app_serve on another thread, the
 * report comes on the loop's. */
#include "unit.h"

#include "broker/net/inproc.h"
#include "broker/upstream/exchange.h"
#include "pubhook/app.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 2 /* of the four that libuv starts */
#define KEY "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"

struct fixture {
    uv_loop_t loop;
    struct inproc *in;
    struct ph_app *app, *other;
    pthread_t loop_thread;
    uv_sem_t entered, leave; /* of the handler that blocks */
    struct exchange x[16];
    int reported, status;
    char body[64];
};

static struct ph_reply *echo(const struct ph_event *ev, void *arg)
{
    struct fixture *f = arg;
    size_t len;
    const void *data = ph_event_data(ev, &len);
    struct ph_reply *reply = ph_reply_data(ph_event_data_type(ev), data, len);

    assert_false(pthread_equal(pthread_self(), f->loop_thread));
    return reply;
}

static struct ph_reply *block(const struct ph_event *ev, void *arg)
{
    struct fixture *f = arg;

    (void)ev;
    uv_sem_post(&f->entered);
    uv_sem_wait(&f->leave);
    return ph_reply_ok();
}

static void report(void *ctx, struct exchange *x, const struct exchange_result *result)
{
    struct fixture *f = ctx;
    const struct http_response *res = result->response;

    assert_true(pthread_equal(pthread_self(), f->loop_thread));
    assert_null(exchange__shell(x));
    assert_non_null(res);
    f->reported++;
    f->status = res->status;
    snprintf(f->body, sizeof(f->body), "%.*s", STR_FMT(res->body));
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    uv_loop_init(&f->loop);
    uv_sem_init(&f->entered, 0);
    uv_sem_init(&f->leave, 0);
    f->loop_thread = pthread_self();
    f->app = ph_app_new();
    assert_int_equal(ph_app_add_key(f->app, KEY), PH_OK);
    assert_int_equal(ph_app_on_event(f->app, NULL, "echo", echo, f, NULL), PH_OK);
    assert_int_equal(ph_app_on_event(f->app, NULL, "block", block, f, NULL), PH_OK);
    f->other = ph_app_new();
    assert_int_equal(ph_app_add_key(f->other, KEY), PH_OK);
    assert_int_equal(ph_app_on_event(f->other, NULL, "echo", echo, f, NULL), PH_OK);
    f->in = inproc__new(&f->loop, THREADS, report, f);
    assert_non_null(f->in);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    inproc__free(f->in);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    ph_app_free(f->app);
    ph_app_free(f->other);
    uv_sem_destroy(&f->entered);
    uv_sem_destroy(&f->leave);
    free(f);
    return 0;
}

/* Everything of the request is gone when this returns, as after a cancelled exchange. */
static void send_to(struct fixture *f, struct ph_app *app, int n, const char *event,
                    struct str signature)
{
    struct ph_event ev = {.kind = PH_EVENT_USER,
                          .hub = STR("chat"),
                          .connection_id = STR("conn1"),
                          .name = str__of(event),
                          .id = STR("1"),
                          .time = STR("2026-11-20T00:00:00Z"),
                          .origin = STR("localhost"),
                          .type = PH_DATA_TEXT,
                          .data = STR("hello")};
    struct http_request http = {.method = STR("POST")};
    struct upstream_request req = {.http = &http, .app = app};
    struct diag diag;
    struct arena a;

    arena__init(&a, NULL, 0, 65536);
    assert_int_equal(event__encode(&a, &ev, signature, &http, &diag), PH_OK);
    assert_true(inproc__send(f->in, &f->x[n], &req));
    arena__free(&a);
}

static void send_event(struct fixture *f, int n, const char *event, struct str signature)
{
    send_to(f, f->app, n, event, signature);
}

/* vector 7 of event-handler section 4 */
#define SIGNATURE STR("sha256=8de7281e588e23b0a30a7180ffa240257b8176e983004c240c9f3f7a7233c993")

static void event_reaches_the_handler(void **state)
{
    struct fixture *f = *state;

    send_event(f, 0, "echo", SIGNATURE);
    assert_int_equal(f->reported, 0);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->reported, 1);
    assert_int_equal(f->status, 200);
    assert_string_equal(f->body, "hello");
}

static void signature_is_checked_as_over_http(void **state)
{
    struct fixture *f = *state;

    send_event(f, 0, "echo", STR("sha256=00"));
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->status, 401);
}

static void cancelled_result_is_dropped(void **state)
{
    struct fixture *f = *state;

    send_event(f, 0, "block", SIGNATURE);
    uv_sem_wait(&f->entered);
    inproc__cancel(f->in, &f->x[0]);
    inproc__cancel(f->in, &f->x[0]);
    send_event(f, 0, "echo", SIGNATURE); /* the exchange may be used again at once */
    uv_sem_post(&f->leave);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->reported, 1);
    assert_string_equal(f->body, "hello");
}

static void cancelled_before_it_runs(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 16 };

    for (int i = 0; i < COUNT; i++) /* more than the pool has threads */
        send_event(f, i, "block", SIGNATURE);
    for (int i = 0; i < COUNT; i++)
        inproc__cancel(f->in, &f->x[i]);
    for (int i = 0; i < COUNT; i++)
        uv_sem_post(&f->leave);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->reported, 0);
}

static void free_while_a_handler_runs(void **state)
{
    struct fixture *f = *state;

    send_event(f, 0, "block", SIGNATURE);
    uv_sem_wait(&f->entered);
    inproc__free(f->in);
    f->in = NULL;
    uv_sem_post(&f->leave);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->reported, 0);
}

/* The loop turns until something is reported. */
static void wait_for_reports(struct fixture *f, int count)
{
    while (f->reported < count)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static void a_handler_that_blocks_leaves_threads_to_others(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 10; i++)
        send_event(f, i, "block", SIGNATURE);
    for (int i = 0; i < THREADS; i++)
        uv_sem_wait(&f->entered);
    send_to(f, f->other, 10, "echo", SIGNATURE);
    wait_for_reports(f, 1);
    assert_string_equal(f->body, "hello");
    assert_int_equal(uv_sem_trywait(&f->entered), UV_EAGAIN); /* no more than its threads */
    for (int i = 0; i < 10; i++)
        uv_sem_post(&f->leave);
    wait_for_reports(f, 11); /* those that stood in line had their turn */
}

static void one_that_stands_in_line_can_go(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 5; i++)
        send_event(f, i, "block", SIGNATURE);
    for (int i = 0; i < THREADS; i++)
        uv_sem_wait(&f->entered);
    inproc__cancel(f->in, &f->x[4]); /* the last, one in between, and one that runs */
    inproc__cancel(f->in, &f->x[2]);
    inproc__cancel(f->in, &f->x[0]);
    send_event(f, 5, "echo", SIGNATURE);
    for (int i = 0; i < 5; i++)
        uv_sem_post(&f->leave);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->reported, 3);
}

static void free_while_some_stand_in_line(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 5; i++)
        send_event(f, i, "block", SIGNATURE);
    for (int i = 0; i < THREADS; i++)
        uv_sem_wait(&f->entered);
    inproc__free(f->in);
    f->in = NULL;
    for (int i = 0; i < THREADS; i++)
        uv_sem_post(&f->leave);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->reported, 0);
}

#define WITH_APP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_APP(event_reaches_the_handler),
        WITH_APP(signature_is_checked_as_over_http),
        WITH_APP(cancelled_result_is_dropped),
        WITH_APP(cancelled_before_it_runs),
        WITH_APP(free_while_a_handler_runs),
        WITH_APP(a_handler_that_blocks_leaves_threads_to_others),
        WITH_APP(one_that_stands_in_line_can_go),
        WITH_APP(free_while_some_stand_in_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
