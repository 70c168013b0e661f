/* What the bare loops over epoll have in common: where clients come in. */
#ifndef TESTS_BENCH_BARE_LISTENER_H
#define TESTS_BENCH_BARE_LISTENER_H

/* Listens on a free port of 127.0.0.1, which it prints as `ready PORT`. -1: it cannot, and has
 * said why. */
int listener__open(void);
/* The next client, not blocking and without Nagle's delay. -1: there is none. */
int listener__accept(int listener);

#endif
