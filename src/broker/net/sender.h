/* What the two ways to send a webhook have in common: ours, and libcurl. */
#ifndef BROKER_NET_SENDER_H
#define BROKER_NET_SENDER_H

#include "broker/net/webhook.h"

#define SENDER_WHY_MAX 576

/* First member of a request under way; what the exchange has as its shell. */
struct sending {
    void (*cancel)(struct sending *sending);
};

/* Connections of both to event handlers. Each may have as many as one host takes even when
 * the other has the rest, so that neither waits for the other for ever. */
struct sender_budget {
    size_t total, per_host;
    size_t open;
};

/* Connections that one of them may have, which has `own` of those that are open. */
size_t sender__share(const struct sender_budget *budget, size_t own);

/* Nothing came in time (event-handler section 3.6: not tried again). `why` has room for
 * SENDER_WHY_MAX. */
struct exchange_result sender__timed_out(char *why, bool has_headers, int64_t timeout_ms);

#endif
