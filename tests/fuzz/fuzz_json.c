/* JSON subprotocols: whatever a client sends is refused or understood, and what was
 * understood can be sent on: the frame to another client is JSON again. */
#include "base/json.h"
#include "broker/wire/formats.h"

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

static void check_plain(const struct message *m)
{
    struct frame *f = format_json.message(m);
    size_t header;

    must(f && !f->sequenced);
    header = (f->bytes[1] & 0x7f) < 126 ? 2 : (f->bytes[1] & 0x7f) == 126 ? 4 : 10;
    check_json(str__n(f->bytes + header, f->len - header));
    frame__unref(f);
}

static void check_reliable(const struct message *m)
{
    struct frame *f = format_json_reliable.message(m);
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

static void send_on(const struct command *cmd)
{
    struct message *m = message__new(&(struct message){.from = MESSAGE_FROM_GROUP,
                                                       .type = cmd->type,
                                                       .group = cmd->group,
                                                       .from_user = cmd->event,
                                                       .data = cmd->data});
    struct frame *raw;

    must(m != NULL);
    check_plain(m);
    check_reliable(m);
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
    if (format->decode(&arena, false, text, &cmd, &diag) != PH_OK)
        must(diag.text[0] != '\0');
    else if (cmd.data.ptr)
        send_on(&cmd);
    arena__free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_format(&format_json, str__n(data, size));
    try_format(&format_json_reliable, str__n(data, size));
    return 0;
}
