/* Randomness, from OpenSSL's generator. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include "base/str.h"

/* False only when the generator fails, which must be treated as fatal to the request. */
bool random__bytes(void *out, size_t len);

#endif
