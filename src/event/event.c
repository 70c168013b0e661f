/* Accessors of pubhook/event.h. */
#include "event/event.h"

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

const void *ph_event_data(const struct ph_event *ev, size_t *len)
{
    if (len)
        *len = ev->data.len;
    return ev->data.ptr;
}

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
        break;
    }
    return &none;
}

/* Metadata has one value for a name; the service lower-cases the names, which travel as
 * headers. */
static const char *metadata_value(const struct metadata *m, struct str name, size_t index)
{
    for (size_t i = 0; index == 0 && i < m->count; i++) {
        if (str__eq_nocase(m->items[i].name, name))
            return m->items[i].value.ptr;
    }
    return NULL;
}

const char *ph_event_field(const struct ph_event *ev, enum ph_field field, const char *name,
                           size_t index)
{
    const struct event_fields *fields = fields_of(ev, field);
    struct str wanted = str__of(name);

    if (name && field == PH_FIELD_METADATA)
        return metadata_value(&ev->metadata, wanted, index);
    for (size_t i = 0; name && i < fields->count; i++) {
        const struct event_field *row = &fields->items[i];

        if (field == PH_FIELD_HEADERS ? !str__eq_nocase(row->name, wanted)
                                      : !str__eq(row->name, wanted))
            continue;
        if (index < row->count)
            return row->values[index].ptr;
        index -= row->count;
    }
    return NULL;
}

size_t ph_event_field_count(const struct ph_event *ev, enum ph_field field)
{
    return field == PH_FIELD_METADATA ? ev->metadata.count : fields_of(ev, field)->count;
}

const char *ph_event_field_name(const struct ph_event *ev, enum ph_field field, size_t at)
{
    const struct event_fields *fields = fields_of(ev, field);

    if (field == PH_FIELD_METADATA)
        return at < ev->metadata.count ? ev->metadata.items[at].name.ptr : NULL;
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
