#include "base/names.h"

#include "base/unicode.h"
#include "base/utf8.h"

bool names__valid_group(struct str name)
{
    size_t characters = 0;
    bool blank = true;

    /* White space is what Unicode says: a group of ideographic spaces is as blank as any.
     * Counting stops mattering long before this: four bytes a character at the most. */
    if (name.len > 4 * NAMES_GROUP_MAX || !utf8__valid(name))
        return false;
    while (name.len > 0) {
        blank &= unicode__is_space(unicode__next(&name));
        characters++;
    }
    return !blank && characters <= NAMES_GROUP_MAX;
}

bool names__valid_id(struct str id)
{
    return id.len > 0 && utf8__valid(id) && !str__has_control(id);
}

const char *names__user_fault(struct str id)
{
    if (id.len == 0)
        return "is empty";
    if (!utf8__valid(id))
        return "is not UTF-8";
    if (str__has_control(id))
        return "holds a control character";
    if (str__trim(id).len != id.len)
        return "starts or ends with white space, which would be lost on the way to an event "
               "handler";
    return NULL;
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* A letter, then letters, digits and some others. */
static bool is_name(struct str name, size_t max, const char *others)
{
    if (name.len == 0 || name.len > max || !is_letter(name.ptr[0]))
        return false;
    for (size_t i = 1; i < name.len; i++) {
        char c = name.ptr[i];

        if (!is_letter(c) && !(c >= '0' && c <= '9') && (c == '\0' || !strchr(others, c)))
            return false;
    }
    return true;
}

bool names__valid_hub(struct str name)
{
    return is_name(name, NAMES_HUB_MAX, "_`,.[]");
}

bool names__valid_event(struct str name)
{
    return is_name(name, NAMES_EVENT_MAX, "_.-");
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
