#include "event/mqtt.h"

#include "base/base64.h"
#include "event/body.h"

#define MAX_CODE 255

/* --- Codes --------------------------------------------------------------------------- */

struct code_row {
    int code, status;
};

static const struct code_row codes_3[] = {
    {PH_MQTT_3_UNACCEPTABLE_PROTOCOL_VERSION, 400},
    {PH_MQTT_3_IDENTIFIER_REJECTED, 400},
    {PH_MQTT_3_SERVER_UNAVAILABLE, 503},
    {PH_MQTT_3_BAD_USER_NAME_OR_PASSWORD, 401},
    {PH_MQTT_3_NOT_AUTHORIZED, 401},
    {0, 0},
};

static const struct code_row codes_5[] = {
    {PH_MQTT_5_UNSPECIFIED_ERROR, 500},
    {PH_MQTT_5_MALFORMED_PACKET, 400},
    {PH_MQTT_5_PROTOCOL_ERROR, 500},
    {PH_MQTT_5_IMPLEMENTATION_SPECIFIC_ERROR, 400},
    {PH_MQTT_5_UNSUPPORTED_PROTOCOL_VERSION, 400},
    {PH_MQTT_5_CLIENT_IDENTIFIER_NOT_VALID, 400},
    {PH_MQTT_5_BAD_USER_NAME_OR_PASSWORD, 401},
    {PH_MQTT_5_NOT_AUTHORIZED, 401},
    {PH_MQTT_5_SERVER_UNAVAILABLE, 500},
    {PH_MQTT_5_SERVER_BUSY, 500},
    {PH_MQTT_5_BANNED, 403},
    {PH_MQTT_5_BAD_AUTHENTICATION_METHOD, 400},
    {PH_MQTT_5_TOPIC_NAME_INVALID, 400},
    {PH_MQTT_5_PACKET_TOO_LARGE, 400},
    {PH_MQTT_5_QUOTA_EXCEEDED, 429},
    {PH_MQTT_5_PAYLOAD_FORMAT_INVALID, 400},
    {PH_MQTT_5_RETAIN_NOT_SUPPORTED, 400},
    {PH_MQTT_5_QOS_NOT_SUPPORTED, 400},
    {PH_MQTT_5_USE_ANOTHER_SERVER, 500},
    {PH_MQTT_5_SERVER_MOVED, 500},
    {PH_MQTT_5_CONNECTION_RATE_EXCEEDED, 429},
    {0, 0},
};

int mqtt__status(enum ph_mqtt_version version, int code)
{
    const struct code_row *row = version == PH_MQTT_3_1_1 ? codes_3 : codes_5;

    while (row->status > 0 && row->code != code)
        row++;
    return version == PH_MQTT_UNKNOWN ? 0 : row->status;
}

/* The first three rows are the service's own; the next say what such a status means, and the
 * last row is for all others of its class. */
static const struct {
    int status, code_3, code_5;
} by_status[] = {
    {400, PH_MQTT_3_BAD_USER_NAME_OR_PASSWORD, PH_MQTT_5_BAD_USER_NAME_OR_PASSWORD},
    {401, PH_MQTT_3_NOT_AUTHORIZED, PH_MQTT_5_NOT_AUTHORIZED},
    {500, PH_MQTT_3_SERVER_UNAVAILABLE, PH_MQTT_5_UNSPECIFIED_ERROR},
    {403, PH_MQTT_3_NOT_AUTHORIZED, PH_MQTT_5_NOT_AUTHORIZED},
    {429, PH_MQTT_3_SERVER_UNAVAILABLE, PH_MQTT_5_CONNECTION_RATE_EXCEEDED},
    {503, PH_MQTT_3_SERVER_UNAVAILABLE, PH_MQTT_5_SERVER_UNAVAILABLE},
};

int mqtt__code(enum ph_mqtt_version version, int status)
{
    for (size_t i = 0; i < sizeof(by_status) / sizeof(*by_status); i++) {
        if (by_status[i].status == status)
            return version == PH_MQTT_3_1_1 ? by_status[i].code_3 : by_status[i].code_5;
    }
    if (version == PH_MQTT_5)
        return PH_MQTT_5_UNSPECIFIED_ERROR;
    return status < 500 ? PH_MQTT_3_NOT_AUTHORIZED : PH_MQTT_3_SERVER_UNAVAILABLE;
}

/* --- Bodies ---------------------------------------------------------------------------- */

static enum ph_err out_of_memory(struct diag *diag)
{
    return diag__set(diag, PH_ERR_MEMORY, "out of memory");
}

static enum ph_err read_optional(const struct json *object, const char *key, const char *where,
                                 struct str *out, struct diag *diag)
{
    const struct json *node = json__get(object, str__of(key));

    return body__is_given(node) ? body__read_string(node, where, out, diag) : PH_OK;
}

static enum ph_err read_flag(const struct json *object, const char *key, const char *where,
                             bool *out, struct diag *diag)
{
    const struct json *node = json__get(object, str__of(key));

    if (!body__is_given(node))
        return PH_OK;
    if (node->type != JSON_BOOL)
        return body__wrong_type(diag, where, node, "a boolean");
    *out = node->boolean;
    return PH_OK;
}

static enum ph_err read_property(struct arena *a, const struct json *item, struct http_headers *out,
                                 struct diag *diag)
{
    const struct json *name = json__get(item, STR("name")), *value = json__get(item, STR("value"));
    struct http_header property;
    enum ph_err err;

    if (!name || !value)
        return diag__set(diag, PH_ERR_SYNTAX,
                         "body: mqtt.userProperties is an array of something else, expected "
                         "objects with name and value");
    err = body__read_string(name, "mqtt.userProperties.name", &property.name, diag);
    if (err == PH_OK)
        err = body__read_string(value, "mqtt.userProperties.value", &property.value, diag);
    if (err == PH_OK && !http__add(a, out, property.name, property.value))
        err = out_of_memory(diag);
    return err;
}

enum ph_err mqtt__read_properties(struct arena *a, const struct json *list,
                                  struct http_headers *out, struct diag *diag)
{
    enum ph_err err = PH_OK;

    if (!body__is_given(list))
        return PH_OK;
    if (list->type != JSON_ARRAY)
        return body__wrong_type(diag, "mqtt.userProperties", list, "an array of objects");
    for (const struct json *item = list->child; err == PH_OK && item; item = item->next)
        err = read_property(a, item, out, diag);
    return err;
}

static enum ph_err read_version(const struct json *object, struct event_mqtt *mqtt,
                                struct diag *diag)
{
    const struct json *node = json__get(object, STR("protocolVersion"));
    uint64_t version = 0;

    if (!json__to_u64(node, &version) || (version != PH_MQTT_3_1_1 && version != PH_MQTT_5))
        return diag__set(diag, PH_ERR_SYNTAX, "body: mqtt.protocolVersion is %.*s, expected 4 or 5",
                         STR_FMT(node ? node->raw : STR("missing")));
    mqtt->version = version == PH_MQTT_5 ? PH_MQTT_5 : PH_MQTT_3_1_1;
    return PH_OK;
}

static enum ph_err read_password(struct arena *a, const struct json *object,
                                 struct event_mqtt *mqtt, struct diag *diag)
{
    struct str text = STR_NONE;
    enum ph_err err = read_optional(object, "password", "mqtt.password", &text, diag);

    if (err != PH_OK || !text.ptr)
        return err;
    mqtt->password = base64__decode(a, text);
    if (mqtt->password.ptr)
        return PH_OK;
    if (!arena__alloc(a, text.len))
        return out_of_memory(diag);
    return diag__set(diag, PH_ERR_SYNTAX, "body: mqtt.password is not valid base64");
}

static enum ph_err read_connect(struct arena *a, const struct json *object, struct event_mqtt *mqtt,
                                struct diag *diag)
{
    enum ph_err err = read_version(object, mqtt, diag);

    if (err == PH_OK)
        err = read_flag(object, "cleanStart", "mqtt.cleanStart", &mqtt->clean_start, diag);
    if (err == PH_OK)
        err = read_optional(object, "username", "mqtt.username", &mqtt->username, diag);
    return err == PH_OK ? read_password(a, object, mqtt, diag) : err;
}

static enum ph_err read_packet(const struct json *packet, struct event_mqtt *mqtt,
                               struct diag *diag)
{
    const struct json *node = json__get(packet, STR("code"));
    uint64_t code = 0;

    if (!body__is_given(packet))
        return PH_OK;
    if (packet->type != JSON_OBJECT)
        return body__wrong_type(diag, "mqtt.disconnectPacket", packet, "an object or null");
    if (!json__to_u64(node, &code) || code > MAX_CODE)
        return diag__set(diag, PH_ERR_SYNTAX,
                         "body: mqtt.disconnectPacket.code is %.*s, expected a number up to %d",
                         STR_FMT(node ? node->raw : STR("missing")), MAX_CODE);
    mqtt->has_packet = true;
    mqtt->code = (int)code;
    return PH_OK;
}

static enum ph_err read_disconnected(const struct json *object, struct event_mqtt *mqtt,
                                     struct diag *diag)
{
    enum ph_err err = read_flag(object, "initiatedByClient", "mqtt.initiatedByClient",
                                &mqtt->initiated_by_client, diag);

    return err == PH_OK ? read_packet(json__get(object, STR("disconnectPacket")), mqtt, diag) : err;
}

enum ph_err mqtt__read(struct arena *a, const struct json *object, struct ph_event *ev,
                       struct diag *diag)
{
    struct event_mqtt *mqtt = arena__zalloc(a, sizeof(*mqtt));
    const struct json *owner = object;
    enum ph_err err;

    if (!mqtt)
        return out_of_memory(diag);
    if (object->type != JSON_OBJECT)
        return body__wrong_type(diag, "mqtt", object, "an object");
    if (ev->kind == PH_EVENT_CONNECT) {
        err = read_connect(a, object, mqtt, diag);
    } else {
        err = read_disconnected(object, mqtt, diag);
        owner = json__get(object, STR("disconnectPacket"));
    }
    if (err == PH_OK)
        err = mqtt__read_properties(a, json__get(owner, STR("userProperties")),
                                    &ev->mqtt_properties, diag);
    ev->mqtt = mqtt;
    return err;
}

void mqtt__write_properties(struct buf *out, const struct http_headers *properties)
{
    buf__byte(out, '[');
    for (size_t i = 0; i < properties->count; i++) {
        buf__str(out, i > 0 ? STR(",{\"name\":") : STR("{\"name\":"));
        json__quote(out, properties->items[i].name);
        buf__str(out, STR(",\"value\":"));
        json__quote(out, properties->items[i].value);
        buf__byte(out, '}');
    }
    buf__byte(out, ']');
}

static void write_properties_or_null(struct buf *out, const struct http_headers *properties)
{
    buf__str(out, STR(",\"userProperties\":"));
    if (properties->count > 0)
        mqtt__write_properties(out, properties);
    else
        buf__str(out, STR("null"));
}

static void write_password(struct buf *out, struct str password)
{
    if (!password.ptr) {
        buf__str(out, STR("null"));
        return;
    }
    buf__byte(out, '"');
    base64__encode(out, password.ptr, password.len);
    buf__byte(out, '"');
}

static void write_connect(struct buf *out, const struct ph_event *ev)
{
    const struct event_mqtt *mqtt = ev->mqtt;

    buf__printf(out, "{\"protocolVersion\":%d,\"cleanStart\":%s,\"username\":", (int)mqtt->version,
                mqtt->clean_start ? "true" : "false");
    body__write_optional(out, mqtt->username);
    buf__str(out, STR(",\"password\":"));
    write_password(out, mqtt->password);
    write_properties_or_null(out, &ev->mqtt_properties);
    buf__byte(out, '}');
}

static void write_disconnected(struct buf *out, const struct ph_event *ev)
{
    buf__printf(out, "{\"initiatedByClient\":%s,\"disconnectPacket\":",
                ev->mqtt->initiated_by_client ? "true" : "false");
    if (ev->mqtt->has_packet) {
        buf__printf(out, "{\"code\":%d", ev->mqtt->code);
        write_properties_or_null(out, &ev->mqtt_properties);
        buf__byte(out, '}');
    } else {
        buf__str(out, STR("null"));
    }
    buf__byte(out, '}');
}

void mqtt__write(struct buf *out, const struct ph_event *ev)
{
    if (ev->kind == PH_EVENT_CONNECT)
        write_connect(out, ev);
    else
        write_disconnected(out, ev);
}

/* --- Headers ----------------------------------------------------------------------------- */

bool mqtt__from_headers(struct arena *a, const struct http_headers *headers,
                        struct http_headers *out)
{
    for (size_t i = 0; i < headers->count; i++) {
        const struct http_header *h = &headers->items[i];
        struct str name;

        if (!str__starts_with_nocase(h->name, MQTT_HEADER_PREFIX) ||
            h->name.len == MQTT_HEADER_PREFIX.len)
            continue;
        name = str__n(h->name.ptr + MQTT_HEADER_PREFIX.len, h->name.len - MQTT_HEADER_PREFIX.len);
        name.ptr = arena__strdup(a, name);
        if (!name.ptr || !http__add(a, out, name, h->value))
            return false;
    }
    return true;
}

const char *mqtt__header_problem(const struct http_header *property)
{
    if (!http__is_token(property->name))
        return "the name of an MQTT property of a user event must hold only characters of an "
               "HTTP header's name";
    if (!str__is_plain_value(property->value))
        return "the value of an MQTT property of a user event must be printable ASCII without "
               "white space at its ends";
    return NULL;
}

enum ph_err mqtt__to_headers(struct arena *a, const struct http_headers *properties,
                             struct http_headers *headers, struct diag *diag)
{
    for (size_t i = 0; i < properties->count; i++) {
        const struct http_header *property = &properties->items[i];
        const char *problem = mqtt__header_problem(property);
        char *name, *value;

        if (problem)
            return diag__set(diag, PH_ERR_ARGUMENT, "%s", problem);
        name = arena__printf(a, "mqtt-%.*s", STR_FMT(property->name));
        value = arena__strdup(a, property->value);
        if (!name || !value ||
            !http__add(a, headers, str__of(name), str__n(value, property->value.len)))
            return out_of_memory(diag);
    }
    return PH_OK;
}
