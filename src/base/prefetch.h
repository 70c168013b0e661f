/* Memory that is about to be needed comes into the cache while something else is done. */
#ifndef BASE_PREFETCH_H
#define BASE_PREFETCH_H

#include <stddef.h>

#define CACHE_LINE 64

/* Any address is fine. GCC takes a function that does nothing but this for one without effect
 * and drops its calls; the empty assembly keeps them. */
static inline void prefetch__line(const void *at)
{
    __builtin_prefetch(at);
    __asm__ volatile("");
}

/* NULL is fine. */
static inline void prefetch__bytes(const void *at, size_t len)
{
#pragma GCC unroll 16
    for (size_t i = 0; at && i < len; i += CACHE_LINE)
        prefetch__line((const char *)at + i);
}

#endif
