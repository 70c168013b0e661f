/* Random lives of many sessions, compared with a model so naive that it cannot be wrong:
 * a matrix of who is in which group. */
#include "broker/core/session.h"
#include "broker/filter/filter.h"
#include "broker/wire/formats.h"
#include "core_shell.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#define SESSIONS 40
#define USERS 6 /* the last of them stands for nobody */
#define GROUPS 30
#define STEPS 20000

struct transport {
    struct session *session;
    unsigned got; /* frames */
};

struct world {
    struct core *core;
    struct transport transports[SESSIONS];
    bool alive[SESSIONS];
    bool member[SESSIONS][GROUPS];
    unsigned user[SESSIONS];
    unsigned expected[SESSIONS];
    unsigned ended;
};

static const char *name(char kind, unsigned n)
{
    static char names[4][8];
    static unsigned next;
    char *to = names[next++ % 4];

    snprintf(to, 8, "%c%u", kind, n % 1000);
    return to;
}

static struct str name_str(char kind, unsigned n)
{
    return str__of(name(kind, n));
}

static void on_close(void *ctx, struct transport *t, uint16_t code, struct str reason)
{
    (void)ctx, (void)code, (void)reason;
    session__detach(t->session, 0, STR_NONE);
    t->session = NULL;
}

static void on_abort(void *ctx, struct transport *t)
{
    (void)ctx, (void)t;
    fail();
}

static void on_ended(void *ctx, struct session *s, struct str reason)
{
    struct world *w = ctx;

    (void)s, (void)reason;
    w->ended++;
}

static const struct core_ops ops = {
    CORE_SHELL_OPS,    .event = core_shell__event, .close = on_close,
    .abort = on_abort, .ended = on_ended,
};

static void drain(struct world *w)
{
    struct session *s;
    struct out_item items[16];
    size_t n;

    (void)w;
    while ((s = core__next_dirty(w->core))) {
        while ((n = session__outgoing(s, items, 16)) > 0) {
            session__written(s, n, false);
            session__transport(s)->got += (unsigned)n;
        }
    }
}

/* --- What happens ------------------------------------------------------------ */

static void arrive(struct world *w, unsigned i)
{
    unsigned group = (unsigned)rand() % GROUPS, user = (unsigned)rand() % USERS;
    struct str group_name = name_str('g', group);
    struct session_config config = {
        .hub = STR("h"),
        .connection_id = name_str('c', i),
        .user_id = user == USERS - 1 ? STR_NONE : name_str('u', user),
        .format = &format_raw,
        .groups = &group_name,
        .group_count = 1,
    };

    w->transports[i] = (struct transport){.session = session__new(w->core, &config)};
    assert_non_null(w->transports[i].session);
    session__attach(w->transports[i].session, &w->transports[i], STR_NONE);
    w->alive[i] = true;
    w->user[i] = user;
    w->expected[i] = 0;
    memset(w->member[i], 0, sizeof(w->member[i]));
    w->member[i][group] = true;
}

static void go(struct world *w, unsigned i)
{
    session__detach(w->transports[i].session, 0, STR_NONE);
    w->alive[i] = false;
}

/* Is session i in the scope? The model's whole wisdom. */
static bool in_scope(const struct world *w, unsigned i, enum scope scope, unsigned n)
{
    switch (scope) {
    case SCOPE_HUB:
        return w->alive[i];
    case SCOPE_GROUP:
        return w->alive[i] && w->member[i][n % GROUPS];
    case SCOPE_USER:
        return w->alive[i] && w->user[i] == n % (USERS - 1);
    case SCOPE_CONNECTION:
        return w->alive[i] && i == n % SESSIONS;
    }
    return false;
}

static struct str scope_name(enum scope scope, unsigned n)
{
    return scope == SCOPE_GROUP  ? name_str('g', n % GROUPS)
           : scope == SCOPE_USER ? name_str('u', n % (USERS - 1))
                                 : name_str('c', n % SESSIONS);
}

static void model_apply(struct world *w, unsigned i, enum hub_op op, unsigned group, bool all)
{
    switch (op) {
    case HUB_SEND:
        w->expected[i]++;
        break;
    case HUB_EXISTS:
        break;
    case HUB_JOIN:
        w->member[i][group] = true;
        break;
    case HUB_LEAVE:
        if (all)
            memset(w->member[i], 0, sizeof(w->member[i]));
        else
            w->member[i][group] = false;
        break;
    case HUB_CLOSE:
        w->alive[i] = false;
        break;
    case HUB_LIST:
    case HUB_GRANT:
    case HUB_REVOKE:
    case HUB_MAY:
    case HUB_SET_GROUP_STATE:
        break;
    }
}

static void on_done(void *arg, struct hub_result *result)
{
    *(struct hub_result *)arg = *result;
}

/* In one go or in slices, which comes to the same. */
static struct hub_result run(struct world *w, const struct hub_command *cmd)
{
    struct hub_result result = {0};

    if (rand() % 2 == 0 || !core__start(w->core, cmd, on_done, &result)) {
        core__apply(w->core, cmd, &result);
        return result;
    }
    while (core__has_walks(w->core))
        core__continue(w->core);
    return result;
}

/* Of half of the users, and the anonymous ones. */
static bool filtered(const struct world *w, unsigned i)
{
    return w->user[i] % 2 == 0 || w->user[i] == USERS - 1;
}

static struct filter *new_filter(void)
{
    char text[256] = "userId eq null";
    struct filter *f;

    for (unsigned i = 0; i < USERS - 1; i += 2)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), " or userId eq 'u%u'", i);
    assert_int_equal(filter__compile(str__of(text), &f, NULL), PH_OK);
    return f;
}

static void command(struct world *w)
{
    enum scope scope = (enum scope)(rand() % 4);
    enum hub_op op = (enum hub_op)(rand() % 64 == 0 ? HUB_CLOSE : rand() % HUB_CLOSE);
    unsigned n = (unsigned)rand(), group = (unsigned)rand() % GROUPS;
    unsigned left_out = (unsigned)rand() % SESSIONS;
    bool excludes = rand() % 2, all = rand() % 16 == 0;
    struct str excluded = name_str('c', left_out), group_name = name_str('g', group);
    struct message *m = message__new(
        &(struct message){.from = MESSAGE_FROM_SERVER, .type = PH_DATA_TEXT, .data = STR("x")});
    struct hub_command cmd = {.op = op,
                              .scope = scope,
                              .hub = STR("h"),
                              .name = scope_name(scope, n),
                              .groups = &group_name,
                              .group_count = op == HUB_LEAVE && all ? 0 : 1,
                              .excluded = &excluded,
                              .excluded_count = excludes,
                              .message = m};
    struct hub_result result;
    size_t matched = 0;

    cmd.filter = rand() % 2 ? new_filter() : NULL;
    for (unsigned i = 0; i < SESSIONS; i++) {
        if (!in_scope(w, i, scope, n) || (excludes && i == left_out) ||
            (cmd.filter && !filtered(w, i)))
            continue;
        matched++;
        model_apply(w, i, op, group, all);
    }
    result = run(w, &cmd);
    if (op == HUB_EXISTS) /* one is enough */
        assert_int_equal(result.matched > 0, matched > 0);
    else
        assert_int_equal(result.matched, matched);
    filter__unref(cmd.filter);
    message__unref(m);
}

static void compare(struct world *w)
{
    drain(w);
    for (unsigned i = 0; i < SESSIONS; i++) {
        if (w->alive[i])
            assert_int_equal(w->transports[i].got, w->expected[i]);
        assert_int_equal(core__find(w->core, STR("h"), name_str('c', i)) != NULL, w->alive[i]);
    }
}

static void random_lives_equal_a_matrix(void **state)
{
    static struct world w;
    struct core_config config = {
        .limits = CORE_LIMITS_DEFAULT, .ops = &ops, .ctx = &w, .seed = {5, 6}};

    (void)state;
    unit__seed();
    w.core = core__new(&config);
    for (int step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)rand() % SESSIONS;

        if (!w.alive[i] && rand() % 2)
            arrive(&w, i);
        else if (w.alive[i] && rand() % 32 == 0)
            go(&w, i);
        else
            command(&w);
        if (step % 16 == 0)
            compare(&w);
    }
    core__free(w.core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_lives_equal_a_matrix),
    };

    return cmocka_run_group_tests_name("core model", tests, NULL, NULL);
}
