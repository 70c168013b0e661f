#include "crowd.h"

#include <stdlib.h>
#include <string.h>

#define ACKNOWLEDGE_EACH 100 /* deliveries */

struct listener {
    unsigned heard; /* deliveries */
    char *rest;     /* of something that the next message goes on with */
    size_t len, cap;
};

struct crowd *crowd__of(const struct ws_conn *c)
{
    return c->client->ctx;
}

static struct listener *listener_of(struct ws_conn *c)
{
    if (!c->user)
        c->user = calloc(1, sizeof(struct listener));
    if (!c->user)
        bench__die("out of memory");
    return c->user;
}

static void deliver(struct ws_conn *c, const char *data, size_t len, const struct hearing *h)
{
    struct crowd *crowd = crowd__of(c);

    if (crowd->on_delivery)
        crowd->on_delivery(c, h->payload, h->len);
    if (crowd->dialect->acknowledge && ++listener_of(c)->heard % ACKNOWLEDGE_EACH == 0) {
        crowd->dialect->acknowledge(c, data, len);
        ws_client__confirm_at_once(c); /* as for those who never write */
    }
}

static size_t hear(struct ws_conn *c, const char *data, size_t len)
{
    struct crowd *crowd = crowd__of(c);
    size_t done = 0;

    while (done < len) {
        struct hearing h = {HEARD_NOTHING, NULL, 0};
        size_t n = crowd->dialect->hear(c, data + done, len - done, &h);

        if (n == 0)
            break;
        if (h.what == HEARD_READY)
            crowd->ready++;
        else if (h.what == HEARD_DELIVERY)
            deliver(c, data + done, n, &h);
        done += n;
    }
    return done;
}

static void keep(struct listener *l, const char *data, size_t len)
{
    if (l->cap < l->len + len) {
        l->cap = 2 * (l->len + len);
        l->rest = realloc(l->rest, l->cap);
        if (!l->rest)
            bench__die("out of memory");
    }
    memcpy(l->rest + l->len, data, len);
    l->len += len;
}

static void on_frame(struct ws_conn *c, const char *data, size_t len)
{
    struct listener *l = c->user;
    size_t done;

    if (!l || l->len == 0) {
        done = hear(c, data, len);
        if (done < len)
            keep(listener_of(c), data + done, len - done);
        return;
    }
    keep(l, data, len);
    done = hear(c, l->rest, l->len);
    l->len -= done;
    memmove(l->rest, l->rest + done, l->len);
}

static void on_open(struct ws_conn *c)
{
    struct crowd *crowd = crowd__of(c);

    if (crowd->dialect->greet)
        crowd->dialect->greet(c);
    else
        crowd->ready++;
}

static const char *target_of(void *ctx, int index)
{
    const struct crowd *crowd = ctx;

    return crowd->dialect->target(crowd->port, index);
}

static const char *subprotocol_of(void *ctx, int index)
{
    return ((const struct crowd *)ctx)->dialect->subprotocol(index);
}

void crowd__open(struct crowd *crowd, const char *port, const char *dialect, int members)
{
    crowd->dialect = dialect__find(dialect);
    if (!crowd->dialect)
        bench__die("no dialect is called %s", dialect);
    crowd->port = port;
    crowd->client.on_open = on_open;
    crowd->client.on_frame = on_frame;
    crowd->client.ctx = crowd;
    ws_client__open(&crowd->client, (uint16_t)atoi(port), members + 1, target_of, subprotocol_of,
                    crowd);
    while (crowd->ready <= members) {
        if (!crowd__poll(crowd, 10000))
            bench__die("only %d of %d clients are ready", crowd->ready, members + 1);
    }
}

void crowd__publish(struct crowd *crowd, const char *payload, size_t len)
{
    crowd->dialect->publish(&crowd->client.conns[DIALECT_PUBLISHER], payload, len);
}

bool crowd__poll(struct crowd *crowd, int timeout_ms)
{
    return ws_client__poll(&crowd->client, timeout_ms);
}
