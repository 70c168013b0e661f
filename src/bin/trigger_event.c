#include "bin/trigger_event.h"

#include "base/file.h"
#include "base/random.h"

#define ARENA_MAX (256u << 20)
#define FILE_MAX (64u << 20)
#define MAX_EVENTS 100000
#define JSON_DEPTH 512

static enum ph_err out_of_memory(struct diag *diag)
{
    return diag__set(diag, PH_ERR_MEMORY, "out of memory");
}

/* --- fields of connect: {"name": ["value", ...]} ------------------------------------------- */

static struct event_field *field_of(struct event_field *items, size_t *count, struct str name)
{
    for (size_t i = 0; i < *count; i++) {
        if (str__eq(items[i].name, name))
            return &items[i];
    }
    items[*count].name = name;
    return &items[(*count)++];
}

static enum ph_err add_value(struct arena *a, struct event_field *field, struct str value)
{
    struct str *values = arena__alloc(a, (field->count + 1) * sizeof(*values));

    if (!values)
        return PH_ERR_MEMORY;
    if (field->count > 0)
        memcpy(values, field->values, field->count * sizeof(*values));
    values[field->count++] = value;
    field->values = values;
    return PH_OK;
}

static enum ph_err make_fields(struct arena *a, const struct values *list, struct event_fields *out)
{
    struct event_field *items = arena__zalloc(a, (list->count + 1) * sizeof(*items));
    size_t count = 0;
    enum ph_err err = items ? PH_OK : PH_ERR_MEMORY;

    for (size_t i = 0; i < list->count && err == PH_OK; i++) {
        struct str name, value;

        values__pair(list->items[i], &name, &value);
        err = add_value(a, field_of(items, &count, name), value);
    }
    if (list->count > 0)
        *out = (struct event_fields){items, count};
    return err;
}

static bool has_field(const struct event_fields *fields, struct str name)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (str__eq(fields->items[i].name, name))
            return true;
    }
    return false;
}

/* A token of that user says so. */
static enum ph_err add_subject(struct arena *a, struct ph_event *ev)
{
    struct event_field *items;
    size_t n = ev->claims.count;

    if (!ev->user_id.ptr || has_field(&ev->claims, STR("sub")))
        return PH_OK;
    items = arena__zalloc(a, (n + 1) * sizeof(*items));
    if (!items)
        return PH_ERR_MEMORY;
    if (n > 0)
        memcpy(items, ev->claims.items, n * sizeof(*items));
    items[n].name = STR("sub");
    ev->claims = (struct event_fields){items, n + 1};
    return add_value(a, &items[n], ev->user_id);
}

/* --- what options say ------------------------------------------------------------------------ */

static void put(struct str *place, const char *value)
{
    if (value)
        *place = str__of(value);
}

static enum ph_err put_strings(struct arena *a, const struct values *list, const struct str **items,
                               size_t *count)
{
    struct str *copy;

    if (list->count == 0)
        return PH_OK;
    copy = arena__alloc(a, list->count * sizeof(*copy));
    if (!copy)
        return PH_ERR_MEMORY;
    for (size_t i = 0; i < list->count; i++)
        copy[i] = str__of(list->items[i]);
    *items = copy;
    *count = list->count;
    return PH_OK;
}

static enum ph_err put_metadata(struct arena *a, const struct values *list, struct metadata *out)
{
    struct metadata_entry *items;

    if (list->count == 0)
        return PH_OK;
    items = arena__alloc(a, list->count * sizeof(*items));
    if (!items)
        return PH_ERR_MEMORY;
    for (size_t i = 0; i < list->count; i++)
        values__pair(list->items[i], &items[i].name, &items[i].value);
    *out = (struct metadata){items, list->count};
    return PH_OK;
}

static enum ph_err put_connect(struct arena *a, const struct event_options *o, struct ph_event *ev)
{
    enum ph_err err = make_fields(a, &o->claims, &ev->claims);

    if (err == PH_OK)
        err = make_fields(a, &o->query, &ev->query);
    if (err == PH_OK)
        err = make_fields(a, &o->headers, &ev->headers);
    if (err == PH_OK)
        err = put_strings(a, &o->subprotocols, &ev->subprotocols, &ev->subprotocol_count);
    return err == PH_OK ? add_subject(a, ev) : err;
}

static enum ph_err put_user(struct arena *a, struct event_options *o, struct ph_event *ev,
                            struct diag *diag)
{
    enum ph_err err = PH_OK;

    if (content__given(&o->content) || !ev->data.ptr)
        err = content__load(&o->content, &ev->data, &ev->type, diag);
    if (err != PH_OK)
        return err;
    return put_metadata(a, &o->metadata, &ev->metadata) == PH_OK ? PH_OK : out_of_memory(diag);
}

/* --- MQTT ------------------------------------------------------------------------------------- */

static enum ph_err put_properties(struct arena *a, const struct values *list,
                                  struct http_headers *out)
{
    for (size_t i = 0; i < list->count; i++) {
        struct str name, value;

        values__pair(list->items[i], &name, &value);
        if (!http__add(a, out, name, value))
            return PH_ERR_MEMORY;
    }
    return PH_OK;
}

/* The body of a user event says nothing of the client. */
static enum ph_err put_mqtt_body(struct arena *a, const struct event_options *o,
                                 struct ph_event *ev)
{
    struct event_mqtt *mqtt = arena__zalloc(a, sizeof(*mqtt));

    if (!mqtt)
        return PH_ERR_MEMORY;
    if (ev->mqtt)
        *mqtt = *ev->mqtt;
    mqtt->version = o->mqtt;
    mqtt->clean_start = true;
    put(&mqtt->username, o->mqtt_username);
    put(&mqtt->password, o->mqtt_password);
    mqtt->has_packet = mqtt->initiated_by_client = o->has_mqtt_code;
    mqtt->code = (int)o->mqtt_code;
    if (ev->kind == PH_EVENT_CONNECT || ev->kind == PH_EVENT_DISCONNECTED)
        ev->mqtt = mqtt;
    return PH_OK;
}

static enum ph_err put_mqtt(struct arena *a, const struct event_options *o, struct ph_event *ev)
{
    static const struct str offered = {"mqtt", 4};
    enum ph_err err;

    if (!o->mqtt)
        return PH_OK;
    ev->subprotocol = offered;
    if (!ev->physical_id.ptr)
        ev->physical_id = STR("physical-1");
    if (!ev->session_id.ptr && ev->kind != PH_EVENT_CONNECT)
        ev->session_id = STR("session-1");
    if (ev->kind == PH_EVENT_CONNECT && ev->subprotocol_count == 0) {
        ev->subprotocols = &offered;
        ev->subprotocol_count = 1;
    }
    put(&ev->content_type, o->content_type);
    err = put_properties(a, &o->mqtt_properties, &ev->mqtt_properties);
    return err ? err : put_mqtt_body(a, o, ev);
}

/* --- all of it -----------------------------------------------------------------------------------
 */

/* The service's counter begins at connect (event-handler section 2.1). */
static struct str default_id(enum ph_event_kind kind)
{
    if (kind == PH_EVENT_CONNECT)
        return STR("0");
    return kind == PH_EVENT_CONNECTED ? STR("1") : STR("2");
}

static enum ph_err put_all(struct arena *a, struct event_options *o, struct ph_event *ev,
                           struct diag *diag)
{
    put(&ev->hub, o->hub);
    put(&ev->connection_id, o->connection);
    put(&ev->user_id, o->user);
    put(&ev->state, o->state);
    put(&ev->id, o->id);
    put(&ev->origin, o->origin);
    put(&ev->reason, o->reason);
    put(&ev->group, o->group);
    if (!ev->id.ptr)
        ev->id = default_id(ev->kind);
    if (ev->kind != PH_EVENT_CONNECT)
        put(&ev->subprotocol, o->subprotocols.items[0]);
    if (put_mqtt(a, o, ev))
        return out_of_memory(diag);
    if (ev->kind == PH_EVENT_CONNECT)
        return put_connect(a, o, ev) == PH_OK ? PH_OK : out_of_memory(diag);
    return ev->kind == PH_EVENT_USER ? put_user(a, o, ev, diag) : PH_OK;
}

/* --- do they go together? --------------------------------------------------------------------- */

#define BIT(kind) (1u << (kind))

static bool is_list(const struct values *list)
{
    return list->count > 0;
}

static enum ph_err check_fit(const struct event_options *o, const struct ph_event *ev,
                             struct diag *diag)
{
    const struct {
        const char *option;
        bool given;
        unsigned kinds;
        const char *expected;
    } rules[] = {
        {"--claim", is_list(&o->claims), BIT(PH_EVENT_CONNECT), "connect"},
        {"--query", is_list(&o->query), BIT(PH_EVENT_CONNECT), "connect"},
        {"--header", is_list(&o->headers), BIT(PH_EVENT_CONNECT), "connect"},
        {"--reason", o->reason, BIT(PH_EVENT_DISCONNECTED), "disconnected"},
        {"--group", o->group, BIT(PH_EVENT_JOINED) | BIT(PH_EVENT_LEFT), "joined and left"},
        {"--metadata", is_list(&o->metadata), BIT(PH_EVENT_USER), "user events"},
        {"data", content__given(&o->content), BIT(PH_EVENT_USER), "user events"},
        {"--content-type", o->content_type, BIT(PH_EVENT_USER), "user events"},
        {"--mqtt-username", o->mqtt_username, BIT(PH_EVENT_CONNECT), "connect"},
        {"--mqtt-password", o->mqtt_password, BIT(PH_EVENT_CONNECT), "connect"},
        {"--mqtt-code", o->has_mqtt_code, BIT(PH_EVENT_DISCONNECTED), "disconnected"},
        {"--mqtt-property", is_list(&o->mqtt_properties),
         BIT(PH_EVENT_CONNECT) | BIT(PH_EVENT_DISCONNECTED) | BIT(PH_EVENT_USER),
         "connect, disconnected and user events"},
    };

    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        if (rules[i].given && !(rules[i].kinds & BIT(ev->kind)))
            return diag__set(diag, PH_ERR_ARGUMENT, "%s is for %s, not for %.*s", rules[i].option,
                             rules[i].expected, STR_FMT(ev->name));
    }
    if (!o->mqtt && (o->content_type || o->mqtt_username || o->mqtt_password || o->has_mqtt_code ||
                     is_list(&o->mqtt_properties)))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "--content-type, --mqtt-username and the like go with --mqtt VERSION");
    if (o->subprotocols.count > 1 && ev->kind != PH_EVENT_CONNECT)
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "a connection has one --subprotocol; connect may offer many");
    if ((ev->kind == PH_EVENT_JOINED || ev->kind == PH_EVENT_LEFT) && !ev->group.ptr && !o->group)
        return diag__set(diag, PH_ERR_ARGUMENT, "which group? Expected --group NAME");
    if (!ev->hub.ptr && !o->hub)
        return diag__set(diag, PH_ERR_ARGUMENT, "which hub? Expected --hub HUB");
    return PH_OK;
}

static enum ph_err complete(struct events *e, struct event_options *o, struct diag *diag)
{
    enum ph_err err = PH_OK;

    for (size_t i = 0; i < e->count && err == PH_OK; i++) {
        err = check_fit(o, &e->items[i], diag);
        if (err == PH_OK)
            err = put_all(&e->arena, o, &e->items[i], diag);
    }
    return err;
}

/* --- from a name, from a file ------------------------------------------------------------------
 */

static const struct {
    const char *name;
    enum ph_event_kind kind;
} system_events[] = {
    {"connect", PH_EVENT_CONNECT},
    {"connected", PH_EVENT_CONNECTED},
    {"disconnected", PH_EVENT_DISCONNECTED},
    {"joined", PH_EVENT_JOINED},
    {"left", PH_EVENT_LEFT},
};

static enum ph_event_kind kind_of(const struct event_options *o)
{
    for (size_t i = 0; i < sizeof(system_events) / sizeof(*system_events) && !o->user_event; i++) {
        if (strcmp(system_events[i].name, o->name) == 0)
            return system_events[i].kind;
    }
    return PH_EVENT_USER;
}

static enum ph_err make_named(struct events *e, const struct event_options *o, struct diag *diag)
{
    e->items = arena__zalloc(&e->arena, sizeof(*e->items));
    if (!e->items)
        return out_of_memory(diag);
    e->items[0].name = str__of(o->name);
    e->items[0].kind = kind_of(o);
    e->count = 1;
    return PH_OK;
}

static size_t count_lines(struct str text)
{
    size_t count = 1;

    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == '\n';
    return count;
}

static enum ph_err read_lines(struct events *e, const char *file, struct diag *diag)
{
    const struct event_limits limits = {.json_depth = JSON_DEPTH};
    struct str rest = buf__view(&e->text), line;
    unsigned number = 0;

    while (str__split(&rest, '\n', &line)) {
        struct diag detail = {""};
        enum ph_err err;

        number++;
        if (str__trim(line).len == 0)
            continue;
        err = recorded__read(&e->arena, line, &limits, &e->items[e->count++], &detail);
        if (err)
            return diag__set(diag, err, "%s, line %u: %s", file, number, detail.text);
    }
    return e->count > 0 ? PH_OK
                        : diag__set(diag, PH_ERR_ARGUMENT, "%s: there is no event in it", file);
}

static enum ph_err read_file(struct events *e, const char *file, struct diag *diag)
{
    enum ph_err err = file__read(file, &e->text, diag);
    size_t lines = count_lines(buf__view(&e->text));

    if (err)
        return err;
    if (lines > MAX_EVENTS)
        return diag__set(diag, PH_ERR_LIMIT, "%s: more than %d lines", file, MAX_EVENTS);
    e->items = arena__zalloc(&e->arena, lines * sizeof(*e->items));
    return e->items ? read_lines(e, file, diag) : out_of_memory(diag);
}

/* A name that no handler has seen: duplicates are told by it and the event's id. */
static enum ph_err name_connection(struct events *e, struct diag *diag)
{
    uint8_t bytes[8];
    struct str id;

    if (!random__bytes(bytes, sizeof(bytes)))
        return diag__set(diag, PH_ERR_SYSTEM, "there is no randomness");
    id = str__of(arena__printf(&e->arena, "trigger-%02x%02x%02x%02x%02x%02x%02x%02x", bytes[0],
                               bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6],
                               bytes[7]));
    for (size_t i = 0; i < e->count && id.ptr; i++) {
        if (!e->items[i].connection_id.ptr)
            e->items[i].connection_id = id;
    }
    return id.ptr ? PH_OK : out_of_memory(diag);
}

enum ph_err events__make(struct events *e, struct event_options *options, const char *file,
                         struct diag *diag)
{
    enum ph_err err;

    *e = (struct events){0};
    arena__init(&e->arena, NULL, 0, ARENA_MAX);
    buf__init(&e->text, FILE_MAX);
    err = file ? read_file(e, file, diag) : make_named(e, options, diag);
    if (err == PH_OK)
        err = complete(e, options, diag);
    return err == PH_OK ? name_connection(e, diag) : err;
}

void events__free(struct events *e)
{
    arena__free(&e->arena);
    buf__free(&e->text);
}
