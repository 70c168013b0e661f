#include "app/app.h"
#include "app/registry.h"
#include "plugin/config.h"
#include "plugin/host.h"
#include "plugin/object.h"
#include "plugin/plugin.h"
#include "plugin/yard.h"

#include <stdlib.h>
#include <sys/stat.h>

#define MAX_HANDLERS 256
#define FIRST_TABLE_SIZE offsetof(struct ph_plugin, options) /* of interface 1.0 */

/* A plugin in use: one shared object, one state. Each registered handler holds a
 * reference; when the last one goes it is closed, here or in the yard. */
struct plugin {
    struct wreck wreck; /* first, for it is what the yard gets */
    atomic_size_t refs;
    struct yard *yard; /* NULL: closed by whoever lets go last */
    struct object object;
    struct ph_plugin_config config; /* stays, for plugins that keep what they must not */
    const struct ph_plugin *table;
    void *state;
    bool opened;
};

/* What is registered with the application. */
struct entry {
    struct plugin *plugin;
    ph_handler_fn *fn;
};

static void destroy(struct wreck *wreck)
{
    struct plugin *p = (struct plugin *)wreck;
    struct yard *yard = p->yard;

    if (p->opened && p->table->close)
        p->table->close(p->state);
    if (p->opened && yard)
        log__info(p->config.log, LOG_FIELDS("version", p->table->version),
                  "plugin %s closed: nobody uses this build any more", p->table->name);
    object__close(&p->object);
    plugin_config__free(&p->config);
    free(p);
    yard__unref(yard);
}

static void unref(struct plugin *p)
{
    if (atomic_fetch_sub(&p->refs, 1) == 1)
        yard__leave(p->yard, &p->wreck, destroy);
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

static enum ph_err no_file(const struct ph_plugin_config *c, struct diag *diag)
{
    return diag__set(diag, PH_ERR_PLUGIN,
                     "%s: no such file, expected the path of a plugin, or the name of one in "
                     "the working folder or in " HANDLERS_DIR,
                     c->file.ptr);
}

static enum ph_err open_object(struct plugin *p, struct ph_plugin_config *c, bool copied,
                               struct diag *diag)
{
    const char *path = locate(c);

    if (!path)
        return no_file(c, diag);
    return copied ? object__open_copy(&p->object, path, c->file.ptr, diag)
                  : object__open(&p->object, path, c->file.ptr, diag);
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
    if (table->size < FIRST_TABLE_SIZE)
        return diag__set(diag, PH_ERR_PLUGIN,
                         "%s: its table has %zu bytes, expected %zu or more; begin it with "
                         "PH_PLUGIN_HEAD",
                         file, table->size, FIRST_TABLE_SIZE);
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
        if (h->pattern && !*h->pattern)
            return diag__set(diag, PH_ERR_PLUGIN, "%s: handler %zu: pattern is empty", file, n + 1);
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

    *(void **)&entry = object__symbol(&p->object, PH_PLUGIN_ENTRY);
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

static const struct ph_plugin_option *options_of(const struct ph_plugin *table)
{
    return table->size >= sizeof(*table) ? table->options : NULL;
}

static enum ph_err open_plugin(struct plugin *p, struct ph_plugin_config *c, struct diag *diag)
{
    enum ph_err err = plugin_config__read(c, options_of(p->table), diag);

    if (err)
        return err;
    err = p->table->open ? p->table->open(c, &p->state) : PH_OK;
    if (err)
        return diag__set(diag, PH_ERR_PLUGIN, "%s: %s %s does not open: %s", c->file.ptr,
                         p->table->name, p->table->version,
                         c->failure[0] ? c->failure : ph_strerror(err));
    p->opened = true;
    return plugin_config__check(c, diag);
}

/* --- Registration ---------------------------------------------------------------------- */

static enum ph_err register_one(struct ph_app *app, struct registry *fresh, const char *hub,
                                struct plugin *p, const struct ph_plugin_handler *h,
                                const void *owner)
{
    struct entry *e = malloc(sizeof(*e));
    const char *pattern = h->kind == PH_EVENT_USER ? h->pattern : NULL;
    const struct handler handler = {
        .kind = h->kind,
        .hub = hub,
        .pattern = pattern,
        .fn = call,
        .arg = e,
        .free_fn = free_entry,
        .owner = owner,
        .never_blocks = p->config.never_blocks,
        .counts = app__counts(app, p->table->name, h->kind, hub, pattern),
    };

    if (!e)
        return PH_ERR_MEMORY;
    *e = (struct entry){p, h->fn};
    atomic_fetch_add(&p->refs, 1);
    return registry__add(fresh, &handler);
}

static enum ph_err register_hub(struct ph_app *app, struct registry *fresh, const char *hub,
                                struct plugin *p, const char *file, const void *owner,
                                struct diag *diag)
{
    for (const struct ph_plugin_handler *h = p->table->handlers; h->fn; h++) {
        enum ph_err err = register_one(app, fresh, hub, p, h, owner);

        if (err)
            return diag__set(diag, err, "%s: cannot register a handler for hub \"%s\": %s", file,
                             hub ? hub : "*", ph_strerror(err));
    }
    return PH_OK;
}

static enum ph_err register_all(struct ph_app *app, struct registry *fresh, struct plugin *p,
                                const struct ph_plugin_config *c, const void *owner,
                                struct diag *diag)
{
    const char *hub = plugin_config__hub(c, 0);
    enum ph_err err = hub ? PH_OK : register_hub(app, fresh, NULL, p, c->file.ptr, owner, diag);

    for (size_t i = 0; !err && (hub = plugin_config__hub(c, i)) != NULL; i++)
        err = register_hub(app, fresh, hub, p, c->file.ptr, owner, diag);
    return err;
}

/* All handlers or none: events may be under way. */
static enum ph_err publish(struct ph_app *app, struct plugin *p, const struct ph_plugin_config *c,
                           const void *owner, struct diag *diag)
{
    struct registry *fresh = registry__new();
    enum ph_err err = fresh ? PH_OK : diag__set(diag, PH_ERR_MEMORY, "out of memory");

    if (!err)
        err = register_all(app, fresh, p, c, owner ? owner : p, diag);
    if (!err && app__exchange(app, owner ? owner : p, fresh) != PH_OK)
        err = diag__set(diag, PH_ERR_MEMORY, "out of memory");
    registry__unref(fresh);
    return err;
}

static enum ph_err load(struct ph_app *app, struct plugin *p, const struct plugin_order *order,
                        struct diag *diag)
{
    struct ph_plugin_config *c = &p->config;
    enum ph_err err = plugin_config__parse(c, order->spec, order->log, diag);

    if (!err)
        err = open_object(p, c, order->copied, diag);
    if (!err)
        err = get_table(p, c->file.ptr, diag);
    if (!err)
        err = open_plugin(p, c, diag);
    c->shut = true;
    p->yard = yard__ref(order->yard);
    if (!err)
        err = publish(app, p, c, order->owner, diag);
    if (!err)
        log__info(c->log, LOG_FIELDS("file", c->file.ptr, "version", p->table->version),
                  "plugin %s %s", p->table->name, order->again ? "loaded again" : "loaded");
    return err;
}

enum ph_err plugin__bring(struct ph_app *app, const struct plugin_order *order, struct diag *diag)
{
    struct plugin *p = calloc(1, sizeof(*p));
    enum ph_err err;

    if (!p)
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    atomic_init(&p->refs, 1);
    err = load(app, p, order, diag);
    unref(p);
    return err;
}

/* --- Description ------------------------------------------------------------------------ */

static void describe_handler(const struct ph_plugin_handler *h, struct buf *out)
{
    static const char *const kinds[] = {
        [PH_EVENT_CONNECT] = "connect",           [PH_EVENT_CONNECTED] = "connected",
        [PH_EVENT_USER] = "user event",           [PH_EVENT_DISCONNECTED] = "disconnected",
        [PH_EVENT_JOINED] = "joined (of groups)", [PH_EVENT_LEFT] = "left (of groups)",
    };

    buf__printf(out, "  %s", kinds[h->kind]);
    if (h->kind == PH_EVENT_USER)
        buf__printf(out, " %s", h->pattern);
    buf__byte(out, '\n');
}

static void describe(const struct ph_plugin *table, const char *file, struct buf *out)
{
    buf__printf(out, "%s %s (%s), for plugin interface %u.%u\nhandlers, in this order:\n",
                table->name, table->version, file, table->abi_major, table->abi_minor);
    for (const struct ph_plugin_handler *h = table->handlers; h->fn; h++)
        describe_handler(h, out);
    buf__str(out, STR("configuration:\n"
                      "  hub=NAME              the hub that the handlers are for; may be repeated\n"
                      "                        (default: any)\n"));
    if (options_of(table))
        options__describe(options_of(table), out);
    else
        buf__str(out, STR("  others: its own, which it has no table of\n"));
}

enum ph_err plugin__describe(const char *spec, struct buf *out, struct diag *diag)
{
    struct ph_plugin_config config;
    struct plugin p = {.refs = 1};
    enum ph_err err = plugin_config__parse(&config, spec, NULL, diag);

    if (!err)
        err = open_object(&p, &config, false, diag);
    if (!err)
        err = get_table(&p, config.file.ptr, diag);
    if (!err)
        err = options__check(options_of(p.table), config.file.ptr, diag);
    if (!err)
        describe(p.table, config.file.ptr, out);
    object__close(&p.object);
    plugin_config__free(&config);
    return err;
}

char *plugin__path(const char *spec, struct diag *diag)
{
    struct ph_plugin_config config;
    const char *path = NULL;
    char *copy = NULL;

    if (plugin_config__parse(&config, spec, NULL, diag) == PH_OK) {
        path = locate(&config);
        copy = path ? strdup(path) : NULL;
        if (!copy)
            no_file(&config, diag);
    }
    plugin_config__free(&config);
    return copy;
}

enum ph_err plugin__load(struct ph_app *app, const char *spec, struct ph_log *log,
                         struct diag *diag)
{
    const struct plugin_order order = {.spec = spec, .log = log};

    return plugin__bring(app, &order, diag);
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
