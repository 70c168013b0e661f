/* Verifies a token: first as it is, which must fail for want of a signature; then its
 * first two parts under a signature of ours, so that claims are reached too. */
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

static void sign(struct buf *out, struct str two_parts)
{
    uint8_t mac[MAC_SIZE];

    buf__str(out, two_parts);
    if (!mac__sign(test_key(), two_parts, mac))
        abort();
    buf__byte(out, '.');
    base64__encode_url(out, mac, sizeof(mac));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str token = str__n(data, size), rest = token, header, payload;
    struct buf out;

    if (verify(token) == PH_OK)
        abort(); /* nobody guesses a signature */
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
