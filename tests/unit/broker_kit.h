/* A broker in this process and clients that speak to it in bytes, for the tests of
 * broker/net. Everything on loopback, and nothing waits longer than BROKER_KIT_WAIT_S. */
#ifndef TESTS_UNIT_BROKER_KIT_H
#define TESTS_UNIT_BROKER_KIT_H

#include "base/buf.h"
#include "broker/net/broker.h"
#include "unit.h"
#include "ws/ws.h"

#define BROKER_KIT_WAIT_S UNIT_WAIT_S
#define JSON_PROTOCOL "json.webpubsub.azure.v1"
#define RELIABLE_PROTOCOL "json.reliable.webpubsub.azure.v1"

struct broker_kit {
    struct settings settings;
    struct broker_limits limits; /* may be changed before broker_kit__start */
    struct ph_log *log;
    struct broker *broker;
    unsigned port;
};

void broker_kit__init(struct broker_kit *k, unsigned threads);
void broker_kit__start(struct broker_kit *k);
/* Stops the broker if it still runs, and frees everything. */
void broker_kit__free(struct broker_kit *k);

/* --- HTTP ---------------------------------------------------------------------- */

/* A connected socket with a receive timeout. */
int broker_kit__connect(const struct broker_kit *k);
void broker_kit__write(int fd, const void *data, size_t len);
/* Sends the text of a request (with its length: it may hold NULs), reads one response.
 * Returns its status, 0 when the connection was closed without one. `out`, if any, gets
 * the response. */
int broker_kit__http(const struct broker_kit *k, struct str request, struct buf *out);
/* The same for a REST call with a good token; `target` with query. */
int broker_kit__rest(const struct broker_kit *k, const char *method, const char *target,
                     const char *content_type, struct str body, struct buf *out);
/* Appends a token for an audience; `claims` is JSON text behind "exp", like ,"sub":"u". */
void broker_kit__token(const struct broker_kit *k, const char *path, const char *claims,
                       struct buf *out);

/* --- WebSocket ------------------------------------------------------------------- */

struct client_options {
    const char *hub;      /* default: chat */
    const char *protocol; /* NULL: raw client */
    const char *claims;   /* JSON text behind "exp" */
    const char *query;    /* more parameters, such as "a=b" */
    bool no_token;
    struct str early;   /* sent together with the request */
    int receive_buffer; /* bytes of SO_RCVBUF; 0: as it is */
};

struct client {
    int fd;
    int status; /* of the handshake; 0: closed without a response */
    struct buf in;
    size_t at;
    struct buf payload; /* of the frame read last */
    uint16_t code;      /* of a close frame read last */
};

/* Sends the upgrade request and reads the response's head. */
void client__open(struct client *c, const struct broker_kit *k, const struct client_options *o);
void client__close(struct client *c);
/* A masked frame; `first` as in ws_client.h. */
void client__frame(struct client *c, uint8_t first, struct str payload);
void client__text(struct client *c, const char *text);
/* Reads a frame; its opcode, with c->payload, or -1 when the broker has closed the socket. */
int client__read_frame(struct client *c);
/* The same of the next one that is no ping; pings are answered. */
int client__read(struct client *c);
/* Reads a frame and compares it; fails the test if it is another. */
void client__expect(struct client *c, int opcode, const char *payload);
/* Reads frames up to a close frame, then the end of the socket; the close code. */
unsigned client__expect_close(struct client *c);
/* Value of a string member in the JSON of the frame read last; copied to `out`. */
void client__member(struct client *c, const char *name, char *out, size_t size);

/* A server that accepts connections and says nothing: its listening socket. */
int open_silent_server(uint16_t *port);

#endif
