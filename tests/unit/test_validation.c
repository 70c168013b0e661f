/* The abuse-protection handshake, both sides (event-handler section 1). */
#include "event/event.h"
#include "unit.h"

struct fixture {
    struct arena arena;
    struct http_request req;
    struct http_response res;
    struct diag diag;
};

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){.diag = {""}};
    arena__init(&f.arena, NULL, 0, 1 << 20);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    arena__free(&((struct fixture *)*state)->arena);
    return 0;
}

#define MAX_HOSTS 3

/* Values of all WebHook-Allowed-Origin lines, joined by '|'. */
static const char *consents(struct fixture *f)
{
    const char *all = "";

    for (size_t i = 0; i < f->res.headers.count; i++) {
        struct str value = f->res.headers.items[i].value;

        if (str__eq(f->res.headers.items[i].name, STR("WebHook-Allowed-Origin")))
            all = arena__printf(&f->arena, "%s%s%.*s", all, *all ? "|" : "", STR_FMT(value));
    }
    return all;
}

static void the_handshake_table(void **state)
{
    static const struct {
        const char *lines[MAX_HOSTS]; /* WebHook-Request-Origin */
        struct str allowed[MAX_HOSTS];
        int status;
        const char *consents;
    } rows[] = {
        /* nothing configured: anybody may send, the signature decides */
        {{"a.example"}, {STR_NONE}, 200, "*"},
        {{"a.example, b.example"}, {STR_NONE}, 200, "*"},
        {{"a.example"}, {STR("*")}, 200, "*"},
        {{"a.example"}, {STR("b.example"), STR("*")}, 200, "*"},
        /* a list: one line for each requested host that is on it, as it was written */
        {{"a.example"}, {STR("a.example")}, 200, "a.example"},
        {{"A.Example"}, {STR("a.example")}, 200, "A.Example"},
        {{"a.example"}, {STR("A.EXAMPLE")}, 200, "a.example"},
        {{"a.example, b.example"}, {STR("b.example")}, 200, "b.example"},
        {{"a.example,b.example"}, {STR("b.example"), STR("a.example")}, 200, "a.example|b.example"},
        {{"a.example", "b.example"},
         {STR("b.example"), STR("a.example")},
         200,
         "a.example|b.example"},
        {{" a.example , ,"}, {STR("a.example")}, 200, "a.example"},
        {{"a.example:443"}, {STR("a.example")}, 200, "a.example:443"},
        /* one machine has several names */
        {{"127.0.0.1"}, {STR("localhost")}, 200, "127.0.0.1"},
        {{"localhost"}, {STR("127.0.0.1")}, 200, "localhost"},
        /* foreign: no consent */
        {{"b.example"}, {STR("a.example")}, 403, ""},
        {{"a.example.evil"}, {STR("a.example")}, 403, ""},
        {{"evil-a.example"}, {STR("a.example")}, 403, ""},
        {{"localhost"}, {STR("a.example")}, 403, ""},
        {{"*"}, {STR("a.example")}, 403, ""},
        /* nobody asked */
        {{NULL}, {STR_NONE}, 400, ""},
        {{NULL}, {STR("a.example")}, 400, ""},
        {{""}, {STR_NONE}, 400, ""},
        {{" , "}, {STR_NONE}, 400, ""},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        size_t allowed = 0;

        f->req.headers = (struct http_headers){0};
        for (size_t l = 0; l < MAX_HOSTS && rows[i].lines[l]; l++)
            http__add(&f->arena, &f->req.headers, STR("webhook-request-origin"),
                      str__of(rows[i].lines[l]));
        while (allowed < MAX_HOSTS && rows[i].allowed[allowed].ptr)
            allowed++;
        event__validate(&f->arena, &f->req, rows[i].allowed, allowed, &f->res, &f->diag);
        if (f->res.status != rows[i].status || strcmp(consents(f), rows[i].consents) != 0)
            fail_msg("row %zu: got %d \"%s\"", i, f->res.status, consents(f));
        if (rows[i].status == 200)
            assert_str(http__get(&f->res.headers, STR("Allow")), "POST");
    }
}

static void origins_of_events_are_judged_alike(void **state)
{
    const struct str allowed[] = {STR("a.example"), STR("b.example")}, any[] = {STR("*")};

    (void)state;
    assert_true(event__origin_allowed(STR("A.EXAMPLE"), allowed, 2));
    assert_true(event__origin_allowed(STR("x.example, b.example"), allowed, 2));
    assert_false(event__origin_allowed(STR("x.example"), allowed, 2));
    assert_false(event__origin_allowed(STR(""), allowed, 2));
    assert_false(event__origin_allowed(STR_NONE, allowed, 2));
    assert_true(event__origin_allowed(STR("x.example"), any, 1));
    assert_true(event__origin_allowed(STR_NONE, any, 1));
    assert_true(event__origin_allowed(STR("x.example"), NULL, 0));
}

static void broker_asks_with_two_headers(void **state)
{
    struct fixture *f = *state;

    assert_true(event__validation_request(&f->arena, STR("a.example"), &f->req));
    assert_int_equal(f->req.headers.count, 2);
    assert_str(http__get(&f->req.headers, STR("WebHook-Request-Origin")), "a.example");
    assert_str(http__get(&f->req.headers, STR("ce-awpsversion")), "1.0");
}

static void consent_is_the_header_and_a_2xx(void **state)
{
    static const struct {
        int status;
        const char *lines[MAX_HOSTS];
        bool consent;
    } rows[] = {
        {200, {"*"}, true},
        {204, {"a.example"}, true},
        {202, {"A.EXAMPLE"}, true},
        {299, {" a.example "}, true},
        {200, {"b.example", "a.example"}, true},
        {200, {NULL}, false},
        {200, {""}, false},
        {200, {"b.example"}, false},
        {200, {"b.example, a.example"}, false},
        {200, {"a.example, *"}, false},
        {199, {"*"}, false},
        {300, {"*"}, false},
        {404, {"*"}, false},
        {500, {"*"}, false},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        f->res = (struct http_response){.status = rows[i].status};
        for (size_t l = 0; l < MAX_HOSTS && rows[i].lines[l]; l++)
            http__add(&f->arena, &f->res.headers, STR("webhook-allowed-origin"),
                      str__of(rows[i].lines[l]));
        f->diag.text[0] = '\0';
        if (event__validation_consent(&f->res, STR("a.example"), &f->diag) != rows[i].consent)
            fail_msg("row %zu", i);
        assert_int_equal(f->diag.text[0] == '\0', rows[i].consent);
    }
}

/* What one side answers, the other takes for what it is. */
static void both_sides_understand_each_other(void **state)
{
    const struct str allowed[] = {STR("a.example"), STR("b.example")};
    struct fixture *f = *state;

    assert_true(event__validation_request(&f->arena, STR("B.example"), &f->req));
    event__validate(&f->arena, &f->req, allowed, 2, &f->res, &f->diag);
    assert_true(event__validation_consent(&f->res, STR("B.example"), &f->diag));
    assert_true(event__validation_request(&f->arena, STR("c.example"), &f->req));
    event__validate(&f->arena, &f->req, allowed, 2, &f->res, &f->diag);
    assert_false(event__validation_consent(&f->res, STR("c.example"), &f->diag));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_handshake_table, setup, teardown),
        cmocka_unit_test(origins_of_events_are_judged_alike),
        cmocka_unit_test_setup_teardown(broker_asks_with_two_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(consent_is_the_header_and_a_2xx, setup, teardown),
        cmocka_unit_test_setup_teardown(both_sides_understand_each_other, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
