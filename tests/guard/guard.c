/* Runs the scenarios of guard.h. Under callgrind, each leaves one dump, whose trigger is
 * "NAME ROUNDS" (scripts/guard reads them); by itself the program only says that all of
 * them work. */
#include "guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <valgrind/callgrind.h>

void guard__must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "guard: this does not hold: %s\n", what);
    exit(1);
}

void *guard__zalloc(unsigned long size)
{
    void *memory = calloc(1, size);

    MUST(memory);
    return memory;
}

static void run(const struct scenario *s)
{
    void *world = s->prepare(s->what);
    char trigger[80];

    snprintf(trigger, sizeof(trigger), "%s %u", s->name, s->rounds);
    /* What is allocated once and kept is there afterwards, symbols are bound. */
    s->round(world);
    s->round(world);
    CALLGRIND_START_INSTRUMENTATION;
    for (unsigned i = 0; i < s->rounds; i++)
        s->round(world);
    CALLGRIND_DUMP_STATS_AT(trigger);
    CALLGRIND_STOP_INSTRUMENTATION;
    s->drop(world);
}

#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__)
#define BUILD "optimized"
#else
#define BUILD "not for counting"
#endif

int main(void)
{
    const struct scenario *const tables[] = {guard_frames, guard_core, guard_requests,
                                             guard_webhooks, guard_secrets};

    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
        for (const struct scenario *s = tables[i]; s->name; s++)
            run(s);
    }
    puts("compiler " __VERSION__ ", " BUILD);
    return 0;
}
