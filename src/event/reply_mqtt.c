/* Replies to MQTT clients. What fits which client is known when the event is. */
#include "base/utf8.h"
#include "event/mqtt.h"
#include "event/reply.h"

#define MAX_CONTENT_TYPE 256

struct ph_reply *ph_reply_reject_mqtt(int code, const char *reason)
{
    struct str text = str__of(reason);
    struct ph_reply *reply = reply__new(REPLY_REJECT, text.len);

    if (!reply)
        return NULL;
    reply->has_mqtt_code = true;
    reply->mqtt_code = code;
    if (!utf8__valid(text))
        reply__fail(reply, "the reason of ph_reply_reject_mqtt() is not UTF-8");
    else if (reason)
        reply->text = reply__copy(reply, text);
    return reply;
}

void ph_reply_add_mqtt_property(struct ph_reply *reply, const char *name, const char *value)
{
    struct str n = str__of(name), v = str__of(value);

    if (!reply)
        return;
    if (reply->kind == REPLY_PASS || reply->kind == REPLY_DEFERRED)
        reply__fail(reply, "a reply that passes or is deferred has no MQTT properties");
    else if (!name || !value)
        reply__fail(reply, "the name or the value of an MQTT property is NULL");
    else if (!utf8__valid(n) || !utf8__valid(v) || str__has_control(n) || str__has_control(v))
        reply__fail(reply, "names and values of MQTT properties must be UTF-8 without control "
                           "characters");
    else
        reply__add_pair(reply, &reply->mqtt_properties, n, v);
}

/* Of "type/subtype; parameters". */
static bool is_content_type(struct str text)
{
    struct str subtype = http__media_type(text), type;

    return str__is_plain_value(text) && text.len <= MAX_CONTENT_TYPE &&
           str__split(&subtype, '/', &type) && http__is_token(type) && http__is_token(subtype);
}

void ph_reply_set_content_type(struct ph_reply *reply, const char *content_type)
{
    if (!reply)
        return;
    if (reply->kind != REPLY_DATA)
        reply__fail(reply, "a Content-Type belongs to replies with data");
    else if (!content_type || !is_content_type(str__of(content_type)))
        reply__fail(reply, "a Content-Type must be \"type/subtype\" with or without parameters, "
                           "256 characters at most");
    else
        reply->content_type = reply__copy(reply, str__of(content_type));
}
