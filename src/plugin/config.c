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
                         "no file is named, expected FILE.so or FILE.so?key=value&...");
    if (rest.len > 0 && !url__parse_query(&c->arena, rest, PLUGIN_MAX_KEYS, &c->keys))
        return diag__set(diag, PH_ERR_PLUGIN,
                         "%s: the configuration behind the '?' is malformed, expected up to %d "
                         "pairs key=value joined by '&', percent-encoded like a URL's query",
                         c->file.ptr, PLUGIN_MAX_KEYS); /* unquoted, for there may be secrets */
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

static bool is_hub(struct str name)
{
    return str__eq(name, HUB_KEY);
}

static const char *given(const struct ph_plugin_config *c, const char *key)
{
    return url__query_get(&c->keys, str__of(key), false).ptr;
}

/* The host's key, and what holds for every other. */
static enum ph_err check_key(const struct ph_plugin_config *c, size_t i, struct diag *diag)
{
    struct str name = c->keys.params[i].name;

    if (is_hub(name))
        return names__valid_hub(c->keys.params[i].value)
                   ? PH_OK
                   : diag__set(diag, PH_ERR_PLUGIN, "%s: \"%s\" is no name of a hub", c->file.ptr,
                               c->keys.params[i].value.ptr);
    if (is_repeated(c, i))
        return diag__set(diag, PH_ERR_PLUGIN, "%s: the key \"%.*s\" was given twice", c->file.ptr,
                         STR_FMT(name));
    return PH_OK;
}

static enum ph_err unknown(const struct ph_plugin_config *c, struct str name, const char *known,
                           struct diag *diag)
{
    return diag__set(diag, PH_ERR_PLUGIN,
                     "%s: the plugin does not know the key \"%.*s\"; it reads: hub%s", c->file.ptr,
                     STR_FMT(name), known);
}

static enum ph_err read_given(struct ph_plugin_config *c, size_t i, struct diag *diag)
{
    const struct url_param *param = &c->keys.params[i];
    const struct ph_plugin_option *option = options__find(c->options, param->name.ptr);
    enum ph_err err = check_key(c, i, diag);
    struct option_value value;

    if (err || is_hub(param->name))
        return err;
    if (option)
        return options__read(option, param->value.ptr, &value, c->file.ptr, diag);
    options__names(c->options, c->known, sizeof(c->known));
    return unknown(c, param->name, c->known, diag);
}

enum ph_err plugin_config__read(struct ph_plugin_config *c, const struct ph_plugin_option *options,
                                struct diag *diag)
{
    enum ph_err err = options__check(options, c->file.ptr, diag);

    c->options = options;
    if (err || !options)
        return err;
    for (size_t i = 0; !err && i < c->keys.count; i++)
        err = read_given(c, i, diag);
    for (const struct ph_plugin_option *o = options; !err && o->name; o++) {
        if (o->required && !given(c, o->name))
            err = options__missing(o, c->file.ptr, diag);
    }
    return err;
}

enum ph_err plugin_config__check(const struct ph_plugin_config *c, struct diag *diag)
{
    enum ph_err err = PH_OK;

    if (c->stray[0])
        return diag__set(diag, PH_ERR_PLUGIN,
                         "%s: the plugin asks for the key \"%s\" as what it is not in its table of "
                         "options",
                         c->file.ptr, c->stray);
    if (c->options)
        return PH_OK;
    for (size_t i = 0; !err && i < c->keys.count; i++) {
        struct str name = c->keys.params[i].name;

        err =
            is_hub(name) || c->asked[i] ? check_key(c, i, diag) : unknown(c, name, c->known, diag);
    }
    return err;
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

/* Asking is remembered: the host's own notes, not the configuration. */
static struct ph_plugin_config *notes_of(const struct ph_plugin_config *config)
{
    return (struct ph_plugin_config *)(uintptr_t)config;
}

static const char *ask(const struct ph_plugin_config *config, const char *key)
{
    struct ph_plugin_config *c = notes_of(config);
    const char *value = NULL;

    remember(c, key);
    for (size_t i = 0; i < c->keys.count; i++) {
        if (!str__eq(c->keys.params[i].name, str__of(key)))
            continue;
        c->asked[i] = true;
        value = value ? value : c->keys.params[i].value.ptr;
    }
    return value;
}

#define OF(type) (1u << (type))
#define OF_ANY_TYPE (~0u)

/* The row of the table, which has been read without a mistake. */
static const struct ph_plugin_option *option_of(const struct ph_plugin_config *c, const char *key,
                                                unsigned types)
{
    const struct ph_plugin_option *option = options__find(c->options, key);

    if (option && types & OF(option->type))
        return option;
    snprintf(notes_of(c)->stray, sizeof(c->stray), "%s", key);
    return NULL;
}

/* NULL: none was given, and there is no default. */
static const char *value_of(const struct ph_plugin_config *c, const char *key, unsigned types,
                            const struct ph_plugin_option **option)
{
    const char *text = NULL;

    *option = key && !c->shut ? option_of(c, key, types) : NULL;
    if (*option)
        text = given(c, key);
    return *option && !text ? (*option)->preset : text;
}

static int64_t number_of(const struct ph_plugin_config *c, const char *key, unsigned types,
                         int64_t otherwise)
{
    const struct ph_plugin_option *option;
    struct option_value value = {NULL, otherwise};
    const char *text = value_of(c, key, types, &option);

    if (text && options__read(option, text, &value, "", NULL) != PH_OK)
        return otherwise;
    return value.number;
}

const char *plugin_config__get(const struct ph_plugin_config *config, const char *key)
{
    const struct ph_plugin_option *option;

    if (!key || config->shut)
        return NULL;
    return config->options ? value_of(config, key, OF_ANY_TYPE, &option) : ask(config, key);
}

int64_t plugin_config__int(const struct ph_plugin_config *c, const char *key)
{
    return number_of(c, key, OF(PH_OPTION_INTEGER) | OF(PH_OPTION_DURATION), 0);
}

int plugin_config__bool(const struct ph_plugin_config *c, const char *key)
{
    return (int)number_of(c, key, OF(PH_OPTION_BOOLEAN), 0);
}

int plugin_config__choice(const struct ph_plugin_config *c, const char *key)
{
    return (int)number_of(c, key, OF(PH_OPTION_CHOICE), -1);
}

int plugin_config__is_given(const struct ph_plugin_config *c, const char *key)
{
    return key && !c->shut &&
           (c->options ? option_of(c, key, OF_ANY_TYPE) && given(c, key) : ask(c, key) != NULL);
}

enum ph_err plugin_config__fail(struct ph_plugin_config *c, const char *why)
{
    if (c->shut)
        return PH_ERR_CONFIG;
    snprintf(c->failure, sizeof(c->failure), "%s", why ? why : "");
    return PH_ERR_CONFIG;
}

struct ph_log *plugin_config__log(const struct ph_plugin_config *c)
{
    return c->log;
}

void plugin_config__never_blocks(struct ph_plugin_config *c)
{
    if (!c->shut)
        c->never_blocks = true;
}
