/* Events at a fixed rate, whatever becomes of them: all clients in turn, a tenth of whom have
 * users whose names begin with `slow`, for a handler that tells them apart. The acks of the
 * others are checked for success and order, and timed from when the event was due.
 *
 *   paced PORT CLIENTS RATE SECONDS
 *
 * Prints one line of JSON: events of the others, and p50/p99 of their latency in
 * microseconds: the medians of those of each second, so that what else the machine does in
 * one of them does not decide. */
#include "ws_client.h"

#include <pubhook/pubhook.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define SLOW_EACH 10 /* clients */
#define MAX_EVENTS 10000000
#define KEY "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"

struct paced {
    struct ws_client client;
    const char *port;
    char *target; /* of the client that was opened last */
    int clients, events;
    int64_t rate, start;
    int sent;
    int *acked; /* per client */
    int64_t *took;
    int waiting; /* events of those who are not slow */
    size_t done;
};

static bool is_slow(int index)
{
    return index % SLOW_EACH == 0;
}

static const char *target_of(void *ctx, int index)
{
    struct paced *p = ctx;
    char connection_string[256], user[32], *url;
    const struct ph_token_options options = {.user_id = user};

    snprintf(user, sizeof(user), "%s-%d", is_slow(index) ? "slow" : "quick", index);
    snprintf(connection_string, sizeof(connection_string),
             "Endpoint=http://127.0.0.1:%s;AccessKey=" KEY ";Version=1.0;", p->port);
    if (ph_client_access_url(connection_string, "bench", &options, &url) != PH_OK)
        bench__die("no token");
    free(p->target);
    p->target = strdup(strstr(url + 5, "/client"));
    ph_token_free(url);
    return p->target;
}

static const char *subprotocol_of(void *ctx, int index)
{
    (void)ctx;
    (void)index;
    return "json.webpubsub.azure.v1";
}

/* Event number `event` of all is number event / clients of its client. */
static int64_t due(const struct paced *p, int event)
{
    return p->start + (int64_t)event * 1000000 / p->rate;
}

static void on_frame(struct ws_conn *c, const char *data, size_t len)
{
    struct paced *p = c->client->ctx;
    char wanted[96];
    int number = p->acked[c->index] + 1;

    if (!p->start || is_slow(c->index))
        return; /* connected, or what is not measured */
    snprintf(wanted, sizeof(wanted), "{\"type\":\"ack\",\"ackId\":%d,\"success\":true}", number);
    if (len != strlen(wanted) || memcmp(data, wanted, len) != 0)
        bench__die("client %d: expected %s, got %.*s", c->index, wanted, (int)len, data);
    p->acked[c->index] = number;
    p->took[p->done++] = bench__now_us() - due(p, (number - 1) * p->clients + c->index);
    p->waiting--;
}

static void send_event(struct paced *p)
{
    int client = p->sent % p->clients;
    char text[160];
    int n = snprintf(text, sizeof(text),
                     "{\"type\":\"event\",\"event\":\"bench\",\"ackId\":%d,\"dataType\":\"text\","
                     "\"data\":\"%064d\"}",
                     p->sent / p->clients + 1, p->sent);

    ws_client__send(&p->client.conns[client], text, (size_t)n);
    p->waiting += !is_slow(client);
    p->sent++;
}

static void run(struct paced *p)
{
    p->start = bench__now_us();
    while (p->sent < p->events) {
        while (ws_client__poll_until(&p->client, due(p, p->sent)))
            ;
        send_event(p);
    }
    while (p->waiting > 0) {
        if (!ws_client__poll(&p->client, 10000))
            bench__die("nothing came for 10 s: %d events have no ack", p->waiting);
    }
}

static int64_t median_quantile(struct paced *p, int seconds, double q)
{
    size_t each = p->done / (size_t)seconds;
    int64_t *of_seconds = calloc((size_t)seconds, sizeof(*of_seconds)), median;

    if (!of_seconds)
        bench__die("out of memory");
    for (int i = 0; i < seconds; i++)
        of_seconds[i] = bench__quantile(p->took + (size_t)i * each, each, q);
    median = bench__quantile(of_seconds, (size_t)seconds, 0.5);
    free(of_seconds);
    return median;
}

int main(int argc, char **argv)
{
    static struct paced p;
    int seconds;

    if (argc != 5)
        bench__die("usage: paced PORT CLIENTS RATE SECONDS");
    p.port = argv[1];
    p.clients = atoi(argv[2]);
    p.rate = atoi(argv[3]);
    seconds = atoi(argv[4]);
    p.events = (int)(p.rate * seconds);
    if (p.clients < 1 || p.events < 1 || p.events > MAX_EVENTS)
        bench__die("at least one client, and 1 to %d events", MAX_EVENTS);
    p.acked = calloc((size_t)p.clients, sizeof(*p.acked));
    p.took = calloc((size_t)p.events, sizeof(*p.took));
    if (!p.acked || !p.took)
        bench__die("out of memory");
    prctl(PR_SET_TIMERSLACK, 1000);
    p.client.on_frame = on_frame;
    p.client.ctx = &p;
    ws_client__open(&p.client, (uint16_t)atoi(p.port), p.clients, target_of, subprotocol_of, &p);
    while (ws_client__poll(&p.client, 200)) /* connected */
        ;
    run(&p);
    printf("{\"events\":%zu,\"p50_us\":%lld,\"p99_us\":%lld}\n", p.done,
           (long long)median_quantile(&p, seconds, 0.5),
           (long long)median_quantile(&p, seconds, 0.99));
    return 0;
}
