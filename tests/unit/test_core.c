/* The core as clients and REST callers see it: commands in, frames and effects out. */
#include "core_kit.h"

#include "unit.h"

#include <stdio.h>

#define JOIN_ANY "webpubsub.joinLeaveGroup"
#define SEND_ANY "webpubsub.sendToGroup"
#define SERVER(text)                                                                               \
    "{\"type\":\"message\",\"from\":\"server\",\"dataType\":\"text\",\"data\":\"" text "\"}\n"
#define GROUP(group, text)                                                                         \
    "{\"type\":\"message\",\"from\":\"group\",\"group\":\"" group                                  \
    "\",\"dataType\":\"text\",\"data\":\"" text "\"}\n"
#define NUMBERED(text, n)                                                                          \
    "{\"type\":\"message\",\"from\":\"server\",\"dataType\":\"text\",\"data\":\"" text             \
    "\",\"sequenceId\":" #n "}\n"
#define ACK(n) "{\"type\":\"ack\",\"ackId\":" #n ",\"success\":true}\n"
#define NACK(n, name, message)                                                                     \
    "{\"type\":\"ack\",\"ackId\":" #n ",\"success\":false,\"error\":{\"name\":\"" name             \
    "\",\"message\":\"" message "\"}}\n"
#define CONNECTED(id, user)                                                                        \
    "{\"type\":\"system\",\"event\":\"connected\",\"userId\":" user ",\"connectionId\":\"" id      \
    "\"}\n"
#define CONNECTED_WITH(id, token)                                                                  \
    "{\"type\":\"system\",\"event\":\"connected\",\"userId\":null,\"connectionId\":\"" id          \
    "\",\"reconnectionToken\":\"" token "\"}\n"
#define DISCONNECTED(text)                                                                         \
    "{\"type\":\"system\",\"event\":\"disconnected\",\"message\":\"" text "\"}\n"

/* --- Coming and going ------------------------------------------------------- */

static void a_client_is_greeted_first(void **state)
{
    struct transport *a =
        kit__connect(*state, &(struct client){.id = "a", .user = "u", .keep_greeting = true});
    struct transport *b = kit__connect(
        *state,
        &(struct client){.id = "b", .format = &format_json_reliable, .keep_greeting = true});
    struct transport *c = kit__connect(*state, &(struct client){.id = "c", .format = &format_raw});

    assert_read(a, CONNECTED("a", "\"u\""));
    assert_read(b, CONNECTED_WITH("b", "token"));
    assert_read(c, "");
}

static void what_comes_before_the_socket_follows_the_greeting(void **state)
{
    struct kit *kit = *state;
    struct session *s = session__new(kit->core, &(struct session_config){.hub = STR("h"),
                                                                         .connection_id = STR("a"),
                                                                         .format = &format_json});
    struct transport *t;

    assert_int_equal(kit__send(kit, SCOPE_HUB, NULL, "early"), 1);
    assert_null(core__next_dirty(kit->core));
    t = kit__reattach(kit, s, NULL);
    assert_read(t, CONNECTED("a", "null") SERVER("early"));
}

static void an_id_is_used_once(void **state)
{
    struct kit *kit = *state;
    struct session_config config = {
        .hub = STR("h"), .connection_id = STR("a"), .format = &format_json};

    assert_non_null(session__new(kit->core, &config));
    assert_null(session__new(kit->core, &config));
    config.hub = STR("other");
    assert_non_null(session__new(kit->core, &config));
    assert_int_equal(core__session_count(kit->core), 2);
}

static void a_plain_session_ends_with_its_socket(void **state)
{
    struct kit *kit = *state;
    struct transport *t = kit__connect(kit, &(struct client){.id = "a", .group = "g"});

    session__detach(t->session, 0, STR("bye"));
    assert_effects(kit, "ended a: bye\n");
    assert_int_equal(core__session_count(kit->core), 0);
    assert_null(core__find(kit->core, STR("h"), STR("a")));
    assert_int_equal(kit__send(kit, SCOPE_GROUP, "g", "x"), 0);
    assert_non_null(strstr(kit->log.data, "connection=a"));
}

static void a_closing_transport_still_gets_what_is_queued(void **state)
{
    struct kit *kit = *state;
    struct transport *t = kit__connect(kit, &(struct client){.id = "a"});

    t->linger = true;
    kit__send(kit, SCOPE_HUB, NULL, "last words");
    kit__apply(kit, (struct hub_command){.op = HUB_CLOSE, .scope = SCOPE_HUB});
    assert_string_equal(t->closed, "1000 ");
    assert_effects(kit, "ended a: Application server closed the connection.\n");
    assert_int_equal(kit__send(kit, SCOPE_HUB, NULL, "too late"), 0);
    assert_read(t, SERVER("last words") DISCONNECTED("Application server closed the connection."));
    session__detach(t->session, 0, STR("ignored"));
    assert_effects(kit, "");
}

static void shutdown_closes_everybody(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(kit, &(struct client){.id = "a", .user = "u"});
    struct transport *b = kit__connect(kit, &(struct client){.id = "b", .format = &format_raw});

    core__close_all(kit->core, &(struct close_reason){.code = 1001, .text = STR("going away")});
    assert_string_equal(a->closed, "1001 going away");
    assert_string_equal(b->closed, "1001 going away");
    assert_non_null(strstr(kit__effects(kit), "ended a: The connection ended.\n"));
    assert_int_equal(core__session_count(kit->core), 0);
}

/* --- Who is written to first ------------------------------------------------ */

static void assert_next(struct session *s, const struct transport *want)
{
    assert_ptr_equal(s ? session__transport(s) : NULL, want);
}

static void an_answer_overtakes_messages_to_others(void **state)
{
    struct kit *kit = *state;
    struct transport *t[4];

    for (int i = 0; i < 4; i++)
        t[i] = kit__connect(kit, &(struct client){.id = (const char *[]){"a", "b", "c", "d"}[i]});
    kit__send(kit, SCOPE_CONNECTION, "b", "1");
    kit__send(kit, SCOPE_CONNECTION, "a", "2");
    kit__send(kit, SCOPE_CONNECTION, "d", "3");
    kit__says(t[3], "{\"type\":\"ping\"}"); /* has a message, and an answer behind it */
    kit__says(t[2], "{\"type\":\"ping\"}"); /* has an answer only */
    kit__send(kit, SCOPE_CONNECTION, "c", "4");

    assert_next(core__next_answered(kit->core), t[3]);
    assert_next(core__next_dirty(kit->core), t[2]);
    assert_null(core__next_answered(kit->core));
    assert_next(core__next_dirty(kit->core), t[1]);
    assert_true(core__has_dirty(kit->core));
    assert_next(core__next_dirty(kit->core), t[0]);
    assert_null(core__next_dirty(kit->core));
    assert_false(core__has_dirty(kit->core));
}

/* Many with few messages each: the rest may wait. */
static void patience_has_an_end(void **state)
{
    struct kit *kit = *state;
    char id[8];

    for (int i = 0; i < CORE_MANY; i++) {
        snprintf(id, sizeof(id), "%d", i);
        assert_false(core__is_patient(kit->core));
        kit__connect(kit, &(struct client){.id = id, .group = i == 0 ? "few" : "many"});
    }
    assert_false(core__is_patient(kit->core)); /* nothing to write */
    kit__send(kit, SCOPE_GROUP, "many", "x");
    assert_false(core__is_patient(kit->core)); /* one too few to write to */
    kit__send(kit, SCOPE_GROUP, "few", "x");
    assert_true(core__is_patient(kit->core));
    for (int i = 2; i < CORE_BURST; i++)
        kit__send(kit, SCOPE_HUB, NULL, "x");
    assert_true(core__is_patient(kit->core));
    kit__send(kit, SCOPE_HUB, NULL, "x");
    assert_false(core__is_patient(kit->core)); /* too much for each */
    kit__flush(kit);
    kit__send(kit, SCOPE_HUB, NULL, "x");
    assert_true(core__is_patient(kit->core));
    core__next_dirty(kit->core);
    assert_false(core__is_patient(kit->core)); /* those who are left are few */
}

static void who_is_lost_is_not_waited_for(void **state)
{
    struct kit *kit = *state;
    struct transport *t[CORE_MANY + 1];
    char id[16];

    for (int i = 0; i <= CORE_MANY; i++) {
        snprintf(id, sizeof(id), "%d", i);
        t[i] = kit__connect(kit, &(struct client){.id = id, .format = &format_json_reliable});
    }
    kit__send(kit, SCOPE_HUB, NULL, "x");
    session__detach(t[0]->session, 0, STR_NONE);
    assert_true(core__is_patient(kit->core));
    session__detach(t[1]->session, 0, STR_NONE);
    assert_false(core__is_patient(kit->core));
    for (int i = 2; i <= CORE_MANY; i++)
        session__detach(t[i]->session, 0, STR_NONE);
    assert_false(core__has_dirty(kit->core));
}

/* --- Groups ----------------------------------------------------------------- */

static void join_send_leave(void **state)
{
    struct kit *kit = *state;
    struct transport *a =
        kit__connect(kit, &(struct client){.id = "a", .role = JOIN_ANY, .role2 = SEND_ANY});

    assert_true(kit__says(a, "{\"type\":\"joinGroup\",\"group\":\"g\",\"ackId\":1}"));
    assert_read(a, ACK(1));
    assert_true(kit__says(a, "{\"type\":\"sendToGroup\",\"group\":\"g\",\"dataType\":\"text\","
                             "\"data\":\"hi\",\"ackId\":2}"));
    assert_read(a, GROUP("g", "hi") ACK(2));
    assert_effects(kit, "publish g\n");
    assert_true(kit__says(a, "{\"type\":\"leaveGroup\",\"group\":\"g\",\"ackId\":3}"));
    assert_int_equal(kit__send(kit, SCOPE_GROUP, "g", "gone"), 0);
    assert_read(a, ACK(3));
}

static void joining_twice_is_being_in_once(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(kit, &(struct client){.id = "a", .role = JOIN_ANY});

    kit__says(a, "{\"type\":\"joinGroup\",\"group\":\"g\",\"ackId\":1}");
    kit__says(a, "{\"type\":\"joinGroup\",\"group\":\"g\",\"ackId\":2}");
    kit__send(kit, SCOPE_GROUP, "g", "once");
    assert_read(a, ACK(1) ACK(2) GROUP("g", "once"));
}

static void no_echo_leaves_the_sender_out(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(
        kit, &(struct client){.id = "a", .user = "ann", .role = SEND_ANY, .group = "g"});
    struct transport *b = kit__connect(kit, &(struct client){.id = "b", .group = "g"});

    kit__says(a, "{\"type\":\"sendToGroup\",\"group\":\"g\",\"noEcho\":true,\"data\":{\"n\": 1}}");
    assert_read(a, "");
    assert_read(b,
                "{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\",\"fromUserId\":\"ann\","
                "\"dataType\":\"json\",\"data\":{\"n\": 1}}\n");
    assert_effects(kit, "publish g -a\n");
}

static void a_sender_need_not_be_a_member(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(kit, &(struct client){.id = "a", .role = SEND_ANY ".g"});
    struct transport *b =
        kit__connect(kit, &(struct client){.id = "b", .format = &format_raw, .group = "g"});

    kit__says(a, "{\"type\":\"sendToGroup\",\"group\":\"g\",\"dataType\":\"text\",\"data\":\"x\"}");
    assert_read(a, "");
    assert_read(b, "x\n");
}

static void everyone_gets_their_own_format(void **state)
{
    struct kit *kit = *state;
    struct transport *raw = kit__connect(kit, &(struct client){.id = "r", .format = &format_raw});
    struct transport *json = kit__connect(kit, &(struct client){.id = "j"});
    struct transport *reliable =
        kit__connect(kit, &(struct client){.id = "n", .format = &format_json_reliable});

    assert_int_equal(kit__send(kit, SCOPE_HUB, NULL, "m"), 3);
    assert_read(raw, "m\n");
    assert_read(json, SERVER("m"));
    assert_read(reliable, NUMBERED("m", 1));
}

/* --- Scopes ----------------------------------------------------------------- */

static void scopes_name_connections(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(kit, &(struct client){.id = "a", .user = "u"});
    struct transport *b = kit__connect(kit, &(struct client){.id = "b", .user = "u"});
    struct transport *c = kit__connect(kit, &(struct client){.id = "c"});

    assert_int_equal(kit__send(kit, SCOPE_USER, "u", "user"), 2);
    assert_int_equal(kit__send(kit, SCOPE_CONNECTION, "c", "one"), 1);
    assert_int_equal(kit__send(kit, SCOPE_USER, "nobody", "x"), 0);
    assert_int_equal(kit__send(kit, SCOPE_CONNECTION, "z", "x"), 0);
    assert_read(a, SERVER("user"));
    assert_read(b, SERVER("user"));
    assert_read(c, SERVER("one"));
}

static void existence(void **state)
{
    static const struct {
        enum scope scope;
        const char *name;
        size_t matched;
    } rows[] = {
        {SCOPE_HUB, NULL, 2},        {SCOPE_GROUP, "g", 1}, {SCOPE_GROUP, "G", 0},
        {SCOPE_USER, "u", 1},        {SCOPE_USER, "v", 0},  {SCOPE_CONNECTION, "a", 1},
        {SCOPE_CONNECTION, "ab", 0},
    };
    struct kit *kit = *state;

    kit__connect(kit, &(struct client){.id = "a", .user = "u", .group = "g"});
    kit__connect(kit, &(struct client){.id = "b"});
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(kit__apply(kit, (struct hub_command){.op = HUB_EXISTS,
                                                              .scope = rows[i].scope,
                                                              .name = str__of(rows[i].name)})
                             .matched,
                         rows[i].matched);
}

static void excluded_connections_get_nothing(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(kit, &(struct client){.id = "a"});
    struct transport *b = kit__connect(kit, &(struct client){.id = "b"});
    struct str excluded[] = {STR("a"), STR("unknown"), STR("a")};
    struct message *m = message__new(
        &(struct message){.from = MESSAGE_FROM_SERVER, .type = PH_DATA_TEXT, .data = STR("x")});

    kit__apply(kit, (struct hub_command){.op = HUB_SEND,
                                         .scope = SCOPE_HUB,
                                         .excluded = excluded,
                                         .excluded_count = 3,
                                         .message = m});
    message__unref(m);
    kit__send(kit, SCOPE_HUB, NULL, "y");
    assert_read(a, SERVER("y"));
    assert_read(b, SERVER("x") SERVER("y"));
}

static void rest_joins_and_leaves_without_roles(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(kit, &(struct client){.id = "a", .user = "u"});
    struct hub_command join = {.op = HUB_JOIN,
                               .scope = SCOPE_USER,
                               .name = STR("u"),
                               .groups = &STR("g"),
                               .group_count = 1};
    struct hub_command leave = {.op = HUB_LEAVE, .scope = SCOPE_USER, .name = STR("u")};

    assert_int_equal(kit__apply(kit, join).matched, 1);
    join.groups = &STR("g2");
    kit__apply(kit, join);
    assert_int_equal(kit__send(kit, SCOPE_GROUP, "g2", "1"), 1);
    leave.groups = &STR("g2");
    leave.group_count = 1;
    kit__apply(kit, leave);
    assert_int_equal(kit__send(kit, SCOPE_GROUP, "g2", "2"), 0);
    assert_int_equal(kit__send(kit, SCOPE_GROUP, "g", "3"), 1);
    leave.group_count = 0;
    kit__apply(kit, leave);
    assert_int_equal(kit__send(kit, SCOPE_GROUP, "g", "4"), 0);
    assert_read(a, GROUP("g2", "1") GROUP("g", "3"));
}

static void a_whole_group_may_leave_itself(void **state)
{
    struct kit *kit = *state;
    char id[] = "a";

    for (; id[0] < 'h'; id[0]++)
        kit__connect(kit, &(struct client){.id = id, .group = "g"});
    assert_int_equal(kit__apply(kit, (struct hub_command){.op = HUB_LEAVE,
                                                          .scope = SCOPE_GROUP,
                                                          .name = STR("g"),
                                                          .groups = &STR("g"),
                                                          .group_count = 1})
                         .matched,
                     7);
    assert_int_equal(kit__send(kit, SCOPE_GROUP, "g", "x"), 0);
}

static void rest_closes_with_its_reason(void **state)
{
    struct kit *kit = *state;
    struct transport *a =
        kit__connect(kit, &(struct client){.id = "a", .format = &format_json_reliable});

    kit__apply(kit, (struct hub_command){.op = HUB_CLOSE,
                                         .scope = SCOPE_CONNECTION,
                                         .name = STR("a"),
                                         .reason = STR("maintenance")});
    assert_read(a, DISCONNECTED("Application server closed the connection. Reason: maintenance"));
    assert_string_equal(a->closed, "1000 ");
    assert_effects(kit, "ended a: Application server closed the connection. Reason: maintenance\n");
    assert_null(core__find(kit->core, STR("h"), STR("a")));
}

/* --- Acks ------------------------------------------------------------------- */

static void a_repeated_request_is_not_run_again(void **state)
{
    struct kit *kit = *state;
    struct transport *a =
        kit__connect(kit, &(struct client){.id = "a", .role = SEND_ANY, .group = "g"});
    const char *send = "{\"type\":\"sendToGroup\",\"group\":\"g\",\"dataType\":\"text\",\"data\":"
                       "\"x\",\"ackId\":7}";

    kit__says(a, send);
    kit__says(a, send);
    assert_read(a, GROUP("g", "x") ACK(7)
                       NACK(7, "Duplicate", "Message with ack-id: 7 has been processed"));
    /* The duplicate rule comes before the permission. */
    kit__says(a, "{\"type\":\"joinGroup\",\"group\":\"g\",\"ackId\":7}");
    assert_read(a, NACK(7, "Duplicate", "Message with ack-id: 7 has been processed"));
}

/* client-and-rest section 2.3: whatever is asked for under it. */
static void an_id_is_taken_for_every_request(void **state)
{
    static const char *const requests[] = {
        "{\"type\":\"joinGroup\",\"group\":\"g\",\"ackId\":7}",
        "{\"type\":\"leaveGroup\",\"group\":\"g\",\"ackId\":7}",
        "{\"type\":\"sendToGroup\",\"group\":\"g\",\"data\":1,\"ackId\":7}",
        "{\"type\":\"sendToGroup\",\"group\":\"g\",\"stream\":{\"streamId\":\"s\"},\"ackId\":7}",
        "{\"type\":\"event\",\"event\":\"e\",\"data\":1,\"ackId\":7}",
        "{\"type\":\"setGroupState\",\"group\":\"g\",\"state\":{},\"ackId\":7}",
        "{\"type\":\"subscribeGroupState\",\"group\":\"g\",\"ackId\":7}",
        "{\"type\":\"unsubscribeGroupState\",\"group\":\"g\",\"ackId\":7}",
    };
    struct kit *kit = *state;
    struct transport *a =
        kit__connect(kit, &(struct client){.id = "a", .role = "webpubsub.joinLeaveGroup"});

    kit__says(a, requests[0]);
    assert_read(a, ACK(7));
    kit__effects(kit);
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        kit__says(a, requests[i]);
        assert_read(a, NACK(7, "Duplicate", "Message with ack-id: 7 has been processed"));
    }
    assert_effects(kit, "");
}

static void a_refused_request_may_come_again(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(kit, &(struct client){.id = "a", .role = JOIN_ANY ".g"});
    const char *want =
        NACK(1, "Forbidden", "The client does not have permission to join group 'x'.");

    kit__says(a, "{\"type\":\"joinGroup\",\"group\":\"x\",\"ackId\":1}");
    assert_read(a, want);
    kit__says(a, "{\"type\":\"joinGroup\",\"group\":\"x\",\"ackId\":1}");
    assert_read(a, want);
    kit__says(a, "{\"type\":\"joinGroup\",\"group\":\"g\",\"ackId\":1}");
    assert_read(a, ACK(1));
    kit__says(a, "{\"type\":\"leaveGroup\",\"group\":\"x\",\"ackId\":2}");
    assert_read(a, NACK(2, "Forbidden", "The client does not have permission to leave group 'x'."));
    kit__says(a, "{\"type\":\"sendToGroup\",\"group\":\"g\",\"data\":1,\"ackId\":3}");
    assert_read(a,
                NACK(3, "Forbidden", "The client does not have permission to send to group 'g'."));
    kit__says(a, "{\"type\":\"sendToGroup\",\"group\":\"g\",\"data\":1}");
    assert_read(a, "");
}

#define JOINS(id) "{\"type\":\"joinGroup\",\"group\":\"g\",\"ackId\":" #id "}"
#define NO_JOIN(id) NACK(id, "Forbidden", "The client does not have permission to join group 'g'.")

static struct hub_result permit(struct kit *kit, enum hub_op op, const char *who, const char *group)
{
    return kit__apply(kit, (struct hub_command){.op = op,
                                                .scope = SCOPE_CONNECTION,
                                                .name = str__of(who),
                                                .action = PERMISSION_JOIN_LEAVE_GROUP,
                                                .target = str__of(group)});
}

static void permissions_change_at_once(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(kit, &(struct client){.id = "a"});

    kit__says(a, JOINS(1));
    assert_int_equal(permit(kit, HUB_MAY, "a", "g").matched, 0);
    assert_int_equal(permit(kit, HUB_GRANT, "a", "g").matched, 1);
    assert_int_equal(permit(kit, HUB_MAY, "a", "g").matched, 1);
    assert_int_equal(permit(kit, HUB_MAY, "a", NULL).matched, 0);
    kit__says(a, JOINS(1));
    assert_read(a, NO_JOIN(1) ACK(1));
    assert_int_equal(permit(kit, HUB_REVOKE, "a", "g").matched, 1);
    kit__says(a, JOINS(2));
    assert_read(a, NO_JOIN(2));
    assert_int_equal(kit__send(kit, SCOPE_GROUP, "g", "x"), 1); /* it is a member still */
    assert_int_equal(permit(kit, HUB_GRANT, "b", "g").matched, 0);
    assert_int_equal(permit(kit, HUB_GRANT, "a", NULL).matched, 1);
    assert_int_equal(permit(kit, HUB_MAY, "a", NULL).matched, 1);
}

static void permissions_survive_recovery(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(
        kit, &(struct client){.id = "a", .format = &format_json_reliable, .role = JOIN_ANY});

    session__detach(a->session, 0, STR("gone"));
    permit(kit, HUB_REVOKE, "a", "g");
    a = kit__reattach(kit, a->session, "t");
    kit__read(a);
    kit__says(a, JOINS(1));
    assert_read(a, NO_JOIN(1));
}

static void permissions_stop_at_the_limit(void **state)
{
    struct core_limits limits = CORE_LIMITS_DEFAULT;
    struct hub_result result;
    struct kit kit;

    (void)state;
    limits.permissions.literals = 1;
    kit__init(&kit, &limits);
    kit__connect(&kit, &(struct client){.id = "a"});
    assert_false(permit(&kit, HUB_GRANT, "a", "g").conflict);
    result = permit(&kit, HUB_GRANT, "a", "h");
    assert_true(result.conflict && result.matched == 1);
    assert_int_equal(permit(&kit, HUB_MAY, "a", "g").matched, 1);
    assert_int_equal(permit(&kit, HUB_MAY, "a", "h").matched, 0);
    kit__free(&kit);
}

/* Names are granted before patterns, whatever their order in the token; a role that is
 * refused says so. */
static void roles_are_granted_in_their_order(void **state)
{
    struct core_limits limits = CORE_LIMITS_DEFAULT;
    struct transport *a;
    struct kit kit;

    (void)state;
    limits.permissions = (struct permission_limits){1, 2};
    kit__init(&kit, &limits);
    a = kit__connect(&kit,
                     &(struct client){.id = "a", .role = JOIN_ANY "s.?", .role2 = JOIN_ANY ".g"});
    kit__says(a, JOINS(1));
    assert_read(a, ACK(1));
    assert_int_equal(kit.log.len, 0);
    permit(&kit, HUB_REVOKE, "a", "g"); /* the pattern took the name's place, so there is room */
    kit__says(a, JOINS(2));
    assert_read(a, NO_JOIN(2));
    kit__connect(&kit, &(struct client){.id = "b", .role = JOIN_ANY ".y", .role2 = JOIN_ANY ".x"});
    assert_int_equal(permit(&kit, HUB_MAY, "b", "x").matched, 1);
    assert_int_equal(permit(&kit, HUB_MAY, "b", "y").matched, 0);
    kit.log.data[kit.log.len] = '\0';
    assert_non_null(strstr(kit.log.data, "role webpubsub.joinLeaveGroup.y is refused"));
    kit__free(&kit);
}

static void the_oldest_ids_are_forgotten(void **state)
{
    struct core_limits limits = CORE_LIMITS_DEFAULT;
    struct kit kit;
    struct transport *a;

    (void)state;
    limits.ack_ids = 2;
    kit__init(&kit, &limits);
    a = kit__connect(&kit, &(struct client){.id = "a", .role = JOIN_ANY});
    kit__says(a, "{\"type\":\"joinGroup\",\"group\":\"g\",\"ackId\":1}");
    kit__says(a, "{\"type\":\"joinGroup\",\"group\":\"g\",\"ackId\":2}");
    kit__says(a, "{\"type\":\"joinGroup\",\"group\":\"g\",\"ackId\":1}");
    kit__says(a, "{\"type\":\"joinGroup\",\"group\":\"g\",\"ackId\":3}");
    kit__says(a, "{\"type\":\"joinGroup\",\"group\":\"g\",\"ackId\":1}");
    assert_read(a, ACK(1) ACK(2) NACK(1, "Duplicate", "Message with ack-id: 1 has been processed")
                       ACK(3) ACK(1));
    kit__free(&kit);
}

static void ping_is_answered(void **state)
{
    struct transport *a = kit__connect(*state, &(struct client){.id = "a"});

    kit__says(a, "{\"type\":\"ping\"}");
    assert_read(a, "{\"type\":\"pong\"}\n");
}

/* --- Events ----------------------------------------------------------------- */

static void an_answer_comes_before_its_ack(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(kit, &(struct client){.id = "a"});

    kit__says(
        a,
        "{\"type\":\"event\",\"event\":\"ev\",\"dataType\":\"text\",\"data\":\"x\",\"ackId\":5}");
    assert_effects(kit, "event a ev 0 x #1\n");
    assert_read(a, "");
    assert_true(session__event_answer(
        a->session, 1,
        &(struct event_answer){
            .success = true, .has_data = true, .type = PH_DATA_TEXT, .data = STR("re")}));
    assert_read(a, SERVER("re") ACK(5));
    kit__says(a, "{\"type\":\"event\",\"event\":\"ev\",\"data\":1,\"ackId\":5}");
    assert_read(a, NACK(5, "Duplicate", "Message with ack-id: 5 has been processed"));
    assert_effects(kit, "");
}

static void an_event_under_way_is_not_sent_twice(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(kit, &(struct client){.id = "a"});
    const char *event = "{\"type\":\"event\",\"event\":\"ev\",\"data\":1,\"ackId\":5}";

    kit__says(a, event);
    kit__says(a, event);
    assert_effects(kit, "event a ev 1 1 #1\n");
    session__event_answer(a->session, 1, &(struct event_answer){.failure = "handler said 500"});
    assert_read(a, NACK(5, "InternalServerError", "Internal server error"));
    kit__says(a, event);
    assert_effects(kit, "event a ev 1 1 #2\n");
    session__event_answer(a->session, 2, &(struct event_answer){.success = true});
    assert_read(a, ACK(5));
    assert_non_null(strstr(kit->log.data, "handler said 500"));
}

static void an_event_without_ack_fails_in_the_log(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(kit, &(struct client){.id = "a"});

    kit__says(a, "{\"type\":\"event\",\"event\":\"ev\",\"data\":1}");
    assert_true(session__event_answer(
        a->session, 0,
        &(struct event_answer){.failure = "no handler: set one", .no_handler = true}));
    assert_read(a, "");
    assert_non_null(strstr(kit->log.data, "no handler: set one"));
}

static void a_full_event_queue_fails_the_event(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(kit, &(struct client){.id = "a"});
    struct transport *b = kit__connect(kit, &(struct client){.id = "b", .format = &format_raw});

    kit->refuse_events = true;
    assert_true(kit__says(a, "{\"type\":\"event\",\"event\":\"ev\",\"data\":1,\"ackId\":5}"));
    assert_read(a, NACK(5, "InternalServerError", "Internal server error"));
    assert_false(kit__says(b, "hello"));
    assert_string_equal(b->closed, "1011 Internal server error");
}

static void an_answer_may_come_from_inside_the_effect(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(kit, &(struct client){.id = "a"});
    struct transport *b = kit__connect(kit, &(struct client){.id = "b", .format = &format_raw});

    kit->answer_at_once = true;
    assert_true(kit__says(a, "{\"type\":\"event\",\"event\":\"ev\",\"data\":1,\"ackId\":5}"));
    assert_read(a, NACK(5, "InternalServerError", "Internal server error"));
    assert_false(kit__says(b, "hello"));
    assert_effects(kit, "event a ev 1 1 #1\nevent b message 0 hello\n"
                        "ended b: Internal server error\n");
}

/* A DataMessage with data that cannot be read would take the whole frame with it. */
static void an_answer_that_is_no_any_fails_the_event(void **state)
{
    struct kit *kit = *state;
    struct transport *a =
        kit__connect(kit, &(struct client){.id = "a", .format = &format_protobuf});
    const char *event = "\x2a\x0a\x0a\x01"
                        "e\x12\x03\x0a\x01x\x18\x05"; /* event e, text x, ack id 5 */
    struct event_answer answer = {
        .success = true, .has_data = true, .type = PH_DATA_PROTOBUF, .data = STR("xyz")};

    assert_true(kit__says(a, event));
    assert_true(session__event_answer(a->session, 1, &answer));
    assert_non_null(strstr(kit__read(a), "InternalServerError"));
    assert_non_null(strstr(kit->log.data, "must be a serialized google.protobuf.Any"));
    assert_true(kit__says(a, event));
    answer.data = STR("\x0a\x01t\x12\x01v");
    assert_true(session__event_answer(a->session, 2, &answer));
    assert_read(a, "\x12\x12\x0a\x06server\x1a\x08\x1a\x06\x0a\x01t\x12\x01v\n"
                   "\x0a\x04\x08\x05\x10\x01\n");
}

/* --- Raw clients ------------------------------------------------------------ */

static void a_raw_message_is_an_event(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(kit, &(struct client){.id = "a", .format = &format_raw});

    assert_true(kit__says(a, "hello"));
    assert_effects(kit, "event a message 0 hello\n");
    assert_true(session__event_answer(
        a->session, 0,
        &(struct event_answer){
            .success = true, .has_data = true, .type = PH_DATA_JSON, .data = STR("{\"a\":1}")}));
    assert_read(a, "{\"a\":1}\n");
    assert_false(session__event_answer(a->session, 0, &(struct event_answer){.failure = "secret"}));
    assert_read(a, "");
    assert_string_equal(a->closed, "1011 Internal server error");
    assert_effects(kit, "ended a: Internal server error\n");
}

static void raw_send_to_group_mode(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(kit, &(struct client){.id = "a",
                                                             .format = &format_raw,
                                                             .publish_group = "g",
                                                             .group = "g",
                                                             .publish_no_echo = true,
                                                             .role = SEND_ANY ".g"});
    struct transport *b = kit__connect(
        kit,
        &(struct client){.id = "b", .format = &format_raw, .publish_group = "g", .group = "g"});

    assert_true(kit__says(a, "x"));
    assert_read(a, "");
    assert_read(b, "x\n");
    assert_false(kit__says(b, "y"));
    assert_string_equal(b->closed,
                        "1008 The connection is not authorized for raw sendToGroup mode.");
    assert_read(a, "");
}

/* --- Limits ------------------------------------------------------------------ */

static void a_slow_client_is_closed_at_the_limit(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(kit, &(struct client){.id = "a", .group = "g"});
    struct transport *b = kit__connect(kit, &(struct client){.id = "b", .group = "g"});

    a->stuck = a->linger = true;
    for (int i = 0; i < 1000; i++) {
        kit__send(kit, SCOPE_GROUP, "g", "x");
        kit__read(b);
    }
    assert_string_equal(a->closed, "");
    assert_int_equal(kit__send(kit, SCOPE_GROUP, "g", "y"), 2);
    assert_string_equal(a->closed, "1008 The outbound message queue is full.");
    assert_effects(kit, "ended a: The outbound message queue is full.\n");
    assert_read(b, GROUP("g", "y"));
    assert_int_equal(kit__send(kit, SCOPE_GROUP, "g", "z"), 1);
    assert_non_null(strstr(kit->log.data, "SlowClient"));
    session__detach(a->session, 0, STR_NONE);
}

static void a_burst_in_one_turn_does_not_make_a_client_slow(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(kit, &(struct client){.id = "a", .group = "g"});

    for (int i = 0; i < 499; i++)
        kit__send(kit, SCOPE_GROUP, "g", "x");
    assert_int_equal(a->relieved, 0);
    for (int i = 499; i < 5000; i++)
        kit__send(kit, SCOPE_GROUP, "g", "x");
    assert_int_equal(a->relieved, 10);
    assert_string_equal(a->closed, "");
    kit__flush(kit);
    assert_int_equal(a->out.len, 5000 * strlen(GROUP("g", "x")));
}

static void many_may_end_in_one_fan_out(void **state)
{
    struct kit *kit = *state;
    struct transport *t[20], *late;
    char id[3] = "a0";

    for (int i = 0; i < 20; i++) {
        id[1] = (char)('a' + i);
        t[i] = kit__connect(kit, &(struct client){.id = id, .user = "u", .group = "g"});
        t[i]->stuck = i % 3 != 0;
    }
    late = t[0];
    for (int i = 0; i < 1000; i++) {
        kit__send(kit, i % 2 ? SCOPE_GROUP : SCOPE_USER, i % 2 ? "g" : "u", "x");
        kit__flush(kit);
    }
    kit__read(late);
    assert_int_equal(kit__send(kit, SCOPE_USER, "u", "all get this or end"), 20);
    assert_int_equal(core__session_count(kit->core), 7);
    assert_int_equal(kit__send(kit, SCOPE_GROUP, "g", "x"), 7);
    assert_read(late, SERVER("all get this or end") GROUP("g", "x"));
}

/* --- Reliable clients --------------------------------------------------------- */

static struct transport *reliable(struct kit *kit)
{
    return kit__connect(
        kit, &(struct client){
                 .id = "a", .format = &format_json_reliable, .role = JOIN_ANY, .group = "g"});
}

static void recovery_replays_what_was_not_acknowledged(void **state)
{
    struct kit *kit = *state;
    struct transport *t = reliable(kit), *again;
    struct session *s = t->session;

    kit__send(kit, SCOPE_HUB, NULL, "one");
    kit__send(kit, SCOPE_HUB, NULL, "two");
    kit__send(kit, SCOPE_HUB, NULL, "three");
    assert_read(t, NUMBERED("one", 1) NUMBERED("two", 2) NUMBERED("three", 3));
    kit__says(t, "{\"type\":\"sequenceAck\",\"sequenceId\":2}");
    kit__says(t, "{\"type\":\"joinGroup\",\"group\":\"x\",\"ackId\":1}"); /* its ack is lost */
    session__detach(s, 1000, STR("gone"));
    assert_effects(kit, "");
    kit__send(kit, SCOPE_CONNECTION, "a", "four");
    assert_null(core__next_dirty(kit->core));
    assert_int_equal(core__tick(kit->core, 1000), 31000);

    again = kit__reattach(kit, s, "fresh");
    assert_int_equal(core__tick(kit->core, 99000), INT64_MAX);
    assert_read(again, CONNECTED_WITH("a", "fresh") NUMBERED("three", 3) NUMBERED("four", 4));
    kit__says(again, "{\"type\":\"joinGroup\",\"group\":\"x\",\"ackId\":1}");
    assert_read(again, NACK(1, "Duplicate", "Message with ack-id: 1 has been processed"));
    kit__send(kit, SCOPE_CONNECTION, "a", "five");
    assert_read(again, NUMBERED("five", 5));
}

static void a_replayed_message_acknowledged_meanwhile_is_not_kept(void **state)
{
    struct kit *kit = *state;
    struct transport *t = reliable(kit);

    kit__send(kit, SCOPE_HUB, NULL, "one");
    kit__send(kit, SCOPE_HUB, NULL, "two");
    kit__flush(kit);
    t = kit__reattach(kit, t->session, "t");
    kit__says(t, "{\"type\":\"sequenceAck\",\"sequenceId\":1}");
    assert_read(t, CONNECTED_WITH("a", "t") NUMBERED("one", 1) NUMBERED("two", 2));
    t = kit__reattach(kit, t->session, "t");
    assert_read(t, CONNECTED_WITH("a", "t") NUMBERED("two", 2));
}

static void acks_of_what_was_never_sent_mean_nothing(void **state)
{
    struct kit *kit = *state;
    struct transport *t = reliable(kit);

    kit__says(t, "{\"type\":\"sequenceAck\",\"sequenceId\":18446744073709551615}");
    kit__send(kit, SCOPE_HUB, NULL, "one");
    kit__flush(kit);
    t = kit__reattach(kit, t->session, "t");
    assert_read(t, CONNECTED_WITH("a", "t") NUMBERED("one", 1));
}

static void a_second_transport_aborts_the_first(void **state)
{
    struct kit *kit = *state;
    struct transport *t = reliable(kit), *again;
    struct session *s = t->session;

    again = kit__reattach(kit, s, "t");
    assert_string_equal(t->closed, "aborted");
    assert_ptr_equal(session__transport(s), again);
    assert_effects(kit, "");
}

/* How many sessions there were when the log said that one was closed. */
struct witness {
    struct core *core;
    size_t lines, sessions;
};

static void look_around(void *arg, enum ph_log_level level, const char *line, size_t len)
{
    struct witness *w = arg;

    (void)level;
    if (!memmem(line, len, "closed (Normal)", 15))
        return;
    w->lines++;
    w->sessions = core__session_count(w->core);
}

static void the_log_tells_of_an_end_that_has_come(void **state)
{
    struct kit *kit = *state;
    struct witness w = {.core = kit->core};
    struct transport *a = kit__connect(kit, &(struct client){.id = "a"});

    kit__connect(kit, &(struct client){.id = "b"});
    ph_log_set_sink(kit->config.log, look_around, &w);
    session__end(a->session, &(struct close_reason){.code = 1000, .category = STR("Normal")});
    ph_log_set_sink(kit->config.log, NULL, NULL);
    assert_int_equal(w.lines, 1);
    assert_int_equal(w.sessions, 1);
}

static void recovery_ends_after_its_time(void **state)
{
    struct kit *kit = *state;
    struct transport *t = reliable(kit);

    session__detach(t->session, 1000, STR("gone"));
    assert_int_equal(core__tick(kit->core, 30999), 31000);
    assert_non_null(core__find(kit->core, STR("h"), STR("a")));
    assert_int_equal(core__tick(kit->core, 31000), INT64_MAX);
    assert_null(core__find(kit->core, STR("h"), STR("a")));
    assert_effects(kit, "ended a: The connection recovery timeout expired.\n");
}

static void a_reliable_client_is_closed_when_too_much_is_unacknowledged(void **state)
{
    struct kit *kit = *state;
    struct transport *t = reliable(kit);

    for (int i = 0; i < 1000; i++) {
        kit__send(kit, SCOPE_HUB, NULL, "x");
        kit__flush(kit);
    }
    kit__says(t, "{\"type\":\"ping\"}");
    assert_string_equal(t->closed, "");
    kit__send(kit, SCOPE_HUB, NULL, "x");
    assert_string_equal(t->closed, "1008 The reliable message buffer is full.");
    assert_null(core__find(kit->core, STR("h"), STR("a")));
}

static void a_detached_session_keeps_within_its_limits_too(void **state)
{
    struct kit *kit = *state;
    struct transport *t = reliable(kit);

    session__detach(t->session, 0, STR("gone"));
    for (int i = 0; i < 1000; i++)
        kit__send(kit, SCOPE_HUB, NULL, "x");
    assert_effects(kit, "");
    kit__send(kit, SCOPE_HUB, NULL, "x");
    assert_effects(kit, "ended a: The reliable message buffer is full.\n");
    assert_int_equal(core__session_count(kit->core), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, kit__set_up, kit__tear_down)

/* client-and-rest section 2.1 */
static void metadata_reaches_members_and_event_handlers(void **state)
{
    struct transport *a = kit__connect(*state, &(struct client){.id = "a", .role = SEND_ANY});
    struct metadata_entry entry = {STR("Trace"), STR("1")};
    struct command cmd = {.kind = COMMAND_SEND_TO_GROUP,
                          .group = STR("g"),
                          .type = PH_DATA_TEXT,
                          .has_data = true,
                          .data = STR("x"),
                          .event = STR("e"),
                          .metadata = {&entry, 1}};

    kit__effects(*state);
    assert_true(session__command(a->session, &cmd));
    assert_effects(*state, "publish g Trace=1\n");
    cmd.kind = COMMAND_EVENT;
    assert_true(session__command(a->session, &cmd));
    assert_effects(*state, "event a e 0 x Trace=1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_client_is_greeted_first),
        CASE(what_comes_before_the_socket_follows_the_greeting),
        CASE(an_id_is_used_once),
        CASE(a_plain_session_ends_with_its_socket),
        CASE(a_closing_transport_still_gets_what_is_queued),
        CASE(shutdown_closes_everybody),
        CASE(an_answer_overtakes_messages_to_others),
        CASE(patience_has_an_end),
        CASE(who_is_lost_is_not_waited_for),
        CASE(join_send_leave),
        CASE(joining_twice_is_being_in_once),
        CASE(no_echo_leaves_the_sender_out),
        CASE(a_sender_need_not_be_a_member),
        CASE(everyone_gets_their_own_format),
        CASE(scopes_name_connections),
        CASE(existence),
        CASE(excluded_connections_get_nothing),
        CASE(rest_joins_and_leaves_without_roles),
        CASE(a_whole_group_may_leave_itself),
        CASE(rest_closes_with_its_reason),
        CASE(a_repeated_request_is_not_run_again),
        CASE(an_id_is_taken_for_every_request),
        CASE(a_refused_request_may_come_again),
        cmocka_unit_test_setup_teardown(metadata_reaches_members_and_event_handlers, kit__set_up,
                                        kit__tear_down),
        CASE(permissions_change_at_once),
        CASE(permissions_survive_recovery),
        cmocka_unit_test(permissions_stop_at_the_limit),
        cmocka_unit_test(roles_are_granted_in_their_order),
        cmocka_unit_test(the_oldest_ids_are_forgotten),
        CASE(ping_is_answered),
        CASE(an_answer_comes_before_its_ack),
        CASE(an_event_under_way_is_not_sent_twice),
        CASE(an_event_without_ack_fails_in_the_log),
        CASE(a_full_event_queue_fails_the_event),
        CASE(an_answer_may_come_from_inside_the_effect),
        CASE(an_answer_that_is_no_any_fails_the_event),
        CASE(a_raw_message_is_an_event),
        CASE(raw_send_to_group_mode),
        CASE(a_slow_client_is_closed_at_the_limit),
        CASE(a_burst_in_one_turn_does_not_make_a_client_slow),
        CASE(many_may_end_in_one_fan_out),
        CASE(recovery_replays_what_was_not_acknowledged),
        CASE(a_replayed_message_acknowledged_meanwhile_is_not_kept),
        CASE(acks_of_what_was_never_sent_mean_nothing),
        CASE(a_second_transport_aborts_the_first),
        CASE(the_log_tells_of_an_end_that_has_come),
        CASE(recovery_ends_after_its_time),
        CASE(a_reliable_client_is_closed_when_too_much_is_unacknowledged),
        CASE(a_detached_session_keeps_within_its_limits_too),
    };

    return cmocka_run_group_tests_name("core", tests, NULL, NULL);
}
