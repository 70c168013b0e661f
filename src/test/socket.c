#include "test/socket.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK 65536

enum ph_err test_socket__connect(uint16_t port, int *fd, struct diag *diag)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd >= 0 && connect(*fd, (const struct sockaddr *)&at, sizeof(at)) == 0)
        return PH_OK;
    diag__set(diag, PH_ERR_SYSTEM, "cannot connect to 127.0.0.1:%u: %m", port);
    if (*fd >= 0)
        close(*fd);
    return PH_ERR_SYSTEM;
}

static enum ph_err await(int fd, short events, int64_t until, struct diag *diag)
{
    struct pollfd p = {.fd = fd, .events = events};
    int64_t left;
    int n;

    do {
        left = until - clock__mono_ms();
        n = left > 0 ? poll(&p, 1, (int)left) : 0;
    } while (n < 0 && errno == EINTR);
    return n > 0 ? PH_OK : diag__set(diag, PH_ERR_SYSTEM, "the handler does not answer in time");
}

enum ph_err test_socket__write(int fd, struct str bytes, int64_t until, struct diag *diag)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            enum ph_err err = await(fd, POLLOUT, until, diag);

            if (err)
                return err;
            continue;
        }
        if (n < 0)
            return PH_OK;
        bytes = str__n(bytes.ptr + n, bytes.len - (size_t)n);
    }
    return PH_OK;
}

enum ph_err test_socket__read(int fd, struct buf *in, int64_t until, bool *more, struct diag *diag)
{
    char chunk[CHUNK];
    enum ph_err err = await(fd, POLLIN, until, diag);
    ssize_t n = err ? 0 : recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);

    *more = !err && (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)));
    if (n > 0)
        buf__append(in, chunk, (size_t)n);
    if (in->failed)
        return diag__set(diag, PH_ERR_LIMIT, "the answer has more than %zu bytes", in->max);
    return err;
}
