/* Runs something again and again, the k-th allocation failing in the k-th run, until a run
 * needs no more than have been let through: what is under test then has seen each of its
 * allocations fail. Allocations are counted by the linker's --wrap, so the code under test is
 * the one that ships; link with $(memory_kit_ldflags). The sanitizers see leaks and crashes.
 *
 * Counted are the calls of our own code. Inside shared libraries nothing fails, unless the test
 * makes them call our malloc (test_event_memory.c does, for OpenSSL). */
#ifndef TESTS_UNIT_MEMORY_KIT_H
#define TESTS_UNIT_MEMORY_KIT_H

#include <stdbool.h>
#include <stddef.h>

/* `run` may call any assertion that holds whether memory was out or not. Returns how many
 * allocations a whole run has; fails when there are fewer than `least`, so that a test that
 * has stopped early is seen. Allocations of all threads are counted, in the order they come. */
unsigned memory_kit__each_fails(void (*run)(void *ctx), void *ctx, unsigned least);

/* Has an allocation of this run failed? */
bool memory_kit__failed(void);
/* From here to the end of this run nothing fails: for what the test itself allocates. */
void memory_kit__disarm(void);

#endif
