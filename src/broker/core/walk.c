/* Walks in slices. A walk goes along the list of the hub's sessions, which is in the order
 * in which they came: its end is the last one at the time of the command, so that those who
 * come later are left out, and a session that goes takes itself off its path.
 *
 * Of a group or a user with many connections, those count who are in it when the walk comes
 * to them. */
#include "broker/core/walk.h"

#include "broker/filter/filter.h"

#include <stdlib.h>

/* In the units of filter__match. Most of it is not the core's own work but what follows from
 * it in the same turn: an event, a write to a socket. A slice may go over its room by what one
 * session costs. */
#define STEP_WORK 2 /* to the next session, which is not in the cache */
#define NAME_WORK 2 /* is it in the group? */
#define SEND_WORK 60
#define CLOSE_WORK 250
#define MOVE_WORK 8    /* into a group or out of it */
#define EVENT_WORK 100 /* that a handler hears of it */
#define LIST_WORK 20   /* copied, and put into its place among those of a page */

static uint64_t move_work(const struct hub *hub)
{
    return MOVE_WORK + (hub->rules.presence ? EVENT_WORK : 0);
}

/* What the operation itself costs for a session. */
static uint64_t op_work(const struct hub *hub, const struct hub_command *cmd)
{
    switch (cmd->op) {
    case HUB_SEND:
        return SEND_WORK;
    case HUB_JOIN:
    case HUB_LEAVE:
        return move_work(hub) * (cmd->group_count + 1);
    case HUB_CLOSE:
        return CLOSE_WORK;
    case HUB_LIST:
        return LIST_WORK;
    default:
        return 0;
    }
}

static uint64_t session_work(const struct hub *hub, const struct hub_command *cmd)
{
    return STEP_WORK + op_work(hub, cmd) + (cmd->filter ? filter__cost(cmd->filter) : 0);
}

static size_t scope_size(const struct hub *hub, const struct hub_command *cmd)
{
    const struct group *g;
    const struct user *u;

    switch (cmd->scope) {
    case SCOPE_HUB:
        return hub->connections.count;
    case SCOPE_GROUP:
        g = map__get(&hub->groups, cmd->name);
        return g ? g->count : 0;
    case SCOPE_USER:
        u = map__get(&hub->users, cmd->name);
        return u ? u->count : 0;
    case SCOPE_CONNECTION:
        break;
    }
    return 1;
}

/* The groups of all connections of a scope that is not a connection. */
static uint64_t scope_memberships(const struct hub *hub, const struct hub_command *cmd)
{
    const struct group *g = cmd->scope == SCOPE_GROUP ? map__get(&hub->groups, cmd->name) : NULL;
    const struct user *u = cmd->scope == SCOPE_USER ? map__get(&hub->users, cmd->name) : NULL;
    uint64_t count = 0;

    for (uint32_t i = 0; g && i < g->count; i++)
        count += g->members[i].session->groups.count;
    for (const struct session *s = u ? u->first : NULL; s; s = s->user_next)
        count += s->groups.count;
    if (cmd->scope == SCOPE_HUB) {
        for (const struct link *l = hub->sessions.next; l != &hub->sessions; l = l->next)
            count += LIST_ITEM(l, struct session, in_hub)->groups.count;
    }
    return count;
}

uint64_t walk__groups_work(const struct hub *hub, const struct hub_command *cmd,
                           uint64_t memberships)
{
    bool leaves_all = cmd->op == HUB_CLOSE || (cmd->op == HUB_LEAVE && cmd->group_count == 0);

    return leaves_all ? move_work(hub) * memberships : 0;
}

/* Messages without a filter go to all at once, in the order of their coming: what they cost
 * is writing them, which each connection's turn comes for. */
static bool is_short(const struct hub_command *cmd)
{
    static const bool sliced[HUB_SET_GROUP_STATE + 1] = {
        [HUB_SEND] = true,  [HUB_JOIN] = true, [HUB_LEAVE] = true,
        [HUB_CLOSE] = true, [HUB_LIST] = true,
    };

    return !sliced[cmd->op] || cmd->scope == SCOPE_CONNECTION ||
           (cmd->op == HUB_SEND && !cmd->filter);
}

bool core__takes_long(struct core *core, const struct hub_command *cmd)
{
    const struct hub *hub = is_short(cmd) ? NULL : map__get(&core->hubs, cmd->hub);
    uint64_t work = hub ? scope_size(hub, cmd) * session_work(hub, cmd) : 0;

    if (hub && work <= core->room) /* so few that they can be looked at */
        work += walk__groups_work(hub, cmd, scope_memberships(hub, cmd));
    if (work > core->room)
        return true;
    core->room -= work;
    return false;
}

bool core__start(struct core *core, const struct hub_command *cmd, core_done_fn *done, void *arg)
{
    struct hub *hub = cmd->scope == SCOPE_CONNECTION ? NULL : map__get(&core->hubs, cmd->hub);
    struct walk *w = hub ? malloc(sizeof(*w)) : NULL;

    if (!w)
        return false;
    walk__begin(w, hub, cmd);
    w->next = LIST_ITEM(hub->sessions.next, struct session, in_hub);
    w->last = LIST_ITEM(hub->sessions.prev, struct session, in_hub);
    w->done = done;
    w->arg = arg;
    list__init(&w->in_core);
    list__init(&w->in_hub);
    if (list__empty(&hub->sessions))
        w->next = w->last = NULL;
    list__append(&core->walks, &w->in_core);
    list__append(&hub->walks, &w->in_hub);
    return true;
}

static struct session *behind(const struct walk *w, struct session *s)
{
    return s == w->last ? NULL : LIST_ITEM(s->in_hub.next, struct session, in_hub);
}

/* Joining and leaving may make the group and unmake it, so it is looked up each time. */
static bool is_in_scope(struct walk *w, const struct session *s)
{
    const struct hub_command *cmd = w->cmd;
    const struct group *g;

    w->work += STEP_WORK;
    if (cmd->scope == SCOPE_HUB)
        return true;
    if (cmd->scope == SCOPE_USER)
        return s->user && str__eq(session__user(s), cmd->name);
    w->work += NAME_WORK;
    g = map__get(&w->hub->groups, cmd->name);
    return g && memberships__find(&s->groups, g) != MEMBERSHIP_NONE;
}

/* Goes on until it has cost `room`. Returns what it has cost. */
static uint64_t walk_slice(struct core *core, struct walk *w, uint64_t room)
{
    uint64_t start = w->work, op;

    if (!w->next)
        return 0;
    op = op_work(w->hub, w->cmd);
    core__enter(core);
    walk__enter(w);
    w->work += NAME_WORK * w->cmd->excluded_count;
    do {
        struct session *s = w->next;
        size_t matched = w->result.matched;

        w->next = behind(w, s);
        if (is_in_scope(w, s))
            walk__visit(w, s);
        w->work += w->result.matched > matched ? op : 0;
    } while (w->next && w->work - start < room);
    walk__leave(w);
    core__leave(core);
    return w->work - start;
}

static void finish(struct walk *w)
{
    struct hub_result result;

    list__remove(&w->in_core);
    list__remove(&w->in_hub);
    walk__end(w);
    result = w->result;
    w->done(w->arg, &result);
    free(w);
}

/* Each in its turn, for as long as there is room; a long one makes way for those behind it. */
uint64_t core__continue(struct core *core)
{
    uint64_t work = 0;

    while (!list__empty(&core->walks) && work < CORE_WALKS_WORK) {
        struct walk *w = LIST_ITEM(core->walks.next, struct walk, in_core);
        uint64_t left = CORE_WALKS_WORK - work;

        work += walk_slice(core, w, left < CORE_SLICE_WORK ? left : CORE_SLICE_WORK);
        list__remove(&w->in_core);
        list__append(&core->walks, &w->in_core);
        if (!w->next)
            finish(w);
    }
    core->room = work < CORE_WALKS_WORK ? CORE_TURN_WORK - work : CORE_TURN_WORK - CORE_WALKS_WORK;
    return work;
}

bool core__has_walks(const struct core *core)
{
    return !list__empty(&core->walks);
}

void walk__forget(struct hub *hub, struct session *s)
{
    for (struct link *l = hub->walks.next; l != &hub->walks; l = l->next) {
        struct walk *w = LIST_ITEM(l, struct walk, in_hub);

        if (w->next == s)
            w->next = behind(w, s);
        if (w->last == s)
            w->last = LIST_ITEM(s->in_hub.prev, struct session, in_hub);
    }
}

void walk__forget_hub(struct hub *hub)
{
    while (!list__empty(&hub->walks)) {
        struct walk *w = LIST_ITEM(hub->walks.next, struct walk, in_hub);

        w->hub = NULL;
        w->next = w->last = NULL;
        list__remove(&w->in_hub);
    }
}

void walk__drop_all(struct core *core)
{
    while (!list__empty(&core->walks)) {
        struct walk *w = LIST_ITEM(core->walks.next, struct walk, in_core);

        list__remove(&w->in_core);
        list__remove(&w->in_hub);
        walk__end(w);
        hub_result__free(&w->result);
        w->done(w->arg, NULL);
        free(w);
    }
}
