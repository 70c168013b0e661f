/* pubhook-broker: the service itself, for development, tests and self-hosting. */
#include "base/log.h"
#include "bin/broker_plugins.h"
#include "bin/broker_settings.h"
#include "bin/config_watch.h"
#include "broker/bus/mailbox.h"
#include "broker/net/broker.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define HANDLER_THREADS 32       /* for all plugins; more if there are many */
#define MAX_HANDLER_THREADS 1024 /* libuv has no more */
#define HANDLER_GRACE_S 3        /* at the end, for handlers that still run */
#define MAX_CHANGES 2048         /* bytes of the list of what a reload changed */
#define MAX_FILE_TABLE (1u << 17)

static int fail(const char *why)
{
    fprintf(stderr, "pubhook-broker: %s\n", why);
    return EXIT_FAILURE;
}

/* The program from the start of the broker to its end. */
struct program {
    struct settings_source source;
    struct settings *started;       /* those of the start, which own the plugins */
    const struct settings *current; /* those of now; a reference */
    struct ph_log *log;
    struct broker *broker;
    uv_loop_t loop; /* of the main thread, which only waits */
    uv_signal_t terminate, interrupt, hang_up;
    uv_async_t wake; /* there is a letter; until the broker has ended */
    struct mailbox mailbox;
    struct config_watch watch;
    struct plugin_watch *plugins;
    int stopped_by;
};

/* --- Reload ---------------------------------------------------------------------------- */

static void connect_plugins(struct program *p, const struct settings *s)
{
    broker_plugins__connect(p->started, p->broker->own_host, mac__key_text(s->keys[0]), p->log);
}

/* Settings that were read again: a letter to the main thread, once they hold on all others. */
struct reload {
    struct letter letter;
    struct program *program;
    struct settings *settings;
    struct buf changes;
};

static void reload_free(struct reload *r)
{
    settings__unref(r->settings);
    buf__free(&r->changes);
    free(r);
}

/* Only now do the plugins call with the new key, and does the log say so. */
static void open_reload(struct letter *letter, void *reader)
{
    struct reload *r = (struct reload *)letter;
    const struct settings *s = r->settings;
    struct program *p = reader;

    if (p) {
        connect_plugins(p, s);
        log__set_level(p->log, s->log_level);
        log__info(p->log, LOG_NONE, "settings reloaded from %s: %zu hubs; %s%.*s", p->source.path,
                  s->hub_count, r->changes.len > 0 ? "changed: " : "nothing changed",
                  STR_FMT(buf__view(&r->changes)));
        settings__unref(p->current);
        p->current = settings__ref(s);
    }
    reload_free(r);
}

/* On a thread of the broker. */
static void on_configured(void *arg)
{
    struct reload *r = arg;

    mailbox__post(&r->program->mailbox, &r->letter);
}

static enum ph_err read_and_use(struct program *p, struct reload *r, struct diag *diag)
{
    r->settings = settings_source__reread(&p->source, p->started, &r->changes, diag);
    if (!r->settings)
        return PH_ERR_CONFIG;
    if (broker__check(r->settings, diag))
        return PH_ERR_CONFIG;
    broker_plugins__share(p->started, r->settings);
    if (!broker__configure(p->broker, r->settings, on_configured, r))
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    settings_source__accept(&p->source);
    return PH_OK;
}

static void reload(void *arg)
{
    struct program *p = arg;
    struct reload *r = calloc(1, sizeof(*r));
    struct diag diag = {"out of memory"};

    if (r) {
        r->letter.open = open_reload;
        r->program = p;
        buf__init(&r->changes, MAX_CHANGES);
    }
    if (r && read_and_use(p, r, &diag) == PH_OK)
        return;
    log__error(p->log, LOG_NONE, "settings not reloaded, the old ones stay: %s", diag.text);
    if (r)
        reload_free(r);
}

static void on_wake(uv_async_t *handle)
{
    struct program *p = handle->data;

    mailbox__read(&p->mailbox);
}

static void wake(void *reader)
{
    struct program *p = reader;

    uv_async_send(&p->wake);
}

/* --- Run ------------------------------------------------------------------------------ */

/* Every client is an open file. The kernel's table of them grows by doubling, and as soon as
 * there are threads, whoever opens the file that has no room waits for 10 to 20 ms, until no
 * processor looks at the old table any more. A file at the end, opened before there are
 * threads, makes it large once and for all; it costs 8 bytes of the kernel's for each. */
static void make_room_for_files(const struct program *p)
{
    struct rlimit files;
    rlim_t last;
    int fd;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    last = (files.rlim_cur < MAX_FILE_TABLE ? files.rlim_cur : MAX_FILE_TABLE) - 1;
    fd = fcntl(uv_backend_fd(&p->loop), F_DUPFD_CLOEXEC, (int)last);
    if (fd >= 0)
        close(fd);
}

/* Handlers of plugins may block, and with libuv's four threads four of them would hold up
 * all others. No plugin waits for another as long as each has a thread in each event loop.
 * The threads start when the first handler is called. */
static unsigned allow_blocking_handlers(const struct settings *s)
{
    size_t wanted = broker_plugins__count(s) * s->threads;
    const char *given = getenv("UV_THREADPOOL_SIZE");
    char text[12];

    if (given && atoi(given) > 0)
        return (unsigned)atoi(given);
    wanted = wanted < HANDLER_THREADS ? HANDLER_THREADS : wanted;
    wanted = wanted > MAX_HANDLER_THREADS ? MAX_HANDLER_THREADS : wanted;
    snprintf(text, sizeof(text), "%u", (unsigned)wanted);
    setenv("UV_THREADPOOL_SIZE", text, 1);
    return (unsigned)wanted;
}

/* All threads inherit this; the main one alone takes signals. */
static void mask_signals(int how)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(how, &signals, NULL);
}

/* A plugin's handler cannot be stopped from outside: one that does not return would keep
 * the program for ever. */
static void leave_handlers_behind(int number)
{
    static const char text[] =
        "pubhook-broker: stopping takes too long (does a handler of a plugin return?), so it "
        "ends here\n";

    (void)number;
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        _exit(EXIT_FAILURE);
    _exit(EXIT_SUCCESS);
}

static void limit_time_to_stop(unsigned seconds)
{
    signal(SIGALRM, leave_handlers_behind);
    alarm(seconds);
}

static void on_stop(uv_signal_t *handle, int number)
{
    struct program *p = handle->data;

    p->stopped_by = number;
    uv_stop(&p->loop);
}

static void on_hang_up(uv_signal_t *handle, int number)
{
    struct program *p = handle->data;

    (void)number;
    if (settings_source__can_reread(&p->source))
        reload(p);
    plugin_watch__look(p->plugins);
}

static void await(struct program *p, uv_signal_t *handle, uv_signal_cb fn, int number)
{
    uv_signal_init(&p->loop, handle);
    handle->data = p;
    uv_signal_start(handle, fn, number);
}

static void close_handle(uv_handle_t *handle, void *but)
{
    if (handle != but && !uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* Until a signal says that it is over. Without a file or a plugin to read again, SIGHUP is
 * what it is to every program: the terminal has gone. */
static void wait_for_signals(struct program *p)
{
    await(p, &p->terminate, on_stop, SIGTERM);
    await(p, &p->interrupt, on_stop, SIGINT);
    if (settings_source__can_reread(&p->source) || p->source.watch)
        await(p, &p->hang_up, on_hang_up, SIGHUP);
    if (settings_source__can_reread(&p->source)) {
        if (!config_watch__open(&p->watch, &p->loop, p->source.path, &p->source.stamp, reload, p))
            log__warn(p->log, LOG_NONE, "%s cannot be watched: SIGHUP reads it again",
                      p->source.path);
    }
    mask_signals(SIG_UNBLOCK);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    log__info(p->log, LOG_NONE, "stopping: signal %d", p->stopped_by);
    /* A second signal ends the program at once. */
    uv_walk(&p->loop, close_handle, &p->wake);
    uv_run(&p->loop, UV_RUN_DEFAULT);
}

static void say_ready(const struct settings *s, const struct broker *b)
{
    printf("ready http://%s\n"
           "connection-string Endpoint=http://%s;AccessKey=%.*s;Version=1.0;\n",
           b->own_host, b->own_host, STR_FMT(mac__key_text(s->keys[0])));
    fflush(stdout);
}

static int serve(struct program *p)
{
    struct broker_limits limits = broker__limits(&p->current->limits);
    struct diag diag = {""};

    limits.handler_threads = allow_blocking_handlers(p->current);
    signal(SIGPIPE, SIG_IGN);
    mask_signals(SIG_BLOCK);
    p->broker = broker__start(p->current, &limits, p->log, &diag);
    if (!p->broker)
        return fail(diag.text);
    connect_plugins(p, p->current);
    if (plugin_watch__start(p->plugins, &diag)) {
        broker__stop(p->broker);
        return fail(diag.text);
    }
    say_ready(p->current, p->broker);
    wait_for_signals(p);
    limit_time_to_stop(broker__stop_seconds(p->broker) + HANDLER_GRACE_S);
    broker__stop(p->broker);
    alarm(0);
    return EXIT_SUCCESS;
}

/* The loop does not stay for the handle alone. */
static bool open_loop(struct program *p)
{
    if (uv_loop_init(&p->loop) != 0)
        return false;
    uv_async_init(&p->loop, &p->wake, on_wake);
    uv_unref((uv_handle_t *)&p->wake);
    p->wake.data = p;
    mailbox__init(&p->mailbox, wake, p);
    return true;
}

static void close_loop(struct program *p)
{
    mailbox__free(&p->mailbox, letter__discard);
    uv_walk(&p->loop, close_handle, NULL);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    uv_loop_close(&p->loop);
}

static int run(struct program *p)
{
    struct diag diag = {""};
    int status;

    p->log = ph_log_new(p->started->log_level, p->started->log_format);
    p->plugins = plugin_watch__new(p->log, p->source.watch);
    if (!p->log || !p->plugins || !open_loop(p)) {
        plugin_watch__free(p->plugins);
        ph_log_free(p->log);
        return fail("out of memory");
    }
    make_room_for_files(p);
    p->current = settings__ref(p->started);
    status =
        broker_plugins__load(p->started, p->plugins, p->log, &diag) ? fail(diag.text) : serve(p);
    plugin_watch__free(p->plugins);
    settings__unref(p->current);
    broker_plugins__unload(p->started);
    close_loop(p);
    ph_log_free(p->log);
    return status;
}

static int read_and_run(struct program *p)
{
    switch (settings_source__read(&p->source, p->started)) {
    case CLI_RUN:
        return run(p);
    case CLI_DONE:
        return EXIT_SUCCESS;
    case CLI_WRONG:
        break;
    }
    return CLI_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct program p = {.started = settings__new()};
    int status;

    if (!p.started || curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return fail("out of memory");
    settings_source__init(&p.source, argc, argv);
    status = read_and_run(&p);
    settings_source__free(&p.source);
    settings__unref(p.started);
    curl_global_cleanup();
    return status;
}
