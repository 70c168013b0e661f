/* Clients of pubhook/service.h: one for each hub, over what they share. */
#include "base/names.h"
#include "service/engine.h"

#include <stdlib.h>

static const struct ph_service_options defaults;

static struct diag *thread_diag(void)
{
    static _Thread_local struct diag diag;

    return &diag;
}

/* Takes over the reference. */
static enum ph_err make(struct engine *e, const char *hub, struct ph_service **out)
{
    size_t size = strlen(hub) + 1;
    struct ph_service *service = malloc(sizeof(*service) + size);

    if (!service) {
        engine__unref(e);
        return PH_ERR_MEMORY;
    }
    service->engine = e;
    memcpy(service->hub, hub, size);
    *out = service;
    return PH_OK;
}

static enum ph_err open_service(const char *connection_string, const char *hub,
                                const struct ph_service_options *options, struct ph_service **out,
                                struct diag *diag)
{
    struct engine *engine = NULL;
    enum ph_err err;

    if (!names__valid_hub(str__of(hub)))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "\"%s\" is no name of a hub, expected a letter and up to 127 letters, "
                         "digits or _",
                         hub ? hub : "");
    err = engine__new(connection_string, options, &engine, diag);
    if (!err && make(engine, hub, out))
        err = diag__set(diag, PH_ERR_MEMORY, "out of memory");
    return err;
}

enum ph_err ph_service_new(const char *connection_string, const char *hub,
                           const struct ph_service_options *options, struct ph_service **out,
                           const char **why)
{
    *out = NULL;
    if (why)
        *why = thread_diag()->text;
    return open_service(connection_string, hub, options ? options : &defaults, out, thread_diag());
}

enum ph_err ph_service_set_connection_string(struct ph_service *service,
                                             const char *connection_string, const char **why)
{
    struct identity *identity;
    enum ph_err err =
        service ? identity__new(connection_string, &defaults, &identity, thread_diag())
                : diag__set(thread_diag(), PH_ERR_ARGUMENT, "there is no client: service is NULL");

    if (!err)
        engine__set_identity(service->engine, identity);
    else if (why)
        *why = thread_diag()->text;
    return err;
}

enum ph_err ph_service_for_hub(struct ph_service *service, const char *hub, struct ph_service **out)
{
    *out = NULL;
    if (!service || !names__valid_hub(str__of(hub)))
        return PH_ERR_ARGUMENT;
    return make(engine__ref(service->engine), hub, out);
}

void ph_service_free(struct ph_service *service)
{
    if (!service)
        return;
    engine__unref(service->engine);
    free(service);
}

const char *ph_service_hub(const struct ph_service *service)
{
    return service ? service->hub : "";
}

static struct ph_service_result *without_service(const struct ph_service_request *request)
{
    struct ph_service_result *r = result__new(request->operation);

    if (!r)
        return result__no_memory();
    result__fail(r, PH_ERR_ARGUMENT, "there is no client: service is NULL");
    return r;
}

enum ph_err ph_service_call(struct ph_service *service, const struct ph_service_request *request,
                            struct ph_service_result **out)
{
    struct ph_service_result *result =
        service ? engine__call(service->engine, str__of(service->hub), request)
                : without_service(request);
    enum ph_err err = ph_service_result_error(result);

    if (out)
        *out = result;
    else
        ph_service_result_free(result);
    return err;
}

enum ph_err ph_service_start(struct ph_service *service, const struct ph_service_request *request,
                             ph_service_done_fn *done, void *arg, uint64_t *id)
{
    struct engine *e = service ? service->engine : NULL;
    struct background *b = e ? engine__background(e) : NULL;

    if (!e)
        return PH_ERR_ARGUMENT;
    return b ? background__start(b, engine__identity(e), str__of(service->hub), request, done, arg,
                                 id)
             : PH_ERR_SYSTEM;
}

enum ph_err ph_service_post(struct ph_service *service, const struct ph_service_request *request)
{
    return ph_service_start(service, request, NULL, NULL, NULL);
}

static struct background *background_of(struct ph_service *service)
{
    return service ? engine__has_background(service->engine) : NULL;
}

enum ph_err ph_service_cancel(struct ph_service *service, uint64_t id)
{
    struct background *b = background_of(service);

    return b ? background__cancel(b, id) : PH_ERR_NOT_FOUND;
}

int ph_service_fd(struct ph_service *service)
{
    struct background *b = service ? engine__background(service->engine) : NULL;

    return b ? background__fd(b) : -1;
}

enum ph_err ph_service_process(struct ph_service *service)
{
    struct background *b = background_of(service);

    if (b)
        background__process(b);
    return PH_OK;
}

size_t ph_service_pending(struct ph_service *service)
{
    struct background *b = background_of(service);

    return b ? background__pending(b) : 0;
}

enum ph_err ph_service_flush(struct ph_service *service, unsigned timeout_ms)
{
    struct background *b = background_of(service);

    return !b || background__flush(b, timeout_ms) ? PH_OK : PH_ERR_LIMIT;
}
