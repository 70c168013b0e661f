/* permission: what a connection may do: grant, revoke, check. */
#include "bin/rest.h"

static const struct cli_option options[] = {
    {"group", "NAME", "for this group (default: for any)", rest__set_group},
    REST_OPTIONS,
    OPTION_JSON,
};

static const struct {
    const char *name;
    enum ph_service_permission permission;
} permissions[] = {
    {"sendToGroup", PH_PERMISSION_SEND_TO_GROUP},
    {"joinLeaveGroup", PH_PERMISSION_JOIN_LEAVE_GROUP},
};

static int run(const struct rest *r, enum ph_service_operation operation, const char *question)
{
    struct ph_service_request request = {
        .operation = operation, .connection_id = r->common.operands[1], .target_name = r->group};
    struct str name = str__of(r->common.operands[2]);

    for (size_t i = 0; i < sizeof(permissions) / sizeof(*permissions); i++) {
        if (str__eq_nocase(name, str__of(permissions[i].name)))
            request.permission = permissions[i].permission;
    }
    if (!request.permission)
        return common__wrong(&r->common, "\"%s\" is none of sendToGroup, joinLeaveGroup", name.ptr);
    return rest__run(r, &request, question);
}

static int grant(void *settings)
{
    return run(settings, PH_SERVICE_GRANT_PERMISSION, NULL);
}

static int revoke(void *settings)
{
    return run(settings, PH_SERVICE_REVOKE_PERMISSION, NULL);
}

static int check(void *settings)
{
    return run(settings, PH_SERVICE_CHECK_PERMISSION, "granted");
}

#define ABOUT "PERMISSION is sendToGroup or joinLeaveGroup."

const struct verb verb_permission_grant = {
    .name = "permission grant",
    .operands = "HUB CONNECTION PERMISSION",
    .summary = "let a connection send to groups, or join and leave them",
    .about = ABOUT,
    .examples = "  pubhook permission grant chat CONNECTION sendToGroup --group lobby",
    PUBHOOK_OPTIONS(options),
    .settings_size = sizeof(struct rest),
    .run = grant,
};

const struct verb verb_permission_revoke = {
    .name = "permission revoke",
    .operands = "HUB CONNECTION PERMISSION",
    .summary = "take a permission from a connection",
    .about = ABOUT,
    .examples = "  pubhook permission revoke chat CONNECTION sendToGroup --group lobby",
    PUBHOOK_OPTIONS(options),
    .settings_size = sizeof(struct rest),
    .run = revoke,
};

const struct verb verb_permission_check = {
    .name = "permission check",
    .operands = "HUB CONNECTION PERMISSION",
    .summary = "has a connection a permission? Says yes, or no with status 1",
    .about = ABOUT,
    .examples = "  pubhook permission check chat CONNECTION joinLeaveGroup",
    PUBHOOK_OPTIONS(options),
    .settings_size = sizeof(struct rest),
    .run = check,
};
