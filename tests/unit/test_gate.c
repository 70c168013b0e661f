/* The gate of an event handler: its limits and its circuit breaker. */
#include "upstream_kit.h"

#include "broker/upstream/gate.h"

#define SHUT "failed 3 times in a row"

/* A connection whose handler has failed three times, after which it is left alone. */
static struct upstream_peer *left_alone(struct fixture *f)
{
    struct upstream_peer *p;

    f->handlers[0].breaker_failures = 3;
    p = kit__established(f);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(kit__count_in_log(f, SHUT), 0);
        assert_true(kit__message(f, p, "a"));
        kit__nobody_answers(f);
        assert_int_equal(f->event.calls, i);
    }
    assert_int_equal(kit__count_in_log(f, SHUT), 1);
    return p;
}

static void events_for_a_handler_that_fails_fail_at_once(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = left_alone(f);
    const struct upstream_event event = {.name = STR("e"), .data = STR("x")};
    int sent = f->sent_count;
    const char *why = upstream__event(p, &event, f->now, 0);

    assert_string_equal(why, "event handler http://h:80/eh/{event} of hub chat is left alone after "
                             "3 failures in a row, the last one: refused connection: is it "
                             "running?; it is tried again in 1 s");
    kit__connect_as(f, "chat", "c");
    assert_int_equal(f->connect.status, 500);
    assert_non_null(strstr(f->connect.why, "is left alone after 3 failures"));
    assert_int_equal(f->sent_count, sent);
    assert_int_equal(upstream__pending(f->up), 0);
    assert_int_equal(kit__count_in_log(f, SHUT), 1);
}

static void one_probe_at_a_time_more_and_more_seldom(void **state)
{
    static const int waits[] = {1, 2, 4, 8, 10, 10};
    struct fixture *f = *state;
    struct upstream_peer *p = left_alone(f), *other;

    for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
        int sent = f->sent_count;

        kit__after(f, waits[i] * 1000 - 1);
        assert_false(kit__message(f, p, "a"));
        kit__after(f, 1);
        assert_true(kit__message(f, p, "a")); /* to see whether it is back */
        if (strcmp(f->sent[sent].method, "OPTIONS") == 0)
            sent++; /* the consent is a minute old and is asked for again */
        assert_int_equal(f->sent_count, sent + 1);
        assert_false(kit__message(f, p, "b"));
        other = kit__connect_as(f, "chat", "c");
        (void)other;
        assert_int_equal(f->sent_count, sent + 1);
        kit__break_off(f, kit__last_sent(f), true); /* a probe has one try */
        assert_int_equal(f->event.calls, 4 + (int)i);
    }
    assert_int_equal(kit__count_in_log(f, SHUT), 1);
}

static void an_answer_lets_all_in_again(void **state)
{
    static const int statuses[] = {204, 404}; /* whatever it says, it is there */
    struct fixture *f = *state;
    struct upstream_peer *p = left_alone(f);

    for (int i = 0; i < 2; i++) {
        assert_false(kit__message(f, p, "x"));
        kit__after(f, 1000);
        assert_true(kit__message(f, p, "a"));
        kit__answer(f, kit__last_sent(f), statuses[i]);
        assert_int_equal(kit__count_in_log(f, "answers again after"), (unsigned)i + 1);
        assert_non_null(strstr(f->logged, "of hub chat answers again after 1 s; 1 events failed "
                                          "meanwhile without being sent"));
        assert_true(kit__message(f, p, "b"));
        kit__answer(f, kit__last_sent(f), 204);
        for (int n = 0; i == 0 && n < 3; n++) {
            assert_true(kit__message(f, p, "a"));
            kit__nobody_answers(f);
        }
    }
}

static void fail_thrice(struct fixture *f, struct upstream_peer *p)
{
    for (int i = 0; i < 3; i++) {
        assert_true(kit__message(f, p, "a"));
        kit__nobody_answers(f);
    }
    assert_false(kit__message(f, p, "a"));
}

static void be_back(struct fixture *f, struct upstream_peer *p)
{
    kit__after(f, 1000);
    assert_true(kit__message(f, p, "a"));
    kit__answer(f, kit__last_sent(f), 204);
}

/* Another thread of the broker, with a client of its own. */
static struct fixture *beside(struct fixture *one, struct upstream_peer **peer)
{
    struct fixture *two;
    void *state;

    assert_int_equal(kit__set_up(&state), 0);
    two = state;
    one->outage = two->outage = &one->shared;
    two->handlers[0].breaker_failures = 3;
    *peer = kit__established(two);
    return two;
}

static void leave(struct fixture *two)
{
    void *state = two;

    kit__tear_down(&state);
}

static void threads_tell_together_that_a_handler_is_down_and_is_back(void **state)
{
    struct upstream_peer *p, *q;
    struct fixture *one = *state, *two = beside(one, &q);

    p = left_alone(one);
    assert_false(kit__message(one, p, "a"));
    fail_thrice(two, q);
    assert_int_equal(kit__count_in_log(two, SHUT), 0);
    be_back(two, q);
    assert_int_equal(kit__count_in_log(two, "answers again after 1 s; 2 events failed"), 1);
    be_back(one, p);
    assert_int_equal(kit__count_in_log(one, "answers again"), 0);

    fail_thrice(one, p);
    assert_int_equal(kit__count_in_log(one, SHUT), 2);
    upstream__configure(one->up, &one->settings); /* which begins anew */
    fail_thrice(two, q);
    assert_int_equal(kit__count_in_log(two, SHUT), 1);
    be_back(two, q);
    assert_int_equal(kit__count_in_log(two, "answers again after 1 s; 1 events failed"), 1);
    leave(two);
}

/* Else its clients would be refused for a while after the log has said that it answers. */
static void a_thread_asks_at_once_when_another_has_had_an_answer(void **state)
{
    struct upstream_peer *p, *q;
    struct fixture *one = *state, *two = beside(one, &q);

    p = left_alone(one);
    fail_thrice(two, q);
    assert_false(kit__message(one, p, "a"));
    be_back(two, q);
    assert_false(atomic_load(&one->shared.told));
    assert_true(kit__message(one, p, "a"));
    assert_false(kit__message(one, p, "b"));        /* one probe at a time */
    kit__break_off(one, kit__last_sent(one), true); /* it is down again: that is news */
    assert_int_equal(kit__count_in_log(one, "failed 4 times in a row"), 1);
    assert_true(atomic_load(&one->shared.told));
    assert_false(kit__message(one, p, "a"));

    kit__after(one, 2000);
    assert_true(kit__message(one, p, "a")); /* under way while the other is answered */
    fail_thrice(two, q);
    be_back(two, q);
    kit__break_off(one, kit__last_sent(one), true); /* which says nothing any more */
    assert_int_equal(kit__count_in_log(one, "times in a row"), 2);
    assert_false(atomic_load(&one->shared.told));
    assert_true(kit__message(one, p, "a"));
    kit__answer(one, kit__last_sent(one), 204);
    assert_int_equal(kit__count_in_log(one, "answers again"), 0);
    assert_int_equal(atomic_load(&one->shared.shut), 0);
    leave(two);
}

/* Left alone for a long time, with a notice that waits. */
static void fail_for_long(struct fixture *f, struct upstream_peer *p)
{
    f->handlers[0].presence_events = PRESENCE_EVENT_JOINED;
    fail_thrice(f, p);
    upstream__presence(p, true, STR("g"), f->now, 0);
    for (int s = 1; s <= 4; s *= 2) {
        kit__after(f, (int64_t)s * 1000);
        assert_string_equal(kit__last_sent(f)->event, "joined");
        kit__break_off(f, kit__last_sent(f), true);
        assert_null(kit__last_sent(f)->x);
    }
}

/* Else a user event would be behind the notice for as long as the notice waits. */
static void what_waits_asks_when_another_thread_has_had_an_answer(void **state)
{
    struct upstream_peer *p, *q;
    struct fixture *one = *state, *two = beside(one, &q);

    p = left_alone(one);
    fail_for_long(two, q);
    be_back(one, p);
    assert_true(kit__message(two, q, "b"));
    assert_string_equal(kit__last_sent(two)->event, "joined");
    assert_non_null(kit__last_sent(two)->x);
    kit__answer(two, kit__last_sent(two), 204);
    assert_string_equal(kit__last_sent(two)->body, "b");
    kit__answer(two, kit__last_sent(two), 204);

    fail_thrice(one, p);
    fail_for_long(two, q);
    be_back(one, p);
    kit__after(two, 1000); /* no client needs to do anything */
    assert_non_null(kit__last_sent(two)->x);
    kit__answer(two, kit__last_sent(two), 204);
    assert_int_equal(upstream__pending(two->up), 0);
    leave(two);
}

static void a_probe_that_is_dropped_leaves_the_news_to_the_next(void **state)
{
    struct upstream_peer *p, *q;
    struct fixture *one = *state, *two = beside(one, &q);

    p = left_alone(one);
    fail_thrice(two, q);
    be_back(one, p);
    assert_true(kit__message(two, q, "a"));
    upstream__disconnected(q, STR("bye"), two->now, 0); /* takes the event back */
    assert_int_equal(two->cancelled, 1);
    kit__tick(two);
    assert_string_equal(kit__last_sent(two)->event, "disconnected");
    kit__answer(two, kit__last_sent(two), 204);
    assert_int_equal(upstream__pending(two->up), 0);
    leave(two);
}

static void notices_wait_for_a_handler_that_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *other = kit__established(f), *p = left_alone(f);
    int sent = f->sent_count;

    upstream__disconnected(p, STR("bye"), f->now, 0);
    upstream__disconnected(other, STR("too"), f->now, 0);
    assert_int_equal(f->sent_count, sent);
    assert_int_equal(upstream__pending(f->up), 2);
    assert_true(kit__tick(f) == f->now + 1000);
    kit__after(f, 1000); /* no client needs to do anything: one of them is the probe */
    assert_int_equal(f->sent_count, sent + 1);
    assert_string_equal(kit__last_sent(f)->event, "disconnected");
    kit__break_off(f, kit__last_sent(f), true); /* not lost by that */
    assert_int_equal(upstream__pending(f->up), 2);
    kit__after(f, 2000);
    assert_int_equal(f->sent_count, sent + 2);
    assert_non_null(strstr(kit__last_sent(f)->body, "bye"));
    kit__answer(f, kit__last_sent(f), 204);
    assert_int_equal(f->sent_count, sent + 3);
    assert_non_null(strstr(kit__last_sent(f)->body, "too"));
    kit__answer(f, kit__last_sent(f), 204);
    assert_int_equal(upstream__pending(f->up), 0);
    assert_int_equal(kit__count_in_log(f, "answers again after 3 s; 0 events"), 1);
}

static void notices_wait_a_hundred_seconds(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = left_alone(f);

    upstream__disconnected(p, STR("bye"), f->now, 0);
    for (int s = 0; s < 99; s++) {
        struct sent *last = kit__last_sent(f);

        if (last->x)
            kit__break_off(f, last, true);
        kit__after(f, 1000);
    }
    assert_int_equal(upstream__pending(f->up), 1);
    if (kit__last_sent(f)->x)
        kit__break_off(f, kit__last_sent(f), true);
    kit__after(f, 1000);
    if (kit__last_sent(f)->x)
        kit__break_off(f, kit__last_sent(f), true);
    kit__after(f, 1000);
    assert_int_equal(upstream__pending(f->up), 0);
    assert_non_null(strstr(f->logged, "event=disconnected"));
}

static void a_notice_that_waited_in_vain_failed_for_the_breaker(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *other = kit__established(f), *p = left_alone(f);
    unsigned before = kit__failures(f, FAILURE_BREAKER);

    upstream__disconnected(p, STR("bye"), f->now, 0);
    upstream__disconnected(other, STR("too"), f->now, 0);
    kit__after(f, 1000);
    assert_non_null(kit__last_sent(f)->x); /* the probe, which nobody answers */
    kit__after(f, 99000);
    assert_int_equal(kit__failures(f, FAILURE_BREAKER), before + 1);
    assert_int_equal(kit__failures(f, FAILURE_QUEUE_FULL), 0);
    assert_int_equal(upstream__pending(f->up), 1);
}

static void time_out(struct fixture *f, struct sent *s)
{
    struct exchange_result result = {.why = "gave no answer in time", .failure = FAILURE_TIMEOUT};

    kit__report(f, s, &result);
}

/* What it waited for a place is not given to it a second time. */
static void a_notice_has_its_time_once(void **state)
{
    static const struct {
        int waited_ms, left_ms;
    } rows[] = {{0, 100000}, {60000, 40000}, {90000, 10000}, {99999, 10000}};
    struct fixture *f = *state;

    f->handlers[0].max_requests = 1;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct upstream_peer *p = kit__established(f), *other = kit__established(f);

        assert_true(kit__message(f, other, "a"));
        upstream__disconnected(p, STR("bye"), f->now, 0);
        kit__after(f, rows[i].waited_ms);
        kit__answer(f, kit__last_sent(f), 204);
        assert_string_equal(kit__last_sent(f)->event, "disconnected");
        assert_int_equal(kit__last_sent(f)->timeout_ms, rows[i].left_ms);
        kit__answer(f, kit__last_sent(f), 204);
    }
}

/* Nor is what it waited at a gate that is shut. */
static void a_notice_that_comes_last_to_a_shut_gate_has_little_time(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    f->handlers[0].breaker_seconds = 1;
    p = left_alone(f);
    kit__after(f, 500);
    upstream__disconnected(p, STR("bye"), f->now, 0);
    kit__after(f, 500);
    for (int s = 1; s < 80; s++) { /* a probe each second */
        assert_string_equal(kit__last_sent(f)->event, "disconnected");
        kit__break_off(f, kit__last_sent(f), true);
        kit__after(f, 1000);
        if (strcmp(kit__last_sent(f)->method, "OPTIONS") == 0)
            kit__consent(f);
    }
    assert_int_equal(kit__last_sent(f)->timeout_ms, 20500);
    kit__answer(f, kit__last_sent(f), 204);
    assert_int_equal(upstream__pending(f->up), 0);
}

/* Asks for a notice from 500 ms after it happened on, each second until its last 500 ms. */
static void probe_to_the_end(struct fixture *f)
{
    struct upstream_peer *p;

    f->handlers[0].breaker_seconds = 1;
    p = left_alone(f);
    kit__after(f, 500);
    upstream__disconnected(p, STR("bye"), f->now, 0);
    kit__after(f, 500);
    for (int s = 0; s < 99; s++) {
        assert_string_equal(kit__last_sent(f)->event, "disconnected");
        kit__break_off(f, kit__last_sent(f), true);
        kit__after(f, 1000);
        if (strcmp(kit__last_sent(f)->method, "OPTIONS") == 0)
            kit__consent(f);
    }
}

/* ... but when it is asked, the handler has time to answer; the notice is not kept for longer. */
static void the_last_probe_of_a_notice_leaves_time_to_answer(void **state)
{
    struct fixture *f = *state;

    probe_to_the_end(f);
    assert_int_equal(kit__last_sent(f)->timeout_ms, UPSTREAM_LEAST_MS);
    kit__after(f, 100);
    kit__break_off(f, kit__last_sent(f), true);
    kit__after(f, 399);
    assert_int_equal(upstream__pending(f->up), 1);
    kit__after(f, 1);
    assert_int_equal(upstream__pending(f->up), 0);
    assert_int_equal(kit__outcomes(f, METRIC_DISCONNECTED, OUTCOME_FAILED), 1);
}

static void the_last_probe_of_a_notice_leaves_a_plugin_time_to_answer(void **state)
{
    struct fixture *f = *state;
    int app;

    f->handlers[0].app = &app;
    f->handlers[0].plugin = STR("chat.so");
    probe_to_the_end(f);
    assert_true(kit__after(f, UPSTREAM_LEAST_MS - 1) == f->now + 1);
    assert_int_equal(f->cancelled, 0);
    kit__after(f, 1);
    assert_int_equal(f->cancelled, 1);
    assert_int_equal(upstream__pending(f->up), 0);
}

/* Each would wait a hundred seconds in its turn. */
static void notices_of_a_connection_are_lost_together(void **state)
{
    enum { GROUPS = 50 };
    struct fixture *f = *state;
    struct upstream_peer *p;
    char group[16];

    f->handlers[0].presence_events = PRESENCE_EVENT_JOINED;
    p = left_alone(f);
    for (int i = 0; i < GROUPS; i++) {
        snprintf(group, sizeof(group), "g%d", i);
        upstream__presence(p, true, str__of(group), f->now, 0);
    }
    kit__after(f, UPSTREAM_TIMEOUT_MS);
    kit__break_off(f, kit__last_sent(f), true); /* one was the probe */
    kit__tick(f);
    assert_int_equal(upstream__pending(f->up), 0);
    assert_int_equal(kit__outcomes(f, METRIC_JOINED, OUTCOME_FAILED), GROUPS);
    assert_int_equal(kit__failures(f, FAILURE_QUEUE_FULL), 0);
}

/* The handler may be there: it took its time for what came before. */
static void a_notice_that_is_late_to_its_turn_is_sent(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    f->handlers[0].presence_events = PRESENCE_EVENT_JOINED;
    p = kit__established(f);
    assert_true(kit__message(f, p, "slow"));
    upstream__presence(p, true, STR("g"), f->now, 0);
    kit__after(f, UPSTREAM_TIMEOUT_MS);
    time_out(f, kit__last_sent(f));
    assert_string_equal(kit__last_sent(f)->event, "joined");
    assert_int_equal(kit__last_sent(f)->timeout_ms, UPSTREAM_LEAST_MS);
    kit__answer(f, kit__last_sent(f), 204);
    assert_int_equal(kit__outcomes(f, METRIC_JOINED, OUTCOME_OK), 1);
}

/* ... even if it has to wait for a place. */
static void a_notice_that_is_late_to_its_turn_waits_for_a_place(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p, *other;
    struct sent *slow;

    f->handlers[0].presence_events = PRESENCE_EVENT_JOINED;
    f->handlers[0].max_requests = 1;
    other = kit__established(f);
    p = kit__established(f);
    assert_true(kit__message(f, p, "slow"));
    slow = kit__last_sent(f);
    upstream__presence(p, true, STR("g"), f->now, 0);
    kit__after(f, 1);
    assert_true(kit__message(f, other, "before it"));
    kit__after(f, UPSTREAM_TIMEOUT_MS - 1);
    time_out(f, slow);
    assert_string_equal(kit__last_sent(f)->body, "before it");
    kit__after(f, UPSTREAM_LEAST_MS - 1);
    kit__answer(f, kit__last_sent(f), 204);
    assert_string_equal(kit__last_sent(f)->event, "joined");
    assert_int_equal(kit__last_sent(f)->timeout_ms, UPSTREAM_LEAST_MS);
    kit__answer(f, kit__last_sent(f), 204);
    assert_int_equal(kit__outcomes(f, METRIC_JOINED, OUTCOME_OK), 1);
    assert_int_equal(kit__failures(f, FAILURE_QUEUE_FULL), 0);
}

/* A try that had to wait for a place is not sent for nothing. */
static void a_further_try_that_waited_for_a_place_has_time(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p, *other;

    f->handlers[0].max_requests = 1;
    other = kit__established(f);
    p = kit__established(f);
    assert_true(kit__message(f, p, "again"));
    f->now += 95000;
    kit__break_off(f, kit__last_sent(f), true); /* the next try would be at 96,000 */
    assert_true(kit__message(f, other, "between"));
    kit__after(f, 4999);
    assert_string_equal(kit__last_sent(f)->body, "between");
    kit__answer(f, kit__last_sent(f), 204);
    assert_string_equal(kit__last_sent(f)->body, "again");
    assert_int_equal(kit__last_sent(f)->timeout_ms, UPSTREAM_LEAST_MS);
    f->now += 1;
    kit__break_off(f, kit__last_sent(f), true);
    assert_int_equal(f->event.calls, 2); /* there is no other */
    assert_false(f->event.success);
}

/* Nor is one that is to find out for all others whether the handler is there. */
static void a_further_try_that_probes_has_time(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p, *other;

    f->handlers[0].breaker_failures = 1;
    other = kit__established(f);
    p = kit__established(f);
    assert_true(kit__message(f, p, "late"));
    f->now += 95000;
    kit__break_off(f, kit__last_sent(f), true);
    kit__after(f, 1000);
    f->now += 900;
    kit__break_off(f, kit__last_sent(f), true); /* the next try will be at 99,900 */
    assert_true(kit__message(f, other, "slow"));
    time_out(f, kit__last_sent(f));
    kit__after(f, 3000);
    assert_string_equal(kit__last_sent(f)->body, "late");
    assert_int_equal(kit__last_sent(f)->timeout_ms, UPSTREAM_LEAST_MS);
}

/* What was sent before the gate shut says nothing of the probe that is under way. */
static void only_its_own_failure_ends_a_probe(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p, *other;
    struct sent *early, *late, *probe;

    f->handlers[0].breaker_failures = 1;
    other = kit__established(f);
    p = kit__established(f);
    assert_true(kit__message(f, p, "early"));
    early = kit__last_sent(f);
    assert_true(kit__message(f, other, "late"));
    late = kit__last_sent(f);
    time_out(f, early);
    kit__after(f, 1000);
    assert_true(kit__message(f, p, "probe"));
    probe = kit__last_sent(f);
    time_out(f, late);
    kit__after(f, 10000);
    assert_false(kit__message(f, other, "a second probe"));
    kit__answer(f, probe, 204);
    assert_int_equal(kit__count_in_log(f, "answers again after 11 s"), 1);
    assert_true(kit__message(f, other, "b"));
}

/* The check that has just failed was not the probe's. */
static void a_probe_waits_for_its_own_validation(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p, *first, *second;
    struct sent *early, *check;

    f->handlers[0].breaker_failures = 1;
    first = kit__established(f);
    second = kit__established(f);
    p = kit__established(f);
    assert_true(kit__message(f, p, "early"));
    early = kit__last_sent(f);
    upstream__configure(f->up, &f->settings);
    upstream__disconnected(first, STR("first"), f->now, 0);
    upstream__disconnected(second, STR("second"), f->now, 0);
    check = kit__last_sent(f);
    assert_string_equal(check->method, "OPTIONS");
    time_out(f, early);
    kit__after(f, 10000);
    time_out(f, check);
    assert_ptr_not_equal(kit__last_sent(f), check); /* the probe has begun with another check */
    kit__consent(f);
    assert_non_null(strstr(kit__last_sent(f)->body, "first"));
    kit__answer(f, kit__last_sent(f), 204);
    assert_non_null(strstr(kit__last_sent(f)->body, "second"));
    kit__answer(f, kit__last_sent(f), 204);
    assert_int_equal(upstream__pending(f->up), 0);
}

/* As when handlers start later than the broker. */
static void a_probe_that_has_to_validate_waits_for_no_other(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *peers[2];

    f->handlers[0].breaker_failures = 1;
    f->handlers[0].system_events = SYSTEM_EVENT_CONNECTED;
    for (int i = 0; i < 2; i++)
        peers[i] = kit__connect_as(f, "chat", "c");
    upstream__connected(peers[0], f, STR("first"), STR_NONE, f->now, 0);
    kit__nobody_answers(f);
    upstream__connected(peers[1], f, STR("second"), STR_NONE, f->now, 0);
    kit__after(f, 1000);
    kit__consent(f);
    assert_string_equal(kit__last_sent(f)->user, "first");
    kit__answer(f, kit__last_sent(f), 204);
    assert_string_equal(kit__last_sent(f)->user, "second");
    kit__answer(f, kit__last_sent(f), 204);
    assert_int_equal(upstream__pending(f->up), 0);
}

static void a_probe_that_is_dropped_leaves_its_turn_to_the_next(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *other = kit__established(f), *p = left_alone(f);
    int sent;

    kit__after(f, 1000);
    assert_true(kit__message(f, p, "a"));
    sent = f->sent_count;
    assert_false(kit__message(f, other, "a"));
    f->peer = other;
    upstream__disconnected(p, STR("bye"), f->now, 0); /* takes the event back */
    assert_int_equal(f->cancelled, 1);
    kit__tick(f);
    assert_int_equal(f->sent_count, sent + 1); /* `disconnected` probes */
    assert_string_equal(kit__last_sent(f)->event, "disconnected");
    kit__answer(f, kit__last_sent(f), 204);
    assert_true(kit__message(f, other, "a"));
}

static void failures_count_in_a_row_only(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    f->handlers[0].breaker_failures = 3;
    p = kit__established(f);
    for (int i = 0; i < 5; i++) {
        kit__message(f, p, "a");
        if (i == 2)
            kit__answer(f, kit__last_sent(f), 429);
        else
            kit__nobody_answers(f);
    }
    assert_int_equal(kit__count_in_log(f, SHUT), 0);
    assert_true(kit__message(f, p, "a"));
}

static void answers_of_500_and_timeouts_are_failures(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;
    struct exchange_result late = {.why = "no answer within 100 s", .failure = FAILURE_TIMEOUT};
    static const int waits[] = {1000, 3000, 5000};

    f->handlers[0].breaker_failures = 2;
    p = kit__established(f);
    kit__message(f, p, "a");
    for (int i = 0; i < 3; i++) {
        kit__answer(f, kit__last_sent(f), 500);
        kit__after(f, waits[i]);
    }
    kit__answer(f, kit__last_sent(f), 503);
    kit__message(f, p, "a");
    kit__report(f, kit__last_sent(f), &late);
    assert_non_null(strstr(f->logged, "failed 2 times in a row, the last one: no answer within"));
    assert_false(kit__message(f, p, "a"));
}

static void a_validation_that_nobody_answers_is_a_failure(void **state)
{
    struct fixture *f = *state;

    f->handlers[0].breaker_failures = 2;
    kit__connect_as(f, "chat", "1");
    kit__connect_as(f, "chat", "2");
    kit__nobody_answers(f);
    assert_int_equal(f->connect.calls, 2);
    assert_int_equal(kit__count_in_log(f, "failed 2 times in a row"), 1);
    kit__connect_as(f, "chat", "3");
    assert_int_equal(f->connect.calls, 3);
    assert_non_null(strstr(f->connect.why, "is left alone"));
    kit__after(f, 1000);
    kit__connect_as(f, "chat", "4");
    kit__consent(f);
    kit__answer(f, kit__last_sent(f), 204);
    assert_int_equal(f->connect.status, 0);
    assert_int_equal(kit__count_in_log(f, "answers again"), 1);
}

static void the_breaker_can_be_turned_off(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    f->handlers[0].breaker_off = true;
    p = kit__established(f);
    for (int i = 0; i < 12; i++) {
        assert_true(kit__message(f, p, "a"));
        kit__break_off(f, kit__last_sent(f), true);
        upstream__tick(f->up, f->now);
        f->now += 1000;
        kit__tick(f);
        kit__break_off(f, kit__last_sent(f), false);
    }
    assert_int_equal(kit__count_in_log(f, "in a row"), 0);
}

static void hubs_have_gates_of_their_own(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p, *other;

    f->handlers[2] = f->handlers[0];
    f->handlers[2].identity = STR("bare " URL);
    f->hubs[1].handlers = &f->handlers[2];
    f->hubs[1].handler_count = 1;
    p = left_alone(f);
    assert_false(kit__message(f, p, "a"));
    other = kit__connect_as(f, "bare", "other");
    kit__answer(f, kit__last_sent(f), 204);
    assert_int_equal(f->connect.status, 0);
    upstream__connected(other, f, STR("u"), STR_NONE, f->now, 0);
    kit__answer(f, kit__last_sent(f), 204);
    assert_true(kit__message(f, other, "b"));
    assert_string_equal(kit__last_sent(f)->body, "b");
    kit__answer(f, kit__last_sent(f), 204);
    assert_true(f->event.success);
}

static void events_that_wait_fail_when_the_gate_shuts(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p[3];
    struct exchange_result late = {.why = "late", .failure = FAILURE_TIMEOUT};

    f->handlers[0].breaker_failures = 1;
    f->handlers[0].max_requests = 1;
    for (int i = 0; i < 3; i++)
        p[i] = kit__established(f);
    for (int i = 0; i < 2; i++)
        assert_true(kit__message(f, p[i], "a"));
    upstream__presence(p[2], true, STR("g"), f->now, 0); /* nobody wants it */
    upstream__disconnected(p[2], STR("x"), f->now, 0);
    kit__report(f, kit__last_sent(f), &late);
    assert_int_equal(f->event.calls, 2); /* the first, and the one that waited for its place */
    assert_non_null(strstr(f->event.why, "is left alone after 1 failures in a row"));
    assert_int_equal(upstream__pending(f->up), 1); /* disconnected */
}

static void a_retry_does_not_pass_a_gate_that_has_shut(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p[2];
    struct exchange_result late = {.why = "late", .failure = FAILURE_TIMEOUT};
    int sent;

    f->handlers[0].breaker_failures = 1;
    f->handlers[0].breaker_seconds = 3600;
    for (int i = 0; i < 2; i++) {
        p[i] = kit__established(f);
        assert_true(kit__message(f, p[i], "a"));
    }
    sent = f->sent_count;
    kit__break_off(f, &f->sent[sent - 1], true); /* to be tried again in a second */
    f->now += 500;
    for (int i = 0; i < sent - 1; i++) {
        if (f->sent[i].x)
            kit__report(f, &f->sent[i], &late);
    }
    assert_int_equal(f->event.calls, 1);
    kit__after(f, 500);
    assert_int_equal(f->sent_count, sent);
    assert_int_equal(f->event.calls, 2);
}

static void a_handler_has_so_many_requests_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p[4];
    int sent;

    f->handlers[0].max_requests = 2;
    for (int i = 0; i < 4; i++)
        p[i] = kit__established(f);
    sent = f->sent_count;
    for (int i = 0; i < 4; i++)
        assert_true(kit__message(f, p[i], (char[]){(char)('a' + i), '\0'}));
    assert_int_equal(f->sent_count, sent + 2);
    kit__answer(f, &f->sent[sent + 1], 204);
    assert_int_equal(f->sent_count, sent + 3);
    assert_string_equal(kit__last_sent(f)->body, "c");
    upstream__disconnected(p[0], STR("x"), f->now, 0); /* gives its place up, and needs one */
    kit__tick(f);
    assert_int_equal(f->sent_count, sent + 4);
    assert_string_equal(kit__last_sent(f)->body, "d");
    kit__break_off(f, kit__last_sent(f), true); /* waits without a place */
    assert_int_equal(f->sent_count, sent + 5);
    assert_string_equal(kit__last_sent(f)->event, "disconnected");
    kit__answer(f, kit__last_sent(f), 204);
    kit__after(f, 1000);
    assert_string_equal(kit__last_sent(f)->body, "d");
}

static void nobody_waits_for_ever_for_a_place(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p[2];

    f->handlers[0].max_requests = 1;
    for (int i = 0; i < 2; i++)
        p[i] = kit__established(f);
    kit__message(f, p[0], "a");
    kit__message(f, p[1], "b");
    kit__after(f, UPSTREAM_TIMEOUT_MS - 1);
    assert_int_equal(f->event.calls, 0);
    kit__after(f, 1);
    assert_int_equal(f->event.calls, 1);
    assert_string_equal(f->event.why,
                        "event handler http://h:80/eh/message failed for user event `message` of "
                        "hub chat: too many requests to it were under way all the time: make it "
                        "faster, or raise its maxConcurrentRequests");
    kit__answer(f, kit__last_sent(f), 204);
    assert_int_equal(f->event.calls, 2);
    assert_int_equal(upstream__pending(f->up), 0);
}

static void a_handler_has_so_many_events_waiting(void **state)
{
    const struct upstream_event event = {.name = STR("message"), .data = STR("a")};
    struct fixture *f = *state;
    struct upstream_peer *p[12];
    unsigned lost;

    f->handlers[0].max_queued = 2;
    f->handlers[0].presence_events = PRESENCE_EVENT_JOINED;
    for (int i = 0; i < 12; i++)
        p[i] = kit__established(f);
    assert_true(kit__message(f, p[0], "a"));
    assert_true(kit__message(f, p[1], "a"));
    assert_string_equal(upstream__event(p[2], &event, f->now, 0),
                        "too many events of all connections wait for event handler "
                        "http://h:80/eh/{event} of hub chat; make it faster, or raise its "
                        "maxQueuedEvents");
    assert_false(kit__message(f, p[0], "a"));
    upstream__presence(p[2], true, STR("g"), f->now, 0);
    assert_int_equal(upstream__pending(f->up), 2);
    assert_int_equal(kit__count_in_log(f, "joined events and others for event handler"), 1);
    for (int i = 2; i < 12; i++) /* these have more room, but not for ever */
        upstream__disconnected(p[i], STR("x"), f->now, 0);
    assert_int_equal(upstream__pending(f->up), 2 * GATE_NOTICES);
    assert_int_equal(kit__count_in_log(f, "are lost"), 1);
    assert_int_equal(kit__outcomes(f, METRIC_USER, OUTCOME_FAILED), 2);
    assert_int_equal(kit__outcomes(f, METRIC_JOINED, OUTCOME_FAILED), 1);
    lost = kit__outcomes(f, METRIC_DISCONNECTED, OUTCOME_FAILED);
    assert_int_equal(lost, 10 - (2 * GATE_NOTICES - 2));
    assert_int_equal(kit__failures(f, FAILURE_QUEUE_FULL), 2 + 1 + lost);
}

static void other_settings_forget_what_is_unused(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = left_alone(f);

    upstream__configure(f->up, &f->settings);
    assert_true(kit__message(f, p, "a"));     /* a new gate, which knows of no failure */
    upstream__configure(f->up, &f->settings); /* while an event holds it */
    kit__consent(f);
    kit__answer(f, kit__last_sent(f), 204);
    assert_true(f->event.success);
}

/* The settings change while a notice waits at a gate that is shut, and is lost there. */
static void lose_a_notice_of_former_settings(struct fixture *f, bool removed)
{
    struct upstream_peer *other, *p;

    f->outage = &f->shared;
    other = kit__established(f);
    p = left_alone(f);
    upstream__disconnected(p, STR("bye"), f->now, 0);
    f->hubs[0].handler_count = removed ? 0 : 1;
    upstream__configure(f->up, &f->settings);
    assert_int_equal(kit__message(f, other, "a"), removed);
    assert_int_equal(upstream__pending(f->up), 1);
    assert_true(atomic_load(&f->shared.told));
    kit__after(f, UPSTREAM_TIMEOUT_MS);
    assert_int_equal(upstream__pending(f->up), 0);
}

/* Else /metrics would count it as left alone for ever. */
static void a_handler_that_is_removed_is_forgotten_when_nothing_waits(void **state)
{
    struct fixture *f = *state;

    lose_a_notice_of_former_settings(f, true);
    assert_false(atomic_load(&f->shared.told));
    assert_int_equal(atomic_load(&f->shared.shut), 0);
}

static void a_handler_that_is_asked_under_new_settings_is_not_forgotten(void **state)
{
    struct fixture *f = *state;

    lose_a_notice_of_former_settings(f, false);
    assert_true(atomic_load(&f->shared.told));
    assert_int_equal(atomic_load(&f->shared.shut), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(events_for_a_handler_that_fails_fail_at_once),
        WITH_FIXTURE(one_probe_at_a_time_more_and_more_seldom),
        WITH_FIXTURE(an_answer_lets_all_in_again),
        WITH_FIXTURE(threads_tell_together_that_a_handler_is_down_and_is_back),
        WITH_FIXTURE(a_thread_asks_at_once_when_another_has_had_an_answer),
        WITH_FIXTURE(what_waits_asks_when_another_thread_has_had_an_answer),
        WITH_FIXTURE(a_probe_that_is_dropped_leaves_the_news_to_the_next),
        WITH_FIXTURE(notices_wait_for_a_handler_that_is_left_alone),
        WITH_FIXTURE(notices_wait_a_hundred_seconds),
        WITH_FIXTURE(a_notice_that_waited_in_vain_failed_for_the_breaker),
        WITH_FIXTURE(a_notice_has_its_time_once),
        WITH_FIXTURE(a_notice_that_comes_last_to_a_shut_gate_has_little_time),
        WITH_FIXTURE(the_last_probe_of_a_notice_leaves_time_to_answer),
        WITH_FIXTURE(the_last_probe_of_a_notice_leaves_a_plugin_time_to_answer),
        WITH_FIXTURE(notices_of_a_connection_are_lost_together),
        WITH_FIXTURE(a_notice_that_is_late_to_its_turn_is_sent),
        WITH_FIXTURE(a_notice_that_is_late_to_its_turn_waits_for_a_place),
        WITH_FIXTURE(a_further_try_that_waited_for_a_place_has_time),
        WITH_FIXTURE(a_further_try_that_probes_has_time),
        WITH_FIXTURE(only_its_own_failure_ends_a_probe),
        WITH_FIXTURE(a_probe_waits_for_its_own_validation),
        WITH_FIXTURE(a_probe_that_has_to_validate_waits_for_no_other),
        WITH_FIXTURE(a_probe_that_is_dropped_leaves_its_turn_to_the_next),
        WITH_FIXTURE(failures_count_in_a_row_only),
        WITH_FIXTURE(answers_of_500_and_timeouts_are_failures),
        WITH_FIXTURE(a_validation_that_nobody_answers_is_a_failure),
        WITH_FIXTURE(the_breaker_can_be_turned_off),
        WITH_FIXTURE(hubs_have_gates_of_their_own),
        WITH_FIXTURE(events_that_wait_fail_when_the_gate_shuts),
        WITH_FIXTURE(a_retry_does_not_pass_a_gate_that_has_shut),
        WITH_FIXTURE(a_handler_has_so_many_requests_at_a_time),
        WITH_FIXTURE(nobody_waits_for_ever_for_a_place),
        WITH_FIXTURE(a_handler_has_so_many_events_waiting),
        WITH_FIXTURE(other_settings_forget_what_is_unused),
        WITH_FIXTURE(a_handler_that_is_removed_is_forgotten_when_nothing_waits),
        WITH_FIXTURE(a_handler_that_is_asked_under_new_settings_is_not_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
