#include "test/reply.h"

#include "event/mqtt.h"

#include <stdlib.h>

/* The largest answer there may be, and what it is decoded to. */
#define REPLY_MAX_MEMORY (128u << 20)

struct received {
    struct ph_test_reply reply; /* first, for it is what the test gets */
    struct arena arena;
    struct http_response http;
    struct metadata metadata;
    struct http_headers mqtt_properties;
    bool failed; /* memory is out */
};

static struct received *of(struct ph_test_reply *reply)
{
    return (struct received *)reply;
}

struct ph_test_reply *test_reply__new(void)
{
    struct received *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    arena__init(&r->arena, NULL, 0, REPLY_MAX_MEMORY);
    r->reply.data = r->reply.body = "";
    return &r->reply;
}

void ph_test_reply_free(struct ph_test_reply *reply)
{
    if (!reply)
        return;
    arena__free(&of(reply)->arena);
    free(reply);
}

struct arena *test_reply__arena(struct ph_test_reply *reply)
{
    return &of(reply)->arena;
}

struct http_response *test_reply__response(struct ph_test_reply *reply)
{
    return &of(reply)->http;
}

/* NULL for what is absent. */
static const char *text(struct received *r, struct str s)
{
    char *copy = s.ptr ? arena__strdup(&r->arena, s) : NULL;

    r->failed = r->failed || (s.ptr && !copy);
    return copy;
}

static const char **list(struct received *r, const struct str *items, size_t count)
{
    const char **out = arena__zalloc(&r->arena, (count + 1) * sizeof(*out));

    r->failed = r->failed || !out;
    for (size_t i = 0; out && i < count; i++)
        out[i] = text(r, items[i]);
    return out;
}

static enum ph_err read_body(struct received *r)
{
    struct http_headers *headers = &r->http.headers;

    for (size_t i = 0; i < headers->count; i++) {
        headers->items[i].name.ptr = text(r, headers->items[i].name);
        headers->items[i].value.ptr = text(r, headers->items[i].value);
    }
    r->reply.status = r->http.status;
    r->reply.body = text(r, r->http.body.ptr ? r->http.body : STR(""));
    r->reply.body_len = r->http.body.len;
    return r->failed ? PH_ERR_MEMORY : PH_OK;
}

static void take(struct received *r, const struct answer *answer)
{
    struct ph_test_reply *out = &r->reply;

    out->success = answer->success;
    out->user_id = text(r, answer->user_id);
    out->groups = answer->group_count > 0 ? list(r, answer->groups, answer->group_count) : NULL;
    out->roles = answer->has_roles ? list(r, answer->roles, answer->role_count) : NULL;
    out->subprotocol = text(r, answer->subprotocol);
    out->state = text(r, answer->state);
    out->has_data = answer->has_data;
    out->type = answer->type;
    if (answer->has_data) {
        out->data = text(r, answer->data);
        out->data_len = answer->data.len;
    }
    r->metadata = answer->metadata;
    out->content_type = text(r, answer->content_type);
}

static void take_mqtt(struct received *r, const struct answer *answer)
{
    r->reply.mqtt_code = answer->mqtt_code;
    r->reply.mqtt_reason = text(r, answer->mqtt_reason);
    for (size_t i = 0; i < answer->mqtt_properties.count; i++)
        answer->mqtt_properties.items[i].value.ptr =
            text(r, answer->mqtt_properties.items[i].value);
    r->mqtt_properties = answer->mqtt_properties;
}

static enum ph_err decode(struct received *r, const struct ph_event *ev, struct answer *answer,
                          struct diag *diag)
{
    if (mqtt__is_client(ev))
        return response__decode_mqtt(&r->arena, ev, &r->http, answer, diag);
    return response__decode(&r->arena, ev->kind, &r->http, answer, diag);
}

enum ph_err test_reply__read_event(struct ph_test_reply *reply, const struct ph_event *ev)
{
    struct received *r = of(reply);
    enum ph_err err = read_body(r);
    struct diag diag = {""};
    struct answer answer;

    if (err)
        return err;
    err = decode(r, ev, &answer, &diag);
    if (err == PH_ERR_MEMORY)
        return err;
    if (err)
        reply->problem = text(r, str__of(diag.text));
    else
        take(r, &answer);
    take_mqtt(r, &answer); /* that of a failure counts too */
    return r->failed ? PH_ERR_MEMORY : PH_OK;
}

enum ph_err test_reply__read_validation(struct ph_test_reply *reply, struct str origin)
{
    struct received *r = of(reply);
    enum ph_err err = read_body(r);
    struct diag diag = {""};

    if (err)
        return err;
    reply->success = event__validation_consent(&r->http, origin, &diag);
    if (!reply->success)
        reply->problem = text(r, str__of(diag.text));
    return r->failed ? PH_ERR_MEMORY : PH_OK;
}

const char *ph_test_reply_header(const struct ph_test_reply *reply, const char *name, size_t at)
{
    const struct received *r = (const struct received *)reply;

    for (size_t i = 0; reply && name && i < r->http.headers.count; i++) {
        const struct http_header *h = &r->http.headers.items[i];

        if (str__eq_nocase(h->name, str__of(name)) && at-- == 0)
            return h->value.ptr;
    }
    return NULL;
}

const char *ph_test_reply_mqtt_property(const struct ph_test_reply *reply, const char *name,
                                        size_t at)
{
    const struct received *r = (const struct received *)reply;

    for (size_t i = 0; reply && name && i < r->mqtt_properties.count; i++) {
        if (str__eq(r->mqtt_properties.items[i].name, str__of(name)) && at-- == 0)
            return r->mqtt_properties.items[i].value.ptr;
    }
    return NULL;
}

const char *ph_test_reply_metadata(const struct ph_test_reply *reply, const char *name)
{
    const struct received *r = (const struct received *)reply;

    for (size_t i = 0; reply && name && i < r->metadata.count; i++) {
        if (str__eq_nocase(r->metadata.items[i].name, str__of(name)))
            return r->metadata.items[i].value.ptr;
    }
    return NULL;
}
