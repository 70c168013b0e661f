/* Replies to responses, and responses to what the broker makes of them (sections 3.1 to 3.5). */
#include "event/event.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct arena arena;
    struct ph_event ev;
    struct http_response res;
    struct answer answer;
    struct diag diag;
};

static const struct str offered[] = {{"custom", 6}, {"other", 5}};

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){.diag = {""}};
    arena__init(&f.arena, NULL, 0, 64 << 20);
    f.ev.subprotocols = offered;
    f.ev.subprotocol_count = 2;
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    arena__free(&((struct fixture *)*state)->arena);
    return 0;
}

/* Encodes and frees the reply, which the response must not need any more. */
static enum ph_err encode(struct fixture *f, enum ph_event_kind kind, struct ph_reply *reply)
{
    enum ph_err err;

    f->ev.kind = kind;
    f->diag.text[0] = '\0';
    err = response__encode(&f->arena, &f->ev, reply, &f->res, &f->diag);
    ph_reply_free(reply);
    return err;
}

static void expect_body(const struct fixture *f, const char *content_type, const char *body)
{
    assert_str(http__get(&f->res.headers, STR("Content-Type")), content_type);
    assert_str(f->res.body, body);
}

static enum ph_err decode(struct fixture *f, enum ph_event_kind kind)
{
    f->diag.text[0] = '\0';
    return response__decode(&f->arena, kind, &f->res, &f->answer, &f->diag);
}

static void respond(struct fixture *f, int status, const char *content_type, struct str body)
{
    f->res = (struct http_response){.status = status, .body = body};
    if (content_type)
        http__add(&f->arena, &f->res.headers, STR("content-type"), str__of(content_type));
}

/* --- replies ------------------------------------------------------------------ */

static void accept_says_only_what_was_set(void **state)
{
    struct fixture *f = *state;
    struct ph_reply *reply = ph_reply_accept();

    assert_int_equal(encode(f, PH_EVENT_CONNECT, reply), PH_OK);
    assert_int_equal(f->res.status, 204);
    expect_body(f, NULL, NULL);

    reply = ph_reply_accept();
    ph_reply_set_user_id(reply, "");
    assert_int_equal(encode(f, PH_EVENT_CONNECT, reply), PH_OK);
    assert_int_equal(f->res.status, 200);
    expect_body(f, "application/json", "{\"userId\":\"\"}");

    reply = ph_reply_accept();
    ph_reply_clear_roles(reply);
    assert_int_equal(encode(f, PH_EVENT_CONNECT, reply), PH_OK);
    expect_body(f, "application/json", "{\"roles\":[]}");

    reply = ph_reply_accept();
    ph_reply_add_role(reply, "a");
    ph_reply_clear_roles(reply);
    ph_reply_add_role(reply, "b");
    ph_reply_set_subprotocol(reply, "other");
    assert_int_equal(encode(f, PH_EVENT_CONNECT, reply), PH_OK);
    expect_body(f, "application/json", "{\"roles\":[\"b\"],\"subprotocol\":\"other\"}");
}

static void state_may_go_with_any_success(void **state)
{
    struct fixture *f = *state;
    struct ph_reply *reply = ph_reply_ok();

    ph_reply_set_state(reply, "abc");
    assert_int_equal(encode(f, PH_EVENT_USER, reply), PH_OK);
    assert_int_equal(f->res.status, 204);
    assert_str(http__get(&f->res.headers, STR("ce-connectionState")), "abc");

    reply = ph_reply_text("x", 1);
    ph_reply_set_state(reply, "abc");
    ph_reply_set_state(reply, "");
    assert_int_equal(encode(f, PH_EVENT_USER, reply), PH_OK);
    assert_int_equal(http__count(&f->res.headers, STR("ce-connectionState")), 1);
    assert_str(http__get(&f->res.headers, STR("ce-connectionState")), "");
}

static void metadata_goes_with_a_message(void **state)
{
    struct fixture *f = *state;
    struct ph_reply *reply = ph_reply_text("x", 1);

    ph_reply_set_metadata(reply, "Trace", "1");
    ph_reply_set_metadata(reply, "lang", "en");
    ph_reply_set_metadata(reply, "TRACE", "2");
    ph_reply_set_metadata(reply, "empty", "");
    assert_int_equal(encode(f, PH_EVENT_USER, reply), PH_OK);
    assert_str(http__get(&f->res.headers, STR("x-webpubsub-metadata-trace")), "2");
    assert_int_equal(decode(f, PH_EVENT_USER), PH_OK);
    assert_int_equal(f->answer.metadata.count, 3);
    assert_str(f->answer.metadata.items[0].name, "trace");
    assert_str(f->answer.metadata.items[0].value, "2");
    assert_str(f->answer.metadata.items[1].value, "en");
    assert_str(f->answer.metadata.items[2].value, "");
    assert_str(f->answer.data, "x");
}

/* event-handler section 3.4 */
static void of_metadata_with_commas_the_last_part_counts(void **state)
{
    static const struct {
        const char *first, *last, *want;
    } rows[] = {{"x", "a, b", "b"}, {"a,b", "c", "c"}, {"x", "a,", ""}, {"x", " a ,\tb c ", "b c"}};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        respond(f, 204, NULL, STR(""));
        http__add(&f->arena, &f->res.headers, STR("X-WebPubSub-Metadata-K"),
                  str__of(rows[i].first));
        http__add(&f->arena, &f->res.headers, STR("x-webpubsub-metadata-k"), str__of(rows[i].last));
        assert_int_equal(decode(f, PH_EVENT_USER), PH_OK);
        assert_int_equal(f->answer.metadata.count, 1);
        assert_str(f->answer.metadata.items[0].value, rows[i].want);
    }
}

/* official-emulator section 2.7 */
static void metadata_alone_is_an_empty_text(void **state)
{
    struct fixture *f = *state;
    struct ph_reply *reply = ph_reply_ok();

    ph_reply_set_metadata(reply, "trace", "1");
    assert_int_equal(encode(f, PH_EVENT_USER, reply), PH_OK);
    assert_int_equal(f->res.status, 204);
    assert_int_equal(decode(f, PH_EVENT_USER), PH_OK);
    assert_true(f->answer.has_data);
    assert_int_equal(f->answer.type, PH_DATA_TEXT);
    assert_str(f->answer.data, "");
    assert_int_equal(f->answer.metadata.count, 1);
    respond(f, 200, "application/json", STR(""));
    http__add(&f->arena, &f->res.headers, STR("x-webpubsub-metadata-k"), STR("v"));
    assert_int_equal(decode(f, PH_EVENT_USER), PH_OK);
    assert_true(f->answer.has_data);
}

static void metadata_of_other_events_means_nothing(void **state)
{
    struct fixture *f = *state;
    struct ph_reply *reply = ph_reply_ok();

    ph_reply_set_metadata(reply, "trace", "1");
    assert_int_equal(encode(f, PH_EVENT_CONNECT, reply), PH_ERR_STATE);
    respond(f, 200, NULL, STR(""));
    http__add(&f->arena, &f->res.headers, STR("x-webpubsub-metadata-k"), STR("v"));
    assert_int_equal(decode(f, PH_EVENT_CONNECT), PH_OK);
    assert_int_equal(f->answer.metadata.count, 0);
    f->res.status = 500;
    assert_int_equal(decode(f, PH_EVENT_USER), PH_OK);
    assert_int_equal(f->answer.metadata.count, 0);
}

static void broken_metadata_breaks_an_answer(void **state)
{
    char value[METADATA_MAX_VALUE + 1];
    struct fixture *f = *state;

    memset(value, 'v', sizeof(value));
    for (size_t over = 0; over <= 1; over++) {
        respond(f, 200, "text/plain", STR("hi"));
        http__add(&f->arena, &f->res.headers, STR("x-webpubsub-metadata-k"),
                  str__n(value, METADATA_MAX_VALUE + over));
        assert_int_equal(decode(f, PH_EVENT_USER), over ? PH_ERR_SYNTAX : PH_OK);
        assert_int_equal(f->answer.success, !over);
        assert_int_equal(f->answer.metadata.count, !over);
    }
}

static void reject_has_status_and_text(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(encode(f, PH_EVENT_CONNECT, ph_reply_reject(401, "who are you?")), PH_OK);
    assert_int_equal(f->res.status, 401);
    expect_body(f, "text/plain; charset=utf-8", "who are you?");
    assert_int_equal(encode(f, PH_EVENT_USER, ph_reply_reject(599, NULL)), PH_OK);
    assert_int_equal(f->res.status, 599);
    expect_body(f, NULL, NULL);
}

static void data_keeps_its_bytes_and_says_its_type(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(encode(f, PH_EVENT_USER, ph_reply_text("\xc3\xa4", 2)), PH_OK);
    expect_body(f, "text/plain", "\xc3\xa4");
    assert_int_equal(encode(f, PH_EVENT_USER, ph_reply_json(" [1 ]", 5)), PH_OK);
    expect_body(f, "application/json", " [1 ]");
    assert_int_equal(encode(f, PH_EVENT_USER, ph_reply_binary("\xff", 1)), PH_OK);
    expect_body(f, "application/octet-stream", "\xff");
    assert_int_equal(encode(f, PH_EVENT_USER, ph_reply_protobuf("\x0a", 1)), PH_OK);
    expect_body(f, "application/x-protobuf", "\x0a");
    assert_int_equal(encode(f, PH_EVENT_USER, ph_reply_binary(NULL, 0)), PH_OK);
    expect_body(f, "application/octet-stream", "");
}

static struct ph_reply *with_state(struct ph_reply *reply)
{
    ph_reply_set_state(reply, "x");
    return reply;
}

static struct ph_reply *with_subprotocol(const char *subprotocol)
{
    struct ph_reply *reply = ph_reply_accept();

    ph_reply_set_subprotocol(reply, subprotocol);
    return reply;
}

static void a_reply_that_does_not_fit_is_500_and_says_which_would(void **state)
{
    const struct {
        enum ph_event_kind kind;
        struct ph_reply *reply;
        enum ph_err err;
        const char *reason;
    } rows[] = {
        {PH_EVENT_CONNECT, NULL, PH_ERR_INTERNAL, "returned NULL"},
        {PH_EVENT_CONNECT, ph_reply_text("x", 1), PH_ERR_STATE, "expected ph_reply_accept"},
        {PH_EVENT_CONNECT, ph_reply_pass(), PH_ERR_STATE, "expected ph_reply_accept"},
        {PH_EVENT_CONNECT, with_subprotocol("none"), PH_ERR_STATE, "did not offer"},
        {PH_EVENT_USER, ph_reply_accept(), PH_ERR_STATE, "expected ph_reply_text"},
        {PH_EVENT_CONNECTED, ph_reply_accept(), PH_ERR_STATE, "expected ph_reply_ok"},
        {PH_EVENT_CONNECTED, ph_reply_text("x", 1), PH_ERR_STATE, "expected ph_reply_ok"},
        {PH_EVENT_CONNECTED, with_state(ph_reply_ok()), PH_ERR_STATE, "cannot set the connection"},
        {PH_EVENT_DISCONNECTED, with_state(ph_reply_ok()), PH_ERR_STATE, "cannot set the"},
        {PH_EVENT_JOINED, with_state(ph_reply_ok()), PH_ERR_STATE, "cannot set the"},
        {PH_EVENT_LEFT, ph_reply_text("x", 1), PH_ERR_STATE, "expected ph_reply_ok"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(encode(f, rows[i].kind, rows[i].reply), rows[i].err);
        assert_int_equal(f->res.status, 500);
        assert_int_equal(f->res.headers.count + f->res.body.len, 0);
        if (!strstr(f->diag.text, rows[i].reason))
            fail_msg("row %zu: %s", i, f->diag.text);
    }
}

static struct ph_reply *accept_with(void (*set)(struct ph_reply *, const char *), const char *value)
{
    struct ph_reply *reply = ph_reply_accept();

    set(reply, value);
    return reply;
}

static struct ph_reply *ok_with(void (*set)(struct ph_reply *, const char *), const char *value)
{
    struct ph_reply *reply = ph_reply_ok();

    set(reply, value);
    return reply;
}

static struct ph_reply *with_metadata(struct ph_reply *reply, const char *name, const char *value)
{
    ph_reply_set_metadata(reply, name, value);
    return reply;
}

static struct ph_reply *with_much_metadata(unsigned entries)
{
    struct ph_reply *reply = ph_reply_ok();
    char value[METADATA_MAX_VALUE];
    char name[8];

    memset(value, 'v', sizeof(value));
    value[sizeof(value) - 1] = '\0';
    for (unsigned i = 0; i < entries; i++) {
        snprintf(name, sizeof(name), "%u", i);
        ph_reply_set_metadata(reply, name, value);
    }
    return reply;
}

/* What cannot be put into a reply spoils it: nothing half-done is ever sent. */
static void wrong_values_spoil_a_reply(void **state)
{
    struct ph_reply *const replies[] = {
        accept_with(ph_reply_set_user_id, NULL),
        accept_with(ph_reply_set_user_id, "\xff"),
        accept_with(ph_reply_set_user_id, "a\nb"),
        accept_with(ph_reply_set_user_id, " bob"),
        accept_with(ph_reply_set_user_id, "bob\t"),
        accept_with(ph_reply_add_group, ""),
        accept_with(ph_reply_add_group, " \t"),
        accept_with(ph_reply_add_group, "\xff"),
        accept_with(ph_reply_add_role, "\xff"),
        accept_with(ph_reply_set_subprotocol, ""),
        ok_with(ph_reply_set_user_id, "bob"),
        ok_with(ph_reply_add_group, "g"),
        ok_with(ph_reply_add_role, "r"),
        ok_with(ph_reply_set_subprotocol, "s"),
        ok_with(ph_reply_set_state, NULL),
        ok_with(ph_reply_set_state, "a\nb"),
        ok_with(ph_reply_set_state, " a"),
        ok_with(ph_reply_set_state, "\xc3\xa4"),
        with_metadata(ph_reply_ok(), NULL, "v"),
        with_metadata(ph_reply_ok(), "k", NULL),
        with_metadata(ph_reply_ok(), "", "v"),
        with_metadata(ph_reply_ok(), "a b", "v"),
        with_metadata(ph_reply_ok(), "k", "a\nb"),
        with_metadata(ph_reply_ok(), "k", " a"),
        with_metadata(ph_reply_ok(), "k", "\xc3\xa4"),
        with_metadata(ph_reply_accept(), "k", "v"),
        with_metadata(ph_reply_reject(400, NULL), "k", "v"),
        with_metadata(ph_reply_pass(), "k", "v"),
        with_much_metadata(9),
        with_state(ph_reply_reject(400, NULL)),
        with_state(ph_reply_pass()),
        ph_reply_reject(399, NULL),
        ph_reply_reject(600, NULL),
        ph_reply_reject(200, NULL),
        ph_reply_reject(400, "\xff"),
        ph_reply_text("\xff", 1),
        ph_reply_text(NULL, 1),
        ph_reply_json("", 0),
        ph_reply_json("{", 1),
        ph_reply_data((enum ph_data_type)4, "x", 1),
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(replies) / sizeof(*replies); i++) {
        assert_non_null(replies[i]);
        if (!replies[i]->failed)
            fail_msg("row %zu", i);
        assert_int_equal(encode(f, PH_EVENT_CONNECT, replies[i]), PH_ERR_ARGUMENT);
        assert_int_equal(f->res.status, 500);
    }
}

static void nothing_happens_to_a_null_reply(void **state)
{
    (void)state;
    ph_reply_set_user_id(NULL, "a");
    ph_reply_add_header(NULL, "a", "b");
    ph_reply_add_group(NULL, "a");
    ph_reply_add_role(NULL, "a");
    ph_reply_clear_roles(NULL);
    ph_reply_set_subprotocol(NULL, "a");
    ph_reply_set_state(NULL, "a");
    ph_reply_set_metadata(NULL, "a", "b");
    ph_reply_free(NULL);
}

static void many_groups_stay_in_order(void **state)
{
    struct fixture *f = *state;
    struct ph_reply *reply = ph_reply_accept();

    for (int i = 0; i < 1000; i++) {
        char name[16];

        snprintf(name, sizeof(name), "g%d", i);
        ph_reply_add_group(reply, name);
    }
    assert_int_equal(encode(f, PH_EVENT_CONNECT, reply), PH_OK);
    assert_int_equal(decode(f, PH_EVENT_CONNECT), PH_OK);
    assert_int_equal(f->answer.group_count, 1000);
    assert_str(f->answer.groups[999], "g999");
}

static void group_names_are_limited(void **state)
{
    char name[1026];

    (void)state;
    for (size_t len = 1023; len <= 1025; len++) {
        struct ph_reply *reply = ph_reply_accept();

        memset(name, 'g', len);
        name[len] = '\0';
        ph_reply_add_group(reply, name);
        assert_int_equal(reply->failed == NULL, len <= 1024);
        ph_reply_free(reply);
    }
}

static void a_reply_over_16_mib_is_spoilt(void **state)
{
    size_t size = 18u << 20;
    char *data = calloc(1, size);
    struct ph_reply *reply = ph_reply_binary(data, 16u << 20);

    (void)state;
    assert_null(reply->failed);
    ph_reply_free(reply);
    reply = ph_reply_binary(data, size);
    assert_non_null(reply->failed);
    ph_reply_free(reply);
    free(data);
}

/* A 500 that says so, or the whole response; never a part of one. */
static void memory_may_run_out_anywhere(void **state)
{
    struct fixture *f = *state;
    struct ph_reply *reply = ph_reply_accept();
    bool encoded = false;

    for (int i = 0; i < 100; i++)
        ph_reply_add_group(reply, "a group with a name of some length");
    ph_reply_set_state(reply, "state");
    f->ev.kind = PH_EVENT_CONNECT;
    for (size_t max = 0; !encoded; max += 64) {
        struct arena a;
        enum ph_err err;

        arena__init(&a, NULL, 0, max);
        err = response__encode(&a, &f->ev, reply, &f->res, &f->diag);
        encoded = err == PH_OK;
        assert_int_equal(err, encoded ? PH_OK : PH_ERR_MEMORY);
        assert_int_equal(f->res.status, encoded ? 200 : 500);
        assert_int_equal(f->res.headers.count, encoded ? 2 : 0);
        arena__free(&a);
        assert_true(max < 1 << 20);
    }
    ph_reply_free(reply);
}

/* --- answers -------------------------------------------------------------------- */

static void connect_answers_that_keep_everything(void **state)
{
    static const struct {
        int status;
        struct str body;
    } rows[] = {
        {200, {NULL, 0}},
        {200, {"", 0}},
        {204, {NULL, 0}},
        {299, {"null", 4}},
        {200, {"{}", 2}},
        {200, {"{\"userId\":null,\"groups\":null,\"roles\":null}", 42}},
        {200, {"{\"groups\":[],\"subprotocol\":null,\"unknown\":[{}]}", 47}},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        respond(f, rows[i].status, "text/html", rows[i].body);
        if (decode(f, PH_EVENT_CONNECT) != PH_OK)
            fail_msg("row %zu: %s", i, f->diag.text);
        assert_true(f->answer.success);
        assert_null(f->answer.user_id.ptr);
        assert_null(f->answer.subprotocol.ptr);
        assert_null(f->answer.state.ptr);
        assert_int_equal(f->answer.group_count, 0);
        assert_false(f->answer.has_roles);
    }
}

static void connect_answer_with_all_it_can_hold(void **state)
{
    struct fixture *f = *state;

    respond(f, 200, NULL,
            STR("{\"userId\":\"\",\"groups\":[\"a\",\"\\u00e4\"],\"roles\":[],"
                "\"subprotocol\":\"custom\"}"));
    http__add(&f->arena, &f->res.headers, STR("CE-ConnectionState"), STR("first"));
    http__add(&f->arena, &f->res.headers, STR("ce-connectionState"), STR(""));
    assert_int_equal(decode(f, PH_EVENT_CONNECT), PH_OK);
    assert_true(f->answer.success);
    assert_str(f->answer.user_id, "");
    assert_int_equal(f->answer.group_count, 2);
    assert_str(f->answer.groups[1], "\xc3\xa4");
    assert_true(f->answer.has_roles);
    assert_int_equal(f->answer.role_count, 0);
    assert_str(f->answer.subprotocol, "custom");
    assert_str(f->answer.state, "");
}

static void broken_connect_answers_are_failures(void **state)
{
    static const char *const bodies[] = {
        "{",
        "[]",
        "1",
        "\"x\"",
        "{} x",
        "<html>",
        "{\"userId\":1}",
        "{\"userId\":\"a\\u0001b\"}",
        "{\"userId\":\" a\"}",
        "{\"userId\":\"a \"}",
        "{\"userId\":\" \"}",
        "{\"userId\":\"a\\r\\nce-type: x\"}",
        "{\"groups\":\"a\"}",
        "{\"groups\":[null]}",
        "{\"groups\":[\"a\",1]}",
        "{\"groups\":[\"\"]}",
        "{\"groups\":[\" \\t\"]}",
        "{\"roles\":[null]}",
        "{\"roles\":{}}",
        "{\"subprotocol\":\"\"}",
        "{\"subprotocol\":[]}",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
        respond(f, 200, "application/json", str__of(bodies[i]));
        http__add(&f->arena, &f->res.headers, STR("ce-connectionState"), STR("x"));
        if (decode(f, PH_EVENT_CONNECT) != PH_ERR_SYNTAX)
            fail_msg("%s was accepted", bodies[i]);
        assert_false(f->answer.success);
        assert_null(f->answer.state.ptr);
        assert_int_equal(f->answer.group_count, 0);
        assert_true(f->diag.text[0] != '\0');
    }
}

/* It would make every later event of the connection fail. */
static void state_that_no_event_can_carry_fails_the_answer(void **state)
{
    static const struct {
        struct str value;
        const char *why; /* NULL: it is taken */
    } rows[] = {
        {{"", 0}, NULL},
        {{"!~ a", 4}, NULL},
        {{"caf\xc3\xa9", 5}, "outside ASCII"},
        {{"caf\xe9", 4}, "outside ASCII"},
        {{"a\x7f", 2}, "control character"},
        {{"a\tb", 3}, "control character"},
        {{"a ", 2}, "white space"},
    };
    static const enum ph_event_kind kinds[] = {PH_EVENT_CONNECT, PH_EVENT_USER, PH_EVENT_CONNECTED};
    struct fixture *f = *state;

    for (size_t i = 0; i < 3 * (sizeof(rows) / sizeof(*rows)); i++) {
        enum ph_event_kind kind = kinds[i % 3];
        struct str value = rows[i / 3].value;
        bool taken = !rows[i / 3].why || kind == PH_EVENT_CONNECTED; /* where it does not count */

        respond(f, 200, NULL, STR(""));
        f->res.headers.count = 0;
        http__add(&f->arena, &f->res.headers, STR("ce-connectionState"), value);
        if (decode(f, kind) != (taken ? PH_OK : PH_ERR_SYNTAX))
            fail_msg("row %zu, kind %d: %s", i / 3, kind, f->diag.text);
        assert_int_equal(f->answer.success, taken);
        if (!taken)
            assert_non_null(strstr(f->diag.text, rows[i / 3].why));
        else if (kind != PH_EVENT_CONNECTED)
            assert_true(str__eq(f->answer.state, value));
        else
            assert_null(f->answer.state.ptr);
    }
}

static void group_names_of_answers_are_limited(void **state)
{
    struct fixture *f = *state;
    char body[1100];

    for (size_t len = 1023; len <= 1025; len++) {
        snprintf(body, sizeof(body), "{\"groups\":[\"%0*d\"]}", (int)len, 1);
        respond(f, 200, NULL, str__of(body));
        assert_int_equal(decode(f, PH_EVENT_CONNECT), len <= 1024 ? PH_OK : PH_ERR_SYNTAX);
    }
}

static void user_answers_by_content_type(void **state)
{
    static const struct {
        const char *content_type;
        struct str body;
        enum ph_err err;
        enum ph_data_type type;
    } rows[] = {
        {"text/plain; charset=utf-8", {"a", 1}, PH_OK, PH_DATA_TEXT},
        {"Application/Json", {" [1]", 4}, PH_OK, PH_DATA_JSON},
        {"application/octet-stream", {"\xff", 1}, PH_OK, PH_DATA_BINARY},
        {NULL, {"\xff", 1}, PH_OK, PH_DATA_BINARY},
        {"application/x-protobuf", {"\x0a", 1}, PH_OK, PH_DATA_PROTOBUF},
        {"text/html", {"a", 1}, PH_ERR_UNSUPPORTED, 0},
        {"", {"a", 1}, PH_ERR_UNSUPPORTED, 0},
        {"text/plain", {"\xff", 1}, PH_ERR_SYNTAX, 0},
        {"application/json", {"{", 1}, PH_ERR_SYNTAX, 0},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        respond(f, 200, rows[i].content_type, rows[i].body);
        if (decode(f, PH_EVENT_USER) != rows[i].err)
            fail_msg("row %zu: %s", i, f->diag.text);
        assert_int_equal(f->answer.success, rows[i].err == PH_OK);
        assert_int_equal(f->answer.has_data, rows[i].err == PH_OK);
        assert_int_equal(f->answer.type, rows[i].type);
        if (rows[i].err == PH_OK)
            assert_true(str__eq(f->answer.data, rows[i].body));
    }
}

static void an_empty_user_answer_says_nothing(void **state)
{
    static const char *const types[] = {NULL, "text/plain", "application/json", "text/html"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        respond(f, 200, types[i], STR(""));
        assert_int_equal(decode(f, PH_EVENT_USER), PH_OK);
        assert_true(f->answer.success);
        assert_false(f->answer.has_data);
    }
}

static void failures_carry_neither_state_nor_cookies(void **state)
{
    static const int statuses[] = {100, 199, 300, 302, 400, 401, 404, 500, 503};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
        respond(f, statuses[i], "text/html", STR("<html>"));
        http__add(&f->arena, &f->res.headers, STR("ce-connectionState"), STR("x"));
        http__add(&f->arena, &f->res.headers, STR("Set-Cookie"), STR("a=b"));
        assert_int_equal(decode(f, PH_EVENT_CONNECT), PH_OK);
        assert_false(f->answer.success);
        assert_int_equal(f->answer.status, statuses[i]);
        assert_null(f->answer.state.ptr);
        assert_int_equal(f->answer.cookie_count, 0);
    }
}

static void cookies_are_collected_up_to_a_limit(void **state)
{
    struct fixture *f = *state;

    for (size_t count = 15; count <= 17; count++) {
        respond(f, 204, NULL, STR_NONE);
        for (size_t i = 0; i < count; i++)
            http__add(&f->arena, &f->res.headers, STR("set-cookie"), STR("a=b; Path=/"));
        assert_int_equal(decode(f, PH_EVENT_CONNECTED), PH_OK);
        assert_int_equal(f->answer.cookie_count, count <= 16 ? count : 16);
        assert_str(f->answer.cookies[0], "a=b; Path=/");
    }
}

static struct str nested(struct fixture *f, size_t depth)
{
    char *text = arena__alloc(&f->arena, 2 * depth);

    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    return str__n(text, 2 * depth);
}

static void json_of_replies_and_answers_is_limited_in_depth(void **state)
{
    struct fixture *f = *state;

    for (size_t depth = 511; depth <= 513; depth++) {
        struct str json = nested(f, depth);
        struct ph_reply *reply = ph_reply_json(json.ptr, json.len);

        assert_int_equal(reply->failed == NULL, depth <= 512);
        ph_reply_free(reply);
        respond(f, 200, "application/json", json);
        assert_int_equal(decode(f, PH_EVENT_USER), depth <= 512 ? PH_OK : PH_ERR_LIMIT);
    }
}

/* {"roles":["","",...]} with so many values in all. */
static struct str many_values(struct fixture *f, size_t values)
{
    static const char head[] = "{\"roles\":[\"\"";
    size_t more = values - 3, len = strlen(head) + 3 * more + 2;
    char *text = arena__alloc(&f->arena, len), *at = text + strlen(head);

    memcpy(text, head, strlen(head));
    for (size_t i = 0; i < more; i++, at += 3)
        memcpy(at, ",\"\"", 3);
    memcpy(at, "]}", 2);
    return str__n(text, len);
}

static void values_of_a_connect_answer_are_limited(void **state)
{
    struct fixture *f = *state;

    for (size_t values = 99999; values <= 100001; values++) {
        respond(f, 200, NULL, many_values(f, values));
        assert_int_equal(decode(f, PH_EVENT_CONNECT), values <= 100000 ? PH_OK : PH_ERR_LIMIT);
    }
}

static void an_answer_over_16_mib_is_refused(void **state)
{
    const size_t limit = 16u << 20;
    char *body = calloc(1, limit + 1);
    struct fixture *f = *state;

    for (size_t len = limit - 1; len <= limit + 1; len++) {
        respond(f, 200, "application/octet-stream", str__n(body, len));
        assert_int_equal(decode(f, PH_EVENT_USER), len <= limit ? PH_OK : PH_ERR_LIMIT);
    }
    free(body);
}

static void replies_arrive_as_they_were_meant(void **state)
{
    struct fixture *f = *state;
    struct ph_reply *reply = ph_reply_accept();

    ph_reply_set_user_id(reply, "b\"o\\b");
    ph_reply_add_role(reply, "r\n");
    ph_reply_set_state(reply, "s");
    assert_int_equal(encode(f, PH_EVENT_CONNECT, reply), PH_OK);
    assert_int_equal(decode(f, PH_EVENT_CONNECT), PH_OK);
    assert_str(f->answer.user_id, "b\"o\\b");
    assert_str(f->answer.roles[0], "r\n");
    assert_str(f->answer.state, "s");

    assert_int_equal(encode(f, PH_EVENT_USER, ph_reply_binary("\0x", 2)), PH_OK);
    assert_int_equal(decode(f, PH_EVENT_USER), PH_OK);
    assert_int_equal(f->answer.type, PH_DATA_BINARY);
    assert_int_equal(f->answer.data.len, 2);

    assert_int_equal(encode(f, PH_EVENT_USER, ph_reply_reject(403, "no")), PH_OK);
    assert_int_equal(decode(f, PH_EVENT_USER), PH_OK);
    assert_false(f->answer.success);
    assert_int_equal(f->answer.status, 403);
}

/* --- headers that a handler adds -------------------------------------------------- */

static void headers_go_out_as_lines_of_their_own(void **state)
{
    static const enum ph_event_kind kinds[] = {PH_EVENT_CONNECT, PH_EVENT_USER, PH_EVENT_CONNECTED};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        struct ph_reply *reply = ph_reply_ok();

        ph_reply_add_header(reply, "Set-Cookie", "a=1; Path=/");
        ph_reply_add_header(reply, "X-Empty", "");
        ph_reply_add_header(reply, "set-cookie", "b=2");
        assert_int_equal(encode(f, kinds[i], reply), PH_OK);
        assert_int_equal(http__count(&f->res.headers, STR("Set-Cookie")), 2);
        assert_str(http__get(&f->res.headers, STR("X-Empty")), "");
        assert_int_equal(decode(f, kinds[i]), PH_OK);
        assert_int_equal(f->answer.cookie_count, 2);
        assert_str(f->answer.cookies[0], "a=1; Path=/");
        assert_str(f->answer.cookies[1], "b=2");
    }
}

static void headers_go_with_a_refusal_too(void **state)
{
    struct fixture *f = *state;
    struct ph_reply *reply = ph_reply_reject(429, "later");

    ph_reply_add_header(reply, "Retry-After", "30");
    assert_int_equal(encode(f, PH_EVENT_USER, reply), PH_OK);
    assert_int_equal(f->res.status, 429);
    assert_str(http__get(&f->res.headers, STR("retry-after")), "30");
}

static void headers_that_are_not_the_handlers_spoil_a_reply(void **state)
{
    static const struct {
        const char *name, *value, *reason;
    } rows[] = {
        {"Content-Length", "1", "belongs to HTTP"},
        {"transfer-encoding", "chunked", "belongs to HTTP"},
        {"CONNECTION", "close", "belongs to HTTP"},
        {"Keep-Alive", "1", "belongs to HTTP"},
        {"Upgrade", "h2c", "belongs to HTTP"},
        {"TE", "trailers", "belongs to HTTP"},
        {"Trailer", "X", "belongs to HTTP"},
        {"Date", "now", "belongs to HTTP"},
        {"Content-Encoding", "gzip", "belongs to HTTP"},
        {"Proxy-Connection", "close", "belongs to HTTP"},
        {"Status", "200", "CGI"},
        {"Content-Type", "a/b", "data type"},
        {"ce-connectionState", "x", "ph_reply_set_state"},
        {"CE-Other", "x", "ph_reply_set_state"},
        {"WebHook-Allowed-Origin", "*", "validation"},
        {"X-WebPubSub-Metadata-a", "x", "ph_reply_set_metadata"},
        {"mqtt-a", "x", "ph_reply_add_mqtt_property"},
        {"", "x", "name of a header"},
        {"a b", "x", "name of a header"},
        {"a:", "x", "name of a header"},
        {"a\r\nb", "x", "name of a header"},
        {NULL, "x", "is NULL"},
        {"a", NULL, "is NULL"},
        {"a", "x\r\nSet-Cookie: y", "printable ASCII"},
        {"a", "x\x7f", "printable ASCII"},
        {"a", "x\ty", "printable ASCII"},
        {"a", "\xc3\xa4", "printable ASCII"},
        {"a", " x", "white space"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_reply *reply = ph_reply_ok();

        ph_reply_add_header(reply, rows[i].name, rows[i].value);
        assert_int_equal(encode(f, PH_EVENT_USER, reply), PH_ERR_ARGUMENT);
        assert_int_equal(f->res.status, 500);
        assert_int_equal(f->res.headers.count, 0);
        if (!strstr(f->diag.text, rows[i].reason))
            fail_msg("row %zu: %s", i, f->diag.text);
    }
}

static void headers_of_a_reply_are_limited(void **state)
{
    char value[16384];
    struct ph_reply *reply = ph_reply_ok();

    (void)state;
    for (int i = 0; i < 64; i++)
        ph_reply_add_header(reply, "X-Many", "1");
    assert_null(reply->failed);
    ph_reply_add_header(reply, "X-Many", "1");
    assert_non_null(reply->failed);
    ph_reply_free(reply);
    memset(value, 'x', sizeof(value));
    for (size_t len = 16382; len <= 16383; len++) {
        value[len] = '\0';
        reply = ph_reply_ok();
        ph_reply_add_header(reply, "ab", value);
        assert_int_equal(reply->failed == NULL, len <= 16382);
        ph_reply_free(reply);
        value[len] = 'x';
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(accept_says_only_what_was_set),
        TEST(state_may_go_with_any_success),
        TEST(metadata_goes_with_a_message),
        TEST(of_metadata_with_commas_the_last_part_counts),
        TEST(metadata_alone_is_an_empty_text),
        TEST(metadata_of_other_events_means_nothing),
        TEST(broken_metadata_breaks_an_answer),
        TEST(reject_has_status_and_text),
        TEST(data_keeps_its_bytes_and_says_its_type),
        TEST(a_reply_that_does_not_fit_is_500_and_says_which_would),
        TEST(wrong_values_spoil_a_reply),
        TEST(nothing_happens_to_a_null_reply),
        TEST(many_groups_stay_in_order),
        TEST(group_names_are_limited),
        TEST(a_reply_over_16_mib_is_spoilt),
        TEST(memory_may_run_out_anywhere),
        TEST(connect_answers_that_keep_everything),
        TEST(connect_answer_with_all_it_can_hold),
        TEST(broken_connect_answers_are_failures),
        TEST(state_that_no_event_can_carry_fails_the_answer),
        TEST(group_names_of_answers_are_limited),
        TEST(user_answers_by_content_type),
        TEST(an_empty_user_answer_says_nothing),
        TEST(failures_carry_neither_state_nor_cookies),
        TEST(cookies_are_collected_up_to_a_limit),
        TEST(json_of_replies_and_answers_is_limited_in_depth),
        TEST(values_of_a_connect_answer_are_limited),
        TEST(an_answer_over_16_mib_is_refused),
        TEST(replies_arrive_as_they_were_meant),
        TEST(headers_go_out_as_lines_of_their_own),
        TEST(headers_go_with_a_refusal_too),
        TEST(headers_that_are_not_the_handlers_spoil_a_reply),
        TEST(headers_of_a_reply_are_limited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
