/* The smallest honest fan-out loop, to compare the broker with: it accepts WebSocket
 * connections without checking anything, and sends each frame of the publisher
 * (target /publisher) to all members in the Azure JSON envelope, encoded once. What
 * one loop turn brings is written to each member with one call. No sessions, no
 * permissions, no limits: what is left is the cost of the kernel.
 *
 *   floor    prints `ready PORT` */
#include "broker/wire/ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_MEMBERS 20000
#define MAX_BATCH 64
#define FRAME_SIZE 70000

struct peer {
    int fd;
    int open; /* handshake done */
    int publisher;
    char in[70000];
    size_t len;
};

static struct peer *members[MAX_MEMBERS];
static int member_count;
static char frames[MAX_BATCH][FRAME_SIZE];
static struct iovec batch[MAX_BATCH];
static int batch_count;

static void flush_batch(void)
{
    if (batch_count == 0)
        return;
    for (int i = 0; i < member_count; i++) {
        if (writev(members[i]->fd, batch, batch_count) < 0)
            perror("writev");
    }
    batch_count = 0;
}

static void add_to_batch(const char *data, size_t len)
{
    static const char head[] = "{\"type\":\"message\",\"from\":\"group\",\"group\":\"g\","
                               "\"fromUserId\":\"bench\",\"dataType\":\"text\",\"data\":\"";
    size_t payload = sizeof(head) - 1 + len + 2, n;
    char *to = frames[batch_count];

    n = ws__header(to, WS_OP_TEXT, payload);
    memcpy(to + n, head, sizeof(head) - 1);
    memcpy(to + n + sizeof(head) - 1, data, len);
    memcpy(to + n + sizeof(head) - 1 + len, "\"}", 2);
    batch[batch_count++] = (struct iovec){to, n + payload};
    if (batch_count == MAX_BATCH)
        flush_batch();
}

static void handshake(struct peer *p)
{
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                 "Connection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n";

    p->in[p->len] = '\0';
    if (!strstr(p->in, "\r\n\r\n"))
        return;
    p->open = 1;
    p->publisher = strncmp(p->in, "GET /publisher", 14) == 0;
    p->len = 0;
    if (write(p->fd, answer, sizeof(answer) - 1) < 0)
        perror("write");
    if (!p->publisher && member_count < MAX_MEMBERS)
        members[member_count++] = p;
}

/* The load client masks with zeros and sends at most 64 KiB a frame. */
static void read_frames(struct peer *p)
{
    size_t at = 0;

    while (p->len - at >= 6) {
        const unsigned char *f = (const unsigned char *)p->in + at;
        size_t size = f[1] & 127, head = 6;

        if (size == 126) {
            size = (size_t)f[2] << 8 | f[3];
            head = 8;
        }
        if (p->len - at < head + size)
            break;
        add_to_batch((const char *)f + head, size);
        at += head + size;
    }
    memmove(p->in, p->in + at, p->len - at);
    p->len -= at;
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
    if (!p->open)
        handshake(p);
    else
        read_frames(p);
}

static void accept_all(int listener, int epoll)
{
    int fd, one = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        struct peer *p = calloc(1, sizeof(*p));
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = p};

        p->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
    }
}

int main(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL}, events[256];

    if (bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(listener, 1024) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &len) != 0) {
        perror("listen");
        return 1;
    }
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev);
    printf("ready %u\n", ntohs(at.sin_port));
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(epoll, events, 256, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                readable(events[i].data.ptr);
            else
                accept_all(listener, epoll);
        }
        flush_batch();
    }
}
