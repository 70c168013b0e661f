#include "base/random.h"

#include <limits.h>
#include <openssl/rand.h>

bool random__bytes(void *out, size_t len)
{
    return len <= INT_MAX && RAND_bytes(out, (int)len) == 1;
}

bool random__hex(char *out, size_t bytes)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *raw = (uint8_t *)out + bytes; /* the upper half; read before it is overwritten */

    if (!random__bytes(raw, bytes))
        return false;
    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte = raw[i];

        out[2 * i] = digits[byte >> 4];
        out[2 * i + 1] = digits[byte & 15];
    }
    out[2 * bytes] = '\0';
    return true;
}
