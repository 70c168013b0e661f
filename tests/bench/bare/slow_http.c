/* A webhook that takes its time for some: it answers the user event `slow` after DELAY_MS, all
 * others at once, and checks nothing.
 *
 *   slow_http DELAY_MS    prints `ready PORT` */
#include "listener.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 4096 /* descriptors */
#define MAX_REQUEST 8192

struct peer {
    unsigned serial; /* tells whose descriptor it was when an answer was put off */
    size_t len;
    char in[MAX_REQUEST + 1];
};

struct late {
    int64_t due_ms;
    int fd;
    unsigned serial;
};

static struct peer *peers[MAX_CONNECTIONS];
static struct late late[MAX_CONNECTIONS]; /* a ring; all have the same delay */
static unsigned late_first, late_end;
static int delay_ms;

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void answer(int fd)
{
    static const char text[] = "HTTP/1.1 204 No Content\r\n\r\n";

    if (send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL) < 0)
        perror("send");
}

static void answer_validation(int fd)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nWebHook-Allowed-Origin: *\r\n"
                               "Content-Length: 0\r\n\r\n";

    if (send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL) < 0)
        perror("send");
}

static void put_off(int fd)
{
    late[late_end++ % MAX_CONNECTIONS] = (struct late){now_ms() + delay_ms, fd, peers[fd]->serial};
}

/* How long until the next one is due; -1: none is. */
static int answer_late(void)
{
    while (late_first != late_end) {
        const struct late *l = &late[late_first % MAX_CONNECTIONS];
        int64_t wait = l->due_ms - now_ms();

        if (wait > 0)
            return (int)wait;
        if (peers[l->fd] && peers[l->fd]->serial == l->serial)
            answer(l->fd);
        late_first++;
    }
    return -1;
}

static const char *header(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);

    return at ? at + strlen(name) : "";
}

static void serve(int fd, const char *head)
{
    static const char slow[] = "azure.webpubsub.user.slow\r\n";

    if (strncmp(head, "OPTIONS", 7) == 0)
        answer_validation(fd);
    else if (strncmp(header(head, "\r\nce-type: "), slow, sizeof(slow) - 1) == 0)
        put_off(fd);
    else
        answer(fd);
}

static void hang_up(int fd)
{
    free(peers[fd]);
    peers[fd] = NULL;
    close(fd);
}

/* A client asks one thing at a time. */
static void readable(int fd)
{
    struct peer *p = peers[fd];
    ssize_t n = recv(fd, p->in + p->len, MAX_REQUEST - p->len, MSG_DONTWAIT);
    char *end;

    if (n <= 0) {
        hang_up(fd);
        return;
    }
    p->len += (size_t)n;
    p->in[p->len] = '\0';
    end = strstr(p->in, "\r\n\r\n");
    if (!end)
        return;
    if (p->len <
        (size_t)(end + 4 - p->in) + strtoul(header(p->in, "\r\nContent-Length: "), NULL, 10))
        return;
    p->len = 0;
    serve(fd, p->in);
}

static void accept_all(int listener, int epoll)
{
    static unsigned serial;
    int fd;

    while ((fd = listener__accept(listener)) >= 0) {
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
        struct peer *p = fd < MAX_CONNECTIONS ? calloc(1, sizeof(*p)) : NULL;

        if (!p) {
            close(fd);
            continue;
        }
        p->serial = ++serial;
        peers[fd] = p;
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
    }
}

int main(int argc, char **argv)
{
    int listener = listener__open();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = listener}, events[256];

    delay_ms = argc > 1 ? atoi(argv[1]) : 0;
    if (listener < 0)
        return 1;
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev);
    for (;;) {
        int n = epoll_wait(epoll, events, 256, answer_late());

        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_all(listener, epoll);
            else
                readable(events[i].data.fd);
        }
    }
}
