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
    assert_int_equal(ph_state_get_int(s, "exp", 7), 1000);
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
    enum { LIMIT = PH_STATE_MAX / 4 * 3 };
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

static void opaque_state_has_the_same_limit(void **state)
{
    char text[PH_STATE_MAX + 2];

    (void)state;
    memset(text, 'x', sizeof(text));
    for (size_t len = PH_STATE_MAX - 1; len <= PH_STATE_MAX + 1; len++) {
        struct ph_reply *reply = ph_reply_ok();

        text[len] = '\0';
        ph_reply_set_state(reply, text);
        text[len] = 'x';
        assert_int_equal(reply->failed == NULL, len <= PH_STATE_MAX);
        if (reply->failed)
            assert_non_null(strstr(reply->failed, "8000"));
        ph_reply_free(reply);
    }
}

static void values_of_all_types_are_set_and_got(void **state)
{
    struct ph_state *s = from_json("{\"old\":1}");
    size_t len;

    (void)state;
    assert_int_equal(ph_state_set_bool(s, "yes", 5), PH_OK);
    assert_int_equal(ph_state_set_bool(s, "no", 0), PH_OK);
    assert_int_equal(ph_state_set_double(s, "half", 0.5), PH_OK);
    assert_int_equal(ph_state_set_int(s, "min", INT64_MIN), PH_OK);
    assert_int_equal(ph_state_set(s, "text", "\"\xc3\xa4"), PH_OK);
    assert_int_equal(ph_state_set_json(s, "list", "[1, {\"a\":[]}]", 13), PH_OK);
    assert_int_equal(ph_state_set_json(s, "string", "\"\\u00e4\"", 8), PH_OK);
    assert_int_equal(ph_state_set_json(s, "null", "null", 4), PH_OK);
    expect_json(s, "{\"old\":1,\"yes\":true,\"no\":false,\"half\":0.5,"
                   "\"min\":-9223372036854775808,\"text\":\"\\\"\xc3\xa4\","
                   "\"list\":[1, {\"a\":[]}],\"string\":\"\\u00e4\",\"null\":null}");
    assert_int_equal(ph_state_get_bool(s, "yes", 0), 1);
    assert_int_equal(ph_state_get_bool(s, "no", 1), 0);
    assert_int_equal(ph_state_get_bool(s, "text", 7), 7);
    assert_int_equal(ph_state_get_bool(s, "absent", 7), 7);
    assert_true(ph_state_get_double(s, "half", 7) == 0.5);
    assert_true(ph_state_get_double(s, "old", 7) == 1.0);
    assert_true(ph_state_get_double(s, "text", 7) == 7);
    assert_string_equal(ph_state_get(s, "string"), "\xc3\xa4");
    assert_string_equal(ph_state_get_json(s, "string", &len), "\"\\u00e4\"");
    assert_int_equal(len, 8);
    assert_string_equal(ph_state_get_json(s, "text", NULL), "\"\\\"\xc3\xa4\"");
    assert_null(ph_state_get_json(s, "absent", &len));
    assert_int_equal(len, 0);
    ph_state_free(s);
}

static void keys_are_listed_in_order(void **state)
{
    struct ph_state *s = from_json("{\"b\":1,\"a\":2,\"c\":3}");

    (void)state;
    assert_int_equal(ph_state_count(s), 3);
    assert_string_equal(ph_state_key(s, 0), "b");
    assert_string_equal(ph_state_key(s, 2), "c");
    assert_null(ph_state_key(s, 3));
    assert_int_equal(ph_state_set_int(s, "b", 9), PH_OK);
    assert_string_equal(ph_state_key(s, 0), "b");
    ph_state_remove(s, "b");
    ph_state_remove(s, "b");
    ph_state_remove(s, NULL);
    assert_int_equal(ph_state_count(s), 2);
    assert_string_equal(ph_state_key(s, 0), "a");
    ph_state_clear(s);
    assert_int_equal(ph_state_count(s), 0);
    assert_null(ph_state_key(s, 0));
    assert_int_equal(ph_state_count(NULL), 0);
    assert_null(ph_state_key(NULL, 0));
    ph_state_remove(NULL, "a");
    ph_state_free(s);
}

static void what_is_no_value_is_refused(void **state)
{
    struct ph_state *s = from_json("{\"k\":1}");
    char deep[131];

    (void)state;
    assert_int_equal(ph_state_set_json(s, "k", "{", 1), PH_ERR_SYNTAX);
    assert_int_equal(ph_state_set_json(s, "k", "", 0), PH_ERR_SYNTAX);
    assert_int_equal(ph_state_set_json(s, "k", "1 2", 3), PH_ERR_SYNTAX);
    assert_int_equal(ph_state_set_json(s, "k", NULL, 0), PH_ERR_ARGUMENT);
    assert_int_equal(ph_state_set_json(s, "\xff", "1", 1), PH_ERR_ARGUMENT);
    assert_int_equal(ph_state_set_json(NULL, "k", "1", 1), PH_ERR_MEMORY);
    assert_int_equal(ph_state_set_double(s, "k", 1.0 / 0.0), PH_ERR_ARGUMENT);
    assert_int_equal(ph_state_set_double(s, NULL, 1), PH_ERR_ARGUMENT);
    assert_int_equal(ph_state_set_bool(s, NULL, 1), PH_ERR_ARGUMENT);
    assert_int_equal(ph_state_set_bool(NULL, "k", 1), PH_ERR_MEMORY);
    for (size_t depth = 63; depth <= 65; depth++) {
        memset(deep, '[', depth);
        memset(deep + depth, ']', depth);
        assert_int_equal(ph_state_set_json(s, "deep", deep, 2 * depth),
                         depth <= 64 ? PH_OK : PH_ERR_LIMIT);
    }
    ph_state_remove(s, "deep");
    expect_json(s, "{\"k\":1}");
    ph_state_free(s);
}

/* What the next event of that connection brings back, in turn. */
static struct ph_state *next_event(struct ph_state *s)
{
    struct ph_reply *reply = ph_reply_ok();
    struct ph_event ev = {.kind = PH_EVENT_USER};
    struct ph_state *next;

    ph_reply_set_state_from(reply, s);
    assert_null(reply->failed);
    ev.state = reply->state;
    next = ph_state_from_event(&ev);
    ph_state_free(s);
    ph_reply_free(reply);
    return next;
}

static void clearing_is_real(void **state)
{
    struct ph_state *s = from_json("{\"a\":1,\"b\":[2]}");

    (void)state;
    s = next_event(s);
    assert_int_equal(ph_state_count(s), 2);
    ph_state_clear(s);
    s = next_event(s);
    assert_int_equal(ph_state_count(s), 0);
    ph_state_free(s);
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
        cmocka_unit_test(opaque_state_has_the_same_limit),
        cmocka_unit_test(values_of_all_types_are_set_and_got),
        cmocka_unit_test(keys_are_listed_in_order),
        cmocka_unit_test(what_is_no_value_is_refused),
        cmocka_unit_test(clearing_is_real),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
