#include "plugin/watch.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/thread.h"
#include "plugin/yard.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#define STIRS                                                                                      \
    (IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE |            \
     IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)
#define AGAIN_MS 1000 /* until a folder that has gone is looked for again */
#define MAX_LINKS 40  /* as many as the kernel follows */

/* A plugin that an application uses, whichever build of it. */
struct use {
    struct use *next;
    struct ph_app *app;
    char *spec, *path;
    struct file_stamp loaded; /* the file as it was when it was loaded, or failed to */
    struct file_stamp seen;   /* as it was at the last look, */
    int64_t quiet_at;         /* and when it has been so for long enough; 0: nothing is new */
    bool failed;              /* it was not loaded */
};

struct plugin_watch {
    struct use *uses, **last;
    struct yard *yard;
    struct ph_log *log;
    int stirred; /* inotify; -1: files are not watched */
    int wake;    /* an event counter */
    bool lost;   /* a folder is not watched, because it has gone */
    atomic_bool stopping, told;
    bool files, running;
    pthread_t thread;
};

/* Also called from signal handlers: nothing here but write(2). */
static void wake(void *arg)
{
    static const uint64_t one = 1;
    struct plugin_watch *w = arg;
    int saved = errno;

    while (write(w->wake, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    errno = saved;
}

struct plugin_watch *plugin_watch__new(struct ph_log *log, bool files)
{
    struct plugin_watch *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->last = &w->uses;
    w->log = log;
    w->files = files;
    w->stirred = -1;
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->yard = yard__new(wake, w);
    if (w->wake >= 0 && w->yard)
        return w;
    plugin_watch__free(w);
    return NULL;
}

static void free_use(struct use *use)
{
    free(use->spec);
    free(use->path);
    free(use);
}

static enum ph_err bring(struct plugin_watch *w, struct use *use, bool again, struct diag *diag)
{
    const struct plugin_order order = {
        .spec = use->spec,
        .log = w->log,
        .owner = use,
        .yard = w->yard,
        .copied = w->files || again,
        .again = again,
    };
    enum ph_err err;

    file__stamp(use->path, &use->loaded); /* first: if it changes now, it is loaded once more */
    use->seen = use->loaded;
    use->quiet_at = 0;
    err = plugin__bring(use->app, &order, diag);
    use->failed = err != PH_OK;
    return err;
}

enum ph_err plugin_watch__load(struct plugin_watch *w, struct ph_app *app, const char *spec,
                               struct diag *diag)
{
    struct use *use = calloc(1, sizeof(*use));
    enum ph_err err = PH_OK;

    if (!use)
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    use->app = app;
    use->spec = strdup(spec);
    use->path = use->spec ? plugin__path(spec, diag) : NULL;
    if (!use->spec)
        err = diag__set(diag, PH_ERR_MEMORY, "out of memory");
    else if (!use->path)
        err = PH_ERR_PLUGIN;
    if (!err)
        err = bring(w, use, false, diag);
    if (err) {
        free_use(use);
        return err;
    }
    *w->last = use;
    w->last = &use->next;
    return PH_OK;
}

/* --- Files ------------------------------------------------------------------------------ */

static bool watch_folder(struct plugin_watch *w, const char *path)
{
    char *copy = strdup(path);
    bool good = copy && inotify_add_watch(w->stirred, dirname(copy), STIRS) >= 0;

    free(copy);
    return good;
}

/* The first link in `path` goes to `link`, and `path` is what it leads to. False: there is none. */
static bool follow_link(char path[PATH_MAX], char link[PATH_MAX])
{
    char target[PATH_MAX], next[PATH_MAX];
    size_t end = 0, folder;
    ssize_t n;

    do {
        end += strspn(path + end, "/");
        end += strcspn(path + end, "/");
        memcpy(link, path, end);
        link[end] = '\0';
        n = readlink(link, target, sizeof(target) - 1);
    } while (n < 0 && path[end]);
    if (n < 0)
        return false;
    target[n] = '\0';
    folder = *target != '/' && strrchr(link, '/') ? (size_t)(strrchr(link, '/') - link) + 1 : 0;
    if (snprintf(next, sizeof(next), "%.*s%s%s", (int)folder, link, target, path + end) >= PATH_MAX)
        return false;
    strcpy(path, next);
    return true;
}

/* The folder and not the file, which may be replaced; and those of all links on the way to it.
 * One that is watched already stays so. */
static bool watch_file(struct plugin_watch *w, const char *path)
{
    char at[PATH_MAX], link[PATH_MAX];
    bool good = snprintf(at, sizeof(at), "%s", path) < PATH_MAX;

    for (int i = 0; good && i < MAX_LINKS && follow_link(at, link); i++)
        good = watch_folder(w, link);
    return good && watch_folder(w, at);
}

static enum ph_err watch_files(struct plugin_watch *w, struct diag *diag)
{
    w->stirred = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (w->stirred < 0)
        return diag__set(diag, PH_ERR_SYSTEM, "plugins cannot be watched: inotify: %m");
    for (const struct use *use = w->uses; use; use = use->next) {
        if (!watch_file(w, use->path))
            return diag__set(diag, PH_ERR_SYSTEM, "%s cannot be watched: %m", use->path);
    }
    return PH_OK;
}

static void find_lost(struct plugin_watch *w)
{
    bool found = true;

    for (const struct use *use = w->uses; use; use = use->next)
        found = watch_file(w, use->path) && found;
    w->lost = !found;
}

/* --- The thread ------------------------------------------------------------------------- */

static void load_again(struct plugin_watch *w, struct use *use)
{
    struct diag diag = {""};

    if (bring(w, use, true, &diag) != PH_OK)
        log__error(w->log, LOG_FIELDS("file", use->path),
                   "plugin not loaded again, the old build stays: %s", diag.text);
    /* a link may lead to another folder now */
    if (w->files && !watch_file(w, use->path))
        w->lost = true;
}

/* A file that is not there is being made. */
static bool has_changed(struct use *use)
{
    static const struct file_stamp none;

    return !file__same(&use->seen, &use->loaded) && !file__same(&use->seen, &none);
}

/* Looks at the file; one that is still being written is looked at again. */
static void look(struct plugin_watch *w, struct use *use, int64_t now)
{
    struct file_stamp before = use->seen;

    file__stamp(use->path, &use->seen);
    if (!has_changed(use))
        use->quiet_at = 0;
    else if (!file__same(&use->seen, &before) || use->quiet_at == 0)
        use->quiet_at = now + PLUGIN_WATCH_QUIET_MS;
    else if (use->quiet_at <= now)
        load_again(w, use);
}

static int look_at_all(struct plugin_watch *w)
{
    int64_t now = clock__mono_ms(), next = INT64_MAX;

    for (struct use *use = w->uses; use; use = use->next) {
        look(w, use, now);
        if (use->quiet_at > 0 && use->quiet_at < next)
            next = use->quiet_at;
    }
    if (next == INT64_MAX)
        return -1;
    now = clock__mono_ms();
    return next > now ? (int)(next - now) : 0;
}

/* What has stirred is found out by looking; only that a folder has gone must be heard. */
static void hear(struct plugin_watch *w)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n;

    while (w->stirred >= 0 && (n = read(w->stirred, events, sizeof(events))) > 0) {
        for (char *at = events; at < events + n;) {
            const struct inotify_event *event = (const void *)at;

            w->lost = w->lost || event->mask & (IN_IGNORED | IN_MOVE_SELF);
            at += sizeof(*event) + event->len;
        }
    }
}

static void hear_calls(struct plugin_watch *w)
{
    uint64_t count;

    if (read(w->wake, &count, sizeof(count)) < 0)
        return; /* nobody has called */
    yard__clear(w->yard);
}

/* A build that did not load may do so when something else has changed, which it needs. */
static bool hear_orders(struct plugin_watch *w)
{
    bool told = atomic_exchange(&w->told, false);

    for (struct use *use = w->uses; told && use; use = use->next) {
        if (use->failed)
            use->loaded = (struct file_stamp){0};
    }
    return told;
}

static int earlier(int a, int b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void *watch(void *arg)
{
    struct plugin_watch *w = arg;
    int timeout = w->files ? look_at_all(w) : -1; /* it may have changed since it was loaded */

    while (!atomic_load(&w->stopping)) {
        bool told;
        struct pollfd fds[2] = {{.fd = w->wake, .events = POLLIN},
                                {.fd = w->stirred, .events = POLLIN}};

        if (poll(fds, 2, timeout) < 0 && errno != EINTR)
            break;
        hear_calls(w);
        hear(w);
        if (w->lost)
            find_lost(w);
        told = hear_orders(w);
        if (w->files || timeout >= 0 || told)
            timeout = look_at_all(w);
        if (w->lost)
            timeout = earlier(timeout, AGAIN_MS);
    }
    return NULL;
}

enum ph_err plugin_watch__start(struct plugin_watch *w, struct diag *diag)
{
    enum ph_err err = w->files ? watch_files(w, diag) : PH_OK;

    if (err || !w->uses)
        return err;
    w->running = thread__start(&w->thread, watch, w);
    return w->running
               ? PH_OK
               : diag__set(diag, PH_ERR_SYSTEM, "cannot start a thread that looks after plugins");
}

void plugin_watch__look(struct plugin_watch *w)
{
    atomic_store(&w->told, true);
    wake(w);
}

void plugin_watch__free(struct plugin_watch *w)
{
    struct use *use;

    if (!w)
        return;
    atomic_store(&w->stopping, true);
    wake(w);
    if (w->running)
        pthread_join(w->thread, NULL);
    if (w->yard)
        yard__shut(w->yard);
    yard__unref(w->yard);
    while ((use = w->uses)) {
        w->uses = use->next;
        free_use(use);
    }
    if (w->stirred >= 0)
        close(w->stirred);
    if (w->wake >= 0)
        close(w->wake);
    free(w);
}
