/* Frames from protobuf clients (client-and-rest section 2.7, official-emulator section
 * 3.1). Unknown fields are ignored; what is refused closes the connection, so each
 * refusal says what was expected, in the words that JSON clients get. */
#include "base/json.h"
#include "base/utf8.h"
#include "broker/wire/any.h"
#include "broker/wire/check.h"
#include "broker/wire/protobuf.h"
#include "webpubsub_pb.pb-c.h"

#define JSON_DEPTH 64 /* as in the frames of JSON clients */
/* What protobuf-c may take: every byte of the frame twice, and the fields themselves.
 * Metadata at its limits needs 750 KiB; a frame of nothing but tiny fields would need
 * forty times its size. */
#define FIELDS_MEMORY (1u << 20)

struct reader {
    struct arena *arena;
    struct command *out;
    struct diag *diag;
};

/* --- Memory of protobuf-c -------------------------------------------------------- */

struct budget {
    struct arena *arena;
    size_t left;
    bool exceeded;
    bool no_memory;
};

static void *budget_alloc(void *ctx, size_t size)
{
    struct budget *b = ctx;
    void *p;

    if (size > b->left) {
        b->exceeded = true;
        return NULL;
    }
    b->left -= size;
    p = arena__alloc(b->arena, size);
    b->no_memory |= !p;
    return p;
}

/* All of it goes with the arena. */
static void budget_free(void *ctx, void *p)
{
    (void)ctx, (void)p;
}

/* --- Fields ---------------------------------------------------------------------- */

static enum ph_err refuse(const struct reader *r, const char *field, const char *expected)
{
    return diag__set(r->diag, PH_ERR_SYNTAX, "%.*s: \"%s\" must be %s",
                     STR_FMT(check__frame_name(r->out->kind)), field, expected);
}

/* protobuf-c gives no pointer to nothing; to us that would mean absent. */
static struct str view(ProtobufCBinaryData bytes)
{
    return bytes.len > 0 ? str__n(bytes.data, bytes.len) : STR("");
}

/* A string field; one that is not there is empty (proto3). */
static enum ph_err read_string(struct reader *r, const char *field, ProtobufCBinaryData bytes,
                               struct str *out)
{
    *out = view(bytes);
    return utf8__valid(*out) ? PH_OK : refuse(r, field, "UTF-8");
}

static enum ph_err read_optional_string(struct reader *r, const char *field, bool has,
                                        ProtobufCBinaryData bytes, struct str *out)
{
    *out = STR_NONE;
    return has ? read_string(r, field, bytes, out) : PH_OK;
}

static void read_ack_id(struct reader *r, bool has, uint64_t ack_id)
{
    r->out->has_ack_id = has;
    r->out->ack_id = has ? ack_id : 0;
}

static bool is_null(struct str json)
{
    while (json.len > 0 && strchr(" \t\r\n", json.ptr[json.len - 1]))
        json.len--;
    return json.len >= 4 && str__eq(str__n(json.ptr + json.len - 4, 4), STR("null"));
}

/* The text goes to JSON clients as it is. */
static enum ph_err check_json(struct reader *r)
{
    struct diag why = {""};

    if (json__check(r->out->data, JSON_DEPTH, &why) != PH_OK)
        return diag__set(r->diag, PH_ERR_SYNTAX, "%.*s: \"jsonData\" must be JSON: %.300s",
                         STR_FMT(check__frame_name(r->out->kind)), why.text);
    /* `null` ends a JSON text only as a whole: anything around it would end in a bracket
     * or a quote. */
    return is_null(r->out->data) ? refuse(r, "jsonData", "a JSON value other than null") : PH_OK;
}

static enum ph_err check_text(struct reader *r)
{
    return utf8__valid(r->out->data) ? PH_OK : refuse(r, "textData", "UTF-8");
}

static enum ph_err check_any(struct reader *r)
{
    return any__valid(r->out->data) ? PH_OK
                                    : refuse(r, "protobufData", "a serialized google.protobuf.Any");
}

/* By the number of the field in MessageData. The members of its union are all bytes. */
static const struct {
    enum ph_data_type type;
    enum ph_err (*check)(struct reader *r);
} data_fields[] = {
    [PB__MESSAGE_DATA__DATA_TEXT_DATA] = {PH_DATA_TEXT, check_text},
    [PB__MESSAGE_DATA__DATA_BINARY_DATA] = {PH_DATA_BINARY, NULL},
    [PB__MESSAGE_DATA__DATA_PROTOBUF_DATA] = {PH_DATA_PROTOBUF, check_any},
    [PB__MESSAGE_DATA__DATA_JSON_DATA] = {PH_DATA_JSON, check_json},
};

static enum ph_err read_data(struct reader *r, const Pb__MessageData *data)
{
    if (!data || data->data_case == PB__MESSAGE_DATA__DATA__NOT_SET)
        return PH_OK;
    r->out->has_data = true;
    r->out->type = data_fields[data->data_case].type;
    r->out->data = view(data->text_data);
    return data_fields[data->data_case].check ? data_fields[data->data_case].check(r) : PH_OK;
}

/* The entries, to be changed by the caller; `out` is the view of them. */
static enum ph_err read_map(struct reader *r, const char *field, Pb__Entry *const *entries,
                            size_t count, struct metadata_entry **changeable, struct metadata *out)
{
    struct metadata_entry *items = arena__alloc(r->arena, count * sizeof(*items));
    enum ph_err err = PH_OK;

    if (!items)
        return diag__set(r->diag, PH_ERR_MEMORY, "no memory for a map");
    for (size_t i = 0; i < count && err == PH_OK; i++) {
        err = read_string(r, field, entries[i]->key, &items[i].name);
        if (err == PH_OK)
            err = read_string(r, field, entries[i]->value, &items[i].value);
    }
    *changeable = items;
    *out = (struct metadata){items, count};
    return err;
}

static enum ph_err read_metadata(struct reader *r, Pb__Entry *const *entries, size_t count)
{
    struct metadata_entry *items;

    return read_map(r, "metadata", entries, count, &items, &r->out->metadata);
}

static enum ph_err read_stream_start(struct reader *r,
                                     const Pb__UpstreamMessage__StreamStartInfo *stream)
{
    enum ph_err err;

    if (!stream)
        return PH_OK;
    err = read_string(r, "streamId", stream->stream_id, &r->out->stream_id);
    if (err == PH_OK && stream->has_idle_timeout_ms)
        err = check__idle_timeout_ms(r->out, stream->idle_timeout_ms, r->diag);
    return err;
}

static enum ph_err refuse_stream(const struct reader *r,
                                 const Pb__UpstreamMessage__StreamStartInfo *stream)
{
    return stream ? refuse(r, "stream", "left out: streams go to groups") : PH_OK;
}

/* --- Messages -------------------------------------------------------------------- */

static enum ph_err read_join_group(struct reader *r, const Pb__UpstreamMessage *u)
{
    const Pb__UpstreamMessage__JoinGroupMessage *m = u->join_group_message;

    read_ack_id(r, m->has_ack_id, m->ack_id);
    return read_string(r, "group", m->group, &r->out->group);
}

static enum ph_err read_leave_group(struct reader *r, const Pb__UpstreamMessage *u)
{
    const Pb__UpstreamMessage__LeaveGroupMessage *m = u->leave_group_message;

    read_ack_id(r, m->has_ack_id, m->ack_id);
    return read_string(r, "group", m->group, &r->out->group);
}

static enum ph_err read_send_to_group(struct reader *r, const Pb__UpstreamMessage *u)
{
    const Pb__UpstreamMessage__SendToGroupMessage *m = u->send_to_group_message;
    enum ph_err err = read_string(r, "group", m->group, &r->out->group);

    read_ack_id(r, m->has_ack_id, m->ack_id);
    r->out->no_echo = m->has_no_echo && m->no_echo;
    if (err == PH_OK && m->has_ttl_seconds)
        err = check__ttl_seconds(r->out, m->ttl_seconds, r->diag);
    if (err == PH_OK)
        err = read_data(r, m->data);
    if (err == PH_OK)
        err = read_metadata(r, m->metadata, m->n_metadata);
    return err == PH_OK ? read_stream_start(r, m->stream) : err;
}

static enum ph_err read_event(struct reader *r, const Pb__UpstreamMessage *u)
{
    const Pb__UpstreamMessage__EventMessage *m = u->event_message;
    enum ph_err err = read_string(r, "event", m->event, &r->out->event);

    read_ack_id(r, m->has_ack_id, m->ack_id);
    if (err == PH_OK)
        err = refuse_stream(r, m->stream);
    if (err == PH_OK)
        err = read_data(r, m->data);
    return err == PH_OK ? read_metadata(r, m->metadata, m->n_metadata) : err;
}

static enum ph_err read_sequence_ack(struct reader *r, const Pb__UpstreamMessage *u)
{
    r->out->sequence_id = u->sequence_ack_message->sequence_id;
    return PH_OK;
}

static enum ph_err read_ping(struct reader *r, const Pb__UpstreamMessage *u)
{
    (void)r, (void)u;
    return PH_OK;
}

static enum ph_err read_invoke(struct reader *r, const Pb__UpstreamMessage *u)
{
    const Pb__UpstreamMessage__InvokeEventMessage *m = u->invoke_event_message;
    enum ph_err err = read_string(r, "event", m->event, &r->out->event);

    if (err == PH_OK)
        err = read_string(r, "invocationId", m->invocation_id, &r->out->invocation_id);
    if (err == PH_OK)
        err = refuse_stream(r, m->stream);
    if (err == PH_OK)
        err = read_data(r, m->data);
    return err == PH_OK ? read_metadata(r, m->metadata, m->n_metadata) : err;
}

static enum ph_err read_cancel_invocation(struct reader *r, const Pb__UpstreamMessage *u)
{
    return read_string(r, "invocationId", u->cancel_invocation_message->invocation_id,
                       &r->out->invocation_id);
}

static enum ph_err read_stream_data(struct reader *r, const Pb__UpstreamMessage *u)
{
    const Pb__UpstreamMessage__StreamDataMessage *m = u->stream_data_message;
    enum ph_err err = read_string(r, "streamId", m->stream_id, &r->out->stream_id);

    r->out->has_stream_sequence_id = m->has_stream_sequence_id;
    r->out->stream_sequence_id = m->has_stream_sequence_id ? m->stream_sequence_id : 0;
    return err == PH_OK ? read_data(r, m->data) : err;
}

static enum ph_err read_stream_end(struct reader *r, const Pb__UpstreamMessage *u)
{
    const Pb__UpstreamMessage__StreamEndMessage *m = u->stream_end_message;
    const Pb__UpstreamMessage__StreamEndError *error = m->error;
    enum ph_err err = read_string(r, "streamId", m->stream_id, &r->out->stream_id);

    r->out->stream_failed = error != NULL;
    if (!error || err != PH_OK)
        return err;
    err = read_optional_string(r, "error.message", error->has_message, error->message,
                               &r->out->error_message);
    return err == PH_OK ? read_optional_string(r, "error.userErrorCode", error->has_user_error_code,
                                               error->user_error_code, &r->out->user_error_code)
                        : err;
}

/* The last of repeated names counts, as in every map of protobuf. */
static enum ph_err drop_repeated(struct reader *r, struct metadata *map,
                                 struct metadata_entry *items)
{
    if (map->count > CHECK_STATE_MAX)
        return refuse(r, "state", "a map of at most 1000 entries");
    map->count = metadata__keep_last(items, map->count);
    return PH_OK;
}

static enum ph_err read_set_group_state(struct reader *r, const Pb__UpstreamMessage *u)
{
    const Pb__UpstreamMessage__SetGroupStateMessage *m = u->set_group_state_message;
    struct metadata_entry *items;
    enum ph_err err = read_string(r, "group", m->group, &r->out->group);

    read_ack_id(r, m->has_ack_id, m->ack_id);
    r->out->has_state = m->state != NULL;
    if (!m->state || err != PH_OK)
        return err;
    err = read_map(r, "state", m->state->entries, m->state->n_entries, &items, &r->out->state);
    return err == PH_OK ? drop_repeated(r, &r->out->state, items) : err;
}

static enum ph_err read_subscribe(struct reader *r, const Pb__UpstreamMessage *u)
{
    const Pb__UpstreamMessage__SubscribeGroupStateMessage *m = u->subscribe_group_state_message;

    read_ack_id(r, m->has_ack_id, m->ack_id);
    return read_string(r, "group", m->group, &r->out->group);
}

static enum ph_err read_unsubscribe(struct reader *r, const Pb__UpstreamMessage *u)
{
    const Pb__UpstreamMessage__UnsubscribeGroupStateMessage *m = u->unsubscribe_group_state_message;

    read_ack_id(r, m->has_ack_id, m->ack_id);
    return read_string(r, "group", m->group, &r->out->group);
}

/* By the number of the field in UpstreamMessage. */
static const struct message_type {
    enum command_kind kind;
    bool reliable_only;
    enum ph_err (*read)(struct reader *r, const Pb__UpstreamMessage *u);
} message_types[] = {
#define ROW(field) [PB__UPSTREAM_MESSAGE__MESSAGE_##field##_MESSAGE]
    ROW(SEND_TO_GROUP) = {COMMAND_SEND_TO_GROUP, false, read_send_to_group},
    ROW(EVENT) = {COMMAND_EVENT, false, read_event},
    ROW(JOIN_GROUP) = {COMMAND_JOIN_GROUP, false, read_join_group},
    ROW(LEAVE_GROUP) = {COMMAND_LEAVE_GROUP, false, read_leave_group},
    ROW(SEQUENCE_ACK) = {COMMAND_SEQUENCE_ACK, true, read_sequence_ack},
    ROW(PING) = {COMMAND_PING, false, read_ping},
    ROW(INVOKE_EVENT) = {COMMAND_INVOKE, false, read_invoke},
    ROW(CANCEL_INVOCATION) = {COMMAND_CANCEL_INVOCATION, false, read_cancel_invocation},
    ROW(STREAM_DATA) = {COMMAND_STREAM_DATA, false, read_stream_data},
    ROW(STREAM_END) = {COMMAND_STREAM_END, false, read_stream_end},
    ROW(SET_GROUP_STATE) = {COMMAND_SET_GROUP_STATE, false, read_set_group_state},
    ROW(SUBSCRIBE_GROUP_STATE) = {COMMAND_SUBSCRIBE_GROUP_STATE, false, read_subscribe},
    ROW(UNSUBSCRIBE_GROUP_STATE) = {COMMAND_UNSUBSCRIBE_GROUP_STATE, false, read_unsubscribe},
#undef ROW
};

static enum ph_err read_message(struct reader *r, const Pb__UpstreamMessage *u, bool reliable)
{
    const struct message_type *type = &message_types[u->message_case];
    enum ph_err err;

    if (!type->read)
        return diag__set(
            r->diag, PH_ERR_SYNTAX,
            "a frame is an UpstreamMessage with one of its messages "
            "(sendToGroupMessage, eventMessage, ...), but this has none that is known");
    if (type->reliable_only && !reliable)
        return diag__set(r->diag, PH_ERR_SYNTAX,
                         "%.*s: part of protobuf.reliable.webpubsub.azure.v1 only",
                         STR_FMT(check__frame_name(type->kind)));
    r->out->kind = type->kind;
    err = type->read(r, u);
    return err == PH_OK ? check__command(r->out, r->diag) : err;
}

static enum ph_err unpack(struct arena *a, struct str data, Pb__UpstreamMessage **out,
                          struct diag *diag)
{
    struct budget budget = {.arena = a, .left = 2 * data.len + FIELDS_MEMORY};
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &budget};

    *out = pb__upstream_message__unpack(&allocator, data.len, (const uint8_t *)data.ptr);
    if (*out)
        return PH_OK;
    if (budget.no_memory)
        return diag__set(diag, PH_ERR_MEMORY, "no memory for a frame of %zu bytes", data.len);
    return diag__set(diag, PH_ERR_SYNTAX,
                     budget.exceeded ? "the UpstreamMessage has too many fields"
                                     : "a frame is a serialized azure.webpubsub.UpstreamMessage, "
                                       "but this does not parse as one");
}

static enum ph_err decode(struct arena *a, struct str data, bool reliable, struct command *out,
                          struct diag *diag)
{
    struct reader r = {.arena = a, .out = out, .diag = diag};
    Pb__UpstreamMessage *u;
    enum ph_err err = unpack(a, data, &u, diag);

    *out = (struct command){0};
    return err == PH_OK ? read_message(&r, u, reliable) : err;
}

enum ph_err protobuf_decode__plain(struct arena *a, bool binary, struct str data,
                                   struct command *out, struct diag *diag)
{
    (void)binary;
    return decode(a, data, false, out, diag);
}

enum ph_err protobuf_decode__reliable(struct arena *a, bool binary, struct str data,
                                      struct command *out, struct diag *diag)
{
    (void)binary;
    return decode(a, data, true, out, diag);
}
