/* A connection to NATS for event listeners, with a thread that publishes what the shards
 * leave in its queue: neither they nor their clients ever wait for NATS.
 *
 * A message leaves the queue when the server has confirmed that it has it. While NATS is
 * away the queue grows up to its limit; beyond that, new messages are lost, which is
 * counted and logged. After a connection was lost a message may be sent twice, under the
 * same Nats-Msg-Id. */
#ifndef BROKER_NET_NATS_LINK_H
#define BROKER_NET_NATS_LINK_H

#include "base/log.h"
#include "broker/upstream/upstream.h"

#define NATS_LINK_MESSAGES 10000 /* that wait */
#define NATS_LINK_BYTES (64u << 20)

struct nats_link;

/* What is confirmed counts when its denials have been heard of, up to a second later. It cannot
 * be known that all have been: the library puts them into a queue of its own, of which it does not
 * tell, and knows no call that ends behind them. One that is heard of later counts as lost too. */
struct nats_link_counts {
    uint64_t sent, lost, waiting;
};

/* Connects in the background, for as long as it takes. NULL: memory or threads are out. */
struct nats_link *nats_link__new(struct str endpoint, struct ph_log *log);
struct str nats_link__endpoint(const struct nats_link *l);
/* Any thread. Copies the message, or loses it. */
void nats_link__publish(struct nats_link *l, const struct upstream_note *note);
/* Any thread. Adds its own. */
void nats_link__count(struct nats_link *l, struct nats_link_counts *sum);
/* No more messages come: end when the queue is empty, or after so many seconds. */
void nats_link__finish(struct nats_link *l, unsigned seconds);
/* Waits for the end, after nats_link__finish. */
void nats_link__join(struct nats_link *l);
/* When the library has ended, which may still call back. */
void nats_link__free(struct nats_link *l);

#endif
