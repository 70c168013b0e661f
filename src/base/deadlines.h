/* When something is due: a binary heap, so that a shard with 100,000 connections does
 * not look at each of them. Room is reserved when an object is made, so that setting
 * its deadline later cannot fail. */
#ifndef BASE_DEADLINES_H
#define BASE_DEADLINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct deadline {
    int64_t at_ms;
    size_t place; /* in the heap, from 1; 0: not set */
};

/* The time stands here too: what is compared lies close together, the objects do not. */
struct deadlines_entry {
    int64_t at_ms;
    struct deadline *deadline;
};

struct deadlines {
    struct deadlines_entry *heap; /* heap[0] is due first */
    size_t count;
    size_t cap;
    size_t reserved; /* objects that may set a deadline at any time */
};

void deadlines__free(struct deadlines *ds);
/* Room for one more object. False when memory is out. */
bool deadlines__reserve(struct deadlines *ds);
/* The object is gone; its deadline is cleared before. */
void deadlines__release(struct deadlines *ds);
void deadlines__set(struct deadlines *ds, struct deadline *d, int64_t at_ms);
void deadlines__clear(struct deadlines *ds, struct deadline *d);
/* The one that is due first, NULL if none is set. */
struct deadline *deadlines__first(const struct deadlines *ds);

#endif
