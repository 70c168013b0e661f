#include "broker/core/core.h"

#include "broker/core/farewell.h"
#include "broker/core/stream.h"
#include "broker/core/walk.h"

#include <stdlib.h>

struct core *core__new(const struct core_config *config)
{
    struct core *core = malloc(sizeof(*core));

    if (!core)
        return NULL;
    *core = (struct core){.config = *config};
    map__init(&core->hubs, hub__key, &core->config.seed);
    backlog__init(&core->backlog);
    list__init(&core->detached);
    list__init(&core->detached_before);
    list__init(&core->ended);
    list__init(&core->closing);
    list__init(&core->owing);
    list__init(&core->walks);
    core->room = CORE_TURN_WORK;
    return core;
}

static void free_hub(struct hub *hub)
{
    struct session *s;

    for (uint32_t at = 0; (s = map__next(&hub->connections, &at));)
        session__free(s);
    hub__free(hub);
}

void core__free(struct core *core)
{
    struct hub *hub;

    if (!core)
        return;
    walk__drop_all(core);
    for (uint32_t at = 0; (hub = map__next(&core->hubs, &at));)
        free_hub(hub);
    while (!list__empty(&core->closing))
        session__free(LIST_ITEM(core->closing.next, struct session, waiting));
    map__free(&core->hubs);
    deadlines__free(&core->deadlines);
    free(core);
}

void core__enter(struct core *core)
{
    core->depth++;
}

void core__leave(struct core *core)
{
    if (core->depth == 1) {
        while (!list__empty(&core->ended))
            session__retire(LIST_ITEM(core->ended.next, struct session, waiting));
    }
    core->depth--;
}

static int64_t recover_until(const struct link *l)
{
    return LIST_ITEM(l, struct session, waiting)->recover_until;
}

/* Merges two lists in their order, so that new ones come behind all others of their time
 * without a search. */
static void put_detached_aside(struct core *core)
{
    struct link *list = &core->detached_before, *at = list->next;

    while (!list__empty(&core->detached)) {
        struct link *l = core->detached.next;

        while (at != list && recover_until(at) <= recover_until(l))
            at = at->next;
        list__remove(l);
        list__append(at, l);
    }
}

void core__set_limits(struct core *core, const struct core_limits *limits)
{
    if (limits->recovery_ms != core->config.limits.recovery_ms)
        put_detached_aside(core);
    core->config.limits = *limits;
}

size_t core__session_count(const struct core *core)
{
    return core->sessions;
}

size_t core__detached_count(const struct core *core)
{
    return core->sessions - core->attached;
}

bool core__has_dirty(const struct core *core)
{
    return core->backlog.sessions > 0 || !list__empty(&core->owing);
}

bool core__is_patient(const struct core *core)
{
    const struct backlog *b = &core->backlog;

    return b->sessions >= CORE_MANY && b->frames < CORE_BURST * b->sessions;
}

static void pay_acks(struct core *core)
{
    if (list__empty(&core->owing))
        return;
    core__enter(core);
    stream__acknowledge_all(core);
    core__leave(core);
}

struct session *core__next_answered(struct core *core)
{
    pay_acks(core);
    return backlog__next_answered(&core->backlog);
}

struct session *core__next_dirty(struct core *core)
{
    pay_acks(core);
    return backlog__next(&core->backlog);
}

static void ring_timers(struct core *core, int64_t now_ms)
{
    struct deadline *d;

    while ((d = deadlines__first(&core->deadlines)) && d->at_ms <= now_ms) {
        struct timer *t = (struct timer *)d;

        deadlines__clear(&core->deadlines, d);
        t->ring(t, now_ms);
    }
}

static int64_t end_expired(struct link *detached, int64_t now_ms)
{
    while (!list__empty(detached) && recover_until(detached->next) <= now_ms)
        session__end(LIST_ITEM(detached->next, struct session, waiting), &farewell_expired);
    return list__empty(detached) ? INT64_MAX : recover_until(detached->next);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t core__tick(struct core *core, int64_t now_ms)
{
    const struct deadline *first;
    int64_t next;

    core__enter(core);
    ring_timers(core, now_ms);
    next =
        earlier(end_expired(&core->detached_before, now_ms), end_expired(&core->detached, now_ms));
    core__leave(core);
    first = deadlines__first(&core->deadlines);
    return first ? earlier(first->at_ms, next) : next;
}

void core__close_all(struct core *core, const struct close_reason *why)
{
    struct hub *hub;
    struct session *s;

    core__enter(core);
    for (uint32_t i = 0; (hub = map__next(&core->hubs, &i));) {
        for (uint32_t j = 0; (s = map__next(&hub->connections, &j));)
            session__end(s, why);
    }
    core__leave(core);
}

void core__ask_rules(struct core *core)
{
    struct hub *hub;

    for (uint32_t at = 0; (hub = map__next(&core->hubs, &at));)
        hub__ask_rules(core, hub);
}

struct session *core__find(struct core *core, struct str hub, struct str connection_id)
{
    struct hub *h = map__get(&core->hubs, hub);
    struct session *s = h ? map__get(&h->connections, connection_id) : NULL;

    return s && !s->ended ? s : NULL;
}
