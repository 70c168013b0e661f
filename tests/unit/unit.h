/* What every unit test needs around cmocka. */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

/* How long a test waits for what must come, on the slowest and busiest machine. No test rests on
 * this time: who waits so long has found a fault. */
#define UNIT_WAIT_S 60

/* Seeds rand() and says with what; TEST_SEED repeats a run. */
static inline void unit__seed(void)
{
    const char *given = getenv("TEST_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);

    print_message("TEST_SEED=%u\n", seed);
    srand(seed);
}

/* 0, or -1 when nobody has posted it in that time. */
static inline int unit__wait(sem_t *sem)
{
    struct timespec until;
    int result;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += UNIT_WAIT_S;
    do {
        result = sem_timedwait(sem, &until);
    } while (result < 0 && errno == EINTR);
    return result;
}

/* A view holds exactly these characters. */
#define assert_str(view, want)                                                                     \
    do {                                                                                           \
        struct str unit_view = (view);                                                             \
        const char *unit_want = (want);                                                            \
        if (!str__eq(unit_view, str__of(unit_want)) || (unit_want && !unit_view.ptr))              \
            fail_msg("got \"%.*s\", expected \"%s\"", STR_FMT(unit_view), unit_want);              \
    } while (0)

#endif
