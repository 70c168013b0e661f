/* Client activity towards event handlers, without I/O: which handler gets which
 * event, in what order, validated how, tried again when (event-handler sections
 * 1 to 3). HTTP exchanges and timers are the shell's; `now` is always a parameter.
 *
 * Rules. Events of one connection are sent one after the other, in the order they
 * happened; those of different connections do not wait for each other. A URL is
 * validated before its first event; the outcome is cached. 408, 5xx and transport
 * errors are tried again after 1, 3 and 5 s; no try begins after 100 s, and none ends later but for
 * one that had to wait, which has 10 s. Every queue is bounded.
 *
 * Handlers do not delay each other. Each, in each hub, has a gate (gate.h), which lets so
 * many requests pass at a time (maxConcurrentRequests); the rest wait in the order in which
 * they came, as long as their 100 s last, and so many events may wait (maxQueuedEvents).
 *
 * The gate is a circuit breaker. What counts is an event that failed for good, in all of
 * its tries, for want of a handler: no answer, a timeout, 408, 5xx, or a validation that
 * nobody answered. A single try does not count, so a handler that restarts within 9 s fails
 * nobody, however many events come meanwhile. Any other answer, also a refusal, says that
 * the handler is there. After `failures` in a row (10) the gate is shut:
 *
 * - connect and user events fail at once. Somebody waits for them, and would rather know.
 *   So do those that wait for a place or for their next try.
 * - connected, disconnected, joined and left wait, each until 100 s after it happened: nobody
 *   waits for their outcome, and a handler that comes back has to know who has gone. User
 *   events of a connection whose notices wait do not wait behind them: they are not taken.
 * - after 1 s, then 2, 4 ... s up to maxWaitSeconds (10), one event passes as a probe, a
 *   notice that waits or the next event that comes. It has one try. If it fails the gate
 *   stays shut (a notice goes back to its place), else it opens and all that wait pass.
 *
 * A notice has its 100 s once, from when it happened, so that those of a connection, one behind
 * the other, do not wait 100 s each. One that is late to its turn, because the handler was slow
 * with what came before, is lost at a shut gate and else sent. From its turn on it may wait 10 s
 * at least; and each time that the handler is asked for what has waited, it has 10 s at least.
 *
 * Each thread has gates of its own and finds out for itself that a handler is down. When the
 * handler has answered one thread, the others need not wait for their time to ask: the next event
 * sees it, and what waits looks each second. That it is left alone, and that it answers again, is
 * told once, by the thread that finds it out first, with what has failed on all of them; and what
 * /metrics says is what was told. */
#ifndef BROKER_UPSTREAM_UPSTREAM_H
#define BROKER_UPSTREAM_UPSTREAM_H

#include "base/log.h"
#include "base/map.h"
#include "base/metadata.h"
#include "broker/config/settings.h"
#include "broker/metrics/metrics.h"
#include "event/event.h"

#include <stdatomic.h>

struct upstream;
struct upstream_peer; /* one client connection, from its connect event to its disconnected event */
struct exchange;      /* one HTTP request under way */

#define UPSTREAM_TIMEOUT_MS 100000
#define UPSTREAM_LEAST_MS 10000 /* for a place from its turn on, and for the handler once asked */
#define UPSTREAM_MAX_RESPONSE (16u << 20)
#define UPSTREAM_MAX_TOKEN 8192
#define UPSTREAM_PEER_QUEUE 256        /* events waiting for one connection */
#define UPSTREAM_PEER_BYTES (4u << 20) /* their data and metadata, if there is more than one */
#define UPSTREAM_PEER_PRESENCE 1024    /* joins and leaves waiting for one connection */

/* What a handler's token is at the moment. */
struct upstream_token {
    char text[UPSTREAM_MAX_TOKEN + 1];
    uint64_t serial; /* another one has another serial */
    char why[600];   /* there is none: what to change */
};

struct upstream_request {
    const struct http_request *http; /* headers and body; method POST, OPTIONS or GET. NULL for an
                                        in-process handler */
    struct str ca_file;              /* trusted besides the system's issuers; absent: none */
    struct str bearer;               /* token of the Authorization header, valid inside `send`
                                        alone; absent: none */
    struct str url;                  /* absent for an in-process handler */
    void *app;                       /* struct ph_app of an in-process handler, else NULL */
    const struct ph_event *event;    /* for such a handler */
    const void *owner;               /* who waits for it (upstream__connected), and lives as long
                                        as the request; NULL: nobody */
    int64_t timeout_ms;              /* until the headers of the response are there */
};

/* What became of a request. */
struct exchange_result {
    const struct http_response *response; /* NULL: there is none */
    const char *why;                      /* without a response: what happened, what to change */
    bool transient;                       /* without a response: trying again may help */
    enum metric_failure failure;          /* without a response */
};

/* An event as a listener gets it: a CloudEvent in binary mode. */
struct upstream_note {
    const struct event_listener *listener;
    struct str subject;
    struct http_headers headers;
    struct str body;
};

/* What the gates of a handler on all threads have said of it. No gate asks here whether the
 * handler is down, only whether it has answered another since. Zero at first. */
struct upstream_outage {
    atomic_uint shut;     /* gates */
    atomic_uint opened;   /* ... again, so many times */
    atomic_bool told;     /* of the first that shut; not yet that one opened again */
    atomic_size_t unsent; /* events that failed since, because a gate was shut */
};

/* `send`, `cancel` and `make_guid` may be called from inside any function here; the
 * outcomes (`connect_done`, `event_done`) come from inside upstream__done and
 * upstream__tick only, and may call anything here but upstream__free. What they are
 * handed is valid until they return. */
struct upstream_ops {
    /* Start a request. Everything in `req` lives until upstream__done is called for
     * `x`, or until `cancel`. upstream__done must not be called from inside. What has no clock of
     * its own for `timeout_ms` asks for one with exchange__limit, unless it answers before the loop
     * sleeps. False: out of memory, nothing was started. */
    bool (*send)(void *ctx, struct exchange *x, const struct upstream_request *req);
    /* Nobody waits for it any more; do not report on `x` again. */
    void (*cancel)(void *ctx, struct exchange *x);
    /* Outcome of upstream__connect. `status` 0: accept, as `answer` says (NULL: no
     * handler, as the token says); else refuse with this HTTP status (`answer` has what the
     * handler said, NULL if it did not answer). The peer lives
     * on if accepted and is freed after this call if refused. `why` is NULL when accepted. */
    void (*connect_done)(void *ctx, void *token, int status, const struct answer *answer,
                         const char *why);
    /* Outcome of upstream__event; `owner` is the peer's. `answer` NULL or not
     * successful: the event failed, `why` says what to change. */
    void (*event_done)(void *ctx, void *owner, uint64_t ticket, const struct answer *answer,
                       bool no_handler, const char *why);
    /* The bearer token of a handler that has one (auth->origin). False: there is none now;
     * `out->why` says why. The event is then tried again as after any failure. */
    bool (*token)(void *ctx, const struct handler_auth *auth, struct upstream_token *out);
    /* A handler answered 401 to the token of this serial: get another one if there is. */
    void (*token_refused)(void *ctx, const struct handler_auth *auth, uint64_t serial);
    /* A fresh GUID (x-ms-client-request-id), 36 characters and a NUL. */
    void (*make_guid)(void *ctx, char out[37]);
    /* For the log, which need not hear it from each shard: is the verdict on this URL
     * another one than any shard was told before? NULL: always. */
    bool (*is_news)(void *ctx, struct str url, bool consent);
    /* What all threads share about the handler with this identity; valid until upstream__free
     * has returned. NULL, or none: no other thread has gates of it. */
    struct upstream_outage *(*outage)(void *ctx, struct str identity);
    /* An event for an event listener. Copies what it keeps; nobody hears whether it
     * arrives. NULL: there are no listeners. */
    void (*publish)(void *ctx, const struct upstream_note *note);
};

struct upstream_config {
    unsigned max_requests; /* of a handler at a time, unless it has a limit of its own; 0: the
                              default of the settings */
    const struct settings *settings; /* a reference is taken */
    struct str origin;               /* value of WebHook-Request-Origin: host name without port */
    const struct upstream_ops *ops;
    void *ctx;
    struct map_seed seed;
    struct ph_log *log;
    struct metrics *metrics; /* may be NULL */
};

struct upstream *upstream__new(const struct upstream_config *config);
/* Frees everything; exchanges under way are cancelled. */
void upstream__free(struct upstream *up);

/* Other settings from now on. An event that waits already keeps its handler; all URLs are
 * validated again, and events are signed with the new keys. */
void upstream__configure(struct upstream *up, const struct settings *settings);

/* Asks the connect handler of the hub. `connect` has hub, connection_id, user_id,
 * claims, query, headers, subprotocols; all is copied. `connect_done` is called with
 * `token` later. NULL: out of memory, `connect_done` is not called. */
struct upstream_peer *upstream__connect(struct upstream *up, const struct ph_event *connect,
                                        void *token, int64_t now_ms, int64_t unix_ms);
/* Nobody waits for the connect any more (the client went away before connect_done).
 * Frees the peer. After an accepted connect, upstream__disconnected is the way out. */
void upstream__abandon(struct upstream_peer *peer);

/* The connection is established: `owner` is handed to event_done, user_id and
 * subprotocol are the final ones; raises `connected`. */
void upstream__connected(struct upstream_peer *peer, void *owner, struct str user_id,
                         struct str subprotocol, int64_t now_ms, int64_t unix_ms);
/* A user event; `ticket` comes back with event_done. */
struct upstream_event {
    struct str name;
    enum ph_data_type type;
    struct str data;
    struct metadata metadata;
    uint64_t ticket;
};
/* NULL; else why it was not taken: a full queue, or memory. */
const char *upstream__event(struct upstream_peer *peer, const struct upstream_event *event,
                            int64_t now_ms, int64_t unix_ms);
/* Into the cache: what an event touches of the peer, which may be NULL. */
void upstream__fetch(const struct upstream_peer *peer);
/* The connection has joined a group, or has left it or is about to end: raises `joined` or
 * `left` for the first handler that wants to hear of this group. When too many wait, they
 * are lost, which the log tells; `disconnected` still says that a connection is in no
 * group any more. */
void upstream__presence(struct upstream_peer *peer, bool joined, struct str group, int64_t now_ms,
                        int64_t unix_ms);
/* Nobody waits for the outcome of the event with this ticket any more: event_done is not
 * called for it, and it is not sent if it has not been. The handler's work on one that has
 * been sent is not undone. */
void upstream__cancel(struct upstream_peer *peer, uint64_t ticket, int64_t now_ms);
/* The connection is gone for good: user events not yet answered are dropped (one
 * under way is cancelled), event_done is not called any more, `disconnected` is
 * raised behind what remains, and the peer frees itself after it. */
void upstream__disconnected(struct upstream_peer *peer, struct str reason, int64_t now_ms,
                            int64_t unix_ms);

/* Reports on an exchange. `x` is done for; its memory may be used for another try. */
void upstream__done(struct exchange *x, const struct exchange_result *result, int64_t now_ms);
/* The shell has no clock for what it was sent, as the network has: the exchange gives it up when
 * its time is over. For a handler that may take time, not for one that answers at once. */
void exchange__limit(struct exchange *x);
/* A pointer of the shell's own, kept with the exchange: NULL in `send`. */
void exchange__set_shell(struct exchange *x, void *shell);
void *exchange__shell(const struct exchange *x);
/* Who is asked, for texts. */
const char *exchange__target(struct exchange *x);
/* True when the request that was sent last has an `app` and no URL: who has it now. */
bool exchange__in_process(const struct exchange *x);

/* Lets go of the memory that is kept for the next events. */
void upstream__free_spare(struct upstream *up);

/* Does what is due (retries, time limits, outcomes that need no request); returns the
 * next deadline, INT64_MAX if none. Call it before the loop sleeps, after anything else
 * here may have changed the deadline. */
int64_t upstream__tick(struct upstream *up, int64_t now_ms);
/* Events not yet delivered or given up, of all peers; shutdown waits for 0. */
size_t upstream__pending(const struct upstream *up);

#endif
