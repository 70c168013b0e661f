#include "broker/config/hub_settings.h"

#include "base/buf.h"
#include "base/names.h"

struct hub_settings *hub_settings__find(const struct settings *s, struct str name)
{
    for (size_t i = 0; i < s->hub_count; i++) {
        if (str__eq_nocase(s->hubs[i].name, name))
            return &s->hubs[i];
    }
    return NULL;
}

const struct hub_settings *settings__hub(const struct settings *s, struct str hub)
{
    static const struct hub_settings defaults = {.keep_alive_seconds = SETTINGS_DEFAULT_KEEP_ALIVE};
    const struct hub_settings *found = hub_settings__find(s, hub);

    return found ? found : &defaults;
}

/* Room for one more item. The capacity is the next power of two, so that `count` alone
 * says when it is used up; old arrays stay in the arena. */
static void *make_room(struct arena *a, void *items, size_t count, size_t size)
{
    size_t capacity = count ? 2 * count : 1;
    void *grown;

    if (count & (count - 1))
        return items;
    grown = arena__alloc(a, capacity * size);
    if (grown && count > 0)
        memcpy(grown, items, count * size);
    return grown;
}

static struct str lower_copy(struct arena *a, struct str s)
{
    char *copy = arena__strdup(a, s);

    if (!copy)
        return STR_NONE;
    for (size_t i = 0; i < s.len; i++) {
        if (copy[i] >= 'A' && copy[i] <= 'Z')
            copy[i] = (char)(copy[i] | 0x20);
    }
    return str__n(copy, s.len);
}

enum ph_err hub_settings__add(struct settings *s, struct str name, struct hub_settings **out,
                              struct diag *diag)
{
    struct hub_settings hub = {.keep_alive_seconds = SETTINGS_DEFAULT_KEEP_ALIVE};
    void *hubs;

    if (!names__valid_hub(name))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "a hub's name must start with a letter and hold at most %d letters, "
                         "digits and _ ` , . [ ], got \"%.*s\"",
                         NAMES_HUB_MAX, STR_FMT(name));
    if (s->hub_count == SETTINGS_MAX_HUBS)
        return diag__set(diag, PH_ERR_ARGUMENT, "at most %d hubs can be configured",
                         SETTINGS_MAX_HUBS);
    hub.name = lower_copy(&s->arena, name);
    hubs = make_room(&s->arena, s->hubs, s->hub_count, sizeof(*s->hubs));
    if (!hub.name.ptr || !hubs)
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    s->hubs = hubs;
    *out = &s->hubs[s->hub_count++];
    **out = hub;
    return PH_OK;
}

/* False when memory is out. An absent string stays absent. */
static bool copy(struct arena *a, struct str *s)
{
    if (!s->ptr)
        return true;
    s->ptr = arena__strdup(a, *s);
    return s->ptr != NULL;
}

static bool copy_all(struct arena *a, const struct str **items, size_t count)
{
    struct str *copies;

    if (count == 0)
        return true;
    copies = arena__alloc(a, count * sizeof(*copies));
    for (size_t i = 0; copies && i < count; i++) {
        copies[i] = (*items)[i];
        if (!copy(a, &copies[i]))
            return false;
    }
    *items = copies;
    return copies != NULL;
}

static bool copy_auth(struct arena *a, struct handler_auth *auth)
{
    struct buf key;
    char *text;

    if (!copy(a, &auth->file) || !copy_all(a, &auth->command, auth->command_count))
        return false;
    buf__init(&key, SETTINGS_MAX_FILE);
    buf__printf(&key, "%d\n%u\n%.*s", (int)auth->origin, auth->refresh_seconds,
                STR_FMT(auth->file));
    for (size_t i = 0; i < auth->command_count; i++)
        buf__printf(&key, "\n%.*s", STR_FMT(auth->command[i]));
    text = key.failed ? NULL : arena__strdup(a, buf__view(&key));
    auth->key = str__of(text);
    buf__free(&key);
    return text != NULL;
}

/* Hubs do not share what is known of a handler: in one URL, {hub} may lead to others. */
static bool identify(struct arena *a, const struct hub_settings *hub, struct event_handler *h)
{
    struct str target = h->plugin.ptr ? h->plugin : h->url_template;
    char *text = arena__printf(a, "%.*s\n%.*s\n%.*s\n%.*s", STR_FMT(hub->name), STR_FMT(target),
                               STR_FMT(h->ca_file), STR_FMT(h->auth.key));

    h->identity = str__of(text);
    return text != NULL;
}

enum ph_err hub_settings__add_handler(struct settings *s, struct hub_settings *hub,
                                      const struct event_handler *row, struct diag *diag)
{
    struct event_handler h = *row;
    void *handlers;

    if (hub->handler_count == SETTINGS_MAX_HANDLERS)
        return diag__set(diag, PH_ERR_ARGUMENT, "a hub can have at most %d event handlers",
                         SETTINGS_MAX_HANDLERS);
    handlers = make_room(&s->arena, hub->handlers, hub->handler_count, sizeof(*hub->handlers));
    if (!handlers || !copy(&s->arena, &h.url_template) || !copy(&s->arena, &h.plugin) ||
        !copy(&s->arena, &h.user_event_pattern) || !copy(&s->arena, &h.ca_file) ||
        !copy_all(&s->arena, &h.group_filters, h.group_filter_count) ||
        !copy_auth(&s->arena, &h.auth) || !identify(&s->arena, hub, &h))
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    hub->handlers = handlers;
    hub->handlers[hub->handler_count++] = h;
    return PH_OK;
}

enum ph_err hub_settings__add_listener(struct settings *s, struct hub_settings *hub,
                                       const struct event_listener *row, struct diag *diag)
{
    struct event_listener l = *row;
    void *listeners;

    if (hub->listener_count == SETTINGS_MAX_LISTENERS)
        return diag__set(diag, PH_ERR_ARGUMENT, "a hub can have at most %d event listeners",
                         SETTINGS_MAX_LISTENERS);
    listeners = make_room(&s->arena, hub->listeners, hub->listener_count, sizeof(*hub->listeners));
    if (!listeners || !copy(&s->arena, &l.endpoint) || !copy(&s->arena, &l.subject) ||
        !copy(&s->arena, &l.user_event_pattern))
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    hub->listeners = listeners;
    hub->listeners[hub->listener_count++] = l;
    return PH_OK;
}
