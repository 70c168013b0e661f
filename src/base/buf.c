#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_CAPACITY 128

void buf__init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf__free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){.max = b->max};
}

void buf__reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

char *buf__reserve(struct buf *b, size_t len)
{
    size_t cap = b->cap ? b->cap : FIRST_CAPACITY;
    char *data;

    if (b->failed)
        return NULL;
    if (len > b->max - b->len) {
        b->failed = true;
        return NULL;
    }
    if (b->data && b->len + len < b->cap)
        return b->data + b->len;
    while (cap <= b->len + len)
        cap *= 2;
    data = realloc(b->data, cap);
    if (!data) {
        b->failed = true;
        return NULL;
    }
    b->data = data;
    b->cap = cap;
    return data + b->len;
}

void buf__append(struct buf *b, const void *data, size_t len)
{
    char *to = buf__reserve(b, len);

    if (!to)
        return;
    if (len > 0)
        memcpy(to, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf__str(struct buf *b, struct str s)
{
    buf__append(b, s.ptr, s.len);
}

void buf__byte(struct buf *b, char c)
{
    buf__append(b, &c, 1);
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
    char *data = b->data;

    if (len)
        *len = b->len;
    *b = (struct buf){.max = b->max};
    return data;
}
