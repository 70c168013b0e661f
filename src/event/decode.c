#include "base/utf8.h"
#include "event/attribute.h"
#include "event/body.h"

struct decoder {
    struct arena *arena;
    const struct http_request *req;
    struct http_headers headers; /* copies with a NUL behind each value */
    const struct event_limits *limits;
    struct ph_event *ev;
    struct diag *diag;
};

static enum ph_err out_of_memory(struct decoder *d)
{
    return diag__set(d->diag, PH_ERR_MEMORY, "out of memory");
}

/* One block for all values: every attribute of the event is a view into it, and any
 * header can be handed to the handler as a C string. */
static enum ph_err copy_headers(struct decoder *d)
{
    const struct http_headers *from = &d->req->headers;
    size_t bytes = 0;
    char *at;

    for (size_t i = 0; i < from->count; i++)
        bytes += from->items[i].value.len + 1;
    d->headers.items = arena__alloc(d->arena, from->count * sizeof(*from->items));
    at = arena__alloc(d->arena, bytes);
    if (!d->headers.items || !at)
        return out_of_memory(d);
    for (size_t i = 0; i < from->count; i++) {
        struct str value = from->items[i].value;

        if (value.len > 0)
            memcpy(at, value.ptr, value.len);
        at[value.len] = '\0';
        d->headers.items[i] = (struct http_header){from->items[i].name, str__n(at, value.len)};
        at += value.len + 1;
    }
    d->headers.count = d->headers.cap = from->count;
    return PH_OK;
}

/* The value of a header that may come once. Two connection ids, say, would let the
 * signature be checked against one and the handler be told the other. */
static enum ph_err read_single(struct decoder *d, struct str name, struct str *out)
{
    const struct http_header *found = NULL;

    for (size_t i = 0; i < d->headers.count; i++) {
        if (!str__eq_nocase(d->headers.items[i].name, name))
            continue;
        if (found)
            return diag__set(d->diag, PH_ERR_SYNTAX,
                             "header %s came more than once, expected it once", name.ptr);
        found = &d->headers.items[i];
    }
    *out = found ? found->value : STR_NONE;
    return PH_OK;
}

static enum ph_err check_text(struct decoder *d, struct str name, struct str value)
{
    if (event__has_control(value))
        return diag__set(d->diag, PH_ERR_SYNTAX, "header %.*s holds a control character",
                         STR_FMT(name));
    if (!utf8__valid(value))
        return diag__set(d->diag, PH_ERR_SYNTAX, "header %.*s is not valid UTF-8", STR_FMT(name));
    return PH_OK;
}

static enum ph_err read_attribute(struct decoder *d, const struct attribute *attribute)
{
    struct str *value = attribute__of(d->ev, attribute);
    enum ph_err err = read_single(d, attribute->header, value);

    if (err != PH_OK)
        return err;
    if (attribute->required && value->len == 0)
        return diag__set(d->diag, PH_ERR_SYNTAX, "header %s is %s, a webhook event must have it",
                         attribute->header.ptr, value->ptr ? "empty" : "missing");
    return check_text(d, attribute->header, *value);
}

static enum ph_err check_version(struct decoder *d, struct str header)
{
    struct str version;
    enum ph_err err = read_single(d, header, &version);

    if (err != PH_OK)
        return err;
    if (!version.ptr)
        return diag__set(d->diag, PH_ERR_SYNTAX,
                         "header %s is missing: this is no Web PubSub event", header.ptr);
    if (!str__eq(version, STR("1.0")))
        return diag__set(d->diag, PH_ERR_SYNTAX, "header %s is \"%.*s\", expected 1.0", header.ptr,
                         STR_FMT(version));
    return PH_OK;
}

/* ce-type decides the kind: a custom event may be called "connected" too (section 2.2). */
static enum ph_err read_type(struct decoder *d, struct str *name)
{
    struct str type;
    enum ph_err err = read_single(d, STR("ce-type"), &type);

    if (err != PH_OK)
        return err;
    if (!type.ptr)
        return diag__set(d->diag, PH_ERR_SYNTAX,
                         "header ce-type is missing, a webhook event must have it");
    if (event__read_type(type, &d->ev->kind, name))
        return PH_OK;
    return diag__set(d->diag, PH_ERR_SYNTAX,
                     "ce-type \"%.*s\" is unknown, expected azure.webpubsub.sys.{connect, "
                     "connected, disconnected}, azure.webpubsub.gp.{joined, left} or "
                     "azure.webpubsub.user.{name}",
                     STR_FMT(type));
}

static enum ph_err read_head(struct decoder *d)
{
    struct str name;
    enum ph_err err = check_version(d, STR("ce-specversion"));

    if (err == PH_OK)
        err = check_version(d, STR("ce-awpsversion"));
    if (err == PH_OK)
        err = read_type(d, &name);
    for (size_t i = 0; err == PH_OK && i < ATTRIBUTE_COUNT; i++)
        err = read_attribute(d, &attributes[i]);
    if (err == PH_OK && !str__eq_nocase(name, d->ev->name))
        return diag__set(d->diag, PH_ERR_SYNTAX,
                         "ce-eventName \"%.*s\" does not fit ce-type, which says \"%.*s\"",
                         STR_FMT(d->ev->name), STR_FMT(name));
    return err;
}

/* The service's hosts; with replicas a list, in one line or in several (section 1). */
static enum ph_err read_origin(struct decoder *d)
{
    struct str name = STR("WebHook-Request-Origin");
    const char *joined = NULL;

    for (size_t i = 0; i < d->headers.count; i++) {
        const struct http_header *h = &d->headers.items[i];

        if (!str__eq_nocase(h->name, name))
            continue;
        joined = joined ? arena__printf(d->arena, "%s, %s", joined, h->value.ptr) : h->value.ptr;
        if (!joined)
            return out_of_memory(d);
    }
    d->ev->origin = str__of(joined);
    return check_text(d, name, d->ev->origin);
}

/* Every line is checked, also one that a later line of its name replaces. */
static enum ph_err read_metadata(struct decoder *d)
{
    for (size_t i = 0; i < d->headers.count; i++) {
        const struct http_header *header = &d->headers.items[i];
        enum ph_err err = PH_OK;

        if (str__starts_with_nocase(header->name, METADATA_HEADER_PREFIX))
            err = check_text(d, header->name, header->value);
        if (err != PH_OK)
            return err;
    }
    return metadata__from_headers(d->arena, &d->headers, &d->ev->metadata) ? PH_OK
                                                                           : out_of_memory(d);
}

/* Media types compare without case and parameters: documents and emulator differ in
 * charset (section 2.1). */
static enum ph_err read_data_type(struct decoder *d)
{
    struct str content_type;
    enum ph_err err = read_single(d, STR("Content-Type"), &content_type);

    if (err != PH_OK)
        return err;
    if (!event__data_type(content_type, &d->ev->type))
        return diag__set(d->diag, PH_ERR_UNSUPPORTED,
                         "Content-Type \"%.*s\" of a user event, expected text/plain, "
                         "application/json, application/octet-stream or application/x-protobuf",
                         STR_FMT(content_type));
    if (d->ev->kind != PH_EVENT_USER && d->ev->type != PH_DATA_JSON)
        return diag__set(d->diag, PH_ERR_UNSUPPORTED,
                         "Content-Type \"%.*s\" of a system event, expected application/json",
                         STR_FMT(content_type));
    return PH_OK;
}

static enum ph_err check_user_data(struct decoder *d)
{
    struct diag detail = {""};
    enum ph_err err;

    if (d->ev->type == PH_DATA_TEXT && !utf8__valid(d->ev->data))
        return diag__set(d->diag, PH_ERR_SYNTAX, "body: text/plain data is not valid UTF-8");
    if (d->ev->type != PH_DATA_JSON)
        return PH_OK;
    err = json__check(d->ev->data, d->limits->json_depth, &detail);
    return err == PH_OK ? PH_OK : diag__set(d->diag, err, "body: %s", detail.text);
}

static enum ph_err read_body(struct decoder *d)
{
    char *copy = arena__strdup(d->arena, d->req->body);

    if (!copy)
        return out_of_memory(d);
    d->ev->data = str__n(copy, d->req->body.len);
    return d->ev->kind == PH_EVENT_USER ? check_user_data(d)
                                        : body__decode(d->arena, d->ev, d->limits, d->diag);
}

enum ph_err event__decode(struct arena *a, const struct http_request *req,
                          const struct event_limits *limits, struct ph_event **out,
                          struct diag *diag)
{
    struct decoder d = {.arena = a, .req = req, .limits = limits, .diag = diag};
    enum ph_err err;

    *out = NULL;
    d.ev = arena__zalloc(a, sizeof(*d.ev));
    if (!d.ev)
        return out_of_memory(&d);
    err = copy_headers(&d);
    if (err == PH_OK)
        err = read_head(&d);
    if (err == PH_OK)
        err = read_origin(&d);
    if (err == PH_OK && d.ev->kind == PH_EVENT_USER)
        err = read_metadata(&d);
    if (err == PH_OK)
        err = read_data_type(&d);
    if (err == PH_OK)
        err = read_body(&d);
    if (err == PH_OK) {
        struct http_headers *http = arena__alloc(a, sizeof(*http));

        if (!http)
            return out_of_memory(&d);
        *http = d.headers;
        d.ev->http = http;
        *out = d.ev;
    }
    return err;
}
