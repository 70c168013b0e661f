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

/* client-and-rest section 1.1 */
static const struct protocol {
    const char *path, *client_type;
} protocols[] = {
    [PH_CLIENT_DEFAULT] = {"/client/hubs/", NULL},
    [PH_CLIENT_MQTT] = {"/clients/mqtt/hubs/", "mqtt"},
    [PH_CLIENT_SOCKETIO] = {"/clients/socketio/hubs/", "socketio"},
};

static bool is_protocol(enum ph_client_protocol protocol)
{
    return (size_t)protocol < sizeof(protocols) / sizeof(*protocols);
}

const char *token__client_type(const struct ph_token_options *options)
{
    return protocols[options->protocol].client_type;
}

/* The official SDKs do the same (client-and-rest section 1.2). */
void token__write_url(struct buf *out, const char *scheme, const struct connection_string *service,
                      struct str hub, const struct ph_token_options *options)
{
    connection_string__url(out, scheme, service);
    buf__str(out, str__of(protocols[options ? options->protocol : PH_CLIENT_DEFAULT].path));
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

bool token__check(const struct ph_token_options *options)
{
    return is_protocol(options->protocol) &&
           (!options->user_id || !names__user_fault(str__of(options->user_id))) &&
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

static void write_audience(struct buf *out, const struct connection_string *service, struct str hub,
                           const struct ph_token_options *options)
{
    struct buf url;

    buf__init(&url, MAX_URL);
    token__write_url(&url, "http", service, hub, options);
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
    write_audience(out, service, hub, options);
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
    if (!names__valid_hub(hub) || !token__check(options))
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

enum ph_err token__make(const struct connection_string *service, struct str hub, bool url,
                        const struct ph_token_options *options, char **out)
{
    enum ph_err err = options && !token__check(options) ? PH_ERR_ARGUMENT : PH_OK;
    struct buf text;

    *out = NULL;
    if (err)
        return err;
    buf__init(&text, MAX_URL);
    if (url) {
        token__write_url(&text, "ws", service, hub, options);
        buf__str(&text, STR("?access_token="));
    }
    err = token__write(&text, service, hub, options, clock__unix_ms() / 1000);
    if (err == PH_OK)
        *out = buf__take(&text, NULL);
    buf__free(&text);
    return err;
}

static enum ph_err make(const char *connection_string, const char *hub, bool url,
                        const struct ph_token_options *options, char **out)
{
    struct connection_string service;
    enum ph_err err = read_service(connection_string, &service);

    *out = NULL;
    return err ? err : token__make(&service, str__of(hub), url, options, out);
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
