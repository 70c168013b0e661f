#include "broker/net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#define BACKLOG 4096 /* the kernel cuts it at net.core.somaxconn */

enum ph_err listener__resolve(struct str host, uint16_t port, struct listener_address *out,
                              struct diag *diag)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    char name[256], service[8];
    int err;

    if (host.len >= sizeof(name))
        return diag__set(diag, PH_ERR_ARGUMENT, "the host name to listen on is too long");
    snprintf(name, sizeof(name), "%.*s", STR_FMT(host));
    snprintf(service, sizeof(service), "%u", port);
    err = getaddrinfo(host.len > 0 ? name : NULL, service, &hints, &found);
    if (err)
        return diag__set(diag, PH_ERR_ARGUMENT, "cannot listen on %s: %s", name, gai_strerror(err));
    memcpy(&out->addr, found->ai_addr, found->ai_addrlen);
    out->len = found->ai_addrlen;
    freeaddrinfo(found);
    return PH_OK;
}

uint16_t listener__port(const struct listener_address *at)
{
    return ntohs(at->addr.ss_family == AF_INET6
                     ? ((const struct sockaddr_in6 *)&at->addr)->sin6_port
                     : ((const struct sockaddr_in *)&at->addr)->sin_port);
}

/* What is accepted inherits SO_OOBINLINE: bytes that a client calls urgent stay where they were
 * sent (RFC 6093), or frames would lack them. */
static int open_bound(const struct listener_address *at, bool shared)
{
    int fd = socket(at->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) == 0 &&
        (!shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0) &&
        bind(fd, (const struct sockaddr *)&at->addr, at->len) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Appends HOST:PORT, with brackets around an IPv6 address. */
static void put_name(const struct listener_address *at, struct buf *out)
{
    bool v6 = at->addr.ss_family == AF_INET6;
    char host[NI_MAXHOST], service[NI_MAXSERV];

    if (getnameinfo((const struct sockaddr *)&at->addr, at->len, host, sizeof(host), service,
                    sizeof(service), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    buf__printf(out, v6 ? "[%s]:%s" : "%s:%s", host, service);
}

static enum ph_err cannot_listen(const struct listener_address *at, struct diag *diag)
{
    int err = errno;
    struct buf name;

    buf__init(&name, 128);
    put_name(at, &name);
    diag__set(diag, PH_ERR_SYSTEM, "cannot listen on %.*s: %s", STR_FMT(buf__view(&name)),
              strerror(err));
    buf__free(&name);
    return PH_ERR_SYSTEM;
}

enum ph_err listener__check_free(const struct listener_address *at, struct diag *diag)
{
    int fd = open_bound(at, false);

    if (fd < 0)
        return cannot_listen(at, diag);
    close(fd);
    return PH_OK;
}

enum ph_err listener__open(struct listener_address *at, int *fd, struct diag *diag)
{
    *fd = open_bound(at, true);
    if (*fd < 0)
        return cannot_listen(at, diag);
    if (listener__port(at) == 0)
        getsockname(*fd, (struct sockaddr *)&at->addr, &at->len);
    return PH_OK;
}
