#include "base/str.h"

#include <stdlib.h>
#include <strings.h>

/* Equal but for the bit that makes a letter small; a cheap no for most pairs that
 * are looked at when a header is searched. */
static bool may_equal(char a, char b)
{
    return (((unsigned char)a ^ (unsigned char)b) & 0xdf) == 0;
}

/* Most that are the same are so to the letter. */
bool str__same_letters(const char *a, const char *b, size_t len)
{
    return len == 0 || (may_equal(a[0], b[0]) && may_equal(a[len - 1], b[len - 1]) &&
                        (memcmp(a, b, len) == 0 || strncasecmp(a, b, len) == 0));
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

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

/* Eight bytes at once. A borrow runs into a byte's high bit only when the byte is less than
 * what is taken off it, or stands above such a one; and then the answer is yes already. */
static bool any_control(uint64_t eight)
{
    const uint64_t ones = UINT64_MAX / 0xff;
    uint64_t against_delete = eight ^ (ones * 0x7f);

    return (((eight - ones * 0x20) & ~eight) | ((against_delete - ones) & ~against_delete)) &
           (ones << 7);
}

static bool word_has_control(const char *at)
{
    uint64_t eight;

    memcpy(&eight, at, sizeof(eight));
    return any_control(eight);
}

/* The last word may overlap the one before. */
bool str__has_control(struct str s)
{
    const size_t word = sizeof(uint64_t);

    for (size_t i = 0; i + word < s.len; i += word) {
        if (word_has_control(s.ptr + i))
            return true;
    }
    if (s.len >= word)
        return word_has_control(s.ptr + s.len - word);
    for (size_t i = 0; i < s.len; i++) {
        if (is_control((unsigned char)s.ptr[i]))
            return true;
    }
    return false;
}

static bool is_plain(const char *at)
{
    const uint64_t high = UINT64_MAX / 0xff << 7;
    uint64_t eight;

    memcpy(&eight, at, sizeof(eight));
    return !any_control(eight) && !(eight & high);
}

static bool is_visible(char c)
{
    return c > 0x20 && c < 0x7f;
}

/* The last word may overlap the one before. */
bool str__is_plain_value(struct str s)
{
    const size_t word = sizeof(uint64_t);

    if (s.len < word)
        return s.len == 0 || (is_visible(s.ptr[0]) && is_visible(s.ptr[s.len - 1]) &&
                              !str__has_control(s) && str__is_ascii(s));
    for (size_t i = 0; i + word < s.len; i += word) {
        if (!is_plain(s.ptr + i))
            return false;
    }
    return is_plain(s.ptr + s.len - word) && s.ptr[0] != ' ' && s.ptr[s.len - 1] != ' ';
}

bool str__is_ascii(struct str s)
{
    const uint64_t high = UINT64_MAX / 0xff << 7;
    uint64_t eight;
    size_t i = 0;

    for (; s.len - i >= sizeof(eight); i += sizeof(eight)) {
        memcpy(&eight, s.ptr + i, sizeof(eight));
        if (eight & high)
            return false;
    }
    while (i < s.len && (unsigned char)s.ptr[i] < 0x80)
        i++;
    return i == s.len;
}
