#include "broker/core/invocation.h"

#include "broker/core/state.h"

#include <stdio.h>
#include <stdlib.h>

struct invocation {
    struct timer timer; /* first member */
    struct session *session;
    uint64_t ticket;
    bool forgiven; /* may be asked for once more */
    struct str id; /* in `text` */
    char text[];
};

/* --- To the client -------------------------------------------------------------- */

static void respond(struct session *s, const struct invoke_response *response)
{
    session__deliver_new(s, s->format->invoke_response(response));
}

static void refuse(struct session *s, struct str id, const struct ack_error *error, const char *why)
{
    log__warn(
        s->core->config.log,
        LOG_FIELDS("hub", s->hub->name, "connection", s->id, "user", s->user ? s->user->id : NULL),
        "invocation %.*s failed: %s", STR_FMT(id), why);
    respond(s, &(struct invoke_response){.invocation_id = id, .error = error});
}

/* --- Life ------------------------------------------------------------------------- */

static void ring(struct timer *t, int64_t now_ms);

static struct invocation *create(struct session *s, struct str id)
{
    struct core *core = s->core;
    struct invocation *i = calloc(1, sizeof(*i) + id.len);

    if (!i)
        return NULL;
    if (!deadlines__reserve(&core->deadlines)) {
        free(i);
        return NULL;
    }
    i->timer.ring = ring;
    i->session = s;
    memcpy(i->text, id.ptr, id.len);
    i->id = str__n(i->text, id.len);
    i->ticket = in_flight__add(s, 0, i);
    if (i->ticket == 0) {
        invocation__free(i);
        return NULL;
    }
    deadlines__set(&core->deadlines, &i->timer.due,
                   core->config.ops->now_ms(core->config.ctx) + core->config.limits.invocation_ms);
    return i;
}

void invocation__free(struct invocation *i)
{
    if (!i)
        return;
    deadlines__clear(&i->session->core->deadlines, &i->timer.due);
    deadlines__release(&i->session->core->deadlines);
    free(i);
}

/* Takes it out of what is in flight, and frees it. */
static void drop(struct invocation *i)
{
    struct in_flight taken;

    in_flight__take(i->session, i->ticket, &taken);
    invocation__free(i);
}

static void cancel_event(struct invocation *i)
{
    const struct core_config *config = &i->session->core->config;

    config->ops->cancel_event(config->ctx, i->session, i->ticket);
}

/* The handler is not waited for any longer, so that the events behind it have their turn. */
static void ring(struct timer *t, int64_t now_ms)
{
    struct invocation *i = (struct invocation *)t;
    static const struct ack_error error = {"Timeout",
                                           STR("The event handler did not answer in time.")};

    (void)now_ms;
    if (i->session->ended)
        return; /* by what was due a moment ago; it takes its invocations along */
    cancel_event(i);
    refuse(i->session, i->id, &error,
           "no answer in time; make the event handler faster, or raise limits.invocationSeconds");
    drop(i);
}

static struct invocation *find(const struct session *s, struct str id)
{
    for (uint32_t n = 0; n < s->in_flight_count; n++) {
        struct invocation *i = s->in_flight[n].invocation;

        if (i && str__eq(i->id, id))
            return i;
    }
    return NULL;
}

void invocation__forgive(struct session *s)
{
    for (uint32_t n = 0; n < s->in_flight_count; n++) {
        if (s->in_flight[n].invocation)
            s->in_flight[n].invocation->forgiven = true;
    }
}

/* --- What a client asks ------------------------------------------------------------- */

static void start_again(struct invocation *pending)
{
    static const struct ack_error error = {
        "Duplicate", STR("An invocation with this id waits for its response.")};

    if (pending->forgiven)
        pending->forgiven = false;
    else
        refuse(pending->session, pending->id, &error, error.message.ptr);
}

void invocation__start(struct session *s, const struct command *cmd)
{
    static const struct ack_error memory = {"InternalServerError", STR("Internal server error")};
    static const struct ack_error not_taken = {
        "InternalServerError", STR("The event cannot be handed to the event handler now.")};
    const struct core_config *config = &s->core->config;
    struct invocation *i = find(s, cmd->invocation_id);
    struct user_event event = {
        .name = cmd->event, .type = cmd->type, .data = cmd->data, .metadata = cmd->metadata};
    const char *why;

    if (i) {
        start_again(i);
        return;
    }
    i = create(s, cmd->invocation_id);
    if (!i) {
        refuse(s, cmd->invocation_id, &memory, "out of memory");
        return;
    }
    event.ticket = i->ticket;
    why = config->ops->event(config->ctx, s, &event);
    if (!why)
        return; /* it may have been answered by now */
    refuse(s, i->id, &not_taken, why);
    drop(i);
}

void invocation__cancel(struct session *s, const struct command *cmd)
{
    struct invocation *i = find(s, cmd->invocation_id);

    if (!i)
        return;
    cancel_event(i);
    drop(i);
}

/* --- What the handler says ------------------------------------------------------------ */

static const struct {
    int status;
    const char *name;
} names[] = {
    {401, "Forbidden"},
    {403, "Forbidden"},
    {404, "NotFound"},
    {408, "Timeout"},
};

/* A status of 4xx is the handler's verdict on what the client asked, and its text is for
 * the client; the rest is between the handler and us. */
static const char *name_of(const struct event_answer *answer)
{
    if (answer->no_handler)
        return "NotFound";
    for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
        if (names[n].status == answer->status)
            return names[n].name;
    }
    return answer->status / 100 == 4 ? "BadRequest" : "InternalServerError";
}

static void refuse_as(struct session *s, struct str id, const struct event_answer *answer,
                      const char *problem)
{
    char text[80];
    struct ack_error error = {name_of(answer), STR("Internal server error")};

    if (answer->no_handler) {
        error.message = STR("No event handler takes this event.");
    } else if (answer->refusal.len > 0) {
        error.message = answer->refusal;
    } else if (answer->status / 100 == 4) {
        int len = snprintf(text, sizeof(text), "The event handler refused the event with %d.",
                           answer->status);

        error.message = str__n(text, (size_t)len);
    }
    refuse(s, id, &error, problem ? problem : "out of memory");
}

void invocation__answer(struct invocation *i, const struct event_answer *answer,
                        const char *problem)
{
    if (answer->success && !problem)
        respond(i->session, &(struct invoke_response){.invocation_id = i->id,
                                                      .has_data = answer->has_data,
                                                      .type = answer->type,
                                                      .data = answer->data,
                                                      .metadata = answer->metadata});
    else
        refuse_as(i->session, i->id, answer, problem);
    invocation__free(i);
}
