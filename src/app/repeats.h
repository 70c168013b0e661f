/* Events that come more than once, because the service tries again what it has no answer to
 * (event-handler section 3.6): the answers of those that were handled lately, and who waits for
 * one that is being handled. Everything in it is bounded: seconds, entries and bytes. */
#ifndef APP_REPEATS_H
#define APP_REPEATS_H

#include "app/call.h"

struct repeats;

struct repeats_limits {
    unsigned seconds; /* from the answer on */
    size_t entries, bytes;
};

struct repeats *repeats__new(const struct repeats_limits *limits);
/* No event is being handled. NULL is fine. */
void repeats__free(struct repeats *r);

enum repeat {
    REPEAT_NEW,      /* handle it, and then call repeats__end */
    REPEAT_ANSWERED, /* the response is complete */
    REPEAT_WAITS     /* its `done` is called when the one before it is answered */
};
/* An event of a request that may be answered, with its call in place. `r` may be NULL. */
enum repeat repeats__begin(struct repeats *r, struct app_call *call);
/* The response is complete: it is remembered unless it is a failure, which the service tries
 * again (408, 5xx), and those who wait get the same. Does nothing to a call that is not new. */
void repeats__end(struct app_call *call);
/* It will have no response: the next of those who wait, which is to be handled as a new one now,
 * and which the others wait for; or NULL. */
struct app_call *repeats__pass_on(struct app_call *call);
/* Does the call wait for another? Not any more, then. */
bool repeats__withdraw(struct app_call *call);

#endif
