#include "app/services.h"

#include "base/url.h"
#include "service/engine.h"

#include <stdlib.h>

#define MAX_HUBS 1000  /* hubs come with events */
#define LINGER_MS 2000 /* at the end, for what was posted */

struct hub_client {
    struct hub_client *next;
    struct ph_service *service;
};

/* A connection string with the clients over it, which share their connections. */
struct service_source {
    struct service_source *next;
    struct hub_client *hubs;
    size_t hub_count;
    struct str host;
    char *text; /* NULL: `hubs` has a client from the start */
};

/* --- Clients ------------------------------------------------------------------------- */

static void free_source(struct service_source *source)
{
    struct hub_client *h;

    while ((h = source->hubs)) {
        source->hubs = h->next;
        ph_service_free(h->service);
        free(h);
    }
    if (source->text)
        explicit_bzero(source->text, strlen(source->text));
    free(source->text);
    free((char *)source->host.ptr);
    free(source);
}

static bool add_hub(struct service_source *source, struct ph_service *service)
{
    struct hub_client *h = malloc(sizeof(*h));

    if (!h) {
        ph_service_free(service);
        return false;
    }
    *h = (struct hub_client){source->hubs, service};
    source->hubs = h;
    source->hub_count++;
    return true;
}

static struct ph_service *find_hub(const struct service_source *source, const char *hub)
{
    for (const struct hub_client *h = source->hubs; h; h = h->next) {
        if (str__eq_nocase(str__of(ph_service_hub(h->service)), str__of(hub)))
            return h->service;
    }
    return NULL;
}

/* The application's own thread carries on what handlers post. */
static enum ph_err open_first(const char *text, const char *hub,
                              const struct ph_service_options *options, struct ph_log *log,
                              struct ph_service **out, const char **why)
{
    struct ph_service_options o = options ? *options : (struct ph_service_options){0};

    o.thread = 1;
    o.log = o.log ? o.log : log;
    return ph_service_new(text, hub, &o, out, why);
}

static struct ph_service *make_hub(struct service_source *source, const char *hub,
                                   struct ph_log *log)
{
    struct ph_service *service = NULL;
    const char *why = "out of memory";
    enum ph_err err;

    if (source->hub_count == MAX_HUBS) {
        log__error(log, LOG_FIELDS("hub", hub),
                   "no client for this hub: there are %d of others already", MAX_HUBS);
        return NULL;
    }
    err = source->hubs ? ph_service_for_hub(source->hubs->service, hub, &service)
                       : open_first(source->text, hub, NULL, log, &service, &why);
    if (err || !add_hub(source, service)) {
        log__error(log, LOG_FIELDS("hub", hub), "no client for this hub: %s", why);
        return NULL;
    }
    return service;
}

/* --- Sources --------------------------------------------------------------------------- */

bool services__init(struct services *s)
{
    *s = (struct services){.sources = NULL};
    return pthread_mutex_init(&s->lock, NULL) == 0;
}

static void wait_for(struct service_source *source, struct ph_log *log)
{
    struct ph_service *service = source->hubs ? source->hubs->service : NULL;

    if (service && ph_service_flush(service, LINGER_MS))
        log__warn(log, LOG_NONE, "%zu requests to the service are given up",
                  ph_service_pending(service));
}

void services__free(struct services *s, struct ph_log *log)
{
    struct service_source *source;

    while ((source = s->sources)) {
        wait_for(source, log);
        s->sources = source->next;
        free_source(source);
    }
    pthread_mutex_destroy(&s->lock);
}

enum ph_err services__add(struct services *s, struct str host, struct str connection_string)
{
    struct service_source *source = calloc(1, sizeof(*source)), **at = &s->sources;

    if (!source)
        return PH_ERR_MEMORY;
    source->text = str__dup(connection_string);
    source->host = str__n(str__dup(host), host.len);
    if (!source->text || !source->host.ptr) {
        free_source(source);
        return PH_ERR_MEMORY;
    }
    pthread_mutex_lock(&s->lock);
    while (*at)
        at = &(*at)->next;
    *at = source;
    pthread_mutex_unlock(&s->lock);
    return PH_OK;
}

/* The hub of a client that only holds what the others share. */
#define NO_HUB "pubhook"

static enum ph_err add_first(struct services *s, struct ph_service *service)
{
    struct service_source *source = calloc(1, sizeof(*source));

    if (!source || !add_hub(source, service)) {
        if (!source)
            ph_service_free(service);
        free(source);
        return PH_ERR_MEMORY;
    }
    source->next = s->sources;
    s->sources = source;
    s->was_set = true;
    return PH_OK;
}

static enum ph_err set(struct services *s, const char *connection_string,
                       const struct ph_service_options *options, struct ph_log *log,
                       const char **why)
{
    struct ph_service *service;
    enum ph_err err;

    if (s->was_set)
        return ph_service_set_connection_string(s->sources->hubs->service, connection_string, why);
    err = open_first(connection_string, NO_HUB, options, log, &service, why);
    return err ? err : add_first(s, service);
}

enum ph_err services__set(struct services *s, const char *connection_string,
                          const struct ph_service_options *options, struct ph_log *log,
                          const char **why)
{
    const char *ignored;
    enum ph_err err;

    if (!why)
        why = &ignored;
    *why = "out of memory";
    pthread_mutex_lock(&s->lock);
    err = set(s, connection_string, options, log, why);
    pthread_mutex_unlock(&s->lock);
    return err;
}

static struct service_source *source_of(struct services *s, struct str origin)
{
    struct service_source *source = s->was_set ? NULL : s->sources;

    while (source && !str__eq_nocase(source->host, url__host_only(origin)))
        source = source->next;
    return source ? source : s->sources;
}

static void tell_once(struct services *s, struct ph_log *log)
{
    if (!s->told)
        log__error(log, LOG_NONE,
                   "a handler wants to call the service, but there is no connection string: give "
                   "one to ph_app_use_connection_string or ph_app_set_service, or put it into the "
                   "environment as WebPubSubConnectionString");
    s->told = true;
}

struct ph_service *services__get(struct services *s, struct str origin, const char *hub,
                                 bool may_not_wait, struct ph_log *log)
{
    struct service_source *source;
    struct ph_service *service = NULL;

    pthread_mutex_lock(&s->lock);
    source = source_of(s, origin);
    if (source) {
        service = find_hub(source, hub);
        if (!service)
            service = make_hub(source, hub, log);
    } else {
        tell_once(s, log);
    }
    pthread_mutex_unlock(&s->lock);
    if (service) /* plugins may be exchanged */
        atomic_store(&service->engine->may_not_wait, may_not_wait);
    return service;
}
