#include "broker/upstream/queued_event.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct queued_event *queued_event__new(enum ph_event_kind kind, const struct upstream_event *event,
                                       uint64_t id, int64_t unix_ms)
{
    const struct metadata *metadata = &event->metadata;
    size_t entries = metadata->count * sizeof(*metadata->items);
    struct queued_event *q = calloc(1, sizeof(*q) + entries + metadata__bytes(metadata) +
                                           event->name.len + 1 + event->data.len);
    char *at;

    if (!q)
        return NULL;
    q->kind = kind;
    q->type = event->type;
    q->ticket = event->ticket;
    at = (char *)q->entries + entries;
    q->name = str__place(&at, event->name);
    at++; /* its NUL */
    q->data = str__place(&at, event->data);
    for (size_t i = 0; i < metadata->count; i++)
        q->entries[i] = (struct metadata_entry){str__place(&at, metadata->items[i].name),
                                                str__place(&at, metadata->items[i].value)};
    q->metadata = (struct metadata){q->entries, metadata->count};
    snprintf(q->id, sizeof(q->id), "%" PRIu64, id);
    clock__rfc3339(q->time, unix_ms, 0);
    return q;
}

void queued_event__free(struct queued_event *q)
{
    if (!q)
        return;
    gate__unref(q->gate);
    settings__unref(q->settings);
    free(q);
}

size_t queued_event__bytes(const struct queued_event *q)
{
    return q->data.len + metadata__bytes(&q->metadata);
}
