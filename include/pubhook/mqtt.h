/**
 * MQTT clients of Azure Web PubSub: what is theirs alone in events and replies.
 *
 * An event of an MQTT client differs in this: ph_event_connection_id is the MQTT client id,
 * which stays when the client comes back; a session (ph_event_session_id) may outlive many
 * physical connections (ph_event_physical_connection_id). User events may have any
 * Content-Type. Properties are in PH_FIELD_MQTT_PROPERTIES.
 *
 * Threads: as for the other functions of events and replies.
 */
#ifndef PUBHOOK_MQTT_H
#define PUBHOOK_MQTT_H

#include <pubhook/reply.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Protocol levels, as MQTT numbers them. */
enum ph_mqtt_version {
    PH_MQTT_UNKNOWN = 0, /* no MQTT client, or no connect event, which alone says it */
    PH_MQTT_3_1_1 = 4,
    PH_MQTT_5 = 5
};

/** What a CONNACK or a DISCONNECT says, by protocol version. */
enum ph_mqtt_code {
    /* Return codes of CONNACK, MQTT 3.1.1 section 3.2.2.3. */
    PH_MQTT_3_UNACCEPTABLE_PROTOCOL_VERSION = 1,
    PH_MQTT_3_IDENTIFIER_REJECTED = 2,
    PH_MQTT_3_SERVER_UNAVAILABLE = 3,
    PH_MQTT_3_BAD_USER_NAME_OR_PASSWORD = 4,
    PH_MQTT_3_NOT_AUTHORIZED = 5,

    /* Reason codes of MQTT 5 section 2.4 with which a client is refused (CONNACK). */
    PH_MQTT_5_UNSPECIFIED_ERROR = 128,
    PH_MQTT_5_MALFORMED_PACKET = 129,
    PH_MQTT_5_PROTOCOL_ERROR = 130,
    PH_MQTT_5_IMPLEMENTATION_SPECIFIC_ERROR = 131,
    PH_MQTT_5_UNSUPPORTED_PROTOCOL_VERSION = 132,
    PH_MQTT_5_CLIENT_IDENTIFIER_NOT_VALID = 133,
    PH_MQTT_5_BAD_USER_NAME_OR_PASSWORD = 134,
    PH_MQTT_5_NOT_AUTHORIZED = 135,
    PH_MQTT_5_SERVER_UNAVAILABLE = 136,
    PH_MQTT_5_SERVER_BUSY = 137,
    PH_MQTT_5_BANNED = 138,
    PH_MQTT_5_BAD_AUTHENTICATION_METHOD = 140,
    PH_MQTT_5_TOPIC_NAME_INVALID = 144,
    PH_MQTT_5_PACKET_TOO_LARGE = 149,
    PH_MQTT_5_QUOTA_EXCEEDED = 151,
    PH_MQTT_5_PAYLOAD_FORMAT_INVALID = 153,
    PH_MQTT_5_RETAIN_NOT_SUPPORTED = 154,
    PH_MQTT_5_QOS_NOT_SUPPORTED = 155,
    PH_MQTT_5_USE_ANOTHER_SERVER = 156,
    PH_MQTT_5_SERVER_MOVED = 157,
    PH_MQTT_5_CONNECTION_RATE_EXCEEDED = 159,

    /* Those with which connections end alone (DISCONNECT); of the codes above, most can too. */
    PH_MQTT_5_NORMAL_DISCONNECTION = 0,
    PH_MQTT_5_DISCONNECT_WITH_WILL = 4,
    PH_MQTT_5_SERVER_SHUTTING_DOWN = 139,
    PH_MQTT_5_KEEP_ALIVE_TIMEOUT = 141,
    PH_MQTT_5_SESSION_TAKEN_OVER = 142,
    PH_MQTT_5_TOPIC_FILTER_INVALID = 143,
    PH_MQTT_5_RECEIVE_MAXIMUM_EXCEEDED = 147,
    PH_MQTT_5_TOPIC_ALIAS_INVALID = 148,
    PH_MQTT_5_MESSAGE_RATE_TOO_HIGH = 150,
    PH_MQTT_5_ADMINISTRATIVE_ACTION = 152,
    PH_MQTT_5_SHARED_SUBSCRIPTIONS_UNSUPPORTED = 158,
    PH_MQTT_5_MAXIMUM_CONNECT_TIME = 160,
    PH_MQTT_5_SUBSCRIPTION_IDS_UNSUPPORTED = 161,
    PH_MQTT_5_WILDCARD_SUBSCRIPTIONS_UNSUPPORTED = 162
};

/* --- Events ------------------------------------------------------------------------- */

/** 1 when the event is of an MQTT client, else 0. */
PH_API int ph_event_is_mqtt(const struct ph_event *ev);
/** Physical connection (`ce-physicalConnectionId`), opaque; NULL when it is no MQTT client. */
PH_API const char *ph_event_physical_connection_id(const struct ph_event *ev);
/** MQTT session (`ce-sessionId`), opaque; NULL on connect, before which there is none, and when
 *  it is no MQTT client. */
PH_API const char *ph_event_session_id(const struct ph_event *ev);

/** Protocol version (connect events). */
PH_API enum ph_mqtt_version ph_event_mqtt_version(const struct ph_event *ev);
/** 1 when the client asks for a new session (connect events), else 0. */
PH_API int ph_event_mqtt_clean_start(const struct ph_event *ev);
/** User name of the CONNECT packet (connect events); NULL when there is none. */
PH_API const char *ph_event_mqtt_username(const struct ph_event *ev);
/**
 * Password of the CONNECT packet (connect events): any bytes, and a secret.
 *
 * @param len  gets the number of bytes; a NUL that does not count follows them
 * @return     NULL when there is none
 */
PH_API const void *ph_event_mqtt_password(const struct ph_event *ev, size_t *len);

/** 1 when the client ended the connection with a DISCONNECT packet of its own (disconnected
 *  events), else 0. */
PH_API int ph_event_mqtt_initiated_by_client(const struct ph_event *ev);
/** Reason code of the DISCONNECT packet (disconnected events), of whichever side; 0 for MQTT
 *  3.1.1; -1 when there was no packet. */
PH_API int ph_event_mqtt_disconnect_code(const struct ph_event *ev);

/* --- Replies ------------------------------------------------------------------------- */

/**
 * Refuse an MQTT client's connect event with a CONNACK of this code; the HTTP status follows
 * from it. (ph_reply_reject does as well: the code then follows from the status.) A code that
 * the client's protocol version does not have is an error: the reply becomes status 500.
 *
 * @param code    of enum ph_mqtt_code, for the version of ph_event_mqtt_version
 * @param reason  for the client, in UTF-8; NULL for none. MQTT 3.1.1 does not carry it
 */
PH_API struct ph_reply *ph_reply_reject_mqtt(int code, const char *reason);

/**
 * Add a user property: to the CONNACK when the reply is to a connect event of MQTT 5, to the
 * message back when it is to an MQTT user event, refused or not. A name may come several times.
 * (In a reply to a user event it travels as the header `mqtt-<name>`: there a name has the
 * characters of a header's name, a value printable ASCII without white space at its ends.)
 *
 * @param name, value  UTF-8 without control characters; at most 64 properties, which have
 *                     16384 bytes at most
 */
PH_API void ph_reply_add_mqtt_property(struct ph_reply *reply, const char *name, const char *value);

/**
 * The Content-Type of the data that goes back to an MQTT client, in place of the usual one of
 * its ph_data_type. For ph_reply_text and the like to MQTT user events only: other clients
 * know no other types.
 *
 * @param content_type  printable ASCII, "type/subtype" with or without parameters, at most 256
 *                      characters
 */
PH_API void ph_reply_set_content_type(struct ph_reply *reply, const char *content_type);

#ifdef __cplusplus
}
#endif
#endif
