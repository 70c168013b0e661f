#include "broker/net/linger.h"

#include "base/list.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct lingerer {
    struct poller_watch watch;
    struct wheel_entry deadline;
    struct lingerers *all;
};

static void end(struct lingerer *c)
{
    poller__remove(c->all->poller, &c->watch);
    wheel__remove(&c->all->wheel, &c->deadline);
    close(c->watch.fd);
    c->all->count--;
    free(c);
}

static void on_ready(struct poller_watch *watch, uint32_t events)
{
    struct lingerer *c = (struct lingerer *)watch;
    char dropped[16384];
    ssize_t n = recv(c->watch.fd, dropped, sizeof(dropped), MSG_DONTWAIT);

    (void)events;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        end(c);
}

static const struct poller_ops watch_ops = {.ready = on_ready};

void linger__init(struct lingerers *l, struct poller *poller, int64_t now_ms)
{
    *l = (struct lingerers){.poller = poller};
    wheel__init(&l->wheel, now_ms);
}

void linger__add(struct lingerers *l, int fd, int64_t now_ms)
{
    struct lingerer *c = l->count < LINGER_MAX ? calloc(1, sizeof(*c)) : NULL;

    if (!c || !poller__add(l->poller, &c->watch, fd, EPOLLIN)) {
        free(c);
        close(fd);
        return;
    }
    c->watch.ops = &watch_ops;
    c->all = l;
    l->count++;
    shutdown(fd, SHUT_WR);
    wheel__put(&l->wheel, &c->deadline, LINGER_SECONDS, now_ms);
}

int64_t linger__tick(struct lingerers *l, int64_t now_ms)
{
    struct wheel_entry *entry;

    while ((entry = wheel__next_due(&l->wheel, now_ms)))
        end(LIST_ITEM(entry, struct lingerer, deadline));
    return wheel__deadline(&l->wheel);
}

void linger__free(struct lingerers *l)
{
    linger__tick(l, (l->wheel.second + WHEEL_SLOTS) * 1000);
}
