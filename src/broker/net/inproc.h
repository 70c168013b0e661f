/* Event handlers inside the broker: an event is handed to the application of a plugin.
 * Handlers that never block (ph_plugin_config_never_blocks) are called on the loop's thread,
 * one after the other, by inproc__turn; the others on worker threads of libuv's pool. The
 * report comes on the loop's thread, never from inside inproc__send. */
#ifndef BROKER_NET_INPROC_H
#define BROKER_NET_INPROC_H

#include "base/log.h"
#include "broker/net/webhook.h"

#define INPROC_SLOW_MS 10 /* longer than any handler should take that never blocks */

struct inproc;

/* Each application uses at most `threads` of the pool's worker threads at a time, for this
 * loop; its other requests stand in line, so that a handler that blocks leaves threads to
 * those of other plugins. NULL: out of memory. */
struct inproc *inproc__new(uv_loop_t *loop, unsigned threads, struct ph_log *log,
                           exchange_report_fn *report, void *ctx);
/* Drops the results of what still runs. The memory goes with the last of them, on the
 * loop; the applications must live until then. */
void inproc__free(struct inproc *in);

/* The two ops of struct upstream_ops for requests that have an `app`. What a worker thread
 * gets is a copy, because a handler may outlive a cancelled exchange. False: out of memory. */
bool inproc__send(struct inproc *in, struct exchange *x, const struct upstream_request *req);
/* A handler that runs runs to its end, its result is dropped. */
void inproc__cancel(struct inproc *in, struct exchange *x);
/* Once a turn of the loop, `calls` times at the most: calls the handlers that run on the loop,
 * in the order of their events, and reports. Returns how many it called. Then sends the
 * others to their threads. */
unsigned inproc__turn(struct inproc *in, unsigned calls);
/* True: inproc__turn has something to do again. */
bool inproc__has_work(const struct inproc *in);

#endif
