/* MQTT 3.1.1 with QoS 0; packets are cut into WebSocket messages wherever the server likes. */
#include "dialect.h"

#include <stdio.h>
#include <string.h>

enum packet { CONNACK = 2, PUBLISH = 3, SUBACK = 9 };

static const char *target(const char *port, int index)
{
    (void)port;
    (void)index;
    return "/mqtt";
}

static const char *subprotocol(int index)
{
    (void)index;
    return "mqtt";
}

static void greet(struct ws_conn *c)
{
    /* A clean session that needs no pings, and a client identifier of eight bytes. */
    char packet[32] = "\x10\x14\x00\x04MQTT\x04\x02\x00\x00\x00\x08";

    snprintf(packet + 14, sizeof(packet) - 14, "c%07d", c->index);
    ws_client__send_binary(c, packet, 22);
}

static void subscribe(struct ws_conn *c)
{
    static const char packet[] = "\x82\x06\x00\x01\x00\x01g"; /* and QoS 0, which ends it */

    ws_client__send_binary(c, packet, sizeof(packet));
}

/* The fixed header: returns its length, 0 if it is not complete. */
static size_t read_header(const char *data, size_t len, size_t *remaining)
{
    *remaining = 0;
    for (size_t i = 1; i < len && i < 5; i++) {
        *remaining |= (size_t)(data[i] & 0x7f) << (7 * (i - 1));
        if (!(data[i] & 0x80))
            return i + 1;
    }
    return 0;
}

static size_t hear(struct ws_conn *c, const char *data, size_t len, struct hearing *h)
{
    size_t size, topic, head = read_header(data, len, &size);

    if (head == 0 || len < head + size)
        return 0;
    switch ((enum packet)((unsigned char)data[0] >> 4)) {
    case CONNACK:
        if (data[head + 1] != 0)
            bench__die("MQTT: the connection is refused with %d", data[head + 1]);
        if (c->index == DIALECT_PUBLISHER)
            h->what = HEARD_READY;
        else
            subscribe(c);
        break;
    case SUBACK:
        h->what = HEARD_READY;
        break;
    case PUBLISH:
        topic = 2 + (size_t)((unsigned char)data[head] << 8 | (unsigned char)data[head + 1]);
        *h = (struct hearing){HEARD_DELIVERY, data + head + topic, size - topic};
        break;
    default:
        bench__die("MQTT: a packet of type %d came", (unsigned char)data[0] >> 4);
    }
    return head + size;
}

static void publish(struct ws_conn *c, const char *payload, size_t len)
{
    char packet[DIALECT_MAX_FRAME] = {PUBLISH << 4};
    size_t n = 1, left = len + 3;

    for (; left >= 0x80; left >>= 7)
        packet[n++] = (char)(left | 0x80);
    packet[n++] = (char)left;
    memcpy(packet + n, "\0\1g", 3);
    memcpy(packet + n + 3, payload, len);
    ws_client__send_binary(c, packet, n + 3 + len);
}

const struct dialect dialect__mqtt = {
    .name = "mqtt",
    .target = target,
    .subprotocol = subprotocol,
    .greet = greet,
    .hear = hear,
    .publish = publish,
};
