#include "base/thread.h"

#include <errno.h>
#include <signal.h>

bool thread__start(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
    sigset_t all, saved;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    errno = pthread_create(thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    return errno == 0;
}
