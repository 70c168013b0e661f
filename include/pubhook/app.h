/**
 * An application: settings, the registered handlers, and the function that turns
 * one HTTP request into one HTTP response. It does no I/O; pubhook/serve.h runs it
 * over HTTP, FastCGI and CGI, and a program with an HTTP server of its own calls
 * ph_app_serve.
 *
 * Configure and register first, from one thread; then serve from any number.
 */
#ifndef PUBHOOK_APP_H
#define PUBHOOK_APP_H

#include <pubhook/event.h>
#include <pubhook/log.h>
#include <pubhook/reply.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ph_app;
struct ph_service_options;
struct ph_request;
struct ph_response;

/** @return a new application with default settings, or NULL when memory is out. */
PH_API struct ph_app *ph_app_new(void);
/**
 * Frees the application and the arguments of its handlers (by their free functions). Events that
 * still wait for a deferred answer fail, and all answers that are being given are done when it
 * returns: it must not be called by a handler or another function that the application calls.
 * NULL is fine.
 */
PH_API void ph_app_free(struct ph_app *app);

/**
 * Adds a general access key; events signed with any of them are accepted. The key is used
 * as the text it is, never base64-decoded. Keys for each service host, from files and
 * functions, and in place of others: pubhook/auth.h.
 * PH_ERR_ARGUMENT: empty. PH_ERR_LIMIT: over 1024 keys. PH_ERR_MEMORY.
 */
PH_API enum ph_err ph_app_add_key(struct ph_app *app, const char *key);
/**
 * Takes key and allowed origin from a connection string
 * ("Endpoint=...;AccessKey=...;Version=1.0;"). The key is a general one. Of several connection
 * strings, one in each line, each key is for the events of its own host.
 *
 * @param connection_string  NULL reads the environment variable WebPubSubConnectionString
 * PH_ERR_NOT_FOUND: NULL was given and the variable is not set. PH_ERR_SYNTAX. PH_ERR_LIMIT.
 * PH_ERR_MEMORY.
 */
PH_API enum ph_err ph_app_use_connection_string(struct ph_app *app, const char *connection_string);
/**
 * The service that handlers call (ph_event_service, pubhook/service.h). Without this call it is
 * that of ph_app_use_connection_string: of several, the one whose host has sent the event, or
 * the first.
 *
 * Called again, it changes the connection string of the clients that handlers have, and
 * leaves out the options.
 *
 * @param options  NULL for the defaults; `thread` is always set: one thread of the application
 *                 sends what handlers post
 * @param why      as for ph_service_new, with its errors; may be NULL
 * Threads: any, also while events are served.
 */
PH_API enum ph_err ph_app_set_service(struct ph_app *app, const char *connection_string,
                                      const struct ph_service_options *options, const char **why);
/** Accept events without checking a signature. Without a key and without this call the application
 *  refuses to serve. */
PH_API void ph_app_allow_unsigned(struct ph_app *app);
/**
 * Allows a service host to send events ("contoso.webpubsub.azure.com"; compared
 * without case and port; "*" for any; the names of the loopback interface are equal).
 * Hosts that have keys of their own (pubhook/auth.h) are allowed without it. Without any call,
 * every host that signs correctly is allowed. PH_ERR_ARGUMENT: empty, or a URL. PH_ERR_MEMORY.
 */
PH_API enum ph_err ph_app_allow_origin(struct ph_app *app, const char *host);
/** The path that events are posted to; default "/eventhandler". Requests to it and below it
 *  (".../validate", ".../message") are served, others get 404. */
PH_API enum ph_err ph_app_set_path(struct ph_app *app, const char *path);
/** Where the application reports; the log must outlive it. Default: none. */
PH_API void ph_app_set_log(struct ph_app *app, struct ph_log *log);

enum ph_limit {
    PH_LIMIT_BODY,         /* bytes of a request body; default 1 MiB + 64 KiB; past it 413 */
    PH_LIMIT_HEADERS,      /* header lines; default 100; past it 431 */
    PH_LIMIT_HEADER_BYTES, /* bytes of header names and values; default 32 KiB; past it 431 */
    PH_LIMIT_JSON_DEPTH,   /* nesting of JSON in a request; default 64; past it 400 */
    PH_LIMIT_REQUEST_MS,   /* milliseconds until a request must be complete; default 30,000 */
    PH_LIMIT_PENDING,      /* events whose reply is deferred; default 10,000; past it 503 */
    PH_LIMIT_CONNECTIONS,  /* connections open at once; default 16,384; more wait */
    PH_LIMIT_COUNT
};

/** PH_ERR_ARGUMENT: unknown limit, 0, or too large. That of connections counts for each server that
 *  starts to serve after it was set. */
PH_API enum ph_err ph_app_set_limit(struct ph_app *app, enum ph_limit limit, size_t value);
PH_API size_t ph_app_limit(const struct ph_app *app, enum ph_limit limit);

/**
 * Gives handlers that block (on a database, another service, a file) threads of their own, so
 * that however long they take, the server's threads read and answer other requests. Without
 * this call, handlers run on the threads of the server.
 *
 * Events stand in line for a thread in the order in which they came; with more than one thread
 * they are handled side by side. The service sends the next event of a connection when the one
 * before is answered (event-handler section 3.6), so those of one connection stay in order.
 * Handlers of plugins that never block (ph_plugin_config_never_blocks) run on the threads of
 * the server all the same. A handler that waits for something that calls back does better to
 * defer its reply (pubhook/defer.h), which takes no thread at all.
 *
 * @param threads  1 to 256
 * @param queue    events that may stand in line; one more is answered with 503, and the log
 *                 says so. 0 for 1024
 * PH_ERR_ARGUMENT: number of threads. PH_ERR_STATE: called before. PH_ERR_SYSTEM: the threads
 * cannot be started. Before the application serves; not in a process that forks later.
 */
PH_API enum ph_err ph_app_set_workers(struct ph_app *app, unsigned threads, size_t queue);

/* Defaults of ph_app_set_deduplication. */
#define PH_DEDUPLICATION_ENTRIES 10000
#define PH_DEDUPLICATION_BYTES (16u << 20)
/**
 * Remembers answers, so that an event that comes again is not handled again. The service sends an
 * event again when it has got no answer or a failure, up to three times within ten seconds
 * (docs/protocol/event-handler.md section 3.6).
 *
 * An event that was answered gets the same status, headers and body. One that is being
 * handled, also one whose reply is deferred, gets its answer when it is there; when whoever sent
 * the first one has gone before, it is handled in its place. Failures (5xx and 408) are not
 * remembered, for they are sent again to be handled again. Events are the same when
 * they have the same origin, hub, connection, type, id and body, and the same
 * x-ms-client-request-id, ce-physicalConnectionId and ce-sessionId where there are any: MQTT
 * clients choose their connection ids and may use them again, with event ids that begin anew. Only
 * requests that are signed as all others get here. Events that pubhook-broker hands to plugins
 * inside of it are not sent again.
 *
 * What is remembered is bounded; the oldest goes first. An event is handled as often as it
 * comes when those that are being handled take all the room. CGI remembers nothing.
 *
 * @param seconds  how long an answer is remembered, 1 to 86400; 0: not at all, the default
 * @param entries  how many; 0 for 10,000
 * @param bytes    of all together; 0 for 16 MiB. A larger answer is not remembered
 * PH_ERR_ARGUMENT, PH_ERR_MEMORY. Threads: one, before events are served.
 */
PH_API enum ph_err ph_app_set_deduplication(struct ph_app *app, unsigned seconds, size_t entries,
                                            size_t bytes);

/**
 * A handler. It may be called by several threads at once, also for the same
 * connection, and must not keep `ev`. It returns a decision (pubhook/reply.h).
 */
typedef struct ph_reply *ph_handler_fn(const struct ph_event *ev, void *arg);

/**
 * Registers a handler. Handlers are asked in the order of registration until one
 * does not return ph_reply_pass().
 *
 * @param hub      the hub it is for, compared without case; NULL for any hub
 * @param fn       the handler
 * @param arg      handed to the handler
 * @param free_fn  called with `arg` when the application is freed, also when
 *                 registration fails; NULL if there is nothing to free
 * PH_ERR_ARGUMENT, PH_ERR_MEMORY.
 */
PH_API enum ph_err ph_app_on_connect(struct ph_app *app, const char *hub, ph_handler_fn *fn,
                                     void *arg, void (*free_fn)(void *arg));
PH_API enum ph_err ph_app_on_connected(struct ph_app *app, const char *hub, ph_handler_fn *fn,
                                       void *arg, void (*free_fn)(void *arg));
PH_API enum ph_err ph_app_on_disconnected(struct ph_app *app, const char *hub, ph_handler_fn *fn,
                                          void *arg, void (*free_fn)(void *arg));
/**
 * The same for clients that join and leave groups. The service sends these events only to
 * handlers whose setting `groupPresenceEvents` asks for them (pubhook-broker(1)).
 */
PH_API enum ph_err ph_app_on_joined(struct ph_app *app, const char *hub, ph_handler_fn *fn,
                                    void *arg, void (*free_fn)(void *arg));
PH_API enum ph_err ph_app_on_left(struct ph_app *app, const char *hub, ph_handler_fn *fn, void *arg,
                                  void (*free_fn)(void *arg));
/**
 * The same for user events.
 *
 * @param pattern  event names, compared without case: "*" for all, a name, or a
 *                 name with "*" in it for any run of characters
 */
PH_API enum ph_err ph_app_on_event(struct ph_app *app, const char *hub, const char *pattern,
                                   ph_handler_fn *fn, void *arg, void (*free_fn)(void *arg));

/**
 * Loads a plugin (pubhook/plugin.h) and registers its handlers, after those that are
 * registered already. It is closed when the application is freed. What it logs goes where
 * ph_app_set_log said before.
 *
 * @param spec  "FILE.so" or "FILE.so?key=value&..."; FILE without a slash is looked for in the
 *              working folder, then among the installed handlers. The key `hub`, which may be
 *              repeated, names the hubs that the handlers are for; without it, any
 * @param why   gets a sentence on failure, valid until the next call on this thread; may
 *              be NULL. Nothing is registered then
 * PH_ERR_PLUGIN. PH_ERR_MEMORY.
 */
PH_API enum ph_err ph_app_load_plugin(struct ph_app *app, const char *spec, const char **why);

/**
 * Checks that the application may serve: PH_ERR_CONFIG when it has no key and
 * ph_app_allow_unsigned was not called. The serving functions call it themselves.
 *
 * @param why  gets a sentence with what to change, valid as long as the
 *             application; may be NULL
 */
PH_API enum ph_err ph_app_check(const struct ph_app *app, const char **why);

/**
 * Turns a request into a response: answers the validation handshake, checks the
 * signature, decodes the event, calls the handler, encodes the reply. Whatever the
 * request holds, the response is complete and valid.
 *
 * @param response  an empty or reset response
 * PH_ERR_CONFIG: see ph_app_check; `response` is then a 500.
 * Threads: any, each with its own request and response.
 */
PH_API enum ph_err ph_app_serve(struct ph_app *app, const struct ph_request *request,
                                struct ph_response *response);

/** What is told of a response that is complete: it may now be read, sent and freed. */
typedef void ph_served_fn(struct ph_response *response, void *arg);

/**
 * The same without waiting for handlers that defer their replies (pubhook/defer.h), which
 * ph_app_serve does. For an HTTP server with a loop of its own.
 *
 * @param request   as `response`, must stay until `done` is called
 * @param response  an empty or reset response
 * @param done      called once, also after an error: before this returns, or later on the
 *                  thread that answers. It must not block.
 * PH_ERR_CONFIG: see ph_app_check; `response` is then a 500.
 */
PH_API enum ph_err ph_app_serve_async(struct ph_app *app, const struct ph_request *request,
                                      struct ph_response *response, ph_served_fn *done, void *arg);
/**
 * Whoever sent the request has gone: the answer is of no use any more. The handler's notice
 * is called (ph_deferred_on_cancel), and if the same event has come again meanwhile
 * (ph_app_set_deduplication), so is the handler, for that one. Once ph_app_serve_async has
 * returned.
 *
 * @return  1: `done` will not be called, request and response may be freed at once.
 *          0: `done` was called, or will be soon.
 */
PH_API int ph_response_cancel(struct ph_response *response);

/** A request as an HTTP server received it. Strings are copied. NULL when memory is out. */
PH_API struct ph_request *ph_request_new(const char *method, const char *target);
PH_API void ph_request_free(struct ph_request *request);
/** Adds a header line as received; repeated names are kept. Lengths in bytes. */
PH_API enum ph_err ph_request_add_header(struct ph_request *request, const char *name,
                                         size_t name_len, const char *value, size_t value_len);
/** The body; not copied, must live until the request is freed. */
PH_API void ph_request_set_body(struct ph_request *request, const void *body, size_t len);

PH_API struct ph_response *ph_response_new(void);
PH_API void ph_response_free(struct ph_response *response);
PH_API int ph_response_status(const struct ph_response *response);
/**
 * Header line number `at`; send each as a line of its own, never joined.
 * Content-Length is not among them.
 *
 * @return the name, with the value in *value; NULL past the end
 */
PH_API const char *ph_response_header(const struct ph_response *response, size_t at,
                                      const char **value);
/** The body; never NULL. */
PH_API const void *ph_response_body(const struct ph_response *response, size_t *len);

#ifdef __cplusplus
}
#endif
#endif
