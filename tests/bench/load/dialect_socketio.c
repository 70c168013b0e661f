/* Socket.IO 4: revision 5 of its protocol in revision 4 of Engine.IO's. */
#include "dialect.h"

#include <stdio.h>
#include <string.h>

static const char *target(const char *port, int index)
{
    (void)port;
    return index == DIALECT_PUBLISHER ? "/socket.io/?EIO=4&transport=websocket&role=publisher"
                                      : "/socket.io/?EIO=4&transport=websocket&role=member";
}

static size_t hear(struct ws_conn *c, const char *data, size_t len, struct hearing *h)
{
    static const char event[] = "42[\"m\",\"", end[] = "\"]";

    if (dialect__starts(data, len, event))
        *h = (struct hearing){HEARD_DELIVERY, data + sizeof(event) - 1,
                              len - (sizeof(event) - 1) - (sizeof(end) - 1)};
    else if (dialect__starts(data, len, "0"))
        ws_client__send(c, "40", 2); /* the transport is open: connect to the namespace */
    else if (dialect__starts(data, len, "40"))
        h->what = HEARD_READY;
    else if (dialect__starts(data, len, "2"))
        ws_client__send(c, "3", 1);
    else
        bench__die("Socket.IO: %.*s", (int)len, data);
    return len;
}

static void publish(struct ws_conn *c, const char *payload, size_t len)
{
    char text[DIALECT_MAX_FRAME];
    int n = snprintf(text, sizeof(text), "42[\"p\",\"%.*s\"]", (int)len, payload);

    ws_client__send(c, text, (size_t)n);
}

const struct dialect dialect__socketio = {
    .name = "socket.io",
    .target = target,
    .subprotocol = dialect__no_subprotocol,
    .greet = dialect__wait,
    .hear = hear,
    .publish = publish,
};
