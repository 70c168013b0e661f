#include "broker/filter/text.h"

#include "base/unicode.h"

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Four bytes of UTF-8 are two code units of UTF-16. */
static size_t units_of(char first)
{
    return is_continuation(first) ? 0 : (unsigned char)first >= 0xf0 ? 2 : 1;
}

size_t text__length(struct str s)
{
    size_t units = 0;

    for (size_t i = 0; i < s.len; i++)
        units += units_of(s.ptr[i]);
    return units;
}

size_t text__offset(struct str s, size_t units, bool *half)
{
    size_t i = 0;

    *half = false;
    while (i < s.len && units > 0) {
        *half = units < units_of(s.ptr[i]);
        if (*half)
            break;
        units -= units_of(s.ptr[i++]);
    }
    while (i < s.len && is_continuation(s.ptr[i]))
        i++;
    return i;
}

static struct str trim_start(struct str s)
{
    while (s.len > 0) {
        struct str rest = s;

        if (!unicode__is_space(unicode__next(&rest)))
            break;
        s = rest;
    }
    return s;
}

struct str text__trim(struct str s)
{
    s = trim_start(s);
    while (s.len > 0) {
        size_t last = s.len - 1;
        struct str tail;

        while (last > 0 && is_continuation(s.ptr[last]))
            last--;
        tail = str__n(s.ptr + last, s.len - last);
        if (!unicode__is_space(unicode__next(&tail)))
            break;
        s.len = last;
    }
    return s;
}

int64_t text__index_of(struct str s, struct str part)
{
    const char *found;

    if (part.len == 0)
        return 0;
    found = s.len < part.len ? NULL : memmem(s.ptr, s.len, part.ptr, part.len);
    return found ? (int64_t)text__length(str__n(s.ptr, (size_t)(found - s.ptr))) : -1;
}

bool text__ends_with(struct str s, struct str end)
{
    return s.len >= end.len && str__eq(str__n(s.ptr + (s.len - end.len), end.len), end);
}
