/* hubs.{hub} */
#include "broker/config/file_reader.h"
#include "broker/config/hub_settings.h"

static enum ph_err read_anonymous(struct file_reader *r, const struct json *value, void *target)
{
    struct hub_settings *hub = target;

    hub->anonymous_allowed = str__eq_nocase(value->string, STR("allow"));
    if (hub->anonymous_allowed || str__eq_nocase(value->string, STR("deny")))
        return PH_OK;
    return diag__set(r->diag, PH_ERR_CONFIG,
                     "anonymousConnectPolicy must be \"allow\" or \"deny\", got \"%.*s\"",
                     STR_FMT(value->string));
}

static enum ph_err read_keep_alive(struct file_reader *r, const struct json *value, void *target)
{
    struct hub_settings *hub = target;
    uint64_t seconds;

    if (!json__to_u64(value, &seconds) || seconds < SETTINGS_MIN_KEEP_ALIVE ||
        seconds > SETTINGS_MAX_KEEP_ALIVE)
        return diag__set(r->diag, PH_ERR_CONFIG,
                         "webSocketKeepAliveIntervalInSeconds must be a whole number from %d to "
                         "%d, got %.*s",
                         SETTINGS_MIN_KEEP_ALIVE, SETTINGS_MAX_KEEP_ALIVE, STR_FMT(value->string));
    hub->keep_alive_seconds = (unsigned)seconds;
    return PH_OK;
}

/* compatibility (event-handler section 3.8) */

static enum ph_err read_failed_ack_event(struct file_reader *r, const struct json *value,
                                         void *target)
{
    struct hub_settings *hub = target;

    return file_reader__either(r, value, "ack", "close",
                               &hub->compatibility.close_on_failed_ack_event);
}

static enum ph_err read_failed_event(struct file_reader *r, const struct json *value, void *target)
{
    struct hub_settings *hub = target;

    return file_reader__either(r, value, "keep", "close",
                               &hub->compatibility.close_on_failed_event);
}

static enum ph_err read_ack_error(struct file_reader *r, const struct json *value, void *target)
{
    struct hub_settings *hub = target;

    return file_reader__either(r, value, "InternalServerError", "InvocationFailed",
                               &hub->compatibility.invocation_failed);
}

static enum ph_err read_raw_close(struct file_reader *r, const struct json *value, void *target)
{
    struct hub_settings *hub = target;
    uint64_t code;

    if (!json__to_u64(value, &code) || (code != 1000 && code != 1011))
        return diag__set(r->diag, PH_ERR_CONFIG,
                         "failedRawEventCloseCode must be 1011 or 1000, got %.*s",
                         STR_FMT(value->string));
    hub->compatibility.normal_raw_close = code == 1000;
    return PH_OK;
}

#define READ_FLAG(name, member)                                                                    \
    static enum ph_err name(struct file_reader *r, const struct json *value, void *target)         \
    {                                                                                              \
        (void)r;                                                                                   \
        ((struct hub_settings *)target)->compatibility.member = value->boolean;                    \
        return PH_OK;                                                                              \
    }

READ_FLAG(read_forward_body, forward_connect_body)
READ_FLAG(read_token_in_query, token_in_connect_query)
READ_FLAG(read_short_source, short_source)
READ_FLAG(read_charset, charset)
READ_FLAG(read_user_id_required, user_id_required)

#define EITHER TYPE(JSON_BOOL), "true or false"

static const struct file_key compatibility_keys[] = {
    {STR("failedEventWithAckId"), TYPE(JSON_STRING), "\"ack\" or \"close\"", read_failed_ack_event},
    {STR("failedEventWithoutAckId"), TYPE(JSON_STRING), "\"keep\" or \"close\"", read_failed_event},
    {STR("failedEventAckError"), TYPE(JSON_STRING),
     "\"InternalServerError\" or \"InvocationFailed\"", read_ack_error},
    {STR("failedRawEventCloseCode"), TYPE(JSON_NUMBER), "1011 or 1000", read_raw_close},
    {STR("forwardConnectErrorBody"), EITHER, read_forward_body},
    {STR("accessTokenInConnectQuery"), EITHER, read_token_in_query},
    {STR("shortEventSource"), EITHER, read_short_source},
    {STR("charsetInContentType"), EITHER, read_charset},
    {STR("userIdRequired"), EITHER, read_user_id_required},
};

static const struct file_table compatibility_table = {
    "compatibility", compatibility_keys, sizeof(compatibility_keys) / sizeof(*compatibility_keys)};

static enum ph_err read_compatibility(struct file_reader *r, const struct json *value, void *target)
{
    return file_reader__object(r, &compatibility_table, value, target);
}

static const struct file_key hub_keys[] = {
    {STR("anonymousConnectPolicy"), TYPE(JSON_STRING), "\"allow\" or \"deny\"", read_anonymous},
    {STR("webSocketKeepAliveIntervalInSeconds"), TYPE(JSON_NUMBER), "a whole number",
     read_keep_alive},
    {STR("eventHandlers"), TYPE(JSON_ARRAY), "an array", file__event_handlers},
    {STR("eventListeners"), TYPE(JSON_ARRAY), "an array", file__event_listeners},
    {STR("compatibility"), TYPE(JSON_OBJECT), "an object", read_compatibility},
};

static const struct file_table hub_table = {"a hub", hub_keys,
                                            sizeof(hub_keys) / sizeof(*hub_keys)};

static enum ph_err read_hub(struct file_reader *r, const struct json *member)
{
    struct hub_settings *hub = hub_settings__find(r->s, member->key);
    enum ph_err err;

    if (hub)
        return diag__set(r->diag, PH_ERR_CONFIG,
                         "hub \"%.*s\" is set twice; upper and lower case are the same",
                         STR_FMT(member->key));
    err = hub_settings__add(r->s, member->key, &hub, r->diag);
    return err ? err : file_reader__object(r, &hub_table, member, hub);
}
enum ph_err file__hubs(struct file_reader *r, const struct json *value, void *target)
{
    enum ph_err err = PH_OK;

    (void)target;
    for (const struct json *m = value->child; m && err == PH_OK; m = m->next)
        err = file_reader__at(r, m, read_hub(r, m));
    return err;
}
