/* eventListeners[] of a hub. */
#include "broker/config/event_handler.h"
#include "broker/config/event_listener.h"
#include "broker/config/file_reader.h"
#include "broker/config/hub_settings.h"

static enum ph_err read_endpoint(struct file_reader *r, const struct json *value, void *target)
{
    struct event_listener *l = target;

    l->endpoint = value->string;
    return event_listener__check_endpoint(value->string, r->diag);
}

static enum ph_err read_subject(struct file_reader *r, const struct json *value, void *target)
{
    struct event_listener *l = target;

    l->subject = value->string;
    return event_listener__check_subject(value->string, r->diag);
}

static enum ph_err add_heard_event(struct file_reader *r, struct str value, void *target)
{
    struct event_listener *l = target;

    return event_listener__add_system_event(value, &l->system_events, r->diag);
}

static enum ph_err read_heard_events(struct file_reader *r, const struct json *value, void *target)
{
    return file_reader__strings(r, value, target, add_heard_event);
}

static enum ph_err read_heard_pattern(struct file_reader *r, const struct json *value, void *target)
{
    struct event_listener *l = target;

    if (value->type == JSON_NULL || value->string.len == 0)
        return PH_OK;
    l->user_event_pattern = value->string;
    return event_handler__check_pattern(value->string, r->diag);
}

static const struct file_key filter_keys[] = {
    {STR("systemEvents"), TYPE(JSON_ARRAY) | TYPE(JSON_NULL),
     "an array of \"connected\" and \"disconnected\"", read_heard_events},
    {STR("userEventPattern"), TYPE(JSON_STRING) | TYPE(JSON_NULL),
     "\"*\", one event name or a comma list of names", read_heard_pattern},
};

static const struct file_table filter_table = {"eventNameFilter", filter_keys,
                                               sizeof(filter_keys) / sizeof(*filter_keys)};

static enum ph_err read_filter(struct file_reader *r, const struct json *value, void *target)
{
    return file_reader__object(r, &filter_table, value, target);
}

static const struct file_key listener_keys[] = {
    {STR("endpoint"), TYPE(JSON_STRING), "a nats:// URL", read_endpoint},
    {STR("subject"), TYPE(JSON_STRING), "a NATS subject", read_subject},
    {STR("eventNameFilter"), TYPE(JSON_OBJECT), "an object with systemEvents and userEventPattern",
     read_filter},
    {STR("filter"), TYPE(JSON_OBJECT), "an object with systemEvents and userEventPattern",
     read_filter}, /* its name in the management API of the service */
};

static const struct file_table listener_table = {"an event listener", listener_keys,
                                                 sizeof(listener_keys) / sizeof(*listener_keys)};

static enum ph_err read_event_listener(struct file_reader *r, const struct json *item,
                                       struct hub_settings *hub)
{
    struct event_listener row = {.subject = STR(SETTINGS_DEFAULT_SUBJECT)};
    enum ph_err err = file_reader__object(r, &listener_table, item, &row);

    if (err)
        return err;
    if (!row.endpoint.ptr)
        return diag__set(r->diag, PH_ERR_CONFIG, "an event listener must have an endpoint");
    if (!row.system_events && !row.user_event_pattern.ptr)
        return diag__set(r->diag, PH_ERR_CONFIG,
                         "an event listener must have an eventNameFilter with systemEvents, a "
                         "userEventPattern or both");
    return hub_settings__add_listener(r->s, hub, &row, r->diag);
}

enum ph_err file__event_listeners(struct file_reader *r, const struct json *value, void *target)
{
    enum ph_err err = PH_OK;

    for (const struct json *item = value->child; item && err == PH_OK; item = item->next)
        err = file_reader__at(r, item, read_event_listener(r, item, target));
    return err;
}
