/* How much a peer has sent. In a file of its own, because the kernel's header that tells it
 * clashes with the C library's. */
#ifndef BROKER_NET_RECEIVED_H
#define BROKER_NET_RECEIVED_H

#include <stdint.h>

/* Bytes that have come over this TCP socket so far; 0 where the kernel does not say. */
uint64_t received__bytes(int fd);

#endif
