/* Bodies of REST calls: their types, character sets, limits, and groups that come in them. */
#include "rest_kit.h"

#include "broker/rest/charset.h"

#define JSON "Content-Type: application/json\n"
#define LIST_TEXT "A nonempty list of valid group names is required."

/* client-and-rest section 5.2, rows 19 and 20; official-emulator section 2.3 */
static void groups_come_in_the_body(void **state)
{
    static const struct {
        const char *headers, *body;
        int status;
        const char *message; /* of the error, NULL: whatever */
        const char *first;   /* group */
        size_t count;
    } rows[] = {
        {JSON, "{\"groups\":[\"a\"]}", 0, NULL, "a", 1},
        {JSON, " {\"filter\":null,\"groups\":[\"\\u00e9/%\",\"b\",\"b\"]} ", 0, NULL, "\xc3\xa9/%",
         3},
        {JSON, "{\"groups\":[\"a\"],\"filter\":\"\"}", 0, NULL, "a", 1},
        {JSON, "{\"groups\":[\"a\"],\"more\":{\"deep\":[1,2,[3]]}}", 0, NULL, "a", 1},
        {"Content-Type: application/json; charset=iso-8859-1\n", "{\"groups\":[\"\xe9\"]}", 0, NULL,
         "\xc3\xa9", 1},
        {JSON, "{\"groups\":[]}", 400, LIST_TEXT, NULL, 0},
        {JSON, "{\"groups\":null}", 400, LIST_TEXT, NULL, 0},
        {JSON, "{\"groups\":\"a\"}", 400, LIST_TEXT, NULL, 0},
        {JSON, "{\"groups\":[\"a\",\"\"]}", 400, LIST_TEXT, NULL, 0},
        {JSON, "{\"groups\":[\" \"]}", 400, LIST_TEXT, NULL, 0},
        {JSON, "{\"groups\":[1]}", 400, LIST_TEXT, NULL, 0},
        {JSON, "{\"groups\":[null]}", 400, LIST_TEXT, NULL, 0},
        {JSON, "{\"groups\":[[\"a\"]]}", 400, LIST_TEXT, NULL, 0},
        {JSON, "{}", 400, LIST_TEXT, NULL, 0},
        {JSON, "[\"a\"]", 400, LIST_TEXT, NULL, 0},
        {JSON, "null", 400, LIST_TEXT, NULL, 0},
        {JSON, "{\"groups\":[\"a\"],\"filter\":1}", 400, "`filter` must be a string.", NULL, 0},
        {JSON, "{\"groups\":[\"a\"]", 400, NULL, NULL, 0},
        {JSON, "", 400, NULL, NULL, 0},
        {JSON, "{\"groups\":[\"\xff\"]}", 400, NULL, NULL, 0},
        {TEXT, "{\"groups\":[\"a\"]}", 415, NULL, NULL, 0},
        {"", "{\"groups\":[\"a\"]}", 415, NULL, NULL, 0},
        {"Content-Type: application/json; charset=x\n", "{\"groups\":[\"a\"]}", 415, NULL, NULL, 0},
        {JSON, "{\"groups\":[\"a\"],\"filter\":\"x\"}", 400,
         "Invalid syntax for 'x': Token 'x' is not supported. (Parameter 'filter')", NULL, 0},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(*rows); i++) {
        size_t k = i / 2;
        bool join = i % 2 == 0;
        int status = kit__call(
            f, "POST", join ? "/api/hubs/chat/:addToGroups" : "/api/hubs/chat/:removeFromGroups",
            rows[k].headers, str__of(rows[k].body));

        if (status != rows[k].status)
            fail_msg("%s: status %d, expected %d", rows[k].body, status, rows[k].status);
        if (status != 0) {
            kit__error_is(f, status == 415 ? "Error.UnsupportedMediaType" : "Error.BadRequest",
                          status == 415 ? "Content-Type" : "Request");
            if (rows[k].message)
                assert_string_equal(f->diag.text, rows[k].message);
            continue;
        }
        assert_int_equal(f->call.command.op, join ? HUB_JOIN : HUB_LEAVE);
        assert_int_equal(f->call.command.scope, SCOPE_HUB);
        assert_int_equal(f->call.command.group_count, rows[k].count);
        assert_str(f->call.command.groups[0], rows[k].first);
        assert_int_equal(kit__finish(f, 0), 200);
    }
}

static void at_most_1000_groups(void **state)
{
    struct fixture *f = *state;

    for (int count = 999; count <= 1001; count++) {
        struct buf body;

        buf__init(&body, 1 << 20);
        buf__str(&body, STR("{\"groups\":[\"g\""));
        for (int i = 1; i < count; i++)
            buf__printf(&body, ",\"g%d\"", i);
        buf__str(&body, STR("]}"));
        assert_int_equal(
            kit__call(f, "POST", "/api/hubs/chat/:addToGroups", JSON, buf__view(&body)),
            count <= 1000 ? 0 : 400);
        buf__free(&body);
    }
    kit__error_is(f, "Error.BadRequest", "Request");
}

/* client-and-rest section 5.3 */
static void content_types(void **state)
{
    static const struct {
        const char *headers;
        struct str body;
        int status;
        enum ph_data_type type;
        const char *data;
    } rows[] = {
        {"Content-Type: text/plain\n", {"h\xc3\xa9", 3}, 0, PH_DATA_TEXT, "h\xc3\xa9"},
        {"Content-Type: Text/Plain; Charset=\"UTF-8\"\n", {"x", 1}, 0, PH_DATA_TEXT, "x"},
        {"Content-Type: text/plain\n", {"", 0}, 0, PH_DATA_TEXT, ""},
        {"Content-Type: text/plain\n", {"\xff", 1}, 400, 0, NULL},
        {"Content-Type: text/plain; charset=iso-8859-1\n",
         {"h\xe9", 2},
         0,
         PH_DATA_TEXT,
         "h\xc3\xa9"},
        {"Content-Type: text/plain; charset=us-ascii\n", {"he", 2}, 0, PH_DATA_TEXT, "he"},
        {"Content-Type: text/plain; charset=us-ascii\n", {"h\xe9", 2}, 400, 0, NULL},
        {"Content-Type: text/plain; charset=utf-16\n",
         {"h\0\xe9\0", 4},
         0,
         PH_DATA_TEXT,
         "h\xc3\xa9"},
        {"Content-Type: text/plain; charset=koi8-r\n", {"x", 1}, 415, 0, NULL},
        {"Content-Type: text/plain; charset=\n", {"x", 1}, 415, 0, NULL},
        {"Content-Type: application/json\n", {" {\"a\": 1} ", 10}, 0, PH_DATA_JSON, " {\"a\": 1} "},
        {"Content-Type: application/json; charset=utf-8\n", {"\"s\"", 3}, 0, PH_DATA_JSON, "\"s\""},
        {"Content-Type: application/json\n", {"{", 1}, 400, 0, NULL},
        {"Content-Type: application/json\n", {"", 0}, 400, 0, NULL},
        {"Content-Type: application/json\n", {"\"\xff\"", 3}, 400, 0, NULL},
        {"Content-Type: application/octet-stream\n", {"\xff", 1}, 0, PH_DATA_BINARY, "\xff"},
        {"Content-Type: application/octet-stream; charset=x\n", {"b", 1}, 0, PH_DATA_BINARY, "b"},
        {"", {"\xfe", 1}, 0, PH_DATA_BINARY, "\xfe"},
        {"Content-Type: text/html\n", {"x", 1}, 415, 0, NULL},
        {"Content-Type: x\n", {"x", 1}, 415, 0, NULL},
        {"Content-Type:\n", {"x", 1}, 415, 0, NULL},
        {"Content-Type: text/plain\nContent-Type: text/plain\n", {"x", 1}, 415, 0, NULL},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        int status = kit__call(f, "POST", "/api/hubs/chat/:send", rows[i].headers, rows[i].body);

        if (status != rows[i].status)
            fail_msg("row %zu: status %d, expected %d", i, status, rows[i].status);
        if (status != 0) {
            kit__error_is(f, status == 415 ? "Error.UnsupportedMediaType" : "Error.BadRequest",
                          status == 415 ? "Content-Type" : "Request");
            continue;
        }
        assert_int_equal(f->call.command.message->type, rows[i].type);
        assert_str(f->call.command.message->data, rows[i].data);
    }
}

static void utf16_is_read_strictly(void **state)
{
    static const struct {
        const char *charset;
        struct str text;
        const char *utf8; /* NULL: refused */
    } rows[] = {
        {"utf-16",
         {"\xff\xfe"
          "a\0",
          4},
         "a"},
        {"utf-16",
         {"\xfe\xff"
          "\0a",
          4},
         "a"},
        {"utf-16be", {"\0a", 2}, "a"},
        {"UTF-16LE", {"\xac\x20", 2}, "\xe2\x82\xac"},
        {"utf-16le", {"\x3d\xd8\x00\xde", 4}, "\xf0\x9f\x98\x80"},
        {"utf-16le", {"\x3d\xd8", 2}, NULL},
        {"utf-16le",
         {"\x3d\xd8"
          "a\0",
          4},
         NULL},
        {"utf-16le", {"\x00\xde", 2}, NULL},
        {"utf-16le", {"a", 1}, NULL},
        {"utf-16le", {"", 0}, ""},
    };

    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct charset_reading reading;
        struct buf room;
        struct str utf8;
        enum ph_err err;

        buf__init(&room, 64);
        assert_true(charset__find(str__of(rows[i].charset), &reading));
        err = charset__to_utf8(&reading, rows[i].text, &room, &utf8);
        assert_int_equal(err, rows[i].utf8 ? PH_OK : PH_ERR_SYNTAX);
        if (err == PH_OK)
            assert_str(utf8, rows[i].utf8);
        buf__free(&room);
    }
}

static void nested_json_is_refused_past_64_levels(void **state)
{
    struct fixture *f = *state;

    for (size_t depth = 63; depth <= 65; depth++) {
        char text[130];

        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(kit__call(f, "POST", "/api/hubs/chat/:send",
                                   "Content-Type: application/json\n", str__n(text, 2 * depth)),
                         depth <= 64 ? 0 : 400);
    }
}

static void body_may_have_one_mebibyte(void **state)
{
    struct fixture *f = *state;
    static char body[MAX_BODY + 1];

    for (size_t len = MAX_BODY - 1; len <= MAX_BODY + 1; len++) {
        int want = len <= MAX_BODY ? 0 : 413;

        /* refused by the header before the body is read, and by the body when chunked */
        assert_int_equal(kit__call(f, "POST", "/api/hubs/chat/:send",
                                   arena__printf(&f->arena, "Content-Length: %zu\n", len), STR("")),
                         want);
        assert_int_equal(kit__call(f, "POST", "/api/hubs/chat/:send", "", str__n(body, len)), want);
    }
    kit__error_is(f, "Error.PayloadTooLarge", "Request");
    assert_int_equal(kit__call(f, "POST", "/api/hubs/chat/:send", "Content-Length: 1x\n", STR("")),
                     400);
    assert_int_equal(kit__call(f, "POST", "/api/hubs/chat/:send",
                               "Content-Length: 99999999999999999999\n", STR("")),
                     400);
}

/* Every byte of the longest ISO-8859-1 body may become two. */
static void longest_body_has_room_to_grow(void **state)
{
    struct fixture *f = *state;
    static char body[MAX_BODY];

    memset(body, 0xe9, sizeof(body));
    assert_int_equal(kit__call(f, "POST", "/api/hubs/chat/:send",
                               "Content-Type: text/plain; charset=iso-8859-1\n",
                               str__n(body, sizeof(body))),
                     0);
    assert_int_equal(f->call.command.message->data.len, 2 * sizeof(body));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(groups_come_in_the_body, kit__set_up, kit__tear_down),
        cmocka_unit_test_setup_teardown(at_most_1000_groups, kit__set_up, kit__tear_down),
        cmocka_unit_test_setup_teardown(content_types, kit__set_up, kit__tear_down),
        cmocka_unit_test_setup_teardown(utf16_is_read_strictly, kit__set_up, kit__tear_down),
        cmocka_unit_test_setup_teardown(nested_json_is_refused_past_64_levels, kit__set_up,
                                        kit__tear_down),
        cmocka_unit_test_setup_teardown(body_may_have_one_mebibyte, kit__set_up, kit__tear_down),
        cmocka_unit_test_setup_teardown(longest_body_has_room_to_grow, kit__set_up, kit__tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
