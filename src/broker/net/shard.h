/* A shard: one thread with an event loop that owns its sockets, its part of every hub
 * and its own webhook sender. Nothing in it is shared; other shards reach it through
 * its mailbox alone.
 *
 * All that happens in one turn of the loop is collected in the sessions' queues and
 * goes out at the end of the turn, one gathered write a connection. */
#ifndef BROKER_NET_SHARD_H
#define BROKER_NET_SHARD_H

#include "base/random.h"
#include "broker/bus/mailbox.h"
#include "broker/net/broker.h"
#include "broker/net/inproc.h"
#include "broker/net/transport.h"
#include "broker/net/trim.h"

struct front;

struct shard {
    const struct broker *broker;
    const struct settings *settings; /* of now; a reference */
    uint8_t index;
    struct core *core;
    struct upstream *upstream;
    struct front *front;
    struct metrics *metrics;
    struct transports transports;
    struct map asking; /* struct asking by hub: clients that wait for a connect handler */
    size_t held;       /* requests that wait for keys of Microsoft Entra */

    uv_loop_t loop;
    struct mailbox mailbox;
    struct postbag *bags; /* of relay.c: what was published in this turn, by shard, */
    bool published;       /* if anything was */
    /* private */
    uv_async_t wake;
    uv_prepare_t turn;
    uv_timer_t timer;
    int64_t timer_at; /* when the timer fires; INT64_MAX: it is stopped */
    struct trim trim;
    struct random_pool random;
    struct webhook *webhook;
    struct inproc *inproc;
    pthread_t thread;
    bool started;
    struct letter keys_letter; /* of shard__keys_settled, again and again */
    atomic_bool keys_posted;
    int64_t drain_until; /* 0: not draining */
    bool drained;
};

/* Takes over the listening socket, also on failure. NULL: `diag` says why. */
struct shard *shard__new(const struct broker *b, const struct settings *settings, uint8_t index,
                         int listen_fd, struct diag *diag);
/* False: no thread to be had. */
bool shard__start(struct shard *s);
/* Its own thread: go on with other settings, to which it takes a reference. */
void shard__configure(struct shard *s, const struct settings *settings);
/* Any thread: Entra's keys were read again, or could not be. */
void shard__keys_settled(struct shard *s);
/* Any thread: begin to shut down; `broker->drained` is posted when that is done. */
void shard__drain(struct shard *s);
/* Any thread: leave the loop. */
void shard__halt(struct shard *s);
/* Waits for the thread, if there is one. */
void shard__join(struct shard *s);
/* When no shard's thread runs any more: frees everything. NULL is fine. */
void shard__free(struct shard *s);

/* It is shutting down: no client is let in any more. */
bool shard__draining(const struct shard *s);

/* Milliseconds of the loop's clock (monotonic), read once a turn. */
int64_t shard__now(const struct shard *s);

/* Brings the gauges of its metrics up to date, as each turn of the loop does at its end. */
void shard__gauge(struct shard *s);

/* Any thread. `open` gets the shard as its reader, or NULL when the letter is to be
 * dropped because the shard has gone. */
void shard__post(struct shard *s, struct letter *letter);

#endif
