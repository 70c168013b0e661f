/* What a library waits for, behind one descriptor that the caller's own loop can watch:
 * descriptors, timers and a wake-up from other threads. It is readable whenever
 * loop__process has something to do.
 *
 * Whoever is told (a watch, a timer, the wake-up) may change, remove and free any of them,
 * itself included, but not the loop. All functions but loop__wake belong to one thread at a
 * time. */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include "base/deadlines.h"

#include <sys/epoll.h>

struct loop;

/* A descriptor. The caller owns the memory; loop__unwatch comes before it and the
 * descriptor go. */
struct loop_watch {
    void (*ready)(struct loop_watch *w, unsigned events); /* EPOLLIN and so on */
    void *ctx;
    int fd; /* -1: not watched */
};

/* The caller owns the memory; loop__remove_timer comes before it goes. */
struct loop_timer {
    struct deadline due; /* private */
    void (*ring)(struct loop_timer *t);
    void *ctx;
};

/* NULL: out of memory or of descriptors. */
struct loop *loop__new(void);
/* Everything was unwatched and removed before. */
void loop__free(struct loop *l);
/* The descriptor to watch for reading. */
int loop__fd(const struct loop *l);

/* Level-triggered; `events` may be 0 (errors and hang-ups only). False: out of memory, or
 * epoll refuses the descriptor. */
bool loop__watch(struct loop *l, struct loop_watch *w, int fd, unsigned events);
/* Other events for one that is watched. Does nothing when they are the same to the kernel. */
bool loop__rewatch(struct loop *l, struct loop_watch *w, unsigned events);
/* One that is not watched is fine. */
void loop__unwatch(struct loop *l, struct loop_watch *w);

/* Makes room, so that setting the timer cannot fail. False: out of memory. */
bool loop__add_timer(struct loop *l, struct loop_timer *t);
void loop__remove_timer(struct loop *l, struct loop_timer *t);
/* Rings once, at that time of clock__mono_ms, or at the next turn when it has passed. */
void loop__set_timer(struct loop *l, struct loop_timer *t, int64_t at_ms);
void loop__clear_timer(struct loop *l, struct loop_timer *t);

/* Called in loop__process after loop__wake, once for any number of them. */
void loop__on_wake(struct loop *l, void (*woken)(void *ctx), void *ctx);
/* Any thread, and signal handlers. */
void loop__wake(struct loop *l);

/* Does what is due, without blocking: each descriptor and each timer at most once. */
void loop__process(struct loop *l);
/* The same after waiting for something to be due; a negative time waits for ever. */
void loop__run(struct loop *l, int timeout_ms);

#endif
