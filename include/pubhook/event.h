/**
 * What a handler is told: one decoded CloudEvents webhook.
 *
 * A struct ph_event and everything reached through it belong to the request: they
 * are valid until the handler returns. Strings are NUL-terminated UTF-8. An
 * attribute that was absent is NULL; one that was present and empty is "".
 * Source of each attribute: CloudEvents over HTTP in binary mode, as sent by Azure
 * Web PubSub (headers `ce-*`) and, for connect and disconnected, the JSON body.
 *
 * Threads: an event may be read by any number of threads while its handler runs.
 */
#ifndef PUBHOOK_EVENT_H
#define PUBHOOK_EVENT_H

#include <pubhook/err.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ph_event;

enum ph_event_kind {
    PH_EVENT_CONNECT,      /* a client asks to connect; the reply decides */
    PH_EVENT_CONNECTED,    /* it is connected; the reply is ignored */
    PH_EVENT_USER,         /* a message or a custom event; the reply may carry data back */
    PH_EVENT_DISCONNECTED, /* the connection is gone for good; the reply is ignored */
    PH_EVENT_JOINED,       /* it has joined a group; the reply is ignored */
    PH_EVENT_LEFT          /* it has left a group, or is about to end; the reply is ignored */
};

/** The type of the data of a user event, and of the data of a reply. */
enum ph_data_type {
    PH_DATA_TEXT,    /* UTF-8; text/plain */
    PH_DATA_JSON,    /* the bytes of one JSON value, untouched; application/json */
    PH_DATA_BINARY,  /* application/octet-stream */
    PH_DATA_PROTOBUF /* a serialized google.protobuf.Any; application/x-protobuf */
};

/** What kind of event this is. */
PH_API enum ph_event_kind ph_event_kind(const struct ph_event *ev);

/** Hub as sent (`ce-hub`); hubs compare without case. Never NULL. */
PH_API const char *ph_event_hub(const struct ph_event *ev);
/** Connection id (`ce-connectionId`). Never NULL. */
PH_API const char *ph_event_connection_id(const struct ph_event *ev);
/** Event name without prefix (`ce-eventName`): "connect", "message", ... Never NULL. */
PH_API const char *ph_event_name(const struct ph_event *ev);
/** User id (`ce-userId`), or NULL for an anonymous connection. */
PH_API const char *ph_event_user_id(const struct ph_event *ev);
/** Negotiated WebSocket subprotocol (`ce-subprotocol`); NULL when there is none, and on connect. */
PH_API const char *ph_event_subprotocol(const struct ph_event *ev);
/** CloudEvents id (`ce-id`): unique within the connection and the same on a retry. Never NULL. */
PH_API const char *ph_event_id(const struct ph_event *ev);
/** CloudEvents time (`ce-time`, RFC 3339), or NULL. */
PH_API const char *ph_event_time(const struct ph_event *ev);
/** CloudEvents source (`ce-source`), or NULL. Opaque: do not parse it. */
PH_API const char *ph_event_source(const struct ph_event *ev);
/** Host of the service that sent the event (`WebHook-Request-Origin`), or NULL. */
PH_API const char *ph_event_origin(const struct ph_event *ev);
/**
 * Connection state (`ce-connectionState`) as an earlier reply set it: an opaque
 * string, NULL until first set. pubhook/state.h reads the usual form, base64 JSON.
 */
PH_API const char *ph_event_state(const struct ph_event *ev);
/** Why the connection ended (disconnected events); NULL when the service gave no reason. */
PH_API const char *ph_event_reason(const struct ph_event *ev);
/** The group that was joined or left (PH_EVENT_JOINED, PH_EVENT_LEFT); NULL for the other kinds. */
PH_API const char *ph_event_group(const struct ph_event *ev);

/** Type of the data of a user event; PH_DATA_JSON for the other kinds. */
PH_API enum ph_data_type ph_event_data_type(const struct ph_event *ev);
/** Content-Type as sent. It says more than the data type in user events of MQTT clients, which may
 *  have any: what is none of the four is PH_DATA_BINARY. NULL when an MQTT client gave none. */
PH_API const char *ph_event_content_type(const struct ph_event *ev);
/**
 * The data of a user event; for the other kinds, the JSON body as received.
 *
 * @param len  gets the number of bytes; a NUL that does not count follows them
 * @return     never NULL
 */
PH_API const void *ph_event_data(const struct ph_event *ev, size_t *len);

/**
 * Multi-valued properties, each a list of strings. The first three are of the client's connect
 * request: only connect events have them. Names of PH_FIELD_HEADERS compare without case, and so
 * do those that travel as headers: metadata, and MQTT properties of user events.
 */
enum ph_field {
    PH_FIELD_CLAIMS,         /* claims of the client's access token */
    PH_FIELD_QUERY,          /* query of the client's URL; treat values as secrets in logs */
    PH_FIELD_HEADERS,        /* the client's HTTP headers */
    PH_FIELD_METADATA,       /* message metadata of a user event; one value each */
    PH_FIELD_MQTT_PROPERTIES /* MQTT user properties of the CONNECT, PUBLISH or DISCONNECT packet,
                                in their order: a name that comes n times is listed n times, and
                                its values have the indexes 0 to n - 1 */
};

/**
 * A value of a named property.
 *
 * @param index  0 for the first value of that name
 * @return       the value, or NULL when there is none with that name and index
 */
PH_API const char *ph_event_field(const struct ph_event *ev, enum ph_field field, const char *name,
                                  size_t index);
/** Number of names in a property list. */
PH_API size_t ph_event_field_count(const struct ph_event *ev, enum ph_field field);
/** The name at `at`, in the order received; NULL past the end. */
PH_API const char *ph_event_field_name(const struct ph_event *ev, enum ph_field field, size_t at);

/** Subprotocols that the client offered (connect events), in its order; NULL past the end. */
PH_API const char *ph_event_offered_subprotocol(const struct ph_event *ev, size_t at);

/** Number of TLS client certificates (connect events). */
PH_API size_t ph_event_certificate_count(const struct ph_event *ev);
/** SHA-1 thumbprint in hex of a client certificate; NULL past the end. */
PH_API const char *ph_event_certificate_thumbprint(const struct ph_event *ev, size_t at);
/** A client certificate in PEM; NULL past the end. */
PH_API const char *ph_event_certificate_pem(const struct ph_event *ev, size_t at);

/** What a client certificate says. TLS has not judged it: whether to trust its issuer and whether
 *  it is valid now is for the handler (or a proxy before the service) to decide. */
enum ph_certificate_fact {
    PH_CERTIFICATE_SUBJECT,     /* as RFC 2253 writes it: "CN=device 7,O=Example" */
    PH_CERTIFICATE_ISSUER,      /* the same */
    PH_CERTIFICATE_COMMON_NAME, /* of the subject, the last one */
    PH_CERTIFICATE_SERIAL,      /* hex, lower case */
    PH_CERTIFICATE_NOT_BEFORE,  /* "2026-11-20T12:00:00Z" */
    PH_CERTIFICATE_NOT_AFTER,
    PH_CERTIFICATE_SHA1,  /* thumbprint that is computed here; hex, lower case */
    PH_CERTIFICATE_SHA256 /* the same */
};
/**
 * A fact of a client certificate. It is read from the PEM when first asked for.
 *
 * @return  UTF-8 that lives as long as the event; NULL past the end, when the PEM is not one that
 *          can be read or has more than 64 KiB, past the 16th certificate, when the fact is
 *          missing, and when memory is out
 */
PH_API const char *ph_event_certificate_fact(const struct ph_event *ev, size_t at,
                                             enum ph_certificate_fact fact);
/**
 * The first and the last second, since 1970, in which a client certificate is valid.
 *
 * @param not_before, not_after  may be NULL; unchanged on failure
 * PH_ERR_NOT_FOUND: ph_event_certificate_fact gives nothing of it either.
 */
PH_API enum ph_err ph_event_certificate_validity(const struct ph_event *ev, size_t at,
                                                 int64_t *not_before, int64_t *not_after);

/** Header of the webhook request itself, for what has no accessor; NULL if absent. */
PH_API const char *ph_event_http_header(const struct ph_event *ev, const char *name);

#ifdef __cplusplus
}
#endif
#endif
