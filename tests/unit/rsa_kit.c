#include "rsa_kit.h"

#include "base/base64.h"
#include "unit.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

EVP_PKEY *rsa_kit__key(unsigned bits)
{
    EVP_PKEY *key = EVP_RSA_gen(bits);

    assert_non_null(key);
    return key;
}

static void number(struct buf *out, EVP_PKEY *key, const char *name, const char *param)
{
    unsigned char bytes[2048];
    BIGNUM *n = NULL;
    int len;

    assert_int_equal(EVP_PKEY_get_bn_param(key, param, &n), 1);
    len = BN_bn2bin(n, bytes);
    buf__printf(out, ",\"%s\":\"", name);
    base64__encode_url(out, bytes, (size_t)len);
    buf__byte(out, '"');
    BN_free(n);
}

void rsa_kit__jwk(struct buf *out, EVP_PKEY *key, const char *kid, const char *more)
{
    buf__str(out, STR("{\"kty\":\"RSA\""));
    if (kid)
        buf__printf(out, ",\"kid\":\"%s\"", kid);
    number(out, key, "n", OSSL_PKEY_PARAM_RSA_N);
    number(out, key, "e", OSSL_PKEY_PARAM_RSA_E);
    buf__printf(out, "%s}", more);
}

void rsa_kit__set(struct buf *out, EVP_PKEY *key, const char *kid)
{
    buf__str(out, STR("{\"keys\":["));
    rsa_kit__jwk(out, key, kid, ",\"use\":\"sig\"");
    buf__str(out, STR("]}"));
}

void rsa_kit__token(struct buf *out, EVP_PKEY *key, const char *kid, const char *header,
                    const char *claims)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char signature[1024];
    size_t len = sizeof(signature), start = out->len;
    char made[256];

    if (kid)
        snprintf(made, sizeof(made), "{\"alg\":\"RS256\",\"kid\":\"%s\"}", kid);
    else
        snprintf(made, sizeof(made), "{\"alg\":\"RS256\"}");
    if (!header)
        header = made;
    base64__encode_url(out, header, strlen(header));
    buf__byte(out, '.');
    base64__encode_url(out, claims, strlen(claims));
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(
        EVP_DigestSign(ctx, signature, &len, (unsigned char *)out->data + start, out->len - start),
        1);
    EVP_MD_CTX_free(ctx);
    buf__byte(out, '.');
    base64__encode_url(out, signature, len);
    assert_false(out->failed);
}

int rsa_kit__make(EVP_PKEY **first, EVP_PKEY **second, char *path)
{
    int fd = mkstemp(path);

    *first = rsa_kit__key(2048);
    *second = rsa_kit__key(2048);
    return fd >= 0 ? close(fd) : -1;
}

int rsa_kit__free(EVP_PKEY *first, EVP_PKEY *second, const char *path)
{
    EVP_PKEY_free(first);
    EVP_PKEY_free(second);
    return unlink(path);
}

void rsa_kit__publish(const char *path, EVP_PKEY *key, const char *kid)
{
    FILE *f = fopen(path, "we");
    struct buf set;

    assert_non_null(f);
    buf__init(&set, 8192);
    if (key)
        rsa_kit__set(&set, key, kid);
    else
        buf__str(&set, str__of(kid));
    assert_int_equal(fwrite(set.data, 1, set.len, f), set.len);
    assert_int_equal(fclose(f), 0);
    buf__free(&set);
}
