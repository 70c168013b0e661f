/* Who may come in: access tokens of clients and REST callers (client-and-rest
 * sections 1.2 and 5.6), and the reconnection tokens that we hand out (section 3). */
#ifndef BROKER_CORE_ACCESS_H
#define BROKER_CORE_ACCESS_H

#include "base/http.h"
#include "base/jwt.h"
#include "broker/config/settings.h"

#define ACCESS_SKEW_SECONDS 300
#define ACCESS_RECONNECTION_SECONDS (7 * 24 * 3600)

/* What the audience of a token is compared with. */
struct access_request {
    struct str host;     /* Host header of the request: "localhost:8080" */
    struct str own_host; /* address and port the broker listens on, "127.0.0.1:8080" */
    struct str path;     /* as sent, percent-encoded: "/client/hubs/chat" */
    struct str query;    /* what may stand behind '?' in the audience (REST: the query as sent,
                            because SDKs sign the full URL); absent: nothing may */
    bool parent_paths;   /* REST: the audience may also name a parent of the path */
    const struct public_endpoint *endpoints; /* which may stand in place of the Host */
    size_t endpoint_count;
};

/* Checks signature, times and audience. http, https, ws and wss are equal in an
 * audience; so are the request's Host, own_host, loopback names with the same port, and the
 * public endpoints.
 * PH_ERR_AUTH or PH_ERR_SYNTAX with the reason; *claims in the arena. */
enum ph_err access__check(struct arena *a, struct str token, const struct jwt_rules *rules,
                          const struct access_request *request, const struct json **claims,
                          struct diag *diag);

/* Does the token, of which nothing is checked, name the audience of Entra? Then it is
 * judged by those rules alone, and otherwise by those of the access key alone, so that
 * neither kind of key is ever used for the other kind of signature. */
bool access__is_entra(struct arena *a, struct str token, const struct entra_settings *entra);
/* Checks signature, times and issuer of one that does. PH_ERR_NOT_FOUND: it is signed
 * with a key that is not among the public ones. */
enum ph_err access__check_entra(struct arena *a, struct str token, const struct jwt_rules *rules,
                                const struct entra_settings *entra, struct diag *diag);

/* Tokens that let a client take up a lost session again: valid for one connection id. They
 * name its subprotocol, so that any shard can answer with that. */
void access__make_reconnection_token(struct buf *out, struct str connection_id,
                                     const char *subprotocol, const struct mac_key *key,
                                     int64_t now_seconds);
/* As the token says, with nothing checked; absent when it is no token. */
struct str access__reconnection_subprotocol(struct arena *a, struct str token);
enum ph_err access__check_reconnection_token(struct arena *a, struct str token,
                                             struct str connection_id,
                                             const struct jwt_rules *rules, struct diag *diag);

#endif
