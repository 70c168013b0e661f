/* The REST API: its operations, their parameters and errors (client-and-rest section 5,
 * official-emulator sections 2.2 and 2.3). */
#include "rest_kit.h"

#include "broker/rest/answer.h"

/* official-emulator section 2.2 */
static void metadata_headers(void **state)
{
    struct fixture *f = *state;
    const struct metadata *m = &f->call.metadata;

    assert_int_equal(kit__call(f,
                               SEND_TEXT "X-WebPubSub-Metadata-Trace-Id: 1\n"
                                         "x-webpubsub-metadata-lang: de, fr ,  en \n"
                                         "x-webpubsub-metadata-TRACE-ID: 2\n"
                                         "x-webpubsub-metadata-empty: a,\n",
                               STR("hello")),
                     0);
    m = &f->call.command.message->metadata;
    assert_int_equal(m->count, 3);
    assert_str(m->items[0].name, "trace-id");
    assert_str(m->items[0].value, "2");
    assert_str(m->items[1].name, "lang");
    assert_str(m->items[1].value, "en");
    assert_str(m->items[2].value, "");
    assert_int_equal(kit__call(f, "DELETE", "/api/hubs/chat/connections/c",
                               "X-WebPubSub-Metadata-K: \xc3\xa4\n", STR("")),
                     0); /* there is no message */
    assert_int_equal(kit__call(f, SEND_TEXT "X-WebPubSub-Metadata-K: \xc3\xa4\n", STR("x")), 400);
    assert_int_equal(kit__call(f, SEND_TEXT "X-WebPubSub-Metadata-: v\n", STR("x")), 400);
}

static void metadata_headers_are_limited(void **state)
{
    struct fixture *f = *state;

    for (int over = 0; over <= 1; over++) {
        const char *name = arena__printf(&f->arena, TEXT "X-WebPubSub-Metadata-%0*d: v\n",
                                         METADATA_MAX_NAME + over, 0);
        const char *value = arena__printf(&f->arena, TEXT "X-WebPubSub-Metadata-K: %0*d\n",
                                          METADATA_MAX_VALUE + over, 0);

        assert_int_equal(kit__call(f, "POST", "/api/hubs/chat/:send", name, STR("x")),
                         over ? 400 : 0);
        assert_int_equal(kit__call(f, "POST", "/api/hubs/chat/:send", value, STR("x")),
                         over ? 400 : 0);
    }
}

#define NOT_FOUND(code)                                                                            \
    "{\"code\":\"" code "\",\"message\":\"Connection `c` is not found.\","                         \
    "\"target\":\"Connection\"}"

/* client-and-rest section 5.2, the rows that are commands without a body of their own */
static void operations(void **state)
{
    static const struct {
        const char *method, *path;
        enum hub_op op;
        enum scope scope;
        const char *name, *group; /* NULL: absent */
        int found, missing;
        const char *missing_code, *missing_body;
    } rows[] = {
        {"POST", "/api/hubs/Chat/:send", HUB_SEND, SCOPE_HUB, NULL, NULL, 202, 202, NULL, NULL},
        {"POST", "/api/hubs/chat/groups/g/:send", HUB_SEND, SCOPE_GROUP, "g", NULL, 202, 202, NULL,
         NULL},
        {"POST", "/api/hubs/chat/users/u/:send", HUB_SEND, SCOPE_USER, "u", NULL, 202, 202, NULL,
         NULL},
        {"POST", "/api/hubs/chat/connections/c/:send", HUB_SEND, SCOPE_CONNECTION, "c", NULL, 202,
         202, NULL, NULL},
        {"HEAD", "/api/hubs/chat/connections/c", HUB_EXISTS, SCOPE_CONNECTION, "c", NULL, 200, 404,
         NULL, NULL},
        {"HEAD", "/api/hubs/chat/groups/g", HUB_EXISTS, SCOPE_GROUP, "g", NULL, 200, 404,
         "Warning.Group.NotExisted", NULL},
        {"HEAD", "/api/hubs/chat/users/u", HUB_EXISTS, SCOPE_USER, "u", NULL, 200, 404,
         "Warning.User.NotExisted", NULL},
        {"PUT", "/api/hubs/chat/groups/g/connections/c", HUB_JOIN, SCOPE_CONNECTION, "c", "g", 200,
         404, "Error.Connection.NotExisted", NOT_FOUND("Error.Connection.NotExisted")},
        {"DELETE", "/api/hubs/chat/groups/g/connections/c", HUB_LEAVE, SCOPE_CONNECTION, "c", "g",
         204, 204, NULL, NULL},
        {"PUT", "/api/hubs/chat/users/u/groups/g", HUB_JOIN, SCOPE_USER, "u", "g", 200, 404, NULL,
         NULL},
        {"DELETE", "/api/hubs/chat/users/u/groups/g", HUB_LEAVE, SCOPE_USER, "u", "g", 204, 204,
         NULL, NULL},
        {"DELETE", "/api/hubs/chat/users/u/groups", HUB_LEAVE, SCOPE_USER, "u", NULL, 204, 204,
         NULL, NULL},
        {"DELETE", "/api/hubs/chat/connections/c/groups", HUB_LEAVE, SCOPE_CONNECTION, "c", NULL,
         204, 204, NULL, NULL},
        {"POST", "/api/hubs/chat/:closeConnections", HUB_CLOSE, SCOPE_HUB, NULL, NULL, 204, 204,
         NULL, NULL},
        {"POST", "/api/hubs/chat/groups/g/:closeConnections", HUB_CLOSE, SCOPE_GROUP, "g", NULL,
         204, 204, NULL, NULL},
        {"POST", "/api/hubs/chat/users/u/:closeConnections", HUB_CLOSE, SCOPE_USER, "u", NULL, 204,
         204, NULL, NULL},
        {"DELETE", "/api/hubs/chat/connections/c", HUB_CLOSE, SCOPE_CONNECTION, "c", NULL, 204, 204,
         NULL, NULL},
        {"PUT", "/api/hubs/chat/permissions/sendToGroup/connections/c", HUB_GRANT, SCOPE_CONNECTION,
         "c", NULL, 200, 404, "Info.Connection.NotExisted",
         NOT_FOUND("Info.Connection.NotExisted")},
        {"DELETE", "/api/hubs/chat/permissions/sendToGroup/connections/c", HUB_REVOKE,
         SCOPE_CONNECTION, "c", NULL, 204, 204, NULL, NULL},
        {"HEAD", "/api/hubs/chat/permissions/sendToGroup/connections/c", HUB_MAY, SCOPE_CONNECTION,
         "c", NULL, 200, 404, "Info.Connection.NotExisted", NULL},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct hub_command *cmd = &f->call.command;

        assert_int_equal(kit__call(f, rows[i].method, rows[i].path, TEXT, STR("hello")), 0);
        assert_int_equal(cmd->op, rows[i].op);
        assert_int_equal(cmd->scope, rows[i].scope);
        assert_str(cmd->hub, "chat");
        assert_str(cmd->name, rows[i].name);
        assert_str(cmd->group_count ? cmd->groups[0] : STR_NONE, rows[i].group);
        assert_int_equal(cmd->message != NULL, rows[i].op == HUB_SEND);
        assert_int_equal(kit__finish(f, 1), rows[i].found);
        assert_int_equal(kit__finish(f, 0), rows[i].missing);
        assert_str(kit__header(f, "api-supported-versions"), ANSWER_VERSIONS);
        assert_str(kit__header(f, "x-ms-error-code"), rows[i].missing_code);
        assert_str(f->call.response.body, rows[i].missing_body);
    }
}

static void health_needs_no_token(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(kit__call(f, "HEAD", "/api/health", "Authorization: none\n", STR_NONE), 200);
    assert_str(kit__header(f, "api-supported-versions"), ANSWER_VERSIONS);
    assert_int_equal(kit__call(f, "GET", "/api/health?api-version=2024-12-01",
                               "Authorization: none\n", STR_NONE),
                     200);
    assert_int_equal(
        kit__call(f, "GET", "/api/health?api-version=1", "Authorization: none\n", STR_NONE), 400);
}

/* client-and-rest section 2.2 */
static void messages_say_where_they_come_from(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(kit__call(f, SEND_TEXT, STR("hello")), 0);
    assert_int_equal(f->call.command.message->from, MESSAGE_FROM_SERVER);
    assert_str(f->call.command.message->data, "hello");
    assert_null(f->call.command.message->from_user.ptr);
    assert_int_equal(kit__call(f, "POST", "/api/hubs/chat/groups/g1/:send", TEXT, STR("")), 0);
    assert_int_equal(f->call.command.message->from, MESSAGE_FROM_GROUP);
    assert_str(f->call.command.message->group, "g1");
}

static void names_are_decoded_after_the_split(void **state)
{
    static const struct {
        const char *segment, *name;
    } rows[] = {
        {"gr%20oup%2F1%3A2", "gr oup/1:2"},
        {"%252F", "%2F"},
        {"a+b", "a+b"},
        {"%F0%9F%98%80", "\xf0\x9f\x98\x80"},
        {"%2E%2E", ".."},
        {":send", ":send"},
        {"%25", "%"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *path =
            arena__printf(&f->arena, "/api/hubs/chat/groups/%s/:send", rows[i].segment);

        assert_int_equal(kit__call(f, "POST", path, TEXT, STR("x")), 0);
        assert_str(f->call.command.name, rows[i].name);
        assert_str(f->call.command.message->group, rows[i].name);
    }
}

/* As long as a head can be, of characters that take six when they are quoted. */
static void the_longest_name_is_told(void **state)
{
    struct fixture *f = *state;
    const char *authorization = arena__printf(&f->arena, "Authorization: %.*s\n",
                                              STR_FMT(kit__bearer(f, HOST "/api/hubs/chat")));
    struct buf path;

    buf__init(&path, 32 << 10);
    buf__str(&path, STR("/api/hubs/chat/groups/g/connections/"));
    for (int i = 0; i < 10000; i++)
        buf__str(&path, STR("%01"));
    assert_int_equal(
        kit__call(f, "PUT", arena__strdup(&f->arena, buf__view(&path)), authorization, STR_NONE),
        0);
    assert_int_equal(kit__finish(f, 0), 404);
    assert_true(f->call.response.body.len > 60000);
    f->diag.text[0] = 'x'; /* a name that nobody has is no refusal */
    kit__error_is(f, "Error.Connection.NotExisted", "Connection");
    buf__free(&path);
}

#define PERMISSION(name) "/api/hubs/chat/permissions/" name "/connections/c"

/* client-and-rest sections 5.1, 5.2, 5.5 */
static void refusals(void **state)
{
    static const struct {
        const char *method, *target;
        int status;
        const char *code, *error_target;
    } rows[] = {
        {"POST", "/api/hubs/chat/:nothing", 404, "Error.NotFound", NULL},
        {"GET", "/api/", 404, "Error.NotFound", NULL},
        {"POST", "/api/hubs/chat/%3Asend", 404, "Error.NotFound", NULL},
        {"POST", "/api/hubs/chat/:send/", 404, "Error.NotFound", NULL},
        {"GET", "/api/hubs/chat/:send", 405, "Error.MethodNotAllowed", NULL},
        {"POST", "/api/hubs/chat/connections/c", 405, "Error.MethodNotAllowed", NULL},
        {"POST", "/api/hubs/1chat/:send", 400, "Error.BadRequest", "Request"},
        {"POST", "/api/hubs//:send", 400, "Error.BadRequest", "Request"},
        {"POST", "/api/hubs/c%zz/:send", 400, "Error.BadRequest", "Request"},
        {"POST", "/api/hubs/chat/groups//:send", 400, "Error.BadRequest", "Request"},
        {"POST", "/api/hubs/chat/groups/%20/:send", 400, "Error.BadRequest", "Request"},
        {"POST", "/api/hubs/chat/groups/%ff/:send", 400, "Error.BadRequest", "Request"},
        {"POST", "/api/hubs/chat/groups/%00/:send", 400, "Error.BadRequest", "Request"},
        {"POST", "/api/hubs/chat/users//:send", 400, "Error.BadRequest", "Request"},
        {"POST", "/api/hubs/chat/connections//:send", 400, "Error.BadRequest", "Request"},
        {"POST", "/api/hubs/chat/:send?api-version=2020-10-01", 400, "Error.BadRequest",
         "api-version"},
        {"POST", "/api/hubs/chat/:send?api-version=", 400, "Error.BadRequest", "api-version"},
        {"POST", "/api/hubs/chat/:send?api-version=2021-05-01-preview", 400, "Error.BadRequest",
         "api-version"},
        {"POST", "/api/hubs/chat/:send?api-version=2021-10-01,2024-12-01", 400, "Error.BadRequest",
         "api-version"},
        {"POST", "/api/hubs/chat/:send?api-version=2024-12-01&api-version=2024-12-01", 400,
         "Error.BadRequest", "api-version"},
        {"POST", "/api/hubs/chat/:send?messageTtlSeconds=301", 400, "Error.BadRequest", "Request"},
        {"POST", "/api/hubs/chat/:send?messageTtlSeconds=-1", 400, "Error.BadRequest", "Request"},
        {"POST", "/api/hubs/chat/:send?messageTtlSeconds=", 400, "Error.BadRequest", "Request"},
        {"POST", "/api/hubs/chat/:send?messageTtlSeconds=1&messageTtlSeconds=x", 400,
         "Error.BadRequest", "Request"},
        {"POST", "/api/hubs/chat/:send?filter=userId%20eq", 400, "Error.BadRequest", "Request"},
        {"POST", "/api/hubs/chat/users/u/:send?filter=x", 400, "Error.BadRequest", "Request"},
        {"POST", "/api/hubs/chat/:send?filter=true&filter=true", 400, "Error.BadRequest",
         "Request"},
        {"POST", "/api/hubs/chat/:send?excluded=%zz", 400, "Error.BadRequest", "Request"},
        {"POST", "/api/hubs/chat/:send?excluded=%ff", 400, "Error.BadRequest", "Request"},
        {"POST", "/api/hubs/chat/:send?messageTtlSeconds=1&MessageTtlSeconds=1", 400,
         "Error.BadRequest", "Request"},
        {"POST", "/api/hubs/chat/:closeConnections?reason=a&reason=a", 400, "Error.BadRequest",
         "Request"},
        {"PUT", PERMISSION("sendToGroup") "?targetName=a&targetName=b", 400, "Error.BadRequest",
         "Request"},
        {"PUT", PERMISSION("sendToGroup") "?targetName=", 400, "Error.BadRequest", "Request"},
        {"HEAD", PERMISSION("sendToGroup") "?targetName=%20", 400, "Error.BadRequest", "Request"},
        {"DELETE", PERMISSION("sendToGroup") "?targetName=%ff", 400, "Error.BadRequest", "Request"},
        {"PUT", PERMISSION("sendToGroups"), 400, "Error.BadRequest", "Request"},
        {"PUT", PERMISSION("0"), 400, "Error.BadRequest", "Request"},
        {"PUT", PERMISSION("3"), 400, "Error.BadRequest", "Request"},
        {"PUT", PERMISSION("01"), 400, "Error.BadRequest", "Request"},
        {"PUT", PERMISSION(""), 400, "Error.BadRequest", "Request"},
        {"PUT", "/api/hubs/chat/permissions/sendToGroup/connections/", 400, "Error.BadRequest",
         "Request"},
        {"GET", PERMISSION("sendToGroup"), 405, "Error.MethodNotAllowed", NULL},
        {"PUT", PERMISSION("%ff"), 400, "Error.BadRequest", "Request"},
        {"HEAD", "/api/hubs/chat/users/%ff", 400, "Error.BadRequest", "Request"},
        {"HEAD", "/api/hubs/chat/connections/%c3", 400, "Error.BadRequest", "Request"},
        {"DELETE", "/api/hubs/chat/users//groups", 400, "Error.BadRequest", "Request"},
        {"DELETE", "/api/hubs/chat/connections//groups", 400, "Error.BadRequest", "Request"},
        {"DELETE", "/api/hubs/chat/groups", 404, "Error.NotFound", NULL},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        int status = kit__call(f, rows[i].method, rows[i].target, TEXT, STR("x"));

        if (status != rows[i].status)
            fail_msg("%s: status %d, expected %d", rows[i].target, status, rows[i].status);
        kit__error_is(f, rows[i].code, rows[i].error_target);
        if (status == 405)
            assert_true(kit__header(f, "Allow").len > 0);
    }
    kit__call(f, "POST", "/api/hubs/chat/connections/c", "", STR_NONE);
    assert_str(kit__header(f, "Allow"), "HEAD, DELETE");
    kit__call(f, "PATCH", PERMISSION("1"), "", STR_NONE);
    assert_str(kit__header(f, "Allow"), "PUT, DELETE, HEAD");
}

static void accepted_parameters(void **state)
{
    static const char *const targets[] = {
        "/api/hubs/chat/:send",
        "/api/hubs/chat/:send?api-version=2021-10-01",
        "/api/hubs/chat/:send?api-version=2022-11-01",
        "/api/hubs/chat/:send?api-version=2023-07-01",
        "/api/hubs/chat/:send?api-version=2024-01-01",
        "/api/hubs/chat/:send?API-Version=2024-12-01",
        "/api/hubs/chat/:send?messageTtlSeconds=0",
        "/api/hubs/chat/:send?messageTtlSeconds=299",
        "/api/hubs/chat/:send?messageTtlSeconds=300",
        "/api/hubs/chat/:send?filter=",
        "/api/hubs/chat/:send?filter=userId%20eq%20null",
        "/api/hubs/chat/:send?unknown=1",
        "/api/hubs/chat/connections/c/:send?filter=x", /* not a parameter there */
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++)
        assert_int_equal(kit__call(f, "POST", targets[i], TEXT, STR("x")), 0);
}

/* The instant is the same for all who get the message. */
static void a_lifetime_starts_with_the_call(void **state)
{
    struct fixture *f = *state;

    kit__call(f, "POST", "/api/hubs/chat/:send?messageTtlSeconds=300", TEXT, STR("x"));
    assert_int_equal(f->call.command.message->expires_ms, 305000);
    kit__call(f, "POST", "/api/hubs/chat/:send?messageTtlSeconds=0", TEXT, STR("x"));
    assert_int_equal(f->call.command.message->expires_ms, 0);
    kit__call(f, SEND_TEXT, STR("x"));
    assert_int_equal(f->call.command.message->expires_ms, 0);
}

static void excluded_repeats_and_reason_is_passed_on(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(kit__call(f, "POST", "/api/hubs/chat/:send?excluded=a%20b&excluded=c,d&x=1",
                               TEXT, STR("x")),
                     0);
    assert_int_equal(f->call.command.excluded_count, 2);
    assert_str(f->call.command.excluded[0], "a b");
    assert_str(f->call.command.excluded[1], "c,d");
    /* users have no `excluded` */
    assert_int_equal(
        kit__call(f, "POST", "/api/hubs/chat/users/u/:send?excluded=a", TEXT, STR("x")), 0);
    assert_int_equal(f->call.command.excluded_count, 0);
    assert_int_equal(
        kit__call(f, "DELETE", "/api/hubs/chat/connections/c?reason=too%20loud", "", STR_NONE), 0);
    assert_str(f->call.command.reason, "too loud");
}

/* official-emulator section 2.3: any case, and the numbers */
static void permissions(void **state)
{
    static const struct {
        const char *target;
        enum permission_action action;
        const char *group;
    } rows[] = {
        {PERMISSION("sendToGroup"), PERMISSION_SEND_TO_GROUP, NULL},
        {PERMISSION("SENDTOGROUP"), PERMISSION_SEND_TO_GROUP, NULL},
        {PERMISSION("1"), PERMISSION_SEND_TO_GROUP, NULL},
        {PERMISSION("joinLeaveGroup") "?targetName=g", PERMISSION_JOIN_LEAVE_GROUP, "g"},
        {PERMISSION("joinleavegroup") "?TARGETNAME=a%2Fb%20%25", PERMISSION_JOIN_LEAVE_GROUP,
         "a/b %"},
        {PERMISSION("2") "?targetName=a+b&reason=x", PERMISSION_JOIN_LEAVE_GROUP, "a b"},
        {PERMISSION("join%4CeaveGroup"), PERMISSION_JOIN_LEAVE_GROUP, NULL},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(kit__call(f, "PUT", rows[i].target, "", STR_NONE), 0);
        assert_int_equal(f->call.command.action, rows[i].action);
        assert_str(f->call.command.target, rows[i].group);
        assert_str(f->call.command.reason, NULL);
    }
}

static void too_many_permissions_are_a_conflict(void **state)
{
    struct fixture *f = *state;

    static const char *const methods[] = {"PUT", "DELETE"}; /* names can be denied, too */

    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(kit__call(f, methods[i], PERMISSION("1") "?targetName=g", "", STR_NONE),
                         0);
        rest__finish(&f->arena, &f->call, &(struct hub_result){.matched = 1, .conflict = true});
        assert_int_equal(f->call.response.status, 409);
        assert_str(kit__header(f, "x-ms-error-code"), "Error.Connection.Conflict");
        assert_str(kit__header(f, "Content-Type"), "application/json");
        assert_string_equal(f->call.refusal,
                            "connection `c` has as many permissions as it may have: "
                            "limits.permissionNames allows more");
    }
}

/* A question is no refusal, whatever the answer. */
static void refusals_have_a_reason_for_the_log(void **state)
{
    static const struct {
        const char *method, *path, *refusal;
    } rows[] = {
        {"HEAD", "/api/hubs/chat/connections/1", NULL},
        {"HEAD", PERMISSION("1") "?targetName=g", NULL},
        {"PUT", PERMISSION("1") "?targetName=g",
         "connection `c` is not in hub chat: it has ended, or is of another one"},
        {"PUT", "/api/hubs/chat/groups/g/connections/1",
         "connection `1` is not in hub chat: it has ended, or is of another one"},
        {"PUT", "/api/hubs/chat/users/u/groups/g", "user `u` has no connection in hub chat"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(kit__call(f, rows[i].method, rows[i].path, "", STR_NONE), 0);
        rest__finish(&f->arena, &f->call, &(struct hub_result){.matched = 0});
        assert_int_equal(f->call.response.status, 404);
        if (rows[i].refusal)
            assert_string_equal(f->call.refusal, rows[i].refusal);
        else
            assert_null(f->call.refusal);
        rest__finish(&f->arena, &f->call, &(struct hub_result){.matched = 1});
    }
}

/* Of one connection; those of a user who have room have joined. */
static void too_many_groups_are_a_conflict_of_a_connection(void **state)
{
    struct fixture *f = *state;
    const struct hub_result result = {.matched = 1, .conflict = true};

    assert_int_equal(kit__call(f, "PUT", "/api/hubs/chat/groups/g/connections/1", "", STR_NONE), 0);
    rest__finish(&f->arena, &f->call, &result);
    assert_int_equal(f->call.response.status, 409);
    assert_non_null(strstr(f->call.response.body.ptr, "groups"));
    assert_int_equal(kit__call(f, "PUT", "/api/hubs/chat/users/u/groups/g", "", STR_NONE), 0);
    rest__finish(&f->arena, &f->call, &result);
    assert_int_equal(f->call.response.status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(metadata_headers, kit__set_up, kit__tear_down),
        cmocka_unit_test_setup_teardown(metadata_headers_are_limited, kit__set_up, kit__tear_down),
        cmocka_unit_test_setup_teardown(operations, kit__set_up, kit__tear_down),
        cmocka_unit_test_setup_teardown(health_needs_no_token, kit__set_up, kit__tear_down),
        cmocka_unit_test_setup_teardown(messages_say_where_they_come_from, kit__set_up,
                                        kit__tear_down),
        cmocka_unit_test_setup_teardown(names_are_decoded_after_the_split, kit__set_up,
                                        kit__tear_down),
        cmocka_unit_test_setup_teardown(the_longest_name_is_told, kit__set_up, kit__tear_down),
        cmocka_unit_test_setup_teardown(refusals, kit__set_up, kit__tear_down),
        cmocka_unit_test_setup_teardown(accepted_parameters, kit__set_up, kit__tear_down),
        cmocka_unit_test_setup_teardown(a_lifetime_starts_with_the_call, kit__set_up,
                                        kit__tear_down),
        cmocka_unit_test_setup_teardown(excluded_repeats_and_reason_is_passed_on, kit__set_up,
                                        kit__tear_down),
        cmocka_unit_test_setup_teardown(permissions, kit__set_up, kit__tear_down),
        cmocka_unit_test_setup_teardown(too_many_groups_are_a_conflict_of_a_connection, kit__set_up,
                                        kit__tear_down),
        cmocka_unit_test_setup_teardown(too_many_permissions_are_a_conflict, kit__set_up,
                                        kit__tear_down),
        cmocka_unit_test_setup_teardown(refusals_have_a_reason_for_the_log, kit__set_up,
                                        kit__tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
