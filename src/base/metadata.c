#include "base/metadata.h"

/* RFC 9110 section 5.6.2 */
static bool is_token(struct str s)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!letter && !(c >= '0' && c <= '9') && !(c && strchr(others, c)))
            return false;
    }
    return s.len > 0;
}

static bool is_value(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((s.ptr[i] < ' ' && s.ptr[i] != '\t') || s.ptr[i] > '~')
            return false;
    }
    return true;
}

static const char *entry_problem(const struct metadata_entry *e)
{
    if (!is_token(e->name))
        return "a metadata name must hold only characters of an HTTP header's name";
    if (e->name.len > METADATA_MAX_NAME)
        return "a metadata name must have at most 256 bytes";
    if (!is_value(e->value))
        return "a metadata value must hold only printable ASCII characters";
    if (e->value.len > METADATA_MAX_VALUE)
        return "a metadata value must have at most 1024 bytes";
    return NULL;
}

/* Two names are at least two bytes each apart, so the limit on bytes keeps this short. */
static bool has_name(const struct metadata *m, size_t before, struct str name)
{
    for (size_t i = 0; i < before; i++) {
        if (str__eq_nocase(m->items[i].name, name))
            return true;
    }
    return false;
}

const char *metadata__problem(const struct metadata *m)
{
    size_t bytes = 0;

    for (size_t i = 0; i < m->count; i++) {
        const char *problem = entry_problem(&m->items[i]);

        bytes += m->items[i].name.len + m->items[i].value.len;
        if (bytes > METADATA_MAX_BYTES)
            return "metadata must have at most 8192 bytes in all";
        if (problem)
            return problem;
        if (has_name(m, i, m->items[i].name))
            return "a metadata name must not come twice";
    }
    return NULL;
}
