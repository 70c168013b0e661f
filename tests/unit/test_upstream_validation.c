/* The validation of event handlers: who is asked, when again, and what waits for it. */
#include "upstream_kit.h"

static void get_only_after_404(void **state)
{
    static const int others[] = {400, 401, 403, 405};
    struct fixture *f = *state;

    kit__connect_as(f, "chat", "c");
    kit__answer(f, kit__last_sent(f), 404);
    assert_string_equal(kit__last_sent(f)->method, "GET");
    assert_string_equal(kit__last_sent(f)->url, "http://h:80/eh/validate?code=secret");
    kit__answer(f, kit__last_sent(f), 404);
    assert_int_equal(f->connect.status, 500);
    assert_non_null(strstr(f->connect.why,
                           "http://h:80/eh/validate answered 404 to the validation (OPTIONS, "
                           "then GET): is the path of the URL right?"));
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        f->now += 61000;
        kit__connect_as(f, "chat", "c");
        assert_string_equal(kit__last_sent(f)->method, "OPTIONS");
        kit__answer(f, kit__last_sent(f), others[i]);
        assert_int_equal(f->connect.calls, (int)i + 2);
    }
}

static void get_may_consent(void **state)
{
    struct fixture *f = *state;

    kit__connect_as(f, "chat", "c");
    kit__answer(f, kit__last_sent(f), 404);
    kit__answer_with(f, kit__last_sent(f), 200, "WebHook-Allowed-Origin", "BROKER.test", "");
    assert_string_equal(kit__last_sent(f)->method, "POST");
}

/* event-handler section 1: these two headers, and nothing else. */
static void validation_says_who_asks_and_no_more(void **state)
{
    struct fixture *f = *state;

    f->handlers[0].url_template = STR("http://h/eh?code=secret"); /* without {event}: as it is */
    f->handlers[0].auth.origin = TOKEN_FILE;
    f->token = "t";
    kit__connect_as(f, "chat", "c");
    for (int i = 0; i < 2; i++) {
        assert_string_equal(kit__last_sent(f)->method, i == 0 ? "OPTIONS" : "GET");
        assert_string_equal(kit__last_sent(f)->url, "http://h/eh?code=secret");
        assert_string_equal(kit__last_sent(f)->names, "WebHook-Request-Origin,ce-awpsversion,");
        assert_string_equal(kit__last_sent(f)->origin, "broker.test");
        assert_string_equal(kit__last_sent(f)->body, "");
        assert_string_equal(kit__last_sent(f)->bearer, "");
        assert_int_equal(kit__last_sent(f)->timeout_ms, 10000); /* each has its own time */
        f->now += 7000;
        if (i == 0)
            kit__answer(f, kit__last_sent(f), 404);
    }
}

static void any_2xx_with_the_header_consents(void **state)
{
    static const int statuses[] = {200, 202, 204, 299};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
        upstream__configure(f->up, &f->settings); /* forgets the consent */
        kit__connect_as(f, "chat", "c");
        kit__answer_with(f, kit__last_sent(f), statuses[i], "webhook-allowed-origin", "Broker.Test",
                         "");
        assert_string_equal(kit__last_sent(f)->event, "connect");
        kit__answer(f, kit__last_sent(f), 204);
    }
    upstream__configure(f->up, &f->settings);
    kit__connect_as(f, "chat", "c");
    kit__answer_with(f, kit__last_sent(f), 200, "WebHook-Allowed-Origin", "other.test, broker.test",
                     "");
    assert_int_equal(f->connect.status, 500);
}

static void no_consent_without_the_header(void **state)
{
    struct fixture *f = *state;

    kit__connect_as(f, "chat", "c");
    kit__answer(f, kit__last_sent(f), 200);
    assert_int_equal(f->connect.status, 500);
    assert_non_null(strstr(f->connect.why, "without consent: expected a header "
                                           "WebHook-Allowed-Origin with * or broker.test, but "
                                           "there is none"));
}

static void validation_tries_within_ten_seconds(void **state)
{
    struct fixture *f = *state;

    kit__connect_as(f, "chat", "c");
    kit__answer(f, kit__last_sent(f), 503);
    assert_int_equal(f->sent_count, 1);
    kit__after(f, 1000);
    assert_int_equal(f->sent_count, 2);
    assert_int_equal(kit__last_sent(f)->timeout_ms, 9000);
    kit__answer(f, kit__last_sent(f), 408);
    kit__after(f, 2999);
    assert_int_equal(f->sent_count, 2);
    kit__after(f, 1);
    kit__break_off(f, kit__last_sent(f), true);
    kit__after(f, 5000);
    assert_int_equal(f->sent_count, 4);
    assert_int_equal(kit__last_sent(f)->timeout_ms, 1000);
    kit__consent(f);
    assert_string_equal(kit__last_sent(f)->event, "connect");
}

static void validation_is_shared_and_cached(void **state)
{
    struct fixture *f = *state;
    struct sent *check;

    kit__connect_as(f, "chat", "1");
    kit__connect_as(f, "chat", "2");
    assert_int_equal(f->sent_count, 1);
    kit__consent(f);
    assert_int_equal(f->sent_count, 3);
    f->now += 59999;
    kit__connect_as(f, "chat", "3");
    assert_int_equal(f->sent_count, 4); /* the POST alone */
    f->now += 1;
    kit__connect_as(f, "chat", "4"); /* goes out on the old consent, which is asked for again */
    assert_int_equal(f->sent_count, 6);
    check = &f->sent[4];
    assert_string_equal(check->method, "OPTIONS");
    assert_string_equal(kit__last_sent(f)->method, "POST");
    kit__connect_as(f, "chat", "5");
    assert_int_equal(f->sent_count, 7);
    kit__answer(f, check, 401); /* from here on it is refused */
    assert_non_null(strstr(f->logged, "answered 401 to the validation (OPTIONS)"));
    assert_int_equal(f->connect.calls, 0);
    kit__connect_as(f, "chat", "6");
    assert_int_equal(f->connect.status, 500);
    assert_int_equal(f->sent_count, 7);
}

static void failed_validation_backs_off(void **state)
{
    static const int seconds[] = {1, 2, 4, 8, 16, 32, 60, 60};
    struct fixture *f = *state;

    kit__connect_as(f, "chat", "c");
    kit__answer(f, kit__last_sent(f), 401);
    for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++) {
        int sent = f->sent_count;

        f->now += seconds[i] * 1000 - 1;
        kit__connect_as(f, "chat", "c");
        assert_int_equal(f->sent_count, sent);
        assert_int_equal(f->connect.status, 500);
        f->now += 1;
        kit__connect_as(f, "chat", "c");
        assert_int_equal(f->sent_count, sent + 1);
        kit__answer(f, kit__last_sent(f), 401);
    }
    f->now += 60000;
    kit__connect_as(f, "chat", "c"); /* waits, so that it succeeds if the handler is back */
    kit__consent(f);
    assert_string_equal(kit__last_sent(f)->method, "POST");
    kit__answer(f, kit__last_sent(f), 204);
    assert_int_equal(f->connect.status, 0);
}

/* A check in which nobody answers, in any of its four tries. */
static void nobody_answers_the_check(struct fixture *f)
{
    static const int waits[] = {1000, 3000, 5000};

    for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
        kit__break_off(f, kit__last_sent(f), true);
        kit__after(f, waits[i]);
    }
    kit__break_off(f, kit__last_sent(f), true);
}

static void handler_that_is_down_is_asked_again_at_once(void **state)
{
    struct fixture *f = *state;
    int sent;

    for (int i = 1; i <= 3; i++) {
        kit__connect_as(f, "chat", "c");
        assert_string_equal(kit__last_sent(f)->method, "OPTIONS");
        nobody_answers_the_check(f);
        assert_int_equal(f->connect.calls, i);
        assert_int_equal(f->connect.status, 500);
    }
    sent = f->sent_count;
    kit__connect_as(f, "chat", "c");
    assert_int_equal(f->sent_count, sent + 1);
    kit__consent(f);
    assert_string_equal(kit__last_sent(f)->event, "connect");
}

static void user_event_fails_without_consent(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);

    f->now += 60000;
    kit__message(f, p, "1"); /* POST on the old consent, and the check */
    kit__answer(f, &f->sent[f->sent_count - 1], 204);
    kit__answer(f, &f->sent[f->sent_count - 2], 403);
    kit__message(f, p, "2");
    assert_int_equal(f->event.calls, 2);
    assert_false(f->event.success);
    assert_false(f->event.no_handler);
    assert_int_equal(f->event.ticket, 7);
    assert_non_null(strstr(f->event.why, "answered 403 to the validation"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(get_only_after_404),
        WITH_FIXTURE(get_may_consent),
        WITH_FIXTURE(validation_says_who_asks_and_no_more),
        WITH_FIXTURE(any_2xx_with_the_header_consents),
        WITH_FIXTURE(no_consent_without_the_header),
        WITH_FIXTURE(validation_tries_within_ten_seconds),
        WITH_FIXTURE(validation_is_shared_and_cached),
        WITH_FIXTURE(failed_validation_backs_off),
        WITH_FIXTURE(handler_that_is_down_is_asked_again_at_once),
        WITH_FIXTURE(user_event_fails_without_consent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
