#include "base/clock.h"

#include <string.h>
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

int64_t clock__mono_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
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

int64_t clock__coarse_unix_ms(void)
{
#ifdef CLOCK_REALTIME_COARSE
    return read_ms(CLOCK_REALTIME_COARSE);
#else
    return clock__unix_ms();
#endif
}

static char *put(char *at, int value, int width, char behind)
{
    for (int i = width - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
    at[width] = behind;
    return at + width + 1;
}

/* "2026-11-20T12:34:56" */
#define UP_TO_SECONDS 19

static void write_second(char out[UP_TO_SECONDS + 1], time_t seconds)
{
    struct tm tm;

    gmtime_r(&seconds, &tm);
    out = put(out, tm.tm_year + 1900, 4, '-');
    out = put(out, tm.tm_mon + 1, 2, '-');
    out = put(out, tm.tm_mday, 2, 'T');
    out = put(out, tm.tm_hour, 2, ':');
    out = put(out, tm.tm_min, 2, ':');
    put(out, tm.tm_sec, 2, '\0');
}

/* Each event has one, and most have the second of the one before. */
size_t clock__rfc3339(char out[CLOCK_RFC3339_SIZE], int64_t unix_ms, int with_ms)
{
    static _Thread_local char text[UP_TO_SECONDS + 1] = "1970-01-01T00:00:00";
    static _Thread_local time_t written;
    time_t second = (time_t)(unix_ms / 1000);
    char *at = out + UP_TO_SECONDS;

    if (second != written) {
        write_second(text, second);
        written = second;
    }
    memcpy(out, text, UP_TO_SECONDS);
    *at++ = with_ms ? '.' : 'Z';
    if (with_ms)
        at = put(at, (int)(unix_ms % 1000), 3, 'Z');
    *at = '\0';
    return (size_t)(at - out);
}
