#include "serve/reaper.h"

#include "base/clock.h"
#include "base/thread.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define DRAIN_MS 2000
/* Descriptors drained at once; more are closed at once, reset or not. */
#define DRAIN_MAX 64

struct drain {
    int fd;
    int64_t until;
};

struct reaper {
    pthread_t thread;
    pthread_mutex_t lock;
    int wake_fd; /* eventfd: stop, or a new descriptor to drain */
    int64_t limit_ms;
    bool stopping;
    struct reaper_watch *watches;
    struct drain drains[DRAIN_MAX];
    size_t drain_count;
};

static void wake(struct reaper *r)
{
    static const uint64_t one = 1;

    while (write(r->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

/* What the step waited for is here, or was taken just now. */
static bool has_come(struct reaper_watch *w, int64_t since)
{
    bool awaited = atomic_load_explicit(&w->awaited, memory_order_relaxed);
    char byte;
    bool here = awaited && recv(w->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;

    return here || atomic_load_explicit(&w->since, memory_order_relaxed) != since;
}

/* Ends late connections; returns when to look again. A new watch does not wake the
 * thread, so it looks often enough to find one late by a quarter of the limit at most. */
static int64_t reap(struct reaper *r, int64_t now)
{
    int64_t next = r->limit_ms / 4;

    for (struct reaper_watch *w = r->watches; w; w = w->next) {
        int64_t since = atomic_load_explicit(&w->since, memory_order_relaxed);
        int64_t left = since + r->limit_ms - now;

        if (since == 0)
            continue;
        if (left > 0) {
            next = left < next ? left : next;
            continue;
        }
        if (has_come(w, since))
            continue;
        shutdown(w->fd, SHUT_RDWR);
        atomic_store_explicit(&w->since, 0, memory_order_relaxed);
    }
    return next;
}

/* True while the peer may send more. */
static bool drain_some(int fd)
{
    char trash[16384];

    for (int i = 0; i < 16; i++) {
        ssize_t n = recv(fd, trash, sizeof(trash), MSG_DONTWAIT);

        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        if (n < 0)
            break;
    }
    return true;
}

static int64_t drain_all(struct reaper *r, int64_t now)
{
    int64_t next = DRAIN_MS;

    for (size_t i = 0; i < r->drain_count;) {
        struct drain *d = &r->drains[i];

        if (now < d->until && drain_some(d->fd)) {
            next = d->until - now < next ? d->until - now : next;
            i++;
            continue;
        }
        close(d->fd);
        *d = r->drains[--r->drain_count];
    }
    return next;
}

static nfds_t poll_set(const struct reaper *r, struct pollfd *fds)
{
    fds[0] = (struct pollfd){.fd = r->wake_fd, .events = POLLIN};
    for (size_t i = 0; i < r->drain_count; i++)
        fds[i + 1] = (struct pollfd){.fd = r->drains[i].fd, .events = POLLIN};
    return 1 + r->drain_count;
}

static void *run(void *arg)
{
    struct reaper *r = arg;
    struct pollfd fds[1 + DRAIN_MAX];

    pthread_mutex_lock(&r->lock);
    while (!r->stopping) {
        int64_t now = clock__coarse_ms(), next = reap(r, now), drained = drain_all(r, now);
        nfds_t count = poll_set(r, fds);
        uint64_t woken;

        if (r->drain_count > 0 && drained < next)
            next = drained;
        pthread_mutex_unlock(&r->lock);
        if (poll(fds, count, (int)next + 1) > 0 && (fds[0].revents & POLLIN) &&
            read(r->wake_fd, &woken, sizeof(woken)) < 0)
            (void)0; /* somebody else's wake-up was read already */
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

struct reaper *reaper__new(size_t limit_ms)
{
    struct reaper *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->limit_ms = limit_ms < 3600000 ? (int64_t)limit_ms : 3600000;
    pthread_mutex_init(&r->lock, NULL);
    r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->wake_fd >= 0 && thread__start(&r->thread, run, r))
        return r;
    if (r->wake_fd >= 0)
        close(r->wake_fd);
    pthread_mutex_destroy(&r->lock);
    free(r);
    return NULL;
}

void reaper__free(struct reaper *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_mutex_unlock(&r->lock);
    wake(r);
    pthread_join(r->thread, NULL);
    for (size_t i = 0; i < r->drain_count; i++)
        close(r->drains[i].fd);
    close(r->wake_fd);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

void reaper__add(struct reaper *r, struct reaper_watch *w, int fd)
{
    w->fd = fd;
    w->prev = NULL;
    reaper__restart(w);
    pthread_mutex_lock(&r->lock);
    w->next = r->watches;
    if (w->next)
        w->next->prev = w;
    r->watches = w;
    pthread_mutex_unlock(&r->lock);
}

void reaper__remove(struct reaper *r, struct reaper_watch *w)
{
    pthread_mutex_lock(&r->lock);
    if (w->prev)
        w->prev->next = w->next;
    else
        r->watches = w->next;
    if (w->next)
        w->next->prev = w->prev;
    pthread_mutex_unlock(&r->lock);
}

static void begin_step(struct reaper_watch *w, bool awaited)
{
    atomic_store_explicit(&w->since, clock__coarse_ms(), memory_order_relaxed);
    atomic_store_explicit(&w->awaited, awaited, memory_order_relaxed);
}

void reaper__restart(struct reaper_watch *w)
{
    begin_step(w, false);
}

void reaper__await(struct reaper_watch *w)
{
    begin_step(w, true);
}

void reaper__pause(struct reaper_watch *w)
{
    atomic_store_explicit(&w->since, 0, memory_order_relaxed);
}

void reaper__drain(struct reaper *r, int fd)
{
    bool taken;

    pthread_mutex_lock(&r->lock);
    taken = r->drain_count < DRAIN_MAX;
    if (taken)
        r->drains[r->drain_count++] = (struct drain){fd, clock__coarse_ms() + DRAIN_MS};
    pthread_mutex_unlock(&r->lock);
    if (taken)
        wake(r);
    else
        close(fd);
}
