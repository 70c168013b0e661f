/* How a session gets its socket: the first one, and a new one after a loss. Any shard
 * may have accepted it; the descriptor travels to the one that owns the session
 * (client-and-rest section 3). */
#ifndef BROKER_NET_RECOVERY_H
#define BROKER_NET_RECOVERY_H

#include "broker/net/shard.h"

/* Attaches a descriptor, which is taken over, to a session of this shard. False: out of
 * memory or descriptors, and the session is as before. Else the session may have ended. */
bool recovery__attach(struct shard *s, struct session *session, int fd, struct str early);

/* Takes over the descriptor of a client that wants its session back. A refusal is a
 * close with 1008 on the socket that is a WebSocket already, because clients try for
 * 30 s after anything else. */
void recovery__begin(struct shard *s, struct str hub, struct str connection_id, struct str token,
                     int fd, struct str early);

#endif
