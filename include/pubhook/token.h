/**
 * Client access tokens and URLs, made locally from an access key, as a negotiate
 * server hands them out (client-and-rest section 1.2).
 */
#ifndef PUBHOOK_TOKEN_H
#define PUBHOOK_TOKEN_H

#include <pubhook/err.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What the client speaks: each has a path of its own in the client's URL. */
enum ph_client_protocol {
    PH_CLIENT_DEFAULT, /**< Web PubSub: wss://HOST/client/hubs/HUB */
    PH_CLIENT_MQTT,    /**< MQTT over WebSocket: wss://HOST/clients/mqtt/hubs/HUB */
    PH_CLIENT_SOCKETIO /**< Socket.IO: wss://HOST/clients/socketio/hubs/HUB */
};

/** Zero and NULL mean the default. New members come at the end. */
struct ph_token_options {
    const char *user_id;       /* NULL: anonymous; no control characters, no blank ends */
    const char *const *roles;  /* NULL-terminated, or NULL */
    const char *const *groups; /* groups joined at connect; NULL-terminated, or NULL */
    unsigned minutes;          /* lifetime; 0 means 60 */
    enum ph_client_protocol protocol;
};

/**
 * The URL that a client connects to, access token included.
 *
 * @param connection_string  "Endpoint=...;AccessKey=...;"; NULL reads the environment
 *                           variable WebPubSubConnectionString
 * @param hub                the hub
 * @param options            NULL for an anonymous client without roles
 * @param out                gets a string to be freed with ph_token_free
 * PH_ERR_NOT_FOUND: no connection string. PH_ERR_SYNTAX: it has no Endpoint or no
 * AccessKey. PH_ERR_ARGUMENT: no valid hub name, group name, role, user id or protocol.
 * PH_ERR_MEMORY: out of memory, or the token would be longer than 18 KiB.
 * Threads: any.
 */
PH_API enum ph_err ph_client_access_url(const char *connection_string, const char *hub,
                                        const struct ph_token_options *options, char **out);
/** The same, but the token alone, to be freed with ph_token_free. */
PH_API enum ph_err ph_client_access_token(const char *connection_string, const char *hub,
                                          const struct ph_token_options *options, char **out);
/** Frees what the two functions above returned; NULL is fine. */
PH_API void ph_token_free(char *token);

#ifdef __cplusplus
}
#endif
#endif
