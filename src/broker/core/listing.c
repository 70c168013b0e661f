#include "broker/core/listing.h"

#include <stdlib.h>

int listing__compare(struct str a, struct str b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared > 0 ? memcmp(a.ptr, b.ptr, shared) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

struct listing *listing__new(size_t limit)
{
    struct listing *l = malloc(sizeof(*l));

    if (!l)
        return NULL;
    *l = (struct listing){.limit = limit, .items = malloc((limit + 1) * sizeof(*l->items))};
    if (l->items)
        return l;
    free(l);
    return NULL;
}

void listing__free(struct listing *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->count; i++)
        free(l->items[i]);
    free(l->items);
    free(l);
}

static struct listed *copy(struct str connection_id, struct str user_id)
{
    struct listed *item = malloc(sizeof(*item) + connection_id.len + user_id.len);
    char *at;

    if (!item)
        return NULL;
    at = (char *)(item + 1);
    item->connection_id = str__place(&at, connection_id);
    item->user_id = str__place(&at, user_id);
    return item;
}

static bool is_behind(const struct listing *l, size_t a, size_t b)
{
    return listing__compare(l->items[a]->connection_id, l->items[b]->connection_id) > 0;
}

static void swap(struct listing *l, size_t a, size_t b)
{
    struct listed *item = l->items[a];

    l->items[a] = l->items[b];
    l->items[b] = item;
}

static void rise(struct listing *l, size_t at)
{
    while (at > 0 && is_behind(l, at, (at - 1) / 2)) {
        swap(l, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void sink(struct listing *l, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && is_behind(l, child + 1, child))
            child++;
        if (!is_behind(l, child, at))
            return;
        swap(l, child, at);
    }
}

bool listing__offer(struct listing *l, struct str connection_id, struct str user_id)
{
    bool full = l->count == l->limit;
    struct listed *item;

    if (full && (l->limit == 0 || listing__compare(connection_id, l->items[0]->connection_id) >= 0))
        return true;
    item = copy(connection_id, user_id);
    if (!item)
        return false;
    if (full) {
        free(l->items[0]);
        l->items[0] = item;
        sink(l, 0, l->count);
    } else {
        l->items[l->count++] = item;
        rise(l, l->count - 1);
    }
    return true;
}

/* The last one of the heap goes behind it, and so on. */
void listing__sort(struct listing *l)
{
    for (size_t left = l->count; !l->sorted && left > 1; left--) {
        swap(l, 0, left - 1);
        sink(l, 0, left - 1);
    }
    l->sorted = true;
}

static struct listed *take_first(struct listing *a, size_t *i, struct listing *b, size_t *k)
{
    if (*k == b->count || (*i < a->count && listing__compare(a->items[*i]->connection_id,
                                                             b->items[*k]->connection_id) <= 0))
        return a->items[(*i)++];
    return b->items[(*k)++];
}

static void free_rest(struct listing *l, size_t from)
{
    while (from < l->count)
        free(l->items[from++]);
    free(l->items);
}

struct listing *listing__merge(struct listing *a, struct listing *b)
{
    struct listing *sum;
    size_t i = 0, k = 0;

    if (!a || !b)
        return a ? a : b;
    sum = listing__new(a->limit);
    if (sum) {
        while (sum->count < sum->limit && (i < a->count || k < b->count))
            sum->items[sum->count++] = take_first(a, &i, b, &k);
        sum->sorted = true;
        free_rest(a, i);
        free_rest(b, k);
        free(a);
        free(b);
        return sum;
    }
    listing__free(a);
    listing__free(b);
    return NULL;
}
