#include "broker/upstream/gate.h"

#include "broker/upstream/route.h"
#include "broker/upstream/state.h"

#include <stdio.h>
#include <stdlib.h>

#define SHOWN_MAX 4096 /* of a URL template in texts */
#define NEWS_MS 1000   /* between looks at what other threads have found out */

struct gate {
    struct deadline due; /* of a probe, while somebody waits; first member */
    struct upstream *up;
    size_t refs;   /* events that it is the gate of */
    size_t queued; /* of these, in a peer's queue */
    bool former;   /* the settings have changed since it was last looked for */
    bool losing;   /* events are lost for want of room, which has been told */
    unsigned running;
    bool admitting; /* those who wait; others come behind them */
    struct gate_waiter *first, *last;
    unsigned max_running, max_queued;

    unsigned limit; /* failures in a row; 0: no breaker */
    int64_t max_wait_ms;
    unsigned failures; /* in a row */
    bool shut;
    const struct exchange *probe; /* under way */
    bool look; /* all who wait are to see that it is shut: some cannot wait for a probe */
    int64_t shut_ms, wait_ms, retry_ms;
    struct upstream_outage *outage, own_outage;
    unsigned opened;        /* of the outage, when this one shut or began its last probe */
    unsigned opened_before; /* ... when it did so before the probe that is under way */
    int64_t news_ms;        /* when to see next what other threads have found out */
    char last_failure[256];
    char why[GATE_WHY_MAX];
    char *shown; /* for the log; behind the identity in `text` */
    struct str identity;
    char text[];
};

struct str gate__key(const void *gate)
{
    return ((const struct gate *)gate)->identity;
}

/* --- what the log hears of a handler --------------------------------------------------------- */

/* Once for the gates of all threads. */
static void tell_of_outage(struct gate *g)
{
    if (atomic_exchange(&g->outage->told, true))
        return;
    atomic_store(&g->outage->unsent, 0);
    log__warn(g->up->config.log, LOG_FIELDS("handler", route__bare(g->shown)),
              "%s failed %u times in a row, the last one: %s. From now on connects and user "
              "events for it fail at once, other events wait; it is tried again after %lld s, and "
              "more and more seldom, up to every %lld s",
              g->shown, g->failures, g->last_failure, (long long)(g->wait_ms / 1000),
              (long long)(g->max_wait_ms / 1000));
}

static void tell_of_its_end(struct gate *g, int64_t now_ms)
{
    if (!atomic_exchange(&g->outage->told, false))
        return;
    log__info(g->up->config.log, LOG_FIELDS("handler", route__bare(g->shown)),
              "%s answers again after %lld s; %zu events failed meanwhile without being sent",
              g->shown, (long long)((now_ms - g->shut_ms + 999) / 1000),
              atomic_load(&g->outage->unsent));
}

/* A gate goes that is shut. */
static void forget_outage(struct upstream_outage *o)
{
    if (atomic_fetch_sub(&o->shut, 1) == 1)
        atomic_store(&o->told, false);
}

/* --- life ------------------------------------------------------------------------------ */

static struct gate *gate_new(struct upstream *up, const struct event_handler *h, struct str hub)
{
    struct gate *g = NULL;
    struct arena a;
    const char *shown;

    arena__init(&a, NULL, 0, 4 * SHOWN_MAX);
    shown = route__show(&a, h, h->url_template);
    shown = shown ? arena__printf(&a, "%s of hub %.*s", shown, STR_FMT(hub)) : NULL;
    if (shown)
        g = calloc(1, sizeof(*g) + h->identity.len + strlen(shown) + 1);
    if (!g)
        goto out;
    g->up = up;
    memcpy(g->text, h->identity.ptr, h->identity.len);
    g->identity = str__n(g->text, h->identity.len);
    g->shown = strcpy(g->text + h->identity.len, shown);
    if (up->config.ops->outage)
        g->outage = up->config.ops->outage(up->config.ctx, g->identity);
    if (!g->outage)
        g->outage = &g->own_outage;
    if (!deadlines__reserve(&up->gate_deadlines)) {
        free(g);
        g = NULL;
    } else if (!map__add(&up->gates, g)) {
        deadlines__release(&up->gate_deadlines);
        free(g);
        g = NULL;
    }
out:
    arena__free(&a);
    return g;
}

static unsigned either(unsigned value, unsigned otherwise)
{
    return value ? value : otherwise;
}

/* The settings may have changed since the gate was made. */
static void set_limits(struct gate *g, const struct event_handler *h)
{
    g->max_running =
        either(h->max_requests, either(g->up->config.max_requests, SETTINGS_DEFAULT_REQUESTS));
    g->max_queued = either(h->max_queued, SETTINGS_DEFAULT_QUEUED_EVENTS);
    g->limit = h->breaker_off ? 0 : either(h->breaker_failures, SETTINGS_DEFAULT_BREAKER_FAILURES);
    g->max_wait_ms = (int64_t)1000 * either(h->breaker_seconds, SETTINGS_DEFAULT_BREAKER_SECONDS);
}

static struct gate *look_for(struct upstream *up, const struct event_handler *h, struct str hub)
{
    struct gate *g = map__get(&up->gates, h->identity);

    if (!g)
        g = gate_new(up, h, hub);
    if (g) {
        up->recent.handler = h;
        up->recent.gate = g;
    }
    return g;
}

struct gate *gate__of(struct upstream *up, const struct event_handler *handler, struct str hub)
{
    struct gate *g = up->recent.handler == handler ? up->recent.gate : look_for(up, handler, hub);

    if (!g)
        return NULL;
    set_limits(g, handler);
    g->former = false;
    g->refs++;
    return g;
}

void gate__unref(struct gate *g)
{
    if (!g)
        return;
    g->refs--;
    if (g->former && g->refs == 0)
        g->up->gates_unused = true;
}

static void gate_free(struct gate *g)
{
    if (g->shut)
        forget_outage(g->outage);
    deadlines__clear(&g->up->gate_deadlines, &g->due);
    deadlines__release(&g->up->gate_deadlines);
    free(g);
}

void gate__forget_unused(struct upstream *up)
{
    struct gate *g;
    bool found = true;

    up->gates_unused = false;
    up->recent.handler = NULL;
    while (found) { /* a map must not change under map__next */
        found = false;
        for (uint32_t at = 0; !found && (g = map__next(&up->gates, &at));) {
            found = g->former && g->refs == 0;
            if (found) {
                map__remove(&up->gates, g->identity);
                gate_free(g);
            }
        }
    }
}

void gate__settings_changed(struct upstream *up)
{
    struct gate *g;

    for (uint32_t at = 0; (g = map__next(&up->gates, &at));)
        g->former = true;
    gate__forget_unused(up);
}

void gate__free_all(struct upstream *up)
{
    struct gate *g;

    for (uint32_t at = 0; (g = map__next(&up->gates, &at));)
        gate_free(g);
    map__free(&up->gates);
}

/* --- when to look --------------------------------------------------------------------- */

/* The handler has answered another thread since this one asked. */
static bool has_been_back(const struct gate *g)
{
    return atomic_load(&g->outage->opened) != g->opened;
}

/* Nobody tells a shut gate that the handler is back: it looks. */
static int64_t next_look_ms(const struct gate *g)
{
    if (g->look || !g->shut || has_been_back(g))
        return 0;
    return g->news_ms < g->retry_ms ? g->news_ms : g->retry_ms;
}

/* Those who wait are called from upstream__tick alone, whatever lets them in. */
static void set_due(struct gate *g)
{
    struct deadlines *ds = &g->up->gate_deadlines;

    if (!g->first || (!g->look && (g->shut ? g->probe != NULL : g->running >= g->max_running)))
        deadlines__clear(ds, &g->due);
    else
        deadlines__set(ds, &g->due, next_look_ms(g));
}

/* --- what waits --------------------------------------------------------------------- */

/* A handler should learn of every client that comes and goes. They have more room than the
 * rest, and are few as long as clients stay for a while. A connect has its own limit, where
 * clients come in. */
bool gate__has_room(const struct gate *g, enum ph_event_kind kind)
{
    if (kind == PH_EVENT_CONNECT)
        return true;
    if (kind == PH_EVENT_CONNECTED || kind == PH_EVENT_DISCONNECTED)
        return g->queued < (size_t)GATE_NOTICES * g->max_queued;
    return g->queued < g->max_queued;
}

const char *gate__full(struct gate *g)
{
    snprintf(g->why, sizeof(g->why),
             "too many events of all connections wait for %s; make it faster, or raise its "
             "maxQueuedEvents",
             g->shown);
    return g->why;
}

void gate__lost(struct gate *g, enum ph_event_kind kind)
{
    static const char *const names[] = {[PH_EVENT_CONNECTED] = "connected",
                                        [PH_EVENT_DISCONNECTED] = "disconnected",
                                        [PH_EVENT_JOINED] = "joined",
                                        [PH_EVENT_LEFT] = "left"};

    if (!g->losing)
        log__warn(g->up->config.log, LOG_NONE,
                  "%s events and others for %s are lost: %zu events wait for it; make it faster, "
                  "or raise its maxQueuedEvents",
                  names[kind], g->shown, g->queued);
    g->losing = true;
}

/* It may be queued behind a notice that waits here: that one is to probe for it. */
void gate__add(struct gate *g)
{
    g->queued++;
    if (g->shut)
        set_due(g);
}

void gate__remove(struct gate *g)
{
    g->queued--;
    if (g->queued < g->max_queued / 2)
        g->losing = false;
}

/* --- what is asked at a time ---------------------------------------------------------- */

/* Those who wait, wait for the probe. */
bool gate__take_place(struct gate *g, const struct exchange *x)
{
    if (g->probe != x && (g->running >= g->max_running || (g->first && !g->admitting)))
        return false;
    g->running++;
    return true;
}

void gate__wait(struct gate *g, struct gate_waiter *w, bool first)
{
    w->at = g;
    w->next = first ? g->first : NULL;
    w->previous = first ? NULL : g->last;
    if (w->next)
        w->next->previous = w;
    else
        g->last = w;
    if (w->previous)
        w->previous->next = w;
    else
        g->first = w;
    set_due(g);
}

void gate__go(struct gate_waiter *w)
{
    struct gate *g = w->at;

    if (!g)
        return;
    if (w->previous)
        w->previous->next = w->next;
    else
        g->first = w->next;
    if (w->next)
        w->next->previous = w->previous;
    else
        g->last = w->previous;
    w->at = NULL;
    set_due(g);
}

void gate__leave_place(struct gate *g)
{
    g->running--;
    set_due(g);
}

bool gate__lets_none_in(const struct gate *g, int64_t now_ms)
{
    return g->shut && (g->probe || (now_ms < g->retry_ms && !has_been_back(g)));
}

static bool may_enter(const struct gate *g, int64_t now_ms)
{
    if (g->look)
        return true;
    if (g->shut)
        return !gate__lets_none_in(g, now_ms);
    return g->running < g->max_running;
}

/* Whoever waits again is behind all that wait now, so this ends. */
void gate__due(struct deadline *d, int64_t now_ms)
{
    struct gate *g = (struct gate *)d;
    const struct gate_waiter *end = g->last;
    bool done = !end;

    g->admitting = true;
    while (!done && g->first && may_enter(g, now_ms)) {
        struct gate_waiter *w = g->first;

        done = w == end;
        gate__go(w);
        w->enter(w, now_ms);
    }
    g->look = g->admitting = false;
    g->news_ms = now_ms + NEWS_MS;
    set_due(g);
}

/* --- the circuit breaker ---------------------------------------------------------------- */

bool gate__is_shut(const struct gate *g)
{
    return g->shut;
}

bool gate__probe(struct gate *g, const struct exchange *x, int64_t now_ms)
{
    if (!g->shut || gate__lets_none_in(g, now_ms))
        return false;
    g->probe = x;
    g->opened_before = g->opened;
    g->opened = atomic_load(&g->outage->opened);
    set_due(g);
    return true;
}

bool gate__is_probe(const struct gate *g, const struct exchange *x)
{
    return g->probe == x;
}

void gate__no_probe(struct gate *g, const struct exchange *x)
{
    if (g->probe != x)
        return;
    g->probe = NULL;
    g->opened = g->opened_before;
    set_due(g);
}

const char *gate__refuse(struct gate *g, int64_t now_ms)
{
    int64_t left = g->retry_ms > now_ms ? g->retry_ms - now_ms : 0;

    atomic_fetch_add(&g->outage->unsent, 1);
    snprintf(g->why, sizeof(g->why),
             "%s is left alone after %u failures in a row, the last one: %s; it is tried again in "
             "%lld s",
             g->shown, g->failures, g->last_failure, (long long)((left + 999) / 1000));
    return g->why;
}

void gate__succeeded(struct gate *g, int64_t now_ms)
{
    g->failures = 0;
    g->probe = NULL;
    if (!g->shut)
        return;
    g->shut = false;
    atomic_fetch_sub(&g->outage->shut, 1);
    atomic_fetch_add(&g->outage->opened, 1);
    tell_of_its_end(g, now_ms);
    set_due(g);
}

static void shut(struct gate *g, int64_t now_ms)
{
    g->shut = true;
    g->look = true;
    g->shut_ms = now_ms;
    g->wait_ms = GATE_FIRST_WAIT_MS;
    g->opened = atomic_load(&g->outage->opened);
    atomic_fetch_add(&g->outage->shut, 1);
    tell_of_outage(g);
}

void gate__failed(struct gate *g, const struct exchange *x, const char *why, int64_t now_ms)
{
    if (g->shut && g->probe != x)
        return; /* asked before it was shut */
    g->failures++;
    snprintf(g->last_failure, sizeof(g->last_failure), "%s", why);
    if (g->shut) {
        g->probe = NULL;
        g->wait_ms = 2 * g->wait_ms < g->max_wait_ms ? 2 * g->wait_ms : g->max_wait_ms;
        if (!has_been_back(g)) /* what was asked before that says nothing of it now */
            tell_of_outage(g);
    } else if (g->limit == 0 || g->failures < g->limit) {
        return;
    } else {
        shut(g, now_ms);
    }
    g->retry_ms = now_ms + g->wait_ms;
    set_due(g);
}
