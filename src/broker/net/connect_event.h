/* The connect event of a client's upgrade request (client-and-rest section 1.5):
 * what the handler is told about claims, query and headers. No I/O. */
#ifndef BROKER_NET_CONNECT_EVENT_H
#define BROKER_NET_CONNECT_EVENT_H

#include "broker/wire/handshake.h"
#include "event/event.h"

/* Everything points into its sources or the arena. False: memory is out. */
bool connect_event__make(struct arena *a, const struct handshake *h,
                         const struct http_headers *headers, struct str connection_id,
                         struct ph_event *out);

#endif
