/* Randomness, from OpenSSL's generator. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include "base/str.h"

/* False only when the generator fails, which must be treated as fatal to the request. */
bool random__bytes(void *out, size_t len);

/* Random bytes kept at hand by one thread: the generator takes longer to be asked than to
 * answer. */
struct random_pool {
    size_t left;
    uint8_t bytes[4096];
};

/* For names that only have to differ and not to be guessed; what stays secret for long takes
 * bytes of its own. At most as many as the pool holds; false as above. */
bool random__take(struct random_pool *pool, void *out, size_t len);

#endif
