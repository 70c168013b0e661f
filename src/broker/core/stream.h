/* Streams: messages to a group that belong together, in an order that is checked, until
 * the publisher, a time limit or the end of its connection closes them (client-and-rest
 * section 2.4, official-emulator section 3.5).
 *
 * A stream is its publisher's session's, so it survives the loss of a socket and dies with
 * the connection. To its subscribers each fragment is a message of the group like any
 * other, with a place in the stream. */
#ifndef BROKER_CORE_STREAM_H
#define BROKER_CORE_STREAM_H

#include "broker/core/session.h"

/* The publish that opens a stream, whose permission is checked already. NULL, or why it
 * was refused, which the client has been told by streamClosed. */
const struct ack_error *stream__open(struct session *s, const struct command *cmd);
/* The same for one that is not allowed to: tells the client. */
void stream__refuse(struct session *s, struct str id, const struct ack_error *why);
void stream__data(struct session *s, const struct command *cmd);
void stream__end(struct session *s, const struct command *cmd);

/* Fragments are acknowledged at the end of a turn, so that many that come at once cost one
 * ack. Between core__enter and core__leave. */
void stream__acknowledge_all(struct core *core);
/* Behind a recovery: tells the client where each of its streams stands. */
void stream__resume(struct session *s);
/* The connection is over: so are its streams, and their subscribers are told. */
void stream__cancel_all(struct session *s);
/* Without effects. */
void stream__free_all(struct session *s);

#endif
