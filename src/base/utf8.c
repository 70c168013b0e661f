#include "base/utf8.h"

#include "base/word.h"

/* Table 3-7 of the Unicode standard: the first byte decides how many follow and
 * the range of the second. */
static bool start_sequence(struct utf8 *state, uint8_t byte)
{
    state->low = 0x80;
    state->high = 0xBF;
    if (byte >= 0xC2 && byte <= 0xDF) {
        state->need = 1;
    } else if (byte >= 0xE0 && byte <= 0xEF) {
        state->need = 2;
        if (byte == 0xE0)
            state->low = 0xA0;
        if (byte == 0xED)
            state->high = 0x9F;
    } else if (byte >= 0xF0 && byte <= 0xF4) {
        state->need = 3;
        if (byte == 0xF0)
            state->low = 0x90;
        if (byte == 0xF4)
            state->high = 0x8F;
    } else {
        return false;
    }
    return true;
}

/* Nearly all text is ASCII, most of it for long stretches. The last eight bytes may be looked at
 * once more. */
static const uint8_t *skip_ascii(const uint8_t *p, const uint8_t *end)
{
    const bool any_eight = end - p >= 8;

    while (end - p >= 32 &&
           ((word__at(p) | word__at(p + 8) | word__at(p + 16) | word__at(p + 24)) & WORD_HIGH) == 0)
        p += 32;
    while (end - p >= 8 && (word__at(p) & WORD_HIGH) == 0)
        p += 8;
    if (any_eight && end - p < 8 && (word__at(end - 8) & WORD_HIGH) == 0)
        return end;
    while (p < end && *p < 0x80)
        p++;
    return p;
}

bool utf8__feed(struct utf8 *state, const void *data, size_t len)
{
    const uint8_t *p = data, *end;

    if (len == 0) /* `data` may be absent then */
        return true;
    end = p + len;
    while (p < end) {
        if (state->need == 0) {
            p = skip_ascii(p, end);
            if (p < end && !start_sequence(state, *p++))
                return false;
        } else {
            if (*p < state->low || *p > state->high)
                return false;
            state->low = 0x80;
            state->high = 0xBF;
            state->need--;
            p++;
        }
    }
    return true;
}

bool utf8__valid(struct str s)
{
    struct utf8 state = UTF8_START;

    return utf8__feed(&state, s.ptr, s.len) && utf8__complete(&state);
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

#define MAX_CONTINUATION 3

struct str utf8__cut(struct str s, size_t max)
{
    size_t len = s.len < max ? s.len : max, first = len;

    while (first > 0 && len - first < MAX_CONTINUATION && is_continuation(s.ptr[first - 1]))
        first--;
    if (first > 0 && !utf8__valid(str__n(s.ptr + first - 1, len - first + 1)))
        len = first - 1;
    return str__n(s.ptr, len);
}

size_t utf8__count(struct str s)
{
    size_t count = 0;

    for (size_t i = 0; i < s.len; i++)
        count += !is_continuation(s.ptr[i]);
    return count;
}
