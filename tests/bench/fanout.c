/* Fan-out: one publisher, N members of one group. Counts and checks every delivery.
 *
 *   fanout PORT MEMBERS IN_FLIGHT MESSAGES SIZE broker|floor [json|reliable]
 *
 * Prints one line of JSON: deliveries a second, and p50/p99 of the time from the send
 * to the last member's delivery, in microseconds. */
#include "ws_client.h"

#include <pubhook/pubhook.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGES 1000000

struct bench {
    struct ws_client client;
    char *target;
    char *publisher_target;
    bool broker;
    int members, in_flight, messages, size;
    bool reliable;
    int sent;
    int done;     /* messages delivered to every member */
    int *next;    /* per member: number of the message that must come next */
    int *arrived; /* per message: members that have it */
    int64_t *sent_at;
    int64_t *took;
};

static const char *target_of(void *ctx, int index)
{
    struct bench *b = ctx;

    return index == 0 ? b->publisher_target : b->target;
}

/* The payload is `#NUMBER#` and padding; the number tells lost, doubled and reordered. */
static void on_frame(struct ws_conn *c, const char *payload, size_t len)
{
    struct bench *b = c->client->ctx;
    const char *mark = memchr(payload, '#', len);
    int number;

    if (!mark)
        return; /* connected, ack */
    number = atoi(mark + 1);
    if (number != b->next[c->index])
        bench__die("member %d: message %d came, expected %d", c->index, number, b->next[c->index]);
    b->next[c->index]++;
    if (++b->arrived[number] == b->members) {
        b->took[number] = bench__now_us() - b->sent_at[number];
        b->done++;
    }
    if (b->reliable && number % 100 == 99) {
        const char *seq = memmem(payload, len, "\"sequenceId\":", 13);
        char ack[96];
        int n;

        if (!seq)
            bench__die("a reliable message without sequenceId");
        n = snprintf(ack, sizeof(ack), "{\"type\":\"sequenceAck\",\"sequenceId\":%lld}",
                     atoll(seq + 13));
        ws_client__send(c, ack, (size_t)n);
    }
}

static void publish(struct bench *b)
{
    char text[70000], padding[65536];
    int n, pad = b->size - 10;

    memset(padding, 'x', sizeof(padding));
    n = snprintf(text, sizeof(text),
                 b->broker ? "{\"type\":\"sendToGroup\",\"group\":\"g\",\"noEcho\":true,"
                             "\"dataType\":\"text\",\"data\":\"#%08d#%.*s\"}"
                           : "#%08d#%.*s",
                 b->sent, pad, padding);
    b->sent_at[b->sent] = bench__now_us();
    b->sent++;
    ws_client__send(&b->client.conns[0], text, (size_t)n);
}

static char *broker_target(const char *port, const char *const *roles, const char *const *groups)
{
    char connection_string[256], *url, *path;
    struct ph_token_options options = {.user_id = "bench", .roles = roles, .groups = groups};

    snprintf(connection_string, sizeof(connection_string),
             "Endpoint=http://127.0.0.1:%s;AccessKey=%s;Version=1.0;", port,
             "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH");
    if (ph_client_access_url(connection_string, "bench", &options, &url) != PH_OK)
        bench__die("no token");
    path = strdup(strstr(url + 5, "/client"));
    ph_token_free(url);
    return path;
}

static void run(struct bench *b)
{
    while (b->done < b->messages) {
        while (b->sent < b->messages && b->sent - b->done < b->in_flight)
            publish(b);
        if (!ws_client__poll(&b->client, 10000))
            bench__die("nothing came for 10 s: %d of %d messages done", b->done, b->messages);
    }
}

int main(int argc, char **argv)
{
    static const char *const roles[] = {"webpubsub.sendToGroup", NULL};
    static const char *const groups[] = {"g", NULL};
    struct bench b = {0};
    int64_t start, took;
    bool broker;

    if (argc < 7)
        bench__die(
            "usage: fanout PORT MEMBERS IN_FLIGHT MESSAGES SIZE broker|floor [json|reliable]");
    b.members = atoi(argv[2]);
    b.in_flight = atoi(argv[3]);
    b.messages = atoi(argv[4]);
    b.size = atoi(argv[5]);
    broker = strcmp(argv[6], "broker") == 0;
    b.reliable = argc > 7 && strcmp(argv[7], "reliable") == 0;
    if (b.messages > MAX_MESSAGES || b.size < 10 || b.size > 60000)
        bench__die("at most %d messages of 10 to 60000 bytes", MAX_MESSAGES);
    b.broker = broker;
    b.target = broker ? broker_target(argv[1], NULL, groups) : strdup("/member");
    b.publisher_target = broker ? broker_target(argv[1], roles, NULL) : strdup("/publisher");
    b.next = calloc((size_t)b.members + 1, sizeof(*b.next));
    b.arrived = calloc((size_t)b.messages, sizeof(*b.arrived));
    b.sent_at = calloc((size_t)b.messages, sizeof(*b.sent_at));
    b.took = calloc((size_t)b.messages, sizeof(*b.took));
    b.client.on_frame = on_frame;
    b.client.ctx = &b;
    ws_client__open(&b.client, (uint16_t)atoi(argv[1]),
                    !broker      ? NULL
                    : b.reliable ? "json.reliable.webpubsub.azure.v1"
                                 : "json.webpubsub.azure.v1",
                    b.members + 1, target_of, &b);
    start = bench__now_us();
    run(&b);
    took = bench__now_us() - start;
    printf("{\"deliveries_per_s\":%.0f,\"p50_us\":%lld,\"p99_us\":%lld}\n",
           (double)b.members * b.messages * 1e6 / (double)took,
           (long long)bench__quantile(b.took, (size_t)b.messages, 0.5),
           (long long)bench__quantile(b.took, (size_t)b.messages, 0.99));
    return 0;
}
