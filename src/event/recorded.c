#include "base/base64.h"
#include "event/attribute.h"
#include "event/body.h"
#include "event/mqtt.h"

#define MAX_MEMBERS 4096

static const struct {
    const char *name;
    enum ph_data_type type;
} data_types[] = {
    {"text", PH_DATA_TEXT},
    {"json", PH_DATA_JSON},
    {"binary", PH_DATA_BINARY},
    {"protobuf", PH_DATA_PROTOBUF},
};

#define DATA_TYPE_COUNT (sizeof(data_types) / sizeof(*data_types))

const char *event__data_type_name(enum ph_data_type type)
{
    for (size_t i = 0; i < DATA_TYPE_COUNT; i++) {
        if (data_types[i].type == type)
            return data_types[i].name;
    }
    return "";
}

bool event__data_type_named(struct str name, enum ph_data_type *out)
{
    for (size_t i = 0; i < DATA_TYPE_COUNT; i++) {
        if (str__eq(name, str__of(data_types[i].name))) {
            *out = data_types[i].type;
            return true;
        }
    }
    return false;
}

/* "hub" of "ce-hub". */
static const char *member_of(const struct attribute *attribute)
{
    return attribute->header.ptr + strlen("ce-");
}

/* --- writing -------------------------------------------------------------------------- */

static void write_type(struct record *out, const struct ph_event *ev)
{
    struct event_type type = event__type(ev->kind, ev->name);
    struct buf text;

    buf__init(&text, type.prefix.len + type.name.len);
    buf__str(&text, type.prefix);
    buf__str(&text, type.name);
    record__text(out, "type", buf__view(&text));
    out->text.failed |= text.failed;
    buf__free(&text);
}

static void write_base64(struct record *out, struct str data)
{
    struct buf text;

    buf__init(&text, base64__encoded_len(data.len));
    base64__encode(&text, data.ptr, data.len);
    record__text(out, "data", buf__view(&text));
    out->text.failed |= text.failed;
    buf__free(&text);
}

static void write_data(struct record *out, const struct ph_event *ev)
{
    record__text(out, "dataType", str__of(event__data_type_name(ev->type)));
    if (ev->type == PH_DATA_TEXT)
        record__text(out, "data", ev->data);
    else if (ev->type == PH_DATA_JSON)
        record__raw(out, "data", ev->data);
    else
        write_base64(out, ev->data);
}

static void write_metadata(struct record *out, const struct metadata *metadata)
{
    if (metadata->count == 0)
        return;
    record__open(out, "metadata", '{');
    for (size_t i = 0; i < metadata->count; i++)
        /* names that are read have a NUL behind them */
        record__text(out, metadata->items[i].name.ptr, metadata->items[i].value);
    record__close(out, '}');
}

/* Of user events; those of others are in the body. Names are names of headers, without ':'. */
static void write_mqtt(struct record *out, const struct ph_event *ev)
{
    if (ev->kind != PH_EVENT_USER || !mqtt__is_client(ev))
        return;
    if (ev->content_type.ptr)
        record__text(out, "contentType", ev->content_type);
    if (ev->mqtt_properties.count == 0)
        return;
    record__open(out, "mqttProperties", '[');
    for (size_t i = 0; i < ev->mqtt_properties.count; i++) {
        const struct http_header *property = &ev->mqtt_properties.items[i];
        struct buf line;

        buf__init(&line, property->name.len + property->value.len + 2);
        buf__str(&line, property->name);
        buf__str(&line, STR(": "));
        buf__str(&line, property->value);
        record__text(out, NULL, buf__view(&line));
        out->text.failed |= line.failed;
        buf__free(&line);
    }
    record__close(out, ']');
}

void recorded__write(struct record *out, const struct ph_event *ev)
{
    write_type(out, ev);
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
        struct str value = *attribute__of((struct ph_event *)(uintptr_t)ev, &attributes[i]);

        if (value.ptr)
            record__text(out, member_of(&attributes[i]), value);
    }
    if (ev->origin.ptr)
        record__text(out, "origin", ev->origin);
    write_data(out, ev);
    write_metadata(out, &ev->metadata);
    write_mqtt(out, ev);
}

/* --- reading -------------------------------------------------------------------------- */

struct reader {
    struct arena *arena;
    const struct event_limits *limits;
    struct ph_event *ev;
    bool typed;              /* dataType was given */
    const struct json *data; /* NULL: absent */
    struct str name_of_type; /* from "type" */
    struct diag *diag;
};

static enum ph_err wrong(struct reader *r, const struct json *member, const char *expected)
{
    return diag__set(r->diag, PH_ERR_SYNTAX, "%s is %s, expected %s", member->key.ptr,
                     json__type_name(member), expected);
}

static enum ph_err read_type(struct reader *r, const struct json *member)
{
    if (member->type == JSON_STRING &&
        event__read_type(member->string, &r->ev->kind, &r->name_of_type))
        return PH_OK;
    return diag__set(r->diag, PH_ERR_SYNTAX,
                     "type is none of azure.webpubsub.sys.{connect, connected, disconnected}, "
                     "azure.webpubsub.gp.{joined, left}, azure.webpubsub.user.{name}");
}

static enum ph_err read_data_type(struct reader *r, const struct json *member)
{
    r->typed = true;
    if (member->type == JSON_STRING && event__data_type_named(member->string, &r->ev->type))
        return PH_OK;
    return diag__set(r->diag, PH_ERR_SYNTAX,
                     "dataType is none of \"text\", \"json\", \"binary\", \"protobuf\"");
}

static enum ph_err read_data(struct reader *r, const struct json *member)
{
    r->data = member;
    return PH_OK;
}

static enum ph_err read_origin(struct reader *r, const struct json *member)
{
    if (member->type != JSON_STRING)
        return wrong(r, member, "a string");
    r->ev->origin = member->string;
    return PH_OK;
}

static enum ph_err read_metadata(struct reader *r, const struct json *member)
{
    struct metadata_entry *items;
    size_t n = 0;

    if (member->type != JSON_OBJECT)
        return wrong(r, member, "an object of strings");
    items = arena__alloc(r->arena, (member->count + 1) * sizeof(*items));
    if (!items)
        return diag__set(r->diag, PH_ERR_MEMORY, "out of memory");
    for (const struct json *entry = member->child; entry; entry = entry->next) {
        if (entry->type != JSON_STRING)
            return wrong(r, entry, "a string");
        items[n++] = (struct metadata_entry){entry->key, entry->string};
    }
    r->ev->metadata = (struct metadata){items, n};
    return PH_OK;
}

static enum ph_err read_content_type(struct reader *r, const struct json *member)
{
    if (member->type != JSON_STRING)
        return wrong(r, member, "a string");
    r->ev->content_type = member->string;
    return PH_OK;
}

static enum ph_err read_mqtt_properties(struct reader *r, const struct json *member)
{
    if (member->type != JSON_ARRAY)
        return wrong(r, member, "an array of \"name: value\"");
    for (const struct json *item = member->child; item; item = item->next) {
        struct str value = item->string, name;

        if (item->type != JSON_STRING || !str__split(&value, ':', &name) || !value.ptr)
            return wrong(r, member, "an array of \"name: value\"");
        if (!http__add(r->arena, &r->ev->mqtt_properties, name, str__trim(value)))
            return diag__set(r->diag, PH_ERR_MEMORY, "out of memory");
    }
    return PH_OK;
}

static const struct {
    struct str name;
    enum ph_err (*read)(struct reader *r, const struct json *member);
} members[] = {
    {{"type", 4}, read_type},
    {{"dataType", 8}, read_data_type},
    {{"data", 4}, read_data},
    {{"origin", 6}, read_origin},
    {{"metadata", 8}, read_metadata},
    {{"contentType", 11}, read_content_type},
    {{"mqttProperties", 14}, read_mqtt_properties},
};

static enum ph_err read_attribute(struct reader *r, const struct json *member)
{
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
        if (!str__eq(member->key, str__of(member_of(&attributes[i]))))
            continue;
        if (member->type != JSON_STRING)
            return wrong(r, member, "a string");
        *attribute__of(r->ev, &attributes[i]) = member->string;
        return PH_OK;
    }
    return diag__set(r->diag, PH_ERR_SYNTAX, "unknown member \"%.*s\"", STR_FMT(member->key));
}

static enum ph_err read_member(struct reader *r, const struct json *member)
{
    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
        if (str__eq(member->key, members[i].name))
            return members[i].read(r, member);
    }
    return read_attribute(r, member);
}

static enum ph_err read_base64(struct reader *r)
{
    if (r->data->type == JSON_STRING)
        r->ev->data = base64__decode(r->arena, r->data->string);
    if (r->ev->data.ptr)
        return PH_OK;
    return diag__set(r->diag, PH_ERR_SYNTAX, "data is not base64, which %s data must be",
                     event__data_type_name(r->ev->type));
}

/* Without "dataType", a string is text and any other value JSON. */
static enum ph_err read_user_data(struct reader *r)
{
    struct ph_event *ev = r->ev;

    if (!r->data) {
        ev->data = STR("");
        return ev->type == PH_DATA_JSON
                   ? diag__set(r->diag, PH_ERR_SYNTAX, "data is missing, expected a JSON value")
                   : PH_OK;
    }
    if (!r->typed)
        ev->type = r->data->type == JSON_STRING ? PH_DATA_TEXT : PH_DATA_JSON;
    if (ev->type == PH_DATA_JSON)
        ev->data = r->data->raw;
    else if (ev->type != PH_DATA_TEXT)
        return read_base64(r);
    else if (r->data->type != JSON_STRING)
        return wrong(r, r->data, "a string of text");
    else
        ev->data = r->data->string;
    return PH_OK;
}

static enum ph_err read_body(struct reader *r)
{
    struct ph_event *ev = r->ev;

    ev->type = PH_DATA_JSON;
    ev->data = r->data ? r->data->raw : STR("{}");
    return body__decode(r->arena, ev, r->limits, r->diag);
}

static enum ph_err finish(struct reader *r)
{
    if (!r->name_of_type.ptr)
        return diag__set(r->diag, PH_ERR_SYNTAX,
                         "type is missing, expected one such as azure.webpubsub.user.message");
    if (!r->ev->name.ptr)
        r->ev->name = r->name_of_type;
    if (!str__eq_nocase(r->ev->name, r->name_of_type))
        return diag__set(r->diag, PH_ERR_SYNTAX, "eventName \"%.*s\" does not fit type",
                         STR_FMT(r->ev->name));
    return r->ev->kind == PH_EVENT_USER ? read_user_data(r) : read_body(r);
}

enum ph_err recorded__read(struct arena *a, struct str text, const struct event_limits *limits,
                           struct ph_event *out, struct diag *diag)
{
    const struct json_limits json_limits = {
        .depth = limits->json_depth + 1, .nodes = MAX_MEMBERS, .tree = 2};
    struct reader r = {.arena = a, .limits = limits, .ev = out, .diag = diag};
    struct json *object;
    enum ph_err err;

    *out = (struct ph_event){.type = PH_DATA_TEXT};
    err = json__parse(a, text, &json_limits, &object, diag);
    if (err == PH_OK && object->type != JSON_OBJECT)
        err = diag__set(diag, PH_ERR_SYNTAX, "%s, expected an object", json__type_name(object));
    for (const struct json *m = err == PH_OK ? object->child : NULL; m && err == PH_OK; m = m->next)
        err = read_member(&r, m);
    return err == PH_OK ? finish(&r) : err;
}
