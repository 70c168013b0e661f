/* Roles, and the memory for ids of requests. */
#include "broker/core/ack_ids.h"
#include "broker/core/role.h"
#include "unit.h"

#include <stdio.h>

#define SEND PERMISSION_SEND_TO_GROUP
#define JOIN PERMISSION_JOIN_LEAVE_GROUP
#define STATE PERMISSION_SET_GROUP_STATE

#define ROLE(p, role) role__grant(p, STR(role), &limits, &seed, &diag)
#define ALLOWS(p, action, group) permissions__allow(p, action, str__of(group))

static const struct map_seed seed = {3, 4};
static const struct permission_limits limits = {4, 3};
static struct diag diag;

static void roles_grant_what_they_say(void **state)
{
    static const struct {
        const char *role;
        enum permission_action action;
        const char *group; /* NULL: every group */
        bool allowed;
    } rows[] = {
        {"webpubsub.sendToGroup", SEND, "any", true},
        {"webpubsub.sendToGroup", SEND, NULL, true},
        {"webpubsub.sendToGroup", JOIN, "any", false},
        {"webpubsub.joinLeaveGroup", JOIN, "any", true},
        {"webpubsub.joinLeaveGroup.g", JOIN, "g", true},
        {"webpubsub.joinLeaveGroup.g", JOIN, NULL, false},
        {"webpubsub.joinLeaveGroup.g", JOIN, "G", false},
        {"webpubsub.joinLeaveGroup.g", SEND, "g", false},
        {"webpubsub.sendToGroup.a.b", SEND, "a.b", true},
        {"webpubsub.sendToGroup.a.b", SEND, "a", false},
        {"webpubsub.sendToGroup.a", SEND, "a.b", false},
        {"webpubsub.sendToGroup.*", SEND, "*", true},
        {"webpubsub.sendToGroup.*", SEND, "a", false},
        {"webpubsub.sendToGroup.a\\*", SEND, "a\\*", true},
        {"webpubsub.sendToGroups.chat-*", SEND, "chat-1", true},
        {"webpubsub.sendToGroups.chat-*", SEND, "chat.1", false},
        {"webpubsub.sendToGroups.chat-*", SEND, NULL, false},
        {"webpubsub.sendToGroups.chat-*", JOIN, "chat-1", false},
        {"webpubsub.joinLeaveGroups.clientA.*", JOIN, "clientA.a", true},
        {"webpubsub.joinLeaveGroups.clientA.*", JOIN, "clientA.a.b", false},
        {"webpubsub.joinLeaveGroups.clientA.**", JOIN, "clientA.a.b", true},
        {"webpubsub.joinLeaveGroups.clientA.rooms.?1", JOIN, "clientA.rooms.11", true},
        {"webpubsub.joinLeaveGroups.clientA.rooms.?1", JOIN, "clientA.rooms.1", false},
        {"webpubsub.sendToGroups.a\\*", SEND, "a*", true},
        {"webpubsub.sendToGroups.a\\*", SEND, "ab", false},
        {"webpubsub.sendToGroups.g", SEND, "g", true},
        {"webpubsub.sendToGroups.**", SEND, NULL, true},
        {"webpubsub.sendToGroups.***", SEND, "a.b", true},
        {"webpubsub.sendToGroups.*", SEND, NULL, false},
        {"webpubsub.setGroupState", STATE, "any", true},
        {"webpubsub.setGroupState.g", STATE, "g", true},
        {"webpubsub.setGroupState.g", STATE, "h", false},
        {"webpubsub.setGroupState.g", PERMISSION_GET_GROUP_STATE, "g", false},
        {"webpubsub.getGroupState.g", PERMISSION_GET_GROUP_STATE, "g", true},
        {"sendToGroup", SEND, "a", false},
        {"", SEND, "a", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct permissions p = {0};

        assert_int_equal(role__grant(&p, str__of(rows[i].role), &limits, &seed, &diag), PH_OK);
        if (ALLOWS(&p, rows[i].action, rows[i].group) != rows[i].allowed)
            fail_msg("role %s, group %s", rows[i].role, rows[i].group ? rows[i].group : "any");
        permissions__free(&p);
    }
}

static void roles_that_are_none_are_explained(void **state)
{
    static const struct {
        const char *role;
        enum ph_err err;
        const char *why; /* part of it */
    } rows[] = {
        {"webpubsub.sendToGroup.", PH_ERR_ARGUMENT, "not the name of a group"},
        {"webpubsub.sendToGroup.  ", PH_ERR_ARGUMENT, "not the name of a group"},
        {"webpubsub.sendToGroupx", PH_ERR_NOT_FOUND, "with their case"},
        {"webpubsub.sendtogroup", PH_ERR_NOT_FOUND, "with their case"},
        {"webpubsub.sendToGroups", PH_ERR_NOT_FOUND, "PATTERN"},
        {"webpubsub.setGroupStates.a*", PH_ERR_NOT_FOUND, "webpubsub.sendToGroups.PATTERN"},
        {"webpubsub.sendToGroups.", PH_ERR_SYNTAX, "empty"},
        {"webpubsub.sendToGroups.a\\b", PH_ERR_SYNTAX, "before something else"},
        {"webpubsub.sendToGroups.a\\", PH_ERR_SYNTAX, "single"},
        {"webpubsub.sendToGroups.*a*a*a*a*a*", PH_ERR_SYNTAX, "more than 5"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct permissions p = {0};

        assert_int_equal(role__grant(&p, str__of(rows[i].role), &limits, &seed, &diag),
                         rows[i].err);
        if (!strstr(diag.text, rows[i].why))
            fail_msg("role %s: %s", rows[i].role, diag.text);
        assert_null(p.rules);
        assert_false(p.everything[SEND]);
    }
}

static void names_stop_at_the_limit(void **state)
{
    struct permissions p = {0};

    (void)state;
    assert_int_equal(ROLE(&p, "webpubsub.sendToGroup.a"), PH_OK);
    assert_int_equal(ROLE(&p, "webpubsub.sendToGroup.b"), PH_OK);
    assert_int_equal(ROLE(&p, "webpubsub.sendToGroup.c"), PH_OK);
    assert_int_equal(ROLE(&p, "webpubsub.sendToGroup.d"), PH_OK);
    assert_int_equal(ROLE(&p, "webpubsub.sendToGroup.d"), PH_OK);
    assert_int_equal(ROLE(&p, "webpubsub.sendToGroup.e"), PH_ERR_LIMIT);
    assert_non_null(strstr(diag.text, "limits.permissionNames"));
    assert_int_equal(ROLE(&p, "webpubsub.joinLeaveGroup.e"), PH_OK);
    assert_true(ALLOWS(&p, SEND, "d"));
    assert_false(ALLOWS(&p, SEND, "e"));
    /* A pattern that holds the names makes room for others. */
    assert_int_equal(ROLE(&p, "webpubsub.sendToGroups.?"), PH_OK);
    assert_int_equal(ROLE(&p, "webpubsub.sendToGroup.ee"), PH_OK);
    permissions__free(&p);
}

static void patterns_stop_at_the_limit(void **state)
{
    struct permissions p = {0};

    (void)state;
    assert_int_equal(ROLE(&p, "webpubsub.sendToGroups.a*"), PH_OK);
    assert_int_equal(ROLE(&p, "webpubsub.sendToGroups.b*"), PH_OK);
    assert_int_equal(ROLE(&p, "webpubsub.sendToGroups.c*"), PH_ERR_LIMIT);
    /* official-emulator section 2.6: a name in the form of a pattern is counted as one */
    assert_int_equal(ROLE(&p, "webpubsub.sendToGroups.c"), PH_ERR_LIMIT);
    assert_int_equal(ROLE(&p, "webpubsub.sendToGroup.c"), PH_OK);
    assert_int_equal(ROLE(&p, "webpubsub.joinLeaveGroups.c*"), PH_OK);
    assert_int_equal(ROLE(&p, "webpubsub.sendToGroups.**"), PH_OK);
    assert_true(ALLOWS(&p, SEND, NULL));
    permissions__free(&p);
}

/* What a session costs that needs no rules of its own. */
static void a_default_needs_no_memory(void **state)
{
    struct permissions p = {0};

    (void)state;
    assert_int_equal(ROLE(&p, "webpubsub.sendToGroup"), PH_OK);
    assert_int_equal(ROLE(&p, "webpubsub.sendToGroup.a"), PH_OK);
    assert_int_equal(ROLE(&p, "webpubsub.sendToGroups.b*"), PH_OK);
    assert_int_equal(permissions__set(&p, JOIN, STR("a"), false, &limits, &seed), PH_OK);
    assert_null(p.rules);
}

/* "+a -b +": grants a, revokes b, grants every group. */
static void run_steps(struct permissions *p, const char *steps)
{
    struct str rest = str__of(steps), step;

    while (str__split(&rest, ' ', &step)) {
        struct str group = step.len > 1 ? str__n(step.ptr + 1, step.len - 1) : STR_NONE;

        assert_int_equal(permissions__set(p, SEND, group, *step.ptr == '+', &limits, &seed), PH_OK);
    }
}

/* official-emulator section 2.6, runtime grant and revoke */
static void grants_and_revocations(void **state)
{
    static const struct {
        const char *role, *steps, *group; /* the group asked for at the end */
        bool allowed;
    } rows[] = {
        {"", "+a", "a", true},
        {"", "+a", "b", false},
        {"", "-a", "a", false},
        {"", "+a +a -a", "a", false},
        {"", "-a +a", "a", true},
        {"", "+", "a", true},
        {"", "+", NULL, true},
        {"", "+ -a", "a", false},
        {"", "+ -a", "b", true},
        {"", "+ -a", NULL, false},
        {"", "+ -a +a", NULL, true},
        {"", "+ -a +", "a", true},
        {"", "+a -", "a", false},
        {"webpubsub.sendToGroup", "+a", "a", true},
        {"webpubsub.sendToGroup", "-a", "a", false},
        {"webpubsub.sendToGroup", "-a", "b", true},
        {"webpubsub.sendToGroup", "-", "a", false},
        {"webpubsub.sendToGroup.a", "-a", "a", false},
        {"webpubsub.sendToGroup.a", "-", "a", false},
        {"webpubsub.sendToGroups.a*", "+ab", "ab", true},
        {"webpubsub.sendToGroups.a*", "-ab", "ab", false},
        {"webpubsub.sendToGroups.a*", "-ab", "ac", true},
        {"webpubsub.sendToGroups.a*", "-ab +ab", "ab", true},
        {"webpubsub.sendToGroups.a*", "+b", "b", true},
        {"webpubsub.sendToGroups.a*", "-a*", "ab", true}, /* the group of that name */
        {"webpubsub.sendToGroups.a*", "-a*", "a*", false},
        {"webpubsub.sendToGroups.a*", "-", "ab", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct permissions p = {0};

        role__grant(&p, str__of(rows[i].role), &limits, &seed, &diag);
        run_steps(&p, rows[i].steps);
        if (ALLOWS(&p, SEND, rows[i].group) != rows[i].allowed)
            fail_msg("role %s, steps %s", rows[i].role, rows[i].steps);
        permissions__free(&p);
    }
}

/* What changes nothing takes no room, and what is taken back gives it back. */
static void only_exceptions_are_recorded(void **state)
{
    struct permissions p = {0};

    (void)state;
    run_steps(&p, "+a +b +c +d");
    assert_int_equal(permissions__set(&p, SEND, STR("e"), true, &limits, &seed), PH_ERR_LIMIT);
    assert_false(ALLOWS(&p, SEND, "e"));
    run_steps(&p, "-x -y -z -a +e +e");
    assert_int_equal(permissions__set(&p, SEND, STR("f"), true, &limits, &seed), PH_ERR_LIMIT);
    run_steps(&p, "+ +f +g -a -b -c -d");
    assert_int_equal(permissions__set(&p, SEND, STR("e"), false, &limits, &seed), PH_ERR_LIMIT);
    assert_true(ALLOWS(&p, SEND, "e"));
    assert_int_equal(permissions__set(&p, SEND, STR(" "), false, &limits, &seed), PH_ERR_ARGUMENT);
    permissions__free(&p);
}

static void roles_are_sorted_by_their_bytes(void **state)
{
    struct str roles[] = {STR("b"), STR(""), STR("ab"), STR("a.b"), STR("a"), STR("\xc3\xa4")};
    static const char *const want[] = {"", "a", "a.b", "ab", "b", "\xc3\xa4"};

    (void)state;
    qsort(roles, 6, sizeof(*roles), role__compare);
    for (size_t i = 0; i < 6; i++)
        assert_str(roles[i], want[i]);
}

static void the_newest_thousand_ids_are_known(void **state)
{
    struct ack_ids *set = NULL;

    (void)state;
    assert_false(ack_ids__has(set, 0));
    for (uint64_t id = 0; id < 1000; id++)
        assert_true(ack_ids__add(&set, id, 1000));
    for (uint64_t id = 0; id < 1000; id++)
        assert_true(ack_ids__has(set, id));
    assert_true(ack_ids__add(&set, 1000, 1000));
    assert_false(ack_ids__has(set, 0));
    assert_true(ack_ids__has(set, 1));
    assert_true(ack_ids__has(set, 1000));
    ack_ids__free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_grant_what_they_say),
        cmocka_unit_test(roles_that_are_none_are_explained),
        cmocka_unit_test(names_stop_at_the_limit),
        cmocka_unit_test(patterns_stop_at_the_limit),
        cmocka_unit_test(a_default_needs_no_memory),
        cmocka_unit_test(grants_and_revocations),
        cmocka_unit_test(only_exceptions_are_recorded),
        cmocka_unit_test(roles_are_sorted_by_their_bytes),
        cmocka_unit_test(the_newest_thousand_ids_are_known),
    };

    return cmocka_run_group_tests_name("permission", tests, NULL, NULL);
}
