#include "broker/net/wheel.h"
#include "unit.h"

static const int64_t begin = 5000300; /* not on a full second */

/* When an entry set now comes due, in milliseconds from now. */
static int64_t due_after(unsigned seconds)
{
    struct wheel_entry entry = {0};
    struct wheel w;
    int64_t at;

    wheel__init(&w, begin);
    wheel__put(&w, &entry, seconds, begin);
    at = wheel__deadline(&w);
    assert_null(wheel__next_due(&w, at - 1));
    assert_ptr_equal(wheel__next_due(&w, at), &entry);
    assert_null(entry.next);
    assert_null(wheel__next_due(&w, at));
    assert_int_equal(wheel__deadline(&w), INT64_MAX);
    return at - begin;
}

static void test_never_early_and_at_most_a_second_late(void **state)
{
    (void)state;
    for (unsigned s = 1; s <= WHEEL_MAX_SECONDS; s++) {
        int64_t after = due_after(s);

        assert_in_range(after, 1000 * s, 1000 * s + 1000);
    }
}

static void test_order_and_moves(void **state)
{
    struct wheel_entry a = {0}, b = {0}, c = {0};
    struct wheel w;

    (void)state;
    wheel__init(&w, begin);
    wheel__put(&w, &a, 3, begin);
    wheel__put(&w, &b, 1, begin);
    wheel__put(&w, &c, 2, begin);
    wheel__put(&w, &b, 5, begin); /* moves */
    wheel__remove(&w, &c);
    wheel__remove(&w, &c); /* is on it no more, which is fine */
    assert_int_equal(w.count, 2);
    assert_ptr_equal(wheel__next_due(&w, begin + 60000), &a);
    assert_ptr_equal(wheel__next_due(&w, begin + 60000), &b);
    assert_null(wheel__next_due(&w, begin + 60000));
}

/* A loop that slept for long: entries come due, none is lost, and new deadlines count
 * from the present. */
static void test_long_sleep(void **state)
{
    struct wheel_entry old = {0}, fresh = {0};
    int64_t later = begin + 1000000;
    struct wheel w;

    (void)state;
    wheel__init(&w, begin);
    wheel__put(&w, &old, WHEEL_MAX_SECONDS, begin);
    assert_ptr_equal(wheel__next_due(&w, later), &old);
    assert_null(wheel__next_due(&w, later));
    wheel__put(&w, &fresh, 1, later);
    assert_null(wheel__next_due(&w, later + 999));
    assert_ptr_equal(wheel__next_due(&w, later + 2000), &fresh);
}

/* A loop that slept, because nothing was due, is woken by what puts a deadline: nobody has
 * asked the wheel what is due since. */
static void test_put_after_a_sleep_with_nothing_due(void **state)
{
    struct wheel_entry last = {0}, fresh = {0};
    int64_t later = begin + 1000000, soon = begin + 119000;
    struct wheel w;

    (void)state;
    wheel__init(&w, begin);
    wheel__put(&w, &fresh, 30, later);
    assert_null(wheel__next_due(&w, later + 29999));
    assert_ptr_equal(wheel__next_due(&w, later + 31000), &fresh);

    wheel__init(&w, begin);
    wheel__put(&w, &last, 120, begin);
    wheel__put(&w, &fresh, 120, soon);
    assert_ptr_equal(wheel__next_due(&w, soon + 119999), &last);
    assert_null(wheel__next_due(&w, soon + 119999));
    assert_ptr_equal(wheel__next_due(&w, soon + 121000), &fresh);
}

static void test_put_before_the_wheel_has_caught_up(void **state)
{
    struct wheel_entry old = {0}, fresh = {0};
    int64_t later = begin + 1000000;
    struct wheel w;

    (void)state;
    wheel__init(&w, begin);
    wheel__put(&w, &old, 10, begin);
    wheel__put(&w, &fresh, 120, later); /* does not fit on the ring: comes early, not never */
    assert_ptr_equal(wheel__next_due(&w, later), &old);
    assert_ptr_equal(wheel__next_due(&w, later), &fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_early_and_at_most_a_second_late),
        cmocka_unit_test(test_order_and_moves),
        cmocka_unit_test(test_long_sleep),
        cmocka_unit_test(test_put_after_a_sleep_with_nothing_due),
        cmocka_unit_test(test_put_before_the_wheel_has_caught_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
