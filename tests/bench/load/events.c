/* Event round trips: each client sends a user event, waits for the handler's message
 * and the ack, and sends the next. Every frame that comes is compared byte for byte with
 * the one that has to come: the right data, the right ackId, in the order of the events.
 *
 *   events PORT CLIENTS EVENTS [IN_FLIGHT]
 *
 * IN_FLIGHT: how many events each client may have sent ahead of its acks (1). With more,
 * the acks that come with one read are answered with one write.
 *
 * Needs a broker whose hub `bench` has a handler that echoes. Prints one line of JSON. */
#include "ws_client.h"

#include <pubhook/pubhook.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA "%040d%060d" /* the client and the number of its event */
#define FRAME_MAX 256

struct worker {
    bool greeted;
    int sent, answered, acked; /* numbers of its last events, from 1 */
    int64_t *sent_at;          /* of those under way, by number modulo `in_flight` */
};

struct round_trips {
    struct ws_client client;
    char *target;
    int clients, events, in_flight;
    int greeted, started, done;
    struct worker *workers; /* by client */
    int64_t *took;
};

static const char *target_of(void *ctx, int index)
{
    (void)index;
    return ((struct round_trips *)ctx)->target;
}

typedef void send_fn(struct ws_conn *c, const char *text, size_t len);

static void send_event(struct round_trips *r, struct ws_conn *c, send_fn *send)
{
    struct worker *w = &r->workers[c->index];
    char text[FRAME_MAX];
    int n;

    if (r->started == r->events)
        return;
    r->started++;
    w->sent++;
    n = snprintf(text, sizeof(text),
                 "{\"type\":\"event\",\"event\":\"bench\",\"ackId\":%d,\"dataType\":\"text\","
                 "\"data\":\"" DATA "\"}",
                 w->sent, c->index, w->sent);
    w->sent_at[w->sent % r->in_flight] = bench__now_us();
    send(c, text, (size_t)n);
}

static void expect(const struct ws_conn *c, const char *payload, size_t len, const char *wanted,
                   int wanted_len)
{
    if (len != (size_t)wanted_len || memcmp(payload, wanted, len) != 0)
        bench__die("client %d: expected %.*s, got %.*s", c->index, wanted_len, wanted, (int)len,
                   payload);
}

static void expect_answer(const struct ws_conn *c, int number, const char *payload, size_t len)
{
    char wanted[FRAME_MAX];

    expect(c, payload, len, wanted,
           snprintf(wanted, sizeof(wanted),
                    "{\"type\":\"message\",\"from\":\"server\",\"dataType\":\"text\","
                    "\"data\":\"" DATA "\"}",
                    c->index, number));
}

static void expect_ack(const struct ws_conn *c, int number, const char *payload, size_t len)
{
    char wanted[FRAME_MAX];

    expect(c, payload, len, wanted,
           snprintf(wanted, sizeof(wanted), "{\"type\":\"ack\",\"ackId\":%d,\"success\":true}",
                    number));
}

static const char *subprotocol_of(void *ctx, int index)
{
    (void)ctx, (void)index;
    return "json.webpubsub.azure.v1";
}

static void greet(struct round_trips *r, const struct ws_conn *c, const char *payload, size_t len)
{
    if (!memmem(payload, len, "\"event\":\"connected\"", 19))
        bench__die("client %d: expected to be told that it is connected, got %.*s", c->index,
                   (int)len, payload);
    r->workers[c->index].greeted = true;
    r->greeted++;
}

/* Each event brings a message and, behind it, an ack. */
static void on_frame(struct ws_conn *c, const char *payload, size_t len)
{
    struct round_trips *r = c->client->ctx;
    struct worker *w = &r->workers[c->index];

    if (!w->greeted) {
        greet(r, c, payload, len);
        return;
    }
    if (w->answered == w->acked) {
        expect_answer(c, ++w->answered, payload, len);
        return;
    }
    expect_ack(c, ++w->acked, payload, len);
    r->took[r->done++] = bench__now_us() - w->sent_at[w->acked % r->in_flight];
    send_event(r, c, ws_client__hold);
}

static void wait_for(struct round_trips *r, const int *count, int wanted)
{
    while (*count < wanted) {
        if (!ws_client__poll(&r->client, 10000))
            bench__die("nothing came for 10 s: %d of %d clients greeted, %d of %d events done",
                       r->greeted, r->clients, r->done, r->events);
    }
}

static void *zeroed(size_t count, size_t size)
{
    void *p = calloc(count, size);

    if (!p)
        bench__die("out of memory");
    return p;
}

static void connect_all(struct round_trips *r, const char *port)
{
    struct ph_token_options options = {.user_id = "bench"};
    char connection_string[256], *url;

    snprintf(connection_string, sizeof(connection_string),
             "Endpoint=http://127.0.0.1:%s;AccessKey=%s;Version=1.0;", port,
             "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH");
    if (ph_client_access_url(connection_string, "bench", &options, &url) != PH_OK)
        bench__die("no token");
    r->target = strstr(url + 5, "/client");
    r->client.on_frame = on_frame;
    r->client.ctx = r;
    ws_client__open(&r->client, (uint16_t)atoi(port), r->clients, target_of, subprotocol_of, r);
}

int main(int argc, char **argv)
{
    struct round_trips r = {.in_flight = 1};
    int64_t start, took;

    if (argc < 4)
        bench__die("usage: events PORT CLIENTS EVENTS [IN_FLIGHT]");
    r.clients = atoi(argv[2]);
    r.events = atoi(argv[3]);
    if (argc > 4)
        r.in_flight = atoi(argv[4]);
    if (r.clients < 1 || r.events < 1 || r.in_flight < 1)
        bench__die("CLIENTS, EVENTS and IN_FLIGHT are 1 or more");
    r.workers = zeroed((size_t)r.clients, sizeof(*r.workers));
    r.took = zeroed((size_t)r.events, sizeof(*r.took));
    for (int i = 0; i < r.clients; i++)
        r.workers[i].sent_at = zeroed((size_t)r.in_flight, sizeof(int64_t));
    connect_all(&r, argv[1]);
    wait_for(&r, &r.greeted, r.clients);
    bench__start();
    start = bench__now_us();
    for (int n = 0; n < r.in_flight; n++) {
        for (int i = 0; i < r.clients; i++)
            send_event(&r, &r.client.conns[i], ws_client__send);
    }
    wait_for(&r, &r.done, r.events);
    took = bench__now_us() - start;
    printf("{\"round_trips_per_s\":%.0f,\"p50_us\":%lld,\"p99_us\":%lld}\n",
           r.events * 1e6 / (double)took, (long long)bench__quantile(r.took, (size_t)r.events, 0.5),
           (long long)bench__quantile(r.took, (size_t)r.events, 0.99));
    return 0;
}
