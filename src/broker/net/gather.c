#include "broker/net/gather.h"

static void add(struct gather *g, char *data, size_t len)
{
    if (len > 0)
        g->pieces[g->count++] = (struct iovec){data, len};
}

static uint32_t add_sequenced(struct gather *g, const struct format *format,
                              const struct out_item *item)
{
    char *head = g->private[g->frames].head, *tail = g->private[g->frames].tail;
    size_t head_len, tail_len;

    format->enclose(item->frame, item->sequence_id, head, &head_len, tail, &tail_len);
    add(g, head, head_len);
    add(g, item->frame->bytes, item->frame->len);
    add(g, tail, tail_len);
    return (uint32_t)(head_len + item->frame->len + tail_len);
}

static void skip_bytes(struct gather *g, size_t skip)
{
    size_t gone = 0;

    while (skip > 0 && skip >= g->pieces[gone].iov_len)
        skip -= g->pieces[gone++].iov_len;
    g->count -= gone;
    memmove(g->pieces, g->pieces + gone, g->count * sizeof(*g->pieces));
    if (skip > 0) {
        g->pieces[0].iov_base = (char *)g->pieces[0].iov_base + skip;
        g->pieces[0].iov_len -= skip;
    }
}

size_t gather__build(struct gather *g, const struct format *format, const struct out_item *items,
                     size_t count, uint32_t skip)
{
    size_t total = 0;

    g->count = 0;
    for (g->frames = 0; g->frames < count; g->frames++) {
        const struct out_item *item = &items[g->frames];

        if (item->frame->sequenced) {
            g->sizes[g->frames] = add_sequenced(g, format, item);
        } else {
            g->sizes[g->frames] = item->frame->len;
            add(g, item->frame->bytes, item->frame->len);
        }
        total += g->sizes[g->frames];
    }
    if (skip > 0)
        skip_bytes(g, skip);
    return total - skip;
}

size_t gather__done(const struct gather *g, size_t taken, uint32_t *rest)
{
    size_t done = 0;

    while (done < g->frames && taken >= g->sizes[done])
        taken -= g->sizes[done++];
    *rest = (uint32_t)taken;
    return done;
}
