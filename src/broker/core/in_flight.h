/* Events of one client that wait for the event handler's answer, known by their tickets.
 * There are as many as the handler's queue lets wait, they come and go at the ends: a
 * plain array does. */
#ifndef BROKER_CORE_IN_FLIGHT_H
#define BROKER_CORE_IN_FLIGHT_H

#include "broker/core/session.h"

struct invocation;

/* What the client is to be told at the end: an ack or, for an invocation, its response. */
struct in_flight {
    uint64_t ticket;
    uint64_t ack_id;
    struct invocation *invocation; /* NULL: an event with an ack id */
};

/* The ticket of the new entry; 0: memory is out. */
uint64_t in_flight__add(struct session *s, uint64_t ack_id, struct invocation *invocation);
/* False when there is none of that ticket. */
bool in_flight__take(struct session *s, uint64_t ticket, struct in_flight *out);
/* Is an event of that ack id under way? */
bool in_flight__has_ack_id(const struct session *s, uint64_t ack_id);
/* Without effects. */
void in_flight__free_all(struct session *s);

#endif
