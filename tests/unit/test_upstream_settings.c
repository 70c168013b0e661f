/* What the settings of event handlers and of hubs do to the events of clients that stay. */
#include "upstream_kit.h"

/* --- tokens --------------------------------------------------------------------------------- */

static void events_carry_the_token_of_their_handler(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    f->handlers[0].auth.origin = TOKEN_FILE;
    f->token = "one";
    kit__connect_as(f, "chat", "c");
    assert_string_equal(kit__last_sent(f)->bearer, ""); /* the validation has none (section 1) */
    p = kit__established(f);
    kit__message(f, p, "a");
    assert_string_equal(kit__last_sent(f)->bearer, "one");
    f->token = "two";
    kit__break_off(f, kit__last_sent(f), true);
    kit__after(f, 1000);
    assert_string_equal(kit__last_sent(f)->bearer, "two");
    kit__answer(f, kit__last_sent(f), 204);
    f->handlers[0].auth.origin = TOKEN_NONE;
    kit__message(f, p, "a");
    assert_string_equal(kit__last_sent(f)->bearer, "");
    assert_null(strstr(f->logged, "two"));
}

static void without_a_token_the_event_is_tried_again_and_fails(void **state)
{
    static const int waits[] = {1000, 3000, 5000};
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);
    int sent = f->sent_count;

    f->handlers[0].auth.origin = TOKEN_FILE;
    kit__message(f, p, "a");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(f->event.calls, 0);
        kit__after(f, waits[i]);
    }
    assert_int_equal(f->event.calls, 1);
    assert_string_equal(f->event.why, "event handler http://h:80/eh/message failed for user event "
                                      "`message` of hub chat: no token in the fixture");
    kit__message(f, p, "b");
    f->token = "late"; /* between two tries */
    kit__after(f, 1000);
    assert_int_equal(f->sent_count, sent + 1);
    assert_string_equal(kit__last_sent(f)->bearer, "late");
    kit__answer(f, kit__last_sent(f), 204);
    assert_true(f->event.success);
}

static void a_401_is_answered_with_another_token_once(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);

    kit__message(f, p, "a");
    kit__answer(f, kit__last_sent(f), 401); /* it has no token to renew */
    assert_int_equal(f->event.calls, 1);
    f->handlers[0].auth.origin = TOKEN_COMMAND;
    f->token = "old";
    for (int i = 0; i < 2; i++) {
        kit__message(f, p, "a");
        kit__answer(f, kit__last_sent(f), 401);
        assert_int_equal(f->refused_tokens, i + 1);
        assert_int_equal(f->event.calls, i + 1);
        f->token = "new";
        kit__after(f, 1000);
        assert_string_equal(kit__last_sent(f)->bearer, "new");
        kit__answer(f, kit__last_sent(f), i == 0 ? 401 : 204); /* the second refusal is final */
        assert_int_equal(f->refused_tokens, i + 1);
        assert_int_equal(f->event.calls, i + 2);
    }
    assert_true(f->event.success);
}

static void an_event_that_lacks_a_token_can_be_dropped(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);

    f->handlers[0].auth.origin = TOKEN_FILE;
    assert_true(kit__raise_event(f, p, "e", PH_DATA_TEXT, STR("x"), 0)); /* told at the next tick */
    f->handlers[0].auth.origin = TOKEN_NONE;
    upstream__disconnected(p, STR("x"), f->now, 0);
    kit__tick(f);
    assert_string_equal(kit__last_sent(f)->event, "disconnected");
    kit__answer(f, kit__last_sent(f), 204);
    assert_int_equal(f->event.calls, 0);
}

/* --- what services differ in (event-handler section 3.8) ----------------------------------- */

static void sources_and_charsets_follow_the_hub(void **state)
{
    static const char *const names[] = {"json.webpubsub.azure.v1", "custom"};
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);

    for (int i = 0; i < 4; i++) {
        bool pubsub = i < 2, compatible = i % 2 == 1;

        f->hubs[0].compatibility.short_source = f->hubs[0].compatibility.charset = compatible;
        upstream__connected(p, f, STR("u"), str__of(names[pubsub ? 0 : 1]), f->now, 0);
        assert_string_equal(kit__last_sent(f)->source,
                            "/hubs/chat/client/0f9c97a2f0bf4706afe87a14e0797b11");
        assert_string_equal(kit__last_sent(f)->content_type,
                            compatible ? "application/json; charset=utf-8" : "application/json");
        kit__answer(f, kit__last_sent(f), 204);
        kit__message(f, p, "a");
        assert_string_equal(kit__last_sent(f)->source,
                            compatible && pubsub
                                ? "/client/0f9c97a2f0bf4706afe87a14e0797b11"
                                : "/hubs/chat/client/0f9c97a2f0bf4706afe87a14e0797b11");
        assert_string_equal(kit__last_sent(f)->content_type,
                            compatible ? "text/plain; charset=utf-8" : "text/plain");
        kit__answer(f, kit__last_sent(f), 204);
    }
}

/* --- other settings ------------------------------------------------------------------ */

static struct settings *settings_with(const char *key, const char *url)
{
    struct settings *s = settings__new();
    char value[128];

    assert_non_null(s);
    snprintf(value, sizeof(value), "chat=%s", url);
    assert_int_equal(settings__add_key(s, key, NULL), PH_OK);
    assert_int_equal(settings__add_event_handler(s, value, NULL), PH_OK);
    return s;
}

static void configure(struct fixture *f, const char *key, const char *url)
{
    struct settings *s = settings_with(key, url);

    upstream__configure(f->up, s);
    settings__unref(s);
    kit__tick(f);
}

/* The one under way and those behind it were meant for the old handler, whose settings
 * must still be there; new ones go to the new handler. */
static void events_that_wait_keep_their_handler(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    configure(f, "0123456789012345678901234567890a", "http://old/eh");
    p = kit__established(f);
    assert_true(kit__message(f, p, "under way"));
    assert_true(kit__message(f, p, "waits"));
    configure(f, "0123456789012345678901234567890a", "http://new/eh");
    assert_true(kit__message(f, p, "new"));
    assert_string_equal(kit__last_sent(f)->url, "http://old/eh");
    assert_string_equal(kit__last_sent(f)->body, "under way");
    kit__answer(f, kit__last_sent(f), 204);
    assert_string_equal(kit__last_sent(f)->method, "OPTIONS"); /* verdicts are forgotten */
    kit__consent(f);
    assert_string_equal(kit__last_sent(f)->url, "http://old/eh");
    assert_string_equal(kit__last_sent(f)->body, "waits");
    kit__answer(f, kit__last_sent(f), 204);
    assert_string_equal(kit__last_sent(f)->url, "http://new/eh");
    assert_string_equal(kit__last_sent(f)->method, "OPTIONS");
    kit__consent(f);
    assert_string_equal(kit__last_sent(f)->body, "new");
    kit__answer(f, kit__last_sent(f), 204);
    assert_int_equal(f->event.calls, 3);
}

static void retries_survive_their_settings(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    configure(f, "0123456789012345678901234567890a", "http://old/eh");
    p = kit__established(f);
    assert_true(kit__message(f, p, "once more"));
    kit__answer(f, kit__last_sent(f), 503);
    configure(f, "0123456789012345678901234567890a", "http://new/eh");
    kit__after(f, 1000);
    assert_string_equal(kit__last_sent(f)->url, "http://old/eh");
    kit__answer(f, kit__last_sent(f), 204);
    assert_true(f->event.success);
}

static void clients_that_stay_are_signed_for_by_new_keys(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);
    char before[160];

    assert_true(kit__message(f, p, "old key"));
    strcpy(before, kit__last_sent(f)->signature);
    kit__answer(f, kit__last_sent(f), 204);
    configure(f, "0123456789012345678901234567890b", "http://h/eh");
    assert_true(kit__message(f, p, "new key"));
    kit__consent(f);
    assert_string_not_equal(kit__last_sent(f)->signature, before);
    assert_null(strchr(kit__last_sent(f)->signature, ','));
    kit__answer(f, kit__last_sent(f), 204);
    assert_true(f->event.success);
}

static void a_check_under_way_outlives_its_settings(void **state)
{
    struct fixture *f = *state;

    configure(f, "0123456789012345678901234567890a", "http://old/eh");
    kit__connect_as(f, "chat", "one");
    assert_string_equal(kit__last_sent(f)->method, "OPTIONS");
    configure(f, "0123456789012345678901234567890a", "http://new/eh");
    kit__consent(f);
    assert_string_equal(kit__last_sent(f)->url, "http://old/eh");
    assert_string_equal(kit__last_sent(f)->event, "connect");
    kit__answer(f, kit__last_sent(f), 204);
    assert_int_equal(f->connect.status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(events_carry_the_token_of_their_handler),
        WITH_FIXTURE(without_a_token_the_event_is_tried_again_and_fails),
        WITH_FIXTURE(a_401_is_answered_with_another_token_once),
        WITH_FIXTURE(an_event_that_lacks_a_token_can_be_dropped),
        WITH_FIXTURE(sources_and_charsets_follow_the_hub),
        WITH_FIXTURE(events_that_wait_keep_their_handler),
        WITH_FIXTURE(retries_survive_their_settings),
        WITH_FIXTURE(clients_that_stay_are_signed_for_by_new_keys),
        WITH_FIXTURE(a_check_under_way_outlives_its_settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
