/* Settings and registration of pubhook/app.h. */
#include "app/defer.h"
#include "app/repeats.h"
#include "app/settings.h"
#include "app/workers.h"
#include "base/connection_string.h"
#include "base/url.h"
#include "pubhook/metrics.h"

#include <stdlib.h>

#define METRICS_MAX (16u << 20) /* some 8 KiB for each of COUNTS_MAX_HANDLERS */
#define DEFAULT_PATH "/eventhandler"

static const size_t default_limits[PH_LIMIT_COUNT] = {
    [PH_LIMIT_BODY] = (1u << 20) + (64u << 10),
    [PH_LIMIT_HEADERS] = 100,
    [PH_LIMIT_HEADER_BYTES] = 32u << 10,
    [PH_LIMIT_JSON_DEPTH] = 64,
    [PH_LIMIT_REQUEST_MS] = 30000,
    [PH_LIMIT_PENDING] = 10000,
    [PH_LIMIT_CONNECTIONS] = 16384,
};

struct ph_app *ph_app_new(void)
{
    struct ph_app *app = calloc(1, sizeof(*app));

    if (!app)
        return NULL;
    memcpy(app->limits, default_limits, sizeof(app->limits));
    pthread_mutex_init(&app->lock, NULL);
    counts__init(&app->counts);
    app->path = strdup(DEFAULT_PATH);
    app->handlers = registry__new();
    app->pending = pending__new(app);
    if (!auth__init(&app->auth))
        goto no_auth;
    if (!services__init(&app->services))
        goto no_services;
    if (app->path && app->handlers && app->pending)
        return app;
    ph_app_free(app);
    return NULL;

no_services:
    auth__free(&app->auth);
no_auth:
    counts__free(&app->counts);
    pending__close(app->pending);
    registry__unref(app->handlers);
    pthread_mutex_destroy(&app->lock);
    free(app->path);
    free(app);
    return NULL;
}

void ph_app_free(struct ph_app *app)
{
    if (!app)
        return;
    workers__free(app->workers);
    pending__close(app->pending);
    registry__unref(app->handlers);
    services__free(&app->services, app->log); /* plugins that were closed may have posted */
    pthread_mutex_destroy(&app->lock);
    repeats__free(app->repeats);
    counts__free(&app->counts);
    auth__free(&app->auth);
    for (size_t i = 0; i < app->origin_count; i++)
        free((char *)app->origins[i].ptr);
    free(app->origins);
    free(app->handler_name);
    free(app->path);
    free(app);
}

static enum ph_err add_origin(struct ph_app *app, struct str host)
{
    struct str *origins;
    char *copy;

    /* A URL would never equal what a service sends; its port is of no matter. */
    if (host.len == 0 || memchr(host.ptr, '/', host.len))
        return PH_ERR_ARGUMENT;
    host = url__host_only(host);
    origins = realloc(app->origins, (app->origin_count + 1) * sizeof(*origins));
    if (!origins)
        return PH_ERR_MEMORY;
    app->origins = origins;
    copy = str__dup(host);
    if (!copy)
        return PH_ERR_MEMORY;
    app->origins[app->origin_count++] = str__n(copy, host.len);
    return PH_OK;
}

enum ph_err ph_app_add_key(struct ph_app *app, const char *key)
{
    return auth__add_key(&app->auth, STR_NONE, str__of(key));
}

enum ph_err ph_app_allow_origin(struct ph_app *app, const char *host)
{
    return add_origin(app, str__of(host));
}

/* `own_host`: the key is for the events of its host alone. The key comes last: with half of it
 * done, nothing is accepted. */
static enum ph_err use_one(struct ph_app *app, struct str text, bool own_host)
{
    struct connection_string parsed;
    struct diag diag;
    enum ph_err err = connection_string__parse(text, &parsed, &diag);

    if (err != PH_OK) {
        log__error(app->log, LOG_NONE, "connection string: %s", diag.text);
        return err;
    }
    err = add_origin(app, parsed.host);
    if (err == PH_OK)
        err = services__add(&app->services, parsed.host, text);
    return err == PH_OK
               ? auth__add_key(&app->auth, own_host ? parsed.host : STR_NONE, parsed.access_key)
               : err;
}

static size_t count_lines(struct str rest)
{
    struct str line;
    size_t count = 0;

    while (str__split(&rest, '\n', &line))
        count += str__trim(line).len > 0;
    return count;
}

enum ph_err ph_app_use_connection_string(struct ph_app *app, const char *text)
{
    struct str rest, line;
    enum ph_err err = PH_OK;
    bool several;

    if (!text)
        text = getenv(CONNECTION_STRING_VARIABLE);
    if (!text)
        return PH_ERR_NOT_FOUND;
    rest = str__of(text);
    several = count_lines(rest) > 1;
    if (!several)
        return use_one(app, rest, false);
    while (err == PH_OK && str__split(&rest, '\n', &line)) {
        if (str__trim(line).len > 0)
            err = use_one(app, str__trim(line), true);
    }
    return err;
}

enum ph_err ph_app_set_service(struct ph_app *app, const char *connection_string,
                               const struct ph_service_options *options, const char **why)
{
    return services__set(&app->services, connection_string, options, app->log, why);
}

static struct ph_service *service_for(struct ph_app *app, const struct ph_event *ev)
{
    return services__get(&app->services, ev->origin, ev->hub.ptr, app__never_blocks(app), app->log);
}

/* The copy that a token has may outlive the application. */
struct ph_service *ph_event_service(const struct ph_event *ev)
{
    struct ph_service *service = NULL;
    struct ph_app *app;

    if (ev->call)
        return service_for(ev->call->app, ev);
    if (!ev->pending)
        return NULL;
    app = pending__lock(ev->pending);
    if (app)
        service = service_for(app, ev);
    pending__unlock(ev->pending);
    return service;
}

void ph_app_allow_unsigned(struct ph_app *app)
{
    app->auth.allow_unsigned = true;
}

enum ph_err ph_app_set_path(struct ph_app *app, const char *path)
{
    size_t len = path ? strlen(path) : 0;
    char *copy;

    if (len == 0 || path[0] != '/' || strpbrk(path, "?#"))
        return PH_ERR_ARGUMENT;
    while (len > 1 && path[len - 1] == '/')
        len--;
    copy = str__dup(str__n(path, len));
    if (!copy)
        return PH_ERR_MEMORY;
    free(app->path);
    app->path = copy;
    return PH_OK;
}

void ph_app_set_log(struct ph_app *app, struct ph_log *log)
{
    app->log = log;
    app->auth.log = log;
}

enum ph_err ph_app_set_deduplication(struct ph_app *app, unsigned seconds, size_t entries,
                                     size_t bytes)
{
    const struct repeats_limits limits = {seconds, entries > 0 ? entries : PH_DEDUPLICATION_ENTRIES,
                                          bytes > 0 ? bytes : PH_DEDUPLICATION_BYTES};
    struct repeats *repeats = NULL;

    if (seconds > 86400 || limits.entries > UINT32_MAX / 4)
        return PH_ERR_ARGUMENT;
    if (seconds > 0) {
        repeats = repeats__new(&limits);
        if (!repeats)
            return PH_ERR_MEMORY;
    }
    repeats__free(app->repeats);
    app->repeats = repeats;
    return PH_OK;
}

enum ph_err ph_app_set_limit(struct ph_app *app, enum ph_limit limit, size_t value)
{
    bool in_32_bits = limit == PH_LIMIT_JSON_DEPTH || limit == PH_LIMIT_CONNECTIONS;

    if ((unsigned)limit >= PH_LIMIT_COUNT || value == 0 || (in_32_bits && value > UINT32_MAX))
        return PH_ERR_ARGUMENT;
    app->limits[limit] = value;
    return PH_OK;
}

#define MAX_WORKERS 256
#define DEFAULT_QUEUE 1024

enum ph_err ph_app_set_workers(struct ph_app *app, unsigned threads, size_t queue)
{
    if (threads == 0 || threads > MAX_WORKERS)
        return PH_ERR_ARGUMENT;
    if (app->workers)
        return PH_ERR_STATE;
    app->workers = workers__new(threads, queue ? queue : DEFAULT_QUEUE, app__work);
    return app->workers ? PH_OK : PH_ERR_SYSTEM;
}

size_t ph_app_limit(const struct ph_app *app, enum ph_limit limit)
{
    return (unsigned)limit < PH_LIMIT_COUNT ? app->limits[limit] : 0;
}

struct ph_log *app__log(const struct ph_app *app)
{
    return app->log;
}

struct str app__path(const struct ph_app *app)
{
    return str__of(app->path);
}

struct registry *app__handlers(struct ph_app *app)
{
    struct registry *handlers;

    pthread_mutex_lock(&app->lock);
    handlers = registry__ref(app->handlers);
    pthread_mutex_unlock(&app->lock);
    return handlers;
}

enum ph_err app__exchange(struct ph_app *app, const void *owner, const struct registry *fresh)
{
    struct registry *old = app->handlers;
    struct registry *handlers = registry__exchanged(old, owner, fresh);

    if (!handlers)
        return PH_ERR_MEMORY;
    atomic_store(&app->never_blocks, handlers->count > 0 && handlers->blocking == 0);
    pthread_mutex_lock(&app->lock);
    app->handlers = handlers;
    pthread_mutex_unlock(&app->lock);
    registry__unref(old);
    return PH_OK;
}

bool app__never_blocks(const struct ph_app *app)
{
    return atomic_load_explicit(&app->never_blocks, memory_order_relaxed);
}

struct handler_counts *app__counts(struct ph_app *app, const char *name, enum ph_event_kind kind,
                                   const char *hub, const char *pattern)
{
    return counts__handler(&app->counts, name, kind, hub, pattern);
}

bool app__sum_counts(struct ph_app *app, struct counts *to, const char *hub)
{
    return counts__sum(to, &app->counts, hub);
}

/* Before it serves, or the registry is not the application's alone. */
static enum ph_err add(struct ph_app *app, enum ph_event_kind kind, const char *hub,
                       const char *pattern, ph_handler_fn *fn, void *arg,
                       void (*free_fn)(void *arg))
{
    const struct handler h = {
        .kind = kind,
        .hub = hub,
        .pattern = pattern,
        .fn = fn,
        .arg = arg,
        .free_fn = free_fn,
        .counts = app__counts(app, app->handler_name, kind, hub, pattern),
    };
    enum ph_err err = registry__add(app->handlers, &h);

    if (err == PH_OK)
        atomic_store(&app->never_blocks, false);
    return err;
}

enum ph_err ph_app_name_handlers(struct ph_app *app, const char *name)
{
    char *copy = name ? strdup(name) : NULL;

    if (name && !copy)
        return PH_ERR_MEMORY;
    free(app->handler_name);
    app->handler_name = copy;
    return PH_OK;
}

enum ph_err ph_app_metrics(struct ph_app *app, char **text, size_t *len)
{
    struct buf out;

    buf__init(&out, METRICS_MAX);
    counts__write(&app->counts, &out);
    if (!out.failed) {
        *text = buf__take(&out, len);
        return PH_OK;
    }
    buf__free(&out);
    return PH_ERR_MEMORY;
}

void ph_metrics_free(char *text)
{
    free(text);
}

enum ph_err ph_app_check(const struct ph_app *app, const char **why)
{
    const char *fault = auth__fault((struct auth *)(uintptr_t)&app->auth);

    if (!fault)
        return PH_OK;
    if (why)
        *why = fault;
    return PH_ERR_CONFIG;
}

enum ph_err ph_app_on_connect(struct ph_app *app, const char *hub, ph_handler_fn *fn, void *arg,
                              void (*free_fn)(void *arg))
{
    return add(app, PH_EVENT_CONNECT, hub, NULL, fn, arg, free_fn);
}

enum ph_err ph_app_on_connected(struct ph_app *app, const char *hub, ph_handler_fn *fn, void *arg,
                                void (*free_fn)(void *arg))
{
    return add(app, PH_EVENT_CONNECTED, hub, NULL, fn, arg, free_fn);
}

enum ph_err ph_app_on_disconnected(struct ph_app *app, const char *hub, ph_handler_fn *fn,
                                   void *arg, void (*free_fn)(void *arg))
{
    return add(app, PH_EVENT_DISCONNECTED, hub, NULL, fn, arg, free_fn);
}

enum ph_err ph_app_on_joined(struct ph_app *app, const char *hub, ph_handler_fn *fn, void *arg,
                             void (*free_fn)(void *arg))
{
    return add(app, PH_EVENT_JOINED, hub, NULL, fn, arg, free_fn);
}

enum ph_err ph_app_on_left(struct ph_app *app, const char *hub, ph_handler_fn *fn, void *arg,
                           void (*free_fn)(void *arg))
{
    return add(app, PH_EVENT_LEFT, hub, NULL, fn, arg, free_fn);
}

enum ph_err ph_app_on_event(struct ph_app *app, const char *hub, const char *pattern,
                            ph_handler_fn *fn, void *arg, void (*free_fn)(void *arg))
{
    return add(app, PH_EVENT_USER, hub, pattern ? pattern : "", fn, arg, free_fn);
}
