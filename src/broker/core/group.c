#include "broker/core/group.h"

#include "broker/core/state.h"

#include <stdlib.h>

#define FIRST_SIZE 2
#define AHEAD 8 /* members */

struct str group__key(const void *group)
{
    const struct group *g = group;

    return str__n(g->name, g->name_len);
}

static struct group *create(struct hub *hub, struct str name)
{
    struct group *g = malloc(sizeof(*g) + name.len);

    if (!g)
        return NULL;
    *g = (struct group){.name_len = name.len};
    memcpy(g->name, name.ptr, name.len);
    if (!map__add(&hub->groups, g)) {
        free(g);
        return NULL;
    }
    return g;
}

void group__free(struct group *g)
{
    free(g->members);
    free(g);
}

static void vanish(struct hub *hub, struct group *g)
{
    map__remove(&hub->groups, group__key(g));
    group__free(g);
}

static void tell(struct session *s, bool joined, const struct group *g)
{
    const struct core_config *config = &s->core->config;

    if (s->presented && s->hub->rules.presence)
        config->ops->presence(config->ctx, s, joined, group__key(g));
}

void group__tell_all(struct session *s, bool joined)
{
    for (uint32_t i = 0; i < s->groups.count; i++)
        tell(s, joined, s->groups.items[i].group);
}

void group__fetch_ahead(const struct group *g, uint32_t i)
{
    if (i >= AHEAD)
        session__prefetch(g->members[i - AHEAD].session);
    if (i >= AHEAD / 2)
        outbox__prefetch_end(&g->members[i - AHEAD / 2].session->outbox);
}

static bool resize(struct group *g, uint32_t size)
{
    struct member *members = realloc(g->members, size * sizeof(*members));

    if (!members)
        return false;
    g->members = members;
    g->size = size;
    return true;
}

static bool add_member(struct group *g, struct session *s)
{
    if (g->count == g->size && !resize(g, g->size ? g->size * 2 : FIRST_SIZE))
        return false;
    if (!memberships__add(&s->groups, g, g->count))
        return false;
    g->members[g->count++] = (struct member){s, s->groups.count - 1};
    return true;
}

enum ph_err group__join(struct hub *hub, struct session *s, struct str name)
{
    struct group *g = map__get(&hub->groups, name);

    if (g && memberships__find(&s->groups, g) != MEMBERSHIP_NONE)
        return PH_OK;
    if (s->groups.count >= s->core->config.limits.groups)
        return PH_ERR_LIMIT;
    if (!g && !(g = create(hub, name)))
        return PH_ERR_MEMORY;
    if (add_member(g, s)) {
        tell(s, true, g);
        return PH_OK;
    }
    if (g->count == 0)
        vanish(hub, g);
    return PH_ERR_MEMORY;
}

/* Takes out both ends of the relation; whoever moves into a free place is told. */
static void leave_at(struct hub *hub, struct session *s, uint32_t at)
{
    struct group *g = s->groups.items[at].group;
    uint32_t place = s->groups.items[at].member;
    struct member moved;

    if (s->states)
        group_state__left(s, group__key(g));
    moved = g->members[--g->count];
    g->members[place] = moved;
    moved.session->groups.items[moved.membership].member = place;

    memberships__remove(&s->groups, at);
    if (at < s->groups.count) {
        const struct membership *m = &s->groups.items[at];

        m->group->members[m->member].membership = at;
    }
    tell(s, false, g);
    if (g->count == 0)
        vanish(hub, g);
    else if (g->count < g->size / 4)
        resize(g, g->size / 2); /* failing to shrink harms nobody */
}

void group__leave(struct hub *hub, struct session *s, struct str name)
{
    const struct group *g = map__get(&hub->groups, name);
    uint32_t at = g ? memberships__find(&s->groups, g) : MEMBERSHIP_NONE;

    if (at != MEMBERSHIP_NONE)
        leave_at(hub, s, at);
}

void group__leave_all(struct hub *hub, struct session *s)
{
    while (s->groups.count > 0)
        leave_at(hub, s, s->groups.count - 1);
}
