#include "broker/core/session.h"

#include "broker/core/farewell.h"
#include "broker/core/invocation.h"
#include "broker/core/role.h"
#include "broker/core/state.h"
#include "broker/core/stream.h"

#include <stdlib.h>

struct str session__id(const struct session *s)
{
    return str__n(s->id, s->id_len);
}

struct str session__user(const struct session *s)
{
    return s->user ? str__n(s->user->id, s->user->id_len) : STR_NONE;
}

struct str session__hub(const struct session *s)
{
    return s->hub ? hub__key(s->hub) : STR_NONE;
}

const struct format *session__format(const struct session *s)
{
    return s->format;
}

struct transport *session__transport(const struct session *s)
{
    return s->transport;
}

void session__fetch(const struct session *s)
{
    prefetch__bytes(s, sizeof(*s));
}

void session__fetch_parts(const struct session *s)
{
    prefetch__line(s->ack_ids);
    prefetch__line(s->in_flight);
}

struct upstream_peer *session__peer(const struct session *s)
{
    return s->peer;
}

void session__set_peer(struct session *s, struct upstream_peer *peer)
{
    s->peer = peer;
}

/* --- Coming --------------------------------------------------------------- */

static struct session *allocate(struct core *core, const struct session_config *config)
{
    struct session *s;

    if (config->connection_id.len == 0 || config->connection_id.len > UINT8_MAX)
        return NULL;
    s = calloc(1, sizeof(*s) + config->connection_id.len + 1);
    if (!s)
        return NULL;
    s->core = core;
    s->format = config->format;
    s->publish_no_echo = config->publish_no_echo;
    s->id_len = (uint8_t)config->connection_id.len;
    memcpy(s->id, config->connection_id.ptr, s->id_len);
    list__init(&s->dirty);
    list__init(&s->waiting);
    list__init(&s->in_hub);
    return s;
}

/* A role that is refused is one that the client does without (official-emulator section
 * 2.6). */
static void grant_role(struct session *s, struct str role)
{
    const struct core_config *config = &s->core->config;
    struct diag diag = {""};
    enum ph_err err =
        role__grant(&s->permissions, role, &config->limits.permissions, &config->seed, &diag);

    if (err == PH_OK)
        return;
    log__write(
        config->log, err == PH_ERR_NOT_FOUND ? PH_LOG_INFO : PH_LOG_WARN,
        LOG_FIELDS("hub", s->hub->name, "connection", s->id, "user", s->user ? s->user->id : NULL),
        "role %.*s is refused: %s", STR_FMT(role), diag.text);
}

static bool grant_roles(struct session *s, const struct session_config *config)
{
    struct str *roles = NULL;

    if (config->role_count == 0)
        return true;
    roles = malloc(config->role_count * sizeof(*roles));
    if (!roles)
        return false;
    memcpy(roles, config->roles, config->role_count * sizeof(*roles));
    qsort(roles, config->role_count, sizeof(*roles), role__compare);
    for (size_t i = 0; i < config->role_count; i++)
        grant_role(s, roles[i]);
    free(roles);
    return true;
}

static bool join_groups(struct session *s, const struct session_config *config)
{
    for (size_t i = 0; i < config->group_count; i++) {
        if (group__join(s->hub, s, config->groups[i]) != PH_OK)
            return false;
    }
    return true;
}

static bool set_publish_group(struct session *s, struct str group)
{
    if (!group.ptr)
        return true;
    s->publish_group = malloc(group.len + 1);
    if (!s->publish_group)
        return false;
    memcpy(s->publish_group, group.ptr, group.len);
    s->publish_group[group.len] = '\0';
    return true;
}

struct session *session__new(struct core *core, const struct session_config *config)
{
    struct session *s = allocate(core, config);
    struct hub *hub = s ? hub__get(core, config->hub) : NULL;

    if (!hub)
        goto no_hub;
    if (!hub__enter(hub, s, config->user_id))
        goto not_entered;
    s->hub = hub;
    if (!set_publish_group(s, config->publish_group) || !join_groups(s, config) ||
        !grant_roles(s, config))
        goto not_joined;
    core->sessions++;
    metrics__add(core->config.metrics, METRIC_ACCEPTED, 1);
    return s;

not_joined:
    hub__leave(hub, s);
not_entered:
    hub__release(core, hub);
no_hub:
    if (s)
        session__free(s);
    return NULL;
}

void session__present(struct session *s)
{
    s->presented = true;
    group__tell_all(s, true);
}

static void mark_dirty(struct session *s, bool answer)
{
    if (s->transport && outbox__pending(&s->outbox))
        backlog__add(&s->core->backlog, s, answer);
}

static bool greet(struct session *s, struct str reconnection_token)
{
    struct connected_info info = {session__id(s), session__user(s), reconnection_token};
    struct frame *f;
    bool done;

    if (!s->format->connected)
        return true;
    f = s->format->connected(&info);
    done = f && outbox__push_front(&s->outbox, f);
    frame__unref(f);
    return done;
}

void session__attach(struct session *s, struct transport *t, struct str reconnection_token)
{
    struct core *core = s->core;

    core__enter(core);
    if (s->transport)
        core->config.ops->abort(core->config.ctx, s->transport);
    else
        core->attached++;
    s->transport = t;
    list__remove(&s->waiting);
    outbox__rewind(&s->outbox);
    invocation__forgive(s);
    if (greet(s, reconnection_token))
        stream__resume(s);
    else
        session__end(s, &farewell_memory);
    mark_dirty(s, true);
    core__leave(core);
}

/* --- What goes out --------------------------------------------------------- */

static const struct queue_limits *room(const struct session *s)
{
    const struct core_limits *limits = &s->core->config.limits;

    return s->format->reliable ? &limits->unacked : &limits->queue;
}

/* True when something was dropped. Most queues hold nothing that expires, and then the
 * clock is not even read. */
static bool drop_expired(struct session *s)
{
    const struct core_config *config = &s->core->config;
    int64_t now;

    if (!s->outbox.expires_ms)
        return false;
    now = config->ops->now_ms(config->ctx);
    if (!outbox__expired(&s->outbox, now))
        return false;
    outbox__expire(&s->outbox, now);
    return true;
}

/* `answer`: it is for this client alone. */
static void deliver(struct session *s, struct frame *f, bool answer)
{
    enum outbox_result result;

    if (s->ended || (f->control && !s->transport))
        return;
    result = outbox__push(&s->outbox, f, room(s));
    if (result == OUTBOX_FULL && drop_expired(s))
        result = outbox__push(&s->outbox, f, room(s));
    switch (result) {
    case OUTBOX_OK:
        mark_dirty(s, answer);
        if (s->transport && outbox__half_full(&s->outbox, room(s)))
            s->core->config.ops->relieve(s->core->config.ctx, s->transport);
        break;
    case OUTBOX_FULL:
        session__end(s, f->sequenced ? &farewell_unacked : &farewell_slow);
        break;
    case OUTBOX_MEMORY:
        session__end(s, &farewell_memory);
        break;
    }
}

void session__deliver(struct session *s, struct frame *f)
{
    deliver(s, f, false);
}

void session__offer(struct session *s, struct frame *f)
{
    if (!s->ended && s->transport && outbox__push(&s->outbox, f, room(s)) == OUTBOX_OK)
        mark_dirty(s, true);
}

void session__deliver_new(struct session *s, struct frame *f)
{
    if (f)
        deliver(s, f, true);
    else
        session__end(s, &farewell_memory);
    frame__unref(f);
}

size_t session__outgoing(struct session *s, struct out_item *items, size_t max)
{
    drop_expired(s);
    return outbox__peek(&s->outbox, items, max);
}

void session__written(struct session *s, size_t count, bool begun)
{
    outbox__written(&s->outbox, count, begun);
}

/* --- Going ----------------------------------------------------------------- */

void session__detach(struct session *s, int64_t now_ms, struct str reason)
{
    struct core *core = s->core;

    if (s->transport && !s->ended)
        core->attached--;
    s->transport = NULL;
    backlog__remove(&s->core->backlog, s);
    if (s->ended) {
        if (!s->hub)
            session__free(s);
        return; /* else the walk that ended it frees it at its end */
    }
    if (s->format->reliable) {
        s->recover_until = now_ms + core->config.limits.recovery_ms;
        list__append(&core->detached, &s->waiting);
        farewell__log_detached(core->config.log, s, reason);
        return;
    }
    session__end(s, &(struct close_reason){.category = STR("Normal"), .upstream = reason});
}

/* Queued even if it is the last straw: the client is being closed anyway. */
static void say_goodbye(struct session *s, struct str message)
{
    struct frame *f = NULL;

    if (s->transport && s->format->disconnected && message.ptr)
        f = s->format->disconnected(message);
    if (f && outbox__push(&s->outbox, f, room(s)) == OUTBOX_OK)
        mark_dirty(s, false);
    frame__unref(f);
}

void session__end(struct session *s, const struct close_reason *why)
{
    struct core *core = s->core;
    const struct core_ops *ops = core->config.ops;

    if (s->ended)
        return;
    core__enter(core);
    metrics__closed(core->config.metrics, why->category);
    say_goodbye(s, why->message);
    s->ended = true;
    core->sessions--;
    if (s->transport)
        core->attached--;
    list__remove(&s->waiting);
    list__append(&core->ended, &s->waiting);
    farewell__log(core->config.log, s, why); /* what it says is so already */
    /* The handler hears of the groups before the end; they are left when nobody walks them. */
    group__tell_all(s, false);
    s->presented = false;
    ops->ended(core->config.ctx, s, farewell__reason(why));
    if (s->transport)
        ops->close(core->config.ctx, s->transport, why->code, why->text);
    core__leave(core);
}

void session__retire(struct session *s)
{
    struct hub *hub = s->hub;

    stream__cancel_all(s);
    in_flight__free_all(s);
    hub__leave(hub, s);
    hub__release(s->core, hub);
    s->hub = NULL;
    list__remove(&s->waiting);
    if (s->transport)
        list__append(&s->core->closing, &s->waiting);
    else
        session__free(s);
}

void session__free(struct session *s)
{
    backlog__remove(&s->core->backlog, s);
    list__remove(&s->waiting);
    memberships__free(&s->groups);
    permissions__free(&s->permissions);
    own_states__free(s->states);
    stream__free_all(s);
    outbox__free(&s->outbox);
    ack_ids__free(s->ack_ids);
    in_flight__free_all(s);
    free(s->publish_group);
    free(s);
}
