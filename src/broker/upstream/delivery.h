/* Moves a peer's queue on: finds where the first event goes, has that validated, sends
 * it, and tells what came of it. */
#ifndef BROKER_UPSTREAM_DELIVERY_H
#define BROKER_UPSTREAM_DELIVERY_H

#include "broker/upstream/peer.h"

/* Keeps a connect, whose attributes live no longer than this call, and readies the peer for
 * it. False when memory is out. */
bool delivery__prepare_connect(struct upstream_peer *p, const struct ph_event *connect,
                               struct queued_event *q);
/* Starts on the first event unless that has been done; frees a peer that has ended and
 * has none. */
void delivery__proceed(struct upstream_peer *p, int64_t now_ms);
/* Drops all user events; the one under way is cancelled. */
void delivery__drop_user_events(struct upstream_peer *p);
/* The same for the one of that ticket. Call delivery__proceed after it. */
void delivery__drop_user_event(struct upstream_peer *p, uint64_t ticket);
/* As what events of a kind are counted. */
enum metric_event delivery__metric(enum ph_event_kind kind);
/* What a peer's exchange calls. */
exchange_finished_fn delivery__finished;
exchange_target_fn delivery__target;

#endif
