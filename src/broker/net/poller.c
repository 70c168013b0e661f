#include "broker/net/poller.h"

#include "base/prefetch.h"

#include <unistd.h>

#define WATCH_OWNER 192 /* bytes of it that are touched */

static struct poller_watch *watch_at(const struct poller *p, int at)
{
    return at < p->count ? p->batch[at].data.ptr : NULL;
}

/* While one is worked on, the memory of the next ones comes into the cache: first the owner, and
 * when that is there, what hangs on it. */
static void fetch_ahead(const struct poller *p)
{
    const struct poller_watch *next = watch_at(p, p->at + 1);

    if (next && next->ops->fetch)
        next->ops->fetch(next);
    prefetch__bytes(watch_at(p, p->at + 2), WATCH_OWNER);
}

/* Those that are watched for edges would not come by themselves. */
static void put_back_rest(struct poller *p)
{
    for (; p->at < p->count; p->at++) {
        if (p->batch[p->at].data.ptr)
            poller__again(p, p->batch[p->at].data.ptr);
    }
}

bool poller__look(struct poller *p)
{
    bool any;

    if (p->paused)
        return false;
    p->count = epoll_wait(p->fd, p->batch, POLLER_BATCH, 0);
    for (p->at = 0; p->at < p->count && !p->paused; p->at++) {
        struct poller_watch *watch = p->batch[p->at].data.ptr;

        fetch_ahead(p);
        if (watch)
            watch->ops->ready(watch, p->batch[p->at].events);
    }
    put_back_rest(p);
    any = p->count > 0;
    p->count = p->at = 0;
    return any;
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    (void)events;
    if (status >= 0)
        poller__look(handle->data);
}

bool poller__open(struct poller *p, uv_loop_t *loop)
{
    p->paused = false;
    p->count = p->at = 0;
    p->fd = epoll_create1(EPOLL_CLOEXEC);
    if (p->fd < 0)
        return false;
    if (uv_poll_init(loop, &p->handle, p->fd) != 0) {
        close(p->fd);
        p->fd = -1;
        return false;
    }
    p->handle.data = p;
    uv_poll_start(&p->handle, UV_READABLE, on_readable);
    return true;
}

void poller__pause(struct poller *p, bool pause)
{
    if (p->paused == pause)
        return;
    p->paused = pause;
    if (pause)
        uv_poll_stop(&p->handle);
    else
        uv_poll_start(&p->handle, UV_READABLE, on_readable);
}

void poller__close(struct poller *p)
{
    if (p->fd < 0)
        return;
    uv_close((uv_handle_t *)&p->handle, NULL);
    close(p->fd);
    p->fd = -1;
}

static bool control(struct poller *p, int op, struct poller_watch *watch)
{
    struct epoll_event ev = {.events = watch->events, .data.ptr = watch};

    return epoll_ctl(p->fd, op, watch->fd, &ev) == 0;
}

bool poller__add(struct poller *p, struct poller_watch *watch, int fd, uint32_t events)
{
    watch->fd = fd;
    watch->events = events;
    return control(p, EPOLL_CTL_ADD, watch);
}

bool poller__change(struct poller *p, struct poller_watch *watch, uint32_t events)
{
    watch->events = events;
    return control(p, EPOLL_CTL_MOD, watch);
}

void poller__again(struct poller *p, struct poller_watch *watch)
{
    control(p, EPOLL_CTL_MOD, watch);
}

void poller__remove(struct poller *p, struct poller_watch *watch)
{
    control(p, EPOLL_CTL_DEL, watch);
    for (int i = p->at; i < p->count; i++) {
        if (p->batch[i].data.ptr == watch)
            p->batch[i].data.ptr = NULL;
    }
}
