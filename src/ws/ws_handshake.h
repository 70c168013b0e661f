/* The client's half of the opening handshake (RFC 6455 section 4.1): the request as text,
 * and whether the response is the one to it. */
#ifndef WS_WS_HANDSHAKE_H
#define WS_WS_HANDSHAKE_H

#include "base/buf.h"
#include "base/diag.h"
#include "ws/ws.h"

#define WS_MAX_RESPONSE_HEAD (16u << 10)

struct ws_request {
    struct str host;        /* with the port, unless it is the scheme's own */
    struct str target;      /* path and query, escaped; no control characters */
    struct str subprotocol; /* absent: none */
    char key[WS_KEY_LEN + 1];
};

/* Sec-WebSocket-Key for random bytes. */
void ws_handshake__key(char out[WS_KEY_LEN + 1], const uint8_t nonce[WS_NONCE_LEN]);
void ws_handshake__request(struct buf *out, const struct ws_request *req);
/* Length of the response's head with the empty line that ends it; 0: it goes on. */
size_t ws_handshake__head_len(struct str bytes);
/* Judges a whole head. PH_OK: the connection is open. PH_ERR_AUTH (401), PH_ERR_FORBIDDEN
 * (403), PH_ERR_NOT_FOUND (404), PH_ERR_REFUSED: another status. PH_ERR_SYNTAX: the head
 * breaks a rule of the handshake. `diag` tells why. */
enum ph_err ws_handshake__response(struct str head, const struct ws_request *req,
                                   struct diag *diag);

#endif
