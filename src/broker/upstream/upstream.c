#include "broker/upstream/upstream.h"

#include "broker/upstream/delivery.h"
#include "broker/upstream/listening.h"
#include "broker/upstream/route.h"
#include "broker/upstream/state.h"

#include <stdlib.h>

struct upstream *upstream__new(const struct upstream_config *config)
{
    struct upstream *up = calloc(1, sizeof(*up));

    if (!up)
        return NULL;
    up->config = *config;
    up->config.origin.ptr = str__dup(config->origin);
    if (config->origin.ptr && !up->config.origin.ptr) {
        free(up);
        return NULL;
    }
    settings__ref(up->config.settings);
    map__init(&up->validations, validation__url, &up->config.seed);
    map__init(&up->gates, gate__key, &up->config.seed);
    return up;
}

void upstream__free_spare(struct upstream *up)
{
    spare_events__free(&up->spare_events);
}

void upstream__free(struct upstream *up)
{
    if (!up)
        return;
    while (up->peers)
        peer__free(up->peers);
    upstream__free_spare(up);
    validation__free_all(up);
    gate__free_all(up);
    deadlines__free(&up->deadlines);
    deadlines__free(&up->gate_deadlines);
    settings__unref(up->config.settings);
    free((char *)up->config.origin.ptr);
    free(up);
}

void upstream__configure(struct upstream *up, const struct settings *settings)
{
    const struct settings *old = up->config.settings;

    up->config.settings = settings__ref(settings);
    up->settings_count++;
    validation__forget(up);
    gate__settings_changed(up);
    settings__unref(old);
}

size_t upstream__pending(const struct upstream *up)
{
    return up->pending;
}

static struct deadline *due(const struct deadlines *ds, int64_t now_ms)
{
    struct deadline *d = deadlines__first(ds);

    return d && d->at_ms <= now_ms ? d : NULL;
}

static int64_t next_of(const struct deadlines *ds)
{
    const struct deadline *d = deadlines__first(ds);

    return d ? d->at_ms : INT64_MAX;
}

int64_t upstream__tick(struct upstream *up, int64_t now_ms)
{
    struct deadline *of_exchange, *of_gate;

    do {
        of_exchange = due(&up->deadlines, now_ms);
        if (of_exchange)
            exchange__due((struct exchange *)of_exchange, now_ms);
        of_gate = due(&up->gate_deadlines, now_ms);
        if (of_gate)
            gate__due(of_gate, now_ms);
    } while (of_exchange || of_gate);
    if (up->gates_unused)
        gate__forget_unused(up);
    return next_of(&up->deadlines) < next_of(&up->gate_deadlines) ? next_of(&up->deadlines)
                                                                  : next_of(&up->gate_deadlines);
}

static struct queued_event *new_event(struct upstream_peer *p, enum ph_event_kind kind,
                                      const struct upstream_event *event, uint64_t id,
                                      int64_t now_ms, int64_t unix_ms)
{
    const struct upstream_config *config = &p->up->config;
    const struct hub_settings *hub = settings__hub(config->settings, p->hub);
    struct queued_event *q = queued_event__new(&p->up->spare_events, kind, event, id, unix_ms);

    if (!q)
        return NULL;
    q->since_ms = now_ms;
    listening__tell(p, q, hub);
    q->handler = route__find(hub, kind, route__subject(kind, event->name, event->data));
    if (!q->handler)
        return q;
    q->hub = hub;
    q->settings = settings__ref(config->settings);
    q->gate = gate__of(p->up, q->handler, p->hub);
    if (!q->gate) {
        queued_event__free(&p->up->spare_events, q);
        return NULL;
    }
    config->ops->make_guid(config->ctx, q->guid);
    return q;
}

static void count_lost(struct upstream_peer *p, enum ph_event_kind kind)
{
    metrics__event(p->up->config.metrics, delivery__metric(kind), OUTCOME_FAILED);
    metrics__failure(p->up->config.metrics, FAILURE_QUEUE_FULL);
}

static void not_queued(struct upstream_peer *p, struct queued_event *q)
{
    if (q->handler) {
        gate__lost(q->gate, q->event.kind);
        count_lost(p, q->event.kind);
    }
    queued_event__free(&p->up->spare_events, q);
}

/* All but connect and user events: nobody waits for an outcome, so one that no handler wants
 * only takes its number. */
static void notify(struct upstream_peer *p, enum ph_event_kind kind, struct str name,
                   struct str data, int64_t now_ms, int64_t unix_ms)
{
    const struct upstream_event event = {.name = name, .data = data};
    struct queued_event *q = new_event(p, kind, &event, p->next_id++, now_ms, unix_ms);

    if (!q)
        log__error(p->up->config.log, LOG_NONE, "out of memory: a `%.*s` event of hub %.*s is lost",
                   STR_FMT(name), STR_FMT(p->hub));
    else if (q->handler && gate__has_room(q->gate, kind))
        peer__append(p, q);
    else
        not_queued(p, q);
}

struct upstream_peer *upstream__connect(struct upstream *up, const struct ph_event *connect,
                                        void *token, int64_t now_ms, int64_t unix_ms)
{
    const struct upstream_event event = {.name = STR("connect")};
    struct upstream_peer *p = peer__new(up, connect, delivery__finished, delivery__target);
    struct queued_event *q;

    if (!p)
        return NULL;
    q = new_event(p, PH_EVENT_CONNECT, &event, 0, now_ms, unix_ms);
    if (!q || !delivery__prepare_connect(p, connect, q)) {
        queued_event__free(&p->up->spare_events, q);
        peer__free(p);
        return NULL;
    }
    q->token = token;
    peer__append(p, q);
    delivery__proceed(p, now_ms);
    return p;
}

void upstream__abandon(struct upstream_peer *peer)
{
    if (peer->delivering)
        peer->refused = true;
    else
        peer__free(peer);
}

void upstream__connected(struct upstream_peer *peer, void *owner, struct str user_id,
                         struct str subprotocol, int64_t now_ms, int64_t unix_ms)
{
    peer->owner = owner;
    if (!peer__name(peer, user_id, subprotocol))
        log__error(peer->up->config.log, LOG_NONE,
                   "out of memory: the events of a connection will lack its user");
    notify(peer, PH_EVENT_CONNECTED, STR("connected"), STR_NONE, now_ms, unix_ms);
    delivery__proceed(peer, now_ms);
}

static const char *refuse(struct upstream_peer *p, enum metric_failure failure, const char *why)
{
    metrics__failure(p->up->config.metrics, failure);
    metrics__event(p->up->config.metrics, METRIC_USER, OUTCOME_FAILED);
    return why;
}

/* A user event would fail later, and hold up others until then. */
static const char *refuse_at_gate(struct upstream_peer *p, const struct queued_event *q,
                                  int64_t now_ms)
{
    if (!q->gate)
        return NULL;
    if (gate__lets_none_in(q->gate, now_ms))
        return refuse(p, FAILURE_BREAKER, gate__refuse(q->gate, now_ms));
    if (!gate__has_room(q->gate, q->event.kind))
        return refuse(p, FAILURE_QUEUE_FULL, gate__full(q->gate));
    return NULL;
}

const char *upstream__event(struct upstream_peer *peer, const struct upstream_event *event,
                            int64_t now_ms, int64_t unix_ms)
{
    struct queued_event *q;
    const char *why;

    if (peer->ended)
        return "the connection has ended";
    if (!peer__has_room(peer, event->data.len + metadata__bytes(&event->metadata)))
        return refuse(peer, FAILURE_QUEUE_FULL,
                      "too many events of this connection wait for the event handler; let the "
                      "client wait for acks, or make the handler faster");
    q = new_event(peer, PH_EVENT_USER, event, peer->next_id, now_ms, unix_ms);
    if (!q)
        return "out of memory";
    why = refuse_at_gate(peer, q, now_ms);
    if (why) {
        peer->next_id += q->heard; /* listeners know events by their ids */
        queued_event__free(&peer->up->spare_events, q);
        return why;
    }
    peer->next_id++;
    peer__append(peer, q);
    delivery__proceed(peer, now_ms);
    return NULL;
}

static void lose_presence(struct upstream_peer *p, enum ph_event_kind kind, struct str group)
{
    const struct upstream_config *config = &p->up->config;

    if (!route__find(settings__hub(config->settings, p->hub), kind, group))
        return;
    count_lost(p, kind);
    if (!p->presence_lost)
        log__warn(config->log, LOG_NONE,
                  "joined and left events of connection %.*s of hub %.*s are lost: %d wait for the "
                  "event handler; narrow its groupFilters, or make it faster",
                  STR_FMT(p->connection_id), STR_FMT(p->hub), UPSTREAM_PEER_PRESENCE);
    p->presence_lost = true;
}

void upstream__presence(struct upstream_peer *peer, bool joined, struct str group, int64_t now_ms,
                        int64_t unix_ms)
{
    if (peer->ended)
        return;
    if (peer->presence_events == UPSTREAM_PEER_PRESENCE) {
        lose_presence(peer, joined ? PH_EVENT_JOINED : PH_EVENT_LEFT, group);
        return;
    }
    /* Not with each place that comes free: the log would have a line for each of them. */
    if (peer->presence_events <= UPSTREAM_PEER_PRESENCE / 2)
        peer->presence_lost = false;
    if (joined)
        notify(peer, PH_EVENT_JOINED, STR("joined"), group, now_ms, unix_ms);
    else
        notify(peer, PH_EVENT_LEFT, STR("left"), group, now_ms, unix_ms);
    delivery__proceed(peer, now_ms);
}

void upstream__cancel(struct upstream_peer *peer, uint64_t ticket, int64_t now_ms)
{
    delivery__drop_user_event(peer, ticket);
    delivery__proceed(peer, now_ms);
}

void upstream__disconnected(struct upstream_peer *peer, struct str reason, int64_t now_ms,
                            int64_t unix_ms)
{
    delivery__drop_user_events(peer);
    notify(peer, PH_EVENT_DISCONNECTED, STR("disconnected"), reason, now_ms, unix_ms);
    peer->ended = true;
    delivery__proceed(peer, now_ms);
}
