#include "broker/net/addresses.h"

#include <stdio.h>
#include <string.h>

static bool is_number(struct addresses *a, uint16_t port)
{
    return uv_ip4_addr(a->host, port, (struct sockaddr_in *)&a->list[0]) == 0 ||
           uv_ip6_addr(a->host, port, (struct sockaddr_in6 *)&a->list[0]) == 0;
}

void addresses__init(struct addresses *a, uv_loop_t *loop, struct str host, uint16_t port,
                     void (*found)(struct addresses *a, const char *why))
{
    *a = (struct addresses){.loop = loop, .found = found};
    snprintf(a->host, sizeof(a->host), "%.*s", STR_FMT(host));
    snprintf(a->port, sizeof(a->port), "%u", port);
    if (is_number(a, port)) {
        a->count = 1;
        a->until_ms = INT64_MAX;
    }
}

bool addresses__known(const struct addresses *a)
{
    return a->count > 0 && (int64_t)uv_now(a->loop) < a->until_ms;
}

static void keep(struct addresses *a, const struct addrinfo *found)
{
    a->count = a->first = 0;
    for (; found && a->count < ADDRESSES_MAX; found = found->ai_next) {
        if (found->ai_addrlen <= sizeof(a->list[0]))
            memcpy(&a->list[a->count++], found->ai_addr, found->ai_addrlen);
    }
    a->until_ms = (int64_t)uv_now(a->loop) + ADDRESSES_KEPT_MS;
}

static void looked_up(uv_getaddrinfo_t *lookup, int status, struct addrinfo *found)
{
    struct addresses *a = lookup->data;

    a->looking = false;
    if (status == 0)
        keep(a, found);
    uv_freeaddrinfo(found);
    a->found(a, status != 0 ? uv_strerror(status) : a->count == 0 ? "it has no address" : NULL);
}

bool addresses__look_up(struct addresses *a)
{
    /* AI_ADDRCONFIG would hide ::1 where it is the only address of IPv6. */
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM};

    if (a->looking)
        return true;
    a->lookup.data = a;
    a->looking = uv_getaddrinfo(a->loop, &a->lookup, looked_up, a->host, a->port, &wanted) == 0;
    return a->looking;
}

const struct sockaddr *addresses__at(const struct addresses *a, unsigned first, unsigned tries)
{
    return tries < a->count ? (const struct sockaddr *)&a->list[(first + tries) % a->count] : NULL;
}

void addresses__prefer(struct addresses *a, unsigned first, unsigned tries)
{
    if (a->count > 0)
        a->first = (first + tries) % a->count;
}
