#include "broker/core/ack_ids.h"

#include <stdlib.h>

#define FIRST_SIZE 8
#define MAX_SIZE (1u << 15) /* places are 16 bits wide, and 0 stands for none */

/* A ring of ids, oldest at `head`, and a hash table of places in the ring, twice as
 * long, probed linearly. */
struct ack_ids {
    uint32_t size; /* of the ring: a power of two */
    uint32_t head;
    uint32_t count;
    uint64_t highest; /* that was ever in it */
    uint16_t *table;  /* place in the ring + 1; 0: free */
    uint64_t ids[];
};

/* Clients count: ids in a row stand in a row, which is few lines of the cache. What is above the
 * widest table moves whole rows. */
static uint32_t home(const struct ack_ids *set, uint64_t id)
{
    uint64_t row = ((id / MAX_SIZE) * 0x9e3779b97f4a7c15u) >> 40;

    return (uint32_t)(id ^ row) & (2 * set->size - 1);
}

/* Slot of the table that holds the id, or the free one where it belongs. */
static uint32_t find(const struct ack_ids *set, uint64_t id)
{
    uint32_t mask = 2 * set->size - 1, i = home(set, id);

    while (set->table[i] && set->ids[set->table[i] - 1] != id)
        i = (i + 1) & mask;
    return i;
}

/* Most ids are new, and as clients count, nothing but the set itself tells so. By the time that
 * such an id is added, its places have come into the cache. */
bool ack_ids__has(const struct ack_ids *set, uint64_t id)
{
    if (!set)
        return false;
    if (id <= set->highest)
        return set->table[find(set, id)] != 0;
    __builtin_prefetch(&set->table[home(set, id)], 1);
    __builtin_prefetch(&set->ids[(set->head + set->count) & (set->size - 1)], 1);
    return false;
}

static void put(struct ack_ids *set, uint64_t id)
{
    uint32_t place = (set->head + set->count++) & (set->size - 1);

    set->ids[place] = id;
    set->table[find(set, id)] = (uint16_t)(place + 1);
    if (id > set->highest)
        set->highest = id;
}

static void forget_oldest(struct ack_ids *set)
{
    uint32_t mask = 2 * set->size - 1, hole = find(set, set->ids[set->head]);

    /* Close the hole with later entries of the same run that may stand there. */
    for (uint32_t i = (hole + 1) & mask; set->table[i]; i = (i + 1) & mask) {
        uint32_t from = home(set, set->ids[set->table[i] - 1]);

        if (((i - from) & mask) >= ((i - hole) & mask)) {
            set->table[hole] = set->table[i];
            hole = i;
        }
    }
    set->table[hole] = 0;
    set->head = (set->head + 1) & (set->size - 1);
    set->count--;
}

static bool grow(struct ack_ids **set)
{
    struct ack_ids *old = *set, *wide;
    uint32_t size = old ? old->size * 2 : FIRST_SIZE;

    wide = calloc(1, sizeof(*wide) + size * (sizeof(uint64_t) + 2 * sizeof(uint16_t)));
    if (!wide)
        return false;
    wide->size = size;
    wide->highest = old ? old->highest : 0;
    wide->table = (uint16_t *)(void *)(wide->ids + size);
    for (uint32_t i = 0; old && i < old->count; i++)
        put(wide, old->ids[(old->head + i) & (old->size - 1)]);
    free(old);
    *set = wide;
    return true;
}

bool ack_ids__add(struct ack_ids **set, uint64_t id, size_t limit)
{
    if (limit == 0)
        return true;
    if (limit > MAX_SIZE)
        limit = MAX_SIZE;
    while (*set && (*set)->count >= limit) /* more than one when the limit was lowered */
        forget_oldest(*set);
    if ((!*set || (*set)->count == (*set)->size) && !grow(set))
        return false;
    put(*set, id);
    return true;
}

void ack_ids__free(struct ack_ids *set)
{
    free(set);
}
