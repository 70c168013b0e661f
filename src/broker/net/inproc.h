/* Event handlers inside the broker: an exchange is served by the application of a
 * plugin (ph_app_serve) on a worker thread of libuv's pool, since handlers may block.
 * The report comes on the loop's thread. */
#ifndef BROKER_NET_INPROC_H
#define BROKER_NET_INPROC_H

#include "broker/net/webhook.h"

struct inproc;

/* Each application uses at most `threads` of the pool's worker threads at a time, for this
 * loop; its other requests stand in line, so that a handler that blocks leaves threads to
 * those of other plugins. NULL: out of memory. */
struct inproc *inproc__new(uv_loop_t *loop, unsigned threads, exchange_report_fn *report,
                           void *ctx);
/* Drops the results of what still runs. The memory goes with the last of them, on the
 * loop; the applications must live until then. */
void inproc__free(struct inproc *in);

/* The two ops of struct upstream_ops for requests that have an `app`. The request is
 * copied, because a handler may outlive a cancelled exchange. False: out of memory. */
bool inproc__send(struct inproc *in, struct exchange *x, const struct upstream_request *req);
/* The handler runs to its end, its result is dropped. */
void inproc__cancel(struct inproc *in, struct exchange *x);

#endif
