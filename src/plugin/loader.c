#include "app/app.h"
#include "plugin/config.h"
#include "plugin/host.h"
#include "plugin/plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define MAX_HANDLERS 256

/* A plugin in use: one shared object, one state. Each registered handler holds a
 * reference; the last one to go closes it. */
struct plugin {
    atomic_size_t refs;
    void *object; /* of dlopen */
    const struct ph_plugin *table;
    void *state;
    bool opened;
};

/* What is registered with the application. */
struct entry {
    struct plugin *plugin;
    ph_handler_fn *fn;
};

static void unref(struct plugin *p)
{
    if (atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    if (p->opened && p->table->close)
        p->table->close(p->state);
    if (p->object)
        dlclose(p->object);
    free(p);
}

static struct ph_reply *call(const struct ph_event *ev, void *arg)
{
    const struct entry *e = arg;

    return e->fn(ev, e->plugin->state);
}

static void free_entry(void *arg)
{
    struct entry *e = arg;

    unref(e->plugin);
    free(e);
}

static bool is_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* dlopen would look for a name without a slash in the system's library folders. */
static const char *locate(struct ph_plugin_config *c)
{
    static const char *const folders[] = {".", HANDLERS_DIR};

    if (memchr(c->file.ptr, '/', c->file.len))
        return is_file(c->file.ptr) ? c->file.ptr : NULL;
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
        const char *path = arena__printf(&c->arena, "%s/%s", folders[i], c->file.ptr);

        if (path && is_file(path))
            return path;
    }
    return NULL;
}

static enum ph_err open_object(struct plugin *p, struct ph_plugin_config *c, struct diag *diag)
{
    const char *path = locate(c);

    if (!path)
        return diag__set(diag, PH_ERR_PLUGIN,
                         "%s: no such file, expected the path of a plugin, or the name of one in "
                         "the working folder or in " HANDLERS_DIR,
                         c->file.ptr);
    p->object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!p->object)
        return diag__set(diag, PH_ERR_PLUGIN, "%s: not a shared object that can be loaded here: %s",
                         c->file.ptr, dlerror());
    return PH_OK;
}

static enum ph_err check_version(const struct ph_plugin *table, const char *file, struct diag *diag)
{
    if (table->abi_major != PH_ABI_MAJOR)
        return diag__set(diag, PH_ERR_PLUGIN,
                         "%s: built for plugin interface %u.%u, expected %d.x; build it again with "
                         "the headers of pubhook " PH_VERSION,
                         file, table->abi_major, table->abi_minor, PH_ABI_MAJOR);
    if (table->abi_minor > PH_ABI_MINOR)
        return diag__set(diag, PH_ERR_PLUGIN,
                         "%s: needs plugin interface %u.%u, this is %d.%d; update pubhook, or "
                         "build the plugin with the headers of pubhook " PH_VERSION,
                         file, table->abi_major, table->abi_minor, PH_ABI_MAJOR, PH_ABI_MINOR);
    if (table->size < sizeof(struct ph_plugin))
        return diag__set(diag, PH_ERR_PLUGIN,
                         "%s: its table has %zu bytes, expected %zu or more; begin it with "
                         "PH_PLUGIN_HEAD",
                         file, table->size, sizeof(struct ph_plugin));
    return PH_OK;
}

static enum ph_err check_handlers(const struct ph_plugin *table, const char *file,
                                  struct diag *diag)
{
    size_t n = 0;

    for (const struct ph_plugin_handler *h = table->handlers; h->fn; h++, n++) {
        if (n == MAX_HANDLERS)
            return diag__set(diag, PH_ERR_PLUGIN,
                             "%s: more than %d handlers; does the array end with one whose fn is "
                             "NULL?",
                             file, MAX_HANDLERS);
        if ((unsigned)h->kind > PH_EVENT_LEFT)
            return diag__set(diag, PH_ERR_PLUGIN,
                             "%s: handler %zu: unknown kind %d, expected one "
                             "of enum ph_event_kind",
                             file, n + 1, (int)h->kind);
        if (h->kind == PH_EVENT_USER && !h->pattern)
            return diag__set(diag, PH_ERR_PLUGIN,
                             "%s: handler %zu: pattern is NULL, expected the name of an event or "
                             "\"*\"",
                             file, n + 1);
    }
    return n ? PH_OK
             : diag__set(diag, PH_ERR_PLUGIN, "%s: no handlers, expected at least one", file);
}

static enum ph_err check_members(const struct ph_plugin *table, const char *file, struct diag *diag)
{
    const struct {
        const char *name;
        const void *value;
    } members[] = {
        {"name", table->name}, {"version", table->version}, {"handlers", table->handlers}};

    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
        if (!members[i].value)
            return diag__set(diag, PH_ERR_PLUGIN, "%s: %s is NULL in the plugin's table", file,
                             members[i].name);
    }
    return PH_OK;
}

static enum ph_err get_table(struct plugin *p, const char *file, struct diag *diag)
{
    ph_plugin_entry_fn *entry;
    enum ph_err err;

    *(void **)&entry = dlsym(p->object, PH_PLUGIN_ENTRY);
    if (!entry)
        return diag__set(diag, PH_ERR_PLUGIN,
                         "%s: no plugin: it does not export " PH_PLUGIN_ENTRY
                         ", which PH_PLUGIN(table) would define",
                         file);
    p->table = entry(plugin__host());
    if (!p->table)
        return diag__set(diag, PH_ERR_PLUGIN, "%s: " PH_PLUGIN_ENTRY " returned NULL", file);
    err = check_version(p->table, file, diag);
    if (!err)
        err = check_members(p->table, file, diag);
    if (!err)
        err = check_handlers(p->table, file, diag);
    return err;
}

static enum ph_err open_plugin(struct plugin *p, struct ph_plugin_config *c, struct diag *diag)
{
    enum ph_err err = p->table->open ? p->table->open(c, &p->state) : PH_OK;

    if (err)
        return diag__set(diag, PH_ERR_PLUGIN, "%s: %s %s does not open: %s", c->file.ptr,
                         p->table->name, p->table->version,
                         c->failure[0] ? c->failure : ph_strerror(err));
    p->opened = true;
    return plugin_config__check(c, diag);
}

static enum ph_err register_one(struct ph_app *app, const char *hub, struct plugin *p,
                                const struct ph_plugin_handler *h)
{
    typedef enum ph_err register_fn(struct ph_app *, const char *, ph_handler_fn *, void *,
                                    void (*)(void *));
    static register_fn *const by_kind[] = {
        [PH_EVENT_CONNECT] = ph_app_on_connect,
        [PH_EVENT_CONNECTED] = ph_app_on_connected,
        [PH_EVENT_DISCONNECTED] = ph_app_on_disconnected,
        [PH_EVENT_JOINED] = ph_app_on_joined,
        [PH_EVENT_LEFT] = ph_app_on_left,
    };
    struct entry *e = malloc(sizeof(*e));

    if (!e)
        return PH_ERR_MEMORY;
    *e = (struct entry){p, h->fn};
    atomic_fetch_add(&p->refs, 1);
    if (h->kind == PH_EVENT_USER)
        return ph_app_on_event(app, hub, h->pattern, call, e, free_entry);
    return by_kind[h->kind](app, hub, call, e, free_entry);
}

static enum ph_err register_hub(struct ph_app *app, const char *hub, struct plugin *p,
                                const char *file, struct diag *diag)
{
    for (const struct ph_plugin_handler *h = p->table->handlers; h->fn; h++) {
        enum ph_err err = register_one(app, hub, p, h);

        if (err)
            return diag__set(diag, err, "%s: cannot register a handler for hub \"%s\": %s", file,
                             hub ? hub : "*", ph_strerror(err));
    }
    return PH_OK;
}

static enum ph_err register_all(struct ph_app *app, struct plugin *p,
                                const struct ph_plugin_config *c, struct diag *diag)
{
    const char *hub = plugin_config__hub(c, 0);
    enum ph_err err = hub ? PH_OK : register_hub(app, NULL, p, c->file.ptr, diag);

    for (size_t i = 0; !err && (hub = plugin_config__hub(c, i)) != NULL; i++)
        err = register_hub(app, hub, p, c->file.ptr, diag);
    return err;
}

static enum ph_err load(struct ph_app *app, struct ph_plugin_config *c, struct diag *diag)
{
    struct plugin *p = calloc(1, sizeof(*p));
    enum ph_err err;

    if (!p)
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    atomic_init(&p->refs, 1);
    err = open_object(p, c, diag);
    if (!err)
        err = get_table(p, c->file.ptr, diag);
    if (!err)
        err = open_plugin(p, c, diag);
    if (!err)
        err = register_all(app, p, c, diag);
    if (!err)
        app__add_plugin(app, c->never_blocks);
    if (!err)
        log__info(c->log, LOG_FIELDS("file", c->file.ptr, "version", p->table->version),
                  "plugin %s loaded", p->table->name);
    unref(p);
    return err;
}

enum ph_err ph_app_load_plugin(struct ph_app *app, const char *spec, const char **why)
{
    static _Thread_local struct diag diag;
    enum ph_err err = spec ? plugin__load(app, spec, app__log(app), &diag)
                           : diag__set(&diag, PH_ERR_PLUGIN, "no plugin is named");

    if (err && why)
        *why = diag.text;
    return err;
}

enum ph_err plugin__load(struct ph_app *app, const char *spec, struct ph_log *log,
                         struct diag *diag)
{
    struct ph_plugin_config config;
    enum ph_err err = plugin_config__parse(&config, spec, log, diag);

    if (!err)
        err = load(app, &config, diag);
    plugin_config__free(&config);
    return err;
}
