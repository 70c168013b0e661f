/* Handlers inside the broker: an event reaches those that may block on another thread, the
 * others on the loop's; the report comes on the loop's. */
#include "unit.h"

#include "app/app.h"
#include "app/registry.h"
#include "broker/net/inproc.h"
#include "broker/upstream/exchange.h"
#include "broker/upstream/state.h"
#include "pubhook/app.h"
#include "pubhook/defer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 2 /* of the four that libuv starts */

#define EXCHANGES 16

struct fixture {
    uv_loop_t loop;
    struct inproc *in;
    struct ph_app *app, *other, *prompt;
    pthread_t loop_thread;
    uv_sem_t entered, leave; /* of the handler that blocks */
    struct upstream up;      /* its deadlines alone */
    struct exchange x[EXCHANGES];
    int reported, status, called;
    char body[64], order[64], why[128], logged[1024];
    struct ph_log *log;
    struct ph_deferred *token;
    uv_sem_t deferred;
    enum ph_err cancelled;
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

static struct ph_reply *on_the_loop(const struct ph_event *ev, void *arg)
{
    struct fixture *f = arg;
    size_t len;
    const void *data = ph_event_data(ev, &len);

    assert_true(pthread_equal(pthread_self(), f->loop_thread));
    f->called++;
    strncat(f->order, ph_event_id(ev), 8);
    return ph_reply_data(ph_event_data_type(ev), data, len);
}

/* Of a plugin that lies. */
static struct ph_reply *dawdle(const struct ph_event *ev, void *arg)
{
    (void)ev, (void)arg;
    uv_sleep(2 * INPROC_SLOW_MS);
    return ph_reply_ok();
}

static struct ph_reply *block(const struct ph_event *ev, void *arg)
{
    struct fixture *f = arg;

    (void)ev;
    uv_sem_post(&f->entered);
    uv_sem_wait(&f->leave);
    return ph_reply_ok();
}

static void gone(struct ph_deferred *token, enum ph_err why, void *arg)
{
    struct fixture *f = arg;

    (void)token;
    f->cancelled = why;
}

static struct ph_reply *defer(const struct ph_event *ev, void *arg)
{
    struct fixture *f = arg;
    struct ph_reply *reply = ph_reply_defer(ev, 600000, &f->token);

    ph_deferred_on_cancel(f->token, gone, f, NULL);
    uv_sem_post(&f->deferred);
    return reply;
}

static void report(void *ctx, struct exchange *x, const struct exchange_result *result)
{
    struct fixture *f = ctx;
    const struct http_response *res = result->response;

    assert_true(pthread_equal(pthread_self(), f->loop_thread));
    assert_null(exchange__shell(x));
    f->reported++;
    snprintf(f->why, sizeof(f->why), "%s", result->why ? result->why : "");
    if (!res)
        return;
    f->status = res->status;
    snprintf(f->body, sizeof(f->body), "%.*s", STR_FMT(res->body));
}

static void remember(void *arg, enum ph_log_level level, const char *line, size_t len)
{
    struct fixture *f = arg;
    size_t at = strlen(f->logged);

    (void)level;
    snprintf(f->logged + at, sizeof(f->logged) - at, "%.*s", (int)len, line);
}

/* As those of a plugin that says so. */
static void add_prompt_handlers(struct fixture *f)
{
    struct handler handlers[] = {
        {.pattern = "echo", .fn = on_the_loop},
        {.pattern = "dawdle", .fn = dawdle},
        {.pattern = "defer", .fn = defer},
    };
    struct registry *fresh = registry__new();

    for (size_t i = 0; i < sizeof(handlers) / sizeof(*handlers); i++) {
        handlers[i].kind = PH_EVENT_USER;
        handlers[i].arg = f;
        handlers[i].never_blocks = true;
        assert_int_equal(registry__add(fresh, &handlers[i]), PH_OK);
    }
    assert_int_equal(app__exchange(f->prompt, fresh, fresh), PH_OK);
    registry__unref(fresh);
}

static const char *target(struct exchange *x)
{
    (void)x;
    return "plugin prompt.so";
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    for (int i = 0; i < EXCHANGES; i++)
        assert_true(exchange__init(&f->x[i], &f->up, NULL, target));
    uv_loop_init(&f->loop);
    uv_sem_init(&f->entered, 0);
    uv_sem_init(&f->leave, 0);
    uv_sem_init(&f->deferred, 0);
    f->loop_thread = pthread_self();
    f->app = ph_app_new();
    assert_int_equal(ph_app_on_event(f->app, NULL, "echo", echo, f, NULL), PH_OK);
    assert_int_equal(ph_app_on_event(f->app, NULL, "block", block, f, NULL), PH_OK);
    assert_int_equal(ph_app_on_event(f->app, NULL, "defer", defer, f, NULL), PH_OK);
    f->other = ph_app_new();
    assert_int_equal(ph_app_on_event(f->other, NULL, "echo", echo, f, NULL), PH_OK);
    f->prompt = ph_app_new();
    add_prompt_handlers(f);
    f->log = ph_log_new(PH_LOG_WARN, PH_LOG_TEXT);
    ph_log_set_sink(f->log, remember, f);
    f->in = inproc__new(&f->loop, THREADS, f->log, report, f);
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
    ph_app_free(f->prompt);
    ph_deferred_unref(f->token);
    ph_log_free(f->log);
    for (int i = 0; i < EXCHANGES; i++)
        exchange__free(&f->x[i]);
    deadlines__free(&f->up.deadlines);
    uv_sem_destroy(&f->deferred);
    uv_sem_destroy(&f->entered);
    uv_sem_destroy(&f->leave);
    free(f);
    return 0;
}

static struct ph_event event_of(const char *name, const char *id)
{
    return (struct ph_event){.kind = PH_EVENT_USER,
                             .hub = STR("chat"),
                             .connection_id = STR("conn1"),
                             .name = str__of(name),
                             .id = str__of(id),
                             .time = STR("2026-11-20T00:00:00Z"),
                             .origin = STR("localhost"),
                             .type = PH_DATA_TEXT,
                             .data = STR("hello")};
}

/* All of the event is gone when this returns, as after a cancelled exchange. */
static void send_to(struct fixture *f, struct ph_app *app, int n, const char *event)
{
    struct ph_event ev = event_of(event, "1");
    const struct upstream_request req = {.app = app, .event = &ev};

    assert_true(inproc__send(f->in, &f->x[n], &req));
    ev = (struct ph_event){.kind = PH_EVENT_USER};
}

static void send_event(struct fixture *f, int n, const char *event)
{
    send_to(f, f->app, n, event);
}

static void work_off(struct fixture *f)
{
    inproc__turn(f->in, 1);
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

static void event_reaches_the_handler(void **state)
{
    struct fixture *f = *state;

    send_event(f, 0, "echo");
    assert_true(inproc__has_work(f->in));
    assert_int_equal(f->reported, 0);
    work_off(f);
    assert_int_equal(f->reported, 1);
    assert_int_equal(f->status, 200);
    assert_string_equal(f->body, "hello");
}

static void event_that_cannot_be_sent(void **state)
{
    struct fixture *f = *state;
    struct ph_app *apps[] = {f->app, f->prompt};
    struct ph_event ev = event_of("echo", "1");
    struct upstream_request req = {.event = &ev};

    ev.user_id = STR("two\nlines");
    for (int i = 0; i < 2; i++) {
        req.app = apps[i];
        assert_true(inproc__send(f->in, &f->x[0], &req));
        work_off(f);
        assert_int_equal(f->reported, i + 1);
        assert_non_null(strstr(f->why, "ce-userId holds a control character"));
    }
}

static void cancelled_result_is_dropped(void **state)
{
    struct fixture *f = *state;

    send_event(f, 0, "block");
    inproc__turn(f->in, 1);
    uv_sem_wait(&f->entered);
    inproc__cancel(f->in, &f->x[0]);
    inproc__cancel(f->in, &f->x[0]);
    send_event(f, 0, "echo"); /* the exchange may be used again at once */
    uv_sem_post(&f->leave);
    work_off(f);
    assert_int_equal(f->reported, 1);
    assert_string_equal(f->body, "hello");
}

static void cancelled_before_it_runs(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 16 };

    for (int i = 0; i < COUNT; i++) /* more than the pool has threads */
        send_event(f, i, "block");
    inproc__turn(f->in, 1);
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

    send_event(f, 0, "block");
    inproc__turn(f->in, 1);
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
    while (f->reported < count) {
        inproc__turn(f->in, 1);
        uv_run(&f->loop, UV_RUN_ONCE);
    }
}

static void a_handler_that_blocks_leaves_threads_to_others(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 10; i++)
        send_event(f, i, "block");
    inproc__turn(f->in, 1);
    for (int i = 0; i < THREADS; i++)
        uv_sem_wait(&f->entered);
    send_to(f, f->other, 10, "echo");
    wait_for_reports(f, 1);
    assert_string_equal(f->body, "hello");
    assert_int_equal(uv_sem_trywait(&f->entered), UV_EAGAIN); /* no more than its threads */
    for (int i = 0; i < 10; i++)
        uv_sem_post(&f->leave);
    wait_for_reports(f, 11); /* those that stood in line had their turn */
}

static void what_is_done_does_not_wait_for_what_comes_next(void **state)
{
    struct fixture *f = *state;

    send_event(f, 0, "block");
    send_event(f, 1, "echo");
    send_event(f, 2, "block"); /* most often on the thread of the echo */
    wait_for_reports(f, 1);
    assert_string_equal(f->body, "hello");
    for (int i = 0; i < 2; i++)
        uv_sem_post(&f->leave);
    wait_for_reports(f, 3);
}

static void one_that_stands_in_line_can_go(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 5; i++)
        send_event(f, i, "block");
    inproc__turn(f->in, 1);
    for (int i = 0; i < THREADS; i++)
        uv_sem_wait(&f->entered);
    inproc__cancel(f->in, &f->x[4]); /* the last, one in between, and one that runs */
    inproc__cancel(f->in, &f->x[2]);
    inproc__cancel(f->in, &f->x[0]);
    send_event(f, 5, "echo");
    for (int i = 0; i < 5; i++)
        uv_sem_post(&f->leave);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->reported, 3);
}

static void free_while_some_stand_in_line(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 5; i++)
        send_event(f, i, "block");
    inproc__turn(f->in, 1);
    for (int i = 0; i < THREADS; i++)
        uv_sem_wait(&f->entered);
    inproc__free(f->in);
    f->in = NULL;
    for (int i = 0; i < THREADS; i++)
        uv_sem_post(&f->leave);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->reported, 0);
}

/* --- On the loop ------------------------------------------------------------------ */

static void send_prompt(struct fixture *f, int n, const struct ph_event *ev)
{
    const struct upstream_request req = {.app = f->prompt, .event = ev};

    assert_true(inproc__send(f->in, &f->x[n], &req));
    assert_int_equal(f->called, 0);
    assert_int_equal(f->reported, 0); /* never from inside */
}

static void handlers_on_the_loop_are_called_in_order(void **state)
{
    struct fixture *f = *state;
    const struct ph_event events[] = {event_of("echo", "a"), event_of("echo", "b"),
                                      event_of("echo", "c")};

    for (int i = 0; i < 3; i++)
        send_prompt(f, i, &events[i]);
    assert_int_equal(inproc__turn(f->in, 10), 3);
    assert_string_equal(f->order, "abc");
    assert_int_equal(f->reported, 3);
    assert_int_equal(f->status, 200);
    assert_string_equal(f->body, "hello");
    assert_false(inproc__has_work(f->in));
}

static void calls_of_a_turn_are_counted(void **state)
{
    struct fixture *f = *state;
    const struct ph_event ev = event_of("echo", "1");

    for (int i = 0; i < 3; i++)
        send_prompt(f, i, &ev);
    assert_int_equal(inproc__turn(f->in, 2), 2);
    assert_true(inproc__has_work(f->in));
    assert_int_equal(inproc__turn(f->in, 2), 1);
    assert_false(inproc__has_work(f->in));
}

static void what_is_cancelled_is_not_called(void **state)
{
    struct fixture *f = *state;
    const struct ph_event events[] = {event_of("echo", "a"), event_of("echo", "b"),
                                      event_of("echo", "c")};

    for (int i = 0; i < 3; i++)
        send_prompt(f, i, &events[i]);
    inproc__cancel(f->in, &f->x[1]);
    inproc__cancel(f->in, &f->x[2]);
    assert_int_equal(inproc__turn(f->in, 10), 1);
    assert_string_equal(f->order, "a");
    send_to(f, f->prompt, 1, "nobody's");
    inproc__cancel(f->in, &f->x[1]);
    assert_int_equal(inproc__turn(f->in, 10), 0);
}

static void free_while_some_wait_for_the_loop(void **state)
{
    struct fixture *f = *state;
    const struct ph_event ev = event_of("echo", "1");

    send_prompt(f, 0, &ev);
    send_prompt(f, 1, &ev);
    inproc__free(f->in);
    f->in = NULL;
    assert_int_equal(f->called, 0);
}

static void a_plugin_that_blocks_the_loop_is_told_of_once(void **state)
{
    struct fixture *f = *state;
    const struct ph_event ev = event_of("dawdle", "1");
    const char *first;

    for (int i = 0; i < 2; i++)
        send_prompt(f, i, &ev);
    inproc__turn(f->in, 2);
    assert_int_equal(f->reported, 2);
    first = strstr(f->logged, "plugin prompt.so declares that it never blocks");
    assert_non_null(first);
    assert_non_null(strstr(first, "unless the machine was too busy to run it"));
    assert_null(strstr(first + 1, "plugin prompt.so"));
}

#define WITH_APP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* --- Deferred replies ------------------------------------------------------------------- */

/* What was deferred waits without a thread of the pool, and without the loop. */
static void let_it_defer(struct fixture *f, struct ph_app *app)
{
    const struct ph_event ev = event_of("defer", "1");

    if (app == f->prompt)
        send_prompt(f, 0, &ev);
    else
        send_to(f, app, 0, "defer");
    work_off(f);
    uv_sem_wait(&f->deferred);
    assert_int_equal(f->reported, 0);
}

static void *answer(void *arg)
{
    struct fixture *f = arg;

    if (ph_deferred_answer(f->token, ph_reply_text("later", 5)) != PH_OK)
        abort();
    return NULL;
}

static void nothing(uv_timer_t *timer)
{
    (void)timer;
}

static void wait_for_report(struct fixture *f)
{
    uv_timer_t alive; /* as a shard's loop always is */

    uv_timer_init(&f->loop, &alive);
    uv_timer_start(&alive, nothing, 600000, 0);
    while (f->reported == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&alive, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

static void expect_later(struct fixture *f)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, answer, f), 0);
    wait_for_report(f);
    pthread_join(thread, NULL);
    assert_int_equal(f->status, 200);
    assert_string_equal(f->body, "later");
}

static void deferred_event_is_answered_from_another_thread(void **state)
{
    struct fixture *f = *state;

    let_it_defer(f, f->app);
    expect_later(f);
}

static void handler_on_the_loop_defers(void **state)
{
    const struct ph_event ev = event_of("echo", "1");
    struct fixture *f = *state;

    let_it_defer(f, f->prompt);
    /* others are served meanwhile, with a response of their own */
    send_prompt(f, 1, &ev);
    work_off(f);
    assert_int_equal(f->reported, 1);
    assert_string_equal(f->body, "hello");
    f->reported = 0;
    expect_later(f);
}

static bool has_limit(struct fixture *f, int n)
{
    return f->x[n].due.place > 0;
}

/* A worker may take for ever, and so may whoever was left a deferred answer; a handler on the loop
 * has answered before anybody looks. */
static void who_may_take_time_has_a_limit(void **state)
{
    struct fixture *f = *state;
    const struct ph_event ev = event_of("echo", "1");

    send_event(f, 1, "echo");
    assert_true(has_limit(f, 1));
    send_prompt(f, 2, &ev);
    assert_false(has_limit(f, 2));
    inproc__turn(f->in, 1);
    assert_false(has_limit(f, 2));
    wait_for_report(f);
    f->called = f->reported = 0;
    let_it_defer(f, f->prompt);
    assert_true(has_limit(f, 0));
    expect_later(f);
}

/* Its sender may be gone before the answer, which here does not fit the event. */
static void what_the_loop_was_lent_is_not_looked_at_later(void **state)
{
    struct fixture *f = *state;
    struct ph_event ev = event_of("defer", "1");
    char hub[] = "chat";

    ev.hub = str__of(hub);
    ph_app_set_log(f->prompt, f->log);
    send_prompt(f, 0, &ev);
    work_off(f);
    memset(hub, '?', strlen(hub));
    assert_int_equal(ph_deferred_answer(f->token, ph_reply_accept()), PH_OK);
    wait_for_report(f);
    assert_int_equal(f->status, 500);
    assert_non_null(strstr(f->logged, "hub=chat "));
}

static void deferred_event_is_cancelled(void **state)
{
    struct fixture *f = *state;
    struct ph_app *apps[] = {f->app, f->prompt};

    for (int i = 0; i < 2; i++) {
        f->cancelled = PH_OK;
        let_it_defer(f, apps[i]);
        inproc__cancel(f->in, &f->x[0]);
        assert_int_equal(f->cancelled, PH_ERR_GONE);
        assert_int_equal(ph_deferred_answer(f->token, ph_reply_ok()), PH_ERR_GONE);
        ph_deferred_unref(f->token);
        f->token = NULL;
        uv_run(&f->loop, UV_RUN_NOWAIT);
        assert_int_equal(f->reported, 0);
    }
}

static void broker_ends_before_the_answer(void **state)
{
    struct fixture *f = *state;

    let_it_defer(f, f->app);
    inproc__free(f->in);
    f->in = NULL;
    assert_int_equal(f->cancelled, PH_ERR_GONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_APP(event_reaches_the_handler),
        WITH_APP(event_that_cannot_be_sent),
        WITH_APP(handlers_on_the_loop_are_called_in_order),
        WITH_APP(calls_of_a_turn_are_counted),
        WITH_APP(what_is_cancelled_is_not_called),
        WITH_APP(free_while_some_wait_for_the_loop),
        WITH_APP(a_plugin_that_blocks_the_loop_is_told_of_once),
        WITH_APP(cancelled_result_is_dropped),
        WITH_APP(cancelled_before_it_runs),
        WITH_APP(free_while_a_handler_runs),
        WITH_APP(a_handler_that_blocks_leaves_threads_to_others),
        WITH_APP(what_is_done_does_not_wait_for_what_comes_next),
        WITH_APP(one_that_stands_in_line_can_go),
        WITH_APP(free_while_some_stand_in_line),
        WITH_APP(deferred_event_is_answered_from_another_thread),
        WITH_APP(handler_on_the_loop_defers),
        WITH_APP(who_may_take_time_has_a_limit),
        WITH_APP(what_the_loop_was_lent_is_not_looked_at_later),
        WITH_APP(deferred_event_is_cancelled),
        WITH_APP(broker_ends_before_the_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
