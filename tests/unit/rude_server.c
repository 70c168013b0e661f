#include "rude_server.h"

#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEERS 8 /* connections at a time */

struct peer {
    int fd; /* -1: none */
    size_t len;
    char in[65536];
};

static void drop(struct peer *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    p->len = 0;
}

static void say(int fd, const char *text)
{
    if (text)
        (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* Bytes of the request at the front, 0 while it is not complete. */
static size_t request_length(const struct peer *p)
{
    const char *end = strstr(p->in, "\r\n\r\n"), *length;
    size_t total;

    if (!end)
        return 0;
    total = (size_t)(end - p->in) + 4;
    length = strcasestr(p->in, "\r\ncontent-length:");
    if (length && length < end)
        total += strtoul(length + 17, NULL, 10);
    return p->len >= total ? total : 0;
}

static void answer(struct rude_server *s, struct peer *p)
{
    static const char accepted[] = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
    const struct rude_step *step = s->next;

    atomic_fetch_add(&s->requests, 1);
    snprintf(s->last, sizeof(s->last), "%s", p->in);
    if (!step || step->act == RUDE_END) {
        say(p->fd, accepted);
        return;
    }
    s->next++;
    say(p->fd, step->text);
    if (step->act == RUDE_LAST || step->act == RUDE_CUT)
        drop(p);
}

static void hear(struct rude_server *s, struct peer *p)
{
    ssize_t n = recv(p->fd, p->in + p->len, sizeof(p->in) - 1 - p->len, 0);
    size_t request;

    if (n <= 0) {
        drop(p);
        return;
    }
    p->len += (size_t)n;
    p->in[p->len] = '\0';
    while (p->fd >= 0 && (request = request_length(p)) > 0) {
        answer(s, p);
        if (p->fd < 0)
            return;
        p->len -= request;
        memmove(p->in, p->in + request, p->len + 1);
    }
}

static void let_in(struct rude_server *s, struct peer *peers)
{
    int fd = accept(s->listener, NULL, NULL);
    struct peer *p = peers;

    while (p < peers + PEERS && p->fd >= 0)
        p++;
    if (fd < 0 || p == peers + PEERS) {
        close(fd);
        return;
    }
    p->fd = fd;
    atomic_fetch_add(&s->connections, 1);
}

/* Reads over what it has sent; false when it is gone. */
static bool is_there(struct peer *p)
{
    ssize_t n;

    do {
        n = recv(p->fd, p->in, sizeof(p->in) - 1, MSG_DONTWAIT);
    } while (n > 0);
    p->len = 0;
    return n < 0 && errno == EAGAIN;
}

static void begin(struct rude_server *s, struct peer *peers)
{
    struct pollfd waiting = {.fd = s->listener, .events = POLLIN};
    uint64_t count;

    if (read(s->wake, &count, sizeof(count)) < 0)
        return;
    while (poll(&waiting, 1, 0) == 1 && waiting.revents == POLLIN)
        let_in(s, peers);
    for (size_t i = 0; i < PEERS; i++) {
        if (peers[i].fd >= 0 && !is_there(&peers[i]))
            drop(&peers[i]);
    }
    s->next = s->coming;
    atomic_store(&s->requests, 0);
    atomic_store(&s->connections, 0);
    sem_post(&s->begun);
}

static void *run(void *arg)
{
    static struct peer peers[PEERS];
    struct rude_server *s = arg;

    for (size_t i = 0; i < PEERS; i++)
        peers[i] = (struct peer){.fd = -1};
    while (!atomic_load(&s->stopping)) {
        struct pollfd fds[PEERS + 2] = {{.fd = s->listener, .events = POLLIN},
                                        [PEERS + 1] = {.fd = s->wake, .events = POLLIN}};

        for (size_t i = 0; i < PEERS; i++)
            fds[i + 1] = (struct pollfd){.fd = peers[i].fd, .events = POLLIN};
        poll(fds, PEERS + 2, -1);
        if (fds[PEERS + 1].revents) {
            begin(s, peers);
            continue;
        }
        for (size_t i = 0; i < PEERS; i++) {
            if (fds[i + 1].revents)
                hear(s, &peers[i]);
        }
        if (fds[0].revents & POLLIN)
            let_in(s, peers);
        else if (fds[0].revents)
            break;
    }
    for (size_t i = 0; i < PEERS; i++)
        drop(&peers[i]);
    return NULL;
}

void rude_server__start(struct rude_server *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);

    memset(s, 0, sizeof(*s));
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(s->listener >= 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(s->listener, PEERS), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&at, &size), 0);
    s->port = ntohs(at.sin_port);
    s->wake = eventfd(0, EFD_CLOEXEC);
    assert_true(s->wake >= 0);
    sem_init(&s->begun, 0, 0);
    assert_int_equal(pthread_create(&s->thread, NULL, run, s), 0);
}

void rude_server__stop(struct rude_server *s)
{
    atomic_store(&s->stopping, 1);
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    sem_destroy(&s->begun);
    close(s->wake);
    close(s->listener);
}

void rude_server__play(struct rude_server *s, const struct rude_step *script)
{
    static const uint64_t one = 1;

    s->coming = script;
    assert_int_equal(write(s->wake, &one, sizeof(one)), sizeof(one));
    assert_int_equal(unit__wait(&s->begun), 0);
}
