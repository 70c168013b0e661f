/* Latencies, kept by the tenth of a second that they count from. A figure of them is the median
 * of that figure of each slice: what a virtual machine takes away, a few milliseconds now and
 * then, makes some slices bad and not all, where p99 of everything would look at nothing else.
 * What hurts in half of the slices or more shows in full. */
#ifndef TESTS_BENCH_LOAD_SLICES_H
#define TESTS_BENCH_LOAD_SLICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLICES_A_SECOND 10

struct slice {
    int64_t *took; /* microseconds */
    size_t count, room;
};

/* All zeros: none. */
struct slices {
    struct slice *all;
    int count;
};

/* `at_us` is when it counts from, since the beginning. */
void slices__add(struct slices *s, int64_t at_us, int64_t took_us);
/* Prints those that lie in seconds that `counts` says, as an object of JSON: medians of p50 and
 * p99 of each slice, and p99 of all. */
void slices__print(struct slices *s, bool (*counts)(int second));

#endif
