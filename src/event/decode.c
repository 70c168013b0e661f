#include "base/utf8.h"
#include "event/attribute.h"
#include "event/body.h"
#include "event/mqtt.h"

/* The lines that an event is made of: its attributes by their numbers, and these. */
enum line {
    LINE_SPEC_VERSION = ATTRIBUTE_COUNT,
    LINE_AWPS_VERSION,
    LINE_TYPE,
    LINE_CONTENT_TYPE,
    LINE_ORIGIN,
    LINE_COUNT
};

static const struct str other_names[] = {
    {"ce-specversion", 14}, {"ce-awpsversion", 14},         {"ce-type", 7},
    {"Content-Type", 12},   {"WebHook-Request-Origin", 22},
};

/* The lines whose names have that length, each plus 1. */
#define LONGEST_NAME 23
static const unsigned char by_length[LONGEST_NAME + 1][3] = {
    [5] = {1 + ATTRIBUTE_ID},
    [6] = {1 + ATTRIBUTE_HUB},
    [7] = {1 + LINE_TYPE, 1 + ATTRIBUTE_TIME},
    [9] = {1 + ATTRIBUTE_SOURCE, 1 + ATTRIBUTE_USER_ID},
    [12] = {1 + ATTRIBUTE_NAME, 1 + LINE_CONTENT_TYPE, 1 + ATTRIBUTE_SESSION_ID},
    [14] = {1 + LINE_SPEC_VERSION, 1 + LINE_AWPS_VERSION, 1 + ATTRIBUTE_SUBPROTOCOL},
    [15] = {1 + ATTRIBUTE_CONNECTION_ID},
    [18] = {1 + ATTRIBUTE_STATE},
    [22] = {1 + LINE_ORIGIN},
    [23] = {1 + ATTRIBUTE_PHYSICAL_ID},
};

struct decoder {
    struct arena *arena;
    const struct http_request *req;
    struct str lines[LINE_COUNT]; /* the value of the first of that name */
    bool repeated[LINE_COUNT];
    bool metadata; /* there is some */
    const struct event_limits *limits;
    struct ph_event *ev;
    struct diag *diag;
};

static enum ph_err out_of_memory(struct decoder *d)
{
    return diag__set(d->diag, PH_ERR_MEMORY, "out of memory");
}

static struct str name_of(unsigned line)
{
    return line < ATTRIBUTE_COUNT ? attributes[line].header : other_names[line - ATTRIBUTE_COUNT];
}

static unsigned line_of(struct str name)
{
    if (name.len > LONGEST_NAME)
        return LINE_COUNT;
    for (size_t i = 0; i < sizeof(by_length[0]) && by_length[name.len][i] > 0; i++) {
        unsigned line = by_length[name.len][i] - 1u;

        if (str__eq_nocase(name, name_of(line)))
            return line;
    }
    return LINE_COUNT;
}

/* One look at each line of the head. */
static void find_lines(struct decoder *d)
{
    const struct http_headers *headers = &d->req->headers;

    for (size_t i = 0; i < headers->count; i++) {
        struct str name = headers->items[i].name;
        unsigned line = line_of(name);

        if (line == LINE_COUNT) {
            d->metadata |= str__starts_with_nocase(name, METADATA_HEADER_PREFIX);
        } else if (d->lines[line].ptr) {
            d->repeated[line] = true;
        } else {
            d->lines[line] = headers->items[i].value;
        }
    }
}

/* The value of a header that may come once. Two connection ids, say, would let the
 * signature be checked against one and the handler be told the other. */
static enum ph_err read_single(struct decoder *d, unsigned line, struct str *out)
{
    *out = d->lines[line];
    return d->repeated[line]
               ? diag__set(d->diag, PH_ERR_SYNTAX,
                           "header %s came more than once, expected it once", name_of(line).ptr)
               : PH_OK;
}

static enum ph_err check_text(struct decoder *d, struct str name, struct str value)
{
    if (d->req->headers.printable || str__is_printable(value))
        return PH_OK;
    if (str__has_control(value))
        return diag__set(d->diag, PH_ERR_SYNTAX, "header %.*s holds a control character",
                         STR_FMT(name));
    if (!utf8__valid(value))
        return diag__set(d->diag, PH_ERR_SYNTAX, "header %.*s is not valid UTF-8", STR_FMT(name));
    return PH_OK;
}

static enum ph_err read_attribute(struct decoder *d, unsigned number)
{
    const struct attribute *attribute = &attributes[number];
    struct str *value = attribute__of(d->ev, attribute);
    enum ph_err err = read_single(d, number, value);

    if (err != PH_OK)
        return err;
    if (attribute->required && value->len == 0)
        return diag__set(d->diag, PH_ERR_SYNTAX, "header %s is %s, a webhook event must have it",
                         attribute->header.ptr, value->ptr ? "empty" : "missing");
    return check_text(d, attribute->header, *value);
}

static enum ph_err check_version(struct decoder *d, enum line line)
{
    struct str version, header = name_of(line);
    enum ph_err err = read_single(d, line, &version);

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
    enum ph_err err = read_single(d, LINE_TYPE, &type);

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
    struct str name = STR_NONE;
    enum ph_err err = check_version(d, LINE_SPEC_VERSION);

    if (err == PH_OK)
        err = check_version(d, LINE_AWPS_VERSION);
    if (err == PH_OK)
        err = read_type(d, &name);
    for (unsigned i = 0; err == PH_OK && i < ATTRIBUTE_COUNT; i++)
        err = read_attribute(d, i);
    if (err == PH_OK && !str__eq_nocase(name, d->ev->name))
        return diag__set(d->diag, PH_ERR_SYNTAX,
                         "ce-eventName \"%.*s\" does not fit ce-type, which says \"%.*s\"",
                         STR_FMT(d->ev->name), STR_FMT(name));
    return err;
}

static enum ph_err join_origins(struct decoder *d)
{
    const struct http_headers *headers = &d->req->headers;
    const char *joined = NULL;

    for (size_t i = 0; i < headers->count; i++) {
        const struct http_header *h = &headers->items[i];

        if (!str__eq_nocase(h->name, name_of(LINE_ORIGIN)))
            continue;
        joined = joined ? arena__printf(d->arena, "%s, %s", joined, h->value.ptr) : h->value.ptr;
        if (!joined)
            return out_of_memory(d);
    }
    d->ev->origin = str__of(joined);
    return PH_OK;
}

/* The service's hosts; with replicas a list, in one line or in several (section 1). */
static enum ph_err read_origin(struct decoder *d)
{
    enum ph_err err = PH_OK;

    d->ev->origin = d->lines[LINE_ORIGIN];
    if (d->repeated[LINE_ORIGIN])
        err = join_origins(d);
    return err == PH_OK ? check_text(d, name_of(LINE_ORIGIN), d->ev->origin) : err;
}

/* Every line of that prefix is checked, also one that a later line of its name replaces. */
static enum ph_err check_lines(struct decoder *d, struct str prefix)
{
    const struct http_headers *headers = &d->req->headers;
    enum ph_err err = PH_OK;

    for (size_t i = 0; err == PH_OK && i < headers->count; i++) {
        const struct http_header *header = &headers->items[i];

        if (str__starts_with_nocase(header->name, prefix))
            err = check_text(d, header->name, header->value);
    }
    return err;
}

static enum ph_err read_metadata(struct decoder *d)
{
    enum ph_err err = check_lines(d, METADATA_HEADER_PREFIX);

    if (err == PH_OK &&
        !metadata__from_headers(d->arena, &d->req->headers, METADATA_WHOLE, &d->ev->metadata))
        err = out_of_memory(d);
    return err;
}

static enum ph_err read_mqtt_properties(struct decoder *d)
{
    enum ph_err err = check_lines(d, MQTT_HEADER_PREFIX);

    if (err == PH_OK && !mqtt__from_headers(d->arena, &d->req->headers, &d->ev->mqtt_properties))
        err = out_of_memory(d);
    return err;
}

/* Media types compare without case and parameters: documents and emulator differ in
 * charset (section 2.1). MQTT clients may send any, and none. */
static enum ph_err read_data_type(struct decoder *d)
{
    struct str content_type;
    enum ph_err err = read_single(d, LINE_CONTENT_TYPE, &content_type);
    bool known;

    if (err != PH_OK)
        return err;
    d->ev->content_type = content_type;
    known = event__data_type(content_type, &d->ev->type);
    if (!known && d->ev->kind == PH_EVENT_USER && mqtt__is_client(d->ev))
        d->ev->type = PH_DATA_BINARY;
    else if (!known)
        return diag__set(d->diag, PH_ERR_UNSUPPORTED,
                         "Content-Type \"%.*s\" of a user event, expected text/plain, "
                         "application/json, application/octet-stream or application/x-protobuf",
                         STR_FMT(content_type));
    if (d->ev->kind != PH_EVENT_USER && d->ev->type != PH_DATA_JSON)
        return diag__set(d->diag, PH_ERR_UNSUPPORTED,
                         "Content-Type \"%.*s\" of a system event, expected application/json",
                         STR_FMT(content_type));
    if (known && content_type.len == event__content_type(d->ev->type).len)
        return PH_OK; /* nothing but the type itself */
    return check_text(d, name_of(LINE_CONTENT_TYPE), content_type);
}

static enum ph_err read_body(struct decoder *d)
{
    d->ev->data = d->req->body.ptr ? d->req->body : STR("");
    return d->ev->kind == PH_EVENT_USER ? body__check_user_data(d->ev, d->limits, d->diag)
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
    d.ev->http = &req->headers;
    d.ev->arena = a;
    d.ev->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    find_lines(&d);
    err = read_head(&d);
    if (err == PH_OK)
        err = read_origin(&d);
    if (err == PH_OK && d.metadata && d.ev->kind == PH_EVENT_USER)
        err = read_metadata(&d);
    if (err == PH_OK && d.ev->kind == PH_EVENT_USER && mqtt__is_client(d.ev))
        err = read_mqtt_properties(&d);
    if (err == PH_OK)
        err = read_data_type(&d);
    if (err == PH_OK)
        err = read_body(&d);
    if (err == PH_OK)
        *out = d.ev;
    return err;
}
