#include "pubhook/serve.h"
#include "pubhook/service.h"
#include "test/core.h"
#include "test/why.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANY_PORT "127.0.0.1:0"
#define APP_THREADS 2

struct ph_test_broker {
    struct test_core *core;
    struct ph_server **servers; /* of applications that are handlers; as many as handlers */
    size_t server_count;
    char *url, *connection_string;
};

static enum ph_err no_memory(struct diag *diag)
{
    return diag__set(diag, PH_ERR_MEMORY, "out of memory");
}

/* An application is served like any other handler: what it does, it does in production too. */
static enum ph_err serve_app(struct ph_test_broker *b, struct ph_test_event_handler *h,
                             struct diag *diag)
{
    const char *why = "";
    enum ph_err err =
        ph_serve_http(h->app, ANY_PORT, APP_THREADS, &b->servers[b->server_count], &why);

    if (err)
        return diag__set(diag, err, "the application of hub %s: %s", h->hub, why);
    h->url = ph_server_address(b->servers[b->server_count++]);
    return PH_OK;
}

static enum ph_err check(const struct ph_test_broker_options *options, struct diag *diag)
{
    if (options->handler_count > 0 && !options->handlers)
        return diag__set(diag, PH_ERR_ARGUMENT, "there are no event handlers, expected %zu",
                         options->handler_count);
    for (size_t i = 0; i < options->handler_count; i++) {
        const struct ph_test_event_handler *h = &options->handlers[i];

        if (!h->hub || !!h->url + !!h->plugin + !!h->app != 1)
            return diag__set(diag, PH_ERR_ARGUMENT,
                             "event handler %zu: expected a hub, and a URL, a plugin or an "
                             "application, one of the three",
                             i + 1);
    }
    return PH_OK;
}

static enum ph_err serve_apps(struct ph_test_broker *b, struct ph_test_event_handler *handlers,
                              size_t count, struct diag *diag)
{
    enum ph_err err = PH_OK;

    for (size_t i = 0; !err && i < count; i++) {
        if (handlers[i].app)
            err = serve_app(b, &handlers[i], diag);
    }
    return err;
}

static enum ph_err name(struct ph_test_broker *b, const char *key, struct diag *diag)
{
    const char *host = ph_test__core_host(b->core);

    if (asprintf(&b->url, "http://%s", host) < 0)
        b->url = NULL;
    if (asprintf(&b->connection_string, "Endpoint=http://%s;AccessKey=%s;Version=1.0;", host,
                 key ? key : PH_TEST_KEY) < 0)
        b->connection_string = NULL;
    return b->url && b->connection_string ? PH_OK : no_memory(diag);
}

/* Handlers inside of the broker call it too. */
static enum ph_err connect_apps(struct ph_test_broker *b,
                                const struct ph_test_broker_options *options, struct diag *diag)
{
    for (size_t i = 0; i < options->handler_count; i++) {
        struct ph_app *app = options->handlers[i].app;
        const char *why = "";
        enum ph_err err = app ? ph_app_set_service(app, b->connection_string, NULL, &why) : PH_OK;

        if (err)
            return diag__set(diag, err, "the application of hub %s cannot call the broker: %s",
                             options->handlers[i].hub, why);
    }
    return PH_OK;
}

static enum ph_err start(struct ph_test_broker *b, const struct ph_test_broker_options *options,
                         struct diag *diag)
{
    size_t count = options->handler_count;
    struct ph_test_event_handler *handlers = calloc(count + 1, sizeof(*handlers));
    struct ph_test_broker_options with_urls = *options;
    enum ph_err err = check(options, diag);

    b->servers = calloc(count + 1, sizeof(struct ph_server *));
    if (err || !handlers || !b->servers) {
        free(handlers);
        return err ? err : no_memory(diag);
    }
    if (count > 0)
        memcpy(handlers, options->handlers, count * sizeof(*handlers));
    with_urls.handlers = handlers;
    err = serve_apps(b, handlers, count, diag);
    if (!err)
        b->core = ph_test__core_start(&with_urls, &err, diag);
    if (!err)
        err = name(b, options->access_key, diag);
    if (!err)
        err = connect_apps(b, options, diag);
    free(handlers);
    return err;
}

enum ph_err ph_test_broker_start(const struct ph_test_broker_options *options,
                                 struct ph_test_broker **out, const char **why)
{
    static const struct ph_test_broker_options defaults;
    struct ph_test_broker *b = calloc(1, sizeof(*b));
    enum ph_err err;

    if (out)
        *out = NULL;
    if (!b || !out) {
        free(b);
        return test_why__fail(
            out ? PH_ERR_MEMORY : diag__set(test_why__diag(), PH_ERR_ARGUMENT, "no out"), why);
    }
    err = start(b, options ? options : &defaults, test_why__diag());
    if (err)
        ph_test_broker_stop(b);
    else
        *out = b;
    return test_why__fail(err, why);
}

const char *ph_test_broker_url(const struct ph_test_broker *broker)
{
    return broker->url;
}

const char *ph_test_broker_connection_string(const struct ph_test_broker *broker)
{
    return broker->connection_string;
}

enum ph_err ph_test_broker_client_url(const struct ph_test_broker *broker, const char *hub,
                                      const struct ph_token_options *options, char **out)
{
    return ph_client_access_url(broker->connection_string, hub, options, out);
}

/* The broker first, for its last events go to the applications. */
void ph_test_broker_stop(struct ph_test_broker *broker)
{
    if (!broker)
        return;
    if (broker->core)
        ph_test__core_stop(broker->core);
    for (size_t i = 0; i < broker->server_count; i++)
        ph_server_free(broker->servers[i]);
    free(broker->servers);
    free(broker->url);
    free(broker->connection_string);
    free(broker);
}
