/* libpubhooktest's side of FastCGI: answers whole, and cut at every byte; requests. */
#include "test/records.h"
#include "unit.h"

#define OUT(len) "\1\6\0\1\0" len "\0\0"
#define END "\1\3\0\1\0\10\0\0"
#define GOOD "\0\0\0\0\0\0\0\0"

static const struct {
    struct str bytes;
    const char *text;
    bool ended;
    const char *why; /* it is refused */
} answers[] = {
    {STR(""), "", false, NULL},
    {STR(OUT("\5") "hello" END GOOD), "hello", true, NULL},
    {STR(OUT("\5") "hello" OUT("\6") " world" OUT("\0") END GOOD), "hello world", true, NULL},
    {STR(OUT("\5") "hello" OUT("\0")), "hello", false, NULL},
    {STR("\1\6\0\1\0\2\6\0hipadded" END GOOD), "hi", true, NULL},
    {STR("\1\6\0\1\0\1\377\0a0123456789abcdef" END GOOD), "", false, NULL}, /* its padding ends */
    {STR("\1\7\0\1\0\3\0\0log" OUT("\2") "ok" END GOOD), "ok", true, NULL},
    {STR("\1\13\0\0\0\10\0\0\77\0\0\0\0\0\0\0" OUT("\2") "ok" END GOOD), "ok", true, NULL},
    {STR("\1\6\0\0\0\2\0\0no" END GOOD), "", true, NULL}, /* of no request */
    {STR(END "\0\0\0\1\0\0\0\0"), "", true, NULL},        /* its exit status is its own */
    {STR(END GOOD OUT("\4") "more"), "", true, NULL},
    {STR(OUT("\1") "a" END "\0\0\0\0\2\0\0\0"), "a", true, "refused the request: it is overloaded"},
    {STR(END "\0\0\0\0\1\0\0\0"), "", true, "it cannot serve several"},
    {STR(END "\0\0\0\0\3\0\0\0"), "", true, "it does not know the role"},
    {STR(END "\0\0\0\0\377\0\0\0"), "", true, "nobody knows why"},
    {STR("\1\3\0\1\0\0\0\0"), "", true, "has 0 bytes, FastCGI has 8"},
    {STR("\2\6\0\1\0\0\0\0"), "", false, "version 2 for request 1"},
    {STR("\1\6\0\2\0\0\0\0"), "", false, "version 1 for request 2"},
    {STR("\1\6\1\1\0\0\0\0"), "", false, "version 1 for request 257"},
    {STR("HTTP/1.1 200 OK\r\n\r\n............................................................."),
     "", false, NULL}, /* a record of 12,320 bytes, as it seems */
};

/* In the pieces that end at `cuts`, the last of which is the whole. */
static void read_in_pieces(size_t row, const size_t *cuts, size_t count)
{
    enum ph_err err = PH_OK;
    struct diag diag = {""};
    bool ended = false;
    struct buf text;
    size_t at = 0;

    buf__init(&text, 65536);
    for (size_t i = 0; !err && !ended && i < count; i++) {
        /* a copy of that size, for memory checkers */
        char *piece = cuts[i] > 0 ? malloc(cuts[i]) : NULL;

        if (piece)
            memcpy(piece, answers[row].bytes.ptr, cuts[i]);
        err = test_records__take(str__n(piece, cuts[i]), &at, &text, &ended, &diag);
        free(piece);
    }
    if (err != (answers[row].why ? PH_ERR_SYSTEM : PH_OK) ||
        (err && !strstr(diag.text, answers[row].why)) || ended != answers[row].ended)
        fail_msg("row %zu, first cut at %zu: %d \"%s\"", row, cuts[0], (int)err, diag.text);
    assert_str(buf__view(&text), answers[row].text);
    buf__free(&text);
}

static void answers_are_read_wherever_they_are_cut(void **state)
{
    (void)state;
    for (size_t row = 0; row < sizeof(answers) / sizeof(*answers); row++) {
        size_t len = answers[row].bytes.len, every[512];

        assert_true(len < sizeof(every) / sizeof(*every));
        for (size_t cut = 0; cut <= len; cut++) {
            every[cut] = cut;
            read_in_pieces(row, (const size_t[]){cut, len}, 2);
        }
        read_in_pieces(row, every, len + 1);
    }
}

/* What is not there yet is no answer, and no mistake. */
static void an_answer_that_stops_anywhere_has_not_ended(void **state)
{
    const struct str bytes = answers[2].bytes;

    (void)state;
    for (size_t len = 0; len < bytes.len; len++) {
        struct diag diag = {""};
        struct buf text;
        size_t at = 0;
        bool ended;

        buf__init(&text, 4096);
        assert_int_equal(test_records__take(str__n(bytes.ptr, len), &at, &text, &ended, &diag),
                         PH_OK);
        assert_false(ended);
        assert_true(at <= len);
        buf__free(&text);
    }
}

static void a_request_is_written_in_records(void **state)
{
    struct test_variable items[] = {
        {STR("A"), STR("b")}, {STR("C"), STR_NONE}, {STR("E"), STR("")}};
    const struct test_variables variables = {items, 3};
    const struct str head = STR("\1\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0"
                                "\1\4\0\1\0\215\0\0\1\1Ab\1\0C\1\200\0\0\200E");
    const struct str tail = STR("\1\4\0\1\0\0\0\0\1\5\0\1\0\4\0\0body\1\5\0\1\0\0\0\0");
    char value[128];
    struct buf out;

    (void)state;
    memset(value, 'v', sizeof(value));
    items[2].value = str__n(value, sizeof(value)); /* the first that takes four bytes of length */
    buf__init(&out, 4096);
    test_records__request(&out, &variables, STR("body"));
    assert_int_equal(out.len, head.len + sizeof(value) + tail.len);
    assert_memory_equal(out.data, head.ptr, head.len);
    assert_memory_equal(out.data + head.len, value, sizeof(value));
    assert_memory_equal(out.data + head.len + sizeof(value), tail.ptr, tail.len);
    buf__free(&out);
}

static void a_long_body_takes_several_records(void **state)
{
    const struct test_variables none = {NULL, 0};
    const size_t len = 65536;
    char *body = calloc(1, len);
    struct buf out;

    (void)state;
    buf__init(&out, 1 << 20);
    test_records__request(&out, &none, str__n(body, len));
    assert_int_equal(out.len, 16 + 8 + 8 + 65535 + 8 + 1 + 8);
    assert_memory_equal(out.data + 24, "\1\5\0\1\377\377\0\0", 8);
    assert_memory_equal(out.data + 24 + 8 + 65535, "\1\5\0\1\0\1\0\0", 8);
    buf__free(&out);
    buf__init(&out, 1000); /* too large for it */
    test_records__request(&out, &none, str__n(body, len));
    assert_true(out.failed);
    buf__free(&out);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_read_wherever_they_are_cut),
        cmocka_unit_test(an_answer_that_stops_anywhere_has_not_ended),
        cmocka_unit_test(a_request_is_written_in_records),
        cmocka_unit_test(a_long_body_takes_several_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
