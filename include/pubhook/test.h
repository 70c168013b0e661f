/**
 * For the tests of your handlers, with any test framework: fires events at a handler over
 * each way that pubhook serves it, and says what the answer means; and a whole broker in the
 * test's process, for tests with real clients.
 *
 *     struct ph_test_event *ev = ph_test_event_new(PH_EVENT_CONNECT, "chat");
 *     struct ph_test_handler *handler;
 *     struct ph_test_reply *reply;
 *
 *     ph_test_handler_start(app, PH_TEST_HTTP, NULL, &handler, NULL);
 *     ph_test_event_set(ev, PH_TEST_USER_ID, "ann");
 *     ph_test_fire(handler, ev, &reply, NULL);
 *     assert(reply->success && strcmp(reply->groups[0], "lobby") == 0);
 *
 * Link with `pkg-config --libs pubhooktest`. The library is for tests alone: nothing that
 * serves the public belongs on it.
 *
 * On failure every `out` gets NULL, and every `why` a sentence, valid until the next call on
 * this thread; `why` may be NULL. Nothing here prints, touches signals or keeps global state.
 */
#ifndef PUBHOOK_TEST_H
#define PUBHOOK_TEST_H

#include <pubhook/app.h>
#include <pubhook/log.h>
#include <pubhook/mqtt.h>
#include <pubhook/token.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The access key that everything here uses unless told otherwise; the one of Microsoft's
 *  emulator. */
#define PH_TEST_KEY "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"

/* --- Events ---------------------------------------------------------------------- */

struct ph_test_event;

/** What an event is made of, as text. */
enum ph_test_attribute {
    PH_TEST_HUB,
    PH_TEST_CONNECTION_ID, /* at first "conn1" */
    PH_TEST_EVENT_NAME,    /* at first that of the kind; "message" for PH_EVENT_USER */
    PH_TEST_USER_ID,
    PH_TEST_SUBPROTOCOL,
    PH_TEST_ID,        /* at first a random one, so that no event is taken for another's retry */
    PH_TEST_TIME,      /* at first a fixed one */
    PH_TEST_SOURCE,    /* unset, it is made of hub and connection id */
    PH_TEST_ORIGIN,    /* WebHook-Request-Origin; at first "localhost" */
    PH_TEST_STATE,     /* the connection's; see ph_test_reply.state */
    PH_TEST_REASON,    /* of disconnected */
    PH_TEST_GROUP,     /* of joined and left; at first "group1" */
    PH_TEST_METHOD,    /* of the HTTP request; at first "POST" */
    PH_TEST_TARGET,    /* of the HTTP request; at first the one of the handler's options */
    PH_TEST_SIGNED_BY, /* another access key than the handler's options name; NULL: the event
                          goes out without a signature */
    PH_TEST_PHYSICAL_CONNECTION_ID, /* makes it an event of an MQTT client */
    PH_TEST_SESSION_ID,             /* of an MQTT client, but on connect */
    PH_TEST_CONTENT_TYPE,           /* of an MQTT client's message, which may be any */
    PH_TEST_ATTRIBUTE_COUNT
};

/**
 * An event with everything that the service always sends. The functions that change it
 * copy what they are given; one that runs out of memory makes ph_test_fire fail.
 *
 * @return NULL when memory is out. To be freed with ph_test_event_free.
 * Threads: one thread at a time for one event.
 */
PH_API struct ph_test_event *ph_test_event_new(enum ph_event_kind kind, const char *hub);
PH_API void ph_test_event_free(struct ph_test_event *event);
/** Sets an attribute; NULL leaves it out, also one that the service always sends. */
PH_API void ph_test_event_set(struct ph_test_event *event, enum ph_test_attribute attribute,
                              const char *value);
/** The data of a user event; `len` in bytes. At first it is an empty text. */
PH_API void ph_test_event_set_data(struct ph_test_event *event, enum ph_data_type type,
                                   const void *data, size_t len);
/** The same for a text. */
PH_API void ph_test_event_set_text(struct ph_test_event *event, const char *text);
/**
 * Adds a value: to the claims, the query or the headers of the client's request (connect), or
 * to the metadata of a message (user events). A name that is there gets another value. Also
 * to an MQTT client's user properties.
 */
PH_API void ph_test_event_add_field(struct ph_test_event *event, enum ph_field field,
                                    const char *name, const char *value);
/** Adds to the subprotocols that the client offers (connect). */
PH_API void ph_test_event_add_subprotocol(struct ph_test_event *event, const char *subprotocol);
/** Adds a TLS certificate of the client (connect). */
PH_API void ph_test_event_add_certificate(struct ph_test_event *event, const char *thumbprint,
                                          const char *pem);
/** What a connect event of an MQTT client says besides; `username` and `password` may be NULL. */
PH_API void ph_test_event_set_mqtt_connect(struct ph_test_event *event,
                                           enum ph_mqtt_version version, int clean_start,
                                           const char *username, const void *password,
                                           size_t password_len);
/** What a disconnected event of an MQTT client says besides; `code` of its DISCONNECT packet, -1
 *  when there was none. */
PH_API void ph_test_event_set_mqtt_disconnect(struct ph_test_event *event, int by_client, int code);
/**
 * Changes the request that the event becomes, for events that are wrong on purpose: replaces
 * a header, or adds one that was not there; NULL takes it away. Last of all, so a signature
 * does not follow.
 */
PH_API void ph_test_event_set_header(struct ph_test_event *event, const char *name,
                                     const char *value);
/** Likewise, the bytes of the body, whatever the event is. */
PH_API void ph_test_event_set_body(struct ph_test_event *event, const void *body, size_t len);

/* --- Handlers --------------------------------------------------------------------- */

/** How events reach the handler. */
enum ph_test_transport {
    PH_TEST_DIRECT,  /* ph_app_serve, on the thread that fires */
    PH_TEST_HTTP,    /* ph_serve_http, on a free port of 127.0.0.1 */
    PH_TEST_FASTCGI, /* ph_serve_fastcgi; the library is the web server */
    PH_TEST_CGI,     /* ph_serve_cgi, in a child process for each event. It loads a plugin anew;
                        of an application it is a copy, without the threads that this one has
                        started (ph_app_set_workers, calls of the service, deadlines of events
                        that were deferred before), so give CGI an application of its own. What
                        the handler changes in memory is gone afterwards */
    PH_TEST_TRANSPORT_COUNT
};

/** "direct", "http", "fastcgi", "cgi"; for messages of a test that runs over all of them. */
PH_API const char *ph_test_transport_name(enum ph_test_transport transport);

struct ph_test_handler;

/** Zeroed means default; grows at its end. */
struct ph_test_handler_options {
    const char *key;     /* events are signed with it; NULL: PH_TEST_KEY */
    unsigned threads;    /* of HTTP and FastCGI; 0: 2 */
    unsigned timeout_ms; /* for an answer, but over PH_TEST_DIRECT; 0: 20,000 */
    const char *target;  /* where events are sent; NULL: /eventhandler */
};

/**
 * Runs an application. It needs the options' key, or ph_app_allow_unsigned.
 *
 * @param app      configured and registered; stays the caller's, and must outlive the handler
 * @param options  copied; NULL: the defaults
 * PH_ERR_CONFIG: ph_app_check. PH_ERR_SYSTEM. PH_ERR_MEMORY.
 */
PH_API enum ph_err ph_test_handler_start(struct ph_app *app, enum ph_test_transport transport,
                                         const struct ph_test_handler_options *options,
                                         struct ph_test_handler **out, const char **why);
/**
 * The same for a plugin, in an application made for it that has the options' key.
 *
 * @param spec  "FILE.so" or "FILE.so?key=value&..."
 * PH_ERR_PLUGIN: it does not load.
 */
PH_API enum ph_err ph_test_plugin_start(const char *spec, enum ph_test_transport transport,
                                        const struct ph_test_handler_options *options,
                                        struct ph_test_handler **out, const char **why);
/** Answers what is under way, stops, and closes the plugin. NULL is fine. */
PH_API void ph_test_handler_stop(struct ph_test_handler *handler);

/* --- Replies ------------------------------------------------------------------------ */

/**
 * What the service would make of the answer. Strings end with a NUL and live as long as the
 * reply; what the answer does not say is NULL. Lists end with NULL. Grows at its end.
 */
struct ph_test_reply {
    int status;              /* of HTTP */
    int success;             /* the event succeeds: the client is let in, the message taken */
    const char *problem;     /* how the answer breaks the contract, although its status is 2xx */
    const char *user_id;     /* connect: instead of the token's; "" for none */
    const char **groups;     /* connect; NULL keeps those of the token */
    const char **roles;      /* connect; NULL keeps those of the token, empty takes them away */
    const char *subprotocol; /* connect */
    const char *state;       /* for the connection's next events; NULL keeps the old one */
    int has_data;            /* user events: a message goes back to the sender */
    enum ph_data_type type;
    const char *data; /* never NULL */
    size_t data_len;
    const char *body; /* as it came; never NULL */
    size_t body_len;
    int mqtt_code; /* of the CONNACK of an MQTT client that is refused */
    const char *mqtt_reason;
    const char *content_type; /* of the message back to an MQTT client, which may be any */
};

/**
 * Fires an event and waits for the answer. The same event fired again is a retry of it.
 *
 * @param out  gets a reply to be freed with ph_test_reply_free
 * PH_ERR_ARGUMENT: the event cannot be sent as it is. PH_ERR_SYSTEM: no answer, or none of
 * HTTP or CGI. PH_ERR_MEMORY.
 * Threads: any, also several at once.
 */
PH_API enum ph_err ph_test_fire(struct ph_test_handler *handler, const struct ph_test_event *event,
                                struct ph_test_reply **out, const char **why);
/**
 * The validation handshake as the service does it before it sends events.
 * reply->success: the handler consents to events from `origin`.
 */
PH_API enum ph_err ph_test_validate(struct ph_test_handler *handler, const char *origin,
                                    struct ph_test_reply **out, const char **why);
/** Value number `at` of a header of the answer; NULL past the last one of that name. */
PH_API const char *ph_test_reply_header(const struct ph_test_reply *reply, const char *name,
                                        size_t at);
/** A metadata entry of the message that goes back; NULL if there is none. */
PH_API const char *ph_test_reply_metadata(const struct ph_test_reply *reply, const char *name);
/** Value number `at` of a user property for an MQTT client; NULL past the last one of that name. */
PH_API const char *ph_test_reply_mqtt_property(const struct ph_test_reply *reply, const char *name,
                                               size_t at);
PH_API void ph_test_reply_free(struct ph_test_reply *reply);

/* --- A broker ------------------------------------------------------------------------- */

struct ph_test_broker;

/** Where the events of a hub go: to one of the three. */
struct ph_test_event_handler {
    const char *hub;
    const char *url;    /* "http://localhost:8090/eventhandler"; {event} and {hub} are replaced */
    const char *plugin; /* "FILE.so?key=value&...", inside of the broker */
    struct ph_app *app; /* over HTTP, on threads of its own; must have the broker's key, or
                           allow unsigned events, and outlive the broker, which its handlers
                           call as their service (ph_app_set_service) */
};

/** Zeroed means default; grows at its end. */
struct ph_test_broker_options {
    const char *access_key; /* NULL: PH_TEST_KEY */
    const char *config;     /* text of a configuration file: hubs, limits; see pubhook-broker(1) */
    const struct ph_test_event_handler *handlers; /* after those of `config` */
    size_t handler_count;
    unsigned threads;   /* event loops; 0: 1 */
    struct ph_log *log; /* NULL: none; must outlive the broker */
};

/**
 * Starts pubhook-broker on threads of this process and a free port of 127.0.0.1; it accepts
 * clients when this returns, which takes a few milliseconds. Any number may run at once.
 *
 * PH_ERR_CONFIG, PH_ERR_ARGUMENT: the options. PH_ERR_PLUGIN. PH_ERR_SYSTEM. PH_ERR_MEMORY.
 * Threads: any.
 */
PH_API enum ph_err ph_test_broker_start(const struct ph_test_broker_options *options,
                                        struct ph_test_broker **out, const char **why);
/** "http://127.0.0.1:PORT". */
PH_API const char *ph_test_broker_url(const struct ph_test_broker *broker);
/** "Endpoint=...;AccessKey=...;Version=1.0;" */
PH_API const char *ph_test_broker_connection_string(const struct ph_test_broker *broker);
/**
 * ph_client_access_url for this broker.
 *
 * @param out  gets a string to be freed with ph_token_free
 */
PH_API enum ph_err ph_test_broker_client_url(const struct ph_test_broker *broker, const char *hub,
                                             const struct ph_token_options *options, char **out);
/** Closes clients with 1001, waits for the events of their end, and stops. NULL is fine. */
PH_API void ph_test_broker_stop(struct ph_test_broker *broker);

#ifdef __cplusplus
}
#endif
#endif
