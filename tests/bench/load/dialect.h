/* What a server's clients say inside WebSocket messages: one row for each server that is
 * measured. The publisher is connection 0, all others are members of one group. */
#ifndef TESTS_BENCH_LOAD_DIALECT_H
#define TESTS_BENCH_LOAD_DIALECT_H

#include "ws_client.h"

#define DIALECT_KEY "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
#define DIALECT_PUBLISHER 0
#define DIALECT_MAX_FRAME 66000

enum heard {
    HEARD_NOTHING,  /* something else was said, which is dealt with */
    HEARD_READY,    /* from now on the connection gets what is published, or may publish */
    HEARD_DELIVERY, /* `payload` */
};

struct hearing {
    enum heard what;
    const char *payload;
    size_t len;
};

struct dialect {
    const char *name;
    /* Request target and subprotocol (NULL: none) of a client. */
    const char *(*target)(const char *port, int index);
    const char *(*subprotocol)(int index);
    /* What a client says once it is connected; NULL: it is ready then. */
    void (*greet)(struct ws_conn *c);
    /* Reads the first thing that is said in `data` and returns its length; 0: it is not
     * complete, and the next WebSocket message goes on with it. */
    size_t (*hear)(struct ws_conn *c, const char *data, size_t len, struct hearing *h);
    void (*publish)(struct ws_conn *c, const char *payload, size_t len);
    /* Of reliable clients: acknowledges a delivery; else NULL. */
    void (*acknowledge)(struct ws_conn *c, const char *data, size_t len);
};

/* NULL: no dialect is called so. */
const struct dialect *dialect__find(const char *name);

/* What rows share. */
const char *dialect__no_subprotocol(int index);
void dialect__wait(struct ws_conn *c); /* the server speaks first */
bool dialect__starts(const char *data, size_t len, const char *word);

extern const struct dialect dialect__floor, dialect__plain, dialect__nchan;
extern const struct dialect dialect__json, dialect__reliable, dialect__protobuf,
    dialect__protobuf_reliable, dialect__raw;
extern const struct dialect dialect__nats, dialect__mqtt, dialect__socketio;

#endif
