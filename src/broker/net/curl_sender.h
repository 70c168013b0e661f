/* Webhooks over libcurl's multi interface: TLS, HTTP/2, proxies (taken from the environment
 * as curl does), and whatever URL is not plain. One of them per loop. */
#ifndef BROKER_NET_CURL_SENDER_H
#define BROKER_NET_CURL_SENDER_H

#include "broker/net/sender.h"

struct curl_sender;

/* NULL: out of memory, or curl refuses to work. */
struct curl_sender *curl_sender__new(uv_loop_t *loop, struct sender_budget *budget,
                                     exchange_report_fn *report, void *ctx);
/* As webhook__free. */
void curl_sender__free(struct curl_sender *s);
/* False: out of memory. */
bool curl_sender__send(struct curl_sender *s, struct exchange *x,
                       const struct upstream_request *req);

#endif
