/* Event listeners: they hear of events before handlers do, under the same id, and have no
 * say in what becomes of them (official-emulator section 2.8). */
#ifndef BROKER_UPSTREAM_LISTENING_H
#define BROKER_UPSTREAM_LISTENING_H

#include "broker/upstream/peer.h"

/* Tells all listeners of the hub that want the event, and notes in it that there were some. */
void listening__tell(struct upstream_peer *p, struct queued_event *q,
                     const struct hub_settings *hub);

#endif
