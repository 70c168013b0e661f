/* A short life of a core in which each allocation fails in turn: nothing crashes, leaks
 * or is forgotten, and what is left works. */
#include "broker/core/listing.h"
#include "broker/core/session.h"
#include "broker/filter/filter.h"
#include "broker/wire/formats.h"
#include "core_shell.h"
#include "memory_kit.h"
#include "unit.h"

#include <stdio.h>

#define CLIENTS 6
#define MANY 20 /* groups of one client: enough for an index */

/* --- A shell that keeps as little as it can ----------------------------------- */

struct transport {
    struct session *session;
};

struct world {
    struct core *core;
    struct transport transports[CLIENTS + 1];
    unsigned started, ended;
    uint64_t ticket; /* of the newest event */
};

static const char *on_event(void *ctx, struct session *s, const struct user_event *event)
{
    (void)s;
    ((struct world *)ctx)->ticket = event->ticket;
    return NULL;
}

static void on_close(void *ctx, struct transport *t, uint16_t code, struct str reason)
{
    (void)ctx, (void)code, (void)reason;
    session__detach(t->session, 0, STR_NONE);
    t->session = NULL;
}

static void on_abort(void *ctx, struct transport *t)
{
    (void)ctx;
    t->session = NULL;
}

static void on_ended(void *ctx, struct session *s, struct str reason)
{
    (void)s, (void)reason;
    ((struct world *)ctx)->ended++;
}

static const struct core_ops ops = {
    CORE_SHELL_OPS, .event = on_event, .close = on_close, .abort = on_abort, .ended = on_ended,
};

/* --- The life ------------------------------------------------------------------ */

static void attach(struct world *w, unsigned i, struct session *s)
{
    w->transports[i].session = s;
    session__attach(s, &w->transports[i], STR("token"));
}

static void arrive(struct world *w, unsigned i, const struct format *format)
{
    struct str groups[] = {STR("g"), STR("h")};
    struct str roles[] = {STR("webpubsub.sendToGroups.g*"), STR("webpubsub.sendToGroup.h"),
                          STR("webpubsub.joinLeaveGroup"), STR("webpubsub.setGroupState"),
                          STR("webpubsub.getGroupState")};
    char id[] = {(char)('a' + i), '\0'};
    struct session *s = session__new(w->core, &(struct session_config){.hub = STR("hub"),
                                                                       .connection_id = str__of(id),
                                                                       .user_id = STR("u"),
                                                                       .format = format,
                                                                       .roles = roles,
                                                                       .role_count = 5,
                                                                       .groups = groups,
                                                                       .group_count = 2});

    if (!s)
        return;
    w->started++;
    attach(w, i, s);
}

static void say(struct world *w, unsigned i, struct command cmd)
{
    if (w->transports[i].session)
        session__command(w->transports[i].session, &cmd);
}

static void flush(struct world *w)
{
    struct out_item items[4];
    struct session *s;
    size_t n;

    while ((s = core__next_dirty(w->core))) {
        while ((n = session__outgoing(s, items, 4)) > 0)
            session__written(s, n, false);
    }
}

static void join_many(struct world *w, unsigned i)
{
    char name[8];

    for (unsigned n = 0; n < MANY; n++) {
        snprintf(name, sizeof(name), "m%u", n);
        say(w, i,
            (struct command){.kind = COMMAND_JOIN_GROUP,
                             .group = str__of(name),
                             .has_ack_id = true,
                             .ack_id = n});
    }
}

static void leave_many(struct world *w, unsigned i)
{
    char name[8];

    for (unsigned n = 0; n < MANY; n++) {
        snprintf(name, sizeof(name), "m%u", n);
        say(w, i, (struct command){.kind = COMMAND_LEAVE_GROUP, .group = str__of(name)});
    }
}

static void events(struct world *w, unsigned i)
{
    const uint64_t id = 77;

    say(w, i,
        (struct command){.kind = COMMAND_EVENT,
                         .event = STR("e"),
                         .data = STR("x"),
                         .has_ack_id = true,
                         .ack_id = id});
    if (w->transports[i].session)
        session__event_answer(
            w->transports[i].session, w->ticket,
            &(struct event_answer){.success = true, .has_data = true, .data = STR("answer")});
}

static void revoke(struct world *w)
{
    core__apply(w->core,
                &(struct hub_command){.op = HUB_REVOKE,
                                      .scope = SCOPE_USER,
                                      .hub = STR("hub"),
                                      .name = STR("u"),
                                      .target = STR("g")},
                NULL);
}

static void group_states(struct world *w)
{
    const struct metadata_entry entry = {STR("key"), STR("value")};

    for (unsigned i = 1; i < CLIENTS; i++)
        say(w, i, (struct command){.kind = COMMAND_SUBSCRIBE_GROUP_STATE, .group = STR("g")});
    for (unsigned i = 1; i < CLIENTS; i++)
        say(w, i,
            (struct command){.kind = COMMAND_SET_GROUP_STATE,
                             .group = STR("g"),
                             .has_ack_id = true,
                             .ack_id = 88,
                             .has_state = true,
                             .state = {&entry, 1}});
    say(w, 1, (struct command){.kind = COMMAND_SET_GROUP_STATE, .group = STR("g")});
    say(w, 2, (struct command){.kind = COMMAND_LEAVE_GROUP, .group = STR("g")});
    say(w, 3, (struct command){.kind = COMMAND_UNSUBSCRIBE_GROUP_STATE, .group = STR("g")});
    say(w, 3, (struct command){.kind = COMMAND_SUBSCRIBE_GROUP_STATE, .group = STR("g")});
    flush(w);
}

/* A list is whole, or said to have failed. */
static void take_list(void *arg, struct hub_result *result)
{
    (void)arg;
    if (!result)
        return;
    assert_true(result->failed || result->matched == 0 || result->listing->count > 0);
    hub_result__free(result);
}

static void walks(struct world *w)
{
    struct hub_command cmd = {
        .op = HUB_LIST, .scope = SCOPE_GROUP, .hub = STR("hub"), .name = STR("g"), .limit = 2};
    struct hub_result result;

    core__apply(w->core, &cmd, &result);
    take_list(NULL, &result);
    filter__compile(STR("tolower(userId) in ('u', 'v') or 'g' in groups"), &cmd.filter, NULL);
    if (core__start(w->core, &cmd, take_list, NULL))
        core__continue(w->core);
    assert_false(core__has_walks(w->core));
    filter__unref(cmd.filter);
    filter__compile(STR("this is none"), &cmd.filter, NULL);
    assert_null(cmd.filter);
}

static void close_user(struct world *w)
{
    core__apply(w->core,
                &(struct hub_command){.op = HUB_CLOSE,
                                      .scope = SCOPE_USER,
                                      .hub = STR("hub"),
                                      .name = STR("u"),
                                      .reason = STR("done")},
                NULL);
}

static void live(struct world *w)
{
    static const struct format *const formats[CLIENTS] = {
        &format_raw,  &format_json,     &format_json_reliable,
        &format_json, &format_protobuf, &format_protobuf_reliable};
    struct session *lost;

    for (unsigned i = 0; i < CLIENTS; i++)
        arrive(w, i, formats[i]);
    for (unsigned n = 0; n < 6; n++)
        say(w, 1,
            (struct command){.kind = COMMAND_SEND_TO_GROUP, .group = STR("g"), .data = STR("1")});
    flush(w);
    join_many(w, 1);
    leave_many(w, 1);
    events(w, 3);
    group_states(w);
    say(w, 1, (struct command){.kind = COMMAND_PING});
    lost = w->transports[2].session;
    if (lost) {
        session__detach(lost, 0, STR_NONE);
        w->transports[2].session = NULL;
        attach(w, CLIENTS, lost);
    }
    flush(w);
    revoke(w);
    walks(w);
    close_user(w);
}

static void whole_life(void *ctx)
{
    struct world w = {0};
    struct core_config config = {
        .limits = CORE_LIMITS_DEFAULT, .ops = &ops, .ctx = &w, .seed = {7, 8}};

    (void)ctx;
    w.core = core__new(&config);
    if (w.core)
        live(&w);
    memory_kit__disarm();
    if (w.core) {
        assert_int_equal(core__session_count(w.core), 0);
        assert_int_equal(w.ended, w.started);
    }
    core__free(w.core);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    memory_kit__each_fails(whole_life, NULL, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_may_fail),
    };

    return cmocka_run_group_tests_name("core, out of memory", tests, NULL, NULL);
}
