/* joined and left: what event handlers hear of groups. */
#include "upstream_kit.h"

static void presence_is_told_in_order_and_numbered(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    f->handlers[0].presence_events = PRESENCE_EVENT_JOINED | PRESENCE_EVENT_LEFT;
    p = kit__established(f);
    upstream__presence(p, true, STR("g \"1\""), f->now, 0);
    assert_string_equal(kit__last_sent(f)->url, "http://h:80/eh/joined?code=secret");
    assert_string_equal(kit__last_sent(f)->event, "joined");
    assert_string_equal(kit__last_sent(f)->type, "azure.webpubsub.gp.joined");
    assert_string_equal(kit__last_sent(f)->body, "{\"group\":\"g \\\"1\\\"\"}");
    assert_string_equal(kit__last_sent(f)->id, "2");
    upstream__presence(p, false, STR("g"), f->now, 0);
    upstream__disconnected(p, STR("x"), f->now, 0); /* drops user events alone */
    assert_string_equal(kit__last_sent(f)->event, "joined");
    kit__answer(f, kit__last_sent(f), 503); /* tried again as any other */
    kit__after(f, 1000);
    kit__answer(f, kit__last_sent(f), 204);
    assert_string_equal(kit__last_sent(f)->event, "left");
    assert_string_equal(kit__last_sent(f)->type, "azure.webpubsub.gp.left");
    kit__answer_with(f, kit__last_sent(f), 404, "ce-connectionState", "s", "");
    assert_non_null(strstr(f->logged, "answered 404 to left of hub chat"));
    assert_string_equal(kit__last_sent(f)->event, "disconnected");
    assert_string_equal(kit__last_sent(f)->id, "4");
    assert_false(kit__last_sent(f)->has_state);
}

static void presence_without_handler_is_nothing(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);
    int sent = f->sent_count;

    upstream__presence(p, true, STR("g"), f->now, 0);
    assert_int_equal(f->sent_count, sent);
    assert_int_equal(upstream__pending(f->up), 0);
}

static void presence_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    f->handlers[0].presence_events = PRESENCE_EVENT_JOINED;
    p = kit__established(f);
    for (int i = 0; i < UPSTREAM_PEER_PRESENCE; i++)
        upstream__presence(p, true, STR("g"), f->now, 0);
    assert_int_equal(upstream__pending(f->up), UPSTREAM_PEER_PRESENCE);
    assert_null(strstr(f->logged, "are lost"));
    upstream__presence(p, true, STR("g"), f->now, 0);
    assert_int_equal(upstream__pending(f->up), UPSTREAM_PEER_PRESENCE);
    assert_non_null(strstr(f->logged,
                           "joined and left events of connection 0f9c97a2f0bf4706afe87a14e0797b11 "
                           "of hub chat are lost"));
    f->logged[0] = '\0';
    kit__answer(f, kit__last_sent(f), 204);
    upstream__presence(p, true, STR("g"), f->now, 0);
    assert_int_equal(upstream__pending(f->up), UPSTREAM_PEER_PRESENCE);
    upstream__presence(p, true, STR("g"), f->now, 0);
    assert_null(strstr(f->logged, "are lost"));        /* it is told once */
    upstream__presence(p, false, STR("g"), f->now, 0); /* which nobody wants to hear */
    assert_int_equal(kit__outcomes(f, METRIC_JOINED, OUTCOME_FAILED), 2);
    assert_int_equal(kit__failures(f, FAILURE_QUEUE_FULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(presence_is_told_in_order_and_numbered),
        WITH_FIXTURE(presence_without_handler_is_nothing),
        WITH_FIXTURE(presence_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
