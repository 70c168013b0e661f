#include "app/tokens.h"

#include "base/clock.h"
#include "entra/entra_keys.h"
#include "entra/entra_token.h"

#include <stdlib.h>

#define MAX_NAMES 32 /* issuers, or audiences */
#define MAX_MEMORY (256u << 10)
#define LOGIN "https://login.microsoftonline.com/"

struct tokens {
    struct arena arena; /* of the strings */
    struct str issuers[MAX_NAMES], audiences[MAX_NAMES];
    struct entra_policy policy;
    struct entra_keys *keys;
    unsigned skew_seconds, wait_ms;
};

/* --- Settings --------------------------------------------------------------------- */

static enum ph_err copy_names(struct tokens *t, const char *const *from, struct str *to,
                              size_t *count, struct diag *diag)
{
    for (*count = 0; from && from[*count]; ++*count) {
        struct str name = str__of(from[*count]);

        if (*count == MAX_NAMES || name.len == 0)
            return diag__set(diag, PH_ERR_ARGUMENT,
                             "expected 1 to %d issuers and audiences that are not empty",
                             MAX_NAMES);
        to[*count] = str__n(arena__strdup(&t->arena, name), name.len);
        if (!to[*count].ptr)
            return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    }
    return PH_OK;
}

/* A directory's id or domain name, which becomes a part of URLs. */
static bool is_tenant(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i], letter = c | 0x20;

        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.')
            return false;
    }
    return s.len > 0 && s.len <= 255;
}

/* Tokens of both versions: which one it is depends on whom they are for, not on who asks. */
static enum ph_err issuers_of_tenant(struct tokens *t, const char *tenant, size_t *count,
                                     struct diag *diag)
{
    const char *first = arena__printf(&t->arena, LOGIN "%s/v2.0", tenant);
    const char *second = arena__printf(&t->arena, "https://sts.windows.net/%s/", tenant);

    if (!first || !second)
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    t->issuers[(*count)++] = str__of(first);
    t->issuers[(*count)++] = str__of(second);
    return PH_OK;
}

static enum ph_err read_names(struct tokens *t, const struct ph_entra_options *o, struct diag *diag)
{
    size_t issuers, audiences;
    enum ph_err err = copy_names(t, o->issuers, t->issuers, &issuers, diag);

    if (err == PH_OK)
        err = copy_names(t, o->audiences, t->audiences, &audiences, diag);
    if (err != PH_OK)
        return err;
    if (o->tenant && !is_tenant(str__of(o->tenant)))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "the tenant must be the id or the domain of a directory");
    if (issuers == 0 && o->tenant)
        err = issuers_of_tenant(t, o->tenant, &issuers, diag);
    if (err != PH_OK)
        return err;
    if (issuers == 0 || audiences == 0)
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "tokens of Microsoft Entra need %s to be checked against",
                         audiences == 0 ? "an audience" : "a tenant or an issuer");
    t->policy = (struct entra_policy){t->issuers, issuers, t->audiences, audiences};
    return PH_OK;
}

static unsigned or_default(unsigned value, unsigned otherwise)
{
    return value > 0 ? value : otherwise;
}

/* Where the public keys are: a URL is told from a file by its scheme. */
static enum ph_err find_source(struct tokens *t, const struct ph_entra_options *o,
                               struct entra_keys_config *config, struct diag *diag)
{
    struct str keys = str__of(o->keys);

    if (!keys.ptr && o->tenant)
        keys = str__of(arena__printf(&t->arena, LOGIN "%s/discovery/v2.0/keys", o->tenant));
    if (keys.len == 0)
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "tokens of Microsoft Entra need a tenant, or a file or URL of public "
                         "keys");
    if (!str__starts_with_nocase(keys, STR("https://")) &&
        !str__starts_with_nocase(keys, STR("http://"))) {
        config->file = keys;
        return PH_OK;
    }
    config->url = keys;
    if (entra_keys__good_url(keys))
        return PH_OK;
    return diag__set(diag, PH_ERR_ARGUMENT,
                     "the URL of public keys must be https:// with a path (http:// for this "
                     "machine alone, because whoever can change the keys can sign tokens)");
}

static enum ph_err open_keys(struct tokens *t, const struct ph_entra_options *o, struct ph_log *log,
                             struct diag *diag)
{
    struct entra_keys_config config = {
        .refresh_seconds = or_default(o->refresh_seconds, PH_ENTRA_REFRESH_SECONDS),
        .max_age_seconds = or_default(o->max_age_seconds, PH_ENTRA_MAX_AGE_SECONDS),
        .log = log};
    enum ph_err err = find_source(t, o, &config, diag);

    if (err != PH_OK)
        return err;
    t->keys = entra_keys__new(&config, diag);
    if (!t->keys)
        return PH_ERR_SYSTEM;
    return entra_keys__start(t->keys)
               ? PH_OK
               : diag__set(diag, PH_ERR_SYSTEM, "cannot start a thread for the public keys");
}

struct tokens *tokens__new(const struct ph_entra_options *options, struct ph_log *log,
                           enum ph_err *err, struct diag *diag)
{
    struct tokens *t = calloc(1, sizeof(*t));

    *err = PH_ERR_MEMORY;
    diag__set(diag, *err, "out of memory");
    if (!t)
        return NULL;
    arena__init(&t->arena, NULL, 0, MAX_MEMORY);
    t->skew_seconds = or_default(options->skew_seconds, PH_ENTRA_SKEW_SECONDS);
    t->wait_ms = or_default(options->wait_ms, PH_ENTRA_WAIT_MS);
    *err = read_names(t, options, diag);
    if (*err == PH_OK)
        *err = open_keys(t, options, log, diag);
    if (*err == PH_OK)
        return t;
    tokens__free(t);
    return NULL;
}

void tokens__free(struct tokens *tokens)
{
    if (!tokens)
        return;
    entra_keys__free(tokens->keys);
    arena__free(&tokens->arena);
    free(tokens);
}

void tokens__read_again(struct tokens *tokens)
{
    entra_keys__read_again(tokens->keys);
}

/* --- Checking ----------------------------------------------------------------------- */

static enum ph_err find_token(const struct http_headers *headers, struct str *out,
                              struct diag *diag)
{
    size_t count = http__count(headers, STR("Authorization"));

    if (count > 1)
        return diag__set(diag, PH_ERR_AUTH, "header Authorization came %zu times, expected it once",
                         count);
    *out = http__bearer(headers);
    if (out->len > 0)
        return PH_OK;
    return diag__set(diag, PH_ERR_AUTH,
                     count == 0 ? "header Authorization is missing, expected one with a token "
                                  "of Microsoft Entra; is managed identity set for this handler?"
                                : "header Authorization is no \"Bearer TOKEN\"");
}

static enum ph_err cannot_tell(enum entra_keys_hope hope, struct diag *diag)
{
    struct diag why = *diag;

    return diag__set(diag, PH_ERR_STATE, "%s: %s",
                     hope == ENTRA_KEYS_COMING ? "the public keys have not come in time"
                                               : "there are no public keys at the moment",
                     why.text);
}

/* What to do about a key that is not known: PH_ERR_NOT_FOUND: look again. */
static enum ph_err get_keys(struct tokens *t, const struct jwks *seen, struct diag *diag)
{
    enum entra_keys_hope hope = entra_keys__want(t->keys, seen);

    if (hope == ENTRA_KEYS_NEWER ||
        (hope == ENTRA_KEYS_COMING && entra_keys__await(t->keys, t->wait_ms)))
        return PH_ERR_NOT_FOUND;
    if (hope == ENTRA_KEYS_COMING || !seen)
        return cannot_tell(hope, diag);
    return PH_ERR_AUTH;
}

static enum ph_err check_once(struct tokens *t, struct arena *a, struct str token, bool last,
                              struct diag *diag)
{
    const struct jwks *keys = entra_keys__get(t->keys);
    const struct jwt_rules rules = {
        .now = clock__unix_ms() / 1000, .skew = t->skew_seconds, .public_keys = keys};
    enum ph_err err = entra_token__check(a, token, &rules, &t->policy, diag);

    if (err == PH_ERR_NOT_FOUND && last)
        err = keys ? PH_ERR_AUTH : cannot_tell(ENTRA_KEYS_FINAL, diag);
    else if (err == PH_ERR_NOT_FOUND)
        err = get_keys(t, keys, diag);
    jwks__unref(keys);
    return err;
}

enum ph_err tokens__check(struct tokens *tokens, const struct http_headers *headers,
                          struct arena *a, struct diag *diag)
{
    struct str token;
    enum ph_err err = find_token(headers, &token, diag);

    if (err != PH_OK)
        return err;
    err = check_once(tokens, a, token, false, diag);
    return err == PH_ERR_NOT_FOUND ? check_once(tokens, a, token, true, diag) : err;
}
