/* CloudEvents webhooks of Azure Web PubSub, both directions, without I/O
 * (event-handler sections 2 to 4). The broker encodes what the framework decodes,
 * with the code in this folder. */
#ifndef EVENT_EVENT_H
#define EVENT_EVENT_H

#include "base/http.h"
#include "base/json.h"
#include "base/mac.h"
#include "base/metadata.h"
#include "base/record.h"
#include "pubhook/mqtt.h"
#include "pubhook/reply.h"

#include <pthread.h>

/* A name with its values: a row of claims, query or headers (connect). */
struct event_field {
    struct str name;
    const struct str *values; /* each with a NUL behind it when decoded */
    size_t count;
};

struct event_fields {
    const struct event_field *items;
    size_t count;
};

struct event_certificate {
    struct str thumbprint;
    struct str pem;
};

/* What connect and disconnected of an MQTT client say beside the rest (sections 2.3, 2.4). */
struct event_mqtt {
    enum ph_mqtt_version version; /* connect, as up to `password` */
    bool clean_start;
    struct str username;
    struct str password; /* the bytes */
    bool initiated_by_client;
    bool has_packet; /* DISCONNECT */
    int code;        /* of that packet */
};

/* A decoded event, or one to be encoded. An absent attribute has a NULL pointer.
 * When decoded, every string has a NUL behind it and lives as long as the request. */
struct ph_event {
    enum ph_event_kind kind;
    struct str hub;
    struct str connection_id;
    struct str name;
    struct str user_id;
    struct str subprotocol;
    struct str id;
    struct str time;
    struct str source;
    struct str origin;
    struct str state;
    struct str physical_id; /* MQTT */
    struct str session_id;  /* MQTT, but connect */
    struct str request_id;  /* x-ms-client-request-id, to be encoded */
    struct str cookie;      /* what Cookie says, to be encoded */
    enum ph_data_type type;
    struct str data;         /* user events; when decoded, the body of the others too */
    struct str reason;       /* disconnected */
    struct str group;        /* joined, left */
    unsigned plain;          /* attributes that need no check again: event__plain */
    bool charset;            /* to be encoded: the Content-Type of text and JSON names UTF-8 */
    struct str content_type; /* to be encoded: in place of the one of `type`; MQTT only */
    struct event_fields claims, query, headers;
    struct metadata metadata;            /* user events */
    const struct event_mqtt *mqtt;       /* connect and disconnected of MQTT clients, else NULL */
    struct http_headers mqtt_properties; /* names and values in their order */
    const struct str *subprotocols;
    size_t subprotocol_count;
    const struct event_certificate *certificates;
    size_t certificate_count;
    const struct http_headers *http; /* of the webhook request, when decoded */
    /* What few handlers ask for is made in `arena` when one does, under the lock, because the
     * event may be read by any number of threads. NULL: it is not to be had. */
    struct arena *arena;
    pthread_mutex_t lock;
    bool json_read;
    struct json *json;                     /* of `data` */
    struct event_facts *certificate_facts; /* one for each certificate */
    struct app_call *call;                 /* app/call.h, while its handlers are asked */
    struct pending *pending;               /* app/defer.h, of the copy that a token has */
};

struct event_limits {
    uint32_t json_depth;
};

/* --- decode.c: the event handler's side ------------------------------------ */

/* Decodes a POST, in whose memory a NUL stands behind each header's value and behind the
 * body: the event is made of views into them. PH_ERR_SYNTAX: a header is missing or wrong, ce-type
 * is unknown, the body is not what it should be (400). PH_ERR_UNSUPPORTED: a Content-Type that is
 * none of ours (415). PH_ERR_LIMIT (400), PH_ERR_MEMORY (500). What is no view is in the arena. */
enum ph_err event__decode(struct arena *a, const struct http_request *req,
                          const struct event_limits *limits, struct ph_event **out,
                          struct diag *diag);

/* --- encode.c: the broker's side --------------------------------------------- */

/* Fills the headers and body of the webhook request for `ev` (method, path and query
 * are the caller's). `signature` is the value of ce-signature, made once for each
 * connection. PH_ERR_MEMORY; PH_ERR_ARGUMENT: an attribute cannot be a header value. */
enum ph_err event__encode(struct arena *a, const struct ph_event *ev, struct str signature,
                          struct http_request *out, struct diag *diag);

/* --- handover.c: from the broker to a handler in the same process ------------- */

/* What event__decode would make of a request that event__encode has made of `ev`, without
 * the request. Errors are those of either. */
enum ph_err event__hand_over(struct arena *a, const struct ph_event *ev,
                             const struct event_limits *limits, struct ph_event **out,
                             struct diag *diag);
/* The same for a handler that is done with it before the texts of a user event go, each of which
 * has a NUL behind it: they are not copied. */
enum ph_err event__lend(struct arena *a, const struct ph_event *ev,
                        const struct event_limits *limits, struct ph_event **out,
                        struct diag *diag);
/* For the `plain` of events that have attributes in common, which are looked at once: those of
 * `ev` that are plain text. */
unsigned event__plain(struct ph_event *ev);
/* A copy of a decoded or handed-over event that shares nothing with it. Errors are those of
 * event__decode. */
enum ph_err event__keep(struct arena *a, const struct ph_event *ev,
                        const struct event_limits *limits, struct ph_event **out,
                        struct diag *diag);
/* For what is made when a handler asks: the event, to be written to until the unlock. */
struct ph_event *event__lock(const struct ph_event *ev);
void event__unlock(struct ph_event *ev);
/* The headers of the request that it came by, or would have; NULL when memory is out. */
const struct http_headers *event__http(const struct ph_event *ev);

/* --- signature.c ------------------------------------------------------------ */

/* "sha256=<hex>[,sha256=<hex>]" over the connection id, one entry a key (section 4). */
bool event__sign(struct buf *out, struct str connection_id, struct mac_key *const *keys,
                 size_t key_count);
/* Does any entry of any ce-signature line match any key? Constant time over all candidates. */
bool event__is_signed(const struct http_headers *headers, struct str connection_id,
                      struct mac_key *const *keys, size_t key_count);

/* --- validation.c: the abuse-protection handshake (section 1) ---------------- */

/* Answers OPTIONS or GET with WebHook-Request-Origin: 200 and one WebHook-Allowed-Origin
 * line for each requested host that is allowed; 403 without consent when none is; 400
 * without a requested host. `allowed` are host names, "*" for any; none means any. */
void event__validate(struct arena *a, const struct http_request *req, const struct str *allowed,
                     size_t allowed_count, struct http_response *res, struct diag *diag);
/* Two host names without ports. Names of the loopback interface are equal to each other:
 * "localhost" in a connection string is 127.0.0.1 for a service on the same machine. */
bool event__same_host(struct str a, struct str b);
/* True when a WebHook-Request-Origin value (a host or a comma list) names one that is
 * allowed. */
bool event__origin_allowed(struct str origin, const struct str *allowed, size_t allowed_count);
/* The broker's side: headers of the request, and whether the answer consents. */
bool event__validation_request(struct arena *a, struct str origin, struct http_request *out);
bool event__validation_consent(const struct http_response *res, struct str origin,
                               struct diag *diag);

/* --- url.c: where a handler is (section 5) ------------------------------------ */

/* The URL template with {hub} and {event} (without case) replaced by the percent-escaped
 * names. Absent when memory is out. */
struct str event__url(struct arena *a, struct str url_template, struct str hub, struct str event);

/* --- recorded.c: an event in a file ------------------------------------------- */

/* Appends the event as a JSON object without line breaks: its attributes by their header's
 * name without "ce-", "type" (of ce-type), "origin", "dataType", "data" (a string of text,
 * the value of JSON, base64 of the rest) and "metadata". Data of a system event is its body. */
void recorded__write(struct record *out, const struct ph_event *ev);
/* Reads one such object, of which "type" alone must be there: what is missing stays absent.
 * PH_ERR_SYNTAX, with the member and what was expected; PH_ERR_LIMIT, PH_ERR_MEMORY. */
enum ph_err recorded__read(struct arena *a, struct str text, const struct event_limits *limits,
                           struct ph_event *out, struct diag *diag);

/* --- reply.c: what a handler decided ------------------------------------------ */

enum reply_kind {
    REPLY_ACCEPT,
    REPLY_REJECT,
    REPLY_OK,
    REPLY_PASS,
    REPLY_DATA,
    REPLY_DEFERRED /* app/defer.h: another one follows */
};

/* Names and values that a handler adds, each with a NUL behind it. */
struct reply_pairs {
    struct http_headers list;
    size_t bytes; /* of all names and values */
};

struct ph_reply {
    uintptr_t mark;     /* see reply__is_genuine */
    struct arena arena; /* first bytes are the tail of the reply's own allocation */
    const char *failed; /* why something could not be added (a constant): answer 500 */
    enum reply_kind kind;
    int status;         /* REPLY_REJECT */
    struct str text;    /* REPLY_REJECT */
    struct str user_id; /* REPLY_ACCEPT, as all up to `state`; absent: not given */
    struct str subprotocol;
    struct str *groups;
    size_t group_count;
    bool has_roles; /* replace the token's roles, even by none */
    struct str *roles;
    size_t role_count;
    struct str state; /* absent: keep */
    enum ph_data_type type;
    struct str data; /* REPLY_DATA */
    struct metadata_entry *metadata;
    size_t metadata_count;
    struct ph_deferred *deferred;                /* REPLY_DEFERRED: a reference, */
    void (*unref)(struct ph_deferred *deferred); /* given up with this */
    bool has_mqtt_code;                          /* REPLY_REJECT: in place of `status` */
    int mqtt_code;
    struct str content_type; /* REPLY_DATA to an MQTT client; absent: that of `type` */
    struct reply_pairs headers, mqtt_properties;
};

/* Handlers may return anything. False: no constructor has made this, or it was freed (which
 * cannot be told once another stands in its place). */
bool reply__is_genuine(const struct ph_reply *reply);

struct ph_reply *reply__deferred(struct ph_deferred *deferred,
                                 void (*unref)(struct ph_deferred *deferred));

/* --- response.c ---------------------------------------------------------------- */

/* Turns a reply into the HTTP response to `ev` (sections 3.1 to 3.4), which holds copies
 * only. A reply that does not fit the event is PH_ERR_STATE, with `diag` saying which
 * would; `reply` NULL is PH_ERR_INTERNAL, a failed one PH_ERR_ARGUMENT. After an error
 * the response is a 500 without a body. */
enum ph_err response__encode(struct arena *a, const struct ph_event *ev,
                             const struct ph_reply *reply, struct http_response *out,
                             struct diag *diag);

/* The broker's side: what an answer means (section 3). Strings point into the
 * response or the arena. */
struct answer {
    bool success;
    int status;
    /* connect */
    struct str user_id; /* absent: keep the token's */
    struct str *groups; /* group_count 0: keep */
    size_t group_count;
    bool has_roles;
    struct str *roles;
    size_t role_count;
    struct str subprotocol;
    /* user event; metadata alone makes an empty text message */
    bool has_data;
    enum ph_data_type type;
    struct str data;
    struct metadata metadata;
    /* both */
    struct str state;       /* absent: keep */
    struct str cookies[16]; /* values of Set-Cookie */
    size_t cookie_count;
    /* of a failure: what the handler says about it, in this Content-Type */
    struct str refusal, refusal_type;
    /* MQTT: of the CONNACK or the message back. A failed connect has a code and may have a
     * reason; data has a Content-Type, which may be any */
    struct http_headers mqtt_properties;
    int mqtt_code;
    struct str mqtt_reason;
    struct str content_type;
};
/* PH_OK with success or not; PH_ERR_SYNTAX, PH_ERR_UNSUPPORTED when a 2xx answer
 * breaks the contract, which counts as a failure (`diag` says what is wrong). */
enum ph_err response__decode(struct arena *a, enum ph_event_kind kind,
                             const struct http_response *res, struct answer *out,
                             struct diag *diag);
/* The same for the answer to an event of an MQTT client, `ev`. */
enum ph_err response__decode_mqtt(struct arena *a, const struct ph_event *ev,
                                  const struct http_response *res, struct answer *out,
                                  struct diag *diag);
/* What a handler says against an event, if it is for the client: a status of 4xx with a
 * short text. Else absent. */
struct str answer__refusal_text(const struct answer *answer);

/* Content-Type of a data type, without charset, and back (false: none of ours). */
struct str event__content_type(enum ph_data_type type);
bool event__data_type(struct str content_type, enum ph_data_type *out);
/* "text", "json", "binary", "protobuf", as protocols and files call them, and back. */
const char *event__data_type_name(enum ph_data_type type);
bool event__data_type_named(struct str name, enum ph_data_type *out);

#endif
