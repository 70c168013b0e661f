#include "broker/net/gather.h"

#define PRIVATE_MAX (FORMAT_MAX_HEAD + FORMAT_MAX_TAIL)
_Static_assert(GATHER_FRAMES *PRIVATE_MAX <= GATHER_ROOM, "private parts always have room");

static void add(struct gather *g, char *data, size_t len)
{
    if (len > 0)
        g->pieces[g->count++] = (struct iovec){data, len};
}

/* What was copied since the last piece becomes one. */
static void end_copies(struct gather *g)
{
    add(g, g->copies + g->given, g->used - g->given);
    g->given = g->used;
}

/* `left` frames that are still to come, this one included, keep room for what is private. */
static bool has_room(const struct gather *g, const struct frame *f, size_t left)
{
    return f->len <= GATHER_COPY && g->used + f->len + left * PRIVATE_MAX <= sizeof(g->copies);
}

static void add_body(struct gather *g, struct frame *f, size_t left)
{
    if (has_room(g, f, left)) {
        memcpy(g->copies + g->used, f->bytes, f->len);
        g->used += f->len;
    } else {
        end_copies(g);
        add(g, f->bytes, f->len);
    }
}

/* There is room for the longest head and tail, and to copy as much is cheaper than to look at
 * how long they are. */
static uint32_t add_sequenced(struct gather *g, const struct format *format,
                              const struct out_item *item, size_t left)
{
    char tail[FORMAT_MAX_TAIL];
    size_t head_len, tail_len;

    format->enclose(item->frame, item->sequence_id, g->copies + g->used, &head_len, tail,
                    &tail_len);
    g->used += head_len;
    add_body(g, item->frame, left);
    g->numbered = true;
    g->tails[g->frames] =
        (struct gather_tail){item->sequence_id, (uint32_t)g->used, (uint32_t)tail_len};
    memcpy(g->copies + g->used, tail, sizeof(tail));
    g->used += tail_len;
    return (uint32_t)(head_len + item->frame->len + tail_len);
}

/* Another client's sequence id in the place of the one before, if it is as long. */
static bool renumber(struct gather *g, const struct format *format, const struct out_item *item,
                     struct gather_tail *place)
{
    char head[FORMAT_MAX_HEAD], tail[FORMAT_MAX_TAIL];
    size_t head_len, tail_len;

    if (item->sequence_id == place->sequence_id)
        return true;
    format->enclose(item->frame, item->sequence_id, head, &head_len, tail, &tail_len);
    if (tail_len != place->len)
        return false;
    memcpy(g->copies + place->at, tail, tail_len);
    place->sequence_id = item->sequence_id;
    return true;
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

/* The frames are laid out for another client: what is private becomes this one's. */
static bool make_own(struct gather *g, const struct format *format, const struct out_item *items)
{
    for (size_t i = 0; g->numbered && i < g->frames; i++) {
        if (items[i].frame->sequenced && !renumber(g, format, &items[i], &g->tails[i]))
            return false;
    }
    return true;
}

static uint32_t add_item(struct gather *g, const struct format *format, const struct out_item *item,
                         size_t left)
{
    if (item->frame->sequenced)
        return add_sequenced(g, format, item, left);
    add_body(g, item->frame, left);
    return item->frame->len;
}

/* One alone needs no copy. */
static bool is_whole(const struct out_item *items, size_t count)
{
    return count == 1 && !items[0].frame->sequenced;
}

static void keep_frames(struct gather *g, const struct out_item *items)
{
    for (; g->held < g->frames; g->held++)
        g->from[g->held] = frame__ref(items[g->held].frame);
}

size_t gather__build(struct gather *g, const struct format *format, const struct out_item *items,
                     size_t count, uint32_t skip)
{
    if (skip == 0 && is_laid_out(g, items, count) && make_own(g, format, items))
        return g->total;
    gather__clear(g);
    g->common = skip == 0;
    if (is_whole(items, count)) {
        add(g, items[0].frame->bytes, items[0].frame->len);
        g->total = g->sizes[g->frames++] = items[0].frame->len;
    }
    for (; g->frames < count; g->frames++) {
        g->sizes[g->frames] = add_item(g, format, &items[g->frames], count - g->frames);
        g->total += g->sizes[g->frames];
    }
    end_copies(g);
    if (g->common)
        keep_frames(g, items);
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
    while (g->held > 0)
        frame__unref(g->from[--g->held]);
    g->count = g->frames = g->total = g->used = g->given = 0;
    g->common = g->numbered = false;
}
