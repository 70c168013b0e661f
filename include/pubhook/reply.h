/**
 * What a handler decides. A handler performs nothing: it returns one of these and
 * the framework turns it into the HTTP response.
 *
 *     return ph_reply_reject(401, "who are you?");
 *
 * Replies are made by a constructor, filled by the functions below and owned by
 * the framework once returned. Text given to them is copied. A constructor returns
 * NULL when memory is out, every function here accepts NULL, and a reply to which
 * something could not be added turns into status 500: so nothing needs checking,
 * and nothing half-done is ever sent. Returning NULL means that the handler
 * failed: status 500, and the service retries.
 *
 * Threads: one thread at a time for one reply.
 */
#ifndef PUBHOOK_REPLY_H
#define PUBHOOK_REPLY_H

#include <pubhook/event.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ph_reply;

/** Accept a connect event; what the functions below do not set stays as the client's token says. */
PH_API struct ph_reply *ph_reply_accept(void);
/** The connection's user id, in place of the token's; "" for no user. UTF-8 without control
 * characters and without white space at its ends. Accept only. */
PH_API void ph_reply_set_user_id(struct ph_reply *reply, const char *user_id);
/** Join a group from the start (1 to 1024 characters, not all blank). The groups given here
 *  replace those of the token. Accept only. */
PH_API void ph_reply_add_group(struct ph_reply *reply, const char *group);
/** Add a role such as "webpubsub.sendToGroup.lobby". The roles given here replace those of the
 *  token. Accept only. */
PH_API void ph_reply_add_role(struct ph_reply *reply, const char *role);
/** Take away all roles that the token gave, before any are added. Accept only. */
PH_API void ph_reply_clear_roles(struct ph_reply *reply);
/** Choose the WebSocket subprotocol: one that the client offered. Accept only. */
PH_API void ph_reply_set_subprotocol(struct ph_reply *reply, const char *subprotocol);

/**
 * Refuse. For connect, the client's handshake fails with this status; for a user
 * event, the event fails. Use 4xx for what is final: 408 and 5xx make the service
 * try again three times, over nine seconds.
 *
 * @param status  400 to 599
 * @param text    body of the answer, in UTF-8; NULL for none
 */
PH_API struct ph_reply *ph_reply_reject(int status, const char *text);

/** Success without data: 204. For connect it means "as the token says". */
PH_API struct ph_reply *ph_reply_ok(void);

/** Not mine: ask the next matching handler, and if there is none, do as if no handler were there.
 */
PH_API struct ph_reply *ph_reply_pass(void);

/** Answer a user event with a message to its sender; `len` in bytes. User events only. */
PH_API struct ph_reply *ph_reply_text(const char *text, size_t len);
PH_API struct ph_reply *ph_reply_json(const char *json, size_t len);
PH_API struct ph_reply *ph_reply_binary(const void *data, size_t len);
/** `data` is a serialized google.protobuf.Any. */
PH_API struct ph_reply *ph_reply_protobuf(const void *data, size_t len);
/** Any of the four, for handlers that pass a type on. */
PH_API struct ph_reply *ph_reply_data(enum ph_data_type type, const void *data, size_t len);

/** Bytes that a connection's state may have. It travels as one header line of every event and of
 *  an answer; many web servers and proxies refuse lines of more than 8192 with the name. */
#define PH_STATE_MAX 8000

/**
 * Set the connection state that later events of this connection will carry: an
 * opaque ASCII string without control characters, "" to empty it, at most PH_STATE_MAX bytes.
 * Without this call the state stays. For successful replies to connect and user events. (lighttpd
 * drops empty headers: under it, as CGI, "" leaves the state as it is.)
 */
PH_API void ph_reply_set_state(struct ph_reply *reply, const char *state);

/**
 * Set a metadata entry of the message to the client: text that travels beside the data,
 * and that a client of a PubSub subprotocol sees. A name that was set before gets the new
 * value. For ph_reply_text and the like, and for ph_reply_ok, which then answers with an
 * empty text message. User events only.
 *
 * @param name   characters of an HTTP header's name, at most 256; their case is lost
 * @param value  printable ASCII, at most 1024 characters, no white space at its ends, and no
 *               comma: the service takes what stands behind the last one for the value; all names
 *               and values of a reply have 8192 at most
 */
PH_API void ph_reply_set_metadata(struct ph_reply *reply, const char *name, const char *value);

/**
 * Add a header to the HTTP response, for what has no function of its own. Each call adds a line,
 * also when the name was there: several `Set-Cookie` are several cookies. (The service returns
 * cookies of successful replies to connect and user events in the header `Cookie` of later events
 * of that connection: with a load balancer that goes by cookies, they come to the same server.)
 * Refused are names that HTTP or the framework owns: Connection, Content-Encoding, Content-Length,
 * Content-Type, Date, Keep-Alive, Proxy-Connection, Status, TE, Trailer, Transfer-Encoding,
 * Upgrade, and ce-*, WebHook-*, x-webpubsub-metadata-*, mqtt-*.
 *
 * @param name   characters of an HTTP header's name, at most 256
 * @param value  printable ASCII without white space at its ends; at most 64 headers, which have
 *               16384 bytes at most
 */
PH_API void ph_reply_add_header(struct ph_reply *reply, const char *name, const char *value);

/** Frees a reply that is not going to be returned; NULL is fine. */
PH_API void ph_reply_free(struct ph_reply *reply);

#ifdef __cplusplus
}
#endif
#endif
