/* protobuf subprotocols: whatever a client sends is refused or understood, and what was
 * understood can be sent on: the frame to another client is read by protobuf-c again, with
 * the same data. */
#include "base/json.h"
#include "base/utf8.h"
#include "broker/wire/any.h"
#include "broker/wire/formats.h"
#include "webpubsub_pb.pb-c.h"

#include <stdlib.h>

#define ARENA_MAX (8u << 20) /* as a transport has it */
#define BYTES_MAX (32u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool same(ProtobufCBinaryData got, struct str want)
{
    return str__eq(str__n(got.data, got.len), want);
}

/* --- Data messages ----------------------------------------------------------- */

static void check_data(const Pb__MessageData *data, const struct message *m)
{
    static const Pb__MessageData__DataCase cases[] = {
        [PH_DATA_TEXT] = PB__MESSAGE_DATA__DATA_TEXT_DATA,
        [PH_DATA_JSON] = PB__MESSAGE_DATA__DATA_JSON_DATA,
        [PH_DATA_BINARY] = PB__MESSAGE_DATA__DATA_BINARY_DATA,
        [PH_DATA_PROTOBUF] = PB__MESSAGE_DATA__DATA_PROTOBUF_DATA,
    };

    must(data && data->data_case == cases[m->type]);
    must(same(data->binary_data, m->data));
}

static void check_metadata(Pb__Entry *const *entries, size_t count, const struct metadata *want)
{
    must(count == want->count);
    for (size_t i = 0; i < count; i++) {
        must(same(entries[i]->key, want->items[i].name));
        must(same(entries[i]->value, want->items[i].value));
    }
}

static void check_payload(struct str payload, const struct message *m, uint64_t sequence_id)
{
    Pb__DownstreamMessage *down =
        pb__downstream_message__unpack(NULL, payload.len, (const uint8_t *)payload.ptr);
    const Pb__DownstreamMessage__DataMessage *got;

    must(down && down->message_case == PB__DOWNSTREAM_MESSAGE__MESSAGE_DATA_MESSAGE);
    got = down->data_message;
    must(same(got->from, STR("group")) && same(got->group, m->group));
    must(got->has_sequence_id == (sequence_id > 0) && got->sequence_id == sequence_id);
    check_data(got->data, m);
    check_metadata(got->metadata, got->n_metadata, &m->metadata);
    must((got->stream != NULL) == (m->stream.id.ptr != NULL));
    must(!got->stream || same(got->stream->stream_id, m->stream.id));
    pb__downstream_message__free_unpacked(down, NULL);
}

static size_t header_len(const char *frame)
{
    unsigned len = frame[1] & 0x7f;

    return len < 126 ? 2 : len == 126 ? 4 : 10;
}

static void check_plain(const struct message *m)
{
    struct frame *f = format_protobuf.message(m);
    size_t header;

    must(f && !f->sequenced);
    header = header_len(f->bytes);
    check_payload(str__n(f->bytes + header, f->len - header), m, 0);
    frame__unref(f);
}

static void check_reliable(const struct message *m, uint64_t sequence_id)
{
    struct frame *f = format_protobuf_reliable.message(m);
    char head[FORMAT_MAX_HEAD], tail[FORMAT_MAX_TAIL];
    size_t head_len, tail_len, header;
    struct buf whole;

    must(f && f->sequenced);
    format_protobuf_reliable.enclose(f, sequence_id, head, &head_len, tail, &tail_len);
    must(head_len <= FORMAT_MAX_HEAD && tail_len <= FORMAT_MAX_TAIL);
    buf__init(&whole, BYTES_MAX);
    buf__append(&whole, head, head_len);
    buf__append(&whole, f->bytes, f->len);
    buf__append(&whole, tail, tail_len);
    must(!whole.failed);
    header = header_len(whole.data);
    check_payload(str__n(whole.data + header, whole.len - header), m, sequence_id);
    buf__free(&whole);
    frame__unref(f);
}

static void check_others(const struct message *m)
{
    struct frame *json = format_json.message(m), *raw = format_raw.message(m);

    must(json && raw);
    frame__unref(json);
    frame__unref(raw);
}

static void send_on(const struct command *cmd)
{
    struct message *m = message__new(&(struct message){
        .from = MESSAGE_FROM_GROUP,
        .type = cmd->type,
        .group = cmd->group,
        .data = cmd->data,
        .metadata = cmd->metadata,
        .stream = {.id = cmd->stream_id, .sequence_id = cmd->stream_sequence_id}});

    must(m != NULL);
    check_plain(m);
    check_reliable(m, 1);
    check_reliable(m, UINT64_MAX);
    check_others(m);
    message__unref(m);
}

/* --- The other frames ---------------------------------------------------------- */

static void check_frame(struct frame *f, Pb__DownstreamMessage__MessageCase message_case)
{
    size_t header = header_len(f->bytes);
    Pb__DownstreamMessage *down =
        pb__downstream_message__unpack(NULL, f->len - header, (const uint8_t *)f->bytes + header);

    must(down && down->message_case == message_case);
    pb__downstream_message__free_unpacked(down, NULL);
    frame__unref(f);
}

/* What the client said comes back to it in other frames. */
static void answer(const struct command *cmd)
{
    const struct ack_error error = {"Forbidden", cmd->group};
    const struct group_state_item item = {cmd->group, cmd->event, cmd->has_state, cmd->state,
                                          (int64_t)cmd->ack_id};

    check_frame(format_protobuf.ack(cmd->ack_id, cmd->has_ack_id ? &error : NULL),
                PB__DOWNSTREAM_MESSAGE__MESSAGE_ACK_MESSAGE);
    check_frame(format_protobuf.stream_closed(cmd->stream_id, &error),
                PB__DOWNSTREAM_MESSAGE__MESSAGE_STREAM_CLOSED_MESSAGE);
    check_frame(format_protobuf.group_state(true, cmd->group, &item, 1),
                PB__DOWNSTREAM_MESSAGE__MESSAGE_GROUP_STATE_SNAPSHOT_MESSAGE);
    check_frame(format_protobuf.invoke_response(
                    &(struct invoke_response){.invocation_id = cmd->invocation_id,
                                              .has_data = cmd->has_data,
                                              .type = cmd->type,
                                              .data = cmd->data,
                                              .metadata = cmd->metadata}),
                PB__DOWNSTREAM_MESSAGE__MESSAGE_INVOKE_RESPONSE_MESSAGE);
}

/* What every command that was let through holds. */
static void check_command(const struct command *cmd)
{
    must(utf8__valid(cmd->group) && utf8__valid(cmd->event) && utf8__valid(cmd->stream_id));
    must(!metadata__problem(&cmd->metadata));
    if (!cmd->has_data)
        return;
    must(cmd->data.ptr != NULL);
    must(cmd->type != PH_DATA_TEXT || utf8__valid(cmd->data));
    must(cmd->type != PH_DATA_JSON || json__check(cmd->data, 64, NULL) == PH_OK);
    must(cmd->type != PH_DATA_PROTOBUF || any__valid(cmd->data));
}

static void try_format(const struct format *format, struct str frame)
{
    struct command cmd;
    struct arena arena;
    struct diag diag = {""};
    enum ph_err err;

    arena__init(&arena, NULL, 0, ARENA_MAX);
    err = format->decode(&arena, true, frame, &cmd, &diag);
    must(err == PH_OK || err == PH_ERR_SYNTAX);
    must((err == PH_OK) == (diag.text[0] == '\0'));
    if (err == PH_OK) {
        check_command(&cmd);
        answer(&cmd);
        if (cmd.has_data)
            send_on(&cmd);
    }
    arena__free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_format(&format_protobuf, str__n(data, size));
    try_format(&format_protobuf_reliable, str__n(data, size));
    any__valid(str__n(data, size));
    return 0;
}
