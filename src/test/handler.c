#include "test/handler.h"

#include "pubhook/serve.h"
#include "test/event.h"
#include "test/reply.h"
#include "test/why.h"

#include <stdlib.h>

#define DEFAULT_TARGET "/eventhandler"
#define DEFAULT_THREADS 2
#define DEFAULT_TIMEOUT_MS 20000
#define ANY_PORT "127.0.0.1:0"

typedef enum ph_err serve_fn(struct ph_app *app, const char *listen, unsigned threads,
                             struct ph_server **out, const char **why);

struct test_transport {
    const char *name;
    serve_fn *serve; /* NULL: there is no server */
    test_call_fn *call;
};

static const struct test_transport transports[PH_TEST_TRANSPORT_COUNT] = {
    [PH_TEST_DIRECT] = {"direct", NULL, test_direct__call},
    [PH_TEST_HTTP] = {"http", ph_serve_http, test_http__call},
    [PH_TEST_FASTCGI] = {"fastcgi", ph_serve_fastcgi, test_fastcgi__call},
    [PH_TEST_CGI] = {"cgi", NULL, test_cgi__call},
};

const char *ph_test_transport_name(enum ph_test_transport transport)
{
    return (unsigned)transport < PH_TEST_TRANSPORT_COUNT ? transports[transport].name : "unknown";
}

/* --- Start and stop ------------------------------------------------------------------ */

static const char *key_of(const struct ph_test_handler_options *options)
{
    return options && options->key ? options->key : PH_TEST_KEY;
}

static struct ph_test_handler *make(struct ph_app *app,
                                    const struct ph_test_handler_options *options)
{
    static const struct ph_test_handler_options defaults;
    const struct ph_test_handler_options *o = options ? options : &defaults;
    struct ph_test_handler *h = calloc(1, sizeof(*h));

    if (!h)
        return NULL;
    h->app = app;
    h->key = strdup(key_of(o));
    h->target = strdup(o->target ? o->target : DEFAULT_TARGET);
    h->threads = o->threads ? o->threads : DEFAULT_THREADS;
    h->timeout_ms = o->timeout_ms ? (int)o->timeout_ms : DEFAULT_TIMEOUT_MS;
    if (h->key && h->target)
        return h;
    ph_test_handler_stop(h);
    return NULL;
}

static uint16_t port_of(const struct ph_server *server)
{
    const char *at = strstr(ph_server_address(server), "127.0.0.1:");

    return at ? (uint16_t)atoi(at + strlen("127.0.0.1:")) : 0;
}

static enum ph_err serve(struct ph_test_handler *h, struct diag *diag)
{
    const char *reason = "";
    enum ph_err err = ph_app_check(h->app, &reason);

    if (!err && h->transport->serve)
        err = h->transport->serve(h->app, ANY_PORT, h->threads, &h->server, &reason);
    if (err)
        return diag__set(diag, err, "%s", reason);
    h->port = h->server ? port_of(h->server) : 0;
    return PH_OK;
}

enum ph_err ph_test_handler_start(struct ph_app *app, enum ph_test_transport transport,
                                  const struct ph_test_handler_options *options,
                                  struct ph_test_handler **out, const char **why)
{
    struct diag *diag = test_why__diag();
    struct ph_test_handler *h;
    enum ph_err err;

    if (out)
        *out = NULL;
    if (!app || !out || (unsigned)transport >= PH_TEST_TRANSPORT_COUNT)
        return test_why__fail(
            diag__set(diag, PH_ERR_ARGUMENT, "expected an application and a transport"), why);
    h = make(app, options);
    if (!h)
        return test_why__fail(PH_ERR_MEMORY, why);
    h->transport = &transports[transport];
    err = serve(h, diag);
    if (err)
        ph_test_handler_stop(h);
    else
        *out = h;
    return test_why__fail(err, why);
}

enum ph_err test_handler__load(const char *key, const char *plugin, struct ph_app **out,
                               const char **reason)
{
    struct ph_app *app = ph_app_new();
    enum ph_err err = app ? ph_app_add_key(app, key) : PH_ERR_MEMORY;

    *reason = "the options' key is empty";
    if (!err)
        err = ph_app_load_plugin(app, plugin, reason);
    if (err) {
        ph_app_free(app);
        app = NULL;
    }
    *out = app;
    return err;
}

/* For CGI the plugin is loaded in each child, as by the program that a web server starts: the
 * threads of one that is loaded here would not be there. */
static enum ph_err own(struct ph_test_handler *h, struct ph_app *app, const char *plugin)
{
    h->owns_app = true;
    if (h->transport->call != test_cgi__call)
        return PH_OK;
    h->plugin = strdup(plugin);
    if (!h->plugin)
        return PH_ERR_MEMORY;
    ph_app_free(app);
    h->app = NULL;
    return PH_OK;
}

enum ph_err ph_test_plugin_start(const char *spec, enum ph_test_transport transport,
                                 const struct ph_test_handler_options *options,
                                 struct ph_test_handler **out, const char **why)
{
    const char *reason;
    struct ph_app *app;
    enum ph_err err = test_handler__load(key_of(options), spec, &app, &reason);

    if (out)
        *out = NULL;
    if (err)
        return test_why__fail(diag__set(test_why__diag(), err, "%s", reason), why);
    err = ph_test_handler_start(app, transport, options, out, why);
    if (err) {
        ph_app_free(app);
        return err;
    }
    err = own(*out, app, spec);
    if (err) {
        ph_test_handler_stop(*out);
        *out = NULL;
    }
    return test_why__fail(err, why);
}

void ph_test_handler_stop(struct ph_test_handler *handler)
{
    if (!handler)
        return;
    ph_server_free(handler->server);
    if (handler->owns_app)
        ph_app_free(handler->app);
    free(handler->plugin);
    free(handler->key);
    free(handler->target);
    free(handler);
}

/* --- Events -------------------------------------------------------------------------- */

static enum ph_err call(struct ph_test_handler *h, const struct http_request *req,
                        struct ph_test_reply *reply, struct diag *diag)
{
    return h->transport->call(h, req, test_reply__arena(reply), test_reply__response(reply), diag);
}

static enum ph_err finish(enum ph_err err, struct ph_test_reply *reply, struct ph_test_reply **out,
                          const char **why)
{
    if (err)
        ph_test_reply_free(reply);
    else
        *out = reply;
    return test_why__fail(err, why);
}

enum ph_err ph_test_fire(struct ph_test_handler *handler, const struct ph_test_event *event,
                         struct ph_test_reply **out, const char **why)
{
    struct diag *diag = test_why__diag();
    struct ph_test_reply *reply;
    struct http_request req;
    enum ph_err err;

    if (out)
        *out = NULL;
    if (!handler || !event || !out)
        return test_why__fail(diag__set(diag, PH_ERR_ARGUMENT, "expected a handler and an event"),
                              why);
    reply = test_reply__new();
    if (!reply)
        return test_why__fail(PH_ERR_MEMORY, why);
    err = test_event__encode(event, str__of(handler->key), str__of(handler->target),
                             test_reply__arena(reply), &req, diag);
    if (!err)
        err = call(handler, &req, reply, diag);
    if (!err)
        err = test_reply__read_event(reply, &event->event);
    return finish(err, reply, out, why);
}

enum ph_err ph_test_validate(struct ph_test_handler *handler, const char *origin,
                             struct ph_test_reply **out, const char **why)
{
    struct http_request req = {.method = STR("OPTIONS")};
    struct diag *diag = test_why__diag();
    struct ph_test_reply *reply;
    enum ph_err err = PH_OK;

    if (out)
        *out = NULL;
    if (!handler || !origin || !out)
        return test_why__fail(diag__set(diag, PH_ERR_ARGUMENT, "expected a handler and an origin"),
                              why);
    reply = test_reply__new();
    if (!reply)
        return test_why__fail(PH_ERR_MEMORY, why);
    if (!event__validation_request(test_reply__arena(reply), str__of(origin), &req))
        err = PH_ERR_MEMORY;
    http__set_target(&req, str__of(handler->target));
    if (!err)
        err = call(handler, &req, reply, diag);
    if (!err)
        err = test_reply__read_validation(reply, str__of(origin));
    return finish(err, reply, out, why);
}
