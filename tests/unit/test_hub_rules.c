/* What a hub's settings change about its sessions: who hears of joins and leaves, and what
 * a failed user event does to the client (event-handler section 3.8). */
#include "core_kit.h"
#include "unit.h"

#include <stdio.h>

#define JOIN_ANY "webpubsub.joinLeaveGroup"

/* --- Group presence (official-emulator section 3.7) --------------------------- */

static void joins_and_leaves_are_told(void **state)
{
    struct kit *kit = *state;
    struct transport *a;
    struct str groups[] = {STR("two"), STR("three")};

    kit->rules.presence = true;
    a = kit__connect(kit, &(struct client){.id = "a", .group = "one", .role = JOIN_ANY});
    assert_effects(kit, ""); /* `connected` comes before the groups of the token */
    session__present(a->session);
    assert_effects(kit, "joined a one\n");
    kit__says(a, "{\"type\":\"joinGroup\",\"group\":\"two\"}");
    kit__says(a, "{\"type\":\"joinGroup\",\"group\":\"two\"}");
    kit__says(a, "{\"type\":\"leaveGroup\",\"group\":\"three\"}");
    assert_effects(kit, "joined a two\n"); /* nothing else has changed */
    kit__says(a, "{\"type\":\"leaveGroup\",\"group\":\"one\"}");
    assert_effects(kit, "left a one\n");
    kit__apply(kit, (struct hub_command){.op = HUB_JOIN,
                                         .scope = SCOPE_CONNECTION,
                                         .name = STR("a"),
                                         .groups = groups,
                                         .group_count = 2});
    assert_effects(kit, "joined a three\n");
    kit__apply(kit, (struct hub_command){.op = HUB_LEAVE, .scope = SCOPE_HUB});
    assert_effects(kit, "left a three\nleft a two\n");
}

static void the_end_leaves_all_groups_before_disconnected(void **state)
{
    struct kit *kit = *state;
    struct transport *a;

    kit->rules.presence = true;
    a = kit__connect(kit, &(struct client){.id = "a", .group = "one", .role = JOIN_ANY});
    session__present(a->session);
    kit__says(a, "{\"type\":\"joinGroup\",\"group\":\"two\"}");
    kit__effects(kit);
    session__detach(a->session, 0, STR("gone"));
    assert_effects(kit, "left a one\nleft a two\nended a: gone\n");
}

static void a_whole_group_hears_of_its_end(void **state)
{
    struct kit *kit = *state;
    const char *ids[] = {"a", "b", "c"};

    kit->rules.presence = true;
    for (int i = 0; i < 3; i++)
        session__present(kit__connect(kit, &(struct client){.id = ids[i], .group = "g"})->session);
    kit__effects(kit);
    kit__apply(kit, (struct hub_command){.op = HUB_CLOSE, .scope = SCOPE_GROUP, .name = STR("g")});
    assert_effects(kit, "left c g\nended c: Application server closed the connection.\n"
                        "left b g\nended b: Application server closed the connection.\n"
                        "left a g\nended a: Application server closed the connection.\n");
}

static void a_recovery_neither_joins_nor_leaves(void **state)
{
    struct kit *kit = *state;
    struct transport *a;
    struct session *s;

    kit->rules.presence = true;
    a = kit__connect(kit,
                     &(struct client){.id = "a", .group = "g", .format = &format_json_reliable});
    s = a->session;
    session__present(s);
    kit__effects(kit);
    session__detach(s, 0, STR("cut"));
    assert_effects(kit, "");
    kit__reattach(kit, s, "token");
    assert_effects(kit, "");
    session__detach(s, 0, STR("cut"));
    core__tick(kit->core, 30000);
    assert_effects(kit, "left a g\nended a: The connection recovery timeout expired.\n");
}

static void nobody_is_told_unless_somebody_wants_to_hear(void **state)
{
    struct kit *kit = *state;
    struct transport *a = kit__connect(kit, &(struct client){.id = "a", .group = "g"});

    session__present(a->session);
    kit__apply(kit, (struct hub_command){.op = HUB_LEAVE, .scope = SCOPE_HUB});
    assert_effects(kit, "");
    kit->rules.presence = true; /* the settings change while the broker runs */
    core__ask_rules(kit->core);
    kit__apply(kit, (struct hub_command){.op = HUB_JOIN,
                                         .scope = SCOPE_HUB,
                                         .groups = (struct str[]){STR("h")},
                                         .group_count = 1});
    assert_effects(kit, "joined a h\n");
}

/* --- Failed user events ------------------------------------------------------- */

struct row {
    struct hub_rules rules;
    const struct format *format; /* NULL: JSON */
    bool with_ack;
    const char *frames, *closed;
};

#define EVENT "\"event\",\"event\":\"e\",\"data\":1"
#define ACK(name)                                                                                  \
    "{\"type\":\"ack\",\"ackId\":1,\"success\":false,\"error\":{\"name\":\"" name                  \
    "\",\"message\":\"Internal server error\"}}\n"
#define GOODBYE                                                                                    \
    "{\"type\":\"system\",\"event\":\"disconnected\",\"message\":\"Internal server error\"}\n"
#define CLOSED "1011 Internal server error"

static const struct row rows[] = {
    {{0}, NULL, true, ACK("InternalServerError"), ""},
    {{.invocation_failed = true}, NULL, true, ACK("InvocationFailed"), ""},
    {{.close_on_failed_ack = true}, NULL, true, ACK("InternalServerError") GOODBYE, CLOSED},
    {{.close_on_failed = true}, NULL, true, ACK("InternalServerError"), ""},
    {{0}, NULL, false, "", ""},
    {{.close_on_failed_ack = true}, NULL, false, "", ""},
    {{.close_on_failed = true}, NULL, false, GOODBYE, CLOSED},
    {{.normal_raw_close = true}, NULL, false, "", ""},
    {{0}, &format_raw, false, "", CLOSED},
    {{.normal_raw_close = true}, &format_raw, false, "", "1000 "},
};

/* Whether the event costs the client its connection or not. */
static void expect_one_line(const struct kit *kit, const struct row *row, const char *why)
{
    const char *line = strstr(kit->log.data, why);
    const char *lead = *row->closed ? "closed (SendEventFailed): " : "user event failed: ";

    if (!line || strstr(line + 1, why) || strstr(line, "\nclosed") ||
        memcmp(line - strlen(lead), lead, strlen(lead)) != 0)
        fail_msg("row %zu: log %s", (size_t)(row - rows), kit->log.data);
}

static void expect_row(const struct row *row, bool refused)
{
    struct kit kit;
    struct transport *t;
    const char *text = row->format     ? "x"
                       : row->with_ack ? "{\"type\":" EVENT ",\"ackId\":1}"
                                       : "{\"type\":" EVENT "}";
    char frames[512];

    kit__init(&kit, NULL);
    kit.rules = row->rules;
    kit.refuse_events = refused;
    t = kit__connect(&kit, &(struct client){.id = "a", .format = row->format});
    kit__says(t, text);
    if (!refused)
        session__event_answer(t->session, row->with_ack ? 1 : 0,
                              &(struct event_answer){.failure = "the handler's secret"});
    snprintf(frames, sizeof(frames), "%s", kit__read(t));
    if (strcmp(frames, row->frames) != 0 || strcmp(t->closed, row->closed) != 0)
        fail_msg("row %zu: frames %s closed %s", (size_t)(row - rows), frames, t->closed);
    expect_one_line(&kit, row, refused ? "refused" : "the handler's secret");
    kit__free(&kit);
}

static void a_failed_event_does_what_the_rules_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        expect_row(&rows[i], false);
        expect_row(&rows[i], true);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, kit__set_up, kit__tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(joins_and_leaves_are_told),
        CASE(the_end_leaves_all_groups_before_disconnected),
        CASE(a_whole_group_hears_of_its_end),
        CASE(a_recovery_neither_joins_nor_leaves),
        CASE(nobody_is_told_unless_somebody_wants_to_hear),
        cmocka_unit_test(a_failed_event_does_what_the_rules_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
