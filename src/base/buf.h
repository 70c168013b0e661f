/* A growing byte buffer that cannot be made without a maximum.
 *
 * Failure sticks: once an append does not fit or memory is out, `failed` stays
 * set and later appends do nothing, so a writer checks once at the end. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/str.h"

struct buf {
    char *data; /* always NUL-terminated once something was appended */
    size_t len;
    size_t cap;
    size_t max; /* largest `len` allowed */
    bool failed;
    bool lent; /* `data` is the caller's */
};

void buf__init(struct buf *b, size_t max);
/* Begins in memory of the caller, which must outlive it: what stays short allocates nothing. */
void buf__init_in(struct buf *b, void *first, size_t first_size, size_t max);
void buf__free(struct buf *b);
/* Empties the buffer and forgets a failure, but keeps the memory. */
void buf__reset(struct buf *b);
void buf__u64(struct buf *b, uint64_t value);
void buf__printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Hands the memory to the caller, who frees it; the buffer is empty after. */
char *buf__take(struct buf *b, size_t *len);

/* What buf__reserve does where there is no room. */
void buf__grow(struct buf *b, size_t len);

/* Room for `len` more bytes to be written at the returned place, or NULL. The
 * caller adds what it wrote to `len` itself. */
static inline char *buf__reserve(struct buf *b, size_t len)
{
    if (!b->failed && len >= b->cap - b->len)
        buf__grow(b, len);
    return b->failed ? NULL : b->data + b->len;
}

static inline void buf__append(struct buf *b, const void *data, size_t len)
{
    char *to = buf__reserve(b, len);

    if (!to)
        return;
    if (len > 0)
        memcpy(to, data, len);
    to[len] = '\0';
    b->len += len;
}

static inline void buf__str(struct buf *b, struct str s)
{
    buf__append(b, s.ptr, s.len);
}

static inline void buf__byte(struct buf *b, char c)
{
    buf__append(b, &c, 1);
}

static inline struct str buf__view(const struct buf *b)
{
    return str__n(b->data ? b->data : "", b->len);
}

#endif
