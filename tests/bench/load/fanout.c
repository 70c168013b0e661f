/* Fan-out: one publisher, N members of one group. Checks of every delivery that it is the
 * next one and whole.
 *
 *   fanout PORT DIALECT MEMBERS MESSAGES SIZE IN_FLIGHT
 *   fanout PORT DIALECT MEMBERS MESSAGES SIZE RATE/s [phases]
 *
 * With so many messages in flight, latency is the time from a message's sending to the last
 * member's delivery. With so many a second due, whatever has become of those before, it is
 * the time from when a message was due to each delivery, so that waiting to be sent counts; the
 * client looks for deliveries without a pause, because waking it would be part of their price.
 * The first second warms up.
 *
 * `phases` are for who wants to do something else to the server in turn: even and odd ones have
 * figures of their own, `phase N` is printed when one begins, and the next second does not count.
 *
 * Prints one line of JSON: deliveries a second, and p50/p99 of latency in microseconds: the figures
 * of slices.h. */
#include "crowd.h"
#include "slices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define MAX_MESSAGES 1000000
#define MAX_LATENCIES 20000000
#define MAX_SIZE 60000
#define MARK 10 /* #NUMBER#, with eight digits */
#define PHASE 5 /* seconds, of which the first does not count */

struct bench {
    struct crowd crowd;
    int members, messages, size;
    int in_flight, per_second; /* one of both */
    bool phases;
    int64_t start;
    int sent;
    int done;                /* messages delivered to every member */
    int *next;               /* per connection: number of the message that must come next */
    int *arrived;            /* per message: members that have it */
    int64_t *counts_at;      /* per message: when its latency begins */
    struct slices took;      /* of each message in flight, or of each delivery at a rate */
    char text[MAX_SIZE + 1]; /* what is sent next */
};

static int read_mark(const struct bench *b, const char *payload, size_t len)
{
    int number = 0;

    if (len != (size_t)b->size || payload[0] != '#' || payload[MARK - 1] != '#')
        return -1;
    for (int i = 1; i < MARK - 1; i++)
        number = 10 * number + payload[i] - '0';
    return number;
}

static void on_delivery(struct ws_conn *c, const char *payload, size_t len)
{
    struct bench *b = crowd__of(c)->ctx;
    int number = read_mark(b, payload, len);
    bool last;

    if (number != b->next[c->index] || number >= b->sent)
        bench__die("member %d: message %d came, expected %d", c->index, number, b->next[c->index]);
    if (memcmp(payload + MARK, b->text + MARK, len - MARK) != 0)
        bench__die("member %d: message %d is damaged", c->index, number);
    b->next[c->index]++;
    last = ++b->arrived[number] == b->members;
    if (b->per_second || last)
        slices__add(&b->took, b->counts_at[number] - b->start,
                    bench__now_us() - b->counts_at[number]);
    if (last)
        b->done++;
}

static void publish(struct bench *b, int64_t counts_at)
{
    char mark[MARK + 1];

    snprintf(mark, sizeof(mark), "#%08d#", b->sent);
    memcpy(b->text, mark, MARK);
    b->counts_at[b->sent++] = counts_at;
    crowd__publish(&b->crowd, b->text, (size_t)b->size);
}

static void wait_for_deliveries(struct bench *b)
{
    if (!crowd__poll(&b->crowd, 10000))
        bench__die("nothing came for 10 s: %d of %d messages done", b->done, b->messages);
}

static void run_in_flight(struct bench *b)
{
    while (b->done < b->messages) {
        while (b->sent < b->messages && b->sent - b->done < b->in_flight)
            publish(b, bench__now_us());
        wait_for_deliveries(b);
    }
}

static bool begins_phase(const struct bench *b)
{
    return b->phases && b->sent % (PHASE * b->per_second) == 0;
}

static void tell_phase(const struct bench *b)
{
    printf("phase %d\n", b->sent / (PHASE * b->per_second));
    fflush(stdout);
}

static void run_at_rate(struct bench *b)
{
    while (b->sent < b->messages) {
        int64_t due = b->start + (int64_t)b->sent * 1000000 / b->per_second;

        while (bench__now_us() < due)
            crowd__poll(&b->crowd, 0);
        if (begins_phase(b))
            tell_phase(b);
        publish(b, due);
    }
    while (b->done < b->messages)
        wait_for_deliveries(b);
}

static void read_pace(struct bench *b, const char *pace)
{
    int number = atoi(pace);

    if (number < 1)
        bench__die("the pace is a number of messages, or one and /s");
    if (strstr(pace, "/s"))
        b->per_second = number;
    else
        b->in_flight = number;
}

static void *allocate(size_t count, size_t size)
{
    void *p = calloc(count, size);

    if (!p)
        bench__die("out of memory");
    return p;
}

static void prepare(struct bench *b)
{
    size_t latencies = (size_t)b->messages * (b->per_second ? (size_t)b->members : 1);

    if (b->messages > MAX_MESSAGES || latencies > MAX_LATENCIES)
        bench__die("at most %d messages, and %d latencies", MAX_MESSAGES, MAX_LATENCIES);
    if (b->size < MARK || b->size > MAX_SIZE)
        bench__die("messages have %d to %d bytes", MARK, MAX_SIZE);
    b->next = allocate((size_t)b->members + 1, sizeof(*b->next));
    b->arrived = allocate((size_t)b->messages, sizeof(*b->arrived));
    b->counts_at = allocate((size_t)b->messages, sizeof(*b->counts_at));
    memset(b->text, 'x', (size_t)b->size);
    b->crowd.on_delivery = on_delivery;
    b->crowd.ctx = b;
}

static bool is_warm(int second)
{
    return second > 0;
}

static bool is_any(int second)
{
    (void)second;
    return true;
}

static bool is_in_even_phase(int second)
{
    return second % PHASE > 0 && second / PHASE % 2 == 0;
}

static bool is_in_odd_phase(int second)
{
    return second % PHASE > 0 && second / PHASE % 2 == 1;
}

static void print_latency(struct bench *b)
{
    if (b->phases) {
        printf("\"even\":");
        slices__print(&b->took, is_in_even_phase);
        printf(",\"odd\":");
        slices__print(&b->took, is_in_odd_phase);
    } else {
        printf("\"latency\":");
        slices__print(&b->took, b->per_second ? is_warm : is_any);
    }
}

int main(int argc, char **argv)
{
    static struct bench b;
    int64_t took;

    b.phases = argc == 8 && strcmp(argv[7], "phases") == 0;
    if (argc != 7 + b.phases)
        bench__die("usage: fanout PORT DIALECT MEMBERS MESSAGES SIZE IN_FLIGHT|RATE/s [phases]");
    b.members = atoi(argv[3]);
    b.messages = atoi(argv[4]);
    b.size = atoi(argv[5]);
    read_pace(&b, argv[6]);
    prepare(&b);
    prctl(PR_SET_TIMERSLACK, 1000);
    crowd__open(&b.crowd, argv[1], argv[2], b.members);
    bench__start();
    b.start = bench__now_us();
    if (b.per_second)
        run_at_rate(&b);
    else
        run_in_flight(&b);
    took = bench__now_us() - b.start;
    printf("{\"deliveries_per_s\":%.0f,", (double)b.members * b.messages * 1e6 / (double)took);
    print_latency(&b);
    puts("}");
    return 0;
}
