/* The loader: good plugins serve, bad ones are refused with a reason. */
#include "app/app.h"
#include "plugin/config.h"
#include "plugin/plugin.h"
#include "unit.h"
#include "webhook.h"

#include <stdio.h>

static struct ph_app *new_app(void)
{
    struct ph_app *app = ph_app_new();

    assert_non_null(app);
    assert_int_equal(ph_app_add_key(app, WEBHOOK_KEY), PH_OK);
    return app;
}

static struct ph_app *load(const char *spec)
{
    struct ph_app *app = new_app();
    struct diag diag = {""};

    if (plugin__load(app, spec, NULL, &diag))
        fail_msg("%s", diag.text);
    return app;
}

static void expect(struct ph_response *res, int status, const char *body)
{
    size_t len;
    const void *bytes = ph_response_body(res, &len);

    assert_int_equal(ph_response_status(res), status);
    if (body)
        assert_str(str__n(bytes, len), body);
    ph_response_free(res);
}

/* A key is listed once, and also when a longer one that was asked for before holds it. */
static void the_keys_that_a_plugin_reads_are_listed(void **state)
{
    struct ph_plugin_config config;
    struct diag diag = {""};

    (void)state;
    assert_int_equal(plugin_config__parse(&config, "a.so?x=1", NULL, &diag), PH_OK);
    assert_null(plugin_config__get(&config, "claim-equals"));
    assert_null(plugin_config__get(&config, "claim"));
    assert_null(plugin_config__get(&config, "claim-equals"));
    assert_int_equal(plugin_config__check(&config, &diag), PH_ERR_PLUGIN);
    assert_non_null(strstr(diag.text, "it reads: hub, claim-equals, claim"));
    assert_null(strstr(diag.text, "claim, "));
    plugin_config__free(&config);
}

static void bad_plugins_are_refused_with_file_and_reason(void **state)
{
    static const struct {
        const char *spec, *reason;
    } rows[] = {
        {"", "no file is named"},
        {"?secret=hush", "no file is named"},
        {PLUGINS_DIR "/missing.so", "no such file"},
        {"missing.so", "or the name of one in the working folder or in"},
        {PLUGINS_DIR, "no such file"},
        {UNIT_SRCDIR "/test_plugin.c", "invalid ELF header"},
        {PLUGINS_DIR "/bad_no_entry.so", "does not export ph_plugin_entry"},
        {PLUGINS_DIR "/bad_null_table.so", "returned NULL"},
        {PLUGINS_DIR "/bad_major.so", "built for plugin interface 2.4, expected 1.x"},
        {PLUGINS_DIR "/bad_minor.so", "needs plugin interface 1.5, this is 1.4"},
        {PLUGINS_DIR "/bad_short.so", "its table has"},
        {PLUGINS_DIR "/bad_no_name.so", "name is NULL"},
        {PLUGINS_DIR "/bad_no_handlers.so", "handlers is NULL"},
        {PLUGINS_DIR "/bad_empty.so", "no handlers"},
        {PLUGINS_DIR "/bad_pattern.so", "handler 1: pattern is NULL"},
        {PLUGINS_DIR "/bad_kind.so", "handler 1: unknown kind 99"},
        {PLUGINS_DIR "/bad_open.so", "bad 1.2 does not open: the moon is in the wrong phase"},
        {PLUGINS_DIR "/bad_many.so", "more than 256 handlers"},
        {PLUGINS_DIR "/bad_empty_pattern.so", "handler 1: pattern is empty"},
        {PLUGINS_DIR "/bad_options.so", "option 2, \"colour\": another one has this name"},
        {PLUGINS_DIR "/bad_asks.so", "\"size\" is missing, expected a whole number: how large"},
        {PLUGINS_DIR "/bad_asks.so?size=1", "asks for the key \"color\" as what it is not"},
        {PLUGINS_DIR "/bad_asks.so?size=2", "asks for the key \"size\" as what it is not"},
        {PLUGINS_DIR "/bad_asks.so?size=3", "asks for the key \"colour\" as what it is not"},
        {PLUGINS_DIR "/bad_asks.so?size=x", "the key \"size\" is \"x\", expected a whole number"},
        {PLUGINS_DIR "/bad_asks.so?size=1&colour=blue", "is \"blue\", expected one of red, green"},
        {PLUGINS_DIR "/bad_asks.so?size=1&size=2", "given twice"},
        {PLUGINS_DIR "/bad_asks.so?size=1&shape=round", "it reads: hub, colour, size"},
        {PLUGINS_DIR "/bad_asks.so?size=1&hub=2", "is no name of a hub"},
        {PLUGINS_DIR "/old_table.so?shape=round", "it reads: hub, colour"},
        {HANDLERS_BUILD_DIR "/echo.so?a=%zz", "malformed"},
        {HANDLERS_BUILD_DIR "/echo.so?secret=hush%", "malformed"},
        {HANDLERS_BUILD_DIR "/echo.so?colour=red", "does not know the key \"colour\""},
        {HANDLERS_BUILD_DIR "/skeleton.so?greetin=x", "it reads: hub, greeting"},
        {HANDLERS_BUILD_DIR "/skeleton.so?greeting=a&greeting=b", "given twice"},
        {HANDLERS_BUILD_DIR "/echo.so?hub=", "\"\" is no name of a hub"},
        {HANDLERS_BUILD_DIR "/echo.so?hub=chat&hub=2nd", "\"2nd\" is no name of a hub"},
        {HANDLERS_BUILD_DIR "/skeleton.so?greeting=",
         "the key \"greeting\" is \"\", expected a text of 1 to 1000 bytes"},
        {HANDLERS_BUILD_DIR "/auth.so", "no rule"},
        {HANDLERS_BUILD_DIR "/auth.so?claim-equals=a&users=b", "claim-equals needs claim"},
        {HANDLERS_BUILD_DIR "/auth.so?query-equals=a&users=b", "query-equals needs query"},
        {HANDLERS_BUILD_DIR "/auth.so?users=b&status=399", "from 400 to 499"},
        {HANDLERS_BUILD_DIR "/auth.so?users=b&status=500", "from 400 to 499"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_app *app = new_app();
        struct diag diag = {""};
        char file[256];

        assert_int_equal(plugin__load(app, rows[i].spec, NULL, &diag), PH_ERR_PLUGIN);
        snprintf(file, sizeof(file), "%.*s", (int)strcspn(rows[i].spec, "?"), rows[i].spec);
        if (!strstr(diag.text, rows[i].reason) || !strstr(diag.text, file))
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, diag.text, rows[i].reason);
        assert_null(strstr(diag.text, "hush"));
        ph_app_free(app);
    }
}

static void an_old_plugin_has_no_table_of_options(void **state)
{
    struct ph_app *app = load(PLUGINS_DIR "/old_table.so?colour=any");
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "a");

    (void)state;
    expect(webhook__post(app, &ev), 204, NULL);
    ph_app_free(app);
}

/* Whatever a handler does, the host answers. */
static void hostile_handlers_are_contained(void **state)
{
    static const struct {
        const char *event;
        int status;
        const char *body, *logged;
    } rows[] = {
        {"nothing", 500, "", "event failed"},
        {"foreign", 500, "", "what is no reply"},
        {"crooked", 500, "", "what is no reply"},
        {"copied", 500, "", "what is no reply"},
        {"wrong", 500, "", "ph_reply_accept"},
        {"twice", 200, "first", ""},
        {"byforeign", 200, "own", ""},
        {"never", 504, "", "not answered within 20 ms"},
        {"dropped", 500, "", "event failed"},
        {"config", 200, "none", ""},
    };
    struct ph_app *app = load(PLUGINS_DIR "/hostile.so?key=value");
    struct ph_event connected = webhook__event(PH_EVENT_CONNECTED, "connected");

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_event ev = webhook__user_event(rows[i].event, PH_DATA_TEXT, "");
        struct webhook_log log;

        webhook__log_open(&log);
        ph_app_set_log(app, log.log);
        expect(webhook__post(app, &ev), rows[i].status, rows[i].body);
        if (!strstr(log.text, rows[i].logged))
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].event, log.text, rows[i].logged);
        if (strchr(log.text, '\n') != strrchr(log.text, '\n'))
            fail_msg("%s: \"%s\" has several lines", rows[i].event, log.text);
        ph_app_set_log(app, NULL);
        webhook__log_close(&log);
    }
    expect(webhook__post(app, &connected), 500, NULL);
    assert_false(app__never_blocks(app));
    ph_app_free(app);
}

static void plugins_describe_themselves(void **state)
{
    static const char *const lines[] = {
        "auth 0.1.0 (",
        ", for plugin interface 1.",
        "\n  connect\n",
        "  hub=NAME  ",
        "  status=N              answer to a client that breaks a rule\n",
        "a whole number from 400 to 499; default: 401\n",
    };
    struct diag diag = {""};
    struct buf text;

    (void)state;
    buf__init(&text, 65536);
    assert_int_equal(plugin__describe(HANDLERS_BUILD_DIR "/auth.so?help", &text, &diag), PH_OK);
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        if (!strstr(text.data, lines[i]))
            fail_msg("no \"%s\" in:\n%s", lines[i], text.data);
    }
    buf__reset(&text);
    assert_int_equal(plugin__describe(PLUGINS_DIR "/bad_options.so", &text, &diag), PH_ERR_PLUGIN);
    assert_int_equal(text.len, 0);
    buf__free(&text);
}

static void plugins_say_whether_they_block(void **state)
{
    struct ph_app *app = load(HANDLERS_BUILD_DIR "/echo.so");
    struct diag diag;

    (void)state;
    assert_true(app__never_blocks(app));
    /* One that may block is enough. */
    assert_int_equal(plugin__load(app, PLUGINS_DIR "/witness.so", NULL, &diag), PH_OK);
    assert_false(app__never_blocks(app));
    ph_app_free(app);
}

static void echo_answers_with_the_same_data(void **state)
{
    struct ph_app *app = load(HANDLERS_BUILD_DIR "/echo.so");
    struct ph_event ev = webhook__event(PH_EVENT_CONNECT, "connect");

    (void)state;
    expect(webhook__post(app, &ev), 204, NULL);
    ev = webhook__user_event("anything", PH_DATA_JSON, " [1.0] ");
    expect(webhook__post(app, &ev), 200, " [1.0] ");
    ev = webhook__user_event("message", PH_DATA_BINARY, "\xff");
    expect(webhook__post(app, &ev), 200, "\xff");
    ph_app_free(app);
}

static void delay_answers_later(void **state)
{
    struct ph_app *app = load(HANDLERS_BUILD_DIR "/delay.so?after=1ms");
    struct ph_event ev = webhook__user_event("message", PH_DATA_JSON, "[1]");
    struct ph_response *res = webhook__post(app, &ev);
    size_t len;

    (void)state;
    assert_int_equal(ph_response_status(res), 200);
    assert_memory_equal(ph_response_body(res, &len), "[1]", 3);
    assert_int_equal(len, 3);
    ph_response_free(res);
    ph_app_free(app);
}

static void count_answer(struct ph_response *res, void *arg)
{
    int *status = arg;

    *status = ph_response_status(res);
}

/* The plugin holds its token still when the application ends. */
static void delay_is_closed_while_an_event_waits(void **state)
{
    struct ph_app *app = load(HANDLERS_BUILD_DIR "/delay.so?after=60s");
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "hello");
    struct ph_request *req = ph_request_new("POST", "/eventhandler");
    struct ph_response *res = ph_response_new();
    struct diag diag;
    int status = 0;

    (void)state;
    assert_int_equal(event__encode(&req->arena, &ev, STR(WEBHOOK_SIGNATURE), &req->http, &diag),
                     PH_OK);
    assert_int_equal(ph_app_serve_async(app, req, res, count_answer, &status), PH_OK);
    assert_int_equal(status, 0);
    ph_app_free(app);
    assert_int_equal(status, 503);
    ph_response_free(res);
    ph_request_free(req);
}

static void hub_keys_say_what_the_handlers_are_for(void **state)
{
    struct ph_app *app = load(HANDLERS_BUILD_DIR "/echo.so?hub=chat&hub=Other");
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "a");

    (void)state;
    expect(webhook__post(app, &ev), 200, "a");
    ev.hub = STR("other");
    expect(webhook__post(app, &ev), 200, "a");
    ev.hub = STR("third");
    expect(webhook__post(app, &ev), 204, NULL);
    ph_app_free(app);
}

static void chat_wants_a_user_and_gives_the_lobby(void **state)
{
    struct ph_app *app = load(HANDLERS_BUILD_DIR "/chat.so");
    struct ph_event ev = webhook__event(PH_EVENT_CONNECT, "connect");
    struct ph_response *res;
    const char *body;
    size_t len;

    (void)state;
    res = webhook__post(app, &ev);
    ph_response_body(res, &len);
    assert_true(len > 0);
    expect(res, 401, NULL);
    ev.user_id = STR("ann");
    res = webhook__post(app, &ev);
    body = ph_response_body(res, &len);
    assert_non_null(strstr(body, "\"groups\":[\"lobby\"]"));
    assert_non_null(strstr(body, "webpubsub.joinLeaveGroup.lobby"));
    assert_non_null(strstr(body, "webpubsub.sendToGroup.lobby"));
    expect(res, 200, NULL);
    ph_app_free(app);
}

static void chat_counts_in_the_connection_state(void **state)
{
    static const struct {
        enum ph_data_type type;
        const char *data, *answer;
    } rows[] = {
        {PH_DATA_TEXT, "hi", "{\"from\":\"ann \\\"a\\\"\",\"text\":\"hi\",\"count\":1}"},
        {PH_DATA_TEXT, "a\n\"b",
         "{\"from\":\"ann \\\"a\\\"\",\"text\":\"a\\u000a\\\"b\",\"count\":2}"},
        {PH_DATA_JSON, " \"a\\\"b\" ",
         "{\"from\":\"ann \\\"a\\\"\",\"text\":\"a\\\"b\",\"count\":3}"},
        {PH_DATA_JSON, "{ \"text\" : \"\xc3\xa9\" }",
         "{\"from\":\"ann \\\"a\\\"\",\"text\":\"\xc3\xa9\",\"count\":4}"},
        {PH_DATA_JSON, "{\"text\":1}",
         "{\"from\":\"ann \\\"a\\\"\",\"text\":\"{\\\"text\\\":1}\",\"count\":5}"},
        {PH_DATA_JSON, "7", "{\"from\":\"ann \\\"a\\\"\",\"text\":\"7\",\"count\":6}"},
    };
    struct ph_app *app = load(HANDLERS_BUILD_DIR "/chat.so");
    char connection_state[256];
    struct str current = STR_NONE;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_event ev = webhook__user_event("message", rows[i].type, rows[i].data);
        struct ph_response *res;

        ev.user_id = STR("ann \"a\"");
        ev.state = current;
        res = webhook__post(app, &ev);
        snprintf(connection_state, sizeof(connection_state), "%s",
                 webhook__header(res, "ce-connectionState"));
        current = str__of(connection_state);
        expect(res, 200, rows[i].answer);
    }
    ph_app_free(app);
}

static void chat_refuses_binary(void **state)
{
    struct ph_app *app = load(HANDLERS_BUILD_DIR "/chat.so");
    struct ph_event ev = webhook__user_event("message", PH_DATA_BINARY, "x");

    (void)state;
    expect(webhook__post(app, &ev), 415, NULL);
    ph_app_free(app);
}

static int connect_status(const char *spec, const char *user)
{
    static const struct str room = {"lobby", 5}, admin = {"yes", 3};
    static const struct event_field query = {{"room", 4}, &room, 1},
                                    claim = {{"admin", 5}, &admin, 1};
    struct ph_app *app = load(spec);
    struct ph_event ev = webhook__event(PH_EVENT_CONNECT, "connect");
    struct ph_response *res;
    int status;

    ev.user_id = str__of(user);
    ev.query = (struct event_fields){&query, 1};
    ev.claims = (struct event_fields){&claim, 1};
    res = webhook__post(app, &ev);
    status = ph_response_status(res);
    ph_response_free(res);
    ph_app_free(app);
    return status;
}

static void auth_holds_all_its_rules(void **state)
{
    static const struct {
        const char *keys, *user;
        int status;
    } rows[] = {
        {"?users=ann,bob", "bob", 204},
        {"?users=ann,bob", "bo", 401},
        {"?users=ann,bob", NULL, 401},
        {"?users=,", "", 401},
        {"?users=ann&status=403", "eve", 403},
        {"?claim=admin", "eve", 204},
        {"?claim=admin&claim-equals=yes", "eve", 204},
        {"?claim=admin&claim-equals=no", "eve", 401},
        {"?claim=root", "eve", 401},
        {"?query=room&query-equals=lobby", "eve", 204},
        {"?query=room&query-equals=cellar", "eve", 401},
        {"?query=floor", "eve", 401},
        {"?query=room&users=ann", "eve", 401},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char spec[512];
        int status;

        snprintf(spec, sizeof(spec), HANDLERS_BUILD_DIR "/auth.so%s", rows[i].keys);
        status = connect_status(spec, rows[i].user);
        if (status != rows[i].status)
            fail_msg("%s: got %d, expected %d", rows[i].keys, status, rows[i].status);
    }
}

static void skeleton_handles_every_kind(void **state)
{
    struct ph_app *app = load(HANDLERS_BUILD_DIR "/skeleton.so?greeting=good%20day");
    struct ph_event ev = webhook__event(PH_EVENT_CONNECT, "connect");

    (void)state;
    expect(webhook__post(app, &ev), 200, "{\"userId\":\"guest\"}");
    ev = webhook__event(PH_EVENT_CONNECTED, "connected");
    expect(webhook__post(app, &ev), 204, NULL);
    ev = webhook__user_event("greet", PH_DATA_TEXT, "");
    expect(webhook__post(app, &ev), 200, "good day");
    ev = webhook__user_event("other", PH_DATA_TEXT, "");
    expect(webhook__post(app, &ev), 204, NULL);
    ev = webhook__event(PH_EVENT_JOINED, "joined");
    ev.group = STR("g");
    expect(webhook__post(app, &ev), 204, NULL);
    ev = webhook__event(PH_EVENT_LEFT, "left");
    ev.group = STR("g");
    expect(webhook__post(app, &ev), 204, NULL);
    ev = webhook__event(PH_EVENT_DISCONNECTED, "disconnected");
    expect(webhook__post(app, &ev), 204, NULL);
    ph_app_free(app);
}

static void one_file_serves_two_uses(void **state)
{
    struct ph_app *app = load(HANDLERS_BUILD_DIR "/skeleton.so?hub=chat&greeting=one");
    struct ph_event ev = webhook__user_event("greet", PH_DATA_TEXT, "");
    struct diag diag = {""};

    (void)state;
    assert_int_equal(plugin__load(app, HANDLERS_BUILD_DIR "/skeleton.so?greeting=two", NULL, &diag),
                     PH_OK);
    expect(webhook__post(app, &ev), 200, "one");
    ev.hub = STR("other");
    expect(webhook__post(app, &ev), 200, "two");
    ph_app_free(app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_plugins_are_refused_with_file_and_reason),
        cmocka_unit_test(the_keys_that_a_plugin_reads_are_listed),
        cmocka_unit_test(an_old_plugin_has_no_table_of_options),
        cmocka_unit_test(hostile_handlers_are_contained),
        cmocka_unit_test(plugins_describe_themselves),
        cmocka_unit_test(plugins_say_whether_they_block),
        cmocka_unit_test(echo_answers_with_the_same_data),
        cmocka_unit_test(delay_answers_later),
        cmocka_unit_test(delay_is_closed_while_an_event_waits),
        cmocka_unit_test(hub_keys_say_what_the_handlers_are_for),
        cmocka_unit_test(chat_wants_a_user_and_gives_the_lobby),
        cmocka_unit_test(chat_counts_in_the_connection_state),
        cmocka_unit_test(chat_refuses_binary),
        cmocka_unit_test(auth_holds_all_its_rules),
        cmocka_unit_test(skeleton_handles_every_kind),
        cmocka_unit_test(one_file_serves_two_uses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
