/* Replies that come later (pubhook/defer.h): each way in which a deferred event ends, without
 * a server. */
#include "pubhook/defer.h"
#include "pubhook/metrics.h"
#include "pubhook/service.h"
#include "unit.h"
#include "webhook.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define NEVER_MS 600000

/* An application whose handler defers, and one request at a time. */
struct fixture {
    struct ph_app *app;
    struct webhook_log log;
    unsigned deadline_ms;
    bool answers_at_once, drops_at_once, frees_reply;
    void (*while_deferring)(struct fixture *f); /* before the handler returns */
    struct ph_deferred *token;
    struct ph_request *req;
    struct ph_response *res;
    struct diag diag;
    sem_t done, told;
    int done_count, told_count, freed_count;
    enum ph_err why;
};

static struct ph_reply *defer(const struct ph_event *ev, void *arg)
{
    struct fixture *f = arg;
    struct ph_reply *reply = ph_reply_defer(ev, f->deadline_ms, &f->token);

    assert_non_null(reply);
    if (f->while_deferring)
        f->while_deferring(f);
    if (f->answers_at_once)
        assert_int_equal(ph_deferred_answer(f->token, ph_reply_text("early", 5)), PH_OK);
    if (f->drops_at_once) {
        ph_deferred_unref(f->token);
        f->token = NULL;
    }
    if (!f->frees_reply)
        return reply;
    ph_reply_free(reply);
    return ph_reply_text("at once", 7);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->app = ph_app_new();
    f->deadline_ms = NEVER_MS;
    ph_app_allow_unsigned(f->app);
    webhook__log_open(&f->log);
    ph_app_set_log(f->app, f->log.log);
    assert_int_equal(ph_app_on_event(f->app, NULL, "*", defer, f, NULL), PH_OK);
    assert_int_equal(ph_app_on_connect(f->app, NULL, defer, f, NULL), PH_OK);
    sem_init(&f->done, 0, 0);
    sem_init(&f->told, 0, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    ph_deferred_unref(f->token);
    ph_app_free(f->app);
    ph_request_free(f->req);
    ph_response_free(f->res);
    webhook__log_close(&f->log);
    sem_destroy(&f->done);
    sem_destroy(&f->told);
    free(f);
    return 0;
}

static void done(struct ph_response *res, void *arg)
{
    struct fixture *f = arg;

    assert_ptr_equal(res, f->res);
    f->done_count++;
    sem_post(&f->done);
}

static void post(struct fixture *f, const struct ph_event *ev)
{
    f->req = ph_request_new("POST", "/eventhandler");
    f->res = ph_response_new();
    assert_int_equal(
        event__encode(&f->req->arena, ev, STR(WEBHOOK_SIGNATURE), &f->req->http, &f->diag), PH_OK);
    assert_int_equal(ph_app_serve_async(f->app, f->req, f->res, done, f), PH_OK);
}

static void post_message(struct fixture *f)
{
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "hello");

    post(f, &ev);
}

static void expect_response(struct fixture *f, int status, const char *body)
{
    size_t len;
    const void *bytes;

    sem_wait(&f->done);
    assert_int_equal(f->done_count, 1);
    assert_int_equal(ph_response_status(f->res), status);
    bytes = ph_response_body(f->res, &len);
    assert_str(str__n(bytes, len), body);
}

static void *answer_on_a_thread(void *arg)
{
    struct fixture *f = arg;

    assert_int_equal(ph_deferred_answer(f->token, ph_reply_text("later", 5)), PH_OK);
    return NULL;
}

static void another_thread_answers(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;

    post_message(f);
    assert_int_equal(f->done_count, 0);
    pthread_create(&thread, NULL, answer_on_a_thread, f);
    expect_response(f, 200, "later");
    pthread_join(thread, NULL);
}

static void answer_comes_before_the_handler_returns(void **state)
{
    struct fixture *f = *state;

    f->answers_at_once = true;
    post_message(f);
    expect_response(f, 200, "early");
    assert_int_equal(ph_deferred_answer(f->token, ph_reply_ok()), PH_ERR_STATE);
}

static void only_the_first_answer_counts(void **state)
{
    struct fixture *f = *state;

    post_message(f);
    assert_int_equal(ph_deferred_answer(f->token, ph_reply_text("one", 3)), PH_OK);
    assert_int_equal(ph_deferred_answer(f->token, ph_reply_text("two", 3)), PH_ERR_STATE);
    expect_response(f, 200, "one");
}

static void deadline_fails_the_event(void **state)
{
    struct fixture *f = *state;

    f->deadline_ms = 5;
    post_message(f);
    expect_response(f, 504, "");
    assert_int_equal(ph_deferred_answer(f->token, ph_reply_ok()), PH_ERR_TIMEOUT);
    assert_int_equal(ph_deferred_at_deadline(f->token, ph_reply_ok()), PH_ERR_TIMEOUT);
    assert_non_null(strstr(f->log.text, "not answered within 5 ms"));
}

static void say_sorry(struct fixture *f)
{
    assert_int_equal(ph_deferred_at_deadline(f->token, ph_reply_text("first", 5)), PH_OK);
    assert_int_equal(ph_deferred_at_deadline(f->token, ph_reply_text("sorry", 5)), PH_OK);
    assert_int_equal(ph_deferred_at_deadline(f->token, ph_reply_pass()), PH_ERR_ARGUMENT);
    assert_int_equal(ph_deferred_at_deadline(f->token, NULL), PH_ERR_ARGUMENT);
}

static void handler_has_an_answer_for_its_deadline(void **state)
{
    struct fixture *f = *state;

    f->deadline_ms = 5;
    f->while_deferring = say_sorry;
    post_message(f);
    expect_response(f, 200, "sorry");
}

static void who_drops_the_token_has_failed(void **state)
{
    struct fixture *f = *state;

    post_message(f);
    assert_ptr_equal(ph_deferred_ref(f->token), f->token);
    ph_deferred_unref(f->token);
    assert_int_equal(f->done_count, 0);
    ph_deferred_unref(f->token);
    f->token = NULL;
    expect_response(f, 500, "");
    assert_non_null(strstr(f->log.text, "dropped it unanswered"));
}

static void token_is_dropped_before_the_handler_returns(void **state)
{
    struct fixture *f = *state;

    f->drops_at_once = true;
    post_message(f);
    expect_response(f, 500, "");
}

static void handler_thinks_better_of_it(void **state)
{
    struct fixture *f = *state;

    f->frees_reply = true;
    post_message(f);
    expect_response(f, 200, "at once");
    assert_int_equal(ph_deferred_answer(f->token, ph_reply_ok()), PH_ERR_STATE);
}

static void passing_later_is_refused(void **state)
{
    struct fixture *f = *state;

    post_message(f);
    assert_int_equal(ph_deferred_answer(f->token, ph_reply_pass()), PH_ERR_ARGUMENT);
    assert_int_equal(f->done_count, 0);
    assert_int_equal(ph_deferred_answer(f->token, ph_reply_ok()), PH_OK);
    expect_response(f, 204, "");
}

static void null_is_a_failure(void **state)
{
    struct fixture *f = *state;

    post_message(f);
    assert_int_equal(ph_deferred_answer(f->token, NULL), PH_OK);
    expect_response(f, 500, "");
}

static void reply_of_the_wrong_kind_is_a_failure(void **state)
{
    struct fixture *f = *state;

    post_message(f);
    assert_int_equal(ph_deferred_answer(f->token, ph_reply_accept()), PH_OK);
    expect_response(f, 500, "");
    assert_non_null(strstr(f->log.text, "does not fit a user event"));
}

/* --- Notices -------------------------------------------------------------------------- */

static void notice(struct ph_deferred *token, enum ph_err why, void *arg)
{
    struct fixture *f = arg;

    assert_ptr_equal(token, f->token);
    assert_int_equal(ph_deferred_answer(token, ph_reply_ok()), why);
    ph_deferred_unref(ph_deferred_ref(token));
    f->why = why;
    f->told_count++;
    sem_post(&f->told);
}

static void count_free(void *arg)
{
    struct fixture *f = arg;

    f->freed_count++;
}

static void give_up(struct fixture *f)
{
    assert_int_equal(f->freed_count, 0);
    ph_deferred_unref(f->token);
    f->token = NULL;
    assert_int_equal(f->freed_count, 1);
}

static void ask_to_be_told(struct fixture *f)
{
    assert_int_equal(ph_deferred_on_cancel(f->token, notice, f, count_free), PH_OK);
}

static void deadline_is_told(void **state)
{
    struct fixture *f = *state;

    f->deadline_ms = 5;
    f->while_deferring = ask_to_be_told;
    post_message(f);
    expect_response(f, 504, "");
    assert_int_equal(f->told_count, 1);
    assert_int_equal(f->why, PH_ERR_TIMEOUT);
    ph_app_free(f->app); /* its thread has let go of the token */
    f->app = NULL;
    give_up(f);
}

static void answer_is_not_told(void **state)
{
    struct fixture *f = *state;

    post_message(f);
    assert_int_equal(ph_deferred_on_cancel(f->token, notice, f, count_free), PH_OK);
    assert_int_equal(ph_deferred_answer(f->token, ph_reply_ok()), PH_OK);
    expect_response(f, 204, "");
    assert_int_equal(f->told_count, 0);
    give_up(f);
}

static void notices_that_come_too_late_or_twice(void **state)
{
    struct fixture *f = *state;

    post_message(f);
    assert_int_equal(ph_deferred_on_cancel(f->token, NULL, f, count_free), PH_ERR_ARGUMENT);
    assert_int_equal(ph_deferred_on_cancel(f->token, notice, f, NULL), PH_OK);
    assert_int_equal(ph_deferred_on_cancel(f->token, notice, f, count_free), PH_ERR_STATE);
    assert_int_equal(ph_response_cancel(f->res), 1);
    assert_int_equal(ph_deferred_on_cancel(f->token, notice, f, count_free), PH_ERR_STATE);
    assert_int_equal(f->freed_count, 3);
    assert_int_equal(f->told_count, 1);
}

/* --- Whoever asked has gone ------------------------------------------------------------- */

static void client_has_gone(void **state)
{
    struct fixture *f = *state;
    struct ph_event const *ev;

    post_message(f);
    assert_int_equal(ph_deferred_on_cancel(f->token, notice, f, NULL), PH_OK);
    assert_int_equal(ph_response_cancel(f->res), 1);
    ph_response_free(f->res);
    ph_request_free(f->req);
    f->res = NULL;
    f->req = NULL;
    assert_int_equal(f->why, PH_ERR_GONE);
    assert_int_equal(ph_deferred_answer(f->token, ph_reply_ok()), PH_ERR_GONE);
    assert_int_equal(f->done_count, 0);
    ev = ph_deferred_event(f->token);
    assert_string_equal(ph_event_hub(ev), "chat");
}

static void cancelling_what_is_answered(void **state)
{
    struct fixture *f = *state;

    post_message(f);
    assert_int_equal(ph_deferred_answer(f->token, ph_reply_ok()), PH_OK);
    assert_int_equal(ph_response_cancel(f->res), 0);
    expect_response(f, 204, "");
}

static void application_ends_before_the_answer(void **state)
{
    struct fixture *f = *state;

    post_message(f);
    assert_int_equal(ph_deferred_on_cancel(f->token, notice, f, count_free), PH_OK);
    ph_app_free(f->app);
    f->app = NULL;
    expect_response(f, 503, "");
    assert_int_equal(f->told_count, 1);
    assert_int_equal(ph_deferred_answer(f->token, ph_reply_ok()), PH_ERR_GONE);
    assert_string_equal(ph_event_hub(ph_deferred_event(f->token)), "chat");
    give_up(f);
}

struct slow_post {
    struct ph_deferred *token;
    sem_t begun;
    atomic_bool done;
};

static void be_slow(struct ph_response *res, void *arg)
{
    struct slow_post *p = arg;

    sem_post(&p->begun);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    assert_int_equal(ph_response_status(res), 204);
    ph_response_free(res);
    atomic_store(&p->done, true);
}

static void *answer_slowly(void *arg)
{
    struct slow_post *p = arg;

    ph_deferred_answer(p->token, ph_reply_ok());
    return NULL;
}

static void application_ends_while_an_answer_is_given(void **state)
{
    struct fixture *f = *state;
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "hello");
    struct slow_post p = {.done = false};
    pthread_t thread;

    sem_init(&p.begun, 0, 0);
    f->req = ph_request_new("POST", "/eventhandler");
    assert_int_equal(
        event__encode(&f->req->arena, &ev, STR(WEBHOOK_SIGNATURE), &f->req->http, &f->diag), PH_OK);
    ph_app_serve_async(f->app, f->req, ph_response_new(), be_slow, &p);
    p.token = f->token;
    pthread_create(&thread, NULL, answer_slowly, &p);
    sem_wait(&p.begun);
    ph_app_free(f->app);
    f->app = NULL;
    assert_true(atomic_load(&p.done));
    pthread_join(thread, NULL);
    sem_destroy(&p.begun);
}

static void cancel(struct fixture *f)
{
    assert_int_equal(ph_deferred_on_cancel(f->token, notice, f, NULL), PH_OK);
    assert_int_equal(ph_response_cancel(f->res), 0); /* the handler runs still */
}

/* It is no failure of the handler. */
static void client_has_gone_before_the_handler_returns(void **state)
{
    struct fixture *f = *state;
    char *text;
    size_t len;

    f->while_deferring = cancel;
    post_message(f);
    assert_int_equal(f->done_count, 1);
    assert_int_equal(ph_response_status(f->res), 503);
    assert_int_equal(f->told_count, 1);
    assert_int_equal(f->why, PH_ERR_GONE);
    assert_int_equal(ph_deferred_answer(f->token, ph_reply_ok()), PH_ERR_GONE);
    assert_int_equal(ph_app_metrics(f->app, &text, &len), PH_OK);
    assert_non_null(strstr(text, "outcome=\"gone\"} 1\n"));
    ph_metrics_free(text);
}

/* --- The event ---------------------------------------------------------------------------- */

static void kept_event_has_its_service(void **state)
{
    struct fixture *f = *state;
    struct ph_service *service;

    ph_app_free(f->app);
    f->app = ph_app_new();
    assert_int_equal(ph_app_use_connection_string(f->app,
                                                  "Endpoint=http://localhost;AccessKey=" WEBHOOK_KEY
                                                  ";Version=1.0;"),
                     PH_OK);
    assert_int_equal(ph_app_on_event(f->app, NULL, "*", defer, f, NULL), PH_OK);
    post_message(f);
    service = ph_event_service(ph_deferred_event(f->token));
    assert_non_null(service);
    assert_string_equal(ph_service_hub(service), "chat");
    assert_int_equal(ph_deferred_answer(f->token, ph_reply_ok()), PH_OK);
    assert_ptr_equal(ph_event_service(ph_deferred_event(f->token)), service);
    ph_app_free(f->app);
    f->app = NULL;
    assert_null(ph_event_service(ph_deferred_event(f->token)));
}

static void event_is_kept_whole(void **state)
{
    struct fixture *f = *state;
    const struct str offered[] = {STR("json.webpubsub.azure.v1")}, room[] = {STR("7")};
    const struct event_field query[] = {{STR("room"), room, 1}};
    struct ph_event connect = webhook__event(PH_EVENT_CONNECT, "connect");
    const struct ph_event *ev;

    connect.user_id = STR("\xd0\xba\xd0\xbb");
    connect.subprotocols = offered;
    connect.subprotocol_count = 1;
    connect.query = (struct event_fields){query, 1};
    post(f, &connect);
    assert_int_equal(ph_response_cancel(f->res), 1);
    ph_response_free(f->res);
    ph_request_free(f->req);
    f->res = NULL;
    f->req = NULL;
    ev = ph_deferred_event(f->token);
    assert_int_equal(ph_event_kind(ev), PH_EVENT_CONNECT);
    assert_string_equal(ph_event_connection_id(ev), WEBHOOK_CONNECTION);
    assert_string_equal(ph_event_user_id(ev), "\xd0\xba\xd0\xbb");
    assert_string_equal(ph_event_field(ev, PH_FIELD_QUERY, "room", 0), "7");
    assert_string_equal(ph_event_offered_subprotocol(ev, 0), "json.webpubsub.azure.v1");
    assert_string_equal(ph_event_http_header(ev, "CE-Hub"), "chat");
}

static void event_that_nobody_is_asked_about_cannot_be_deferred(void **state)
{
    struct fixture *f = *state;
    struct ph_deferred *token = (void *)f;

    post_message(f);
    assert_null(ph_reply_defer(ph_deferred_event(f->token), 0, &token));
    assert_null(token);
}

/* --- Limits --------------------------------------------------------------------------------- */

struct many {
    struct ph_deferred *tokens[8];
    size_t count;
};

static struct ph_reply *defer_many(const struct ph_event *ev, void *arg)
{
    struct many *m = arg;
    struct ph_deferred *token;
    struct ph_reply *reply = ph_reply_defer(ev, NEVER_MS, &token);

    if (token)
        m->tokens[m->count++] = token;
    return reply;
}

static void ignore(struct ph_response *res, void *arg)
{
    (void)arg;
    ph_response_free(res);
}

static void too_many_wait(void **state)
{
    struct fixture *f = *state;
    struct ph_app *app = ph_app_new();
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "hello");
    struct ph_request *req = ph_request_new("POST", "/eventhandler");
    struct ph_response *res;
    struct many m = {.count = 0};

    ph_app_allow_unsigned(app);
    ph_app_set_log(app, f->log.log);
    assert_int_equal(ph_app_set_limit(app, PH_LIMIT_PENDING, 3), PH_OK);
    assert_int_equal(ph_app_on_event(app, NULL, "*", defer_many, &m, NULL), PH_OK);
    assert_int_equal(event__encode(&req->arena, &ev, STR_NONE, &req->http, &f->diag), PH_OK);
    for (int i = 0; i < 3; i++)
        ph_app_serve_async(app, req, ph_response_new(), ignore, NULL);
    assert_int_equal(m.count, 3);
    assert_string_equal(f->log.text, "");
    res = webhook__post(app, &ev);
    assert_int_equal(ph_response_status(res), 503);
    ph_response_free(res);
    assert_non_null(strstr(f->log.text, "PH_LIMIT_PENDING"));
    assert_int_equal(ph_deferred_answer(m.tokens[0], ph_reply_ok()), PH_OK);
    ph_app_serve_async(app, req, ph_response_new(), ignore, NULL);
    assert_int_equal(m.count, 4);
    for (size_t i = 0; i < m.count; i++)
        ph_deferred_unref(m.tokens[i]);
    ph_request_free(req);
    ph_app_free(app);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(another_thread_answers),
        TEST(answer_comes_before_the_handler_returns),
        TEST(only_the_first_answer_counts),
        TEST(deadline_fails_the_event),
        TEST(handler_has_an_answer_for_its_deadline),
        TEST(who_drops_the_token_has_failed),
        TEST(token_is_dropped_before_the_handler_returns),
        TEST(handler_thinks_better_of_it),
        TEST(passing_later_is_refused),
        TEST(null_is_a_failure),
        TEST(reply_of_the_wrong_kind_is_a_failure),
        TEST(deadline_is_told),
        TEST(answer_is_not_told),
        TEST(notices_that_come_too_late_or_twice),
        TEST(client_has_gone),
        TEST(cancelling_what_is_answered),
        TEST(application_ends_before_the_answer),
        TEST(application_ends_while_an_answer_is_given),
        TEST(client_has_gone_before_the_handler_returns),
        TEST(kept_event_has_its_service),
        TEST(event_is_kept_whole),
        TEST(event_that_nobody_is_asked_about_cannot_be_deferred),
        TEST(too_many_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
