#include "service/token.h"

#include "base/clock.h"
#include "base/jwt.h"
#include "base/names.h"
#include "base/utf8.h"

#include <stdlib.h>

#define DEFAULT_MINUTES 60
/* A token is base64 of the claims between a header and a signature of 81 characters; a
 * verifier reads JWT_MAX_LEN of it. */
#define MAX_CLAIMS ((JWT_MAX_LEN - 128) * 3 / 4)
#define MAX_URL (JWT_MAX_LEN + 4096)

static const struct ph_token_options anonymous;

/* scheme://host[:port]/path/client/hubs/hub, with the scheme of the audience (http) or
 * of the URL (ws); the official SDKs do the same (client-and-rest section 1.2). */
static void write_endpoint(struct buf *out, const char *scheme,
                           const struct connection_string *service, struct str hub)
{
    connection_string__url(out, scheme, service);
    buf__str(out, STR("/client/hubs/"));
    buf__str(out, hub);
}

static bool are_valid(const char *const *items, bool (*valid)(struct str))
{
    for (; items && *items; items++) {
        if (!valid(str__of(*items)))
            return false;
    }
    return true;
}

static bool check_options(const struct ph_token_options *options)
{
    return (!options->user_id || names__valid_id(str__of(options->user_id))) &&
           are_valid(options->roles, utf8__valid) && are_valid(options->groups, names__valid_group);
}

/* "key":["a","b"], or nothing when there are none. */
static void write_list(struct buf *out, struct str key, const char *const *items)
{
    if (!items || !*items)
        return;
    json__quote(out, key);
    buf__str(out, STR(":["));
    for (size_t i = 0; items[i]; i++) {
        if (i > 0)
            buf__byte(out, ',');
        json__quote(out, str__of(items[i]));
    }
    buf__str(out, STR("],"));
}

static void write_audience(struct buf *out, const struct connection_string *service, struct str hub)
{
    struct buf url;

    buf__init(&url, MAX_URL);
    write_endpoint(&url, "http", service, hub);
    buf__str(out, STR("\"aud\":"));
    json__quote(out, buf__view(&url));
    out->failed |= url.failed;
    buf__free(&url);
}

static void write_claims(struct buf *out, const struct connection_string *service, struct str hub,
                         const struct ph_token_options *options, int64_t now)
{
    int64_t minutes = options->minutes ? options->minutes : DEFAULT_MINUTES;

    buf__byte(out, '{');
    write_list(out, STR("role"), options->roles);
    write_list(out, STR("webpubsub.group"), options->groups);
    buf__printf(out, "\"iat\":%lld,\"exp\":%lld,", (long long)now, (long long)(now + minutes * 60));
    write_audience(out, service, hub);
    if (options->user_id) {
        buf__str(out, STR(",\"sub\":"));
        json__quote(out, str__of(options->user_id));
    }
    buf__byte(out, '}');
}

enum ph_err token__write(struct buf *out, const struct connection_string *service, struct str hub,
                         const struct ph_token_options *options, int64_t now)
{
    struct mac_key *key;
    struct buf claims;

    if (!options)
        options = &anonymous;
    if (!names__valid_hub(hub) || !check_options(options))
        return PH_ERR_ARGUMENT;
    key = mac__key_new(service->access_key);
    if (!key)
        return PH_ERR_MEMORY;
    buf__init(&claims, MAX_CLAIMS);
    write_claims(&claims, service, hub, options, now);
    if (claims.failed)
        out->failed = true;
    else
        jwt__sign(out, buf__view(&claims), key);
    buf__free(&claims);
    mac__key_free(key);
    return out->failed ? PH_ERR_MEMORY : PH_OK;
}

static enum ph_err read_service(const char *text, struct connection_string *out)
{
    if (!text)
        text = getenv(CONNECTION_STRING_VARIABLE);
    return text ? connection_string__parse(str__of(text), out, NULL) : PH_ERR_NOT_FOUND;
}

/* `url`: the client URL in front of the token. */
static enum ph_err make(const char *connection_string, const char *hub_name, bool url,
                        const struct ph_token_options *options, char **out)
{
    struct connection_string service;
    struct str hub = str__of(hub_name);
    enum ph_err err = read_service(connection_string, &service);
    struct buf text;

    *out = NULL;
    if (err != PH_OK)
        return err;
    buf__init(&text, MAX_URL);
    if (url) {
        write_endpoint(&text, "ws", &service, hub);
        buf__str(&text, STR("?access_token="));
    }
    err = token__write(&text, &service, hub, options, clock__unix_ms() / 1000);
    if (err == PH_OK)
        *out = buf__take(&text, NULL);
    buf__free(&text);
    return err;
}

enum ph_err ph_client_access_url(const char *connection_string, const char *hub,
                                 const struct ph_token_options *options, char **out)
{
    return make(connection_string, hub, true, options, out);
}

enum ph_err ph_client_access_token(const char *connection_string, const char *hub,
                                   const struct ph_token_options *options, char **out)
{
    return make(connection_string, hub, false, options, out);
}

void ph_token_free(char *token)
{
    free(token);
}
