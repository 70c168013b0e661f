/* What a client asks for, in the order of official-emulator section 2.4: ping, sequence
 * ack, repeated request, permission, operation. */
#include "base/utf8.h"
#include "broker/core/farewell.h"
#include "broker/core/invocation.h"
#include "broker/core/state.h"
#include "broker/core/stream.h"

#include <stdio.h>
#include <stdlib.h>

enum outcome {
    DONE,    /* acknowledge */
    FAILED,  /* say so; the client may try again with the same id */
    LATER,   /* the event handler decides */
    ANSWERED /* done or refused, and the client has been told */
};

/* --- Acks (client-and-rest section 2.3) --------------------------------- */

static void acknowledge(struct session *s, uint64_t id, const struct ack_error *error)
{
    if (s->format->ack)
        session__deliver_new(s, s->format->ack(id, error));
}

static void acknowledge_success(struct session *s, uint64_t id)
{
    if (!ack_ids__add(&s->ack_ids, id, s->core->config.limits.ack_ids))
        log__warn(s->core->config.log, LOG_FIELDS("connection", s->id),
                  "out of memory: a repetition of this request will not be recognized");
    acknowledge(s, id, NULL);
}

static void acknowledge_failure(struct session *s, uint64_t id, const char *name)
{
    acknowledge(s, id, &(struct ack_error){name, STR("Internal server error")});
}

static void refuse_duplicate(struct session *s, uint64_t id)
{
    char text[80];
    int len = snprintf(text, sizeof(text), "Message with ack-id: %llu has been processed",
                       (unsigned long long)id);

    acknowledge(s, id, &(struct ack_error){"Duplicate", str__n(text, (size_t)len)});
}

/* --- Operations ------------------------------------------------------------ */

static void refuse_too_many_groups(struct session *s, const struct command *cmd)
{
    char text[120];
    int len = snprintf(text, sizeof(text),
                       "A connection is in at most %zu groups (limits.groupsPerConnection).",
                       s->core->config.limits.groups);
    const struct ack_error error = {"BadRequest", str__n(text, (size_t)len)};

    log__info(s->core->config.log, LOG_FIELDS("hub", s->hub->name, "connection", s->id),
              "refused to join group %.*s: %s", STR_FMT(cmd->group), text);
    if (cmd->has_ack_id)
        acknowledge(s, cmd->ack_id, &error);
}

static enum outcome join_group(struct session *s, const struct command *cmd)
{
    switch (group__join(s->hub, s, cmd->group)) {
    case PH_OK:
        return DONE;
    case PH_ERR_LIMIT:
        refuse_too_many_groups(s, cmd);
        return ANSWERED;
    default:
        return FAILED;
    }
}

static enum outcome leave_group(struct session *s, const struct command *cmd)
{
    group__leave(s->hub, s, cmd->group);
    return DONE;
}

/* client-and-rest section 2.1: ttlSeconds */
static int64_t expiry(const struct core *core, const struct command *cmd)
{
    return cmd->ttl_seconds
               ? core->config.ops->now_ms(core->config.ctx) + 1000 * (int64_t)cmd->ttl_seconds
               : 0;
}

bool session__publish(struct session *s, const struct message *draft, bool no_echo)
{
    struct core *core = s->core;
    struct str self = session__id(s);
    struct message *m = message__new(draft);
    struct hub_command send = {
        .op = HUB_SEND,
        .scope = SCOPE_GROUP,
        .hub = session__hub(s),
        .name = draft->group,
        .excluded = &self,
        .excluded_count = no_echo ? 1 : 0,
        .message = m,
    };

    if (!m)
        return false;
    core__apply(core, &send, NULL);
    core->config.ops->publish(core->config.ctx, &send);
    message__unref(m);
    return true;
}

static enum outcome open_stream(struct session *s, const struct command *cmd)
{
    const struct ack_error *error = stream__open(s, cmd);

    if (!error)
        return DONE;
    if (cmd->has_ack_id)
        acknowledge(s, cmd->ack_id, error);
    return ANSWERED;
}

static enum outcome send_to_group(struct session *s, const struct command *cmd)
{
    const struct message draft = {.from = MESSAGE_FROM_GROUP,
                                  .type = cmd->type,
                                  .group = cmd->group,
                                  .from_user = session__user(s),
                                  .data = cmd->data,
                                  .metadata = cmd->metadata,
                                  .expires_ms = expiry(s->core, cmd)};

    if (cmd->stream_id.ptr)
        return open_stream(s, cmd);
    return session__publish(s, &draft, cmd->no_echo) ? DONE : FAILED;
}

/* --- Group state (client-and-rest section 2.6) -------------------------------- */

static enum outcome refuse(struct session *s, const struct command *cmd,
                           const struct ack_error *error)
{
    log__info(s->core->config.log, LOG_FIELDS("hub", s->hub->name, "connection", s->id),
              "the states of group %.*s: %.*s", STR_FMT(cmd->group), STR_FMT(error->message));
    if (cmd->has_ack_id)
        acknowledge(s, cmd->ack_id, error);
    return ANSWERED;
}

/* The client gets its ack before it sees what came of it. */
static enum outcome set_group_state(struct session *s, const struct command *cmd)
{
    const struct ack_error *refusal = group_state__refusal(s, cmd);
    struct group_state *change = refusal ? NULL : group_state__draft(s, cmd);

    if (refusal)
        return refuse(s, cmd, refusal);
    if (!change)
        return FAILED;
    if (cmd->has_ack_id)
        acknowledge_success(s, cmd->ack_id);
    group_state__change(s, cmd->group, change);
    return ANSWERED;
}

static enum outcome subscribe_group_state(struct session *s, const struct command *cmd)
{
    const struct ack_error *refusal = group_state__subscribe_refusal(s, cmd->group);

    if (refusal)
        return refuse(s, cmd, refusal);
    if (!group_state__subscribe(s, cmd->group))
        return FAILED;
    if (cmd->has_ack_id)
        acknowledge_success(s, cmd->ack_id);
    if (!s->ended)
        group_state__tell_all(s, cmd->group);
    return ANSWERED;
}

static enum outcome unsubscribe_group_state(struct session *s, const struct command *cmd)
{
    group_state__unsubscribe(s, cmd->group);
    return DONE;
}

static void explain_failure(const struct session *s, const char *why)
{
    log__warn(
        s->core->config.log,
        LOG_FIELDS("hub", s->hub->name, "connection", s->id, "user", s->user ? s->user->id : NULL),
        "user event failed: %s", why);
}

struct failed_event {
    bool has_ack_id;
    uint64_t ack_id;
    bool no_handler;
    const char *why; /* for the log */
};

/* A client without acks learns of a failure by its end; what becomes of the others is a
 * matter of the hub's rules, as sources differ (event-handler sections 3.5 and 3.8). The
 * client is told no more than that it failed. The log gets one line in either case. */
static void fail_event(struct session *s, const struct failed_event *event)
{
    const struct hub_rules rules = s->hub->rules;
    struct close_reason why = event->no_handler ? farewell_no_handler : farewell_event_failed;
    bool closes = event->has_ack_id ? rules.close_on_failed_ack : rules.close_on_failed;

    why.detail = event->why;
    if (!s->format->ack && rules.normal_raw_close) {
        why.code = 1000;
        why.text = STR("");
    }
    closes = closes || !s->format->ack;
    if (!closes)
        explain_failure(s, event->why);
    if (event->has_ack_id)
        acknowledge_failure(s, event->ack_id,
                            rules.invocation_failed ? "InvocationFailed" : "InternalServerError");
    if (closes)
        session__end(s, &why);
}

static void refuse_event(struct session *s, const struct command *cmd, const char *why)
{
    fail_event(s, &(struct failed_event){
                      .has_ack_id = cmd->has_ack_id, .ack_id = cmd->ack_id, .why = why});
}

static enum outcome send_event(struct session *s, const struct command *cmd)
{
    struct core *core = s->core;
    struct user_event event = {
        .name = cmd->event, .type = cmd->type, .data = cmd->data, .metadata = cmd->metadata};
    struct in_flight taken;
    const char *why;

    if (cmd->has_ack_id && (event.ticket = in_flight__add(s, cmd->ack_id, NULL)) == 0) {
        refuse_event(s, cmd, "out of memory");
        return ANSWERED;
    }
    why = core->config.ops->event(core->config.ctx, s, &event);
    if (!why)
        return LATER;
    in_flight__take(s, event.ticket, &taken);
    refuse_event(s, cmd, why);
    return ANSWERED;
}

/* --- Requests -------------------------------------------------------------- */

static const struct verb {
    enum outcome (*run)(struct session *s, const struct command *cmd);
    bool guarded; /* needs a permission */
    enum permission_action action;
    const char *deed, *role;
} verbs[COMMAND_COUNT] = {
    [COMMAND_JOIN_GROUP] = {join_group, true, PERMISSION_JOIN_LEAVE_GROUP, "join",
                            "joinLeaveGroup"},
    [COMMAND_LEAVE_GROUP] = {leave_group, true, PERMISSION_JOIN_LEAVE_GROUP, "leave",
                             "joinLeaveGroup"},
    [COMMAND_SEND_TO_GROUP] = {send_to_group, true, PERMISSION_SEND_TO_GROUP, "send to",
                               "sendToGroup"},
    [COMMAND_EVENT] = {.run = send_event},
    [COMMAND_SET_GROUP_STATE] = {set_group_state, true, PERMISSION_SET_GROUP_STATE,
                                 "set a state in", "setGroupState"},
    [COMMAND_SUBSCRIBE_GROUP_STATE] = {subscribe_group_state, true, PERMISSION_GET_GROUP_STATE,
                                       "see the states of", "getGroupState"},
    [COMMAND_UNSUBSCRIBE_GROUP_STATE] = {.run = unsubscribe_group_state},
};

static void refuse_forbidden(struct session *s, const struct command *cmd, const struct verb *verb)
{
    char text[4 * 1024 + 128]; /* a group name has at most 1024 characters */
    int len =
        snprintf(text, sizeof(text), "The client does not have permission to %s group '%.*s'.",
                 verb->deed, STR_FMT(cmd->group));
    const struct ack_error error = {"Forbidden", str__n(text, (size_t)len)};

    log__info(s->core->config.log, LOG_FIELDS("hub", s->hub->name, "connection", s->id),
              "forbidden to %s group %.*s; the role webpubsub.%s.%.*s would allow it", verb->deed,
              STR_FMT(cmd->group), verb->role, STR_FMT(cmd->group));
    if (cmd->has_ack_id)
        acknowledge(s, cmd->ack_id, &error);
    if (cmd->stream_id.ptr)
        stream__refuse(s, cmd->stream_id, &error);
}

static void refuse_long_name(struct session *s, const struct command *cmd)
{
    char text[80];
    int len = snprintf(text, sizeof(text), "The name of a group has at most %zu characters.",
                       s->core->config.limits.group_characters);
    const struct ack_error error = {"BadRequest", str__n(text, (size_t)len)};

    log__info(s->core->config.log, LOG_FIELDS("hub", s->hub->name, "connection", s->id),
              "refused: the name of the group is longer than limits.groupNameCharacters");
    if (cmd->has_ack_id)
        acknowledge(s, cmd->ack_id, &error);
    if (cmd->stream_id.ptr)
        stream__refuse(s, cmd->stream_id, &error);
}

static void request(struct session *s, const struct command *cmd)
{
    const struct verb *verb = &verbs[cmd->kind];
    enum outcome outcome;

    if (cmd->has_ack_id && ack_ids__has(s->ack_ids, cmd->ack_id)) {
        refuse_duplicate(s, cmd->ack_id);
        return;
    }
    /* Sent again while the handler still works on it: one run and one ack answer both. A
     * Duplicate now would promise a success that may not come. */
    if (cmd->has_ack_id && in_flight__has_ack_id(s, cmd->ack_id))
        return;
    if (utf8__longer(cmd->group, s->core->config.limits.group_characters)) {
        refuse_long_name(s, cmd);
        return;
    }
    if (verb->guarded && !permissions__allow(&s->permissions, verb->action, cmd->group)) {
        refuse_forbidden(s, cmd, verb);
        return;
    }
    outcome = verb->run ? verb->run(s, cmd) : FAILED;
    if (outcome == LATER || outcome == ANSWERED || s->ended)
        return;
    if (cmd->has_ack_id && outcome == DONE)
        acknowledge_success(s, cmd->ack_id);
    if (outcome == DONE)
        return;
    log__error(s->core->config.log, LOG_FIELDS("hub", s->hub->name, "connection", s->id),
               "out of memory: could not %s group %.*s", verb->deed, STR_FMT(cmd->group));
    if (cmd->has_ack_id)
        acknowledge_failure(s, cmd->ack_id, "InternalServerError");
}

/* Raw clients in sendToGroup mode: every message is for their group (client-and-rest
 * section 2.8). */
static void publish_raw(struct session *s, const struct command *cmd)
{
    struct command send = *cmd;

    send.kind = COMMAND_SEND_TO_GROUP;
    send.group = str__of(s->publish_group);
    send.no_echo = s->publish_no_echo;
    if (permissions__allow(&s->permissions, PERMISSION_SEND_TO_GROUP, send.group))
        request(s, &send);
    else
        session__end(s, &farewell_raw_publish);
}

/* --- Statements: nothing to acknowledge, no permission of their own ----------- */

static void ping(struct session *s, const struct command *cmd)
{
    (void)cmd;
    session__deliver_new(s, s->format->pong());
}

static void sequence_ack(struct session *s, const struct command *cmd)
{
    outbox__ack(&s->outbox, cmd->sequence_id);
}

/* Nobody invokes clients, so there is nothing that it could answer. */
static void ignore(struct session *s, const struct command *cmd)
{
    (void)s;
    (void)cmd;
}

static void (*const statements[COMMAND_COUNT])(struct session *s, const struct command *cmd) = {
    [COMMAND_PING] = ping,
    [COMMAND_SEQUENCE_ACK] = sequence_ack,
    [COMMAND_INVOKE] = invocation__start,
    [COMMAND_CANCEL_INVOCATION] = invocation__cancel,
    [COMMAND_INVOKE_RESPONSE] = ignore,
    [COMMAND_STREAM_DATA] = stream__data,
    [COMMAND_STREAM_END] = stream__end,
};

bool session__command(struct session *s, const struct command *cmd)
{
    struct core *core = s->core;
    bool lives;

    if (s->ended)
        return false;
    core__enter(core);
    if (statements[cmd->kind])
        statements[cmd->kind](s, cmd);
    else if (s->publish_group)
        publish_raw(s, cmd);
    else
        request(s, cmd);
    lives = !s->ended;
    core__leave(core);
    return lives;
}

/* --- The event handler's answer -------------------------------------------- */

/* For one client, the draft is as good as a message. */
static void deliver_answer(struct session *s, const struct event_answer *answer)
{
    const struct message draft = {.from = MESSAGE_FROM_SERVER,
                                  .type = answer->type,
                                  .data = answer->data,
                                  .metadata = answer->metadata};

    session__deliver_new(s, s->format->message(&draft));
}

/* Why the event has failed; NULL if it has not. */
static const char *answer_problem(const struct session *s, const struct event_answer *answer)
{
    if (!answer->success)
        return answer->failure;
    if (answer->has_data && s->format->carries && !s->format->carries(answer->type, answer->data))
        return "the event handler's answer of type application/x-protobuf must be a serialized "
               "google.protobuf.Any for a client of a protobuf subprotocol, but does not parse as "
               "one; answer with application/octet-stream to send other bytes";
    return NULL;
}

static void finish_event(struct session *s, bool has_ack_id, uint64_t ack_id,
                         const struct event_answer *answer, const char *problem)
{
    if (problem || !answer->success) {
        fail_event(s, &(struct failed_event){has_ack_id, ack_id, answer->no_handler,
                                             problem ? problem : "out of memory"});
        return;
    }
    if (answer->has_data)
        deliver_answer(s, answer);
    if (has_ack_id && !s->ended)
        acknowledge_success(s, ack_id);
}

bool session__event_answer(struct session *s, uint64_t ticket, const struct event_answer *answer)
{
    struct core *core = s->core;
    const char *problem = answer_problem(s, answer);
    struct in_flight asked = {0};
    bool lives, waits;

    if (s->ended)
        return false;
    core__enter(core);
    waits = in_flight__take(s, ticket, &asked);
    if (asked.invocation)
        invocation__answer(asked.invocation, answer, problem);
    else
        finish_event(s, waits, asked.ack_id, answer, problem);
    lives = !s->ended;
    core__leave(core);
    return lives;
}
