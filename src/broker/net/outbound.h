/* A TCP connection of the event loop to somebody else: dialled at one address, written in
 * two pieces, read in whatever pieces come. */
#ifndef BROKER_NET_OUTBOUND_H
#define BROKER_NET_OUTBOUND_H

#include "base/str.h"

#include <sys/socket.h>
#include <uv.h>

struct outbound;

/* Called on the loop's thread, never from inside a function here. They may close the
 * connection. */
struct outbound_events {
    void (*opened)(struct outbound *o);
    void (*failed)(struct outbound *o, int error); /* did not open: an errno */
    void (*came)(struct outbound *o, struct str bytes);
    void (*ended)(struct outbound *o, bool orderly);
    void (*closed)(struct outbound *o); /* behind outbound__close: its memory may go */
};

/* Memory that bytes are read into, which all connections of a loop may share. */
struct outbound_room {
    char bytes[64 << 10];
};

struct outbound {
    const struct outbound_events *events;
    struct outbound_room *room;
    uv_timer_t timer; /* until it is open */
    uv_poll_t poll;
    int fd;      /* -1: there is none */
    int error;   /* an errno: it cannot be opened, or written to */
    int watched; /* events */
    bool open;
    unsigned handles;      /* not closed yet */
    struct str head, body; /* not written yet */
};

/* Begins to connect, within `limit_ms`. */
void outbound__dial(struct outbound *o, uv_loop_t *loop, const struct sockaddr *to,
                    int64_t limit_ms, struct outbound_room *room,
                    const struct outbound_events *events);
/* Both live until they are written, or the connection is closed. It is open, and has written
 * what it was given before. A failure is told as its end. */
void outbound__write(struct outbound *o, struct str head, struct str body);
bool outbound__has_written(const struct outbound *o);
/* Nothing has come that was not read yet, not even an end. */
bool outbound__is_quiet(const struct outbound *o);
/* No event but `closed` comes any more. */
void outbound__close(struct outbound *o);

#endif
