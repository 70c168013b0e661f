/* Patterns: the first line is one, the second a name. A matcher that tries everything
 * has to agree, and what is called fine has to keep the limits. */
#include "base/pattern.h"
#include "base/utf8.h"

#include <stdlib.h>

#define SLOW_MAX 24 /* bytes of either that the slow one is asked for */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str behind(struct str s, size_t len)
{
    return str__n(s.ptr + len, s.len - len);
}

/* Bytes of the character in front. */
static size_t width(struct str s)
{
    size_t n = 1;

    while (n < s.len && ((unsigned char)s.ptr[n] & 0xc0) == 0x80)
        n++;
    return n;
}

static bool slow(struct str p, struct str n)
{
    bool dot = n.len > 0 && n.ptr[0] == '.';

    if (p.len == 0)
        return n.len == 0;
    if (p.ptr[0] == '*') {
        bool any = p.len > 1 && p.ptr[1] == '*';

        return slow(behind(p, any ? 2 : 1), n) ||
               (n.len > 0 && (any || !dot) && slow(p, behind(n, width(n))));
    }
    if (n.len == 0)
        return false;
    if (p.ptr[0] == '?')
        return !dot && slow(behind(p, 1), behind(n, width(n)));
    if (p.ptr[0] == '\\')
        p = behind(p, 1);
    return p.ptr[0] == n.ptr[0] && slow(behind(p, 1), behind(n, 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str name = str__n(data, size), pattern;
    bool matches;

    if (!utf8__valid(name) || !str__split(&name, '\n', &pattern) || !name.ptr)
        return 0;
    matches = pattern__matches(pattern, name, PATTERN_EXACT);
    if (matches && !pattern__matches(pattern, name, PATTERN_NOCASE))
        abort();
    if (pattern__problem(pattern))
        return 0;
    if (pattern.len > PATTERN_MAX_BYTES)
        abort();
    if (pattern.len <= SLOW_MAX && name.len <= SLOW_MAX && slow(pattern, name) != matches)
        abort();
    return 0;
}
