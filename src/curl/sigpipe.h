/* libcurl may raise SIGPIPE when the peer of a TLS connection is gone: OpenSSL writes with
 * write(2). A library must not end its program by that, nor change what the program does with
 * signals, so the thread holds the signal back meanwhile. */
#ifndef CURL_SIGPIPE_H
#define CURL_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

struct sigpipe {
    sigset_t before;
    bool was_pending;
};

void sigpipe__hold(struct sigpipe *s);
/* Takes away the one that came meanwhile; one that came before stays. */
void sigpipe__release(const struct sigpipe *s);

#endif
