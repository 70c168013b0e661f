/* Patterns over dotted names: a table, and a matcher that is slow and obviously right. */
#include "unit.h"

#include "base/pattern.h"

#include <stdio.h>

struct row {
    const char *pattern, *name;
    bool exact, nocase;
};

static const struct row rows[] = {
    {"message", "message", true, true},
    {"message", "Message", false, true},
    {"message", "messages", false, false},
    {"message", "messag", false, false},
    {"*", "", true, true},
    {"*", "anything", true, true},
    {"*", "two.parts", false, false},
    {"**", "two.parts", true, true},
    {"**", "", true, true},
    {"***", "a.b.c", true, true},
    {"a*", "a", true, true},
    {"a*", "abc", true, true},
    {"a*", "a.b", false, false},
    {"a**", "a.b", true, true},
    {"*.created", "order.created", true, true},
    {"*.created", "shop.order.created", false, false},
    {"**.created", "shop.order.created", true, true},
    {"**.created", ".created", true, true},
    {"**.created", "created", false, false},
    {"*.created", "order.CREATED", false, true},
    {"order.*", "order.", true, true},
    {"order.*", "order", false, false},
    {"order.?", "order.x", true, true},
    {"order.?", "order.xy", false, false},
    {"order?x", "order.x", false, false},
    {"?", "", false, false},
    {"?", "\xc3\xa4", true, true},         /* one character, two bytes */
    {"?", "\xf0\x9f\x98\x80", true, true}, /* four bytes */
    {"??", "\xc3\xa4", false, false},
    {"\xc3\xa4*", "\xc3\xa4x", true, true},
    {"\xc3\xa4", "\xc3\x84", false, false}, /* case is that of ASCII */
    {"a*b*c", "aXbYc", true, true},
    {"a*b*c", "aXb.Yc", false, false},
    {"a*bc*d", "abbcd", true, true},
    {"**a*b", "xa.ayb", true, true},
    {"**a*b", "xay.b", false, false},
    {"*.b**", "a.b.c.d", true, true},
    {"\\*", "*", true, true},
    {"\\*", "x", false, false},
    {"a\\?b", "a?b", true, true},
    {"a\\?b", "axb", false, false},
    {"\\\\*", "\\x", true, true},
    {"", "", true, true},
    {"", "a", false, false},
    {"*a", "aaaa", true, true},
    {"*aab", "aaaab", true, true},
};

static void table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct row *r = &rows[i];

        if (pattern__matches(str__of(r->pattern), str__of(r->name), PATTERN_EXACT) != r->exact ||
            pattern__matches(str__of(r->pattern), str__of(r->name), PATTERN_NOCASE) != r->nocase)
            fail_msg("pattern %s, name %s", r->pattern, r->name);
    }
}

static bool slow(const char *p, const char *n)
{
    if (!*p)
        return !*n;
    if (*p == '*') {
        bool any = p[1] == '*';

        return slow(p + 1 + any, n) || (*n && (any || *n != '.') && slow(p, n + 1));
    }
    return *n && (*p == '?' ? *n != '.' : *p == *n) && slow(p + 1, n + 1);
}

static void random_text(char *out, const char *letters, size_t max)
{
    size_t len = (size_t)rand() % (max + 1);

    for (size_t i = 0; i < len; i++)
        out[i] = letters[(size_t)rand() % strlen(letters)];
    out[len] = '\0';
}

static void agrees_with_the_slow_one(void **state)
{
    (void)state;
    unit__seed();
    for (int i = 0; i < 20000; i++) {
        char pattern[16], name[16];

        random_text(pattern, "ab.**?", 7);
        random_text(name, "ab.", 9);
        if (pattern__matches(str__of(pattern), str__of(name), PATTERN_EXACT) != slow(pattern, name))
            fail_msg("pattern %s, name %s", pattern, name);
    }
}

static void problems(void **state)
{
    static const struct {
        const char *pattern, *problem;
    } cases[] = {
        {"a", NULL},
        {"*.**.*a*", NULL},
        {"\\*\\?\\\\", NULL},
        {"", "is empty"},
        {"a\\", "ends with a single `\\`"},
        {"a\\b", "has a `\\` before something else than `*`, `?` or `\\`"},
        {"*a*a*a*a*a*", "has more than 5 `*`"},
        {"**a**a**", "has more than 5 `*`"},
        {"*****\\*", NULL}, /* an escaped one is none */
    };
    char longest[4 * 1025 + 1] = "";

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *problem = pattern__problem(str__of(cases[i].pattern));

        if (!problem != !cases[i].problem || (problem && strcmp(problem, cases[i].problem) != 0))
            fail_msg("%s: %s", cases[i].pattern, problem ? problem : "no problem");
    }
    for (int i = 0; i < 1024; i++)
        strcat(longest, "\xf0\x9f\x98\x80");
    assert_null(pattern__problem(str__of(longest)));
    assert_true(pattern__matches(str__of(longest), str__of(longest), PATTERN_NOCASE));
    strcat(longest, "a");
    assert_string_equal(pattern__problem(str__of(longest)), "has more than 1024 characters");
    assert_false(pattern__matches(str__of(longest), str__of(longest), PATTERN_EXACT));
}

static void wildcards(void **state)
{
    (void)state;
    assert_true(pattern__has_wildcard(STR("a*")));
    assert_true(pattern__has_wildcard(STR("\\\\?")));
    assert_false(pattern__has_wildcard(STR("a\\*\\?")));
    assert_false(pattern__has_wildcard(STR("")));
}

/* A pattern that makes backtracking matchers take years. */
static void hard_patterns_take_no_time(void **state)
{
    char name[1025];

    (void)state;
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_false(pattern__matches(STR("**a*aa**aa*aab"), str__of(name), PATTERN_NOCASE));
    assert_true(pattern__matches(STR("**a*aa**aa*aaa"), str__of(name), PATTERN_NOCASE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(agrees_with_the_slow_one),
        cmocka_unit_test(problems),
        cmocka_unit_test(wildcards),
        cmocka_unit_test(hard_patterns_take_no_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
