/* Frames to JSON clients (client-and-rest section 2.2). Keys come in the service's
 * order, without white space: its own tests compare whole frames as strings. */
#include "base/base64.h"
#include "base/json.h"
#include "broker/wire/json.h"
#include "broker/wire/payload.h"

#define AROUND 160 /* room for what stands around the data, so that it is copied once */

const struct str json_data_types[JSON_DATA_TYPES] = {
    [PH_DATA_TEXT] = STR("text"),
    [PH_DATA_JSON] = STR("json"),
    [PH_DATA_BINARY] = STR("binary"),
    [PH_DATA_PROTOBUF] = STR("protobuf"),
};

static void put_data(struct buf *b, const struct message *m)
{
    switch (m->type) {
    case PH_DATA_TEXT:
        json__quote(b, m->data);
        break;
    case PH_DATA_JSON:
        buf__str(b, m->data);
        break;
    case PH_DATA_BINARY:
    case PH_DATA_PROTOBUF:
        buf__byte(b, '"');
        base64__encode(b, m->data.ptr, m->data.len);
        buf__byte(b, '"');
        break;
    }
}

/* All but the closing brace. */
static void put_message(struct buf *b, const struct message *m)
{
    buf__init(b, PAYLOAD_MAX);
    buf__reserve(b, AROUND + m->group.len + m->from_user.len + m->data.len);
    if (m->from == MESSAGE_FROM_GROUP) {
        buf__str(b, STR("{\"type\":\"message\",\"from\":\"group\",\"group\":"));
        json__quote(b, m->group);
        if (m->from_user.ptr) {
            buf__str(b, STR(",\"fromUserId\":"));
            json__quote(b, m->from_user);
        }
    } else {
        buf__str(b, STR("{\"type\":\"message\",\"from\":\"server\""));
    }
    buf__str(b, STR(",\"dataType\":\""));
    buf__str(b, json_data_types[m->type]);
    buf__str(b, STR("\",\"data\":"));
    put_data(b, m);
}

struct frame *json_encode__message(const struct message *m)
{
    struct buf b;

    put_message(&b, m);
    buf__byte(&b, '}');
    return payload__take(WS_OP_TEXT, &b);
}

struct frame *json_encode__sequenced_message(const struct message *m)
{
    struct frame *f;
    struct buf b;

    put_message(&b, m);
    f = b.failed ? NULL : payload__sequenced(WS_OP_TEXT, buf__view(&b));
    buf__free(&b);
    return f;
}

/* Runs once for each delivery to a reliable client: no printf here. */
static size_t put_u64(char *to, uint64_t value)
{
    char digits[20];
    size_t n = 0;

    do
        digits[n++] = (char)('0' + value % 10);
    while (value /= 10);
    for (size_t i = 0; i < n; i++)
        to[i] = digits[n - 1 - i];
    return n;
}

void json_encode__enclose(const struct frame *f, uint64_t sequence_id, char head[FORMAT_MAX_HEAD],
                          size_t *head_len, char tail[FORMAT_MAX_TAIL], size_t *tail_len)
{
    static const struct str key = STR(",\"sequenceId\":");
    size_t n = key.len;

    memcpy(tail, key.ptr, key.len);
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

struct frame *json_encode__ack(uint64_t ack_id, const struct ack_error *error)
{
    struct buf b;

    buf__init(&b, PAYLOAD_MAX);
    buf__str(&b, STR("{\"type\":\"ack\",\"ackId\":"));
    buf__u64(&b, ack_id);
    if (error) {
        buf__str(&b, STR(",\"success\":false,\"error\":{\"name\":"));
        json__quote(&b, str__of(error->name));
        buf__str(&b, STR(",\"message\":"));
        json__quote(&b, error->message);
        buf__str(&b, STR("}}"));
    } else {
        buf__str(&b, STR(",\"success\":true}"));
    }
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
    buf__str(&b, STR(",\"connectionId\":"));
    json__quote(&b, info->connection_id);
    if (info->reconnection_token.ptr) {
        buf__str(&b, STR(",\"reconnectionToken\":"));
        json__quote(&b, info->reconnection_token);
    }
    buf__byte(&b, '}');
    return control(&b);
}

struct frame *json_encode__disconnected(struct str reason)
{
    struct buf b;

    buf__init(&b, PAYLOAD_MAX);
    buf__str(&b, STR("{\"type\":\"system\",\"event\":\"disconnected\",\"message\":"));
    json__quote(&b, reason);
    buf__byte(&b, '}');
    return control(&b);
}
