#include "unit.h"

#include "broker/net/trim.h"

static const int64_t begin = 5000;

static void test_few_connections_leave_nothing_worth_it(void **state)
{
    struct trim t = {0};

    (void)state;
    assert_true(trim__tick(&t, 499, 0, begin) == INT64_MAX);
    assert_true(trim__tick(&t, 499, 0, begin + 60000) == INT64_MAX);
    assert_int_equal(t.done, 0);
}

static void test_once_it_is_quiet(void **state)
{
    struct trim t = {0};

    (void)state;
    assert_int_equal(trim__tick(&t, 500, 0, begin), begin + 1000);
    assert_int_equal(trim__tick(&t, 510, 0, begin + 999), begin + 1000);
    assert_int_equal(t.done, 0);
    assert_true(trim__tick(&t, 549, 0, begin + 1000) == INT64_MAX);
    assert_int_equal(t.done, 549);
    assert_true(trim__tick(&t, 1048, 0, begin + 2000) == INT64_MAX);
    assert_int_equal(trim__tick(&t, 1049, 0, begin + 2000), begin + 3000);
}

static void test_not_while_many_come_and_go(void **state)
{
    struct trim t = {0};
    int64_t now = begin;
    uint64_t count = 500;

    (void)state;
    trim__tick(&t, count, 0, now);
    for (int i = 0; i < 10; i++) {
        count += 50;
        now += 1000;
        assert_int_equal(trim__tick(&t, count, 0, now), now + 1000);
        assert_int_equal(t.done, 0);
    }
    assert_true(trim__tick(&t, count + 49, 0, now + 1000) == INT64_MAX);
    assert_int_equal(t.done, count + 49);
}

/* Those who stay wait for it, the longer the more they are. */
static void test_more_must_end_where_many_stay(void **state)
{
    struct trim t = {0};

    (void)state;
    assert_true(trim__tick(&t, 1499, 4000, begin) == INT64_MAX);
    assert_int_equal(trim__tick(&t, 1500, 4000, begin), begin + 1000);
}

static void count(void *ctx)
{
    ++*(int *)ctx;
}

static void what_is_kept_goes_first(void **state)
{
    int released = 0;
    struct trim t = {.release = count, .ctx = &released};

    (void)state;
    trim__tick(&t, 500, 0, 1000);
    assert_int_equal(released, 0);
    trim__tick(&t, 500, 0, 2000);
    assert_int_equal(released, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_connections_leave_nothing_worth_it),
        cmocka_unit_test(test_once_it_is_quiet),
        cmocka_unit_test(test_not_while_many_come_and_go),
        cmocka_unit_test(test_more_must_end_where_many_stay),
        cmocka_unit_test(what_is_kept_goes_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
