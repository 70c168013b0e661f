/* The foundations: strings, buffers, arena, map, base64, JSON, JWT, URLs, HTTP checks. */
#include "base/arena.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/http.h"
#include "base/json.h"
#include "base/jwt.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "base/map.h"
#include "base/names.h"
#include "base/random.h"
#include "base/url.h"
#include "base/utf8.h"
#include "unit.h"

#include <ctype.h>
#include <stdio.h>

static void split_keeps_empty_parts(void **state)
{
    struct str rest = STR("a,,b,"), part;
    const char *want[] = {"a", "", "b", ""};
    size_t n = 0;

    (void)state;
    while (str__split(&rest, ',', &part)) {
        assert_true(n < 4);
        assert_str(part, want[n++]);
    }
    assert_int_equal(n, 4);
}

static void placed_strings_follow_each_other(void **state)
{
    char bytes[8] = "--------";
    char *at = bytes;

    (void)state;
    assert_str(str__place(&at, STR("abc")), "abc");
    assert_null(str__place(&at, STR_NONE).ptr);
    assert_non_null(str__place(&at, STR("")).ptr);
    assert_ptr_equal(str__place(&at, STR("de")).ptr, bytes + 3);
    assert_ptr_equal(at, bytes + 5);
    assert_memory_equal(bytes, "abcde---", 8);
}

static void only_letters_have_a_case(void **state)
{
    (void)state;
    assert_true(str__eq_nocase(STR("ce-UserId"), STR("CE-userid")));
    assert_true(str__eq_nocase(STR(""), STR_NONE));
    assert_false(str__eq_nocase(STR("@"), STR("`")));
    assert_false(str__eq_nocase(STR("a[b"), STR("a{b")));
    assert_false(str__eq_nocase(STR("axb"), STR("ayb")));
    assert_false(str__eq_nocase(STR("ab"), STR("abc")));
    assert_false(str__eq_nocase(STR("\xc3\xa4"), STR("\xc3\x84")));
    for (size_t len = 1; len <= 24; len++) {
        for (size_t at = 0; at < len; at++) {
            char a[24], b[24];

            memset(a, 'm', sizeof(a));
            memset(b, 'm', sizeof(b));
            b[at] = 'M';
            assert_true(str__eq_nocase(str__n(a, len), str__n(b, len)));
            b[at] = 'n';
            assert_false(str__eq_nocase(str__n(a, len), str__n(b, len)));
            a[at] = '0'; /* nothing but that bit, but no letter */
            b[at] = '\x10';
            assert_false(str__eq_nocase(str__n(a, len), str__n(b, len)));
        }
    }
}

/* Each byte at each place of each length around that of a machine word. */
static void control_characters_are_found_anywhere(void **state)
{
    (void)state;
    assert_false(str__has_control(STR_NONE));
    assert_true(str__is_plain_value(STR_NONE));
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t len = 1; len < 20; len++) {
            for (size_t at = 0; at < len; at++) {
                char text[20];

                memset(text, len % 2 ? ' ' : '\xff', sizeof(text));
                text[at] = (char)byte;
                assert_int_equal(str__has_control(str__n(text, len)), byte < 32 || byte == 127);
                assert_int_equal(str__is_ascii(str__n(text, len)),
                                 byte < 128 && (len % 2 == 1 || len == 1));
                memset(text, 'x', sizeof(text));
                text[at] = (char)byte;
                assert_int_equal(str__is_plain_value(str__n(text, len)),
                                 byte >= 0x20 && byte < 0x7f &&
                                     (byte > 0x20 || (at > 0 && at < len - 1)));
            }
        }
    }
}

/* Each byte at each place of each length around that of a machine word. */
static void token_characters_are_those_of_rfc_9110(void **state)
{
    static const char allowed[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    (void)state;
    for (int c = 0; c < 256; c++) {
        bool good = c != 0 && strchr(allowed, c) != NULL;

        for (size_t len = 1; len < 20; len++) {
            for (size_t at = 0; at < len; at++) {
                char text[20];

                memset(text, 'x', sizeof(text));
                text[at] = (char)c;
                assert_int_equal(http__is_token(str__n(text, len)), good);
                assert_int_equal(str__is_word(str__n(text, len)), good && (c == '-' || isalnum(c)));
            }
        }
    }
}

static void hex_digits_have_their_values(void **state)
{
    static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";

    (void)state;
    for (int c = 0; c < 256; c++) {
        int want = -1;

        for (int digit = 0; digit < 16; digit++) {
            if (lower[digit] == c || upper[digit] == c)
                want = digit;
        }
        assert_int_equal(str__hex_digit((char)c), want);
    }
}

/* All bytes, at each place in up to two words, and nothing behind the last digit. */
static void bytes_are_written_as_hex_digits(void **state)
{
    (void)state;
    for (unsigned len = 0; len <= 9; len++) {
        for (unsigned first = 0; first < 256; first++) {
            uint8_t bytes[9];
            char out[19], want[19] = "";

            for (unsigned i = 0; i < len; i++) {
                bytes[i] = (uint8_t)(first + i * 37);
                snprintf(want + 2 * i, 3, "%02x", (unsigned)bytes[i]);
            }
            memset(out, '!', sizeof(out));
            assert_ptr_equal(hex__put(out, bytes, len), out + 2 * len);
            assert_memory_equal(out, want, 2 * len);
            assert_true(out[2 * len] == '!');
        }
    }
}

static void u64_refuses_overflow(void **state)
{
    uint64_t v;

    (void)state;
    assert_true(str__to_u64(STR("18446744073709551615"), &v));
    assert_true(v == UINT64_MAX);
    assert_false(str__to_u64(STR("18446744073709551616"), &v));
    assert_false(str__to_u64(STR("-1"), &v));
    assert_false(str__to_u64(STR(""), &v));
}

static void buffer_stops_at_its_maximum(void **state)
{
    struct buf b;

    (void)state;
    buf__init(&b, 4);
    buf__append(&b, "abcd", 4);
    assert_false(b.failed);
    buf__byte(&b, 'e');
    assert_true(b.failed);
    assert_int_equal(b.len, 4);
    buf__free(&b);
}

/* With the NUL, as many bytes as it was lent; then its own, which are freed or taken. */
static void buffer_begins_in_lent_memory(void **state)
{
    char first[4];
    struct buf b;
    char *taken;
    size_t len;

    (void)state;
    buf__init_in(&b, first, sizeof(first), 100);
    assert_str(buf__view(&b), "");
    buf__append(&b, "abc", 3);
    assert_ptr_equal(b.data, first);
    assert_string_equal(first, "abc");
    taken = buf__take(&b, &len);
    assert_ptr_not_equal(taken, first);
    assert_int_equal(len, 3);
    assert_string_equal(taken, "abc");
    free(taken);
    buf__init_in(&b, first, sizeof(first), 100);
    buf__append(&b, "abc", 3);
    buf__byte(&b, 'd');
    assert_ptr_not_equal(b.data, first);
    assert_string_equal(b.data, "abcd");
    buf__free(&b);
    buf__init_in(&b, first, sizeof(first), 2);
    buf__append(&b, "ab", 2);
    assert_false(b.failed);
    buf__byte(&b, 'c');
    assert_true(b.failed);
    assert_string_equal(first, "ab");
    buf__free(&b);
}

static void arena_uses_first_bytes_then_the_heap(void **state)
{
    char first[64];
    struct arena a;
    char *p;

    (void)state;
    arena__init(&a, first, sizeof(first), 8192);
    p = arena__alloc(&a, 16);
    assert_true(p >= first && p < first + sizeof(first));
    p = arena__alloc(&a, 100);
    assert_non_null(p);
    assert_true(p < first || p >= first + sizeof(first));
    assert_null(arena__alloc(&a, 10000));
    assert_null(arena__alloc(&a, SIZE_MAX));
    assert_null(arena__alloc(&a, SIZE_MAX - 20));
    arena__free(&a);
}

static void arena_goes_back(void **state)
{
    char first[64], *p;
    struct arena a, before;

    (void)state;
    arena__init(&a, first, sizeof(first), 12000);
    p = arena__alloc(&a, 5000);
    before = a;
    assert_non_null(p);
    for (int i = 0; i < 3; i++) { /* what was given back can be had again */
        assert_non_null(arena__alloc(&a, 6000));
        assert_null(arena__alloc(&a, 6000));
        arena__rewind(&a, &before);
    }
    memset(p, 1, 5000);
    arena__free(&a);
}

struct item {
    char key[16];
};

static struct str item_key(const void *item)
{
    return str__of(((const struct item *)item)->key);
}

static void map_survives_many_adds_and_removes(void **state)
{
    static struct item items[5000];
    struct map_seed seed = {1, 2};
    struct map m;
    uint32_t at = 0, n = 0;

    (void)state;
    map__init(&m, item_key, &seed);
    for (int i = 0; i < 5000; i++) {
        snprintf(items[i].key, sizeof(items[i].key), "k%d", i);
        assert_true(map__add(&m, &items[i]));
    }
    for (int i = 0; i < 5000; i += 2)
        assert_ptr_equal(map__remove(&m, str__of(items[i].key)), &items[i]);
    for (int i = 0; i < 5000; i++)
        assert_ptr_equal(map__get(&m, str__of(items[i].key)), i % 2 ? &items[i] : NULL);
    while (map__next(&m, &at))
        n++;
    assert_int_equal(n, 2500);
    assert_null(map__remove(&m, STR("nobody")));
    map__free(&m);
}

static void base64_is_strict(void **state)
{
    char first[256];
    struct arena a;
    struct buf b;

    (void)state;
    arena__init(&a, first, sizeof(first), 4096);
    buf__init(&b, 100);
    base64__encode(&b, "\x00\xff\xfe", 3);
    assert_str(buf__view(&b), "AP/+");
    buf__reset(&b);
    base64__encode_url(&b, "\x00\xff\xfe\x01", 4);
    assert_str(buf__view(&b), "AP_-AQ");
    assert_int_equal(base64__decode(&a, STR("AP/+")).len, 3);
    assert_int_equal(base64__decode_url(&a, STR("AP_-AQ")).len, 4);
    assert_non_null(base64__decode(&a, STR("")).ptr);
    assert_null(base64__decode(&a, STR("AP/")).ptr);
    assert_null(base64__decode(&a, STR("A=/+")).ptr);
    assert_null(base64__decode(&a, STR(" P/+")).ptr);
    assert_null(base64__decode(&a, STR("AP_-")).ptr);
    assert_null(base64__decode_url(&a, STR("AP/+")).ptr);
    buf__free(&b);
    arena__free(&a);
}

static enum ph_err parse(struct arena *a, const char *text, struct json **out)
{
    struct json_limits limits = {.depth = 4, .nodes = 100};

    return json__parse(a, str__of(text), &limits, out, NULL);
}

static void json_nodes_know_their_bytes(void **state)
{
    struct arena a;
    struct json *root;
    uint64_t v;

    (void)state;
    arena__init(&a, NULL, 0, 1 << 20);
    assert_int_equal(parse(&a,
                           " {\"a\" : [1, -2.50e3,{\"x\":null} ] ,\"s\":\"\\u0041\\n\", "
                           "\"o\":{ }, \"n\":12}  ",
                           &root),
                     PH_OK);
    assert_str(json__get(root, STR("a"))->raw, "[1, -2.50e3,{\"x\":null} ]");
    assert_int_equal(json__get(root, STR("a"))->count, 3);
    assert_str(json__get(root, STR("a"))->child->next->raw, "-2.50e3");
    assert_str(json__get(root, STR("s"))->raw, "\"\\u0041\\n\"");
    assert_str(json__get_string(root, STR("s")), "A\n");
    assert_str(json__get(root, STR("o"))->raw, "{ }");
    assert_true(json__to_u64(json__get(root, STR("n")), &v) && v == 12);
    assert_int_equal(parse(&a, "12", &root), PH_OK);
    assert_str(root->raw, "12");
    assert_str(root->string, "12");
    assert_int_equal(parse(&a, "  \"x\" ", &root), PH_OK);
    assert_str(root->raw, "\"x\"");
    arena__free(&a);
}

static void json_refuses(void **state)
{
    static const struct {
        const char *text;
        enum ph_err err;
    } rows[] = {
        {"", PH_ERR_SYNTAX},         {"{", PH_ERR_SYNTAX},        {"tru", PH_ERR_SYNTAX},
        {"1 2", PH_ERR_SYNTAX},      {"{\"a\":}", PH_ERR_SYNTAX}, {"[1,]", PH_ERR_SYNTAX},
        {"\"\xff\"", PH_ERR_SYNTAX}, {"// c\n1", PH_ERR_SYNTAX},  {"[[[[[1]]]]]", PH_ERR_LIMIT},
        {"{} x", PH_ERR_SYNTAX},     {"nul", PH_ERR_SYNTAX},      {"\"a", PH_ERR_SYNTAX},
        {"{} \"a", PH_ERR_SYNTAX},   {"1 \"", PH_ERR_SYNTAX},     {"\f1", PH_ERR_SYNTAX},
        {"[1,\v2]", PH_ERR_SYNTAX},  {"\"\f\"", PH_ERR_SYNTAX},
    };
    struct arena a;
    struct json *root;

    (void)state;
    arena__init(&a, NULL, 0, 1 << 20);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (parse(&a, rows[i].text, &root) != rows[i].err)
            fail_msg("%s", rows[i].text);
    }
    assert_int_equal(parse(&a, "[[[[1]]]]", &root), PH_OK);
    arena__free(&a);
}

static enum ph_err check_both(struct arena *a, const char *text, uint32_t depth)
{
    struct json_limits both = {.depth = depth, .nodes = 1000};
    enum ph_err err = json__check(str__of(text), depth, NULL);
    struct json *root;

    assert_int_equal(json__parse(a, str__of(text), &both, &root, NULL), err);
    return err;
}

static void json_check_judges_as_the_parser_does(void **state)
{
    static const char *const good[] = {"1",    "-0.5e+3", "null", "true",       "\"\"",
                                       " [] ", "{}",      "[[]]", "{\"a\":{}}", "\"\\u0000\""};
    static const char *const bad[] = {"",         " ",      "[",    "]",         "{\"a\"}",
                                      "{\"a\":}", "1 2",    "[1,]", "nul",       "\"\xff\"",
                                      "/* */ 1",  "\"\n\"", "01",   "{1:2}",     "[1}",
                                      "{}{}",     "{} \"a", "1 \"", "\"a\" \"b", "[] \""};
    struct arena a;
    struct diag diag = {""};

    (void)state;
    arena__init(&a, NULL, 0, 1 << 20);
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_int_equal(check_both(&a, good[i], 2), PH_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(check_both(&a, bad[i], 2), PH_ERR_SYNTAX);
    assert_int_equal(check_both(&a, "[{\"a\":[1]}]", 2), PH_ERR_LIMIT);
    assert_int_equal(check_both(&a, "[{\"a\":[1]}]", 3), PH_OK);
    json__check(STR("[\n1,]"), 2, &diag);
    assert_non_null(strstr(diag.text, "line 2"));
    arena__free(&a);
}

static void hub_names(void **state)
{
    char name[NAMES_HUB_MAX + 2];

    (void)state;
    assert_true(names__valid_hub(STR("a")));
    assert_true(names__valid_hub(STR("Z9_`,.[]")));
    assert_false(names__valid_hub(STR("")));
    assert_false(names__valid_hub(STR_NONE));
    assert_false(names__valid_hub(STR("_a")));
    assert_false(names__valid_hub(STR("9")));
    assert_false(names__valid_hub(STR("a/b")));
    assert_false(names__valid_hub(STR("a-b")));
    assert_false(names__valid_hub(str__n("a\0b", 3)));
    assert_false(names__valid_hub(STR("a\xc3\xa4")));
    memset(name, 'h', sizeof(name));
    for (size_t len = NAMES_HUB_MAX - 1; len <= NAMES_HUB_MAX + 1; len++)
        assert_int_equal(names__valid_hub(str__n(name, len)), len <= NAMES_HUB_MAX);
}

static void event_names(void **state)
{
    char name[NAMES_EVENT_MAX + 2];

    (void)state;
    assert_true(names__valid_event(STR("a")));
    assert_true(names__valid_event(STR("Z9_.-")));
    assert_false(names__valid_event(STR("")));
    assert_false(names__valid_event(STR_NONE));
    assert_false(names__valid_event(STR(".a")));
    assert_false(names__valid_event(STR("9")));
    assert_false(names__valid_event(STR("a,b")));
    assert_false(names__valid_event(STR("a/b")));
    assert_false(names__valid_event(str__n("a\0b", 3)));
    assert_false(names__valid_event(STR("a\xc3\xa4")));
    memset(name, 'e', sizeof(name));
    for (size_t len = NAMES_EVENT_MAX - 1; len <= NAMES_EVENT_MAX + 1; len++)
        assert_int_equal(names__valid_event(str__n(name, len)), len <= NAMES_EVENT_MAX);
}

static void json_deep_values_are_bytes_alone(void **state)
{
    struct json_limits limits = {.depth = 4, .nodes = 4, .tree = 1};
    struct str text = STR("{\"a\":[1,{\"b\":[2]},\"c\"] , \"d\" : {\"e\":null},\"f\":true}");
    struct arena a;
    struct json *root;

    (void)state;
    arena__init(&a, NULL, 0, 1 << 20);
    assert_int_equal(json__parse(&a, text, &limits, &root, NULL), PH_OK);
    assert_int_equal(root->count, 3);
    assert_str(root->raw, text.ptr);
    assert_str(json__get(root, STR("a"))->raw, "[1,{\"b\":[2]},\"c\"]");
    assert_null(json__get(root, STR("a"))->child);
    assert_str(json__get(root, STR("d"))->raw, "{\"e\":null}");
    assert_true(json__get(root, STR("f"))->boolean);
    limits.depth = 3;
    assert_int_equal(json__parse(&a, text, &limits, &root, NULL), PH_ERR_LIMIT);
    assert_int_equal(json__parse(&a, STR("{\"a\":[tru]}"), &limits, &root, NULL), PH_ERR_SYNTAX);
    arena__free(&a);
}

static void json_comments_do_not_shift_values(void **state)
{
    struct json_limits limits = {.depth = 4, .nodes = 100, .comments = true};
    struct str text = STR("// top\n{ /* a, b: */ \"k\": /* x */ 5, // y\n \"l\": \"z\" }\n");
    struct arena a;
    struct json *root;

    (void)state;
    arena__init(&a, NULL, 0, 1 << 20);
    assert_int_equal(json__parse(&a, text, &limits, &root, NULL), PH_OK);
    assert_str(json__get(root, STR("k"))->raw, "5");
    assert_str(json__get(root, STR("l"))->raw, "\"z\"");
    assert_int_equal(json__line(text, json__get(root, STR("l"))), 3);
    arena__free(&a);
}

/* Each byte at each place of each length around that of a machine word. */
static void json_quote_escapes_anywhere(void **state)
{
    struct buf b;

    (void)state;
    buf__init(&b, 1000);
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t len = 1; len < 20; len++) {
            for (size_t at = 0; at < len; at++) {
                bool plain = byte >= 32 && byte != '"' && byte != '\\';
                char text[20];
                struct str got;

                memset(text, len % 2 ? ' ' : '\xff', sizeof(text));
                text[at] = (char)byte;
                buf__reset(&b);
                json__quote(&b, str__n(text, len));
                got = buf__view(&b);
                assert_memory_equal(got.ptr + 1, text, at);
                assert_int_equal(got.ptr[at + 1], plain ? text[at] : '\\');
                assert_memory_equal(got.ptr + got.len - (len - at), text + at + 1, len - at - 1);
                assert_int_equal(got.len == len + 2, plain);
            }
        }
    }
    buf__free(&b);
}

static void json_quote_escapes(void **state)
{
    struct buf b;

    (void)state;
    buf__init(&b, 1000);
    json__quote(&b, STR_NONE);
    assert_str(buf__view(&b), "\"\"");
    buf__reset(&b);
    json__quote(&b, str__n("a\"b\\\x01\n\xc3\xa9\0", 9));
    assert_str(buf__view(&b), "\"a\\\"b\\\\\\u0001\\n\xc3\xa9\\u0000\"");
    buf__free(&b);
}

static void times_are_written(void **state)
{
    static const struct {
        int64_t unix_ms;
        const char *text, *with_ms;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"},
        {951868799999, "2000-02-29T23:59:59Z", "2000-02-29T23:59:59.999Z"},
        {1795289527040, "2026-11-21T19:32:07Z", "2026-11-21T19:32:07.040Z"},
        {253402300799007, "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.007Z"},
    };
    char text[CLOCK_RFC3339_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        clock__rfc3339(text, cases[i].unix_ms, 0);
        assert_string_equal(text, cases[i].text);
        clock__rfc3339(text, cases[i].unix_ms, 1);
        assert_string_equal(text, cases[i].with_ms);
    }
}

static void numbers_are_written(void **state)
{
    static const struct {
        uint64_t value;
        const char *text;
    } cases[] = {{0, "0"}, {9, "9"}, {10, "10"}, {UINT64_MAX, "18446744073709551615"}};
    char room[STR_U64_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct str got = str__from_u64(room, cases[i].value);

        assert_int_equal(got.len, strlen(cases[i].text));
        assert_string_equal(got.ptr, cases[i].text);
    }
}

/* Over several fillings, the last bytes of which do not suffice. */
static void a_pool_gives_no_bytes_twice(void **state)
{
    enum { TAKEN = 1000, LEN = 24 };
    static struct random_pool pool;
    static uint8_t taken[TAKEN][LEN], more[sizeof(pool.bytes) + 1];

    (void)state;
    for (size_t i = 0; i < TAKEN; i++) {
        assert_true(random__take(&pool, taken[i], LEN));
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(taken[i], taken[j], LEN);
        assert_null(memmem(pool.bytes, sizeof(pool.bytes), taken[i], LEN));
    }
    assert_false(random__take(&pool, more, sizeof(more)));
    assert_true(random__take(&pool, more, sizeof(pool.bytes)));
}

#define TIMES_4(s) s s s s
#define TIMES_64(s) TIMES_4(TIMES_4(TIMES_4(s)))
#define TIMES_131(s) TIMES_64(s) TIMES_64(s) s s s

/* RFC 4231, cases 2, 6 and 7; without key and message; and full blocks. */
static void macs_are_those_of_the_standard(void **state)
{
    static const struct {
        struct str key, message;
        const char *mac;
    } rows[] = {
        {STR("Jefe"), STR("what do ya want for nothing?"),
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {STR(TIMES_131("\xaa")), STR("Test Using Larger Than Block-Size Key - Hash Key First"),
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {STR(TIMES_131("\xaa")),
         STR("This is a test using a larger than block-size key and a larger than block-size data. "
             "The key needs to be hashed before being used by the HMAC algorithm."),
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
        {STR(""), STR(""), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
        {STR(""), STR_NONE, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
        {STR(TIMES_64("k")), STR(TIMES_64("m")),
         "6c5d941ffa5c767ab48ab913e070f40807115a8478907ad61bee6f2283c72966"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct mac_key *key = mac__key_new(rows[i].key);
        uint8_t mac[MAC_SIZE];
        char digits[2 * MAC_SIZE + 1];

        for (int again = 0; again < 2; again++) {
            mac__sign(key, rows[i].message, mac);
            for (size_t b = 0; b < MAC_SIZE; b++)
                snprintf(digits + 2 * b, 3, "%02x", mac[b]);
            assert_string_equal(digits, rows[i].mac);
        }
        assert_str(mac__key_text(key), rows[i].key.ptr);
        mac__key_free(key);
    }
}

static void jwt_round_trip_and_refusals(void **state)
{
    struct mac_key *key = mac__key_new(STR("k1")), *other = mac__key_new(STR("k2"));
    struct mac_key *both[] = {other, key};
    struct jwt_rules rules = {.keys = both, .key_count = 2, .now = 1000, .skew = 300};
    const struct json *claims;
    struct arena a;
    struct buf b;

    (void)state;
    arena__init(&a, NULL, 0, 1 << 20);
    buf__init(&b, JWT_MAX_LEN);
    jwt__sign(&b, STR("{\"sub\":\"u\",\"exp\":2000,\"nbf\":1200.5}"), key);
    assert_int_equal(jwt__verify(&a, buf__view(&b), &rules, &claims, NULL), PH_OK);
    assert_str(json__get_string(claims, STR("sub")), "u");
    rules.key_count = 1; /* only the other key */
    assert_int_equal(jwt__verify(&a, buf__view(&b), &rules, &claims, NULL), PH_ERR_AUTH);
    rules.key_count = 0;
    assert_int_equal(jwt__verify(&a, buf__view(&b), &rules, &claims, NULL), PH_ERR_AUTH);
    rules.key_count = 2;
    rules.now = 2299;
    assert_int_equal(jwt__verify(&a, buf__view(&b), &rules, &claims, NULL), PH_OK);
    rules.now = 2300;
    assert_int_equal(jwt__verify(&a, buf__view(&b), &rules, &claims, NULL), PH_ERR_AUTH);
    rules.now = 899;
    assert_int_equal(jwt__verify(&a, buf__view(&b), &rules, &claims, NULL), PH_ERR_AUTH);
    b.data[b.len - 1] = b.data[b.len - 1] == 'A' ? 'E' : 'A';
    rules.now = 1000;
    assert_int_equal(jwt__verify(&a, buf__view(&b), &rules, &claims, NULL), PH_ERR_AUTH);
    /* {"alg":"none"} . {"exp":2000} . empty */
    assert_int_equal(
        jwt__verify(&a, STR("eyJhbGciOiJub25lIn0.eyJleHAiOjIwMDB9."), &rules, &claims, NULL),
        PH_ERR_AUTH);
    assert_int_equal(jwt__verify(&a, STR("a.b"), &rules, &claims, NULL), PH_ERR_SYNTAX);
    buf__free(&b);
    arena__free(&a);
    mac__key_free(key);
    mac__key_free(other);
}

static void utf8_at_every_split(void **state)
{
    static const char good[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbfz";
    static const char *const bad[] = {"\xc0\x80",     "\xed\xa0\x80",    "\xf4\x90\x80\x80",
                                      "\x80",         "\xe2\x82",        "\xff",
                                      "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf"};

    (void)state;
    for (size_t i = 0; i <= sizeof(good) - 1; i++) {
        struct utf8 u = UTF8_START;

        assert_true(utf8__feed(&u, good, i));
        assert_true(utf8__feed(&u, good + i, sizeof(good) - 1 - i));
        assert_true(utf8__complete(&u));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(utf8__valid(str__of(bad[i])));
    assert_true(utf8__valid(STR_NONE));
}

static void utf8_is_cut_between_characters(void **state)
{
    static const struct {
        const char *text;
        size_t max, want;
    } rows[] = {
        {"", 0, 0},
        {"abc", 3, 3},
        {"abc", 2, 2},
        {"abc", 0, 0},
        {"a\xc3\xa9", 3, 3},
        {"a\xc3\xa9", 2, 1},
        {"\xc3\xa9", 1, 0},
        {"\xe2\x82\xac", 3, 3},
        {"\xe2\x82\xac", 2, 0},
        {"\xe2\x82\xac", 1, 0},
        {"a\xf0\x9f\x98\x80z", 5, 5},
        {"a\xf0\x9f\x98\x80z", 4, 1},
        {"a\xf0\x9f\x98\x80z", 2, 1},
        {"a\xf0\x9f\x98", 9, 1}, /* somebody has cut already */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_int_equal(utf8__cut(str__of(rows[i].text), rows[i].max).len, rows[i].want);
    assert_int_equal(utf8__cut(STR_NONE, 5).len, 0);
}

/* Some go to peers, in JSON and in close frames. */
static void long_sentences_are_cut_between_characters(void **state)
{
    char text[2 * sizeof(((struct diag *)0)->text)];
    struct diag diag;

    (void)state;
    for (size_t before = 0; before < 2; before++) {
        memset(text, 'x', before);
        for (size_t i = before; i + 2 < sizeof(text); i += 2)
            memcpy(text + i, "\xc3\xa9", 3);
        diag__set(&diag, PH_ERR_SYNTAX, "%s", text);
        assert_true(utf8__valid(str__of(diag.text)));
        assert_true(strlen(diag.text) >= sizeof(diag.text) - 2);
    }
}

static void urls(void **state)
{
    struct url_query q;
    struct arena a;
    struct str host;
    uint16_t port;

    (void)state;
    arena__init(&a, NULL, 0, 1 << 16);
    assert_str(url__decode(&a, STR("gr%20oup%2F1%3A2+"), false), "gr oup/1:2+");
    assert_null(url__decode(&a, STR("%0"), false).ptr);
    assert_null(url__decode(&a, STR("%00"), false).ptr);
    assert_true(url__parse_query(&a, STR("a=1&b=x%26y&a=2&&c"), 10, &q));
    assert_int_equal(q.count, 4);
    assert_str(url__query_get(&q, STR("B"), true), "x&y");
    assert_str(url__query_get(&q, STR("c"), false), "");
    assert_null(url__query_get(&q, STR("d"), false).ptr);
    assert_false(url__parse_query(&a, STR("a&b&c"), 2, &q));
    assert_true(url__host_port(STR("[::1]:80"), &host, &port) && port == 80);
    assert_str(host, "::1");
    assert_false(url__host_port(STR("localhost"), &host, &port));
    assert_false(url__host_port(STR("h:65536"), &host, &port));
    assert_false(url__host_port(STR("::1:80"), &host, &port));
    assert_str(url__host_only(STR("example.com:81")), "example.com");
    assert_true(url__is_loopback(STR("LocalHost")));
    assert_true(url__is_loopback(STR("127.1.2.3")));
    assert_false(url__is_loopback(STR("127.evil.example")));
    arena__free(&a);
}

static int check(const char *name1, const char *value1, const char *name2, const char *value2)
{
    struct http_header items[] = {{str__of(name1), str__of(value1)},
                                  {str__of(name2), str__of(value2)}};
    struct http_headers h = {.items = items, .count = name2 ? 2 : 1, .cap = 2};
    struct http_limits limits = {.headers = 2, .header_bytes = 40};

    return http__check(&h, &limits, NULL);
}

static void http_refuses_smuggling(void **state)
{
    struct http_header coding = {STR("Transfer-Encoding"), STR("\xff")};
    const struct http_headers odd = {.items = &coding, .count = 1, .cap = 1};
    const struct http_limits limits = {1, 40};
    struct diag diag = {""};

    (void)state;
    assert_int_equal(check("Host", "a", "X", "b"), 0);
    assert_int_equal(check("Host", "a", "host", "a"), 400);
    assert_int_equal(check("Content-Length", "1", "content-length", "1"), 400);
    assert_int_equal(check("Content-Length", "1", "Transfer-Encoding", "chunked"), 400);
    assert_int_equal(check("Host", "a", "Transfer-Encoding", "Chunked"), 0);
    assert_int_equal(check("Host", "a", "Transfer-Encoding", "gzip, chunked"), 501);
    http__check(&odd, &limits, &diag);
    assert_true(utf8__valid(str__of(diag.text)));
    assert_int_equal(check("X", "a\x01", NULL, NULL), 400);
    assert_int_equal(check("X", "a\r", NULL, NULL), 400);
    assert_int_equal(check("X", "\xd0\xba\t", NULL, NULL), 0);
    assert_int_equal(check("X", "\ta\t\tb", NULL, NULL), 0);
    assert_int_equal(check("X", "\ta\t\t\x1f", NULL, NULL), 400);
    assert_int_equal(check("X Y", "a", NULL, NULL), 400);
    assert_int_equal(check("X", "0123456789012345678901234567890123456789", NULL, NULL), 431);
}

static void http_token_needs_no_quotes(void **state)
{
    (void)state;
    assert_true(http__is_token(STR("json.webpubsub.azure.v1")));
    assert_false(http__is_token(STR("")));
    assert_false(http__is_token(STR("a b")));
    assert_false(http__is_token(STR("a,b")));
    assert_false(http__is_token(STR("a\x7f")));
    assert_false(http__is_token(STR("\xc3\xa9")));
}

static void targets_of_both_forms(void **state)
{
    static const struct {
        const char *target, *path, *query;
    } rows[] = {
        {"/a/b?c=d?e", "/a/b", "c=d?e"},
        {"/a?", "/a", ""},
        {"/a", "/a", NULL},
        {"http://h:1/a?b", "/a", "b"},
        {"HTTPS://h/", "/", NULL},
        {"http://h", "/", NULL},
        {"http://h?b=c", "/", "b=c"},
        {"?b", "", "b"},
        {"http:/a", "http:/a", NULL},
        {"*", "*", NULL},
    };
    struct http_request req;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        http__set_target(&req, str__of(rows[i].target));
        assert_str(req.path, rows[i].path);
        if (rows[i].query)
            assert_str(req.query, rows[i].query);
        else
            assert_null(req.query.ptr);
    }
}

static void keep_line(void *arg, enum ph_log_level level, const char *line, size_t len)
{
    struct buf *out = arg;

    (void)level;
    buf__reset(out);
    buf__append(out, line, len);
}

static void log_lines_cannot_be_forged(void **state)
{
    struct ph_log *log = ph_log_new(PH_LOG_INFO, PH_LOG_TEXT);
    struct buf line;
    struct str said;

    (void)state;
    buf__init(&line, 1000);
    ph_log_set_sink(log, keep_line, &line);
    log__info(log, LOG_FIELDS("hub", "x status=200", "user", "\xff\n"), "a\nb");
    said = buf__view(&line);
    said = str__n(said.ptr + strlen("2026-11-20T19:13:27.123Z "), said.len - 25);
    assert_str(said, "info  a\\x0ab hub=\"x status=200\" user=\\xff\\x0a\n");
    log__debug(log, LOG_NONE, "not wanted");
    assert_int_equal(line.len, said.len + 25);
    buf__free(&line);
    ph_log_free(log);
}

/* As long and as odd as a peer may make what is logged of it. */
static void log_lines_end_however_long(void **state)
{
    static const char odd[] = {'a', '\x1f', '"', '\xff', '\xa0'};
    static char value[20000];

    (void)state;
    for (size_t i = 0; i < sizeof(odd); i++) {
        for (int format = PH_LOG_TEXT; format <= PH_LOG_JSON; format++) {
            struct ph_log *log = ph_log_new(PH_LOG_INFO, (enum ph_log_format)format);
            struct buf line;

            memset(value, odd[i], sizeof(value) - 1);
            buf__init(&line, 1 << 20);
            ph_log_set_sink(log, keep_line, &line);
            log__info(log, LOG_FIELDS("from", value, "hub", value, "user", value, "event", value),
                      "%s", value);
            assert_int_equal(line.data[line.len - 1], '\n');
            if (format == PH_LOG_JSON)
                assert_int_equal(json__check(buf__view(&line), 1, NULL), PH_OK);
            buf__free(&line);
            ph_log_free(log);
        }
    }
}

static void long_values_are_cut_between_characters(void **state)
{
    struct ph_log *log = ph_log_new(PH_LOG_INFO, PH_LOG_TEXT);
    char value[1024 + 3] = "";
    struct buf line;

    (void)state;
    memset(value, 'v', 1024);
    buf__init(&line, 1 << 16);
    ph_log_set_sink(log, keep_line, &line);
    log__info(log, LOG_FIELDS("hub", value), "at its limit");
    assert_null(strstr(line.data, "..."));
    memcpy(value + 1022, "\xe2\x82\xac", 4);
    buf__reset(&line);
    log__info(log, LOG_FIELDS("hub", value), "over it");
    assert_non_null(strstr(line.data, "vv...\n"));
    buf__free(&line);
    ph_log_free(log);
}

/* Limits of the log ------------------------------------------------------------------- */

static void log_lines_of_a_kind_are_limited(void **state)
{
    static struct log_limits l;
    struct log_kind over;

    (void)state;
    l = (struct log_limits){0};
    for (int i = 0; i < LOG_LIMIT_LINES; i++)
        assert_true(log_limit__take(&l, 1, STR("a"), 1000));
    assert_false(log_limit__take(&l, 1, STR("one too many"), 1001));
    assert_false(log_limit__take(&l, 1, STR("the last"), 1000 + LOG_LIMIT_MS - 1));
    assert_true(log_limit__take(&l, 2, STR("b"), 1001)); /* another kind */
    assert_false(log_limit__over(&l, 1000 + LOG_LIMIT_MS - 1, &over));
    assert_true(log_limit__over(&l, 1000 + LOG_LIMIT_MS, &over));
    assert_int_equal(over.left_out, 2);
    assert_string_equal(over.sample, "the last");
    assert_false(log_limit__over(&l, INT64_MAX, &over));
    assert_true(log_limit__take(&l, 1, STR("a"), 1000 + LOG_LIMIT_MS));
}

static void a_kind_that_is_quiet_begins_anew(void **state)
{
    static struct log_limits l;

    (void)state;
    l = (struct log_limits){0};
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < LOG_LIMIT_LINES; i++)
            assert_true(log_limit__take(&l, 7, STR("a"), round * LOG_LIMIT_MS));
    }
}

static void more_kinds_than_slots_push_out_the_oldest(void **state)
{
    static struct log_limits l;

    (void)state;
    l = (struct log_limits){0};
    for (int i = 0; i < LOG_LIMIT_LINES; i++)
        assert_true(log_limit__take(&l, 1000, STR("a"), 5));
    for (int i = 0; i < LOG_LIMIT_KINDS - 1; i++)
        assert_true(log_limit__take(&l, (uint64_t)i, STR("b"), 6));
    assert_false(log_limit__take(&l, 1000, STR("a"), 7)); /* still there */
    assert_true(log_limit__take(&l, 2000, STR("c"), 8));  /* takes its slot */
    assert_true(log_limit__take(&l, 1000, STR("a"), 9));
}

static void kinds_are_told_by_origin_and_beginning(void **state)
{
    static const int here = 1, there = 2;

    (void)state;
    assert_true(log_limit__kind(&here, STR("closed (SlowClient): x1")) !=
                log_limit__kind(&here, STR("closed (Normal): x1")));
    assert_true(log_limit__kind(&here, STR("a")) != log_limit__kind(&there, STR("a")));
    assert_true(log_limit__kind(&here, STR("event handler http://host/1")) ==
                log_limit__kind(&here, STR("event handler http://host/2")));
}

static void count_lines(void *arg, enum ph_log_level level, const char *line, size_t len)
{
    struct buf *all = arg;

    (void)level;
    buf__append(all, line, len);
}

static void a_log_tells_how_many_lines_it_left_out(void **state)
{
    struct ph_log *log = ph_log_new(PH_LOG_INFO, PH_LOG_TEXT);
    struct buf all;
    size_t lines = 0;

    (void)state;
    buf__init(&all, 1u << 20);
    ph_log_set_sink(log, count_lines, &all);
    for (int i = 0; i < LOG_LIMIT_LINES + 5; i++)
        log__info(log, LOG_NONE, "again and again and again %d", i);
    log__info(log, LOG_NONE, "something else");
    ph_log_free(log);
    buf__byte(&all, '\0');
    for (const char *at = all.data; (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines, LOG_LIMIT_LINES + 2);
    assert_non_null(strstr(all.data, "something else\n"));
    assert_non_null(strstr(all.data, "5 lines more like this were left out: again and again and "
                                     "again 104\n"));
    buf__free(&all);
}

static void debug_and_applications_have_no_limit(void **state)
{
    struct ph_log *log = ph_log_new(PH_LOG_DEBUG, PH_LOG_TEXT);
    struct buf all;
    size_t lines = 0;

    (void)state;
    buf__init(&all, 1u << 20);
    ph_log_set_sink(log, count_lines, &all);
    for (int i = 0; i < 2 * LOG_LIMIT_LINES; i++) {
        log__debug(log, LOG_NONE, "x");
        ph_log_write(log, PH_LOG_INFO, "y");
    }
    log__set_level(log, PH_LOG_WARN);
    log__info(log, LOG_NONE, "not wanted any more");
    ph_log_free(log);
    for (size_t i = 0; i < all.len; i++)
        lines += all.data[i] == '\n';
    assert_int_equal(lines, 4 * LOG_LIMIT_LINES);
    buf__free(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_lines_cannot_be_forged),
        cmocka_unit_test(log_lines_end_however_long),
        cmocka_unit_test(long_values_are_cut_between_characters),
        cmocka_unit_test(targets_of_both_forms),
        cmocka_unit_test(http_token_needs_no_quotes),
        cmocka_unit_test(split_keeps_empty_parts),
        cmocka_unit_test(control_characters_are_found_anywhere),
        cmocka_unit_test(placed_strings_follow_each_other),
        cmocka_unit_test(only_letters_have_a_case),
        cmocka_unit_test(token_characters_are_those_of_rfc_9110),
        cmocka_unit_test(hex_digits_have_their_values),
        cmocka_unit_test(bytes_are_written_as_hex_digits),
        cmocka_unit_test(u64_refuses_overflow),
        cmocka_unit_test(buffer_stops_at_its_maximum),
        cmocka_unit_test(buffer_begins_in_lent_memory),
        cmocka_unit_test(arena_uses_first_bytes_then_the_heap),
        cmocka_unit_test(arena_goes_back),
        cmocka_unit_test(map_survives_many_adds_and_removes),
        cmocka_unit_test(base64_is_strict),
        cmocka_unit_test(json_nodes_know_their_bytes),
        cmocka_unit_test(json_refuses),
        cmocka_unit_test(json_check_judges_as_the_parser_does),
        cmocka_unit_test(hub_names),
        cmocka_unit_test(event_names),
        cmocka_unit_test(json_deep_values_are_bytes_alone),
        cmocka_unit_test(json_comments_do_not_shift_values),
        cmocka_unit_test(json_quote_escapes),
        cmocka_unit_test(json_quote_escapes_anywhere),
        cmocka_unit_test(times_are_written),
        cmocka_unit_test(numbers_are_written),
        cmocka_unit_test(a_pool_gives_no_bytes_twice),
        cmocka_unit_test(macs_are_those_of_the_standard),
        cmocka_unit_test(jwt_round_trip_and_refusals),
        cmocka_unit_test(utf8_at_every_split),
        cmocka_unit_test(utf8_is_cut_between_characters),
        cmocka_unit_test(long_sentences_are_cut_between_characters),
        cmocka_unit_test(urls),
        cmocka_unit_test(http_refuses_smuggling),
        cmocka_unit_test(log_lines_of_a_kind_are_limited),
        cmocka_unit_test(a_kind_that_is_quiet_begins_anew),
        cmocka_unit_test(more_kinds_than_slots_push_out_the_oldest),
        cmocka_unit_test(kinds_are_told_by_origin_and_beginning),
        cmocka_unit_test(a_log_tells_how_many_lines_it_left_out),
        cmocka_unit_test(debug_and_applications_have_no_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
