/* Accessors of pubhook/event.h. */
#include "event/event.h"

#include "event/mqtt.h"

struct ph_event *event__lock(const struct ph_event *ev)
{
    struct ph_event *own = (struct ph_event *)(uintptr_t)ev; /* looks as if it had been there */

    pthread_mutex_lock(&own->lock);
    return own;
}

void event__unlock(struct ph_event *ev)
{
    pthread_mutex_unlock(&ev->lock);
}

enum ph_event_kind ph_event_kind(const struct ph_event *ev)
{
    return ev->kind;
}

const char *ph_event_hub(const struct ph_event *ev)
{
    return ev->hub.ptr;
}

const char *ph_event_connection_id(const struct ph_event *ev)
{
    return ev->connection_id.ptr;
}

const char *ph_event_name(const struct ph_event *ev)
{
    return ev->name.ptr;
}

const char *ph_event_user_id(const struct ph_event *ev)
{
    return ev->user_id.ptr;
}

const char *ph_event_subprotocol(const struct ph_event *ev)
{
    return ev->subprotocol.ptr;
}

const char *ph_event_id(const struct ph_event *ev)
{
    return ev->id.ptr;
}

const char *ph_event_time(const struct ph_event *ev)
{
    return ev->time.ptr;
}

const char *ph_event_source(const struct ph_event *ev)
{
    return ev->source.ptr;
}

const char *ph_event_origin(const struct ph_event *ev)
{
    return ev->origin.ptr;
}

const char *ph_event_state(const struct ph_event *ev)
{
    return ev->state.ptr;
}

const char *ph_event_reason(const struct ph_event *ev)
{
    return ev->reason.ptr;
}

const char *ph_event_group(const struct ph_event *ev)
{
    return ev->group.ptr;
}

enum ph_data_type ph_event_data_type(const struct ph_event *ev)
{
    return ev->type;
}

const char *ph_event_content_type(const struct ph_event *ev)
{
    return ev->content_type.ptr;
}

const void *ph_event_data(const struct ph_event *ev, size_t *len)
{
    if (len)
        *len = ev->data.len;
    return ev->data.ptr;
}

/* Names with one value each, which come as headers or are one of a list. */
static size_t pair_count(const struct ph_event *ev, enum ph_field field)
{
    return field == PH_FIELD_METADATA          ? ev->metadata.count
           : field == PH_FIELD_MQTT_PROPERTIES ? ev->mqtt_properties.count
                                               : 0;
}

static struct http_header pair_at(const struct ph_event *ev, enum ph_field field, size_t at)
{
    if (field == PH_FIELD_MQTT_PROPERTIES)
        return ev->mqtt_properties.items[at];
    return (struct http_header){ev->metadata.items[at].name, ev->metadata.items[at].value};
}

/* Names with any number of values: parts of the client's connect request. */
static const struct event_fields *fields_of(const struct ph_event *ev, enum ph_field field)
{
    static const struct event_fields none = {NULL, 0};

    switch (field) {
    case PH_FIELD_CLAIMS:
        return &ev->claims;
    case PH_FIELD_QUERY:
        return &ev->query;
    case PH_FIELD_HEADERS:
        return &ev->headers;
    case PH_FIELD_METADATA:
    case PH_FIELD_MQTT_PROPERTIES:
        break;
    }
    return &none;
}

/* What travels as a header has a name without case. */
static bool ignores_case(const struct ph_event *ev, enum ph_field field)
{
    return field == PH_FIELD_HEADERS || field == PH_FIELD_METADATA ||
           (field == PH_FIELD_MQTT_PROPERTIES && ev->kind == PH_EVENT_USER);
}

static bool is_called(struct str name, struct str wanted, bool ignore_case)
{
    return ignore_case ? str__eq_nocase(name, wanted) : str__eq(name, wanted);
}

const char *ph_event_field(const struct ph_event *ev, enum ph_field field, const char *name,
                           size_t index)
{
    const struct event_fields *fields = fields_of(ev, field);
    bool ignore_case = ignores_case(ev, field);
    struct str wanted = str__of(name);

    for (size_t i = 0; name && i < pair_count(ev, field); i++) {
        struct http_header pair = pair_at(ev, field, i);

        if (is_called(pair.name, wanted, ignore_case) && index-- == 0)
            return pair.value.ptr;
    }
    for (size_t i = 0; name && i < fields->count; i++) {
        const struct event_field *row = &fields->items[i];

        if (!is_called(row->name, wanted, ignore_case))
            continue;
        if (index < row->count)
            return row->values[index].ptr;
        index -= row->count;
    }
    return NULL;
}

size_t ph_event_field_count(const struct ph_event *ev, enum ph_field field)
{
    return pair_count(ev, field) + fields_of(ev, field)->count;
}

const char *ph_event_field_name(const struct ph_event *ev, enum ph_field field, size_t at)
{
    const struct event_fields *fields = fields_of(ev, field);

    if (at < pair_count(ev, field))
        return pair_at(ev, field, at).name.ptr;
    return at < fields->count ? fields->items[at].name.ptr : NULL;
}

const char *ph_event_offered_subprotocol(const struct ph_event *ev, size_t at)
{
    return at < ev->subprotocol_count ? ev->subprotocols[at].ptr : NULL;
}

size_t ph_event_certificate_count(const struct ph_event *ev)
{
    return ev->certificate_count;
}

const char *ph_event_certificate_thumbprint(const struct ph_event *ev, size_t at)
{
    return at < ev->certificate_count ? ev->certificates[at].thumbprint.ptr : NULL;
}

const char *ph_event_certificate_pem(const struct ph_event *ev, size_t at)
{
    return at < ev->certificate_count ? ev->certificates[at].pem.ptr : NULL;
}

const char *ph_event_http_header(const struct ph_event *ev, const char *name)
{
    const struct http_headers *http = name ? event__http(ev) : NULL;

    return http ? http__get(http, str__of(name)).ptr : NULL;
}

/* --- pubhook/mqtt.h ------------------------------------------------------------------ */

static const struct event_mqtt no_mqtt = {.version = PH_MQTT_UNKNOWN};

static const struct event_mqtt *mqtt_of(const struct ph_event *ev)
{
    return ev->mqtt ? ev->mqtt : &no_mqtt;
}

int ph_event_is_mqtt(const struct ph_event *ev)
{
    return mqtt__is_client(ev);
}

const char *ph_event_physical_connection_id(const struct ph_event *ev)
{
    return ev->physical_id.ptr;
}

const char *ph_event_session_id(const struct ph_event *ev)
{
    return ev->session_id.ptr;
}

enum ph_mqtt_version ph_event_mqtt_version(const struct ph_event *ev)
{
    return mqtt_of(ev)->version;
}

int ph_event_mqtt_clean_start(const struct ph_event *ev)
{
    return mqtt_of(ev)->clean_start;
}

const char *ph_event_mqtt_username(const struct ph_event *ev)
{
    return mqtt_of(ev)->username.ptr;
}

const void *ph_event_mqtt_password(const struct ph_event *ev, size_t *len)
{
    if (len)
        *len = mqtt_of(ev)->password.len;
    return mqtt_of(ev)->password.ptr;
}

int ph_event_mqtt_initiated_by_client(const struct ph_event *ev)
{
    return mqtt_of(ev)->initiated_by_client;
}

int ph_event_mqtt_disconnect_code(const struct ph_event *ev)
{
    return mqtt_of(ev)->has_packet ? mqtt_of(ev)->code : -1;
}
