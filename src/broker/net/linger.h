/* HTTP connections that are over for us while the peer is still sending what nobody will
 * read, a body that was refused by its head. Closing at once would make the kernel answer
 * with a reset, which may cost the peer our response (RFC 9112 section 9.6): what comes is
 * read and dropped until the peer is done. */
#ifndef BROKER_NET_LINGER_H
#define BROKER_NET_LINGER_H

#include "broker/net/poller.h"
#include "broker/net/wheel.h"

#include <stddef.h>

#define LINGER_SECONDS 2
#define LINGER_MAX 64 /* at a time; others are closed at once */

struct lingerers {
    struct poller *poller;
    struct wheel wheel;
    size_t count;
};

void linger__init(struct lingerers *l, struct poller *poller, int64_t now_ms);
/* Takes over the descriptor. */
void linger__add(struct lingerers *l, int fd, int64_t now_ms);
/* Closes those whose time is over; returns when to look again. */
int64_t linger__tick(struct lingerers *l, int64_t now_ms);
/* Closes all. */
void linger__free(struct lingerers *l);

#endif
