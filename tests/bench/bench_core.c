/* The core alone, without sockets: what a delivery costs from the sender's message to
 * bytes that are ready for writev, how long a turn of a command in slices is, what an idle
 * session weighs. What grows with the size of a hub: load/growth.c.
 * Run by hand on a quiet machine, built with optimization and without sanitizers. */
#include "broker/core/session.h"
#include "broker/filter/filter.h"
#include "broker/wire/formats.h"
#include "core_shell.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PAYLOAD 128
#define MANY 100000
#define BATCH 64 /* frames taken for one gathered write */

struct transport {
    int unused;
};

static struct transport somewhere;

/* --- A shell that does nothing ---------------------------------------------- */

static void on_close(void *ctx, struct transport *t, uint16_t code, struct str reason)
{
    (void)ctx, (void)t, (void)code, (void)reason;
    fprintf(stderr, "bench_core: a session was closed with %u: %.*s\n", code, STR_FMT(reason));
    exit(1);
}

static const struct core_ops ops = {CORE_SHELL_OPS, .event = core_shell__event, .close = on_close,
                                    .abort = core_shell__abort, .ended = core_shell__ended};

static struct core *new_core(void)
{
    struct core_config config = {.limits = CORE_LIMITS_DEFAULT, .ops = &ops, .seed = {1, 2}};
    struct core *core = core__new(&config);

    if (!core)
        exit(1);
    return core;
}

static struct session *connect(struct core *core, unsigned n, const struct format *format,
                               struct str group)
{
    char id[40], user[16];
    struct session_config config = {
        .hub = STR("bench"),
        .format = format,
        .groups = &group,
        .group_count = group.ptr ? 1 : 0,
    };
    struct session *s;

    snprintf(id, sizeof(id), "%032x", n);
    snprintf(user, sizeof(user), "user%u", n);
    config.connection_id = str__of(id);
    config.user_id = str__of(user);
    s = session__new(core, &config);
    if (!s)
        exit(1);
    session__attach(s, &somewhere, STR_NONE);
    return s;
}

/* What a loop turn does: every session with something to send hands it to a writev. */
static size_t flush(struct core *core)
{
    struct out_item items[BATCH];
    char head[FORMAT_MAX_HEAD], tail[FORMAT_MAX_TAIL];
    size_t head_len, tail_len, n, written = 0;
    struct session *s;

    while ((s = core__next_dirty(core))) {
        const struct format *format = session__format(s);

        while ((n = session__outgoing(s, items, BATCH)) > 0) {
            for (size_t i = 0; i < n; i++) {
                if (items[i].frame->sequenced)
                    format->enclose(items[i].frame, items[i].sequence_id, head, &head_len, tail,
                                    &tail_len);
            }
            session__written(s, n, false);
            written += n;
        }
    }
    return written;
}

static double seconds_of(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

/* Of this thread, so that what else runs on the machine is left out. */
static double own_seconds(void)
{
    return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}

/* --- Fan-out ------------------------------------------------------------------ */

static void send_one(struct core *core, struct str data)
{
    struct message *m = message__new(&(struct message){.from = MESSAGE_FROM_GROUP,
                                                       .type = PH_DATA_TEXT,
                                                       .group = STR("g"),
                                                       .from_user = STR("sender"),
                                                       .data = data});
    struct hub_command cmd = {
        .op = HUB_SEND, .scope = SCOPE_GROUP, .hub = STR("bench"), .name = STR("g"), .message = m};

    core__apply(core, &cmd, NULL);
    message__unref(m);
}

static void acknowledge(struct session **sessions, unsigned count, uint64_t sequence_id)
{
    const struct command ack = {.kind = COMMAND_SEQUENCE_ACK, .sequence_id = sequence_id};

    for (unsigned i = 0; i < count; i++)
        session__command(sessions[i], &ack);
}

static void fan_out(const char *name, const struct format *format, unsigned members, unsigned burst)
{
    struct core *core = new_core();
    struct session **sessions = calloc(members, sizeof(*sessions));
    unsigned messages = 6000000 / members / burst * burst;
    char data[PAYLOAD];
    double start;
    size_t written = 0;

    memset(data, 'x', sizeof(data));
    for (unsigned i = 0; i < members; i++)
        sessions[i] = connect(core, i, format, STR("g"));
    flush(core);
    start = seconds();
    for (unsigned i = 0; i < messages; i += burst) {
        for (unsigned j = 0; j < burst; j++)
            send_one(core, str__n(data, sizeof(data)));
        written += flush(core);
        if (format->reliable && (i + burst) % 256 == 0)
            acknowledge(sessions, members, i + burst);
    }
    printf("| %s | %u | %u | %.1f | %.0f |\n", name, members, burst,
           (double)written / (seconds() - start) / 1e6,
           (seconds() - start) / (double)written * 1e9);
    core__free(core);
    free(sessions);
}

/* --- Commands in slices ---------------------------------------------------------- */

static void on_done(void *arg, struct hub_result *result)
{
    *(struct hub_result *)arg = *result;
}

/* The turns that a command takes, and the longest of them. */
static void slices(const char *name, const char *filter, struct hub_command cmd)
{
    struct core *core = new_core();
    struct hub_result result = {0};
    double longest = 0, sum = 0;
    unsigned turns = 0;
    uint64_t work = 0;

    for (unsigned i = 0; i < MANY; i++)
        connect(core, i, &format_json, STR("g"));
    flush(core);
    cmd.hub = STR("bench");
    if (filter && filter__compile(str__of(filter), &cmd.filter, NULL) != PH_OK)
        exit(1);
    core__start(core, &cmd, on_done, &result);
    for (; core__has_walks(core); turns++) {
        double start = own_seconds(), turn;

        work += core__continue(core);
        turn = own_seconds() - start;
        sum += turn;
        longest = turn > longest ? turn : longest;
        flush(core);
    }
    printf("| %s | %zu | %u | %.1f | %.2f | %.0f |\n", name, result.matched, turns, sum * 1e3,
           longest * 1e3, sum / (double)work * 1e9);
    hub_result__free(&result);
    filter__unref(cmd.filter);
    core__free(core);
}

/* `head`, a number and `tail`, again and again, with `or` between. */
static const char *clauses(const char *head, const char *tail, unsigned count)
{
    static char text[16384];
    size_t len = 0;

    for (unsigned i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s%u%s", i ? " or " : "", head,
                                i, tail);
    return text;
}

static void all_slices(void)
{
    struct message *m = message__new(
        &(struct message){.from = MESSAGE_FROM_SERVER, .type = PH_DATA_TEXT, .data = STR("hello")});
    const struct hub_command
        send = {.op = HUB_SEND, .scope = SCOPE_HUB, .message = m},
        list = {.op = HUB_LIST, .scope = SCOPE_GROUP, .name = STR("g"), .limit = 201},
        join = {.op = HUB_JOIN, .scope = SCOPE_HUB, .groups = &STR("new"), .group_count = 1};
    struct hub_command to_group = send;

    to_group.scope = SCOPE_GROUP;
    to_group.name = STR("g");
    printf(
        "\n| command for %u sessions | matched | turns | ms in all | longest turn, ms | ns for a "
        "unit of work |\n|---|---|---|---|---|---|\n",
        MANY);
    slices("send, one clause", "userId eq 'user7'", send);
    slices("send, true for all", "true", send);
    slices("send, a group", "'g' in groups", send);
    slices("send to a group, one clause", "userId eq 'user7'", to_group);
    slices("send, 100 users", clauses("userId eq 'user", "'", 100), send);
    slices("send, 100 groups", clauses("'group", "' in groups", 100), send);
    slices("send, 25 long clauses",
           clauses("contains(tolower(concat(userId, '-", "')), 'a-') and length(groups) gt 3", 25),
           send);
    slices("list a group", NULL, list);
    slices("join a group", NULL, join);
    message__unref(m);
}

/* --- Memory -------------------------------------------------------------------- */

static void weigh(const char *name, const struct format *format)
{
    unsigned sessions = 10000;
    struct core *core = new_core();
    size_t before = mallinfo2().uordblks;

    for (unsigned i = 0; i < sessions; i++)
        connect(core, i, format, STR("g"));
    flush(core);
    printf("| %s | %zu |\n", name, (mallinfo2().uordblks - before) / sessions);
    core__free(core);
}

int main(void)
{
    static const struct {
        const char *name;
        const struct format *format;
    } rows[] = {
        {"raw", &format_raw},
        {"json", &format_json},
        {"json reliable", &format_json_reliable},
        {"protobuf", &format_protobuf},
        {"protobuf reliable", &format_protobuf_reliable},
    };

    printf("| format | members | burst | M deliveries/s | ns each |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned burst = 1; burst <= 16; burst *= 16) {
            fan_out(rows[i].name, rows[i].format, 10, burst);
            fan_out(rows[i].name, rows[i].format, 1000, burst);
            fan_out(rows[i].name, rows[i].format, 15000, burst);
        }
    }
    all_slices();
    printf("\n| format | bytes of the core for an idle session in one group |\n|---|---|\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        weigh(rows[i].name, rows[i].format);
    return 0;
}
