/* Frames from JSON clients (client-and-rest section 2.1). What is refused here closes
 * the connection, so each refusal says what was expected and what came. */
#include "base/base64.h"
#include "base/json.h"
#include "base/utf8.h"
#include "broker/wire/check.h"
#include "broker/wire/json.h"

#include <stdio.h>

#define MAX_PARTS 16 /* members of `stream` and `error`, known ones and others */
#define MAX_SHOWN 64 /* bytes of a type that is none */

struct reader {
    struct arena *arena;
    const struct json *root;
    struct str type; /* of the frame */
    uint32_t seen;   /* members of `root` that somebody asked for */
    struct command *out;
    struct diag *diag;
};

/* --- Members ----------------------------------------------------------------- */

static const struct json *member(struct reader *r, struct str name)
{
    const struct json *found = json__get(r->root, name);

    r->seen += found != NULL;
    return found;
}

/* The same for one that may be null to say that it is not there. */
static const struct json *optional(struct reader *r, struct str name)
{
    const struct json *found = member(r, name);

    return found && found->type == JSON_NULL ? NULL : found;
}

static enum ph_err refuse(const struct reader *r, const char *name, const char *expected,
                          const struct json *came)
{
    return diag__set(r->diag, PH_ERR_SYNTAX, "%.*s: \"%s\" must be %s, but is %s", STR_FMT(r->type),
                     name, expected, came ? json__type_name(came) : "missing");
}

static enum ph_err refuse_value(const struct reader *r, const char *name, const char *expected)
{
    return diag__set(r->diag, PH_ERR_SYNTAX, "%.*s: \"%s\" must be %s", STR_FMT(r->type), name,
                     expected);
}

static enum ph_err read_ack_id(struct reader *r)
{
    const struct json *id = optional(r, STR("ackId"));

    if (!id)
        return PH_OK;
    if (!json__to_u64(id, &r->out->ack_id))
        return refuse(r, "ackId", "an integer from 0 to 18446744073709551615, or null", id);
    r->out->has_ack_id = true;
    return PH_OK;
}

static enum ph_err read_string(struct reader *r, const char *name, struct str *out)
{
    const struct json *value = member(r, str__of(name));

    if (!value || value->type != JSON_STRING)
        return refuse(r, name, "a string", value);
    *out = value->string;
    return PH_OK;
}

static enum ph_err read_group(struct reader *r)
{
    return read_string(r, "group", &r->out->group);
}

static enum ph_err read_event_name(struct reader *r)
{
    return read_string(r, "event", &r->out->event);
}

static enum ph_err read_no_echo(struct reader *r)
{
    const struct json *no_echo = member(r, STR("noEcho"));

    if (no_echo && no_echo->type != JSON_BOOL)
        return refuse(r, "noEcho", "true or false", no_echo);
    r->out->no_echo = no_echo && no_echo->boolean;
    return PH_OK;
}

static enum ph_err read_sequence_id(struct reader *r)
{
    const struct json *id = member(r, STR("sequenceId"));

    if (!json__to_u64(id, &r->out->sequence_id))
        return refuse(r, "sequenceId", "an integer from 0 to 18446744073709551615", id);
    return PH_OK;
}

static enum ph_err read_data_type(struct reader *r)
{
    static const char expected[] = "\"text\", \"json\", \"binary\" or \"protobuf\"";
    const struct json *type = member(r, STR("dataType"));

    r->out->type = PH_DATA_JSON;
    if (!type)
        return PH_OK;
    if (type->type != JSON_STRING)
        return refuse(r, "dataType", expected, type);
    for (unsigned i = 0; i < JSON_DATA_TYPES; i++) {
        if (str__eq_nocase(type->string, json_data_types[i])) {
            r->out->type = (enum ph_data_type)i;
            return PH_OK;
        }
    }
    return refuse_value(r, "dataType", expected);
}

static enum ph_err read_base64(struct reader *r, const struct json *data)
{
    static const char expected[] = "a string of base64 with padding";

    if (data->type != JSON_STRING)
        return refuse(r, "data", expected, data);
    r->out->data = base64__decode(r->arena, data->string);
    return r->out->data.ptr ? PH_OK : refuse_value(r, "data", expected);
}

/* Whether data may be missing is said by check.h. */
static enum ph_err read_data(struct reader *r)
{
    const struct json *data = member(r, STR("data"));
    enum ph_err err = read_data_type(r);

    if (err != PH_OK || !data)
        return err;
    r->out->has_data = true;
    switch (r->out->type) {
    case PH_DATA_TEXT:
        if (data->type != JSON_STRING)
            return refuse(r, "data", "a string when \"dataType\" is \"text\"", data);
        r->out->data = data->string;
        return PH_OK;
    case PH_DATA_JSON:
        if (data->type == JSON_NULL)
            return refuse(r, "data", "a JSON value other than null", data);
        r->out->data = data->raw;
        return PH_OK;
    case PH_DATA_BINARY:
    case PH_DATA_PROTOBUF:
        return read_base64(r, data);
    }
    return PH_ERR_INTERNAL;
}

/* --- Members that are objects -------------------------------------------------- */

/* The members of an object in the frame become nodes only here, so a frame without such
 * a member does not pay for it. */
static enum ph_err open_object(struct reader *r, const char *name, const struct json *value,
                               uint32_t max, const struct json **out)
{
    const struct json_limits limits = {.depth = 64, .nodes = max + 1, .tree = 1, .views = true};
    struct json *object;
    enum ph_err err;

    if (value->type != JSON_OBJECT)
        return refuse(r, name, "an object", value);
    err = json__parse(r->arena, value->raw, &limits, &object, NULL);
    *out = object;
    if (err == PH_ERR_LIMIT)
        return diag__set(r->diag, PH_ERR_SYNTAX, "%.*s: \"%s\" must have at most %u members",
                         STR_FMT(r->type), name, max);
    return err;
}

/* A member of `object`, which is called `path` in the frame; absent when it is not there
 * or null. */
static enum ph_err read_part(struct reader *r, const struct json *object, const char *name,
                             const char *path, struct str *out)
{
    const struct json *value = json__get(object, str__of(name));

    if (!value || value->type == JSON_NULL)
        return PH_OK;
    if (value->type != JSON_STRING)
        return refuse(r, path, "a string", value);
    *out = value->string;
    return PH_OK;
}

/* Metadata with a name twice is refused later on; elsewhere the last one counts, as it
 * does among the members of the frame. */
static enum ph_err read_map(struct reader *r, const char *name, uint32_t max, bool keep_all,
                            struct metadata *out)
{
    const struct json *value = optional(r, str__of(name)), *object;
    struct metadata_entry *items;
    size_t count = 0;
    enum ph_err err;

    if (!value)
        return PH_OK;
    err = open_object(r, name, value, max, &object);
    if (err != PH_OK)
        return err;
    items = arena__alloc(r->arena, (object->count + 1) * sizeof(*items));
    if (!items)
        return PH_ERR_MEMORY;
    for (const struct json *m = object->child; m; m = m->next) {
        if (m->type != JSON_STRING)
            return refuse(r, name, "an object of strings", m);
        items[count++] = (struct metadata_entry){m->key, m->string};
    }
    *out = (struct metadata){items, keep_all ? count : metadata__keep_last(items, count)};
    return PH_OK;
}

/* --- Rare members, all of which may be left out ---------------------------------- */

static enum ph_err read_ttl_seconds(struct reader *r)
{
    const struct json *value = optional(r, STR("ttlSeconds"));
    uint64_t seconds;

    if (!value)
        return PH_OK;
    if (!json__to_u64(value, &seconds))
        return refuse(r, "ttlSeconds", "an integer from 0 to 300", value);
    return check__ttl_seconds(r->out, seconds, r->diag);
}

static enum ph_err read_metadata(struct reader *r)
{
    return read_map(r, "metadata", METADATA_MAX_BYTES, true, &r->out->metadata);
}

static enum ph_err read_idle_timeout(struct reader *r, const struct json *stream)
{
    const struct json *value = json__get(stream, STR("idleTimeoutMs"));
    uint64_t ms;

    if (!value || value->type == JSON_NULL)
        return PH_OK;
    if (!json__to_u64(value, &ms))
        return refuse(r, "idleTimeoutMs", "an integer from 1 to 4294967295", value);
    return check__idle_timeout_ms(r->out, ms, r->diag);
}

/* Of the publish that opens a stream (client-and-rest section 2.4). */
static enum ph_err read_stream(struct reader *r)
{
    const struct json *value = optional(r, STR("stream")), *stream, *id;
    enum ph_err err;

    if (!value)
        return PH_OK;
    err = open_object(r, "stream", value, MAX_PARTS, &stream);
    if (err != PH_OK)
        return err;
    id = json__get(stream, STR("streamId"));
    if (!id || id->type != JSON_STRING)
        return refuse(r, "streamId", "a string", id);
    r->out->stream_id = id->string;
    return read_idle_timeout(r, stream);
}

/* NULL when there is none. */
static enum ph_err open_error(struct reader *r, const struct json **error)
{
    const struct json *value = optional(r, STR("error"));

    *error = NULL;
    return value ? open_object(r, "error", value, MAX_PARTS, error) : PH_OK;
}

static enum ph_err read_stream_error(struct reader *r)
{
    const struct json *error;
    enum ph_err err = open_error(r, &error);

    if (err != PH_OK || !error)
        return err;
    r->out->stream_failed = true;
    err = read_part(r, error, "message", "error.message", &r->out->error_message);
    return err == PH_OK ? read_part(r, error, "userErrorCode", "error.userErrorCode",
                                    &r->out->user_error_code)
                        : err;
}

/* Of an answer to an invocation, which is for nobody: but what is no frame closes. */
static enum ph_err check_answer_error(struct reader *r)
{
    const struct json *error;
    struct str unused;
    enum ph_err err = open_error(r, &error);

    if (err != PH_OK || !error)
        return err;
    err = read_part(r, error, "name", "error.name", &unused);
    return err == PH_OK ? read_part(r, error, "message", "error.message", &unused) : err;
}

static enum ph_err read_state(struct reader *r)
{
    enum ph_err err = read_map(r, "state", CHECK_STATE_MAX, false, &r->out->state);

    r->out->has_state = r->out->state.items != NULL;
    return err;
}

/* --- Members of streams and invocations --------------------------------------------- */

static enum ph_err read_stream_id(struct reader *r)
{
    return read_string(r, "streamId", &r->out->stream_id);
}

static enum ph_err read_stream_sequence_id(struct reader *r)
{
    const struct json *id = optional(r, STR("streamSequenceId"));

    if (!id)
        return PH_OK;
    if (!json__to_u64(id, &r->out->stream_sequence_id))
        return refuse(r, "streamSequenceId", "an integer from 0 to 18446744073709551615", id);
    r->out->has_stream_sequence_id = true;
    return PH_OK;
}

static enum ph_err read_invocation_id(struct reader *r)
{
    return read_string(r, "invocationId", &r->out->invocation_id);
}

/* The one target there is; clients that do not name it can mean no other. */
static enum ph_err read_target(struct reader *r)
{
    const struct json *target = optional(r, STR("target"));

    if (target && (target->type != JSON_STRING || !str__eq_nocase(target->string, STR("event"))))
        return refuse_value(r, "target", "\"event\"");
    return PH_OK;
}

static enum ph_err read_success(struct reader *r)
{
    const struct json *success = member(r, STR("success"));

    if (!success || success->type != JSON_BOOL)
        return refuse(r, "success", "true or false", success);
    return PH_OK;
}

/* --- Frames ------------------------------------------------------------------ */

#define MAX_MEMBERS 4
#define MAX_RARE 3

static const struct frame_type {
    enum command_kind kind;
    bool reliable_only;
    enum ph_err (*members[MAX_MEMBERS])(struct reader *r);
    /* Looked for only in a frame with members besides those above. */
    enum ph_err (*rare[MAX_RARE])(struct reader *r);
} frame_types[] = {
    {COMMAND_JOIN_GROUP, false, {read_group, read_ack_id}, {NULL}},
    {COMMAND_LEAVE_GROUP, false, {read_group, read_ack_id}, {NULL}},
    {COMMAND_SEND_TO_GROUP,
     false,
     {read_group, read_ack_id, read_no_echo, read_data},
     {read_ttl_seconds, read_metadata, read_stream}},
    {COMMAND_EVENT, false, {read_event_name, read_ack_id, read_data}, {read_metadata}},
    {COMMAND_PING, false, {NULL}, {NULL}},
    {COMMAND_SEQUENCE_ACK, true, {read_sequence_id}, {NULL}},
    {COMMAND_INVOKE,
     false,
     {read_invocation_id, read_target, read_event_name, read_data},
     {read_metadata}},
    {COMMAND_CANCEL_INVOCATION, false, {read_invocation_id}, {NULL}},
    {COMMAND_INVOKE_RESPONSE,
     false,
     {read_invocation_id, read_success, read_data},
     {check_answer_error}},
    {COMMAND_STREAM_DATA, false, {read_stream_id, read_stream_sequence_id, read_data}, {NULL}},
    {COMMAND_STREAM_END, false, {read_stream_id}, {read_stream_error}},
    {COMMAND_SET_GROUP_STATE, false, {read_group, read_ack_id}, {read_state}},
    {COMMAND_SUBSCRIBE_GROUP_STATE, false, {read_group, read_ack_id}, {NULL}},
    {COMMAND_UNSUBSCRIBE_GROUP_STATE, false, {read_group, read_ack_id}, {NULL}},
};

static const struct frame_type *find_type(struct str name, bool reliable)
{
    for (size_t i = 0; i < sizeof(frame_types) / sizeof(frame_types[0]); i++) {
        const struct frame_type *t = &frame_types[i];

        if (str__eq_nocase(name, check__frame_name(t->kind)) && (reliable || !t->reliable_only))
            return t;
    }
    return NULL;
}

static enum ph_err refuse_type(const struct reader *r, struct str name, bool reliable)
{
    char names[256];
    size_t at = 0;
    struct str shown = utf8__cut(name, MAX_SHOWN);

    for (size_t i = 0; i < sizeof(frame_types) / sizeof(frame_types[0]); i++) {
        if (reliable || !frame_types[i].reliable_only)
            at += (size_t)snprintf(names + at, sizeof(names) - at, "%.*s, ",
                                   STR_FMT(check__frame_name(frame_types[i].kind)));
    }
    return diag__set(r->diag, PH_ERR_SYNTAX, "\"type\" must be one of %.*s, but is \"%.*s\"",
                     (int)at - 2, names, STR_FMT(shown));
}

static enum ph_err read_all(struct reader *r, enum ph_err (*const *members)(struct reader *),
                            size_t max)
{
    enum ph_err err = PH_OK;

    for (size_t i = 0; i < max && members[i] && err == PH_OK; i++)
        err = members[i](r);
    return err;
}

static enum ph_err read_frame(struct reader *r, bool reliable)
{
    const struct json *name = member(r, STR("type"));
    const struct frame_type *type;
    enum ph_err err;

    if (!name || name->type != JSON_STRING)
        return diag__set(r->diag, PH_ERR_SYNTAX,
                         "a frame is a JSON object with a string \"type\", but \"type\" is %s",
                         name ? json__type_name(name) : "missing");
    type = find_type(name->string, reliable);
    if (!type)
        return refuse_type(r, name->string, reliable);
    r->type = check__frame_name(type->kind);
    r->out->kind = type->kind;
    err = read_all(r, type->members, MAX_MEMBERS);
    if (err == PH_OK && r->seen < r->root->count)
        err = read_all(r, type->rare, MAX_RARE);
    return err == PH_OK ? check__command(r->out, r->diag) : err;
}

/* Only the members of the frame itself become nodes: data of a megabyte is checked and
 * passed on, but costs no memory. */
static const struct json_limits limits = {.depth = 64, .nodes = 1000, .tree = 1, .views = true};

static enum ph_err decode(struct arena *a, struct str text, bool reliable, struct command *out,
                          struct diag *diag)
{
    struct diag detail;
    struct json *root;
    enum ph_err err = json__parse(a, text, &limits, &root, &detail);

    *out = (struct command){0};
    if (err == PH_ERR_MEMORY)
        return err;
    if (err != PH_OK)
        return diag__set(diag, PH_ERR_SYNTAX, "the message is no JSON frame: %s", detail.text);
    if (root->type != JSON_OBJECT)
        return diag__set(diag, PH_ERR_SYNTAX, "a frame is a JSON object, but this is %s",
                         json__type_name(root));
    return read_frame(&(struct reader){.arena = a, .root = root, .out = out, .diag = diag},
                      reliable);
}

enum ph_err json_decode__plain(struct arena *a, bool binary, struct str data, struct command *out,
                               struct diag *diag)
{
    (void)binary;
    return decode(a, data, false, out, diag);
}

enum ph_err json_decode__reliable(struct arena *a, bool binary, struct str data,
                                  struct command *out, struct diag *diag)
{
    (void)binary;
    return decode(a, data, true, out, diag);
}
