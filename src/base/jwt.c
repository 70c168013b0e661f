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

        if (mac__sign(rules->keys[i], signed_part, mac))
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

enum ph_err jwt__verify(struct arena *a, struct str token, const struct jwt_rules *rules,
                        const struct json **claims, struct diag *diag)
{
    struct str parts[3], rest = token, header_text, claims_text, signature;
    struct json *header, *payload;
    struct diag detail;
    enum ph_err err;

    *claims = NULL;
    if (token.len > JWT_MAX_LEN)
        return diag__set(diag, PH_ERR_SYNTAX, "the token is longer than %d bytes", JWT_MAX_LEN);
    for (int i = 0; i < 3; i++) {
        if (!str__split(&rest, '.', &parts[i]))
            return diag__set(diag, PH_ERR_SYNTAX,
                             "the token is not a JWT: expected three parts between dots");
    }
    header_text = base64__decode_url(a, parts[0]);
    claims_text = base64__decode_url(a, parts[1]);
    signature = base64__decode_url(a, parts[2]);
    if (rest.ptr || !header_text.ptr || !claims_text.ptr || !signature.ptr)
        return diag__set(diag, PH_ERR_SYNTAX,
                         "the token is not a JWT: expected three base64url parts between dots");
    err = json__parse(a, header_text, &token_limits, &header, &detail);
    if (err != PH_OK)
        return diag__set(diag, err, "the token's header: %s", detail.text);
    /* Anything but HS256, `none` above all, is refused before a key is touched. */
    if (!str__eq(json__get_string(header, STR("alg")), STR("HS256")))
        return diag__set(diag, PH_ERR_AUTH, "the token is not signed with HS256");
    if (!signature_matches(rules, str__n(token.ptr, parts[0].len + 1 + parts[1].len), signature))
        return diag__set(diag, PH_ERR_AUTH, "the token's signature matches no access key");
    err = json__parse(a, claims_text, &token_limits, &payload, &detail);
    if (err != PH_OK)
        return diag__set(diag, err, "the token's payload: %s", detail.text);
    if (payload->type != JSON_OBJECT)
        return diag__set(diag, PH_ERR_SYNTAX, "the token's payload is %s, expected an object",
                         json__type_name(payload));
    err = check_times(payload, rules, diag);
    if (err == PH_OK)
        *claims = payload;
    return err;
}

void jwt__sign(struct buf *out, struct str claims, const struct mac_key *key)
{
    size_t start = out->len;
    uint8_t mac[MAC_SIZE];

    base64__encode_url(out, HEADER, sizeof(HEADER) - 1);
    buf__byte(out, '.');
    base64__encode_url(out, claims.ptr, claims.len);
    if (out->failed || !mac__sign(key, str__n(out->data + start, out->len - start), mac)) {
        out->failed = true;
        return;
    }
    buf__byte(out, '.');
    base64__encode_url(out, mac, sizeof(mac));
}
