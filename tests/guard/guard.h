/* Scenarios whose instructions are counted: each a fixed piece of work of the core and the
 * codecs, the same in every run. No clock, no randomness, no files, no sockets. */
#ifndef TESTS_GUARD_GUARD_H
#define TESTS_GUARD_GUARD_H

#include <stdbool.h>

struct scenario {
    const char *name;
    unsigned rounds; /* that are counted; two more come before, which are not */
    const void *what;
    /* Makes what the rounds work on, which is not counted. */
    void *(*prepare)(const void *what);
    void (*round)(void *world);
    void (*drop)(void *world);
};

/* Each ends with a row without a name. */
extern const struct scenario guard_core[], guard_frames[], guard_requests[], guard_webhooks[],
    guard_secrets[];

/* What a scenario does has to succeed, or the count is that of something else. */
void guard__must(bool holds, const char *what);
#define MUST(condition) guard__must(condition, #condition)

void *guard__zalloc(unsigned long size);

#endif
