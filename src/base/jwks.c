#include "base/jwks.h"

#include "base/base64.h"
#include "base/json.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MAX_TREE (4u << 20) /* the JSON tree of the longest text */
#define MAX_KID 512
#define MAX_EXPONENT_BYTES 8

/* Entra's keys come with certificates and a few members more. */
static const struct json_limits set_limits = {.depth = 16, .nodes = 5000};

struct key {
    char *kid; /* NULL: it has no name */
    size_t kid_len;
    EVP_PKEY *key;
};

struct jwks {
    atomic_uint refs;
    size_t count;
    struct key keys[JWKS_MAX_KEYS];
};

/* --- Keys -------------------------------------------------------------------- */

/* False also for an absent member that decides nothing. */
static bool says_otherwise(const struct json *object, struct str name, struct str expected)
{
    const struct json *member = json__get(object, name);

    return member && !(member->type == JSON_STRING && str__eq(member->string, expected));
}

static bool is_for_us(const struct json *object)
{
    return str__eq(json__get_string(object, STR("kty")), STR("RSA")) &&
           !says_otherwise(object, STR("use"), STR("sig")) &&
           !says_otherwise(object, STR("alg"), STR("RS256"));
}

/* RFC 7518 section 6.3.1: Base64urlUInt. */
static BIGNUM *number(struct arena *a, const struct json *object, struct str name)
{
    struct str text = json__get_string(object, name);
    struct str bytes = text.ptr ? base64__decode_url(a, text) : STR_NONE;

    if (!bytes.ptr || bytes.len == 0 || bytes.len > JWKS_MAX_BITS / 8 + 1)
        return NULL;
    return BN_bin2bn((const unsigned char *)bytes.ptr, (int)bytes.len, NULL);
}

static const char *fault_of(const BIGNUM *n, const BIGNUM *e)
{
    if (!n || !e)
        return "has no n or no e, as base64url of at most 8192 bits";
    if (BN_num_bits(n) < JWKS_MIN_BITS)
        return "is shorter than 2048 bits";
    if (BN_num_bits(n) > JWKS_MAX_BITS)
        return "is longer than 8192 bits";
    if (!BN_is_odd(n) || !BN_is_odd(e) || BN_is_one(e) || BN_num_bytes(e) > MAX_EXPONENT_BYTES)
        return "cannot be an RSA key";
    return NULL;
}

static EVP_PKEY *build(const BIGNUM *n, const BIGNUM *e)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    OSSL_PARAM *params = NULL;
    EVP_PKEY *key = NULL;

    if (builder && ctx && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) &&
        (params = OSSL_PARAM_BLD_to_param(builder)) && EVP_PKEY_fromdata_init(ctx) > 0 &&
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
        key = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static bool name_key(struct key *k, struct str kid)
{
    if (!kid.ptr)
        return true;
    k->kid = malloc(kid.len + 1);
    k->kid_len = kid.len;
    if (!k->kid)
        return false;
    memcpy(k->kid, kid.ptr, kid.len);
    return true;
}

static enum ph_err add(struct jwks *set, struct arena *a, const struct json *object,
                       struct diag *diag)
{
    struct str kid = json__get_string(object, STR("kid"));
    BIGNUM *n = number(a, object, STR("n")), *e = number(a, object, STR("e"));
    const char *fault = fault_of(n, e);
    struct key *k = &set->keys[set->count];
    enum ph_err err = PH_OK;

    if (kid.len > MAX_KID)
        fault = "has a kid of over 512 bytes";
    if (fault) {
        err = diag__set(diag, PH_ERR_SYNTAX, "the key \"%.*s\" %s",
                        kid.len > MAX_KID ? 0 : (int)kid.len, kid.ptr ? kid.ptr : "", fault);
    } else {
        set->count++; /* so that it is freed with the others */
        k->key = build(n, e);
        if (!k->key || !name_key(k, kid))
            err = diag__set(diag, PH_ERR_MEMORY, "no memory for the keys");
    }
    BN_free(n);
    BN_free(e);
    return err;
}

/* --- Sets -------------------------------------------------------------------- */

static enum ph_err read_set(struct jwks *set, struct arena *a, const struct json *root,
                            struct diag *diag)
{
    const struct json *keys = json__get(root, STR("keys"));
    enum ph_err err = PH_OK;

    if (!keys || keys->type != JSON_ARRAY)
        return diag__set(diag, PH_ERR_SYNTAX, "expected an object with an array `keys`");
    if (keys->count > JWKS_MAX_KEYS)
        return diag__set(diag, PH_ERR_LIMIT, "%u keys, at most %d are read", keys->count,
                         JWKS_MAX_KEYS);
    for (const struct json *k = keys->child; k && err == PH_OK; k = k->next) {
        if (is_for_us(k))
            err = add(set, a, k, diag);
    }
    if (err == PH_OK && set->count == 0)
        err = diag__set(diag, PH_ERR_NOT_FOUND, "none of the %u keys is an RSA key for RS256",
                        keys->count);
    return err;
}

struct jwks *jwks__parse(struct str text, struct diag *diag)
{
    struct jwks *set = calloc(1, sizeof(*set));
    struct json *root;
    struct arena a;
    enum ph_err err;

    if (!set) {
        diag__set(diag, PH_ERR_MEMORY, "no memory for the keys");
        return NULL;
    }
    atomic_init(&set->refs, 1);
    arena__init(&a, NULL, 0, MAX_TREE);
    if (text.len > JWKS_MAX_LEN)
        err =
            diag__set(diag, PH_ERR_LIMIT, "%zu bytes, at most %d are read", text.len, JWKS_MAX_LEN);
    else
        err = json__parse(&a, text, &set_limits, &root, diag);
    if (err == PH_OK)
        err = read_set(set, &a, root, diag);
    arena__free(&a);
    if (err == PH_OK)
        return set;
    jwks__unref(set);
    return NULL;
}

/* The count is the only thing in a set that changes. */
static atomic_uint *count_of(const struct jwks *set)
{
    return &((struct jwks *)(uintptr_t)set)->refs;
}

const struct jwks *jwks__ref(const struct jwks *set)
{
    if (set)
        atomic_fetch_add_explicit(count_of(set), 1, memory_order_relaxed);
    return set;
}

void jwks__unref(const struct jwks *set)
{
    if (!set || atomic_fetch_sub_explicit(count_of(set), 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < set->count; i++) {
        free(set->keys[i].kid);
        EVP_PKEY_free(set->keys[i].key);
    }
    free((struct jwks *)(uintptr_t)set);
}

size_t jwks__count(const struct jwks *set)
{
    return set->count;
}

/* --- Signatures -------------------------------------------------------------- */

static const struct key *find(const struct jwks *set, struct str kid)
{
    if (!kid.ptr)
        return set->count == 1 ? &set->keys[0] : NULL;
    for (size_t i = 0; i < set->count; i++) {
        if (set->keys[i].kid && str__eq(str__n(set->keys[i].kid, set->keys[i].kid_len), kid))
            return &set->keys[i];
    }
    return NULL;
}

enum ph_err jwks__verify(const struct jwks *set, struct str kid, struct str message,
                         struct str signature)
{
    const struct key *k = find(set, kid);
    enum ph_err err = PH_ERR_MEMORY;
    EVP_MD_CTX *ctx;

    if (!k)
        return PH_ERR_NOT_FOUND;
    ctx = EVP_MD_CTX_new();
    /* The padding of RS256, PKCS #1 v1.5, is what a fresh RSA context has. */
    if (ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, k->key) == 1)
        err = EVP_DigestVerify(ctx, (const unsigned char *)signature.ptr, signature.len,
                               (const unsigned char *)message.ptr, message.len) == 1
                  ? PH_OK
                  : PH_ERR_AUTH;
    EVP_MD_CTX_free(ctx);
    return err;
}
