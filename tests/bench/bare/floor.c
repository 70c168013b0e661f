/* The smallest honest fan-out loop, to compare the broker with: it accepts WebSocket
 * connections without checking anything, and sends each frame of the publisher
 * (target /publisher) to all members in the Azure JSON envelope, encoded once. What
 * one loop turn brings is written to each member with one call. No sessions, no
 * permissions, no limits: what is left is the cost of the kernel.
 *
 *   floor    prints `ready PORT` */
#include "listener.h"
#include "ws/ws.h"

#include <errno.h>
#include <stdbool.h>
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
#define NONE (-1)

struct peer {
    int fd;
    int place; /* among the members; NONE: handshake to come, or the publisher */
    bool open, publisher;
    unsigned char *rest; /* of a frame or a request that is not complete */
    size_t rest_len;
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

static void leave(struct peer *p)
{
    if (p->place == NONE)
        return;
    members[p->place] = members[--member_count];
    members[p->place]->place = p->place;
    p->place = NONE;
}

static void hang_up(struct peer *p)
{
    leave(p);
    close(p->fd);
    free(p->rest);
    free(p);
}

static size_t handshake(struct peer *p, const unsigned char *data, size_t len)
{
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                 "Connection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n";
    static const char publisher[] = "GET /publisher";

    if (!memmem(data, len, "\r\n\r\n", 4))
        return 0;
    p->open = true;
    p->publisher = memcmp(data, publisher, sizeof(publisher) - 1) == 0;
    if (write(p->fd, answer, sizeof(answer) - 1) < 0)
        perror("write");
    if (!p->publisher && member_count < MAX_MEMBERS) {
        p->place = member_count;
        members[member_count++] = p;
    }
    return len;
}

static void say(struct peer *p, unsigned opcode)
{
    const char frame[] = {(char)(0x80 | opcode), 0};

    if (write(p->fd, frame, sizeof(frame)) < 0)
        perror("write");
}

/* The load client masks with zeros and sends at most 64 KiB a frame. Returns how much of
 * `data` was complete; *closing: the last frame was a close frame. */
static size_t read_frames(struct peer *p, const unsigned char *data, size_t len, bool *closing)
{
    size_t at = 0;

    while (len - at >= 6) {
        const unsigned char *f = data + at;
        size_t size = f[1] & 127, head = 6;

        if (size == 126) {
            size = (size_t)f[2] << 8 | f[3];
            head = 8;
        }
        if (len - at < head + size)
            break;
        if ((f[0] & 15) == WS_OP_CLOSE)
            *closing = true;
        else if ((f[0] & 15) == WS_OP_PING)
            say(p, WS_OP_PONG);
        else if (p->publisher)
            add_to_batch((const char *)f + head, size);
        at += head + size;
    }
    return at;
}

static void keep(struct peer *p, const unsigned char *data, size_t len)
{
    free(p->rest);
    p->rest = len > 0 ? malloc(len) : NULL;
    p->rest_len = p->rest ? len : 0;
    if (p->rest)
        memcpy(p->rest, data, len);
}

static void readable(struct peer *p)
{
    static unsigned char in[2 * FRAME_SIZE];
    bool closing = false;
    size_t len = p->rest_len, done;
    ssize_t n;

    if (len > 0)
        memcpy(in, p->rest, len);
    n = recv(p->fd, in + len, sizeof(in) - len, MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            hang_up(p);
        return;
    }
    len += (size_t)n;
    done = p->open ? read_frames(p, in, len, &closing) : handshake(p, in, len);
    if (closing) {
        say(p, WS_OP_CLOSE);
        hang_up(p);
    } else if (done < len || p->rest_len > 0) {
        keep(p, in + done, len - done);
    }
}

static void accept_all(int listener, int epoll)
{
    int fd;

    while ((fd = listener__accept(listener)) >= 0) {
        struct peer *p = calloc(1, sizeof(*p));
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = p};

        p->fd = fd;
        p->place = NONE;
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
        flush_batch();
    }
}
