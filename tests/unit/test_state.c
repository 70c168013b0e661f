/* Connection state as base64 JSON (pubhook/state.h). */
#include "pubhook/state.h"

#include "base/base64.h"
#include "event/event.h"
#include "unit.h"

/* State of an event whose ce-connectionState is base64 of `json`. */
static struct ph_state *from_json(const char *json)
{
    struct ph_event ev = {.kind = PH_EVENT_USER};
    struct ph_state *state;
    struct buf text;

    buf__init(&text, 4096);
    base64__encode(&text, json, strlen(json));
    ev.state = buf__view(&text);
    state = ph_state_from_event(&ev);
    assert_non_null(state);
    buf__free(&text);
    return state;
}

static void expect_json(const struct ph_state *state, const char *want)
{
    struct ph_reply *reply = ph_reply_ok();
    struct str json;
    struct arena a;

    arena__init(&a, NULL, 0, 1 << 20);
    ph_reply_set_state_from(reply, state);
    assert_null(reply->failed);
    json = base64__decode(&a, reply->state);
    assert_str(json, want);
    arena__free(&a);
    ph_reply_free(reply);
}

static void members_of_all_types_are_read(void **state)
{
    struct ph_state *s = from_json(
        "{\"name\":\"J\\u00fcrgen\",\"n\":42,\"min\":-9223372036854775808,\"f\":1.5,"
        "\"list\":[1, 2],\"nothing\":null,\"yes\":true,\"digits\":\"12\",\"empty\":\"\"}");

    (void)state;
    assert_string_equal(ph_state_get(s, "name"), "J\xc3\xbcrgen");
    assert_string_equal(ph_state_get(s, "n"), "42");
    assert_string_equal(ph_state_get(s, "list"), "[1, 2]");
    assert_string_equal(ph_state_get(s, "nothing"), "null");
    assert_string_equal(ph_state_get(s, "empty"), "");
    assert_null(ph_state_get(s, "absent"));
    assert_int_equal(ph_state_get_int(s, "n", 7), 42);
    assert_true(ph_state_get_int(s, "min", 7) == INT64_MIN);
    assert_int_equal(ph_state_get_int(s, "f", 7), 7);
    assert_int_equal(ph_state_get_int(s, "digits", 7), 7);
    assert_int_equal(ph_state_get_int(s, "yes", 7), 7);
    assert_int_equal(ph_state_get_int(s, "absent", 7), 7);
    ph_state_free(s);
}

static void integers_are_read_to_their_limits_only(void **state)
{
    struct ph_state *s = from_json("{\"max\":9223372036854775807,\"over\":9223372036854775808,"
                                   "\"under\":-9223372036854775809,\"exp\":1e3}");

    (void)state;
    assert_true(ph_state_get_int(s, "max", 7) == INT64_MAX);
    assert_int_equal(ph_state_get_int(s, "over", 7), 7);
    assert_int_equal(ph_state_get_int(s, "under", 7), 7);
    assert_int_equal(ph_state_get_int(s, "exp", 7), 7);
    ph_state_free(s);
}

static void other_forms_read_as_empty(void **state)
{
    static const char *const texts[] = {"", "hello", "bnVsbA==", "W10=", "e30", "e30=e30="};

    (void)state;
    for (size_t i = 0; i <= sizeof(texts) / sizeof(*texts); i++) {
        struct ph_event ev = {.kind = PH_EVENT_USER};
        struct ph_state *s;

        if (i < sizeof(texts) / sizeof(*texts))
            ev.state = str__of(texts[i]);
        s = ph_state_from_event(&ev);
        assert_null(ph_state_get(s, "a"));
        expect_json(s, "{}");
        ph_state_free(s);
    }
}

static void changes_keep_the_rest_and_the_order(void **state)
{
    struct ph_state *s = from_json("{\"a\":{\"deep\":[1]},\"b\":\"x\",\"c\":1}");

    (void)state;
    assert_int_equal(ph_state_set_int(s, "c", -5), PH_OK);
    assert_int_equal(ph_state_set(s, "d", "qu\"ote"), PH_OK);
    assert_int_equal(ph_state_set(s, "b", NULL), PH_OK);
    assert_int_equal(ph_state_set(s, "unknown", NULL), PH_OK);
    expect_json(s, "{\"a\":{\"deep\":[1]},\"c\":-5,\"d\":\"qu\\\"ote\"}");
    ph_state_clear(s);
    expect_json(s, "{}");
    assert_int_equal(ph_state_set_int(s, "n", 1), PH_OK);
    expect_json(s, "{\"n\":1}");
    ph_state_free(s);
}

static void wrong_use_is_refused(void **state)
{
    struct ph_state *s = from_json("{}");
    struct ph_reply *reply = ph_reply_ok();

    (void)state;
    assert_int_equal(ph_state_set(s, "a", "\xff"), PH_ERR_ARGUMENT);
    assert_int_equal(ph_state_set(s, "\xff", "a"), PH_ERR_ARGUMENT);
    assert_int_equal(ph_state_set(s, NULL, "a"), PH_ERR_ARGUMENT);
    assert_int_equal(ph_state_set_int(s, NULL, 1), PH_ERR_ARGUMENT);
    expect_json(s, "{}");
    ph_state_free(s);
    /* Memory was out when the state should have been made: the reply must not succeed. */
    assert_null(ph_state_get(NULL, "a"));
    assert_int_equal(ph_state_set(NULL, "a", "b"), PH_ERR_MEMORY);
    ph_state_clear(NULL);
    ph_state_free(NULL);
    ph_reply_set_state_from(NULL, NULL);
    ph_reply_set_state_from(reply, NULL);
    assert_non_null(reply->failed);
    ph_reply_free(reply);
}

static void state_that_is_too_large_fails_the_reply(void **state)
{
    enum { LIMIT = 256 << 10 };
    static char value[LIMIT + 1];
    const size_t frame = strlen("{\"k\":\"\"}");

    (void)state;
    for (size_t len = LIMIT - 1; len <= LIMIT + 1; len++) {
        struct ph_state *s = from_json("{}");
        struct ph_reply *reply = ph_reply_ok();

        memset(value, 'x', len - frame);
        value[len - frame] = '\0';
        assert_int_equal(ph_state_set(s, "k", value), PH_OK);
        ph_reply_set_state_from(reply, s);
        assert_int_equal(reply->failed == NULL, len <= LIMIT);
        ph_reply_free(reply);
        ph_state_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_of_all_types_are_read),
        cmocka_unit_test(integers_are_read_to_their_limits_only),
        cmocka_unit_test(other_forms_read_as_empty),
        cmocka_unit_test(changes_keep_the_rest_and_the_order),
        cmocka_unit_test(wrong_use_is_refused),
        cmocka_unit_test(state_that_is_too_large_fails_the_reply),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
