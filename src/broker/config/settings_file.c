/* The configuration file: JSON with comments, the names of the service's hub settings
 * (event-handler section 5). Each object is a table of its keys. */
#include "base/json.h"
#include "broker/config/event_handler.h"
#include "broker/config/hub_settings.h"
#include "broker/config/values.h"

#include <stdio.h>

#define MAX_TREE (64u << 20) /* the JSON tree of a file of the largest size */
#define MAX_KEYS 8           /* in one table */

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
    char room[256];
    int len = 0;

    for (size_t i = 0; i < table->count; i++)
        len += snprintf(room + len, sizeof(room) - (size_t)len, "%s%.*s", i ? ", " : "",
                        STR_FMT(table->keys[i].name));
    return diag__set(r->diag, PH_ERR_CONFIG, "unknown key \"%.*s\" in %s; it may have %s",
                     STR_FMT(member->key), table->what, room);
}

static enum ph_err read_member(struct reader *r, const struct table *table, bool seen[MAX_KEYS],
                               const struct json *member, void *target)
{
    size_t i = 0;

    while (i < table->count && !str__eq(table->keys[i].name, member->key))
        i++;
    if (i == table->count)
        return unknown_key(r, table, member);
    if (seen[i])
        return diag__set(r->diag, PH_ERR_CONFIG, "%.*s is set twice", STR_FMT(member->key));
    seen[i] = true;
    if (!(table->keys[i].types & TYPE(member->type)))
        return diag__set(r->diag, PH_ERR_CONFIG, "%.*s must be %s, got %s", STR_FMT(member->key),
                         table->keys[i].expected, json__type_name(member));
    return table->keys[i].read(r, member, target);
}

static enum ph_err read_object(struct reader *r, const struct table *table,
                               const struct json *object, void *target)
{
    bool seen[MAX_KEYS] = {false};
    enum ph_err err = PH_OK;

    if (object->type != JSON_OBJECT)
        return diag__set(r->diag, PH_ERR_CONFIG, "%s must be an object, got %s", table->what,
                         json__type_name(object));
    for (const struct json *m = object->child; m && err == PH_OK; m = m->next)
        err = at(r, m, read_member(r, table, seen, m, target));
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

/* eventHandlers[] ------------------------------------------------------------------ */

static enum ph_err read_url_template(struct reader *r, const struct json *value, void *target)
{
    struct event_handler *row = target;

    row->url_template = value->string;
    return event_handler__check_url(value->string, r->diag);
}

/* null: no user events. */
static enum ph_err read_user_event_pattern(struct reader *r, const struct json *value, void *target)
{
    struct event_handler *row = target;

    if (value->type == JSON_NULL)
        return PH_OK;
    row->user_event_pattern = value->string;
    return event_handler__check_pattern(value->string, r->diag);
}

static enum ph_err add_system_event(struct reader *r, struct str value, void *target)
{
    struct event_handler *row = target;

    return event_handler__add_system_event(value, &row->system_events, r->diag);
}

static enum ph_err read_system_events(struct reader *r, const struct json *value, void *target)
{
    return read_strings(r, value, target, add_system_event);
}

static const struct key event_handler_keys[] = {
    {STR("urlTemplate"), TYPE(JSON_STRING), "an http:// or https:// URL", read_url_template},
    {STR("userEventPattern"), TYPE(JSON_STRING) | TYPE(JSON_NULL),
     "\"*\", one event name or a comma list of names", read_user_event_pattern},
    {STR("systemEvents"), TYPE(JSON_ARRAY) | TYPE(JSON_NULL),
     "an array of \"connect\", \"connected\" and \"disconnected\"", read_system_events},
};

static const struct table event_handler_table = {"an event handler", event_handler_keys,
                                                 sizeof(event_handler_keys) /
                                                     sizeof(*event_handler_keys)};

static enum ph_err read_event_handler(struct reader *r, const struct json *item,
                                      struct hub_settings *hub)
{
    struct event_handler row = {.system_events = 0};
    enum ph_err err = read_object(r, &event_handler_table, item, &row);

    if (err)
        return err;
    if (!row.url_template.ptr)
        return diag__set(r->diag, PH_ERR_CONFIG, "an event handler must have a urlTemplate");
    return hub_settings__add_handler(r->s, hub, &row, r->diag);
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

static const struct key hub_keys[] = {
    {STR("anonymousConnectPolicy"), TYPE(JSON_STRING), "\"allow\" or \"deny\"", read_anonymous},
    {STR("webSocketKeepAliveIntervalInSeconds"), TYPE(JSON_NUMBER), "a whole number",
     read_keep_alive},
    {STR("eventHandlers"), TYPE(JSON_ARRAY), "an array", read_event_handlers},
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

static const struct key file_keys[] = {
    {STR("listen"), TYPE(JSON_STRING), "HOST:PORT", read_listen},
    {STR("accessKeys"), TYPE(JSON_ARRAY), "an array of strings", read_access_keys},
    {STR("hubs"), TYPE(JSON_OBJECT), "an object with a member for each hub", read_hubs},
    {STR("threads"), TYPE(JSON_NUMBER), "a whole number", read_threads},
    {STR("logLevel"), TYPE(JSON_STRING), "\"error\", \"warn\", \"info\" or \"debug\"",
     read_log_level},
    {STR("logFormat"), TYPE(JSON_STRING), "\"text\" or \"json\"", read_log_format},
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
