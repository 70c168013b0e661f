/* Eight bytes at once. */
#ifndef BASE_WORD_H
#define BASE_WORD_H

#include <stdint.h>
#include <string.h>

#define WORD_ONES (UINT64_MAX / 0xff) /* a 1 in each byte: times x is x in each */
#define WORD_HIGH (WORD_ONES << 7)

/* Of any eight bytes, however they lie, in the order of memory. */
static inline uint64_t word__at(const void *at)
{
    uint64_t eight;

    memcpy(&eight, at, sizeof(eight));
    return eight;
}

#endif
