/* Threads of libraries. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* Signals are for the program's own threads: this one blocks all, also those that it would
 * raise itself (SIGPIPE). False: there is none to be had, and errno says why. */
bool thread__start(pthread_t *thread, void *(*run)(void *arg), void *arg);

#endif
