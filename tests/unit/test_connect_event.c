#include "broker/net/connect_event.h"
#include "unit.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena__init(&arena, NULL, 0, 1u << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena__free(&arena);
    return 0;
}

static const struct event_field *find(const struct event_fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (str__eq(fields->items[i].name, str__of(name)))
            return &fields->items[i];
    }
    fail_msg("no field %s", name);
    return NULL;
}

static void make(const struct handshake *h, const struct http_headers *headers,
                 struct ph_event *out)
{
    assert_true(connect_event__make(&arena, h, headers, STR("id1"), out));
}

static void test_claims(void **state)
{
    static const char text[] = "{\"sub\":\"ann\",\"role\":[\"a\",\"b\"],\"exp\":1700000000,"
                               "\"flag\":true,\"deep\":{\"x\":1},\"Sub\":\"Ann\",\"none\":[]}";
    const struct json_limits limits = JSON_LIMITS_DEFAULT;
    struct http_headers headers = {0};
    struct handshake h = {.hub = STR("chat")};
    struct ph_event event;
    struct json *claims;

    (void)state;
    assert_int_equal(json__parse(&arena, str__of(text), &limits, &claims, NULL), PH_OK);
    h.claims = claims;
    make(&h, &headers, &event);
    assert_str(event.connection_id, "id1");
    assert_str(find(&event.claims, "sub")->values[0], "ann");
    assert_str(find(&event.claims, "Sub")->values[0], "Ann");
    assert_int_equal(find(&event.claims, "role")->count, 2);
    assert_str(find(&event.claims, "role")->values[1], "b");
    assert_str(find(&event.claims, "exp")->values[0], "1700000000");
    assert_str(find(&event.claims, "flag")->values[0], "true");
    assert_str(find(&event.claims, "deep")->values[0], "{\"x\":1}");
}

/* All of what fits into a token, in memory for little more. */
static void test_long_lists(void **state)
{
    struct json items[3000] = {{0}}, claim = {.type = JSON_ARRAY, .key = STR("role")};
    struct json claims = {.type = JSON_OBJECT, .child = &claim, .count = 1};
    struct url_param params[3000];
    struct handshake h = {.hub = STR("chat"), .claims = &claims, .query = {params, 3000}};
    struct http_headers headers = {0};
    struct ph_event event;

    (void)state;
    for (size_t i = 0; i < 3000; i++) {
        items[i] = (struct json){.type = JSON_STRING, .string = STR("x"), .next = &items[i + 1]};
        params[i] = (struct url_param){STR("q"), STR("y")};
    }
    items[2999].next = NULL;
    items[2999].string = STR("last");
    claim.child = items;
    claim.count = 3000;
    make(&h, &headers, &event);
    assert_int_equal(find(&event.claims, "role")->count, 3000);
    assert_str(find(&event.claims, "role")->values[0], "x");
    assert_str(find(&event.claims, "role")->values[2999], "last");
    assert_int_equal(find(&event.query, "q")->count, 3000);
}

static void test_anonymous(void **state)
{
    struct http_headers headers = {0};
    struct handshake h = {.hub = STR("chat")};
    struct ph_event event;

    (void)state;
    make(&h, &headers, &event);
    assert_int_equal(event.claims.count, 0);
    assert_int_equal(event.query.count, 0);
    assert_null(event.user_id.ptr);
}

/* Repeated names are one field, and the client's token and what only the service
 * itself may say stay here. */
static void test_headers_and_query(void **state)
{
    struct url_param params[] = {{STR("a"), STR("1")}, {STR("A"), STR("3")}, {STR("a"), STR("2")}};
    struct handshake h = {.hub = STR("chat"), .query = {params, 3}};
    struct http_headers headers = {0};
    struct ph_event event;

    (void)state;
    http__add(&arena, &headers, STR("X-One"), STR("1"));
    http__add(&arena, &headers, STR("authorization"), STR("Bearer secret"));
    http__add(&arena, &headers, STR("x-asrs-Internal-User"), STR("root"));
    http__add(&arena, &headers, STR("x-one"), STR("2"));
    make(&h, &headers, &event);
    assert_int_equal(event.headers.count, 1);
    assert_int_equal(find(&event.headers, "X-One")->count, 2);
    assert_str(find(&event.headers, "X-One")->values[1], "2");
    assert_int_equal(find(&event.query, "a")->count, 2);
    assert_int_equal(find(&event.query, "A")->count, 1);
}

/* event-handler section 3.8: the token of the query is shown, or not. */
static void test_shown_token(void **state)
{
    struct url_param params[] = {{STR("a"), STR("1")}};
    struct http_headers headers = {0};
    struct handshake h = {.hub = STR("chat"), .query = {params, 1}};
    struct ph_event event;

    (void)state;
    make(&h, &headers, &event);
    assert_int_equal(event.query.count, 1);
    h.shown_token = STR("secret");
    make(&h, &headers, &event);
    assert_int_equal(event.query.count, 2);
    assert_str(find(&event.query, "access_token")->values[0], "secret");
    assert_str(find(&event.query, "a")->values[0], "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_claims, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_anonymous, setup, teardown),
        cmocka_unit_test_setup_teardown(test_headers_and_query, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shown_token, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
