/* Verifies a token: first as it is, which must fail for want of a signature; then its
 * first two parts under a signature of ours, so that claims are reached too. The same
 * input is also read as a set of public keys. */
#include "base/jwt.h"

#include "base/base64.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mac_key *test_key(void)
{
    static struct mac_key *key;

    if (!key)
        key = mac__key_new(STR("0123456789012345678901234567890123456789"));
    return key;
}

static enum ph_err verify(struct str token)
{
    struct mac_key *key = test_key();
    struct jwt_rules rules = {.keys = &key, .key_count = 1, .now = 1700000000, .skew = 300};
    const struct json *claims;
    struct diag diag;
    struct arena a;
    enum ph_err err;

    arena__init(&a, NULL, 0, 16 << 20);
    err = jwt__verify(&a, token, &rules, &claims, &diag);
    if ((err == PH_OK) != (claims != NULL) || (claims && claims->type != JSON_OBJECT))
        abort();
    arena__free(&a);
    return err;
}

/* A set of one key that nobody has the other half of. */
static const struct jwks *test_keys(void)
{
    static const struct jwks *keys;
    unsigned char n[256];
    struct buf text;

    if (keys)
        return keys;
    memset(n, 0xff, sizeof(n));
    buf__init(&text, 4096);
    buf__str(&text, STR("{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"k\",\"e\":\"AQAB\",\"n\":\""));
    base64__encode_url(&text, n, sizeof(n));
    buf__str(&text, STR("\"}]}"));
    keys = jwks__parse(buf__view(&text), NULL);
    buf__free(&text);
    if (!keys)
        abort();
    return keys;
}

static void read_with_public_keys(struct str token)
{
    struct jwt_rules rules = {.now = 1700000000, .skew = 300, .public_keys = test_keys()};
    const struct json *claims;
    struct diag diag;
    struct arena a;

    arena__init(&a, NULL, 0, 16 << 20);
    if (jwt__verify_rs256(&a, token, &rules, &claims, &diag) == PH_OK || claims)
        abort();
    jwt__check_times(&a, token, &rules, &diag);
    if ((jwt__peek(&a, token, &claims) == PH_OK) != (claims != NULL))
        abort();
    arena__free(&a);
}

static void read_key_set(struct str text)
{
    struct diag diag = {""};
    struct jwks *keys = jwks__parse(text, &diag);

    if (keys) {
        if (jwks__count(keys) < 1 || jwks__count(keys) > JWKS_MAX_KEYS)
            abort();
        if (jwks__verify(keys, STR_NONE, text, text) == PH_OK)
            abort();
    } else if (!diag.text[0]) {
        abort();
    }
    jwks__unref(keys);
}

static void sign(struct buf *out, struct str two_parts)
{
    uint8_t mac[MAC_SIZE];

    buf__str(out, two_parts);
    mac__sign(test_key(), two_parts, mac);
    buf__byte(out, '.');
    base64__encode_url(out, mac, sizeof(mac));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str token = str__n(data, size), rest = token, header, payload;
    struct buf out;

    if (verify(token) == PH_OK)
        abort(); /* nobody guesses a signature */
    read_with_public_keys(token);
    read_key_set(token);
    buf__init(&out, 1 << 20);
    if (str__split(&rest, '.', &header) && str__split(&rest, '.', &payload)) {
        sign(&out, str__n(token.ptr, header.len + 1 + payload.len));
        if (!out.failed)
            verify(buf__view(&out));
    }
    buf__reset(&out);
    jwt__sign(&out, token, test_key()); /* the input as the payload itself */
    if (!out.failed)
        verify(buf__view(&out));
    buf__free(&out);
    return 0;
}
