/* Webhooks out: HTTP requests of the event loop. Connections are kept and used again.
 * Plain http:// URLs go over HTTP/1.1 of our own (http_sender.h) unless the environment
 * names a proxy, all else over libcurl (curl_sender.h). Redirects are not followed
 * (event-handler section 1: 3xx must not be used). One of them per loop. */
#ifndef BROKER_NET_WEBHOOK_H
#define BROKER_NET_WEBHOOK_H

#include "broker/upstream/upstream.h"

#include <uv.h>

#define WEBHOOK_MAX_HEADERS 200              /* lines of a response */
#define WEBHOOK_MAX_HEADER_BYTES (64u << 10) /* their names and values together */
#define WEBHOOK_BODY_MS 100000               /* from the headers to the end of the body */

struct webhook;

/* Called on the loop's thread, never from inside webhook__send. `result` and all in it
 * are valid until it returns. Usually it is handed on to upstream__done. */
typedef void exchange_report_fn(void *ctx, struct exchange *x,
                                const struct exchange_result *result);

/* At most `max_connections` are open, with those that are kept for use, and a quarter of
 * them to one host, so that a handler that hangs leaves some to the others. Requests
 * beyond that wait for a connection; their time runs meanwhile. NULL: out of memory. */
struct webhook *webhook__new(uv_loop_t *loop, size_t max_connections, exchange_report_fn *report,
                             void *ctx);
/* Cancels all requests and closes all connections; the rest of the memory is freed when
 * the loop has run the close callbacks of its handles. Not from inside a report. */
void webhook__free(struct webhook *w);

/* The two ops of struct upstream_ops for requests that have a URL. False: out of memory, or
 * curl refuses to work. */
bool webhook__send(struct webhook *w, struct exchange *x, const struct upstream_request *req);
/* Safe from inside a report, also for the exchange that is being reported. */
void webhook__cancel(struct webhook *w, struct exchange *x);

#endif
