/* What the command line is made of: option tables with operands, JSON lines, counts. */
#include "base/json.h"
#include "base/record.h"
#include "bin/cli.h"
#include "bin/tally.h"

#include "unit.h"

/* --- cli ------------------------------------------------------------------------------- */

static enum ph_err set_number(void *settings, const char *value, struct diag *diag)
{
    return cli__number(value, 1, 9, settings, diag);
}

static const struct cli_option options[] = {{"number", "N", "a number", set_number}};

#define MAX_WORDS 8

/* What a command line leads to. */
struct parsed {
    enum cli_result result;
    unsigned number;
    char *argv[MAX_WORDS + 1];
    int operands;
    struct diag why;
};

/* getopt moves words around, but does not change them. */
static void parse(struct parsed *p, bool first, const char *const *words)
{
    const struct cli cli = {.program = "p",
                            .options = options,
                            .option_count = 1,
                            .operands_first = first,
                            .quiet = &p->why};
    int argc = 0;

    *p = (struct parsed){0};
    for (; argc < MAX_WORDS && words[argc]; argc++)
        p->argv[argc] = (char *)(uintptr_t)words[argc];
    p->result = cli__parse(&cli, argc, p->argv, &p->number, &p->operands);
}

static void operands_stand_before_options_where_they_may(void **state)
{
    static const char *const words[] = {"p", "one", "--number", "3", "two", "--", "--four", NULL};
    struct parsed p;

    (void)state;
    parse(&p, false, words);
    assert_int_equal(p.result, CLI_RUN);
    assert_int_equal(p.number, 0); /* the first operand ends the options */
    assert_int_equal(p.operands, 1);
    parse(&p, true, words);
    assert_int_equal(p.result, CLI_RUN);
    assert_int_equal(p.number, 3);
    assert_int_equal(p.operands, 4); /* they come last now, in their order */
    assert_string_equal(p.argv[4], "one");
    assert_string_equal(p.argv[5], "two");
    assert_string_equal(p.argv[6], "--four");
}

static void mistakes_are_sentences(void **state)
{
    static const struct {
        const char *words[5];
        const char *why;
    } rows[] = {
        {{"p", "one", "--bogus"}, "unknown option --bogus"},
        {{"p", "one", "--number"}, "--number needs a value: --number N"},
        {{"p", "--number", "10", "one"}, "--number: \"10\" is no whole number from 1 to 9"},
        {{"p", "one", "-x"}, "unknown option -x"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct parsed p;

        parse(&p, true, rows[i].words);
        assert_int_equal(p.result, CLI_WRONG);
        assert_string_equal(p.why.text, rows[i].why);
    }
}

/* --- record ----------------------------------------------------------------------------- */

static void a_record_is_one_line_of_json(void **state)
{
    struct record r;

    (void)state;
    record__begin(&r);
    record__text(&r, "a\"b", STR("x\ny"));
    record__text(&r, "absent", STR_NONE);
    record__text(&r, "bytes", STR("\xff\x01"));
    record__open(&r, "list", '[');
    record__number(&r, NULL, UINT64_MAX);
    record__open(&r, NULL, '{');
    record__close(&r, '}');
    record__close(&r, ']');
    record__raw(&r, "raw", STR("[1,\n2]"));
    record__decimal(&r, "half", 0.5);
    record__bool(&r, "yes", true);
    assert_true(record__end(&r));
    assert_str(buf__view(&r.text), "{\"a\\\"b\":\"x\\ny\",\"absent\":null,\"bytesBase64\":\"/wE=\","
                                   "\"list\":[18446744073709551615,{}],\"raw\":[1, 2],"
                                   "\"half\":0.500,\"yes\":true}");
    assert_int_equal(json__check(buf__view(&r.text), 8, NULL), PH_OK);
    record__free(&r);
}

static void an_empty_record_is_an_object(void **state)
{
    struct record r;

    (void)state;
    record__begin(&r);
    assert_true(record__end(&r));
    assert_str(buf__view(&r.text), "{}");
    record__free(&r);
}

/* --- tally -------------------------------------------------------------------------------- */

static void percentiles_are_those_of_nearest_rank(void **state)
{
    struct arena a;
    struct record r;
    struct tally t;
    struct json *object;
    const struct json *ms;

    (void)state;
    assert_true(tally__init(&t, 1000));
    for (int i = 1000; i >= 1; i--)
        tally__answer(&t, i > 990 ? 500 : 200, i <= 990, i * 1000);
    tally__no_answer(&t, "first");
    tally__no_answer(&t, "second");
    assert_string_equal(t.why, "first");
    record__begin(&r);
    tally__record(&t, &r);
    assert_true(record__end(&r));
    arena__init(&a, NULL, 0, 1u << 20);
    assert_int_equal(json__parse(&a, buf__view(&r.text), &JSON_LIMITS_DEFAULT, &object, NULL),
                     PH_OK);
    assert_str(json__get(object, STR("events"))->raw, "1002");
    assert_str(json__get(object, STR("statuses"))->raw, "{\"200\":990,\"500\":10}");
    assert_str(json__get(object, STR("unanswered"))->raw, "2");
    assert_str(json__get(object, STR("failed"))->raw, "12");
    ms = json__get(object, STR("milliseconds"));
    assert_str(json__get(ms, STR("p50"))->raw, "500.000");
    assert_str(json__get(ms, STR("p90"))->raw, "900.000");
    assert_str(json__get(ms, STR("p99"))->raw, "990.000");
    assert_str(json__get(ms, STR("p99.9"))->raw, "999.000");
    assert_str(json__get(ms, STR("max"))->raw, "1000.000");
    arena__free(&a);
    record__free(&r);
    tally__free(&t);
}

static void a_tally_of_nothing_has_no_latency(void **state)
{
    struct record r;
    struct tally t;

    (void)state;
    assert_true(tally__init(&t, 1));
    record__begin(&r);
    tally__record(&t, &r);
    assert_true(record__end(&r));
    assert_null(strstr(r.text.data, "milliseconds"));
    record__free(&r);
    tally__free(&t);
    assert_false(tally__init(&t, UINT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operands_stand_before_options_where_they_may),
        cmocka_unit_test(mistakes_are_sentences),
        cmocka_unit_test(a_record_is_one_line_of_json),
        cmocka_unit_test(an_empty_record_is_an_object),
        cmocka_unit_test(percentiles_are_those_of_nearest_rank),
        cmocka_unit_test(a_tally_of_nothing_has_no_latency),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
