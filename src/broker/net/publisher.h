/* The connections to NATS that the event listeners of all hubs share, one for each
 * endpoint. Shards publish from their threads. */
#ifndef BROKER_NET_PUBLISHER_H
#define BROKER_NET_PUBLISHER_H

#include "broker/net/nats_link.h"

#define PUBLISHER_DRAIN_SECONDS 10 /* for what still waits at the end */

struct publisher;

/* NULL: memory is out. */
struct publisher *publisher__new(struct ph_log *log);
/* Any thread: connects to the endpoints that are new. Those that are no longer used are
 * kept until the end. */
void publisher__prepare(struct publisher *p, const struct settings *settings);
/* Any thread; of a listener whose settings were prepared. */
void publisher__publish(struct publisher *p, const struct upstream_note *note);
/* Any thread. */
struct nats_link_counts publisher__count(struct publisher *p);
/* How long publisher__free may take. */
unsigned publisher__drain_seconds(struct publisher *p);
/* Publishes what waits, for PUBLISHER_DRAIN_SECONDS at the most. NULL is fine. */
void publisher__free(struct publisher *p);

#endif
