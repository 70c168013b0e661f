#include "broker/metrics/metrics.h"

#include "broker/metrics/metrics_text.h"

#include <stdio.h>
#include <stdlib.h>

struct metrics *metrics__new(void)
{
    return calloc(1, sizeof(struct metrics));
}

void metrics__free(struct metrics *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < METRICS_MAX_HUBS; i++)
        free(atomic_load(&m->hubs[i]));
    free(m);
}

/* The place of a value among `names`; the last is for all others. */
static unsigned find(const char *const *names, unsigned count, struct str value)
{
    unsigned i = 0;

    while (i < count - 1 && !str__eq(str__of(names[i]), value))
        i++;
    return i;
}

void metrics__closed(struct metrics *m, struct str category)
{
    /* The core tells apart what the service does not. */
    if (str__eq(category, STR("UnackedClient")))
        category = STR("SlowClient");
    metrics__add(m, METRIC_CLOSED + find(metrics_closes, METRIC_CLOSES, category), 1);
}

void metrics__refused(struct metrics *m, int status)
{
    char text[16];

    snprintf(text, sizeof(text), "%d", status);
    metrics__add(m, METRIC_REFUSED + find(metrics_refusals, METRIC_REFUSALS, str__of(text)), 1);
}

void metrics__rest(struct metrics *m, size_t operation, int status)
{
    size_t row = operation < METRICS_MAX_OPERATIONS ? operation : METRICS_MAX_OPERATIONS;
    int class = status / 100 - 2;

    if (class < 0 || class >= METRIC_CLASSES)
        class = METRIC_CLASSES - 1;
    metrics__add(m, METRIC_REST + (unsigned)row * METRIC_CLASSES + (unsigned)class, 1);
}

void metrics__event(struct metrics *m, enum metric_event event, enum metric_outcome outcome)
{
    metrics__add(m, METRIC_EVENT_OUTCOMES + event * METRIC_OUTCOMES + outcome, 1);
}

void metrics__event_took(struct metrics *m, enum metric_event event, int64_t ms)
{
    unsigned i = 0;

    if (ms < 0)
        ms = 0;
    while (i < METRIC_BUCKETS && ms > metrics_buckets[i])
        i++;
    metrics__add(m, METRIC_EVENT_BUCKETS + event * (METRIC_BUCKETS + 1) + i, 1);
    metrics__add(m, METRIC_EVENT_MS + event, (uint64_t)ms);
}

static struct metrics_hub *new_hub(struct str name)
{
    struct metrics_hub *h = calloc(1, sizeof(*h) + name.len);

    if (!h)
        return NULL;
    h->len = name.len;
    memcpy(h->name, name.ptr, name.len);
    return h;
}

metrics_number *metrics__hub(struct metrics *m, struct str name)
{
    struct metrics_hub *h;
    size_t i = 0;

    if (!m)
        return NULL;
    while (i < METRICS_MAX_HUBS && (h = atomic_load_explicit(&m->hubs[i], memory_order_relaxed))) {
        if (str__eq(str__n(h->name, h->len), name))
            return &h->connections;
        i++;
    }
    h = i < METRICS_MAX_HUBS ? new_hub(name) : NULL;
    if (!h)
        return &m->other_hubs;
    /* Another thread that sees it sees its name too. */
    atomic_store_explicit(&m->hubs[i], h, memory_order_release);
    return &h->connections;
}
