/* Servers that deliver what the publisher's message holds: nchan, the servers of ours over
 * libwebsockets and ws, and, in the envelope of Azure's JSON protocol, the floor. */
#include "dialect.h"

#include <string.h>

static const char *target(const char *port, int index)
{
    (void)port;
    return index == DIALECT_PUBLISHER ? "/publisher" : "/member";
}

static const char *nchan_target(const char *port, int index)
{
    (void)port;
    return index == DIALECT_PUBLISHER ? "/publisher?id=g" : "/member?id=g";
}

static size_t hear_all(struct ws_conn *c, const char *data, size_t len, struct hearing *h)
{
    /* nchan tells a publisher what has become of each message. */
    if (c->index != DIALECT_PUBLISHER)
        *h = (struct hearing){HEARD_DELIVERY, data, len};
    return len;
}

static size_t hear_envelope(struct ws_conn *c, const char *data, size_t len, struct hearing *h)
{
    static const char key[] = "\"data\":\"";
    const char *at = memmem(data, len, key, sizeof(key) - 1);

    (void)c;
    if (!at)
        bench__die("the floor sent no data");
    at += sizeof(key) - 1;
    *h = (struct hearing){HEARD_DELIVERY, at, (size_t)(data + len - at) - 2};
    return len;
}

const struct dialect dialect__floor = {
    .name = "floor",
    .target = target,
    .subprotocol = dialect__no_subprotocol,
    .hear = hear_envelope,
    .publish = ws_client__send,
};

const struct dialect dialect__plain = {
    .name = "plain",
    .target = target,
    .subprotocol = dialect__no_subprotocol,
    .hear = hear_all,
    .publish = ws_client__send,
};

const struct dialect dialect__nchan = {
    .name = "nchan",
    .target = nchan_target,
    .subprotocol = dialect__no_subprotocol,
    .hear = hear_all,
    .publish = ws_client__send,
};
