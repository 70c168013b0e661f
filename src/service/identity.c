#include "service/identity.h"

#include "base/jwt.h"

#include <stdlib.h>

#define MAX_CLAIMS (512u << 10)

/* --- Where --------------------------------------------------------------------------- */

static enum ph_err use_endpoint(struct identity *id, const struct ph_service_options *o,
                                struct diag *diag)
{
    id->text = strdup(o->endpoint);
    if (!id->text)
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    return connection_string__endpoint(str__of(id->text), &id->service, diag);
}

static enum ph_err use_connection_string(struct identity *id, const char *text, struct diag *diag)
{
    if (!text)
        return diag__set(diag, PH_ERR_NOT_FOUND,
                         "no connection string: none was given, and the environment has "
                         "no " CONNECTION_STRING_VARIABLE);
    id->text = strdup(text);
    if (!id->text)
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    return connection_string__parse(str__of(id->text), &id->service, diag);
}

static enum ph_err use_reverse_proxy(struct identity *id, const char *url, struct diag *diag)
{
    enum ph_err err;

    if (!url)
        return PH_OK;
    id->proxy_text = strdup(url);
    if (!id->proxy_text)
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    err = connection_string__endpoint(str__of(id->proxy_text), &id->reverse_proxy, diag);
    if (err || id->reverse_proxy.path.len > 0)
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "reverse_proxy: expected https://HOST[:PORT] without a path");
    return PH_OK;
}

/* --- Who ----------------------------------------------------------------------------- */

static enum ph_err use_key(struct identity *id, struct str key, struct diag *diag)
{
    id->key = mac__key_new(key);
    return id->key ? PH_OK : diag__set(diag, PH_ERR_MEMORY, "out of memory");
}

static enum ph_err use_tokens(struct identity *id, const struct ph_service_options *o,
                              struct diag *diag)
{
    if (!id->service.secure && !o->allow_plain_token)
        return diag__set(diag, PH_ERR_FORBIDDEN,
                         "tokens of Microsoft Entra are for https alone: over http they could be "
                         "read on the way");
    id->token = o->token;
    id->token_arg = o->token_arg;
    return PH_OK;
}

static enum ph_err use_caller(struct identity *id, const struct ph_service_options *o,
                              struct diag *diag)
{
    struct str key = o->endpoint ? str__of(o->access_key) : id->service.access_key;

    if (o->token && o->access_key)
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "both an access key and tokens were given, expected one of the two");
    if (o->token)
        return use_tokens(id, o, diag);
    if (key.len == 0)
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "neither an access key nor tokens were given, expected one of the two");
    return use_key(id, key, diag);
}

static enum ph_err init(struct identity *id, const char *connection_string,
                        const struct ph_service_options *o, struct diag *diag)
{
    enum ph_err err;

    if (!connection_string && o->endpoint)
        err = use_endpoint(id, o, diag);
    else if (connection_string && o->endpoint)
        err = diag__set(diag, PH_ERR_ARGUMENT,
                        "both a connection string and an endpoint were given, expected one of the "
                        "two");
    else
        err = use_connection_string(
            id, connection_string ? connection_string : getenv(CONNECTION_STRING_VARIABLE), diag);
    if (!err)
        err = use_reverse_proxy(id, o->reverse_proxy, diag);
    return err ? err : use_caller(id, o, diag);
}

enum ph_err identity__new(const char *connection_string, const struct ph_service_options *options,
                          struct identity **out, struct diag *diag)
{
    struct identity *id = calloc(1, sizeof(*id));
    enum ph_err err;

    if (!id)
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    atomic_init(&id->refs, 1);
    err = init(id, connection_string, options, diag);
    if (err)
        identity__unref(id);
    else
        *out = id;
    return err;
}

struct identity *identity__ref(struct identity *id)
{
    atomic_fetch_add(&id->refs, 1);
    return id;
}

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void identity__unref(struct identity *id)
{
    if (!id || atomic_fetch_sub(&id->refs, 1) != 1)
        return;
    mac__key_free(id->key);
    wipe(id->text);
    free(id->proxy_text);
    free(id);
}

/* --- Tokens -------------------------------------------------------------------------- */

static enum ph_err sign(const struct identity *id, const char *url, int64_t now, struct buf *out)
{
    struct buf claims;

    buf__init(&claims, MAX_CLAIMS);
    buf__printf(&claims, "{\"iat\":%lld,\"exp\":%lld,\"aud\":", (long long)now,
                (long long)(now + IDENTITY_TOKEN_SECONDS));
    json__quote(&claims, str__of(url));
    buf__byte(&claims, '}');
    if (claims.failed)
        out->failed = true;
    else
        jwt__sign(out, buf__view(&claims), id->key);
    buf__free(&claims);
    return out->failed ? PH_ERR_MEMORY : PH_OK;
}

static void take(void *to, const char *token)
{
    buf__str(to, str__of(token));
}

/* What is no token must not become a header line of its own. */
static enum ph_err ask(const struct identity *id, struct buf *out, struct diag *diag)
{
    size_t before = out->len;
    enum ph_err err = id->token(id->token_arg, take, out);
    struct str token;

    if (err)
        return diag__set(diag, err, "no token could be had: %s", ph_strerror(err));
    if (out->failed)
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    token = str__n(out->data + before, out->len - before);
    if (token.len == 0 || str__has_control(token) || !str__is_ascii(token))
        return diag__set(diag, PH_ERR_AUTH, "the token callback gave no token");
    return PH_OK;
}

enum ph_err identity__token(const struct identity *id, const char *url, int64_t now,
                            struct buf *out, struct diag *diag)
{
    if (!id->key)
        return ask(id, out, diag);
    return sign(id, url, now, out) ? diag__set(diag, PH_ERR_MEMORY, "out of memory") : PH_OK;
}

/* The proxy's host and port take the place of the endpoint's; what is behind stays. */
void identity__address(const struct identity *id, const char *url, const char *path,
                       struct buf *out)
{
    if (id->reverse_proxy.host.ptr)
        connection_string__url(out, "http", &id->reverse_proxy);
    else
        buf__append(out, url, (size_t)(path - url));
    buf__str(out, str__of(path));
}
