#include "broker/filter/complaint.h"

#include "broker/filter/text.h"

#include <stdio.h>

/* Two quotations and the words around them fit into a struct diag. */
#define QUOTE_MAX 140

struct quote {
    char text[QUOTE_MAX + 8];
};

static bool is_inside_character(struct str text, size_t at)
{
    return at < text.len && ((unsigned char)text.ptr[at] & 0xc0) == 0x80;
}

/* All of the text, or what stands around `at` between dots. */
static struct quote quote(struct str text, size_t at)
{
    size_t from = 0, to = text.len;
    struct quote q;

    if (to > QUOTE_MAX) {
        from = at < QUOTE_MAX / 2 ? 0 : at - QUOTE_MAX / 2;
        if (from > text.len - QUOTE_MAX)
            from = text.len - QUOTE_MAX;
        to = from + QUOTE_MAX;
    }
    while (is_inside_character(text, from))
        from++;
    while (is_inside_character(text, to))
        to--;
    snprintf(q.text, sizeof(q.text), "%s%.*s%s", from > 0 ? "..." : "", (int)(to - from),
             text.ptr ? text.ptr + from : "", to < text.len ? "..." : "");
    return q;
}

static struct str part_of(struct str text, struct extent part)
{
    return str__n(text.ptr + part.at, part.end - part.at);
}

enum ph_err complaint__at(struct diag *diag, struct str text, uint32_t at, const char *what)
{
    return diag__set(diag, PH_ERR_SYNTAX,
                     "Invalid syntax for '%s': %s at position %zu in '%s'. (Parameter 'filter')",
                     quote(text, 0).text, what, text__length(str__n(text.ptr, at)),
                     quote(text, at).text);
}

enum ph_err complaint__of(struct diag *diag, struct str text, struct extent part, const char *what)
{
    return diag__set(diag, PH_ERR_SYNTAX, "Invalid syntax for '%s': %s. (Parameter 'filter')",
                     quote(part_of(text, part), 0).text, what);
}

enum ph_err complaint__token(struct diag *diag, struct str text, struct extent part)
{
    return diag__set(diag, PH_ERR_SYNTAX,
                     "Invalid syntax for '%s': Token '%s' is not supported. (Parameter 'filter')",
                     quote(text, part.at).text, quote(part_of(text, part), 0).text);
}

enum ph_err complaint__limit(struct diag *diag, struct str text, uint32_t at, const char *what)
{
    complaint__at(diag, text, at, what);
    return PH_ERR_LIMIT;
}
