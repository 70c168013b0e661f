/* Memory with one lifetime: a request, a frame, a file. Everything is freed at
 * once. The first bytes may come from the caller (a stack array, or the tail of
 * the object that owns the arena), so that a small request allocates nothing. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

struct arena_block;

struct arena {
    char *at;
    char *end;
    struct arena_block *blocks; /* newest first; the caller's own memory is not among them */
    void *first;
    size_t first_size;
    size_t used; /* bytes taken from the heap */
    size_t max;  /* largest `used` allowed */
};

/* `first` may be NULL with `first_size` 0. It must outlive the arena. */
void arena__init(struct arena *a, void *first, size_t first_size, size_t max);
void arena__free(struct arena *a);
/* Frees all and starts again with the caller's first bytes. */
void arena__reset(struct arena *a);
/* Frees what was taken since `before`, a copy of the arena, was made. */
void arena__rewind(struct arena *a, const struct arena *before);

/* What does not fit what is left of the newest block. */
void *arena__alloc_block(struct arena *a, size_t size);

/* All return NULL when memory or the maximum is exhausted. Aligned for any type. */
static inline void *arena__alloc(struct arena *a, size_t size)
{
    const size_t rest = _Alignof(max_align_t) - 1;
    size_t rounded = ((size ? size : 1) + rest) & ~rest;
    char *p = a->at;

    if (rounded == 0) /* too large */
        return NULL;
    if (rounded > (size_t)(a->end - p))
        return arena__alloc_block(a, size);
    a->at += rounded;
    return p;
}
static inline void *arena__zalloc(struct arena *a, size_t size)
{
    void *p = arena__alloc(a, size);

    return p ? memset(p, 0, size) : NULL;
}
/* A copy with a NUL behind it. */
char *arena__dup(struct arena *a, const void *data, size_t len);
char *arena__strdup(struct arena *a, struct str s);
char *arena__printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
