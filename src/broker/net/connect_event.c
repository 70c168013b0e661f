#include "broker/net/connect_event.h"

/* Fields under construction: room for all names is made at once. */
struct fields {
    struct arena *arena;
    struct event_field *items;
    size_t count;
    bool ignore_case; /* names of headers; those of claims and of the query have a case */
};

static bool fields_init(struct fields *f, struct arena *a, size_t max, bool ignore_case)
{
    *f = (struct fields){.arena = a, .ignore_case = ignore_case};
    f->items = arena__alloc(a, (max ? max : 1) * sizeof(*f->items));
    return f->items;
}

static struct event_field *fields_find(struct fields *f, struct str name)
{
    for (size_t i = 0; i < f->count; i++) {
        struct str known = f->items[i].name;

        if (f->ignore_case ? str__eq_nocase(known, name) : str__eq(known, name))
            return &f->items[i];
    }
    return NULL;
}

/* Does a list of so many fill its room? That is a power of two. */
static bool is_full(size_t count)
{
    return (count & (count - 1)) == 0;
}

/* Adds a value to the list of its name. */
static bool fields_add(struct fields *f, struct str name, struct str value)
{
    struct event_field *field = fields_find(f, name);
    struct str *values;

    if (!field) {
        field = &f->items[f->count++];
        *field = (struct event_field){.name = name};
    }
    values = (struct str *)(uintptr_t)field->values; /* the array is ours */
    if (is_full(field->count)) {
        values = arena__alloc(f->arena, (field->count ? 2 * field->count : 1) * sizeof(*values));
        if (!values)
            return false;
        if (field->count > 0)
            memcpy(values, field->values, field->count * sizeof(*values));
        field->values = values;
    }
    values[field->count++] = value;
    return true;
}

static struct event_fields fields_done(const struct fields *f)
{
    return (struct event_fields){f->items, f->count};
}

/* Every claim is a list of strings to the handler; what is none is handed on as it
 * was written (client-and-rest section 1.2). */
static struct str claim_text(const struct json *value)
{
    return value->type == JSON_STRING ? value->string : value->raw;
}

static bool add_claim(struct fields *f, const struct json *claim)
{
    if (claim->type != JSON_ARRAY)
        return fields_add(f, claim->key, claim_text(claim));
    for (const struct json *item = claim->child; item; item = item->next) {
        if (!fields_add(f, claim->key, claim_text(item)))
            return false;
    }
    return true;
}

static bool read_claims(struct arena *a, const struct json *claims, struct event_fields *out)
{
    struct fields f;

    if (!fields_init(&f, a, claims ? claims->count : 0, false))
        return false;
    for (const struct json *claim = claims ? claims->child : NULL; claim; claim = claim->next) {
        if (!add_claim(&f, claim))
            return false;
    }
    *out = fields_done(&f);
    return true;
}

static bool read_query(struct arena *a, const struct handshake *h, struct event_fields *out)
{
    const struct url_query *query = &h->query;
    struct fields f;

    if (!fields_init(&f, a, query->count + 1, false))
        return false;
    if (h->shown_token.ptr && !fields_add(&f, STR("access_token"), h->shown_token))
        return false;
    for (size_t i = 0; i < query->count; i++) {
        if (!fields_add(&f, query->params[i].name, query->params[i].value))
            return false;
    }
    *out = fields_done(&f);
    return true;
}

/* The token is the client's secret towards us and none of the handler's business; headers
 * of the service's own parts would look as if they came from those (event-handler section
 * 2.3). */
static bool is_shown(struct str header)
{
    return !str__eq_nocase(header, STR("Authorization")) &&
           !str__starts_with_nocase(header, STR("X-ASRS-Internal-"));
}

static bool read_headers(struct arena *a, const struct http_headers *headers,
                         struct event_fields *out)
{
    struct fields f;

    if (!fields_init(&f, a, headers->count, true))
        return false;
    for (size_t i = 0; i < headers->count; i++) {
        const struct http_header *h = &headers->items[i];

        if (is_shown(h->name) && !fields_add(&f, h->name, h->value))
            return false;
    }
    *out = fields_done(&f);
    return true;
}

bool connect_event__make(struct arena *a, const struct handshake *h,
                         const struct http_headers *headers, struct str connection_id,
                         struct ph_event *out)
{
    *out = (struct ph_event){
        .kind = PH_EVENT_CONNECT,
        .hub = h->hub,
        .connection_id = connection_id,
        .name = STR("connect"),
        .user_id = h->user_id,
        .type = PH_DATA_JSON,
        .subprotocols = h->offered,
        .subprotocol_count = h->offered_count,
    };
    return read_claims(a, h->claims, &out->claims) && read_query(a, h, &out->query) &&
           read_headers(a, headers, &out->headers);
}
