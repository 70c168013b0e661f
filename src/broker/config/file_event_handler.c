/* eventHandlers[] of a hub (event-handler section 5). */
#include "broker/config/event_handler.h"
#include "broker/config/file_reader.h"
#include "broker/config/hub_settings.h"

/* A row, with room for its lists until it is copied. */
struct draft {
    struct event_handler row;
    struct str filters[SETTINGS_MAX_GROUP_FILTERS];
    struct str command[SETTINGS_MAX_COMMAND];
    const struct json *auth_file, *auth_command, *auth_refresh;
};

static enum ph_err read_url_template(struct file_reader *r, const struct json *value, void *target)
{
    struct draft *d = target;

    d->row.url_template = value->string;
    return event_handler__check_url(value->string, r->diag);
}

/* null: no user events. */
static enum ph_err read_user_event_pattern(struct file_reader *r, const struct json *value,
                                           void *target)
{
    struct draft *d = target;

    if (value->type == JSON_NULL)
        return PH_OK;
    d->row.user_event_pattern = value->string;
    return event_handler__check_pattern(value->string, r->diag);
}

static enum ph_err add_system_event(struct file_reader *r, struct str value, void *target)
{
    struct draft *d = target;

    return event_handler__add_system_event(value, &d->row.system_events, r->diag);
}

static enum ph_err read_system_events(struct file_reader *r, const struct json *value, void *target)
{
    return file_reader__strings(r, value, target, add_system_event);
}

static enum ph_err read_ca_file(struct file_reader *r, const struct json *value, void *target)
{
    struct draft *d = target;

    return file_reader__path(r, value, &d->row.ca_file);
}

static enum ph_err read_max_requests(struct file_reader *r, const struct json *value, void *target)
{
    struct draft *d = target;

    return file_reader__number(r, value, 1, SETTINGS_MAX_REQUESTS, &d->row.max_requests);
}

static enum ph_err read_max_queued(struct file_reader *r, const struct json *value, void *target)
{
    struct draft *d = target;

    return file_reader__number(r, value, 1, SETTINGS_MAX_QUEUED_EVENTS, &d->row.max_queued);
}

/* groupPresenceEvents (official-emulator section 3.7) */

static enum ph_err add_presence_event(struct file_reader *r, struct str value, void *target)
{
    struct draft *d = target;

    return event_handler__add_presence_event(value, &d->row.presence_events, r->diag);
}

static enum ph_err read_presence_names(struct file_reader *r, const struct json *value,
                                       void *target)
{
    return file_reader__strings(r, value, target, add_presence_event);
}

static enum ph_err add_group_filter(struct file_reader *r, struct str value, void *target)
{
    struct draft *d = target;

    if (d->row.group_filter_count == SETTINGS_MAX_GROUP_FILTERS)
        return diag__set(r->diag, PH_ERR_CONFIG, "groupFilters must hold at most %d patterns",
                         SETTINGS_MAX_GROUP_FILTERS);
    d->filters[d->row.group_filter_count++] = value;
    d->row.group_filters = d->filters;
    return event_handler__check_group_filter(value, r->diag);
}

static enum ph_err read_group_filters(struct file_reader *r, const struct json *value, void *target)
{
    return file_reader__strings(r, value, target, add_group_filter);
}

static const struct file_key presence_keys[] = {
    {STR("eventNames"), TYPE(JSON_ARRAY) | TYPE(JSON_NULL), "an array of \"joined\" and \"left\"",
     read_presence_names},
    {STR("groupFilters"), TYPE(JSON_ARRAY) | TYPE(JSON_NULL), "an array of patterns",
     read_group_filters},
};

static const struct file_table presence_table = {"groupPresenceEvents", presence_keys,
                                                 sizeof(presence_keys) / sizeof(*presence_keys)};

static enum ph_err read_presence(struct file_reader *r, const struct json *value, void *target)
{
    return value->type == JSON_NULL ? PH_OK
                                    : file_reader__object(r, &presence_table, value, target);
}

/* circuitBreaker */

static enum ph_err read_breaker_failures(struct file_reader *r, const struct json *value,
                                         void *target)
{
    struct draft *d = target;
    enum ph_err err =
        file_reader__number(r, value, 0, SETTINGS_MAX_BREAKER_FAILURES, &d->row.breaker_failures);

    d->row.breaker_off = d->row.breaker_failures == 0;
    return err;
}

static enum ph_err read_breaker_seconds(struct file_reader *r, const struct json *value,
                                        void *target)
{
    struct draft *d = target;

    return file_reader__number(r, value, 1, SETTINGS_MAX_BREAKER_SECONDS, &d->row.breaker_seconds);
}

static const struct file_key breaker_keys[] = {
    {STR("failures"), TYPE(JSON_NUMBER), "a whole number", read_breaker_failures},
    {STR("maxWaitSeconds"), TYPE(JSON_NUMBER), "a whole number", read_breaker_seconds},
};

static const struct file_table breaker_table = {"circuitBreaker", breaker_keys,
                                                sizeof(breaker_keys) / sizeof(*breaker_keys)};

static enum ph_err read_breaker(struct file_reader *r, const struct json *value, void *target)
{
    return file_reader__object(r, &breaker_table, value, target);
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

static enum ph_err read_auth_type(struct file_reader *r, const struct json *value, void *target)
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

static enum ph_err read_auth_file(struct file_reader *r, const struct json *value, void *target)
{
    struct draft *d = target;

    d->auth_file = value;
    return file_reader__path(r, value, &d->row.auth.file);
}

static enum ph_err add_command_word(struct file_reader *r, struct str value, void *target)
{
    struct draft *d = target;

    if (d->row.auth.command_count == SETTINGS_MAX_COMMAND || value.len > FILE_MAX_PATH ||
        memchr(value.ptr, '\0', value.len))
        return diag__set(r->diag, PH_ERR_CONFIG,
                         "command must hold at most %d words, each of at most %d bytes without NUL",
                         SETTINGS_MAX_COMMAND, FILE_MAX_PATH);
    d->command[d->row.auth.command_count++] = value;
    d->row.auth.command = d->command;
    return PH_OK;
}

static enum ph_err read_auth_command(struct file_reader *r, const struct json *value, void *target)
{
    struct draft *d = target;

    d->auth_command = value;
    return file_reader__strings(r, value, target, add_command_word);
}

static enum ph_err read_auth_refresh(struct file_reader *r, const struct json *value, void *target)
{
    struct draft *d = target;

    d->auth_refresh = value;
    return file_reader__number(r, value, 1, SETTINGS_MAX_TOKEN_SECONDS,
                               &d->row.auth.refresh_seconds);
}

static const struct file_key auth_keys[] = {
    {STR("type"), TYPE(JSON_STRING), "a string", read_auth_type},
    {STR("file"), TYPE(JSON_STRING), "the path of a file", read_auth_file},
    {STR("command"), TYPE(JSON_ARRAY), "an array of strings", read_auth_command},
    {STR("refreshSeconds"), TYPE(JSON_NUMBER), "a whole number", read_auth_refresh},
};

static const struct file_table auth_table = {"auth", auth_keys,
                                             sizeof(auth_keys) / sizeof(*auth_keys)};

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

static enum ph_err read_auth(struct file_reader *r, const struct json *value, void *target)
{
    struct draft *d = target;
    enum ph_err err =
        value->type == JSON_NULL ? PH_OK : file_reader__object(r, &auth_table, value, d);
    const char *problem = err ? NULL : auth_problem(d);

    if (problem)
        return diag__set(r->diag, PH_ERR_CONFIG, "%s", problem);
    if (d->row.auth.origin == TOKEN_COMMAND && d->row.auth.refresh_seconds == 0)
        d->row.auth.refresh_seconds = SETTINGS_DEFAULT_TOKEN_SECONDS;
    return err;
}

static const struct file_key event_handler_keys[] = {
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

static const struct file_table event_handler_table = {"an event handler", event_handler_keys,
                                                      sizeof(event_handler_keys) /
                                                          sizeof(*event_handler_keys)};

static enum ph_err read_event_handler(struct file_reader *r, const struct json *item,
                                      struct hub_settings *hub)
{
    struct draft d = {.row = {.system_events = 0}};
    enum ph_err err = file_reader__object(r, &event_handler_table, item, &d);

    if (err)
        return err;
    if (!d.row.url_template.ptr)
        return diag__set(r->diag, PH_ERR_CONFIG, "an event handler must have a urlTemplate");
    return hub_settings__add_handler(r->s, hub, &d.row, r->diag);
}
enum ph_err file__event_handlers(struct file_reader *r, const struct json *value, void *target)
{
    enum ph_err err = PH_OK;

    for (const struct json *item = value->child; item && err == PH_OK; item = item->next)
        err = file_reader__at(r, item, read_event_handler(r, item, target));
    return err;
}
