#include "broker/net/outbound.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#define PROBE_SECONDS 60 /* of silence, then between two probes: as libcurl */

static void on_ready(uv_poll_t *poll, int status, int events);

static void watch(struct outbound *o, int events)
{
    if (o->watched == events)
        return;
    o->watched = events;
    uv_poll_start(&o->poll, events, on_ready);
}

/* --- opening ---------------------------------------------------------------------- */

static void set_options(int fd)
{
    const int on = 1, seconds = PROBE_SECONDS;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof(seconds));
}

static socklen_t size_of(const struct sockaddr *address)
{
    return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in);
}

/* 0, or an errno. */
static int begin(struct outbound *o, uv_loop_t *loop, const struct sockaddr *to)
{
    int err;

    o->fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (o->fd < 0)
        return errno;
    set_options(o->fd);
    if (connect(o->fd, to, size_of(to)) != 0 && errno != EINPROGRESS)
        return errno;
    err = uv_poll_init(loop, &o->poll, o->fd);
    if (err)
        return -err;
    o->poll.data = o;
    o->handles++;
    watch(o, UV_WRITABLE);
    return 0;
}

static void time_is_up(uv_timer_t *timer)
{
    struct outbound *o = timer->data;

    o->events->failed(o, o->error ? o->error : ETIMEDOUT);
}

void outbound__dial(struct outbound *o, uv_loop_t *loop, const struct sockaddr *to,
                    int64_t limit_ms, struct outbound_room *room,
                    const struct outbound_events *events)
{
    *o = (struct outbound){.events = events, .room = room, .fd = -1};
    uv_timer_init(loop, &o->timer);
    o->timer.data = o;
    o->handles = 1;
    o->error = begin(o, loop, to);
    uv_timer_start(&o->timer, time_is_up, o->error ? 0 : (uint64_t)limit_ms, 0);
}

static void opened(struct outbound *o)
{
    int error = 0;
    socklen_t len = sizeof(error);

    uv_timer_stop(&o->timer);
    if (getsockopt(o->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error) {
        o->events->failed(o, error);
        return;
    }
    o->open = true;
    watch(o, UV_READABLE);
    o->events->opened(o);
}

/* --- writing ---------------------------------------------------------------------- */

static void forget(struct str *piece, size_t *written)
{
    size_t len = *written < piece->len ? *written : piece->len;

    *piece = str__n(piece->ptr + len, piece->len - len);
    *written -= len;
}

/* A connection that cannot be written to is shut down, so that its end comes when the loop
 * goes round. */
static void flush(struct outbound *o)
{
    struct iovec pieces[2] = {{(char *)o->head.ptr, o->head.len},
                              {(char *)o->body.ptr, o->body.len}};
    struct msghdr msg = {.msg_iov = pieces, .msg_iovlen = o->body.len > 0 ? 2 : 1};
    ssize_t n;
    size_t written;

    do
        n = sendmsg(o->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
        o->error = errno;
        shutdown(o->fd, SHUT_RDWR);
    }
    written = n > 0 ? (size_t)n : 0;
    forget(&o->head, &written);
    forget(&o->body, &written);
    watch(o, outbound__has_written(o) ? UV_READABLE : UV_READABLE | UV_WRITABLE);
}

void outbound__write(struct outbound *o, struct str head, struct str body)
{
    o->head = head;
    o->body = body.len > 0 ? body : STR("");
    flush(o);
}

bool outbound__has_written(const struct outbound *o)
{
    return o->head.len == 0 && o->body.len == 0;
}

/* --- reading ---------------------------------------------------------------------- */

bool outbound__is_quiet(const struct outbound *o)
{
    char byte;

    return recv(o->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* Little is read at a time from one, so that none keeps the others waiting. */
static void read_some(struct outbound *o)
{
    ssize_t n;

    do
        n = recv(o->fd, o->room->bytes, sizeof(o->room->bytes), MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        o->events->came(o, str__n(o->room->bytes, (size_t)n));
    else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
        o->events->ended(o, n == 0 && !o->error);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct outbound *o = poll->data;

    if (!o->open) {
        opened(o);
        return;
    }
    if (status < 0) { /* an error waits at the socket, perhaps behind bytes; libuv looks away */
        o->watched = 0;
        watch(o, UV_READABLE);
    } else if ((events & UV_WRITABLE) && !outbound__has_written(o)) {
        flush(o);
    }
    if (status < 0 || (events & UV_READABLE))
        read_some(o);
}

/* --- end -------------------------------------------------------------------------- */

static void handle_closed(uv_handle_t *handle)
{
    struct outbound *o = handle->data;

    if (--o->handles == 0)
        o->events->closed(o);
}

void outbound__close(struct outbound *o)
{
    if (o->handles == 2)
        uv_close((uv_handle_t *)&o->poll, handle_closed);
    uv_close((uv_handle_t *)&o->timer, handle_closed);
    if (o->fd >= 0)
        close(o->fd);
    o->fd = -1;
}
