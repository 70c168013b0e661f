/* Where a client access URL leads: whom to connect to, and what to ask there. */
#ifndef CLIENT_ADDRESS_H
#define CLIENT_ADDRESS_H

#include "base/buf.h"

struct address {
    struct buf server; /* "https://HOST:PORT", without anything secret */
    struct buf host;   /* of the Host header */
    struct buf target; /* path and query, with the token */
};

/* False: it is no URL of ws, wss, http or https, or memory is out (`failed` of a buffer). */
bool address__parse(struct str url, struct address *out);
void address__free(struct address *a);

#endif
