/* Message metadata: its rules (client-and-rest section 2.1), and as HTTP headers. */
#include "base/metadata.h"

#include "unit.h"

#include <stdio.h>
#include <time.h>

static char text[METADATA_MAX_BYTES + 2];

static struct str of_length(size_t len)
{
    return str__n(text, len);
}

static const char *problem_of(struct str name, struct str value)
{
    struct metadata_entry entry = {name, value};

    return metadata__problem(&(struct metadata){&entry, 1});
}

static void names_are_tokens_and_values_printable(void **state)
{
    static const struct {
        struct str name, value;
        bool good;
    } rows[] = {
        {{"k", 1}, {"v", 1}, true},           {{"K-1.x_y~!#$%&'*+^`|", 18}, {"", 0}, true},
        {{"k", 1}, {" ~a,b;\"c\"", 9}, true}, {{"", 0}, {"v", 1}, false},
        {{"a b", 3}, {"v", 1}, false},        {{"a:", 2}, {"v", 1}, false},
        {{"a\0", 2}, {"v", 1}, false},        {{"\xc3\xa4", 2}, {"v", 1}, false},
        {{"k", 1}, {"\xc3\xa4", 2}, false},   {{"k", 1}, {"a\nb", 3}, false},
        {{"k", 1}, {"a\tb", 3}, false},       {{"k", 1}, {"\0", 1}, false},
        {{"k", 1}, {"\x7f", 1}, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (!problem_of(rows[i].name, rows[i].value) != rows[i].good)
            fail_msg("row %zu", i);
    }
}

static void lengths_are_limited(void **state)
{
    (void)state;
    for (size_t over = 0; over <= 2; over++) {
        bool good = over <= 1;

        assert_int_equal(!problem_of(of_length(METADATA_MAX_NAME - 1 + over), STR("")), good);
        assert_int_equal(!problem_of(STR("k"), of_length(METADATA_MAX_VALUE - 1 + over)), good);
    }
}

/* Eight entries of 1,023 bytes, and one with what is left. */
static void all_together_are_limited(void **state)
{
    struct metadata_entry items[9];

    (void)state;
    for (size_t i = 0; i < 8; i++)
        items[i] = (struct metadata_entry){str__n(&"abcdefgh"[i], 1), of_length(1022)};
    for (size_t last = 7; last <= 9; last++) {
        items[8] = (struct metadata_entry){STR("z"), of_length(last - 1)};
        assert_int_equal(!metadata__problem(&(struct metadata){items, 9}), last <= 8);
    }
    assert_int_equal(metadata__bytes(&(struct metadata){items, 8}), 8 * 1023);
}

static void no_name_comes_twice(void **state)
{
    struct metadata_entry items[] = {
        {STR("key"), STR("1")}, {STR("other"), STR("2")}, {STR("KEY"), STR("3")}};

    (void)state;
    assert_null(metadata__problem(&(struct metadata){items, 2}));
    assert_non_null(metadata__problem(&(struct metadata){items, 3}));
}

/* As many entries as fit, in no order. Each compared with each would take 30 ms and more,
 * for which the loop of the broker has no time; sanitizers and a busy machine need some. */
static void thousands_of_names_are_compared_quickly(void **state)
{
    static const char characters[] = "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~";
    static char names[2 * METADATA_MAX_BYTES];
    static struct metadata_entry items[METADATA_MAX_BYTES / 2];
    size_t base = sizeof(characters) - 1, count = base * base, rounds = 40;
    clock_t start = clock();

    (void)state;
    for (size_t i = 0; i < count; i++) {
        size_t n = i * 1009 % count; /* a prime, and none of the factors of `count` */

        names[2 * i] = characters[n / base];
        names[2 * i + 1] = characters[n % base];
        items[i] = (struct metadata_entry){str__n(&names[2 * i], 2), STR("")};
    }
    for (size_t i = 0; i < rounds; i++)
        assert_null(metadata__problem(&(struct metadata){items, count}));
    assert_in_range((clock() - start) * 1000 / CLOCKS_PER_SEC, 0, rounds * 10);
    items[count] = (struct metadata_entry){STR("K7"), STR("")};
    assert_non_null(metadata__problem(&(struct metadata){items, count + 1}));
}

static void the_last_of_a_name_is_kept(void **state)
{
    static const struct {
        const char *names, *left; /* a name is a letter, its value its place */
    } rows[] = {
        {"", ""},           {"a", "a0"},     {"aaa", "a2"},        {"aA", "a0A1"},
        {"ab", "a0b1"},     {"aba", "b1a2"}, {"abcabc", "a3b4c5"}, {"abcb", "a0c2b3"},
        {"bbca", "b1c2a3"},
    };

    (void)state;
    for (size_t row = 0; row < sizeof(rows) / sizeof(*rows); row++) {
        static const char digits[] = "0123456789";
        struct metadata_entry items[10];
        char left[21] = "";
        size_t count = strlen(rows[row].names);

        for (size_t i = 0; i < count; i++)
            items[i] = (struct metadata_entry){{rows[row].names + i, 1}, {digits + i, 1}};
        count = metadata__keep_last(items, count);
        for (size_t i = 0; i < count; i++)
            snprintf(left + 2 * i, 3, "%c%c", *items[i].name.ptr, *items[i].value.ptr);
        assert_string_equal(left, rows[row].left);
    }
}

static void headers_are_read_without_case_and_the_last_wins(void **state)
{
    struct arena a;
    struct http_headers headers = {0};
    struct metadata m;

    (void)state;
    arena__init(&a, NULL, 0, 1 << 16);
    assert_true(metadata__from_headers(&a, &headers, METADATA_WHOLE, &m));
    assert_int_equal(m.count, 0);
    http__add(&a, &headers, STR("Content-Type"), STR("text/plain"));
    http__add(&a, &headers, STR("X-WebPubSub-Metadata-Trace"), STR("1"));
    http__add(&a, &headers, STR("x-webpubsub-metadata-lang"), STR("en, de"));
    http__add(&a, &headers, STR("x-webpubsub-metadata-TRACE"), STR("2"));
    http__add(&a, &headers, STR("x-webpubsub-metadata-"), STR("no name"));
    assert_true(metadata__from_headers(&a, &headers, METADATA_WHOLE, &m));
    assert_int_equal(m.count, 3);
    assert_string_equal(m.items[0].name.ptr, "trace");
    assert_string_equal(m.items[0].value.ptr, "2");
    assert_string_equal(m.items[1].name.ptr, "lang");
    assert_string_equal(m.items[1].value.ptr, "en, de");
    assert_non_null(metadata__problem(&m));
    arena__free(&a);
}

static void headers_are_written_in_lower_case(void **state)
{
    const struct metadata_entry items[] = {{STR("Trace"), STR(" 1 ")}, {STR("b"), STR("")}};
    struct arena a;
    struct http_headers headers = {0};

    (void)state;
    arena__init(&a, NULL, 0, 1 << 16);
    assert_true(metadata__to_headers(&a, &(struct metadata){items, 2}, &headers));
    assert_int_equal(headers.count, 2);
    assert_str(headers.items[0].name, "x-webpubsub-metadata-trace");
    assert_str(headers.items[0].value, "1");
    assert_str(headers.items[1].value, "");
    arena__free(&a);
}

static void memory_may_run_out_anywhere(void **state)
{
    const struct metadata_entry items[] = {{STR("Trace"), STR("1")}, {STR("b"), STR("2")}};
    struct metadata m = {items, 2};
    bool done = false;

    (void)state;
    for (size_t max = 0; !done; max += 16) {
        struct http_headers headers = {0};
        struct metadata back;
        struct arena a;

        arena__init(&a, NULL, 0, max);
        done = metadata__to_headers(&a, &m, &headers) &&
               metadata__from_headers(&a, &headers, METADATA_WHOLE, &back);
        arena__free(&a);
        assert_true(max < 1 << 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_tokens_and_values_printable),
        cmocka_unit_test(lengths_are_limited),
        cmocka_unit_test(all_together_are_limited),
        cmocka_unit_test(no_name_comes_twice),
        cmocka_unit_test(thousands_of_names_are_compared_quickly),
        cmocka_unit_test(the_last_of_a_name_is_kept),
        cmocka_unit_test(headers_are_read_without_case_and_the_last_wins),
        cmocka_unit_test(headers_are_written_in_lower_case),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };

    memset(text, 'x', sizeof(text));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
