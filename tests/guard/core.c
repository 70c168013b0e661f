/* The core: from a message to pieces for the members' sockets, acks, groups, permissions. */
#include "base/buf.h"
#include "broker/filter/filter.h"
#include "broker/net/gather.h"
#include "broker/wire/formats.h"
#include "core_shell.h"
#include "guard.h"

#include <stdio.h>
#include <stdlib.h>

#define MEMBERS 1000
#define FEW 10
#define PAYLOAD 128

struct transport {
    int unused;
};

static struct transport somewhere;

/* Fan-out to all members, and what a client of their group asks for. */
struct room {
    struct core *core;
    const struct format *format;
    unsigned members, burst;
    uint64_t sent;
    struct session *sessions[MEMBERS];
    struct message *message;
};

struct room_of {
    const struct format *format;
    unsigned members;
    unsigned burst; /* messages in a turn of the loop */
};

/* --- A shell whose sockets take everything --------------------------------------- */

static const struct core_ops ops = {CORE_SHELL_OPS, .event = core_shell__event,
                                    .close = core_shell__close, .abort = core_shell__abort,
                                    .ended = core_shell__ended};

static struct core *new_core(void)
{
    const struct core_config config = {.limits = CORE_LIMITS_DEFAULT, .ops = &ops, .seed = {1, 2}};
    struct core *core = core__new(&config);

    MUST(core);
    return core;
}

/* As net/transport.c does at the end of a turn. Returns how many frames went out. */
static size_t flush(struct core *core)
{
    static struct gather gather;
    struct out_item items[GATHER_FRAMES];
    struct session *s;
    size_t count, done, frames = 0;
    uint32_t rest;

    while ((s = core__next_dirty(core))) {
        while ((count = session__outgoing(s, items, GATHER_FRAMES)) > 0) {
            size_t total = gather__build(&gather, session__format(s), items, count, 0);

            done = gather__done(&gather, total, &rest);
            session__written(s, done, rest > 0);
            frames += done;
        }
    }
    gather__clear(&gather);
    return frames;
}

static struct session *enter_as(struct core *core, unsigned n, const struct format *format,
                                struct str user)
{
    const struct str roles[] = {STR("webpubsub.joinLeaveGroup"), STR("webpubsub.sendToGroup")};
    char id[48];
    struct session_config config = {.hub = STR("hub"),
                                    .format = format,
                                    .user_id = user,
                                    .roles = roles,
                                    .role_count = 2,
                                    .groups = &STR("room"),
                                    .group_count = 1};
    struct session *s;

    snprintf(id, sizeof(id), "%032x", n);
    config.connection_id = str__of(id);
    s = session__new(core, &config);
    MUST(s);
    session__attach(s, &somewhere, STR("token"));
    return s;
}

static struct session *enter(struct core *core, unsigned n, const struct format *format)
{
    char user[16];

    snprintf(user, sizeof(user), "user%u", n);
    return enter_as(core, n, format, str__of(user));
}

static void *prepare_room(const void *what)
{
    const struct room_of *of = what;
    struct room *room = guard__zalloc(sizeof(*room));
    char data[PAYLOAD];

    room->core = new_core();
    room->format = of->format;
    room->members = of->members;
    room->burst = of->burst;
    for (unsigned i = 0; i < of->members; i++)
        room->sessions[i] = enter(room->core, i, of->format);
    flush(room->core);
    memset(data, 'x', sizeof(data));
    room->message = message__new(&(struct message){.from = MESSAGE_FROM_GROUP,
                                                   .type = PH_DATA_TEXT,
                                                   .group = STR("room"),
                                                   .from_user = STR("sender"),
                                                   .data = str__n(data, sizeof(data))});
    MUST(room->message);
    return room;
}

static void drop_room(void *world)
{
    struct room *room = world;

    message__unref(room->message);
    core__free(room->core);
    free(room);
}

/* --- Fan-out ---------------------------------------------------------------------- */

static void acknowledge(const struct room *room)
{
    const struct command ack = {.kind = COMMAND_SEQUENCE_ACK, .sequence_id = room->sent};

    for (unsigned i = 0; i < room->members; i++)
        session__command(room->sessions[i], &ack);
}

static void fan_out(void *world)
{
    struct room *room = world;
    const struct hub_command cmd = {.op = HUB_SEND,
                                    .scope = SCOPE_GROUP,
                                    .hub = STR("hub"),
                                    .name = STR("room"),
                                    .message = room->message};

    for (unsigned i = 0; i < room->burst; i++)
        core__apply(room->core, &cmd, NULL);
    room->sent += room->burst;
    MUST(flush(room->core) == (size_t)room->members * room->burst);
    if (room->format->reliable)
        acknowledge(room);
}

static const struct room_of raw = {&format_raw, MEMBERS, 1}, json = {&format_json, MEMBERS, 1},
                            reliable = {&format_json_reliable, MEMBERS, 1},
                            protobuf = {&format_protobuf, MEMBERS, 1},
                            protobuf_reliable = {&format_protobuf_reliable, MEMBERS, 1},
                            burst = {&format_json, MEMBERS / 10, 16},
                            reliable_burst = {&format_json_reliable, MEMBERS / 10, 16},
                            few = {&format_json, FEW, 1}, many = {&format_json, MEMBERS, 1};

/* --- What clients ask for --------------------------------------------------------------- */

/* A client sends to its group, and gets its ack. */
static void publish(void *world)
{
    struct room *room = world;
    const struct command cmd = {.kind = COMMAND_SEND_TO_GROUP,
                                .has_ack_id = true,
                                .ack_id = ++room->sent,
                                .group = STR("room"),
                                .type = PH_DATA_TEXT,
                                .has_data = true,
                                .data = STR("hello")};

    MUST(session__command(room->sessions[0], &cmd));
    MUST(flush(room->core) == (size_t)room->members + 1);
}

static void join_and_leave(void *world)
{
    struct room *room = world;
    struct command cmd = {.kind = COMMAND_JOIN_GROUP, .group = STR("another room")};

    for (unsigned i = 0; i < 100; i++)
        MUST(session__command(room->sessions[i], &cmd));
    cmd.kind = COMMAND_LEAVE_GROUP;
    for (unsigned i = 0; i < 100; i++)
        MUST(session__command(room->sessions[i], &cmd));
}

static void come_and_go(void *world)
{
    struct room *room = world;
    struct session *s = enter(room->core, MEMBERS, room->format);

    MUST(flush(room->core) == 1);
    session__end(s, &(struct close_reason){.code = 1000, .category = STR("Normal")});
    session__detach(s, 0, STR_NONE);
}

/* --- Permissions -------------------------------------------------------------------------- */

struct rights {
    struct permissions permissions;
    struct map_seed seed;
};

static void *prepare_rights(const void *what)
{
    const struct permission_limits limits = CORE_LIMITS_DEFAULT.permissions;
    struct rights *r = guard__zalloc(sizeof(*r));
    char name[32];

    (void)what;
    r->seed = (struct map_seed){1, 2};
    for (unsigned i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "room-%u", i);
        MUST(permissions__set(&r->permissions, PERMISSION_SEND_TO_GROUP, str__of(name), true,
                              &limits, &r->seed) == PH_OK);
    }
    for (unsigned i = 0; i < 8; i++) {
        snprintf(name, sizeof(name), "floor-%u.*", i);
        MUST(permissions__allow_pattern(&r->permissions, PERMISSION_SEND_TO_GROUP, str__of(name),
                                        &limits, &r->seed) == PH_OK);
    }
    return r;
}

static void ask_rights(void *world)
{
    const struct rights *r = world;

    MUST(permissions__allow(&r->permissions, PERMISSION_SEND_TO_GROUP, STR("room-77")));
    MUST(permissions__allow(&r->permissions, PERMISSION_SEND_TO_GROUP, STR("floor-7.kitchen")));
    MUST(!permissions__allow(&r->permissions, PERMISSION_SEND_TO_GROUP, STR("cellar")));
}

static void drop_rights(void *world)
{
    permissions__free(&((struct rights *)world)->permissions);
    free(world);
}

/* --- Filters ------------------------------------------------------------------------------- */

#define FILTER                                                                                     \
    "(startswith(userId, 'user') and 'room' in groups and length(groups) lt 5) "                   \
    "or tolower(userId) in ('alice', 'bob', 'carol')"

static void compile_filter(void *world)
{
    struct filter *f;

    (void)world;
    MUST(filter__compile(STR(FILTER), &f, NULL) == PH_OK);
    filter__unref(f);
}

static bool in_group(const void *ctx, struct str group)
{
    (void)ctx;
    return str__eq(group, STR("room"));
}

static void *prepare_filter(const void *what)
{
    struct filter *f;

    (void)what;
    MUST(filter__compile(STR(FILTER), &f, NULL) == PH_OK);
    return f;
}

static void match_filter(void *world)
{
    struct filter_subject subject = {.connection_id = STR("0f9c97a2f0bf4706afe87a14e0797b11"),
                                     .user_id = STR("user17"),
                                     .group_count = 3,
                                     .in_group = in_group};
    uint64_t work = 0;

    MUST(filter__match(world, &subject, &work));
    subject.user_id = STR("Carol");
    MUST(filter__match(world, &subject, &work));
    subject.user_id = STR("mallory");
    MUST(!filter__match(world, &subject, &work));
}

static void drop_filter(void *world)
{
    filter__unref(world);
}

/* --- A turn of a filter over many connections ----------------------------------------------- */

#define CLAUSES 100
#define LONG_USER 2048 /* bytes: 1024 characters */

struct search_of {
    const char *clause; /* which nobody passes */
    bool long_users;
};

struct search {
    struct core *core;
    struct hub_command cmd;
};

static struct filter *repeat_clause(const char *clause)
{
    struct filter *f = NULL;
    struct buf text;

    buf__init(&text, 1 << 14);
    for (unsigned i = 0; i < CLAUSES; i++)
        buf__printf(&text, "%s%s", i > 0 ? " or " : "", clause);
    MUST(!text.failed && filter__compile(buf__view(&text), &f, NULL) == PH_OK);
    buf__free(&text);
    return f;
}

static void *prepare_search(const void *what)
{
    const struct search_of *of = what;
    struct search *search = guard__zalloc(sizeof(*search));
    static char user[LONG_USER];

    for (size_t i = 0; i < sizeof(user); i += 2)
        memcpy(user + i, "\xc3\x9c", 2);
    search->core = new_core();
    for (unsigned i = 0; i < MEMBERS; i++)
        enter_as(search->core, i, &format_json, str__n(user, of->long_users ? sizeof(user) : 8));
    flush(search->core);
    search->cmd = (struct hub_command){
        .op = HUB_SEND,
        .scope = SCOPE_HUB,
        .hub = STR("hub"),
        .filter = repeat_clause(of->clause),
        .message = message__new(&(struct message){.type = PH_DATA_TEXT, .data = STR("hello")})};
    MUST(search->cmd.message);
    return search;
}

static void on_searched(void *arg, struct hub_result *result)
{
    (void)arg;
    MUST(!result || result->matched == 0);
}

/* What a loop does before it looks at its sockets again. */
static void search_a_turn(void *world)
{
    struct search *search = world;

    if (!core__has_walks(search->core))
        MUST(core__start(search->core, &search->cmd, on_searched, NULL));
    MUST(core__continue(search->core) >= CORE_WALKS_WORK);
}

static void drop_search(void *world)
{
    struct search *search = world;

    core__free(search->core);
    filter__unref(search->cmd.filter);
    message__unref(search->cmd.message);
    free(search);
}

static const struct search_of groups = {"'hall' in groups", false},
                              names = {"contains(tolower(userId), 'zz')", true};

static void *nothing(const void *what)
{
    (void)what;
    return NULL;
}

static void drop_nothing(void *world)
{
    (void)world;
}

#define ROOM(name, rounds, of, round)                                                              \
    {                                                                                              \
        name, rounds, &(of), prepare_room, round, drop_room                                        \
    }

const struct scenario guard_core[] = {
    ROOM("fan-out-raw-1000", 10, raw, fan_out),
    ROOM("fan-out-json-1000", 10, json, fan_out),
    ROOM("fan-out-json-reliable-1000", 10, reliable, fan_out),
    ROOM("fan-out-protobuf-1000", 10, protobuf, fan_out),
    ROOM("fan-out-protobuf-reliable-1000", 10, protobuf_reliable, fan_out),
    ROOM("fan-out-json-100-burst-16", 10, burst, fan_out),
    ROOM("fan-out-json-reliable-100-burst-16", 10, reliable_burst, fan_out),
    ROOM("client-sends-to-group-of-10", 100, few, publish),
    ROOM("100-clients-join-and-leave", 10, many, join_and_leave),
    ROOM("client-comes-and-goes", 100, many, come_and_go),
    {"permission-of-108", 200, NULL, prepare_rights, ask_rights, drop_rights},
    {"filter-compile", 100, NULL, nothing, compile_filter, drop_nothing},
    {"filter-match", 200, NULL, prepare_filter, match_filter, drop_filter},
    {"filter-turn-100-groups", 10, &groups, prepare_search, search_a_turn, drop_search},
    {"filter-turn-long-names", 10, &names, prepare_search, search_a_turn, drop_search},
    {.name = NULL},
};
