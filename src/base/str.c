#include "base/str.h"

#include "base/word.h"

#include <stdlib.h>
#include <strings.h>

/* One to seven bytes as a word that is made of nothing else; some are in it again. */
static uint64_t few_at(const char *at, size_t len)
{
    uint64_t three;
    uint32_t first, last;

    if (len < sizeof(first)) {
        three = (unsigned char)at[0] | (uint64_t)(unsigned char)at[len / 2] << 8 |
                (uint64_t)(unsigned char)at[len - 1] << 16;
        return three | three << 24 | three << 48;
    }
    memcpy(&first, at, sizeof(first));
    memcpy(&last, at + len - sizeof(last), sizeof(last));
    return (uint64_t)last << 32 | first;
}

/* The bits in which they differ, eight bytes at once. The last word may overlap the one before. */
static uint64_t difference(const char *a, const char *b, size_t len)
{
    const size_t word = sizeof(uint64_t);
    uint64_t bits = 0;

    if (len < word)
        return few_at(a, len) ^ few_at(b, len);
    for (size_t i = 0; i + word < len; i += word)
        bits |= word__at(a + i) ^ word__at(b + i);
    return bits | (word__at(a + len - word) ^ word__at(b + len - word));
}

#define SMALL 0x20 /* makes a letter small */

/* A cheap no for most pairs that are looked at when a header is searched. */
static bool may_equal(char a, char b)
{
    return (((unsigned)a ^ (unsigned)b) & (0xff & ~SMALL)) == 0;
}

/* Most that are the same are so to the letter, and few others differ in nothing but that bit. */
bool str__same_letters(const char *a, const char *b, size_t len)
{
    uint64_t bits;

    if (len == 0 || !may_equal(a[0], b[0]) || !may_equal(a[len - 1], b[len - 1]))
        return len == 0;
    bits = difference(a, b, len);
    return bits == 0 || ((bits & ~(WORD_ONES * SMALL)) == 0 && strncasecmp(a, b, len) == 0);
}

bool str__starts_with(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str__eq(str__n(s.ptr, prefix.len), prefix);
}

bool str__starts_with_nocase(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str__eq_nocase(str__n(s.ptr, prefix.len), prefix);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct str str__trim(struct str s)
{
    while (s.len > 0 && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

bool str__split(struct str *rest, char sep, struct str *part)
{
    const char *end;

    if (!rest->ptr)
        return false;
    end = rest->len > 0 ? memchr(rest->ptr, sep, rest->len) : NULL;
    if (!end) {
        *part = *rest;
        *rest = STR_NONE;
        return true;
    }
    *part = str__n(rest->ptr, (size_t)(end - rest->ptr));
    *rest = str__n(end + 1, rest->len - part->len - 1);
    return true;
}

bool str__to_u64(struct str s, uint64_t *out)
{
    uint64_t value = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

struct str str__from_u64(char out[STR_U64_SIZE], uint64_t value)
{
    size_t at = STR_U64_SIZE - 1;

    out[at] = '\0';
    do {
        out[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return str__n(out + at, STR_U64_SIZE - 1 - at);
}

char *str__dup(struct str s)
{
    char *copy = s.ptr ? malloc(s.len + 1) : NULL;

    if (!copy)
        return NULL;
    memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

struct str str__place(char **at, struct str s)
{
    struct str copy = {s.ptr ? *at : NULL, s.len};

    if (s.len > 0)
        memcpy(*at, s.ptr, s.len);
    *at += s.len;
    return copy;
}

const unsigned char str__hex_digits[256] = {
    ['0'] = 1, 2,  3,  4,  5,  6,          7,  8,  9,  10, ['A'] = 11,
    12,        13, 14, 15, 16, ['a'] = 11, 12, 13, 14, 15, 16,
};

typedef uint8_t bytes __attribute__((vector_size(8)));

static uint64_t word_of(bytes b)
{
    return word__at(&b);
}

static bytes in_word(bytes b)
{
    return (bytes)(((b | SMALL) - 'a' < 26) | (b - '0' < 10) | (b == '-'));
}

static bytes printable(bytes b)
{
    return (bytes)(b - ' ' < 0x7f - ' ');
}

/* Eight bytes at once, the last of which may overlap those before. */
static inline __attribute__((always_inline)) bool all_are(bytes (*good)(bytes b), struct str s)
{
    uint64_t few, all = UINT64_MAX;
    size_t i = 0;
    bytes b;

    if (s.len < sizeof(b)) {
        few = few_at(s.ptr, s.len);
        memcpy(&b, &few, sizeof(b));
        return word_of(good(b)) == UINT64_MAX;
    }
    do {
        memcpy(&b, s.ptr + i, sizeof(b));
        all &= word_of(good(b));
        i += sizeof(b);
    } while (i + sizeof(b) <= s.len);
    memcpy(&b, s.ptr + s.len - sizeof(b), sizeof(b));
    return (all & word_of(good(b))) == UINT64_MAX;
}

bool str__is_word(struct str s)
{
    return s.len == 0 || all_are(in_word, s);
}

bool str__is_printable(struct str s)
{
    return s.len == 0 || all_are(printable, s);
}

bool str__has_control(struct str s)
{
    if (str__is_printable(s))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return true;
    }
    return false;
}

bool str__is_plain_value(struct str s)
{
    return str__is_printable(s) && (s.len == 0 || (s.ptr[0] != ' ' && s.ptr[s.len - 1] != ' '));
}

bool str__is_ascii(struct str s)
{
    const size_t word = sizeof(uint64_t);
    size_t i = 0;

    for (; s.len - i >= word; i += word) {
        if (word__at(s.ptr + i) & WORD_HIGH)
            return false;
    }
    while (i < s.len && (unsigned char)s.ptr[i] < 0x80)
        i++;
    return i == s.len;
}
