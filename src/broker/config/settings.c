#include "broker/config/settings.h"

#include "base/url.h"
#include "broker/config/event_handler.h"
#include "broker/config/hub_settings.h"
#include "broker/config/values.h"

#include <stdlib.h>

/* Strings and tables of the largest configuration that the limits allow. */
#define MAX_ARENA (16u << 20)

bool settings__init(struct settings *s)
{
    *s = (struct settings){
        .log_level = PH_LOG_INFO, .log_format = PH_LOG_TEXT, .limits = LIMITS_DEFAULT};
    arena__init(&s->arena, NULL, 0, MAX_ARENA);
    if (settings__set_listen(s, SETTINGS_DEFAULT_LISTEN, NULL) == PH_OK)
        return true;
    settings__free(s);
    return false;
}

static void drop_keys(struct settings *s)
{
    for (size_t i = 0; i < s->key_count; i++)
        mac__key_free(s->keys[i]);
    s->key_count = 0;
}

void settings__free(struct settings *s)
{
    drop_keys(s);
    arena__free(&s->arena);
    *s = (struct settings){.threads = 0};
}

struct settings *settings__new(void)
{
    struct settings *s = malloc(sizeof(*s));

    if (s && settings__init(s)) {
        atomic_store(&s->refs, 1);
        return s;
    }
    free(s);
    return NULL;
}

/* The count is the only thing in settings that changes while the broker runs. */
static atomic_uint *count_of(const struct settings *s)
{
    return &((struct settings *)(uintptr_t)s)->refs;
}

const struct settings *settings__ref(const struct settings *s)
{
    if (s && atomic_load_explicit(count_of(s), memory_order_relaxed) > 0)
        atomic_fetch_add_explicit(count_of(s), 1, memory_order_relaxed);
    return s;
}

void settings__unref(const struct settings *s)
{
    if (!s || atomic_load_explicit(count_of(s), memory_order_relaxed) == 0)
        return;
    /* Release, then acquire: what other threads read of it happens before the free. */
    if (atomic_fetch_sub_explicit(count_of(s), 1, memory_order_acq_rel) > 1)
        return;
    settings__free((struct settings *)(uintptr_t)s);
    free((struct settings *)(uintptr_t)s);
}

/* A name or an address; whether it exists shows when the broker listens. */
static bool is_host(struct str host)
{
    static const char also[] = "0123456789.-_:%";

    for (size_t i = 0; i < host.len; i++) {
        char lower = (char)(host.ptr[i] | 0x20);

        if ((lower < 'a' || lower > 'z') && !memchr(also, host.ptr[i], sizeof(also) - 1))
            return false;
    }
    return host.len > 0;
}

enum ph_err settings__listen(struct settings *s, struct str value, struct diag *diag)
{
    struct str host;
    uint16_t port;
    char *copy;

    if (!url__host_port(value, &host, &port) || !is_host(host))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "listen must be HOST:PORT, such as " SETTINGS_DEFAULT_LISTEN
                         ", or 0.0.0.0:8080 for every address, got \"%.*s\"",
                         STR_FMT(value));
    copy = arena__strdup(&s->arena, host);
    if (!copy)
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    s->host = str__n(copy, host.len);
    s->port = port;
    return PH_OK;
}

/* What an access key must not hold, as it has to survive in a connection string. */
static const char *key_fault(struct str key)
{
    if (key.len < SETTINGS_MIN_KEY_LEN)
        return "is too short";
    if (memchr(key.ptr, ';', key.len))
        return "has a \";\", which ends it in a connection string";
    for (size_t i = 0; i < key.len; i++) {
        if ((unsigned char)key.ptr[i] < ' ' || key.ptr[i] == 0x7F)
            return "has a control character";
    }
    if (key.ptr[0] == ' ' || key.ptr[key.len - 1] == ' ')
        return "has a blank at an end";
    return NULL;
}

enum ph_err settings__key(struct settings *s, struct str value, struct diag *diag)
{
    const char *fault = key_fault(value);
    struct mac_key *key;

    if (fault) /* the key itself is never shown */
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "an access key must have at least %d bytes, no \";\", no control "
                         "characters and no blanks at its ends; this one %s",
                         SETTINGS_MIN_KEY_LEN, fault);
    if (s->key_count == SETTINGS_MAX_KEYS)
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "there are at most %d access keys, the primary and the secondary",
                         SETTINGS_MAX_KEYS);
    key = mac__key_new(value);
    if (!key)
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    s->keys[s->key_count++] = key;
    return PH_OK;
}

enum ph_err settings__threads(struct settings *s, uint64_t value, struct diag *diag)
{
    if (value < 1 || value > SETTINGS_MAX_THREADS)
        return diag__set(diag, PH_ERR_ARGUMENT, "threads must be a number from 1 to %d",
                         SETTINGS_MAX_THREADS);
    s->threads = (unsigned)value;
    return PH_OK;
}

enum ph_err settings__set_listen(struct settings *s, const char *value, struct diag *diag)
{
    return settings__listen(s, str__of(value), diag);
}

enum ph_err settings__add_key(struct settings *s, const char *value, struct diag *diag)
{
    if (s->keys_of_file)
        drop_keys(s);
    s->keys_of_file = false;
    return settings__key(s, str__of(value), diag);
}

enum ph_err settings__set_threads(struct settings *s, const char *value, struct diag *diag)
{
    uint64_t number = 0;

    str__to_u64(str__of(value), &number); /* what is no number stays 0 */
    return settings__threads(s, number, diag);
}

enum ph_err settings__set_log_level(struct settings *s, const char *value, struct diag *diag)
{
    if (ph_log_level_from_name(value, &s->log_level) == PH_OK)
        return PH_OK;
    return diag__set(diag, PH_ERR_ARGUMENT,
                     "logLevel must be \"error\", \"warn\", \"info\" or \"debug\", got \"%s\"",
                     value);
}

enum ph_err settings__set_log_format(struct settings *s, const char *value, struct diag *diag)
{
    struct str format = str__of(value);

    if (!str__eq(format, STR("text")) && !str__eq(format, STR("json")))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "logFormat must be \"text\" or \"json\", got \"%s\"", value);
    s->log_format = str__eq(format, STR("json")) ? PH_LOG_JSON : PH_LOG_TEXT;
    return PH_OK;
}

/* Adds a row for all events of the hub in HUB=TARGET. `target` says where it belongs. */
static enum ph_err add_for_all_events(struct settings *s, struct str hub_name,
                                      struct event_handler *row, struct diag *diag)
{
    struct hub_settings *hub = hub_settings__find(s, hub_name);
    enum ph_err err = hub ? PH_OK : hub_settings__add(s, hub_name, &hub, diag);

    row->user_event_pattern = STR("*");
    row->system_events = SYSTEM_EVENTS_ALL;
    return err ? err : hub_settings__add_handler(s, hub, row, diag);
}

/* Splits HUB=TARGET; a hub's name has no "=". */
static bool split_assignment(const char *value, struct str *hub, struct str *target)
{
    *target = str__of(value);
    return str__split(target, '=', hub) && target->len > 0;
}

enum ph_err settings__add_event_handler(struct settings *s, const char *value, struct diag *diag)
{
    struct event_handler row = {.system_events = 0};
    enum ph_err err;
    struct str hub;

    if (!split_assignment(value, &hub, &row.url_template))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "an event handler must be HUB=URL, such as "
                         "chat=http://localhost:8090/eventhandler, got \"%s\"",
                         value);
    err = event_handler__check_url(row.url_template, diag);
    return err ? err : add_for_all_events(s, hub, &row, diag);
}

enum ph_err settings__add_plugin(struct settings *s, const char *value, struct diag *diag)
{
    struct event_handler row = {.system_events = 0};
    struct str hub;

    if (!split_assignment(value, &hub, &row.plugin))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "a handler must be HUB=PLUGIN.so, such as chat=./chat.so, got \"%s\"",
                         value);
    return add_for_all_events(s, hub, &row, diag);
}

static bool has_default_key(const struct settings *s)
{
    for (size_t i = 0; i < s->key_count; i++) {
        if (str__eq(mac__key_text(s->keys[i]), STR(SETTINGS_DEFAULT_KEY)))
            return true;
    }
    return false;
}

/* Where others than this machine reach the broker; absent: nowhere. A proxy that makes it
 * public reaches it on loopback. */
static struct str exposed_at(const struct settings *s)
{
    if (!url__is_loopback(s->host))
        return s->host;
    for (size_t i = 0; i < s->endpoint_count; i++) {
        if (!url__is_loopback(s->endpoints[i].host))
            return s->endpoints[i].url;
    }
    return STR_NONE;
}

/* What lets everybody in is for this machine alone. */
static enum ph_err check_exposure(const struct settings *s, struct diag *diag)
{
    struct str where = exposed_at(s);

    if (!where.ptr)
        return PH_OK;
    if (has_default_key(s))
        return diag__set(diag, PH_ERR_CONFIG,
                         "the default access key is known to everybody and refused on \"%.*s\"; "
                         "give a key of your own with --access-key, or listen on 127.0.0.1 without "
                         "publicEndpoints",
                         STR_FMT(where));
    if (s->entra.allow_unvalidated)
        return diag__set(diag, PH_ERR_CONFIG,
                         "entra.allowUnvalidatedTokens lets everybody in and is refused on "
                         "\"%.*s\"; set issuer and jwksUrl, or listen on 127.0.0.1 without "
                         "publicEndpoints",
                         STR_FMT(where));
    return PH_OK;
}

void settings__keep_fixed(struct settings *s, const struct settings *running)
{
    s->host = running->host;
    s->port = running->port;
    s->threads = running->threads;
    s->log_format = running->log_format;
    s->entra = running->entra;
}

enum ph_err settings__finish(struct settings *s, unsigned cpus, struct diag *diag)
{
    enum ph_err err = PH_OK;

    if (s->threads == 0)
        s->threads = cpus < 1 ? 1 : cpus > SETTINGS_MAX_THREADS ? SETTINGS_MAX_THREADS : cpus;
    if (!s->metrics_set)
        s->metrics = !exposed_at(s).ptr;
    if (s->key_count == 0)
        err = settings__key(s, STR(SETTINGS_DEFAULT_KEY), diag);
    return err ? err : check_exposure(s, diag);
}
