/* Ends connections that take too long.
 *
 * libmicrohttpd's and libfcgi's own timeouts start again with each byte, so a peer
 * that sends one byte a second would stay for ever. Each watched connection has a
 * moment by which it must have got somewhere; a thread shuts the socket of those down
 * that are late, which ends whatever read or write hangs on it. */
#ifndef SERVE_REAPER_H
#define SERVE_REAPER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reaper;

/* Part of a connection. */
struct reaper_watch {
    _Atomic int64_t since; /* when the current step began (monotonic ms); 0: not watched */
    atomic_bool awaited;   /* the step is the peer's: it is late only while it has sent nothing */
    int fd;
    struct reaper_watch *prev, *next;
};

/* `limit_ms` is what each step may take. NULL when memory or threads are out. */
struct reaper *reaper__new(size_t limit_ms);
/* Joins the thread. Nothing may be watched any more. NULL is fine. */
void reaper__free(struct reaper *r);

/* The descriptor must stay open until reaper__remove returned. */
void reaper__add(struct reaper *r, struct reaper_watch *w, int fd);
void reaper__remove(struct reaper *r, struct reaper_watch *w);
/* A step begins; free of locks, so that it may be called for each request. */
void reaper__restart(struct reaper_watch *w);
/* A step of the peer begins: to send something. However long nobody reads that, it is not late. */
void reaper__await(struct reaper_watch *w);
/* The connection may idle, or is waiting for our own handler. */
void reaper__pause(struct reaper_watch *w);

/* Takes a descriptor over whose peer is still sending what nobody will read: reads
 * it to the end, for at most 2 s, then closes it. Closing at once would make the
 * kernel answer with a reset, and the peer might lose the response (RFC 9112 section 9.6). */
void reaper__drain(struct reaper *r, int fd);

#endif
