/* pubhookd: runs handler plugins over HTTP, FastCGI or CGI. */
#include "base/log.h"
#include "bin/cli.h"
#include "plugin/watch.h"
#include "pubhook/auth.h"
#include "pubhook/metrics.h"
#include "pubhook/serve.h"
#include "serve/server.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define DEFAULT_LISTEN "127.0.0.1:8090"
#define MAX_PLUGINS 64
#define MAX_DESCRIPTION (1u << 20) /* bytes, of all plugins */
#define MAX_NAMES 32
#define USUAL_CONNECTIONS 16384 /* what PH_LIMIT_CONNECTIONS is by itself */
#define WATCH_SECONDS 1         /* a file that changes is read within two */

struct settings {
    struct ph_app *app;
    const char *listen;
    const char *fastcgi;
    const char *metrics;
    unsigned threads;
    unsigned workers, worker_queue; /* 0: none; the usual */
    enum ph_log_level level;
    enum ph_log_format format;
    const char *plugins[MAX_PLUGINS];
    size_t plugin_count;
    bool describe; /* the plugins, and nothing else */
    bool watch;    /* load plugins again when they change */
    struct plugin_watch *watcher;
    bool has_sources; /* files that may change while it runs */
    struct ph_entra_options entra;
    const char *issuers[MAX_NAMES + 1], *audiences[MAX_NAMES + 1];
};

static enum ph_err set_listen(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;

    s->listen = value;
    return s->fastcgi ? diag__set(diag, PH_ERR_ARGUMENT, "not together with --fastcgi") : PH_OK;
}

static enum ph_err set_fastcgi(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;

    s->fastcgi = value;
    return s->listen ? diag__set(diag, PH_ERR_ARGUMENT, "not together with --listen") : PH_OK;
}

static enum ph_err set_metrics(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;

    (void)diag;
    s->metrics = value;
    return PH_OK;
}

static enum ph_err set_path(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;
    enum ph_err err = ph_app_set_path(s->app, value);

    return err ? diag__set(diag, err, "\"%s\" is no path, expected one such as /eventhandler",
                           value)
               : PH_OK;
}

static enum ph_err set_access_key(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;
    enum ph_err err = ph_app_add_key(s->app, value);

    return err ? diag__set(diag, err, "%s", *value ? ph_strerror(err) : "the key is empty") : PH_OK;
}

/* Keys may hold a '=', hosts cannot. */
static enum ph_err set_origin_key(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;
    struct str key = str__of(value), host;
    char *name;
    enum ph_err err = PH_ERR_ARGUMENT;

    str__split(&key, '=', &host);
    name = str__dup(host);
    if (name && key.len > 0)
        err = ph_app_add_key_for(s->app, name, key.ptr);
    free(name);
    return err ? diag__set(diag, err, "%s",
                           err == PH_ERR_ARGUMENT
                               ? "expected HOST=KEY, such as contoso.webpubsub.azure.com=KEY"
                               : ph_strerror(err))
               : PH_OK;
}

static enum ph_err set_key_file(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;
    const char *why;
    enum ph_err err = ph_app_add_key_file(s->app, value, &why);

    s->has_sources = true;
    return err ? diag__set(diag, err, "%s", why) : PH_OK;
}

static enum ph_err add_name(const char **names, const char *value, struct diag *diag)
{
    size_t count = 0;

    while (names[count])
        count++;
    if (count == MAX_NAMES)
        return diag__set(diag, PH_ERR_LIMIT, "more than %d of them", MAX_NAMES);
    names[count] = value;
    return PH_OK;
}

static enum ph_err add_issuer(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;

    s->entra.issuers = s->issuers;
    return add_name(s->issuers, value, diag);
}

static enum ph_err add_audience(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;

    s->entra.audiences = s->audiences;
    return add_name(s->audiences, value, diag);
}

static enum ph_err set_tenant(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;

    (void)diag;
    s->entra.tenant = value;
    return PH_OK;
}

static enum ph_err set_entra_keys(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;

    (void)diag;
    s->entra.keys = value;
    s->has_sources = true;
    return PH_OK;
}

static enum ph_err set_require(void *settings, const char *value, struct diag *diag)
{
    static const enum ph_proof proofs[] = {PH_PROOF_SIGNATURE, PH_PROOF_TOKEN, PH_PROOF_BOTH,
                                           PH_PROOF_EITHER};
    static const char *const names[] = {"signature", "token", "both", "either", NULL};
    struct settings *s = settings;
    unsigned at;
    enum ph_err err = cli__choice(value, names, &at, diag);

    return err ? err : ph_app_require(s->app, proofs[at]);
}

static enum ph_err set_allowed_origin(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;
    enum ph_err err = ph_app_allow_origin(s->app, value);

    return err ? diag__set(diag, err,
                           "\"%s\" is no host name, expected one such as "
                           "contoso.webpubsub.azure.com, or \"*\"",
                           value)
               : PH_OK;
}

static enum ph_err set_allow_unsigned(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;

    (void)value, (void)diag;
    ph_app_allow_unsigned(s->app);
    return PH_OK;
}

static enum ph_err set_deduplicate(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;
    unsigned seconds;
    enum ph_err err = cli__number(value, 0, 86400, &seconds, diag);

    if (err == PH_OK)
        err = ph_app_set_deduplication(s->app, seconds, 0, 0);
    return err == PH_ERR_MEMORY ? diag__set(diag, err, "%s", ph_strerror(err)) : err;
}

static enum ph_err set_threads(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;

    return cli__number(value, 1, SERVER_MAX_THREADS, &s->threads, diag);
}

static enum ph_err set_max_connections(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;
    unsigned max;
    enum ph_err err = cli__number(value, 1, 1000000, &max, diag);

    return err ? err : ph_app_set_limit(s->app, PH_LIMIT_CONNECTIONS, max);
}

static enum ph_err set_workers(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;

    return cli__number(value, 1, 256, &s->workers, diag);
}

static enum ph_err set_worker_queue(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;

    return cli__number(value, 1, 1000000, &s->worker_queue, diag);
}

static enum ph_err set_log_level(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;

    if (ph_log_level_from_name(value, &s->level))
        return diag__set(diag, PH_ERR_ARGUMENT, "\"%s\" is none of error, warn, info, debug",
                         value);
    return PH_OK;
}

static enum ph_err set_log_format(void *settings, const char *value, struct diag *diag)
{
    static const char *const names[] = {[PH_LOG_TEXT] = "text", [PH_LOG_JSON] = "json", NULL};
    struct settings *s = settings;
    unsigned at = s->format;
    enum ph_err err = cli__choice(value, names, &at, diag);

    s->format = (enum ph_log_format)at;
    return err;
}

static enum ph_err add_plugin(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;

    if (s->plugin_count == MAX_PLUGINS)
        return diag__set(diag, PH_ERR_LIMIT, "more than %d plugins", MAX_PLUGINS);
    s->plugins[s->plugin_count++] = value;
    return PH_OK;
}

static enum ph_err set_watch(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;

    (void)value, (void)diag;
    s->watch = true;
    return PH_OK;
}

static enum ph_err set_describe(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;

    (void)value, (void)diag;
    s->describe = true;
    return PH_OK;
}

static const struct cli_option options[] = {
    {"plugin", "SPEC",
     "FILE.so or FILE.so?key=value&...; may be repeated. A FILE without\n"
     "a slash is looked for here and among the installed handlers. The\n"
     "key hub says which hub the handlers are for (default: any)",
     add_plugin},
    {"describe", NULL,
     "print what each plugin handles and what its configuration may\n"
     "hold, and end; SPEC FILE.so?help does the same",
     set_describe},
    {"watch", NULL,
     "load plugins again when their files change, and on SIGHUP, without\n"
     "dropping a request",
     set_watch},
    {"listen", "HOST:PORT",
     "serve HTTP there (default " DEFAULT_LISTEN "); port 0 takes a free one;\n"
     "systemd: or systemd:NAME is a socket that systemd has opened, fd:N\n"
     "an inherited one",
     set_listen},
    {"fastcgi", "SOCKET", "serve FastCGI instead: the path of a UNIX socket, or as --listen",
     set_fastcgi},
    {"path", "PATH", "where events are posted to (default /eventhandler)", set_path},
    {"access-key", "KEY",
     "accept events signed with KEY; may be repeated. The key in\n"
     "WebPubSubConnectionString counts too",
     set_access_key},
    {"access-key-file", "FILE",
     "accept events signed with the keys in FILE, one in each line: KEY,\n"
     "HOST KEY or a connection string; may be repeated. It is read\n"
     "again when it changes, and on SIGHUP",
     set_key_file},
    {"origin-key", "HOST=KEY",
     "accept events of the service host HOST only if they are signed with\n"
     "KEY; may be repeated",
     set_origin_key},
    {"entra-tenant", "ID", "accept tokens of Microsoft Entra that come from this directory",
     set_tenant},
    {"entra-audience", "AUDIENCE", "which are for this one; may be repeated", add_audience},
    {"entra-issuer", "URL", "and from this issuer, in place of the tenant's; may be repeated",
     add_issuer},
    {"entra-keys", "FILE|URL", "and signed with these public keys, in place of the tenant's",
     set_entra_keys},
    {"require", "PROOF",
     "what events must bring along: signature, token, both or either\n"
     "(default: both, or the one that is configured)",
     set_require},
    {"allowed-origin", "HOST", "service host that may send events; may be repeated (default: any)",
     set_allowed_origin},
    {"allow-unsigned", NULL, "accept events without checking a signature", set_allow_unsigned},
    {"deduplicate", "SECONDS",
     "answer events that come again within that time as before, without\n"
     "asking the handlers (default 0: ask them)",
     set_deduplicate},
    {"metrics", "HOST:PORT", "serve counters for Prometheus there, at /metrics (default: nowhere)",
     set_metrics},
    {"threads", "N", "threads that serve (default: one per CPU)", set_threads},
    {"max-connections", "N", "connections open at once (default 16384); more wait",
     set_max_connections},
    {"workers", "N",
     "threads for handlers that may block (default: none, they run on\n"
     "the threads that serve)",
     set_workers},
    {"worker-queue", "N", "events that may wait for a worker (default 1024); then 503",
     set_worker_queue},
    {"log-level", "LEVEL", "error, warn, info (default) or debug", set_log_level},
    {"log-format", "FORMAT", "text (default) or json", set_log_format},
};

static const struct cli cli = {
    .program = "pubhookd",
    .synopsis = "[OPTION]... --plugin SPEC ...",
    .about = "Runs event handlers for Web PubSub from plugins, over HTTP, FastCGI, or CGI when\n"
             "a CGI server starts it (then plugins also come from PUBHOOK_PLUGINS).",
    .more = "Prints \"ready\" and its address to standard output once it accepts requests, and\n"
            "logs to standard error. SIGTERM and SIGINT end it. See pubhookd(1).",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
};

/* A web server may turn a query without '=' into command-line arguments (RFC 3875
 * section 4.4): then a stranger would choose our options. */
static bool arguments_are_safe(void)
{
    const char *query = getenv("QUERY_STRING");

    return !ph_is_cgi() || !query || !*query || strchr(query, '=');
}

/* PUBHOOK_PLUGINS: specifications separated by blanks, for web servers that can set the
 * environment of a CGI program but not its arguments. */
static enum ph_err plugins_from_environment(struct settings *s, struct diag *diag)
{
    char *list = getenv("PUBHOOK_PLUGINS"), *saved;
    enum ph_err err = PH_OK;

    if (!list)
        return PH_OK;
    for (char *p = strtok_r(list, " \t\n", &saved); p && !err; p = strtok_r(NULL, " \t\n", &saved))
        err = add_plugin(s, p, diag);
    return err;
}

/* All that can be wrong with the command line as a whole. */
static enum cli_result complete(struct settings *s)
{
    struct diag diag;
    enum ph_err err = PH_OK;

    if (ph_is_cgi() && plugins_from_environment(s, &diag))
        return cli__wrong(&cli, "PUBHOOK_PLUGINS: %s", diag.text);
    if (s->plugin_count == 0)
        return cli__wrong(&cli, "nothing to run, expected --plugin FILE.so");
    if (s->worker_queue > 0 && s->workers == 0)
        return cli__wrong(&cli, "--worker-queue: expected --workers N with it");
    err = ph_app_use_connection_string(s->app, NULL);
    if (err && err != PH_ERR_NOT_FOUND)
        return cli__wrong(&cli,
                          "WebPubSubConnectionString: %s, expected "
                          "Endpoint=...;AccessKey=...;Version=1.0;",
                          ph_strerror(err));
    return CLI_RUN;
}

static bool wants_tokens(const struct ph_entra_options *o)
{
    return o->tenant || o->issuers || o->audiences || o->keys;
}

/* With the log, because a thread reads the keys from now on. */
static enum cli_result prepare_proof(struct settings *s)
{
    const char *why;

    if (wants_tokens(&s->entra) && ph_app_use_entra(s->app, &s->entra, &why))
        return cli__wrong(&cli, "%s (--entra-...)", why);
    if (ph_app_check(s->app, &why))
        return cli__wrong(&cli, "%s", why);
    return CLI_RUN;
}

static int fail(const char *why)
{
    fprintf(stderr, "pubhookd: %s\n", why);
    return EXIT_FAILURE;
}

static int load_plugins(struct settings *s, struct ph_log *log)
{
    struct diag diag;

    /* a CGI program ends before anything could change */
    s->watcher = plugin_watch__new(log, s->watch && !ph_is_cgi());
    if (!s->watcher)
        return fail(ph_strerror(PH_ERR_MEMORY));
    for (size_t i = 0; i < s->plugin_count; i++) {
        if (plugin_watch__load(s->watcher, s->app, s->plugins[i], &diag))
            return fail(diag.text);
    }
    return EXIT_SUCCESS;
}

static struct ph_server *_Atomic running;

static void on_signal(int number)
{
    struct ph_server *server = atomic_load(&running);

    (void)number;
    if (server)
        ph_server_stop(server);
}

static struct ph_app *_Atomic served;
static struct plugin_watch *_Atomic watching;

static void on_hangup(int number)
{
    struct ph_app *app = atomic_load(&served);
    struct plugin_watch *watcher = atomic_load(&watching);

    (void)number;
    if (app)
        ph_app_refresh_keys_soon(app);
    if (watcher)
        plugin_watch__look(watcher);
}

/* Files are looked after while it serves; SIGHUP means them, and without any, the end. */
static int watch_sources(const struct settings *s)
{
    struct sigaction sa = {.sa_handler = on_hangup, .sa_flags = SA_RESTART};
    struct diag diag;

    if (!s->has_sources && !s->watch)
        return EXIT_SUCCESS;
    if (s->has_sources && ph_app_watch_keys(s->app, WATCH_SECONDS))
        return fail("cannot start a thread that looks after the files of keys");
    if (plugin_watch__start(s->watcher, &diag))
        return fail(diag.text);
    atomic_store(&served, s->app);
    atomic_store(&watching, s->watcher);
    sigemptyset(&sa.sa_mask);
    sigaction(SIGHUP, &sa, NULL);
    return EXIT_SUCCESS;
}

static void catch_signals(struct ph_server *server)
{
    atomic_store(&running, server);
    cli__on_end(on_signal);
    signal(SIGPIPE, SIG_IGN);
}

/* The usual soft limit of 1024 is there for programs that use select(2). With FastCGI a
 * connection has two descriptors. Plugins have descriptors too: few connections are no reason for
 * fewer than usual. */
static void raise_descriptor_limit(const struct ph_app *app)
{
    const rlim_t most = ph_app_limit(app, PH_LIMIT_CONNECTIONS);
    const rlim_t wanted = 2 * (most > USUAL_CONNECTIONS ? most : USUAL_CONNECTIONS) + 64;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &limit); /* with fewer, more connections wait */
}

static int open_metrics(const struct settings *s, struct ph_log *log, struct ph_server **out)
{
    const char *why;

    *out = NULL;
    if (!s->metrics || ph_is_cgi())
        return EXIT_SUCCESS;
    if (ph_serve_metrics(s->app, s->metrics, out, &why))
        return fail(why);
    log__info(log, LOG_NONE, "metrics are at %s", ph_server_address(*out));
    return EXIT_SUCCESS;
}

static int serve(const struct settings *s)
{
    struct ph_server *server;
    const char *why;
    enum ph_err err;

    if (ph_is_cgi())
        return ph_serve_cgi(s->app, &why) ? fail(why) : EXIT_SUCCESS;
    if (s->workers > 0 && ph_app_set_workers(s->app, s->workers, s->worker_queue))
        return fail("the worker threads do not start");
    raise_descriptor_limit(s->app);
    err = s->fastcgi ? ph_serve_fastcgi(s->app, s->fastcgi, s->threads, &server, &why)
                     : ph_serve_http(s->app, s->listen ? s->listen : DEFAULT_LISTEN, s->threads,
                                     &server, &why);
    if (err)
        return fail(why);
    catch_signals(server);
    if (watch_sources(s) != EXIT_SUCCESS) {
        ph_server_free(server);
        return EXIT_FAILURE;
    }
    printf("ready %s\n", ph_server_address(server));
    fflush(stdout);
    ph_server_wait(server);
    atomic_store(&running, NULL);
    atomic_store(&served, NULL);
    atomic_store(&watching, NULL);
    ph_server_free(server);
    return EXIT_SUCCESS;
}

/* FILE.so?help */
static bool asks_for_help(const struct settings *s)
{
    for (size_t i = 0; i < s->plugin_count; i++) {
        const char *mark = strchr(s->plugins[i], '?');

        if (mark && strcmp(mark, "?help") == 0)
            return true;
    }
    return false;
}

static int describe(const struct settings *s)
{
    struct buf text;
    struct diag diag;
    int status = EXIT_SUCCESS;

    buf__init(&text, MAX_DESCRIPTION);
    for (size_t i = 0; i < s->plugin_count && status == EXIT_SUCCESS; i++) {
        if (plugin__describe(s->plugins[i], &text, &diag))
            status = fail(diag.text);
    }
    fputs(buf__view(&text).ptr, stdout);
    buf__free(&text);
    return status;
}

static int run(struct settings *s)
{
    struct ph_server *metrics = NULL;
    struct ph_log *log;
    int status;

    if (s->plugin_count > 0 && !ph_is_cgi() && (s->describe || asks_for_help(s)))
        return describe(s);
    if (complete(s) != CLI_RUN)
        return CLI_EXIT_USAGE;
    log = ph_log_new(s->level, s->format);
    ph_app_set_log(s->app, log);
    status = prepare_proof(s) == CLI_RUN ? load_plugins(s, log) : CLI_EXIT_USAGE;
    if (status == EXIT_SUCCESS)
        status = open_metrics(s, log, &metrics);
    if (status == EXIT_SUCCESS)
        status = serve(s);
    ph_server_free(metrics);
    plugin_watch__free(s->watcher);
    ph_app_free(s->app);
    ph_log_free(log);
    s->app = NULL;
    return status;
}

int main(int argc, char **argv)
{
    struct settings s = {.app = ph_app_new(), .level = PH_LOG_INFO};
    int status = EXIT_SUCCESS;

    if (!s.app)
        return fail(ph_strerror(PH_ERR_MEMORY));
    if (!arguments_are_safe())
        argc = 1;
    switch (cli__parse(&cli, argc, argv, &s, NULL)) {
    case CLI_RUN:
        status = run(&s);
        break;
    case CLI_DONE:
        break;
    case CLI_WRONG:
        status = CLI_EXIT_USAGE;
        break;
    }
    ph_app_free(s.app);
    return status;
}
