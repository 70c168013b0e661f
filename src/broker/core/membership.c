#include "broker/core/membership.h"

#include <stdlib.h>

#define FIRST_SIZE 2
#define SEARCH_MAX 8 /* memberships without an index; one cache line or two */

static uint32_t home(const struct memberships *m, const struct group *group)
{
    /* Addresses come from malloc, not from clients: multiplying spreads them well enough. */
    return (uint32_t)(((uint64_t)(uintptr_t)group * 0x9e3779b97f4a7c15u) >> 32) &
           (m->index_size - 1);
}

static uint32_t index_slot(const struct memberships *m, const struct group *group)
{
    uint32_t i = home(m, group);

    while (m->index[i] && m->items[m->index[i] - 1].group != group)
        i = (i + 1) & (m->index_size - 1);
    return i;
}

uint32_t memberships__find(const struct memberships *m, const struct group *group)
{
    if (m->index_size > 0)
        return m->index[index_slot(m, group)] - 1; /* a free slot gives MEMBERSHIP_NONE */
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->items[i].group == group)
            return i;
    }
    return MEMBERSHIP_NONE;
}

/* The index is twice as long as the array, so probes stay short. */
static bool rebuild_index(struct memberships *m, uint32_t size)
{
    uint32_t *index = calloc((size_t)size * 2, sizeof(*index));

    if (!index)
        return false;
    free(m->index);
    m->index = index;
    m->index_size = size * 2;
    for (uint32_t i = 0; i < m->count; i++)
        m->index[index_slot(m, m->items[i].group)] = i + 1;
    return true;
}

static bool grow(struct memberships *m)
{
    uint32_t size = m->size ? m->size * 2 : FIRST_SIZE;
    struct membership *items = realloc(m->items, size * sizeof(*items));

    if (!items)
        return false;
    m->items = items;
    if (size > SEARCH_MAX && !rebuild_index(m, size))
        return false; /* the old size goes with the old index */
    m->size = size;
    return true;
}

bool memberships__add(struct memberships *m, struct group *group, uint32_t member)
{
    if (m->count == m->size && !grow(m))
        return false;
    m->items[m->count++] = (struct membership){group, member};
    if (m->index_size > 0)
        m->index[index_slot(m, group)] = m->count;
    return true;
}

static void index_remove(struct memberships *m, const struct group *group)
{
    uint32_t mask = m->index_size - 1, hole = index_slot(m, group);

    for (uint32_t i = (hole + 1) & mask; m->index[i]; i = (i + 1) & mask) {
        uint32_t from = home(m, m->items[m->index[i] - 1].group);

        if (((i - from) & mask) >= ((i - hole) & mask)) {
            m->index[hole] = m->index[i];
            hole = i;
        }
    }
    m->index[hole] = 0;
}

void memberships__remove(struct memberships *m, uint32_t at)
{
    uint32_t last = m->count - 1;

    if (m->index_size > 0) {
        index_remove(m, m->items[at].group);
        if (at != last)
            m->index[index_slot(m, m->items[last].group)] = at + 1;
    }
    m->items[at] = m->items[last];
    m->count = last;
    if (last == 0)
        memberships__free(m);
}

void memberships__free(struct memberships *m)
{
    free(m->items);
    free(m->index);
    *m = (struct memberships){0};
}
