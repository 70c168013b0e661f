/* Events that come again: they get the answer that they got before, while that is remembered, or
 * the one that is being made. */
#include "pubhook/defer.h"
#include "unit.h"
#include "webhook.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>

static atomic_int calls;
static atomic_int status_of_next; /* 0: answer */

/* Its answers are all different. */
static struct ph_reply *count(const struct ph_event *ev, void *arg)
{
    int n = atomic_fetch_add(&calls, 1) + 1, status = atomic_load(&status_of_next);
    char text[16];
    struct ph_reply *reply;

    (void)ev, (void)arg;
    snprintf(text, sizeof(text), "answer %d", n);
    if (status > 0)
        return ph_reply_reject(status, text);
    reply = ph_reply_text(text, strlen(text));
    ph_reply_set_state(reply, "e30=");
    return reply;
}

static struct ph_app *new_app(ph_handler_fn *fn, unsigned seconds, size_t entries, size_t bytes)
{
    struct ph_app *app = ph_app_new();

    assert_non_null(app);
    assert_int_equal(ph_app_add_key(app, WEBHOOK_KEY), PH_OK);
    assert_int_equal(ph_app_set_deduplication(app, seconds, entries, bytes), PH_OK);
    assert_int_equal(ph_app_on_event(app, NULL, "*", fn, NULL, NULL), PH_OK);
    assert_int_equal(ph_app_on_connected(app, NULL, fn, NULL, NULL), PH_OK);
    atomic_store(&calls, 0);
    atomic_store(&status_of_next, 0);
    return app;
}

/* A signed request with an id, and other lines in place of its own or besides. */
static struct ph_request *request(const char *id, const char *name, const char *value)
{
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "hi");
    struct ph_request *req = ph_request_new("POST", "/eventhandler");
    struct diag diag;

    assert_non_null(req);
    ev.id = str__of(id);
    if (name && strcmp(name, "body") == 0)
        ev.data = str__of(value);
    if (name && strcmp(name, "hub") == 0)
        ev.hub = str__of(value);
    if (name && strcmp(name, "origin") == 0)
        ev.origin = str__of(value);
    if (name && strcmp(name, "name") == 0)
        ev.name = str__of(value);
    assert_int_equal(event__encode(&req->arena, &ev, STR(WEBHOOK_SIGNATURE), &req->http, &diag),
                     PH_OK);
    if (name && strchr(name, '-'))
        assert_true(http__add(&req->arena, &req->http.headers, str__of(name), str__of(value)));
    return req;
}

static struct str body_of(const struct ph_response *res)
{
    size_t len;
    const void *body = ph_response_body(res, &len);

    return str__n(body, len);
}

/* Posts it and returns the number of the answer, or its status if that is no success. */
static int post(struct ph_app *app, const char *id, const char *name, const char *value)
{
    struct ph_request *req = request(id, name, value);
    struct ph_response *res = webhook__serve(app, req);
    int n = ph_response_status(res);

    if (n == 200) {
        assert_string_equal(webhook__header(res, "Content-Type"), "text/plain");
        assert_string_equal(webhook__header(res, "ce-connectionState"), "e30=");
        assert_int_equal(sscanf(body_of(res).ptr, "answer %d", &n), 1);
    }
    ph_response_free(res);
    ph_request_free(req);
    return n;
}

static void the_same_event_gets_the_same_answer(void **state)
{
    struct ph_app *app = new_app(count, 60, 0, 0);

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(post(app, "7", NULL, NULL), 1);
    assert_int_equal(atomic_load(&calls), 1);
    assert_int_equal(post(app, "8", NULL, NULL), 2);
    assert_int_equal(post(app, "7", NULL, NULL), 1);
    ph_app_free(app);
}

static void by_default_each_is_handled(void **state)
{
    struct ph_app *app = new_app(count, 0, 0, 0);

    (void)state;
    assert_int_equal(post(app, "7", NULL, NULL), 1);
    assert_int_equal(post(app, "7", NULL, NULL), 2);
    ph_app_free(app);
}

static void what_differs_is_another_event(void **state)
{
    static const struct {
        const char *name, *value;
    } rows[] = {
        {"body", "ho"},
        {"body", ""},
        {"hub", "other"},
        {"origin", "other.example.com"},
        {"name", "other"},
        {"x-ms-client-request-id", "1"},
        {"x-ms-client-request-id", "2"},
        {"x-ms-client-request-id", ""},
        {"ce-physicalConnectionId", "1"},
        {"ce-sessionId", "1"},
    };
    struct ph_app *app = new_app(count, 60, 0, 0);
    int next = 2;

    (void)state;
    assert_int_equal(post(app, "7", NULL, NULL), 1);
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
            int n = post(app, "7", rows[i].name, rows[i].value);

            if (n != (int)i + 2)
                fail_msg("row %zu: answer %d", i, n);
            next += again == 0;
        }
    }
    assert_int_equal(post(app, "7", "x-forwarded-for", "x"), 1); /* which tells nothing */
    assert_int_equal(atomic_load(&calls), next - 1);
    ph_app_free(app);
}

static void failures_are_handled_again(void **state)
{
    static const struct {
        int status;
        bool remembered;
    } rows[] = {{400, true}, {403, true}, {429, true}, {408, false}, {500, false}, {503, false}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_app *app = new_app(count, 60, 0, 0);

        atomic_store(&status_of_next, rows[i].status);
        assert_int_equal(post(app, "7", NULL, NULL), rows[i].status);
        atomic_store(&status_of_next, 0);
        assert_int_equal(post(app, "7", NULL, NULL), rows[i].remembered ? rows[i].status : 2);
        assert_int_equal(post(app, "7", NULL, NULL), rows[i].remembered ? rows[i].status : 2);
        ph_app_free(app);
    }
}

static void it_is_for_those_who_may_send_alone(void **state)
{
    struct ph_app *app = new_app(count, 60, 0, 0);
    struct ph_request *req = request("7", NULL, NULL);
    struct ph_response *res;

    (void)state;
    assert_int_equal(ph_app_allow_origin(app, "localhost"), PH_OK);
    assert_int_equal(post(app, "7", NULL, NULL), 1);
    for (size_t i = 0; i < req->http.headers.count; i++) {
        if (str__eq_nocase(req->http.headers.items[i].name, STR("ce-signature")))
            req->http.headers.items[i].value = STR("sha256=00");
    }
    res = webhook__serve(app, req);
    assert_int_equal(ph_response_status(res), 401);
    assert_str(body_of(res), "unauthorized");
    ph_response_free(res);
    ph_request_free(req);
    assert_int_equal(post(app, "7", "origin", "other.example.com"), 403);
    ph_app_free(app);
}

/* --- Bounds --------------------------------------------------------------------------- */

static void the_oldest_goes_first(void **state)
{
    struct ph_app *app = new_app(count, 60, 2, 0);

    (void)state;
    assert_int_equal(post(app, "1", NULL, NULL), 1);
    assert_int_equal(post(app, "2", NULL, NULL), 2);
    assert_int_equal(post(app, "1", NULL, NULL), 1);
    assert_int_equal(post(app, "3", NULL, NULL), 3);
    assert_int_equal(post(app, "2", NULL, NULL), 2);
    assert_int_equal(post(app, "3", NULL, NULL), 3);
    assert_int_equal(post(app, "1", NULL, NULL), 4);
    ph_app_free(app);
}

/* An entry takes a few hundred bytes. */
static void bytes_are_bounded(void **state)
{
    struct ph_app *app = new_app(count, 60, 0, 2000);
    int id, n;

    (void)state;
    assert_int_equal(post(app, "0", NULL, NULL), 1);
    assert_int_equal(post(app, "0", NULL, NULL), 1);
    for (id = 1; id < 100; id++) {
        char text[12];

        snprintf(text, sizeof(text), "%d", id);
        n = post(app, text, NULL, NULL);
        assert_int_equal(n, post(app, text, NULL, NULL));
    }
    assert_int_equal(post(app, "0", NULL, NULL), 101);
    ph_app_free(app);
    app = new_app(count, 60, 0, 100); /* not even one */
    assert_int_equal(post(app, "0", NULL, NULL), 1);
    assert_int_equal(post(app, "0", NULL, NULL), 2);
    ph_app_free(app);
}

static void answers_are_forgotten_in_time(void **state)
{
    struct ph_app *app = new_app(count, 1, 0, 0);

    (void)state;
    assert_int_equal(post(app, "7", NULL, NULL), 1);
    while (post(app, "7", NULL, NULL) == 1)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    assert_int_equal(atomic_load(&calls), 2);
    assert_int_equal(ph_app_set_deduplication(app, 86401, 0, 0), PH_ERR_ARGUMENT);
    ph_app_free(app);
}

/* --- While it is handled ---------------------------------------------------------------- */

static struct ph_deferred *token;

static struct ph_reply *defer(const struct ph_event *ev, void *arg)
{
    (void)arg;
    atomic_fetch_add(&calls, 1);
    return ph_reply_defer(ev, 60000, &token);
}

struct pending_post {
    struct ph_request *req;
    struct ph_response *res;
    atomic_int done;
};

static void on_done(struct ph_response *res, void *arg)
{
    (void)res;
    atomic_fetch_add(&((struct pending_post *)arg)->done, 1);
}

static void start(struct ph_app *app, struct pending_post *p, const char *id)
{
    *p = (struct pending_post){.req = request(id, NULL, NULL), .res = ph_response_new()};
    assert_int_equal(ph_app_serve_async(app, p->req, p->res, on_done, p), PH_OK);
}

static void finish(struct pending_post *p, int done, int status)
{
    assert_int_equal(atomic_load(&p->done), done);
    if (done)
        assert_int_equal(ph_response_status(p->res), status);
    ph_response_free(p->res);
    ph_request_free(p->req);
}

static void those_who_wait_get_the_answer(void **state)
{
    struct ph_app *app = new_app(defer, 60, 0, 0);
    struct pending_post first, again[3];

    (void)state;
    start(app, &first, "7");
    for (int i = 0; i < 3; i++)
        start(app, &again[i], "7");
    assert_int_equal(atomic_load(&calls), 1);
    assert_int_equal(atomic_load(&again[0].done), 0);
    assert_true(ph_response_cancel(again[1].res)); /* it does not want to wait */
    assert_int_equal(ph_deferred_answer(token, ph_reply_text("later", 5)), PH_OK);
    ph_deferred_unref(token);
    assert_str(body_of(again[2].res), "later");
    finish(&first, 1, 200);
    finish(&again[0], 1, 200);
    finish(&again[1], 0, 0);
    finish(&again[2], 1, 200);
    start(app, &first, "7"); /* and later ones too */
    finish(&first, 1, 200);
    assert_int_equal(atomic_load(&calls), 1);
    ph_app_free(app);
}

static void those_who_wait_get_the_failure(void **state)
{
    struct ph_app *app = new_app(defer, 60, 0, 0);
    struct pending_post first, again;

    (void)state;
    start(app, &first, "7");
    start(app, &again, "7");
    ph_deferred_unref(token); /* given up: 500 */
    finish(&first, 1, 500);
    finish(&again, 1, 500);
    start(app, &first, "7");
    assert_int_equal(atomic_load(&calls), 2);
    start(app, &again, "7");
    ph_deferred_unref(token);
    finish(&first, 1, 500);
    finish(&again, 1, 500);
    ph_app_free(app);
}

static void who_waits_is_handled_when_the_first_has_gone(void **state)
{
    struct ph_app *app = new_app(defer, 60, 0, 0);
    struct pending_post first, again, third;
    struct ph_deferred *token_of_first;

    (void)state;
    start(app, &first, "7");
    start(app, &again, "7");
    start(app, &third, "7");
    token_of_first = token;
    assert_true(ph_response_cancel(first.res));
    assert_int_equal(atomic_load(&calls), 2);
    assert_int_equal(ph_deferred_answer(token_of_first, ph_reply_ok()), PH_ERR_GONE);
    ph_deferred_unref(token_of_first);
    finish(&first, 0, 0);
    assert_int_equal(ph_deferred_answer(token, ph_reply_ok()), PH_OK);
    ph_deferred_unref(token);
    finish(&again, 1, 204);
    finish(&third, 1, 204);
    start(app, &first, "7");
    finish(&first, 1, 204);
    assert_int_equal(atomic_load(&calls), 2);
    ph_app_free(app);
}

static struct ph_reply *answer_the_second(const struct ph_event *ev, void *arg)
{
    return atomic_load(&calls) == 0 ? defer(ev, arg) : count(ev, arg);
}

static void who_waits_may_be_answered_at_once(void **state)
{
    struct ph_app *app = new_app(answer_the_second, 60, 0, 0);
    struct pending_post first, again, third;

    (void)state;
    start(app, &first, "7");
    start(app, &again, "7");
    start(app, &third, "7");
    assert_true(ph_response_cancel(first.res));
    ph_deferred_unref(token);
    finish(&first, 0, 0);
    assert_str(body_of(third.res), "answer 2");
    finish(&again, 1, 200);
    finish(&third, 1, 200);
    ph_app_free(app);
}

static void without_room_each_is_handled(void **state)
{
    struct ph_app *app = new_app(defer, 60, 1, 0);
    struct pending_post first, other;
    struct ph_deferred *token_of_first;

    (void)state;
    start(app, &first, "7");
    token_of_first = token;
    start(app, &other, "8");
    ph_deferred_answer(token, ph_reply_ok());
    ph_deferred_unref(token);
    finish(&other, 1, 204);
    start(app, &other, "8");
    assert_int_equal(atomic_load(&calls), 3);
    ph_deferred_answer(token, ph_reply_ok());
    ph_deferred_unref(token);
    finish(&other, 1, 204);
    ph_deferred_answer(token_of_first, ph_reply_ok());
    ph_deferred_unref(token_of_first);
    finish(&first, 1, 204);
    ph_app_free(app);
}

static void *post_many(void *arg)
{
    for (int i = 0; i < 200; i++) {
        char id[12];

        snprintf(id, sizeof(id), "%d", i);
        assert_true(post(arg, id, NULL, NULL) <= 200);
    }
    return NULL;
}

static void threads_handle_each_event_once(void **state)
{
    struct ph_app *app = new_app(count, 60, 0, 0);
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, app), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&calls), 200);
    ph_app_free(app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_event_gets_the_same_answer),
        cmocka_unit_test(by_default_each_is_handled),
        cmocka_unit_test(what_differs_is_another_event),
        cmocka_unit_test(failures_are_handled_again),
        cmocka_unit_test(it_is_for_those_who_may_send_alone),
        cmocka_unit_test(the_oldest_goes_first),
        cmocka_unit_test(bytes_are_bounded),
        cmocka_unit_test(answers_are_forgotten_in_time),
        cmocka_unit_test(those_who_wait_get_the_answer),
        cmocka_unit_test(those_who_wait_get_the_failure),
        cmocka_unit_test(who_waits_is_handled_when_the_first_has_gone),
        cmocka_unit_test(who_waits_may_be_answered_at_once),
        cmocka_unit_test(without_room_each_is_handled),
        cmocka_unit_test(threads_handle_each_event_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
