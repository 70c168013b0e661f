#include "broker/net/trim.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#define WORTH_IT 500   /* connections that have ended since the last time */
#define PAUSE_MS 1000  /* in which ... */
#define PAUSE_COUNT 50 /* ... fewer than so many ended: nobody waits while it is done */

static void give_back(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

static int64_t begin_pause(struct trim *t, uint64_t count, int64_t now_ms)
{
    t->seen = count;
    t->pause_until = now_ms + PAUSE_MS;
    return t->pause_until;
}

int64_t trim__tick(struct trim *t, uint64_t count, int64_t now_ms)
{
    if (count - t->done < WORTH_IT)
        return INT64_MAX;
    if (t->pause_until == 0 || (now_ms >= t->pause_until && count - t->seen >= PAUSE_COUNT))
        return begin_pause(t, count, now_ms);
    if (now_ms < t->pause_until)
        return t->pause_until;
    give_back();
    t->done = count;
    t->pause_until = 0;
    return INT64_MAX;
}
