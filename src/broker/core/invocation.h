/* Invocations: a client asks the event handler and waits for the answer (client-and-rest
 * section 2.5, official-emulator section 3.4). To the handler they are user events, in one
 * queue with the others. What the service calls its errors and how long it waits is
 * UNCONFIRMED; the names here are those of its acks (section 2.3). */
#ifndef BROKER_CORE_INVOCATION_H
#define BROKER_CORE_INVOCATION_H

#include "broker/core/session.h"

struct invocation;

void invocation__start(struct session *s, const struct command *cmd);
/* The client does not want the answer any more, and gets none. */
void invocation__cancel(struct session *s, const struct command *cmd);
/* What the handler said goes to the client or, if it has a `problem` (for the log), an
 * error; frees the invocation, which is not in flight any more. */
void invocation__answer(struct invocation *i, const struct event_answer *answer,
                        const char *problem);
/* Behind a recovery. The SDK has given up what it waited for, so it may well ask again
 * with the same id: whoever does gets the answer that is on its way. */
void invocation__forgive(struct session *s);
/* Without effects; NULL is fine. */
void invocation__free(struct invocation *i);

#endif
