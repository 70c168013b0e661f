/* Commands that go in slices: how much is done in a turn, for whom, and what becomes of them
 * when sessions, hubs and the core go. */
#include "broker/core/listing.h"
#include "broker/core/session.h"
#include "broker/filter/filter.h"
#include "broker/wire/formats.h"
#include "core_shell.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#define MANY 20000
#define MOST 40000 /* with those that come later */

struct world {
    struct core *core;
    struct session *sessions[MOST]; /* NULL: gone */
    unsigned count, ended;
    struct filter *filter;
    struct message *message;
};

/* What became of a command. */
struct caller {
    unsigned done, dropped;
    struct hub_result result;
};

static void on_ended(void *ctx, struct session *s, struct str reason)
{
    struct world *w = ctx;
    unsigned n = (unsigned)strtoul(session__id(s).ptr + 1, NULL, 10);

    (void)reason;
    w->sessions[n] = NULL;
    w->ended++;
}

static const struct core_ops ops = {CORE_SHELL_OPS, .event = core_shell__event,
                                    .close = core_shell__close, .abort = core_shell__abort,
                                    .ended = on_ended};

/* The user of every third one is "odd", the group of all is "all". */
static void connect(struct world *w)
{
    char id[16];
    const struct str group = STR("all");
    struct session_config config = {.hub = STR("h"),
                                    .format = &format_json_reliable,
                                    .groups = &group,
                                    .group_count = 1,
                                    .user_id = w->count % 3 == 0 ? STR("odd") : STR("even")};

    snprintf(id, sizeof(id), "c%06u", w->count);
    config.connection_id = str__of(id);
    w->sessions[w->count] = session__new(w->core, &config);
    assert_non_null(w->sessions[w->count++]);
}

static void end(struct world *w, unsigned n)
{
    const struct close_reason why = {.category = STR("Test"), .upstream = STR("test")};

    if (w->sessions[n])
        session__end(w->sessions[n], &why);
}

static void fill(struct world *w, unsigned count)
{
    while (w->count < count)
        connect(w);
}

static int setup(void **state)
{
    static struct world w;
    const struct core_config config = {
        .limits = CORE_LIMITS_DEFAULT, .ops = &ops, .ctx = &w, .seed = {3, 4}};

    memset(&w, 0, sizeof(w));
    w.core = core__new(&config);
    w.message = message__new(
        &(struct message){.from = MESSAGE_FROM_SERVER, .type = PH_DATA_TEXT, .data = STR("x")});
    assert_int_equal(filter__compile(STR("userId eq 'odd' and 'all' in groups"), &w.filter, NULL),
                     PH_OK);
    *state = &w;
    return w.core && w.message ? 0 : -1;
}

static int teardown(void **state)
{
    struct world *w = *state;

    core__free(w->core);
    message__unref(w->message);
    filter__unref(w->filter);
    return 0;
}

static void on_done(void *arg, struct hub_result *result)
{
    struct caller *c = arg;

    c->done++;
    if (result)
        c->result = *result;
    else
        c->dropped++;
}

static struct hub_command to_odd(const struct world *w)
{
    return (struct hub_command){.op = HUB_SEND,
                                .scope = SCOPE_HUB,
                                .hub = STR("h"),
                                .filter = w->filter,
                                .message = w->message};
}

static size_t received(struct session *s)
{
    struct out_item items[4];

    return session__outgoing(s, items, 4);
}

static unsigned turns(struct world *w)
{
    unsigned count = 0;

    for (; core__has_walks(w->core); count++)
        assert_true(core__continue(w->core) <= CORE_WALKS_WORK + 300);
    return count;
}

/* --- How much --------------------------------------------------------------- */

static void a_turn_has_bounded_work(void **state)
{
    struct world *w = *state;
    struct hub_command cmd = to_odd(w);
    struct caller caller = {0};
    unsigned count;

    fill(w, MANY);
    assert_true(core__takes_long(w->core, &cmd));
    assert_true(core__start(w->core, &cmd, on_done, &caller));
    assert_int_equal(received(w->sessions[0]), 0); /* nothing happens from inside */
    count = turns(w);
    assert_true(count >= 5);
    assert_int_equal(caller.done, 1);
    assert_int_equal(caller.result.matched, (MANY + 2) / 3);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(received(w->sessions[i]), i % 3 == 0);
}

/* Not only looking at sessions is work, but also what is done with them. */
static void what_is_done_counts(void **state)
{
    static struct str names[1000];
    static char room[1000][8];
    struct world *w = *state;
    struct hub_command cmd = {
        .op = HUB_JOIN, .scope = SCOPE_HUB, .hub = STR("h"), .groups = names, .group_count = 1000};
    struct caller caller = {0};
    unsigned count = 0;

    for (unsigned i = 0; i < 1000; i++) {
        snprintf(room[i], sizeof(room[i]), "g%u", i);
        names[i] = str__of(room[i]);
    }
    fill(w, 30);
    assert_true(core__takes_long(w->core, &cmd));
    assert_true(core__start(w->core, &cmd, on_done, &caller));
    for (; core__has_walks(w->core); count++)
        assert_true(core__continue(w->core) < CORE_WALKS_WORK + 10 * 1000);
    assert_in_range(count, 5, 30);
    assert_int_equal(caller.result.matched, 30);
}

/* Few connections that are in many groups, which they leave. */
static void groups_that_are_left_count(void **state)
{
    static const struct {
        enum hub_op op;
        enum scope scope;
        struct str name;
    } rows[] = {{HUB_LEAVE, SCOPE_USER, {"odd", 3}},
                {HUB_LEAVE, SCOPE_HUB, {NULL, 0}},
                {HUB_CLOSE, SCOPE_GROUP, {"all", 3}}};
    static struct str names[1000];
    static char room[1000][8];
    struct world *w = *state;
    struct hub_command join = {
        .op = HUB_JOIN, .scope = SCOPE_HUB, .hub = STR("h"), .groups = names, .group_count = 1000};

    for (unsigned i = 0; i < 1000; i++) {
        snprintf(room[i], sizeof(room[i]), "g%u", i);
        names[i] = str__of(room[i]);
    }
    fill(w, 60);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct hub_command cmd = {
            .op = rows[i].op, .scope = rows[i].scope, .hub = STR("h"), .name = rows[i].name};
        struct caller caller = {0};
        unsigned count = 0;

        core__apply(w->core, &join, NULL);
        core__continue(w->core);
        if (rows[i].scope == SCOPE_GROUP)
            core__apply(w->core,
                        &(struct hub_command){.op = HUB_JOIN,
                                              .scope = SCOPE_HUB,
                                              .hub = STR("h"),
                                              .groups = &rows[i].name,
                                              .group_count = 1},
                        NULL);
        assert_true(core__takes_long(w->core, &cmd));
        assert_true(core__start(w->core, &cmd, on_done, &caller));
        for (; core__has_walks(w->core); count++)
            assert_true(core__continue(w->core) < CORE_WALKS_WORK + 10 * 1000);
        assert_in_range(count, 4, 60);
        core__continue(w->core);
        if (rows[i].op == HUB_LEAVE) /* there is little to leave now */
            assert_false(core__takes_long(w->core, &cmd));
    }
}

static void what_takes_long(void **state)
{
    struct world *w = *state;
    const struct str names[] = {STR("x")};
    const struct {
        struct hub_command cmd;
        bool takes_long;
    } rows[] = {
        /* Messages without a filter go to all at once. */
        {{.op = HUB_SEND, .scope = SCOPE_HUB}, false},
        {{.op = HUB_SEND, .scope = SCOPE_GROUP, .name = STR("all")}, false},
        {{.op = HUB_SEND, .scope = SCOPE_HUB, .filter = w->filter}, true},
        {{.op = HUB_SEND, .scope = SCOPE_GROUP, .name = STR("all"), .filter = w->filter}, true},
        {{.op = HUB_SEND, .scope = SCOPE_USER, .name = STR("odd"), .filter = w->filter}, true},
        {{.op = HUB_SEND, .scope = SCOPE_USER, .name = STR("no"), .filter = w->filter}, false},
        {{.op = HUB_SEND, .scope = SCOPE_GROUP, .name = STR("no"), .filter = w->filter}, false},
        {{.op = HUB_EXISTS, .scope = SCOPE_GROUP, .name = STR("all")}, false},
        {{.op = HUB_CLOSE, .scope = SCOPE_HUB}, true},
        {{.op = HUB_CLOSE, .scope = SCOPE_CONNECTION, .name = STR("c000001")}, false},
        {{.op = HUB_JOIN, .scope = SCOPE_HUB, .groups = names, .group_count = 1}, true},
        {{.op = HUB_LEAVE, .scope = SCOPE_USER, .name = STR("odd")}, true},
        {{.op = HUB_LIST, .scope = SCOPE_GROUP, .name = STR("all"), .limit = 9}, true},
    };

    fill(w, MANY);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct hub_command cmd = rows[i].cmd;

        core__continue(w->core);
        cmd.hub = STR("h");
        if (core__takes_long(w->core, &cmd) != rows[i].takes_long)
            fail_msg("row %zu", i);
        cmd.hub = STR("no hub");
        assert_false(core__takes_long(w->core, &cmd));
    }
}

/* What looks at texts takes long for few connections, for their names may be long. */
static void a_dear_filter_takes_long_for_few(void **state)
{
    static const struct {
        const char *filter;
        bool takes_long;
    } rows[] = {{"userId eq 'x'", false},
                {"length(groups) gt 5", false},
                {"tolower(userId) eq 'x'", true},
                {"toupper(userId) eq 'x'", true}};
    struct world *w = *state;

    fill(w, 100);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct hub_command cmd = to_odd(w);

        core__continue(w->core); /* a turn with all its room */
        assert_int_equal(filter__compile(str__of(rows[i].filter), &cmd.filter, NULL), PH_OK);
        if (core__takes_long(w->core, &cmd) != rows[i].takes_long)
            fail_msg("%s", rows[i].filter);
        filter__unref(cmd.filter);
    }
}

/* What is short by itself is not when there is too much of it in one turn. */
static void short_commands_add_up(void **state)
{
    struct world *w = *state;
    struct hub_command cmd = to_odd(w);
    unsigned count = 0;

    fill(w, 100);
    while (!core__takes_long(w->core, &cmd))
        count++;
    assert_in_range(count, 2, 100);
    core__continue(w->core);
    assert_false(core__takes_long(w->core, &cmd));
}

/* --- For whom ---------------------------------------------------------------- */

static void who_comes_later_is_left_out(void **state)
{
    struct world *w = *state;
    struct hub_command cmd = to_odd(w);
    struct caller caller = {0};

    fill(w, MANY);
    assert_true(core__start(w->core, &cmd, on_done, &caller));
    while (core__has_walks(w->core)) {
        core__continue(w->core);
        fill(w, w->count + 600); /* faster than it gets along */
    }
    assert_int_equal(caller.result.matched, (MANY + 2) / 3);
    for (unsigned i = MANY; i < w->count; i++)
        assert_int_equal(received(w->sessions[i]), 0);
}

/* Sessions go wherever the walk stands: all others that were there are served, once. */
static void who_goes_is_not_missed(void **state)
{
    struct world *w = *state;
    struct hub_command cmd = to_odd(w);

    unit__seed();
    for (unsigned round = 0; round < 20; round++) {
        struct caller caller = {0};
        unsigned first = w->count, last;

        fill(w, first + 1500);
        last = w->count;
        assert_true(core__start(w->core, &cmd, on_done, &caller));
        if (round % 2)
            end(w, last - 1); /* where it would end */
        end(w, first);        /* where it begins */
        while (core__has_walks(w->core)) {
            core__continue(w->core);
            for (unsigned i = 0; i < 100; i++)
                end(w, first + (unsigned)rand() % (last - first));
            connect(w);
        }
        assert_int_equal(caller.done, 1);
        for (unsigned i = first; i < w->count; i++) {
            if (w->sessions[i])
                assert_int_equal(received(w->sessions[i]), i < last && i % 3 == 0);
            end(w, i);
        }
    }
}

static void neighbours_go_together(void **state)
{
    struct world *w = *state;
    struct hub_command cmd = to_odd(w);
    struct caller caller = {0};
    unsigned next = 0;

    fill(w, MANY);
    assert_true(core__start(w->core, &cmd, on_done, &caller));
    core__continue(w->core);
    while (received(w->sessions[next]) == (next % 3 == 0))
        next++; /* the first that was not visited, or those just before it */
    for (unsigned i = next - 3; i < next + 300; i++)
        end(w, i);
    for (unsigned i = MANY - 300; i < MANY; i++)
        end(w, i);
    turns(w);
    assert_int_equal(caller.done, 1);
    for (unsigned i = 0; i < MANY; i++) {
        if (w->sessions[i])
            assert_int_equal(received(w->sessions[i]), i % 3 == 0);
    }
}

static void excluded_ones_are_left_out_of_every_slice(void **state)
{
    struct world *w = *state;
    const struct str excluded[] = {STR("c000000"), STR("c019998"), STR("nobody")};
    struct hub_command cmd = to_odd(w);
    struct caller caller = {0};

    fill(w, MANY);
    cmd.excluded = excluded;
    cmd.excluded_count = 3;
    assert_true(core__start(w->core, &cmd, on_done, &caller));
    core__continue(w->core);
    core__apply(w->core,
                &(struct hub_command){
                    .op = HUB_SEND, .scope = SCOPE_HUB, .hub = STR("h"), .message = w->message},
                NULL); /* the marks are of the slice alone */
    turns(w);
    assert_int_equal(received(w->sessions[0]), 1);
    assert_int_equal(received(w->sessions[19998]), 1);
    assert_int_equal(received(w->sessions[3]), 2);
    assert_int_equal(caller.result.matched, (MANY + 2) / 3 - 2);
}

static void groups_and_users(void **state)
{
    struct world *w = *state;
    struct hub_command cmd = to_odd(w);
    struct caller group = {0}, user = {0}, nobody = {0};
    struct hub_command to_user = cmd, to_nobody = cmd;

    fill(w, MANY);
    cmd.scope = to_nobody.scope = SCOPE_GROUP;
    cmd.name = STR("all");
    to_nobody.name = STR("none");
    to_user.scope = SCOPE_USER;
    to_user.name = STR("even");
    core__start(w->core, &cmd, on_done, &group);
    core__start(w->core, &to_user, on_done, &user);
    core__start(w->core, &to_nobody, on_done, &nobody);
    turns(w);
    assert_int_equal(group.result.matched, (MANY + 2) / 3);
    assert_int_equal(user.result.matched, 0); /* the filter is for the others */
    assert_int_equal(nobody.result.matched, 0);
    assert_int_equal(group.done + user.done + nobody.done, 3);
}

/* --- What ---------------------------------------------------------------------- */

static void joining_and_leaving(void **state)
{
    struct world *w = *state;
    const struct str names[] = {STR("new"), STR("all"), STR("other")};
    struct hub_command cmd = {.op = HUB_JOIN,
                              .scope = SCOPE_HUB,
                              .hub = STR("h"),
                              .filter = w->filter,
                              .groups = names,
                              .group_count = 3};
    struct hub_command count = {
        .op = HUB_LIST, .scope = SCOPE_GROUP, .hub = STR("h"), .name = STR("new"), .limit = 1};
    struct caller caller = {0};
    struct hub_result result;

    fill(w, MANY);
    core__start(w->core, &cmd, on_done, &caller);
    turns(w);
    assert_int_equal(caller.result.matched, (MANY + 2) / 3);
    core__apply(w->core, &count, &result);
    assert_int_equal(result.matched, (MANY + 2) / 3);
    hub_result__free(&result);
    /* All members leave the very group that the walk is about. */
    cmd.op = HUB_LEAVE;
    cmd.scope = SCOPE_GROUP;
    cmd.name = STR("new");
    cmd.filter = NULL;
    cmd.group_count = 1;
    core__start(w->core, &cmd, on_done, &caller);
    turns(w);
    assert_int_equal(caller.result.matched, (MANY + 2) / 3);
    core__apply(w->core, &count, &result);
    assert_int_equal(result.matched, 0);
    assert_null(result.listing);
}

static void closing(void **state)
{
    struct world *w = *state;
    struct hub_command cmd = {.op = HUB_CLOSE, .scope = SCOPE_HUB, .hub = STR("h")};
    struct caller caller = {0}, sends = {0};
    struct hub_command send = to_odd(w);

    fill(w, MANY);
    core__start(w->core, &cmd, on_done, &caller);
    core__start(w->core, &send, on_done, &sends); /* its hub goes under it */
    turns(w);
    assert_int_equal(caller.result.matched, MANY);
    assert_int_equal(w->ended, MANY);
    assert_int_equal(core__session_count(w->core), 0);
    assert_int_equal(sends.done, 1);
    assert_int_equal(sends.dropped, 0);
    assert_false(core__start(w->core, &send, on_done, &sends)); /* there is no hub any more */
}

static void a_hub_may_vanish_and_come_again(void **state)
{
    struct world *w = *state;
    struct hub_command cmd = to_odd(w);
    struct caller caller = {0};

    fill(w, MANY);
    core__start(w->core, &cmd, on_done, &caller);
    core__continue(w->core);
    for (unsigned i = 0; i < MANY; i++)
        end(w, i);
    fill(w, MANY + 10);
    turns(w);
    assert_int_equal(caller.done, 1);
    assert_true(caller.result.matched < MANY / 3);
    for (unsigned i = MANY; i < MANY + 10; i++)
        assert_int_equal(received(w->sessions[i]), 0);
}

/* --- Many at once, and the end -------------------------------------------------- */

/* The long ones make way for each other; a turn has no more work for all that. */
static void sixteen_at_once(void **state)
{
    struct world *w = *state;
    struct hub_command cmd = to_odd(w), list = cmd;
    struct caller callers[16] = {{0}};
    unsigned done = 0, first_done = 0, count = 0;

    fill(w, MANY / 4);
    list.op = HUB_LIST;
    list.limit = 201;
    for (unsigned i = 0; i < 16; i++)
        core__start(w->core, i % 2 ? &list : &cmd, on_done, &callers[i]);
    for (; core__has_walks(w->core); count++) {
        assert_true(core__continue(w->core) <= CORE_WALKS_WORK + 300);
        done = 0;
        for (unsigned i = 0; i < 16; i++)
            done += callers[i].done;
        first_done = done > 0 && first_done == 0 ? count : first_done;
    }
    assert_int_equal(done, 16);
    assert_true(first_done > count / 2); /* all got along together */
    for (unsigned i = 0; i < 16; i++) {
        assert_int_equal(callers[i].result.matched, (MANY / 4 + 2) / 3);
        if (i % 2)
            assert_int_equal(callers[i].result.listing->count, 201);
        hub_result__free(&callers[i].result);
    }
    assert_int_equal(received(w->sessions[0]), 4); /* at the most: there were 8 */
}

static void shutdown_in_the_middle(void **state)
{
    struct world *w = *state;
    const struct close_reason why = {.category = STR("Test"), .upstream = STR("test")};
    struct hub_command cmd = to_odd(w), list = cmd;
    struct caller closed = {0}, dropped[2] = {{0}};

    fill(w, MANY);
    core__start(w->core, &cmd, on_done, &closed);
    core__continue(w->core);
    core__close_all(w->core, &why);
    turns(w);
    assert_int_equal(closed.done, 1);
    assert_int_equal(closed.dropped, 0);
    fill(w, MOST);
    list.op = HUB_LIST;
    list.limit = 10;
    core__start(w->core, &cmd, on_done, &dropped[0]);
    core__start(w->core, &list, on_done, &dropped[1]);
    core__continue(w->core);
    core__free(w->core);
    w->core = NULL;
    assert_int_equal(dropped[0].dropped, 1);
    assert_int_equal(dropped[1].dropped, 1);
}

/* --- Lists ------------------------------------------------------------------------ */

static void assert_listed(const struct listing *l, unsigned first, unsigned step, unsigned count)
{
    char id[16];

    assert_int_equal(l->count, count);
    for (unsigned i = 0; i < count; i++) {
        snprintf(id, sizeof(id), "c%06u", first + i * step);
        assert_str(l->items[i]->connection_id, id);
        assert_str(l->items[i]->user_id, (first + i * step) % 3 ? "even" : "odd");
    }
}

static void lists_are_sorted_and_go_on(void **state)
{
    struct world *w = *state;
    struct hub_command cmd = {
        .op = HUB_LIST, .scope = SCOPE_GROUP, .hub = STR("h"), .name = STR("all"), .limit = 7};
    struct caller caller = {0};
    struct hub_result result;

    fill(w, MANY);
    core__apply(w->core, &cmd, &result);
    assert_listed(result.listing, 0, 1, 7);
    hub_result__free(&result);
    cmd.after = STR("c012345");
    core__apply(w->core, &cmd, &result);
    assert_listed(result.listing, 12346, 1, 7);
    hub_result__free(&result);
    cmd.filter = w->filter;
    core__start(w->core, &cmd, on_done, &caller);
    turns(w);
    assert_listed(caller.result.listing, 12348, 3, 7);
    hub_result__free(&caller.result);
    cmd.after = STR("c019999");
    core__apply(w->core, &cmd, &result);
    assert_null(result.listing);
}

static struct listing *of(unsigned from, unsigned to, unsigned step, unsigned limit)
{
    struct listing *l = listing__new(limit);
    char id[16];

    for (unsigned i = from; i < to; i += step) {
        snprintf(id, sizeof(id), "c%06u", i);
        assert_true(listing__offer(l, str__of(id), i % 3 ? STR("even") : STR("odd")));
    }
    listing__sort(l);
    return l;
}

static void lists_of_shards_are_merged(void **state)
{
    struct listing *l;

    (void)state;
    l = listing__merge(of(0, 100, 2, 10), of(1, 100, 2, 10));
    assert_listed(l, 0, 1, 10);
    l = listing__merge(l, NULL);
    assert_listed(l, 0, 1, 10);
    listing__free(l);
    l = listing__merge(NULL, of(5, 8, 1, 10));
    l = listing__merge(l, of(0, 5, 1, 10));
    assert_listed(l, 0, 1, 8);
    l = listing__merge(l, of(8, 30, 1, 10));
    assert_listed(l, 0, 1, 10);
    listing__free(l);
    assert_null(listing__merge(NULL, NULL));
}

/* A listing, whatever the order in which it is offered. */
static void lists_in_any_order(void **state)
{
    char id[16];

    (void)state;
    unit__seed();
    for (unsigned round = 0; round < 200; round++) {
        unsigned limit = 1 + (unsigned)rand() % 20, count = 100,
                 a = 1 + 2 * ((unsigned)rand() % 50);
        struct listing *l = listing__new(limit);

        while (a % 5 == 0)
            a += 2; /* prime to 100: all are offered */
        for (unsigned i = 0; i < count; i++) {
            unsigned n = (i * a + round) % count;

            snprintf(id, sizeof(id), "c%06u", n);
            assert_true(listing__offer(l, str__of(id), n % 3 ? STR("even") : STR("odd")));
        }
        listing__sort(l);
        assert_listed(l, 0, 1, limit);
        listing__free(l);
    }
}

static void order_of_ids(void **state)
{
    (void)state;
    assert_true(listing__compare(STR("a"), STR("b")) < 0);
    assert_true(listing__compare(STR("b"), STR("a")) > 0);
    assert_int_equal(listing__compare(STR("a"), STR("a")), 0);
    assert_true(listing__compare(STR("a"), STR("aa")) < 0);
    assert_true(listing__compare(STR("aa"), STR("a")) > 0);
    assert_true(listing__compare(STR("Z"), STR("a")) < 0);
    assert_true(listing__compare(STR("a"), STR("\xc3\x9c")) < 0);
    assert_true(listing__compare(STR_NONE, STR("a")) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_turn_has_bounded_work, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_done_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(groups_that_are_left_count, setup, teardown),
        cmocka_unit_test_setup_teardown(what_takes_long, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dear_filter_takes_long_for_few, setup, teardown),
        cmocka_unit_test_setup_teardown(short_commands_add_up, setup, teardown),
        cmocka_unit_test_setup_teardown(who_comes_later_is_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(who_goes_is_not_missed, setup, teardown),
        cmocka_unit_test_setup_teardown(neighbours_go_together, setup, teardown),
        cmocka_unit_test_setup_teardown(excluded_ones_are_left_out_of_every_slice, setup, teardown),
        cmocka_unit_test_setup_teardown(groups_and_users, setup, teardown),
        cmocka_unit_test_setup_teardown(joining_and_leaving, setup, teardown),
        cmocka_unit_test_setup_teardown(closing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hub_may_vanish_and_come_again, setup, teardown),
        cmocka_unit_test_setup_teardown(sixteen_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(shutdown_in_the_middle, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_are_sorted_and_go_on, setup, teardown),
        cmocka_unit_test(lists_of_shards_are_merged),
        cmocka_unit_test(lists_in_any_order),
        cmocka_unit_test(order_of_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
