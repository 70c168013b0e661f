/* JSON subprotocols: whatever a client sends is refused or understood, and what was
 * understood can be sent on: the frame to another client is JSON again. The two readers of JSON
 * agree about it. */
#include "base/json.h"
#include "broker/wire/formats.h"
#include "json_readers.h"

#include <stdlib.h>

#define ARENA_MAX (32u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_json(struct str text)
{
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    struct arena arena;
    struct json *root;

    limits.depth += 1; /* data may be as deep as a frame, and now lies in one */
    arena__init(&arena, NULL, 0, ARENA_MAX);
    must(json__parse(&arena, text, &limits, &root, NULL) == PH_OK);
    must(root->type == JSON_OBJECT);
    arena__free(&arena);
}

/* A frame to a plain client. */
static void check_whole(struct frame *f)
{
    size_t header;

    must(f && !f->sequenced);
    header = (f->bytes[1] & 0x7f) < 126 ? 2 : (f->bytes[1] & 0x7f) == 126 ? 4 : 10;
    check_json(str__n(f->bytes + header, f->len - header));
    frame__unref(f);
}

/* A frame that a reliable client gets with its sequence id. */
static void check_sequenced(struct frame *f)
{
    char head[FORMAT_MAX_HEAD], tail[FORMAT_MAX_TAIL];
    size_t head_len, tail_len;
    struct buf whole;

    must(f && f->sequenced);
    format_json_reliable.enclose(f, 7, head, &head_len, tail, &tail_len);
    must(head_len <= FORMAT_MAX_HEAD && tail_len <= FORMAT_MAX_TAIL);
    buf__init(&whole, ARENA_MAX);
    buf__append(&whole, f->bytes, f->len);
    buf__append(&whole, tail, tail_len);
    check_json(buf__view(&whole));
    buf__free(&whole);
    frame__unref(f);
}

static struct message_stream stream_of(const struct command *cmd)
{
    return (struct message_stream){.id = cmd->stream_id,
                                   .sequence_id = cmd->stream_sequence_id,
                                   .end = cmd->no_echo,
                                   .error_name = cmd->error_message,
                                   .error_message = cmd->error_message,
                                   .user_error_code = cmd->user_error_code};
}

static void answer(const struct command *cmd)
{
    const struct ack_error error = {"BadRequest", cmd->error_message};
    const struct invoke_response response = {.invocation_id = cmd->invocation_id,
                                             .error = cmd->stream_failed ? &error : NULL,
                                             .has_data = cmd->has_data,
                                             .type = cmd->type,
                                             .data = cmd->data,
                                             .metadata = cmd->metadata};
    const struct group_state_item item = {cmd->group, cmd->event, cmd->has_state, cmd->state, 1};

    check_whole(format_json.invoke_response(&response));
    check_whole(format_json.stream_ack(cmd->stream_id, cmd->stream_sequence_id));
    check_whole(format_json.stream_nack(
        &(struct stream_nack){cmd->stream_id, "InvalidSequenceId", cmd->error_message, 1}));
    check_whole(format_json.stream_closed(cmd->stream_id, &error));
    check_whole(format_json.group_state(true, cmd->group, &item, 1));
    check_sequenced(format_json_reliable.group_state(false, cmd->group, &item, 1));
}

static void send_on(const struct command *cmd)
{
    struct message *m = message__new(&(struct message){.from = MESSAGE_FROM_GROUP,
                                                       .type = cmd->type,
                                                       .group = cmd->group,
                                                       .from_user = cmd->event,
                                                       .data = cmd->data,
                                                       .metadata = cmd->metadata,
                                                       .stream = stream_of(cmd)});
    struct frame *raw;

    must(m != NULL);
    check_whole(format_json.message(m));
    check_sequenced(format_json_reliable.message(m));
    raw = format_raw.message(m);
    must(raw != NULL);
    frame__unref(raw);
    message__unref(m);
}

static void try_format(const struct format *format, struct str text)
{
    struct command cmd;
    struct arena arena;
    struct diag diag = {""};

    arena__init(&arena, NULL, 0, ARENA_MAX);
    if (format->decode(&arena, false, text, &cmd, &diag) != PH_OK) {
        must(diag.text[0] != '\0');
    } else {
        answer(&cmd);
        if (cmd.has_data)
            send_on(&cmd);
    }
    arena__free(&arena);
}

static void ask_both_readers(struct str text)
{
    static const struct json_limits limits[] = {
        {.depth = 64, .nodes = 1000, .tree = 1},
        {.depth = 64, .nodes = 1000, .views = true},
        {.depth = 3, .nodes = 4, .tree = 2, .views = true},
    };

    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
        must(!json_readers__ask(text, &limits[i]).wrong);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ask_both_readers(str__n(data, size));
    try_format(&format_json, str__n(data, size));
    try_format(&format_json_reliable, str__n(data, size));
    return 0;
}
