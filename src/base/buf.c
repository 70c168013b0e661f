#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_CAPACITY 128

void buf__init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf__init_in(struct buf *b, void *first, size_t first_size, size_t max)
{
    *b = (struct buf){.data = first, .cap = first_size, .max = max, .lent = true};
    if (b->cap > max)
        b->cap = max + 1;
}

void buf__free(struct buf *b)
{
    if (!b->lent)
        free(b->data);
    *b = (struct buf){.max = b->max};
}

void buf__reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

static char *reallocate(const struct buf *b, size_t cap)
{
    char *data = realloc(b->lent ? NULL : b->data, cap);

    if (data && b->lent)
        memcpy(data, b->data, b->len);
    return data;
}

/* Never has more room than for `max` bytes and the NUL. */
static bool widen(struct buf *b, size_t len)
{
    size_t cap = b->cap ? b->cap : FIRST_CAPACITY;
    char *data;

    if (len > b->max - b->len)
        return false;
    while (cap <= b->len + len)
        cap *= 2;
    if (cap > b->max)
        cap = b->max + 1;
    data = reallocate(b, cap);
    if (!data)
        return false;
    b->data = data;
    b->cap = cap;
    b->lent = false;
    return true;
}

void buf__grow(struct buf *b, size_t len)
{
    b->failed = !widen(b, len);
}

void buf__u64(struct buf *b, uint64_t value)
{
    char digits[STR_U64_SIZE];

    buf__str(b, str__from_u64(digits, value));
}

void buf__printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    int need;
    char *to;

    va_start(args, fmt);
    need = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (need < 0) {
        b->failed = true;
        return;
    }
    to = buf__reserve(b, (size_t)need);
    if (!to)
        return;
    va_start(args, fmt);
    vsnprintf(to, (size_t)need + 1, fmt, args);
    va_end(args);
    b->len += (size_t)need;
}

char *buf__take(struct buf *b, size_t *len)
{
    char *data = b->lent ? str__dup(buf__view(b)) : b->data;

    if (len)
        *len = b->len;
    *b = (struct buf){.max = b->max};
    return data;
}
