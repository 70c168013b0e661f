/* Group states (client-and-rest section 2.6), on two cores that stand for two shards. */
#include "broker/core/group_state.h"
#include "broker/core/state.h"
#include "core_kit.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#define SET_ANY "webpubsub.setGroupState"
#define GET_ANY "webpubsub.getGroupState"
#define ACK(n) "{\"type\":\"ack\",\"ackId\":" #n ",\"success\":true}\n"
#define NACK(n, name, message)                                                                     \
    "{\"type\":\"ack\",\"ackId\":" #n ",\"success\":false,\"error\":{\"name\":\"" name             \
    "\",\"message\":\"" message "\"}}\n"
#define UPDATE(items) "{\"type\":\"groupStateUpdate\",\"group\":\"g\",\"items\":[" items "]}\n"
#define SNAPSHOT(items) "{\"type\":\"groupStateSnapshot\",\"group\":\"g\",\"items\":[" items "]}\n"
#define ITEM(id, value, at)                                                                        \
    "{\"connectionId\":\"" id "\",\"state\":{\"k\":\"" value "\"},\"updatedAt\":" #at "}"
#define ITEM_OF(id, user, value, at)                                                               \
    "{\"connectionId\":\"" id "\",\"userId\":\"" user "\",\"state\":{\"k\":\"" value               \
    "\"},\"updatedAt\":" #at "}"
#define GONE(id, at) "{\"connectionId\":\"" id "\",\"updatedAt\":" #at "}"
#define SET(n, value)                                                                              \
    "{\"type\":\"setGroupState\",\"group\":\"g\",\"ackId\":" #n ",\"state\":{\"k\":\"" value "\"}" \
    "}"
#define CLEAR(n) "{\"type\":\"setGroupState\",\"group\":\"g\",\"ackId\":" #n "}"
#define SUBSCRIBE(n) "{\"type\":\"subscribeGroupState\",\"group\":\"g\",\"ackId\":" #n "}"
#define UNSUBSCRIBE(n) "{\"type\":\"unsubscribeGroupState\",\"group\":\"g\",\"ackId\":" #n "}"

struct shards {
    struct kit here, there;
};

static int set_up_with(void **state, const struct core_limits *limits)
{
    static struct shards s;

    kit__init(&s.here, limits);
    kit__init(&s.there, limits);
    s.here.beside = s.there.core;
    s.there.beside = s.here.core;
    s.here.unix_ms = s.there.unix_ms = 100;
    *state = &s;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, NULL);
}

static int set_up_small(void **state)
{
    struct core_limits limits = CORE_LIMITS_DEFAULT;

    limits.states_per_connection = 2;
    limits.states_per_group = 2;
    return set_up_with(state, &limits);
}

static int set_up_impatient(void **state)
{
    struct core_limits limits = CORE_LIMITS_DEFAULT;

    limits.queue.messages = 1;
    return set_up_with(state, &limits);
}

static int tear_down(void **state)
{
    struct shards *s = *state;

    kit__free(&s->here);
    kit__free(&s->there);
    return 0;
}

/* A member of g that may do everything with states. */
static struct transport *member(struct kit *kit, const char *id, const struct format *format)
{
    return kit__connect(
        kit, &(struct client){
                 .id = id, .role = SET_ANY, .role2 = GET_ANY, .group = "g", .format = format});
}

static struct transport *watcher(struct kit *kit, const char *id)
{
    struct transport *t = kit__connect(kit, &(struct client){.id = id, .role = GET_ANY});

    kit__says(t, SUBSCRIBE(1));
    kit__read(t);
    return t;
}

static void disconnect(struct transport *t)
{
    session__detach(t->session, 0, STR_NONE);
    t->session = NULL;
}

static uint32_t hubs(const struct kit *kit)
{
    return kit->core->hubs.count;
}

/* --- Setting ---------------------------------------------------------------------- */

static void a_state_is_acknowledged_then_told_to_all_subscribers(void **state)
{
    struct shards *s = *state;
    struct transport *a = kit__connect(
        &s->here, &(struct client){
                      .id = "a", .user = "ann", .role = SET_ANY, .role2 = GET_ANY, .group = "g"});
    struct transport *here = watcher(&s->here, "w"), *there = watcher(&s->there, "x");
    struct transport *deaf = member(&s->here, "d", NULL);

    kit__says(a, SUBSCRIBE(1));
    assert_read(a, ACK(1) SNAPSHOT(""));
    kit__says(a, SET(2, "v"));
    assert_read(a, ACK(2) UPDATE(ITEM_OF("a", "ann", "v", 100)));
    assert_read(here, UPDATE(ITEM_OF("a", "ann", "v", 100)));
    assert_read(there, UPDATE(ITEM_OF("a", "ann", "v", 100)));
    assert_read(deaf, "");
}

static void the_snapshot_has_all_states_by_connection_id(void **state)
{
    struct shards *s = *state;
    struct transport *b = member(&s->here, "b", NULL), *aa = member(&s->there, "aa", NULL);
    struct transport *a = member(&s->here, "a", NULL), *w;

    kit__says(b, SET(1, "1"));
    kit__says(aa, SET(1, "2"));
    kit__says(a, SET(1, "3"));
    kit__says(b, SET(2, "4"));
    for (int shard = 0; shard < 2; shard++) {
        w = kit__connect(shard ? &s->there : &s->here,
                         &(struct client){.id = "w", .role = GET_ANY});
        kit__says(w, SUBSCRIBE(1));
        assert_read(w, ACK(1) SNAPSHOT(
                           ITEM("a", "3", 100) "," ITEM("aa", "2", 100) "," ITEM("b", "4", 101)));
    }
}

static void clearing_is_told_without_a_state(void **state)
{
    struct shards *s = *state;
    struct transport *a = member(&s->here, "a", NULL), *w = watcher(&s->there, "w");

    kit__says(a, CLEAR(1)); /* there is none yet: nobody needs to know */
    assert_read(a, ACK(1));
    assert_read(w, "");
    kit__says(a, SET(2, "v"));
    kit__says(a, "{\"type\":\"setGroupState\",\"group\":\"g\",\"ackId\":3,\"state\":null}");
    assert_read(a, ACK(2) ACK(3));
    assert_read(w, UPDATE(ITEM("a", "v", 101)) UPDATE(GONE("a", 102)));
    kit__says(w, SUBSCRIBE(9));
    assert_read(w, ACK(9) SNAPSHOT(""));
}

/* Clients ignore what is older than what they know. */
static void times_of_a_connection_only_grow(void **state)
{
    struct shards *s = *state;
    struct transport *a = member(&s->here, "a", NULL), *w = watcher(&s->here, "w");

    kit__says(a, SET(1, "1"));
    s->here.unix_ms = 50; /* somebody set the clock back */
    kit__says(a, SET(2, "2"));
    s->here.unix_ms = 5000;
    kit__says(a, SET(3, "3"));
    assert_read(w, UPDATE(ITEM("a", "1", 100)) UPDATE(ITEM("a", "2", 101))
                       UPDATE(ITEM("a", "3", 5000)));
}

static void a_state_needs_membership_and_role(void **state)
{
    struct shards *s = *state;
    struct transport *outside =
        kit__connect(&s->here, &(struct client){.id = "a", .role = SET_ANY});
    struct transport *inside = kit__connect(&s->here, &(struct client){.id = "b", .group = "g"});

    kit__says(outside, SET(1, "v"));
    assert_read(outside, NACK(1, "Forbidden", "Not a member of group."));
    kit__says(outside, SUBSCRIBE(2));
    assert_read(outside, NACK(2, "Forbidden",
                              "The client does not have permission to see the states of group "
                              "'g'."));
    kit__says(inside, SET(1, "v"));
    assert_read(inside, NACK(1, "Forbidden",
                             "The client does not have permission to set a state in group 'g'."));
    kit__says(inside, UNSUBSCRIBE(2));
    assert_read(inside, ACK(2));
}

static void a_state_has_512_bytes_at_most(void **state)
{
    struct shards *s = *state;
    struct transport *a = member(&s->here, "a", NULL);
    char text[700];

    for (int size = 511; size <= 513; size++) {
        snprintf(text, sizeof(text),
                 "{\"type\":\"setGroupState\",\"group\":\"g\",\"ackId\":%d,\"state\":{\"key\":"
                 "\"\xc3\xa4%0*d\"}}",
                 size, size - 5, 0);
        kit__says(a, text);
    }
    assert_read(a, ACK(511) ACK(512)
                       NACK(513, "BadRequest", "State payload exceeds maximum size 512 bytes."));
}

/* --- Ends of a state ---------------------------------------------------------------- */

static void leaving_ends_a_state(void **state)
{
    struct shards *s = *state;
    struct transport *a = kit__connect(
        &s->here,
        &(struct client){
            .id = "a", .role = SET_ANY, .role2 = "webpubsub.joinLeaveGroup", .group = "g"});
    struct transport *b = member(&s->here, "b", NULL), *w = watcher(&s->there, "w");
    const struct str g = STR("g");

    kit__says(a, SET(1, "v"));
    kit__says(b, SET(1, "v"));
    kit__read(w);
    kit__says(a, "{\"type\":\"leaveGroup\",\"group\":\"g\",\"ackId\":2}");
    assert_read(a, ACK(1) ACK(2));
    assert_read(w, UPDATE(GONE("a", 101)));
    kit__apply(&s->here, (struct hub_command){.op = HUB_LEAVE,
                                              .scope = SCOPE_CONNECTION,
                                              .name = STR("b"),
                                              .groups = &g,
                                              .group_count = 1});
    assert_read(w, UPDATE(GONE("b", 101)));
    kit__says(a, SET(3, "v"));
    assert_read(a, NACK(3, "Forbidden", "Not a member of group."));
}

static void a_connection_that_ends_takes_its_states_along(void **state)
{
    struct shards *s = *state;
    struct transport *a = member(&s->here, "a", NULL), *w = watcher(&s->there, "w");

    kit__says(a, SUBSCRIBE(1));
    kit__says(a, SET(2, "v"));
    kit__read(w);
    disconnect(a);
    assert_read(w, UPDATE(GONE("a", 101)));
    kit__says(w, SUBSCRIBE(2));
    assert_read(w, ACK(2) SNAPSHOT(""));
    disconnect(w);
    assert_int_equal(hubs(&s->here), 0);
    assert_int_equal(hubs(&s->there), 0);
}

/* A shard without connections of the hub keeps its states for those to come. */
static void a_shard_learns_of_states_before_it_has_clients(void **state)
{
    struct shards *s = *state;
    struct transport *a = member(&s->here, "a", NULL), *w;

    kit__says(a, SET(1, "v"));
    assert_int_equal(hubs(&s->there), 1);
    w = kit__connect(&s->there, &(struct client){.id = "w", .role = GET_ANY});
    disconnect(w);
    w = kit__connect(&s->there, &(struct client){.id = "w", .role = GET_ANY});
    kit__says(w, SUBSCRIBE(1));
    assert_read(w, ACK(1) SNAPSHOT(ITEM("a", "v", 100)));
    disconnect(w);
    assert_int_equal(hubs(&s->there), 1);
    disconnect(a);
    assert_int_equal(hubs(&s->there), 0);
}

/* --- Subscriptions -------------------------------------------------------------------- */

static void who_unsubscribes_hears_no_more(void **state)
{
    struct shards *s = *state;
    struct transport *a = member(&s->here, "a", NULL), *w = watcher(&s->here, "w");

    kit__says(w, UNSUBSCRIBE(2));
    kit__says(w, UNSUBSCRIBE(3));
    assert_read(w, ACK(2) ACK(3));
    kit__says(a, SET(1, "v"));
    assert_read(w, "");
}

static void subscribing_again_gives_another_snapshot_but_single_updates(void **state)
{
    struct shards *s = *state;
    struct transport *a = member(&s->here, "a", NULL), *w = watcher(&s->here, "w");

    kit__says(w, SUBSCRIBE(2));
    kit__says(a, SET(1, "v"));
    assert_read(w, ACK(2) SNAPSHOT("") UPDATE(ITEM("a", "v", 100)));
    kit__says(w, "{\"type\":\"subscribeGroupState\",\"group\":\"g\"}");
    assert_read(w, SNAPSHOT(ITEM("a", "v", 100)));
}

static void a_reliable_subscriber_gets_numbers_and_keeps_everything_in_a_recovery(void **state)
{
    struct shards *s = *state;
    struct transport *a = member(&s->here, "a", NULL);
    struct transport *w = member(&s->there, "w", &format_json_reliable);
    struct session *session = w->session;

    kit__says(w, SUBSCRIBE(1));
    kit__says(w, SET(2, "mine"));
    assert_read(w,
                ACK(1) "{\"type\":\"groupStateSnapshot\",\"group\":\"g\",\"items\":[],"
                       "\"sequenceId\":1}\n" ACK(2) "{\"type\":\"groupStateUpdate\",\"group\":"
                                                    "\"g\",\"items\":[" ITEM(
                                                        "w", "mine", 100) "],\"sequenceId\":2}\n");
    kit__says(w, "{\"type\":\"sequenceAck\",\"sequenceId\":2}");
    disconnect(w);
    kit__says(a, SET(1, "v"));
    w = kit__reattach(&s->there, session, "token");
    assert_non_null(
        strstr(kit__read(w), "{\"type\":\"groupStateUpdate\",\"group\":\"g\",\"items\":[" ITEM(
                                 "a", "v", 100) "],\"sequenceId\":3}\n"));
    kit__says(a, SUBSCRIBE(2));
    assert_read(a, ACK(1) ACK(2) SNAPSHOT(ITEM("a", "v", 100) "," ITEM("w", "mine", 100)));
}

static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;

    while ((text = strstr(text, what))) {
        n++;
        text++;
    }
    return n;
}

static void set_state(struct session *s)
{
    const struct command cmd = {
        .kind = COMMAND_SET_GROUP_STATE, .group = STR("g"), .has_state = true};

    assert_true(session__command(s, &cmd));
}

/* So many clients with a state: c999, c998, ... */
static void fill(struct kit *kit, int clients)
{
    const struct str g = STR("g"), role = STR(SET_ANY);
    char id[16];

    for (int i = 0; i < clients; i++) {
        struct session_config config = {.hub = STR("h"),
                                        .format = &format_json,
                                        .roles = &role,
                                        .role_count = 1,
                                        .groups = &g,
                                        .group_count = 1};

        snprintf(id, sizeof(id), "c%03d", 999 - i);
        config.connection_id = str__of(id);
        set_state(session__new(kit->core, &config));
    }
}

static struct session *find(struct kit *kit, const char *id)
{
    return core__find(kit->core, STR("h"), str__of(id));
}

/* Each frame has its states by connection id. */
static void a_large_snapshot_goes_on_in_updates(void **state)
{
    struct shards *s = *state;
    struct transport *w = kit__connect(&s->there, &(struct client){.id = "w", .role = GET_ANY});
    const char *text;

    fill(&s->here, 2 * GROUP_STATE_FRAME_ITEMS + 1);
    kit__says(w, SUBSCRIBE(1));
    text = kit__read(w);
    assert_int_equal(count(text, "groupStateSnapshot"), 1);
    assert_int_equal(count(text, "groupStateUpdate"), 2);
    assert_int_equal(count(text, "connectionId"), 2 * GROUP_STATE_FRAME_ITEMS + 1);
    assert_non_null(strstr(text,
                           "groupStateSnapshot\",\"group\":\"g\",\"items\":[{\"connectionId\":"
                           "\"c800\""));
    assert_non_null(strstr(text, "groupStateUpdate\",\"group\":\"g\",\"items\":[{\"connectionId\":"
                                 "\"c600\""));
    assert_non_null(strstr(text, "groupStateUpdate\",\"group\":\"g\",\"items\":[{\"connectionId\":"
                                 "\"c599\""));
}

static unsigned encoded;

static struct frame *encode_and_count(bool snapshot, struct str group,
                                      const struct group_state_item *items, size_t n)
{
    encoded++;
    return format_json.group_state(snapshot, group, items, n);
}

/* Subscribes once more; returns how many frames had to be encoded for that. */
static unsigned encodes(struct transport *w, int states)
{
    const char *text;

    encoded = 0;
    kit__read(w);
    kit__says(w, "{\"type\":\"subscribeGroupState\",\"group\":\"g\"}");
    text = kit__read(w);
    assert_int_equal(count(text, "groupStateSnapshot"), 1);
    assert_int_equal(count(text, "connectionId"), states);
    for (int i = 0; i < 3 * GROUP_STATE_FRAME_ITEMS; i++) {
        char id[32];

        snprintf(id, sizeof(id), "\"c%03d\"", 999 - i);
        assert_true(count(text, id) <= 1);
    }
    return encoded;
}

static void what_has_not_changed_is_not_encoded_again(void **state)
{
    struct shards *s = *state;
    const int n = 2 * GROUP_STATE_FRAME_ITEMS + 1;
    struct format format = format_json;
    struct transport *w;

    format.group_state = encode_and_count;
    fill(&s->here, n);
    w = kit__connect(&s->there, &(struct client){.id = "w", .role = GET_ANY, .format = &format});
    assert_int_equal(encodes(w, n), 3);
    assert_int_equal(encodes(w, n), 0);
    set_state(find(&s->here, "c700"));
    assert_int_equal(encodes(w, n), 1);
    session__detach(find(&s->here, "c900"), 0, STR_NONE); /* c599 takes its place */
    assert_int_equal(encodes(w, n - 1), 1);
    session__detach(find(&s->here, "c650"), 0, STR_NONE); /* c600 does */
    assert_int_equal(encodes(w, n - 2), 1);
    session__detach(find(&s->here, "c999"), 0, STR_NONE); /* both pages */
    assert_int_equal(encodes(w, n - 3), 2);
}

/* --- Limits ------------------------------------------------------------------------------ */

static void groups_of_a_connection_are_limited(void **state)
{
    struct shards *s = *state;
    struct transport *a = member(&s->here, "a", NULL);

    kit__says(a, SET(1, "v"));
    kit__says(a, SUBSCRIBE(2)); /* the same group counts once */
    kit__says(a, "{\"type\":\"subscribeGroupState\",\"group\":\"2\",\"ackId\":3}");
    kit__read(a);
    kit__says(a, "{\"type\":\"subscribeGroupState\",\"group\":\"3\",\"ackId\":4}");
    assert_read(
        a, NACK(4, "BadRequest", "The connection has states or subscriptions in too many groups."));
    kit__says(a, "{\"type\":\"unsubscribeGroupState\",\"group\":\"2\",\"ackId\":5}");
    kit__says(a, "{\"type\":\"subscribeGroupState\",\"group\":\"3\",\"ackId\":6}");
    assert_non_null(strstr(kit__read(a), ACK(5) ACK(6)));
}

static void states_of_a_group_are_limited(void **state)
{
    struct shards *s = *state;
    struct transport *a = member(&s->here, "a", NULL), *b = member(&s->there, "b", NULL);
    struct transport *c = member(&s->here, "c", NULL);

    kit__says(a, SET(1, "v"));
    kit__says(b, SET(1, "v"));
    kit__says(c, SET(1, "v"));
    assert_read(c, NACK(1, "BadRequest", "Too many connections have a state in this group."));
    kit__says(a, SET(2, "w"));
    assert_read(a, ACK(1) ACK(2));
    disconnect(b);
    kit__says(c, SET(1, "v"));
    assert_read(c, ACK(1));
}

/* The last state of the only group goes, and the only client of the shard is ended by what it
 * is told of that: with it goes the hub. */
static void the_last_one_told_may_be_lost_with_the_hub(void **state)
{
    struct shards *s = *state;
    struct transport *a = member(&s->here, "a", NULL), *w = watcher(&s->there, "w");

    kit__says(a, SET(1, "x"));
    kit__read(w);
    w->stuck = true;
    kit__says(a, SET(2, "y"));
    disconnect(a);
    assert_string_equal(w->closed, "1008 The outbound message queue is full.");
    assert_int_equal(hubs(&s->there), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
#define TEST_SMALL(fn) cmocka_unit_test_setup_teardown(fn, set_up_small, tear_down)
#define TEST_IMPATIENT(fn) cmocka_unit_test_setup_teardown(fn, set_up_impatient, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_state_is_acknowledged_then_told_to_all_subscribers),
        TEST(the_snapshot_has_all_states_by_connection_id),
        TEST(clearing_is_told_without_a_state),
        TEST(times_of_a_connection_only_grow),
        TEST(a_state_needs_membership_and_role),
        TEST(a_state_has_512_bytes_at_most),
        TEST(leaving_ends_a_state),
        TEST(a_connection_that_ends_takes_its_states_along),
        TEST(a_shard_learns_of_states_before_it_has_clients),
        TEST(who_unsubscribes_hears_no_more),
        TEST(subscribing_again_gives_another_snapshot_but_single_updates),
        TEST(a_reliable_subscriber_gets_numbers_and_keeps_everything_in_a_recovery),
        TEST(a_large_snapshot_goes_on_in_updates),
        TEST(what_has_not_changed_is_not_encoded_again),
        TEST_SMALL(groups_of_a_connection_are_limited),
        TEST_SMALL(states_of_a_group_are_limited),
        TEST_IMPATIENT(the_last_one_told_may_be_lost_with_the_hub),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
