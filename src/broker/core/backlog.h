/* Sessions with something to send, each once. Those that are told something of their own
 * (an ack, a pong, an event's answer) come before those that a message for many has gone to,
 * so that nobody's answer waits until all of these are written to. */
#ifndef BROKER_CORE_BACKLOG_H
#define BROKER_CORE_BACKLOG_H

#include "base/list.h"

#include <stdint.h>

struct session;

struct backlog {
    struct link answered, others; /* in the order in which they got something */
    size_t sessions;
    uint64_t frames; /* that wait, about */
};

void backlog__init(struct backlog *b);
/* The session has got a frame, which is for it alone if it is an `answer`. */
void backlog__add(struct backlog *b, struct session *s, bool answer);
void backlog__remove(struct backlog *b, struct session *s);
/* Takes off the next one; NULL when there is none. */
struct session *backlog__next_answered(struct backlog *b);
struct session *backlog__next(struct backlog *b);

#endif
