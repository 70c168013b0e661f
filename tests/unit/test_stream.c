/* Streams in the core (client-and-rest section 2.4): what a publisher is told, and what
 * its subscribers see. */
#include "core_kit.h"

#include "unit.h"

#include <stdio.h>

#define SEND_G "webpubsub.sendToGroup.g"
#define OPEN(id) "{\"type\":\"sendToGroup\",\"group\":\"g\",\"stream\":{\"streamId\":\"" id "\"}}"
#define OPEN_QUIET(id)                                                                             \
    "{\"type\":\"sendToGroup\",\"group\":\"g\",\"noEcho\":true,\"stream\":{\"streamId\":\"" id     \
    "\"}}"
#define OPEN_IDLE(id, ms)                                                                          \
    "{\"type\":\"sendToGroup\",\"group\":\"g\",\"stream\":{\"streamId\":\"" id                     \
    "\",\"idleTimeoutMs\":" #ms "}}"
#define DATA(id, n, text)                                                                          \
    "{\"type\":\"streamData\",\"streamId\":\"" id "\",\"streamSequenceId\":" #n                    \
    ",\"dataType\":\"text\",\"data\":\"" text "\"}"
#define KEEP_ALIVE(id) "{\"type\":\"streamData\",\"streamId\":\"" id "\"}"
#define END(id) "{\"type\":\"streamEnd\",\"streamId\":\"" id "\"}"
#define ACKED(id, n)                                                                               \
    "{\"type\":\"streamAck\",\"streamId\":\"" id "\",\"expectedSequenceId\":" #n "}\n"
#define CLOSED(id) "{\"type\":\"streamClosed\",\"streamId\":\"" id "\"}\n"
#define CLOSED_BY(id, name, text)                                                                  \
    "{\"type\":\"streamClosed\",\"streamId\":\"" id "\",\"error\":{\"name\":\"" name               \
    "\",\"message\":\"" text "\"}}\n"
#define NOT_FOUND(id) CLOSED_BY(id, "StreamNotFound", "There is no such open stream.")
#define IDLE "Nothing was sent on the stream within its idle timeout."
#define GONE "The connection of the publisher has ended."
#define STREAM(id, n, more)                                                                        \
    "\"stream\":{\"streamId\":\"" id "\",\"streamSequenceId\":" #n more "}}\n"
#define PART(id, n, text)                                                                          \
    "{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\",\"dataType\":\"text\",\"data\":"     \
    "\"" text "\"," STREAM(id, n, "")
#define LAST(id, n, more)                                                                          \
    "{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\",\"dataType\":\"text\",\"data\":"     \
    "\"\"," STREAM(id, n, ",\"endOfStream\":true" more)
#define ERROR(name, text) ",\"error\":{\"name\":\"" name "\",\"message\":\"" text "\"}"

static struct transport *publisher(struct kit *kit)
{
    return kit__connect(kit, &(struct client){.id = "p", .role = SEND_G});
}

static struct transport *reliable_publisher(struct kit *kit)
{
    return kit__connect(
        kit, &(struct client){.id = "p", .role = SEND_G, .format = &format_json_reliable});
}

static struct transport *subscriber(struct kit *kit)
{
    return kit__connect(kit, &(struct client){.id = "s", .group = "g"});
}

static void says(struct transport *t, const char *text)
{
    assert_true(kit__says(t, text));
}

static void cut(struct transport *t)
{
    struct session *s = t->session;

    t->session = NULL;
    session__detach(s, t->kit->now_ms, STR("cut"));
}

static int64_t tick_at(struct kit *kit, int64_t now_ms)
{
    kit->now_ms = now_ms;
    return core__tick(kit->core, now_ms);
}

/* --- From start to end --------------------------------------------------------- */

static void a_stream_from_start_to_end(void **state)
{
    struct transport *p = publisher(*state), *s = subscriber(*state);

    says(p, OPEN("x"));
    assert_read(p, ACKED("x", 1));
    assert_read(s, "");
    says(p, DATA("x", 1, "a"));
    assert_read(p, ACKED("x", 2));
    assert_read(s, PART("x", 1, "a"));
    says(p, DATA("x", 2, "b"));
    says(p, END("x"));
    assert_read(p, CLOSED("x"));
    assert_read(s, PART("x", 2, "b") LAST("x", 3, ""));
    assert_effects(*state, "publish g\npublish g\npublish g\n");
}

static void many_fragments_of_a_turn_cost_one_ack(void **state)
{
    struct transport *p = publisher(*state), *s = subscriber(*state);

    says(p, OPEN("x"));
    says(p, OPEN("y"));
    says(p, DATA("x", 1, "a"));
    says(p, DATA("y", 1, "b"));
    says(p, DATA("x", 2, "c"));
    assert_true(core__has_dirty(((struct kit *)*state)->core));
    assert_read(p, ACKED("x", 3) ACKED("y", 2));
    assert_read(s, PART("x", 1, "a") PART("y", 1, "b") PART("x", 2, "c"));
    assert_false(core__has_dirty(((struct kit *)*state)->core));
    assert_read(p, "");
}

static void any_data_and_the_user_of_the_publisher(void **state)
{
    struct transport *p = kit__connect(
        *state, &(struct client){.id = "p", .user = "ann", .role = SEND_G, .group = "g"});

    says(p,
         "{\"type\":\"sendToGroup\",\"group\":\"g\",\"ackId\":1,\"stream\":{\"streamId\":\"x\"}}");
    says(p,
         "{\"type\":\"streamData\",\"streamId\":\"x\",\"streamSequenceId\":1,\"data\":{\"a\":1}}");
    assert_read(p,
                "{\"type\":\"ack\",\"ackId\":1,\"success\":true}\n"
                "{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\",\"fromUserId\":\"ann\","
                "\"dataType\":\"json\",\"data\":{\"a\":1}," STREAM("x", 1, "") ACKED("x", 2));
    says(p, "{\"type\":\"streamData\",\"streamId\":\"x\",\"streamSequenceId\":2,"
            "\"dataType\":\"binary\",\"data\":\"aGk=\"}");
    assert_read(p,
                "{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\",\"fromUserId\":\"ann\","
                "\"dataType\":\"binary\",\"data\":\"aGk=\"," STREAM("x", 2, "") ACKED("x", 3));
}

static void no_echo_holds_for_the_whole_stream(void **state)
{
    struct transport *p =
        kit__connect(*state, &(struct client){.id = "p", .role = SEND_G, .group = "g"});

    says(p, OPEN_QUIET("x"));
    says(p, DATA("x", 1, "a"));
    assert_read(p, ACKED("x", 2));
    says(p, END("x"));
    assert_read(p, CLOSED("x"));
    assert_effects(*state, "publish g -p\npublish g -p\n");
}

static void the_publisher_hears_itself_otherwise(void **state)
{
    struct transport *p =
        kit__connect(*state, &(struct client){.id = "p", .role = SEND_G, .group = "g"});

    says(p, OPEN("x"));
    says(p, DATA("x", 1, "a"));
    says(p, END("x"));
    assert_read(p, PART("x", 1, "a") LAST("x", 2, "") CLOSED("x"));
}

static void an_error_of_the_user_reaches_the_subscribers(void **state)
{
    struct transport *p = publisher(*state), *s = subscriber(*state);

    says(p, OPEN("x"));
    says(p, OPEN("y"));
    says(p, "{\"type\":\"streamEnd\",\"streamId\":\"x\",\"error\":{\"message\":\"why\","
            "\"userErrorCode\":\"E1\"}}");
    says(p, "{\"type\":\"streamEnd\",\"streamId\":\"y\",\"error\":{}}");
    assert_read(p, CLOSED("x") CLOSED("y"));
    assert_read(s, LAST("x", 1,
                        ",\"error\":{\"name\":\"UserError\",\"message\":\"why\","
                        "\"userErrorCode\":\"E1\"}") LAST("y", 1, ERROR("UserError", "")));
}

static void an_id_can_be_used_again(void **state)
{
    struct transport *p = reliable_publisher(*state), *s = subscriber(*state);

    for (int i = 0; i < 3; i++) {
        says(p, OPEN("x"));
        says(p, DATA("x", 1, "a"));
        says(p, END("x"));
        assert_read(p, CLOSED("x"));
        assert_read(s, PART("x", 1, "a") LAST("x", 2, ""));
    }
}

/* A client that knows no streams gets the data, and nothing at the end. */
static void raw_subscribers_get_data_alone(void **state)
{
    struct transport *p = publisher(*state);
    struct transport *raw =
        kit__connect(*state, &(struct client){.id = "r", .format = &format_raw, .group = "g"});

    says(p, OPEN("x"));
    says(p, DATA("x", 1, "a"));
    says(p, END("x"));
    assert_read(raw, "a\n");
}

static void fragments_keep_their_place_among_messages(void **state)
{
    struct transport *p = publisher(*state);
    struct transport *s = kit__connect(
        *state, &(struct client){.id = "s", .group = "g", .format = &format_json_reliable});

    says(p, OPEN("x"));
    says(p, DATA("x", 1, "a"));
    says(p, "{\"type\":\"sendToGroup\",\"group\":\"g\",\"dataType\":\"text\",\"data\":\"b\"}");
    says(p, DATA("x", 2, "c"));
    says(p, END("x"));
    says(p, "{\"type\":\"sendToGroup\",\"group\":\"g\",\"dataType\":\"text\",\"data\":\"d\"}");
    assert_read(
        s,
        "{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\",\"dataType\":\"text\","
        "\"data\":\"a\",\"stream\":{\"streamId\":\"x\",\"streamSequenceId\":1},\"sequenceId\":1}\n"
        "{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\",\"dataType\":\"text\","
        "\"data\":\"b\",\"sequenceId\":2}\n"
        "{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\",\"dataType\":\"text\","
        "\"data\":\"c\",\"stream\":{\"streamId\":\"x\",\"streamSequenceId\":2},\"sequenceId\":3}\n"
        "{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\",\"dataType\":\"text\","
        "\"data\":\"\",\"stream\":{\"streamId\":\"x\",\"streamSequenceId\":3,\"endOfStream\":true},"
        "\"sequenceId\":4}\n"
        "{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\",\"dataType\":\"text\","
        "\"data\":\"d\",\"sequenceId\":5}\n");
}

/* --- What goes wrong -------------------------------------------------------------- */

static void a_repeated_fragment_is_acknowledged_and_not_sent_on(void **state)
{
    struct transport *p = publisher(*state), *s = subscriber(*state);

    says(p, OPEN("x"));
    says(p, DATA("x", 1, "a"));
    says(p, DATA("x", 1, "a"));
    says(p, DATA("x", 0, "a"));
    assert_read(p, ACKED("x", 2));
    assert_read(s, PART("x", 1, "a"));
    says(p, DATA("x", 1, "a"));
    assert_read(p, ACKED("x", 2));
    assert_read(s, "");
}

static void a_gap_is_refused(void **state)
{
    struct transport *p = publisher(*state), *s = subscriber(*state);

    says(p, OPEN("x"));
    says(p, DATA("x", 1, "a"));
    says(p, DATA("x", 3, "c"));
    assert_read(p, "{\"type\":\"streamNack\",\"streamId\":\"x\",\"name\":\"InvalidSequenceId\","
                   "\"message\":\"Expected stream sequence id 2, but got 3.\","
                   "\"expectedSequenceId\":2}\n");
    says(p, DATA("x", 2, "b"));
    says(p, DATA("x", 3, "c"));
    assert_read(p, ACKED("x", 4)); /* and no second time where the other one stands */
    assert_read(s, PART("x", 1, "a") PART("x", 2, "b") PART("x", 3, "c"));
}

static void an_unknown_stream_is_not_found(void **state)
{
    struct transport *p = publisher(*state), *s = subscriber(*state);

    says(p, DATA("x", 1, "a"));
    says(p, KEEP_ALIVE("x"));
    says(p, END("x"));
    assert_read(p, NOT_FOUND("x") NOT_FOUND("x") NOT_FOUND("x"));
    says(p, OPEN("x"));
    says(p, END("x"));
    says(p, DATA("x", 1, "a"));
    assert_read(p, CLOSED("x") NOT_FOUND("x"));
    assert_read(s, LAST("x", 1, ""));
}

static void streams_of_others_are_unknown(void **state)
{
    struct transport *p = publisher(*state);
    struct transport *q = kit__connect(*state, &(struct client){.id = "q", .role = SEND_G});

    says(p, OPEN("x"));
    says(q, DATA("x", 1, "a"));
    assert_read(q, NOT_FOUND("x"));
    says(q, OPEN("x"));
    assert_read(q, ACKED("x", 1));
    assert_read(p, ACKED("x", 1));
}

static void without_the_permission_no_stream_opens(void **state)
{
    struct transport *p = kit__connect(*state, &(struct client){.id = "p"});
    static const char text[] = "The client does not have permission to send to group 'g'.";
    char want[512];

    says(p, OPEN("x"));
    snprintf(want, sizeof(want), CLOSED_BY("x", "Forbidden", "%s"), text);
    assert_read(p, want);
    says(p,
         "{\"type\":\"sendToGroup\",\"group\":\"g\",\"ackId\":1,\"stream\":{\"streamId\":\"x\"}}");
    snprintf(want, sizeof(want),
             "{\"type\":\"ack\",\"ackId\":1,\"success\":false,\"error\":{\"name\":\"Forbidden\","
             "\"message\":\"%s\"}}\n" CLOSED_BY("x", "Forbidden", "%s"),
             text, text);
    assert_read(p, want);
    says(p, DATA("x", 1, "a"));
    assert_read(p, NOT_FOUND("x"));
}

static void a_permission_that_is_taken_away_ends_a_stream(void **state)
{
    struct transport *p = publisher(*state), *s = subscriber(*state);
    static const char text[] = "The client does not have permission to send to the group any more.";
    char want[512];

    says(p, OPEN("x"));
    says(p, DATA("x", 1, "a"));
    assert_read(p, ACKED("x", 2));
    assert_read(s, PART("x", 1, "a"));
    kit__apply(*state, (struct hub_command){.op = HUB_REVOKE,
                                            .scope = SCOPE_CONNECTION,
                                            .name = STR("p"),
                                            .action = PERMISSION_SEND_TO_GROUP,
                                            .target = STR("g")});
    says(p, DATA("x", 2, "b"));
    snprintf(want, sizeof(want), CLOSED_BY("x", "Forbidden", "%s"), text);
    assert_read(p, want);
    snprintf(want, sizeof(want), LAST("x", 2, ERROR("Forbidden", "%s")), text);
    assert_read(s, want);
    says(p, END("x"));
    assert_read(p, NOT_FOUND("x"));
    assert_read(s, "");
}

static void an_opening_sent_again_changes_nothing(void **state)
{
    struct transport *p = publisher(*state), *s = subscriber(*state);

    says(p, OPEN("x"));
    assert_read(p, ACKED("x", 1));
    says(p, OPEN("x"));
    assert_read(p, ACKED("x", 1));
    assert_read(s, "");
}

static void an_id_in_use_closes_both(void **state)
{
    struct transport *p = publisher(*state), *s = subscriber(*state);

    says(p, OPEN("x"));
    says(p, DATA("x", 1, "a"));
    says(p, OPEN("x"));
    assert_read(p, CLOSED_BY("x", "BadRequest",
                             "The stream id is in use. The stream that had it is closed."));
    assert_read(s, PART("x", 1, "a")
                       LAST("x", 2,
                            ERROR("Cancelled",
                                  "The stream id is in use. The stream that had it is closed.")));
    says(p, OPEN("x"));
    says(p, OPEN_QUIET("x"));
    assert_read(p, CLOSED_BY("x", "BadRequest",
                             "The stream id is in use. The stream that had it is closed."));
}

static void open_streams_are_limited(void **state)
{
    struct core_limits limits = CORE_LIMITS_DEFAULT;
    struct transport *p;
    struct kit kit;

    (void)state;
    limits.streams = 2;
    kit__init(&kit, &limits);
    p = publisher(&kit);
    says(p, OPEN("x"));
    says(p, OPEN("y"));
    says(p, OPEN("z"));
    assert_read(p, CLOSED_BY("z", "BadRequest",
                             "The connection has too many open streams. Close some of them first.")
                       ACKED("y", 1) ACKED("x", 1));
    says(p,
         "{\"type\":\"sendToGroup\",\"group\":\"g\",\"ackId\":1,\"stream\":{\"streamId\":\"z\"}}");
    assert_non_null(
        strstr(kit__read(p), "\"ackId\":1,\"success\":false,\"error\":{\"name\":\"BadRequest\""));
    says(p, END("x"));
    says(p, OPEN("z"));
    assert_read(p, CLOSED("x") ACKED("z", 1));
    kit__free(&kit);
}

/* --- Time --------------------------------------------------------------------------- */

static void a_stream_on_which_nothing_comes_is_closed(void **state)
{
    struct transport *p = publisher(*state), *s = subscriber(*state);

    says(p, OPEN_IDLE("x", 500));
    assert_read(p, ACKED("x", 1));
    assert_int_equal(tick_at(*state, 1499), 1500);
    assert_read(p, "");
    assert_int_equal(tick_at(*state, 1500), INT64_MAX);
    assert_read(p, CLOSED_BY("x", "IdleTimeout", IDLE));
    assert_read(s, LAST("x", 1, ERROR("IdleTimeout", IDLE)));
    says(p, DATA("x", 1, "a"));
    assert_read(p, NOT_FOUND("x"));
}

static void whatever_comes_keeps_a_stream_alive(void **state)
{
    static const char *const signs[] = {KEEP_ALIVE("x"), DATA("x", 1, "a"), DATA("x", 1, "a"),
                                        DATA("x", 7, "g")};
    struct transport *p = publisher(*state);
    struct kit *kit = *state;
    int64_t next;

    says(p, OPEN_IDLE("x", 500));
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        tick_at(kit, kit->now_ms + 499);
        says(p, signs[i]);
        assert_null(strstr(kit__read(p), "streamClosed"));
    }
    next = tick_at(kit, kit->now_ms + 499);
    assert_int_equal(next, kit->now_ms + 1);
    tick_at(kit, next);
    assert_read(p, CLOSED_BY("x", "IdleTimeout", IDLE));
}

static void the_usual_limit_is_five_minutes(void **state)
{
    struct transport *p = publisher(*state);

    says(p, OPEN("x"));
    says(p, OPEN_IDLE("y", 4294967295));
    kit__read(p);
    assert_int_equal(tick_at(*state, 1000 + 299999), 1000 + 300000);
    assert_int_equal(tick_at(*state, 1000 + 300000), 1000 + 4294967295);
    assert_read(p, CLOSED_BY("x", "IdleTimeout", IDLE));
}

/* --- The end of the connection --------------------------------------------------------- */

static void streams_die_with_their_connection(void **state)
{
    struct transport *p = publisher(*state), *s = subscriber(*state);

    says(p, OPEN("x"));
    says(p, OPEN("y"));
    says(p, DATA("x", 1, "a"));
    says(p, OPEN("z"));
    says(p, END("z"));
    kit__read(s);
    cut(p);
    assert_read(s, LAST("x", 2, ERROR("Cancelled", GONE)) LAST("y", 1, ERROR("Cancelled", GONE)));
    assert_effects(*state, "publish g\npublish g\nended p: cut\npublish g\npublish g\n");
    assert_int_equal(tick_at(*state, 1000000), INT64_MAX);
}

static void the_end_of_a_reliable_connection_comes_later(void **state)
{
    struct transport *p = reliable_publisher(*state), *s = subscriber(*state);

    says(p, OPEN("x"));
    cut(p);
    assert_read(s, "");
    tick_at(*state, 1000 + 29999);
    assert_read(s, "");
    tick_at(*state, 1000 + 30000);
    assert_read(s, LAST("x", 1, ERROR("Cancelled", GONE)));
}

/* A subscriber that publishes to the next one, and so on: each is closed by the end of the
 * stream before it, for its queue is full. */
static void ends_that_end_others(void **state)
{
    enum { LENGTH = 20 };
    struct core_limits limits = CORE_LIMITS_DEFAULT;
    struct transport *chain[LENGTH];
    struct kit kit;

    (void)state;
    limits.queue.messages = 1;
    kit__init(&kit, &limits);
    for (int i = 0; i < LENGTH; i++) {
        char id[16], in[16], open[128];

        snprintf(id, sizeof(id), "c%d", i);
        snprintf(in, sizeof(in), "g%d", i);
        snprintf(open, sizeof(open),
                 "{\"type\":\"sendToGroup\",\"group\":\"g%d\",\"stream\":{\"streamId\":\"x\"}}",
                 i + 1);
        chain[i] = kit__connect(
            &kit, &(struct client){.id = id, .role = "webpubsub.sendToGroup", .group = in});
        says(chain[i], open);
        kit__read(chain[i]);
        chain[i]->stuck = true;
        kit__send(&kit, SCOPE_CONNECTION, id, "fills the queue");
    }
    cut(chain[0]);
    for (int i = 1; i < LENGTH; i++)
        assert_string_equal(chain[i]->closed, "1008 The outbound message queue is full.");
    assert_int_equal(core__session_count(kit.core), 0);
    kit__free(&kit);
}

static void a_publisher_that_cannot_hear_itself_is_closed(void **state)
{
    struct core_limits limits = CORE_LIMITS_DEFAULT;
    struct transport *p;
    struct kit kit;

    (void)state;
    limits.queue.messages = 1;
    kit__init(&kit, &limits);
    p = kit__connect(&kit, &(struct client){.id = "p", .role = SEND_G, .group = "g"});
    p->stuck = true;
    says(p, OPEN("x"));
    says(p, DATA("x", 1, "a"));
    assert_false(kit__says(p, DATA("x", 2, "b")));
    assert_string_equal(p->closed, "1008 The outbound message queue is full.");
    kit__free(&kit);
}

/* --- Recovery ---------------------------------------------------------------------------- */

static void streams_go_on_after_a_recovery(void **state)
{
    struct transport *p = reliable_publisher(*state), *s = subscriber(*state);
    struct session *session = p->session;

    says(p, OPEN("y"));
    says(p, OPEN("x"));
    says(p, DATA("x", 1, "a"));
    says(p, DATA("x", 2, "b"));
    cut(p); /* before it was told anything */
    p = kit__reattach(*state, session, "again");
    assert_read(p, "{\"type\":\"system\",\"event\":\"connected\",\"userId\":null,"
                   "\"connectionId\":\"p\",\"reconnectionToken\":\"again\"}\n" ACKED("x", 3)
                       ACKED("y", 1));
    says(p, DATA("x", 1, "a")); /* as the SDK does: all that was not acknowledged */
    says(p, DATA("x", 2, "b"));
    says(p, DATA("x", 3, "c"));
    assert_read(p, ACKED("x", 4));
    assert_read(s, PART("x", 1, "a") PART("x", 2, "b") PART("x", 3, "c"));
}

static void a_stream_can_become_idle_while_its_publisher_is_away(void **state)
{
    struct transport *p = reliable_publisher(*state), *s = subscriber(*state);
    struct session *session = p->session;

    says(p, OPEN_IDLE("x", 500));
    cut(p);
    tick_at(*state, 1500);
    assert_read(s, LAST("x", 1, ERROR("IdleTimeout", IDLE)));
    p = kit__reattach(*state, session, "again");
    assert_null(strstr(kit__read(p), "stream"));
    says(p, DATA("x", 1, "a"));
    assert_read(p, CLOSED_BY("x", "IdleTimeout", IDLE));
    assert_read(s, "");
}

/* The last answer was lost with the socket, so the client asks again. */
static void a_closed_stream_is_remembered_for_the_recovery(void **state)
{
    struct transport *p = reliable_publisher(*state), *s = subscriber(*state);
    struct session *session = p->session;

    says(p, OPEN("x"));
    says(p, DATA("x", 1, "a"));
    says(p, END("x"));
    cut(p);
    p = kit__reattach(*state, session, "again");
    kit__read(p);
    says(p, DATA("x", 1, "a"));
    says(p, END("x"));
    assert_read(p, CLOSED("x") CLOSED("x"));
    assert_read(s, PART("x", 1, "a") LAST("x", 2, ""));
}

static void the_last_32_closed_streams_are_remembered(void **state)
{
    struct transport *p = reliable_publisher(*state);
    char text[128], want[128];

    for (int i = 0; i < 33; i++) {
        snprintf(text, sizeof(text),
                 "{\"type\":\"sendToGroup\",\"group\":\"g\",\"stream\":{\"streamId\":\"%d\"}}", i);
        says(p, text);
        snprintf(text, sizeof(text), END("%d"), i);
        says(p, text);
        kit__read(p);
    }
    says(p, END("0"));
    assert_read(p, NOT_FOUND("0"));
    for (int i = 1; i < 33; i++) {
        snprintf(text, sizeof(text), END("%d"), i);
        says(p, text);
        snprintf(want, sizeof(want), CLOSED("%d"), i);
        assert_read(p, want);
    }
}

/* A queue without room for all that could be said about streams does not end the
 * connection that has just been recovered. */
static void a_full_queue_at_the_recovery_costs_no_more_than_acks(void **state)
{
    struct core_limits limits = CORE_LIMITS_DEFAULT;
    struct transport *p;
    struct session *session;
    struct kit kit;
    char text[128];

    (void)state;
    limits.unacked.messages = 1;
    kit__init(&kit, &limits);
    p = reliable_publisher(&kit);
    session = p->session;
    for (int i = 0; i < 60; i++) {
        snprintf(text, sizeof(text),
                 "{\"type\":\"sendToGroup\",\"group\":\"g\",\"stream\":{\"streamId\":\"%d\"}}", i);
        says(p, text);
        kit__read(p);
    }
    kit__send(&kit, SCOPE_CONNECTION, "p", "kept");
    cut(p);
    p = kit__reattach(&kit, session, "again");
    assert_non_null(strstr(kit__read(p), "streamAck"));
    assert_string_equal(p->closed, "");
    says(p, END("0"));
    assert_read(p, CLOSED("0"));
    kit__free(&kit);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit__set_up, kit__tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_stream_from_start_to_end),
        TEST(many_fragments_of_a_turn_cost_one_ack),
        TEST(any_data_and_the_user_of_the_publisher),
        TEST(no_echo_holds_for_the_whole_stream),
        TEST(the_publisher_hears_itself_otherwise),
        TEST(an_error_of_the_user_reaches_the_subscribers),
        TEST(an_id_can_be_used_again),
        TEST(raw_subscribers_get_data_alone),
        TEST(fragments_keep_their_place_among_messages),
        TEST(a_repeated_fragment_is_acknowledged_and_not_sent_on),
        TEST(a_gap_is_refused),
        TEST(an_unknown_stream_is_not_found),
        TEST(streams_of_others_are_unknown),
        TEST(without_the_permission_no_stream_opens),
        TEST(a_permission_that_is_taken_away_ends_a_stream),
        TEST(an_opening_sent_again_changes_nothing),
        TEST(an_id_in_use_closes_both),
        TEST(open_streams_are_limited),
        TEST(a_stream_on_which_nothing_comes_is_closed),
        TEST(whatever_comes_keeps_a_stream_alive),
        TEST(the_usual_limit_is_five_minutes),
        TEST(streams_die_with_their_connection),
        TEST(the_end_of_a_reliable_connection_comes_later),
        TEST(ends_that_end_others),
        TEST(a_publisher_that_cannot_hear_itself_is_closed),
        TEST(streams_go_on_after_a_recovery),
        TEST(a_stream_can_become_idle_while_its_publisher_is_away),
        TEST(a_closed_stream_is_remembered_for_the_recovery),
        TEST(the_last_32_closed_streams_are_remembered),
        TEST(a_full_queue_at_the_recovery_costs_no_more_than_acks),
    };

    return cmocka_run_group_tests_name("streams", tests, NULL, NULL);
}
