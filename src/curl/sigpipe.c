#include "curl/sigpipe.h"

#include <time.h>

static sigset_t sigpipe_alone(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    return set;
}

void sigpipe__hold(struct sigpipe *s)
{
    sigset_t alone = sigpipe_alone(), pending;

    sigemptyset(&pending);
    sigpending(&pending);
    s->was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &alone, &s->before);
}

void sigpipe__release(const struct sigpipe *s)
{
    const struct timespec now = {0, 0};
    sigset_t alone = sigpipe_alone();

    if (!s->was_pending)
        sigtimedwait(&alone, NULL, &now);
    pthread_sigmask(SIG_SETMASK, &s->before, NULL);
}
