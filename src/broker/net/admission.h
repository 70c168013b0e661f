/* A client's way in: its upgrade request is judged, the connect handler is asked, the
 * upgrade is answered, and the descriptor becomes the transport of a session, on this
 * shard for a new one and on the shard that owns it for a recovered one
 * (client-and-rest sections 1 and 3). */
#ifndef BROKER_NET_ADMISSION_H
#define BROKER_NET_ADMISSION_H

#include "broker/core/connection_id.h"
#include "broker/net/shard.h"
#include "broker/wire/handshake.h"
#include "event/event.h"

/* Clients of one hub that wait for its connect handler, on one shard. */
struct asking {
    unsigned count;
    size_t hub_len;
    char hub[];
};
struct str asking__hub(const void *asking); /* for the shard's map */

struct admission {
    struct shard *shard;
    struct arena *arena; /* the request's */
    const struct http_request *http;
    struct handshake handshake;
    char id[CONNECTION_ID_LEN + 1]; /* of a new connection */
    struct asking *asking;          /* it is counted there; NULL: nowhere */
    struct upstream_peer *peer;     /* NULL before the connect handler is asked and after the end */
    bool decided;                   /* the connect handler has answered */
    int status;                     /* 0: come in; else the refusal */
    const char *why;                /* of it, for the client */
    const char *detail;             /* ... and for the log */
    struct str body, body_type;     /* for the client, instead of `why`; absent: none */
    void (*ready)(void *arg);       /* the answer has come; never called from inside */
    void *arg;
};

/* Judges the request. True: the outcome is there (`status`). False: `ready` will be
 * called when it is. All memory is the arena's, which like `http` outlives this. */
bool admission__begin(struct admission *a, struct shard *s, struct arena *arena,
                      const struct http_request *http, void (*ready)(void *arg), void *arg);
/* Headers of the 101 response. False: memory or OpenSSL. */
bool admission__answer(const struct admission *a, struct http_headers *out);
/* The 101 response is out: takes over the descriptor and what the client sent behind its request.
 */
void admission__enter(struct admission *a, int fd, struct str early);
/* Its 101 is out, and it cannot be served: for the log. */
void admission__tell_lost(const struct admission *a, const char *why);
/* The request is over, whatever came of it. */
void admission__end(struct admission *a);

/* Outcome of upstream__connect, whose token is the admission. */
void admission__decided(void *token, int status, const struct answer *answer, const char *why);

#endif
