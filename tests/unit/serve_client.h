/* A client for the tests of servers: bytes out, bytes in, on loopback and with a
 * deadline for everything. */
#ifndef TESTS_UNIT_SERVE_CLIENT_H
#define TESTS_UNIT_SERVE_CLIENT_H

#include "pubhook/serve.h"
#include "webhook.h"

#define SERVE_CLIENT_WAIT_S UNIT_WAIT_S

/* An application that checks WEBHOOK_KEY and echoes the user events of any hub. */
struct ph_app *serve_client__echo_app(void);
/* "127.0.0.1:PORT" of a running server. */
const char *serve_client__authority(const struct ph_server *server, char out[64]);

int serve_client__connect_tcp(const char *authority);
int serve_client__connect_unix(const char *path);
/* False when the peer is gone. */
bool serve_client__send(int fd, const void *data, size_t len);
/* Reads until the peer closes; the number of bytes (a NUL follows them), or fails the test
 * when the peer is silent for too long. */
size_t serve_client__read_all(int fd, char *out, size_t size);
/* Reads one HTTP response with its Content-Length; returns its status, 0 for none. */
int serve_client__read_http(int fd, char *out, size_t size);

/* A correctly signed "message" event as an HTTP/1.1 request. */
struct str serve_client__event(char *out, size_t size, const char *extra_lines, const char *body);
/* The header lines of it, without framing and request line. */
#define SERVE_CLIENT_EVENT_LINES                                                                   \
    "Host: localhost\r\n"                                                                          \
    "ce-specversion: 1.0\r\n"                                                                      \
    "ce-awpsversion: 1.0\r\n"                                                                      \
    "ce-type: azure.webpubsub.user.message\r\n"                                                    \
    "ce-source: /hubs/chat/client/conn1\r\n"                                                       \
    "ce-id: 2\r\n"                                                                                 \
    "ce-time: 2026-11-20T12:00:00Z\r\n"                                                            \
    "ce-signature: " WEBHOOK_SIGNATURE "\r\n"                                                      \
    "ce-connectionId: " WEBHOOK_CONNECTION "\r\n"                                                  \
    "ce-hub: chat\r\n"                                                                             \
    "ce-eventName: message\r\n"                                                                    \
    "ce-userId: \xd0\xba\xd0\xbb\r\n"                                                              \
    "WebHook-Request-Origin: localhost\r\n"                                                        \
    "Content-Type: text/plain\r\n"

#endif
