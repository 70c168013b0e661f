#include "event/attribute.h"
#include "event/body.h"
#include "event/mqtt.h"

/* Larger than any event: data is at most one WebSocket message, claims and headers
 * come from one HTTP request. */
#define ENCODE_MAX_BODY (16u << 20)

struct encoder {
    struct arena *arena;
    const struct ph_event *ev;
    struct http_request *out;
    struct diag *diag;
};

static enum ph_err out_of_memory(struct encoder *e)
{
    return diag__set(e->diag, PH_ERR_MEMORY, "out of memory");
}

static enum ph_err add(struct encoder *e, struct str name, struct str value)
{
    return http__add(e->arena, &e->out->headers, name, value) ? PH_OK : out_of_memory(e);
}

static enum ph_err add_attribute(struct encoder *e, const struct attribute *attribute)
{
    struct str value = *attribute__of((struct ph_event *)e->ev, attribute);
    enum ph_err err;

    if (attribute->required && value.len == 0)
        return diag__set(e->diag, PH_ERR_ARGUMENT, "%s is missing", attribute->header.ptr);
    if (!value.ptr)
        return PH_OK;
    err = event__check_value(attribute->header, value, attribute->unicode, e->diag);
    return err == PH_OK ? add(e, attribute->header, value) : err;
}

static enum ph_err add_type(struct encoder *e)
{
    struct event_type type = event__type(e->ev->kind, e->ev->name);
    char *text = arena__printf(e->arena, "%.*s%.*s", STR_FMT(type.prefix), STR_FMT(type.name));

    return text ? add(e, STR("ce-type"), str__of(text)) : out_of_memory(e);
}

static enum ph_err add_default_source(struct encoder *e)
{
    struct str source;

    if (e->ev->source.ptr)
        return PH_OK;
    source = event__default_source(e->arena, e->ev);
    return source.ptr ? add(e, STR("ce-source"), source) : out_of_memory(e);
}

static enum ph_err add_metadata(struct encoder *e)
{
    const char *problem = metadata__problem(&e->ev->metadata);

    if (problem)
        return diag__set(e->diag, PH_ERR_ARGUMENT, "%s", problem);
    return metadata__to_headers(e->arena, &e->ev->metadata, &e->out->headers) ? PH_OK
                                                                              : out_of_memory(e);
}

static enum ph_err add_origin(struct encoder *e)
{
    struct str name = STR("WebHook-Request-Origin");
    enum ph_err err;

    if (!e->ev->origin.ptr)
        return PH_OK;
    err = event__check_value(name, e->ev->origin, false, e->diag);
    return err == PH_OK ? add(e, name, e->ev->origin) : err;
}

static enum ph_err add_headers(struct encoder *e, struct str signature)
{
    enum ph_err err = add(e, STR("ce-specversion"), STR("1.0"));

    if (err == PH_OK)
        err = add(e, STR("ce-awpsversion"), STR("1.0"));
    for (size_t i = 0; err == PH_OK && i < ATTRIBUTE_COUNT; i++)
        err = add_attribute(e, &attributes[i]);
    if (err == PH_OK)
        err = add_type(e);
    if (err == PH_OK)
        err = add_default_source(e);
    if (err == PH_OK && signature.ptr)
        err = add(e, STR("ce-signature"), signature);
    if (err == PH_OK)
        err = add_origin(e);
    if (err == PH_OK && e->ev->request_id.ptr)
        err = add(e, STR("x-ms-client-request-id"), e->ev->request_id);
    if (err == PH_OK && e->ev->cookie.ptr)
        err = add(e, STR("Cookie"), e->ev->cookie);
    if (err == PH_OK && e->ev->kind == PH_EVENT_USER)
        err = mqtt__to_headers(e->arena, &e->ev->mqtt_properties, &e->out->headers, e->diag);
    return err == PH_OK ? add_metadata(e) : err;
}

static enum ph_err add_content_type(struct encoder *e)
{
    struct str name = STR("Content-Type"), value = event__sent_content_type(e->ev);
    enum ph_err err = PH_OK;

    if (e->ev->content_type.ptr)
        err = event__check_content_type(e->ev, e->diag);
    return err == PH_OK ? add(e, name, value) : err;
}

static enum ph_err set_body(struct encoder *e)
{
    struct buf body;
    char *copy = NULL;

    if (e->ev->kind == PH_EVENT_USER) {
        e->out->body = e->ev->data;
        return add_content_type(e);
    }
    buf__init(&body, ENCODE_MAX_BODY);
    body__encode(&body, e->ev);
    if (!body.failed)
        copy = arena__strdup(e->arena, buf__view(&body));
    e->out->body = str__n(copy, body.len);
    buf__free(&body);
    return copy ? add_content_type(e) : out_of_memory(e);
}

enum ph_err event__encode(struct arena *a, const struct ph_event *ev, struct str signature,
                          struct http_request *out, struct diag *diag)
{
    struct encoder e = {a, ev, out, diag};
    enum ph_err err;

    out->headers = (struct http_headers){0};
    err = add_headers(&e, signature);
    return err == PH_OK ? set_body(&e) : err;
}
