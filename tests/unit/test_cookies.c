/* Cookies of event handlers, which stay with their site. */
#include "unit.h"

#include "broker/upstream/cookies.h"

static void cookies_stay_with_their_site(void **state)
{
    struct cookies jar = {0};
    struct arena a;

    (void)state;
    arena__init(&a, NULL, 0, 65536);
    assert_null(cookies__header(&jar, &a, STR("http://a/")).ptr);
    cookies__set(&jar, STR("http://a:1/x?y"), STR("one=1; Path=/; HttpOnly"));
    cookies__set(&jar, STR("http://a:1/z"), STR(" two=a=b "));
    cookies__set(&jar, STR("http://b/"), STR("three=3"));
    cookies__set(&jar, STR("http://b/"), STR("nonsense"));
    cookies__set(&jar, STR("http://b/"), STR("=x"));
    cookies__set(&jar, STR("http://b/"), STR("one=3")); /* another's of the same name */
    assert_str(cookies__header(&jar, &a, STR("http://A:1?q")), "one=1; two=a=b");
    assert_str(cookies__header(&jar, &a, STR("http://b/c")), "three=3; one=3");
    cookies__set(&jar, STR("http://a:1/"), STR("one=2"));
    cookies__set(&jar, STR("http://a:1/"), STR("two=; Max-Age=0"));
    assert_str(cookies__header(&jar, &a, STR("http://a:1/")), "one=2");
    cookies__free(&jar);
    arena__free(&a);
}

static void cookies_are_bounded(void **state)
{
    struct cookies jar = {0};
    char value[COOKIES_MAX_BYTES + 2];
    size_t most = COOKIES_MAX_BYTES - strlen("http://a");

    (void)state;
    memset(value, 'v', sizeof(value));
    value[1] = '=';
    cookies__set(&jar, STR("http://a"), str__n(value, most + 1));
    assert_int_equal(jar.count, 0);
    for (int i = 0; i < COOKIES_MAX + 1; i++) {
        value[0] = (char)('a' + i);
        cookies__set(&jar, STR("http://a"), str__n(value, most));
        assert_int_equal(jar.count, i < COOKIES_MAX ? i + 1 : COOKIES_MAX);
    }
    cookies__free(&jar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cookies_stay_with_their_site),
        cmocka_unit_test(cookies_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
