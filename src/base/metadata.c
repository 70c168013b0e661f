#include "base/metadata.h"

static bool is_value(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < ' ' || s.ptr[i] > '~')
            return false;
    }
    return true;
}

static const char *entry_problem(const struct metadata_entry *e)
{
    if (!http__is_token(e->name))
        return "a metadata name must hold only characters of an HTTP header's name";
    if (e->name.len > METADATA_MAX_NAME)
        return "a metadata name must have at most 256 bytes";
    if (!is_value(e->value))
        return "a metadata value must hold only printable ASCII characters";
    if (e->value.len > METADATA_MAX_VALUE)
        return "a metadata value must have at most 1024 bytes";
    return NULL;
}

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Any order will do: shorter names come first. */
typedef int compare_fn(struct str a, struct str b);

static int by_name(struct str a, struct str b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len > 0 ? memcmp(a.ptr, b.ptr, a.len) : 0;
}

static int by_name_without_case(struct str a, struct str b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    for (size_t i = 0; i < a.len; i++) {
        unsigned char x = (unsigned char)to_lower(a.ptr[i]), y = (unsigned char)to_lower(b.ptr[i]);

        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

/* Entries in the order of their names. There are no more than all names and values may have
 * bytes, but thousands of them are too many to compare each with each. */
struct sorted {
    size_t count;
    uint16_t at[METADATA_MAX_BYTES];
};

/* False: the name is there already. */
static bool sort_in(struct sorted *s, const struct metadata_entry *items, size_t entry,
                    compare_fn *compare)
{
    size_t low = 0, high = s->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare(items[entry].name, items[s->at[middle]].name);

        if (order == 0)
            return false;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    memmove(&s->at[low + 1], &s->at[low], (s->count++ - low) * sizeof(s->at[0]));
    s->at[low] = (uint16_t)entry;
    return true;
}

const char *metadata__problem(const struct metadata *m)
{
    struct sorted sorted;
    size_t bytes = 0;

    sorted.count = 0;
    for (size_t i = 0; i < m->count; i++) {
        const char *problem = entry_problem(&m->items[i]);

        bytes += m->items[i].name.len + m->items[i].value.len;
        if (bytes > METADATA_MAX_BYTES)
            return "metadata must have at most 8192 bytes in all";
        if (problem)
            return problem;
        if (!sort_in(&sorted, m->items, i, by_name_without_case))
            return "a metadata name must not come twice";
    }
    return NULL;
}

/* From the last to the first; those that stay gather at the end. */
size_t metadata__keep_last(struct metadata_entry *items, size_t count)
{
    struct sorted sorted;
    size_t first = count;

    sorted.count = 0;
    for (size_t i = count; i > 0; i--) {
        items[first - 1] = items[i - 1];
        if (sort_in(&sorted, items, first - 1, by_name))
            first--;
    }
    if (count > 0)
        memmove(items, items + first, (count - first) * sizeof(*items));
    return count - first;
}

size_t metadata__bytes(const struct metadata *m)
{
    size_t bytes = 0;

    for (size_t i = 0; i < m->count; i++)
        bytes += m->items[i].name.len + m->items[i].value.len;
    return bytes;
}

/* --- As HTTP headers --------------------------------------------------------- */

static bool is_metadata(const struct http_header *h)
{
    return str__starts_with_nocase(h->name, METADATA_HEADER_PREFIX);
}

/* A copy in lower case with a NUL behind it; absent when memory is out. */
static struct str lower(struct arena *a, struct str prefix, struct str name)
{
    char *copy = arena__printf(a, "%.*s%.*s", STR_FMT(prefix), STR_FMT(name));

    for (size_t i = 0; copy && copy[i]; i++)
        copy[i] = to_lower(copy[i]);
    return str__of(copy);
}

/* The entry of that name, or the free one behind the last. */
static struct metadata_entry *entry_of(struct metadata_entry *items, size_t count, struct str name)
{
    size_t i = 0;

    while (i < count && !str__eq_nocase(items[i].name, name))
        i++;
    return &items[i];
}

static struct str last_of_list(struct str value)
{
    struct str last = value, part;

    while (str__split(&value, ',', &part))
        last = part;
    return str__trim(last);
}

static bool take_header(struct arena *a, const struct http_header *h, enum metadata_values values,
                        struct metadata_entry *items, size_t *count)
{
    struct str name = h->name;
    struct metadata_entry *e;
    char *value = arena__strdup(a, h->value);

    name.ptr += METADATA_HEADER_PREFIX.len;
    name.len -= METADATA_HEADER_PREFIX.len;
    e = entry_of(items, *count, name);
    if (e == &items[*count]) {
        e->name = lower(a, STR(""), name);
        (*count)++;
    }
    e->value = str__n(value, h->value.len);
    if (value && values == METADATA_LAST_OF_LIST)
        e->value = last_of_list(e->value);
    return e->name.ptr && value;
}

bool metadata__from_headers(struct arena *a, const struct http_headers *headers,
                            enum metadata_values values, struct metadata *out)
{
    struct metadata_entry *items = NULL;
    size_t count = 0;

    *out = (struct metadata){NULL, 0};
    for (size_t i = 0; i < headers->count; i++) {
        if (!is_metadata(&headers->items[i]))
            continue;
        if (!items)
            items = arena__zalloc(a, (headers->count - i) * sizeof(*items));
        if (!items || !take_header(a, &headers->items[i], values, items, &count))
            return false;
    }
    *out = (struct metadata){items, count};
    return true;
}

bool metadata__to_headers(struct arena *a, const struct metadata *m, struct http_headers *headers)
{
    for (size_t i = 0; i < m->count; i++) {
        struct str name = lower(a, METADATA_HEADER_PREFIX, m->items[i].name);
        struct str value = str__trim(m->items[i].value);
        char *copy = arena__strdup(a, value);

        if (!name.ptr || !copy || !http__add(a, headers, name, str__n(copy, value.len)))
            return false;
    }
    return true;
}
