/* pubhook/json.h: values by path, and the writer. */
#include "pubhook/json.h"

#include "event/event.h"
#include "unit.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>

static const char sample[] =
    "{\"user\":{\"name\":\"J\\u00fcrgen\",\"plain\":\"abc\",\"age\":42,\"nul\":\"a\\u0000b\"},"
    "\"items\":[{\"id\":7},{\"id\":-8,\"ok\":true},[1,[2]],null],"
    "\"a/b\":1,\"m~n\":2,\"c.d\":3,\"\":4,\"dup\":1,\"dup\":2,\"e\\u0301\":5,"
    "\"f\":1.5,\"whole\":3.0,\"exp\":1e3,\"big\":12345678901234567890,\"huge\":1e999,"
    "\"min\":-9223372036854775808,\"odd\":9007199254740993.0,\"empty\":\"\",\"no\":false,"
    "\"list\":[]}";

struct fixture {
    struct ph_json_doc *doc;
    const struct ph_json *root;
};

static int setup(void **state)
{
    static struct fixture f;

    assert_int_equal(ph_json_parse(sample, strlen(sample), &f.doc, NULL), PH_OK);
    f.root = ph_json_root(f.doc);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    ph_json_free(((struct fixture *)*state)->doc);
    return 0;
}

static void expect_text_at(const struct ph_json *value, const char *path, const char *want)
{
    size_t len = 99;
    const char *text = ph_json_string(value, path, &len);

    assert_str(str__n(text, len), want);
    if (!want)
        assert_int_equal(len, 0);
}

static void paths_reach_every_value(void **state)
{
    static const struct {
        const char *path;
        enum ph_json_type type;
    } rows[] = {
        {"", PH_JSON_OBJECT},
        {NULL, PH_JSON_OBJECT},
        {"/user", PH_JSON_OBJECT},
        {"/user/name", PH_JSON_STRING},
        {"/items", PH_JSON_ARRAY},
        {"/items/0/id", PH_JSON_NUMBER},
        {"/items/1/ok", PH_JSON_BOOL},
        {"/items/2/1/0", PH_JSON_NUMBER},
        {"/items/3", PH_JSON_NULL},
        {"/a~1b", PH_JSON_NUMBER},
        {"/m~0n", PH_JSON_NUMBER},
        {"/c.d", PH_JSON_NUMBER},
        {"/", PH_JSON_NUMBER},
        {"/e\xcc\x81", PH_JSON_NUMBER},
        /* none of these is there */
        {"/users", PH_JSON_ABSENT},
        {"user", PH_JSON_ABSENT},
        {"/user/", PH_JSON_ABSENT},
        {"/user/name/0", PH_JSON_ABSENT},
        {"/items/4", PH_JSON_ABSENT},
        {"/items/00", PH_JSON_ABSENT},
        {"/items/01", PH_JSON_ABSENT},
        {"/items/+1", PH_JSON_ABSENT},
        {"/items/-", PH_JSON_ABSENT},
        {"/items/", PH_JSON_ABSENT},
        {"/items/99999999999999999999", PH_JSON_ABSENT},
        {"/items/0/id/x", PH_JSON_ABSENT},
        {"/a/b", PH_JSON_ABSENT},
        {"/a~2b", PH_JSON_ABSENT},
        {"/a~", PH_JSON_ABSENT},
        {"/m~n", PH_JSON_ABSENT},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (ph_json_type(ph_json_at(f->root, rows[i].path)) != rows[i].type)
            fail_msg("%s", rows[i].path);
    }
    assert_int_equal(ph_json_int(ph_json_at(f->root, "/items/1"), "/id", 0), -8);
    assert_int_equal(ph_json_int(f->root, "/dup", 0), 2);
}

static void getters_give_what_is_there_or_the_fallback(void **state)
{
    struct fixture *f = *state;

    expect_text_at(f->root, "/user/name", "J\xc3\xbcrgen");
    expect_text_at(f->root, "/empty", "");
    expect_text_at(f->root, "/user/age", NULL);
    expect_text_at(f->root, "/none", NULL);
    assert_int_equal(ph_json_int(f->root, "/user/age", 7), 42);
    assert_int_equal(ph_json_int(f->root, "/whole", 7), 3);
    assert_int_equal(ph_json_int(f->root, "/exp", 7), 1000);
    assert_true(ph_json_int(f->root, "/min", 7) == INT64_MIN);
    assert_int_equal(ph_json_int(f->root, "/f", 7), 7);
    assert_int_equal(ph_json_int(f->root, "/big", 7), 7);
    assert_int_equal(ph_json_int(f->root, "/huge", 7), 7);
    assert_int_equal(ph_json_int(f->root, "/odd", 7), 7);
    assert_int_equal(ph_json_int(f->root, "/user/name", 7), 7);
    assert_int_equal(ph_json_int(f->root, "/none", 7), 7);
    assert_true(ph_json_double(f->root, "/f", 7) == 1.5);
    assert_true(ph_json_double(f->root, "/user/age", 7) == 42.0);
    assert_true(ph_json_double(f->root, "/big", 7) == 12345678901234567890.0);
    assert_true(ph_json_double(f->root, "/huge", 7) == 7);
    assert_true(ph_json_double(f->root, "/empty", 7) == 7);
    assert_int_equal(ph_json_bool(f->root, "/items/1/ok", 0), 1);
    assert_int_equal(ph_json_bool(f->root, "/no", 1), 0);
    assert_int_equal(ph_json_bool(f->root, "/user/age", 1), 1);
    assert_true(ph_json_is(f->root, "/user/plain", "abc"));
    assert_true(ph_json_is(f->root, "/empty", ""));
    assert_false(ph_json_is(f->root, "/user/plain", "ab"));
    assert_false(ph_json_is(f->root, "/user/nul", "a"));
    assert_false(ph_json_is(f->root, "/none", ""));
    assert_false(ph_json_is(f->root, "/empty", NULL));
}

static void nothing_is_copied_that_needs_not_be(void **state)
{
    struct fixture *f = *state;
    const char *text;
    size_t len;

    text = ph_json_string(f->root, "/user/plain", &len);
    assert_true(text > sample && text < sample + sizeof(sample));
    assert_int_equal(len, 3);
    text = ph_json_raw(f->root, "/items/2", &len);
    assert_true(text > sample && text < sample + sizeof(sample));
    assert_str(str__n(text, len), "[1,[2]]");
    text = ph_json_name(ph_json_at(f->root, "/user"), &len);
    assert_true(text > sample && text < sample + sizeof(sample));
    text = ph_json_string(f->root, "/user/name", &len);
    assert_false(text > sample && text < sample + sizeof(sample));
    assert_null(ph_json_raw(f->root, "/none", &len));
}

static void copies_end_with_a_nul(void **state)
{
    struct fixture *f = *state;
    char buffer[4] = "xyz";

    assert_int_equal(ph_json_copy(f->root, "/user/plain", buffer, 4), PH_OK);
    assert_string_equal(buffer, "abc");
    assert_int_equal(ph_json_copy(f->root, "/user/plain", buffer, 3), PH_ERR_LIMIT);
    assert_string_equal(buffer, "");
    assert_int_equal(ph_json_copy(f->root, "/user/nul", buffer, 4), PH_ERR_SYNTAX);
    assert_int_equal(ph_json_copy(f->root, "/user/age", buffer, 4), PH_ERR_NOT_FOUND);
    assert_int_equal(ph_json_copy(f->root, "/user/plain", NULL, 4), PH_ERR_ARGUMENT);
    assert_int_equal(ph_json_copy(f->root, "/user/plain", buffer, 0), PH_ERR_ARGUMENT);
    assert_int_equal(ph_json_copy(f->root, "/empty", buffer, 1), PH_OK);
}

static void members_and_items_are_walked_in_order(void **state)
{
    struct fixture *f = *state;
    const struct ph_json *user = ph_json_at(f->root, "/user"), *value;
    const char *const names[] = {"name", "plain", "age", "nul"};
    size_t n = 0, len;

    assert_int_equal(ph_json_count(user), 4);
    for (value = ph_json_first(user); value; value = ph_json_next(value), n++) {
        const char *name = ph_json_name(value, &len);

        assert_str(str__n(name, len), names[n]);
    }
    assert_int_equal(n, 4);
    value = ph_json_first(ph_json_at(f->root, "/items"));
    assert_int_equal(ph_json_int(value, "/id", 0), 7);
    assert_null(ph_json_name(value, &len));
    assert_int_equal(ph_json_count(ph_json_at(f->root, "/list")), 0);
    assert_null(ph_json_first(ph_json_at(f->root, "/list")));
    assert_int_equal(ph_json_count(ph_json_at(f->root, "/f")), 0);
    assert_null(ph_json_first(ph_json_at(f->root, "/f")));
}

static void nothing_happens_to_null(void **state)
{
    size_t len = 9;

    (void)state;
    assert_null(ph_json_root(NULL));
    ph_json_free(NULL);
    assert_int_equal(ph_json_type(NULL), PH_JSON_ABSENT);
    assert_null(ph_json_at(NULL, "/a"));
    assert_null(ph_json_first(NULL));
    assert_null(ph_json_next(NULL));
    assert_null(ph_json_name(NULL, &len));
    assert_null(ph_json_string(NULL, "", &len));
    assert_int_equal(ph_json_count(NULL), 0);
    assert_int_equal(ph_json_int(NULL, "/a", 5), 5);
}

static struct str repeated(char *out, const char *left, const char *right, size_t times)
{
    char *at = out;

    for (size_t i = 0; i < times; i++)
        at = stpcpy(at, left);
    for (size_t i = 0; i < times; i++)
        at = stpcpy(at, right);
    return str__n(out, (size_t)(at - out));
}

static enum ph_err parse(struct str text)
{
    struct ph_json_doc *doc;
    const char *why = NULL;
    enum ph_err err = ph_json_parse(text.ptr, text.len, &doc, &why);

    assert_int_equal(err == PH_OK, doc != NULL);
    assert_int_equal(err == PH_OK, why == NULL);
    ph_json_free(doc);
    return err;
}

static void what_is_parsed_is_limited(void **state)
{
    static char text[400004];
    struct ph_json_doc *doc;

    (void)state;
    for (size_t depth = 511; depth <= 513; depth++)
        assert_int_equal(parse(repeated(text, "[", "]", depth)),
                         depth <= 512 ? PH_OK : PH_ERR_LIMIT);
    for (size_t values = 99999; values <= 100001; values++) { /* with the array itself */
        struct str s = repeated(text, "1,", "", values - 1);

        memmove(text + 1, text, s.len);
        text[0] = '[';
        text[s.len] = ']';
        s.len++;
        assert_int_equal(parse(s), values <= 100000 ? PH_OK : PH_ERR_LIMIT);
    }
    assert_int_equal(ph_json_parse("1", (16u << 20) + 1, &doc, NULL), PH_ERR_LIMIT);
    assert_int_equal(ph_json_parse(NULL, 0, &doc, NULL), PH_ERR_ARGUMENT);
    assert_int_equal(ph_json_parse("1", 1, NULL, NULL), PH_ERR_ARGUMENT);
}

/* Cut at every byte, in memory of its exact size: an error or another value, nothing else. */
static void a_cut_text_is_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len < strlen(sample); len++) {
        char *copy = malloc(len ? len : 1);

        memcpy(copy, sample, len);
        assert_int_equal(parse(str__n(copy, len)), PH_ERR_SYNTAX);
        free(copy);
    }
    assert_int_equal(parse(STR("1 2")), PH_ERR_SYNTAX);
    assert_int_equal(parse(STR("\"\xff\"")), PH_ERR_SYNTAX);
    assert_int_equal(parse(STR("\"\xc0\xa0\"")), PH_ERR_SYNTAX);
    assert_int_equal(parse(STR("\"\xed\xa0\x80\"")), PH_ERR_SYNTAX);
    assert_int_equal(parse(STR(" 12 ")), PH_OK);
}

#define REPLACED "\xef\xbf\xbd" /* U+FFFD */

/* RFC 8259 section 7; and "\udc00" alone is half of a character, but what is read must be UTF-8
 * all the same. */
static void escapes_are_undone(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"},
        {"a\\nb", "a\nb"},
        {"\\u0041\\u00e9\\u20AC\\uFFFF", "A\xc3\xa9\xe2\x82\xac\xef\xbf\xbf"},
        {"\\ud7ff\\ue000", "\xed\x9f\xbf\xee\x80\x80"},
        {"\\ud83d\\ude00.", "\xf0\x9f\x98\x80."},
        {"\\uD800\\uDC00\\uDBFF\\uDFFF", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        {"\\ud800", REPLACED},
        {"\\ud800xy", REPLACED "xy"},
        {"\\ud800\\u0041", REPLACED "A"},
        {"\\ud800\\n\\u0041", REPLACED "\nA"},
        {"\\ud800\\ud83d\\ude00", REPLACED "\xf0\x9f\x98\x80"},
        {"\\ude00\\ud83d.", REPLACED REPLACED "."},
        {"a\\udc00b", "a" REPLACED "b"},
        {"\\\\ud800", "\\ud800"},
        {"\xed\x9f\xbf\\n\xe2\x82\xac", "\xed\x9f\xbf\n\xe2\x82\xac"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char text[100], path[50];
        struct ph_json_doc *doc;
        int len = snprintf(text, sizeof(text), "[\"%s\",{\"k\":{\"%s\" : 1}}]", rows[i].text,
                           rows[i].text);

        assert_int_equal(ph_json_parse(text, (size_t)len, &doc, NULL), PH_OK);
        expect_text_at(ph_json_root(doc), "/0", rows[i].want);
        snprintf(path, sizeof(path), "%s", rows[i].want);
        if (!strpbrk(path, "/~")) { /* as a name, too */
            snprintf(path, sizeof(path), "/1/k/%s", rows[i].want);
            assert_int_equal(ph_json_int(ph_json_root(doc), path, 0), 1);
        }
        ph_json_free(doc);
    }
}

static void events_are_parsed_once(void **state)
{
    struct ph_event ev = {.kind = PH_EVENT_USER,
                          .type = PH_DATA_JSON,
                          .data = STR("{\"a\":[1]}"),
                          .lock = PTHREAD_MUTEX_INITIALIZER};
    const struct ph_json *value;
    struct arena a;

    (void)state;
    arena__init(&a, NULL, 0, 1 << 20);
    ev.arena = &a;
    value = ph_event_json(&ev);
    assert_int_equal(ph_json_int(value, "/a/0", 0), 1);
    assert_ptr_equal(ph_event_json(&ev), value);
    ev.json_read = false;
    ev.json = NULL;
    ev.type = PH_DATA_TEXT;
    assert_null(ph_event_json(&ev));
    arena__free(&a);
}

/* --- writer --------------------------------------------------------------------------- */

static void expect_text(struct ph_json_writer *w, const char *want)
{
    const char *why, *text;
    size_t len;

    text = ph_json_writer_text(w, &len, &why);
    if (!text)
        fail_msg("%s", why);
    assert_null(why);
    assert_string_equal(text, want);
    assert_int_equal(len, strlen(want));
    assert_int_equal(parse(str__n(text, len)), PH_OK);
    ph_json_writer_free(w);
}

static void everything_is_written(void **state)
{
    struct ph_json_writer *w = ph_json_writer_new();
    struct fixture *f = *state;

    ph_json_put_object(w);
    ph_json_put_key(w, "te\"xt");
    ph_json_put_text(w, "a\n\"\\\x01\xc3\xa4");
    ph_json_put_key(w, "null");
    ph_json_put_text(w, NULL);
    ph_json_put_key(w, "list");
    ph_json_put_array(w);
    ph_json_put_int(w, INT64_MIN);
    ph_json_put_bool(w, 2);
    ph_json_put_bool(w, 0);
    ph_json_put_null(w);
    ph_json_put_string(w, "a\0b", 3);
    ph_json_put_raw(w, " [1] ", 5);
    ph_json_put_array(w);
    ph_json_put_end(w);
    ph_json_put_end(w);
    ph_json_put_key(w, "copy");
    ph_json_put_value(w, ph_json_at(f->root, "/items/1"));
    ph_json_put_key(w, "absent");
    ph_json_put_value(w, NULL);
    ph_json_put_key(w, "object");
    ph_json_put_object(w);
    ph_json_put_end(w);
    ph_json_put_end(w);
    expect_text(w, "{\"te\\\"xt\":\"a\\n\\\"\\\\\\u0001\xc3\xa4\",\"null\":null,"
                   "\"list\":[-9223372036854775808,true,false,null,\"a\\u0000b\", [1] ,[]],"
                   "\"copy\":{\"id\":-8,\"ok\":true},\"absent\":null,\"object\":{}}");
    w = ph_json_writer_new();
    ph_json_put_text(w, "");
    expect_text(w, "\"\"");
}

static void doubles_are_short_and_read_the_same(void **state)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0, "0"},
        {-0.0, "-0"},
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {1e300, "1e+300"},
        {5e-324, "4.94065645841247e-324"},
        {1e21, "1e+21"},
        {-2.5, "-2.5"},
        {123456789012345680.0, "1.2345678901234568e+17"},
        {0.1 + 0.2, "0.30000000000000004"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_json_writer *w = ph_json_writer_new();
        struct ph_json_doc *doc;
        const char *text;
        size_t len;

        ph_json_put_double(w, rows[i].value);
        text = ph_json_writer_text(w, &len, NULL);
        assert_int_equal(ph_json_parse(text, len, &doc, NULL), PH_OK);
        assert_true(ph_json_double(ph_json_root(doc), "", 7) == rows[i].value);
        ph_json_free(doc);
        expect_text(w, rows[i].text);
    }
}

/* Where the program's locale writes 1,5. */
static void numbers_do_not_follow_the_locale(void **state)
{
    struct fixture *f = *state;
    struct ph_json_writer *w = ph_json_writer_new();

    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "de_DE"))
        print_message("no locale with a decimal comma is installed\n");
    assert_true(ph_json_double(f->root, "/f", 7) == 1.5);
    ph_json_put_double(w, 1.5);
    expect_text(w, "1.5");
    setlocale(LC_NUMERIC, "C");
}

enum wrong {
    VALUE_WITHOUT_KEY,
    KEY_IN_ARRAY,
    KEY_AT_TOP,
    TWO_KEYS,
    KEY_WITHOUT_VALUE,
    END_TOO_MANY,
    OPEN,
    EMPTY,
    TWO_VALUES,
    INFINITE,
    NO_NUMBER,
    BAD_TEXT,
    BAD_KEY,
    NULL_KEY,
    BAD_RAW,
    EMPTY_RAW,
    TWO_RAW,
    NULL_RAW,
    TOO_DEEP,
    RAW_TOO_DEEP,
    TOO_LARGE,
    WRONG_COUNT
};

static void put_wrongly(struct ph_json_writer *w, enum wrong wrong)
{
    static char large[1 << 20];

    switch (wrong) {
    case VALUE_WITHOUT_KEY:
        ph_json_put_object(w);
        ph_json_put_int(w, 1);
        break;
    case KEY_IN_ARRAY:
        ph_json_put_array(w);
        ph_json_put_key(w, "a");
        break;
    case KEY_AT_TOP:
        ph_json_put_key(w, "a");
        break;
    case TWO_KEYS:
        ph_json_put_object(w);
        ph_json_put_key(w, "a");
        ph_json_put_key(w, "b");
        break;
    case KEY_WITHOUT_VALUE:
        ph_json_put_object(w);
        ph_json_put_key(w, "a");
        ph_json_put_end(w);
        break;
    case END_TOO_MANY:
        ph_json_put_array(w);
        ph_json_put_end(w);
        ph_json_put_end(w);
        break;
    case OPEN:
        ph_json_put_array(w);
        break;
    case EMPTY:
        break;
    case TWO_VALUES:
        ph_json_put_int(w, 1);
        ph_json_put_int(w, 2);
        break;
    case INFINITE:
        ph_json_put_double(w, HUGE_VAL);
        break;
    case NO_NUMBER:
        ph_json_put_double(w, (double)NAN);
        break;
    case BAD_TEXT:
        ph_json_put_text(w, "\xff");
        break;
    case BAD_KEY:
        ph_json_put_object(w);
        ph_json_put_key(w, "\xff");
        break;
    case NULL_KEY:
        ph_json_put_object(w);
        ph_json_put_key(w, NULL);
        break;
    case BAD_RAW:
        ph_json_put_raw(w, "{\"a\":", 5);
        break;
    case EMPTY_RAW:
        ph_json_put_raw(w, "", 0);
        break;
    case TWO_RAW:
        ph_json_put_raw(w, "1,2", 3);
        break;
    case NULL_RAW:
        ph_json_put_raw(w, NULL, 0);
        break;
    case TOO_DEEP:
        for (int i = 0; i < 513; i++)
            ph_json_put_array(w);
        for (int i = 0; i < 513; i++)
            ph_json_put_end(w);
        break;
    case RAW_TOO_DEEP:
        for (int i = 0; i < 511; i++)
            ph_json_put_array(w);
        ph_json_put_raw(w, "[[]]", 4);
        for (int i = 0; i < 511; i++)
            ph_json_put_end(w);
        break;
    case TOO_LARGE:
        memset(large, 'x', sizeof(large));
        ph_json_put_array(w);
        for (int i = 0; i < 17; i++)
            ph_json_put_string(w, large, sizeof(large));
        ph_json_put_end(w);
        break;
    case WRONG_COUNT:
        break;
    }
}

static void what_is_put_wrongly_is_never_sent(void **state)
{
    (void)state;
    for (int i = 0; i < WRONG_COUNT; i++) {
        struct ph_json_writer *w = ph_json_writer_new();
        struct ph_reply *reply;
        const char *why = NULL;
        size_t len = 9;

        put_wrongly(w, (enum wrong)i);
        if (ph_json_writer_text(w, &len, &why) || !why || len > 0)
            fail_msg("row %d passed", i);
        if (i != OPEN && i != EMPTY) { /* these two can still be mended */
            ph_json_put_end(w);
            ph_json_put_int(w, 1);
            assert_null(ph_json_writer_text(w, NULL, NULL));
        }
        reply = ph_reply_json_from(w);
        assert_non_null(reply->failed);
        ph_reply_free(reply);
    }
}

static void as_deep_as_it_may_be(void **state)
{
    struct ph_json_writer *w = ph_json_writer_new();

    (void)state;
    for (int i = 0; i < 511; i++)
        ph_json_put_array(w);
    ph_json_put_raw(w, "[1]", 3);
    for (int i = 0; i < 511; i++)
        ph_json_put_end(w);
    assert_non_null(ph_json_writer_text(w, NULL, NULL));
    ph_json_writer_free(w);
}

static void replies_are_made_from_it(void **state)
{
    struct ph_json_writer *w = ph_json_writer_new();
    struct ph_reply *reply;

    (void)state;
    ph_json_put_array(w);
    ph_json_put_end(w);
    reply = ph_reply_json_from(w);
    assert_null(reply->failed);
    assert_int_equal(reply->type, PH_DATA_JSON);
    assert_str(reply->data, "[]");
    ph_reply_free(reply);
    assert_null(ph_reply_json_from(NULL));
    ph_json_put_object(NULL);
    ph_json_put_key(NULL, "a");
    ph_json_put_int(NULL, 1);
    ph_json_put_end(NULL);
    assert_null(ph_json_writer_text(NULL, NULL, NULL));
    ph_json_writer_free(NULL);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(paths_reach_every_value),
        TEST(getters_give_what_is_there_or_the_fallback),
        TEST(nothing_is_copied_that_needs_not_be),
        TEST(copies_end_with_a_nul),
        TEST(members_and_items_are_walked_in_order),
        TEST(numbers_do_not_follow_the_locale),
        TEST(everything_is_written),
        cmocka_unit_test(nothing_happens_to_null),
        cmocka_unit_test(what_is_parsed_is_limited),
        cmocka_unit_test(a_cut_text_is_refused),
        cmocka_unit_test(escapes_are_undone),
        cmocka_unit_test(events_are_parsed_once),
        cmocka_unit_test(doubles_are_short_and_read_the_same),
        cmocka_unit_test(what_is_put_wrongly_is_never_sent),
        cmocka_unit_test(as_deep_as_it_may_be),
        cmocka_unit_test(replies_are_made_from_it),
    };

    return cmocka_run_group_tests_name("JSON", tests, NULL, NULL);
}
