#include "broker/core/connection_id.h"

#include "base/hex.h"

void connection_id__make(char out[CONNECTION_ID_LEN + 1],
                         const uint8_t random[CONNECTION_ID_RANDOM_BYTES], uint16_t node,
                         uint8_t shard)
{
    const uint8_t place[] = {(uint8_t)(node >> 8), (uint8_t)node, shard};

    out = hex__put(out, random, CONNECTION_ID_RANDOM_BYTES);
    *hex__put(out, place, sizeof(place)) = '\0';
}

/* In lower case alone, as they were made. */
static bool read_hex(struct str s, uint32_t *value)
{
    static const char digits[] = "0123456789abcdef";

    *value = 0;
    for (size_t i = 0; i < s.len; i++) {
        const char *digit = memchr(digits, s.ptr[i], sizeof(digits) - 1);

        if (!digit)
            return false;
        *value = *value << 4 | (uint32_t)(digit - digits);
    }
    return true;
}

bool connection_id__owner(struct str id, uint16_t *node, uint8_t *shard)
{
    const size_t random_len = 2 * CONNECTION_ID_RANDOM_BYTES;
    uint32_t value;

    /* The random digits are read as well, only to see that they are digits. */
    if (id.len != CONNECTION_ID_LEN || !read_hex(str__n(id.ptr, random_len), &value) ||
        !read_hex(str__n(id.ptr + random_len, id.len - random_len), &value))
        return false;
    *node = (uint16_t)(value >> 8);
    *shard = (uint8_t)value;
    return true;
}
