#include "base/random.h"

#include <limits.h>
#include <openssl/rand.h>

bool random__bytes(void *out, size_t len)
{
    return len <= INT_MAX && RAND_bytes(out, (int)len) == 1;
}

/* What has been handed out is not kept. */
bool random__take(struct random_pool *pool, void *out, size_t len)
{
    if (len > pool->left) {
        pool->left = 0;
        if (len > sizeof(pool->bytes) || !random__bytes(pool->bytes, sizeof(pool->bytes)))
            return false;
        pool->left = sizeof(pool->bytes);
    }
    pool->left -= len;
    memcpy(out, pool->bytes + pool->left, len);
    memset(pool->bytes + pool->left, 0, len);
    return true;
}
