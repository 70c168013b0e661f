/* Requests, with their members in the order in which the official client writes them. */
#include "base/base64.h"
#include "base/json.h"
#include "client/frames.h"

static const struct str data_types[] = {
    [PH_DATA_TEXT] = STR("text"),
    [PH_DATA_JSON] = STR("json"),
    [PH_DATA_BINARY] = STR("binary"),
    [PH_DATA_PROTOBUF] = STR("protobuf"),
};

static void put_string(struct buf *b, struct str name, struct str value)
{
    buf__str(b, name);
    json__quote(b, value);
}

static void put_number(struct buf *b, struct str name, uint64_t value)
{
    if (value == 0)
        return;
    buf__str(b, name);
    buf__u64(b, value);
}

static void put_group(struct buf *b, const struct frame_request *r)
{
    put_string(b, STR(",\"group\":"), r->group);
}

static void put_ack_id(struct buf *b, const struct frame_request *r)
{
    put_number(b, STR(",\"ackId\":"), r->ack_id);
}

static void put_no_echo(struct buf *b, const struct frame_request *r)
{
    buf__str(b, r->no_echo ? STR(",\"noEcho\":true") : STR(",\"noEcho\":false"));
}

static void put_ttl(struct buf *b, const struct frame_request *r)
{
    put_number(b, STR(",\"ttlSeconds\":"), r->ttl_seconds);
}

static void put_event(struct buf *b, const struct frame_request *r)
{
    put_string(b, STR(",\"event\":"), r->event);
}

static void put_target(struct buf *b, const struct frame_request *r)
{
    (void)r;
    buf__str(b, STR(",\"target\":\"event\""));
}

static void put_invocation_id(struct buf *b, const struct frame_request *r)
{
    put_string(b, STR(",\"invocationId\":"), r->invocation_id);
}

static void put_sequence_id(struct buf *b, const struct frame_request *r)
{
    buf__str(b, STR(",\"sequenceId\":"));
    buf__u64(b, r->sequence_id);
}

static void put_data(struct buf *b, const struct frame_request *r)
{
    if (!r->data.ptr)
        return;
    buf__str(b, STR(",\"dataType\":\""));
    buf__str(b, data_types[r->type]);
    buf__str(b, STR("\",\"data\":"));
    switch (r->type) {
    case PH_DATA_TEXT:
        json__quote(b, r->data);
        break;
    case PH_DATA_JSON:
        buf__str(b, r->data);
        break;
    case PH_DATA_BINARY:
    case PH_DATA_PROTOBUF:
        buf__byte(b, '"');
        base64__encode(b, r->data.ptr, r->data.len);
        buf__byte(b, '"');
        break;
    }
}

static void put_metadata(struct buf *b, const struct frame_request *r)
{
    for (size_t i = 0; i < r->metadata.count; i++) {
        buf__str(b, i == 0 ? STR(",\"metadata\":{") : STR(","));
        json__quote(b, r->metadata.items[i].name);
        put_string(b, STR(":"), r->metadata.items[i].value);
    }
    if (r->metadata.count > 0)
        buf__byte(b, '}');
}

static void put_stream_id(struct buf *b, const struct frame_request *r)
{
    put_string(b, STR(",\"streamId\":"), r->stream_id);
}

static void put_stream_sequence_id(struct buf *b, const struct frame_request *r)
{
    put_number(b, STR(",\"streamSequenceId\":"), r->stream_sequence_id);
}

static void put_stream(struct buf *b, const struct frame_request *r)
{
    put_string(b, STR(",\"stream\":{\"streamId\":"), r->stream_id);
    put_number(b, STR(",\"idleTimeoutMs\":"), r->idle_timeout_ms);
    buf__byte(b, '}');
}

static void put_error(struct buf *b, const struct frame_request *r)
{
    if (!r->failed)
        return;
    buf__str(b, STR(",\"error\":{"));
    if (r->error_message.ptr)
        put_string(b, STR("\"message\":"), r->error_message);
    if (r->error_code.ptr)
        put_string(b, r->error_message.ptr ? STR(",\"userErrorCode\":") : STR("\"userErrorCode\":"),
                   r->error_code);
    buf__byte(b, '}');
}

#define MAX_MEMBERS 6

static const struct {
    struct str name;
    void (*members[MAX_MEMBERS])(struct buf *b, const struct frame_request *r);
} requests[] = {
    [FRAME_JOIN_GROUP] = {STR("joinGroup"), {put_group, put_ack_id}},
    [FRAME_LEAVE_GROUP] = {STR("leaveGroup"), {put_group, put_ack_id}},
    [FRAME_SEND_TO_GROUP] = {STR("sendToGroup"),
                             {put_group, put_ack_id, put_no_echo, put_ttl, put_data, put_metadata}},
    [FRAME_EVENT] = {STR("event"), {put_event, put_ack_id, put_data, put_metadata}},
    [FRAME_PING] = {STR("ping"), {NULL}},
    [FRAME_SEQUENCE_ACK] = {STR("sequenceAck"), {put_sequence_id}},
    [FRAME_INVOKE] = {STR("invoke"), {put_invocation_id, put_target, put_event, put_data}},
    [FRAME_CANCEL_INVOCATION] = {STR("cancelInvocation"), {put_invocation_id}},
    [FRAME_STREAM_OPEN] = {STR("sendToGroup"), {put_group, put_no_echo, put_stream}},
    [FRAME_STREAM_DATA] = {STR("streamData"), {put_stream_id, put_stream_sequence_id, put_data}},
    [FRAME_STREAM_END] = {STR("streamEnd"), {put_stream_id, put_error}},
};

void frames__encode(struct buf *out, const struct frame_request *r)
{
    buf__str(out, STR("{\"type\":\""));
    buf__str(out, requests[r->kind].name);
    buf__byte(out, '"');
    for (size_t i = 0; i < MAX_MEMBERS && requests[r->kind].members[i]; i++)
        requests[r->kind].members[i](out, r);
    buf__byte(out, '}');
}
