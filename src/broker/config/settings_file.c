/* The configuration file: JSON with comments, the names of the service's hub settings
 * (event-handler section 5). Each object is a table of its keys. */
#include "base/buf.h"
#include "base/json.h"
#include "broker/config/endpoint.h"
#include "broker/config/entra.h"
#include "broker/config/event_handler.h"
#include "broker/config/event_listener.h"
#include "broker/config/hub_settings.h"
#include "broker/config/values.h"

#include <stdio.h>

#define MAX_TREE (64u << 20) /* the JSON tree of a file of the largest size */
#define MAX_PATH 4096        /* bytes of the name of a file */
#define MAX_NAMES 4096       /* bytes of all names of a table, in a text */

struct reader {
    struct settings *s;
    const char *file_name;
    struct str text;
    struct diag *diag;
    bool placed; /* the diagnostic names file and line already */
};

#define TYPE(type) (1u << (type))

/* One key of an object. `target` is the thing that the object describes. */
struct key {
    struct str name;
    unsigned types; /* TYPE bits */
    const char *expected;
    enum ph_err (*read)(struct reader *r, const struct json *value, void *target);
};

struct table {
    const char *what; /* the object's name in texts */
    const struct key *keys;
    size_t count;
};

/* Puts "FILE:LINE: " before the diagnostic, unless it has a place, and makes it the file's fault.
 */
static enum ph_err at(struct reader *r, const struct json *node, enum ph_err err)
{
    struct diag why = *r->diag;

    if (err == PH_OK || r->placed)
        return err;
    r->placed = true;
    return diag__set(r->diag, err == PH_ERR_MEMORY ? err : PH_ERR_CONFIG, "%s:%u: %.*s",
                     r->file_name, json__line(r->text, node), (int)sizeof(why.text) - 1, why.text);
}

static enum ph_err unknown_key(struct reader *r, const struct table *table,
                               const struct json *member)
{
    struct buf names;
    enum ph_err err;

    buf__init(&names, MAX_NAMES);
    for (size_t i = 0; i < table->count; i++) {
        buf__str(&names, i ? STR(", ") : STR(""));
        buf__str(&names, table->keys[i].name);
    }
    err = diag__set(r->diag, PH_ERR_CONFIG, "unknown key \"%.*s\" in %s; it may have %.*s",
                    STR_FMT(member->key), table->what, STR_FMT(buf__view(&names)));
    buf__free(&names);
    return err;
}

/* There are no more of them than keys in the object's table. */
static bool came_before(const struct json *object, const struct json *member)
{
    const struct json *m = object->child;

    while (m != member && !str__eq(m->key, member->key))
        m = m->next;
    return m != member;
}

static enum ph_err read_member(struct reader *r, const struct table *table,
                               const struct json *object, const struct json *member, void *target)
{
    size_t i = 0;

    while (i < table->count && !str__eq(table->keys[i].name, member->key))
        i++;
    if (i == table->count)
        return unknown_key(r, table, member);
    if (came_before(object, member))
        return diag__set(r->diag, PH_ERR_CONFIG, "%.*s is set twice", STR_FMT(member->key));
    if (!(table->keys[i].types & TYPE(member->type)))
        return diag__set(r->diag, PH_ERR_CONFIG, "%.*s must be %s, got %s", STR_FMT(member->key),
                         table->keys[i].expected, json__type_name(member));
    return table->keys[i].read(r, member, target);
}

static enum ph_err read_object(struct reader *r, const struct table *table,
                               const struct json *object, void *target)
{
    enum ph_err err = PH_OK;

    if (object->type != JSON_OBJECT)
        return diag__set(r->diag, PH_ERR_CONFIG, "%s must be an object, got %s", table->what,
                         json__type_name(object));
    for (const struct json *m = object->child; m && err == PH_OK; m = m->next)
        err = at(r, m, read_member(r, table, object, m, target));
    return err;
}

/* For arrays of strings: gives each to `add`. */
static enum ph_err read_strings(struct reader *r, const struct json *array, void *target,
                                enum ph_err (*add)(struct reader *r, struct str value,
                                                   void *target))
{
    enum ph_err err = PH_OK;

    for (const struct json *item = array->child; item && err == PH_OK; item = item->next) {
        if (item->type == JSON_STRING)
            err = add(r, item->string, target);
        else
            err = diag__set(r->diag, PH_ERR_CONFIG, "%.*s must hold strings, got %s",
                            STR_FMT(array->key), json__type_name(item));
        err = at(r, item, err);
    }
    return err;
}

/* Values that come again and again ------------------------------------------------- */

static enum ph_err read_number(struct reader *r, const struct json *value, uint64_t min,
                               uint64_t max, unsigned *out)
{
    uint64_t number;

    if (!json__to_u64(value, &number) || number < min || number > max)
        return diag__set(r->diag, PH_ERR_CONFIG,
                         "%.*s must be a whole number from %llu to %llu, got %.*s",
                         STR_FMT(value->key), (unsigned long long)min, (unsigned long long)max,
                         STR_FMT(value->string));
    *out = (unsigned)number;
    return PH_OK;
}

/* One of two words; *second says whether it is the second. */
static enum ph_err read_either(struct reader *r, const struct json *value, const char *first_word,
                               const char *second_word, bool *second)
{
    *second = str__eq_nocase(value->string, str__of(second_word));
    if (*second || str__eq_nocase(value->string, str__of(first_word)))
        return PH_OK;
    return diag__set(r->diag, PH_ERR_CONFIG, "%.*s must be \"%s\" or \"%s\", got \"%.*s\"",
                     STR_FMT(value->key), first_word, second_word, STR_FMT(value->string));
}

static enum ph_err read_path(struct reader *r, const struct json *value, struct str *out)
{
    if (value->string.len == 0 || value->string.len > MAX_PATH ||
        memchr(value->string.ptr, '\0', value->string.len))
        return diag__set(r->diag, PH_ERR_CONFIG, "%.*s must be the path of a file",
                         STR_FMT(value->key));
    *out = value->string;
    return PH_OK;
}

/* eventHandlers[] ------------------------------------------------------------------ */

/* A row, with room for its lists until it is copied. */
struct draft {
    struct event_handler row;
    struct str filters[SETTINGS_MAX_GROUP_FILTERS];
    struct str command[SETTINGS_MAX_COMMAND];
    const struct json *auth_file, *auth_command, *auth_refresh;
};

static enum ph_err read_url_template(struct reader *r, const struct json *value, void *target)
{
    struct draft *d = target;

    d->row.url_template = value->string;
    return event_handler__check_url(value->string, r->diag);
}

/* null: no user events. */
static enum ph_err read_user_event_pattern(struct reader *r, const struct json *value, void *target)
{
    struct draft *d = target;

    if (value->type == JSON_NULL)
        return PH_OK;
    d->row.user_event_pattern = value->string;
    return event_handler__check_pattern(value->string, r->diag);
}

static enum ph_err add_system_event(struct reader *r, struct str value, void *target)
{
    struct draft *d = target;

    return event_handler__add_system_event(value, &d->row.system_events, r->diag);
}

static enum ph_err read_system_events(struct reader *r, const struct json *value, void *target)
{
    return read_strings(r, value, target, add_system_event);
}

static enum ph_err read_ca_file(struct reader *r, const struct json *value, void *target)
{
    struct draft *d = target;

    return read_path(r, value, &d->row.ca_file);
}

static enum ph_err read_max_requests(struct reader *r, const struct json *value, void *target)
{
    struct draft *d = target;

    return read_number(r, value, 1, SETTINGS_MAX_REQUESTS, &d->row.max_requests);
}

static enum ph_err read_max_queued(struct reader *r, const struct json *value, void *target)
{
    struct draft *d = target;

    return read_number(r, value, 1, SETTINGS_MAX_QUEUED_EVENTS, &d->row.max_queued);
}

/* groupPresenceEvents (official-emulator section 3.7) */

static enum ph_err add_presence_event(struct reader *r, struct str value, void *target)
{
    struct draft *d = target;

    return event_handler__add_presence_event(value, &d->row.presence_events, r->diag);
}

static enum ph_err read_presence_names(struct reader *r, const struct json *value, void *target)
{
    return read_strings(r, value, target, add_presence_event);
}

static enum ph_err add_group_filter(struct reader *r, struct str value, void *target)
{
    struct draft *d = target;

    if (d->row.group_filter_count == SETTINGS_MAX_GROUP_FILTERS)
        return diag__set(r->diag, PH_ERR_CONFIG, "groupFilters must hold at most %d patterns",
                         SETTINGS_MAX_GROUP_FILTERS);
    d->filters[d->row.group_filter_count++] = value;
    d->row.group_filters = d->filters;
    return event_handler__check_group_filter(value, r->diag);
}

static enum ph_err read_group_filters(struct reader *r, const struct json *value, void *target)
{
    return read_strings(r, value, target, add_group_filter);
}

static const struct key presence_keys[] = {
    {STR("eventNames"), TYPE(JSON_ARRAY) | TYPE(JSON_NULL), "an array of \"joined\" and \"left\"",
     read_presence_names},
    {STR("groupFilters"), TYPE(JSON_ARRAY) | TYPE(JSON_NULL), "an array of patterns",
     read_group_filters},
};

static const struct table presence_table = {"groupPresenceEvents", presence_keys,
                                            sizeof(presence_keys) / sizeof(*presence_keys)};

static enum ph_err read_presence(struct reader *r, const struct json *value, void *target)
{
    return value->type == JSON_NULL ? PH_OK : read_object(r, &presence_table, value, target);
}

/* circuitBreaker */

static enum ph_err read_breaker_failures(struct reader *r, const struct json *value, void *target)
{
    struct draft *d = target;
    enum ph_err err =
        read_number(r, value, 0, SETTINGS_MAX_BREAKER_FAILURES, &d->row.breaker_failures);

    d->row.breaker_off = d->row.breaker_failures == 0;
    return err;
}

static enum ph_err read_breaker_seconds(struct reader *r, const struct json *value, void *target)
{
    struct draft *d = target;

    return read_number(r, value, 1, SETTINGS_MAX_BREAKER_SECONDS, &d->row.breaker_seconds);
}

static const struct key breaker_keys[] = {
    {STR("failures"), TYPE(JSON_NUMBER), "a whole number", read_breaker_failures},
    {STR("maxWaitSeconds"), TYPE(JSON_NUMBER), "a whole number", read_breaker_seconds},
};

static const struct table breaker_table = {"circuitBreaker", breaker_keys,
                                           sizeof(breaker_keys) / sizeof(*breaker_keys)};

static enum ph_err read_breaker(struct reader *r, const struct json *value, void *target)
{
    return read_object(r, &breaker_table, value, target);
}

/* auth */

static const struct {
    struct str name;
    enum token_origin origin;
} auth_types[] = {
    {STR("None"), TOKEN_NONE},
    {STR("BearerFile"), TOKEN_FILE},
    {STR("BearerCommand"), TOKEN_COMMAND},
};

static enum ph_err read_auth_type(struct reader *r, const struct json *value, void *target)
{
    struct draft *d = target;

    for (size_t i = 0; i < sizeof(auth_types) / sizeof(*auth_types); i++) {
        if (str__eq_nocase(value->string, auth_types[i].name)) {
            d->row.auth.origin = auth_types[i].origin;
            return PH_OK;
        }
    }
    if (str__eq_nocase(value->string, STR("ManagedIdentity")))
        return diag__set(r->diag, PH_ERR_CONFIG,
                         "only the cloud service has a ManagedIdentity; use \"BearerFile\" or "
                         "\"BearerCommand\" with something that fetches a token");
    return diag__set(r->diag, PH_ERR_CONFIG,
                     "type must be \"None\", \"BearerFile\" or \"BearerCommand\", got \"%.*s\"",
                     STR_FMT(value->string));
}

static enum ph_err read_auth_file(struct reader *r, const struct json *value, void *target)
{
    struct draft *d = target;

    d->auth_file = value;
    return read_path(r, value, &d->row.auth.file);
}

static enum ph_err add_command_word(struct reader *r, struct str value, void *target)
{
    struct draft *d = target;

    if (d->row.auth.command_count == SETTINGS_MAX_COMMAND || value.len > MAX_PATH ||
        memchr(value.ptr, '\0', value.len))
        return diag__set(r->diag, PH_ERR_CONFIG,
                         "command must hold at most %d words, each of at most %d bytes without NUL",
                         SETTINGS_MAX_COMMAND, MAX_PATH);
    d->command[d->row.auth.command_count++] = value;
    d->row.auth.command = d->command;
    return PH_OK;
}

static enum ph_err read_auth_command(struct reader *r, const struct json *value, void *target)
{
    struct draft *d = target;

    d->auth_command = value;
    return read_strings(r, value, target, add_command_word);
}

static enum ph_err read_auth_refresh(struct reader *r, const struct json *value, void *target)
{
    struct draft *d = target;

    d->auth_refresh = value;
    return read_number(r, value, 1, SETTINGS_MAX_TOKEN_SECONDS, &d->row.auth.refresh_seconds);
}

static const struct key auth_keys[] = {
    {STR("type"), TYPE(JSON_STRING), "a string", read_auth_type},
    {STR("file"), TYPE(JSON_STRING), "the path of a file", read_auth_file},
    {STR("command"), TYPE(JSON_ARRAY), "an array of strings", read_auth_command},
    {STR("refreshSeconds"), TYPE(JSON_NUMBER), "a whole number", read_auth_refresh},
};

static const struct table auth_table = {"auth", auth_keys, sizeof(auth_keys) / sizeof(*auth_keys)};

/* Each type has its own members, which would do nothing beside another type. */
static const char *auth_problem(const struct draft *d)
{
    const struct handler_auth *auth = &d->row.auth;

    if (auth->origin == TOKEN_FILE && !auth->file.ptr)
        return "auth of type \"BearerFile\" must have a file";
    if (auth->origin == TOKEN_COMMAND && (auth->command_count == 0 || auth->command[0].len == 0))
        return "auth of type \"BearerCommand\" must have a command: the program and its arguments";
    if (auth->origin != TOKEN_FILE && d->auth_file)
        return "file belongs to auth of type \"BearerFile\"";
    if (auth->origin != TOKEN_COMMAND && (d->auth_command || d->auth_refresh))
        return "command and refreshSeconds belong to auth of type \"BearerCommand\"";
    return NULL;
}

static enum ph_err read_auth(struct reader *r, const struct json *value, void *target)
{
    struct draft *d = target;
    enum ph_err err = value->type == JSON_NULL ? PH_OK : read_object(r, &auth_table, value, d);
    const char *problem = err ? NULL : auth_problem(d);

    if (problem)
        return diag__set(r->diag, PH_ERR_CONFIG, "%s", problem);
    if (d->row.auth.origin == TOKEN_COMMAND && d->row.auth.refresh_seconds == 0)
        d->row.auth.refresh_seconds = SETTINGS_DEFAULT_TOKEN_SECONDS;
    return err;
}

static const struct key event_handler_keys[] = {
    {STR("urlTemplate"), TYPE(JSON_STRING), "an http:// or https:// URL", read_url_template},
    {STR("userEventPattern"), TYPE(JSON_STRING) | TYPE(JSON_NULL),
     "\"*\", one event name or a comma list of names", read_user_event_pattern},
    {STR("systemEvents"), TYPE(JSON_ARRAY) | TYPE(JSON_NULL),
     "an array of \"connect\", \"connected\" and \"disconnected\"", read_system_events},
    {STR("groupPresenceEvents"), TYPE(JSON_OBJECT) | TYPE(JSON_NULL),
     "an object with eventNames and groupFilters", read_presence},
    {STR("auth"), TYPE(JSON_OBJECT) | TYPE(JSON_NULL), "an object with a type", read_auth},
    {STR("caFile"), TYPE(JSON_STRING), "the path of a file", read_ca_file},
    {STR("maxConcurrentRequests"), TYPE(JSON_NUMBER), "a whole number", read_max_requests},
    {STR("maxQueuedEvents"), TYPE(JSON_NUMBER), "a whole number", read_max_queued},
    {STR("circuitBreaker"), TYPE(JSON_OBJECT), "an object with failures and maxWaitSeconds",
     read_breaker},
};

static const struct table event_handler_table = {"an event handler", event_handler_keys,
                                                 sizeof(event_handler_keys) /
                                                     sizeof(*event_handler_keys)};

static enum ph_err read_event_handler(struct reader *r, const struct json *item,
                                      struct hub_settings *hub)
{
    struct draft d = {.row = {.system_events = 0}};
    enum ph_err err = read_object(r, &event_handler_table, item, &d);

    if (err)
        return err;
    if (!d.row.url_template.ptr)
        return diag__set(r->diag, PH_ERR_CONFIG, "an event handler must have a urlTemplate");
    return hub_settings__add_handler(r->s, hub, &d.row, r->diag);
}

/* eventListeners[] ----------------------------------------------------------------- */

static enum ph_err read_endpoint(struct reader *r, const struct json *value, void *target)
{
    struct event_listener *l = target;

    l->endpoint = value->string;
    return event_listener__check_endpoint(value->string, r->diag);
}

static enum ph_err read_subject(struct reader *r, const struct json *value, void *target)
{
    struct event_listener *l = target;

    l->subject = value->string;
    return event_listener__check_subject(value->string, r->diag);
}

static enum ph_err add_heard_event(struct reader *r, struct str value, void *target)
{
    struct event_listener *l = target;

    return event_listener__add_system_event(value, &l->system_events, r->diag);
}

static enum ph_err read_heard_events(struct reader *r, const struct json *value, void *target)
{
    return read_strings(r, value, target, add_heard_event);
}

static enum ph_err read_heard_pattern(struct reader *r, const struct json *value, void *target)
{
    struct event_listener *l = target;

    if (value->type == JSON_NULL || value->string.len == 0)
        return PH_OK;
    l->user_event_pattern = value->string;
    return event_handler__check_pattern(value->string, r->diag);
}

static const struct key filter_keys[] = {
    {STR("systemEvents"), TYPE(JSON_ARRAY) | TYPE(JSON_NULL),
     "an array of \"connected\" and \"disconnected\"", read_heard_events},
    {STR("userEventPattern"), TYPE(JSON_STRING) | TYPE(JSON_NULL),
     "\"*\", one event name or a comma list of names", read_heard_pattern},
};

static const struct table filter_table = {"eventNameFilter", filter_keys,
                                          sizeof(filter_keys) / sizeof(*filter_keys)};

static enum ph_err read_filter(struct reader *r, const struct json *value, void *target)
{
    return read_object(r, &filter_table, value, target);
}

static const struct key listener_keys[] = {
    {STR("endpoint"), TYPE(JSON_STRING), "a nats:// URL", read_endpoint},
    {STR("subject"), TYPE(JSON_STRING), "a NATS subject", read_subject},
    {STR("eventNameFilter"), TYPE(JSON_OBJECT), "an object with systemEvents and userEventPattern",
     read_filter},
    {STR("filter"), TYPE(JSON_OBJECT), "an object with systemEvents and userEventPattern",
     read_filter}, /* its name in the management API of the service */
};

static const struct table listener_table = {"an event listener", listener_keys,
                                            sizeof(listener_keys) / sizeof(*listener_keys)};

static enum ph_err read_event_listener(struct reader *r, const struct json *item,
                                       struct hub_settings *hub)
{
    struct event_listener row = {.subject = STR(SETTINGS_DEFAULT_SUBJECT)};
    enum ph_err err = read_object(r, &listener_table, item, &row);

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

static enum ph_err read_event_listeners(struct reader *r, const struct json *value, void *target)
{
    enum ph_err err = PH_OK;

    for (const struct json *item = value->child; item && err == PH_OK; item = item->next)
        err = at(r, item, read_event_listener(r, item, target));
    return err;
}

/* hubs.{hub} ----------------------------------------------------------------------- */

static enum ph_err read_event_handlers(struct reader *r, const struct json *value, void *target)
{
    enum ph_err err = PH_OK;

    for (const struct json *item = value->child; item && err == PH_OK; item = item->next)
        err = at(r, item, read_event_handler(r, item, target));
    return err;
}

static enum ph_err read_anonymous(struct reader *r, const struct json *value, void *target)
{
    struct hub_settings *hub = target;

    hub->anonymous_allowed = str__eq_nocase(value->string, STR("allow"));
    if (hub->anonymous_allowed || str__eq_nocase(value->string, STR("deny")))
        return PH_OK;
    return diag__set(r->diag, PH_ERR_CONFIG,
                     "anonymousConnectPolicy must be \"allow\" or \"deny\", got \"%.*s\"",
                     STR_FMT(value->string));
}

static enum ph_err read_keep_alive(struct reader *r, const struct json *value, void *target)
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

static enum ph_err read_failed_ack_event(struct reader *r, const struct json *value, void *target)
{
    struct hub_settings *hub = target;

    return read_either(r, value, "ack", "close", &hub->compatibility.close_on_failed_ack_event);
}

static enum ph_err read_failed_event(struct reader *r, const struct json *value, void *target)
{
    struct hub_settings *hub = target;

    return read_either(r, value, "keep", "close", &hub->compatibility.close_on_failed_event);
}

static enum ph_err read_ack_error(struct reader *r, const struct json *value, void *target)
{
    struct hub_settings *hub = target;

    return read_either(r, value, "InternalServerError", "InvocationFailed",
                       &hub->compatibility.invocation_failed);
}

static enum ph_err read_raw_close(struct reader *r, const struct json *value, void *target)
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
    static enum ph_err name(struct reader *r, const struct json *value, void *target)              \
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

static const struct key compatibility_keys[] = {
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

static const struct table compatibility_table = {
    "compatibility", compatibility_keys, sizeof(compatibility_keys) / sizeof(*compatibility_keys)};

static enum ph_err read_compatibility(struct reader *r, const struct json *value, void *target)
{
    return read_object(r, &compatibility_table, value, target);
}

static const struct key hub_keys[] = {
    {STR("anonymousConnectPolicy"), TYPE(JSON_STRING), "\"allow\" or \"deny\"", read_anonymous},
    {STR("webSocketKeepAliveIntervalInSeconds"), TYPE(JSON_NUMBER), "a whole number",
     read_keep_alive},
    {STR("eventHandlers"), TYPE(JSON_ARRAY), "an array", read_event_handlers},
    {STR("eventListeners"), TYPE(JSON_ARRAY), "an array", read_event_listeners},
    {STR("compatibility"), TYPE(JSON_OBJECT), "an object", read_compatibility},
};

static const struct table hub_table = {"a hub", hub_keys, sizeof(hub_keys) / sizeof(*hub_keys)};

static enum ph_err read_hub(struct reader *r, const struct json *member)
{
    struct hub_settings *hub = hub_settings__find(r->s, member->key);
    enum ph_err err;

    if (hub)
        return diag__set(r->diag, PH_ERR_CONFIG,
                         "hub \"%.*s\" is set twice; upper and lower case are the same",
                         STR_FMT(member->key));
    err = hub_settings__add(r->s, member->key, &hub, r->diag);
    return err ? err : read_object(r, &hub_table, member, hub);
}

/* entra ---------------------------------------------------------------------------- */

/* Strings of the file are gone after it was read. */
static enum ph_err keep(struct reader *r, const struct json *value, struct str *to)
{
    char *copy = arena__strdup(&r->s->arena, value->string);

    if (value->string.len == 0)
        return diag__set(r->diag, PH_ERR_CONFIG, "%.*s must not be empty", STR_FMT(value->key));
    if (!copy)
        return diag__set(r->diag, PH_ERR_MEMORY, "out of memory");
    *to = str__n(copy, value->string.len);
    return PH_OK;
}

static enum ph_err read_issuer(struct reader *r, const struct json *value, void *target)
{
    return keep(r, value, &((struct entra_settings *)target)->issuer);
}

static enum ph_err read_audience(struct reader *r, const struct json *value, void *target)
{
    return keep(r, value, &((struct entra_settings *)target)->audience);
}

static enum ph_err read_jwks_file(struct reader *r, const struct json *value, void *target)
{
    return keep(r, value, &((struct entra_settings *)target)->jwks_file);
}

static enum ph_err read_jwks_url(struct reader *r, const struct json *value, void *target)
{
    enum ph_err err = entra__check_url(value->string, r->diag);

    return err ? err : keep(r, value, &((struct entra_settings *)target)->jwks_url);
}

static enum ph_err read_unvalidated(struct reader *r, const struct json *value, void *target)
{
    (void)r;
    ((struct entra_settings *)target)->allow_unvalidated = value->boolean;
    return PH_OK;
}

static const struct key entra_keys[] = {
    {STR("issuer"), TYPE(JSON_STRING), "the `iss` of tokens", read_issuer},
    {STR("audience"), TYPE(JSON_STRING), "the `aud` of tokens", read_audience},
    {STR("jwksFile"), TYPE(JSON_STRING), "the name of a file", read_jwks_file},
    {STR("jwksUrl"), TYPE(JSON_STRING), "an https:// URL", read_jwks_url},
    {STR("allowUnvalidatedTokens"), TYPE(JSON_BOOL), "true or false", read_unvalidated},
};

static const struct table entra_table = {"entra", entra_keys,
                                         sizeof(entra_keys) / sizeof(*entra_keys)};

/* The whole file ------------------------------------------------------------------- */

static enum ph_err read_hubs(struct reader *r, const struct json *value, void *target)
{
    enum ph_err err = PH_OK;

    (void)target;
    for (const struct json *m = value->child; m && err == PH_OK; m = m->next)
        err = at(r, m, read_hub(r, m));
    return err;
}

static enum ph_err read_listen(struct reader *r, const struct json *value, void *target)
{
    return settings__listen(target, value->string, r->diag);
}

static enum ph_err add_key(struct reader *r, struct str value, void *target)
{
    return settings__key(target, value, r->diag);
}

static enum ph_err read_access_keys(struct reader *r, const struct json *value, void *target)
{
    r->s->keys_of_file = true;
    return read_strings(r, value, target, add_key);
}

static enum ph_err add_endpoint(struct reader *r, struct str value, void *target)
{
    return endpoint__add(target, value, r->diag);
}

static enum ph_err read_endpoints(struct reader *r, const struct json *value, void *target)
{
    return read_strings(r, value, target, add_endpoint);
}

static enum ph_err read_entra(struct reader *r, const struct json *value, void *target)
{
    struct settings *s = target;
    enum ph_err err = read_object(r, &entra_table, value, &s->entra);

    return err ? err : entra__check(&s->entra, r->diag);
}

static enum ph_err read_threads(struct reader *r, const struct json *value, void *target)
{
    uint64_t number = 0;

    json__to_u64(value, &number); /* what is no whole number stays 0 */
    return settings__threads(target, number, r->diag);
}

static enum ph_err read_log_level(struct reader *r, const struct json *value, void *target)
{
    return settings__set_log_level(target, value->string.ptr, r->diag);
}

static enum ph_err read_log_format(struct reader *r, const struct json *value, void *target)
{
    return settings__set_log_format(target, value->string.ptr, r->diag);
}

/* limits --------------------------------------------------------------------------- */

static enum ph_err read_limit(struct reader *r, const struct json *value, void *target)
{
    struct limits *limits = target;
    const struct limit_row *row;
    unsigned number = 0;
    enum ph_err err;
    size_t count;

    row = limits__rows(&count);
    while (!str__eq(row->name, value->key))
        row++;
    err = read_number(r, value, row->least, row->most, &number);
    if (!err)
        limits__set(limits, row, number);
    return err;
}

#define LIMIT_KEY(member, name, preset, least, most)                                               \
    {STR(name), TYPE(JSON_NUMBER), "a whole number", read_limit},

static const struct key limit_keys[] = {LIMITS_TABLE(LIMIT_KEY)};

static const struct table limit_table = {"limits", limit_keys,
                                         sizeof(limit_keys) / sizeof(*limit_keys)};

static enum ph_err read_limits(struct reader *r, const struct json *value, void *target)
{
    struct settings *settings = target;

    return read_object(r, &limit_table, value, &settings->limits);
}

static enum ph_err read_global_ca_file(struct reader *r, const struct json *value, void *target)
{
    struct settings *settings = target;
    enum ph_err err = read_path(r, value, &settings->ca_file);
    char *copy = err ? NULL : arena__strdup(&settings->arena, settings->ca_file);

    if (!err && !copy)
        return diag__set(r->diag, PH_ERR_MEMORY, "out of memory");
    settings->ca_file.ptr = copy;
    return err;
}

/* Metrics hold no secrets, but names of hubs and how much goes on. */
static enum ph_err read_metrics(struct reader *r, const struct json *value, void *target)
{
    struct settings *s = target;

    (void)r;
    s->metrics = value->boolean;
    s->metrics_set = true;
    return PH_OK;
}

static const struct key file_keys[] = {
    {STR("listen"), TYPE(JSON_STRING), "HOST:PORT", read_listen},
    {STR("accessKeys"), TYPE(JSON_ARRAY), "an array of strings", read_access_keys},
    {STR("hubs"), TYPE(JSON_OBJECT), "an object with a member for each hub", read_hubs},
    {STR("publicEndpoints"), TYPE(JSON_ARRAY), "an array of URLs", read_endpoints},
    {STR("entra"), TYPE(JSON_OBJECT), "an object", read_entra},
    {STR("threads"), TYPE(JSON_NUMBER), "a whole number", read_threads},
    {STR("logLevel"), TYPE(JSON_STRING), "\"error\", \"warn\", \"info\" or \"debug\"",
     read_log_level},
    {STR("logFormat"), TYPE(JSON_STRING), "\"text\" or \"json\"", read_log_format},
    {STR("caFile"), TYPE(JSON_STRING), "the path of a file", read_global_ca_file},
    {STR("limits"), TYPE(JSON_OBJECT), "an object", read_limits},
    {STR("metrics"), TYPE(JSON_BOOL), "true or false", read_metrics},
};

static const struct table file_table = {"the configuration", file_keys,
                                        sizeof(file_keys) / sizeof(*file_keys)};

/* base/json says "line N, column M: why". */
static enum ph_err not_json(struct reader *r, enum ph_err err)
{
    struct diag why = *r->diag;
    unsigned line = 1;
    int skip = 0;

    if (err == PH_ERR_MEMORY)
        return err;
    if (sscanf(why.text, "line %u, column %*u: %n", &line, &skip) < 1)
        skip = 0;
    return diag__set(r->diag, PH_ERR_CONFIG, "%s:%u: %.*s", r->file_name, line,
                     (int)sizeof(why.text) - 1 - skip, why.text + skip);
}

enum ph_err settings__parse_file(struct settings *s, const char *file_name, struct str text,
                                 struct diag *diag)
{
    struct diag unused;
    struct reader r = {s, file_name, text, diag ? diag : &unused, false};
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    struct json *root;
    struct arena a;
    enum ph_err err;

    if (text.len > SETTINGS_MAX_FILE)
        return diag__set(diag, PH_ERR_CONFIG, "%s:1: the file must have at most %u bytes, got %zu",
                         file_name, SETTINGS_MAX_FILE, text.len);
    limits.comments = true;
    arena__init(&a, NULL, 0, MAX_TREE);
    err = json__parse(&a, text, &limits, &root, r.diag);
    if (err)
        err = not_json(&r, err);
    else
        err = at(&r, root, read_object(&r, &file_table, root, s));
    arena__free(&a);
    return err;
}
