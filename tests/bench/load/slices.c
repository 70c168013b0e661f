#include "slices.h"
#include "ws_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLICE_US (1000000 / SLICES_A_SECOND)
#define MAX_SLICES (600 * SLICES_A_SECOND)
#define FIRST_ROOM 1024

static int64_t *allocate(size_t count)
{
    int64_t *p = calloc(count ? count : 1, sizeof(*p));

    if (!p)
        bench__die("out of memory");
    return p;
}

static void make_room_for(struct slices *s, int n)
{
    int count = n + 1;

    s->all = realloc(s->all, (size_t)count * sizeof(*s->all));
    if (!s->all)
        bench__die("out of memory");
    memset(s->all + s->count, 0, (size_t)(count - s->count) * sizeof(*s->all));
    s->count = count;
}

static void grow(struct slice *one)
{
    one->room = one->room ? 2 * one->room : FIRST_ROOM;
    one->took = realloc(one->took, one->room * sizeof(*one->took));
    if (!one->took)
        bench__die("out of memory");
}

void slices__add(struct slices *s, int64_t at_us, int64_t took_us)
{
    int64_t n = at_us / SLICE_US;

    if (n < 0 || n >= MAX_SLICES)
        bench__die("a latency counts from %lld us: expected 0 to %d s", (long long)at_us,
                   MAX_SLICES / SLICES_A_SECOND);
    if (n >= s->count)
        make_room_for(s, (int)n);
    if (s->all[n].count == s->all[n].room)
        grow(&s->all[n]);
    s->all[n].took[s->all[n].count++] = took_us;
}

static bool is_counted(const struct slices *s, int slice, bool (*counts)(int second))
{
    return s->all[slice].count > 0 && counts(slice / SLICES_A_SECOND);
}

static int64_t median_of_slices(struct slices *s, bool (*counts)(int second), double q)
{
    int64_t *figures = allocate((size_t)s->count), median;
    size_t n = 0;

    for (int i = 0; i < s->count; i++) {
        if (is_counted(s, i, counts))
            figures[n++] = bench__quantile(s->all[i].took, s->all[i].count, q);
    }
    median = bench__quantile(figures, n, 0.5);
    free(figures);
    return median;
}

static int64_t quantile_of_all(const struct slices *s, bool (*counts)(int second), double q)
{
    size_t n = 0, all = 0;
    int64_t *took, figure;

    for (int i = 0; i < s->count; i++)
        all += s->all[i].count;
    took = allocate(all);
    for (int i = 0; i < s->count; i++) {
        if (!is_counted(s, i, counts))
            continue;
        memcpy(took + n, s->all[i].took, s->all[i].count * sizeof(*took));
        n += s->all[i].count;
    }
    figure = bench__quantile(took, n, q);
    free(took);
    return figure;
}

void slices__print(struct slices *s, bool (*counts)(int second))
{
    printf("{\"p50_us\":%lld,\"p99_us\":%lld,\"all_p99_us\":%lld}",
           (long long)median_of_slices(s, counts, 0.5),
           (long long)median_of_slices(s, counts, 0.99),
           (long long)quantile_of_all(s, counts, 0.99));
}
