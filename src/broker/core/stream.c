#include "broker/core/stream.h"

#include "broker/core/state.h"

#include <stdio.h>
#include <stdlib.h>

/* A client whose connection was lost may never have read that a stream of its closed, and
 * goes on with it after the recovery. So the outcomes of the last few are remembered. */
#define CLOSED_KEPT 32

/* The names of section 2.4 point 6, to the publisher. */
static const struct ack_error not_found = {"StreamNotFound", STR("There is no such open stream.")};
static const struct ack_error in_use = {
    "BadRequest", STR("The stream id is in use. The stream that had it is closed.")};
static const struct ack_error too_many = {
    "BadRequest", STR("The connection has too many open streams. Close some of them first.")};
static const struct ack_error failed = {"InternalServerError", STR("Internal server error")};
static const struct ack_error idle = {
    "IdleTimeout", STR("Nothing was sent on the stream within its idle timeout.")};
static const struct ack_error forbidden = {
    "Forbidden", STR("The client does not have permission to send to the group any more.")};

struct stream {
    struct timer timer; /* first member */
    struct session *session;
    struct stream *next;
    uint64_t expected; /* sequence id of the next fragment */
    int64_t active_ms; /* when something came last */
    int64_t idle_ms;   /* how long nothing may come */
    bool no_echo;
    bool owes_ack;
    bool closed; /* only its outcome is kept */
    const struct ack_error *outcome;
    struct str id, group; /* in `text` */
    char text[];
};

/* Of one session, the one used last in front: a client mostly goes on with that. */
struct streams {
    struct link owing; /* on core->owing, or alone */
    struct session *session;
    struct stream *first;
    size_t open, closed;
};

/* --- A session's streams ------------------------------------------------------ */

/* NULL when memory is out. */
static struct streams *streams_of(struct session *s)
{
    struct streams *all = s->streams;

    if (all)
        return all;
    all = calloc(1, sizeof(*all));
    if (!all)
        return NULL;
    all->session = s;
    list__init(&all->owing);
    s->streams = all;
    return all;
}

/* Open, or closed and remembered; it is in front then. */
static struct stream *find(const struct session *s, struct str id)
{
    struct stream **at, *found;

    if (!s->streams)
        return NULL;
    for (at = &s->streams->first; (found = *at); at = &found->next) {
        if (!str__eq(found->id, id))
            continue;
        *at = found->next;
        found->next = s->streams->first;
        s->streams->first = found;
        return found;
    }
    return NULL;
}

static void ring(struct timer *t, int64_t now_ms);

static struct stream *create(struct session *s, const struct command *cmd)
{
    struct core *core = s->core;
    struct streams *all = streams_of(s);
    struct stream *st = all ? calloc(1, sizeof(*st) + cmd->stream_id.len + cmd->group.len) : NULL;
    char *at;

    if (!st)
        return NULL;
    if (!deadlines__reserve(&core->deadlines)) {
        free(st);
        return NULL;
    }
    st->timer.ring = ring;
    st->session = s;
    st->expected = 1;
    st->no_echo = cmd->no_echo;
    st->idle_ms = cmd->idle_timeout_ms ? cmd->idle_timeout_ms : core->config.limits.stream_idle_ms;
    st->active_ms = core->config.ops->now_ms(core->config.ctx);
    at = st->text;
    st->id = str__place(&at, cmd->stream_id);
    st->group = str__place(&at, cmd->group);
    deadlines__set(&core->deadlines, &st->timer.due, st->active_ms + st->idle_ms);
    st->next = all->first;
    all->first = st;
    all->open++;
    return st;
}

static void unlink_and_free(struct streams *all, struct stream **at)
{
    struct stream *st = *at;

    *at = st->next;
    if (st->closed) {
        all->closed--;
    } else {
        all->open--;
        deadlines__clear(&st->session->core->deadlines, &st->timer.due);
        deadlines__release(&st->session->core->deadlines);
    }
    free(st);
}

static void forget(struct stream *st)
{
    struct streams *all = st->session->streams;
    struct stream **at = &all->first;

    while (*at != st)
        at = &(*at)->next;
    unlink_and_free(all, at);
}

static void forget_oldest_closed(struct streams *all)
{
    struct stream **oldest = NULL;

    for (struct stream **at = &all->first; *at; at = &(*at)->next) {
        if ((*at)->closed)
            oldest = at;
    }
    unlink_and_free(all, oldest);
}

/* The stream is over. Only a client that can recover may ask for it again. */
static void close_as(struct stream *st, const struct ack_error *outcome)
{
    struct session *s = st->session;
    struct streams *all = s->streams;

    if (!s->format->reliable) {
        forget(st);
        return;
    }
    deadlines__clear(&s->core->deadlines, &st->timer.due);
    deadlines__release(&s->core->deadlines);
    st->closed = true;
    st->owes_ack = false;
    st->outcome = outcome;
    all->open--;
    if (++all->closed > CLOSED_KEPT)
        forget_oldest_closed(all);
}

/* --- To the publisher ----------------------------------------------------------- */

static void tell_closed(struct session *s, struct str id, const struct ack_error *why)
{
    session__deliver_new(s, s->format->stream_closed(id, why));
}

void stream__refuse(struct session *s, struct str id, const struct ack_error *why)
{
    log__info(s->core->config.log, LOG_FIELDS("hub", s->hub->name, "connection", s->id),
              "stream %.*s is refused (%s): %.*s", STR_FMT(id), why->name, STR_FMT(why->message));
    tell_closed(s, id, why);
}

static void owe_ack(struct stream *st)
{
    struct streams *all = st->session->streams;

    st->owes_ack = true;
    if (list__empty(&all->owing))
        list__append(&st->session->core->owing, &all->owing);
}

static void acknowledge(struct streams *all)
{
    const struct format *format = all->session->format;

    for (struct stream *st = all->first; st && !all->session->ended; st = st->next) {
        if (st->owes_ack)
            session__deliver_new(all->session, format->stream_ack(st->id, st->expected));
        st->owes_ack = false;
    }
}

void stream__acknowledge_all(struct core *core)
{
    while (!list__empty(&core->owing)) {
        struct streams *all = LIST_ITEM(core->owing.next, struct streams, owing);

        list__remove(&all->owing);
        acknowledge(all);
    }
}

/* The client does not need this: what it sends again is acknowledged. So it is left out
 * where the queue has no room for it. */
void stream__resume(struct session *s)
{
    struct frame *f;

    if (!s->streams)
        return;
    list__remove(&s->streams->owing);
    for (struct stream *st = s->streams->first; st; st = st->next) {
        st->owes_ack = false;
        if (st->closed)
            continue;
        f = s->format->stream_ack(st->id, st->expected);
        if (f)
            session__offer(s, f);
        frame__unref(f);
    }
}

static void refuse_gap(struct stream *st, uint64_t came)
{
    struct session *s = st->session;
    char text[128];
    int len = snprintf(text, sizeof(text), "Expected stream sequence id %llu, but got %llu.",
                       (unsigned long long)st->expected, (unsigned long long)came);

    st->owes_ack = false; /* this says the same */
    session__deliver_new(
        s, s->format->stream_nack(&(struct stream_nack){st->id, "InvalidSequenceId",
                                                        str__n(text, (size_t)len), st->expected}));
}

/* --- To the subscribers ----------------------------------------------------------- */

/* A lifetime and metadata of the opening are nobody's: a fragment that is missing would
 * break the stream, and metadata belongs to a message. */
static bool publish(struct stream *st, const struct message_stream *part, enum ph_data_type type,
                    struct str data)
{
    const struct message draft = {.from = MESSAGE_FROM_GROUP,
                                  .type = type,
                                  .group = st->group,
                                  .from_user = session__user(st->session),
                                  .data = data,
                                  .stream = *part};

    return session__publish(st->session, &draft, st->no_echo);
}

static bool publish_end(struct stream *st, struct str error_name, struct str message,
                        struct str user_error_code)
{
    const struct message_stream end = {.id = st->id,
                                       .sequence_id = st->expected,
                                       .end = true,
                                       .error_name = error_name,
                                       .error_message = message,
                                       .user_error_code = user_error_code};

    /* The service's software drops a message without a data type (section 2.4 point 7), and
     * takes an empty text for no data. */
    return publish(st, &end, PH_DATA_TEXT, STR(""));
}

/* The stream ends by an error that is not its publisher's: both sides learn of it.
 * `subscribers_name` is one of those of section 2.4 point 7. */
static void fail(struct stream *st, const struct ack_error *why, const char *subscribers_name)
{
    struct session *s = st->session;

    log__info(s->core->config.log, LOG_FIELDS("hub", s->hub->name, "connection", s->id),
              "stream %.*s to group %.*s ends (%s): %.*s", STR_FMT(st->id), STR_FMT(st->group),
              why->name, STR_FMT(why->message));
    publish_end(st, str__of(subscribers_name), why->message, STR_NONE);
    tell_closed(s, st->id, why);
    close_as(st, why);
}

/* Something may have come since the deadline was set. */
static void ring(struct timer *t, int64_t now_ms)
{
    struct stream *st = (struct stream *)t;
    int64_t until = st->active_ms + st->idle_ms;

    if (until > now_ms)
        deadlines__set(&st->session->core->deadlines, &st->timer.due, until);
    else
        fail(st, &idle, idle.name);
}

/* --- What a client asks --------------------------------------------------------- */

/* Sent again, because the answer was lost with a socket? */
static bool is_same_opening(const struct stream *st, const struct command *cmd)
{
    return st->expected == 1 && st->no_echo == cmd->no_echo && str__eq(st->group, cmd->group);
}

/* Takes the id back from a stream that has it. True: that stream is what is asked for. */
static bool is_open_already(struct stream *st, const struct command *cmd,
                            const struct ack_error **error)
{
    if (st->closed) {
        forget(st);
        return false;
    }
    if (is_same_opening(st, cmd)) {
        owe_ack(st);
        return true;
    }
    /* The client takes streamClosed for the end of both (section 2.4 point 6). */
    fail(st, &in_use, "Cancelled");
    *error = &in_use;
    return false;
}

const struct ack_error *stream__open(struct session *s, const struct command *cmd)
{
    const struct ack_error *error = NULL;
    struct stream *st = find(s, cmd->stream_id);

    if (st && is_open_already(st, cmd, &error))
        return NULL;
    if (error)
        return error;
    if (s->streams && s->streams->open >= s->core->config.limits.streams)
        error = &too_many;
    else if (!(st = create(s, cmd)))
        error = &failed;
    if (error)
        stream__refuse(s, cmd->stream_id, error);
    else
        owe_ack(st);
    return error;
}

/* The open stream that is meant, after the checks that hold for all that may be sent on
 * it. NULL: the client has been told. */
static struct stream *resolve(struct session *s, struct str id)
{
    struct stream *st = find(s, id);

    if (!st) {
        stream__refuse(s, id, &not_found);
        return NULL;
    }
    if (st->closed) {
        tell_closed(s, id, st->outcome);
        return NULL;
    }
    if (!permissions__allow(&s->permissions, PERMISSION_SEND_TO_GROUP, st->group)) {
        fail(st, &forbidden, forbidden.name);
        return NULL;
    }
    return st;
}

void stream__data(struct session *s, const struct command *cmd)
{
    struct stream *st = resolve(s, cmd->stream_id);
    const struct message_stream part = {.id = cmd->stream_id,
                                        .sequence_id = cmd->stream_sequence_id};

    if (!st)
        return;
    st->active_ms = s->core->config.ops->now_ms(s->core->config.ctx);
    if (!cmd->has_stream_sequence_id)
        return; /* keep-alive */
    if (cmd->stream_sequence_id > st->expected) {
        refuse_gap(st, cmd->stream_sequence_id);
    } else if (cmd->stream_sequence_id < st->expected) {
        owe_ack(st);
    } else if (publish(st, &part, cmd->type, cmd->data)) {
        st->expected++;
        owe_ack(st);
    } else {
        fail(st, &failed, failed.name);
    }
}

void stream__end(struct session *s, const struct command *cmd)
{
    struct stream *st = resolve(s, cmd->stream_id);
    bool told;

    if (!st)
        return;
    told = cmd->stream_failed
               ? publish_end(st, STR("UserError"), cmd->error_message, cmd->user_error_code)
               : publish_end(st, STR_NONE, STR_NONE, STR_NONE);
    tell_closed(s, st->id, told ? NULL : &failed);
    close_as(st, told ? NULL : &failed);
}

void stream__cancel_all(struct session *s)
{
    for (struct stream *st = s->streams ? s->streams->first : NULL; st; st = st->next) {
        if (!st->closed)
            publish_end(st, STR("Cancelled"), STR("The connection of the publisher has ended."),
                        STR_NONE);
    }
    stream__free_all(s);
}

void stream__free_all(struct session *s)
{
    struct streams *all = s->streams;

    if (!all)
        return;
    while (all->first)
        unlink_and_free(all, &all->first);
    list__remove(&all->owing);
    free(all);
    s->streams = NULL;
}
