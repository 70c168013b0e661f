#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_ms(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock__mono_ms(void)
{
    return read_ms(CLOCK_MONOTONIC);
}

int64_t clock__coarse_ms(void)
{
#ifdef CLOCK_MONOTONIC_COARSE
    return read_ms(CLOCK_MONOTONIC_COARSE);
#else
    return clock__mono_ms();
#endif
}

int64_t clock__unix_ms(void)
{
    return read_ms(CLOCK_REALTIME);
}

void clock__rfc3339(char out[CLOCK_RFC3339_SIZE], int64_t unix_ms, int with_ms)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm tm;
    size_t len;

    gmtime_r(&seconds, &tm);
    len = strftime(out, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    if (with_ms)
        snprintf(out + len, CLOCK_RFC3339_SIZE - len, ".%03dZ", (int)(unix_ms % 1000));
    else
        snprintf(out + len, CLOCK_RFC3339_SIZE - len, "Z");
}
