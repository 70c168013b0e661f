#include "base/deadlines.h"

#include <stdlib.h>

#define FIRST_CAP 16

void deadlines__free(struct deadlines *ds)
{
    free(ds->heap);
    *ds = (struct deadlines){0};
}

bool deadlines__reserve(struct deadlines *ds)
{
    if (ds->reserved == ds->cap) {
        size_t cap = ds->cap ? ds->cap * 2 : FIRST_CAP;
        struct deadlines_entry *heap = realloc(ds->heap, cap * sizeof(*heap));

        if (!heap)
            return false;
        ds->heap = heap;
        ds->cap = cap;
    }
    ds->reserved++;
    return true;
}

void deadlines__release(struct deadlines *ds)
{
    ds->reserved--;
}

static void put(struct deadlines *ds, size_t place, struct deadlines_entry e)
{
    ds->heap[place - 1] = e;
    e.deadline->place = place;
}

static void sift_up(struct deadlines *ds, struct deadlines_entry e)
{
    size_t place = e.deadline->place;

    while (place > 1 && ds->heap[place / 2 - 1].at_ms > e.at_ms) {
        put(ds, place, ds->heap[place / 2 - 1]);
        place /= 2;
    }
    put(ds, place, e);
}

static void sift_down(struct deadlines *ds, struct deadlines_entry e)
{
    size_t place = e.deadline->place;

    for (;;) {
        size_t child = place * 2;

        if (child < ds->count && ds->heap[child].at_ms < ds->heap[child - 1].at_ms)
            child++;
        if (child > ds->count || ds->heap[child - 1].at_ms >= e.at_ms)
            break;
        put(ds, place, ds->heap[child - 1]);
        place = child;
    }
    put(ds, place, e);
}

void deadlines__set(struct deadlines *ds, struct deadline *d, int64_t at_ms)
{
    const struct deadlines_entry e = {at_ms, d};

    d->at_ms = at_ms;
    if (d->place == 0)
        put(ds, ++ds->count, e);
    sift_up(ds, e);
    sift_down(ds, e);
}

void deadlines__clear(struct deadlines *ds, struct deadline *d)
{
    struct deadlines_entry last;

    if (d->place == 0)
        return;
    last = ds->heap[--ds->count];
    if (last.deadline != d) {
        put(ds, d->place, last);
        sift_up(ds, last);
        sift_down(ds, last);
    }
    d->place = 0;
}

struct deadline *deadlines__first(const struct deadlines *ds)
{
    return ds->count > 0 ? ds->heap[0].deadline : NULL;
}
