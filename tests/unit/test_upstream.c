/* The broker's way to event handlers: connect, events and disconnected, in their order, with
 * their retries, and how they fail. */
#include "upstream_kit.h"

/* --- connect ---------------------------------------------------------------------------- */

static void connect_without_handler_is_accepted(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__connect_as(f, "bare", "c");

    assert_int_equal(f->sent_count, 0);
    assert_int_equal(f->connect.calls, 1);
    assert_int_equal(f->connect.status, 0);
    assert_false(f->connect.answered);
    upstream__connected(p, f, STR_NONE, STR_NONE, f->now, 0);
    upstream__disconnected(p, STR("bye"), f->now, 0);
    assert_int_equal(upstream__pending(f->up), 0);
    assert_true(kit__tick(f) == INT64_MAX);
}

static void connect_outcome_never_comes_from_inside_the_call(void **state)
{
    struct fixture *f = *state;
    struct ph_event ev = {.hub = STR("bare"), .connection_id = STR("c")};

    assert_non_null(upstream__connect(f->up, &ev, &f->connect, f->now, 0));
    assert_int_equal(f->connect.calls, 0);
    kit__tick(f);
    assert_int_equal(f->connect.calls, 1);
}

static void connect_is_validated_then_sent(void **state)
{
    struct fixture *f = *state;
    struct sent *s;

    kit__connect_as(f, "chat", "0f9c97a2f0bf4706afe87a14e0797b11");
    s = kit__last_sent(f);
    assert_string_equal(s->method, "OPTIONS");
    assert_string_equal(s->url, "http://h:80/eh/validate?code=secret");
    assert_string_equal(s->signature, "");
    assert_int_equal(s->timeout_ms, 10000);
    kit__consent(f);
    s = kit__last_sent(f);
    assert_int_equal(f->sent_count, 2);
    assert_string_equal(s->method, "POST");
    assert_string_equal(s->url, "http://h:80/eh/connect?code=secret");
    assert_string_equal(s->id, "0");
    assert_string_equal(s->user, "\xe7\x8e\x8b");
    assert_int_equal(s->timeout_ms, UPSTREAM_TIMEOUT_MS);
    /* vectors 1 and 2 of event-handler section 4 */
    assert_string_equal(s->signature,
                        "sha256=7767effcb3946f3e1de039df4b986ef02c110b1469d02c0a06f41b3b727ab561,"
                        "sha256=d4aefb65547a00a9881fa8ac8bd03d0faf77af9da5205d45c6e57cbda4377760");
    kit__answer_with(f, s, 200, NULL, NULL, "{\"userId\":\"other\"}");
    assert_int_equal(f->connect.calls, 1);
    assert_int_equal(f->connect.status, 0);
    assert_string_equal(f->connect.user, "other");
}

static void connect_status_goes_to_the_client(void **state)
{
    static const int cases[][2] = {{401, 401}, {403, 403}, {404, 404}, {429, 429}, {302, 500}};
    struct fixture *f = *state;

    kit__established(f);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        kit__connect_as(f, "chat", "c");
        kit__answer_with(f, kit__last_sent(f), cases[i][0], NULL, NULL, "no user");
        assert_int_equal(f->connect.status, cases[i][1]);
        assert_non_null(strstr(f->connect.why, "to connect of hub chat: \"no user\""));
        assert_null(strstr(f->connect.why, "secret"));
    }
}

static void connect_status_goes_to_the_client_after_all_tries(void **state)
{
    static const int delays[] = {1000, 3000, 5000};
    struct fixture *f = *state;

    kit__established(f);
    kit__connect_as(f, "chat", "c");
    for (int i = 0; i < 3; i++) {
        kit__answer(f, kit__last_sent(f), 503);
        kit__after(f, delays[i]);
    }
    assert_int_equal(f->connect.calls, 1); /* the first client's */
    kit__answer(f, kit__last_sent(f), 503);
    assert_int_equal(f->connect.calls, 2);
    assert_int_equal(f->connect.status, 503);
}

static void connect_that_breaks_the_contract_is_500(void **state)
{
    struct fixture *f = *state;

    kit__connect_as(f, "chat", "c");
    kit__consent(f);
    kit__answer_with(f, kit__last_sent(f), 200, NULL, NULL, "{\"userId\":");
    assert_int_equal(f->connect.status, 500);
    assert_non_null(strstr(f->connect.why, "broke the contract"));
}

static void connect_is_500_when_the_handler_is_down(void **state)
{
    static const int delays[] = {1000, 3000, 5000};
    struct fixture *f = *state;

    kit__connect_as(f, "chat", "c");
    for (int i = 0; i < 3; i++) {
        kit__break_off(f, kit__last_sent(f), true);
        kit__after(f, delays[i]);
    }
    assert_int_equal(f->connect.calls, 0);
    kit__break_off(f, kit__last_sent(f), true);
    assert_int_equal(f->connect.status, 500);
    assert_non_null(strstr(f->connect.why, "event handler http://h:80/eh/validate"));
    assert_non_null(strstr(f->connect.why, "refused connection: is it running?"));
}

static void abandon_cancels(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *waits = kit__connect_as(f, "chat", "1");
    struct upstream_peer *waits_too = kit__connect_as(f, "chat", "2");
    struct upstream_peer *sends;

    upstream__abandon(waits);
    assert_int_equal(f->cancelled, 0); /* the check goes on for the other */
    upstream__abandon(waits_too);
    kit__consent(f);
    assert_int_equal(f->sent_count, 1);
    sends = kit__connect_as(f, "chat", "3");
    assert_string_equal(kit__last_sent(f)->method, "POST");
    upstream__abandon(sends);
    assert_int_equal(f->cancelled, 1);
    assert_int_equal(f->connect.calls, 0);
    assert_int_equal(upstream__pending(f->up), 0);
}

static void out_of_memory_in_the_shell_fails_the_connect(void **state)
{
    struct fixture *f = *state;

    kit__established(f);
    f->send_fails = true;
    kit__connect_as(f, "chat", "c");
    assert_int_equal(f->connect.status, 500);
    assert_non_null(strstr(f->connect.why, "out of memory"));
}

/* --- events ----------------------------------------------------------------------------- */

static void events_of_a_connection_are_sent_in_order(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);
    int sent = f->sent_count;

    kit__message(f, p, "a");
    kit__message(f, p, "b");
    upstream__disconnected(p, STR("bye"), f->now, 0);
    /* the one under way and the one behind it are dropped, disconnected goes out */
    assert_int_equal(f->cancelled, 1);
    assert_int_equal(f->sent_count, sent + 2);
    assert_string_equal(kit__last_sent(f)->event, "disconnected");
    assert_string_equal(kit__last_sent(f)->id, "4");
    assert_non_null(strstr(kit__last_sent(f)->body, "bye"));
    assert_int_equal(upstream__pending(f->up), 1);
    kit__answer(f, kit__last_sent(f), 200);
    assert_int_equal(upstream__pending(f->up), 0);
    assert_int_equal(f->event.calls, 0);
}

static void one_under_way_per_connection(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f), *other = kit__established(f);
    int sent = f->sent_count;

    kit__message(f, p, "a");
    kit__message(f, p, "b");
    kit__message(f, other, "c");
    assert_int_equal(f->sent_count, sent + 2);
    assert_string_equal(f->sent[sent].body, "a");
    assert_string_equal(f->sent[sent].id, "2");
    assert_string_equal(f->sent[sent + 1].body, "c");
    kit__answer_with(f, &f->sent[sent], 200, NULL, NULL, "reply");
    assert_int_equal(f->event.calls, 1);
    assert_true(f->event.success);
    assert_string_equal(f->event.data, "reply");
    assert_int_equal(f->event.ticket, 7);
    assert_string_equal(kit__last_sent(f)->body, "b");
    assert_string_equal(kit__last_sent(f)->id, "3");
}

static void one_event_can_be_taken_back(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);
    int sent = f->sent_count;

    kit__raise_event(f, p, "e", PH_DATA_TEXT, STR("a"), 11);
    kit__raise_event(f, p, "e", PH_DATA_TEXT, STR("b"), 12);
    kit__raise_event(f, p, "e", PH_DATA_TEXT, STR("c"), 13);
    upstream__cancel(p, 99, f->now);
    upstream__cancel(p, 12, f->now); /* waits: just gone */
    assert_int_equal(f->cancelled, 0);
    assert_int_equal(upstream__pending(f->up), 2);
    upstream__cancel(p, 11, f->now); /* under way: the next one has its turn */
    assert_int_equal(f->cancelled, 1);
    assert_int_equal(f->sent_count, sent + 2);
    assert_string_equal(kit__last_sent(f)->body, "c");
    kit__answer(f, kit__last_sent(f), 204);
    assert_int_equal(f->event.calls, 1);
    assert_int_equal(f->event.ticket, 13);
    assert_int_equal(upstream__pending(f->up), 0);
    upstream__cancel(p, 13, f->now);
}

static void a_retry_can_be_taken_back(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);
    int sent;

    kit__raise_event(f, p, "e", PH_DATA_TEXT, STR("a"), 11);
    kit__answer(f, kit__last_sent(f), 500);
    sent = f->sent_count;
    upstream__cancel(p, 11, f->now);
    assert_int_equal(kit__after(f, 60000), INT64_MAX);
    assert_int_equal(f->sent_count, sent);
    assert_int_equal(f->event.calls, 0);
    kit__message(f, p, "b");
    assert_string_equal(kit__last_sent(f)->body, "b");
}

static void the_text_of_a_refusal_is_handed_on(void **state)
{
    static const struct {
        int status;
        const char *type, *body, *want;
    } rows[] = {
        {400, "text/plain; charset=utf-8", "no such room", "no such room"},
        {403, "text/plain", "", ""},
        {400, "text/html", "<p>no", NULL},
        {400, NULL, "no type", NULL},
        {400, "text/plain", "\xff", NULL},
        {501, "text/plain", "stack trace", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_header type = {STR("Content-Type"), str__of(rows[i].type)};
        struct http_response res = {
            .status = rows[i].status,
            .headers = {.items = &type, .count = rows[i].type ? 1 : 0, .cap = 1},
            .body = str__of(rows[i].body)};
        struct answer answer;

        assert_int_equal(response__decode(NULL, PH_EVENT_USER, &res, &answer, NULL), PH_OK);
        assert_false(answer.success);
        assert_int_equal(answer.status, rows[i].status);
        if (rows[i].want)
            assert_str(answer__refusal_text(&answer), rows[i].want);
        else
            assert_null(answer__refusal_text(&answer).ptr);
    }
}

static void connected_keeps_its_place(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__connect_as(f, "chat", "c");

    kit__consent(f);
    kit__answer(f, kit__last_sent(f), 200);
    upstream__connected(p, f, STR("u"), STR_NONE, f->now, 0);
    kit__message(f, p, "a");
    assert_string_equal(kit__last_sent(f)->event, "connected");
    assert_string_equal(kit__last_sent(f)->id, "1");
    assert_string_equal(kit__last_sent(f)->user, "u");
    kit__answer(f, kit__last_sent(f), 500); /* tried again, as any event */
    kit__after(f, 1000);
    kit__answer(f, kit__last_sent(f), 400);
    assert_non_null(strstr(f->logged, "answered 400 to connected of hub chat"));
    assert_string_equal(kit__last_sent(f)->event, "message");
    upstream__disconnected(p, STR("x"), f->now, 0);
    assert_string_equal(kit__last_sent(f)->id, "3");
}

static void ids_are_taken_even_when_no_handler_wants_the_event(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    f->handlers[0].system_events = 0;
    p = kit__connect_as(f, "chat", "c");
    assert_int_equal(f->connect.calls, 1);
    upstream__connected(p, f, STR("u"), STR_NONE, f->now, 0);
    kit__message(f, p, "a");
    kit__consent(f);
    assert_string_equal(kit__last_sent(f)->id, "2");
}

/* Kept while the event waits, and sent with it. */
static void metadata_goes_with_the_event(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);
    char value[] = "1";
    const struct metadata_entry entry = {STR("Trace"), str__of(value)};
    const struct upstream_event event = {
        .name = STR("e"), .data = STR("x"), .metadata = {&entry, 1}};

    kit__message(f, p, "first");
    assert_null(upstream__event(p, &event, f->now, 0));
    value[0] = '?';
    assert_string_equal(kit__last_sent(f)->trace, "");
    kit__answer(f, kit__last_sent(f), 204);
    assert_string_equal(kit__last_sent(f)->body, "x");
    assert_string_equal(kit__last_sent(f)->trace, "1");
}

static void event_without_handler(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    f->handlers[0].user_event_pattern = STR("other");
    p = kit__established(f);
    assert_true(kit__raise_event(f, p, "message", PH_DATA_TEXT, STR("x"), 0));
    assert_int_equal(f->event.calls, 0);
    kit__tick(f);
    assert_int_equal(f->event.calls, 1);
    assert_true(f->event.no_handler);
    assert_int_equal(f->event.ticket, 0);
    assert_string_equal(f->event.why,
                        "no event handler matches user event `message` of hub chat: see the "
                        "userEventPattern of those under hubs.chat.eventHandlers");
    f->hubs[0].handler_count = 0;
    assert_true(kit__raise_event(f, p, "message", PH_DATA_TEXT, STR("x"), 0));
    kit__tick(f);
    assert_string_equal(f->event.why,
                        "no event handler matches user event `message` of hub chat: add one under "
                        "hubs.chat.eventHandlers or with --event-handler chat=URL");
}

static void event_is_tried_again_with_the_same_ids(void **state)
{
    static const int delays[] = {1000, 3000, 5000};
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);
    int64_t left = UPSTREAM_TIMEOUT_MS;
    char guid[40], id[24];

    kit__message(f, p, "a");
    strcpy(guid, kit__last_sent(f)->guid);
    strcpy(id, kit__last_sent(f)->id);
    for (int i = 0; i < 3; i++) {
        int sent = f->sent_count;

        if (i == 0)
            kit__break_off(f, kit__last_sent(f), true);
        else
            kit__answer(f, kit__last_sent(f), i == 1 ? 408 : 502);
        assert_true(kit__after(f, delays[i] - 1) == f->now + 1);
        assert_int_equal(f->sent_count, sent);
        kit__after(f, 1);
        assert_int_equal(f->sent_count, sent + 1);
        left -= delays[i];
        assert_int_equal(kit__last_sent(f)->timeout_ms, left);
        assert_string_equal(kit__last_sent(f)->guid, guid);
        assert_string_equal(kit__last_sent(f)->id, id);
        assert_string_equal(kit__last_sent(f)->body, "a");
    }
    kit__answer(f, kit__last_sent(f), 500);
    assert_int_equal(f->event.calls, 1);
    assert_false(f->event.success);
    assert_non_null(strstr(f->event.why, "answered 500 to user event `message` of hub chat"));
    assert_non_null(strstr(f->logged, "answered 502; trying again in 5 s"));
}

static void final_answers_are_not_tried_again(void **state)
{
    static const int statuses[] = {400, 401, 404, 429, 302};
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);

    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
        kit__message(f, p, "a");
        kit__answer(f, kit__last_sent(f), statuses[i]);
        assert_int_equal(f->event.calls, (int)i + 1);
        assert_false(f->event.success);
    }
    kit__message(f, p, "a");
    kit__break_off(f, kit__last_sent(f), false);
    assert_int_equal(f->event.calls, 6);
    assert_non_null(strstr(f->event.why, "failed for user event `message`"));
}

/* official-emulator section 2.7: nothing of the kind is sent or tried again. */
static void what_cannot_be_a_header_fails_at_once(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);
    int sent;

    upstream__connected(p, f, STR("\xe7\x8e\x8b"), STR("pr\xc3\xb6to"), f->now, 0);
    sent = f->sent_count;
    kit__message(f, p, "a");
    assert_int_equal(f->sent_count, sent);
    assert_int_equal(f->event.calls, 1);
    assert_string_equal(f->event.why, "ce-subprotocol holds characters outside ASCII and so cannot "
                                      "be sent to an event handler");
}

static void hundred_seconds_in_all(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);

    kit__message(f, p, "a");
    f->now += 98999;
    kit__break_off(f, kit__last_sent(f), true); /* next try would be at 99,999 */
    assert_int_equal(f->event.calls, 0);
    kit__after(f, 1000);
    assert_int_equal(kit__last_sent(f)->timeout_ms, 1);
    kit__break_off(f, kit__last_sent(f), true);
    assert_int_equal(f->event.calls, 1);
    kit__message(f, p, "b");
    f->now += 99000;
    kit__break_off(f, kit__last_sent(f), true); /* at 100,000: too late */
    assert_int_equal(f->event.calls, 2);
    assert_false(f->event.success);
}

static void state_is_kept_set_and_emptied(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);

    kit__message(f, p, "a");
    assert_false(kit__last_sent(f)->has_state);
    kit__answer_with(f, kit__last_sent(f), 200, "ce-connectionState", "one", "");
    kit__message(f, p, "b");
    assert_string_equal(kit__last_sent(f)->state, "one");
    kit__answer(f, kit__last_sent(f), 204);
    kit__message(f, p, "c");
    assert_string_equal(kit__last_sent(f)->state, "one");
    kit__answer_with(f, kit__last_sent(f), 400, "ce-connectionState", "bad", "");
    kit__message(f, p, "d");
    assert_string_equal(kit__last_sent(f)->state, "one");
    kit__answer_with(f, kit__last_sent(f), 200, "ce-connectionState", "", "");
    upstream__disconnected(p, STR("x"), f->now, 0);
    assert_true(kit__last_sent(f)->has_state);
    assert_string_equal(kit__last_sent(f)->state, "");
}

static void a_state_that_no_event_can_carry_fails_its_event_alone(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);

    kit__message(f, p, "a");
    kit__answer_with(f, kit__last_sent(f), 200, "ce-connectionState", "one", "");
    kit__message(f, p, "b");
    kit__answer_with(f, kit__last_sent(f), 200, "ce-connectionState", "\xc3\xa4", "");
    assert_int_equal(f->event.calls, 2);
    assert_false(f->event.success);
    assert_non_null(strstr(f->event.why, "broke the contract in its answer to user event"));
    assert_non_null(strstr(f->event.why, "ce-connectionState holds characters outside ASCII"));
    assert_int_equal(kit__failures(f, FAILURE_BAD_ANSWER), 1);
    kit__message(f, p, "c");
    assert_string_equal(kit__last_sent(f)->state, "one");
    kit__answer(f, kit__last_sent(f), 204);
    assert_true(f->event.success);
}

static void connected_cannot_set_the_state(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__connect_as(f, "chat", "c");

    kit__consent(f);
    kit__answer_with(f, kit__last_sent(f), 200, "ce-connectionState", "s", "");
    upstream__connected(p, f, STR("u"), STR_NONE, f->now, 0);
    assert_string_equal(kit__last_sent(f)->state, "s");
    kit__answer_with(f, kit__last_sent(f), 200, "ce-connectionState", "other", "");
    kit__message(f, p, "a");
    assert_string_equal(kit__last_sent(f)->state, "s");
}

static void cookies_go_back(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__connect_as(f, "chat", "c");

    kit__answer_with(f, kit__last_sent(f), 404, "Set-Cookie", "v=1", "");
    kit__answer_with(f, kit__last_sent(f), 200, "WebHook-Allowed-Origin", "*", "");
    assert_string_equal(kit__last_sent(f)->cookie, ""); /* not from validation */
    kit__answer_with(f, kit__last_sent(f), 200, "Set-Cookie", "a=1; Path=/", "");
    upstream__connected(p, f, STR("u"), STR_NONE, f->now, 0);
    assert_string_equal(kit__last_sent(f)->cookie, "a=1");
    kit__answer_with(f, kit__last_sent(f), 200, "Set-Cookie", "b=2", "");
    kit__message(f, p, "a");
    assert_string_equal(kit__last_sent(f)->cookie, "a=1; b=2");
    kit__answer_with(f, kit__last_sent(f), 404, "Set-Cookie", "c=3", "");
    kit__message(f, p, "b");
    assert_string_equal(kit__last_sent(f)->cookie, "a=1; b=2");
}

static void queue_is_bounded_by_events(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);

    for (int i = 0; i < UPSTREAM_PEER_QUEUE; i++)
        assert_true(kit__message(f, p, "a"));
    assert_false(kit__message(f, p, "a"));
    assert_int_equal(upstream__pending(f->up), UPSTREAM_PEER_QUEUE);
    kit__answer(f, kit__last_sent(f), 204);
    assert_true(kit__message(f, p, "a"));
    assert_false(kit__message(f, p, "a"));
    upstream__disconnected(p, STR("x"), f->now, 0); /* has a place of its own */
    assert_int_equal(upstream__pending(f->up), 1);
}

static void queue_is_bounded_by_bytes(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);
    char *data = calloc(1, UPSTREAM_PEER_BYTES + 1);
    const struct metadata_entry entry = {STR("k"), STR("")};

    assert_true(
        kit__raise_event(f, p, "e", PH_DATA_BINARY, str__n(data, UPSTREAM_PEER_BYTES - 1), 0));
    assert_false(
        kit__raise_event(f, p, "e", PH_DATA_BINARY, str__n(data, UPSTREAM_PEER_BYTES + 1), 0));
    assert_false(kit__raise_event(f, p, "e", PH_DATA_BINARY, str__n(data, 2), 0));
    assert_true(kit__raise_event(f, p, "e", PH_DATA_BINARY, str__n(data, 1), 0));
    assert_false(kit__raise_event(f, p, "e", PH_DATA_BINARY, str__n(data, 1), 0));
    assert_non_null(upstream__event(
        p, &(struct upstream_event){.name = STR("e"), .metadata = {&entry, 1}}, f->now, 0));
    assert_true(kit__raise_event(f, p, "e", PH_DATA_BINARY, STR(""), 0));
    free(data);
    kit__answer(f, kit__last_sent(f), 204);
    /* the refused ones have taken no numbers */
    assert_string_equal(kit__last_sent(f)->id, "3");
}

/* Alone, an event may have as many bytes as a message (limits.messageBytes). */
static void an_empty_queue_takes_any_event(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);
    char *data = calloc(1, LIMITS_MAX_MESSAGE_BYTES);

    for (int i = 0; i < 2; i++) {
        assert_true(
            kit__raise_event(f, p, "e", PH_DATA_BINARY, str__n(data, LIMITS_MAX_MESSAGE_BYTES), 0));
        assert_false(kit__raise_event(f, p, "e", PH_DATA_BINARY, STR("x"), 0));
        kit__answer(f, kit__last_sent(f), 204);
    }
    free(data);
}

static void fail_by_status(struct fixture *f, int status)
{
    kit__message(f, f->peer, "a");
    kit__answer(f, kit__last_sent(f), status);
}

static void fail_by_4xx(struct fixture *f)
{
    fail_by_status(f, 429);
}

static void fail_in_all_tries(struct fixture *f, enum metric_failure kind, int status)
{
    static const int waits[] = {1000, 3000, 5000, 0};

    kit__message(f, f->peer, "a");
    for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
        const struct exchange_result broken = {.why = "w", .transient = true, .failure = kind};

        if (status)
            kit__answer(f, kit__last_sent(f), status);
        else
            kit__report(f, kit__last_sent(f), &broken);
        kit__after(f, waits[i]);
    }
}

static void fail_by_5xx(struct fixture *f)
{
    fail_in_all_tries(f, FAILURE_OTHER, 503);
}

static void fail_to_connect(struct fixture *f)
{
    fail_in_all_tries(f, FAILURE_CONNECT, 0);
}

static void fail_by_time(struct fixture *f)
{
    const struct exchange_result late = {.why = "w", .failure = FAILURE_TIMEOUT};

    kit__message(f, f->peer, "a");
    kit__report(f, kit__last_sent(f), &late);
}

static void fail_by_contract(struct fixture *f)
{
    kit__message(f, f->peer, "a");
    kit__answer_with(f, kit__last_sent(f), 200, NULL, NULL, "\xff");
}

static void fail_by_validation(struct fixture *f)
{
    upstream__configure(f->up, &f->settings);
    kit__message(f, f->peer, "a");
    kit__answer(f, kit__last_sent(f), 401);
}

static void fail_by_breaker(struct fixture *f)
{
    const struct exchange_result late = {.why = "w", .failure = FAILURE_TIMEOUT};

    f->handlers[0].breaker_failures = 1;
    kit__after(f, 1000); /* the last row's validation is not asked again before */
    kit__message(f, f->peer, "a");
    kit__consent(f);
    kit__report(f, kit__last_sent(f), &late);
    kit__message(f, f->peer, "b");
}

static void failures_are_counted_by_kind(void **state)
{
    static const struct {
        void (*happen)(struct fixture *f);
        enum metric_failure kind;
        unsigned events;
    } rows[] = {
        {fail_by_4xx, FAILURE_STATUS_4XX, 1},      {fail_by_5xx, FAILURE_STATUS_5XX, 1},
        {fail_to_connect, FAILURE_CONNECT, 1},     {fail_by_time, FAILURE_TIMEOUT, 1},
        {fail_by_contract, FAILURE_BAD_ANSWER, 1}, {fail_by_validation, FAILURE_VALIDATION, 1},
        {fail_by_breaker, FAILURE_BREAKER, 2},
    };
    struct fixture *f = *state;
    unsigned events = 0;

    kit__established(f);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(kit__failures(f, rows[i].kind), 0);
        rows[i].happen(f);
        events += rows[i].events;
        if (kit__failures(f, rows[i].kind) != 1)
            fail_msg("row %zu", i);
        assert_int_equal(kit__outcomes(f, METRIC_USER, OUTCOME_FAILED), events);
    }
    assert_int_equal(metrics__load(&f->metrics->values[METRIC_EVENT_RETRIES]), 6);
    assert_int_equal(kit__failures(f, FAILURE_OTHER), 0);
}

/* --- disconnect ---------------------------------------------------------------------- */

static void disconnect_while_a_retry_waits(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);

    kit__message(f, p, "a");
    kit__break_off(f, kit__last_sent(f), true);
    upstream__disconnected(p, STR("x"), f->now, 0);
    assert_int_equal(f->cancelled, 0);
    assert_string_equal(kit__last_sent(f)->event, "disconnected");
    kit__answer(f, kit__last_sent(f), 204);
    assert_true(kit__after(f, 100000) == INT64_MAX);
    assert_int_equal(f->event.calls, 0);
}

static void disconnect_waits_for_connected(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__connect_as(f, "chat", "c");

    kit__consent(f);
    kit__answer(f, kit__last_sent(f), 204);
    upstream__connected(p, f, STR("u"), STR_NONE, f->now, 0);
    kit__message(f, p, "a");
    upstream__disconnected(p, STR("x"), f->now, 0);
    assert_int_equal(f->cancelled, 0); /* connected survives (event-handler section 3.6) */
    assert_string_equal(kit__last_sent(f)->event, "connected");
    kit__answer(f, kit__last_sent(f), 204);
    assert_string_equal(kit__last_sent(f)->event, "disconnected");
    assert_string_equal(kit__last_sent(f)->id, "3");
}

static void disconnect_from_inside_an_outcome(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);

    kit__message(f, p, "a");
    kit__message(f, p, "b");
    f->disconnect_in_callback = true;
    kit__answer(f, kit__last_sent(f), 500 - 100);
    assert_int_equal(f->event.calls, 1);
    assert_string_equal(kit__last_sent(f)->event, "disconnected");
    kit__answer(f, kit__last_sent(f), 204);
    assert_int_equal(upstream__pending(f->up), 0);
}

static void disconnect_from_inside_an_accepted_connect(void **state)
{
    struct fixture *f = *state;

    f->peer = kit__connect_as(f, "chat", "c");
    kit__consent(f);
    f->disconnect_in_callback = true;
    kit__answer(f, kit__last_sent(f), 204);
    /* connect was answered 2xx, so the handler is told (event-handler section 2.4) */
    assert_string_equal(kit__last_sent(f)->event, "disconnected");
    assert_string_equal(kit__last_sent(f)->id, "1");
}

static void event_from_inside_an_outcome(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);

    kit__message(f, p, "a");
    kit__message(f, p, "b");
    f->event_in_callback = true;
    kit__answer(f, kit__last_sent(f), 204);
    assert_string_equal(kit__last_sent(f)->body, "b");
    kit__answer(f, kit__last_sent(f), 204);
    assert_string_equal(kit__last_sent(f)->event, "again");
}

static void disconnected_event_failure_is_logged(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);

    upstream__disconnected(p, STR("x"), f->now, 0);
    kit__break_off(f, kit__last_sent(f), false);
    assert_int_equal(upstream__pending(f->up), 0);
    assert_non_null(strstr(f->logged, "failed for disconnected of hub chat: refused connection"));
    assert_non_null(strstr(f->logged, "handler=http://h:80/eh/disconnected event=disconnected "
                                      "connection=0f9c97a2f0bf4706afe87a14e0797b11\n"));
    assert_null(strstr(f->logged, "secret"));
}

static void free_cancels_all(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = kit__established(f);

    kit__message(f, p, "a");
    kit__connect_as(f, "chat", "c");
    f->now += 60000;
    kit__message(f, p, "b");
    upstream__free(f->up);
    f->up = NULL;
    assert_int_equal(f->cancelled, 2);
}

/* --- in-process handlers ------------------------------------------------------------- */

static void plugin_needs_no_validation(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;
    int app;

    f->handlers[0].url_template = STR_NONE;
    f->handlers[0].plugin = STR("chat.so?x=y");
    f->handlers[0].app = &app;
    p = kit__connect_as(f, "chat", "c");
    assert_ptr_equal(kit__last_sent(f)->app, &app);
    assert_string_equal(kit__last_sent(f)->method, "POST");
    assert_string_equal(kit__last_sent(f)->url, "");
    kit__answer(f, kit__last_sent(f), 204);
    assert_int_equal(f->connect.status, 0);
    upstream__connected(p, f, STR("u"), STR_NONE, f->now, 0);
    kit__answer(f, kit__last_sent(f), 204);
    kit__message(f, p, "a");
    kit__answer(f, kit__last_sent(f), 400);
    assert_non_null(strstr(f->event.why, "plugin chat.so answered 400"));
}

static void plugin_that_hangs_is_given_up(void **state)
{
    struct fixture *f = *state;
    int app;

    f->handlers[0].app = &app;
    f->handlers[0].plugin = STR("chat.so");
    kit__connect_as(f, "chat", "c");
    assert_true(kit__after(f, UPSTREAM_TIMEOUT_MS - 1) == f->now + 1);
    assert_int_equal(f->connect.calls, 0);
    kit__after(f, 1);
    assert_int_equal(f->cancelled, 1);
    assert_int_equal(f->connect.status, 500);
    assert_non_null(strstr(f->connect.why, "no answer in time"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(connect_without_handler_is_accepted),
        WITH_FIXTURE(connect_outcome_never_comes_from_inside_the_call),
        WITH_FIXTURE(connect_is_validated_then_sent),
        WITH_FIXTURE(connect_status_goes_to_the_client),
        WITH_FIXTURE(connect_status_goes_to_the_client_after_all_tries),
        WITH_FIXTURE(connect_that_breaks_the_contract_is_500),
        WITH_FIXTURE(connect_is_500_when_the_handler_is_down),
        WITH_FIXTURE(abandon_cancels),
        WITH_FIXTURE(out_of_memory_in_the_shell_fails_the_connect),
        WITH_FIXTURE(events_of_a_connection_are_sent_in_order),
        WITH_FIXTURE(one_under_way_per_connection),
        WITH_FIXTURE(one_event_can_be_taken_back),
        WITH_FIXTURE(a_retry_can_be_taken_back),
        cmocka_unit_test(the_text_of_a_refusal_is_handed_on),
        WITH_FIXTURE(connected_keeps_its_place),
        WITH_FIXTURE(ids_are_taken_even_when_no_handler_wants_the_event),
        WITH_FIXTURE(metadata_goes_with_the_event),
        WITH_FIXTURE(event_without_handler),
        WITH_FIXTURE(event_is_tried_again_with_the_same_ids),
        WITH_FIXTURE(final_answers_are_not_tried_again),
        WITH_FIXTURE(what_cannot_be_a_header_fails_at_once),
        WITH_FIXTURE(hundred_seconds_in_all),
        WITH_FIXTURE(state_is_kept_set_and_emptied),
        WITH_FIXTURE(a_state_that_no_event_can_carry_fails_its_event_alone),
        WITH_FIXTURE(connected_cannot_set_the_state),
        WITH_FIXTURE(cookies_go_back),
        WITH_FIXTURE(queue_is_bounded_by_events),
        WITH_FIXTURE(queue_is_bounded_by_bytes),
        WITH_FIXTURE(an_empty_queue_takes_any_event),
        WITH_FIXTURE(disconnect_while_a_retry_waits),
        WITH_FIXTURE(disconnect_waits_for_connected),
        WITH_FIXTURE(disconnect_from_inside_an_outcome),
        WITH_FIXTURE(disconnect_from_inside_an_accepted_connect),
        WITH_FIXTURE(event_from_inside_an_outcome),
        WITH_FIXTURE(disconnected_event_failure_is_logged),
        WITH_FIXTURE(free_cancels_all),
        WITH_FIXTURE(failures_are_counted_by_kind),
        WITH_FIXTURE(plugin_needs_no_validation),
        WITH_FIXTURE(plugin_that_hangs_is_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
