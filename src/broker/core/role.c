#include "broker/core/role.h"

#include "base/pattern.h"

#define SERVICE_PREFIX STR("webpubsub.")

/* What stands behind the prefix and a dot. */
enum object { GROUP, PATTERN };

static const struct {
    struct str prefix;
    enum permission_action action;
    enum object object;
} roles[] = {
    {STR("webpubsub.sendToGroup"), PERMISSION_SEND_TO_GROUP, GROUP},
    {STR("webpubsub.joinLeaveGroup"), PERMISSION_JOIN_LEAVE_GROUP, GROUP},
    {STR("webpubsub.sendToGroups"), PERMISSION_SEND_TO_GROUP, PATTERN},
    {STR("webpubsub.joinLeaveGroups"), PERMISSION_JOIN_LEAVE_GROUP, PATTERN},
    {STR("webpubsub.setGroupState"), PERMISSION_SET_GROUP_STATE, GROUP},
    {STR("webpubsub.getGroupState"), PERMISSION_GET_GROUP_STATE, GROUP},
};
#define ROLE_COUNT (sizeof(roles) / sizeof(roles[0]))

static enum ph_err grant_group(struct permissions *p, enum permission_action action,
                               struct str group, const struct permission_limits *limits,
                               const struct map_seed *seed)
{
    return permissions__set(p, action, group, true, limits, seed);
}

static enum ph_err (*const grant_to[])(struct permissions *, enum permission_action, struct str,
                                       const struct permission_limits *,
                                       const struct map_seed *) = {
    [GROUP] = grant_group,
    [PATTERN] = permissions__allow_pattern,
};

int role__compare(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = len ? memcmp(x->ptr, y->ptr, len) : 0;

    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* A limit that a setting can change says which one. */
static enum ph_err explain(enum ph_err err, struct str object,
                           const struct permission_limits *limits, struct diag *diag)
{
    switch (err) {
    case PH_ERR_LIMIT:
        return diag__set(diag, err,
                         "a connection has at most %zu group names and %zu patterns for an "
                         "action; use a role for every group or for a pattern, or raise "
                         "limits.permissionNames or limits.permissionPatterns",
                         limits->literals, limits->rules - 1);
    case PH_ERR_SYNTAX:
        return diag__set(diag, err, "the pattern %s", pattern__problem(object));
    case PH_ERR_ARGUMENT:
        return diag__set(diag, err, "what follows the dot is not the name of a group");
    default:
        return diag__set(diag, err, "out of memory");
    }
}

/* "webpubsub.sendToGroup" and ".g" behind it, or nothing. */
static bool split(struct str role, struct str prefix, struct str *object)
{
    if (!str__starts_with(role, prefix))
        return false;
    *object = str__n(role.ptr + prefix.len, role.len - prefix.len);
    if (object->len == 0)
        *object = STR_NONE;
    else if (object->ptr[0] == '.')
        *object = str__n(object->ptr + 1, object->len - 1);
    else
        return false;
    return true;
}

enum ph_err role__grant(struct permissions *p, struct str role,
                        const struct permission_limits *limits, const struct map_seed *seed,
                        struct diag *diag)
{
    struct str object;
    enum ph_err err;

    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if (!split(role, roles[i].prefix, &object))
            continue;
        if (roles[i].object == PATTERN && !object.ptr)
            break;
        err = grant_to[roles[i].object](p, roles[i].action, object, limits, seed);
        return err ? explain(err, object, limits, diag) : PH_OK;
    }
    if (!str__starts_with_nocase(role, SERVICE_PREFIX))
        return PH_OK;
    return diag__set(diag, PH_ERR_NOT_FOUND,
                     "roles are webpubsub.sendToGroup and webpubsub.joinLeaveGroup, alone or with "
                     "\".GROUP\", and webpubsub.sendToGroups.PATTERN and "
                     "webpubsub.joinLeaveGroups.PATTERN, with their case");
}
