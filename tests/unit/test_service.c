/* The service client against a broker in this process: every operation, and what it does to
 * clients; threads; what is refused before it is sent. */
#include "base/base64.h"
#include "broker_kit.h"
#include "pubhook/service.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define KEY "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"

static struct broker_kit kit;
static char connection_string[256];
static struct ph_service *chat;

static int setup(void **state)
{
    const char *why;

    (void)state;
    broker_kit__init(&kit, 2);
    kit.settings.entra = (struct entra_settings){.audience = STR("https://webpubsub.azure.com"),
                                                 .allow_unvalidated = true};
    broker_kit__start(&kit);
    snprintf(connection_string, sizeof(connection_string),
             "Endpoint=http://127.0.0.1:%u;AccessKey=" KEY ";Version=1.0;", kit.port);
    if (ph_service_new(connection_string, "chat", NULL, &chat, &why))
        fail_msg("%s", why);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ph_service_free(chat);
    broker_kit__free(&kit);
    return 0;
}

/* --- Clients ------------------------------------------------------------------------- */

struct member {
    struct client client;
    char id[64];
};

static void join_as(struct member *m, const char *claims)
{
    const struct client_options options = {.protocol = JSON_PROTOCOL, .claims = claims};

    client__open(&m->client, &kit, &options);
    assert_int_equal(m->client.status, 101);
    assert_int_equal(client__read(&m->client), WS_OP_TEXT);
    client__member(&m->client, "connectionId", m->id, sizeof(m->id));
}

static void leave(struct member *m)
{
    client__close(&m->client);
}

static void expect_frame(struct member *m, const char *part)
{
    assert_int_equal(client__read(&m->client), WS_OP_TEXT);
    if (!strstr(m->client.payload.data, part))
        fail_msg("got %s, expected %s in it", m->client.payload.data, part);
}

/* Nothing came before this. */
static void expect_nothing(struct member *m)
{
    client__text(&m->client, "{\"type\":\"ping\"}");
    expect_frame(m, "pong");
}

/* --- Calls --------------------------------------------------------------------------- */

static void must(enum ph_err err, struct ph_service_result *result)
{
    if (err)
        fail_msg("%s", ph_service_result_why(result));
    assert_int_equal(ph_service_result_error(result), PH_OK);
    assert_string_equal(ph_service_result_why(result), "");
    assert_int_equal(ph_service_result_tries(result), 1);
    assert_int_equal(strlen(ph_service_result_request_id(result)), 36);
    ph_service_result_free(result);
}

#define MUST(call)                                                                                 \
    do {                                                                                           \
        struct ph_service_result *r;                                                               \
        enum ph_err unit_err = (call);                                                             \
        must(unit_err, r);                                                                         \
    } while (0)

static void perform(const struct ph_service_request *request)
{
    MUST(ph_service_call(chat, request, &r));
}

/* --- Sending ------------------------------------------------------------------------- */

static void sends_reach_all_a_group_a_user_and_a_connection(void **state)
{
    struct member ann, bob;

    (void)state;
    join_as(&ann, ",\"sub\":\"ann\",\"webpubsub.group\":[\"a/b %\"]");
    join_as(&bob, ",\"sub\":\"bob\"");
    MUST(ph_service_send_to_all(chat, PH_DATA_TEXT, "all", 3, &r));
    expect_frame(&ann, "\"data\":\"all\"");
    expect_frame(&bob, "\"data\":\"all\"");
    MUST(ph_service_send_to_group(chat, "a/b %", PH_DATA_JSON, "{\"a\":[1]}", 9, &r));
    expect_frame(&ann, "\"group\":\"a/b %\",\"dataType\":\"json\",\"data\":{\"a\":[1]}");
    MUST(ph_service_send_to_user(chat, "bob", PH_DATA_BINARY, "\0\1\2", 3, &r));
    expect_frame(&bob, "\"dataType\":\"binary\",\"data\":\"AAEC\"");
    MUST(ph_service_send_to_connection(chat, ann.id, PH_DATA_TEXT, "", 0, &r));
    expect_frame(&ann, "\"data\":\"\"");
    expect_nothing(&ann);
    expect_nothing(&bob);
    leave(&ann);
    leave(&bob);
}

static void sends_have_a_filter_exclusions_metadata_and_a_time(void **state)
{
    static const struct ph_service_metadata metadata[] = {{"Trace", "t 1"}, {NULL, NULL}};
    struct member ann, bob;

    (void)state;
    join_as(&ann, ",\"sub\":\"ann\"");
    join_as(&bob, ",\"sub\":\"bob\"");
    const char *const without_ann[] = {ann.id, "nobody", NULL};

    perform(&(struct ph_service_request){.operation = PH_SERVICE_SEND_TO_ALL,
                                         .text = "not ann",
                                         .excluded = without_ann,
                                         .ttl_seconds = 300});
    expect_frame(&bob, "not ann");
    perform(&(struct ph_service_request){.operation = PH_SERVICE_SEND_TO_ALL,
                                         .text = "ann",
                                         .filter = "userId eq 'ann'",
                                         .metadata = metadata});
    expect_frame(&ann, "\"metadata\":{\"trace\":\"t 1\"}");
    expect_nothing(&ann);
    expect_nothing(&bob);
    leave(&ann);
    leave(&bob);
}

/* --- Connections --------------------------------------------------------------------- */

static void expect_closed(struct member *m, const char *reason)
{
    expect_frame(m, reason);
    assert_int_equal(client__expect_close(&m->client), 1000);
    leave(m);
}

static void connections_are_closed(void **state)
{
    struct member m[4];

    (void)state;
    join_as(&m[0], ",\"sub\":\"ann\"");
    join_as(&m[1], ",\"sub\":\"bob\",\"webpubsub.group\":[\"g\"]");
    join_as(&m[2], ",\"sub\":\"cid\"");
    join_as(&m[3], NULL);
    const char *const last[] = {m[3].id, NULL};

    MUST(ph_service_close_connection(chat, m[0].id, "one é", &r));
    expect_closed(&m[0], "one é");
    MUST(ph_service_close_group(chat, "g", "group", &r));
    expect_closed(&m[1], "group");
    MUST(ph_service_close_user(chat, "cid", NULL, &r));
    expect_closed(&m[2], "closed the connection");
    perform(&(struct ph_service_request){.operation = PH_SERVICE_CLOSE_ALL, .excluded = last});
    expect_nothing(&m[3]);
    MUST(ph_service_close_all(chat, "all", &r));
    expect_closed(&m[3], "all");
    MUST(ph_service_close_connection(chat, "nobody", NULL, &r));
}

static int answer_to(enum ph_err (*ask)(struct ph_service *, const char *, int *,
                                        struct ph_service_result **),
                     const char *name)
{
    int answer = 7;

    assert_int_equal(ask(chat, name, &answer, NULL), PH_OK);
    return answer;
}

static void questions_are_answered(void **state)
{
    struct member ann;

    (void)state;
    join_as(&ann, ",\"sub\":\"ann\",\"webpubsub.group\":[\"g\"]");
    assert_int_equal(answer_to(ph_service_connection_exists, ann.id), 1);
    assert_int_equal(answer_to(ph_service_connection_exists, "nobody"), 0);
    assert_int_equal(answer_to(ph_service_group_exists, "g"), 1);
    assert_int_equal(answer_to(ph_service_group_exists, "h"), 0);
    assert_int_equal(answer_to(ph_service_user_exists, "ann"), 1);
    assert_int_equal(answer_to(ph_service_user_exists, "bob"), 0);
    MUST(ph_service_health(chat, &r));
    leave(&ann);
}

/* --- Groups -------------------------------------------------------------------------- */

static void connections_and_users_join_and_leave_groups(void **state)
{
    struct member ann;

    (void)state;
    join_as(&ann, ",\"sub\":\"ann\"");
    MUST(ph_service_add_connection_to_group(chat, "g", ann.id, &r));
    assert_int_equal(answer_to(ph_service_group_exists, "g"), 1);
    MUST(ph_service_remove_connection_from_group(chat, "g", ann.id, &r));
    assert_int_equal(answer_to(ph_service_group_exists, "g"), 0);
    MUST(ph_service_add_user_to_group(chat, "g", "ann", &r));
    MUST(ph_service_add_user_to_group(chat, "h", "ann", &r));
    MUST(ph_service_remove_user_from_group(chat, "g", "ann", &r));
    assert_int_equal(answer_to(ph_service_group_exists, "g"), 0);
    assert_int_equal(answer_to(ph_service_group_exists, "h"), 1);
    MUST(ph_service_remove_user_from_all_groups(chat, "ann", &r));
    assert_int_equal(answer_to(ph_service_group_exists, "h"), 0);
    MUST(ph_service_add_connection_to_group(chat, "g", ann.id, &r));
    MUST(ph_service_remove_connection_from_all_groups(chat, ann.id, &r));
    assert_int_equal(answer_to(ph_service_group_exists, "g"), 0);
    leave(&ann);
}

static void filtered_connections_join_and_leave_groups(void **state)
{
    static const char *const groups[] = {"g", "quo\"te", NULL};
    struct member ann, bob;

    (void)state;
    join_as(&ann, ",\"sub\":\"ann\"");
    join_as(&bob, ",\"sub\":\"bob\"");
    MUST(ph_service_add_connections_to_groups(chat, groups, "userId eq 'ann'", &r));
    MUST(ph_service_send_to_group(chat, "quo\"te", PH_DATA_TEXT, "to ann", 6, &r));
    expect_frame(&ann, "to ann");
    expect_nothing(&bob);
    MUST(ph_service_add_connections_to_groups(chat, groups, NULL, &r));
    MUST(ph_service_send_to_group(chat, "g", PH_DATA_TEXT, "to both", 7, &r));
    expect_frame(&ann, "to both");
    expect_frame(&bob, "to both");
    MUST(ph_service_remove_connections_from_groups(chat, groups, NULL, &r));
    assert_int_equal(answer_to(ph_service_group_exists, "g"), 0);
    leave(&ann);
    leave(&bob);
}

static void who_is_missing_is_told_with_the_services_code(void **state)
{
    struct ph_service_result *r;

    (void)state;
    assert_int_equal(ph_service_add_connection_to_group(chat, "g", "nobody", &r), PH_ERR_NOT_FOUND);
    assert_int_equal(ph_service_result_status(r), 404);
    assert_string_equal(ph_service_result_code(r), "Error.Connection.NotExisted");
    assert_string_equal(ph_service_result_message(r), "Connection `nobody` is not found.");
    assert_string_equal(ph_service_result_target(r), "Connection");
    assert_non_null(strstr(ph_service_result_why(r), "404 Error.Connection.NotExisted: Connection "
                                                     "`nobody` is not found."));
    assert_int_equal(ph_service_result_operation(r), PH_SERVICE_ADD_CONNECTION_TO_GROUP);
    ph_service_result_free(r);
    assert_int_equal(ph_service_add_user_to_group(chat, "g", "nobody", NULL), PH_ERR_NOT_FOUND);
}

/* --- Listing ------------------------------------------------------------------------- */

#define MEMBERS 5

static void a_group_is_listed_page_by_page(void **state)
{
    struct ph_service_request request = {
        .operation = PH_SERVICE_LIST_CONNECTIONS_IN_GROUP, .group = "g", .page_size = 2};
    struct ph_service_result *page = NULL, *next;
    struct member m[MEMBERS];
    size_t seen = 0, pages = 0;

    (void)state;
    for (size_t i = 0; i < MEMBERS; i++)
        join_as(&m[i], i == 0 ? ",\"webpubsub.group\":[\"g\"]"
                              : ",\"sub\":\"ann\",\"webpubsub.group\":[\"g\"]");
    do {
        assert_int_equal(ph_service_call(chat, &request, &next), PH_OK);
        ph_service_result_free(page);
        page = next;
        for (size_t i = 0; i < ph_service_result_count(page); i++, seen++) {
            const char *user, *id = ph_service_result_connection(page, i, &user);
            bool anonymous = strcmp(id, m[0].id) == 0;

            assert_true(anonymous ? user == NULL : strcmp(user, "ann") == 0);
        }
        request.continuation = ph_service_result_continuation(page);
        pages++;
    } while (request.continuation);
    assert_int_equal(seen, MEMBERS);
    assert_int_equal(pages, 3);
    assert_null(ph_service_result_connection(page, 2, NULL));
    ph_service_result_free(page);
    for (size_t i = 0; i < MEMBERS; i++)
        leave(&m[i]);
}

static void a_group_is_walked(void **state)
{
    struct ph_service_list *list = ph_service_list_new(chat, "g", 0);
    const char *id, *user;
    struct member m[2];
    size_t seen = 0;

    (void)state;
    for (size_t i = 0; i < 2; i++)
        join_as(&m[i], ",\"sub\":\"ann\",\"webpubsub.group\":[\"g\"]");
    assert_null(ph_service_list_result(list));
    while (ph_service_list_next(list, &id, &user) == PH_OK && id) {
        assert_string_equal(user, "ann");
        seen++;
    }
    assert_int_equal(seen, 2);
    assert_int_equal(ph_service_list_next(list, &id, NULL), PH_OK);
    assert_null(id);
    ph_service_list_free(list);
    list = ph_service_list_new(chat, "g", 1);
    assert_int_equal(ph_service_list_next(list, &id, NULL), PH_OK);
    assert_non_null(id);
    assert_int_equal(ph_service_list_next(list, &id, NULL), PH_OK);
    assert_null(id);
    ph_service_list_free(list);
    list = ph_service_list_new(chat, NULL, 0);
    assert_int_equal(ph_service_list_next(list, &id, &user), PH_ERR_ARGUMENT);
    assert_non_null(strstr(ph_service_result_why(ph_service_list_result(list)), "group"));
    ph_service_list_free(list);
    for (size_t i = 0; i < 2; i++)
        leave(&m[i]);
}

/* --- Tokens -------------------------------------------------------------------------- */

static void a_key_makes_tokens_here(void **state)
{
    const struct ph_token_options ann = {.user_id = "ann"}, wrong = {.user_id = ""};
    struct ph_service_result *r;
    char *text, start[64];

    (void)state;
    snprintf(start, sizeof(start), "ws://127.0.0.1:%u/client/hubs/chat?access_token=ey", kit.port);
    assert_int_equal(ph_service_client_url(chat, &ann, &text, NULL), PH_OK);
    assert_true(str__starts_with(str__of(text), str__of(start)));
    ph_token_free(text);
    assert_int_equal(ph_service_client_token(chat, NULL, &text, NULL), PH_OK);
    ph_token_free(text);
    assert_int_equal(ph_service_client_token(chat, &wrong, &text, &r), PH_ERR_ARGUMENT);
    assert_null(text);
    ph_service_result_free(r);
}

/* The broker makes tokens for callers of Microsoft Entra alone. */
static void the_service_makes_none_for_a_key(void **state)
{
    (void)state;
    assert_int_equal(
        ph_service_call(chat, &(struct ph_service_request){.operation = PH_SERVICE_GENERATE_TOKEN},
                        NULL),
        PH_ERR_AUTH);
}

/* One of Microsoft Entra, with a signature that this broker does not look at. */
static enum ph_err give_token(void *arg, void (*give)(void *to, const char *token), void *to)
{
    struct buf token;
    char claims[128];

    snprintf(claims, sizeof(claims), "{\"aud\":\"https://webpubsub.azure.com\",\"exp\":%lld}",
             (long long)time(NULL) + 60);
    buf__init(&token, 1024);
    base64__encode_url(&token, "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", 27);
    buf__byte(&token, '.');
    base64__encode_url(&token, claims, strlen(claims));
    buf__str(&token, STR(".c2lnbmF0dXJl"));
    give(to, token.data);
    buf__free(&token);
    ++*(unsigned *)arg;
    return PH_OK;
}

static void the_service_makes_tokens_for_callers_of_entra(void **state)
{
    static const char *const groups[] = {"g", NULL};
    const struct ph_token_options ann = {.user_id = "ann", .groups = groups, .minutes = 5};
    char endpoint[64], query[2048], *token;
    unsigned asked = 0;
    const struct ph_service_options options = {
        .endpoint = endpoint, .token = give_token, .token_arg = &asked, .allow_plain_token = 1};
    struct ph_service *s;
    struct client client;
    int exists;

    (void)state;
    snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u", kit.port);
    assert_int_equal(ph_service_new(NULL, "chat", &options, &s, NULL), PH_OK);
    MUST(ph_service_client_token(s, &ann, &token, &r));
    snprintf(query, sizeof(query), "access_token=%s", token);
    client__open(
        &client, &kit,
        &(struct client_options){.protocol = JSON_PROTOCOL, .no_token = true, .query = query});
    assert_int_equal(client.status, 101);
    assert_int_equal(ph_service_user_exists(s, "ann", &exists, NULL), PH_OK);
    assert_int_equal(exists, 1);
    assert_int_equal(ph_service_group_exists(s, "g", &exists, NULL), PH_OK);
    assert_int_equal(exists, 1);
    assert_int_equal(asked, 3);
    ph_token_free(token);
    client__close(&client);
    ph_service_free(s);
}

/* --- Permissions --------------------------------------------------------------------- */

static int may(const char *id, enum ph_service_permission permission, const char *group)
{
    int answer = 7;

    assert_int_equal(ph_service_check_permission(chat, id, permission, group, &answer, NULL),
                     PH_OK);
    return answer;
}

static void permissions_are_granted_checked_and_revoked(void **state)
{
    struct member ann;

    (void)state;
    join_as(&ann, ",\"sub\":\"ann\"");
    assert_int_equal(may(ann.id, PH_PERMISSION_SEND_TO_GROUP, "g"), 0);
    MUST(ph_service_grant_permission(chat, ann.id, PH_PERMISSION_SEND_TO_GROUP, "g", &r));
    assert_int_equal(may(ann.id, PH_PERMISSION_SEND_TO_GROUP, "g"), 1);
    assert_int_equal(may(ann.id, PH_PERMISSION_SEND_TO_GROUP, "h"), 0);
    assert_int_equal(may(ann.id, PH_PERMISSION_JOIN_LEAVE_GROUP, "g"), 0);
    MUST(ph_service_grant_permission(chat, ann.id, PH_PERMISSION_JOIN_LEAVE_GROUP, NULL, &r));
    assert_int_equal(may(ann.id, PH_PERMISSION_JOIN_LEAVE_GROUP, "h"), 1);
    MUST(ph_service_revoke_permission(chat, ann.id, PH_PERMISSION_SEND_TO_GROUP, "g", &r));
    assert_int_equal(may(ann.id, PH_PERMISSION_SEND_TO_GROUP, "g"), 0);
    assert_int_equal(
        ph_service_grant_permission(chat, "nobody", PH_PERMISSION_SEND_TO_GROUP, NULL, NULL),
        PH_ERR_NOT_FOUND);
    leave(&ann);
}

/* --- Refusals ------------------------------------------------------------------------ */

static void what_is_no_request_is_refused_before_it_is_sent(void **state)
{
    static const char *const none[] = {NULL}, *const empty[] = {"", NULL};
    static const struct ph_service_metadata bad[] = {{"a b", "c"}, {NULL, NULL}};
    static const struct {
        struct ph_service_request request;
        const char *why;
    } rows[] = {
        {{.text = "x"}, "0 is no operation"},
        {{.operation = (enum ph_service_operation)99}, "99 is no operation"},
        {{.operation = PH_SERVICE_SEND_TO_GROUP, .text = "x"}, "sendToGroup: group is missing"},
        {{.operation = PH_SERVICE_SEND_TO_GROUP, .text = "x", .group = "  "}, "not all blank"},
        {{.operation = PH_SERVICE_SEND_TO_USER, .user_id = ""}, "user_id: expected text"},
        {{.operation = PH_SERVICE_SEND_TO_USER, .user_id = "\xFF"}, "user_id: expected text"},
        {{.operation = PH_SERVICE_SEND_TO_USER, .user_id = "a", .excluded = none},
         "sendToUser has no excluded"},
        {{.operation = PH_SERVICE_SEND_TO_ALL, .text = "a", .data = "b", .len = 1}, "either"},
        {{.operation = PH_SERVICE_SEND_TO_ALL, .len = 1}, "not NULL"},
        {{.operation = PH_SERVICE_SEND_TO_ALL, .ttl_seconds = 301}, "up to 300"},
        {{.operation = PH_SERVICE_SEND_TO_ALL, .excluded = empty}, "excluded: expected"},
        {{.operation = PH_SERVICE_SEND_TO_ALL, .metadata = bad}, "metadata: expected"},
        {{.operation = PH_SERVICE_SEND_TO_ALL, .request_id = "a\r\nb: c"}, "request_id"},
        {{.operation = PH_SERVICE_ADD_CONNECTIONS_TO_GROUPS, .groups = none}, "at least one"},
        {{.operation = PH_SERVICE_GRANT_PERMISSION, .connection_id = "a"}, "permission is missing"},
        {{.operation = PH_SERVICE_CHECK_PERMISSION,
          .connection_id = "a",
          .permission = (enum ph_service_permission)3},
         "one of enum ph_service_permission"},
        {{.operation = PH_SERVICE_LIST_CONNECTIONS_IN_GROUP, .group = "g", .page_size = 201},
         "page_size up to 200"},
        {{.operation = PH_SERVICE_LIST_CONNECTIONS_IN_GROUP, .group = "g", .continuation = "a b"},
         "ph_service_result_continuation"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_service_result *r;

        assert_int_equal(ph_service_call(chat, &rows[i].request, &r), PH_ERR_ARGUMENT);
        if (!strstr(ph_service_result_why(r), rows[i].why))
            fail_msg("row %zu: got \"%s\", expected \"%s\"", i, ph_service_result_why(r),
                     rows[i].why);
        assert_int_equal(ph_service_result_tries(r), 0);
        assert_int_equal(ph_service_result_status(r), 0);
        ph_service_result_free(r);
    }
}

static void clients_that_cannot_be_made(void **state)
{
    static const char endpoint[] = "https://a.example";
    static const struct {
        const char *connection_string, *hub;
        struct ph_service_options options;
        enum ph_err err;
        const char *why;
    } rows[] = {
        {"Endpoint=http://a;AccessKey=k", "1", {0}, PH_ERR_ARGUMENT, "no name of a hub"},
        {"Endpoint=http://a;AccessKey=k", NULL, {0}, PH_ERR_ARGUMENT, "no name of a hub"},
        {"Endpoint=http://a", "h", {0}, PH_ERR_SYNTAX, "AccessKey is missing"},
        {NULL, "h", {0}, PH_ERR_NOT_FOUND, "WebPubSubConnectionString"},
        {NULL, "h", {.endpoint = endpoint}, PH_ERR_ARGUMENT, "neither an access key nor tokens"},
        {"Endpoint=http://a;AccessKey=k", "h", {.endpoint = endpoint}, PH_ERR_ARGUMENT, "both"},
        {"Endpoint=http://a;AccessKey=k", "h", {.user_agent = "a\nb"}, PH_ERR_ARGUMENT, "ASCII"},
        {"Endpoint=http://a;AccessKey=k",
         "h",
         {.reverse_proxy = "https://b/c"},
         PH_ERR_ARGUMENT,
         "without a path"},
    };

    (void)state;
    unsetenv("WebPubSubConnectionString");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_service *s;
        const char *why;

        assert_int_equal(
            ph_service_new(rows[i].connection_string, rows[i].hub, &rows[i].options, &s, &why),
            rows[i].err);
        assert_null(s);
        if (!strstr(why, rows[i].why))
            fail_msg("row %zu: got \"%s\", expected \"%s\"", i, why, rows[i].why);
    }
}

/* What ph_event_service returns when nothing is configured. */
static void no_client_is_an_error_and_no_crash(void **state)
{
    const struct ph_service_request request = {.operation = PH_SERVICE_HEALTH};
    struct ph_service_result *r;
    struct ph_service_list *list = ph_service_list_new(NULL, "g", 0);
    struct ph_service *other;
    const char *id;
    char *text;

    (void)state;
    assert_int_equal(ph_service_call(NULL, &request, &r), PH_ERR_ARGUMENT);
    assert_string_equal(ph_service_result_why(r), "there is no client: service is NULL");
    ph_service_result_free(r);
    assert_int_equal(ph_service_send_to_all(NULL, PH_DATA_TEXT, "x", 1, NULL), PH_ERR_ARGUMENT);
    assert_int_equal(ph_service_start(NULL, &request, NULL, NULL, NULL), PH_ERR_ARGUMENT);
    assert_int_equal(ph_service_list_next(list, &id, NULL), PH_ERR_ARGUMENT);
    ph_service_list_free(list);
    assert_int_equal(ph_service_client_url(NULL, NULL, &text, NULL), PH_ERR_ARGUMENT);
    assert_null(text);
    assert_int_equal(ph_service_for_hub(NULL, "chat", &other), PH_ERR_ARGUMENT);
    assert_int_equal(ph_service_set_connection_string(NULL, "x", NULL), PH_ERR_ARGUMENT);
    assert_int_equal(ph_service_cancel(NULL, 1), PH_ERR_NOT_FOUND);
    assert_int_equal(ph_service_fd(NULL), -1);
    assert_int_equal(ph_service_process(NULL), PH_OK);
    assert_int_equal(ph_service_pending(NULL), 0);
    assert_int_equal(ph_service_flush(NULL, 1), PH_OK);
    assert_string_equal(ph_service_hub(NULL), "");
    ph_service_free(NULL);
}

static void a_wrong_key_is_refused_without_being_told(void **state)
{
    struct ph_service_result *r;
    struct ph_service *s;
    char text[256];

    (void)state;
    snprintf(text, sizeof(text), "Endpoint=http://127.0.0.1:%u;AccessKey=%s", kit.port,
             "not-the-key-of-this-broker-but-long-enough");
    assert_int_equal(ph_service_new(text, "chat", NULL, &s, NULL), PH_OK);
    assert_int_equal(ph_service_send_to_all(s, PH_DATA_TEXT, "x", 1, &r), PH_ERR_AUTH);
    assert_int_equal(ph_service_result_status(r), 401);
    assert_null(strstr(ph_service_result_why(r), "not-the-key"));
    ph_service_result_free(r);
    ph_service_free(s);
}

/* --- Threads ------------------------------------------------------------------------- */

#define THREADS 8
#define CALLS 25

static void *send_many(void *arg)
{
    struct ph_service *other;

    assert_int_equal(ph_service_for_hub(chat, "other", &other), PH_OK);
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(ph_service_send_to_group(chat, "g", PH_DATA_TEXT, "x", 1, NULL), PH_OK);
        assert_int_equal(ph_service_send_to_all(other, PH_DATA_TEXT, "y", 1, NULL), PH_OK);
    }
    ph_service_free(other);
    return arg;
}

static void many_threads_use_one_client(void **state)
{
    pthread_t threads[THREADS];
    struct member ann;

    (void)state;
    join_as(&ann, ",\"webpubsub.group\":[\"g\"]");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS * CALLS; i++)
        expect_frame(&ann, "\"data\":\"x\"");
    expect_nothing(&ann);
    leave(&ann);
}

/* --- Without waiting ----------------------------------------------------------------- */

struct outcome {
    unsigned calls;
    enum ph_err err;
    int answer;
};

static void note(const struct ph_service_result *result, void *arg)
{
    struct outcome *o = arg;

    o->calls++;
    o->err = ph_service_result_error(result);
    o->answer = ph_service_result_answer(result);
}

static struct ph_service *make_service(const struct ph_service_options *options)
{
    struct ph_service *s;
    const char *why;

    if (ph_service_new(connection_string, "chat", options, &s, &why))
        fail_msg("%s", why);
    return s;
}

/* As a program's own loop would: waits for the descriptor alone. */
static void run_loop(struct ph_service *s)
{
    struct pollfd fd = {.fd = ph_service_fd(s), .events = POLLIN};

    assert_true(fd.fd >= 0);
    while (ph_service_pending(s) > 0) {
        if (poll(&fd, 1, BROKER_KIT_WAIT_S * 1000) != 1)
            fail_msg("the descriptor was silent for %d s", BROKER_KIT_WAIT_S);
        assert_int_equal(ph_service_process(s), PH_OK);
    }
}

#define STARTED 100

static void requests_are_started_in_the_callers_loop(void **state)
{
    const struct ph_service_options options = {.max_connections = 3};
    struct ph_service *s = make_service(&options);
    struct outcome sent[STARTED] = {0}, asked = {0}, wrong = {0}, missing = {0};
    struct member ann;

    (void)state;
    join_as(&ann, ",\"webpubsub.group\":[\"g\"]");
    for (int i = 0; i < STARTED; i++)
        assert_int_equal(
            ph_service_start(s,
                             &(struct ph_service_request){
                                 .operation = PH_SERVICE_SEND_TO_GROUP, .group = "g", .text = "x"},
                             note, &sent[i], NULL),
            PH_OK);
    ph_service_start(
        s, &(struct ph_service_request){.operation = PH_SERVICE_GROUP_EXISTS, .group = "g"}, note,
        &asked, NULL);
    ph_service_start(s, &(struct ph_service_request){.operation = PH_SERVICE_GROUP_EXISTS}, note,
                     &wrong, NULL);
    ph_service_start(s,
                     &(struct ph_service_request){.operation = PH_SERVICE_ADD_CONNECTION_TO_GROUP,
                                                  .group = "g",
                                                  .connection_id = "nobody"},
                     note, &missing, NULL);
    assert_int_equal(sent[0].calls + wrong.calls, 0); /* never inside of another call */
    run_loop(s);
    for (int i = 0; i < STARTED; i++) {
        assert_int_equal(sent[i].calls, 1);
        assert_int_equal(sent[i].err, PH_OK);
        expect_frame(&ann, "\"data\":\"x\"");
    }
    assert_int_equal(asked.answer, 1);
    assert_int_equal(wrong.err, PH_ERR_ARGUMENT);
    assert_int_equal(missing.err, PH_ERR_NOT_FOUND);
    ph_service_free(s);
    leave(&ann);
}

static void a_callback_starts_the_next_request(const struct ph_service_result *result, void *arg)
{
    static const struct ph_service_request again = {.operation = PH_SERVICE_HEALTH};
    struct ph_service *s = *(struct ph_service **)arg;
    static unsigned left = 3;

    assert_int_equal(ph_service_result_error(result), PH_OK);
    if (left-- > 0)
        assert_int_equal(ph_service_start(s, &again, a_callback_starts_the_next_request, arg, NULL),
                         PH_OK);
    else
        left = 3;
}

static void callbacks_may_start_requests(void **state)
{
    struct ph_service *s = make_service(NULL);

    (void)state;
    ph_service_start(s, &(struct ph_service_request){.operation = PH_SERVICE_HEALTH},
                     a_callback_starts_the_next_request, &s, NULL);
    run_loop(s);
    ph_service_free(s);
}

static void what_is_cancelled_is_not_told(void **state)
{
    const struct ph_service_request request = {.operation = PH_SERVICE_HEALTH};
    struct ph_service *s = make_service(NULL);
    struct outcome o[2] = {0};
    uint64_t id[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(ph_service_start(s, &request, note, &o[i], &id[i]), PH_OK);
    assert_int_equal(ph_service_cancel(s, id[0]), PH_OK);
    assert_int_equal(ph_service_cancel(s, id[0]), PH_ERR_NOT_FOUND);
    run_loop(s);
    assert_int_equal(o[0].calls, 0);
    assert_int_equal(o[1].calls, 1);
    assert_int_equal(ph_service_cancel(s, id[1]), PH_ERR_NOT_FOUND);
    ph_service_start(s, &request, note, &o[0], &id[0]);
    ph_service_process(s); /* it is on its way now */
    assert_int_equal(ph_service_cancel(s, id[0]), PH_OK);
    run_loop(s);
    assert_int_equal(o[0].calls, 0);
    ph_service_free(s);
}

static void there_is_a_limit_of_what_is_pending(void **state)
{
    const struct ph_service_options options = {.max_pending = 2};
    const struct ph_service_request request = {.operation = PH_SERVICE_HEALTH};
    struct ph_service *s = make_service(&options);
    struct outcome o = {0};

    (void)state;
    assert_int_equal(ph_service_start(s, &request, note, &o, NULL), PH_OK);
    assert_int_equal(ph_service_post(s, &request), PH_OK);
    assert_int_equal(ph_service_start(s, &request, note, &o, NULL), PH_ERR_LIMIT);
    assert_int_equal(ph_service_flush(s, BROKER_KIT_WAIT_S * 1000), PH_OK);
    assert_int_equal(o.calls, 1);
    assert_int_equal(ph_service_start(s, &request, note, &o, NULL), PH_OK);
    ph_service_process(s);
    ph_service_free(s); /* with one under way */
    assert_int_equal(o.calls, 1);
    assert_int_equal(ph_service_post(NULL, &request), PH_ERR_ARGUMENT);
}

static void note_failure(const struct ph_service_result *result, void *arg)
{
    assert_int_equal(ph_service_result_error(result), PH_ERR_NOT_FOUND);
    atomic_fetch_add((atomic_uint *)arg, 1);
}

static void *post_many(void *arg)
{
    const struct ph_service_request hello = {
        .operation = PH_SERVICE_SEND_TO_GROUP, .group = "g", .text = "x"};
    const struct ph_service_request wrong = {
        .operation = PH_SERVICE_ADD_USER_TO_GROUP, .group = "g", .user_id = "nobody"};

    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(ph_service_post(arg, &hello), PH_OK);
        assert_int_equal(ph_service_post(arg, &wrong), PH_OK);
    }
    return NULL;
}

static void many_threads_post_to_a_clients_own_thread(void **state)
{
    atomic_uint failures = 0;
    const struct ph_service_options options = {
        .thread = 1, .failed = note_failure, .failed_arg = &failures};
    struct ph_service *s = make_service(&options);
    pthread_t threads[THREADS];
    struct member ann;

    (void)state;
    join_as(&ann, ",\"webpubsub.group\":[\"g\"]");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, s), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(ph_service_fd(s), -1);
    assert_int_equal(ph_service_flush(s, BROKER_KIT_WAIT_S * 1000), PH_OK);
    assert_int_equal(failures, THREADS * CALLS);
    for (int i = 0; i < THREADS * CALLS; i++)
        expect_frame(&ann, "\"data\":\"x\"");
    ph_service_free(s);
    leave(&ann);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_reach_all_a_group_a_user_and_a_connection),
        cmocka_unit_test(sends_have_a_filter_exclusions_metadata_and_a_time),
        cmocka_unit_test(connections_are_closed),
        cmocka_unit_test(questions_are_answered),
        cmocka_unit_test(connections_and_users_join_and_leave_groups),
        cmocka_unit_test(filtered_connections_join_and_leave_groups),
        cmocka_unit_test(who_is_missing_is_told_with_the_services_code),
        cmocka_unit_test(a_group_is_listed_page_by_page),
        cmocka_unit_test(a_group_is_walked),
        cmocka_unit_test(a_key_makes_tokens_here),
        cmocka_unit_test(the_service_makes_none_for_a_key),
        cmocka_unit_test(the_service_makes_tokens_for_callers_of_entra),
        cmocka_unit_test(permissions_are_granted_checked_and_revoked),
        cmocka_unit_test(what_is_no_request_is_refused_before_it_is_sent),
        cmocka_unit_test(clients_that_cannot_be_made),
        cmocka_unit_test(no_client_is_an_error_and_no_crash),
        cmocka_unit_test(a_wrong_key_is_refused_without_being_told),
        cmocka_unit_test(many_threads_use_one_client),
        cmocka_unit_test(requests_are_started_in_the_callers_loop),
        cmocka_unit_test(callbacks_may_start_requests),
        cmocka_unit_test(what_is_cancelled_is_not_told),
        cmocka_unit_test(there_is_a_limit_of_what_is_pending),
        cmocka_unit_test(many_threads_post_to_a_clients_own_thread),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
