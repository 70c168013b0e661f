/* Bytes as hex digits in lower case. (str__hex_digit reads them.) */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include "base/word.h"

#include <endian.h>
#include <stddef.h>

static inline char hex__digit(unsigned value)
{
    return "0123456789abcdef"[value & 15];
}

/* Four bytes as eight digits, in the order of memory. */
static inline uint64_t hex__of_four(const uint8_t bytes[4])
{
    uint64_t digits = 0, letters;

    memcpy(&digits, bytes, 4);
    digits = le64toh(digits);
    digits = (digits | digits << 16) & 0x0000ffff0000ffff;
    digits = (digits | digits << 8) & 0x00ff00ff00ff00ff;
    digits = (digits >> 4 | digits << 8) & WORD_ONES * 0x0f;
    letters = (digits + WORD_ONES * 6) >> 4 & WORD_ONES;
    return htole64(digits + WORD_ONES * '0' + letters * ('a' - '0' - 10));
}

/* Writes two digits for each byte, no NUL, and returns where they end. */
static inline char *hex__put(char *out, const uint8_t *bytes, size_t count)
{
    const size_t fours = count & ~(size_t)3;

    for (size_t i = 0; i < fours; i += 4) {
        uint64_t digits = hex__of_four(bytes + i);

        memcpy(out + 2 * i, &digits, sizeof(digits));
    }
    for (size_t i = fours; i < count; i++) {
        out[2 * i] = hex__digit(bytes[i] >> 4);
        out[2 * i + 1] = hex__digit(bytes[i]);
    }
    return out + 2 * count;
}

#endif
