/* Fan-out: one publisher, N members of one group. Counts and checks every delivery.
 *
 *   fanout PORT MEMBERS IN_FLIGHT MESSAGES SIZE broker|floor [KIND]
 *
 * KIND is what the members speak: json, reliable, protobuf, protobuf-reliable or raw. The
 * publisher speaks JSON.
 *
 * Prints one line of JSON: deliveries a second, and p50/p99 of the time from the send
 * to the last member's delivery, in microseconds. */
#include "ws_client.h"

#include <pubhook/pubhook.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGES 1000000
#define MARK 10           /* #NUMBER#, with eight digits */
#define ACK_EACH 100      /* messages */
#define SEQUENCE_ID_TAG 4 /* in a DataMessage of webpubsub.proto */

struct kind {
    const char *name, *subprotocol;
    /* Of reliable ones: acknowledges the frame. */
    void (*acknowledge)(struct ws_conn *c, const char *payload, size_t len);
};

struct bench {
    struct ws_client client;
    char *target;
    char *publisher_target;
    bool broker;
    int members, in_flight, messages, size;
    const struct kind *kind;
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

static const char *subprotocol_of(void *ctx, int index)
{
    struct bench *b = ctx;

    if (!b->broker)
        return NULL;
    return index == 0 ? "json.webpubsub.azure.v1" : b->kind->subprotocol;
}

static void acknowledge_json(struct ws_conn *c, const char *payload, size_t len)
{
    const char *id = memmem(payload, len, "\"sequenceId\":", 13);
    char ack[96];
    int n;

    if (!id)
        bench__die("a reliable message without sequenceId");
    n = snprintf(ack, sizeof(ack), "{\"type\":\"sequenceAck\",\"sequenceId\":%lld}",
                 atoll(id + 13));
    ws_client__send(c, ack, (size_t)n);
}

static uint64_t read_varint(const char **at, const char *end)
{
    uint64_t value = 0;

    for (int shift = 0; *at < end && shift < 64; shift += 7) {
        unsigned char byte = (unsigned char)*(*at)++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    bench__die("a protobuf message ends in the middle of a number");
}

/* UpstreamMessage.sequence_ack_message.sequence_id */
static void send_protobuf_ack(struct ws_conn *c, uint64_t id)
{
    char ack[16] = {8 << 3 | 2, 0, 1 << 3};
    size_t n = 3;

    for (; id >= 0x80; id >>= 7)
        ack[n++] = (char)(id | 0x80);
    ack[n++] = (char)id;
    ack[1] = (char)(n - 2);
    ws_client__send_binary(c, ack, n);
}

/* DownstreamMessage.data_message is all that there is in it. */
static void acknowledge_protobuf(struct ws_conn *c, const char *payload, size_t len)
{
    const char *at = payload + 1, *end = payload + len;

    read_varint(&at, end);
    while (at < end) {
        unsigned tag = (unsigned char)*at++;
        uint64_t value = read_varint(&at, end);

        if (tag == SEQUENCE_ID_TAG << 3) {
            send_protobuf_ack(c, value);
            return;
        }
        if ((tag & 7) == 2 && value <= (size_t)(end - at))
            at += value;
    }
    bench__die("a reliable message without a sequence id");
}

static const struct kind kinds[] = {
    {"json", "json.webpubsub.azure.v1", NULL},
    {"reliable", "json.reliable.webpubsub.azure.v1", acknowledge_json},
    {"protobuf", "protobuf.webpubsub.azure.v1", NULL},
    {"protobuf-reliable", "protobuf.reliable.webpubsub.azure.v1", acknowledge_protobuf},
    {"raw", NULL, NULL},
};

static const struct kind *kind_of(const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    bench__die("no kind of client is called %s", name);
}

/* Lengths in front of the payload may look like the mark's first byte. */
static const char *find_mark(const char *payload, size_t len)
{
    const char *end = payload + len, *at = payload;

    while ((at = memchr(at, '#', (size_t)(end - at))) && end - at >= MARK) {
        if (at[MARK - 1] == '#')
            return at;
        at++;
    }
    return NULL;
}

/* The payload is `#NUMBER#` and padding; the number tells lost, doubled and reordered. */
static void on_frame(struct ws_conn *c, const char *payload, size_t len)
{
    struct bench *b = c->client->ctx;
    const char *mark = find_mark(payload, len);
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
    if (b->kind->acknowledge && number % ACK_EACH == ACK_EACH - 1)
        b->kind->acknowledge(c, payload, len);
}

static void publish(struct bench *b)
{
    char text[70000], padding[65536];
    int n, pad = b->size - MARK;

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
        bench__die("usage: fanout PORT MEMBERS IN_FLIGHT MESSAGES SIZE broker|floor [KIND]");
    b.members = atoi(argv[2]);
    b.in_flight = atoi(argv[3]);
    b.messages = atoi(argv[4]);
    b.size = atoi(argv[5]);
    broker = strcmp(argv[6], "broker") == 0;
    b.kind = kind_of(argc > 7 ? argv[7] : "json");
    if (b.messages > MAX_MESSAGES || b.size < MARK || b.size > 60000)
        bench__die("at most %d messages of %d to 60000 bytes", MAX_MESSAGES, MARK);
    b.broker = broker;
    b.target = broker ? broker_target(argv[1], NULL, groups) : strdup("/member");
    b.publisher_target = broker ? broker_target(argv[1], roles, NULL) : strdup("/publisher");
    b.next = calloc((size_t)b.members + 1, sizeof(*b.next));
    b.arrived = calloc((size_t)b.messages, sizeof(*b.arrived));
    b.sent_at = calloc((size_t)b.messages, sizeof(*b.sent_at));
    b.took = calloc((size_t)b.messages, sizeof(*b.took));
    b.client.on_frame = on_frame;
    b.client.ctx = &b;
    ws_client__open(&b.client, (uint16_t)atoi(argv[1]), b.members + 1, target_of, subprotocol_of,
                    &b);
    start = bench__now_us();
    run(&b);
    took = bench__now_us() - start;
    printf("{\"deliveries_per_s\":%.0f,\"p50_us\":%lld,\"p99_us\":%lld}\n",
           (double)b.members * b.messages * 1e6 / (double)took,
           (long long)bench__quantile(b.took, (size_t)b.messages, 0.5),
           (long long)bench__quantile(b.took, (size_t)b.messages, 0.99));
    return 0;
}
