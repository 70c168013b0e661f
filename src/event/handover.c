/* Events on their way to a handler in the same process. Those of clients come in numbers and
 * skip the request; system events are few, and what their bodies have to go through they go
 * through here too. */
#include "base/utf8.h"
#include "event/attribute.h"
#include "event/body.h"
#include "event/mqtt.h"

static enum ph_err out_of_memory(struct diag *diag)
{
    return diag__set(diag, PH_ERR_MEMORY, "out of memory");
}

/* What becomes of an event's texts. */
struct taking {
    struct arena *arena;
    bool views; /* they stay where they are */
    struct diag *diag;
};

static bool copy(struct arena *a, struct str *value)
{
    char *text = arena__strdup(a, *value);

    *value = str__n(text, value->len);
    return text != NULL;
}

static bool own(const struct taking *t, struct str *value)
{
    return !value->ptr || t->views || copy(t->arena, value);
}

/* A value that decoder and encoder would let pass. */
static enum ph_err check(struct str header, struct str value, bool unicode, struct diag *diag)
{
    enum ph_err err = event__check_value(header, value, unicode, diag);

    if (err == PH_OK && unicode && !utf8__valid(value))
        return diag__set(diag, PH_ERR_SYNTAX, "header %.*s is not valid UTF-8", STR_FMT(header));
    return err;
}

static enum ph_err take_attributes(const struct taking *t, struct ph_event *ev)
{
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
        const struct attribute *attribute = &attributes[i];
        struct str *value = attribute__of(ev, attribute);
        enum ph_err err = PH_OK;

        if (attribute->required && value->len == 0)
            return diag__set(t->diag, PH_ERR_ARGUMENT, "%s is missing", attribute->header.ptr);
        if (value->ptr && !(ev->plain & 1u << i))
            err = check(attribute->header, *value, attribute->unicode, t->diag);
        if (err != PH_OK)
            return err;
        if (!own(t, value))
            return out_of_memory(t->diag);
    }
    return PH_OK;
}

/* Where it comes from. */
static enum ph_err take_source(const struct taking *t, struct ph_event *ev)
{
    enum ph_err err = PH_OK;

    if (ev->origin.ptr)
        err = check(STR("WebHook-Request-Origin"), ev->origin, false, t->diag);
    if (err == PH_OK && !ev->source.ptr)
        ev->source = event__default_source(t->arena, ev);
    return err == PH_OK && (!ev->source.ptr || !own(t, &ev->origin)) ? out_of_memory(t->diag) : err;
}

/* Names in lower case and values without white space around, as headers bring them. */
static enum ph_err take_metadata(struct arena *a, struct metadata *m, struct diag *diag)
{
    struct http_headers headers = {0};
    const char *problem = metadata__problem(m);

    if (problem)
        return diag__set(diag, PH_ERR_ARGUMENT, "%s", problem);
    if (!metadata__to_headers(a, m, &headers) ||
        !metadata__from_headers(a, &headers, METADATA_WHOLE, m))
        return out_of_memory(diag);
    return PH_OK;
}

/* As they come back from the headers that they would be. */
static enum ph_err take_mqtt_properties(struct arena *a, struct http_headers *properties,
                                        struct diag *diag)
{
    struct http_headers headers = {0};
    enum ph_err err = mqtt__to_headers(a, properties, &headers, diag);

    *properties = (struct http_headers){0};
    if (err == PH_OK && !mqtt__from_headers(a, &headers, properties))
        err = out_of_memory(diag);
    return err;
}

static enum ph_err take_content_type(const struct taking *t, struct ph_event *ev)
{
    enum ph_err err;

    if (!ev->content_type.ptr) {
        ev->content_type = event__sent_content_type(ev);
        return PH_OK;
    }
    err = event__check_content_type(ev, t->diag);
    if (err != PH_OK)
        return err;
    if (!event__data_type(ev->content_type, &ev->type))
        ev->type = PH_DATA_BINARY;
    return own(t, &ev->content_type) ? PH_OK : out_of_memory(t->diag);
}

/* Handlers find a NUL behind data that is empty, too. */
static enum ph_err take_data(const struct taking *t, struct ph_event *ev,
                             const struct event_limits *limits)
{
    if (!ev->data.ptr)
        ev->data = STR("");
    return own(t, &ev->data) ? body__check_user_data(ev, limits, t->diag) : out_of_memory(t->diag);
}

static enum ph_err take_user_event(const struct taking *t, struct ph_event *ev,
                                   const struct event_limits *limits)
{
    enum ph_err err = take_attributes(t, ev);

    if (err == PH_OK)
        err = take_source(t, ev);
    if (err == PH_OK && ev->metadata.count > 0)
        err = take_metadata(t->arena, &ev->metadata, t->diag);
    if (err == PH_OK && ev->mqtt_properties.count > 0)
        err = take_mqtt_properties(t->arena, &ev->mqtt_properties, t->diag);
    if (err == PH_OK)
        err = take_content_type(t, ev);
    if (err == PH_OK)
        err = take_data(t, ev, limits);
    if (err == PH_OK && (!own(t, &ev->request_id) || !own(t, &ev->cookie)))
        err = out_of_memory(t->diag);
    ev->arena = t->arena;
    ev->http = NULL;
    ev->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    ev->json_read = false;
    ev->json = NULL;
    ev->certificate_facts = NULL;
    ev->call = NULL;
    ev->pending = NULL;
    return err;
}

static enum ph_err take_system_event(struct arena *a, const struct ph_event *ev,
                                     const struct event_limits *limits, struct ph_event **out,
                                     struct diag *diag)
{
    struct http_request *request = arena__zalloc(a, sizeof(*request));
    enum ph_err err;

    if (!request)
        return out_of_memory(diag);
    err = event__encode(a, ev, STR_NONE, request, diag);
    if (err == PH_OK && !http__own(a, request))
        err = out_of_memory(diag);
    return err == PH_OK ? event__decode(a, request, limits, out, diag) : err;
}

static enum ph_err take_event(const struct taking *t, const struct ph_event *ev,
                              const struct event_limits *limits, struct ph_event **out)
{
    if (ev->kind != PH_EVENT_USER)
        return take_system_event(t->arena, ev, limits, out, t->diag);
    *out = arena__alloc(t->arena, sizeof(**out));
    if (!*out)
        return out_of_memory(t->diag);
    **out = *ev;
    return take_user_event(t, *out, limits);
}

enum ph_err event__hand_over(struct arena *a, const struct ph_event *ev,
                             const struct event_limits *limits, struct ph_event **out,
                             struct diag *diag)
{
    return take_event(&(struct taking){a, false, diag}, ev, limits, out);
}

enum ph_err event__lend(struct arena *a, const struct ph_event *ev,
                        const struct event_limits *limits, struct ph_event **out, struct diag *diag)
{
    return take_event(&(struct taking){a, true, diag}, ev, limits, out);
}

unsigned event__plain(struct ph_event *ev)
{
    unsigned plain = 0;

    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
        struct str value = *attribute__of(ev, &attributes[i]);

        if (value.ptr && str__is_plain_value(value))
            plain |= 1u << i;
    }
    return plain;
}

/* Names too: those of a server's request are in its own memory. */
static bool copy_request(struct arena *a, const struct ph_event *ev, struct http_request *out)
{
    for (size_t i = 0; i < ev->http->count; i++) {
        struct http_header h = ev->http->items[i];

        if (!copy(a, &h.name) || !http__add(a, &out->headers, h.name, h.value))
            return false;
    }
    out->body = ev->data;
    return http__own(a, out);
}

enum ph_err event__keep(struct arena *a, const struct ph_event *ev,
                        const struct event_limits *limits, struct ph_event **out, struct diag *diag)
{
    struct http_request *request;

    if (!ev->http)
        return event__hand_over(a, ev, limits, out, diag);
    request = arena__zalloc(a, sizeof(*request));
    if (!request || !copy_request(a, ev, request))
        return out_of_memory(diag);
    return event__decode(a, request, limits, out, diag);
}

static const struct http_headers *make_http(const struct ph_event *ev)
{
    struct http_request *request = arena__zalloc(ev->arena, sizeof(*request));
    struct diag diag;

    if (!request || event__encode(ev->arena, ev, STR_NONE, request, &diag) != PH_OK)
        return NULL;
    return &request->headers;
}

const struct http_headers *event__http(const struct ph_event *ev)
{
    const struct http_headers *http;
    struct ph_event *own = event__lock(ev);

    if (!own->http && own->arena)
        own->http = make_http(own);
    http = own->http;
    event__unlock(own);
    return http;
}
