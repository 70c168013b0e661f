#include "frames_kit.h"

#include "unit.h"

#include <stdio.h>

static void describe_data(struct buf *b, const struct command *cmd)
{
    static const char *const types[] = {"text", "json", "binary", "protobuf"};

    buf__printf(b, " %s ", types[cmd->type]);
    for (size_t i = 0; i < cmd->data.len; i++)
        buf__byte(b, (unsigned char)cmd->data.ptr[i] < ' ' ? '.' : cmd->data.ptr[i]);
}

static void describe_map(struct buf *b, const struct metadata *map)
{
    for (size_t i = 0; i < map->count; i++)
        buf__printf(b, " %.*s=%.*s", STR_FMT(map->items[i].name), STR_FMT(map->items[i].value));
}

static void describe_stream(struct buf *b, const struct command *cmd)
{
    if (cmd->stream_id.ptr)
        buf__printf(b, " stream %.*s", STR_FMT(cmd->stream_id));
    if (cmd->idle_timeout_ms > 0)
        buf__printf(b, " idle %u", cmd->idle_timeout_ms);
    if (cmd->has_stream_sequence_id)
        buf__printf(b, " seq %llu", (unsigned long long)cmd->stream_sequence_id);
    if (cmd->stream_failed)
        buf__str(b, STR(" failed"));
    if (cmd->error_message.ptr)
        buf__printf(b, " message '%.*s'", STR_FMT(cmd->error_message));
    if (cmd->user_error_code.ptr)
        buf__printf(b, " code '%.*s'", STR_FMT(cmd->user_error_code));
}

void frames_kit__describe(struct buf *b, const struct command *cmd)
{
    static const char *const kinds[COMMAND_COUNT] = {
        "join",   "leave",      "send",      "event",    "ping",      "sequenceAck", "invoke",
        "cancel", "streamData", "streamEnd", "setState", "subscribe", "unsubscribe", "response"};

    buf__printf(b, "%s", kinds[cmd->kind]);
    if (cmd->kind == COMMAND_SEQUENCE_ACK)
        buf__printf(b, " %llu", (unsigned long long)cmd->sequence_id);
    if (cmd->group.ptr || cmd->event.ptr)
        buf__printf(b, " %.*s", STR_FMT(cmd->group.ptr ? cmd->group : cmd->event));
    if (cmd->has_ack_id)
        buf__printf(b, " #%llu", (unsigned long long)cmd->ack_id);
    if (cmd->no_echo)
        buf__str(b, STR(" noEcho"));
    if (cmd->ttl_seconds > 0)
        buf__printf(b, " ttl %u", cmd->ttl_seconds);
    if (cmd->invocation_id.ptr)
        buf__printf(b, " id %.*s", STR_FMT(cmd->invocation_id));
    describe_stream(b, cmd);
    if (cmd->has_data)
        describe_data(b, cmd);
    describe_map(b, &cmd->metadata);
    if (cmd->has_state)
        buf__str(b, STR(" state"));
    describe_map(b, &cmd->state);
}

/* Takes `prefix` off *at, if it is there. */
static bool take_prefix(char **at, const char *prefix)
{
    bool there = strncmp(*at, prefix, strlen(prefix)) == 0;

    *at += there ? strlen(prefix) : 0;
    return there;
}

/* "[plain |reliable ]FRAME => EXPECTED" */
static void check_line(char *line, const struct format *plain, const struct format *reliable,
                       frames_kit_check *check)
{
    bool plain_only = take_prefix(&line, "plain "), reliable_only = take_prefix(&line, "reliable ");
    char *arrow = strstr(line, " => ");
    struct str text;

    assert_non_null(arrow);
    text = str__n(line, (size_t)(arrow - line));
    if (!reliable_only)
        check(plain, text, arrow + 4);
    if (!plain_only)
        check(reliable, text, arrow + 4);
}

void frames_kit__file(const char *path, const struct format *plain, const struct format *reliable,
                      frames_kit_check *check)
{
    FILE *f = fopen(path, "r");
    char line[4096];
    int count = 0;

    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#')
            continue;
        check_line(line, plain, reliable, check);
        count++;
    }
    fclose(f);
    assert_true(count > 20);
}
