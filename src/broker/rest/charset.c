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

/* Room for `count` characters of at most `size` bytes each; *end is where to write. */
static bool make_room(struct buf *room, size_t count, size_t size, char **end)
{
    *end = buf__reserve(room, count * size);
    return *end;
}

static struct str filled(struct buf *room, const char *end)
{
    room->len = (size_t)(end - room->data);
    return buf__view(room);
}

static enum ph_err from_latin1(struct str text, struct buf *room, struct str *out)
{
    char *end;

    if (!make_room(room, text.len, 2, &end))
        return PH_ERR_MEMORY;
    for (size_t i = 0; i < text.len; i++)
        end = put(end, (unsigned char)text.ptr[i]);
    *out = filled(room, end);
    return PH_OK;
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

/* Takes one character off `text`. False: half of a pair. */
static bool next_utf16(struct str *text, bool big_endian, uint32_t *c)
{
    uint32_t low;

    *c = unit_at(*text, 0, big_endian);
    *text = str__n(text->ptr + 2, text->len - 2);
    if (*c < 0xd800 || *c > 0xdfff)
        return true;
    low = text->len >= 2 ? unit_at(*text, 0, big_endian) : 0;
    if (*c > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return false;
    *text = str__n(text->ptr + 2, text->len - 2);
    *c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static enum ph_err from_utf16(const struct charset_reading *reading, struct str text,
                              struct buf *room, struct str *out)
{
    bool big = reading->big_endian;
    struct str rest = skip_mark(text, reading->mark_decides, &big);
    char *end;

    if (rest.len % 2 != 0)
        return PH_ERR_SYNTAX;
    /* A unit of two bytes becomes three at the most, a pair of four bytes four. */
    if (!make_room(room, rest.len / 2, 3, &end))
        return PH_ERR_MEMORY;
    while (rest.len > 0) {
        uint32_t c;

        if (!next_utf16(&rest, big, &c))
            return PH_ERR_SYNTAX;
        end = put(end, c);
    }
    *out = filled(room, end);
    return PH_OK;
}

static bool is_ascii(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] >= 0x80)
            return false;
    }
    return true;
}

enum ph_err charset__to_utf8(const struct charset_reading *reading, struct str text,
                             struct buf *room, struct str *out)
{
    *out = text;
    switch (reading->charset) {
    case CHARSET_UTF8:
        return utf8__valid(text) ? PH_OK : PH_ERR_SYNTAX;
    case CHARSET_ASCII:
        return is_ascii(text) ? PH_OK : PH_ERR_SYNTAX;
    case CHARSET_LATIN1:
        return from_latin1(text, room, out);
    case CHARSET_UTF16:
        return from_utf16(reading, text, room, out);
    }
    return PH_ERR_INTERNAL;
}
