#include "broker/upstream/queued_event.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct queued_event *queued_event__new(enum ph_event_kind kind, struct str name, struct str data,
                                       uint64_t id, int64_t unix_ms)
{
    struct queued_event *q = calloc(1, sizeof(*q) + name.len + 1 + data.len);

    if (!q)
        return NULL;
    q->kind = kind;
    q->name = str__n(memcpy(q->text, name.ptr, name.len), name.len);
    if (data.len > 0)
        memcpy(q->text + name.len + 1, data.ptr, data.len);
    q->data = data.ptr ? str__n(q->text + name.len + 1, data.len) : STR_NONE;
    snprintf(q->id, sizeof(q->id), "%" PRIu64, id);
    clock__rfc3339(q->time, unix_ms, 0);
    return q;
}

void queued_event__free(struct queued_event *q)
{
    if (!q)
        return;
    settings__unref(q->settings);
    free(q);
}
