#include "plugin/config.h"

#include "base/names.h"

#include <stdio.h>

#define ARENA_MAX 65536
#define HUB_KEY STR("hub")

enum ph_err plugin_config__parse(struct ph_plugin_config *c, const char *spec, struct ph_log *log,
                                 struct diag *diag)
{
    struct str rest = str__of(spec), file = STR("");

    *c = (struct ph_plugin_config){.log = log};
    arena__init(&c->arena, NULL, 0, ARENA_MAX);
    str__split(&rest, '?', &file);
    c->file = str__n(arena__strdup(&c->arena, file), file.len);
    if (!c->file.ptr)
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    if (file.len == 0)
        return diag__set(diag, PH_ERR_PLUGIN,
                         "\"%s\" names no file, expected FILE.so or FILE.so?key=value&...", spec);
    if (rest.len > 0 && !url__parse_query(&c->arena, rest, PLUGIN_MAX_KEYS, &c->keys))
        return diag__set(diag, PH_ERR_PLUGIN,
                         "%s: the configuration \"%.*s\" is malformed, expected up to %d pairs "
                         "key=value joined by '&', percent-encoded like a URL's query",
                         c->file.ptr, STR_FMT(rest), PLUGIN_MAX_KEYS);
    return PH_OK;
}

void plugin_config__free(struct ph_plugin_config *c)
{
    arena__free(&c->arena);
}

const char *plugin_config__hub(const struct ph_plugin_config *c, size_t at)
{
    for (size_t i = 0; i < c->keys.count; i++) {
        if (str__eq(c->keys.params[i].name, HUB_KEY) && at-- == 0)
            return c->keys.params[i].value.ptr;
    }
    return NULL;
}

static bool is_repeated(const struct ph_plugin_config *c, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (str__eq(c->keys.params[i].name, c->keys.params[at].name))
            return true;
    }
    return false;
}

enum ph_err plugin_config__check(const struct ph_plugin_config *c, struct diag *diag)
{
    for (size_t i = 0; i < c->keys.count; i++) {
        struct str name = c->keys.params[i].name;

        if (str__eq(name, HUB_KEY) && names__valid_hub(c->keys.params[i].value))
            continue;
        if (str__eq(name, HUB_KEY))
            return diag__set(diag, PH_ERR_PLUGIN, "%s: \"%s\" is no name of a hub", c->file.ptr,
                             c->keys.params[i].value.ptr);
        if (!c->asked[i])
            return diag__set(diag, PH_ERR_PLUGIN,
                             "%s: the plugin does not know the key \"%.*s\"; it reads: hub%s",
                             c->file.ptr, STR_FMT(name), c->known);
        if (is_repeated(c, i))
            return diag__set(diag, PH_ERR_PLUGIN, "%s: the key \"%.*s\" was given twice",
                             c->file.ptr, STR_FMT(name));
    }
    return PH_OK;
}

static bool is_known(const struct ph_plugin_config *c, struct str key)
{
    struct str rest = str__of(c->known), name;

    while (str__split(&rest, ',', &name)) {
        if (str__eq(str__trim(name), key))
            return true;
    }
    return false;
}

static void remember(struct ph_plugin_config *c, const char *key)
{
    size_t used = strlen(c->known);

    if (!is_known(c, str__of(key)))
        snprintf(c->known + used, sizeof(c->known) - used, ", %s", key);
}

const char *plugin_config__get(const struct ph_plugin_config *config, const char *key)
{
    /* asking is remembered: the host's own notes, not the configuration */
    struct ph_plugin_config *c = (struct ph_plugin_config *)(uintptr_t)config;
    const char *value = NULL;

    if (!key)
        return NULL;
    remember(c, key);
    for (size_t i = 0; i < c->keys.count; i++) {
        if (!str__eq(c->keys.params[i].name, str__of(key)))
            continue;
        c->asked[i] = true;
        value = value ? value : c->keys.params[i].value.ptr;
    }
    return value;
}

enum ph_err plugin_config__fail(struct ph_plugin_config *c, const char *why)
{
    snprintf(c->failure, sizeof(c->failure), "%s", why ? why : "");
    return PH_ERR_CONFIG;
}

struct ph_log *plugin_config__log(const struct ph_plugin_config *c)
{
    return c->log;
}

void plugin_config__never_blocks(struct ph_plugin_config *c)
{
    c->never_blocks = true;
}
