/* Tables of options: the mistakes of authors, and what values of each type may be. */
#include "plugin/options.h"
#include "unit.h"

#include <stdio.h>

static void good_values_are_read(void **state)
{
    static const struct {
        struct ph_plugin_option option;
        const char *text;
        int64_t number;
    } rows[] = {
        {{.name = "a"}, "", 0},
        {{.name = "a", .least = 2, .most = 3}, "ab", 2},
        {{.name = "a", .least = 2, .most = 3}, "abc", 3},
        {{.name = "a", .type = PH_OPTION_INTEGER}, "0", 0},
        {{.name = "a", .type = PH_OPTION_INTEGER}, "-9223372036854775808", INT64_MIN},
        {{.name = "a", .type = PH_OPTION_INTEGER}, "9223372036854775807", INT64_MAX},
        {{.name = "a", .type = PH_OPTION_INTEGER, .least = -5, .most = 5}, "-5", -5},
        {{.name = "a", .type = PH_OPTION_INTEGER, .least = -5, .most = 5}, "5", 5},
        {{.name = "a", .type = PH_OPTION_BOOLEAN}, "true", 1},
        {{.name = "a", .type = PH_OPTION_BOOLEAN}, "yes", 1},
        {{.name = "a", .type = PH_OPTION_BOOLEAN}, "on", 1},
        {{.name = "a", .type = PH_OPTION_BOOLEAN}, "1", 1},
        {{.name = "a", .type = PH_OPTION_BOOLEAN}, "false", 0},
        {{.name = "a", .type = PH_OPTION_BOOLEAN}, "no", 0},
        {{.name = "a", .type = PH_OPTION_BOOLEAN}, "off", 0},
        {{.name = "a", .type = PH_OPTION_BOOLEAN}, "0", 0},
        {{.name = "a", .type = PH_OPTION_CHOICE, .choices = "red"}, "red", 0},
        {{.name = "a", .type = PH_OPTION_CHOICE, .choices = "red|green|blue"}, "blue", 2},
        {{.name = "a", .type = PH_OPTION_FILE}, "/etc/passwd", 0},
        {{.name = "a", .type = PH_OPTION_DURATION}, "0s", 0},
        {{.name = "a", .type = PH_OPTION_DURATION}, "500ms", 500},
        {{.name = "a", .type = PH_OPTION_DURATION}, "30s", 30000},
        {{.name = "a", .type = PH_OPTION_DURATION}, "5m", 300000},
        {{.name = "a", .type = PH_OPTION_DURATION}, "2h", 7200000},
        {{.name = "a", .type = PH_OPTION_DURATION}, "1d", 86400000},
        {{.name = "a", .type = PH_OPTION_DURATION, .least = 1000, .most = 2000}, "2s", 2000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct option_value value;
        struct diag diag = {""};

        if (options__read(&rows[i].option, rows[i].text, &value, "f", &diag) != PH_OK)
            fail_msg("row %zu: %s", i, diag.text);
        assert_string_equal(value.text, rows[i].text);
        assert_true(value.number == rows[i].number);
    }
}

static void wrong_values_are_refused_with_what_is_expected(void **state)
{
    static const struct {
        struct ph_plugin_option option;
        const char *text, *why;
    } rows[] = {
        {{.name = "a", .least = 2, .most = 3}, "a", "expected a text of 2 to 3 bytes"},
        {{.name = "a", .least = 2, .most = 3}, "abcd", "expected a text of 2 to 3 bytes"},
        {{.name = "a", .type = PH_OPTION_INTEGER}, "", "expected a whole number"},
        {{.name = "a", .type = PH_OPTION_INTEGER}, " 1", "expected a whole number"},
        {{.name = "a", .type = PH_OPTION_INTEGER}, "1 ", "expected a whole number"},
        {{.name = "a", .type = PH_OPTION_INTEGER}, "+1", "expected a whole number"},
        {{.name = "a", .type = PH_OPTION_INTEGER}, "0x1", "expected a whole number"},
        {{.name = "a", .type = PH_OPTION_INTEGER}, "1.5", "expected a whole number"},
        {{.name = "a", .type = PH_OPTION_INTEGER}, "9223372036854775808", "a whole number"},
        {{.name = "a", .type = PH_OPTION_INTEGER, .least = 1, .most = 9}, "0", "from 1 to 9"},
        {{.name = "a", .type = PH_OPTION_INTEGER, .least = 1, .most = 9}, "10", "from 1 to 9"},
        {{.name = "a", .type = PH_OPTION_BOOLEAN}, "maybe", "\"maybe\", expected true or false"},
        {{.name = "a", .type = PH_OPTION_BOOLEAN}, "", "expected true or false"},
        {{.name = "a", .type = PH_OPTION_BOOLEAN}, "true|no", "expected true or false"},
        {{.name = "a", .type = PH_OPTION_CHOICE, .choices = "red|green"},
         "gre",
         "one of red, green"},
        {{.name = "a", .type = PH_OPTION_CHOICE, .choices = "red|green"}, "", "one of red, green"},
        {{.name = "a", .type = PH_OPTION_FILE}, "/nowhere/a", "the path of a file that can be"},
        {{.name = "a", .type = PH_OPTION_FILE}, "/", "the path of a file that can be read"},
        {{.name = "a", .type = PH_OPTION_DURATION}, "5", "a time such as 500ms, 30s or 5m"},
        {{.name = "a", .type = PH_OPTION_DURATION}, "-5s", "a time such as"},
        {{.name = "a", .type = PH_OPTION_DURATION}, "5 s", "a time such as"},
        {{.name = "a", .type = PH_OPTION_DURATION}, "s", "a time such as"},
        {{.name = "a", .type = PH_OPTION_DURATION}, "9223372036854775807s", "a time such as"},
        {{.name = "a", .type = PH_OPTION_DURATION, .least = 1, .most = 9}, "1s", "from 1 to 9 ms"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct option_value value;
        struct diag diag = {""};

        assert_int_equal(options__read(&rows[i].option, rows[i].text, &value, "file.so", &diag),
                         PH_ERR_PLUGIN);
        if (!strstr(diag.text, rows[i].why) || !strstr(diag.text, "file.so: the key \"a\" is "))
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, diag.text, rows[i].why);
    }
}

static void a_secret_is_not_shown(void **state)
{
    static const struct ph_plugin_option table[] = {
        {.name = "key", .least = 8, .most = 99, .preset = "hush-hush", .secret = 1},
        {.name = NULL},
    };
    struct option_value value;
    struct diag diag = {""};
    struct buf text;

    (void)state;
    assert_int_equal(options__read(table, "hush", &value, "f", &diag), PH_ERR_PLUGIN);
    assert_null(strstr(diag.text, "hush"));
    assert_non_null(strstr(diag.text, "expected a text of 8 to 99 bytes"));
    buf__init(&text, 4096);
    options__describe(table, &text);
    assert_null(strstr(text.data, "hush"));
    buf__free(&text);
}

static void mistakes_of_authors_are_refused(void **state)
{
    static const struct {
        struct ph_plugin_option option;
        const char *why;
    } rows[] = {
        {{.name = "hub"}, "\"hub\": its name is"},
        {{.name = ""}, "its name is"},
        {{.name = "a b"}, "its name is"},
        {{.name = "a=b"}, "its name is"},
        {{.name = "a", .type = (enum ph_option_type)6}, "its type is none of"},
        {{.name = "a", .type = (enum ph_option_type) - 1}, "its type is none of"},
        {{.name = "a", .type = PH_OPTION_CHOICE}, "it has no choices"},
        {{.name = "a", .type = PH_OPTION_CHOICE, .choices = ""}, "it has no choices"},
        {{.name = "a", .type = PH_OPTION_CHOICE, .choices = "b||c"}, "one of its choices is empty"},
        {{.name = "a", .least = 2, .most = 1}, "its least value is larger than its most"},
        {{.name = "a", .required = 1, .preset = "b"}, "it is required and has a default"},
        {{.name = "a", .type = PH_OPTION_INTEGER, .preset = "b"}, "its default is no value"},
        {{.name = "a", .type = PH_OPTION_CHOICE, .choices = "b|c", .preset = "d"},
         "its default is no value"},
    };
    struct ph_plugin_option many[OPTIONS_MAX + 2];
    char names[OPTIONS_MAX + 1][8];
    struct diag diag = {""};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_plugin_option table[] = {{.name = "first"}, rows[i].option, {.name = NULL}};

        assert_int_equal(options__check(table, "file.so", &diag), PH_ERR_PLUGIN);
        if (!strstr(diag.text, rows[i].why) || !strstr(diag.text, "file.so: option 2, "))
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, diag.text, rows[i].why);
    }
    memset(many, 0, sizeof(many));
    for (size_t i = 0; i <= OPTIONS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "n%zu", i);
        many[i].name = names[i];
    }
    assert_int_equal(options__check(many, "file.so", &diag), PH_ERR_PLUGIN);
    assert_non_null(strstr(diag.text, "more than 64 options"));
    many[OPTIONS_MAX].name = NULL;
    assert_int_equal(options__check(many, "file.so", &diag), PH_OK);
    assert_int_equal(options__check(NULL, "file.so", &diag), PH_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_values_are_read),
        cmocka_unit_test(wrong_values_are_refused_with_what_is_expected),
        cmocka_unit_test(a_secret_is_not_shown),
        cmocka_unit_test(mistakes_of_authors_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
