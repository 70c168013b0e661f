/* Invocations in the core (client-and-rest section 2.5): what goes to the event handler,
 * and what the client hears of it. */
#include "core_kit.h"

#include "unit.h"

#include <stdio.h>

#define INVOKE(id, event, text)                                                                    \
    "{\"type\":\"invoke\",\"invocationId\":\"" id "\",\"target\":\"event\",\"event\":\"" event     \
    "\",\"dataType\":\"text\",\"data\":\"" text "\"}"
#define CANCEL(id) "{\"type\":\"cancelInvocation\",\"invocationId\":\"" id "\"}"
#define EVENT(id, event)                                                                           \
    "{\"type\":\"event\",\"event\":\"" event "\",\"ackId\":" id                                    \
    ",\"dataType\":\"text\",\"data\":\"\"}"
#define RESPONSE(id, more)                                                                         \
    "{\"type\":\"invokeResponse\",\"invocationId\":\"" id "\",\"success\":true" more "}\n"
#define REFUSED(id, name, text)                                                                    \
    "{\"type\":\"invokeResponse\",\"invocationId\":\"" id                                          \
    "\",\"success\":false,\"error\":{\"name\":\"" name "\",\"message\":\"" text "\"}}\n"
#define SLOW REFUSED("1", "Timeout", "The event handler did not answer in time.")

static struct transport *caller(struct kit *kit)
{
    return kit__connect(kit, &(struct client){.id = "a", .user = "ann"});
}

static struct transport *reliable_caller(struct kit *kit)
{
    return kit__connect(kit, &(struct client){.id = "a", .format = &format_json_reliable});
}

static void says(struct transport *t, const char *text)
{
    assert_true(kit__says(t, text));
}

static void answers(struct transport *t, uint64_t ticket, const struct event_answer *answer)
{
    assert_true(session__event_answer(t->session, ticket, answer));
}

static void answers_text(struct transport *t, uint64_t ticket, const char *text)
{
    answers(t, ticket,
            &(struct event_answer){.success = true, .has_data = true, .data = str__of(text)});
}

static int64_t tick_at(struct kit *kit, int64_t now_ms)
{
    kit->now_ms = now_ms;
    return core__tick(kit->core, now_ms);
}

/* --- The way there and back ------------------------------------------------------- */

static void the_answer_is_the_response(void **state)
{
    const struct metadata_entry entry = {STR("k"), STR("v")};
    struct transport *a = caller(*state);

    says(a, INVOKE("1", "add", "2 and 3"));
    assert_effects(*state, "event a add 0 2 and 3 #1\n");
    assert_read(a, "");
    answers(a, 1,
            &(struct event_answer){.success = true,
                                   .has_data = true,
                                   .type = PH_DATA_JSON,
                                   .data = STR("{\"sum\":5}"),
                                   .metadata = {&entry, 1}});
    assert_read(a, RESPONSE("1", ",\"dataType\":\"json\",\"data\":{\"sum\":5},"
                                 "\"metadata\":{\"k\":\"v\"}"));
    says(a, INVOKE("2", "add", ""));
    answers(a, 2, &(struct event_answer){.success = true});
    assert_read(a, RESPONSE("2", ""));
    assert_int_equal(tick_at(*state, 1000000), INT64_MAX);
}

static void every_type_of_data_comes_back(void **state)
{
    static const struct {
        enum ph_data_type type;
        struct str data;
        const char *want;
    } rows[] = {
        {PH_DATA_TEXT, STR(""), ",\"dataType\":\"text\",\"data\":\"\""},
        {PH_DATA_JSON, STR("[1]"), ",\"dataType\":\"json\",\"data\":[1]"},
        {PH_DATA_BINARY, STR("hi"), ",\"dataType\":\"binary\",\"data\":\"aGk=\""},
        {PH_DATA_PROTOBUF, STR("hi"), ",\"dataType\":\"protobuf\",\"data\":\"aGk=\""},
    };
    struct transport *a = caller(*state);
    char want[256];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        says(a, INVOKE("x", "e", ""));
        answers(a, i + 1,
                &(struct event_answer){
                    .success = true, .has_data = true, .type = rows[i].type, .data = rows[i].data});
        snprintf(want, sizeof(want), RESPONSE("x", "%s"), rows[i].want);
        assert_read(a, want);
    }
}

static void invocations_and_events_share_one_order(void **state)
{
    struct transport *a = caller(*state);

    says(a, INVOKE("1", "first", ""));
    says(a, EVENT("1", "second"));
    says(a, INVOKE("2", "third", ""));
    assert_effects(*state, "event a first 0  #1\nevent a second 0  #2\nevent a third 0  #3\n");
    answers_text(a, 2, "b");
    answers_text(a, 3, "c");
    answers_text(a, 1, "a");
    assert_read(a,
                "{\"type\":\"message\",\"from\":\"server\",\"dataType\":\"text\",\"data\":\"b\"}\n"
                "{\"type\":\"ack\",\"ackId\":1,\"success\":true}\n" RESPONSE(
                    "2", ",\"dataType\":\"text\",\"data\":\"c\"")
                    RESPONSE("1", ",\"dataType\":\"text\",\"data\":\"a\""));
}

/* An ack id of 0 is one like others; invocations have none. */
static void ack_ids_are_not_confused_with_invocations(void **state)
{
    struct transport *a = caller(*state);

    says(a, INVOKE("1", "e", ""));
    kit__effects(*state);
    says(a, EVENT("0", "f"));
    assert_effects(*state, "event a f 0  #2\n");
}

static void a_response_from_a_client_is_ignored(void **state)
{
    struct transport *a = caller(*state);

    says(a, "{\"type\":\"invokeResponse\",\"invocationId\":\"1\",\"success\":true}");
    assert_read(a, "");
    assert_effects(*state, "");
}

/* --- What goes wrong -------------------------------------------------------------- */

static void failures_have_names(void **state)
{
    static const struct {
        struct event_answer answer;
        const char *name, *message;
    } rows[] = {
        {{.no_handler = true}, "NotFound", "No event handler takes this event."},
        {{.status = 0}, "InternalServerError", "Internal server error"},
        {{.status = 500}, "InternalServerError", "Internal server error"},
        {{.status = 302}, "InternalServerError", "Internal server error"},
        {{.status = 400}, "BadRequest", "The event handler refused the event with 400."},
        {{.status = 409}, "BadRequest", "The event handler refused the event with 409."},
        {{.status = 400, .refusal = STR("no such room")}, "BadRequest", "no such room"},
        {{.status = 401, .refusal = STR("who?")}, "Forbidden", "who?"},
        {{.status = 403}, "Forbidden", "The event handler refused the event with 403."},
        {{.status = 404}, "NotFound", "The event handler refused the event with 404."},
        {{.status = 408}, "Timeout", "The event handler refused the event with 408."},
    };
    struct transport *a = caller(*state);
    char want[256];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        says(a, INVOKE("x", "e", ""));
        answers(a, i + 1, &rows[i].answer);
        snprintf(want, sizeof(want), REFUSED("x", "%s", "%s"), rows[i].name, rows[i].message);
        assert_read(a, want);
    }
}

static void a_full_queue_is_said_at_once(void **state)
{
    struct kit *kit = *state;
    struct transport *a = caller(kit);

    kit->refuse_events = true;
    says(a, INVOKE("1", "e", ""));
    assert_read(a, REFUSED("1", "InternalServerError",
                           "The event cannot be handed to the event handler now."));
    assert_int_equal(core__tick(kit->core, kit->now_ms), INT64_MAX);
    kit->refuse_events = false;
    says(a, INVOKE("1", "e", ""));
    assert_read(a, "");
}

static void an_answer_may_come_at_once(void **state)
{
    struct kit *kit = *state;
    struct transport *a = caller(kit);

    kit->answer_at_once = true;
    says(a, INVOKE("1", "e", ""));
    assert_read(a, REFUSED("1", "NotFound", "No event handler takes this event."));
}

static void an_id_is_taken_until_its_response(void **state)
{
    struct transport *a = caller(*state);

    says(a, INVOKE("1", "e", "a"));
    says(a, INVOKE("1", "e", "b"));
    assert_effects(*state, "event a e 0 a #1\n");
    assert_read(a, REFUSED("1", "Duplicate", "An invocation with this id waits for its response."));
    answers_text(a, 1, "r");
    assert_read(a, RESPONSE("1", ",\"dataType\":\"text\",\"data\":\"r\""));
    says(a, INVOKE("1", "e", "c"));
    assert_effects(*state, "event a e 0 c #2\n");
}

static void ids_are_those_of_one_client(void **state)
{
    struct transport *a = caller(*state), *b = kit__connect(*state, &(struct client){.id = "b"});

    says(a, INVOKE("1", "e", ""));
    says(b, INVOKE("1", "e", ""));
    answers_text(b, 1, "for b");
    assert_read(a, "");
    assert_read(b, RESPONSE("1", ",\"dataType\":\"text\",\"data\":\"for b\""));
}

/* --- Time, and second thoughts -------------------------------------------------------- */

static void who_is_not_answered_in_time_is_told(void **state)
{
    struct transport *a = caller(*state);

    says(a, INVOKE("1", "e", ""));
    kit__effects(*state);
    assert_int_equal(tick_at(*state, 1000 + 59999), 1000 + 60000);
    assert_read(a, "");
    assert_int_equal(tick_at(*state, 1000 + 60000), INT64_MAX);
    assert_effects(*state, "cancel a #1\n");
    assert_read(a, SLOW);
    says(a, INVOKE("1", "e", "")); /* the id is free again */
    assert_effects(*state, "event a e 0  #2\n");
}

static void a_cancelled_invocation_gets_no_response(void **state)
{
    struct transport *a = caller(*state);

    says(a, INVOKE("1", "e", ""));
    says(a, INVOKE("2", "e", ""));
    kit__effects(*state);
    says(a, CANCEL("1"));
    says(a, CANCEL("1"));
    says(a, CANCEL("never"));
    assert_effects(*state, "cancel a #1\n");
    answers_text(a, 2, "r");
    says(a, CANCEL("2"));
    assert_effects(*state, "");
    assert_read(a, RESPONSE("2", ",\"dataType\":\"text\",\"data\":\"r\""));
    assert_int_equal(tick_at(*state, 1000000), INT64_MAX);
}

/* Its peer may be gone when the next timer of the same session rings. */
static void a_client_that_is_closed_by_a_time_limit_is_not_asked_after(void **state)
{
    struct core_limits limits = CORE_LIMITS_DEFAULT;
    struct transport *a;
    struct kit kit;

    (void)state;
    limits.queue.messages = 1;
    kit__init(&kit, &limits);
    a = caller(&kit);
    a->stuck = true;
    says(a, INVOKE("1", "e", ""));
    kit.now_ms++;
    says(a, INVOKE("2", "e", ""));
    kit.now_ms++;
    says(a, INVOKE("3", "e", ""));
    kit__effects(&kit);
    tick_at(&kit, 70000);
    assert_effects(&kit, "cancel a #1\ncancel a #2\n"
                         "ended a: The outbound message queue is full.\n");
    kit__free(&kit);
}

/* --- Recovery and the end ---------------------------------------------------------------- */

static void a_response_waits_for_the_client(void **state)
{
    struct transport *a = reliable_caller(*state);
    struct session *session = a->session;

    says(a, INVOKE("1", "e", ""));
    session__detach(session, 1000, STR("cut"));
    assert_true(session__event_answer(
        session, 1,
        &(struct event_answer){.success = true, .has_data = true, .data = STR("late")}));
    a = kit__reattach(*state, session, "again");
    assert_read(a, "{\"type\":\"system\",\"event\":\"connected\",\"userId\":null,"
                   "\"connectionId\":\"a\",\"reconnectionToken\":\"again\"}\n" RESPONSE(
                       "1", ",\"dataType\":\"text\",\"data\":\"late\""));
}

/* The SDK gives up what it waits for when its socket is lost. */
static void whoever_asks_again_after_a_recovery_gets_the_first_answer(void **state)
{
    struct transport *a = reliable_caller(*state);
    struct session *session = a->session;

    says(a, INVOKE("1", "e", ""));
    kit__effects(*state);
    session__detach(session, 1000, STR("cut"));
    a = kit__reattach(*state, session, "again");
    kit__read(a);
    says(a, INVOKE("1", "e", ""));
    assert_effects(*state, "");
    assert_read(a, "");
    says(a, INVOKE("1", "e", ""));
    assert_read(a, REFUSED("1", "Duplicate", "An invocation with this id waits for its response."));
    answers_text(a, 1, "r");
    assert_read(a, RESPONSE("1", ",\"dataType\":\"text\",\"data\":\"r\""));
}

static void invocations_end_with_the_connection(void **state)
{
    struct kit *kit = *state;
    struct transport *a = caller(kit);

    says(a, INVOKE("1", "e", ""));
    says(a, INVOKE("2", "e", ""));
    kit__effects(kit);
    session__detach(a->session, 1000, STR("cut"));
    a->session = NULL;
    assert_effects(kit, "ended a: cut\n");
    assert_int_equal(tick_at(kit, 1000000), INT64_MAX);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit__set_up, kit__tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_answer_is_the_response),
        TEST(every_type_of_data_comes_back),
        TEST(invocations_and_events_share_one_order),
        TEST(ack_ids_are_not_confused_with_invocations),
        TEST(a_response_from_a_client_is_ignored),
        TEST(failures_have_names),
        TEST(a_full_queue_is_said_at_once),
        TEST(an_answer_may_come_at_once),
        TEST(an_id_is_taken_until_its_response),
        TEST(ids_are_those_of_one_client),
        TEST(who_is_not_answered_in_time_is_told),
        TEST(a_cancelled_invocation_gets_no_response),
        TEST(a_client_that_is_closed_by_a_time_limit_is_not_asked_after),
        TEST(a_response_waits_for_the_client),
        TEST(whoever_asks_again_after_a_recovery_gets_the_first_answer),
        TEST(invocations_end_with_the_connection),
    };

    return cmocka_run_group_tests_name("invocations", tests, NULL, NULL);
}
