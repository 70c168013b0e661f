#include "base/names.h"

#include "base/utf8.h"

/* Takes one character off text that is known to be UTF-8. */
static uint32_t next_character(struct str *s)
{
    unsigned char first = (unsigned char)*s->ptr;
    size_t len = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t c = len == 1 ? first : first & (0x7fu >> len);

    for (size_t i = 1; i < len; i++)
        c = c << 6 | ((unsigned char)s->ptr[i] & 0x3f);
    *s = str__n(s->ptr + len, s->len - len);
    return c;
}

/* White space as Unicode has it: a group of ideographic spaces is as blank as any. */
static bool is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

bool names__valid_group(struct str name)
{
    size_t characters = 0;
    bool blank = true;

    /* Counting stops mattering long before this: four bytes a character at the most. */
    if (name.len > 4 * NAMES_GROUP_MAX || !utf8__valid(name))
        return false;
    while (name.len > 0) {
        blank &= is_space(next_character(&name));
        characters++;
    }
    return !blank && characters <= NAMES_GROUP_MAX;
}

bool names__valid_id(struct str id)
{
    if (id.len == 0 || !utf8__valid(id))
        return false;
    for (size_t i = 0; i < id.len; i++) {
        unsigned char c = (unsigned char)id.ptr[i];

        if (c < 0x20 || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool names__valid_hub(struct str name)
{
    if (name.len == 0 || name.len > NAMES_HUB_MAX || !is_letter(name.ptr[0]))
        return false;
    for (size_t i = 1; i < name.len; i++) {
        char c = name.ptr[i];

        if (!is_letter(c) && !(c >= '0' && c <= '9') && (c == '\0' || !strchr("_`,.[]", c)))
            return false;
    }
    return true;
}

struct str names__lower_hub(struct arena *a, struct str name)
{
    char *copy = arena__strdup(a, name);

    if (!copy)
        return STR_NONE;
    for (size_t i = 0; i < name.len; i++) {
        if (copy[i] >= 'A' && copy[i] <= 'Z')
            copy[i] += 'a' - 'A';
    }
    return str__n(copy, name.len);
}
