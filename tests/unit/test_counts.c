/* What an application counts: each outcome, each refusal, and the text of it. */
#include "app/counts.h"
#include "pubhook/auth.h"
#include "pubhook/defer.h"
#include "pubhook/metrics.h"
#include "unit.h"
#include "webhook.h"

#include <stdio.h>

static struct ph_app *new_app(void)
{
    struct ph_app *app = ph_app_new();

    assert_non_null(app);
    assert_int_equal(ph_app_add_key(app, WEBHOOK_KEY), PH_OK);
    return app;
}

static char *text_of(struct ph_app *app)
{
    size_t len;
    char *text;

    assert_int_equal(ph_app_metrics(app, &text, &len), PH_OK);
    assert_int_equal(strlen(text), len);
    return text;
}

/* The text has exactly this line. */
static void expect_line(struct ph_app *app, const char *line)
{
    char *text = text_of(app), *at = text;
    size_t len = strlen(line);

    while ((at = strstr(at, line)) && !((at == text || at[-1] == '\n') && at[len] == '\n'))
        at += len;
    if (!at)
        fail_msg("no line %s in\n%s", line, text);
    ph_metrics_free(text);
}

static int status_of_next;
static struct ph_deferred *token;

static struct ph_reply *handle(const struct ph_event *ev, void *arg)
{
    (void)arg;
    if (status_of_next == 1)
        return ph_reply_defer(ev, 60000, &token);
    if (status_of_next == 2)
        return ph_reply_defer(ev, 1, &token);
    if (status_of_next == 500)
        return NULL;
    return status_of_next ? ph_reply_reject(status_of_next, NULL) : ph_reply_ok();
}

static struct ph_reply *pass(const struct ph_event *ev, void *arg)
{
    (void)ev, (void)arg;
    return ph_reply_pass();
}

static void post(struct ph_app *app, const char *name)
{
    struct ph_event ev = webhook__user_event(name, PH_DATA_TEXT, "hi");

    ph_response_free(webhook__post(app, &ev));
}

#define OF_ORDERS "{handler=\"shop\",hub=\"chat\",kind=\"user\",event=\"order*\""
#define OF_ALL "{handler=\"\",hub=\"*\",kind=\"user\",event=\"*\""

static void outcomes_are_counted(void **state)
{
    static const int statuses[] = {0, 0, 400, 403, 500, 503};
    struct ph_app *app = new_app();

    (void)state;
    assert_int_equal(ph_app_on_event(app, NULL, "*", pass, NULL, NULL), PH_OK);
    assert_int_equal(ph_app_name_handlers(app, "shop"), PH_OK);
    assert_int_equal(ph_app_on_event(app, "chat", "order*", handle, NULL, NULL), PH_OK);
    assert_int_equal(ph_app_name_handlers(app, NULL), PH_OK);
    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
        status_of_next = statuses[i];
        post(app, "order1");
    }
    post(app, "other");
    expect_line(app, "pubhook_handler_events_total" OF_ORDERS ",outcome=\"answered\"} 2");
    expect_line(app, "pubhook_handler_events_total" OF_ORDERS ",outcome=\"rejected\"} 2");
    expect_line(app, "pubhook_handler_events_total" OF_ORDERS ",outcome=\"failed\"} 2");
    expect_line(app, "pubhook_handler_events_total" OF_ORDERS ",outcome=\"passed\"} 0");
    expect_line(app, "pubhook_handler_events_total" OF_ALL ",outcome=\"passed\"} 7");
    expect_line(app, "pubhook_handler_duration_seconds_bucket" OF_ORDERS ",le=\"+Inf\"} 6");
    expect_line(app, "pubhook_handler_duration_seconds_count" OF_ORDERS "} 6");
    expect_line(app, "pubhook_handler_duration_seconds_count" OF_ALL "} 0");
    expect_line(app, "pubhook_handler_events_in_flight" OF_ORDERS "} 0");
    expect_line(app, "pubhook_events_unhandled_total 1");
    ph_app_free(app);
}

static void on_done(struct ph_response *res, void *arg)
{
    (void)res, (void)arg;
}

static void deferred_events_are_under_way(void **state)
{
    struct ph_event ev = webhook__user_event("order", PH_DATA_TEXT, "hi");
    struct ph_app *app = new_app();
    struct ph_request *req = ph_request_new("POST", "/eventhandler");
    struct ph_response *res = ph_response_new();
    struct diag diag;

    (void)state;
    ph_app_name_handlers(app, "shop");
    ph_app_on_event(app, "chat", "order*", handle, NULL, NULL);
    assert_int_equal(event__encode(&req->arena, &ev, STR(WEBHOOK_SIGNATURE), &req->http, &diag),
                     PH_OK);
    status_of_next = 1;
    ph_app_serve_async(app, req, res, on_done, NULL);
    expect_line(app, "pubhook_handler_events_in_flight" OF_ORDERS "} 1");
    expect_line(app, "pubhook_handler_events_deferred_total" OF_ORDERS "} 1");
    ph_deferred_answer(token, ph_reply_ok());
    ph_deferred_unref(token);
    expect_line(app, "pubhook_handler_events_in_flight" OF_ORDERS "} 0");
    expect_line(app, "pubhook_handler_events_total" OF_ORDERS ",outcome=\"answered\"} 1");
    status_of_next = 2;
    post(app, "order"); /* until its deadline */
    ph_deferred_unref(token);
    expect_line(app, "pubhook_handler_events_total" OF_ORDERS ",outcome=\"late\"} 1");
    status_of_next = 1;
    ph_app_serve_async(app, req, res, on_done, NULL);
    assert_true(ph_response_cancel(res));
    ph_deferred_unref(token);
    expect_line(app, "pubhook_handler_events_total" OF_ORDERS ",outcome=\"gone\"} 1");
    expect_line(app, "pubhook_handler_events_in_flight" OF_ORDERS "} 0");
    ph_response_free(res);
    ph_request_free(req);
    ph_app_free(app);
}

/* A request with these lines, NULL-terminated, and what it is refused for. */
static void refusals_are_counted(void **state)
{
    static const struct {
        const char *method, *path, *lines[5];
        const char *reason;
    } rows[] = {
        {"POST", "/eventhandler", {"ce-connectionId: c"}, "bad_signature"},
        {"POST", "/eventhandler", {"WebHook-Request-Origin: a.example.com"}, "bad_signature"},
        {"POST",
         "/eventhandler",
         {"ce-connectionId: " WEBHOOK_CONNECTION, "ce-signature: " WEBHOOK_SIGNATURE,
          "WebHook-Request-Origin: b.example.com"},
         "malformed"},
        {"POST",
         "/eventhandler",
         {"ce-connectionId: " WEBHOOK_CONNECTION, "ce-signature: " WEBHOOK_SIGNATURE,
          "WebHook-Request-Origin: c.example.com"},
         "forbidden_origin"},
        {"POST", "/eventhandler", {"Content-Length: 99999999"}, "too_large"},
        {"POST", "/eventhandler", {"Content-Length: x"}, "malformed"},
        {"POST", "/other", {NULL}, "other"},
        {"PUT", "/eventhandler", {NULL}, "other"},
    };
    struct ph_app *app = new_app();

    (void)state;
    ph_app_add_key_for(app, "a.example.com", "ka");
    ph_app_allow_origin(app, "b.example.com");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_request *req = webhook__request(rows[i].method, rows[i].path, rows[i].lines);
        char before[80], after[96];
        char *text = text_of(app), *at;
        unsigned n;

        snprintf(before, sizeof(before), "pubhook_requests_refused_total{reason=\"%s\"} ",
                 rows[i].reason);
        at = strstr(text, before);
        assert_non_null(at);
        n = (unsigned)strtoul(at + strlen(before), NULL, 10);
        ph_metrics_free(text);
        ph_response_free(webhook__serve(app, req));
        ph_request_free(req);
        snprintf(after, sizeof(after), "%s%u", before, n + 1);
        expect_line(app, after);
    }
    ph_app_free(app);
    app = ph_app_new();
    ph_app_add_key_for(app, "a.example.com", "ka");
    post(app, "order"); /* of localhost */
    expect_line(app, "pubhook_requests_refused_total{reason=\"no_key\"} 1");
    ph_app_free(app);
}

static void validations_and_repetitions_are_counted(void **state)
{
    static const char *const good[] = {"WebHook-Request-Origin: a.example.com", NULL},
                             *const none[] = {NULL};
    struct ph_app *app = new_app();

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct ph_request *req = webhook__request("OPTIONS", "/eventhandler", i ? good : none);

        ph_response_free(webhook__serve(app, req));
        ph_request_free(req);
    }
    ph_app_set_deduplication(app, 60, 0, 0);
    post(app, "order");
    post(app, "order");
    expect_line(app, "pubhook_validations_total{result=\"allowed\"} 2");
    expect_line(app, "pubhook_validations_total{result=\"refused\"} 1");
    expect_line(app, "pubhook_events_repeated_total 1");
    expect_line(app, "pubhook_events_unhandled_total 1");
    ph_app_free(app);
}

static void durations_fall_into_buckets(void **state)
{
    static const struct {
        int64_t us;
        const char *le;
    } rows[] = {{-1, "0.0001"},  {100, "0.0001"},  {101, "0.00025"},  {1000, "0.001"},
                {9999999, "10"}, {10000000, "10"}, {10000001, "+Inf"}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct counts counts = {.handler_count = 0};
        char first[64];
        struct buf out;

        counts__init(&counts);
        counts__ended(counts__handler(&counts, "h", PH_EVENT_USER, NULL, "e"), COUNTS_ANSWERED,
                      rows[i].us);
        buf__init(&out, 1 << 20);
        counts__write(&counts, &out);
        snprintf(first, sizeof(first), "le=\"%s\"} 1\n", rows[i].le);
        if (!strstr(out.data, first))
            fail_msg("row %zu: no %s", i, first);
        /* and in none before */
        assert_true(strstr(out.data, "} 1\n") <= strstr(out.data, first) + strlen(first));
        buf__free(&out);
        counts__free(&counts);
    }
}

/* Whatever names handlers have, a label is one, and no two lines are the same. */
static void labels_are_sound(void **state)
{
    struct ph_app *app = new_app();
    char *text;

    (void)state;
    ph_app_name_handlers(app, "a\"b\\c\nd");
    ph_app_on_connect(app, "chat", handle, NULL, NULL);
    ph_app_on_connect(app, "chat", handle, NULL, NULL);
    status_of_next = 0;
    expect_line(app, "pubhook_handler_events_in_flight{handler=\"a\\\"b\\\\c\\nd\",hub=\"chat\","
                     "kind=\"connect\",event=\"connect\"} 0");
    text = text_of(app);
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        assert_null(strstr(end + 1, line));
    }
    ph_metrics_free(text);
    ph_app_free(app);
}

static void beyond_a_limit_handlers_are_counted_as_one(void **state)
{
    struct counts counts = {.handler_count = 0};
    struct handler_counts *first = NULL, *last;
    char name[32];

    (void)state;
    counts__init(&counts);
    for (int i = 0; i < COUNTS_MAX_HANDLERS; i++) {
        snprintf(name, sizeof(name), "h%d", i);
        last = counts__handler(&counts, name, PH_EVENT_USER, NULL, "e");
        assert_str(last->name, name);
        first = first ? first : last;
    }
    last = counts__handler(&counts, "one", PH_EVENT_CONNECT, "hub", NULL);
    assert_str(last->name, "(others)");
    assert_ptr_equal(counts__handler(&counts, "two", PH_EVENT_USER, NULL, "x"), last);
    assert_ptr_equal(counts__handler(&counts, "h0", PH_EVENT_USER, NULL, "e"), first);
    counts__free(&counts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outcomes_are_counted),
        cmocka_unit_test(deferred_events_are_under_way),
        cmocka_unit_test(refusals_are_counted),
        cmocka_unit_test(validations_and_repetitions_are_counted),
        cmocka_unit_test(durations_fall_into_buckets),
        cmocka_unit_test(labels_are_sound),
        cmocka_unit_test(beyond_a_limit_handlers_are_counted_as_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
