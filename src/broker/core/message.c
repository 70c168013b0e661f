#include "broker/core/message.h"

#include <stdlib.h>

/* Copies `s` to *at and moves *at behind it; an absent string stays absent. */
static size_t stream_size(const struct message_stream *s)
{
    return s->id.len + s->error_name.len + s->error_message.len + s->user_error_code.len;
}

static size_t metadata_size(const struct metadata *m)
{
    size_t size = m->count * sizeof(*m->items);

    for (size_t i = 0; i < m->count; i++)
        size += m->items[i].name.len + m->items[i].value.len;
    return size;
}

static struct message_stream place_stream(char **at, const struct message_stream *s)
{
    struct message_stream copy = *s;

    copy.id = str__place(at, s->id);
    copy.error_name = str__place(at, s->error_name);
    copy.error_message = str__place(at, s->error_message);
    copy.user_error_code = str__place(at, s->user_error_code);
    return copy;
}

/* `items` is aligned, for it lies right behind the message. */
static struct metadata place_metadata(struct metadata_entry *items, char **at,
                                      const struct metadata *m)
{
    for (size_t i = 0; i < m->count; i++)
        items[i] = (struct metadata_entry){str__place(at, m->items[i].name),
                                           str__place(at, m->items[i].value)};
    return (struct metadata){m->count ? items : NULL, m->count};
}

struct message *message__new(const struct message *draft)
{
    struct message *m =
        malloc(sizeof(*m) + metadata_size(&draft->metadata) + stream_size(&draft->stream) +
               draft->group.len + draft->from_user.len + draft->data.len);
    struct metadata_entry *items;
    char *at;

    if (!m)
        return NULL;
    items = (struct metadata_entry *)(m + 1);
    at = (char *)(items + draft->metadata.count);
    *m =
        (struct message){.from = draft->from, .type = draft->type, .expires_ms = draft->expires_ms};
    atomic_init(&m->refs, 1);
    m->metadata = place_metadata(items, &at, &draft->metadata);
    m->stream = place_stream(&at, &draft->stream);
    m->group = str__place(&at, draft->group);
    m->from_user = str__place(&at, draft->from_user);
    m->data = str__place(&at, draft->data);
    return m;
}

struct message *message__ref(struct message *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

void message__unref(struct message *m)
{
    /* Release, then acquire: what other threads read of it happens before the free. */
    if (m && atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1)
        free(m);
}
