/* Roles, and the memory for ids of requests. */
#include "broker/core/ack_ids.h"
#include "broker/core/permission.h"
#include "unit.h"

#include <stdio.h>

#define SEND PERMISSION_SEND_TO_GROUP
#define JOIN PERMISSION_JOIN_LEAVE_GROUP

static const struct map_seed seed = {3, 4};

static void roles_grant_what_they_say(void **state)
{
    static const struct {
        const char *role;
        enum permission_action action;
        const char *group;
        bool allowed;
    } rows[] = {
        {"webpubsub.sendToGroup", SEND, "any", true},
        {"webpubsub.sendToGroup", JOIN, "any", false},
        {"webpubsub.joinLeaveGroup", JOIN, "any", true},
        {"webpubsub.joinLeaveGroup.g", JOIN, "g", true},
        {"webpubsub.joinLeaveGroup.g", JOIN, "G", false},
        {"webpubsub.joinLeaveGroup.g", SEND, "g", false},
        {"webpubsub.sendToGroup.a.b", SEND, "a.b", true},
        {"webpubsub.sendToGroup.a.b", SEND, "a", false},
        {"webpubsub.sendToGroup.a", SEND, "a.b", false},
        {"webpubsub.sendToGroup.*", SEND, "*", true},
        {"webpubsub.sendToGroup.*", SEND, "a", false},
        {"webpubsub.sendToGroup.", SEND, "", false},
        {"webpubsub.sendToGroupx", SEND, "x", false},
        {"webpubsub.sendToGroups.a", SEND, "a", false}, /* wildcard roles are others */
        {"webpubsub.setGroupState", PERMISSION_SET_GROUP_STATE, "any", true},
        {"webpubsub.setGroupState.g", PERMISSION_SET_GROUP_STATE, "g", true},
        {"webpubsub.setGroupState.g", PERMISSION_SET_GROUP_STATE, "h", false},
        {"webpubsub.setGroupState.g", PERMISSION_GET_GROUP_STATE, "g", false},
        {"webpubsub.getGroupState.g", PERMISSION_GET_GROUP_STATE, "g", true},
        {"webpubsub.sendtogroup", SEND, "a", false},
        {"", SEND, "a", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct permissions p = {0};

        assert_true(permissions__grant_role(&p, str__of(rows[i].role), 10, &seed));
        if (permissions__allow(&p, rows[i].action, str__of(rows[i].group)) != rows[i].allowed)
            fail_msg("role %s, group %s", rows[i].role, rows[i].group);
        permissions__free(&p);
    }
}

static void names_stop_at_the_limit(void **state)
{
    struct permissions p = {0};

    (void)state;
    assert_true(permissions__grant_role(&p, STR("webpubsub.sendToGroup.a"), 2, &seed));
    assert_true(permissions__grant_role(&p, STR("webpubsub.sendToGroup.b"), 2, &seed));
    assert_true(permissions__grant_role(&p, STR("webpubsub.sendToGroup.b"), 2, &seed));
    assert_false(permissions__grant_role(&p, STR("webpubsub.sendToGroup.c"), 2, &seed));
    assert_true(permissions__grant_role(&p, STR("webpubsub.joinLeaveGroup.c"), 2, &seed));
    assert_true(permissions__allow(&p, SEND, STR("b")));
    assert_false(permissions__allow(&p, SEND, STR("c")));
    permissions__free(&p);
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

/* Multiples of a large power of two, so that ids collide in the table. */
static void colliding_ids_are_kept_apart(void **state)
{
    struct ack_ids *set = NULL;

    (void)state;
    for (uint64_t i = 0; i < 5000; i++) {
        assert_true(ack_ids__add(&set, i << 45, 100));
        assert_true(ack_ids__has(set, i << 45));
        if (i >= 99)
            assert_true(ack_ids__has(set, (i - 99) << 45));
        if (i >= 100)
            assert_false(ack_ids__has(set, (i - 100) << 45));
        assert_false(ack_ids__has(set, (i << 45) + 1));
    }
    ack_ids__free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_grant_what_they_say),
        cmocka_unit_test(names_stop_at_the_limit),
        cmocka_unit_test(the_newest_thousand_ids_are_known),
        cmocka_unit_test(colliding_ids_are_kept_apart),
    };

    return cmocka_run_group_tests_name("permission", tests, NULL, NULL);
}
