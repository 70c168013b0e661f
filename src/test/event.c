#include "test/event.h"

#include "base/random.h"
#include "event/attribute.h"

#include <stdlib.h>

#define EVENT_MAX_MEMORY (64u << 20)
#define MAX_SIGNATURE 256

/* --- What an event is made of ------------------------------------------------------ */

/* Where each attribute is, and the header to take out of the request for one that encoding
 * insists on. */
static const struct {
    size_t offset; /* of its struct str in struct ph_test_event */
    const char *required;
} rows[PH_TEST_ATTRIBUTE_COUNT] = {
#define EVENT_ROW(member) offsetof(struct ph_test_event, event.member)
    [PH_TEST_HUB] = {EVENT_ROW(hub), "ce-hub"},
    [PH_TEST_CONNECTION_ID] = {EVENT_ROW(connection_id), "ce-connectionId"},
    [PH_TEST_EVENT_NAME] = {EVENT_ROW(name), "ce-eventName"},
    [PH_TEST_USER_ID] = {EVENT_ROW(user_id), NULL},
    [PH_TEST_SUBPROTOCOL] = {EVENT_ROW(subprotocol), NULL},
    [PH_TEST_ID] = {EVENT_ROW(id), "ce-id"},
    [PH_TEST_TIME] = {EVENT_ROW(time), NULL},
    [PH_TEST_SOURCE] = {EVENT_ROW(source), NULL},
    [PH_TEST_ORIGIN] = {EVENT_ROW(origin), NULL},
    [PH_TEST_STATE] = {EVENT_ROW(state), NULL},
    [PH_TEST_REASON] = {EVENT_ROW(reason), NULL},
    [PH_TEST_GROUP] = {EVENT_ROW(group), NULL},
#undef EVENT_ROW
    [PH_TEST_METHOD] = {offsetof(struct ph_test_event, method), NULL},
    [PH_TEST_TARGET] = {offsetof(struct ph_test_event, target), NULL},
    [PH_TEST_SIGNED_BY] = {offsetof(struct ph_test_event, key), NULL},
    [PH_TEST_PHYSICAL_CONNECTION_ID] = {offsetof(struct ph_test_event, event.physical_id), NULL},
    [PH_TEST_SESSION_ID] = {offsetof(struct ph_test_event, event.session_id), NULL},
    [PH_TEST_CONTENT_TYPE] = {offsetof(struct ph_test_event, event.content_type), NULL},
};

static struct str copy(struct ph_test_event *e, struct str s)
{
    char *text = s.ptr ? arena__strdup(&e->arena, s) : NULL;

    if (s.ptr && !text)
        e->failed = "out of memory";
    return str__n(text, text ? s.len : 0);
}

/* A larger copy of an array; the old one stays in the arena. */
static void *grown(struct ph_test_event *e, const void *items, size_t count, size_t size)
{
    char *more = arena__zalloc(&e->arena, (count + 1) * size);

    if (!more)
        e->failed = "out of memory";
    else if (count > 0)
        memcpy(more, items, count * size);
    return more;
}

static struct str random_id(struct ph_test_event *e)
{
    uint64_t number = 0;

    if (!random__bytes(&number, sizeof(number)))
        e->failed = "no randomness";
    return str__of(arena__printf(&e->arena, "%016llx", (unsigned long long)number));
}

struct ph_test_event *ph_test_event_new(enum ph_event_kind kind, const char *hub)
{
    struct ph_test_event *e = calloc(1, sizeof(*e));
    struct str name;

    if (!e)
        return NULL;
    arena__init(&e->arena, NULL, 0, EVENT_MAX_MEMORY);
    if ((unsigned)kind > PH_EVENT_LEFT) {
        kind = PH_EVENT_USER;
        e->failed = "there is no such kind of event";
    }
    name = event__type(kind, STR("message")).name;
    e->event = (struct ph_event){
        .kind = kind,
        .hub = copy(e, str__of(hub)),
        .connection_id = STR("conn1"),
        .name = name,
        .id = random_id(e),
        .time = STR("2026-01-01T00:00:00Z"),
        .origin = STR("localhost"),
        .type = kind == PH_EVENT_USER ? PH_DATA_TEXT : PH_DATA_JSON,
        .data = STR(""),
    };
    if (kind == PH_EVENT_JOINED || kind == PH_EVENT_LEFT)
        e->event.group = STR("group1");
    return e;
}

void ph_test_event_free(struct ph_test_event *event)
{
    if (!event)
        return;
    arena__free(&event->arena);
    free(event);
}

void ph_test_event_set(struct ph_test_event *event, enum ph_test_attribute attribute,
                       const char *value)
{
    if (!event)
        return;
    if ((unsigned)attribute >= PH_TEST_ATTRIBUTE_COUNT) {
        event->failed = "there is no such attribute";
        return;
    }
    if (attribute == PH_TEST_SIGNED_BY)
        event->is_unsigned = !value;
    event->left_out[attribute] = !value && rows[attribute].required;
    if (event->left_out[attribute])
        return;
    *(struct str *)((char *)event + rows[attribute].offset) = copy(event, str__of(value));
}

void ph_test_event_set_data(struct ph_test_event *event, enum ph_data_type type, const void *data,
                            size_t len)
{
    if (!event)
        return;
    if ((unsigned)type > PH_DATA_PROTOBUF)
        event->failed = "there is no such type of data";
    event->event.type = type;
    event->event.data = copy(event, str__n(data ? data : "", data ? len : 0));
}

void ph_test_event_set_text(struct ph_test_event *event, const char *text)
{
    ph_test_event_set_data(event, PH_DATA_TEXT, text, text ? strlen(text) : 0);
}

static void add_value(struct ph_test_event *e, struct event_field *field, struct str value)
{
    struct str *values = grown(e, field->values, field->count, sizeof(*values));

    if (!values)
        return;
    values[field->count++] = copy(e, value);
    field->values = values;
}

static void add_property(struct ph_test_event *e, struct event_fields *fields, struct str name,
                         struct str value)
{
    struct event_field *items = grown(e, fields->items, fields->count, sizeof(*items));
    size_t at = 0;

    if (!items)
        return;
    while (at < fields->count && !str__eq(items[at].name, name))
        at++;
    if (at == fields->count)
        items[fields->count++].name = copy(e, name);
    fields->items = items;
    add_value(e, &items[at], value);
}

static void add_metadata(struct ph_test_event *e, struct str name, struct str value)
{
    struct metadata *m = &e->event.metadata;
    struct metadata_entry *items = grown(e, m->items, m->count, sizeof(*items));

    if (!items)
        return;
    items[m->count++] = (struct metadata_entry){copy(e, name), copy(e, value)};
    m->items = items;
}

void ph_test_event_add_field(struct ph_test_event *event, enum ph_field field, const char *name,
                             const char *value)
{
    struct str n = str__of(name ? name : ""), v = str__of(value ? value : "");

    if (!event)
        return;
    switch (field) {
    case PH_FIELD_CLAIMS:
        add_property(event, &event->event.claims, n, v);
        return;
    case PH_FIELD_QUERY:
        add_property(event, &event->event.query, n, v);
        return;
    case PH_FIELD_HEADERS:
        add_property(event, &event->event.headers, n, v);
        return;
    case PH_FIELD_METADATA:
        add_metadata(event, n, v);
        return;
    case PH_FIELD_MQTT_PROPERTIES:
        if (!http__add(&event->arena, &event->event.mqtt_properties, copy(event, n),
                       copy(event, v)))
            event->failed = "out of memory";
        return;
    default:
        event->failed = "there are no such fields";
    }
}

void ph_test_event_set_mqtt_connect(struct ph_test_event *event, enum ph_mqtt_version version,
                                    int clean_start, const char *username, const void *password,
                                    size_t password_len)
{
    if (!event)
        return;
    event->mqtt = (struct event_mqtt){
        .version = version,
        .clean_start = clean_start,
        .username = copy(event, str__of(username)),
        .password = copy(event, str__n(password, password_len)),
    };
    event->event.mqtt = &event->mqtt;
}

void ph_test_event_set_mqtt_disconnect(struct ph_test_event *event, int by_client, int code)
{
    if (!event)
        return;
    event->mqtt = (struct event_mqtt){
        .initiated_by_client = by_client, .has_packet = code >= 0, .code = code};
    event->event.mqtt = &event->mqtt;
}

void ph_test_event_add_subprotocol(struct ph_test_event *event, const char *subprotocol)
{
    struct str *items;

    if (!event || !subprotocol)
        return;
    items = grown(event, event->event.subprotocols, event->event.subprotocol_count, sizeof(*items));
    if (!items)
        return;
    items[event->event.subprotocol_count++] = copy(event, str__of(subprotocol));
    event->event.subprotocols = items;
}

void ph_test_event_add_certificate(struct ph_test_event *event, const char *thumbprint,
                                   const char *pem)
{
    struct event_certificate *items;

    if (!event)
        return;
    items = grown(event, event->event.certificates, event->event.certificate_count, sizeof(*items));
    if (!items)
        return;
    items[event->event.certificate_count].thumbprint = copy(event, str__of(thumbprint));
    items[event->event.certificate_count++].pem = copy(event, str__of(pem));
    event->event.certificates = items;
}

void ph_test_event_set_header(struct ph_test_event *event, const char *name, const char *value)
{
    struct test_header *items;

    if (!event || !name)
        return;
    items = grown(event, event->headers, event->header_count, sizeof(*items));
    if (!items)
        return;
    items[event->header_count++] =
        (struct test_header){copy(event, str__of(name)), copy(event, str__of(value))};
    event->headers = items;
}

void ph_test_event_set_body(struct ph_test_event *event, const void *body, size_t len)
{
    if (!event)
        return;
    event->has_body = true;
    event->body = copy(event, str__n(body ? body : "", body ? len : 0));
}

/* --- The request ------------------------------------------------------------------- */

static enum ph_err sign(const struct ph_test_event *e, struct str handlers_key, struct arena *a,
                        struct str *out, struct diag *diag)
{
    struct mac_key *key = mac__key_new(e->key.ptr ? e->key : handlers_key);
    struct buf text;
    bool done;

    buf__init(&text, MAX_SIGNATURE);
    done = key && event__sign(&text, e->event.connection_id, &key, 1);
    if (done)
        *out = str__of(arena__strdup(a, buf__view(&text)));
    buf__free(&text);
    mac__key_free(key);
    return done && out->ptr ? PH_OK : diag__set(diag, PH_ERR_MEMORY, "out of memory");
}

static enum ph_err change_header(const struct test_header *change, struct arena *a,
                                 struct http_headers *headers, struct diag *diag)
{
    size_t kept = 0;

    for (size_t i = 0; i < headers->count; i++) {
        if (!str__eq_nocase(headers->items[i].name, change->name))
            headers->items[kept++] = headers->items[i];
    }
    headers->count = kept;
    if (!change->value.ptr || http__add(a, headers, change->name, change->value))
        return PH_OK;
    return diag__set(diag, PH_ERR_MEMORY, "out of memory");
}

/* What must not be there, and what the test wants changed besides. */
static enum ph_err change_headers(const struct ph_test_event *e, struct arena *a,
                                  struct http_headers *headers, struct diag *diag)
{
    enum ph_err err = PH_OK;

    for (size_t i = 0; !err && i < PH_TEST_ATTRIBUTE_COUNT; i++) {
        if (e->left_out[i])
            err = change_header(&(struct test_header){.name = str__of(rows[i].required)}, a,
                                headers, diag);
    }
    for (size_t i = 0; !err && i < e->header_count; i++)
        err = change_header(&e->headers[i], a, headers, diag);
    return err;
}

enum ph_err test_event__encode(const struct ph_test_event *e, struct str key, struct str target,
                               struct arena *a, struct http_request *out, struct diag *diag)
{
    struct str signature = STR_NONE;
    enum ph_err err = PH_OK;

    *out = (struct http_request){.method = e->method.ptr ? e->method : STR("POST")};
    if (e->failed)
        return diag__set(diag, PH_ERR_ARGUMENT, "the event: %s", e->failed);
    http__set_target(out, e->target.ptr ? e->target : target);
    if (!e->is_unsigned)
        err = sign(e, key, a, &signature, diag);
    if (err == PH_OK)
        err = event__encode(a, &e->event, signature, out, diag);
    if (e->has_body)
        out->body = e->body;
    return err ? err : change_headers(e, a, &out->headers, diag);
}
