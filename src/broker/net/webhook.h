/* Webhooks out: HTTP requests of the event loop, over libcurl's multi interface.
 * Connections are kept and used again (HTTP/1.1, HTTP/2 over TLS); proxies are taken
 * from the environment as curl does; redirects are not followed
 * (event-handler section 1: 3xx must not be used). One of them per loop. */
#ifndef BROKER_NET_WEBHOOK_H
#define BROKER_NET_WEBHOOK_H

#include "broker/upstream/upstream.h"

#include <uv.h>

/* Requests beyond these wait for a connection; their time runs meanwhile. */
#define WEBHOOK_MAX_HOST_CONNECTIONS 256     /* to one handler's host */
#define WEBHOOK_MAX_CONNECTIONS 1024         /* in all, with those kept for use */
#define WEBHOOK_MAX_HEADERS 200              /* lines of a response */
#define WEBHOOK_MAX_HEADER_BYTES (64u << 10) /* their names and values together */
#define WEBHOOK_BODY_MS 100000               /* from the headers to the end of the body */

struct webhook;

/* Called on the loop's thread, never from inside webhook__send. `result` and all in it
 * are valid until it returns. Usually it is handed on to upstream__done. */
typedef void exchange_report_fn(void *ctx, struct exchange *x,
                                const struct exchange_result *result);

/* NULL: out of memory, or curl refuses to work. */
struct webhook *webhook__new(uv_loop_t *loop, exchange_report_fn *report, void *ctx);
/* Cancels all requests and closes all connections; the rest of the memory is freed when
 * the loop has run the close callbacks of its handles. Not from inside a report. */
void webhook__free(struct webhook *w);

/* The two ops of struct upstream_ops for requests that have a URL. False: out of memory. */
bool webhook__send(struct webhook *w, struct exchange *x, const struct upstream_request *req);
/* Safe from inside a report, also for the exchange that is being reported. */
void webhook__cancel(struct webhook *w, struct exchange *x);

#endif
