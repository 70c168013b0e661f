#include "broker/net/trim.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#define WORTH_IT 500    /* connections that have ended since the last time, and */
#define WORTH_IT_PART 4 /* ... one for so many of those that stay, who wait while it is done */
#define PAUSE_MS 1000   /* in which ... */
#define PAUSE_COUNT 50  /* ... fewer than so many ended */

static void give_back(const struct trim *t)
{
    if (t->release)
        t->release(t->ctx);
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

static int64_t begin_pause(struct trim *t, uint64_t ended, int64_t now_ms)
{
    t->seen = ended;
    t->pause_until = now_ms + PAUSE_MS;
    return t->pause_until;
}

int64_t trim__tick(struct trim *t, uint64_t ended, size_t live, int64_t now_ms)
{
    if (ended - t->done < WORTH_IT + live / WORTH_IT_PART)
        return INT64_MAX;
    if (t->pause_until == 0 || (now_ms >= t->pause_until && ended - t->seen >= PAUSE_COUNT))
        return begin_pause(t, ended, now_ms);
    if (now_ms < t->pause_until)
        return t->pause_until;
    give_back(t);
    t->done = ended;
    t->pause_until = 0;
    return INT64_MAX;
}
