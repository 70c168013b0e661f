/* base/json_plain.h: what it answers yajl answers too, in the same words, whatever the limits. */
#include "base/json_plain.h"

#include "frames_kit.h"
#include "json_readers.h"
#include "unit.h"

static const char sample[] =
    " {\"a\" : [1, -2.50e3,{\"x\":null,\"y\":[[\"deep\\n\"]]} ] ,\"s\":\"J\xc3\xbcrgen\", "
    "\"\":\"\","
    "\"o\":{ }, "
    "\"n\":12,\"t\":true,\r\n\t\"f\":false,\"n\":-0,\"l\":[],\"long\":\"0123456789abcdef\"}  ";

static struct json_readers ask(struct str text, const struct json_limits *limits)
{
    struct json_readers r = json_readers__ask(text, limits);

    if (r.wrong)
        fail_msg("%.*s (depth %u, nodes %u, tree %u, views %d): %s", STR_FMT(text), limits->depth,
                 limits->nodes, limits->tree, limits->views, r.wrong);
    return r;
}

/* Around all that the sample has, and without bounds. */
static void ask_with_all_limits(struct str text)
{
    static const uint32_t depths[] = {0, 1, 2, 3, 4, 5, 6, 1000};
    static const uint32_t nodes[] = {0, 1, 2, 10, 15, 16, 17, 18, 19, 1000};

    for (size_t d = 0; d < sizeof(depths) / sizeof(*depths); d++) {
        for (size_t n = 0; n < sizeof(nodes) / sizeof(*nodes); n++) {
            for (uint32_t tree = 0; tree <= 5; tree++) {
                ask(text, &(struct json_limits){depths[d], nodes[n], tree, false, false});
                ask(text, &(struct json_limits){depths[d], nodes[n], tree, true, false});
            }
        }
    }
}

/* The bytes behind the text are none of it: a copy of its own length lets sanitizers see. */
static void ask_cut(struct str text, size_t len)
{
    char *copy = malloc(len + 1);

    assert_non_null(copy);
    memcpy(copy + 1, text.ptr, len);
    ask_with_all_limits(str__n(copy + 1, len));
    free(copy);
}

static void all_limits_and_cuts_of_a_text(void **state)
{
    struct str text = STR(sample);

    (void)state;
    for (size_t len = 0; len <= text.len; len++)
        ask_cut(text, len);
}

static void ask_frame_cut(const struct format *format, struct str text, const char *want)
{
    static const struct json_limits limits[] = {
        {64, 1000, 1, false, false}, {64, 1000, 0, true, false}, {2, 3, 0, false, false}};

    (void)format;
    (void)want;
    for (size_t len = 0; len <= text.len; len++) {
        for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
            ask(str__n(text.ptr, len), &limits[i]);
    }
}

static void all_frames_and_cuts_of_them(void **state)
{
    (void)state;
    frames_kit__file(VECTORS_DIR "/json/valid.txt", NULL, NULL, ask_frame_cut);
    frames_kit__file(VECTORS_DIR "/json/invalid.txt", NULL, NULL, ask_frame_cut);
}

/* Every text of so many of these tokens, and of fewer. */
static void ask_all(const char *const *tokens, size_t count, unsigned length, struct str text)
{
    static const struct json_limits limits[] = {
        {64, 100, 0, false, false}, {2, 3, 0, true, false}, {3, 100, 1, true, false}};
    char longer[100];

    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
        ask(text, &limits[i]);
    for (size_t i = 0; length > 0 && i < count; i++) {
        size_t more = strlen(tokens[i]);

        assert_true(text.len + more <= sizeof(longer));
        memcpy(longer, text.ptr, text.len);
        memcpy(longer + text.len, tokens[i], more);
        ask_all(tokens, count, length - 1, str__n(longer, text.len + more));
    }
}

static void all_short_texts(void **state)
{
    static const struct {
        unsigned length;
        const char *tokens[12];
    } rows[] = {
        {4, {"{", "}", "[", "]", ",", ":", "\"a\"", "\"\\n\"", "1", "true", "null", " "}},
        {5, {"{\"a\":", "}", "[", "]", ",", "\"b\":", "0"}},
        {5, {"-", "0", "1", ".", "e", "E", "+"}},
        {5, {"\"", "\\", "u", "00", "n", "\x01", "/"}},
        {5, {"[[\"", "\\", "u", "dC0", "b", "\"", "]]"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        size_t count = 0;

        while (count < 12 && rows[i].tokens[count])
            count++;
        ask_all(rows[i].tokens, count, rows[i].length, STR(""));
    }
}

/* What must not take the long way, and what must. */
static void what_is_plain(void **state)
{
    static const struct {
        const char *text;
        bool plain, plain_check;
    } rows[] = {
        {"0", true, true},
        {"-12.5e-3", true, true},
        {"\t\"x\"\r\n", true, true},
        {"\"\x7f\xf0\x9f\x98\x80\"", true, true},
        {"{}", true, true},
        {"[ ]", true, true},
        {sample, true, true},
        {"\"\\u00e9\"", false, true},
        {"{\"\\n\":1}", false, true},
        {"[[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\ud800\"]]", true, true}, /* below the tree */
        {"[[{\"\\x\":1}]]", false, false},
        {"[[\"\\u00g0\"]]", false, false},
        {"[[[[[1]]]]]", true, true},
        {"[[[[[[1]]]]]]", false, false},
        {"// c\n1", false, false},
        {"01", false, false},
        {"1 2", false, false},
        {"", false, false},
        {"\xff", false, false},
    };
    const struct json_limits limits = {.depth = 5, .nodes = 100, .tree = 1};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct json_readers r = ask(str__of(rows[i].text), &limits);

        if (r.plain != rows[i].plain || r.plain_check != rows[i].plain_check)
            fail_msg("%s: %d, %d", rows[i].text, r.plain, r.plain_check);
    }
}

/* However deep others may go, this stack has an end. */
static void deep_texts_are_left_to_yajl(void **state)
{
    const struct json_limits limits = {.depth = 100000, .nodes = 100000};
    char text[2 * 200];

    (void)state;
    for (unsigned depth = 126; depth <= 130; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(ask(str__n(text, (size_t)2 * depth), &limits).plain, depth <= 128);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_plain),
        cmocka_unit_test(all_limits_and_cuts_of_a_text),
        cmocka_unit_test(all_frames_and_cuts_of_them),
        cmocka_unit_test(all_short_texts),
        cmocka_unit_test(deep_texts_are_left_to_yajl),
    };

    return cmocka_run_group_tests_name("plain JSON", tests, NULL, NULL);
}
