/* pubhook-broker: the service itself, for development, tests and self-hosting. */
#include "bin/cli.h"
#include "bin/file.h"
#include "broker/net/broker.h"
#include "plugin/plugin.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define HANDLER_THREADS "32"
#define HANDLER_GRACE_S 3 /* at the end, for handlers that still run */
#define MAX_CONFIG_FILE (4u << 20)

static enum ph_err read_config(void *settings, const char *value, struct diag *diag)
{
    struct buf text;
    enum ph_err err;

    buf__init(&text, MAX_CONFIG_FILE);
    err = file__read(value, &text, diag);
    if (!err)
        err = settings__parse_file(settings, value, buf__view(&text), diag);
    buf__free(&text);
    return err;
}

static enum ph_err set_listen(void *settings, const char *value, struct diag *diag)
{
    return settings__set_listen(settings, value, diag);
}

static enum ph_err add_key(void *settings, const char *value, struct diag *diag)
{
    return settings__add_key(settings, value, diag);
}

static enum ph_err add_event_handler(void *settings, const char *value, struct diag *diag)
{
    return settings__add_event_handler(settings, value, diag);
}

static enum ph_err add_plugin(void *settings, const char *value, struct diag *diag)
{
    return settings__add_plugin(settings, value, diag);
}

static enum ph_err set_threads(void *settings, const char *value, struct diag *diag)
{
    return settings__set_threads(settings, value, diag);
}

static enum ph_err set_log_level(void *settings, const char *value, struct diag *diag)
{
    return settings__set_log_level(settings, value, diag);
}

static enum ph_err set_log_format(void *settings, const char *value, struct diag *diag)
{
    return settings__set_log_format(settings, value, diag);
}

static enum ph_err ignore(void *settings, const char *value, struct diag *diag)
{
    (void)settings, (void)value, (void)diag;
    return PH_OK;
}

static const struct cli_option options[] = {
    {"listen", "HOST:PORT",
     "accept clients and REST calls there (default " SETTINGS_DEFAULT_LISTEN ");\n"
     "port 0 takes a free one",
     set_listen},
    {"access-key", "KEY",
     "key that signs tokens and events; a second one is the secondary\n"
     "key (default: the key of Microsoft's emulator, on loopback only)",
     add_key},
    {"config", "FILE", "JSON with settings and hubs; the command line overrides it", read_config},
    {"event-handler", "HUB=URL",
     "send all events of HUB to URL, which may hold {hub} and {event};\n"
     "may be repeated",
     add_event_handler},
    {"handler", "HUB=PLUGIN.so",
     "run this plugin inside the broker for all events of HUB;\n"
     "PLUGIN.so?key=value&... configures it; may be repeated",
     add_plugin},
    {"threads", "N", "event loops (default: one per CPU)", set_threads},
    {"log-level", "LEVEL", "error, warn, info (default) or debug", set_log_level},
    {"log-format", "FORMAT", "text (default) or json", set_log_format},
};
#define OPTION_COUNT (sizeof(options) / sizeof(*options))

static const struct cli cli = {
    .program = "pubhook-broker",
    .synopsis = "[OPTION]...",
    .about = "Serves WebSocket clients and the data-plane REST API of Web PubSub, and sends what\n"
             "clients do to event handlers.",
    .more = "Prints \"ready\" with its address and a connection string to standard output once it\n"
            "accepts connections, and logs to standard error. SIGTERM and SIGINT end it.\n"
            "See pubhook-broker(1).",
    .options = options,
    .option_count = OPTION_COUNT,
};

/* The file comes before the command line wherever it stands in it, so the line is read
 * twice. */
static enum cli_result read_line(int argc, char **argv, struct settings *s, bool files)
{
    struct cli_option chosen[OPTION_COUNT];
    struct cli pass = cli;

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        chosen[i] = options[i];
        if ((options[i].set == read_config) != files)
            chosen[i].set = ignore;
    }
    pass.options = chosen;
    return cli__parse(&pass, argc, argv, s, NULL);
}

static enum cli_result read_settings(int argc, char **argv, struct settings *s)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    enum cli_result result = read_line(argc, argv, s, true);
    struct diag diag = {""};

    if (result == CLI_RUN)
        result = read_line(argc, argv, s, false);
    if (result == CLI_RUN && settings__finish(s, cpus > 0 ? (unsigned)cpus : 1, &diag))
        result = cli__wrong(&cli, "%s", diag.text);
    return result;
}

static int fail(const char *why)
{
    fprintf(stderr, "pubhook-broker: %s\n", why);
    return EXIT_FAILURE;
}

/* --- Plugins ----------------------------------------------------------------------- */

typedef enum ph_err plugin_fn(const struct settings *s, struct event_handler *h, struct ph_log *log,
                              struct diag *diag);

static enum ph_err each_plugin(const struct settings *s, plugin_fn *fn, struct ph_log *log,
                               struct diag *diag)
{
    enum ph_err err = PH_OK;

    for (size_t i = 0; i < s->hub_count && !err; i++) {
        for (size_t j = 0; j < s->hubs[i].handler_count && !err; j++) {
            if (s->hubs[i].handlers[j].plugin.ptr)
                err = fn(s, &s->hubs[i].handlers[j], log, diag);
        }
    }
    return err;
}

static enum ph_err load(const struct settings *s, struct event_handler *h, struct ph_log *log,
                        struct diag *diag)
{
    struct ph_app *app = ph_app_new();
    char *spec = strndup(h->plugin.ptr, h->plugin.len);
    enum ph_err err = app && spec ? PH_OK : PH_ERR_MEMORY;

    (void)s;
    h->app = app;
    if (err) {
        diag__set(diag, err, "%s", ph_strerror(err));
    } else {
        /* Nobody but this process can call it, and the keys may change while it runs. */
        ph_app_allow_unsigned(app);
        ph_app_set_log(app, log);
        err = plugin__load(app, spec, log, diag);
    }
    free(spec);
    return err;
}

static enum ph_err unload(const struct settings *s, struct event_handler *h, struct ph_log *log,
                          struct diag *diag)
{
    (void)s, (void)log, (void)diag;
    ph_app_free(h->app);
    h->app = NULL;
    return PH_OK;
}

/* --- Run ------------------------------------------------------------------------------ */

/* Every client is an open file. */
static void raise_file_limit(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

/* Handlers of plugins may block, and with libuv's four threads four of them would hold
 * up all others. The threads start when the first of them is called. */
static void allow_blocking_handlers(void)
{
    setenv("UV_THREADPOOL_SIZE", HANDLER_THREADS, 0);
}

/* Blocked in all threads, which inherit this, and waited for in the main one. */
static void block_signals(sigset_t *stop)
{
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(stop);
    sigaddset(stop, SIGTERM);
    sigaddset(stop, SIGINT);
    pthread_sigmask(SIG_BLOCK, stop, NULL);
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

static void say_ready(const struct settings *s, const struct broker *b)
{
    printf("ready http://%s\n"
           "connection-string Endpoint=http://%s;AccessKey=%.*s;Version=1.0;\n",
           b->own_host, b->own_host, STR_FMT(mac__key_text(s->keys[0])));
    fflush(stdout);
}

static int serve(const struct settings *s, struct ph_log *log)
{
    const struct broker_limits limits = BROKER_LIMITS_DEFAULT;
    struct diag diag = {""};
    struct broker *broker;
    sigset_t stop;
    int number;

    block_signals(&stop);
    broker = broker__start(s, &limits, log, &diag);
    if (!broker)
        return fail(diag.text);
    say_ready(s, broker);
    while (sigwait(&stop, &number) != 0)
        ;
    log__info(log, LOG_NONE, "stopping: signal %d", number);
    /* A second signal ends the program at once. */
    pthread_sigmask(SIG_UNBLOCK, &stop, NULL);
    limit_time_to_stop(limits.drain_seconds + HANDLER_GRACE_S);
    broker__stop(broker);
    alarm(0);
    return EXIT_SUCCESS;
}

static int run(struct settings *s)
{
    struct ph_log *log = ph_log_new(s->log_level, s->log_format);
    struct diag diag = {""};
    int status;

    if (!log || curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        ph_log_free(log);
        return fail("out of memory");
    }
    raise_file_limit();
    allow_blocking_handlers();
    status = each_plugin(s, load, log, &diag) ? fail(diag.text) : serve(s, log);
    each_plugin(s, unload, log, &diag);
    curl_global_cleanup();
    ph_log_free(log);
    return status;
}

int main(int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    struct settings s;

    if (!settings__init(&s))
        return fail("out of memory");
    switch (read_settings(argc, argv, &s)) {
    case CLI_RUN:
        status = run(&s);
        break;
    case CLI_DONE:
        break;
    case CLI_WRONG:
        status = CLI_EXIT_USAGE;
        break;
    }
    settings__free(&s);
    return status;
}
