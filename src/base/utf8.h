/* UTF-8 validation that can stop and go on at any byte (RFC 3629: no overlong
 * forms, no surrogates, nothing above U+10FFFF). */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/str.h"

struct utf8 {
    uint8_t need; /* continuation bytes still to come */
    uint8_t low;  /* allowed range of the next one */
    uint8_t high;
};

#define UTF8_START ((struct utf8){0, 0x80, 0xBF})

/* Checks the next bytes. False as soon as no continuation could make them valid. */
bool utf8__feed(struct utf8 *state, const void *data, size_t len);
/* True when no sequence is left open. */
static inline bool utf8__complete(const struct utf8 *state)
{
    return state->need == 0;
}
bool utf8__valid(struct str s);

/* The longest start of text that is UTF-8 with at most `max` bytes and no part of a character at
 * its end, where somebody may have cut already. */
struct str utf8__cut(struct str s, size_t max);

/* Characters of text that is UTF-8. */
size_t utf8__count(struct str s);
/* Has it more characters than that? No more are counted than need be. */
static inline bool utf8__longer(struct str s, size_t characters)
{
    return s.len > characters && utf8__count(s) > characters;
}

#endif
