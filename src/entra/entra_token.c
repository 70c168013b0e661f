#include "entra/entra_token.h"

static bool among(struct str text, const struct str *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str__eq(text, list[i]))
            return true;
    }
    return false;
}

/* Some SDKs ask for the scope with two slashes, and the audience keeps one of them. */
static bool is_audience(struct str text, const struct entra_policy *policy)
{
    if (among(text, policy->audiences, policy->audience_count))
        return true;
    if (text.len == 0 || text.ptr[text.len - 1] != '/')
        return false;
    return among(str__n(text.ptr, text.len - 1), policy->audiences, policy->audience_count);
}

enum ph_err entra_token__is_for(struct arena *a, const struct json *claims,
                                const struct entra_policy *policy, struct diag *diag)
{
    struct str *items;
    size_t count;
    enum ph_err err = jwt__claim_strings(a, claims, STR("aud"), &items, &count, diag);

    if (err != PH_OK)
        return err;
    for (size_t i = 0; i < count; i++) {
        if (is_audience(items[i], policy))
            return PH_OK;
    }
    return diag__set(diag, PH_ERR_AUTH, "the token's audience is \"%.*s\"%s, expected \"%.*s\"%s",
                     STR_FMT(count > 0 ? items[0] : STR("")), count > 1 ? " and others" : "",
                     STR_FMT(policy->audiences[0]),
                     policy->audience_count > 1 ? " or another that is configured" : "");
}

static enum ph_err check_claims(struct arena *a, const struct json *claims,
                                const struct entra_policy *policy, struct diag *diag)
{
    struct str issuer = json__get_string(claims, STR("iss"));

    if (!issuer.ptr || !among(issuer, policy->issuers, policy->issuer_count))
        return diag__set(diag, PH_ERR_AUTH, "the token's issuer is \"%.*s\", expected \"%.*s\"%s",
                         STR_FMT(issuer), STR_FMT(policy->issuers[0]),
                         policy->issuer_count > 1 ? " or another that is configured" : "");
    return entra_token__is_for(a, claims, policy, diag);
}

/* Keys are fetched only for what would be a good token: nobody makes others do it with what is
 * not even meant for us. */
static enum ph_err judge_unsigned(struct arena *a, struct str token, const struct jwt_rules *rules,
                                  const struct entra_policy *policy, struct diag *diag)
{
    const struct json *claims = NULL;
    enum ph_err err = jwt__check_times(a, token, rules, diag);

    if (err == PH_OK)
        err = jwt__peek(a, token, &claims);
    return err == PH_OK ? check_claims(a, claims, policy, diag) : err;
}

enum ph_err entra_token__check(struct arena *a, struct str token, const struct jwt_rules *rules,
                               const struct entra_policy *policy, struct diag *diag)
{
    struct diag unknown = {""};
    const struct json *claims;
    enum ph_err err = jwt__verify_rs256(a, token, rules, &claims, &unknown);

    if (err == PH_OK)
        return check_claims(a, claims, policy, diag);
    if (err == PH_ERR_NOT_FOUND)
        err = judge_unsigned(a, token, rules, policy, diag);
    else
        return diag__set(diag, err, "%s", unknown.text);
    return err == PH_OK ? diag__set(diag, PH_ERR_NOT_FOUND, "%s", unknown.text) : err;
}
