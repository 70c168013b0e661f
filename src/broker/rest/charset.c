#include "broker/rest/charset.h"

#include "base/utf8.h"

bool charset__find(struct str name, struct charset_reading *out)
{
    static const struct {
        struct str name;
        struct charset_reading reading;
    } rows[] = {
        {{"utf-8", 5}, {CHARSET_UTF8, false, false}},
        {{"utf8", 4}, {CHARSET_UTF8, false, false}},
        {{"us-ascii", 8}, {CHARSET_ASCII, false, false}},
        {{"ascii", 5}, {CHARSET_ASCII, false, false}},
        {{"iso-8859-1", 10}, {CHARSET_LATIN1, false, false}},
        {{"latin1", 6}, {CHARSET_LATIN1, false, false}},
        /* RFC 2781 section 4.3 says big-endian without a mark, but .NET, Windows and
         * the emulator read and write little-endian, so callers of this API do too. */
        {{"utf-16", 6}, {CHARSET_UTF16, false, true}},
        {{"utf-16le", 8}, {CHARSET_UTF16, false, false}},
        {{"utf-16be", 8}, {CHARSET_UTF16, true, false}},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (str__eq_nocase(rows[i].name, name)) {
            *out = rows[i].reading;
            return true;
        }
    }
    return false;
}

static char *put(char *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (char)c;
        return out;
    }
    if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
    } else if (c < 0x10000) {
        *out++ = (char)(0xe0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
    } else {
        *out++ = (char)(0xf0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3f));
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
    }
    *out++ = (char)(0x80 | (c & 0x3f));
    return out;
}

static struct str from_latin1(struct arena *a, struct str text)
{
    char *start = arena__alloc(a, 2 * text.len + 1), *out = start;

    if (!start)
        return STR_NONE;
    for (size_t i = 0; i < text.len; i++)
        out = put(out, (unsigned char)text.ptr[i]);
    return str__n(start, (size_t)(out - start));
}

static uint32_t unit_at(struct str text, size_t at, bool big_endian)
{
    unsigned char first = (unsigned char)text.ptr[at], second = (unsigned char)text.ptr[at + 1];

    return big_endian ? (uint32_t)(first << 8 | second) : (uint32_t)(second << 8 | first);
}

/* Drops a byte order mark and obeys it where it is meant to be. */
static struct str skip_mark(struct str text, bool mark_decides, bool *big_endian)
{
    if (text.len < 2)
        return text;
    if (mark_decides && unit_at(text, 0, true) == 0xfeff)
        *big_endian = true;
    if (unit_at(text, 0, *big_endian) == 0xfeff)
        return str__n(text.ptr + 2, text.len - 2);
    return text;
}

static struct str from_utf16(struct arena *a, const struct charset_reading *reading,
                             struct str text)
{
    bool big = reading->big_endian;
    struct str rest = skip_mark(text, reading->mark_decides, &big);
    /* A unit of two bytes becomes three at the most, a pair of four bytes four. */
    char *start = arena__alloc(a, rest.len / 2 * 3 + 1), *out = start;

    if (!start || rest.len % 2 != 0)
        return STR_NONE;
    for (size_t i = 0; i < rest.len; i += 2) {
        uint32_t c = unit_at(rest, i, big), low;

        if (c >= 0xdc00 && c <= 0xdfff)
            return STR_NONE;
        if (c >= 0xd800 && c <= 0xdbff) {
            i += 2;
            low = i < rest.len ? unit_at(rest, i, big) : 0;
            if (low < 0xdc00 || low > 0xdfff)
                return STR_NONE;
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        }
        out = put(out, c);
    }
    return str__n(start, (size_t)(out - start));
}

static bool is_ascii(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] >= 0x80)
            return false;
    }
    return true;
}

struct str charset__to_utf8(struct arena *a, const struct charset_reading *reading, struct str text)
{
    if (!text.ptr)
        text = STR("");
    switch (reading->charset) {
    case CHARSET_UTF8:
        return utf8__valid(text) ? text : STR_NONE;
    case CHARSET_ASCII:
        return is_ascii(text) ? text : STR_NONE;
    case CHARSET_LATIN1:
        return from_latin1(a, text);
    case CHARSET_UTF16:
        return from_utf16(a, reading, text);
    }
    return STR_NONE;
}
