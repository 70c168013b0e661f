/* The addresses of a host: looked up without holding up the loop, kept for a minute, the
 * one that answered last first. */
#ifndef BROKER_NET_ADDRESSES_H
#define BROKER_NET_ADDRESSES_H

#include "base/str.h"

#include <netinet/in.h>
#include <uv.h>

#define ADDRESSES_MAX 8         /* of a host; more are not tried */
#define ADDRESSES_KEPT_MS 60000 /* as long as libcurl */

struct addresses {
    struct sockaddr_storage list[ADDRESSES_MAX];
    unsigned count;
    unsigned first; /* to be tried, by those who begin */
    /* private */
    uv_loop_t *loop;
    uv_getaddrinfo_t lookup;
    int64_t until_ms;
    bool looking;
    void (*found)(struct addresses *a, const char *why);
    char host[256], port[6];
};

/* `found` is called when a lookup has ended, with why it found nothing or NULL. A host that is
 * an address itself needs none. */
void addresses__init(struct addresses *a, uv_loop_t *loop, struct str host, uint16_t port,
                     void (*found)(struct addresses *a, const char *why));
bool addresses__known(const struct addresses *a);
/* Does nothing while it is looking. False: it cannot. Not from inside `found`. */
bool addresses__look_up(struct addresses *a);
/* The one to be tried behind `tries` others by somebody who began with `first`, NULL: there is
 * no other. What others find out meanwhile does not change whose turn it is. */
const struct sockaddr *addresses__at(const struct addresses *a, unsigned first, unsigned tries);
/* That one has answered. */
void addresses__prefer(struct addresses *a, unsigned first, unsigned tries);

#endif
