#include "broker/core/outbox.h"

#include <stdlib.h>

#define FIRST_SIZE 2
/* A ring up to this size stays when it is empty, so that a steady stream allocates
 * nothing; one that grew larger in a burst is given back. */
#define KEEP_SIZE 32

static struct out_item *slot(const struct outbox *o, uint32_t position)
{
    return &o->items[position & (o->size - 1)];
}

static void note_expiry(struct outbox *o, const struct frame *f)
{
    if (f->expires_ms && (!o->expires_ms || f->expires_ms < o->expires_ms))
        o->expires_ms = f->expires_ms;
}

static void count_in(struct outbox *o, const struct frame *f)
{
    note_expiry(o, f);
    if (f->control) {
        o->controls++;
        o->control_bytes += f->len;
    } else {
        o->messages++;
        o->message_bytes += f->len;
    }
}

/* Forgets a frame: out of the counts, and one reference less. */
static void release(struct outbox *o, struct frame *f)
{
    if (f->control) {
        o->controls--;
        o->control_bytes -= f->len;
    } else {
        o->messages--;
        o->message_bytes -= f->len;
    }
    frame__unref(f);
}

void outbox__free(struct outbox *o)
{
    for (uint32_t i = o->head; i != o->kept_end; i++)
        frame__unref(slot(o, i)->frame);
    for (uint32_t i = o->next; i != o->tail; i++)
        frame__unref(slot(o, i)->frame);
    free(o->items);
    *o = (struct outbox){0};
}

/* Closes the gap by moving what is kept up to what is pending. */
static void close_gap(struct outbox *o)
{
    for (uint32_t from = o->kept_end, to = o->next; from != o->head;)
        *slot(o, --to) = *slot(o, --from);
    o->head += o->next - o->kept_end;
    o->kept_end = o->next;
}

static bool grow(struct outbox *o)
{
    uint32_t size = o->size ? o->size * 2 : FIRST_SIZE;
    struct out_item *items = malloc(size * sizeof(*items));

    if (!items)
        return false;
    for (uint32_t i = o->head; i != o->tail; i++)
        items[i & (size - 1)] = *slot(o, i);
    free(o->items);
    o->items = items;
    o->size = size;
    return true;
}

static bool make_room(struct outbox *o)
{
    if (o->tail - o->head < o->size)
        return true;
    /* A large gap is worth more than a larger ring; a small one would be closed again
     * and again at the cost of everything that is kept. */
    if (o->next - o->kept_end > o->size / 4) {
        close_gap(o);
        return true;
    }
    return grow(o);
}

static bool fits(const struct outbox *o, const struct frame *f, const struct queue_limits *limits)
{
    size_t messages = o->message_bytes > limits->bytes ? limits->bytes : o->message_bytes;

    if (f->control)
        return (size_t)o->messages + o->controls < limits->messages + OUTBOX_CONTROL_MESSAGES &&
               messages + o->control_bytes + f->len <= limits->bytes + OUTBOX_CONTROL_BYTES;
    if (o->messages == 0)
        return true;
    return o->messages < limits->messages && o->message_bytes + f->len <= limits->bytes;
}

enum outbox_result outbox__push(struct outbox *o, struct frame *f,
                                const struct queue_limits *limits)
{
    if (!fits(o, f, limits))
        return OUTBOX_FULL;
    if (!make_room(o))
        return OUTBOX_MEMORY;
    *slot(o, o->tail++) = (struct out_item){frame__ref(f), f->sequenced ? ++o->sequence : 0};
    count_in(o, f);
    return OUTBOX_OK;
}

bool outbox__push_front(struct outbox *o, struct frame *f)
{
    if (o->next == o->kept_end) {
        if (!make_room(o))
            return false;
        /* Opens a gap of one by moving what is kept down. */
        for (uint32_t i = o->head; i != o->kept_end; i++)
            *slot(o, i - 1) = *slot(o, i);
        o->head--;
        o->kept_end--;
    }
    *slot(o, --o->next) = (struct out_item){frame__ref(f), 0};
    count_in(o, f);
    return true;
}

bool outbox__half_full(const struct outbox *o, const struct queue_limits *limits)
{
    return o->tail - o->next >= limits->messages / 2 ||
           (o->message_bytes >= limits->bytes / 2 && outbox__pending(o));
}

size_t outbox__peek(const struct outbox *o, struct out_item *items, size_t max)
{
    size_t n = 0;

    for (uint32_t i = o->next; i != o->tail && n < max; i++)
        items[n++] = *slot(o, i);
    return n;
}

/* Gives back the memory of a burst, and lets an empty kept part swallow the gap. */
static void settle(struct outbox *o)
{
    if (o->head == o->kept_end)
        o->head = o->kept_end = o->next;
    if (o->head == o->tail && o->size > KEEP_SIZE) {
        free(o->items);
        o->items = NULL;
        o->size = 0;
        o->head = o->kept_end = o->next = o->tail = 0;
    }
}

void outbox__written(struct outbox *o, size_t count, bool begun)
{
    o->begun = begun;
    for (; count > 0 && o->next != o->tail; count--) {
        struct out_item item = *slot(o, o->next++);

        if (item.sequence_id > o->written)
            o->written = item.sequence_id;
        if (item.frame->sequenced && item.sequence_id > o->acked)
            *slot(o, o->kept_end++) = item;
        else
            release(o, item.frame);
    }
    settle(o);
}

void outbox__ack(struct outbox *o, uint64_t sequence_id)
{
    uint64_t upto = sequence_id < o->written ? sequence_id : o->written;

    if (upto <= o->acked)
        return;
    o->acked = upto;
    while (o->head != o->kept_end && slot(o, o->head)->sequence_id <= upto)
        release(o, slot(o, o->head++)->frame);
    settle(o);
}

/* Drops what has expired between two positions and moves the rest together; returns
 * where it ends. */
static uint32_t sift(struct outbox *o, uint32_t from, uint32_t end, int64_t now_ms)
{
    uint32_t to = from;

    for (uint32_t i = from; i != end; i++) {
        struct out_item item = *slot(o, i);

        if (item.frame->expires_ms && item.frame->expires_ms <= now_ms) {
            release(o, item.frame);
        } else {
            note_expiry(o, item.frame);
            *slot(o, to++) = item;
        }
    }
    return to;
}

void outbox__expire(struct outbox *o, int64_t now_ms)
{
    o->expires_ms = 0;
    if (o->begun)
        note_expiry(o, slot(o, o->next)->frame);
    o->kept_end = sift(o, o->head, o->kept_end, now_ms);
    o->tail = sift(o, o->next + o->begun, o->tail, now_ms);
    settle(o);
}

void outbox__rewind(struct outbox *o)
{
    uint32_t to = o->kept_end;

    o->begun = false;
    for (uint32_t i = o->next; i != o->tail; i++) {
        struct out_item item = *slot(o, i);

        if (item.frame->control)
            release(o, item.frame);
        else
            *slot(o, to++) = item;
    }
    o->tail = to;
    o->next = o->kept_end = o->head;
}
