/* NATS: its text protocol, cut into WebSocket messages wherever the server likes. */
#include "dialect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEND(c, text) ws_client__send_binary(c, text, sizeof(text) - 1)

static const char *target(const char *port, int index)
{
    (void)port;
    (void)index;
    return "/";
}

static void greet(struct ws_conn *c)
{
    SEND(c, "CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false}\r\n");
    if (c->index != DIALECT_PUBLISHER)
        SEND(c, "SUB g 1\r\n");
    SEND(c, "PING\r\n"); /* the answer says that all before it has been done */
}

/* MSG g 1 SIZE\r\nPAYLOAD\r\n */
static size_t hear_message(const char *data, size_t len, size_t line, struct hearing *h)
{
    const char *size_at = memrchr(data, ' ', line);
    size_t size = strtoul(size_at, NULL, 10);

    if (len < line + size + 2)
        return 0;
    *h = (struct hearing){HEARD_DELIVERY, data + line, size};
    return line + size + 2;
}

static size_t hear(struct ws_conn *c, const char *data, size_t len, struct hearing *h)
{
    const char *end = memchr(data, '\n', len);
    size_t line;

    if (!end)
        return 0;
    line = (size_t)(end + 1 - data);
    if (dialect__starts(data, line, "MSG "))
        return hear_message(data, len, line, h);
    if (dialect__starts(data, line, "-ERR"))
        bench__die("NATS: %.*s", (int)line, data);
    if (dialect__starts(data, line, "PONG"))
        h->what = HEARD_READY;
    else if (dialect__starts(data, line, "PING"))
        SEND(c, "PONG\r\n");
    return line;
}

static void publish(struct ws_conn *c, const char *payload, size_t len)
{
    char text[DIALECT_MAX_FRAME];
    int n = snprintf(text, sizeof(text), "PUB g %zu\r\n%.*s\r\n", len, (int)len, payload);

    ws_client__send_binary(c, text, (size_t)n);
}

const struct dialect dialect__nats = {
    .name = "nats",
    .target = target,
    .subprotocol = dialect__no_subprotocol,
    .greet = greet,
    .hear = hear,
    .publish = publish,
};
