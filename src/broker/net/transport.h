/* A client's socket after the upgrade: frames in, frames out, the closing handshake,
 * keep-alive. What the frames mean is the session's business.
 *
 * An idle transport owns no buffer: input is read into one that all share, output
 * lies in the session's queue. */
#ifndef BROKER_NET_TRANSPORT_H
#define BROKER_NET_TRANSPORT_H

#include "base/log.h"
#include "broker/core/session.h"
#include "broker/net/poller.h"
#include "broker/net/wheel.h"

#define TRANSPORT_READ_SIZE (64u << 10)

struct transport;

/* All transports of one shard. */
struct transports {
    struct poller poller;
    struct wheel wheel;
    struct transport *pending; /* with a ping, pong or close frame to write, linked */
    char *input;               /* TRANSPORT_READ_SIZE, shared by all */
    struct arena arena;        /* one decoded message */
    struct gather *gather;     /* one write */
    struct metrics *metrics;
    size_t count;
    size_t blocked;               /* of them: their socket is full */
    uint64_t work;                /* that writing was; see transports__flush */
    uint64_t ended;               /* since the start */
    uint32_t message_bytes;       /* of a client's message */
    uint32_t frames_per_second;   /* of one client; 0: no limit */
    unsigned close_seconds;       /* from the wish to close to the end of the socket */
    int64_t (*now_ms)(void *ctx); /* monotonic, read once a turn */
    void (*writing)(void *ctx);   /* somebody is about to read something; may be NULL */
    void *ctx;
};

bool transports__open(struct transports *all, uv_loop_t *loop, unsigned close_seconds,
                      int64_t (*now_ms)(void *ctx), void *ctx);
/* For messages of clients that come from now on, and frames at once. Not to be called
 * while a message is worked on. */
void transports__set_limits(struct transports *all, uint32_t message_bytes,
                            uint32_t frames_per_second);
/* Closes sockets without ceremony and detaches sessions. */
void transports__close(struct transports *all);

/* End of a loop turn: one gathered write for each session with something to send. Answers, and
 * what transports have to say themselves, go at once; of messages for many as much as fits
 * into a turn. False: some are left for the next one. */
bool transports__flush(struct transports *all, struct core *core);
/* Keep-alive pings, dead peers, close handshakes that take too long. Returns when to
 * look again. */
int64_t transports__tick(struct transports *all);

/* Takes over the descriptor, which is closed also on failure: NULL, memory or
 * descriptors are out. Call session__attach next, then transport__start. */
struct transport *transport__new(struct transports *all, int fd, struct session *session,
                                 unsigned keep_alive_seconds);
/* `early` is what came behind the upgrade request, at most TRANSPORT_READ_SIZE; it is
 * read as the first input. `t` may be gone after. */
void transport__start(struct transport *t, struct str early);
/* For a client that gets no session: 101 was sent, now the close frame follows. */
void transport__refuse(struct transports *all, int fd, uint16_t code, struct str reason);

/* The effects of core.h. */
void transport__relieve(struct transport *t);
void transport__close(struct transport *t, uint16_t code, struct str reason);
void transport__abort(struct transport *t);

#endif
