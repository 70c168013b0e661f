/* Deferred replies with each allocation failing in turn: the event is answered in some way, and
 * nothing leaks. */
#include "memory_kit.h"
#include "pubhook/defer.h"
#include "unit.h"
#include "webhook.h"

static void notice(struct ph_deferred *token, enum ph_err why, void *arg)
{
    (void)token, (void)why, (void)arg;
}

static struct ph_reply *defer(const struct ph_event *ev, void *arg)
{
    struct ph_deferred **token = arg;

    return ph_reply_defer(ev, 600000, token);
}

static void count(struct ph_response *res, void *arg)
{
    int *answers = arg;

    (void)res;
    ++*answers;
}

static struct ph_request *request_of(const struct ph_event *ev)
{
    struct ph_request *req = ph_request_new("POST", "/eventhandler");
    struct diag diag;

    if (req && event__encode(&req->arena, ev, STR(WEBHOOK_SIGNATURE), &req->http, &diag) == PH_OK)
        return req;
    ph_request_free(req);
    return NULL;
}

static void answer_later(struct ph_app *app, const struct ph_event *ev, struct ph_deferred **token)
{
    struct ph_request *req = request_of(ev);
    struct ph_response *res = req ? ph_response_new() : NULL;
    int answers = 0;

    if (res) {
        *token = NULL;
        ph_app_serve_async(app, req, res, count, &answers);
        if (*token) {
            ph_deferred_on_cancel(*token, notice, NULL, NULL);
            ph_deferred_answer(*token, ph_reply_text("later", 5));
            ph_deferred_unref(*token);
        }
        assert_int_equal(answers, 1);
        if (!memory_kit__failed())
            assert_int_equal(ph_response_status(res), 200);
        else if (ph_response_status(res) != 200)
            assert_int_equal(ph_response_status(res), 500);
    }
    ph_response_free(res);
    ph_request_free(req);
}

static void run(void *ctx)
{
    static const char long_text[6000] = {[0 ... 5998] = 'x'};
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, long_text);
    struct ph_app *app = ph_app_new();
    struct ph_deferred *token;

    (void)ctx;
    if (!app)
        return;
    ph_app_allow_unsigned(app);
    if (ph_app_on_event(app, NULL, "*", defer, &token, NULL) == PH_OK)
        answer_later(app, &ev, &token);
    ph_app_free(app);
}

static void each_allocation_fails(void **state)
{
    (void)state;
    memory_kit__each_fails(run, NULL, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_allocation_fails)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
