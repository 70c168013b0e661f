#include "event/mqtt.h"

#define RESPONSE_MAX_BODY (16u << 20)

struct encoder {
    struct arena *arena;
    const struct ph_event *ev;
    const struct ph_reply *reply;
    struct http_response *out;
    struct diag *diag;
};

static enum ph_err out_of_memory(struct encoder *e)
{
    return diag__set(e->diag, PH_ERR_MEMORY, "out of memory");
}

/* Which replies fit which event (sections 3.1 to 3.4). */
static const struct {
    const char *event;
    unsigned fits; /* bits of enum reply_kind */
    bool has_state, has_metadata;
    const char *expected;
} rules[] = {
    [PH_EVENT_CONNECT] = {"connect", 1u << REPLY_ACCEPT | 1u << REPLY_REJECT | 1u << REPLY_OK, true,
                          false, "ph_reply_accept, ph_reply_reject or ph_reply_ok"},
    [PH_EVENT_CONNECTED] = {"connected", 1u << REPLY_OK | 1u << REPLY_REJECT, false, false,
                            "ph_reply_ok"},
    [PH_EVENT_USER] = {"user", 1u << REPLY_DATA | 1u << REPLY_REJECT | 1u << REPLY_OK, true, true,
                       "ph_reply_text, _json, _binary, _protobuf or _data, ph_reply_ok or "
                       "ph_reply_reject"},
    [PH_EVENT_DISCONNECTED] = {"disconnected", 1u << REPLY_OK | 1u << REPLY_REJECT, false, false,
                               "ph_reply_ok"},
    [PH_EVENT_JOINED] = {"joined", 1u << REPLY_OK | 1u << REPLY_REJECT, false, false,
                         "ph_reply_ok"},
    [PH_EVENT_LEFT] = {"left", 1u << REPLY_OK | 1u << REPLY_REJECT, false, false, "ph_reply_ok"},
};

static const char *const reply_names[] = {
    [REPLY_ACCEPT] = "ph_reply_accept", [REPLY_REJECT] = "ph_reply_reject",
    [REPLY_OK] = "ph_reply_ok",         [REPLY_PASS] = "ph_reply_pass",
    [REPLY_DATA] = "reply with data",   [REPLY_DEFERRED] = "ph_reply_defer",
};

static bool was_offered(const struct ph_event *ev, struct str subprotocol)
{
    for (size_t i = 0; i < ev->subprotocol_count; i++) {
        if (str__eq(ev->subprotocols[i], subprotocol))
            return true;
    }
    return false;
}

/* What only MQTT clients understand (sections 3.1, 3.2 and 3.5). */
static enum ph_err check_mqtt(struct encoder *e)
{
    const struct ph_reply *reply = e->reply;
    const struct ph_event *ev = e->ev;
    enum ph_mqtt_version version = ph_event_mqtt_version(ev);
    bool is_user = ev->kind == PH_EVENT_USER && mqtt__is_client(ev);

    if (reply->has_mqtt_code && version == PH_MQTT_UNKNOWN)
        return diag__set(e->diag, PH_ERR_STATE,
                         "ph_reply_reject_mqtt is for connect events of MQTT clients; "
                         "ph_event_mqtt_version tells, ph_reply_reject is for all");
    if (reply->has_mqtt_code && mqtt__status(version, reply->mqtt_code) == 0)
        return diag__set(e->diag, PH_ERR_STATE,
                         "MQTT %s has no CONNACK code %d for a refusal; enum ph_mqtt_code lists "
                         "PH_MQTT_%d_*",
                         version == PH_MQTT_5 ? "5" : "3.1.1", reply->mqtt_code,
                         version == PH_MQTT_5 ? 5 : 3);
    if (reply->mqtt_properties.list.count > 0 && version != PH_MQTT_5 && !is_user)
        return diag__set(e->diag, PH_ERR_STATE,
                         "user properties go to MQTT clients: with their user events and, since "
                         "MQTT 5, with the answer to connect (ph_event_mqtt_version)");
    if (reply->content_type.ptr && !is_user)
        return diag__set(e->diag, PH_ERR_STATE,
                         "only clients of MQTT (ph_event_is_mqtt) know a Content-Type such as %s",
                         reply->content_type.ptr);
    return PH_OK;
}

static bool needs_mqtt(const struct ph_reply *reply)
{
    return reply->has_mqtt_code || reply->mqtt_properties.list.count > 0 || reply->content_type.ptr;
}

static enum ph_err check_reply(struct encoder *e)
{
    const struct ph_reply *reply = e->reply;
    const char *event = rules[e->ev->kind].event;

    if (!reply)
        return diag__set(e->diag, PH_ERR_INTERNAL,
                         "the handler of this %s event failed (it returned NULL)", event);
    if (reply->failed)
        return diag__set(e->diag, PH_ERR_ARGUMENT, "the reply is incomplete: %s", reply->failed);
    if (!(rules[e->ev->kind].fits & 1u << reply->kind))
        return diag__set(e->diag, PH_ERR_STATE, "a %s does not fit a %s event, expected %s",
                         reply_names[reply->kind], event, rules[e->ev->kind].expected);
    if (reply->state.ptr && !rules[e->ev->kind].has_state)
        return diag__set(e->diag, PH_ERR_STATE,
                         "a reply to a %s event cannot set the connection state; a reply to "
                         "connect or to a user event can",
                         event);
    if (reply->metadata_count > 0 && !rules[e->ev->kind].has_metadata)
        return diag__set(e->diag, PH_ERR_STATE,
                         "a reply to a %s event cannot have metadata, which goes with a message "
                         "to the client; a reply to a user event can",
                         event);
    if (reply->subprotocol.ptr && !was_offered(e->ev, reply->subprotocol))
        return diag__set(e->diag, PH_ERR_STATE,
                         "the reply chooses subprotocol %s, which the client did not offer; "
                         "ph_event_offered_subprotocol lists what it did",
                         reply->subprotocol.ptr);
    return needs_mqtt(reply) ? check_mqtt(e) : PH_OK;
}

static enum ph_err add_copy(struct encoder *e, struct str name, struct str value)
{
    char *text = arena__strdup(e->arena, value);

    if (!text || !http__add(e->arena, &e->out->headers, name, str__n(text, value.len)))
        return out_of_memory(e);
    return PH_OK;
}

static enum ph_err add_metadata(struct encoder *e)
{
    const struct metadata metadata = {e->reply->metadata, e->reply->metadata_count};

    return metadata__to_headers(e->arena, &metadata, &e->out->headers) ? PH_OK : out_of_memory(e);
}

/* In the order that the handler added them, each as a line of its own. */
static enum ph_err add_headers(struct encoder *e)
{
    const struct http_headers *headers = &e->reply->headers.list;
    enum ph_err err = PH_OK;

    for (size_t i = 0; err == PH_OK && i < headers->count; i++) {
        char *name = arena__strdup(e->arena, headers->items[i].name);

        err = name ? add_copy(e, str__n(name, headers->items[i].name.len), headers->items[i].value)
                   : out_of_memory(e);
    }
    if (err == PH_OK && e->ev->kind == PH_EVENT_USER)
        err =
            mqtt__to_headers(e->arena, &e->reply->mqtt_properties.list, &e->out->headers, e->diag);
    return err;
}

static enum ph_err set_body(struct encoder *e, struct str content_type, struct str body)
{
    char *bytes = arena__strdup(e->arena, body);

    if (!bytes || !http__add(e->arena, &e->out->headers, STR("Content-Type"), content_type))
        return out_of_memory(e);
    e->out->body = str__n(bytes, body.len);
    return PH_OK;
}

static void write_key(struct buf *out, struct str key)
{
    buf__byte(out, out->len > 0 ? ',' : '{');
    json__quote(out, key);
    buf__byte(out, ':');
}

static void write_accept(struct buf *out, const struct ph_reply *reply)
{
    if (reply->user_id.ptr) {
        write_key(out, STR("userId"));
        json__quote(out, reply->user_id);
    }
    if (reply->group_count > 0) {
        write_key(out, STR("groups"));
        json__quote_array(out, reply->groups, reply->group_count);
    }
    if (reply->has_roles) {
        write_key(out, STR("roles"));
        json__quote_array(out, reply->roles, reply->role_count);
    }
    if (reply->subprotocol.ptr) {
        write_key(out, STR("subprotocol"));
        json__quote(out, reply->subprotocol);
    }
    if (reply->mqtt_properties.list.count > 0) {
        write_key(out, STR("mqtt"));
        buf__str(out, STR("{\"userProperties\":"));
        mqtt__write_properties(out, &reply->mqtt_properties.list);
        buf__byte(out, '}');
    }
    if (out->len > 0)
        buf__byte(out, '}');
}

/* 204 keeps everything as the token says, which is also what an empty accept means. */
static enum ph_err encode_accept(struct encoder *e)
{
    struct buf json;
    enum ph_err err = PH_OK;

    buf__init(&json, RESPONSE_MAX_BODY);
    write_accept(&json, e->reply);
    e->out->status = json.len > 0 ? 200 : 204;
    if (json.failed)
        err = out_of_memory(e);
    else if (json.len > 0)
        err = set_body(e, event__content_type(PH_DATA_JSON), buf__view(&json));
    buf__free(&json);
    return err;
}

/* A failed CONNACK; a plain status gets the code that says the same (section 3.2). */
static void write_mqtt_reject(struct buf *out, const struct ph_reply *reply,
                              enum ph_mqtt_version version)
{
    int code = reply->has_mqtt_code ? reply->mqtt_code : mqtt__code(version, reply->status);

    buf__printf(out, "{\"mqtt\":{\"code\":%d", code);
    if (reply->text.len > 0) {
        buf__str(out, STR(",\"reason\":"));
        json__quote(out, reply->text);
    }
    if (reply->mqtt_properties.list.count > 0) {
        buf__str(out, STR(",\"userProperties\":"));
        mqtt__write_properties(out, &reply->mqtt_properties.list);
    }
    buf__str(out, STR("}}"));
}

static enum ph_err encode_mqtt_reject(struct encoder *e, enum ph_mqtt_version version)
{
    struct buf json;
    enum ph_err err;

    buf__init(&json, RESPONSE_MAX_BODY);
    write_mqtt_reject(&json, e->reply, version);
    e->out->status =
        e->reply->has_mqtt_code ? mqtt__status(version, e->reply->mqtt_code) : e->reply->status;
    err = json.failed ? out_of_memory(e)
                      : set_body(e, event__content_type(PH_DATA_JSON), buf__view(&json));
    buf__free(&json);
    return err;
}

static enum ph_err encode_reject(struct encoder *e)
{
    enum ph_mqtt_version version = ph_event_mqtt_version(e->ev);

    if (version != PH_MQTT_UNKNOWN)
        return encode_mqtt_reject(e, version);
    e->out->status = e->reply->status;
    return e->reply->text.len > 0 ? set_body(e, STR("text/plain; charset=utf-8"), e->reply->text)
                                  : PH_OK;
}

static enum ph_err encode_data(struct encoder *e)
{
    struct str content_type = e->reply->content_type;

    e->out->status = 200;
    if (!content_type.ptr)
        return set_body(e, event__content_type(e->reply->type), e->reply->data);
    content_type.ptr = arena__strdup(e->arena, content_type);
    return content_type.ptr ? set_body(e, content_type, e->reply->data) : out_of_memory(e);
}

static enum ph_err encode_kind(struct encoder *e)
{
    /* As an answer to connect, ok is an accept that sets nothing, but perhaps MQTT properties. */
    if (e->reply->kind == REPLY_OK && e->ev->kind == PH_EVENT_CONNECT)
        return encode_accept(e);
    switch (e->reply->kind) {
    case REPLY_ACCEPT:
        return encode_accept(e);
    case REPLY_REJECT:
        return encode_reject(e);
    case REPLY_DATA:
        return encode_data(e);
    case REPLY_OK:
    case REPLY_PASS:
    case REPLY_DEFERRED:
        break;
    }
    e->out->status = 204;
    return PH_OK;
}

enum ph_err response__encode(struct arena *a, const struct ph_event *ev,
                             const struct ph_reply *reply, struct http_response *out,
                             struct diag *diag)
{
    struct encoder e = {a, ev, reply, out, diag};
    enum ph_err err = check_reply(&e);

    *out = (struct http_response){.status = 500};
    if (err == PH_OK)
        err = encode_kind(&e);
    if (err == PH_OK && reply->state.ptr)
        err = add_copy(&e, STR("ce-connectionState"), reply->state);
    if (err == PH_OK)
        err = add_metadata(&e);
    if (err == PH_OK)
        err = add_headers(&e);
    if (err != PH_OK)
        *out = (struct http_response){.status = 500};
    return err;
}
