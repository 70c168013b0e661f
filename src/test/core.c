#include "test/core.h"

#include "base/log.h"
#include "bin/broker_plugins.h"
#include "broker/net/broker.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define ANY_PORT "127.0.0.1:0"
#define CONFIG_NAME "config" /* for messages about its text */
#define POOL_THREADS 4       /* libuv's default */
#define MAX_TARGET 4096

struct test_core {
    struct settings *settings;
    struct broker *broker;
    struct ph_log *own_log;
};

static enum ph_err add_handler(struct settings *s, const struct ph_test_event_handler *h,
                               struct diag *diag)
{
    const char *target = h->url ? h->url : h->plugin;
    char text[MAX_TARGET];

    if ((size_t)snprintf(text, sizeof(text), "%s=%s", h->hub, target) >= sizeof(text))
        return diag__set(diag, PH_ERR_ARGUMENT, "the event handler of hub %s is too long", h->hub);
    return h->url ? settings__add_event_handler(s, text, diag)
                  : settings__add_plugin(s, text, diag);
}

static enum ph_err read_options(struct settings *s, const struct ph_test_broker_options *o,
                                struct diag *diag)
{
    enum ph_err err = PH_OK;

    if (o->config)
        err = settings__parse_file(s, CONFIG_NAME, str__of(o->config), diag);
    if (!err)
        err = settings__set_listen(s, ANY_PORT, diag);
    if (!err)
        err = settings__add_key(s, o->access_key ? o->access_key : PH_TEST_KEY, diag);
    for (size_t i = 0; !err && i < o->handler_count; i++)
        err = add_handler(s, &o->handlers[i], diag);
    if (!err && o->threads > SETTINGS_MAX_THREADS)
        err = diag__set(diag, PH_ERR_ARGUMENT, "%u threads, at most %d are allowed", o->threads,
                        SETTINGS_MAX_THREADS);
    s->threads = o->threads ? o->threads : 1;
    return err ? err : settings__finish(s, 1, diag);
}

/* The broker's threads inherit it, and leave all signals to the program's own. */
static void mask_all_signals(sigset_t *before)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, before);
}

static unsigned pool_threads(void)
{
    const char *given = getenv("UV_THREADPOOL_SIZE");

    return given && atoi(given) > 0 ? (unsigned)atoi(given) : POOL_THREADS;
}

static enum ph_err start(struct test_core *core, struct ph_log *log, struct diag *diag)
{
    struct broker_limits limits = broker__limits(&core->settings->limits);
    sigset_t before;

    limits.handler_threads = pool_threads();
    mask_all_signals(&before);
    core->broker = broker__start(core->settings, &limits, log, diag);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!core->broker)
        return PH_ERR_SYSTEM;
    broker_plugins__connect(core->settings, core->broker->own_host,
                            mac__key_text(core->settings->keys[0]), log);
    return PH_OK;
}

static void discard(void *arg, enum ph_log_level level, const char *line, size_t len)
{
    (void)arg, (void)level, (void)line, (void)len;
}

static struct ph_log *quiet_log(struct test_core *core)
{
    core->own_log = ph_log_new(PH_LOG_ERROR, PH_LOG_TEXT);
    if (core->own_log)
        ph_log_set_sink(core->own_log, discard, NULL);
    return core->own_log;
}

struct test_core *ph_test__core_start(const struct ph_test_broker_options *options,
                                      enum ph_err *err, struct diag *diag)
{
    struct test_core *core = calloc(1, sizeof(*core));
    struct ph_log *log = NULL;

    *err = PH_ERR_MEMORY;
    if (!core || curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        free(core);
        return NULL;
    }
    core->settings = settings__new();
    if (core->settings)
        log = options->log ? options->log : quiet_log(core);
    if (log)
        *err = read_options(core->settings, options, diag);
    if (!*err)
        *err = broker_plugins__load(core->settings, NULL, log, diag);
    if (!*err)
        *err = start(core, log, diag);
    if (!*err)
        return core;
    ph_test__core_stop(core);
    return NULL;
}

const char *ph_test__core_host(const struct test_core *core)
{
    return core->broker->own_host;
}

void ph_test__core_stop(struct test_core *core)
{
    broker__stop(core->broker);
    if (core->settings)
        broker_plugins__unload(core->settings);
    settings__unref(core->settings);
    ph_log_free(core->own_log);
    curl_global_cleanup();
    free(core);
}
