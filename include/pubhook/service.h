/**
 * Calls the service: sends messages, manages connections, groups and permissions, through
 * the REST interface of Azure Web PubSub (client-and-rest section 5). It works with the
 * cloud service and with pubhook-broker.
 *
 *     struct ph_service *chat;
 *     const char *why;
 *
 *     if (ph_service_new(NULL, "chat", NULL, &chat, &why))    // WebPubSubConnectionString
 *         return fail(why);
 *     ph_service_send_to_group(chat, "lobby", PH_DATA_TEXT, "hello", 5, NULL);
 *     ph_service_free(chat);
 *
 * An operation is a request: a struct ph_service_request says what is asked for; its
 * unused members are zero. It is then performed in one of three ways:
 *
 *     ph_service_call   waits for the answer
 *     ph_service_start  comes back at once and calls a function when the answer is there
 *     ph_service_post   comes back at once, and nobody waits for the answer
 *
 * For most operations there is a function besides (ph_service_send_to_group and so on),
 * which makes the request from its parameters and calls ph_service_call.
 *
 * Threads: every function here may be called by any thread at any time, with the same
 * struct ph_service, but for ph_service_free, which must be the last. Calls that wait do so
 * on the thread that makes them; each has a connection of its own, and connections are used
 * again. Callbacks run inside ph_service_process, or on the client's own thread (option
 * `thread`), and never inside another call.
 *
 * What is tried again: up to `retries` times, after a pause that doubles each time and
 * is varied by chance, within the request's time limit:
 *
 *     what happened                                   which operations
 *     no connection (refused, no such host, ...)      all: nothing was sent
 *     status 429 or 503                               all: the service has refused
 *     status 408, 500, 502 or 504                     those that may be repeated
 *     sent, but the answer did not come               those that may be repeated
 *     another status, a wrong certificate             none
 *
 * A Retry-After in the answer sets the pause; one that would take longer than the time that
 * is left ends the request. Those that may be repeated are all but sending and closing the
 * connections of a hub, a group or a user, because there a repetition may do more than the
 * first; `repeat` in a request allows it there too.
 *
 * Redirects are not followed. Proxies are those of the environment (https_proxy, no_proxy;
 * libcurl-env(3)), unless an option names one. No access key and no bearer token is ever in a
 * result, an error or the log.
 */
#ifndef PUBHOOK_SERVICE_H
#define PUBHOOK_SERVICE_H

#include <pubhook/event.h>
#include <pubhook/log.h>
#include <pubhook/token.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ph_service;
struct ph_service_result;

/**
 * The client for the hub of an event, so that a handler can call the service in one line:
 *
 *     ph_service_post(ph_event_service(ev), &(struct ph_service_request){
 *                         .operation = PH_SERVICE_SEND_TO_ALL, .text = "somebody is here"});
 *
 * A thread of the application sends what is posted or started. Functions that wait for the
 * answer work too, and hold up the thread of the handler meanwhile; in a plugin that has
 * declared that it never blocks they fail with PH_ERR_STATE. A plugin that starts requests
 * waits for them in its `close` (ph_service_flush).
 *
 * @param ev  the event that the handler was called with, or that of a deferred reply
 *            (ph_deferred_event), on any thread
 * @return  owned by the application (not to be freed), and valid as long as it; NULL when there
 *          is no connection string, which the log says, or no application any more, and every
 *          function here takes NULL for an error
 */
PH_API struct ph_service *ph_event_service(const struct ph_event *ev);

/* --- Making a client ---------------------------------------------------------------- */

/**
 * Gives a bearer token of Microsoft Entra for the audience https://webpubsub.azure.com. It
 * is called for each request (and each of its tries), possibly by several threads at once,
 * so it should keep a token while it is valid.
 *
 * @param arg   `token_arg` of the options
 * @param give  to be called once with `to` and the token, which is copied
 * @return      PH_OK, or why there is no token: the request then fails with this error
 */
typedef enum ph_err ph_service_token_fn(void *arg, void (*give)(void *to, const char *token),
                                        void *to);

/** Called once when an operation that was started has ended; `result` is gone when it returns. */
typedef void ph_service_done_fn(const struct ph_service_result *result, void *arg);

/** How a client behaves. Zero and NULL mean the default. New members come at the end. */
struct ph_service_options {
    /** In place of a connection string: "https://contoso.webpubsub.azure.com", and ... */
    const char *endpoint;
    const char *access_key;     /**< ... either a key, ... */
    ph_service_token_fn *token; /**< ... or tokens of Microsoft Entra; only over https */
    void *token_arg;
    /** Requests go to this host (a URL without a path) while tokens name the endpoint. */
    const char *reverse_proxy;
    const char *proxy;   /**< an HTTP or SOCKS proxy (CURLOPT_PROXY); "": none */
    const char *ca_file; /**< PEM file of issuers to trust besides the system's folder of them */
    unsigned connect_timeout_ms; /**< for name, TCP and TLS together; default 10,000 */
    unsigned timeout_ms;         /**< for a request with all its tries; default 30,000 */
    int retries;                 /**< further tries; default 3; -1: none */
    unsigned retry_pause_ms;     /**< before the first of them; default 800 */
    unsigned retry_pause_max_ms; /**< longest pause; default 10,000 */
    unsigned max_connections;    /**< of those started and posted at a time; default 16 */
    unsigned max_pending;        /**< started and posted, not ended; default 1,000 */
    size_t max_answer;           /**< bytes of an answer; default 1 MiB */
    /** Not 0: a thread of the client's own does what ph_service_process would do. */
    int thread;
    struct ph_log *log; /**< where failed posts are told of; must outlive the client */
    /** Called when a request that was posted has failed. */
    ph_service_done_fn *failed;
    void *failed_arg;
    const char *user_agent; /**< sent in front of "pubhook/VERSION" */
    int allow_plain_token;  /**< not 0: tokens of Microsoft Entra over http too (tests) */
};

/**
 * Makes a client for a hub. Nothing is sent yet.
 *
 * @param connection_string  "Endpoint=...;AccessKey=...;", the first of several lines; NULL
 *                           takes the endpoint of the options, or, if there is none, the
 *                           environment variable WebPubSubConnectionString
 * @param hub                the hub
 * @param options            NULL for the defaults
 * @param out                the client, freed with ph_service_free
 * @param why                gets a sentence on failure, valid until the next call on this
 *                           thread; may be NULL
 * PH_ERR_NOT_FOUND: no connection string. PH_ERR_SYNTAX: it is malformed. PH_ERR_ARGUMENT: no
 * valid hub name, endpoint or reverse proxy; neither or both of key and token.
 * PH_ERR_FORBIDDEN: tokens of Microsoft Entra over plain http. PH_ERR_MEMORY.
 * Threads: any.
 */
PH_API enum ph_err ph_service_new(const char *connection_string, const char *hub,
                                  const struct ph_service_options *options, struct ph_service **out,
                                  const char **why);
/**
 * A client for another hub which shares everything with this one: connections, options,
 * thread, descriptor. Freed with ph_service_free, in any order.
 * PH_ERR_ARGUMENT: no valid hub name. PH_ERR_MEMORY.
 */
PH_API enum ph_err ph_service_for_hub(struct ph_service *service, const char *hub,
                                      struct ph_service **out);
/**
 * Another connection string from now on, of all clients that share: a key that was changed, or
 * another service. Requests that have begun keep the one before.
 *
 * @param why  as for ph_service_new, with its errors, which change nothing
 */
PH_API enum ph_err ph_service_set_connection_string(struct ph_service *service,
                                                    const char *connection_string,
                                                    const char **why);
/**
 * Frees a client; NULL is fine. With the last one of those that share, what is still under
 * way is given up and its callbacks are not called: see ph_service_flush.
 * Threads: any, once, but not within a `done` or `failed` of those that share.
 */
PH_API void ph_service_free(struct ph_service *service);

/** The hub. Never NULL. */
PH_API const char *ph_service_hub(const struct ph_service *service);

/* --- What is asked for ---------------------------------------------------------------- */

/** The operations; beside each, the members of the request that it needs and [may have]. */
enum ph_service_operation {
    PH_SERVICE_HEALTH = 1, /**< is the service there? Needs no key */

    PH_SERVICE_SEND_TO_ALL,        /**< data [filter, excluded, ttl_seconds, metadata] */
    PH_SERVICE_SEND_TO_GROUP,      /**< group, data [filter, excluded, ttl_seconds, metadata] */
    PH_SERVICE_SEND_TO_USER,       /**< user_id, data [filter, ttl_seconds, metadata] */
    PH_SERVICE_SEND_TO_CONNECTION, /**< connection_id, data [ttl_seconds, metadata] */

    PH_SERVICE_CLOSE_ALL,        /**< [excluded, reason] */
    PH_SERVICE_CLOSE_GROUP,      /**< group [excluded, reason] */
    PH_SERVICE_CLOSE_USER,       /**< user_id [excluded, reason] */
    PH_SERVICE_CLOSE_CONNECTION, /**< connection_id [reason] */

    PH_SERVICE_CONNECTION_EXISTS, /**< connection_id */
    PH_SERVICE_GROUP_EXISTS,      /**< group: has it a member? */
    PH_SERVICE_USER_EXISTS,       /**< user_id: has it a connection? */

    PH_SERVICE_ADD_CONNECTION_TO_GROUP,           /**< group, connection_id */
    PH_SERVICE_REMOVE_CONNECTION_FROM_GROUP,      /**< group, connection_id */
    PH_SERVICE_REMOVE_CONNECTION_FROM_ALL_GROUPS, /**< connection_id */
    PH_SERVICE_ADD_USER_TO_GROUP,                 /**< group, user_id: its connections of now */
    PH_SERVICE_REMOVE_USER_FROM_GROUP,            /**< group, user_id */
    PH_SERVICE_REMOVE_USER_FROM_ALL_GROUPS,       /**< user_id */
    PH_SERVICE_ADD_CONNECTIONS_TO_GROUPS,         /**< groups [filter] */
    PH_SERVICE_REMOVE_CONNECTIONS_FROM_GROUPS,    /**< groups [filter] */
    PH_SERVICE_LIST_CONNECTIONS_IN_GROUP,         /**< group [page_size, top, continuation] */

    PH_SERVICE_GRANT_PERMISSION,  /**< permission, connection_id [target_name] */
    PH_SERVICE_REVOKE_PERMISSION, /**< permission, connection_id [target_name] */
    PH_SERVICE_CHECK_PERMISSION,  /**< permission, connection_id [target_name] */

    PH_SERVICE_GENERATE_TOKEN /**< [token]; for callers with tokens of Microsoft Entra alone */
};

enum ph_service_permission { PH_PERMISSION_SEND_TO_GROUP = 1, PH_PERMISSION_JOIN_LEAVE_GROUP };

/** A metadata entry of a message: text that travels beside the data. */
struct ph_service_metadata {
    const char *name;  /**< characters of an HTTP header's name; its case is lost */
    const char *value; /**< printable ASCII; what stands in front of a comma is lost */
};

/**
 * A request: an operation and what it is about. Text is UTF-8; everything is read before the
 * function that gets it returns. A member that the operation does not have must be zero.
 */
struct ph_service_request {
    enum ph_service_operation operation;
    /* About whom. */
    const char *group;
    const char *user_id;
    const char *connection_id;
    /* A message: `text`, or `type` with `data` and `len`. */
    const char *text;
    enum ph_data_type type; /**< of `data`; PH_DATA_PROTOBUF goes as PH_DATA_BINARY */
    const void *data;       /**< NULL with `len` 0 is an empty message */
    size_t len;
    const char *filter;          /**< an OData filter: "userId ne 'ann'" */
    const char *const *excluded; /**< connection ids, NULL-terminated */
    unsigned ttl_seconds;        /**< not delivered later than that; up to 300; 0: no limit */
    const struct ph_service_metadata *metadata; /**< ends with one whose name is NULL */
    /* Closing. */
    const char *reason; /**< told to the clients */
    /* Groups of many connections. */
    const char *const *groups; /**< at least one; NULL-terminated */
    /* Permissions. */
    enum ph_service_permission permission;
    const char *target_name; /**< the group; NULL: all groups */
    /* Listing. */
    unsigned page_size;       /**< up to 200; 0: 200 */
    unsigned top;             /**< how many connections in all; 0: no limit */
    const char *continuation; /**< ph_service_result_continuation of the page before */
    /* Making a client's token. */
    const struct ph_token_options *token;
    /* How. */
    unsigned timeout_ms;    /**< with all tries; 0: the client's */
    int repeat;             /**< not 0: may be sent again although it may have been carried out */
    const char *request_id; /**< x-ms-client-request-id; NULL: a random one */
    /** Leave zero: room for what comes. */
    const void *reserved[6];
};

/* --- Performing it ---------------------------------------------------------------------- */

/**
 * Performs a request and waits for the answer.
 *
 * @param out  NULL, or gets the result, never NULL, freed with ph_service_result_free
 * @return     the result's error: PH_OK, or
 *             PH_ERR_ARGUMENT: a member is missing, out of range, or not this operation's;
 *             PH_ERR_NOT_FOUND: status 404 where it does not answer a question;
 *             PH_ERR_AUTH: 401, or no token could be had; PH_ERR_FORBIDDEN: 403;
 *             PH_ERR_LIMIT: 413, 429, or an answer that is too large;
 *             PH_ERR_UNSUPPORTED: 405, 415, 501, or a redirect;
 *             PH_ERR_SYNTAX: another 4xx, or an answer that cannot be read;
 *             PH_ERR_STATE: 409; or called on a thread that must not wait (ph_event_service);
 *             PH_ERR_SYSTEM: no answer, or 5xx; PH_ERR_MEMORY.
 *             ph_service_result_why says it in a sentence.
 * Threads: any.
 */
PH_API enum ph_err ph_service_call(struct ph_service *service,
                                   const struct ph_service_request *request,
                                   struct ph_service_result **out);

/**
 * Starts a request and comes back at once.
 *
 * @param done  called with what came of it, once, unless it is cancelled or the client freed
 *              before; by ph_service_process, or on the client's own thread. NULL: see
 *              ph_service_post
 * @param arg   handed to `done`
 * @param id    gets a number for ph_service_cancel; may be NULL
 * PH_ERR_LIMIT: `max_pending` have been started and have not ended. PH_ERR_MEMORY. PH_ERR_SYSTEM:
 * no descriptor or thread can be had. `done` is then not called. Everything else that goes wrong,
 * a wrong request too, is told by `done`.
 * Threads: any, also from within `done`.
 */
PH_API enum ph_err ph_service_start(struct ph_service *service,
                                    const struct ph_service_request *request,
                                    ph_service_done_fn *done, void *arg, uint64_t *id);
/**
 * Starts a request whose outcome nobody waits for. A failure is logged, and told to the
 * `failed` of the options. This is what event handlers use, because it never waits:
 *
 *     ph_service_post(ph_event_service(ev), &(struct ph_service_request){
 *                         .operation = PH_SERVICE_SEND_TO_GROUP,
 *                         .group = "lobby",
 *                         .text = "hello"});
 *
 * @param service  NULL is an error like others, so that no client needs no check
 * PH_ERR_ARGUMENT: `service` is NULL. Others as ph_service_start.
 */
PH_API enum ph_err ph_service_post(struct ph_service *service,
                                   const struct ph_service_request *request);
/**
 * Gives up a request that was started: its `done` is not called any more. What was sent
 * may have been carried out.
 * PH_ERR_NOT_FOUND: it has ended. On a thread other than the one that calls `done`, it may be
 * running right now.
 */
PH_API enum ph_err ph_service_cancel(struct ph_service *service, uint64_t id);

/**
 * The descriptor that is readable when ph_service_process has something to do, for poll(2)
 * and event loops. It stays the same, and belongs to the client.
 *
 * @return  -1 with option `thread`, or when none can be had
 */
PH_API int ph_service_fd(struct ph_service *service);
/**
 * Does what is due for the requests that were started, without waiting, and calls their
 * `done`. Of several threads that call it at once, one does the work and the others come
 * back. PH_OK.
 */
PH_API enum ph_err ph_service_process(struct ph_service *service);
/** How many requests were started and have not ended, of all clients that share. */
PH_API size_t ph_service_pending(struct ph_service *service);
/**
 * Waits until nothing that was started is pending, for example before ph_service_free.
 * Without option `thread` it calls ph_service_process's callbacks meanwhile.
 *
 * PH_ERR_LIMIT: the time was up before. Not to be called from a callback.
 */
PH_API enum ph_err ph_service_flush(struct ph_service *service, unsigned timeout_ms);

/* --- What came of it -------------------------------------------------------------------- */

/** Frees a result; NULL is fine. */
PH_API void ph_service_result_free(struct ph_service_result *result);
/** PH_OK, or the kind of failure (ph_service_call). */
PH_API enum ph_err ph_service_result_error(const struct ph_service_result *result);
/** A sentence that says what failed and what to do; "" after success. Never NULL. */
PH_API const char *ph_service_result_why(const struct ph_service_result *result);
/** HTTP status of the last answer; 0 when there was none. */
PH_API int ph_service_result_status(const struct ph_service_result *result);
/** The service's error code (header x-ms-error-code or the body's `code`), or NULL. */
PH_API const char *ph_service_result_code(const struct ph_service_result *result);
/** The service's error text (the body's `message`), or NULL. */
PH_API const char *ph_service_result_message(const struct ph_service_result *result);
/** What the error is about (the body's `target`), or NULL. */
PH_API const char *ph_service_result_target(const struct ph_service_result *result);
/**
 * A further error (the body's `details`).
 *
 * @param at    from 0
 * @param code  gets its code, or NULL; may be NULL
 * @return      its text; NULL past the end
 */
PH_API const char *ph_service_result_detail(const struct ph_service_result *result, size_t at,
                                            const char **code);
/** The x-ms-client-request-id that was sent, for the service's own logs. Never NULL. */
PH_API const char *ph_service_result_request_id(const struct ph_service_result *result);
/** What was asked for; 0 if the request named no operation. */
PH_API enum ph_service_operation
ph_service_result_operation(const struct ph_service_result *result);
/** How many times it was sent, or tried to be. */
PH_API unsigned ph_service_result_tries(const struct ph_service_result *result);
/** The answer to a question (..._EXISTS, CHECK_PERMISSION): 1 yes, 0 no, -1 unknown, because the
 *  request failed or was no question. */
PH_API int ph_service_result_answer(const struct ph_service_result *result);
/** Number of connections on a page of a listing. */
PH_API size_t ph_service_result_count(const struct ph_service_result *result);
/**
 * A connection of a listing.
 *
 * @param at       from 0
 * @param user_id  gets its user, NULL for an anonymous one; may be NULL
 * @return         its id; NULL past the end
 */
PH_API const char *ph_service_result_connection(const struct ph_service_result *result, size_t at,
                                                const char **user_id);
/** For `continuation` of the request for the next page; NULL when this was the last. Opaque. */
PH_API const char *ph_service_result_continuation(const struct ph_service_result *result);
/** The token of PH_SERVICE_GENERATE_TOKEN; NULL for others and after a failure. A secret. */
PH_API const char *ph_service_result_token(const struct ph_service_result *result);

/* --- The usual operations ---------------------------------------------------------------
 *
 * Each makes a request of its parameters and waits for the answer like ph_service_call,
 * with the same errors and the same `out`. What has no parameter here is in the request. */

/** Sends to every connection of the hub; `len` in bytes. */
PH_API enum ph_err ph_service_send_to_all(struct ph_service *service, enum ph_data_type type,
                                          const void *data, size_t len,
                                          struct ph_service_result **out);
/** Sends to the members of a group. It is no error if there are none. */
PH_API enum ph_err ph_service_send_to_group(struct ph_service *service, const char *group,
                                            enum ph_data_type type, const void *data, size_t len,
                                            struct ph_service_result **out);
/** Sends to all connections of a user. It is no error if there are none. */
PH_API enum ph_err ph_service_send_to_user(struct ph_service *service, const char *user_id,
                                           enum ph_data_type type, const void *data, size_t len,
                                           struct ph_service_result **out);
/** Sends to a connection. It is no error if there is none. */
PH_API enum ph_err ph_service_send_to_connection(struct ph_service *service,
                                                 const char *connection_id, enum ph_data_type type,
                                                 const void *data, size_t len,
                                                 struct ph_service_result **out);

/** Closes all connections of the hub; `reason` may be NULL. */
PH_API enum ph_err ph_service_close_all(struct ph_service *service, const char *reason,
                                        struct ph_service_result **out);
/** Closes the connections of a group's members. */
PH_API enum ph_err ph_service_close_group(struct ph_service *service, const char *group,
                                          const char *reason, struct ph_service_result **out);
/** Closes the connections of a user. */
PH_API enum ph_err ph_service_close_user(struct ph_service *service, const char *user_id,
                                         const char *reason, struct ph_service_result **out);
/** Closes a connection. It is no error if there is none. */
PH_API enum ph_err ph_service_close_connection(struct ph_service *service,
                                               const char *connection_id, const char *reason,
                                               struct ph_service_result **out);

/** Is there this connection? *exists gets 1 or 0, or -1 after a failure. */
PH_API enum ph_err ph_service_connection_exists(struct ph_service *service,
                                                const char *connection_id, int *exists,
                                                struct ph_service_result **out);
/** Has this group a member? */
PH_API enum ph_err ph_service_group_exists(struct ph_service *service, const char *group,
                                           int *exists, struct ph_service_result **out);
/** Has this user a connection? */
PH_API enum ph_err ph_service_user_exists(struct ph_service *service, const char *user_id,
                                          int *exists, struct ph_service_result **out);

/** Makes a connection a member of a group. PH_ERR_NOT_FOUND: there is no such connection. */
PH_API enum ph_err ph_service_add_connection_to_group(struct ph_service *service, const char *group,
                                                      const char *connection_id,
                                                      struct ph_service_result **out);
/** Ends that; it is no error if it was none. */
PH_API enum ph_err ph_service_remove_connection_from_group(struct ph_service *service,
                                                           const char *group,
                                                           const char *connection_id,
                                                           struct ph_service_result **out);
/** Removes a connection from all its groups. */
PH_API enum ph_err ph_service_remove_connection_from_all_groups(struct ph_service *service,
                                                                const char *connection_id,
                                                                struct ph_service_result **out);
/** Makes the connections that a user has now members of a group. PH_ERR_NOT_FOUND: it has none. */
PH_API enum ph_err ph_service_add_user_to_group(struct ph_service *service, const char *group,
                                                const char *user_id,
                                                struct ph_service_result **out);
/** Removes a user's connections from a group. */
PH_API enum ph_err ph_service_remove_user_from_group(struct ph_service *service, const char *group,
                                                     const char *user_id,
                                                     struct ph_service_result **out);
/** Removes a user's connections from all their groups. */
PH_API enum ph_err ph_service_remove_user_from_all_groups(struct ph_service *service,
                                                          const char *user_id,
                                                          struct ph_service_result **out);
/** Adds the connections that a filter matches to groups (NULL-terminated). A filter of NULL
 *  means all connections of the hub. */
PH_API enum ph_err ph_service_add_connections_to_groups(struct ph_service *service,
                                                        const char *const *groups,
                                                        const char *filter,
                                                        struct ph_service_result **out);
/** Removes the connections that a filter matches from groups. */
PH_API enum ph_err ph_service_remove_connections_from_groups(struct ph_service *service,
                                                             const char *const *groups,
                                                             const char *filter,
                                                             struct ph_service_result **out);

/** Lets a connection send to a group, or join and leave it; `group` NULL: any group.
 *  PH_ERR_NOT_FOUND: there is no such connection. */
PH_API enum ph_err ph_service_grant_permission(struct ph_service *service,
                                               const char *connection_id,
                                               enum ph_service_permission permission,
                                               const char *group, struct ph_service_result **out);
/** Takes that away. */
PH_API enum ph_err ph_service_revoke_permission(struct ph_service *service,
                                                const char *connection_id,
                                                enum ph_service_permission permission,
                                                const char *group, struct ph_service_result **out);
/** Has a connection this permission? *allowed gets 1 or 0, or -1 after a failure. */
PH_API enum ph_err ph_service_check_permission(struct ph_service *service,
                                               const char *connection_id,
                                               enum ph_service_permission permission,
                                               const char *group, int *allowed,
                                               struct ph_service_result **out);
/** Is the service there? */
PH_API enum ph_err ph_service_health(struct ph_service *service, struct ph_service_result **out);

/* --- More than one request ---------------------------------------------------------------- */

/**
 * A client's access token. With an access key it is made here (pubhook/token.h); with
 * tokens of Microsoft Entra the service is asked for one (PH_SERVICE_GENERATE_TOKEN).
 *
 * @param options  NULL for an anonymous client without roles
 * @param token    gets it, to be freed with ph_token_free; NULL after a failure
 * @param out      as for ph_service_call
 */
PH_API enum ph_err ph_service_client_token(struct ph_service *service,
                                           const struct ph_token_options *options, char **token,
                                           struct ph_service_result **out);
/** The same as the URL that the client connects to, at the endpoint. */
PH_API enum ph_err ph_service_client_url(struct ph_service *service,
                                         const struct ph_token_options *options, char **url,
                                         struct ph_service_result **out);

struct ph_service_list;

/**
 * Walks the connections of a group. Pages are asked for as they are needed.
 *
 * @param top  how many at most; 0: all
 * @return     freed with ph_service_list_free; NULL when memory is out
 */
PH_API struct ph_service_list *ph_service_list_new(struct ph_service *service, const char *group,
                                                   unsigned top);
/** Frees it; NULL is fine. */
PH_API void ph_service_list_free(struct ph_service_list *list);
/**
 * The next connection. May wait.
 *
 * @param connection_id  gets its id, valid until the next call; NULL at the end
 * @param user_id        gets its user, NULL for an anonymous one; may be NULL
 * @return               errors of ph_service_call; ph_service_list_result says more, and the
 *                       next call tries again
 * Threads: one at a time for a list.
 */
PH_API enum ph_err ph_service_list_next(struct ph_service_list *list, const char **connection_id,
                                        const char **user_id);
/** The result of the page that was asked for last; NULL before the first. */
PH_API const struct ph_service_result *ph_service_list_result(const struct ph_service_list *list);

#ifdef __cplusplus
}
#endif
#endif
