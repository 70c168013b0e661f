/* Frames to protobuf clients (client-and-rest section 2.7, official-emulator section
 * 3.1). They are written field by field: a message is written once for all subscribers,
 * and needs no memory but the frame's. Empty strings that proto3 leaves out are left out. */
#include "broker/wire/any.h"
#include "broker/wire/payload.h"
#include "broker/wire/protobuf.h"

/* Numbers of the fields, as in webpubsub.proto. */
enum { TEXT_DATA = 1, BINARY_DATA = 2, PROTOBUF_DATA = 3, JSON_DATA = 4 };
enum {
    ACK_MESSAGE = 1,
    DATA_MESSAGE = 2,
    SYSTEM_MESSAGE = 3,
    PONG_MESSAGE = 4,
    INVOKE_RESPONSE_MESSAGE = 5,
    STREAM_ACK_MESSAGE = 6,
    STREAM_NACK_MESSAGE = 7,
    STREAM_CLOSED_MESSAGE = 8,
    GROUP_STATE_UPDATE_MESSAGE = 9,
    GROUP_STATE_SNAPSHOT_MESSAGE = 10
};
enum { CONNECTED_MESSAGE = 1, DISCONNECTED_MESSAGE = 2 };
enum { DATA_SEQUENCE_ID = 4, GROUP_STATE_SEQUENCE_ID = 3 };

enum wire_type { VARINT = 0, LENGTH = 2 };
#define TAG(field, wire_type) (char)((field) << 3 | (wire_type))

/* --- Writing ---------------------------------------------------------------------- */

#define VARINT_MAX 10

static size_t write_varint(char *to, uint64_t value)
{
    size_t n = 0;

    for (; value >= 0x80; value >>= 7)
        to[n++] = (char)(value | 0x80);
    to[n++] = (char)value;
    return n;
}

static void put_varint(struct buf *b, uint64_t value)
{
    char bytes[VARINT_MAX];

    buf__append(b, bytes, write_varint(bytes, value));
}

static void put_number(struct buf *b, unsigned field, uint64_t value)
{
    buf__byte(b, TAG(field, VARINT));
    put_varint(b, value);
}

/* A string or bytes that are there, even if empty. */
static void put_bytes(struct buf *b, unsigned field, struct str value)
{
    buf__byte(b, TAG(field, LENGTH));
    put_varint(b, value.len);
    buf__str(b, value);
}

static void put_string(struct buf *b, unsigned field, struct str value)
{
    if (value.len > 0)
        put_bytes(b, field, value);
}

static void put_optional_string(struct buf *b, unsigned field, struct str value)
{
    if (value.ptr)
        put_bytes(b, field, value);
}

/* A message inside stands between these two. Its length goes in front of it when it is
 * known; most need one byte for that, which is kept free. */
static size_t open_message(struct buf *b, unsigned field)
{
    buf__byte(b, TAG(field, LENGTH));
    buf__byte(b, 0);
    return b->len;
}

static void close_message(struct buf *b, size_t start)
{
    char length[VARINT_MAX];
    size_t len = b->len - start, more;

    more = b->failed ? 0 : write_varint(length, len) - 1;
    if (more > 0 && buf__reserve(b, more)) {
        memmove(b->data + start + more, b->data + start, len);
        b->len += more;
    }
    if (!b->failed)
        memcpy(b->data + start - 1, length, more + 1);
}

/* --- Parts ------------------------------------------------------------------------ */

static void put_error(struct buf *b, unsigned field, const struct ack_error *why)
{
    size_t start;

    if (!why)
        return;
    start = open_message(b, field);
    put_string(b, 1, str__of(why->name));
    put_string(b, 2, why->message);
    close_message(b, start);
}

/* False is what is not there. */
static void put_success(struct buf *b, unsigned field, const struct ack_error *why)
{
    if (!why)
        put_number(b, field, true);
}

static void put_map(struct buf *b, unsigned field, const struct metadata *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        size_t start = open_message(b, field);

        put_string(b, 1, entries->items[i].name);
        put_string(b, 2, entries->items[i].value);
        close_message(b, start);
    }
}

bool protobuf_encode__carries(enum ph_data_type type, struct str data)
{
    return type != PH_DATA_PROTOBUF || any__valid(data);
}

/* A JSON client may call anything an Any; one that is none would make the whole frame
 * unreadable, so it goes as the bytes that it is. */
static unsigned data_field(enum ph_data_type type, struct str data)
{
    static const uint8_t fields[] = {
        [PH_DATA_TEXT] = TEXT_DATA,
        [PH_DATA_JSON] = JSON_DATA,
        [PH_DATA_BINARY] = BINARY_DATA,
        [PH_DATA_PROTOBUF] = PROTOBUF_DATA,
    };

    return protobuf_encode__carries(type, data) ? fields[type] : BINARY_DATA;
}

static void put_message_data(struct buf *b, unsigned field, enum ph_data_type type, struct str data)
{
    size_t start = open_message(b, field);

    put_bytes(b, data_field(type, data), data);
    close_message(b, start);
}

/* --- Messages --------------------------------------------------------------------- */

static void put_stream_error(struct buf *b, unsigned field, const struct message_stream *s)
{
    size_t start;

    if (!s->error_name.ptr)
        return;
    start = open_message(b, field);
    put_string(b, 1, s->error_name);
    put_optional_string(b, 2, s->error_message);
    put_optional_string(b, 3, s->user_error_code);
    close_message(b, start);
}

static void put_stream_info(struct buf *b, unsigned field, const struct message_stream *s)
{
    size_t start;

    if (!s->id.ptr)
        return;
    start = open_message(b, field);
    put_string(b, 1, s->id);
    put_number(b, 2, s->sequence_id);
    if (s->end)
        put_number(b, 3, true);
    put_stream_error(b, 4, s);
    close_message(b, start);
}

/* A DataMessage but for its sequence id. There is no field for the sender. */
static void put_data_message(struct buf *b, const struct message *m)
{
    bool from_group = m->from == MESSAGE_FROM_GROUP;

    put_string(b, 1, from_group ? STR("group") : STR("server"));
    if (from_group)
        put_bytes(b, 2, m->group);
    put_message_data(b, 3, m->type, m->data);
    put_map(b, 5, &m->metadata);
    put_stream_info(b, 6, &m->stream);
}

static void start_frame(struct buf *b, size_t room)
{
    buf__init(b, PAYLOAD_MAX);
    buf__reserve(b, room + 64);
}

/* What `enclose` completes: the inner message's start, and the field that it is in. */
static struct frame *sequenced(struct buf *b, unsigned field)
{
    struct frame *f = b->failed ? NULL : payload__sequenced(WS_OP_BINARY, buf__view(b));

    if (f)
        f->field = (uint8_t)field;
    buf__free(b);
    return f;
}

struct frame *protobuf_encode__message(const struct message *m)
{
    struct buf b;
    size_t start;

    start_frame(&b, m->group.len + m->data.len);
    start = open_message(&b, DATA_MESSAGE);
    put_data_message(&b, m);
    close_message(&b, start);
    return payload__take(WS_OP_BINARY, &b);
}

struct frame *protobuf_encode__sequenced_message(const struct message *m)
{
    struct buf b;

    start_frame(&b, m->group.len + m->data.len);
    put_data_message(&b, m);
    return sequenced(&b, DATA_MESSAGE);
}

/* Runs once for each delivery to a reliable client. The sequence id is the last field of
 * the inner message, whose length stands in front of all. */
void protobuf_encode__enclose(const struct frame *f, uint64_t sequence_id,
                              char head[FORMAT_MAX_HEAD], size_t *head_len,
                              char tail[FORMAT_MAX_TAIL], size_t *tail_len)
{
    char outer[1 + VARINT_MAX];
    size_t outer_len = 1;

    tail[0] = TAG(f->field == DATA_MESSAGE ? DATA_SEQUENCE_ID : GROUP_STATE_SEQUENCE_ID, VARINT);
    *tail_len = 1 + write_varint(tail + 1, sequence_id);

    outer[0] = TAG(f->field, LENGTH);
    outer_len += write_varint(outer + 1, f->len + *tail_len);
    *head_len = ws__header(head, WS_OP_BINARY, outer_len + f->len + *tail_len);
    memcpy(head + *head_len, outer, outer_len);
    *head_len += outer_len;
}
/* PAYLOAD_MAX is below 2^28, a varint of four bytes. */
_Static_assert(WS_MAX_HEADER + 1 + 4 <= FORMAT_MAX_HEAD, "the outer length fits the head");
_Static_assert(PAYLOAD_MAX + FORMAT_MAX_TAIL < 1u << 28, "the outer length has four bytes");
_Static_assert(1 + VARINT_MAX <= FORMAT_MAX_TAIL, "the sequence id fits the tail");

/* --- Answers ---------------------------------------------------------------------- */

static size_t start_control(struct buf *b, unsigned field)
{
    buf__init(b, PAYLOAD_MAX);
    return open_message(b, field);
}

static struct frame *control(struct buf *b, size_t start)
{
    struct frame *f;

    close_message(b, start);
    f = payload__take(WS_OP_BINARY, b);
    if (f)
        f->control = true;
    return f;
}

struct frame *protobuf_encode__ack(uint64_t ack_id, const struct ack_error *why)
{
    struct buf b;
    size_t start = start_control(&b, ACK_MESSAGE);

    put_number(&b, 1, ack_id);
    put_success(&b, 2, why);
    put_error(&b, 3, why);
    return control(&b, start);
}

struct frame *protobuf_encode__pong(void)
{
    struct buf b;
    size_t start = start_control(&b, PONG_MESSAGE);

    return control(&b, start);
}

struct frame *protobuf_encode__connected(const struct connected_info *info)
{
    struct buf b;
    size_t start = start_control(&b, SYSTEM_MESSAGE), inner = open_message(&b, CONNECTED_MESSAGE);

    put_string(&b, 1, info->connection_id);
    put_string(&b, 2, info->user_id);
    put_optional_string(&b, 3, info->reconnection_token);
    close_message(&b, inner);
    return control(&b, start);
}

struct frame *protobuf_encode__disconnected(struct str reason)
{
    struct buf b;
    size_t start = start_control(&b, SYSTEM_MESSAGE),
           inner = open_message(&b, DISCONNECTED_MESSAGE);

    put_string(&b, 2, reason);
    close_message(&b, inner);
    return control(&b, start);
}

struct frame *protobuf_encode__invoke_response(const struct invoke_response *response)
{
    struct buf b;
    size_t start;

    start_frame(&b, response->data.len);
    start = open_message(&b, INVOKE_RESPONSE_MESSAGE);

    put_string(&b, 1, response->invocation_id);
    put_success(&b, 2, response->error);
    if (response->has_data)
        put_message_data(&b, 3, response->type, response->data);
    put_error(&b, 4, response->error);
    put_map(&b, 5, &response->metadata);
    close_message(&b, start);
    return payload__take(WS_OP_BINARY, &b);
}

/* --- Streams ---------------------------------------------------------------------- */

struct frame *protobuf_encode__stream_ack(struct str stream_id, uint64_t expected_sequence_id)
{
    struct buf b;
    size_t start = start_control(&b, STREAM_ACK_MESSAGE);

    put_string(&b, 1, stream_id);
    put_number(&b, 2, expected_sequence_id);
    return control(&b, start);
}

struct frame *protobuf_encode__stream_nack(const struct stream_nack *nack)
{
    struct buf b;
    size_t start = start_control(&b, STREAM_NACK_MESSAGE);

    put_string(&b, 1, nack->stream_id);
    put_string(&b, 2, str__of(nack->name));
    put_string(&b, 3, nack->message);
    put_number(&b, 4, nack->expected_sequence_id);
    return control(&b, start);
}

struct frame *protobuf_encode__stream_closed(struct str stream_id, const struct ack_error *why)
{
    struct buf b;
    size_t start = start_control(&b, STREAM_CLOSED_MESSAGE);

    put_string(&b, 1, stream_id);
    put_error(&b, 2, why);
    return control(&b, start);
}

/* --- Group state ------------------------------------------------------------------ */

static void put_group_state_item(struct buf *b, const struct group_state_item *item)
{
    size_t start = open_message(b, 2), state;

    put_string(b, 1, item->connection_id);
    put_optional_string(b, 2, item->user_id);
    if (item->has_state) {
        state = open_message(b, 3);
        put_map(b, 1, &item->state);
        close_message(b, state);
    }
    put_number(b, 4, (uint64_t)item->updated_ms);
    close_message(b, start);
}

static void put_group_state(struct buf *b, struct str group, const struct group_state_item *items,
                            size_t count)
{
    put_string(b, 1, group);
    for (size_t i = 0; i < count; i++)
        put_group_state_item(b, &items[i]);
}

static unsigned group_state_field(bool snapshot)
{
    return snapshot ? GROUP_STATE_SNAPSHOT_MESSAGE : GROUP_STATE_UPDATE_MESSAGE;
}

struct frame *protobuf_encode__group_state(bool snapshot, struct str group,
                                           const struct group_state_item *items, size_t count)
{
    struct buf b;
    size_t start;

    start_frame(&b, group.len);
    start = open_message(&b, group_state_field(snapshot));
    put_group_state(&b, group, items, count);
    close_message(&b, start);
    return payload__take(WS_OP_BINARY, &b);
}

struct frame *protobuf_encode__sequenced_group_state(bool snapshot, struct str group,
                                                     const struct group_state_item *items,
                                                     size_t count)
{
    struct buf b;

    start_frame(&b, group.len);
    put_group_state(&b, group, items, count);
    return sequenced(&b, group_state_field(snapshot));
}
