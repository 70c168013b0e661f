#include "broker/core/permission.h"

#include <stdlib.h>

struct name {
    size_t len;
    char text[];
};

static const struct {
    struct str role; /* alone: every group; with ".GROUP" behind it: that group */
    enum permission_action action;
} roles[] = {
    {STR("webpubsub.sendToGroup"), PERMISSION_SEND_TO_GROUP},
    {STR("webpubsub.joinLeaveGroup"), PERMISSION_JOIN_LEAVE_GROUP},
    {STR("webpubsub.setGroupState"), PERMISSION_SET_GROUP_STATE},
    {STR("webpubsub.getGroupState"), PERMISSION_GET_GROUP_STATE},
};

static struct str name_key(const void *item)
{
    const struct name *n = item;

    return str__n(n->text, n->len);
}

static struct map *names_new(const struct map_seed *seed)
{
    struct map *names = malloc(sizeof(*names));

    if (names)
        map__init(names, name_key, seed);
    return names;
}

static bool grant_name(struct permissions *p, enum permission_action action, struct str group,
                       size_t limit, const struct map_seed *seed)
{
    struct map **names = &p->names[action];
    struct name *n;

    if (!*names && !(*names = names_new(seed)))
        return false;
    if (map__get(*names, group))
        return true;
    if ((*names)->count >= limit)
        return false;
    n = malloc(sizeof(*n) + group.len);
    if (!n)
        return false;
    n->len = group.len;
    memcpy(n->text, group.ptr, group.len);
    if (!map__add(*names, n)) {
        free(n);
        return false;
    }
    return true;
}

bool permissions__grant_role(struct permissions *p, struct str role, size_t limit,
                             const struct map_seed *seed)
{
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        struct str rest = {role.ptr + roles[i].role.len, role.len - roles[i].role.len};

        if (!str__starts_with(role, roles[i].role))
            continue;
        if (rest.len == 0)
            p->everything[roles[i].action] = true;
        else if (rest.len > 1 && rest.ptr[0] == '.')
            return grant_name(p, roles[i].action, str__n(rest.ptr + 1, rest.len - 1), limit, seed);
    }
    return true;
}

bool permissions__allow(const struct permissions *p, enum permission_action action,
                        struct str group)
{
    return p->everything[action] || (p->names[action] && map__get(p->names[action], group));
}

void permissions__free(struct permissions *p)
{
    for (size_t i = 0; i < PERMISSION_ACTIONS; i++) {
        struct name *n;

        if (!p->names[i])
            continue;
        for (uint32_t at = 0; (n = map__next(p->names[i], &at));)
            free(n);
        map__free(p->names[i]);
        free(p->names[i]);
    }
    *p = (struct permissions){0};
}
