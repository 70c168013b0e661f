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
void buf__append(struct buf *b, const void *data, size_t len);
void buf__str(struct buf *b, struct str s);
void buf__byte(struct buf *b, char c);
void buf__u64(struct buf *b, uint64_t value);
void buf__printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Room for `len` more bytes to be written at the returned place, or NULL. The
 * caller adds what it wrote to `len` itself. */
char *buf__reserve(struct buf *b, size_t len);
/* Hands the memory to the caller, who frees it; the buffer is empty after. */
char *buf__take(struct buf *b, size_t *len);

static inline struct str buf__view(const struct buf *b)
{
    return str__n(b->data ? b->data : "", b->len);
}

#endif
