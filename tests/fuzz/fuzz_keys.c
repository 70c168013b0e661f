/* Reads the text of a key file, and makes a ring of what is in it. */
#include "app/keys.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read is found again: an unsigned request is refused for want of a signature, or of a
 * key, and nothing else. */
static void check(const struct ph_keys *keys)
{
    const struct keyring *ring = keyring__new(&keys, 1);
    const struct http_headers none = {0};
    struct diag diag = {""};
    enum ph_err err;

    if (!ring || keyring__count(ring) != keys->count)
        abort();
    err = keyring__check(ring, &none, &diag);
    if ((err != PH_ERR_AUTH && err != PH_ERR_NOT_FOUND) || !diag.text[0])
        abort();
    keyring__unref(ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ph_keys *keys = ph_keys_new();
    const char *why = NULL;
    enum ph_err err = ph_keys_read(keys, (const char *)data, size, &why);

    if (!why || (err == PH_OK) != (why[0] == '\0') || (err == PH_OK && keys->count == 0))
        abort();
    check(keys);
    ph_keys_free(keys);
    return 0;
}
