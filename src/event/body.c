#include "event/body.h"

#include "base/utf8.h"
#include "event/mqtt.h"

/* A connect body repeats what a client's HTTP request can hold, so this is far above
 * any real one; it bounds the memory that 1 MiB of "[[],[],..." can cost. */
#define BODY_MAX_VALUES 16384

static enum ph_err out_of_memory(struct diag *diag)
{
    return diag__set(diag, PH_ERR_MEMORY, "out of memory");
}

enum ph_err body__wrong_type(struct diag *diag, const char *where, const struct json *node,
                             const char *expected)
{
    return diag__set(diag, PH_ERR_SYNTAX, "body: %s is %s, expected %s", where,
                     json__type_name(node), expected);
}

/* Handlers get C strings: a NUL inside would show them something shorter than what
 * was signed in the token ("admin\u0000x"). */
static enum ph_err check_no_nul(struct str s, const char *where, struct diag *diag)
{
    if (s.len > 0 && memchr(s.ptr, '\0', s.len))
        return diag__set(diag, PH_ERR_SYNTAX, "body: %s holds a NUL character", where);
    return PH_OK;
}

enum ph_err body__read_string(const struct json *node, const char *where, struct str *out,
                              struct diag *diag)
{
    if (node->type != JSON_STRING)
        return body__wrong_type(diag, where, node, "a string");
    *out = node->string;
    return check_no_nul(node->string, where, diag);
}

static enum ph_err read_strings(struct arena *a, const struct json *list, const char *where,
                                const struct str **items, size_t *count, struct diag *diag)
{
    struct str *values;
    size_t n = 0;

    if (list->type != JSON_ARRAY)
        return body__wrong_type(diag, where, list, "an array of strings");
    values = arena__alloc(a, list->count * sizeof(*values));
    if (!values)
        return out_of_memory(diag);
    for (const struct json *item = list->child; item; item = item->next) {
        enum ph_err err = body__read_string(item, where, &values[n++], diag);

        if (err != PH_OK)
            return err;
    }
    *items = values;
    *count = n;
    return PH_OK;
}

/* {"name": ["value", ...], ...} */
static enum ph_err read_fields(struct arena *a, const struct json *body, struct str key,
                               struct event_fields *out, struct diag *diag)
{
    const struct json *object = json__get(body, key);
    struct event_field *items;
    size_t n = 0;

    if (!body__is_given(object))
        return PH_OK;
    if (object->type != JSON_OBJECT)
        return body__wrong_type(diag, key.ptr, object, "an object");
    items = arena__zalloc(a, object->count * sizeof(*items));
    if (!items)
        return out_of_memory(diag);
    for (const struct json *member = object->child; member; member = member->next, n++) {
        enum ph_err err = check_no_nul(member->key, key.ptr, diag);

        items[n].name = member->key;
        if (err == PH_OK)
            err = read_strings(a, member, key.ptr, &items[n].values, &items[n].count, diag);
        if (err != PH_OK)
            return err;
    }
    *out = (struct event_fields){items, n};
    return PH_OK;
}

static enum ph_err read_certificate(const struct json *node, struct event_certificate *out,
                                    struct diag *diag)
{
    const struct json *thumbprint = json__get(node, STR("thumbprint"));
    const struct json *content = json__get(node, STR("content"));
    enum ph_err err = PH_OK;

    *out = (struct event_certificate){STR_NONE, STR_NONE};
    if (node->type != JSON_OBJECT)
        return body__wrong_type(diag, "clientCertificates", node, "an array of objects");
    if (body__is_given(thumbprint))
        err =
            body__read_string(thumbprint, "clientCertificates.thumbprint", &out->thumbprint, diag);
    if (err == PH_OK && body__is_given(content))
        err = body__read_string(content, "clientCertificates.content", &out->pem, diag);
    return err;
}

static enum ph_err read_certificates(struct arena *a, const struct json *list, struct ph_event *ev,
                                     struct diag *diag)
{
    struct event_certificate *items;
    enum ph_err err;

    if (list->type != JSON_ARRAY)
        return body__wrong_type(diag, "clientCertificates", list, "an array of objects");
    items = arena__alloc(a, list->count * sizeof(*items));
    if (!items)
        return out_of_memory(diag);
    ev->certificates = items;
    for (const struct json *item = list->child; item; item = item->next) {
        err = read_certificate(item, &items[ev->certificate_count++], diag);
        if (err != PH_OK)
            return err;
    }
    return PH_OK;
}

static enum ph_err read_connect(struct arena *a, const struct json *body, struct ph_event *ev,
                                struct diag *diag)
{
    const struct json *offered = json__get(body, STR("subprotocols"));
    const struct json *certificates = json__get(body, STR("clientCertificates"));
    const struct json *mqtt = json__get(body, STR("mqtt"));
    enum ph_err err = read_fields(a, body, STR("claims"), &ev->claims, diag);

    if (err == PH_OK)
        err = read_fields(a, body, STR("query"), &ev->query, diag);
    if (err == PH_OK)
        err = read_fields(a, body, STR("headers"), &ev->headers, diag);
    if (err == PH_OK && body__is_given(offered))
        err = read_strings(a, offered, "subprotocols", &ev->subprotocols, &ev->subprotocol_count,
                           diag);
    if (err == PH_OK && body__is_given(certificates))
        err = read_certificates(a, certificates, ev, diag);
    if (err == PH_OK && body__is_given(mqtt))
        err = mqtt__read(a, mqtt, ev, diag);
    return err;
}

static enum ph_err read_disconnected(struct arena *a, const struct json *body, struct ph_event *ev,
                                     struct diag *diag)
{
    const struct json *reason = json__get(body, STR("reason"));
    const struct json *mqtt = json__get(body, STR("mqtt"));
    enum ph_err err = PH_OK;

    if (body__is_given(reason))
        err = body__read_string(reason, "reason", &ev->reason, diag);
    if (err == PH_OK && body__is_given(mqtt))
        err = mqtt__read(a, mqtt, ev, diag);
    return err;
}

/* The handler is told what happened to which group, so without one there is no event. */
static enum ph_err read_presence(const struct json *body, struct ph_event *ev, struct diag *diag)
{
    const struct json *group = json__get(body, STR("group"));

    if (!group)
        return diag__set(diag, PH_ERR_SYNTAX, "body: group is missing, expected a string");
    return body__read_string(group, "group", &ev->group, diag);
}

enum ph_err body__decode(struct arena *a, struct ph_event *ev, const struct event_limits *limits,
                         struct diag *diag)
{
    struct json_limits json_limits = {.depth = limits->json_depth, .nodes = BODY_MAX_VALUES};
    struct diag detail = {""};
    struct json *body;
    enum ph_err err = json__parse(a, ev->data, &json_limits, &body, &detail);

    if (err != PH_OK)
        return diag__set(diag, err, "body: %s", detail.text);
    if (body->type != JSON_OBJECT)
        return diag__set(diag, PH_ERR_SYNTAX, "the body is %s, expected an object",
                         json__type_name(body));
    if (ev->kind == PH_EVENT_CONNECT)
        return read_connect(a, body, ev, diag);
    if (ev->kind == PH_EVENT_DISCONNECTED)
        return read_disconnected(a, body, ev, diag);
    if (ev->kind == PH_EVENT_JOINED || ev->kind == PH_EVENT_LEFT)
        return read_presence(body, ev, diag);
    return PH_OK;
}

enum ph_err body__check_user_data(const struct ph_event *ev, const struct event_limits *limits,
                                  struct diag *diag)
{
    struct diag detail = {""};
    enum ph_err err;

    if (ev->type == PH_DATA_TEXT && !utf8__valid(ev->data))
        return diag__set(diag, PH_ERR_SYNTAX, "body: text/plain data is not valid UTF-8");
    if (ev->type != PH_DATA_JSON)
        return PH_OK;
    err = json__check(ev->data, limits->json_depth, &detail);
    return err == PH_OK ? PH_OK : diag__set(diag, err, "body: %s", detail.text);
}

static void write_key(struct buf *out, struct str key)
{
    if (out->len > 0 && out->data[out->len - 1] != '{')
        buf__byte(out, ',');
    json__quote(out, key);
    buf__byte(out, ':');
}

static void write_fields(struct buf *out, struct str key, const struct event_fields *fields)
{
    write_key(out, key);
    buf__byte(out, '{');
    for (size_t i = 0; i < fields->count; i++) {
        write_key(out, fields->items[i].name);
        json__quote_array(out, fields->items[i].values, fields->items[i].count);
    }
    buf__byte(out, '}');
}

static void write_certificates(struct buf *out, const struct ph_event *ev)
{
    write_key(out, STR("clientCertificates"));
    buf__byte(out, '[');
    for (size_t i = 0; i < ev->certificate_count; i++) {
        if (i > 0)
            buf__byte(out, ',');
        buf__byte(out, '{');
        write_key(out, STR("thumbprint"));
        json__quote(out, ev->certificates[i].thumbprint);
        write_key(out, STR("content"));
        json__quote(out, ev->certificates[i].pem);
        buf__byte(out, '}');
    }
    buf__byte(out, ']');
}

void body__write_optional(struct buf *out, struct str value)
{
    if (value.ptr)
        json__quote(out, value);
    else
        buf__str(out, STR("null"));
}

static void write_mqtt(struct buf *out, const struct ph_event *ev)
{
    if (!ev->mqtt)
        return;
    write_key(out, STR("mqtt"));
    mqtt__write(out, ev);
}

static void write_connect(struct buf *out, const struct ph_event *ev)
{
    write_fields(out, STR("claims"), &ev->claims);
    write_fields(out, STR("query"), &ev->query);
    write_fields(out, STR("headers"), &ev->headers);
    write_key(out, STR("subprotocols"));
    json__quote_array(out, ev->subprotocols, ev->subprotocol_count);
    write_certificates(out, ev);
    write_mqtt(out, ev);
}

static void write_disconnected(struct buf *out, const struct ph_event *ev)
{
    write_key(out, STR("reason"));
    body__write_optional(out, ev->reason);
    write_mqtt(out, ev);
}

static void write_presence(struct buf *out, const struct ph_event *ev)
{
    write_key(out, STR("group"));
    json__quote(out, ev->group);
}

void body__encode(struct buf *out, const struct ph_event *ev)
{
    buf__byte(out, '{');
    if (ev->kind == PH_EVENT_CONNECT)
        write_connect(out, ev);
    else if (ev->kind == PH_EVENT_DISCONNECTED)
        write_disconnected(out, ev);
    else if (ev->kind == PH_EVENT_JOINED || ev->kind == PH_EVENT_LEFT)
        write_presence(out, ev);
    buf__byte(out, '}');
}
