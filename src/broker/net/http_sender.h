/* Webhooks over HTTP/1.1 without TLS, on kept connections of our own: what libcurl does for
 * such a request costs four times as much. One of them per loop.
 *
 * A connection that turns out to be closed before a byte of the answer came, and that had
 * answered before, has most likely been closed by the handler while it was idle. Its request
 * goes out once more on a new one (RFC 9112 section 9.3.1), as with libcurl. A handler may
 * have got it twice then, as with any other try (event-handler section 3.6). */
#ifndef BROKER_NET_HTTP_SENDER_H
#define BROKER_NET_HTTP_SENDER_H

#include "broker/http/http_target.h"
#include "broker/net/sender.h"

struct http_sender;

/* NULL: out of memory. */
struct http_sender *http_sender__new(uv_loop_t *loop, struct sender_budget *budget,
                                     exchange_report_fn *report, void *ctx);
/* As webhook__free. */
void http_sender__free(struct http_sender *s);
/* `target` is of req->url. False: out of memory. */
bool http_sender__send(struct http_sender *s, struct exchange *x,
                       const struct upstream_request *req, const struct http_target *target);

#endif
