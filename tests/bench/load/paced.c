/* Events at a fixed rate, whatever becomes of them: all clients in turn. A tenth of the clients
 * send once in each phase, and theirs are for a handler that knows them by their name: `quick`,
 * and then `slow`, and then they send nothing until the slow ones have their answer. All acks
 * are checked for success and order; those of the others are timed from when the event was due.
 *
 *   paced PORT CLIENTS RATE CYCLES
 *
 * The phases follow each other in one process and on the same connections, so that what else
 * the machine does hits both. Prints `slow` when the first slow phase begins, and at the end one
 * line of JSON: events of the others, and p50/p99 of their latency in microseconds in the quick
 * phases and beside the slow events: medians of those of each slice, and p99 of all. */
#include "slices.h"
#include "ws_client.h"

#include <pubhook/pubhook.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define SLOW_EACH 10 /* clients */
/* Seconds of the phases. What is slow takes one phase, and has been asked for in the first
 * moments of it; so a second is enough to drain. */
#define PHASE 5
#define CYCLE (2 * PHASE + 1)
#define MAX_EVENTS 10000000
#define KEY "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"

struct paced {
    struct ws_client client;
    const char *port;
    char *target; /* of the client that was opened last */
    int clients, events;
    int64_t rate, start;
    int sent;
    int *acked; /* per client: the event that was acked last */
    struct slices took;
    int waiting;  /* events of those who are not slow */
    int asked;    /* events of the tenth that have no ack yet */
    int answered; /* events of those who are not slow */
};

enum phase { QUICK, SLOW, DRAIN };

static bool is_slow(int index)
{
    return index % SLOW_EACH == 0;
}

static const char *target_of(void *ctx, int index)
{
    struct paced *p = ctx;
    char connection_string[256], user[32], *url;
    const struct ph_token_options options = {.user_id = user};

    snprintf(user, sizeof(user), "user-%d", index);
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

static int second_of(const struct paced *p, int event)
{
    return (int)(event / p->rate);
}

static enum phase phase_of(int second)
{
    int at = second % CYCLE;

    return at < PHASE ? QUICK : at < 2 * PHASE ? SLOW : DRAIN;
}

/* One of the tenth sends when its first turn of a phase has come. */
static bool has_turn(const struct paced *p, int event)
{
    int second = second_of(p, event);

    if (!is_slow(event % p->clients))
        return true;
    return phase_of(second) != DRAIN && second % CYCLE % PHASE == 0 &&
           event - (int)p->rate * second < p->clients;
}

/* The acks of one client come in the order of its events; the tenth leave some turns out. */
static int next_of(struct paced *p, int client)
{
    int number = p->acked[client] + 1;

    while (!has_turn(p, (number - 1) * p->clients + client))
        number++;
    return number;
}

static void on_frame(struct ws_conn *c, const char *data, size_t len)
{
    struct paced *p = c->client->ctx;
    char wanted[96];
    int number, event;

    if (!p->start)
        return; /* connected */
    number = next_of(p, c->index);
    snprintf(wanted, sizeof(wanted), "{\"type\":\"ack\",\"ackId\":%d,\"success\":true}", number);
    if (len != strlen(wanted) || memcmp(data, wanted, len) != 0)
        bench__die("client %d: expected %s, got %.*s", c->index, wanted, (int)len, data);
    p->acked[c->index] = number;
    if (is_slow(c->index)) {
        p->asked--;
        return;
    }
    event = (number - 1) * p->clients + c->index;
    slices__add(&p->took, due(p, event) - p->start, bench__now_us() - due(p, event));
    p->answered++;
    p->waiting--;
}

static void send_event(struct paced *p, int event)
{
    int client = event % p->clients;
    bool slow = is_slow(client) && phase_of(second_of(p, event)) == SLOW;
    char text[160];
    int n = snprintf(text, sizeof(text),
                     "{\"type\":\"event\",\"event\":\"%s\",\"ackId\":%d,\"dataType\":\"text\","
                     "\"data\":\"%064d\"}",
                     slow ? "slow" : "quick", event / p->clients + 1, event);

    ws_client__send(&p->client.conns[client], text, (size_t)n);
    *(is_slow(client) ? &p->asked : &p->waiting) += 1;
}

static void tell_slow(void)
{
    puts("slow");
    fflush(stdout);
}

static bool begins_cycle(const struct paced *p, int event)
{
    return event % (CYCLE * p->rate) == 0;
}

static void run(struct paced *p)
{
    p->start = bench__now_us();
    while (p->sent < p->events) {
        while (ws_client__poll_until(&p->client, due(p, p->sent)))
            ;
        if (p->sent == PHASE * p->rate)
            tell_slow();
        if (p->asked > 0 && begins_cycle(p, p->sent))
            bench__die("%d slow events have no answer yet: the phases mix", p->asked);
        if (has_turn(p, p->sent))
            send_event(p, p->sent);
        p->sent++;
    }
    while (p->waiting > 0) {
        if (!ws_client__poll(&p->client, 10000))
            bench__die("nothing came for 10 s: %d events have no ack", p->waiting);
    }
}

static bool is_quick_phase(int second)
{
    return phase_of(second) == QUICK;
}

static bool is_slow_phase(int second)
{
    return phase_of(second) == SLOW;
}

int main(int argc, char **argv)
{
    static struct paced p;

    if (argc != 5)
        bench__die("usage: paced PORT CLIENTS RATE CYCLES");
    p.port = argv[1];
    p.clients = atoi(argv[2]);
    p.rate = atoi(argv[3]);
    p.events = (int)(p.rate * CYCLE * atoi(argv[4]));
    if (p.clients < 1 || p.events < 1 || p.events > MAX_EVENTS || p.rate < p.clients)
        bench__die("at least one client, a turn for each in a second, and 1 to %d events",
                   MAX_EVENTS);
    p.acked = calloc((size_t)p.clients, sizeof(*p.acked));
    if (!p.acked)
        bench__die("out of memory");
    prctl(PR_SET_TIMERSLACK, 1000);
    p.client.on_frame = on_frame;
    p.client.ctx = &p;
    ws_client__open(&p.client, (uint16_t)atoi(p.port), p.clients, target_of, subprotocol_of, &p);
    while (ws_client__poll(&p.client, 200)) /* connected */
        ;
    run(&p);
    printf("{\"events\":%d,\"quick\":", p.answered);
    slices__print(&p.took, is_quick_phase);
    printf(",\"slow\":");
    slices__print(&p.took, is_slow_phase);
    puts("}");
    return 0;
}
