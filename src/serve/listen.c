#include "serve/listen.h"

#include "base/url.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
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

    if (getsockname(fd, (struct sockaddr *)&sa, &len))
        return false;
    if (sa.ss_family == AF_UNIX) {
        snprintf(out, LISTEN_ADDRESS_SIZE, "%.*s", LISTEN_ADDRESS_SIZE - 1,
                 ((const struct sockaddr_un *)&sa)->sun_path);
        return true;
    }
    if (getnameinfo((struct sockaddr *)&sa, len, host, sizeof(host), port, sizeof(port),
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

/* --- sockets that others have opened ------------------------------------------------ */

#define SYSTEMD_FIRST 3 /* SD_LISTEN_FDS_START */
#define SYSTEMD_MAX 1024

/* A number of the environment or the command line; -1 for what is none. */
static int number(const char *text)
{
    char *end;
    long value;

    if (!text || *text < '0' || *text > '9')
        return -1;
    errno = 0;
    value = strtol(text, &end, 10);
    return *end || errno || value > INT32_MAX ? -1 : (int)value;
}

/* How many sockets systemd has handed to this very process. */
static int systemd_count(void)
{
    int count = number(getenv("LISTEN_FDS"));

    if (count <= 0 || count > SYSTEMD_MAX || number(getenv("LISTEN_PID")) != (int)getpid())
        return 0;
    return count;
}

/* The position of a name in "first:second:..."; -1 if it is not there. */
static int systemd_position(struct str wanted)
{
    const char *names = getenv("LISTEN_FDNAMES");
    int position = 0;

    for (; names; position++) {
        size_t len = strcspn(names, ":");

        if (str__eq(str__n(names, len), wanted))
            return position;
        names = names[len] ? names + len + 1 : NULL;
    }
    return -1;
}

static enum ph_err find_systemd(const char *where, struct str name, int *fd, struct diag *diag)
{
    int count = systemd_count(), position = name.len > 0 ? systemd_position(name) : 0;
    const char *names = getenv("LISTEN_FDNAMES");

    if (count == 0)
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "cannot listen on \"%s\": systemd has handed over no socket; is there a "
                         "socket unit of the service's name, and is it started?",
                         where);
    if (position < 0 || position >= count || (name.len == 0 && count > 1))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "cannot listen on \"%s\": expected systemd:NAME with a name of the %d "
                         "sockets that systemd has handed over: %s",
                         where, count, names ? names : "they have none");
    *fd = SYSTEMD_FIRST + position;
    return PH_OK;
}

/* True, and all of `fd` is as if we had opened it, when it is a socket that listens. */
static bool adopt(int fd)
{
    int listens = 0, type = 0;
    socklen_t len = sizeof(int);
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) && listens &&
           !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_STREAM &&
           !fcntl(fd, F_SETFL, flags | O_NONBLOCK) && !fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* PH_ERR_NOT_FOUND: `where` is no inherited socket but an address. */
static enum ph_err inherit(const char *where, int *fd, char actual[LISTEN_ADDRESS_SIZE],
                           struct diag *diag)
{
    const struct str text = str__of(where), systemd = STR("systemd:"), plain = STR("fd:");
    enum ph_err err = PH_OK;
    int found = -1;

    if (str__starts_with(text, systemd))
        err = find_systemd(where, str__of(where + systemd.len), &found, diag);
    else if (str__starts_with(text, plain))
        found = number(where + plain.len);
    else
        return PH_ERR_NOT_FOUND;
    if (err)
        return err;
    if (found < 0 || !adopt(found) || !actual_address(found, actual))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "cannot listen on \"%s\": descriptor %d is no stream socket that listens "
                         "(a socket unit has Accept=no)",
                         where, found);
    *fd = found;
    return PH_OK;
}

enum ph_err listen__tcp(const char *where, int *fd, char actual[LISTEN_ADDRESS_SIZE],
                        struct diag *diag)
{
    struct addrinfo *all = NULL;
    enum ph_err err = inherit(where, fd, actual, diag);

    if (err != PH_ERR_NOT_FOUND)
        return err;
    err = resolve(where, &all, diag);
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
