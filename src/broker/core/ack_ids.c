#include "broker/core/ack_ids.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 2
#define MAX_IDS (1u << 15) /* places are 16 bits wide */

/* Ids in a row, which came one after the other. */
struct run {
    uint64_t first;
    uint32_t count;
};

/* Clients count, so that one run holds all their ids as a rule; what fails, or succeeds out of
 * turn, begins another. A ring of runs, oldest at `head`, and their places in the order of their
 * ids, which no two runs share. */
struct ack_ids {
    uint32_t size; /* of the ring: a power of two */
    uint32_t head;
    uint32_t used; /* runs */
    uint32_t ids;  /* in all of them */
    uint16_t *order;
    struct run runs[];
};

static uint32_t place(const struct ack_ids *set, uint32_t age)
{
    return (set->head + age) & (set->size - 1);
}

/* How many runs begin with the id or below it. */
static uint32_t rank(const struct ack_ids *set, uint64_t id)
{
    uint32_t low = 0, high = set->used;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (set->runs[set->order[middle]].first <= id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool ack_ids__has(const struct ack_ids *set, uint64_t id)
{
    const uint32_t below = set ? rank(set, id) : 0;
    const struct run *run;

    if (below == 0)
        return false;
    run = &set->runs[set->order[below - 1]];
    return id - run->first < run->count;
}

static uint32_t age(const struct ack_ids *set, uint32_t at)
{
    return (set->order[at] - set->head) & (set->size - 1);
}

/* More than one when the limit was lowered, which is no reason to look for each. */
static void drop_oldest_runs(struct ack_ids *set, uint32_t count)
{
    uint32_t to = 0;

    if (count == 1) {
        to = rank(set, set->runs[set->head].first) - 1;
        memmove(set->order + to, set->order + to + 1, (set->used - to - 1) * sizeof(*set->order));
    } else {
        for (uint32_t at = 0; at < set->used; at++) {
            if (age(set, at) >= count)
                set->order[to++] = set->order[at];
        }
    }
    set->head = place(set, count);
    set->used -= count;
}

static void forget_oldest(struct ack_ids *set, uint32_t ids)
{
    uint32_t runs = 0;

    set->ids -= ids;
    for (; runs < set->used && set->runs[place(set, runs)].count <= ids; runs++)
        ids -= set->runs[place(set, runs)].count;
    if (runs > 0)
        drop_oldest_runs(set, runs);
    if (ids > 0) {
        set->runs[set->head].first += ids;
        set->runs[set->head].count -= ids;
    }
}

static bool goes_on(const struct ack_ids *set, uint64_t id)
{
    const struct run *newest = &set->runs[place(set, set->used - 1)];

    return set->used > 0 && id > newest->first && id - newest->first == newest->count;
}

static void begin_run(struct ack_ids *set, uint64_t id)
{
    const uint32_t at = rank(set, id), to = place(set, set->used);

    memmove(set->order + at + 1, set->order + at, (set->used - at) * sizeof(*set->order));
    set->order[at] = (uint16_t)to;
    set->runs[to] = (struct run){.first = id};
    set->used++;
}

static bool grow(struct ack_ids **set)
{
    struct ack_ids *old = *set, *wide;
    uint32_t size = old ? old->size * 2 : FIRST_SIZE;

    wide = calloc(1, sizeof(*wide) + size * (sizeof(*wide->runs) + sizeof(*wide->order)));
    if (!wide)
        return false;
    wide->size = size;
    wide->order = (uint16_t *)(void *)(wide->runs + size);
    for (uint32_t i = 0; old && i < old->used; i++) {
        wide->runs[i] = old->runs[place(old, i)];
        wide->order[i] = (uint16_t)age(old, i);
    }
    wide->used = old ? old->used : 0;
    wide->ids = old ? old->ids : 0;
    free(old);
    *set = wide;
    return true;
}

bool ack_ids__add(struct ack_ids **set, uint64_t id, size_t limit)
{
    if (limit == 0 || ack_ids__has(*set, id))
        return true;
    if (limit > MAX_IDS)
        limit = MAX_IDS;
    if (*set && (*set)->ids >= limit)
        forget_oldest(*set, (*set)->ids - (uint32_t)limit + 1);
    if (!*set || !goes_on(*set, id)) {
        if ((!*set || (*set)->used == (*set)->size) && !grow(set))
            return false;
        begin_run(*set, id);
    }
    (*set)->runs[place(*set, (*set)->used - 1)].count++;
    (*set)->ids++;
    return true;
}

void ack_ids__free(struct ack_ids *set)
{
    free(set);
}
