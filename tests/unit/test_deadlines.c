/* Deadlines, of which the first is always at hand. */
#include "unit.h"

#include "base/deadlines.h"

static void deadlines_come_in_order(void **state)
{
    enum { COUNT = 100 };
    struct deadline d[COUNT] = {0};
    struct deadlines ds = {0};
    int64_t last = -1;
    int left = COUNT - COUNT / 4;

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        assert_true(deadlines__reserve(&ds));
        deadlines__set(&ds, &d[i], i * 37 % 101);
    }
    for (int i = 0; i < COUNT; i += 4)
        deadlines__clear(&ds, &d[i]);
    for (int i = 1; i < COUNT; i += 4)
        deadlines__set(&ds, &d[i], i * 53 % 103);
    for (struct deadline *first; (first = deadlines__first(&ds)); left--) {
        assert_true(first->at_ms >= last);
        last = first->at_ms;
        deadlines__clear(&ds, first);
        deadlines__clear(&ds, first);
    }
    assert_int_equal(left, 0);
    deadlines__free(&ds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines_come_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
