/* Readiness of many sockets, watched by one epoll descriptor that sits inside the
 * shard's loop. libuv's own handle for a descriptor costs 160 bytes a connection and
 * a system call at each change of interest is batched there; here a watched socket
 * costs 16 bytes and is registered once. */
#ifndef BROKER_NET_POLLER_H
#define BROKER_NET_POLLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include <uv.h>

#define POLLER_BATCH 512 /* sockets looked at before the loop goes round */

struct poller_watch;

struct poller_ops {
    void (*ready)(struct poller_watch *watch, uint32_t events);
    /* Into the cache: what `ready` touches that is not the watch's owner. NULL: nothing. */
    void (*fetch)(const struct poller_watch *watch);
};

/* First member of whatever owns the socket. */
struct poller_watch {
    const struct poller_ops *ops;
    int fd;
    uint32_t events; /* watched for */
};

struct poller {
    int fd; /* -1: not open */
    uv_poll_t handle;
    bool paused;
    struct epoll_event batch[POLLER_BATCH];
    int count, at; /* of the batch being worked on */
};

/* False: no descriptor to be had. */
bool poller__open(struct poller *p, uv_loop_t *loop);
/* The loop must run once more before the poller's memory goes. */
void poller__close(struct poller *p);

/* Handles what has come by now, as the loop does when it goes round. True if there was any. */
bool poller__look(struct poller *p);

/* While paused, no watch is called; not even for the rest of the batch being worked on, which
 * comes again. */
void poller__pause(struct poller *p, bool pause);

/* With EPOLLET among `events` it is called when something comes, rather than for as long as
 * something is there: the kernel need not look after each call whether there is more. Who leaves
 * something behind asks for another call with poller__again. */
bool poller__add(struct poller *p, struct poller_watch *watch, int fd, uint32_t events);
/* It is called at once if one of the events is there already; also with EPOLLET. */
bool poller__change(struct poller *p, struct poller_watch *watch, uint32_t events);
void poller__again(struct poller *p, struct poller_watch *watch);
/* Also takes events of this watch out of the batch, so that it may be freed. */
void poller__remove(struct poller *p, struct poller_watch *watch);

#endif
