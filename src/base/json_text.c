#include "base/json_text.h"

#include "base/json_plain.h"
#include "base/unicode.h"

#define HIGH_HALF 0xd800u
#define LOW_HALF 0xdc00u
#define HALVES 0x400u /* of either kind */

static struct str skip(struct str s, size_t len)
{
    return str__n(s.ptr + len, s.len - len);
}

/* Of a UTF-16 code unit, that is. */
static uint32_t four_digits(const char *at)
{
    uint32_t unit = 0;

    for (size_t i = 0; i < 4; i++)
        unit = unit * 16 + (uint32_t)str__hex_digit(at[i]);
    return unit;
}

/* `s` begins behind the \u. */
static uint32_t take_units(struct str *s)
{
    uint32_t first = four_digits(s->ptr), second;

    *s = skip(*s, 4);
    if (first - HIGH_HALF >= 2 * HALVES)
        return first;
    if (first >= LOW_HALF || !str__starts_with(*s, STR("\\u")))
        return UNICODE_REPLACEMENT;
    second = four_digits(s->ptr + 2);
    if (second - LOW_HALF >= HALVES)
        return UNICODE_REPLACEMENT;
    *s = skip(*s, 6);
    return 0x10000 + (first - HIGH_HALF) * HALVES + (second - LOW_HALF);
}

static uint32_t take_escape(struct str *s)
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    const char letter = s->ptr[1];
    const char *found = strchr(letters, letter);

    *s = skip(*s, 2);
    if (letter == 'u')
        return take_units(s);
    return (unsigned char)(found ? meanings[found - letters] : letter);
}

size_t json_text__unescape(char *out, struct str raw)
{
    size_t len = 0;

    for (;;) {
        size_t plain = json_plain__length(raw);

        memcpy(out + len, raw.ptr, plain);
        len += plain;
        raw = skip(raw, plain);
        if (raw.len == 0)
            return len;
        len += unicode__put(out + len, take_escape(&raw));
    }
}
