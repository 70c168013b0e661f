#include "bin/broker_plugins.h"

#include "base/buf.h"
#include "base/log.h"
#include "plugin/plugin.h"
#include "pubhook/service.h"

#include <stdlib.h>

#define MAX_CONNECTION_STRING 4096

/* The next row with a plugin behind *hub and *row; NULL: no more. */
static struct event_handler *next(const struct settings *s, size_t *hub, size_t *row)
{
    for (; *hub < s->hub_count; ++*hub, *row = 0) {
        while (*row < s->hubs[*hub].handler_count) {
            struct event_handler *h = &s->hubs[*hub].handlers[(*row)++];

            if (h->plugin.ptr)
                return h;
        }
    }
    return NULL;
}

static enum ph_err load(struct event_handler *h, struct plugin_watch *watch, struct ph_log *log,
                        struct diag *diag)
{
    struct ph_app *app = ph_app_new();
    char *spec = str__dup(h->plugin);
    enum ph_err err;

    h->app = app;
    if (app && spec) {
        /* Nobody but this process can call it, and the keys may change while it runs. */
        ph_app_allow_unsigned(app);
        ph_app_set_log(app, log);
        err =
            watch ? plugin_watch__load(watch, app, spec, diag) : plugin__load(app, spec, log, diag);
    } else {
        err = diag__set(diag, PH_ERR_MEMORY, "out of memory");
    }
    free(spec);
    return err;
}

enum ph_err broker_plugins__load(struct settings *s, struct plugin_watch *watch, struct ph_log *log,
                                 struct diag *diag)
{
    size_t hub = 0, row = 0;
    struct event_handler *h;
    enum ph_err err = PH_OK;

    while (!err && (h = next(s, &hub, &row)))
        err = load(h, watch, log, diag);
    return err;
}

/* It is the same machine: what does not answer is about to end. */
static const struct ph_service_options own_service = {.retries = 2, .retry_pause_ms = 100};

void broker_plugins__connect(struct settings *s, const char *host, struct str key,
                             struct ph_log *log)
{
    size_t hub = 0, row = 0;
    struct event_handler *h;
    struct buf text;
    const char *why = "out of memory";

    buf__init(&text, MAX_CONNECTION_STRING);
    buf__printf(&text, "Endpoint=http://%s;AccessKey=%.*s;", host, STR_FMT(key));
    while ((h = next(s, &hub, &row))) {
        struct str rest = h->plugin, file = rest; /* what is behind the '?' may be secret */

        str__split(&rest, '?', &file);
        if (text.failed || ph_app_set_service(h->app, text.data, &own_service, &why))
            log__error(log, LOG_NONE, "handlers of %.*s cannot call the broker: %s", STR_FMT(file),
                       why);
    }
    if (text.data)
        explicit_bzero(text.data, text.len);
    buf__free(&text);
}

void broker_plugins__unload(struct settings *s)
{
    size_t hub = 0, row = 0;
    struct event_handler *h;

    while ((h = next(s, &hub, &row))) {
        ph_app_free(h->app);
        h->app = NULL;
    }
}

size_t broker_plugins__count(const struct settings *s)
{
    size_t hub = 0, row = 0, count = 0;

    while (next(s, &hub, &row))
        count++;
    return count;
}

/* All plugins come from the command line, so each is there. */
static void *find(const struct settings *s, struct str hub_name, struct str plugin)
{
    const struct hub_settings *hub = settings__hub(s, hub_name);

    for (size_t i = 0; i < hub->handler_count; i++) {
        if (hub->handlers[i].plugin.ptr && str__eq(hub->handlers[i].plugin, plugin))
            return hub->handlers[i].app;
    }
    return NULL;
}

void broker_plugins__share(const struct settings *from, struct settings *to)
{
    size_t hub = 0, row = 0;
    struct event_handler *h;

    while ((h = next(to, &hub, &row)))
        h->app = find(from, to->hubs[hub].name, h->plugin);
}
