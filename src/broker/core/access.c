#include "broker/core/access.h"

#include "base/url.h"
#include "entra/entra_token.h"

#define ISSUER "https://webpubsub.azure.com"
#define SUBPROTOCOL_CLAIM "subprotocol" /* of reconnection tokens */
#define MAX_CLAIMS_LEN 1024

/* --- Whom it is for --------------------------------------------------------- */

struct endpoint {
    struct str host;
    uint16_t port; /* 0: the default one */
};

struct audience {
    struct endpoint endpoint;
    struct str path, query; /* query absent when there is none */
};

/* As schemes are equal in an audience, so are their default ports. */
static struct endpoint endpoint_of(struct str authority)
{
    struct endpoint e = {STR_NONE, 0};

    if (!url__host_port(authority, &e.host, &e.port))
        return (struct endpoint){url__host_only(authority), 0};
    if (e.port == 80 || e.port == 443)
        e.port = 0;
    return e;
}

static bool is_known_scheme(struct str scheme)
{
    return str__eq_nocase(scheme, STR("http")) || str__eq_nocase(scheme, STR("https")) ||
           str__eq_nocase(scheme, STR("ws")) || str__eq_nocase(scheme, STR("wss"));
}

static size_t find_any(struct str s, const char *set)
{
    size_t at = 0;

    while (at < s.len && !(s.ptr[at] && strchr(set, s.ptr[at])))
        at++;
    return at;
}

static bool parse_audience(struct str text, struct audience *out)
{
    struct str rest = text, scheme;
    size_t end;

    if (!str__split(&rest, ':', &scheme) || !is_known_scheme(scheme) ||
        !str__starts_with(rest, STR("//")))
        return false;
    rest = str__n(rest.ptr + 2, rest.len - 2);
    end = find_any(rest, "/?");
    out->endpoint = endpoint_of(str__n(rest.ptr, end));
    out->query = str__n(rest.ptr + end, rest.len - end);
    str__split(&out->query, '?', &out->path);
    if (out->query.len == 0)
        out->query = STR_NONE;
    return out->endpoint.host.len > 0;
}

static bool same_endpoint(struct endpoint a, struct endpoint b)
{
    return a.port == b.port && str__eq_nocase(a.host, b.host);
}

/* client-and-rest section 5.6: tokens name whichever address the connection
 * string uses, so loopback names are one. */
static bool endpoint_accepted(struct endpoint e, const struct access_request *request)
{
    struct endpoint host = endpoint_of(request->host), own = endpoint_of(request->own_host);

    if (same_endpoint(e, host) || same_endpoint(e, own))
        return true;
    return url__is_loopback(e.host) &&
           (e.port == own.port || (url__is_loopback(host.host) && e.port == host.port));
}

static bool equal_text(struct str wanted, struct str text)
{
    return str__eq_nocase(wanted, text);
}

/* official-emulator section 2.2: the audience may name a parent of the path, and
 * may end in a slash, but only on the boundary of a segment. */
static bool equal_or_parent(struct str wanted, struct str path)
{
    if (wanted.len > 0 && wanted.ptr[wanted.len - 1] == '/')
        wanted.len--;
    return str__starts_with_nocase(path, wanted) &&
           (path.len == wanted.len || path.ptr[wanted.len] == '/');
}

/* Compares both as given and after one percent-decoding: SDKs sign the escaped URL,
 * people the readable one. */
static bool matches(struct arena *a, struct str wanted, struct str text,
                    bool (*equal)(struct str wanted, struct str text))
{
    struct str decoded_wanted = url__decode(a, wanted, false);
    struct str decoded_text = url__decode(a, text, false);

    return equal(wanted, text) || (decoded_wanted.ptr && equal(decoded_wanted, text)) ||
           (decoded_text.ptr && equal(wanted, decoded_text)) ||
           (decoded_wanted.ptr && decoded_text.ptr && equal(decoded_wanted, decoded_text));
}

static bool place_accepted(struct arena *a, struct str path, struct str query,
                           const struct access_request *request)
{
    return matches(a, path, request->path, request->parent_paths ? equal_or_parent : equal_text) &&
           (!query.ptr || (request->query.ptr && matches(a, query, request->query, equal_text)));
}

/* A proxy takes the path of its endpoint off the request's, but not off the token's. */
static bool public_accepted(struct arena *a, const struct audience *aud,
                            const struct public_endpoint *public,
                            const struct access_request *request)
{
    struct endpoint e = {public->host,
                         public->port == 80 || public->port == 443 ? 0 : public->port};

    return same_endpoint(aud->endpoint, e) && str__starts_with_nocase(aud->path, public->path) &&
           place_accepted(
               a, str__n(aud->path.ptr + public->path.len, aud->path.len - public->path.len),
               aud->query, request);
}

static bool audience_accepted(struct arena *a, struct str text,
                              const struct access_request *request)
{
    struct audience aud;

    if (!parse_audience(text, &aud))
        return false;
    if (endpoint_accepted(aud.endpoint, request) && place_accepted(a, aud.path, aud.query, request))
        return true;
    for (size_t i = 0; i < request->endpoint_count; i++) {
        if (public_accepted(a, &aud, &request->endpoints[i], request))
            return true;
    }
    return false;
}

/* The text of the service's own log, which people search for. */
static enum ph_err refuse_audience(const struct access_request *request, const struct str *actual,
                                   size_t count, struct diag *diag)
{
    struct str host = request->host.ptr ? request->host : request->own_host;

    return diag__set(diag, PH_ERR_AUTH,
                     "Failed to validate audience. Expected Audiences: http://%.*s%.*s. "
                     "Actual Audiences: %.*s%s",
                     STR_FMT(host), STR_FMT(request->path), STR_FMT(actual[0]),
                     count > 1 ? " and others" : "");
}

static enum ph_err check_audience(struct arena *a, const struct json *claims,
                                  const struct access_request *request, struct diag *diag)
{
    struct str *items;
    size_t count;
    enum ph_err err = jwt__claim_strings(a, claims, STR("aud"), &items, &count, diag);

    if (err != PH_OK)
        return err;
    if (count == 0)
        return diag__set(diag, PH_ERR_AUTH,
                         "the token has no audience: add a claim `aud` with the URL it is for");
    for (size_t i = 0; i < count; i++) {
        if (audience_accepted(a, items[i], request))
            return PH_OK;
    }
    return refuse_audience(request, items, count, diag);
}

enum ph_err access__check(struct arena *a, struct str token, const struct jwt_rules *rules,
                          const struct access_request *request, const struct json **claims,
                          struct diag *diag)
{
    const struct json *found;
    enum ph_err err = jwt__verify(a, token, rules, &found, diag);

    *claims = NULL;
    if (err == PH_OK)
        err = check_audience(a, found, request, diag);
    if (err == PH_OK)
        *claims = found;
    return err;
}

/* --- Microsoft Entra ---------------------------------------------------------- */

static struct entra_policy policy_of(const struct entra_settings *entra)
{
    return (struct entra_policy){&entra->issuer, 1, &entra->audience, 1};
}

bool access__is_entra(struct arena *a, struct str token, const struct entra_settings *entra)
{
    const struct entra_policy policy = policy_of(entra);
    const struct json *claims;

    return entra->audience.ptr && jwt__peek(a, token, &claims) == PH_OK &&
           entra_token__is_for(a, claims, &policy, NULL) == PH_OK;
}

enum ph_err access__check_entra(struct arena *a, struct str token, const struct jwt_rules *rules,
                                const struct entra_settings *entra, struct diag *diag)
{
    const struct entra_policy policy = policy_of(entra);

    return entra->allow_unvalidated ? jwt__check_times(a, token, rules, diag)
                                    : entra_token__check(a, token, rules, &policy, diag);
}

/* --- Reconnection tokens (official-emulator section 2.5) ----------------- */

void access__make_reconnection_token(struct buf *out, struct str connection_id,
                                     const char *subprotocol, const struct mac_key *key,
                                     int64_t now_seconds)
{
    struct buf claims;

    buf__init(&claims, MAX_CLAIMS_LEN);
    buf__str(&claims, STR("{\"iss\":\"" ISSUER "\",\"aud\":"));
    json__quote(&claims, connection_id);
    buf__str(&claims, STR(",\"" SUBPROTOCOL_CLAIM "\":"));
    json__quote(&claims, str__of(subprotocol));
    buf__printf(&claims, ",\"iat\":%lld,\"exp\":%lld}", (long long)now_seconds,
                (long long)(now_seconds + ACCESS_RECONNECTION_SECONDS));
    if (claims.failed)
        out->failed = true;
    else
        jwt__sign(out, buf__view(&claims), key);
    buf__free(&claims);
}

struct str access__reconnection_subprotocol(struct arena *a, struct str token)
{
    const struct json *claims;

    if (jwt__peek(a, token, &claims) != PH_OK)
        return STR_NONE;
    return json__get_string(claims, STR(SUBPROTOCOL_CLAIM));
}

enum ph_err access__check_reconnection_token(struct arena *a, struct str token,
                                             struct str connection_id,
                                             const struct jwt_rules *rules, struct diag *diag)
{
    const struct json *claims;
    enum ph_err err = jwt__verify(a, token, rules, &claims, diag);

    if (err == PH_OK &&
        (connection_id.len == 0 || !str__eq(json__get_string(claims, STR("aud")), connection_id)))
        err = diag__set(diag, PH_ERR_AUTH,
                        "the reconnection token was given out for another connection");
    return err;
}
