/**
 * A WebSocket client of Web PubSub: groups, messages, events, invocations and streams over
 * the JSON subprotocols, or raw frames.
 *
 *     struct ph_client_options options = {.url = url, .group_message = show};
 *     struct ph_client *client;
 *     const char *why;
 *
 *     if (ph_client_new(&options, &client, &why))
 *         return fail(why);
 *     ph_client_start(client, NULL, NULL);
 *     ph_client_join_group(client, "lobby", NULL, NULL);
 *     ph_client_send_to_group(client, "lobby", PH_DATA_TEXT, "hello", 5, NULL, NULL, NULL);
 *
 * With the reliable subprotocol (the default) a lost socket is not a lost message: the
 * connection is recovered, what was not acknowledged is sent again under its old ack id, and
 * what the service sends again is told once (client-and-rest section 3). When a connection
 * cannot be recovered, the client connects anew, joins its groups again and sends again what
 * has no answer yet; the service may then carry a request out twice.
 *
 * Threads: a client has a thread of its own, or lives in the program's loop
 * (`own_loop`, ph_client_fd, ph_client_process). Callbacks run on that thread, or inside
 * ph_client_process, one at a time and never inside another call, but for what ph_client_free
 * ends in the program's loop. All functions may be called from any thread and from callbacks,
 * unless it says otherwise.
 */
#ifndef PUBHOOK_CLIENT_H
#define PUBHOOK_CLIENT_H

#include <pubhook/err.h>
#include <pubhook/event.h>
#include <pubhook/log.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ph_client;
struct ph_client_stream;
struct ph_client_future;

enum ph_client_subprotocol {
    PH_CLIENT_RELIABLE, /* json.reliable.webpubsub.azure.v1 */
    PH_CLIENT_JSON,     /* json.webpubsub.azure.v1 */
    PH_CLIENT_RAW       /* no subprotocol: ph_client_send, and data as it comes */
};

/** How an operation ended. Its strings are valid until the callback returns. */
struct ph_client_result {
    /** PH_OK; PH_ERR_FORBIDDEN, PH_ERR_REFUSED: the service said no, `name` and `message` say
     *  why; PH_ERR_TIMEOUT: no answer in time; PH_ERR_CLOSED: the connection or the client
     *  ended first; PH_ERR_CANCELLED; PH_ERR_AUTH: the service let nobody in (start);
     *  PH_ERR_MEMORY. */
    enum ph_err err;
    const char *name;       /* of the service's error, for example "Forbidden"; else "" */
    const char *message;    /* a sentence; "" when all is well */
    int duplicate;          /* PH_OK, because the service had carried out this ack id before */
    uint64_t ack_id;        /* 0: the operation had none */
    enum ph_data_type type; /* of an invocation's answer */
    const void *data;       /* the same; NULL when there is none */
    size_t len;
    const char *user_error_code; /* of a stream that its publisher aborted; NULL: none */
};

/** Told once of each operation that was accepted, however it ends. */
typedef void ph_client_done(struct ph_client *client, const struct ph_client_result *result,
                            void *arg);

struct ph_client_metadata {
    const char *name, *value;
};

/** Where a message belongs that is part of a stream (client-and-rest section 2.4). */
struct ph_client_fragment {
    const char *stream_id;
    uint64_t sequence_id;   /* from 1 */
    int end;                /* the last one; its data may be empty */
    const char *error_name; /* with `end`: why the stream ended too early; NULL: in order */
    const char *error_message, *user_error_code; /* NULL: none */
};

/** A message. Everything in it is valid until the callback returns. */
struct ph_client_message {
    const char *group;        /* NULL: from the server, not from a group */
    const char *from_user_id; /* the sender's; NULL: unknown */
    enum ph_data_type type;
    const void *data; /* text, the JSON value, or the bytes (base64 is decoded); never NULL */
    size_t len;
    uint64_t sequence_id; /* of the reliable subprotocol; else 0 */
    const struct ph_client_metadata *metadata;
    size_t metadata_count;
    const struct ph_client_fragment *fragment; /* NULL: not part of a stream */
};

/**
 * A stream that comes in, from `group_stream` until its `ended` has returned; all of it
 * happens where callbacks run. The first part is told; `group_stream` sets the second.
 */
struct ph_client_incoming {
    const char *group, *stream_id;
    uint64_t sequence_id; /* of the first fragment that came; not 1: the beginning was missed */

    /** Told each fragment, in order, none twice; of an end only if it has data. NULL, as it is at
     * first: this stream is not wanted, its fragments are told to `group_message`. */
    void (*fragment)(struct ph_client_incoming *stream, const struct ph_client_message *message,
                     void *arg);
    /** Told once, and the stream is gone then. May be NULL. PH_OK: it ended in order.
     *  PH_ERR_REFUSED, PH_ERR_FORBIDDEN: by an error, with its name ("UserError", "Cancelled",
     *  "IdleTimeout"...), message and, from the publisher, user_error_code. PH_ERR_TIMEOUT: by
     *  `idle_timeout_ms`. PH_ERR_SYNTAX: a fragment is missing or came twice, or somebody else
     *  publishes in this group under the same id; the fragment that shows it begins a stream
     *  anew. PH_ERR_CLOSED: the connection was lost for good, or stopped, or freed; a
     *  recovery is not noticed. */
    void (*ended)(struct ph_client_incoming *stream, const struct ph_client_result *result,
                  void *arg);
    void *arg;
    uint32_t idle_timeout_ms; /* of silence; not while a connection is recovered; 0: 5 minutes */
};

enum ph_client_backoff {
    PH_CLIENT_BACKOFF_DEFAULT,
    PH_CLIENT_BACKOFF_FIXED,      /* `delay_ms` each time */
    PH_CLIENT_BACKOFF_EXPONENTIAL /* doubled each time, and up to a quarter more by chance */
};

#define PH_CLIENT_NEVER UINT32_MAX

struct ph_client_retry {
    uint32_t retries;      /* PH_CLIENT_NEVER: none */
    uint32_t delay_ms;     /* before the first one; 0: 1000 */
    uint32_t max_delay_ms; /* 0: 30000 */
    enum ph_client_backoff backoff;
};

/** All zero but for `url` or `need_url` is a good start. */
struct ph_client_options {
    /** A client access URL, used for each connection: ws, wss, http or https. */
    const char *url;
    /** Asked for a URL for each new connection, in place of `url`; answer, at once or later
     *  and from any thread, with ph_client_give_url. */
    void (*need_url)(struct ph_client *client, void *arg);
    enum ph_client_subprotocol protocol;
    int own_loop;     /* not 0: no thread, the program calls ph_client_process */
    int no_reconnect; /* not 0: stop when the connection is lost for good */
    int no_rejoin;    /* not 0: do not join the groups again in a new connection */

    /** Connected, and in the groups again; `user_id` is NULL for nobody. For each new
     *  connection, not for a recovered one. */
    void (*connected)(struct ph_client *client, const char *connection_id, const char *user_id,
                      void *arg);
    /** A connection is lost for good. `reason` is what the service or the network said. */
    void (*disconnected)(struct ph_client *client, const char *connection_id, const char *reason,
                         void *arg);
    /** Stopped, by ph_client_stop or because reconnecting is over. ph_client_start starts again. */
    void (*stopped)(struct ph_client *client, void *arg);
    void (*server_message)(struct ph_client *client, const struct ph_client_message *message,
                           void *arg);
    void (*group_message)(struct ph_client *client, const struct ph_client_message *message,
                          void *arg);
    /** A stream comes in that is not known yet: the place to say, in `stream`, whether it is
     *  wanted and who reads it. NULL: none is, and all fragments are told to `group_message`.
     *  A stream that has begun before the group was joined is told with its next fragment, and
     *  likewise one that is heard of again after it `ended` by silence; who wants whole streams
     *  leaves those alone whose `sequence_id` is not 1. */
    void (*group_stream)(struct ph_client *client, struct ph_client_incoming *stream, void *arg);
    void (*rejoin_failed)(struct ph_client *client, const char *group,
                          const struct ph_client_result *result, void *arg);
    /** Shows each frame as it goes out (`outgoing` is not 0) and comes in. A frame may hold
     *  what is secret: the reconnection token of `connected`. */
    void (*trace)(struct ph_client *client, int outgoing, int binary, const char *frame, size_t len,
                  void *arg);
    void *arg; /* of all the callbacks above */

    struct ph_client_retry reconnect; /* retries 0: for ever; EXPONENTIAL */
    /** Of requests that the service failed with InternalServerError, or that had no answer
     *  when their connection was lost for good. retries 0: 3; FIXED. */
    struct ph_client_retry resend;
    uint32_t keep_alive_ms;         /* between pings; 0: 20000 */
    uint32_t keep_alive_timeout_ms; /* silence that ends a socket; 0: 120000 */
    uint32_t connect_timeout_ms;    /* from the URL to `connected`; 0: 30000 */
    uint32_t ack_timeout_ms;        /* from the call to the answer; 0: 30000 */
    uint32_t recovery_ms;           /* how long recovering is tried; 0: 30000 */

    size_t max_message;   /* bytes of an incoming frame, as JSON; 0: 8 MiB */
    size_t max_send;      /* bytes of an outgoing frame, as JSON; 0: 1 MiB, the service's limit */
    size_t max_queue;     /* bytes of requests without an answer; 0: 16 MiB */
    uint32_t max_pending; /* requests without an answer; 0: 1000, which is also the most: so
                             many ack ids does the service remember */

    /** Streams that come in at a time, wanted or not; 0: 256, at most 1000. The fragments of more
     *  are told to `group_message`, and the log, until one of the others has ended. */
    uint32_t max_incoming;

    const char *ca_file; /* PEM; issuers trusted besides the system's; NULL: none */
    const char *proxy;   /* NULL: as the environment says (http_proxy, https_proxy, no_proxy) */
    int insecure;        /* not 0: certificates are not checked. For tests alone */
    struct ph_log *log;  /* NULL: none; outlives the client */
};

/**
 * A client, not started.
 *
 * @param options  copied, with its strings
 * @param out      the client; ph_client_free when it is not needed any more
 * @param why      gets a constant sentence on failure; may be NULL
 * PH_ERR_ARGUMENT: neither `url` nor `need_url`, or a value out of range. PH_ERR_SYNTAX:
 * the URL. PH_ERR_MEMORY. PH_ERR_SYSTEM: no descriptors or no thread.
 */
PH_API enum ph_err ph_client_new(const struct ph_client_options *options, struct ph_client **out,
                                 const char **why);
/**
 * Ends the connection without waiting for the service, fails what has no answer with
 * PH_ERR_CLOSED, and frees; NULL is fine. In a callback of this client it is put off until
 * the callback returns; ph_client_process then returns PH_ERR_CLOSED and the client is gone.
 * Streams must be freed before.
 * Threads: any, once; nothing else may use the client any more.
 */
PH_API void ph_client_free(struct ph_client *client);

/** The descriptor that gets readable when ph_client_process has something to do; -1 unless
 *  `own_loop` was set. */
PH_API int ph_client_fd(const struct ph_client *client);
/**
 * Does what is due and calls the callbacks; never blocks.
 *
 * PH_ERR_STATE: the client has a thread of its own. PH_ERR_CLOSED: a callback has freed it.
 * Threads: one at a time.
 */
PH_API enum ph_err ph_client_process(struct ph_client *client);

/**
 * Connects. `done` is told when the client is connected, or why it is not; it is stopped
 * then. Once connected, it stays so by itself.
 *
 * PH_ERR_MEMORY. A client that is not stopped tells `done` PH_ERR_STATE.
 */
PH_API enum ph_err ph_client_start(struct ph_client *client, ph_client_done *done, void *arg);
/**
 * Ends the connection for good, behind what was sent before; `stopped` is called, and then
 * `done`. What has no answer by then fails with PH_ERR_CLOSED.
 */
PH_API enum ph_err ph_client_stop(struct ph_client *client, ph_client_done *done, void *arg);
/**
 * Answers `need_url`.
 *
 * @param url  copied; NULL: there is none, connecting fails and is tried again later
 * PH_ERR_SYNTAX: not a URL of a client. PH_ERR_MEMORY.
 */
PH_API enum ph_err ph_client_give_url(struct ph_client *client, const char *url);

/**
 * Operations. Each is sent as soon as the client is connected, in the order of the calls.
 * `done` may be NULL. They return PH_OK, and `done` will be told; or, and it will not:
 * PH_ERR_ARGUMENT: a name or data are missing or too long. PH_ERR_LIMIT: `max_queue` or
 * `max_pending`. PH_ERR_UNSUPPORTED: the protocol has no such thing. PH_ERR_CLOSED: in a
 * callback while the client is freed. PH_ERR_MEMORY.
 */

struct ph_client_send_options {
    int no_echo;          /* not to the sender itself (groups) */
    int fire_and_forget;  /* no ack: `done` is told when it is on its way */
    uint64_t ack_id;      /* 0: the next one, behind all that were used; less than 2^63. The
                             same again is not carried out twice */
    uint32_t ttl_seconds; /* of a message to a group, at most 300; 0: none */
    const struct ph_client_metadata *metadata;
    size_t metadata_count;
};

/** Joins a group. */
PH_API enum ph_err ph_client_join_group(struct ph_client *client, const char *group,
                                        ph_client_done *done, void *arg);
/** Leaves a group. */
PH_API enum ph_err ph_client_leave_group(struct ph_client *client, const char *group,
                                         ph_client_done *done, void *arg);
/**
 * Sends to a group.
 *
 * @param data     text, the text of a JSON value, or bytes, which are sent as base64; copied
 * @param options  NULL for none
 */
PH_API enum ph_err ph_client_send_to_group(struct ph_client *client, const char *group,
                                           enum ph_data_type type, const void *data, size_t len,
                                           const struct ph_client_send_options *options,
                                           ph_client_done *done, void *arg);
/** Sends an event to the event handler; parameters as above. */
PH_API enum ph_err ph_client_send_event(struct ph_client *client, const char *event,
                                        enum ph_data_type type, const void *data, size_t len,
                                        const struct ph_client_send_options *options,
                                        ph_client_done *done, void *arg);
/** Sends a frame as it is (PH_CLIENT_RAW): text, or with another type, a binary one. */
PH_API enum ph_err ph_client_send(struct ph_client *client, enum ph_data_type type,
                                  const void *data, size_t len, ph_client_done *done, void *arg);

struct ph_client_invoke_options {
    const char *invocation_id; /* NULL: the next number */
    uint32_t timeout_ms;       /* 0: ack_timeout_ms */
};

/**
 * Asks the event handler and waits for its answer, which is in the result. Never tried
 * again by itself; it fails with PH_ERR_CLOSED when the socket is lost.
 * (client-and-rest section 2.5)
 */
PH_API enum ph_err ph_client_invoke(struct ph_client *client, const char *event,
                                    enum ph_data_type type, const void *data, size_t len,
                                    const struct ph_client_invoke_options *options,
                                    ph_client_done *done, void *arg);
/** Gives up an invocation: it ends with PH_ERR_CANCELLED, if it has no answer yet. */
PH_API enum ph_err ph_client_cancel(struct ph_client *client, const char *invocation_id);

struct ph_client_stream_options {
    const char *stream_id;    /* NULL: a random one */
    uint32_t idle_timeout_ms; /* 0: the service's, 5 minutes */
    int no_echo;
    /** The stream ended before its end was asked for, or was refused. */
    void (*failed)(struct ph_client_stream *stream, const struct ph_client_result *result,
                   void *arg);
    void *arg;
};

/**
 * Opens a stream to a group. Fragments may be written at once; they survive a recovery.
 *
 * @param done  told when the service has accepted it, or why not
 * PH_ERR_LIMIT, PH_ERR_MEMORY, PH_ERR_ARGUMENT, PH_ERR_UNSUPPORTED: as above
 */
PH_API enum ph_err ph_client_open_stream(struct ph_client *client, const char *group,
                                         const struct ph_client_stream_options *options,
                                         struct ph_client_stream **out, ph_client_done *done,
                                         void *arg);
/** Its id, as long as it lives. */
PH_API const char *ph_client_stream_id(const struct ph_client_stream *stream);
/** Sends a fragment; `done` is told when the service has it. PH_ERR_STATE: the stream is over. */
PH_API enum ph_err ph_client_stream_write(struct ph_client_stream *stream, enum ph_data_type type,
                                          const void *data, size_t len, ph_client_done *done,
                                          void *arg);
/** Keeps a stream alive that has nothing to say. */
PH_API enum ph_err ph_client_stream_keep_alive(struct ph_client_stream *stream);
/** Ends it in order. PH_ERR_STATE: it is over. */
PH_API enum ph_err ph_client_stream_end(struct ph_client_stream *stream, ph_client_done *done,
                                        void *arg);
/** Ends it by an error, which subscribers are told; both texts may be NULL. */
PH_API enum ph_err ph_client_stream_abort(struct ph_client_stream *stream, const char *code,
                                          const char *message, ph_client_done *done, void *arg);
/** Forgets it; one that is open is aborted. NULL is fine. */
PH_API void ph_client_stream_free(struct ph_client_stream *stream);

/**
 * Waiting. A thread that may block waits for an operation like this:
 *
 *     struct ph_client_future *f = ph_client_future_new();
 *     if (ph_client_join_group(client, "g", ph_client_resolve, f) == PH_OK)
 *         result = ph_client_future_wait(f);
 *     ph_client_future_free(f);
 */

/** For one operation at a time, any number of times. NULL: out of memory. */
PH_API struct ph_client_future *ph_client_future_new(void);
/** Frees it; not while an operation has it. NULL is fine. */
PH_API void ph_client_future_free(struct ph_client_future *future);
/** The `done` to give to the operation, with the future as its `arg`. */
PH_API void ph_client_resolve(struct ph_client *client, const struct ph_client_result *result,
                              void *future);
/**
 * Waits for the operation that was given the future; each one ends (`ack_timeout_ms`).
 *
 * @return  its result, valid until the future is used again or freed
 * Threads: not in a callback of the client, and with `own_loop` not on the thread that calls
 * ph_client_process: nobody would be left to do what is waited for.
 */
PH_API const struct ph_client_result *ph_client_future_wait(struct ph_client_future *future);

#ifdef __cplusplus
}
#endif
#endif
