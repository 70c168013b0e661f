/* The HTTP front of a shard, on libmicrohttpd: its daemon runs inside the shard's loop
 * with a listening socket of its own. It must not keep WebSockets: an upgraded
 * descriptor is duplicated and libmicrohttpd closes its own at once, because it would
 * hold 20 KiB for each and walk through all of them at each close. */
#ifndef BROKER_NET_FRONT_H
#define BROKER_NET_FRONT_H

#include "broker/net/shard.h"

#include <microhttpd.h>
#include <netdb.h>

#define FRONT_MAX_HEADERS 100
#define FRONT_MAX_HEADER_BYTES (24u << 10)
/* Request line, headers and libmicrohttpd's index of them. Larger pools are slower:
 * the C library maps and unmaps them for each connection. */
#define FRONT_POOL (32u << 10)
#define FRONT_PEER_MAX (NI_MAXHOST + NI_MAXSERV)

struct front;

/* Takes over the listening socket, also on failure. NULL: `diag` says why. */
struct front *front__open(struct shard *s, int listen_fd, struct diag *diag);
/* Stops accepting, and answers new requests and those that wait for a connect handler
 * or for keys with 503. Calls that wait for other shards get their answer from them. */
void front__quiesce(struct front *f);
bool front__is_quiet(const struct front *f);
/* Requests that wait for Entra's keys are judged again. */
void front__keys_settled(struct front *f);
/* Does a request wait for an answer of ours? */
bool front__is_busy(const struct front *f);
/* Closes all connections. NULL is fine. */
void front__close(struct front *f);
/* Address and port of the peer, which may be a proxy; for the log. */
void front__peer(struct MHD_Connection *mhd, char out[FRONT_PEER_MAX]);
/* How many connections have ended or been upgraded since the start. */
uint64_t front__ended(const struct front *f);
/* End of a turn: ends connections that take too long; returns when to look again. */
int64_t front__tick(struct front *f);
/* libmicrohttpd has something to do that shows at no descriptor (a connection was resumed
 * or upgraded); front__tick lets it. */
void front__run(struct front *f);
/* Is there still such work? Then the loop must not sleep. */
bool front__has_work(const struct front *f);

#endif
