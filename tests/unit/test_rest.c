/* The REST API: client-and-rest section 5, official-emulator sections 2.2 and 2.3. */
#include "base/base64.h"
#include "base/json.h"
#include "base/jwt.h"
#include "broker/core/listing.h"
#include "broker/rest/answer.h"
#include "broker/rest/charset.h"
#include "broker/rest/rest.h"
#include "http_text.h"
#include "rsa_kit.h"
#include "unit.h"

#include <stdio.h>

#define NOW 1800000000
#define MAX_BODY (1u << 20)
#define OWN "127.0.0.1:8080"
#define HOST "http://localhost:8080"
#define TEXT "Content-Type: text/plain\n"
#define PAGE_TOKEN_TOO_LONG (2048 + 2)

struct fixture {
    struct arena arena;
    struct settings settings;
    struct rest_call call;
    struct buf token;
    struct diag diag;
    struct rest_world world;
    struct entra *entra;
};

static int setup(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    arena__init(&f.arena, NULL, 0, 4 << 20);
    f.settings.keys[0] = mac__key_new(STR(SETTINGS_DEFAULT_KEY));
    f.settings.key_count = 1;
    f.settings.limits = LIMITS_DEFAULT;
    f.world = (struct rest_world){.settings = &f.settings,
                                  .own_host = STR(OWN),
                                  .now = NOW,
                                  .loop_ms = 5000,
                                  .max_body = MAX_BODY};
    buf__init(&f.token, JWT_MAX_LEN);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    rest__free(&f->call);
    arena__free(&f->arena);
    mac__key_free(f->settings.keys[0]);
    buf__free(&f->token);
    return 0;
}

static struct str bearer(struct fixture *f, const char *aud)
{
    buf__reset(&f->token);
    buf__str(&f->token, STR("Bearer "));
    jwt__sign(&f->token,
              str__of(arena__printf(&f->arena, "{\"exp\":%d,\"aud\":\"%s\"}", NOW + 60, aud)),
              f->settings.keys[0]);
    assert_false(f->token.failed);
    return str__of(arena__strdup(&f->arena, buf__view(&f->token)));
}

/* Judges a request and its body; returns the status, or 0 when there is a command. */
static int call(struct fixture *f, const char *method, const char *target, const char *headers,
                struct str body)
{
    struct http_request req = {.method = str__of(method)};
    int status;

    http__set_target(&req, str__of(target));
    assert_true(http_text__add(&f->arena, &req.headers, str__of(headers)));
    if (http__count(&req.headers, STR("Host")) == 0)
        http__add(&f->arena, &req.headers, STR("Host"), STR("localhost:8080"));
    if (http__count(&req.headers, STR("Authorization")) == 0)
        http__add(&f->arena, &req.headers, STR("Authorization"),
                  bearer(f, arena__printf(&f->arena, HOST "%s", target)));
    rest__free(&f->call);
    f->diag.text[0] = '\0';
    assert_true(rest__is_path(req.path));
    status = rest__begin(&f->arena, &req, &f->world, &f->call, &f->diag);
    assert_int_equal(status == REST_WANTS_KEYS ? 0 : status, f->call.response.status);
    if (status != 0)
        return status;
    req.body = body;
    rest__body(&f->arena, &req, &f->world, &f->call, &f->diag);
    assert_int_equal(f->call.has_command, f->call.response.status == 0);
    return f->call.response.status;
}

static int finish(struct fixture *f, size_t matched)
{
    struct hub_result result = {.matched = matched, .conflict = false};

    assert_true(f->call.has_command);
    rest__finish(&f->arena, &f->call, &result);
    return f->call.response.status;
}

static struct str header(struct fixture *f, const char *name)
{
    return http__get(&f->call.response.headers, str__of(name));
}

#define SEND_TEXT "POST", "/api/hubs/chat/:send", TEXT

/* official-emulator section 2.2 */
static void metadata_headers(void **state)
{
    struct fixture *f = *state;
    const struct metadata *m = &f->call.metadata;

    assert_int_equal(call(f,
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
    assert_int_equal(call(f, "DELETE", "/api/hubs/chat/connections/c",
                          "X-WebPubSub-Metadata-K: \xc3\xa4\n", STR("")),
                     0); /* there is no message */
    assert_int_equal(call(f, SEND_TEXT "X-WebPubSub-Metadata-K: \xc3\xa4\n", STR("x")), 400);
    assert_int_equal(call(f, SEND_TEXT "X-WebPubSub-Metadata-: v\n", STR("x")), 400);
}

static void metadata_headers_are_limited(void **state)
{
    struct fixture *f = *state;

    for (int over = 0; over <= 1; over++) {
        const char *name = arena__printf(&f->arena, TEXT "X-WebPubSub-Metadata-%0*d: v\n",
                                         METADATA_MAX_NAME + over, 0);
        const char *value = arena__printf(&f->arena, TEXT "X-WebPubSub-Metadata-K: %0*d\n",
                                          METADATA_MAX_VALUE + over, 0);

        assert_int_equal(call(f, "POST", "/api/hubs/chat/:send", name, STR("x")), over ? 400 : 0);
        assert_int_equal(call(f, "POST", "/api/hubs/chat/:send", value, STR("x")), over ? 400 : 0);
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

        assert_int_equal(call(f, rows[i].method, rows[i].path, TEXT, STR("hello")), 0);
        assert_int_equal(cmd->op, rows[i].op);
        assert_int_equal(cmd->scope, rows[i].scope);
        assert_str(cmd->hub, "chat");
        assert_str(cmd->name, rows[i].name);
        assert_str(cmd->group_count ? cmd->groups[0] : STR_NONE, rows[i].group);
        assert_int_equal(cmd->message != NULL, rows[i].op == HUB_SEND);
        assert_int_equal(finish(f, 1), rows[i].found);
        assert_int_equal(finish(f, 0), rows[i].missing);
        assert_str(header(f, "api-supported-versions"), ANSWER_VERSIONS);
        assert_str(header(f, "x-ms-error-code"), rows[i].missing_code);
        assert_str(f->call.response.body, rows[i].missing_body);
    }
}

static void health_needs_no_token(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(call(f, "HEAD", "/api/health", "Authorization: none\n", STR_NONE), 200);
    assert_str(header(f, "api-supported-versions"), ANSWER_VERSIONS);
    assert_int_equal(
        call(f, "GET", "/api/health?api-version=2024-12-01", "Authorization: none\n", STR_NONE),
        200);
    assert_int_equal(call(f, "GET", "/api/health?api-version=1", "Authorization: none\n", STR_NONE),
                     400);
}

/* client-and-rest section 2.2 */
static void messages_say_where_they_come_from(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(call(f, SEND_TEXT, STR("hello")), 0);
    assert_int_equal(f->call.command.message->from, MESSAGE_FROM_SERVER);
    assert_str(f->call.command.message->data, "hello");
    assert_null(f->call.command.message->from_user.ptr);
    assert_int_equal(call(f, "POST", "/api/hubs/chat/groups/g1/:send", TEXT, STR("")), 0);
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

        assert_int_equal(call(f, "POST", path, TEXT, STR("x")), 0);
        assert_str(f->call.command.name, rows[i].name);
        assert_str(f->call.command.message->group, rows[i].name);
    }
}

static void error_is(struct fixture *f, const char *code, const char *target)
{
    struct json *body;
    struct diag diag;

    assert_int_equal(
        json__parse(&f->arena, f->call.response.body, &JSON_LIMITS_DEFAULT, &body, &diag), PH_OK);
    assert_str(json__get_string(body, STR("code")), code);
    assert_true(json__get_string(body, STR("message")).len > 0);
    assert_str(json__get_string(body, STR("target")), target);
    assert_str(header(f, "x-ms-error-code"), code);
    assert_str(header(f, "Content-Type"), "application/json");
    assert_str(header(f, "api-supported-versions"), ANSWER_VERSIONS);
    assert_true(f->diag.text[0] != '\0');
}

/* As long as a head can be, of characters that take six when they are quoted. */
static void the_longest_name_is_told(void **state)
{
    struct fixture *f = *state;
    const char *authorization = arena__printf(&f->arena, "Authorization: %.*s\n",
                                              STR_FMT(bearer(f, HOST "/api/hubs/chat")));
    struct buf path;

    buf__init(&path, 32 << 10);
    buf__str(&path, STR("/api/hubs/chat/groups/g/connections/"));
    for (int i = 0; i < 10000; i++)
        buf__str(&path, STR("%01"));
    assert_int_equal(
        call(f, "PUT", arena__strdup(&f->arena, buf__view(&path)), authorization, STR_NONE), 0);
    assert_int_equal(finish(f, 0), 404);
    assert_true(f->call.response.body.len > 60000);
    f->diag.text[0] = 'x'; /* a name that nobody has is no refusal */
    error_is(f, "Error.Connection.NotExisted", "Connection");
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
        int status = call(f, rows[i].method, rows[i].target, TEXT, STR("x"));

        if (status != rows[i].status)
            fail_msg("%s: status %d, expected %d", rows[i].target, status, rows[i].status);
        error_is(f, rows[i].code, rows[i].error_target);
        if (status == 405)
            assert_true(header(f, "Allow").len > 0);
    }
    call(f, "POST", "/api/hubs/chat/connections/c", "", STR_NONE);
    assert_str(header(f, "Allow"), "HEAD, DELETE");
    call(f, "PATCH", PERMISSION("1"), "", STR_NONE);
    assert_str(header(f, "Allow"), "PUT, DELETE, HEAD");
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
        assert_int_equal(call(f, "POST", targets[i], TEXT, STR("x")), 0);
}

/* The instant is the same for all who get the message. */
static void a_lifetime_starts_with_the_call(void **state)
{
    struct fixture *f = *state;

    call(f, "POST", "/api/hubs/chat/:send?messageTtlSeconds=300", TEXT, STR("x"));
    assert_int_equal(f->call.command.message->expires_ms, 305000);
    call(f, "POST", "/api/hubs/chat/:send?messageTtlSeconds=0", TEXT, STR("x"));
    assert_int_equal(f->call.command.message->expires_ms, 0);
    call(f, SEND_TEXT, STR("x"));
    assert_int_equal(f->call.command.message->expires_ms, 0);
}

static void excluded_repeats_and_reason_is_passed_on(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        call(f, "POST", "/api/hubs/chat/:send?excluded=a%20b&excluded=c,d&x=1", TEXT, STR("x")), 0);
    assert_int_equal(f->call.command.excluded_count, 2);
    assert_str(f->call.command.excluded[0], "a b");
    assert_str(f->call.command.excluded[1], "c,d");
    /* users have no `excluded` */
    assert_int_equal(call(f, "POST", "/api/hubs/chat/users/u/:send?excluded=a", TEXT, STR("x")), 0);
    assert_int_equal(f->call.command.excluded_count, 0);
    assert_int_equal(
        call(f, "DELETE", "/api/hubs/chat/connections/c?reason=too%20loud", "", STR_NONE), 0);
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
        assert_int_equal(call(f, "PUT", rows[i].target, "", STR_NONE), 0);
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
        assert_int_equal(call(f, methods[i], PERMISSION("1") "?targetName=g", "", STR_NONE), 0);
        rest__finish(&f->arena, &f->call, &(struct hub_result){.matched = 1, .conflict = true});
        assert_int_equal(f->call.response.status, 409);
        assert_str(header(f, "x-ms-error-code"), "Error.Connection.Conflict");
        assert_str(header(f, "Content-Type"), "application/json");
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
        assert_int_equal(call(f, rows[i].method, rows[i].path, "", STR_NONE), 0);
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

    assert_int_equal(call(f, "PUT", "/api/hubs/chat/groups/g/connections/1", "", STR_NONE), 0);
    rest__finish(&f->arena, &f->call, &result);
    assert_int_equal(f->call.response.status, 409);
    assert_non_null(strstr(f->call.response.body.ptr, "groups"));
    assert_int_equal(call(f, "PUT", "/api/hubs/chat/users/u/groups/g", "", STR_NONE), 0);
    rest__finish(&f->arena, &f->call, &result);
    assert_int_equal(f->call.response.status, 200);
}

#define JSON "Content-Type: application/json\n"
#define LIST_TEXT "A nonempty list of valid group names is required."

/* client-and-rest section 5.2, rows 19 and 20; official-emulator section 2.3 */
static void groups_come_in_the_body(void **state)
{
    static const struct {
        const char *headers, *body;
        int status;
        const char *message; /* of the error, NULL: whatever */
        const char *first;   /* group */
        size_t count;
    } rows[] = {
        {JSON, "{\"groups\":[\"a\"]}", 0, NULL, "a", 1},
        {JSON, " {\"filter\":null,\"groups\":[\"\\u00e9/%\",\"b\",\"b\"]} ", 0, NULL, "\xc3\xa9/%",
         3},
        {JSON, "{\"groups\":[\"a\"],\"filter\":\"\"}", 0, NULL, "a", 1},
        {JSON, "{\"groups\":[\"a\"],\"more\":{\"deep\":[1,2,[3]]}}", 0, NULL, "a", 1},
        {"Content-Type: application/json; charset=iso-8859-1\n", "{\"groups\":[\"\xe9\"]}", 0, NULL,
         "\xc3\xa9", 1},
        {JSON, "{\"groups\":[]}", 400, LIST_TEXT, NULL, 0},
        {JSON, "{\"groups\":null}", 400, LIST_TEXT, NULL, 0},
        {JSON, "{\"groups\":\"a\"}", 400, LIST_TEXT, NULL, 0},
        {JSON, "{\"groups\":[\"a\",\"\"]}", 400, LIST_TEXT, NULL, 0},
        {JSON, "{\"groups\":[\" \"]}", 400, LIST_TEXT, NULL, 0},
        {JSON, "{\"groups\":[1]}", 400, LIST_TEXT, NULL, 0},
        {JSON, "{\"groups\":[null]}", 400, LIST_TEXT, NULL, 0},
        {JSON, "{\"groups\":[[\"a\"]]}", 400, LIST_TEXT, NULL, 0},
        {JSON, "{}", 400, LIST_TEXT, NULL, 0},
        {JSON, "[\"a\"]", 400, LIST_TEXT, NULL, 0},
        {JSON, "null", 400, LIST_TEXT, NULL, 0},
        {JSON, "{\"groups\":[\"a\"],\"filter\":1}", 400, "`filter` must be a string.", NULL, 0},
        {JSON, "{\"groups\":[\"a\"]", 400, NULL, NULL, 0},
        {JSON, "", 400, NULL, NULL, 0},
        {JSON, "{\"groups\":[\"\xff\"]}", 400, NULL, NULL, 0},
        {TEXT, "{\"groups\":[\"a\"]}", 415, NULL, NULL, 0},
        {"", "{\"groups\":[\"a\"]}", 415, NULL, NULL, 0},
        {"Content-Type: application/json; charset=x\n", "{\"groups\":[\"a\"]}", 415, NULL, NULL, 0},
        {JSON, "{\"groups\":[\"a\"],\"filter\":\"x\"}", 400,
         "Invalid syntax for 'x': Token 'x' is not supported. (Parameter 'filter')", NULL, 0},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(*rows); i++) {
        size_t k = i / 2;
        bool join = i % 2 == 0;
        int status = call(f, "POST",
                          join ? "/api/hubs/chat/:addToGroups" : "/api/hubs/chat/:removeFromGroups",
                          rows[k].headers, str__of(rows[k].body));

        if (status != rows[k].status)
            fail_msg("%s: status %d, expected %d", rows[k].body, status, rows[k].status);
        if (status != 0) {
            error_is(f, status == 415 ? "Error.UnsupportedMediaType" : "Error.BadRequest",
                     status == 415 ? "Content-Type" : "Request");
            if (rows[k].message)
                assert_string_equal(f->diag.text, rows[k].message);
            continue;
        }
        assert_int_equal(f->call.command.op, join ? HUB_JOIN : HUB_LEAVE);
        assert_int_equal(f->call.command.scope, SCOPE_HUB);
        assert_int_equal(f->call.command.group_count, rows[k].count);
        assert_str(f->call.command.groups[0], rows[k].first);
        assert_int_equal(finish(f, 0), 200);
    }
}

static void at_most_1000_groups(void **state)
{
    struct fixture *f = *state;

    for (int count = 999; count <= 1001; count++) {
        struct buf body;

        buf__init(&body, 1 << 20);
        buf__str(&body, STR("{\"groups\":[\"g\""));
        for (int i = 1; i < count; i++)
            buf__printf(&body, ",\"g%d\"", i);
        buf__str(&body, STR("]}"));
        assert_int_equal(call(f, "POST", "/api/hubs/chat/:addToGroups", JSON, buf__view(&body)),
                         count <= 1000 ? 0 : 400);
        buf__free(&body);
    }
    error_is(f, "Error.BadRequest", "Request");
}

/* client-and-rest section 5.3 */
static void content_types(void **state)
{
    static const struct {
        const char *headers;
        struct str body;
        int status;
        enum ph_data_type type;
        const char *data;
    } rows[] = {
        {"Content-Type: text/plain\n", {"h\xc3\xa9", 3}, 0, PH_DATA_TEXT, "h\xc3\xa9"},
        {"Content-Type: Text/Plain; Charset=\"UTF-8\"\n", {"x", 1}, 0, PH_DATA_TEXT, "x"},
        {"Content-Type: text/plain\n", {"", 0}, 0, PH_DATA_TEXT, ""},
        {"Content-Type: text/plain\n", {"\xff", 1}, 400, 0, NULL},
        {"Content-Type: text/plain; charset=iso-8859-1\n",
         {"h\xe9", 2},
         0,
         PH_DATA_TEXT,
         "h\xc3\xa9"},
        {"Content-Type: text/plain; charset=us-ascii\n", {"he", 2}, 0, PH_DATA_TEXT, "he"},
        {"Content-Type: text/plain; charset=us-ascii\n", {"h\xe9", 2}, 400, 0, NULL},
        {"Content-Type: text/plain; charset=utf-16\n",
         {"h\0\xe9\0", 4},
         0,
         PH_DATA_TEXT,
         "h\xc3\xa9"},
        {"Content-Type: text/plain; charset=koi8-r\n", {"x", 1}, 415, 0, NULL},
        {"Content-Type: text/plain; charset=\n", {"x", 1}, 415, 0, NULL},
        {"Content-Type: application/json\n", {" {\"a\": 1} ", 10}, 0, PH_DATA_JSON, " {\"a\": 1} "},
        {"Content-Type: application/json; charset=utf-8\n", {"\"s\"", 3}, 0, PH_DATA_JSON, "\"s\""},
        {"Content-Type: application/json\n", {"{", 1}, 400, 0, NULL},
        {"Content-Type: application/json\n", {"", 0}, 400, 0, NULL},
        {"Content-Type: application/json\n", {"\"\xff\"", 3}, 400, 0, NULL},
        {"Content-Type: application/octet-stream\n", {"\xff", 1}, 0, PH_DATA_BINARY, "\xff"},
        {"Content-Type: application/octet-stream; charset=x\n", {"b", 1}, 0, PH_DATA_BINARY, "b"},
        {"", {"\xfe", 1}, 0, PH_DATA_BINARY, "\xfe"},
        {"Content-Type: text/html\n", {"x", 1}, 415, 0, NULL},
        {"Content-Type: x\n", {"x", 1}, 415, 0, NULL},
        {"Content-Type:\n", {"x", 1}, 415, 0, NULL},
        {"Content-Type: text/plain\nContent-Type: text/plain\n", {"x", 1}, 415, 0, NULL},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        int status = call(f, "POST", "/api/hubs/chat/:send", rows[i].headers, rows[i].body);

        if (status != rows[i].status)
            fail_msg("row %zu: status %d, expected %d", i, status, rows[i].status);
        if (status != 0) {
            error_is(f, status == 415 ? "Error.UnsupportedMediaType" : "Error.BadRequest",
                     status == 415 ? "Content-Type" : "Request");
            continue;
        }
        assert_int_equal(f->call.command.message->type, rows[i].type);
        assert_str(f->call.command.message->data, rows[i].data);
    }
}

static void utf16_is_read_strictly(void **state)
{
    static const struct {
        const char *charset;
        struct str text;
        const char *utf8; /* NULL: refused */
    } rows[] = {
        {"utf-16",
         {"\xff\xfe"
          "a\0",
          4},
         "a"},
        {"utf-16",
         {"\xfe\xff"
          "\0a",
          4},
         "a"},
        {"utf-16be", {"\0a", 2}, "a"},
        {"UTF-16LE", {"\xac\x20", 2}, "\xe2\x82\xac"},
        {"utf-16le", {"\x3d\xd8\x00\xde", 4}, "\xf0\x9f\x98\x80"},
        {"utf-16le", {"\x3d\xd8", 2}, NULL},
        {"utf-16le",
         {"\x3d\xd8"
          "a\0",
          4},
         NULL},
        {"utf-16le", {"\x00\xde", 2}, NULL},
        {"utf-16le", {"a", 1}, NULL},
        {"utf-16le", {"", 0}, ""},
    };

    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct charset_reading reading;
        struct buf room;
        struct str utf8;
        enum ph_err err;

        buf__init(&room, 64);
        assert_true(charset__find(str__of(rows[i].charset), &reading));
        err = charset__to_utf8(&reading, rows[i].text, &room, &utf8);
        assert_int_equal(err, rows[i].utf8 ? PH_OK : PH_ERR_SYNTAX);
        if (err == PH_OK)
            assert_str(utf8, rows[i].utf8);
        buf__free(&room);
    }
}

static void nested_json_is_refused_past_64_levels(void **state)
{
    struct fixture *f = *state;

    for (size_t depth = 63; depth <= 65; depth++) {
        char text[130];

        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(call(f, "POST", "/api/hubs/chat/:send", "Content-Type: application/json\n",
                              str__n(text, 2 * depth)),
                         depth <= 64 ? 0 : 400);
    }
}

static void body_may_have_one_mebibyte(void **state)
{
    struct fixture *f = *state;
    static char body[MAX_BODY + 1];

    for (size_t len = MAX_BODY - 1; len <= MAX_BODY + 1; len++) {
        int want = len <= MAX_BODY ? 0 : 413;

        /* refused by the header before the body is read, and by the body when chunked */
        assert_int_equal(call(f, "POST", "/api/hubs/chat/:send",
                              arena__printf(&f->arena, "Content-Length: %zu\n", len), STR("")),
                         want);
        assert_int_equal(call(f, "POST", "/api/hubs/chat/:send", "", str__n(body, len)), want);
    }
    error_is(f, "Error.PayloadTooLarge", "Request");
    assert_int_equal(call(f, "POST", "/api/hubs/chat/:send", "Content-Length: 1x\n", STR("")), 400);
    assert_int_equal(
        call(f, "POST", "/api/hubs/chat/:send", "Content-Length: 99999999999999999999\n", STR("")),
        400);
}

/* Every byte of the longest ISO-8859-1 body may become two. */
static void longest_body_has_room_to_grow(void **state)
{
    struct fixture *f = *state;
    static char body[MAX_BODY];

    memset(body, 0xe9, sizeof(body));
    assert_int_equal(call(f, "POST", "/api/hubs/chat/:send",
                          "Content-Type: text/plain; charset=iso-8859-1\n",
                          str__n(body, sizeof(body))),
                     0);
    assert_int_equal(f->call.command.message->data.len, 2 * sizeof(body));
}

/* client-and-rest section 5.6 */
static void tokens_are_checked(void **state)
{
    static const struct {
        const char *aud; /* NULL: no token */
        int status;
    } rows[] = {
        {HOST "/api/hubs/chat/:send?api-version=2024-12-01&excluded=a%20b", 0},
        {HOST "/api/hubs/chat/:send", 0},
        {"https://127.0.0.1:8080/api/hubs/chat/", 0},
        {HOST "/api/hubs/other/:send", 401},
        {HOST "/client/hubs/chat", 401},
        {"http://example.com/api/hubs/chat/:send", 401},
        {NULL, 401},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *headers = rows[i].aud ? arena__printf(&f->arena, "Authorization: %.*s\n" TEXT,
                                                          STR_FMT(bearer(f, rows[i].aud)))
                                          : "Authorization: Basic abc\n";

        assert_int_equal(call(f, "POST",
                              "/api/hubs/chat/:send?api-version=2024-12-01&excluded=a%20b", headers,
                              STR("x")),
                         rows[i].status);
        if (rows[i].status == 0)
            continue;
        assert_int_equal(f->call.response.body.len, 0);
        assert_str(header(f, "api-supported-versions"), ANSWER_VERSIONS);
        assert_true(f->diag.text[0] != '\0');
    }
}

/* --- Microsoft Entra --------------------------------------------------------- */

#define ISSUER "https://sts.windows.net/tenant/"
#define ENTRA_CLAIMS(exp)                                                                          \
    "{\"aud\":\"https://webpubsub.azure.com\",\"iss\":\"" ISSUER "\",\"exp\":" #exp "}"

struct entra {
    EVP_PKEY *key, *stranger;
    struct jwks *keys;
    struct entra_settings settings;
};

static int entra_setup(void **state)
{
    static struct entra e;
    struct fixture *f;
    struct buf set;

    setup(state);
    f = *state;
    e.key = rsa_kit__key(2048);
    e.stranger = rsa_kit__key(2048);
    buf__init(&set, 4096);
    rsa_kit__set(&set, e.key, "k1");
    e.keys = jwks__parse(buf__view(&set), &f->diag);
    buf__free(&set);
    assert_non_null(e.keys);
    e.settings = (struct entra_settings){.audience = STR("https://webpubsub.azure.com"),
                                         .issuer = STR(ISSUER)};
    f->entra = &e;
    f->world.entra = &e.settings;
    f->world.entra_keys = e.keys;
    return 0;
}

static int entra_teardown(void **state)
{
    struct fixture *f = *state;

    EVP_PKEY_free(f->entra->key);
    EVP_PKEY_free(f->entra->stranger);
    jwks__unref(f->entra->keys);
    return teardown(state);
}

/* Headers with a token of an identity provider. */
static const char *entra_bearer(struct fixture *f, EVP_PKEY *key, const char *kid,
                                const char *header, const char *claims)
{
    buf__reset(&f->token);
    rsa_kit__token(&f->token, key, kid, header, claims);
    return arena__printf(&f->arena, "Authorization: Bearer %.*s\n" TEXT,
                         STR_FMT(buf__view(&f->token)));
}

static int send_with(struct fixture *f, const char *headers)
{
    return call(f, "POST", "/api/hubs/chat/:send", headers, STR("x"));
}

/* client-and-rest section 5.6 */
static void entra_tokens_are_checked(void **state)
{
    struct fixture *f = *state;
    struct entra *e = f->entra;
    const char *good = ENTRA_CLAIMS(1800000060);

    assert_int_equal(send_with(f, entra_bearer(f, e->key, "k1", NULL, good)), 0);
    assert_int_equal(send_with(f, entra_bearer(f, e->stranger, "k1", NULL, good)), 401);
    assert_int_equal(f->call.response.body.len, 0);
    assert_int_equal(send_with(f, entra_bearer(f, e->key, "k1", NULL, ENTRA_CLAIMS(1799999000))),
                     401);
    assert_int_equal(
        send_with(f, entra_bearer(f, e->key, "k1", "{\"alg\":\"none\",\"kid\":\"k1\"}", good)),
        401);
    assert_int_equal(
        send_with(f, entra_bearer(f, e->key, "k1", NULL,
                                  "{\"aud\":\"https://webpubsub.azure.com\",\"exp\":1800000060,"
                                  "\"iss\":\"https://sts.windows.net/other/\"}")),
        401);
    assert_non_null(strstr(f->diag.text, "issuer"));
    assert_int_equal(
        send_with(f, entra_bearer(f, e->key, "k1", NULL,
                                  "{\"aud\":\"https://webpubsub.azure.com\",\"exp\":1800000060}")),
        401);
    assert_int_equal(send_with(f, entra_bearer(f, e->key, "k1", NULL,
                                               "{\"aud\":\"api://other\",\"exp\":1800000060,"
                                               "\"iss\":\"" ISSUER "\"}")),
                     401);
    /* The access key still counts, but not for Entra's audience. */
    assert_int_equal(call(f, SEND_TEXT, STR("x")), 0);
    assert_int_equal(send_with(f, arena__printf(&f->arena, "Authorization: %.*s\n" TEXT,
                                                STR_FMT(bearer(f, "https://webpubsub.azure.com")))),
                     401);
    /* Without the setting there are no such tokens. */
    f->world.entra = NULL;
    assert_int_equal(send_with(f, entra_bearer(f, e->key, "k1", NULL, good)), 401);
}

static void an_unknown_key_is_waited_for_once(void **state)
{
    struct fixture *f = *state;
    const char *headers = entra_bearer(f, f->entra->key, "k2", NULL, ENTRA_CLAIMS(1800000060));

    assert_int_equal(send_with(f, headers), REST_WANTS_KEYS);
    f->world.entra_keys_final = true;
    assert_int_equal(send_with(f, headers), 401);
    assert_non_null(strstr(f->diag.text, "\"k2\""));
    f->world.entra_keys = NULL;
    assert_int_equal(send_with(f, headers), 401);
    f->world.entra_keys_final = false;
    assert_int_equal(send_with(f, headers), REST_WANTS_KEYS);
    /* Nobody makes us look for the key of a token that would be none with it either. */
    assert_int_equal(
        send_with(f, entra_bearer(f, f->entra->key, "k2", NULL, ENTRA_CLAIMS(1799999000))), 401);
    assert_int_equal(
        send_with(f, entra_bearer(f, f->entra->key, "k2", NULL,
                                  "{\"aud\":\"https://webpubsub.azure.com\",\"exp\":1800000060,"
                                  "\"iss\":\"https://sts.windows.net/other/\"}")),
        401);
}

/* official-emulator section 2.2 */
static void unvalidated_tokens_have_times_alone(void **state)
{
    struct fixture *f = *state;
    EVP_PKEY *anybody = f->entra->stranger;

    f->entra->settings.allow_unvalidated = true;
    f->world.entra_keys = NULL;
    assert_int_equal(send_with(f, entra_bearer(f, anybody, NULL, NULL, ENTRA_CLAIMS(1799999701))),
                     0);
    assert_int_equal(send_with(f, entra_bearer(f, anybody, NULL, "{\"alg\":\"none\"}",
                                               ENTRA_CLAIMS(1800000060))),
                     0);
    assert_int_equal(send_with(f, entra_bearer(f, anybody, NULL, NULL, ENTRA_CLAIMS(1799999700))),
                     401);
    assert_int_equal(send_with(f, entra_bearer(f, anybody, NULL, NULL,
                                               "{\"aud\":\"https://webpubsub.azure.com\"}")),
                     401);
    assert_int_equal(
        send_with(f, entra_bearer(f, anybody, NULL, NULL,
                                  "{\"aud\":\"" HOST "/api/hubs/chat/:send\",\"exp\":1800000060}")),
        401);
}

static int generate(struct fixture *f, const char *query, const char *more)
{
    const char *headers = entra_bearer(f, f->entra->key, "k1", NULL, ENTRA_CLAIMS(1800000060));

    return call(f, "POST", arena__printf(&f->arena, "/api/hubs/Chat/:generateToken%s", query),
                arena__printf(&f->arena, "%s%s", headers, more), STR(""));
}

/* The claims of the token in the answer, checked against the access key. */
static const char *generated(struct fixture *f)
{
    const struct jwt_rules rules = {
        .keys = f->settings.keys, .key_count = 1, .now = NOW, .skew = 0};
    const struct json *claims;
    struct json *body;

    assert_str(header(f, "Content-Type"), "application/json");
    assert_str(header(f, "api-supported-versions"), ANSWER_VERSIONS);
    assert_int_equal(
        json__parse(&f->arena, f->call.response.body, &JSON_LIMITS_DEFAULT, &body, NULL), PH_OK);
    assert_int_equal(
        jwt__verify(&f->arena, json__get_string(body, STR("token")), &rules, &claims, &f->diag),
        PH_OK);
    return arena__strdup(&f->arena, claims->raw);
}

static void tokens_are_generated(void **state)
{
    static const struct {
        const char *query, *headers, *claims;
    } rows[] = {
        {"", "", "{\"iat\":1800000000,\"exp\":1800003600,\"aud\":\"" HOST "/client/hubs/chat\"}"},
        {"?api-version=2024-12-01&userId=a%2Fb%20%C3%A9&role=webpubsub.sendToGroup&role=r2"
         "&minutesToExpire=1&group=g%201&group=g2",
         "",
         "{\"role\":[\"webpubsub.sendToGroup\",\"r2\"],\"webpubsub.group\":[\"g 1\",\"g2\"],"
         "\"iat\":1800000000,\"exp\":1800000060,\"aud\":\"" HOST "/client/hubs/chat\","
         "\"sub\":\"a/b \xc3\xa9\"}"},
        {"?clientType=mqtt", "",
         "{\"iat\":1800000000,\"exp\":1800003600,\"aud\":\"" HOST "/clients/mqtt/hubs/chat\"}"},
        {"?CLIENTTYPE=default&minutestoexpire=2147483647", "",
         "{\"iat\":1800000000,\"exp\":130649018820,\"aud\":\"" HOST "/client/hubs/chat\"}"},
        {"", "X-Forwarded-Proto: https\n",
         "{\"iat\":1800000000,\"exp\":1800003600,\"aud\":\"https://localhost:8080/client/hubs/"
         "chat\"}"},
        {"", "X-Forwarded-Proto: https://evil/\n",
         "{\"iat\":1800000000,\"exp\":1800003600,\"aud\":\"" HOST "/client/hubs/chat\"}"},
        {"", "Host: h\xff\n",
         "{\"iat\":1800000000,\"exp\":1800003600,\"aud\":\"http://h%FF/client/hubs/chat\"}"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(generate(f, rows[i].query, rows[i].headers), 200);
        assert_string_equal(generated(f), rows[i].claims);
    }
}

/* Behind a proxy the audience is what the proxy's callers know. */
static void generated_tokens_name_the_public_endpoint(void **state)
{
    static struct public_endpoint endpoints[] = {
        {.url = {"https://first.example.com/base", 30}, .host = {"first.example.com", 17}},
        {.url = {"https://localhost:8081/y", 24}, .host = {"localhost", 9}, .port = 8081},
        {.url = {"https://localhost:8080/x", 24}, .host = {"localhost", 9}, .port = 8080},
    };
    struct fixture *f = *state;

    assert_int_equal(generate(f, "", "Host: \n"), 200); /* as in HTTP/1.0 */
    assert_non_null(strstr(generated(f), "\"aud\":\"http://" OWN "/client/hubs/chat\""));

    f->settings.endpoints = endpoints;
    f->settings.endpoint_count = 1;
    assert_int_equal(generate(f, "", "X-Forwarded-Proto: http\n"), 200);
    assert_non_null(
        strstr(generated(f), "\"aud\":\"https://first.example.com/base/client/hubs/chat\""));
    f->settings.endpoint_count = 3;
    assert_int_equal(generate(f, "", ""), 200);
    assert_non_null(strstr(generated(f), "\"aud\":\"https://localhost:8080/x/client/hubs/chat\""));
}

/* Old tokens are good by a secondary key; new ones are not to be, once it is taken away. */
static void the_primary_key_signs(void **state)
{
    struct fixture *f = *state;
    struct mac_key *secondary = mac__key_new(STR("another key, which is long enough for all"));

    f->settings.keys[1] = secondary;
    f->settings.key_count = 2;
    assert_int_equal(generate(f, "", ""), 200);
    generated(f);
    f->settings.key_count = 1;
    mac__key_free(secondary);
}

/* Behind a proxy, tokens name the endpoint that its callers know. */
static void tokens_may_name_a_public_endpoint(void **state)
{
    static const struct {
        const char *aud;
        int status;
    } rows[] = {
        {"https://chat.example.com/base/api/hubs/chat/:send", 0},
        {"wss://Chat.Example.com:443/Base/api/hubs/chat", 0},
        {"https://chat.example.com/evil/api/hubs/chat/:send", 401},
        {"https://chat.example.com/api/hubs/chat/:send", 401},
        {"https://chat.example.com/ba", 401},
        {"https://chat.example.com:444/base/api/hubs/chat/:send", 401},
        {"https://example.com/base/api/hubs/chat/:send", 401},
    };
    static struct public_endpoint endpoint = {.url = {"https://chat.example.com/base", 29},
                                              .secure = true,
                                              .host = {"chat.example.com", 16},
                                              .path = {"/base", 5}};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *headers =
            arena__printf(&f->arena, "Authorization: %.*s\n" TEXT, STR_FMT(bearer(f, rows[i].aud)));

        f->settings.endpoint_count = 0;
        assert_int_equal(send_with(f, headers), 401);
        f->settings.endpoints = &endpoint;
        f->settings.endpoint_count = 1;
        if (send_with(f, headers) != rows[i].status)
            fail_msg("%s: %d", rows[i].aud, f->call.response.status);
    }
}

static void token_parameters_are_checked(void **state)
{
    static const char *const queries[] = {
        "?minutesToExpire=0",
        "?minutesToExpire=",
        "?minutesToExpire=-1",
        "?minutesToExpire=1.5",
        "?minutesToExpire=2147483648",
        "?minutesToExpire=1&minutesToExpire=1",
        "?clientType=",
        "?clientType=SocketIO",
        "?clientType=MQTT&clientType=MQTT",
        "?userId=",
        "?userId=a%0a",
        "?userId=a&userId=a",
        "?group=",
        "?group=%20",
        "?group=%ff",
        "?api-version=2020-10-01",
    };
    struct fixture *f = *state;
    char *role = arena__printf(&f->arena, "?role=%0*d", JWT_MAX_LEN, 0);
    char *longest = arena__printf(&f->arena, "?userId=%01024d", 0);
    char *longer = arena__printf(&f->arena, "?userId=%01025d", 0);

    for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
        if (generate(f, queries[i], "") != 400)
            fail_msg("%s: %d", queries[i], f->call.response.status);
        error_is(f, "Error.BadRequest", strstr(queries[i], "version") ? "api-version" : "Request");
    }
    assert_int_equal(generate(f, role, ""), 400);
    error_is(f, "Error.BadRequest", "Request");
    assert_int_equal(generate(f, longest, ""), 200);
    assert_int_equal(generate(f, longer, ""), 400); /* no handshake would take it */
    error_is(f, "Error.BadRequest", "Request");
    assert_int_equal(call(f, "GET", "/api/hubs/chat/:generateToken", "", STR("")), 405);
    assert_int_equal(call(f, "POST", "/api/hubs/1/:generateToken",
                          entra_bearer(f, f->entra->key, "k1", NULL, ENTRA_CLAIMS(1800000060)),
                          STR("")),
                     400);
}

/* client-and-rest section 5.2, row 25 */
static void tokens_are_for_entra_callers_alone(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(call(f, "POST", "/api/hubs/chat/:generateToken", "", STR("")), 401);
    assert_int_equal(f->call.response.body.len, 0);
    assert_non_null(strstr(f->diag.text, "Entra"));
    f->world.entra = NULL;
    assert_int_equal(call(f, "POST", "/api/hubs/chat/:generateToken", "", STR("")), 401);
}

/* --- Lists ------------------------------------------------------------------ */

#define LIST "/api/hubs/Chat/groups/g%2F1%25%20%C3%9C/connections"

/* The connections c001 to c`total` behind `after`, as the core would list them; every
 * second one is anonymous. */
static struct hub_result listed(struct fixture *f, unsigned total)
{
    const struct hub_command *cmd = &f->call.command;
    struct hub_result result = {.listing = listing__new(cmd->limit)};
    char id[16], user[16];

    for (unsigned i = total; i >= 1; i--) {
        snprintf(id, sizeof(id), "c%03u", i);
        snprintf(user, sizeof(user), "u\"%u", i);
        if (!cmd->after.ptr || listing__compare(str__of(id), cmd->after) > 0)
            assert_true(
                listing__offer(result.listing, str__of(id), i % 2 ? str__of(user) : STR_NONE));
    }
    listing__sort(result.listing);
    return result;
}

/* How many connections a page shows, the first of them, and the path of the next link. */
static unsigned page(struct fixture *f, const char *target, unsigned total, struct str *first,
                     const char **next)
{
    struct hub_result result;
    struct json *root;
    struct str link;
    int status = call(f, "GET", target, "", STR_NONE);

    if (status != 0)
        fail_msg("%s: %d %s", target, status, f->diag.text);
    assert_int_equal(f->call.command.op, HUB_LIST);
    assert_int_equal(f->call.command.scope, SCOPE_GROUP);
    assert_str(f->call.command.hub, "chat");
    assert_str(f->call.command.name, "g/1% \xc3\x9c");
    result = listed(f, total);
    rest__finish(&f->arena, &f->call, &result);
    hub_result__free(&result);
    assert_int_equal(f->call.response.status, 200);
    assert_str(header(f, "Content-Type"), "application/json");
    assert_int_equal(
        json__parse(&f->arena, f->call.response.body, &JSON_LIMITS_DEFAULT, &root, NULL), PH_OK);
    link = json__get_string(root, STR("nextLink"));
    assert_non_null(json__get(root, STR("nextLink")));
    assert_true(!link.ptr || str__starts_with(link, STR(HOST LIST "?api-version=2024-12-01&")));
    *next = link.ptr
                ? arena__strdup(&f->arena, str__n(link.ptr + strlen(HOST), link.len - strlen(HOST)))
                : NULL;
    *first = json__get_string(json__get(root, STR("value"))->child, STR("connectionId"));
    return json__get(root, STR("value"))->count;
}

static void lists_come_in_pages(void **state)
{
    static const struct {
        const char *query;
        unsigned total, pages[5];
    } rows[] = {
        {"", 0, {0}},
        {"", 200, {200}},
        {"", 201, {200, 1}},
        {"?maxpagesize=200", 401, {200, 200, 1}},
        {"?maxpagesize=1", 3, {1, 1, 1}},
        {"?MaxPageSize=2", 4, {2, 2}},
        {"?maxpagesize=2", 5, {2, 2, 1}},
        {"?maxpagesize=2&top=3", 10, {2, 1}},
        {"?maxpagesize=2&top=4", 10, {2, 2}},
        {"?maxpagesize=2&top=2", 10, {2}},
        {"?maxpagesize=2&top=1", 10, {1}},
        {"?top=2147483647", 3, {3}},
        {"?top=201", 300, {200, 1}},
        {"?top=7", 3, {3}},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *next = arena__printf(&f->arena, "%s%s", LIST, rows[i].query);
        unsigned shown = 0, k = 0;
        char want[16];

        do {
            struct str first;
            unsigned count = page(f, next, rows[i].total, &first, &next);

            if (count != rows[i].pages[k])
                fail_msg("%s: page %u has %u", rows[i].query, k, count);
            snprintf(want, sizeof(want), "c%03u", shown + 1);
            if (count > 0)
                assert_str(first, want);
            shown += count;
            k++;
        } while (next);
        assert_true(k == 5 || rows[i].pages[k] == 0);
    }
}

/* A client that escapes half of a character, or none of it, gets a link that is a URL. */
static void a_link_escapes_what_the_path_did_not(void **state)
{
    static const struct {
        const char *sent, *link;
    } rows[] = {
        {"%c3\x9c", "%c3%9C"},
        {"\xc3\x9c", "%C3%9C"},
        {"%C3%9C", "%C3%9C"},
    };
    struct fixture *f = *state;
    const char *authorization = arena__printf(&f->arena, "Authorization: %.*s\n",
                                              STR_FMT(bearer(f, HOST "/api/hubs/chat")));

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct hub_result result;
        struct json *root;
        struct str link;
        const char *want;

        assert_int_equal(
            call(f, "GET",
                 arena__printf(&f->arena, "/api/hubs/chat/groups/%s/connections", rows[i].sent),
                 authorization, STR_NONE),
            0);
        result = listed(f, 201);
        rest__finish(&f->arena, &f->call, &result);
        hub_result__free(&result);
        assert_int_equal(
            json__parse(&f->arena, f->call.response.body, &JSON_LIMITS_DEFAULT, &root, NULL),
            PH_OK);
        link = json__get_string(root, STR("nextLink"));
        want =
            arena__printf(&f->arena, "%s/api/hubs/chat/groups/%s/connections?", HOST, rows[i].link);
        assert_true(str__starts_with(link, str__of(want)));
    }
}

static void users_are_listed_or_null(void **state)
{
    struct fixture *f = *state;
    const char *next;
    struct str first;

    page(f, LIST, 2, &first, &next);
    assert_str(f->call.response.body,
               "{\"value\":[{\"connectionId\":\"c001\",\"userId\":\"u\\\"1\"},"
               "{\"connectionId\":\"c002\",\"userId\":null}],"
               "\"nextLink\":null}");
    call(f, "GET", LIST, "", STR_NONE); /* nobody on any shard */
    assert_int_equal(finish(f, 0), 200);
    assert_str(f->call.response.body, "{\"value\":[],\"nextLink\":null}");
    call(f, "GET", LIST, "", STR_NONE);
    rest__finish(&f->arena, &f->call, &(struct hub_result){.failed = true});
    assert_int_equal(f->call.response.status, 503);
}

/* A token is good for its hub and group, and for nothing else. */
static void continuation_tokens_are_bound(void **state)
{
    static const struct {
        const char *path;
        bool good;
    } rows[] = {
        {LIST, true},
        {"/api/hubs/chat/groups/g%2f1%25%20%C3%9C/connections", true},
        {"/api/hubs/other/groups/g%2F1%25%20%C3%9C/connections", false},
        {"/api/hubs/chat/groups/G%2F1%25%20%C3%9C/connections", false},
        {"/api/hubs/chat/groups/g%252F1%25%20%C3%9C/connections", false},
    };
    struct fixture *f = *state;
    const char *next, *token;
    struct mac_key *old;
    struct str first;

    page(f, LIST "?maxpagesize=1", 2, &first, &next);
    token = strstr(next, "continuationToken=");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        int status =
            call(f, "GET", arena__printf(&f->arena, "%s?%s", rows[i].path, token), "", STR_NONE);

        assert_int_equal(status, rows[i].good ? 0 : 400);
        if (rows[i].good)
            assert_str(f->call.command.after, "c001");
        else
            error_is(f, "Error.BadRequest", "Request");
    }
    for (size_t i = strlen("continuationToken="); i < strlen(token); i++) {
        char *broken = arena__printf(&f->arena, "%s?%s", LIST, token);
        char *at = broken + strlen(LIST "?") + i;

        *at = *at == 'A' ? 'B' : 'A';
        if (call(f, "GET", broken, "", STR_NONE) != 400 && i + 1 < strlen(token))
            fail_msg("taken: %s", broken); /* the last digit may have bits that do not count */
    }
    /* Another key made it: as a secondary key, it still counts. The next one is the new key's. */
    old = f->settings.keys[0];
    f->settings.keys[0] = mac__key_new(STR("another key, which is long enough for all"));
    assert_int_equal(call(f, "GET", next, "", STR_NONE), 400);
    f->settings.keys[1] = old;
    f->settings.key_count = 2;
    assert_int_equal(call(f, "GET", next, "", STR_NONE), 0);
    page(f, LIST "?maxpagesize=1", 2, &first, &next);
    f->settings.key_count = 1;
    assert_int_equal(call(f, "GET", next, "", STR_NONE), 0);
    mac__key_free(old);
}

/* Whoever moves characters from one name to the next gets no signature for it. */
static void a_continuation_token_keeps_its_names_apart(void **state)
{
    static const struct {
        const char *path;
        size_t moved; /* characters of the connection id that go in front of it */
    } rows[] = {
        {"/api/hubs/chat/groups/g%2F1%25%20%C3%9Cc/connections", 1},
        {"/api/hubs/chatg/groups/%2F1%25%20%C3%9C/connections", 0},
    };
    struct fixture *f = *state;
    struct str first, token;
    const char *next;

    page(f, LIST "?maxpagesize=1", 2, &first, &next);
    next = strstr(next, "continuationToken=") + strlen("continuationToken=");
    token = base64__decode_url(&f->arena, str__of(next));
    assert_int_equal(token.len, MAC_SIZE + first.len);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct buf forged;

        buf__init(&forged, 4096);
        buf__printf(&forged, "%s?continuationToken=", rows[i].path);
        memcpy((char *)token.ptr + MAC_SIZE, first.ptr + rows[i].moved, first.len - rows[i].moved);
        base64__encode_url(&forged, token.ptr, token.len - rows[i].moved);
        assert_int_equal(call(f, "GET", arena__strdup(&f->arena, buf__view(&forged)), "", STR_NONE),
                         400);
        buf__free(&forged);
    }
}

static void page_parameters_are_checked(void **state)
{
    static const char *const queries[] = {
        "maxpagesize=0",
        "maxpagesize=201",
        "maxpagesize=-1",
        "maxpagesize=",
        "maxpagesize=x",
        "maxpagesize=1&maxpagesize=1",
        "top=0",
        "top=2147483648",
        "top=",
        "top=1&top=1",
        "continuationToken=",
        "continuationToken=x",
        "continuationToken=%20",
        "continuationToken=AAAA",
        "continuationToken=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    };
    static char long_token[PAGE_TOKEN_TOO_LONG];
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
        if (call(f, "GET", arena__printf(&f->arena, "%s?%s", LIST, queries[i]), "", STR_NONE) !=
            400)
            fail_msg("taken: %s", queries[i]);
        error_is(f, "Error.BadRequest", "Request");
    }
    memset(long_token, 'A', sizeof(long_token) - 1);
    assert_int_equal(call(f, "GET",
                          arena__printf(&f->arena, "%s?continuationToken=%s", LIST, long_token), "",
                          STR_NONE),
                     400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(metadata_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(metadata_headers_are_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(operations, setup, teardown),
        cmocka_unit_test_setup_teardown(health_needs_no_token, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_say_where_they_come_from, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_decoded_after_the_split, setup, teardown),
        cmocka_unit_test_setup_teardown(the_longest_name_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(accepted_parameters, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lifetime_starts_with_the_call, setup, teardown),
        cmocka_unit_test_setup_teardown(excluded_repeats_and_reason_is_passed_on, setup, teardown),
        cmocka_unit_test_setup_teardown(permissions, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_come_in_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(a_link_escapes_what_the_path_did_not, setup, teardown),
        cmocka_unit_test_setup_teardown(users_are_listed_or_null, setup, teardown),
        cmocka_unit_test_setup_teardown(continuation_tokens_are_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(a_continuation_token_keeps_its_names_apart, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(page_parameters_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_groups_are_a_conflict_of_a_connection, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(too_many_permissions_are_a_conflict, setup, teardown),
        cmocka_unit_test_setup_teardown(refusals_have_a_reason_for_the_log, setup, teardown),
        cmocka_unit_test_setup_teardown(groups_come_in_the_body, setup, teardown),
        cmocka_unit_test_setup_teardown(at_most_1000_groups, setup, teardown),
        cmocka_unit_test_setup_teardown(content_types, setup, teardown),
        cmocka_unit_test_setup_teardown(utf16_is_read_strictly, setup, teardown),
        cmocka_unit_test_setup_teardown(nested_json_is_refused_past_64_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(body_may_have_one_mebibyte, setup, teardown),
        cmocka_unit_test_setup_teardown(longest_body_has_room_to_grow, setup, teardown),
        cmocka_unit_test_setup_teardown(tokens_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(entra_tokens_are_checked, entra_setup, entra_teardown),
        cmocka_unit_test_setup_teardown(an_unknown_key_is_waited_for_once, entra_setup,
                                        entra_teardown),
        cmocka_unit_test_setup_teardown(unvalidated_tokens_have_times_alone, entra_setup,
                                        entra_teardown),
        cmocka_unit_test_setup_teardown(tokens_are_generated, entra_setup, entra_teardown),
        cmocka_unit_test_setup_teardown(generated_tokens_name_the_public_endpoint, entra_setup,
                                        entra_teardown),
        cmocka_unit_test_setup_teardown(the_primary_key_signs, entra_setup, entra_teardown),
        cmocka_unit_test_setup_teardown(tokens_may_name_a_public_endpoint, setup, teardown),
        cmocka_unit_test_setup_teardown(token_parameters_are_checked, entra_setup, entra_teardown),
        cmocka_unit_test_setup_teardown(tokens_are_for_entra_callers_alone, entra_setup,
                                        entra_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
