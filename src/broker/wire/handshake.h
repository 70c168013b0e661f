/* A client's upgrade request, judged without I/O: which hub, who, what it may do,
 * which subprotocol, or why not (client-and-rest section 1). */
#ifndef BROKER_WIRE_HANDSHAKE_H
#define BROKER_WIRE_HANDSHAKE_H

#include "base/url.h"
#include "broker/config/settings.h"
#include "broker/core/access.h"
#include "broker/core/format.h"

struct handshake {
    /* When the client is refused: HTTP status, and why in `diag`. 0: go on. */
    int status;

    struct str hub; /* lower case */
    struct str user_id;
    struct str *roles;
    size_t role_count;
    struct str *groups;
    size_t group_count;
    const struct json *claims; /* NULL for an anonymous client */
    struct url_query query;    /* decoded, access_token removed */
    struct str shown_token;    /* the access_token of the query, if the connect event has it */
    struct str *offered;       /* subprotocols in the client's order */
    size_t offered_count;
    struct str subprotocol;      /* to echo in the client's own spelling; absent: none */
    const struct format *format; /* what `subprotocol` means */
    struct str websocket_key;    /* Sec-WebSocket-Key */

    bool recovery; /* awps_connection_id and awps_reconnection_token are given; their check
                      is part of the recovery, which answers 101 and then 1008 (section 3) */
    struct str connection_id;
    struct str reconnection_token;

    struct str publish_group; /* webpubsub_mode=sendToGroup */
    bool publish_no_echo;
};

/* True when the path is one of a client endpoint (so that handshake__read is to be
 * called, whatever it says then). */
bool handshake__is_client_path(struct str path);

/* All results point into `req` and the arena. `own_host` as in access.h. */
void handshake__read(struct arena *a, const struct http_request *req,
                     const struct settings *settings, struct str own_host, int64_t now_seconds,
                     struct handshake *out, struct diag *diag);

/* Are user id and names of groups short enough, and the groups few enough? handshake__read has
 * looked; what a connect handler says is to be looked at as well. PH_ERR_LIMIT. */
enum ph_err handshake__check_lengths(const struct handshake *h, const struct limits *limits,
                                     struct diag *diag);

/* Applies the subprotocol that a connect handler chose: it must be one of those
 * offered (section 1.5); a custom one makes a raw client; an absent or empty one changes
 * nothing. PH_ERR_CONFIG if not. */
enum ph_err handshake__choose(struct handshake *h, struct str subprotocol, struct diag *diag);

#endif
