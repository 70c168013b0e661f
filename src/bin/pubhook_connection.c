/* connection, user, health: does it exist, close it, take it out of its groups. */
#include "bin/rest.h"

static const struct cli_option plain_options[] = {REST_OPTIONS, OPTION_JSON};
static const struct cli_option close_options[] = {REST_OPTION_REASON, REST_OPTIONS, OPTION_JSON};
static const struct cli_option close_many_options[] = {REST_OPTION_EXCLUDE, REST_OPTION_REASON,
                                                       REST_OPTIONS, OPTION_JSON};

static const char *const *excluded(const struct rest *r)
{
    return r->excluded.count > 0 ? r->excluded.items : NULL;
}

static int of_connection(const struct rest *r, enum ph_service_operation operation,
                         const char *question)
{
    const struct ph_service_request request = {
        .operation = operation, .connection_id = r->common.operands[1], .reason = r->reason};

    return rest__run(r, &request, question);
}

static int of_user(const struct rest *r, enum ph_service_operation operation, const char *question)
{
    const struct ph_service_request request = {.operation = operation,
                                               .user_id = r->common.operands[1],
                                               .excluded = excluded(r),
                                               .reason = r->reason};

    return rest__run(r, &request, question);
}

static int connection_exists(void *settings)
{
    return of_connection(settings, PH_SERVICE_CONNECTION_EXISTS, "exists");
}

static int connection_close(void *settings)
{
    return of_connection(settings, PH_SERVICE_CLOSE_CONNECTION, NULL);
}

static int connection_leave(void *settings)
{
    return of_connection(settings, PH_SERVICE_REMOVE_CONNECTION_FROM_ALL_GROUPS, NULL);
}

static int connection_close_all(void *settings)
{
    const struct rest *r = settings;
    const struct ph_service_request request = {
        .operation = PH_SERVICE_CLOSE_ALL, .excluded = excluded(r), .reason = r->reason};

    return rest__run(r, &request, NULL);
}

static int user_exists(void *settings)
{
    return of_user(settings, PH_SERVICE_USER_EXISTS, "exists");
}

static int user_close(void *settings)
{
    return of_user(settings, PH_SERVICE_CLOSE_USER, NULL);
}

static int user_leave(void *settings)
{
    return of_user(settings, PH_SERVICE_REMOVE_USER_FROM_ALL_GROUPS, NULL);
}

static int health(void *settings)
{
    const struct ph_service_request request = {.operation = PH_SERVICE_HEALTH};

    return rest__run(settings, &request, NULL);
}

const struct verb verb_connection_exists = {
    .name = "connection exists",
    .operands = "HUB CONNECTION",
    .summary = "is there this connection? Says yes, or no with status 1",
    .examples = "  pubhook connection exists chat kjMTx2Rm3pbeq1ANHlTMmgA5nSQ3e02",
    PUBHOOK_OPTIONS(plain_options),
    .settings_size = sizeof(struct rest),
    .run = connection_exists,
};

const struct verb verb_connection_close = {
    .name = "connection close",
    .operands = "HUB CONNECTION",
    .summary = "close a connection",
    .examples = "  pubhook connection close chat kjMTx2Rm3pbeq1ANHlTMmgA5nSQ3e02 --reason idle",
    PUBHOOK_OPTIONS(close_options),
    .settings_size = sizeof(struct rest),
    .run = connection_close,
};

const struct verb verb_connection_close_all = {
    .name = "connection close-all",
    .operands = "HUB",
    .summary = "close all connections of a hub",
    .examples = "  pubhook connection close-all chat --reason maintenance",
    PUBHOOK_OPTIONS(close_many_options),
    .settings_size = sizeof(struct rest),
    .run = connection_close_all,
};

const struct verb verb_connection_leave_groups = {
    .name = "connection leave-groups",
    .operands = "HUB CONNECTION",
    .summary = "remove a connection from all its groups",
    .examples = "  pubhook connection leave-groups chat kjMTx2Rm3pbeq1ANHlTMmgA5nSQ3e02",
    PUBHOOK_OPTIONS(plain_options),
    .settings_size = sizeof(struct rest),
    .run = connection_leave,
};

const struct verb verb_user_exists = {
    .name = "user exists",
    .operands = "HUB USER",
    .summary = "has a user a connection? Says yes, or no with status 1",
    .examples = "  pubhook user exists chat alice",
    PUBHOOK_OPTIONS(plain_options),
    .settings_size = sizeof(struct rest),
    .run = user_exists,
};

const struct verb verb_user_close = {
    .name = "user close",
    .operands = "HUB USER",
    .summary = "close the connections of a user",
    .examples = "  pubhook user close chat alice --reason 'signed out'",
    PUBHOOK_OPTIONS(close_many_options),
    .settings_size = sizeof(struct rest),
    .run = user_close,
};

const struct verb verb_user_leave_groups = {
    .name = "user leave-groups",
    .operands = "HUB USER",
    .summary = "remove a user's connections from all their groups",
    .examples = "  pubhook user leave-groups chat alice",
    PUBHOOK_OPTIONS(plain_options),
    .settings_size = sizeof(struct rest),
    .run = user_leave,
};

const struct verb verb_health = {
    .name = "health",
    .operands = "",
    .summary = "is the service there? Status 0 if it is",
    .examples = "  until pubhook health; do sleep 1; done",
    PUBHOOK_OPTIONS(plain_options),
    .settings_size = sizeof(struct rest),
    .run = health,
};
