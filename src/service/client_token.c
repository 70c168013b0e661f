/* Client access tokens and URLs of pubhook/service.h: made here by key, or by the service. */
#include "base/buf.h"
#include "service/engine.h"
#include "service/token.h"

#include <stdlib.h>

#define MAX_URL (32u << 10)

/* The service's result, for what needed no service. */
static struct ph_service_result *result_of(enum ph_err err)
{
    struct ph_service_result *r = result__new(PH_SERVICE_GENERATE_TOKEN);

    if (!r)
        return result__no_memory();
    if (err)
        result__fail(r, err, "generateClientToken: %s", ph_strerror(err));
    return r;
}

static struct ph_service_result *make_here(const struct ph_service *service,
                                           const struct identity *identity, bool url,
                                           const struct ph_token_options *options, char **out)
{
    struct connection_string by_key = identity->service;

    by_key.access_key = mac__key_text(identity->key);
    return result_of(token__make(&by_key, str__of(service->hub), url, options, out));
}

static char *assemble(const struct ph_service *service, const struct identity *identity, bool url,
                      const struct ph_token_options *options, const char *token)
{
    struct buf text;
    char *out;

    buf__init(&text, MAX_URL);
    if (url) {
        token__write_url(&text, "ws", &identity->service, str__of(service->hub), options);
        buf__str(&text, STR("?access_token="));
    }
    buf__str(&text, str__of(token));
    out = text.failed ? NULL : buf__take(&text, NULL);
    buf__free(&text);
    return out;
}

static struct ph_service_result *ask_service(struct ph_service *service,
                                             const struct identity *identity, bool url,
                                             const struct ph_token_options *options, char **out)
{
    const struct ph_service_request request = {.operation = PH_SERVICE_GENERATE_TOKEN,
                                               .token = options};
    struct ph_service_result *r;

    if (ph_service_call(service, &request, &r))
        return r;
    *out = assemble(service, identity, url, options, ph_service_result_token(r));
    if (!*out)
        result__fail(r, PH_ERR_MEMORY, "out of memory");
    return r;
}

static enum ph_err make(struct ph_service *service, bool url,
                        const struct ph_token_options *options, char **text,
                        struct ph_service_result **out)
{
    struct identity *identity = service ? engine__identity(service->engine) : NULL;
    struct ph_service_result *r;
    enum ph_err err;

    *text = NULL;
    if (!identity)
        r = result_of(PH_ERR_ARGUMENT);
    else if (identity->key)
        r = make_here(service, identity, url, options, text);
    else
        r = ask_service(service, identity, url, options, text);
    identity__unref(identity);
    err = ph_service_result_error(r);
    if (err) {
        ph_token_free(*text);
        *text = NULL;
    }
    if (out)
        *out = r;
    else
        ph_service_result_free(r);
    return err;
}

enum ph_err ph_service_client_token(struct ph_service *service,
                                    const struct ph_token_options *options, char **token,
                                    struct ph_service_result **out)
{
    return make(service, false, options, token, out);
}

enum ph_err ph_service_client_url(struct ph_service *service,
                                  const struct ph_token_options *options, char **url,
                                  struct ph_service_result **out)
{
    return make(service, true, options, url, out);
}
