/* Why the core ends sessions, in the words of the protocol, and the line that the log
 * gets for each session that ends, for whatever reason. */
#ifndef BROKER_CORE_FAREWELL_H
#define BROKER_CORE_FAREWELL_H

#include "broker/core/session.h"

/* client-and-rest section 3, close codes; official-emulator sections 2.4 to 2.6. */
extern const struct close_reason farewell_slow;         /* the queue is full */
extern const struct close_reason farewell_unacked;      /* too much not acknowledged */
extern const struct close_reason farewell_memory;       /* a frame could not be made or kept */
extern const struct close_reason farewell_expired;      /* nobody recovered it in time */
extern const struct close_reason farewell_raw_publish;  /* raw sendToGroup without role */
extern const struct close_reason farewell_event_failed; /* of a raw client */
extern const struct close_reason farewell_no_handler;   /* likewise */

/* What the event handler is told. */
struct str farewell__reason(const struct close_reason *why);
/* Who was closed, why, and what to change. */
void farewell__log(struct ph_log *log, const struct session *s, const struct close_reason *why);
/* A reliable client has lost its socket and may come back. */
void farewell__log_detached(struct ph_log *log, const struct session *s, struct str reason);

#endif
