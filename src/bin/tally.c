#include "bin/tally.h"

#include "base/clock.h"

#include <stdlib.h>

static const struct {
    const char *name;
    unsigned per_mille;
} percentiles[] = {{"p50", 500}, {"p90", 900}, {"p99", 990}, {"p99.9", 999}, {"max", 1000}};

#define PERCENTILE_COUNT (sizeof(percentiles) / sizeof(*percentiles))

bool tally__init(struct tally *t, uint64_t count)
{
    *t = (struct tally){.began_ms = clock__mono_ms()};
    if (count > SIZE_MAX / sizeof(*t->microseconds))
        return false;
    t->microseconds = malloc((size_t)count * sizeof(*t->microseconds));
    t->capacity = (size_t)count;
    return t->microseconds;
}

void tally__free(struct tally *t)
{
    free(t->microseconds);
}

void tally__answer(struct tally *t, int status, bool success, int64_t microseconds)
{
    if (t->answered < t->capacity)
        t->microseconds[t->answered++] =
            microseconds > UINT32_MAX ? UINT32_MAX : (uint32_t)microseconds;
    t->statuses[status > 0 && status < TALLY_MAX_STATUS ? status : 0]++;
    if (!success)
        t->failed++;
}

void tally__no_answer(struct tally *t, const char *why)
{
    if (t->unanswered++ == 0)
        snprintf(t->why, sizeof(t->why), "%s", why);
    t->failed++;
}

static uint64_t total(const struct tally *t)
{
    return t->answered + t->unanswered;
}

static double seconds(const struct tally *t)
{
    int64_t ms = clock__mono_ms() - t->began_ms;

    return (double)(ms > 0 ? ms : 1) / 1000;
}

void tally__progress(const struct tally *t, uint64_t count, FILE *out)
{
    fprintf(out, "\r%llu of %llu, %.0f a second, %llu failed\x1b[K", (unsigned long long)total(t),
            (unsigned long long)count, (double)total(t) / seconds(t),
            (unsigned long long)t->failed);
    fflush(out);
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* In milliseconds; sorted. The value that so many of a thousand are not above. */
static double percentile(const struct tally *t, unsigned per_mille)
{
    size_t rank = (t->answered * per_mille + 999) / 1000;

    return (double)t->microseconds[rank > 0 ? rank - 1 : 0] / 1000;
}

static void sort(struct tally *t)
{
    qsort(t->microseconds, t->answered, sizeof(*t->microseconds), compare);
}

void tally__show(struct tally *t, FILE *out)
{
    double took = seconds(t);

    fprintf(out, "%llu events in %.3f s, %.0f a second\n", (unsigned long long)total(t), took,
            (double)total(t) / took);
    fputs("answers", out);
    for (unsigned i = 0; i < TALLY_MAX_STATUS; i++) {
        if (t->statuses[i] > 0)
            fprintf(out, "  %u: %llu", i, (unsigned long long)t->statuses[i]);
    }
    fprintf(out, "  none: %llu\nfailed   %llu\n", (unsigned long long)t->unanswered,
            (unsigned long long)t->failed);
    if (t->answered == 0)
        return;
    sort(t);
    fputs("latency", out);
    for (size_t i = 0; i < PERCENTILE_COUNT; i++)
        fprintf(out, "  %s %.3f ms", percentiles[i].name, percentile(t, percentiles[i].per_mille));
    fputc('\n', out);
}

void tally__record(struct tally *t, struct record *r)
{
    double took = seconds(t);
    char status[STR_U64_SIZE];

    record__number(r, "events", total(t));
    record__decimal(r, "seconds", took);
    record__decimal(r, "perSecond", (double)total(t) / took);
    record__open(r, "statuses", '{');
    for (unsigned i = 0; i < TALLY_MAX_STATUS; i++) {
        if (t->statuses[i] > 0)
            record__number(r, str__from_u64(status, i).ptr, t->statuses[i]);
    }
    record__close(r, '}');
    record__number(r, "unanswered", t->unanswered);
    record__number(r, "failed", t->failed);
    if (t->answered == 0)
        return;
    sort(t);
    record__open(r, "milliseconds", '{');
    for (size_t i = 0; i < PERCENTILE_COUNT; i++)
        record__decimal(r, percentiles[i].name, percentile(t, percentiles[i].per_mille));
    record__close(r, '}');
}
