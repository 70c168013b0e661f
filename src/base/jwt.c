#include "base/jwt.h"

#include "base/base64.h"

#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static const struct json_limits token_limits = {.depth = 16, .nodes = 4096};

static bool signature_matches(const struct jwt_rules *rules, struct str signed_part,
                              struct str signature)
{
    bool found = false;

    if (signature.len != MAC_SIZE)
        return false;
    for (size_t i = 0; i < rules->key_count; i++) {
        uint8_t mac[MAC_SIZE];

        mac__sign(rules->keys[i], signed_part, mac);
        found |= mac__equal(mac, signature.ptr, MAC_SIZE);
    }
    return found;
}

/* NumericDate, RFC 7519 section 2: seconds, possibly with a fraction, which we drop. */
static bool to_seconds(const struct json *node, int64_t *out)
{
    struct str whole, rest = node->string;
    uint64_t value;

    if (node->type != JSON_NUMBER || !str__split(&rest, '.', &whole) ||
        !str__to_u64(whole, &value) || value > INT64_MAX / 2)
        return false;
    *out = (int64_t)value;
    return true;
}

static enum ph_err check_times(const struct json *claims, const struct jwt_rules *rules,
                               struct diag *diag)
{
    const struct json *exp = json__get(claims, STR("exp")), *nbf = json__get(claims, STR("nbf"));
    int64_t at;

    if (!exp || !to_seconds(exp, &at))
        return diag__set(diag, PH_ERR_AUTH,
                         "the token has no expiry time: add a numeric claim `exp`");
    if (at + rules->skew <= rules->now)
        return diag__set(diag, PH_ERR_AUTH, "the token expired %lld seconds ago",
                         (long long)(rules->now - at));
    if (nbf && nbf->type != JSON_NULL) {
        if (!to_seconds(nbf, &at))
            return diag__set(diag, PH_ERR_AUTH, "the token's `nbf` claim is not a time");
        if (at - rules->skew > rules->now)
            return diag__set(diag, PH_ERR_AUTH, "the token is not valid for another %lld seconds",
                             (long long)(at - rules->now));
    }
    return PH_OK;
}

/* A token taken apart; its payload is parsed once the signature is good. */
struct parts {
    struct str signed_part, payload, signature;
    const struct json *header;
};

static enum ph_err take_apart(struct arena *a, struct str token, struct parts *out,
                              struct diag *diag)
{
    struct str encoded[3], rest = token, header;
    struct json *root;
    struct diag detail;
    enum ph_err err;

    if (token.len > JWT_MAX_LEN)
        return diag__set(diag, PH_ERR_SYNTAX, "the token is longer than %d bytes", JWT_MAX_LEN);
    for (int i = 0; i < 3; i++) {
        if (!str__split(&rest, '.', &encoded[i]))
            return diag__set(diag, PH_ERR_SYNTAX,
                             "the token is not a JWT: expected three parts between dots");
    }
    header = base64__decode_url(a, encoded[0]);
    out->payload = base64__decode_url(a, encoded[1]);
    out->signature = base64__decode_url(a, encoded[2]);
    if (rest.ptr || !header.ptr || !out->payload.ptr || !out->signature.ptr)
        return diag__set(diag, PH_ERR_SYNTAX,
                         "the token is not a JWT: expected three base64url parts between dots");
    out->signed_part = str__n(token.ptr, encoded[0].len + 1 + encoded[1].len);
    err = json__parse(a, header, &token_limits, &root, &detail);
    if (err != PH_OK)
        return diag__set(diag, err, "the token's header: %s", detail.text);
    out->header = root;
    return PH_OK;
}

static enum ph_err read_claims(struct arena *a, struct str payload, const struct json **out,
                               struct diag *diag)
{
    struct json *claims;
    struct diag detail;
    enum ph_err err = json__parse(a, payload, &token_limits, &claims, &detail);

    if (err != PH_OK)
        return diag__set(diag, err, "the token's payload: %s", detail.text);
    if (claims->type != JSON_OBJECT)
        return diag__set(diag, PH_ERR_SYNTAX, "the token's payload is %s, expected an object",
                         json__type_name(claims));
    *out = claims;
    return PH_OK;
}

/* RFC 7515 section 4.1.11: what must be understood and is not. */
static enum ph_err check_header(const struct json *header, const char *algorithm, struct diag *diag)
{
    /* Anything else, `none` above all, is refused before a key is touched. */
    if (!str__eq(json__get_string(header, STR("alg")), str__of(algorithm)))
        return diag__set(diag, PH_ERR_AUTH, "the token is not signed with %s", algorithm);
    if (json__get(header, STR("crit")))
        return diag__set(diag, PH_ERR_AUTH, "the token has critical extensions, and none is known");
    return PH_OK;
}

static enum ph_err check_mac(const struct parts *p, const struct jwt_rules *rules,
                             struct diag *diag)
{
    enum ph_err err = check_header(p->header, "HS256", diag);

    if (err == PH_OK && !signature_matches(rules, p->signed_part, p->signature))
        err = diag__set(diag, PH_ERR_AUTH, "the token's signature matches no access key");
    return err;
}

static enum ph_err check_rsa(const struct parts *p, const struct jwt_rules *rules,
                             struct diag *diag)
{
    enum ph_err err = check_header(p->header, "RS256", diag);
    struct str kid = json__get_string(p->header, STR("kid"));

    if (err != PH_OK)
        return err;
    err = rules->public_keys ? jwks__verify(rules->public_keys, kid, p->signed_part, p->signature)
                             : PH_ERR_NOT_FOUND;
    if (err == PH_ERR_NOT_FOUND)
        return diag__set(diag, err,
                         "the token names the key \"%.*s\", which is not among the %zu "
                         "public keys that are known",
                         STR_FMT(kid), rules->public_keys ? jwks__count(rules->public_keys) : 0);
    if (err == PH_ERR_MEMORY)
        return diag__set(diag, err, "out of memory while the token's signature was checked");
    if (err != PH_OK)
        return diag__set(diag, err, "the token's signature does not match its public key");
    return PH_OK;
}

typedef enum ph_err check_signature_fn(const struct parts *p, const struct jwt_rules *rules,
                                       struct diag *diag);

static enum ph_err verify(struct arena *a, struct str token, const struct jwt_rules *rules,
                          check_signature_fn *check_signature, const struct json **claims,
                          struct diag *diag)
{
    struct parts parts;
    const struct json *found = NULL;
    enum ph_err err = take_apart(a, token, &parts, diag);

    *claims = NULL;
    if (err == PH_OK && check_signature)
        err = check_signature(&parts, rules, diag);
    if (err == PH_OK)
        err = read_claims(a, parts.payload, &found, diag);
    if (err == PH_OK)
        err = check_times(found, rules, diag);
    if (err == PH_OK)
        *claims = found;
    return err;
}

enum ph_err jwt__verify(struct arena *a, struct str token, const struct jwt_rules *rules,
                        const struct json **claims, struct diag *diag)
{
    return verify(a, token, rules, check_mac, claims, diag);
}

enum ph_err jwt__verify_rs256(struct arena *a, struct str token, const struct jwt_rules *rules,
                              const struct json **claims, struct diag *diag)
{
    return verify(a, token, rules, check_rsa, claims, diag);
}

enum ph_err jwt__check_times(struct arena *a, struct str token, const struct jwt_rules *rules,
                             struct diag *diag)
{
    const struct json *claims;

    return verify(a, token, rules, NULL, &claims, diag);
}

enum ph_err jwt__peek(struct arena *a, struct str token, const struct json **claims)
{
    struct parts parts;
    enum ph_err err = take_apart(a, token, &parts, NULL);

    *claims = NULL;
    return err ? err : read_claims(a, parts.payload, claims, NULL);
}

static enum ph_err refuse_claim(struct str name, const struct json *node, struct diag *diag)
{
    return diag__set(diag, PH_ERR_SYNTAX,
                     "the token's claim `%.*s` holds %s, expected a string or an array of strings",
                     STR_FMT(name), json__type_name(node));
}

enum ph_err jwt__claim_strings(struct arena *a, const struct json *claims, struct str name,
                               struct str **items, size_t *count, struct diag *diag)
{
    const struct json *claim = json__get(claims, name), *item = claim;
    size_t n = 1;

    *items = NULL;
    *count = 0;
    if (!claim || claim->type == JSON_NULL)
        return PH_OK;
    if (claim->type == JSON_ARRAY) {
        item = claim->child;
        n = claim->count;
    }
    *items = arena__alloc(a, n * sizeof(**items));
    if (!*items)
        return diag__set(diag, PH_ERR_MEMORY, "no memory for the token's claims");
    for (size_t i = 0; i < n; i++, item = item->next) {
        if (item->type != JSON_STRING)
            return refuse_claim(name, item, diag);
        (*items)[i] = item->string;
    }
    *count = n;
    return PH_OK;
}

void jwt__sign(struct buf *out, struct str claims, const struct mac_key *key)
{
    size_t start = out->len;
    uint8_t mac[MAC_SIZE];

    base64__encode_url(out, HEADER, sizeof(HEADER) - 1);
    buf__byte(out, '.');
    base64__encode_url(out, claims.ptr, claims.len);
    if (out->failed)
        return;
    mac__sign(key, str__n(out->data + start, out->len - start), mac);
    buf__byte(out, '.');
    base64__encode_url(out, mac, sizeof(mac));
}
