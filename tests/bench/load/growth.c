/* What grows with the size of a hub, and what does not: the core alone, without sockets.
 *
 *     growth SUBJECT SIZE
 *
 * prints one line of JSON: `ns` of processor time for one operation, and `touch_ns` for doing
 * no more than touching the memory that the operation cannot do without. What a large hub
 * costs more than a small one lies in the caches of the processor, and shows in both. */
#include "broker/core/state.h"
#include "broker/wire/formats.h"
#include "core_shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PAYLOAD 128
#define BATCH 64 /* frames taken for one gathered write */
#define REPEATS 7
#define SLICE_SECONDS 0.05 /* of processor time, about, of one repeat */
#define GROUP_MEMBERS 10
#define SLOW_MEMBERS 1000
#define ID_LEN 32

struct transport {
    int unused;
};

static struct transport open_socket, full_socket;

struct bench {
    struct core *core;
    unsigned size;
    unsigned at; /* of the operation, counting up */
    struct session **sessions;
    unsigned session_count;
    struct message *message;
    size_t written;
};

static void die(const char *why)
{
    fprintf(stderr, "growth: %s\n", why);
    exit(1);
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    if (!memory)
        die("out of memory");
    return memory;
}

/* --- A shell that does nothing --------------------------------------------------- */

static void on_close(void *ctx, struct transport *t, uint16_t code, struct str reason)
{
    (void)ctx, (void)t, (void)code, (void)reason;
    die("a session was closed");
}

static const struct core_ops ops = {CORE_SHELL_OPS, .event = core_shell__event, .close = on_close,
                                    .abort = core_shell__abort, .ended = core_shell__ended};

/* --- Hubs ------------------------------------------------------------------------- */

struct name {
    char text[ID_LEN + 1];
};

static struct str connection_id(struct name *name, unsigned n)
{
    return str__n(name->text, (size_t)snprintf(name->text, sizeof(name->text), "%032x", n));
}

static struct str user_id(struct name *name, unsigned n)
{
    return str__n(name->text, (size_t)snprintf(name->text, sizeof(name->text), "user%u", n));
}

static struct str group_name(struct name *name, unsigned n)
{
    return str__n(name->text, (size_t)snprintf(name->text, sizeof(name->text), "group%u", n));
}

/* At the end of a turn: whoever has something to send hands it to a gathered write. */
static void flush(struct bench *b)
{
    struct out_item items[BATCH];
    struct session *s;
    size_t n;

    while ((s = core__next_dirty(b->core))) {
        if (session__transport(s) == &full_socket)
            continue;
        while ((n = session__outgoing(s, items, BATCH)) > 0) {
            session__written(s, n, false);
            b->written += n;
        }
    }
}

static void connect_one(struct bench *b, const struct str *groups, size_t group_count)
{
    unsigned n = b->session_count++;
    struct name id, user;
    const struct session_config config = {.hub = STR("bench"),
                                          .connection_id = connection_id(&id, n),
                                          .user_id = user_id(&user, n),
                                          .format = &format_json,
                                          .groups = groups,
                                          .group_count = group_count};

    b->sessions[n] = session__new(b->core, &config);
    if (!b->sessions[n])
        die("no session");
    session__attach(b->sessions[n], &open_socket, STR_NONE);
}

static void make(struct bench *b, unsigned sessions)
{
    struct core_config config = {.limits = CORE_LIMITS_DEFAULT, .ops = &ops, .seed = {1, 2}};
    char data[PAYLOAD];

    memset(data, 'x', sizeof(data));
    config.limits.groups = UINT32_MAX;
    b->core = core__new(&config);
    b->sessions = allocate(sessions, sizeof(*b->sessions));
    b->message = message__new(&(struct message){.from = MESSAGE_FROM_GROUP,
                                                .type = PH_DATA_TEXT,
                                                .group = STR("group0"),
                                                .from_user = STR("sender"),
                                                .data = str__n(data, sizeof(data))});
    if (!b->core || !b->message)
        die("out of memory");
}

/* `size` connections, all in one group. */
static void make_group(struct bench *b)
{
    make(b, b->size);
    for (unsigned i = 0; i < b->size; i++)
        connect_one(b, &STR("group0"), 1);
    flush(b);
}

/* `size` connections, ten in each group. */
static void make_hub(struct bench *b)
{
    struct name name;
    struct str group;

    make(b, b->size);
    for (unsigned i = 0; i < b->size; i++) {
        group = group_name(&name, i / GROUP_MEMBERS);
        connect_one(b, &group, 1);
    }
    flush(b);
}

/* `size` groups of the same ten connections. */
static void make_groups(struct bench *b)
{
    struct str *groups = allocate(b->size, sizeof(*groups));
    struct name *names = allocate(b->size, sizeof(*names));

    make(b, GROUP_MEMBERS);
    for (unsigned i = 0; i < b->size; i++)
        groups[i] = group_name(&names[i], i);
    for (unsigned i = 0; i < GROUP_MEMBERS; i++)
        connect_one(b, groups, b->size);
    flush(b);
    free(names);
    free(groups);
}

/* A group of a thousand, of whom `size` do not read: their sockets are full. */
static void make_slow(struct bench *b)
{
    unsigned slow = b->size;

    b->size = SLOW_MEMBERS;
    make_group(b);
    for (unsigned i = 0; i < slow; i++)
        session__attach(b->sessions[i * (SLOW_MEMBERS / slow)], &full_socket, STR_NONE);
    flush(b);
    b->size = slow;
}

/* --- Operations --------------------------------- */

/* Spreads over 0 .. size - 1 without coming back to what is in the cache. */
static unsigned spread(unsigned n, unsigned size)
{
    return (unsigned)((uint64_t)(n * 2654435761u) * size >> 32);
}

static unsigned anywhere(struct bench *b)
{
    return spread(b->at++, b->size);
}

static size_t send(struct bench *b, enum scope scope, struct str name)
{
    const struct hub_command cmd = {
        .op = HUB_SEND, .scope = scope, .hub = STR("bench"), .name = name, .message = b->message};
    size_t before = b->written;

    core__apply(b->core, &cmd, NULL);
    flush(b);
    return b->written - before;
}

static size_t send_to_all(void *arg)
{
    return send(arg, SCOPE_GROUP, STR("group0"));
}

static size_t send_to_group(void *arg)
{
    return send(arg, SCOPE_GROUP, STR("group0")) > 0;
}

static size_t send_to_any_group(void *arg)
{
    struct bench *b = arg;
    struct name name;

    return send(b, SCOPE_GROUP, group_name(&name, anywhere(b))) > 0;
}

static size_t send_to_any_group_of_ten(void *arg)
{
    struct bench *b = arg;
    struct name name;

    return send(b, SCOPE_GROUP, group_name(&name, anywhere(b) / GROUP_MEMBERS)) > 0;
}

static size_t send_to_user(struct bench *b, unsigned n)
{
    struct name name;

    return send(b, SCOPE_USER, user_id(&name, n));
}

static size_t send_to_one_user(void *arg)
{
    return send_to_user(arg, 0);
}

static size_t send_to_any_user(void *arg)
{
    return send_to_user(arg, anywhere(arg));
}

static size_t send_to_connection(struct bench *b, unsigned n)
{
    struct name name;

    return send(b, SCOPE_CONNECTION, connection_id(&name, n));
}

static size_t send_to_one_connection(void *arg)
{
    return send_to_connection(arg, 0);
}

static size_t send_to_any_connection(void *arg)
{
    return send_to_connection(arg, anywhere(arg));
}

static size_t leave_and_join(struct bench *b, struct str connection)
{
    struct hub_command cmd = {.op = HUB_LEAVE,
                              .scope = SCOPE_CONNECTION,
                              .hub = STR("bench"),
                              .name = connection,
                              .groups = &STR("group0"),
                              .group_count = 1};

    core__apply(b->core, &cmd, NULL);
    cmd.op = HUB_JOIN;
    core__apply(b->core, &cmd, NULL);
    return 1;
}

static size_t one_leaves_and_joins(void *arg)
{
    struct bench *b = arg;
    struct name name;

    return leave_and_join(b, connection_id(&name, 0));
}

static size_t any_leaves_and_joins(void *arg)
{
    struct bench *b = arg;
    struct name name;

    return leave_and_join(b, connection_id(&name, anywhere(b)));
}

/* --- What the memory alone costs ------------------------------------------------- */

/* As much as connections are made of, in the same pieces. */
struct piece {
    char lines[3][64]; /* what an operation looks at; the first word points at `more` */
    char rest[sizeof(struct session) + ID_LEN > 192 ? sizeof(struct session) + ID_LEN - 192 : 1];
};

struct pieces {
    unsigned count, at;
    struct piece **all;
    struct map_slot *slots; /* the table of a hub */
};

static struct pieces make_pieces(unsigned count)
{
    struct pieces p = {.count = count,
                       .all = allocate(count, sizeof(*p.all)),
                       .slots = allocate((size_t)count * 2, sizeof(*p.slots))};

    for (unsigned i = 0; i < count; i++) {
        void *more = allocate(4, sizeof(struct out_item));

        p.all[i] = allocate(1, sizeof(*p.all[i]));
        memcpy(p.all[i]->lines[0], &more, sizeof(more));
        p.slots[i * 2].item = p.all[i];
    }
    return p;
}

static void *more_of(const struct piece *piece)
{
    void *more;

    memcpy(&more, piece->lines[0], sizeof(more));
    return more;
}

static void free_pieces(struct pieces *p)
{
    for (unsigned i = 0; i < p->count; i++) {
        free(more_of(p->all[i]));
        free(p->all[i]);
    }
    free(p->all);
    free(p->slots);
}

static unsigned touch(struct piece *piece)
{
    return ++*(volatile unsigned char *)&piece->lines[1][0] +
           ++*(volatile unsigned char *)&piece->lines[2][0] +
           ++*(volatile unsigned char *)more_of(piece);
}

/* All in their order, as a fan-out does: once to queue, once to write. */
static size_t touch_all(void *arg)
{
    struct pieces *p = arg;

    for (int pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < p->count; i++)
            touch(p->all[i]);
    }
    return p->count;
}

/* One that is found by its name: table, name, what it is, what it holds. The next one is not
 * looked for before that is known. */
static size_t touch_any(void *arg)
{
    struct pieces *p = arg;
    unsigned i = spread(p->at, p->count);
    struct piece *piece = *(void *volatile *)&p->slots[i * 2].item;
    unsigned known = *(volatile char *)&piece->rest[sizeof(piece->rest) - 1];

    known += touch(piece);
    p->at += 1 + (known >> 16);
    return 1;
}

/* --- Measuring ---------------------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Does one, or says how many it did. */
typedef size_t operation(void *arg);

static double slice(operation *op, void *arg, size_t times, size_t *done)
{
    double start = seconds();

    *done = 0;
    for (size_t i = 0; i < times; i++)
        *done += op(arg);
    return seconds() - start;
}

/* The best of some repeats: what else the machine does can only make one longer. */
static double measure(operation *op, void *arg, size_t most)
{
    size_t times = 1, done;
    double best, took;

    for (took = 0; took < SLICE_SECONDS / 4 && times * 4 < most; times *= 2)
        took = slice(op, arg, times, &done);
    if (times * (REPEATS + 1) > most)
        times = most / (REPEATS + 1);
    best = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        took = slice(op, arg, times, &done);
        if (done == 0)
            die("nothing was done");
        took /= (double)done;
        best = took < best ? took : best;
    }
    return best * 1e9;
}

static const struct subject {
    const char *name;
    void (*make)(struct bench *b);
    operation *run;
    operation *touch; /* NULL: always the same memory */
    size_t most;      /* operations; 0: any number */
} subjects[] = {
    {"delivery", make_group, send_to_all, touch_all, 0},
    {"join-one", make_group, one_leaves_and_joins, NULL, 0},
    {"join-any", make_group, any_leaves_and_joins, touch_any, 0},
    {"groups-one", make_groups, send_to_group, NULL, 0},
    {"groups-any", make_groups, send_to_any_group, touch_any, 0},
    {"rest-user-one", make_hub, send_to_one_user, NULL, 0},
    {"rest-user-any", make_hub, send_to_any_user, touch_any, 0},
    {"rest-connection-one", make_hub, send_to_one_connection, NULL, 0},
    {"rest-connection-any", make_hub, send_to_any_connection, touch_any, 0},
    {"rest-group-one", make_hub, send_to_group, NULL, 0},
    {"rest-group-any", make_hub, send_to_any_group_of_ten, touch_any, 0},
    {"slow", make_slow, send_to_all, NULL, 400}, /* long before a queue is full */
};

static const struct subject *find(const char *name)
{
    for (size_t i = 0; i < sizeof(subjects) / sizeof(*subjects); i++) {
        if (strcmp(subjects[i].name, name) == 0)
            return &subjects[i];
    }
    fprintf(stderr, "usage: growth SUBJECT SIZE\nsubjects:");
    for (size_t i = 0; i < sizeof(subjects) / sizeof(*subjects); i++)
        fprintf(stderr, " %s", subjects[i].name);
    fprintf(stderr, "\n");
    exit(2);
}

static double measure_touch(const struct subject *subject, unsigned size)
{
    struct pieces pieces = make_pieces(size);
    double ns = measure(subject->touch, &pieces, SIZE_MAX / 16);

    free_pieces(&pieces);
    return ns;
}

int main(int argc, char **argv)
{
    const struct subject *subject = find(argc == 3 ? argv[1] : "");
    struct bench b = {.size = (unsigned)strtoul(argv[2], NULL, 10)};

    subject->make(&b);
    printf("{\"subject\": \"%s\", \"size\": %s, \"ns\": %.1f", subject->name, argv[2],
           measure(subject->run, &b, subject->most ? subject->most : SIZE_MAX / 16));
    message__unref(b.message);
    core__free(b.core);
    free(b.sessions);
    if (subject->touch)
        printf(", \"touch_ns\": %.1f", measure_touch(subject, b.size));
    printf("}\n");
    return 0;
}
