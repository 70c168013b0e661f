/* The limits of client-and-rest section 6: their settings, and what the core makes of
 * them. Each is tested at work by the module that keeps it. */
#include "broker/config/settings.h"
#include "broker/core/ack_ids.h"
#include "broker/net/broker.h"
#include "core_kit.h"
#include "unit.h"

#include <stdio.h>

static uint32_t value_of(const struct limits *limits, const struct limit_row *row)
{
    uint32_t value;

    memcpy(&value, (const char *)limits + row->offset, sizeof(value));
    return value;
}

static enum ph_err parse(struct settings *s, const struct limit_row *row, long long value,
                         struct diag *diag)
{
    char text[256];

    snprintf(text, sizeof(text), "{\n\"limits\": {\n\"%.*s\": %lld}}", STR_FMT(row->name), value);
    assert_true(settings__init(s));
    return settings__parse_file(s, "file", str__of(text), diag);
}

static void each_has_a_range(void **state)
{
    const struct limit_row *rows;
    size_t count;

    (void)state;
    rows = limits__rows(&count);
    for (size_t i = 0; i < count; i++) {
        const long long values[] = {rows[i].least, rows[i].most};
        struct settings s;

        for (size_t j = 0; j < 2; j++) {
            assert_int_equal(parse(&s, &rows[i], values[j], NULL), PH_OK);
            assert_int_equal(value_of(&s.limits, &rows[i]), values[j]);
            settings__free(&s);
        }
    }
}

static void outside_of_it_they_are_refused(void **state)
{
    const struct limit_row *rows;
    size_t count;

    (void)state;
    rows = limits__rows(&count);
    for (size_t i = 0; i < count; i++) {
        const long long values[] = {(long long)rows[i].least - 1, (long long)rows[i].most + 1,
                                    1ll << 32};

        for (size_t j = 0; j < 3; j++) {
            struct diag diag = {""};
            struct settings s;
            char want[256];

            snprintf(want, sizeof(want),
                     "file:3: %.*s must be a whole number from %u to %u, got %lld",
                     STR_FMT(rows[i].name), rows[i].least, rows[i].most, values[j]);
            assert_int_equal(parse(&s, &rows[i], values[j], &diag), PH_ERR_CONFIG);
            assert_string_equal(diag.text, want);
            settings__free(&s);
        }
    }
}

static void unknown_ones_are_refused(void **state)
{
    struct diag diag = {""};
    struct settings s;

    (void)state;
    assert_true(settings__init(&s));
    assert_int_equal(
        settings__parse_file(&s, "file", STR("{\"limits\": {\n\"messages\": 1}}"), &diag),
        PH_ERR_CONFIG);
    assert_non_null(strstr(diag.text, "file:2: unknown key \"messages\" in limits"));
    assert_non_null(strstr(diag.text, "messageBytes"));
    settings__free(&s);
}

/* The defaults are written down twice: for operators, and for the core by itself. */
static void the_defaults_are_those_of_the_service(void **state)
{
    const struct broker_limits want = BROKER_LIMITS_DEFAULT;
    struct broker_limits got;
    struct settings s;

    (void)state;
    assert_true(settings__init(&s));
    got = broker__limits(&s.limits);
    assert_memory_equal(&got.core, &want.core, sizeof(want.core));
    assert_int_equal(got.message_bytes, want.message_bytes);
    assert_int_equal(got.frames_per_second, 0);
    assert_int_equal(s.limits.rest_body_bytes, 1 << 20);
    settings__free(&s);
}

#define JOIN(group) "{\"type\":\"joinGroup\",\"group\":\"" group "\",\"ackId\":1}"
#define TOO_LONG                                                                                   \
    "{\"type\":\"ack\",\"ackId\":1,\"success\":false,\"error\":{\"name\":\"BadRequest\","          \
    "\"message\":\"The name of a group has at most 3 characters.\"}}\n"

static void a_longer_group_name_is_a_bad_request(void **state)
{
    struct core_limits limits = CORE_LIMITS_DEFAULT;
    struct transport *t;
    struct kit kit;

    (void)state;
    limits.group_characters = 3;
    kit__init(&kit, &limits);
    t = kit__connect(&kit, &(struct client){.id = "a", .role = "webpubsub.joinLeaveGroup"});
    kit__says(t, JOIN("abcd"));
    assert_read(t, TOO_LONG);
    kit__says(t, JOIN("\xc3\xa4\xc3\xb6\xc3\xbc")); /* characters, not bytes */
    assert_read(t, "{\"type\":\"ack\",\"ackId\":1,\"success\":true}\n");
    assert_non_null(strstr(kit.log.data, "limits.groupNameCharacters"));
    kit__free(&kit);
}

#define TOO_MANY                                                                                   \
    "{\"type\":\"ack\",\"ackId\":1,\"success\":false,\"error\":{\"name\":\"BadRequest\","          \
    "\"message\":\"A connection is in at most 2 groups (limits.groupsPerConnection).\"}}\n"

static void a_connection_is_in_so_many_groups(void **state)
{
    const struct str groups[] = {STR("a"), STR("b"), STR("c")};
    struct hub_command join = {.op = HUB_JOIN, .scope = SCOPE_HUB, .groups = groups};
    struct core_limits limits = CORE_LIMITS_DEFAULT;
    struct transport *t, *other;
    struct kit kit;

    (void)state;
    limits.groups = 2;
    kit__init(&kit, &limits);
    t = kit__connect(&kit,
                     &(struct client){.id = "1", .role = "webpubsub.joinLeaveGroup", .group = "a"});
    other = kit__connect(&kit, &(struct client){.id = "2"});
    kit__says(t, "{\"type\":\"joinGroup\",\"group\":\"x\"}");
    kit__says(t, JOIN("b"));
    assert_read(t, TOO_MANY);
    kit__says(t, JOIN("x")); /* is a member */
    assert_read(t, "{\"type\":\"ack\",\"ackId\":1,\"success\":true}\n");

    join.group_count = 2;
    assert_true(kit__apply(&kit, join).conflict); /* of the first; the other has room */
    assert_int_equal(kit__send(&kit, SCOPE_GROUP, "b", "m"), 1);
    assert_int_equal(kit__send(&kit, SCOPE_GROUP, "a", "m"), 2);
    assert_non_null(strstr(kit.log.data, "limits.groupsPerConnection allows more"));
    (void)other;
    kit__free(&kit);
}

static void other_limits_hold_from_now_on(void **state)
{
    struct core_limits limits = CORE_LIMITS_DEFAULT;
    struct transport *a, *b;
    struct session *s;
    struct kit kit;

    (void)state;
    kit__init(&kit, NULL);
    a = kit__connect(&kit, &(struct client){.id = "a", .format = &format_json_reliable});
    b = kit__connect(&kit, &(struct client){.id = "b", .format = &format_json_reliable});
    session__detach(a->session, 0, STR("gone"));
    assert_int_equal(core__tick(kit.core, 0), 30000);
    limits.recovery_ms = 1000;
    core__set_limits(kit.core, &limits);
    session__detach(b->session, 0, STR("gone"));
    s = b->session;
    assert_int_equal(core__tick(kit.core, 0), 1000); /* the later one is over first */
    assert_int_equal(core__tick(kit.core, 1000), 30000);
    assert_effects(&kit, "ended b: The connection recovery timeout expired.\n");
    assert_ptr_not_equal(s, a->session);
    kit__free(&kit);
}

static const struct {
    const char *id;
    int64_t recovery_ms, at_ms, until_ms;
} lost[] = {{"a", 30000, 0, 30000},    {"b", 30000, 5000, 35000}, {"c", 1000, 5000, 6000},
            {"d", 1000, 29500, 30500}, {"e", 9000, 29500, 38500}, {"f", 500, 29600, 30100},
            {"g", 500, 29700, 30200},  {"h", 9000, 29700, 38700}};
#define LOST (sizeof(lost) / sizeof(*lost))

/* Each client waits for as long as the limit said when it was lost, and the next to expire is
 * always known, however often the limit changes. */
static void each_waits_by_the_limit_of_its_time(void **state)
{
    struct core_limits limits = CORE_LIMITS_DEFAULT;
    int64_t now = 29700;
    size_t left = LOST;
    struct kit kit;

    (void)state;
    kit__init(&kit, NULL);
    for (size_t i = 0; i < LOST; i++) {
        struct transport *t =
            kit__connect(&kit, &(struct client){.id = lost[i].id, .format = &format_json_reliable});

        limits.recovery_ms = lost[i].recovery_ms;
        core__set_limits(kit.core, &limits);
        session__detach(t->session, lost[i].at_ms, STR("gone"));
    }
    while (now != INT64_MAX) {
        size_t waiting = 0;
        int64_t next = INT64_MAX;

        for (size_t i = 0; i < LOST; i++) {
            bool waits = lost[i].until_ms > now;

            waiting += waits;
            next = waits && lost[i].until_ms < next ? lost[i].until_ms : next;
        }
        assert_int_equal(core__tick(kit.core, now), next);
        assert_int_equal(core__session_count(kit.core), waiting);
        assert_true(waiting < left);
        left = waiting;
        now = next;
    }
    kit__free(&kit);
}

/* Clients count, but none has to. */
static void ack_ids_come_in_any_order(void **state)
{
    static const uint64_t ids[] = {7, 3, 0, 1ull << 40, 5, 65536, 4, UINT64_MAX, 6, 2, 9, 8};
    const size_t count = sizeof(ids) / sizeof(*ids);
    struct ack_ids *set = NULL;

    (void)state;
    assert_false(ack_ids__has(set, 0));
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++)
            assert_int_equal(ack_ids__has(set, ids[j]), j < i);
        assert_true(ack_ids__add(&set, ids[i], 100));
    }
    assert_true(ack_ids__add(&set, 1, 2)); /* the highest is forgotten, and may come again */
    assert_false(ack_ids__has(set, UINT64_MAX));
    assert_true(ack_ids__add(&set, UINT64_MAX, 2));
    assert_true(ack_ids__has(set, UINT64_MAX));
    ack_ids__free(set);
}

static void fewer_ack_ids_are_remembered(void **state)
{
    struct ack_ids *set = NULL;

    (void)state;
    for (uint64_t id = 0; id < 100; id++)
        assert_true(ack_ids__add(&set, id, 100));
    assert_true(ack_ids__add(&set, 100, 10));
    assert_false(ack_ids__has(set, 90));
    assert_true(ack_ids__has(set, 91));
    ack_ids__free(set);
}

/* A set that only remembers, oldest first. */
struct known {
    uint64_t ids[64];
    size_t count;
};

static bool knows(const struct known *k, uint64_t id)
{
    for (size_t i = 0; i < k->count; i++) {
        if (k->ids[i] == id)
            return true;
    }
    return false;
}

static void learn(struct known *k, uint64_t id, size_t limit)
{
    if (knows(k, id))
        return;
    while (k->count >= limit)
        memmove(k->ids, k->ids + 1, --k->count * sizeof(*k->ids));
    k->ids[k->count++] = id;
}

/* Clients that count, go back, repeat themselves and jump, under limits that change. */
static void ack_ids_are_those_that_came_last(void **state)
{
    static const int64_t steps[] = {1, 1, 1, 1, -1, 0, 2, -3, 17, -9};
    static const uint64_t starts[] = {20, UINT64_MAX - 20, 1ull << 32};
    uint32_t random = 1;

    (void)state;
    for (size_t start = 0; start < sizeof(starts) / sizeof(*starts); start++) {
        struct ack_ids *set = NULL;
        struct known known = {.count = 0};
        uint64_t id = starts[start];

        for (int i = 0; i < 3000; i++) {
            size_t limit = i % 700 < 600 ? 60 : 10;

            random = random * 1664525 + 1013904223;
            id += (uint64_t)steps[(random >> 16) % (sizeof(steps) / sizeof(*steps))];
            if (i % 100 == 99)
                id = starts[start] + (random >> 16) % 40;
            assert_true(ack_ids__add(&set, id, limit));
            learn(&known, id, limit);
            for (uint64_t other = id - 70; other != id + 70; other++)
                assert_int_equal(ack_ids__has(set, other), knows(&known, other));
        }
        ack_ids__free(set);
    }
}

/* As many as there may be, in runs of one, and then fewer. */
static void every_other_ack_id(void **state)
{
    const uint64_t most = 32768, step = 2, sent = most + 5000;
    struct ack_ids *set = NULL;

    (void)state;
    for (uint64_t i = 0; i < sent; i++)
        assert_true(ack_ids__add(&set, i * step, most));
    for (uint64_t i = 0; i < sent; i++) {
        assert_int_equal(ack_ids__has(set, i * step), i >= sent - most);
        assert_false(ack_ids__has(set, i * step + 1));
    }
    assert_true(ack_ids__add(&set, 1, 1000));
    for (uint64_t i = 0; i < sent; i++)
        assert_int_equal(ack_ids__has(set, i * step), i >= sent - 999);
    assert_true(ack_ids__has(set, 1));
    ack_ids__free(set);
}

/* Of clients that count, as most do. */
static void ack_ids_in_a_row_need_no_more_memory(void **state)
{
    struct ack_ids *set = NULL, *first;

    (void)state;
    assert_true(ack_ids__add(&set, 1, 32768));
    first = set;
    for (uint64_t id = 2; id < 50000; id++)
        assert_true(ack_ids__add(&set, id, 32768));
    assert_ptr_equal(set, first);
    ack_ids__free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_a_range),
        cmocka_unit_test(outside_of_it_they_are_refused),
        cmocka_unit_test(unknown_ones_are_refused),
        cmocka_unit_test(the_defaults_are_those_of_the_service),
        cmocka_unit_test(a_longer_group_name_is_a_bad_request),
        cmocka_unit_test(a_connection_is_in_so_many_groups),
        cmocka_unit_test(other_limits_hold_from_now_on),
        cmocka_unit_test(each_waits_by_the_limit_of_its_time),
        cmocka_unit_test(ack_ids_come_in_any_order),
        cmocka_unit_test(fewer_ack_ids_are_remembered),
        cmocka_unit_test(ack_ids_are_those_that_came_last),
        cmocka_unit_test(every_other_ack_id),
        cmocka_unit_test(ack_ids_in_a_row_need_no_more_memory),
    };

    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
