/* Makes each request that the service client can make, for tests/e2e/servicewire.test.mjs,
 * which compares them with what the official JavaScript SDK sends. The name of a case is its
 * x-ms-client-request-id.
 *
 *     wire call|start key CONNECTION_STRING [REVERSE_PROXY]
 *     wire call|start entra ENDPOINT TOKEN CA_FILE
 *
 * Prints a line "NAME: STATUS" for each. */
#include <poll.h>
#include <pubhook/pubhook.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP "a/b %?\xc3\xa9"
#define USER "u'ser (1)!*"
#define CONNECTION "c+d=e&f"
#define FILTER "userId ne 'o''neil' and 'g' in groups"
#define REASON "too late & far"

static const char *const excluded[] = {"a b", "c&d=e", NULL};
static const char *const groups[] = {"g1", "quo\"te\xc3\xa9", NULL};
static const char *const roles[] = {"webpubsub.sendToGroup.g1", "webpubsub.joinLeaveGroup", NULL};
static const struct ph_service_metadata metadata[] = {{"trace", "t 1"}, {NULL, NULL}};
static const struct ph_token_options mqtt = {
    .user_id = "ann", .roles = roles, .groups = groups, .minutes = 5, .protocol = PH_CLIENT_MQTT};

static const struct ph_service_request by_key[] = {
    {.request_id = "health", .operation = PH_SERVICE_HEALTH},
    {.request_id = "sendToAll text", .operation = PH_SERVICE_SEND_TO_ALL, .text = "h\xc3\xa9llo"},
    {.request_id = "sendToAll JSON",
     .operation = PH_SERVICE_SEND_TO_ALL,
     .type = PH_DATA_JSON,
     .data = "{\"a\":[1,\"\xc3\xa9\"]}",
     .len = 14},
    {.request_id = "sendToAll binary",
     .operation = PH_SERVICE_SEND_TO_ALL,
     .type = PH_DATA_BINARY,
     .data = "\0\xff\1",
     .len = 3},
    {.request_id = "sendToAll nothing",
     .operation = PH_SERVICE_SEND_TO_ALL,
     .type = PH_DATA_BINARY},
    {.request_id = "sendToAll with options",
     .operation = PH_SERVICE_SEND_TO_ALL,
     .text = "x",
     .filter = FILTER,
     .excluded = excluded,
     .ttl_seconds = 30,
     .metadata = metadata},
    {.request_id = "sendToGroup",
     .operation = PH_SERVICE_SEND_TO_GROUP,
     .group = GROUP,
     .text = "x",
     .filter = FILTER,
     .excluded = excluded,
     .ttl_seconds = 300},
    {.request_id = "sendToUser",
     .operation = PH_SERVICE_SEND_TO_USER,
     .user_id = USER,
     .text = "x",
     .filter = FILTER,
     .ttl_seconds = 1},
    {.request_id = "sendToConnection",
     .operation = PH_SERVICE_SEND_TO_CONNECTION,
     .connection_id = CONNECTION,
     .text = "x",
     .ttl_seconds = 1},
    {.request_id = "closeAllConnections",
     .operation = PH_SERVICE_CLOSE_ALL,
     .excluded = excluded,
     .reason = REASON},
    {.request_id = "closeAllConnections without options", .operation = PH_SERVICE_CLOSE_ALL},
    {.request_id = "closeGroupConnections",
     .operation = PH_SERVICE_CLOSE_GROUP,
     .group = GROUP,
     .excluded = excluded,
     .reason = REASON},
    {.request_id = "closeUserConnections",
     .operation = PH_SERVICE_CLOSE_USER,
     .user_id = USER,
     .excluded = excluded,
     .reason = REASON},
    {.request_id = "closeConnection",
     .operation = PH_SERVICE_CLOSE_CONNECTION,
     .connection_id = CONNECTION,
     .reason = REASON},
    {.request_id = "connectionExists",
     .operation = PH_SERVICE_CONNECTION_EXISTS,
     .connection_id = CONNECTION},
    {.request_id = "groupExists", .operation = PH_SERVICE_GROUP_EXISTS, .group = GROUP},
    {.request_id = "userExists", .operation = PH_SERVICE_USER_EXISTS, .user_id = USER},
    {.request_id = "addConnectionToGroup",
     .operation = PH_SERVICE_ADD_CONNECTION_TO_GROUP,
     .group = GROUP,
     .connection_id = CONNECTION},
    {.request_id = "removeConnectionFromGroup",
     .operation = PH_SERVICE_REMOVE_CONNECTION_FROM_GROUP,
     .group = GROUP,
     .connection_id = CONNECTION},
    {.request_id = "removeConnectionFromAllGroups",
     .operation = PH_SERVICE_REMOVE_CONNECTION_FROM_ALL_GROUPS,
     .connection_id = CONNECTION},
    {.request_id = "addUserToGroup",
     .operation = PH_SERVICE_ADD_USER_TO_GROUP,
     .group = GROUP,
     .user_id = USER},
    {.request_id = "removeUserFromGroup",
     .operation = PH_SERVICE_REMOVE_USER_FROM_GROUP,
     .group = GROUP,
     .user_id = USER},
    {.request_id = "removeUserFromAllGroups",
     .operation = PH_SERVICE_REMOVE_USER_FROM_ALL_GROUPS,
     .user_id = USER},
    {.request_id = "addConnectionsToGroups",
     .operation = PH_SERVICE_ADD_CONNECTIONS_TO_GROUPS,
     .groups = groups,
     .filter = FILTER},
    {.request_id = "removeConnectionsFromGroups",
     .operation = PH_SERVICE_REMOVE_CONNECTIONS_FROM_GROUPS,
     .groups = groups,
     .filter = FILTER},
    {.request_id = "listConnectionsInGroup",
     .operation = PH_SERVICE_LIST_CONNECTIONS_IN_GROUP,
     .group = GROUP,
     .page_size = 2,
     .top = 3},
    {.request_id = "grantPermission",
     .operation = PH_SERVICE_GRANT_PERMISSION,
     .connection_id = CONNECTION,
     .permission = PH_PERMISSION_SEND_TO_GROUP,
     .target_name = GROUP},
    {.request_id = "revokePermission",
     .operation = PH_SERVICE_REVOKE_PERMISSION,
     .connection_id = CONNECTION,
     .permission = PH_PERMISSION_JOIN_LEAVE_GROUP,
     .target_name = GROUP},
    {.request_id = "checkPermission",
     .operation = PH_SERVICE_CHECK_PERMISSION,
     .connection_id = CONNECTION,
     .permission = PH_PERMISSION_JOIN_LEAVE_GROUP},
    {.operation = 0},
};

static const struct ph_service_request by_entra[] = {
    {.request_id = "sendToAll text", .operation = PH_SERVICE_SEND_TO_ALL, .text = "x"},
    {.request_id = "generateClientToken", .operation = PH_SERVICE_GENERATE_TOKEN},
    {.request_id = "generateClientToken for MQTT",
     .operation = PH_SERVICE_GENERATE_TOKEN,
     .token = &mqtt},
    {.operation = 0},
};

static struct ph_service *service;

static void say(const struct ph_service_result *result, void *arg)
{
    (void)arg;
    printf("%s: %d %s\n", ph_service_result_request_id(result), ph_service_result_status(result),
           ph_service_result_why(result));
}

static struct ph_service_result *call(const struct ph_service_request *request)
{
    struct ph_service_result *result;

    ph_service_call(service, request, &result);
    say(result, NULL);
    return result;
}

/* One at a time, so that they come in their order. */
static void start(const struct ph_service_request *request)
{
    struct pollfd fd = {.fd = ph_service_fd(service), .events = POLLIN};

    if (ph_service_start(service, request, say, NULL, NULL))
        exit(EXIT_FAILURE);
    while (ph_service_pending(service) > 0) {
        poll(&fd, 1, -1);
        ph_service_process(service);
    }
}

/* The page behind the first one. */
static void turn_page(const struct ph_service_request *first,
                      const struct ph_service_result *result)
{
    struct ph_service_request next = *first;

    next.request_id = "listConnectionsInGroup, next page";
    next.continuation = ph_service_result_continuation(result);
    if (next.continuation)
        ph_service_result_free(call(&next));
}

static void make_all(const char *how, const struct ph_service_request *requests)
{
    for (; requests->operation; requests++) {
        struct ph_service_result *result;

        if (strcmp(how, "start") == 0) {
            start(requests);
            continue;
        }
        result = call(requests);
        turn_page(requests, result);
        ph_service_result_free(result);
    }
}

static enum ph_err give_token(void *arg, void (*give)(void *to, const char *token), void *to)
{
    give(to, arg);
    return PH_OK;
}

int main(int argc, char **argv)
{
    struct ph_service_options options = {.retries = -1};
    int entra = argc > 2 && strcmp(argv[2], "entra") == 0;
    const char *why;

    if (argc < 4 + 2 * entra) {
        fprintf(stderr, "wire: see its source\n");
        return 2;
    }
    if (entra) {
        options.endpoint = argv[3];
        options.token = give_token;
        options.token_arg = argv[4];
        options.ca_file = argv[5];
    } else {
        options.reverse_proxy = argv[4];
    }
    if (ph_service_new(entra ? NULL : argv[3], "chat", &options, &service, &why)) {
        fprintf(stderr, "wire: %s\n", why);
        return EXIT_FAILURE;
    }
    make_all(argv[1], entra ? by_entra : by_key);
    ph_service_free(service);
    return EXIT_SUCCESS;
}
