#include "serve/listen.h"

#include "base/url.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_FLAGS (SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)

static enum ph_err resolve(const char *where, struct addrinfo **out, struct diag *diag)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct str host;
    uint16_t port;
    char name[256], service[8];
    int err;

    if (!url__host_port(str__of(where), &host, &port) || host.len >= sizeof(name))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "cannot listen on \"%s\": expected HOST:PORT, for example "
                         "127.0.0.1:8090, with a port from 0 to 65535",
                         where);
    snprintf(name, sizeof(name), "%.*s", STR_FMT(host));
    snprintf(service, sizeof(service), "%u", (unsigned)port);
    err = getaddrinfo(host.len ? name : NULL, service, &hints, out);
    if (err)
        return diag__set(diag, PH_ERR_SYSTEM, "cannot listen on \"%s\": %s", where,
                         err == EAI_SYSTEM ? strerror(errno) : gai_strerror(err));
    return PH_OK;
}

static bool actual_address(int fd, char out[LISTEN_ADDRESS_SIZE])
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    char host[INET6_ADDRSTRLEN + 16], port[8];

    if (getsockname(fd, (struct sockaddr *)&sa, &len) ||
        getnameinfo((struct sockaddr *)&sa, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV))
        return false;
    snprintf(out, LISTEN_ADDRESS_SIZE, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
    return true;
}

static int open_tcp(const struct addrinfo *ai, char actual[LISTEN_ADDRESS_SIZE])
{
    int fd = socket(ai->ai_family, SOCKET_FLAGS, 0), on = 1;

    if (fd < 0)
        return -1;
    if (!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) &&
        !bind(fd, ai->ai_addr, ai->ai_addrlen) && !listen(fd, LISTEN_BACKLOG) &&
        actual_address(fd, actual))
        return fd;
    on = errno;
    close(fd);
    errno = on;
    return -1;
}

enum ph_err listen__tcp(const char *where, int *fd, char actual[LISTEN_ADDRESS_SIZE],
                        struct diag *diag)
{
    struct addrinfo *all = NULL;
    enum ph_err err = resolve(where, &all, diag);

    if (err)
        return err;
    *fd = -1;
    for (const struct addrinfo *ai = all; ai && *fd < 0; ai = ai->ai_next)
        *fd = open_tcp(ai, actual);
    if (*fd < 0)
        err = diag__set(diag, PH_ERR_SYSTEM, "cannot listen on \"%s\": %m", where);
    freeaddrinfo(all);
    return err;
}

/* Removes what an earlier process left behind: only a socket, and only if nobody
 * answers on it. */
static void remove_stale(const struct sockaddr_un *sa)
{
    struct stat st;
    int fd;

    if (lstat(sa->sun_path, &st) || !S_ISSOCK(st.st_mode))
        return;
    fd = socket(AF_UNIX, SOCKET_FLAGS, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) && errno == ECONNREFUSED)
        unlink(sa->sun_path);
    close(fd);
}

enum ph_err listen__unix(const char *path, int *fd, struct diag *diag)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof(sa.sun_path))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "cannot listen on \"%s\": the path of a socket has 1 to %zu bytes", path,
                         sizeof(sa.sun_path) - 1);
    memcpy(sa.sun_path, path, len);
    remove_stale(&sa);
    *fd = socket(AF_UNIX, SOCKET_FLAGS, 0);
    if (*fd < 0)
        return diag__set(diag, PH_ERR_SYSTEM, "cannot listen on \"%s\": %m", path);
    if (bind(*fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(*fd, LISTEN_BACKLOG)) {
        diag__set(diag, PH_ERR_SYSTEM, "cannot listen on \"%s\": %m%s", path,
                  errno == EADDRINUSE ? " (another process listens, or it is no socket)" : "");
        close(*fd);
        *fd = -1;
        return PH_ERR_SYSTEM;
    }
    return PH_OK;
}
