/* Memory that is about to be needed comes into the cache while something else is done. */
#ifndef BASE_PREFETCH_H
#define BASE_PREFETCH_H

#include <stddef.h>

#define CACHE_LINE 64

/* NULL is fine. */
static inline void prefetch__bytes(const void *at, size_t len)
{
    for (size_t i = 0; at && i < len; i += CACHE_LINE)
        __builtin_prefetch((const char *)at + i);
}

#endif
