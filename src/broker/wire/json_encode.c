/* Frames to JSON clients (client-and-rest section 2.2). Keys come in the service's
 * order, without white space: its own tests compare whole frames as strings. */
#include "base/base64.h"
#include "base/json.h"
#include "broker/wire/json.h"
#include "broker/wire/payload.h"

#define AROUND 160 /* room for what stands around the data, so that it is copied once */
#define SHORT 512  /* most payloads fit in on their way into the frame */

const struct str json_data_types[JSON_DATA_TYPES] = {
    [PH_DATA_TEXT] = STR("text"),
    [PH_DATA_JSON] = STR("json"),
    [PH_DATA_BINARY] = STR("binary"),
    [PH_DATA_PROTOBUF] = STR("protobuf"),
};

/* ,"dataType":"text","data":"..." */
static void put_data(struct buf *b, enum ph_data_type type, struct str data)
{
    buf__str(b, STR(",\"dataType\":\""));
    buf__str(b, json_data_types[type]);
    buf__str(b, STR("\",\"data\":"));
    switch (type) {
    case PH_DATA_TEXT:
        json__quote(b, data);
        break;
    case PH_DATA_JSON:
        buf__str(b, data);
        break;
    case PH_DATA_BINARY:
    case PH_DATA_PROTOBUF:
        buf__byte(b, '"');
        base64__encode(b, data.ptr, data.len);
        buf__byte(b, '"');
        break;
    }
}

/* A further member; `name` with all that stands around it. */
static void put_string(struct buf *b, struct str name, struct str value)
{
    buf__str(b, name);
    json__quote(b, value);
}

/* The same, unless it is absent. */
static void put_given(struct buf *b, struct str name, struct str value)
{
    if (value.ptr)
        put_string(b, name, value);
}

static void put_number(struct buf *b, struct str name, uint64_t value)
{
    buf__str(b, name);
    buf__u64(b, value);
}

static void put_map(struct buf *b, struct str name, const struct metadata *map)
{
    buf__str(b, name);
    for (size_t i = 0; i < map->count; i++) {
        buf__byte(b, i == 0 ? '{' : ',');
        json__quote(b, map->items[i].name);
        buf__byte(b, ':');
        json__quote(b, map->items[i].value);
    }
    buf__str(b, map->count > 0 ? STR("}") : STR("{}"));
}

static void put_metadata(struct buf *b, const struct metadata *metadata)
{
    if (metadata->count > 0)
        put_map(b, STR(",\"metadata\":"), metadata);
}

/* Where a fragment belongs (client-and-rest section 2.4 point 7). */
static void put_stream(struct buf *b, const struct message_stream *s)
{
    put_string(b, STR(",\"stream\":{\"streamId\":"), s->id);
    put_number(b, STR(",\"streamSequenceId\":"), s->sequence_id);
    if (s->end)
        buf__str(b, STR(",\"endOfStream\":true"));
    if (s->error_name.ptr) {
        put_string(b, STR(",\"error\":{\"name\":"), s->error_name);
        put_string(b, STR(",\"message\":"), s->error_message);
        put_given(b, STR(",\"userErrorCode\":"), s->user_error_code);
        buf__byte(b, '}');
    }
    buf__byte(b, '}');
}

/* All but the closing brace. */
static void put_message(struct buf *b, const struct message *m)
{
    buf__reserve(b, AROUND + m->group.len + m->from_user.len + m->data.len);
    if (m->from == MESSAGE_FROM_GROUP) {
        put_string(b, STR("{\"type\":\"message\",\"from\":\"group\",\"group\":"), m->group);
        put_given(b, STR(",\"fromUserId\":"), m->from_user);
    } else {
        buf__str(b, STR("{\"type\":\"message\",\"from\":\"server\""));
    }
    put_data(b, m->type, m->data);
    put_metadata(b, &m->metadata);
    if (m->stream.id.ptr)
        put_stream(b, &m->stream);
}

/* Of a payload that lacks its sequence id and the closing brace. */
static struct frame *sequenced(struct buf *b)
{
    struct frame *f = b->failed ? NULL : payload__sequenced(WS_OP_TEXT, buf__view(b));

    buf__free(b);
    return f;
}

struct frame *json_encode__message(const struct message *m)
{
    char first[SHORT];
    struct buf b;

    buf__init_in(&b, first, sizeof(first), PAYLOAD_MAX);
    put_message(&b, m);
    buf__byte(&b, '}');
    return payload__take(WS_OP_TEXT, &b);
}

struct frame *json_encode__sequenced_message(const struct message *m)
{
    char first[SHORT];
    struct buf b;

    buf__init_in(&b, first, sizeof(first), PAYLOAD_MAX);
    put_message(&b, m);
    return sequenced(&b);
}

#define U64_DIGITS 20

/* Runs once for each delivery to a reliable client: no printf here. */
static size_t put_u64(char to[U64_DIGITS], uint64_t value)
{
    char digits[2 * U64_DIGITS]; /* a copy of fixed length begins at any of the first */
    size_t at = U64_DIGITS;

    memset(digits, 0, sizeof(digits));
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(to, digits + at, U64_DIGITS);
    return U64_DIGITS - at;
}

void json_encode__enclose(const struct frame *f, uint64_t sequence_id, char head[FORMAT_MAX_HEAD],
                          size_t *head_len, char tail[FORMAT_MAX_TAIL], size_t *tail_len)
{
    static const char key[] = ",\"sequenceId\":";
    size_t n = sizeof(key) - 1;

    _Static_assert(sizeof(key) + U64_DIGITS <= FORMAT_MAX_TAIL, "the sequence id fits the tail");
    memcpy(tail, key, n);
    n += put_u64(tail + n, sequence_id);
    tail[n++] = '}';
    *tail_len = n;
    *head_len = ws__header(head, f->opcode, f->len + n);
}

/* --- About the connection --------------------------------------------------- */

static struct frame *control(struct buf *b)
{
    struct frame *f = payload__take(WS_OP_TEXT, b);

    if (f)
        f->control = true;
    return f;
}

static void put_error(struct buf *b, const struct ack_error *error)
{
    put_string(b, STR(",\"error\":{\"name\":"), str__of(error->name));
    put_string(b, STR(",\"message\":"), error->message);
    buf__byte(b, '}');
}

static void put_success(struct buf *b, const struct ack_error *error)
{
    buf__str(b, error ? STR(",\"success\":false") : STR(",\"success\":true"));
    if (error)
        put_error(b, error);
}

struct frame *json_encode__ack(uint64_t ack_id, const struct ack_error *error)
{
    char first[SHORT];
    struct buf b;

    buf__init_in(&b, first, sizeof(first), PAYLOAD_MAX);
    put_number(&b, STR("{\"type\":\"ack\",\"ackId\":"), ack_id);
    put_success(&b, error);
    buf__byte(&b, '}');
    return control(&b);
}

struct frame *json_encode__pong(void)
{
    struct buf b;

    buf__init(&b, PAYLOAD_MAX);
    buf__str(&b, STR("{\"type\":\"pong\"}"));
    return control(&b);
}

struct frame *json_encode__connected(const struct connected_info *info)
{
    struct buf b;

    buf__init(&b, PAYLOAD_MAX);
    buf__str(&b, STR("{\"type\":\"system\",\"event\":\"connected\",\"userId\":"));
    if (info->user_id.ptr)
        json__quote(&b, info->user_id);
    else
        buf__str(&b, STR("null"));
    put_string(&b, STR(",\"connectionId\":"), info->connection_id);
    put_given(&b, STR(",\"reconnectionToken\":"), info->reconnection_token);
    buf__byte(&b, '}');
    return control(&b);
}

struct frame *json_encode__disconnected(struct str reason)
{
    struct buf b;

    buf__init(&b, PAYLOAD_MAX);
    put_string(&b, STR("{\"type\":\"system\",\"event\":\"disconnected\",\"message\":"), reason);
    buf__byte(&b, '}');
    return control(&b);
}

/* --- Streams (client-and-rest section 2.4) ----------------------------------- */

struct frame *json_encode__stream_ack(struct str stream_id, uint64_t expected_sequence_id)
{
    struct buf b;

    buf__init(&b, PAYLOAD_MAX);
    put_string(&b, STR("{\"type\":\"streamAck\",\"streamId\":"), stream_id);
    put_number(&b, STR(",\"expectedSequenceId\":"), expected_sequence_id);
    buf__byte(&b, '}');
    return control(&b);
}

struct frame *json_encode__stream_nack(const struct stream_nack *nack)
{
    struct buf b;

    buf__init(&b, PAYLOAD_MAX);
    put_string(&b, STR("{\"type\":\"streamNack\",\"streamId\":"), nack->stream_id);
    put_string(&b, STR(",\"name\":"), str__of(nack->name));
    put_string(&b, STR(",\"message\":"), nack->message);
    put_number(&b, STR(",\"expectedSequenceId\":"), nack->expected_sequence_id);
    buf__byte(&b, '}');
    return control(&b);
}

struct frame *json_encode__stream_closed(struct str stream_id, const struct ack_error *error)
{
    struct buf b;

    buf__init(&b, PAYLOAD_MAX);
    put_string(&b, STR("{\"type\":\"streamClosed\",\"streamId\":"), stream_id);
    if (error)
        put_error(&b, error);
    buf__byte(&b, '}');
    return control(&b);
}

/* --- Invocations (section 2.5) ------------------------------------------------ */

/* Its data may be as large as that of a message, so it counts as one in the queue. */
struct frame *json_encode__invoke_response(const struct invoke_response *response)
{
    struct buf b;

    buf__init(&b, PAYLOAD_MAX);
    buf__reserve(&b, AROUND + response->invocation_id.len + response->data.len);
    put_string(&b, STR("{\"type\":\"invokeResponse\",\"invocationId\":"), response->invocation_id);
    put_success(&b, response->error);
    if (response->has_data)
        put_data(&b, response->type, response->data);
    put_metadata(&b, &response->metadata);
    buf__byte(&b, '}');
    return payload__take(WS_OP_TEXT, &b);
}

/* --- Group state (section 2.6) ------------------------------------------------ */

static void put_item(struct buf *b, const struct group_state_item *item)
{
    put_string(b, STR("{\"connectionId\":"), item->connection_id);
    put_given(b, STR(",\"userId\":"), item->user_id);
    if (item->has_state)
        put_map(b, STR(",\"state\":"), &item->state);
    put_number(b, STR(",\"updatedAt\":"), (uint64_t)item->updated_ms);
    buf__byte(b, '}');
}

/* All but the closing brace. */
static void put_group_state(struct buf *b, bool snapshot, struct str group,
                            const struct group_state_item *items, size_t count)
{
    buf__init(b, PAYLOAD_MAX);
    put_string(b,
               snapshot ? STR("{\"type\":\"groupStateSnapshot\",\"group\":")
                        : STR("{\"type\":\"groupStateUpdate\",\"group\":"),
               group);
    buf__str(b, STR(",\"items\":["));
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf__byte(b, ',');
        put_item(b, &items[i]);
    }
    buf__byte(b, ']');
}

struct frame *json_encode__group_state(bool snapshot, struct str group,
                                       const struct group_state_item *items, size_t count)
{
    struct buf b;

    put_group_state(&b, snapshot, group, items, count);
    buf__byte(&b, '}');
    return payload__take(WS_OP_TEXT, &b);
}

struct frame *json_encode__sequenced_group_state(bool snapshot, struct str group,
                                                 const struct group_state_item *items, size_t count)
{
    struct buf b;

    put_group_state(&b, snapshot, group, items, count);
    return sequenced(&b);
}
