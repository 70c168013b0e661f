/* The broker's side of responses: what an answer of an event handler means. */
#include "base/names.h"
#include "base/utf8.h"
#include "event/attribute.h"
#include "event/body.h"
#include "event/mqtt.h"

#include <limits.h>

#define ANSWER_MAX_BODY (16u << 20) /* section 3.6 */
#define ANSWER_JSON_DEPTH 512
#define ANSWER_MAX_VALUES 100000 /* groups and roles of one connect answer */
#define MAX_REFUSAL 1024
#define MAX_COOKIES (sizeof(((struct answer *)NULL)->cookies) / sizeof(struct str))

struct decoder {
    struct arena *arena;
    const struct http_response *res;
    struct answer *out;
    struct diag *diag;
    enum ph_event_kind kind;
    const struct ph_event *mqtt; /* the event that is answered, of an MQTT client; else NULL */
};

static enum ph_err wrong(struct decoder *d, const char *key, const struct json *node,
                         const char *expected)
{
    return diag__set(d->diag, PH_ERR_SYNTAX, "the answer to connect: %s is %s, expected %s", key,
                     json__type_name(node), expected);
}

static enum ph_err read_string(struct decoder *d, const struct json *body, struct str key,
                               struct str *out)
{
    const struct json *node = json__get(body, key);

    if (!node || node->type == JSON_NULL)
        return PH_OK;
    if (node->type != JSON_STRING)
        return wrong(d, key.ptr, node, "a string or null");
    *out = node->string;
    return PH_OK;
}

static enum ph_err read_list(struct decoder *d, const struct json *list, const char *key,
                             struct str **items, size_t *count)
{
    struct str *values;
    size_t n = 0;

    if (list->type != JSON_ARRAY)
        return wrong(d, key, list, "an array of strings or null");
    values = arena__alloc(d->arena, list->count * sizeof(*values));
    if (!values)
        return diag__set(d->diag, PH_ERR_MEMORY, "out of memory");
    for (const struct json *item = list->child; item; item = item->next) {
        if (item->type != JSON_STRING)
            return wrong(d, key, item, "strings in the array");
        values[n++] = item->string;
    }
    *items = values;
    *count = n;
    return PH_OK;
}

/* An empty array keeps the token's groups. */
static enum ph_err read_groups(struct decoder *d, const struct json *body)
{
    const struct json *node = json__get(body, STR("groups"));
    enum ph_err err;

    if (!node || node->type == JSON_NULL)
        return PH_OK;
    err = read_list(d, node, "groups", &d->out->groups, &d->out->group_count);
    for (size_t i = 0; err == PH_OK && i < d->out->group_count; i++) {
        if (!names__valid_group(d->out->groups[i]))
            err = diag__set(d->diag, PH_ERR_SYNTAX,
                            "the answer to connect: group number %zu must have 1 to %d characters, "
                            "not all of them blank",
                            i + 1, NAMES_GROUP_MAX);
    }
    return err;
}

/* An empty array takes all roles away. */
static enum ph_err read_roles(struct decoder *d, const struct json *body)
{
    const struct json *node = json__get(body, STR("roles"));

    if (!node || node->type == JSON_NULL)
        return PH_OK;
    d->out->has_roles = true;
    return read_list(d, node, "roles", &d->out->roles, &d->out->role_count);
}

static enum ph_err read_mqtt_properties(struct decoder *d, const struct json *body)
{
    const struct json *mqtt = json__get(body, STR("mqtt"));
    struct diag detail = {""};
    enum ph_err err = mqtt__read_properties(d->arena, json__get(mqtt, STR("userProperties")),
                                            &d->out->mqtt_properties, &detail);

    return err == PH_OK ? PH_OK : diag__set(d->diag, err, "the answer to connect: %s", detail.text);
}

/* All later events of the connection carry it. */
static enum ph_err check_user_id(struct decoder *d)
{
    const struct str id = d->out->user_id;
    const char *fault = id.len > 0 ? names__user_fault(id) : NULL;

    return fault ? diag__set(d->diag, PH_ERR_SYNTAX, "the answer to connect: userId %s", fault)
                 : PH_OK;
}

static enum ph_err read_connect_fields(struct decoder *d, const struct json *body)
{
    enum ph_err err = read_string(d, body, STR("userId"), &d->out->user_id);

    if (err == PH_OK)
        err = check_user_id(d);
    if (err == PH_OK)
        err = read_groups(d, body);
    if (err == PH_OK)
        err = read_roles(d, body);
    if (err == PH_OK)
        err = read_string(d, body, STR("subprotocol"), &d->out->subprotocol);
    if (err == PH_OK && d->out->subprotocol.ptr && d->out->subprotocol.len == 0)
        err = diag__set(d->diag, PH_ERR_SYNTAX,
                        "the answer to connect: subprotocol is empty; leave it out instead");
    if (err == PH_OK && d->mqtt)
        err = read_mqtt_properties(d, body);
    return err;
}

/* Parsed whatever its Content-Type (section 3.1). */
static enum ph_err read_connect(struct decoder *d)
{
    struct json_limits limits = {.depth = ANSWER_JSON_DEPTH, .nodes = ANSWER_MAX_VALUES};
    struct diag detail = {""};
    struct json *body;
    enum ph_err err;

    if (d->res->status == 204 || d->res->body.len == 0)
        return PH_OK;
    err = json__parse(d->arena, d->res->body, &limits, &body, &detail);
    if (err != PH_OK)
        return diag__set(d->diag, err, "the answer to connect: %s", detail.text);
    if (body->type == JSON_NULL)
        return PH_OK;
    if (body->type != JSON_OBJECT)
        return diag__set(d->diag, PH_ERR_SYNTAX,
                         "the answer to connect is %s, expected an object or null",
                         json__type_name(body));
    return read_connect_fields(d, body);
}

/* Without a Content-Type, data is binary; any other than ours fails (section 3.4), unless the
 * client is one of MQTT, which gets it with the data (section 3.5). */
static enum ph_err read_user_type(struct decoder *d)
{
    struct str content_type = http__get(&d->res->headers, STR("Content-Type"));

    d->out->type = PH_DATA_BINARY;
    d->out->content_type = content_type;
    if (!content_type.ptr || event__data_type(content_type, &d->out->type) || d->mqtt)
        return PH_OK;
    return diag__set(d->diag, PH_ERR_UNSUPPORTED,
                     "the answer to the event has Content-Type \"%.*s\", expected text/plain, "
                     "application/json, application/octet-stream or application/x-protobuf",
                     STR_FMT(content_type));
}

static enum ph_err read_metadata(struct decoder *d)
{
    const char *problem;

    if (!metadata__from_headers(d->arena, &d->res->headers, METADATA_LAST_OF_LIST,
                                &d->out->metadata))
        return diag__set(d->diag, PH_ERR_MEMORY, "out of memory");
    problem = metadata__problem(&d->out->metadata);
    return problem ? diag__set(d->diag, PH_ERR_SYNTAX, "the answer to the event: %s", problem)
                   : PH_OK;
}

/* Nothing is sent, unless there is metadata to send (official-emulator section 2.7). */
static enum ph_err read_no_data(struct decoder *d)
{
    d->out->has_data = d->out->metadata.count > 0;
    d->out->type = PH_DATA_TEXT;
    d->out->data = STR("");
    return PH_OK;
}

static enum ph_err check_json(struct decoder *d)
{
    struct diag detail;
    enum ph_err err = json__check(d->res->body, ANSWER_JSON_DEPTH, &detail);

    return err == PH_OK ? PH_OK
                        : diag__set(d->diag, err, "the answer to the event: %s", detail.text);
}

static enum ph_err read_user(struct decoder *d)
{
    enum ph_err err = read_metadata(d);

    if (err != PH_OK)
        return err;
    if (d->res->status == 204 || d->res->body.len == 0)
        return read_no_data(d);
    err = read_user_type(d);
    if (err != PH_OK)
        return err;
    if (d->out->type == PH_DATA_TEXT && !utf8__valid(d->res->body))
        return diag__set(d->diag, PH_ERR_SYNTAX,
                         "the answer to the event is text/plain but not UTF-8");
    d->out->has_data = true;
    d->out->data = d->res->body;
    return d->out->type == PH_DATA_JSON ? check_json(d) : PH_OK;
}

static enum ph_err bad_state(struct decoder *d, struct str name, struct str state)
{
    struct diag detail = {""};

    event__check_value(name, state, false, &detail);
    return diag__set(d->diag, PH_ERR_SYNTAX,
                     "the answer sets a state that no event can have: %s; encode it, as base64 for "
                     "example",
                     detail.text);
}

/* The connection's later events carry it: what they could not is refused here, or they would
 * all fail (section 2.1). */
static enum ph_err read_state(struct decoder *d)
{
    struct str name = STR("ce-connectionState"), state = http__get_last(&d->res->headers, name);

    if (!str__is_plain_value(state))
        return bad_state(d, name, state);
    d->out->state = state;
    return PH_OK;
}

static void read_cookies(struct decoder *d)
{
    const struct http_headers *headers = &d->res->headers;

    for (size_t i = 0; i < headers->count; i++) {
        /* More cookies than a browser would be asked to keep are dropped. */
        if (str__eq_nocase(headers->items[i].name, STR("Set-Cookie")) &&
            d->out->cookie_count < MAX_COOKIES)
            d->out->cookies[d->out->cookie_count++] = headers->items[i].value;
    }
}

static enum ph_err read_success(struct decoder *d)
{
    enum ph_err err = PH_OK;

    if (d->res->body.len > ANSWER_MAX_BODY)
        return diag__set(d->diag, PH_ERR_LIMIT, "the answer has %zu bytes, at most %u are allowed",
                         d->res->body.len, ANSWER_MAX_BODY);
    if (d->kind == PH_EVENT_CONNECT)
        err = read_connect(d);
    else if (d->kind == PH_EVENT_USER)
        err = read_user(d);
    if (err == PH_OK && (d->kind == PH_EVENT_CONNECT || d->kind == PH_EVENT_USER))
        err = read_state(d);
    if (err == PH_OK)
        read_cookies(d);
    return err;
}

/* The code of a failed CONNACK: of the body, if it is there and of that version. */
static void read_mqtt_code(struct decoder *d, enum ph_mqtt_version version, const struct json *mqtt)
{
    uint64_t code;

    d->out->mqtt_code = mqtt__code(version, d->res->status);
    d->out->mqtt_reason = json__get_string(mqtt, STR("reason"));
    if (!json__to_u64(json__get(mqtt, STR("code")), &code))
        return;
    if (code <= INT_MAX && mqtt__status(version, (int)code) > 0)
        d->out->mqtt_code = (int)code;
    else
        d->out->mqtt_code =
            version == PH_MQTT_5 ? PH_MQTT_5_UNSPECIFIED_ERROR : PH_MQTT_3_SERVER_UNAVAILABLE;
}

/* A body that is none of ours is no fault: its status alone refuses. */
static enum ph_err read_mqtt_refusal(struct decoder *d)
{
    struct json_limits limits = {.depth = ANSWER_JSON_DEPTH, .nodes = ANSWER_MAX_VALUES};
    enum ph_mqtt_version version = ph_event_mqtt_version(d->mqtt);
    const struct json *mqtt;
    struct json *body = NULL;
    enum ph_err err = PH_OK;

    if (d->res->body.len > 0)
        err = json__parse(d->arena, d->res->body, &limits, &body, NULL);
    if (err == PH_ERR_MEMORY)
        return diag__set(d->diag, err, "out of memory");
    mqtt = json__get(body, STR("mqtt"));
    read_mqtt_code(d, version, mqtt);
    return mqtt__read_properties(d->arena, json__get(mqtt, STR("userProperties")),
                                 &d->out->mqtt_properties, d->diag);
}

/* State and cookies of a failure do not count (section 3.5). */
static enum ph_err read_failure(struct decoder *d)
{
    d->out->refusal = d->res->body;
    d->out->refusal_type = http__get(&d->res->headers, STR("Content-Type"));
    return d->mqtt && d->kind == PH_EVENT_CONNECT ? read_mqtt_refusal(d) : PH_OK;
}

struct str answer__refusal_text(const struct answer *answer)
{
    enum ph_data_type type;
    bool is_text = event__data_type(answer->refusal_type, &type) && type == PH_DATA_TEXT;

    return answer->status / 100 == 4 && is_text && answer->refusal.len <= MAX_REFUSAL &&
                   utf8__valid(answer->refusal)
               ? answer->refusal
               : STR_NONE;
}

static enum ph_err decode(struct decoder *d)
{
    bool is_2xx = d->res->status >= 200 && d->res->status <= 299;
    enum ph_err err;

    *d->out = (struct answer){.status = d->res->status};
    err = is_2xx ? read_success(d) : read_failure(d);
    if (err == PH_OK && d->mqtt && d->kind == PH_EVENT_USER &&
        !mqtt__from_headers(d->arena, &d->res->headers, &d->out->mqtt_properties))
        err = diag__set(d->diag, PH_ERR_MEMORY, "out of memory");
    if (err == PH_OK)
        d->out->success = is_2xx;
    else
        *d->out = (struct answer){.status = d->res->status};
    return err;
}

enum ph_err response__decode(struct arena *a, enum ph_event_kind kind,
                             const struct http_response *res, struct answer *out, struct diag *diag)
{
    return decode(&(struct decoder){a, res, out, diag, kind, NULL});
}

enum ph_err response__decode_mqtt(struct arena *a, const struct ph_event *ev,
                                  const struct http_response *res, struct answer *out,
                                  struct diag *diag)
{
    return decode(&(struct decoder){a, res, out, diag, ev->kind, ev});
}
