/* The WebSocket upgrade in an HTTP request (RFC 6455 section 4.2.1), and the
 * subprotocols that the client offers. */
#ifndef BROKER_WIRE_UPGRADE_H
#define BROKER_WIRE_UPGRADE_H

#include "base/http.h"

#define UPGRADE_MAX_SUBPROTOCOLS 64

/* 0, or the status to refuse with and why in `diag`: 400, or 426 for another version
 * (the response then needs `Sec-WebSocket-Version: 13`). *key is Sec-WebSocket-Key. */
int upgrade__check(const struct http_request *req, struct str *key, struct diag *diag);

/* The subprotocols in the client's order: 0, 400, or 503 when memory is out. */
int upgrade__offered(struct arena *a, const struct http_headers *headers, struct str **offered,
                     size_t *count, struct diag *diag);

#endif
