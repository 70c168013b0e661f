#include "broker/net/wheel.h"

#include <stddef.h>

static struct wheel_entry *slot(struct wheel *w, int64_t second)
{
    return &w->slots[second & (WHEEL_SLOTS - 1)];
}

void wheel__init(struct wheel *w, int64_t now_ms)
{
    for (unsigned i = 0; i < WHEEL_SLOTS; i++)
        w->slots[i].prev = w->slots[i].next = &w->slots[i];
    w->second = now_ms / 1000;
    w->count = 0;
}

static bool is_empty(const struct wheel_entry *list)
{
    return list->next == list;
}

/* A loop may have slept for long, with nothing due: passes by what has nothing to take off. */
static void catch_up(struct wheel *w, int64_t now)
{
    if (w->count == 0 && w->second < now)
        w->second = now;
    while (w->second < now && is_empty(slot(w, w->second + 1)))
        w->second++;
}

void wheel__put(struct wheel *w, struct wheel_entry *entry, unsigned seconds, int64_t now_ms)
{
    int64_t second = (now_ms + 999) / 1000 + seconds;
    struct wheel_entry *list;

    wheel__remove(w, entry);
    catch_up(w, now_ms / 1000);
    /* While the wheel lags behind the clock its ring does not reach as far; what would
     * not fit comes due early rather than never. */
    if (second > w->second + WHEEL_SLOTS - 1)
        second = w->second + WHEEL_SLOTS - 1;
    if (second <= w->second)
        second = w->second + 1;
    list = slot(w, second);
    entry->next = list;
    entry->prev = list->prev;
    list->prev->next = entry;
    list->prev = entry;
    w->count++;
}

void wheel__remove(struct wheel *w, struct wheel_entry *entry)
{
    if (!entry->next)
        return;
    entry->prev->next = entry->next;
    entry->next->prev = entry->prev;
    entry->prev = entry->next = NULL;
    w->count--;
}

struct wheel_entry *wheel__next_due(struct wheel *w, int64_t now_ms)
{
    struct wheel_entry *entry;

    catch_up(w, now_ms / 1000);
    if (w->second >= now_ms / 1000)
        return NULL;
    entry = slot(w, w->second + 1)->next;
    wheel__remove(w, entry);
    return entry;
}

int64_t wheel__deadline(const struct wheel *w)
{
    if (w->count == 0)
        return INT64_MAX;
    for (int64_t second = w->second + 1;; second++) {
        const struct wheel_entry *list = &w->slots[second & (WHEEL_SLOTS - 1)];

        if (!is_empty(list))
            return second * 1000;
    }
}
