#include "broker/core/hub.h"

#include "broker/core/walk.h"

#include <stdlib.h>

struct str hub__key(const void *hub)
{
    return str__of(((const struct hub *)hub)->name);
}

static struct str connection_key(const void *session)
{
    return session__id(session);
}

static struct str user_key(const void *user)
{
    const struct user *u = user;

    return str__n(u->id, u->id_len);
}

void hub__ask_rules(struct core *core, struct hub *hub)
{
    hub->rules = (struct hub_rules){0};
    core->config.ops->hub_rules(core->config.ctx, hub__key(hub), &hub->rules);
}

struct hub *hub__get(struct core *core, struct str name)
{
    struct hub *hub = map__get(&core->hubs, name);

    if (hub)
        return hub;
    hub = malloc(sizeof(*hub) + name.len + 1);
    if (!hub)
        return NULL;
    map__init(&hub->connections, connection_key, &core->config.seed);
    map__init(&hub->groups, group__key, &core->config.seed);
    map__init(&hub->users, user_key, &core->config.seed);
    map__init(&hub->state_rooms, state_room__key, &core->config.seed);
    hub->counted = metrics__hub(core->config.metrics, name);
    list__init(&hub->sessions);
    list__init(&hub->walks);
    memcpy(hub->name, name.ptr, name.len);
    hub->name[name.len] = '\0';
    if (!map__add(&core->hubs, hub)) {
        free(hub);
        return NULL;
    }
    hub__ask_rules(core, hub);
    return hub;
}

void hub__release(struct core *core, struct hub *hub)
{
    if (hub->connections.count > 0 || hub->state_rooms.count > 0)
        return;
    map__remove(&core->hubs, hub__key(hub));
    hub__free(hub);
}

void hub__free(struct hub *hub)
{
    void *item;

    walk__forget_hub(hub);
    for (uint32_t at = 0; (item = map__next(&hub->groups, &at));)
        group__free(item);
    for (uint32_t at = 0; (item = map__next(&hub->users, &at));)
        free(item);
    for (uint32_t at = 0; (item = map__next(&hub->state_rooms, &at));)
        state_room__free(item);
    map__free(&hub->state_rooms);
    map__free(&hub->connections);
    map__free(&hub->groups);
    map__free(&hub->users);
    free(hub);
}

static struct user *user_get(struct hub *hub, struct str id)
{
    struct user *u = map__get(&hub->users, id);

    if (u)
        return u;
    u = malloc(sizeof(*u) + id.len + 1);
    if (!u)
        return NULL;
    *u = (struct user){.id_len = id.len};
    memcpy(u->id, id.ptr, id.len);
    u->id[id.len] = '\0';
    if (!map__add(&hub->users, u)) {
        free(u);
        return NULL;
    }
    return u;
}

static bool enter_user(struct hub *hub, struct session *s, struct str id)
{
    struct user *u = user_get(hub, id);

    if (!u)
        return false;
    s->user = u;
    s->user_next = u->first;
    if (u->first)
        u->first->user_prev = s;
    u->first = s;
    u->count++;
    return true;
}

static void leave_user(struct hub *hub, struct session *s)
{
    struct user *u = s->user;

    if (!u)
        return;
    if (s->user_next)
        s->user_next->user_prev = s->user_prev;
    if (s->user_prev)
        s->user_prev->user_next = s->user_next;
    else
        u->first = s->user_next;
    u->count--;
    s->user = NULL;
    s->user_next = s->user_prev = NULL;
    if (!u->first) {
        map__remove(&hub->users, user_key(u));
        free(u);
    }
}

bool hub__enter(struct hub *hub, struct session *s, struct str user_id)
{
    if (map__get(&hub->connections, session__id(s)) || !map__add(&hub->connections, s))
        return false;
    if (user_id.ptr && !enter_user(hub, s, user_id)) {
        map__remove(&hub->connections, session__id(s));
        return false;
    }
    list__append(&hub->sessions, &s->in_hub);
    metrics__up(hub->counted);
    return true;
}

void hub__leave(struct hub *hub, struct session *s)
{
    group_state__end(s);
    group__leave_all(hub, s);
    leave_user(hub, s);
    walk__forget(hub, s);
    list__remove(&s->in_hub);
    map__remove(&hub->connections, session__id(s));
    metrics__down(hub->counted);
}
