#include "broker/upstream/queued_event.h"

#include "base/prefetch.h"

#include <stdlib.h>

#define SPARE_SIZE 1024 /* of an event whose memory is kept: a usual one */
#define SPARE_FETCH (sizeof(struct queued_event) + 192) /* of it, for the next one */
#define SPARE_MAX 1024                                  /* a busy turn takes as many */

static struct queued_event *get(struct spare_events *spare, size_t size)
{
    struct queued_event *q = spare->first;

    if (size > SPARE_SIZE || !q)
        return malloc(size < SPARE_SIZE ? SPARE_SIZE : size);
    spare->first = q->next;
    spare->count--;
    prefetch__bytes(q->next, SPARE_FETCH);
    return q;
}

static void put(struct spare_events *spare, struct queued_event *q)
{
    if (q->size > SPARE_SIZE || spare->count == SPARE_MAX) {
        free(q);
        return;
    }
    q->next = spare->first;
    spare->first = q;
    spare->count++;
}

void spare_events__free(struct spare_events *spare)
{
    struct queued_event *q;

    while ((q = spare->first)) {
        spare->first = q->next;
        free(q);
    }
    spare->count = 0;
}

/* What the `data` of an upstream event is to the handler. */
static struct str *data_of(struct ph_event *ev)
{
    switch (ev->kind) {
    case PH_EVENT_DISCONNECTED:
        return &ev->reason;
    case PH_EVENT_JOINED:
    case PH_EVENT_LEFT:
        return &ev->group;
    default:
        return &ev->data;
    }
}

struct queued_event *queued_event__new(struct spare_events *spare, enum ph_event_kind kind,
                                       const struct upstream_event *event, uint64_t id,
                                       int64_t unix_ms)
{
    const struct metadata *metadata = &event->metadata;
    size_t entries = metadata->count * sizeof(*metadata->items);
    size_t size = sizeof(struct queued_event) + entries + metadata__bytes(metadata) +
                  event->name.len + 1 + event->data.len + 1;
    struct queued_event *q = get(spare, size);
    char *at;

    if (!q)
        return NULL;
    *q = (struct queued_event){.size = size};
    q->ticket = event->ticket;
    q->event.kind = kind;
    q->event.type = event->type;
    at = (char *)q->entries + entries;
    q->event.name = str__place(&at, event->name);
    *at++ = '\0';
    *data_of(&q->event) = str__place(&at, event->data);
    *at++ = '\0';
    for (size_t i = 0; i < metadata->count; i++)
        q->entries[i] = (struct metadata_entry){str__place(&at, metadata->items[i].name),
                                                str__place(&at, metadata->items[i].value)};
    q->event.metadata = (struct metadata){q->entries, metadata->count};
    q->event.time = str__n(q->time, clock__rfc3339(q->time, unix_ms, 0));
    q->event.id = str__from_u64(q->digits, id);
    return q;
}

void queued_event__free(struct spare_events *spare, struct queued_event *q)
{
    if (!q)
        return;
    gate__unref(q->gate);
    settings__unref(q->settings);
    put(spare, q);
}

size_t queued_event__bytes(const struct queued_event *q)
{
    return q->event.data.len + metadata__bytes(&q->event.metadata);
}
