#include "loop/loop.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define BATCH 64 /* descriptors in one turn; the others stay readable for the next */
#define NEVER INT64_MAX

struct loop {
    int epoll;
    struct loop_watch clock; /* a timerfd */
    struct loop_watch bell;  /* an eventfd */
    struct deadlines timers;
    int64_t armed_ms; /* when the timerfd gets readable */
    int64_t now_ms;   /* of the turn */
    void (*woken)(void *ctx);
    void *ctx;
    bool processing;
    int batch_at, batch_len;
    struct epoll_event batch[BATCH];
};

static struct loop_timer *timer_of(struct deadline *d)
{
    return (struct loop_timer *)d;
}

/* --- Descriptors ---------------------------------------------------------------- */

bool loop__watch(struct loop *l, struct loop_watch *w, int fd, unsigned events)
{
    struct epoll_event ev = {.events = events, .data.ptr = w};

    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
        w->fd = -1;
        return false;
    }
    w->fd = fd;
    return true;
}

bool loop__rewatch(struct loop *l, struct loop_watch *w, unsigned events)
{
    struct epoll_event ev = {.events = events, .data.ptr = w};

    return epoll_ctl(l->epoll, EPOLL_CTL_MOD, w->fd, &ev) == 0;
}

void loop__unwatch(struct loop *l, struct loop_watch *w)
{
    if (w->fd < 0)
        return;
    epoll_ctl(l->epoll, EPOLL_CTL_DEL, w->fd, NULL);
    w->fd = -1;
    for (int i = l->batch_at; i < l->batch_len; i++) { /* it may be told of in this turn */
        if (l->batch[i].data.ptr == w)
            l->batch[i].data.ptr = NULL;
    }
}

/* The counter of a timerfd or an eventfd. */
static void drain(int fd)
{
    uint64_t count;
    ssize_t n;

    do {
        n = read(fd, &count, sizeof(count));
    } while (n < 0 && errno == EINTR);
}

/* --- Timers ---------------------------------------------------------------------- */

/* Within a turn this is left to its end. */
static void arm(struct loop *l)
{
    const struct deadline *first = deadlines__first(&l->timers);
    int64_t at_ms = first ? first->at_ms : NEVER;
    struct itimerspec when = {0};

    if (l->processing || at_ms == l->armed_ms)
        return;
    l->armed_ms = at_ms;
    if (at_ms != NEVER) {
        int64_t at = at_ms > 0 ? at_ms : 1; /* all zero would disarm it */

        when.it_value.tv_sec = (time_t)(at / 1000);
        when.it_value.tv_nsec = (long)(at % 1000) * 1000000;
    }
    timerfd_settime(l->clock.fd, TFD_TIMER_ABSTIME, &when, NULL);
}

bool loop__add_timer(struct loop *l, struct loop_timer *t)
{
    t->due = (struct deadline){0};
    return deadlines__reserve(&l->timers);
}

void loop__remove_timer(struct loop *l, struct loop_timer *t)
{
    loop__clear_timer(l, t);
    deadlines__release(&l->timers);
}

/* One that is set within a turn rings in a later one, so that a turn ends. */
void loop__set_timer(struct loop *l, struct loop_timer *t, int64_t at_ms)
{
    if (l->processing && at_ms <= l->now_ms)
        at_ms = l->now_ms + 1;
    deadlines__set(&l->timers, &t->due, at_ms);
    arm(l);
}

void loop__clear_timer(struct loop *l, struct loop_timer *t)
{
    deadlines__clear(&l->timers, &t->due);
    arm(l);
}

static void ring_due(struct loop *l)
{
    struct deadline *first;

    while ((first = deadlines__first(&l->timers)) && first->at_ms <= l->now_ms) {
        deadlines__clear(&l->timers, first);
        timer_of(first)->ring(timer_of(first));
    }
}

/* --- Turns ------------------------------------------------------------------------ */

static void clock_ready(struct loop_watch *w, unsigned events)
{
    struct loop *l = w->ctx;

    (void)events;
    drain(w->fd);
    l->armed_ms = NEVER;
}

static void bell_rung(struct loop_watch *w, unsigned events)
{
    struct loop *l = w->ctx;

    (void)events;
    drain(w->fd);
    if (l->woken)
        l->woken(l->ctx);
}

void loop__on_wake(struct loop *l, void (*woken)(void *ctx), void *ctx)
{
    l->woken = woken;
    l->ctx = ctx;
}

void loop__wake(struct loop *l)
{
    const uint64_t one = 1;
    ssize_t n;

    do { /* EAGAIN: it was woken more often than can be counted, so it is awake */
        n = write(l->bell.fd, &one, sizeof(one));
    } while (n < 0 && errno == EINTR);
}

void loop__process(struct loop *l)
{
    l->processing = true;
    l->batch_len = epoll_wait(l->epoll, l->batch, BATCH, 0);
    l->now_ms = clock__mono_ms();
    for (l->batch_at = 0; l->batch_at < l->batch_len;) {
        const struct epoll_event *ev = &l->batch[l->batch_at++];
        struct loop_watch *w = ev->data.ptr;

        if (w)
            w->ready(w, ev->events);
    }
    l->batch_at = l->batch_len = 0;
    ring_due(l);
    l->processing = false;
    arm(l);
}

void loop__run(struct loop *l, int timeout_ms)
{
    struct pollfd poller = {.fd = l->epoll, .events = POLLIN};

    poll(&poller, 1, timeout_ms); /* a signal only makes the turn an empty one */
    loop__process(l);
}

/* --- Interface -------------------------------------------------------------------- */

struct loop *loop__new(void)
{
    struct loop *l = calloc(1, sizeof(*l));
    int clock, bell;

    if (!l)
        return NULL;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    clock = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->clock = (struct loop_watch){clock_ready, l, -1};
    l->bell = (struct loop_watch){bell_rung, l, -1};
    l->armed_ms = NEVER;
    if (l->epoll >= 0 && clock >= 0 && bell >= 0 && loop__watch(l, &l->clock, clock, EPOLLIN) &&
        loop__watch(l, &l->bell, bell, EPOLLIN))
        return l;
    for (size_t i = 0; i < 3; i++) {
        int fd = (const int[]){l->epoll, clock, bell}[i];

        if (fd >= 0)
            close(fd);
    }
    free(l);
    return NULL;
}

void loop__free(struct loop *l)
{
    if (!l)
        return;
    close(l->clock.fd);
    close(l->bell.fd);
    close(l->epoll);
    deadlines__free(&l->timers);
    free(l);
}

int loop__fd(const struct loop *l)
{
    return l->epoll;
}
