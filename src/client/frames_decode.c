/* What the service says. It is the peer that may be newer: members and types that are not
 * known are passed over. */
#include "base/base64.h"
#include "base/json.h"
#include "client/frames.h"

#define MAX_DEPTH 64
#define MAX_MEMBERS 64
#define MAX_METADATA METADATA_MAX_BYTES /* entries; each has a byte at least */

struct reader {
    struct arena *arena;
    const struct json *root;
    struct answer *out;
    struct diag *diag;
    struct str type;
};

/* --- Members ------------------------------------------------------------------- */

/* One that is null is not there. */
static const struct json *member(const struct json *object, const char *name)
{
    const struct json *found = json__get(object, str__of(name));

    return found && found->type != JSON_NULL ? found : NULL;
}

static enum ph_err refuse(struct reader *r, const char *name, const char *expected,
                          const struct json *came)
{
    return diag__set(r->diag, PH_ERR_SYNTAX, "%.*s: \"%s\" must be %s, but is %s", STR_FMT(r->type),
                     name, expected, came ? json__type_name(came) : "missing");
}

static enum ph_err optional_string(struct reader *r, const struct json *object, const char *name,
                                   struct str *out)
{
    const struct json *value = member(object, name);

    if (value && value->type != JSON_STRING)
        return refuse(r, name, "a string", value);
    if (value)
        *out = value->string;
    return PH_OK;
}

static enum ph_err string(struct reader *r, const struct json *object, const char *name,
                          struct str *out)
{
    return member(object, name) ? optional_string(r, object, name, out)
                                : refuse(r, name, "a string", NULL);
}

static enum ph_err optional_number(struct reader *r, const struct json *object, const char *name,
                                   uint64_t *out)
{
    const struct json *value = member(object, name);

    if (value && !json__to_u64(value, out))
        return refuse(r, name, "an integer from 0 to 18446744073709551615", value);
    return PH_OK;
}

static enum ph_err number(struct reader *r, const struct json *object, const char *name,
                          uint64_t *out)
{
    return member(object, name) ? optional_number(r, object, name, out)
                                : refuse(r, name, "an integer", NULL);
}

static enum ph_err optional_bool(struct reader *r, const struct json *object, const char *name,
                                 bool *out)
{
    const struct json *value = member(object, name);

    if (value && value->type != JSON_BOOL)
        return refuse(r, name, "true or false", value);
    *out = value && value->boolean;
    return PH_OK;
}

/* The members of an object in the frame; NULL when it is not there. */
static enum ph_err object(struct reader *r, const struct json *parent, const char *name,
                          uint32_t max, const struct json **out)
{
    const struct json_limits limits = {.depth = MAX_DEPTH, .nodes = max + 1, .tree = 1};
    const struct json *value = member(parent, name);
    struct json *parsed;
    enum ph_err err;

    *out = NULL;
    if (!value)
        return PH_OK;
    if (value->type != JSON_OBJECT)
        return refuse(r, name, "an object", value);
    err = json__parse(r->arena, value->raw, &limits, &parsed, r->diag);
    if (err == PH_OK)
        *out = parsed;
    return err;
}

/* --- Members that several frames have --------------------------------------------- */

static enum ph_err read_success(struct reader *r)
{
    const struct json *value = member(r->root, "success");

    if (!value || value->type != JSON_BOOL)
        return refuse(r, "success", "true or false", value);
    r->out->success = value->boolean;
    return PH_OK;
}

static enum ph_err read_error_of(struct reader *r, const struct json *parent)
{
    const struct json *error;
    enum ph_err err = object(r, parent, "error", MAX_MEMBERS, &error);

    if (err != PH_OK || !error)
        return err;
    r->out->error.name = STR("");
    err = optional_string(r, error, "name", &r->out->error.name);
    if (err == PH_OK)
        err = optional_string(r, error, "message", &r->out->error.message);
    if (err == PH_OK)
        err = optional_string(r, error, "userErrorCode", &r->out->error.user_code);
    return err;
}

static enum ph_err read_error(struct reader *r)
{
    return read_error_of(r, r->root);
}

static enum ph_err read_ack_id(struct reader *r)
{
    return number(r, r->root, "ackId", &r->out->ack_id);
}

static enum ph_err read_sequence_id(struct reader *r)
{
    return optional_number(r, r->root, "sequenceId", &r->out->sequence_id);
}

static enum ph_err read_group(struct reader *r)
{
    return string(r, r->root, "group", &r->out->group);
}

static enum ph_err read_from_user(struct reader *r)
{
    return optional_string(r, r->root, "fromUserId", &r->out->from_user_id);
}

static enum ph_err read_data_type(struct reader *r, enum ph_data_type *out)
{
    static const struct str names[] = {
        [PH_DATA_TEXT] = STR("text"),
        [PH_DATA_JSON] = STR("json"),
        [PH_DATA_BINARY] = STR("binary"),
        [PH_DATA_PROTOBUF] = STR("protobuf"),
    };
    const struct json *value = member(r->root, "dataType");

    for (size_t i = 0; value && i < sizeof(names) / sizeof(*names); i++) {
        if (value->type == JSON_STRING && str__eq_nocase(value->string, names[i])) {
            *out = (enum ph_data_type)i;
            return PH_OK;
        }
    }
    return refuse(r, "dataType", "\"text\", \"json\", \"binary\" or \"protobuf\"", value);
}

static enum ph_err read_base64(struct reader *r, const struct json *data)
{
    if (data->type != JSON_STRING)
        return refuse(r, "data", "a string of base64", data);
    r->out->data = base64__decode(r->arena, data->string);
    return r->out->data.ptr ? PH_OK
                            : diag__set(r->diag, PH_ERR_SYNTAX, "%.*s: \"data\" is not base64",
                                        STR_FMT(r->type));
}

static enum ph_err read_data(struct reader *r)
{
    const struct json *data = json__get(r->root, STR("data"));
    enum ph_err err = read_data_type(r, &r->out->type);

    r->out->data = STR("");
    if (err != PH_OK || !data || (data->type == JSON_NULL && r->out->type != PH_DATA_JSON))
        return err;
    r->out->has_data = true;
    if (r->out->type == PH_DATA_JSON) {
        r->out->data = data->raw;
        return PH_OK;
    }
    if (r->out->type != PH_DATA_TEXT)
        return read_base64(r, data);
    if (data->type != JSON_STRING)
        return refuse(r, "data", "a string when \"dataType\" is \"text\"", data);
    r->out->data = data->string;
    return PH_OK;
}

/* The answer to an invocation may have none. */
static enum ph_err read_optional_data(struct reader *r)
{
    return member(r->root, "dataType") ? read_data(r) : PH_OK;
}

static enum ph_err read_metadata(struct reader *r)
{
    const struct json *map;
    struct metadata_entry *items;
    enum ph_err err = object(r, r->root, "metadata", MAX_METADATA, &map);

    if (err != PH_OK || !map)
        return err;
    items = arena__alloc(r->arena, (map->count + 1) * sizeof(*items));
    if (!items)
        return PH_ERR_MEMORY;
    r->out->metadata.items = items;
    for (const struct json *m = map->child; m; m = m->next) {
        const char *name = m->type == JSON_STRING ? arena__strdup(r->arena, m->key) : NULL;

        if (m->type != JSON_STRING)
            return refuse(r, "metadata", "an object of strings", m);
        if (!name)
            return PH_ERR_MEMORY;
        items[r->out->metadata.count++] =
            (struct metadata_entry){str__n(name, m->key.len), m->string};
    }
    return PH_OK;
}

/* Of a message that is part of one (section 2.4 point 7). */
static enum ph_err read_stream(struct reader *r)
{
    const struct json *stream;
    enum ph_err err = object(r, r->root, "stream", MAX_MEMBERS, &stream);

    if (err != PH_OK || !stream)
        return err;
    err = string(r, stream, "streamId", &r->out->stream_id);
    if (err == PH_OK)
        err = number(r, stream, "streamSequenceId", &r->out->stream_sequence_id);
    if (err == PH_OK)
        err = optional_bool(r, stream, "endOfStream", &r->out->end_of_stream);
    return err == PH_OK ? read_error_of(r, stream) : err;
}

static enum ph_err read_stream_id(struct reader *r)
{
    return string(r, r->root, "streamId", &r->out->stream_id);
}

static enum ph_err read_expected(struct reader *r)
{
    return number(r, r->root, "expectedSequenceId", &r->out->expected_sequence_id);
}

static enum ph_err read_nack(struct reader *r)
{
    enum ph_err err = optional_string(r, r->root, "name", &r->out->error.name);

    return err == PH_OK ? optional_string(r, r->root, "message", &r->out->error.message) : err;
}

static enum ph_err read_invocation_id(struct reader *r)
{
    return string(r, r->root, "invocationId", &r->out->invocation_id);
}

static enum ph_err read_connection(struct reader *r)
{
    enum ph_err err = string(r, r->root, "connectionId", &r->out->connection_id);

    if (err == PH_OK)
        err = optional_string(r, r->root, "userId", &r->out->user_id);
    if (err == PH_OK)
        err = optional_string(r, r->root, "reconnectionToken", &r->out->reconnection_token);
    return err;
}

static enum ph_err read_reason(struct reader *r)
{
    return optional_string(r, r->root, "message", &r->out->reason);
}

/* --- Frames ------------------------------------------------------------------------- */

#define MAX_READERS 6

static const struct frame_type {
    struct str type;
    const char *by; /* the member that tells frames of one type apart; NULL: none does */
    struct str value;
    enum answer_kind kind;
    enum ph_err (*members[MAX_READERS])(struct reader *r);
} types[] = {
    {STR("message"),
     "from",
     STR("group"),
     ANSWER_GROUP_MESSAGE,
     {read_sequence_id, read_group, read_from_user, read_data, read_metadata, read_stream}},
    {STR("message"),
     "from",
     STR("server"),
     ANSWER_SERVER_MESSAGE,
     {read_sequence_id, read_data, read_metadata}},
    {STR("ack"), NULL, STR_NONE, ANSWER_ACK, {read_ack_id, read_success, read_error}},
    {STR("pong"), NULL, STR_NONE, ANSWER_PONG, {NULL}},
    {STR("system"), "event", STR("connected"), ANSWER_CONNECTED, {read_connection}},
    {STR("system"), "event", STR("disconnected"), ANSWER_DISCONNECTED, {read_reason}},
    {STR("invokeResponse"),
     NULL,
     STR_NONE,
     ANSWER_INVOKE_RESPONSE,
     {read_invocation_id, read_success, read_error, read_optional_data}},
    {STR("streamAck"), NULL, STR_NONE, ANSWER_STREAM_ACK, {read_stream_id, read_expected}},
    {STR("streamNack"),
     NULL,
     STR_NONE,
     ANSWER_STREAM_NACK,
     {read_stream_id, read_expected, read_nack}},
    {STR("streamClosed"), NULL, STR_NONE, ANSWER_STREAM_CLOSED, {read_stream_id, read_error}},
};

static const struct frame_type *find_type(const struct json *root, struct str name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        const struct frame_type *t = &types[i];

        if (str__eq_nocase(name, t->type) &&
            (!t->by || str__eq_nocase(json__get_string(root, str__of(t->by)), t->value)))
            return t;
    }
    return NULL;
}

static enum ph_err read_frame(struct reader *r)
{
    const struct frame_type *t;
    enum ph_err err = string(r, r->root, "type", &r->type);

    if (err != PH_OK)
        return err;
    t = find_type(r->root, r->type);
    if (!t)
        return PH_OK;
    r->out->kind = t->kind;
    for (size_t i = 0; i < MAX_READERS && t->members[i] && err == PH_OK; i++)
        err = t->members[i](r);
    return err;
}

enum ph_err frames__decode(struct arena *a, struct str text, struct answer *out, struct diag *diag)
{
    const struct json_limits limits = {.depth = MAX_DEPTH, .nodes = MAX_MEMBERS + 1, .tree = 1};
    struct reader r = {.arena = a, .out = out, .diag = diag, .type = STR("frame")};
    struct json *root;
    enum ph_err err = json__parse(a, text, &limits, &root, diag);

    *out = (struct answer){.kind = ANSWER_UNKNOWN};
    if (err != PH_OK)
        return err;
    if (root->type != JSON_OBJECT)
        return diag__set(diag, PH_ERR_SYNTAX, "a frame must be a JSON object, but is %s",
                         json__type_name(root));
    r.root = root;
    return read_frame(&r);
}
