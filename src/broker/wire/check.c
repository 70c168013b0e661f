#include "broker/wire/check.h"

#include "base/names.h"

#include <inttypes.h>

#define TTL_MAX_SECONDS 300

static const struct str frame_names[COMMAND_COUNT] = {
    [COMMAND_JOIN_GROUP] = STR("joinGroup"),
    [COMMAND_LEAVE_GROUP] = STR("leaveGroup"),
    [COMMAND_SEND_TO_GROUP] = STR("sendToGroup"),
    [COMMAND_EVENT] = STR("event"),
    [COMMAND_PING] = STR("ping"),
    [COMMAND_SEQUENCE_ACK] = STR("sequenceAck"),
    [COMMAND_INVOKE] = STR("invoke"),
    [COMMAND_CANCEL_INVOCATION] = STR("cancelInvocation"),
    [COMMAND_STREAM_DATA] = STR("streamData"),
    [COMMAND_STREAM_END] = STR("streamEnd"),
    [COMMAND_SET_GROUP_STATE] = STR("setGroupState"),
    [COMMAND_SUBSCRIBE_GROUP_STATE] = STR("subscribeGroupState"),
    [COMMAND_UNSUBSCRIBE_GROUP_STATE] = STR("unsubscribeGroupState"),
    [COMMAND_INVOKE_RESPONSE] = STR("invokeResponse"),
};

struct str check__frame_name(enum command_kind kind)
{
    return frame_names[kind];
}

static enum ph_err refuse(const struct command *cmd, struct diag *diag, const char *member,
                          const char *expected)
{
    return diag__set(diag, PH_ERR_SYNTAX, "%.*s: \"%s\" must be %s",
                     STR_FMT(frame_names[cmd->kind]), member, expected);
}

/* --- Numbers ------------------------------------------------------------------ */

enum ph_err check__ttl_seconds(struct command *cmd, uint64_t seconds, struct diag *diag)
{
    if (seconds > TTL_MAX_SECONDS)
        return diag__set(diag, PH_ERR_SYNTAX,
                         "%.*s: \"ttlSeconds\" must be from 0 to 300, but is %" PRIu64,
                         STR_FMT(frame_names[cmd->kind]), seconds);
    cmd->ttl_seconds = (uint32_t)seconds;
    return PH_OK;
}

enum ph_err check__idle_timeout_ms(struct command *cmd, uint64_t ms, struct diag *diag)
{
    if (ms == 0 || ms > UINT32_MAX)
        return diag__set(diag, PH_ERR_SYNTAX,
                         "%.*s: \"idleTimeoutMs\" must be from 1 to 4294967295, but is %" PRIu64,
                         STR_FMT(frame_names[cmd->kind]), ms);
    cmd->idle_timeout_ms = (uint32_t)ms;
    return PH_OK;
}

/* --- Rules -------------------------------------------------------------------- */

static bool has_group(const struct command *cmd)
{
    return names__valid_group(cmd->group);
}

static bool has_event(const struct command *cmd)
{
    return names__valid_event(cmd->event);
}

static bool has_invocation_id(const struct command *cmd)
{
    return cmd->invocation_id.len > 0 && cmd->invocation_id.len <= CHECK_ID_MAX;
}

static bool has_stream_id(const struct command *cmd)
{
    return cmd->stream_id.len > 0 && cmd->stream_id.len <= CHECK_ID_MAX;
}

/* A publish that opens a stream names it; others have no stream. */
static bool may_open_stream(const struct command *cmd)
{
    return !cmd->stream_id.ptr || has_stream_id(cmd);
}

/* Section 2.4: the publish that opens a stream carries nothing else. */
static bool opens_without_data(const struct command *cmd)
{
    return !cmd->stream_id.ptr || !cmd->has_data;
}

/* Metadata may come without data (section 2.1), so may the opening of a stream. */
static bool has_something(const struct command *cmd)
{
    return cmd->has_data || cmd->metadata.count > 0 || cmd->stream_id.ptr;
}

/* Section 2.4: both, or neither of them for a keep-alive. */
static bool is_fragment_or_keep_alive(const struct command *cmd)
{
    return cmd->has_data == cmd->has_stream_sequence_id;
}

/* An invocation needs no data: the official SDK leaves it out when it is given none. */
static bool is_a_message(const struct command *cmd)
{
    return cmd->kind == COMMAND_INVOKE || (cmd->metadata.count > 0 && !cmd->stream_id.ptr);
}

#define KIND(kind) (1u << COMMAND_##kind)
#define OF_GROUPS                                                                                  \
    (KIND(JOIN_GROUP) | KIND(LEAVE_GROUP) | KIND(SEND_TO_GROUP) | KIND(SET_GROUP_STATE) |          \
     KIND(SUBSCRIBE_GROUP_STATE) | KIND(UNSUBSCRIBE_GROUP_STATE))

static const struct rule {
    unsigned kinds;
    bool (*holds)(const struct command *cmd);
    const char *member;
    const char *expected;
} rules[] = {
    {OF_GROUPS, has_group, "group",
     "a string of 1 to 1024 characters that are not all white space"},
    {KIND(EVENT) | KIND(INVOKE), has_event, "event",
     "a letter and up to 127 letters, digits, underscores, dots and hyphens"},
    {KIND(INVOKE) | KIND(CANCEL_INVOCATION) | KIND(INVOKE_RESPONSE), has_invocation_id,
     "invocationId", "a string of 1 to 256 bytes"},
    {KIND(STREAM_DATA) | KIND(STREAM_END), has_stream_id, "streamId", "a string of 1 to 256 bytes"},
    {KIND(SEND_TO_GROUP), may_open_stream, "streamId", "a string of 1 to 256 bytes"},
    {KIND(SEND_TO_GROUP), opens_without_data, "data", "left out in the frame that opens a stream"},
    {KIND(SEND_TO_GROUP) | KIND(EVENT), has_something, "data", "there unless there is metadata"},
    {KIND(STREAM_DATA), is_fragment_or_keep_alive, "data",
     "there with a \"streamSequenceId\", and left out without one (a keep-alive)"},
};

enum ph_err check__command(struct command *cmd, struct diag *diag)
{
    const char *problem = cmd->metadata.count > 0 ? metadata__problem(&cmd->metadata) : NULL;

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if ((rules[i].kinds & 1u << cmd->kind) && !rules[i].holds(cmd))
            return refuse(cmd, diag, rules[i].member, rules[i].expected);
    }
    if (problem)
        return diag__set(diag, PH_ERR_SYNTAX, "%.*s: \"metadata\": %s",
                         STR_FMT(frame_names[cmd->kind]), problem);
    if (!cmd->has_data && is_a_message(cmd)) {
        cmd->has_data = true;
        cmd->type = PH_DATA_TEXT;
        cmd->data = STR("");
    }
    return PH_OK;
}
