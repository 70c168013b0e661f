#include "broker/net/gather.h"

#define PRIVATE_MAX (FORMAT_MAX_HEAD + FORMAT_MAX_TAIL)
_Static_assert(GATHER_FRAMES *PRIVATE_MAX <= GATHER_ROOM, "private parts always have room");

static void add(struct gather *g, char *data, size_t len)
{
    struct iovec *last = g->count > 0 ? &g->pieces[g->count - 1] : NULL;

    if (len == 0)
        return;
    if (last && (char *)last->iov_base + last->iov_len == data)
        last->iov_len += len;
    else
        g->pieces[g->count++] = (struct iovec){data, len};
}

static void copy(struct gather *g, const char *data, size_t len)
{
    char *to = g->copies + g->used;

    memcpy(to, data, len);
    g->used += len;
    add(g, to, len);
}

/* `left` frames that are still to come, this one included, keep room for what is private. */
static void add_body(struct gather *g, struct frame *f, size_t left)
{
    if (f->len <= GATHER_COPY && g->used + f->len + left * PRIVATE_MAX <= sizeof(g->copies))
        copy(g, f->bytes, f->len);
    else
        add(g, f->bytes, f->len);
}

static uint32_t add_sequenced(struct gather *g, const struct format *format,
                              const struct out_item *item, size_t left)
{
    char head[FORMAT_MAX_HEAD], tail[FORMAT_MAX_TAIL];
    size_t head_len, tail_len;

    format->enclose(item->frame, item->sequence_id, head, &head_len, tail, &tail_len);
    copy(g, head, head_len);
    add_body(g, item->frame, left);
    copy(g, tail, tail_len);
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

static bool is_laid_out(const struct gather *g, const struct out_item *items, size_t count)
{
    if (!g->common || count != g->frames)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (items[i].frame != g->from[i])
            return false;
    }
    return true;
}

static uint32_t add_item(struct gather *g, const struct format *format, const struct out_item *item,
                         size_t left)
{
    struct frame *f = item->frame;

    if (f->sequenced) {
        g->common = false;
        return add_sequenced(g, format, item, left);
    }
    if (left == 1 && g->count == 0)
        add(g, f->bytes, f->len); /* alone */
    else
        add_body(g, f, left);
    return f->len;
}

size_t gather__build(struct gather *g, const struct format *format, const struct out_item *items,
                     size_t count, uint32_t skip)
{
    if (skip == 0 && is_laid_out(g, items, count))
        return g->total;
    gather__clear(g);
    g->common = skip == 0;
    for (; g->frames < count; g->frames++) {
        g->sizes[g->frames] = add_item(g, format, &items[g->frames], count - g->frames);
        g->from[g->frames] = frame__ref(items[g->frames].frame);
        g->total += g->sizes[g->frames];
    }
    if (skip > 0)
        skip_bytes(g, skip);
    return g->total -= skip;
}

size_t gather__done(const struct gather *g, size_t taken, uint32_t *rest)
{
    size_t done = 0;

    if (taken == g->total && g->common) {
        *rest = 0;
        return g->frames;
    }
    while (done < g->frames && taken >= g->sizes[done])
        taken -= g->sizes[done++];
    *rest = (uint32_t)taken;
    return done;
}

void gather__clear(struct gather *g)
{
    for (size_t i = 0; i < g->frames; i++)
        frame__unref(g->from[i]);
    g->count = g->frames = g->total = g->used = 0;
    g->common = false;
}
