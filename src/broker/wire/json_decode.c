/* Frames from JSON clients (client-and-rest section 2.1). What is refused here closes
 * the connection, so each refusal says what was expected and what came. */
#include "base/base64.h"
#include "base/json.h"
#include "broker/wire/check.h"
#include "broker/wire/json.h"

struct reader {
    struct arena *arena;
    const struct json *root;
    struct str type; /* of the frame */
    struct command *out;
    struct diag *diag;
};

/* --- Members ----------------------------------------------------------------- */

static enum ph_err refuse(const struct reader *r, const char *member, const char *expected,
                          const struct json *came)
{
    return diag__set(r->diag, PH_ERR_SYNTAX, "%.*s: \"%s\" must be %s, but is %s", STR_FMT(r->type),
                     member, expected, came ? json__type_name(came) : "missing");
}

static enum ph_err refuse_value(const struct reader *r, const char *member, const char *expected)
{
    return diag__set(r->diag, PH_ERR_SYNTAX, "%.*s: \"%s\" must be %s", STR_FMT(r->type), member,
                     expected);
}

static enum ph_err read_ack_id(struct reader *r)
{
    const struct json *id = json__get(r->root, STR("ackId"));

    if (!id || id->type == JSON_NULL)
        return PH_OK;
    if (!json__to_u64(id, &r->out->ack_id))
        return refuse(r, "ackId", "an integer from 0 to 18446744073709551615, or null", id);
    r->out->has_ack_id = true;
    return PH_OK;
}

static enum ph_err read_string(struct reader *r, const char *member, struct str *out)
{
    const struct json *value = json__get(r->root, str__of(member));

    if (!value || value->type != JSON_STRING)
        return refuse(r, member, "a string", value);
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
    const struct json *no_echo = json__get(r->root, STR("noEcho"));

    if (no_echo && no_echo->type != JSON_BOOL)
        return refuse(r, "noEcho", "true or false", no_echo);
    r->out->no_echo = no_echo && no_echo->boolean;
    return PH_OK;
}

static enum ph_err read_sequence_id(struct reader *r)
{
    const struct json *id = json__get(r->root, STR("sequenceId"));

    if (!json__to_u64(id, &r->out->sequence_id))
        return refuse(r, "sequenceId", "an integer from 0 to 18446744073709551615", id);
    return PH_OK;
}

static enum ph_err read_data_type(struct reader *r)
{
    static const char expected[] = "\"text\", \"json\", \"binary\" or \"protobuf\"";
    const struct json *type = json__get(r->root, STR("dataType"));

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

    if (!data || data->type != JSON_STRING)
        return refuse(r, "data", expected, data);
    r->out->data = base64__decode(r->arena, data->string);
    return r->out->data.ptr ? PH_OK : refuse_value(r, "data", expected);
}

static enum ph_err read_data(struct reader *r)
{
    const struct json *data = json__get(r->root, STR("data"));
    enum ph_err err = read_data_type(r);

    if (err != PH_OK)
        return err;
    r->out->has_data = true;
    switch (r->out->type) {
    case PH_DATA_TEXT:
        if (!data || data->type != JSON_STRING)
            return refuse(r, "data", "a string when \"dataType\" is \"text\"", data);
        r->out->data = data->string;
        return PH_OK;
    case PH_DATA_JSON:
        if (!data || data->type == JSON_NULL)
            return refuse(r, "data", "a JSON value other than null", data);
        r->out->data = data->raw;
        return PH_OK;
    case PH_DATA_BINARY:
    case PH_DATA_PROTOBUF:
        return read_base64(r, data);
    }
    return PH_ERR_INTERNAL;
}

/* --- Frames ------------------------------------------------------------------ */

#define MAX_MEMBERS 4

static const struct frame_type {
    enum command_kind kind;
    bool reliable_only;
    enum ph_err (*members[MAX_MEMBERS])(struct reader *r);
} frame_types[] = {
    {COMMAND_JOIN_GROUP, false, {read_group, read_ack_id}},
    {COMMAND_LEAVE_GROUP, false, {read_group, read_ack_id}},
    {COMMAND_SEND_TO_GROUP, false, {read_group, read_ack_id, read_no_echo, read_data}},
    {COMMAND_EVENT, false, {read_event_name, read_ack_id, read_data}},
    {COMMAND_PING, false, {NULL}},
    {COMMAND_SEQUENCE_ACK, true, {read_sequence_id}},
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

static enum ph_err read_frame(struct reader *r, bool reliable)
{
    const struct json *name = json__get(r->root, STR("type"));
    const struct frame_type *type;

    if (!name || name->type != JSON_STRING)
        return diag__set(r->diag, PH_ERR_SYNTAX,
                         "a frame is a JSON object with a string \"type\", but \"type\" is %s",
                         name ? json__type_name(name) : "missing");
    type = find_type(name->string, reliable);
    if (!type)
        return diag__set(r->diag, PH_ERR_SYNTAX,
                         "\"type\" must be joinGroup, leaveGroup, sendToGroup, event%s or ping, "
                         "but is \"%.64s\"",
                         reliable ? ", sequenceAck" : "", name->string.ptr);
    r->type = check__frame_name(type->kind);
    r->out->kind = type->kind;
    for (size_t i = 0; i < MAX_MEMBERS && type->members[i]; i++) {
        enum ph_err err = type->members[i](r);

        if (err != PH_OK)
            return err;
    }
    return check__command(r->out, r->diag);
}

/* Only the members of the frame itself become nodes: data of a megabyte is checked and
 * passed on, but costs no memory. */
static const struct json_limits limits = {.depth = 64, .nodes = 1000, .tree = 1};

static enum ph_err decode(struct arena *a, struct str text, bool reliable, struct command *out,
                          struct diag *diag)
{
    struct json *root;
    enum ph_err err = json__parse(a, text, &limits, &root, diag);

    *out = (struct command){0};
    if (err != PH_OK)
        return err == PH_ERR_MEMORY ? err : PH_ERR_SYNTAX;
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
