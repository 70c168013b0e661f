/* Characters of Unicode: out of UTF-8 and back, white space, simple case mappings. */
#ifndef BASE_UNICODE_H
#define BASE_UNICODE_H

#include "base/str.h"

#define UNICODE_REPLACEMENT 0xFFFDu

/* Takes one character off text that is known to be UTF-8 and not empty. */
uint32_t unicode__next(struct str *s);
/* Writes a character as UTF-8, 4 bytes at the most, and returns how many. */
size_t unicode__put(char *out, uint32_t c);
bool unicode__is_space(uint32_t c);
/* One character for one, whatever the language; the dotted I, the dotless i and the long s
 * stay as they are (the invariant culture of .NET). */
uint32_t unicode__lower(uint32_t c);
uint32_t unicode__upper(uint32_t c);
/* The same for one character of a text after the other: *near, 0 at first, is where the last
 * one was found, and so are most of those behind it. */
uint32_t unicode__lower_near(uint32_t c, size_t *near);
uint32_t unicode__upper_near(uint32_t c, size_t *near);

#endif
