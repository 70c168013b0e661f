/* The smallest honest loop for event round trips, to compare the broker with: it accepts
 * WebSocket connections without checking anything, finds ackId and data of each event where
 * the load client puts them, and answers with the message and the ack. What one read
 * brings is answered with one call. No JSON parser, no sessions, no order to keep, no
 * handler: what is left is the cost of the kernel.
 *
 *   event_floor    prints `ready PORT` */
#include "listener.h"
#include "ws/ws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_SIZE 65536
#define OUT_SIZE (4 * IN_SIZE)

struct peer {
    int fd;
    bool open; /* handshake done */
    size_t len;
    char in[IN_SIZE];
};

static char out[OUT_SIZE];
static size_t out_len;

static void put(const char *data, size_t len)
{
    memcpy(out + out_len, data, len);
    out_len += len;
}

static void put_frame(const char *head, size_t head_len, const char *middle, size_t middle_len,
                      const char *tail, size_t tail_len)
{
    out_len += ws__header(out + out_len, WS_OP_TEXT, head_len + middle_len + tail_len);
    put(head, head_len);
    put(middle, middle_len);
    put(tail, tail_len);
}

static void flush_out(struct peer *p)
{
    if (out_len > 0 && send(p->fd, out, out_len, MSG_NOSIGNAL) < 0)
        perror("send");
    out_len = 0;
}

#define PUT_FRAME(head, middle, len, tail)                                                         \
    put_frame(head, sizeof(head) - 1, middle, len, tail, sizeof(tail) - 1)

/* From behind `word` to before `end`. */
static const char *find(const char *text, size_t len, const char *word, char end, size_t *found_len)
{
    const char *at = memmem(text, len, word, strlen(word)), *to;

    if (!at)
        return NULL;
    at += strlen(word);
    to = memchr(at, end, len - (size_t)(at - text));
    *found_len = to ? (size_t)(to - at) : 0;
    return to ? at : NULL;
}

static void answer(const char *event, size_t len)
{
    size_t data_len, id_len;
    const char *data = find(event, len, "\"data\":\"", '"', &data_len);
    const char *id = find(event, len, "\"ackId\":", ',', &id_len);

    if (!data || !id)
        return;
    PUT_FRAME("{\"type\":\"message\",\"from\":\"server\",\"dataType\":\"text\",\"data\":\"", data,
              data_len, "\"}");
    PUT_FRAME("{\"type\":\"ack\",\"ackId\":", id, id_len, ",\"success\":true}");
}

static void handshake(struct peer *p)
{
    static const char accepted[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                   "Connection: Upgrade\r\n"
                                   "Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n";

    p->in[p->len] = '\0';
    if (!strstr(p->in, "\r\n\r\n"))
        return;
    p->open = true;
    p->len = 0;
    put(accepted, sizeof(accepted) - 1);
    PUT_FRAME("{\"type\":\"system\",\"event\":\"connected\"", "", 0, "}");
    flush_out(p);
}

/* The load client masks with zeros and sends at most 64 KiB a frame. */
static void read_frames(struct peer *p)
{
    size_t at = 0;

    while (p->len - at >= 8) {
        const unsigned char *f = (const unsigned char *)p->in + at;
        size_t size = f[1] & 127, head = 6;

        if (size == 126) {
            size = (size_t)f[2] << 8 | f[3];
            head = 8;
        }
        if (p->len - at < head + size)
            break;
        answer((const char *)f + head, size);
        at += head + size;
    }
    memmove(p->in, p->in + at, p->len - at);
    p->len -= at;
    flush_out(p);
}

static void readable(struct peer *p)
{
    ssize_t n = recv(p->fd, p->in + p->len, sizeof(p->in) - 1 - p->len, MSG_DONTWAIT);

    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            close(p->fd);
        return;
    }
    p->len += (size_t)n;
    if (p->open)
        read_frames(p);
    else
        handshake(p);
}

static void accept_all(int listener, int epoll)
{
    int fd;

    while ((fd = listener__accept(listener)) >= 0) {
        struct peer *p = malloc(sizeof(*p));
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = p};

        if (!p)
            abort();
        p->fd = fd;
        p->open = false;
        p->len = 0;
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
    }
}

int main(void)
{
    int listener = listener__open();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL}, events[256];

    if (listener < 0)
        return 1;
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev);
    for (;;) {
        int n = epoll_wait(epoll, events, 256, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                readable(events[i].data.ptr);
            else
                accept_all(listener, epoll);
        }
    }
}
