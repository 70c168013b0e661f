/* Event round trips: each client sends a user event, waits for the handler's message
 * and the ack, and sends the next.
 *
 *   events PORT CLIENTS EVENTS
 *
 * Needs a broker whose hub `bench` has a handler that echoes. Prints one line of JSON. */
#include "ws_client.h"

#include <pubhook/pubhook.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct round_trips {
    struct ws_client client;
    char *target;
    int clients, events;
    int started, done;
    int64_t *sent_at; /* per client */
    int64_t *took;
    bool *answered; /* per client: the message came, the ack has not */
    int *number;    /* per client: of its event under way */
};

static const char *target_of(void *ctx, int index)
{
    (void)index;
    return ((struct round_trips *)ctx)->target;
}

static const char *subprotocol_of(void *ctx, int index)
{
    (void)ctx;
    (void)index;
    return "json.webpubsub.azure.v1";
}

static void send_event(struct round_trips *r, struct ws_conn *c)
{
    char text[256];
    int n;

    if (r->started == r->events)
        return;
    r->started++;
    r->number[c->index]++;
    n = snprintf(text, sizeof(text),
                 "{\"type\":\"event\",\"event\":\"bench\",\"ackId\":%d,\"dataType\":\"text\","
                 "\"data\":\"%0100d\"}",
                 r->number[c->index], r->number[c->index]);
    r->answered[c->index] = false;
    r->sent_at[c->index] = bench__now_us();
    ws_client__send(c, text, (size_t)n);
}

static bool has(const char *payload, size_t len, const char *word)
{
    return memmem(payload, len, word, strlen(word)) != NULL;
}

static void on_frame(struct ws_conn *c, const char *payload, size_t len)
{
    struct round_trips *r = c->client->ctx;

    if (has(payload, len, "\"type\":\"message\"")) {
        r->answered[c->index] = true;
    } else if (has(payload, len, "\"type\":\"ack\"")) {
        if (!r->answered[c->index] || !has(payload, len, "\"success\":true"))
            bench__die("client %d: an ack without an answer: %.*s", c->index, (int)len, payload);
        r->took[r->done++] = bench__now_us() - r->sent_at[c->index];
        send_event(r, c);
    }
}

int main(int argc, char **argv)
{
    struct ph_token_options options = {.user_id = "bench"};
    struct round_trips r = {0};
    char connection_string[256], *url;
    int64_t start, took;

    if (argc < 4)
        bench__die("usage: events PORT CLIENTS EVENTS");
    r.clients = atoi(argv[2]);
    r.events = atoi(argv[3]);
    snprintf(connection_string, sizeof(connection_string),
             "Endpoint=http://127.0.0.1:%s;AccessKey=%s;Version=1.0;", argv[1],
             "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH");
    if (ph_client_access_url(connection_string, "bench", &options, &url) != PH_OK)
        bench__die("no token");
    r.target = strstr(url + 5, "/client");
    r.sent_at = calloc((size_t)r.clients, sizeof(*r.sent_at));
    r.took = calloc((size_t)r.events + 1, sizeof(*r.took));
    r.answered = calloc((size_t)r.clients, sizeof(*r.answered));
    r.number = calloc((size_t)r.clients, sizeof(*r.number));
    r.client.on_frame = on_frame;
    r.client.ctx = &r;
    ws_client__open(&r.client, (uint16_t)atoi(argv[1]), r.clients, target_of, subprotocol_of, &r);
    start = bench__now_us();
    for (int i = 0; i < r.clients; i++)
        send_event(&r, &r.client.conns[i]);
    while (r.done < r.events) {
        if (!ws_client__poll(&r.client, 10000))
            bench__die("nothing came for 10 s: %d of %d events done", r.done, r.events);
    }
    took = bench__now_us() - start;
    printf("{\"round_trips_per_s\":%.0f,\"p50_us\":%lld,\"p99_us\":%lld}\n",
           r.events * 1e6 / (double)took, (long long)bench__quantile(r.took, (size_t)r.events, 0.5),
           (long long)bench__quantile(r.took, (size_t)r.events, 0.99));
    return 0;
}
