/* One request in, one response out: dispatch, refusals, limits. */
#include "app/registry.h"
#include "pubhook/json.h"
#include "pubhook/version.h"
#include "unit.h"
#include "webhook.h"

#include <stdlib.h>

static struct ph_app *new_app(void)
{
    struct ph_app *app = ph_app_new();

    assert_non_null(app);
    assert_int_equal(ph_app_add_key(app, WEBHOOK_KEY), PH_OK);
    return app;
}

static struct ph_reply *echo(const struct ph_event *ev, void *arg)
{
    size_t len;
    const void *data = ph_event_data(ev, &len);

    if (arg)
        ++*(int *)arg;
    return ph_reply_data(ph_event_data_type(ev), data, len);
}

static void expect(struct ph_response *res, int status, const char *content_type, const char *body)
{
    size_t len;
    const char *bytes = ph_response_body(res, &len);

    assert_int_equal(ph_response_status(res), status);
    if (content_type)
        assert_string_equal(webhook__header(res, "Content-Type"), content_type);
    else
        assert_null(webhook__header(res, "Content-Type"));
    if (body)
        assert_str(str__n(bytes, len), body);
    ph_response_free(res);
}

static void user_event_reaches_its_handler(void **state)
{
    static const struct {
        enum ph_data_type type;
        const char *content_type, *data;
    } rows[] = {
        {PH_DATA_TEXT, "text/plain", "gr\xc3\xbc\xc3\x9f dich"},
        {PH_DATA_JSON, "application/json", " {\"b\" : 1e5, \"a\":[ ] }\n"},
        {PH_DATA_BINARY, "application/octet-stream", "\xff\xfe"},
        {PH_DATA_PROTOBUF, "application/x-protobuf", "\x0a\x01x"},
    };
    struct ph_app *app = new_app();
    int calls = 0;

    (void)state;
    assert_int_equal(ph_app_on_event(app, "CHAT", "mess*", echo, &calls, NULL), PH_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_event ev = webhook__user_event("message", rows[i].type, rows[i].data);

        expect(webhook__post(app, &ev), 200, rows[i].content_type, rows[i].data);
    }
    assert_int_equal(calls, 4);
    ph_app_free(app);
}

static struct ph_reply *admit(const struct ph_event *ev, void *arg)
{
    struct ph_reply *reply = ph_reply_accept();

    (void)arg;
    assert_string_equal(ph_event_field(ev, PH_FIELD_QUERY, "room", 0), "7");
    assert_string_equal(ph_event_offered_subprotocol(ev, 0), "json.webpubsub.azure.v1");
    ph_reply_set_user_id(reply, "bob \"b\"");
    ph_reply_add_group(reply, "lobby");
    ph_reply_add_group(reply, "two");
    ph_reply_add_group(reply, "three");
    ph_reply_clear_roles(reply);
    ph_reply_set_subprotocol(reply, "json.webpubsub.azure.v1");
    ph_reply_set_state(reply, "e30=");
    return reply;
}

static void connect_is_accepted_with_what_the_handler_says(void **state)
{
    const struct str offered[] = {STR("json.webpubsub.azure.v1")}, room[] = {STR("7")};
    const struct event_field query[] = {{STR("room"), room, 1}};
    struct ph_event ev = webhook__event(PH_EVENT_CONNECT, "connect");
    struct ph_app *app = new_app();
    struct ph_response *res;

    (void)state;
    ev.subprotocols = offered;
    ev.subprotocol_count = 1;
    ev.query = (struct event_fields){query, 1};
    ph_app_on_connect(app, NULL, admit, NULL, NULL);
    res = webhook__post(app, &ev);
    assert_string_equal(webhook__header(res, "ce-connectionState"), "e30=");
    expect(res, 200, "application/json",
           "{\"userId\":\"bob \\\"b\\\"\",\"groups\":[\"lobby\",\"two\",\"three\"],\"roles\":[],"
           "\"subprotocol\":\"json.webpubsub.azure.v1\"}");
    ph_app_free(app);
}

static void without_a_handler_everything_is_204(void **state)
{
    const struct ph_event events[] = {
        webhook__event(PH_EVENT_CONNECT, "connect"),
        webhook__event(PH_EVENT_CONNECTED, "connected"),
        webhook__event(PH_EVENT_DISCONNECTED, "disconnected"),
        webhook__event(PH_EVENT_JOINED, "joined"),
        webhook__event(PH_EVENT_LEFT, "left"),
        webhook__user_event("message", PH_DATA_TEXT, "hi"),
    };
    struct ph_app *app = new_app();

    (void)state;
    for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++)
        expect(webhook__post(app, &events[i]), 204, NULL, "");
    ph_app_free(app);
}

static void without_a_handler_mqtt_events_are_204_too(void **state)
{
    static const struct event_mqtt mqtt = {.version = PH_MQTT_5, .has_packet = true};
    struct ph_event events[] = {
        webhook__event(PH_EVENT_CONNECT, "connect"),
        webhook__event(PH_EVENT_CONNECTED, "connected"),
        webhook__event(PH_EVENT_DISCONNECTED, "disconnected"),
        webhook__user_event("message", PH_DATA_BINARY, "hi"),
    };
    struct ph_app *app = new_app();

    (void)state;
    events[3].content_type = STR("image/png");
    for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++) {
        events[i].physical_id = STR("phys-1");
        events[i].subprotocol = STR("mqtt");
        events[i].mqtt = &mqtt;
        expect(webhook__post(app, &events[i]), 204, NULL, "");
    }
    ph_app_free(app);
}

/* --- who is asked ------------------------------------------------------------- */

static struct ph_reply *pass(const struct ph_event *ev, void *arg)
{
    (void)ev;
    ++*(int *)arg;
    return ph_reply_pass();
}

static struct ph_reply *name_it(const struct ph_event *ev, void *arg)
{
    (void)ev;
    return ph_reply_text(arg, strlen(arg));
}

static void handlers_are_asked_in_order_until_one_does_not_pass(void **state)
{
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "hi");
    struct ph_app *app = new_app();
    int passed = 0;

    (void)state;
    ph_app_on_event(app, NULL, "*", pass, &passed, NULL);
    ph_app_on_event(app, "other", "*", name_it, (char *)"another hub", NULL);
    ph_app_on_event(app, "chat", "mess", name_it, (char *)"another name", NULL);
    ph_app_on_connect(app, "chat", name_it, (char *)"another kind", NULL);
    ph_app_on_event(app, "chat", "MESSAGE", name_it, (char *)"first", NULL);
    ph_app_on_event(app, "chat", "message", name_it, (char *)"second", NULL);
    expect(webhook__post(app, &ev), 200, "text/plain", "first");
    assert_int_equal(passed, 1);
    ph_app_free(app);
}

static void when_all_pass_it_is_as_if_nobody_were_there(void **state)
{
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "hi");
    struct ph_app *app = new_app();
    int passed = 0;

    (void)state;
    for (int i = 0; i < 20; i++)
        ph_app_on_event(app, NULL, "*", pass, &passed, NULL);
    expect(webhook__post(app, &ev), 204, NULL, "");
    assert_int_equal(passed, 20);
    ph_app_free(app);
}

static void lifecycle_events_reach_their_own_handlers(void **state)
{
    struct ph_event connected = webhook__event(PH_EVENT_CONNECTED, "connected");
    struct ph_event disconnected = webhook__event(PH_EVENT_DISCONNECTED, "disconnected");
    struct ph_event custom = webhook__user_event("connected", PH_DATA_TEXT, "x");
    struct ph_event joined = webhook__event(PH_EVENT_JOINED, "joined");
    struct ph_event left = webhook__event(PH_EVENT_LEFT, "left");
    struct ph_app *app = new_app();
    int first = 0, second = 0, third = 0, fourth = 0, fifth = 0;

    (void)state;
    ph_app_on_connected(app, NULL, pass, &first, NULL);
    ph_app_on_disconnected(app, NULL, pass, &second, NULL);
    ph_app_on_event(app, NULL, "connected", pass, &third, NULL);
    ph_response_free(webhook__post(app, &connected));
    assert_int_equal(first * 100 + second * 10 + third, 100);
    ph_response_free(webhook__post(app, &disconnected));
    assert_int_equal(first * 100 + second * 10 + third, 110);
    ph_response_free(webhook__post(app, &custom));
    assert_int_equal(first * 100 + second * 10 + third, 111);
    joined.group = left.group = STR("g");
    ph_app_on_joined(app, "chat", pass, &fourth, NULL);
    ph_app_on_left(app, "chat", pass, &fifth, NULL);
    ph_response_free(webhook__post(app, &joined));
    assert_int_equal(fourth * 10 + fifth, 10);
    ph_response_free(webhook__post(app, &left));
    assert_int_equal(fourth * 10 + fifth, 11);
    ph_app_free(app);
}

static void patterns(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool matches;
    } rows[] = {
        {"*", "", true},
        {"*", "anything.at-all", true},
        {"**", "x", true},
        {"message", "Message", true},
        {"message", "messages", false},
        {"message", "messag", false},
        {"mess*", "mess", true},
        {"mess*", "message", true},
        {"*age", "message", true},
        {"*age", "messages", false},
        {"m*s*e", "message", true},
        {"m*x*e", "message", false},
        {"*a*a*", "banana", true},
        {"a.b", "aXb", false},
        {"a?", "ab", false},
        {"?", "?", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (registry__matches(str__of(rows[i].pattern), str__of(rows[i].name)) != rows[i].matches)
            fail_msg("%s / %s", rows[i].pattern, rows[i].name);
    }
}

static void count_free(void *arg)
{
    ++*(int *)arg;
}

static void arguments_are_freed_once(void **state)
{
    struct ph_app *app = new_app();
    int freed = 0;

    (void)state;
    assert_int_equal(ph_app_on_event(app, NULL, "*", pass, &freed, count_free), PH_OK);
    assert_int_equal(ph_app_on_connect(app, NULL, pass, &freed, count_free), PH_OK);
    assert_int_equal(freed, 0);
    /* Also when registration fails. */
    assert_int_equal(ph_app_on_event(app, NULL, NULL, pass, &freed, count_free), PH_ERR_ARGUMENT);
    assert_int_equal(ph_app_on_event(app, NULL, "", pass, &freed, count_free), PH_ERR_ARGUMENT);
    assert_int_equal(ph_app_on_event(app, "", "*", pass, &freed, count_free), PH_ERR_ARGUMENT);
    assert_int_equal(ph_app_on_connect(app, NULL, NULL, &freed, count_free), PH_ERR_ARGUMENT);
    assert_int_equal(freed, 4);
    ph_app_free(app);
    assert_int_equal(freed, 6);
    ph_app_free(NULL);
}

/* --- handlers that fail ---------------------------------------------------------- */

static struct ph_reply *fail_it(const struct ph_event *ev, void *arg)
{
    (void)ev;
    (void)arg;
    return NULL;
}

static struct ph_reply *accept_it(const struct ph_event *ev, void *arg)
{
    (void)ev;
    (void)arg;
    return ph_reply_accept();
}

static struct ph_reply *reject_as_mqtt(const struct ph_event *ev, void *arg)
{
    (void)ev;
    (void)arg;
    return ph_reply_reject_mqtt(PH_MQTT_5_BANNED, "no");
}

static struct ph_reply *own_length(const struct ph_event *ev, void *arg)
{
    struct ph_reply *reply = ph_reply_ok();

    (void)ev;
    (void)arg;
    ph_reply_add_header(reply, "Content-Length", "5");
    return reply;
}

static struct ph_reply *broken_json(const struct ph_event *ev, void *arg)
{
    struct ph_json_writer *out = ph_json_writer_new();

    (void)ev;
    (void)arg;
    ph_json_put_object(out);
    ph_json_put_int(out, 1);
    ph_json_put_end(out);
    return ph_reply_json_from(out);
}

static void failures_of_handlers_are_500_and_a_line_in_the_log(void **state)
{
    static const struct {
        ph_handler_fn *fn;
        const char *line;
    } rows[] = {
        {fail_it, "returned NULL"},
        {accept_it, "expected ph_reply_text"},
        {reject_as_mqtt, "ph_reply_reject_mqtt is for connect events of MQTT clients"},
        {own_length, "belongs to HTTP"},
        {broken_json, "ph_json_put_key"},
    };
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "hi");

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_app *app = new_app();
        struct webhook_log log;
        int next = 0;

        webhook__log_open(&log);
        ph_app_set_log(app, log.log);
        ph_app_on_event(app, NULL, "*", rows[i].fn, NULL, NULL);
        ph_app_on_event(app, NULL, "*", pass, &next, NULL);
        expect(webhook__post(app, &ev), 500, NULL, "");
        assert_int_equal(next, 0);
        assert_non_null(strstr(log.text, rows[i].line));
        assert_non_null(strstr(log.text, "hub=chat connection=conn1 event=message"));
        ph_app_free(app);
        webhook__log_close(&log);
    }
}

/* --- who is refused --------------------------------------------------------------- */

#define EVENT_LINES                                                                                \
    "ce-specversion: 1.0", "ce-awpsversion: 1.0", "ce-type: azure.webpubsub.user.message",         \
        "ce-id: 1", "ce-hub: chat", "ce-eventName: message", "Content-Type: text/plain"
#define CONNECTION_LINE "ce-connectionId: " WEBHOOK_CONNECTION
#define SIGNATURE_LINE "ce-signature: " WEBHOOK_SIGNATURE
#define MAX_LINES 16

struct refusal {
    const char *method, *target;
    const char *lines[MAX_LINES];
    int status;
    const char *body; /* part of the answer's text */
    const char *log;  /* part of the line in the log */
};

static const struct refusal refusals[] = {
    /* the signature: nothing useful in the answer */
    {"POST", "/eventhandler", {EVENT_LINES, CONNECTION_LINE}, 401, "unauthorized", "is missing"},
    {"POST",
     "/eventhandler",
     {EVENT_LINES, CONNECTION_LINE, "ce-signature: sha256=00"},
     401,
     "unauthorized",
     "fits none of the 1 access keys"},
    {"POST",
     "/eventhandler",
     {EVENT_LINES, "ce-connectionId: conn2", SIGNATURE_LINE},
     401,
     "unauthorized",
     "fits none"},
    {"POST",
     "/eventhandler",
     {EVENT_LINES, SIGNATURE_LINE},
     401,
     "unauthorized",
     "ce-connectionId is missing"},
    /* the event */
    {"POST",
     "/eventhandler",
     {CONNECTION_LINE, SIGNATURE_LINE, "ce-specversion: 1.0"},
     400,
     "ce-awpsversion is missing",
     "ce-awpsversion is missing"},
    {"POST",
     "/eventhandler",
     {EVENT_LINES, CONNECTION_LINE, SIGNATURE_LINE, "ce-hub: other"},
     400,
     "ce-hub came more than once",
     "more than once"},
    {"POST",
     "/eventhandler",
     {"ce-specversion: 1.0", "ce-awpsversion: 1.0", "ce-type: azure.webpubsub.user.message",
      "ce-id: 1", "ce-hub: chat", "ce-eventName: message", CONNECTION_LINE, SIGNATURE_LINE,
      "Content-Type: text/html"},
     415,
     "text/html",
     "text/html"},
    /* the message */
    {"POST", "/", {NULL}, 404, "nothing is served", "nothing is served"},
    {"POST", "/eventhandlers", {NULL}, 404, "nothing is served", "nothing"},
    {"POST", "/EventHandler", {NULL}, 404, "nothing is served", "nothing"},
    {"PUT", "/eventhandler", {NULL}, 405, "not supported", "not supported"},
    {"HEAD", "/eventhandler", {NULL}, 405, "not supported", "not supported"},
    {"post", "/eventhandler", {NULL}, 405, "not supported", "not supported"},
    {"POST", "/eventhandler", {"Content-Length: x"}, 400, "Content-Length", "Content-Length"},
    {"POST",
     "/eventhandler",
     {"Content-Length: 99999999999999999999"},
     400,
     "Content-Length",
     "Content-Length"},
    {"POST", "/eventhandler", {"Content-Length: 1114113"}, 413, "larger than", "larger than"},
    {"POST", "/eventhandler", {"Host: a", "Host: b"}, 400, "header Host", "header Host"},
    {"POST",
     "/eventhandler",
     {"Content-Length: 0", "Transfer-Encoding: chunked"},
     400,
     "came together",
     "came together"},
    {"POST", "/eventhandler", {"x: a\x01"}, 400, "control character", "control character"},
    /* validation */
    {"OPTIONS", "/eventhandler", {"ce-awpsversion: 1.0"}, 400, "WebHook-Request-Origin", "OPTIONS"},
    {"GET", "/eventhandler", {NULL}, 400, "WebHook-Request-Origin", "GET"},
};

static void refusals_have_a_status_a_text_and_a_reason_in_the_log(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        const struct refusal *r = &refusals[i];
        struct ph_request *req = webhook__request(r->method, r->target, r->lines);
        struct ph_app *app = new_app();
        struct webhook_log log;
        struct ph_response *res;
        const char *body;

        webhook__log_open(&log);
        ph_app_set_log(app, log.log);
        res = webhook__serve(app, req);
        body = ph_response_body(res, NULL);
        if (ph_response_status(res) != r->status || !strstr(body, r->body) ||
            !strstr(log.text, r->log))
            fail_msg("row %zu: got %d \"%s\", log \"%s\"", i, ph_response_status(res), body,
                     log.text);
        assert_null(strstr(log.text, "sha256"));
        ph_response_free(res);
        ph_request_free(req);
        ph_app_free(app);
        webhook__log_close(&log);
    }
}

static void paths_below_the_own_are_served(void **state)
{
    static const struct {
        const char *path, *target;
        bool served;
    } rows[] = {
        {"/eventhandler", "/eventhandler", true},
        {"/eventhandler", "/eventhandler/", true},
        {"/eventhandler", "/eventhandler/validate", true},
        {"/eventhandler", "/eventhandler/a/b?code=1", true},
        {"/eventhandler", "/eventhandler?code=1", true},
        {"/eventhandler", "/eventhandle", false},
        {"/eventhandler", "/eventhandlers", false},
        {"/eventhandler", "*", false},
        {"/eventhandler", "", false},
        {"/a/b/", "/a/b", true},
        {"/a/b/", "/a", false},
        {"/", "/anything", true},
        {"/", "/", true},
    };
    static const char *const lines[] = {"WebHook-Request-Origin: a.example", NULL};
    struct ph_app *app = new_app();

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_request *req = webhook__request("OPTIONS", rows[i].target, lines);
        struct ph_response *res;

        assert_int_equal(ph_app_set_path(app, rows[i].path), PH_OK);
        res = webhook__serve(app, req);
        if (ph_response_status(res) != (rows[i].served ? 200 : 404))
            fail_msg("row %zu: got %d", i, ph_response_status(res));
        ph_response_free(res);
        ph_request_free(req);
    }
    assert_int_equal(ph_app_set_path(app, "relative"), PH_ERR_ARGUMENT);
    assert_int_equal(ph_app_set_path(app, ""), PH_ERR_ARGUMENT);
    assert_int_equal(ph_app_set_path(app, NULL), PH_ERR_ARGUMENT);
    assert_int_equal(ph_app_set_path(app, "/a?b"), PH_ERR_ARGUMENT);
    ph_app_free(app);
}

static struct ph_response *validate(struct ph_app *app, const char *method, const char *origin)
{
    struct ph_request *req = ph_request_new(method, "/eventhandler/validate");
    struct ph_response *res;

    ph_request_add_header(req, "webhook-request-origin", strlen("webhook-request-origin"), origin,
                          strlen(origin));
    res = webhook__serve(app, req);
    ph_request_free(req);
    return res;
}

static void validation_by_options_and_get(void **state)
{
    static const char *const methods[] = {"OPTIONS", "GET"};
    struct ph_app *app = new_app();

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct ph_response *res = validate(app, methods[i], "a.example");

        assert_string_equal(webhook__header(res, "WebHook-Allowed-Origin"), "*");
        assert_string_equal(webhook__header(res, "Allow"), "POST");
        expect(res, 200, NULL, "");
    }
    ph_app_allow_origin(app, "b.example");
    for (size_t i = 0; i < 2; i++) {
        struct ph_response *res = validate(app, methods[i], "a.example");

        assert_null(webhook__header(res, "WebHook-Allowed-Origin"));
        expect(res, 403, "text/plain; charset=utf-8", NULL);
        res = validate(app, methods[i], "a.example, B.example");
        assert_string_equal(webhook__header(res, "WebHook-Allowed-Origin"), "B.example");
        expect(res, 200, NULL, "");
    }
    ph_app_free(app);
}

static void events_of_foreign_origins_are_forbidden(void **state)
{
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "hi");
    struct ph_app *app = new_app();
    struct webhook_log log;

    (void)state;
    webhook__log_open(&log);
    ph_app_set_log(app, log.log);
    assert_int_equal(ph_app_allow_origin(app, ""), PH_ERR_ARGUMENT);
    assert_int_equal(ph_app_allow_origin(app, "https://b.example"), PH_ERR_ARGUMENT);
    assert_int_equal(ph_app_allow_origin(app, "b.example:8080"), PH_OK);
    expect(webhook__post(app, &ev), 403, "text/plain; charset=utf-8", "forbidden");
    assert_non_null(strstr(log.text, "\"localhost\" is not an allowed origin"));
    ev.origin = STR_NONE;
    expect(webhook__post(app, &ev), 403, "text/plain; charset=utf-8", "forbidden");
    ev.origin = STR("x.example, B.EXAMPLE");
    expect(webhook__post(app, &ev), 204, NULL, "");
    assert_int_equal(ph_app_allow_origin(app, "*"), PH_OK);
    ev.origin = STR_NONE;
    expect(webhook__post(app, &ev), 204, NULL, "");
    ph_app_free(app);
    webhook__log_close(&log);
}

static void without_a_key_nothing_is_served(void **state)
{
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "hi");
    struct ph_app *app = ph_app_new();
    struct ph_request *req = ph_request_new("POST", "/eventhandler");
    struct ph_response *res = ph_response_new();
    const char *why = NULL;

    (void)state;
    assert_int_equal(ph_app_check(app, &why), PH_ERR_CONFIG);
    assert_non_null(strstr(why, "add a key"));
    assert_int_equal(ph_app_check(app, NULL), PH_ERR_CONFIG);
    assert_int_equal(ph_app_serve(app, req, res), PH_ERR_CONFIG);
    expect(res, 500, "text/plain; charset=utf-8", NULL);
    ph_request_free(req);
    ph_app_allow_unsigned(app);
    assert_int_equal(ph_app_check(app, &why), PH_OK);
    expect(webhook__post(app, &ev), 204, NULL, "");
    /* A key counts even then. */
    assert_int_equal(ph_app_add_key(app, ""), PH_ERR_ARGUMENT);
    assert_int_equal(ph_app_add_key(app, NULL), PH_ERR_ARGUMENT);
    assert_int_equal(ph_app_add_key(app, "another key"), PH_OK);
    expect(webhook__post(app, &ev), 401, "text/plain; charset=utf-8", "unauthorized");
    ph_app_free(app);
}

static void a_second_key_is_for_rotation(void **state)
{
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "hi");
    struct ph_app *app = ph_app_new();

    (void)state;
    ph_app_add_key(app, "the next key");
    expect(webhook__post(app, &ev), 401, "text/plain; charset=utf-8", "unauthorized");
    ph_app_add_key(app, WEBHOOK_KEY);
    expect(webhook__post(app, &ev), 204, NULL, "");
    ph_app_free(app);
}

static void connection_string_gives_key_and_origin(void **state)
{
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "hi");
    struct ph_app *app = ph_app_new();

    (void)state;
    unsetenv("WebPubSubConnectionString");
    assert_int_equal(ph_app_use_connection_string(app, NULL), PH_ERR_NOT_FOUND);
    assert_int_equal(ph_app_use_connection_string(app, "x"), PH_ERR_SYNTAX);
    setenv("WebPubSubConnectionString",
           "Endpoint=https://a.example;AccessKey=" WEBHOOK_KEY ";Version=1.0;", 1);
    assert_int_equal(ph_app_use_connection_string(app, NULL), PH_OK);
    unsetenv("WebPubSubConnectionString");
    expect(webhook__post(app, &ev), 403, "text/plain; charset=utf-8", "forbidden");
    ev.origin = STR("A.example");
    expect(webhook__post(app, &ev), 204, NULL, "");
    ph_app_free(app);
}

/* --- limits ------------------------------------------------------------------------ */

static void bodies_are_limited(void **state)
{
    struct ph_event ev = webhook__user_event("message", PH_DATA_BINARY, "");
    char *body = calloc(1, 2u << 20);
    struct ph_app *app = new_app();
    size_t limit = ph_app_limit(app, PH_LIMIT_BODY);

    (void)state;
    assert_int_equal(limit, (1u << 20) + (64u << 10));
    for (size_t len = limit - 1; len <= limit + 1; len++) {
        ev.data = str__n(body, len);
        expect(webhook__post(app, &ev), len <= limit ? 204 : 413,
               len <= limit ? NULL : "text/plain; charset=utf-8", NULL);
    }
    ev.data = str__n(body, 2u << 20);
    expect(webhook__post(app, &ev), 413, "text/plain; charset=utf-8", NULL);
    assert_int_equal(ph_app_set_limit(app, PH_LIMIT_BODY, 2u << 20), PH_OK);
    expect(webhook__post(app, &ev), 204, NULL, "");
    ph_app_free(app);
    free(body);
}

static int status_with_headers(struct ph_app *app, size_t lines, size_t value_len)
{
    struct ph_request *req = ph_request_new("GET", "/eventhandler");
    char *value = malloc(value_len);
    struct ph_response *res;
    int status;

    memset(value, 'x', value_len);
    for (size_t i = 0; i < lines; i++)
        ph_request_add_header(req, "x", 1, value, value_len);
    res = webhook__serve(app, req);
    status = ph_response_status(res);
    ph_response_free(res);
    ph_request_free(req);
    free(value);
    return status;
}

/* 400 is what a GET without an origin gets once its headers are accepted. */
static void headers_are_limited(void **state)
{
    struct ph_app *app = new_app();

    (void)state;
    for (size_t lines = 99; lines <= 101; lines++)
        assert_int_equal(status_with_headers(app, lines, 1), lines <= 100 ? 400 : 431);
    for (size_t bytes = 32767; bytes <= 32769; bytes++)
        assert_int_equal(status_with_headers(app, 1, bytes - 1), bytes <= 32768 ? 400 : 431);
    assert_int_equal(ph_app_set_limit(app, PH_LIMIT_HEADERS, 1), PH_OK);
    assert_int_equal(status_with_headers(app, 2, 1), 431);
    ph_app_free(app);
}

static void json_depth_is_limited(void **state)
{
    static const size_t depths[] = {4, 5, 6, 100000};
    struct ph_app *app = new_app();
    char *text = malloc(2 * 100000);

    (void)state;
    assert_int_equal(ph_app_set_limit(app, PH_LIMIT_JSON_DEPTH, 5), PH_OK);
    for (size_t i = 0; i < sizeof(depths) / sizeof(*depths); i++) {
        struct ph_event ev = webhook__user_event("message", PH_DATA_JSON, "");
        size_t depth = depths[i];

        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        ev.data = str__n(text, 2 * depth);
        expect(webhook__post(app, &ev), depth <= 5 ? 204 : 400,
               depth <= 5 ? NULL : "text/plain; charset=utf-8", NULL);
    }
    ph_app_free(app);
    free(text);
}

static void limits_have_defaults_and_no_zero(void **state)
{
    struct ph_app *app = ph_app_new();

    (void)state;
    assert_int_equal(ph_app_limit(app, PH_LIMIT_HEADERS), 100);
    assert_int_equal(ph_app_limit(app, PH_LIMIT_HEADER_BYTES), 32768);
    assert_int_equal(ph_app_limit(app, PH_LIMIT_JSON_DEPTH), 64);
    assert_int_equal(ph_app_limit(app, PH_LIMIT_REQUEST_MS), 30000);
    assert_int_equal(ph_app_limit(app, PH_LIMIT_CONNECTIONS), 16384);
    assert_int_equal(ph_app_limit(app, PH_LIMIT_COUNT), 0);
    assert_int_equal(ph_app_set_limit(app, PH_LIMIT_CONNECTIONS, (size_t)UINT32_MAX + 1),
                     PH_ERR_ARGUMENT);
    assert_int_equal(ph_app_set_limit(app, PH_LIMIT_BODY, 0), PH_ERR_ARGUMENT);
    assert_int_equal(ph_app_set_limit(app, PH_LIMIT_COUNT, 1), PH_ERR_ARGUMENT);
    ph_app_free(app);
}

/* --- requests and responses ----------------------------------------------------------- */

static void the_head_is_judged_before_the_body_is_there(void **state)
{
    static const char *const large[] = {"Content-Length: 2000000", NULL};
    static const char *const fine[] = {"Content-Length: 5", NULL};
    struct ph_app *app = new_app();
    struct ph_request *req = webhook__request("POST", "/eventhandler", large);
    struct ph_response *res = ph_response_new();

    (void)state;
    assert_int_equal(app__check_head(app, req, res), 413);
    assert_int_equal(ph_response_status(res), 413);
    ph_request_free(req);
    req = webhook__request("POST", "/eventhandler", fine);
    assert_int_equal(app__check_head(app, req, res), 0);
    ph_request_free(req);
    req = webhook__request("DELETE", "/eventhandler", fine);
    assert_int_equal(app__check_head(app, req, res), 405);
    assert_string_equal(webhook__header(res, "Allow"), "POST, OPTIONS, GET");
    ph_request_free(req);
    ph_response_free(res);
    ph_app_free(app);
}

static struct ph_reply *reply_at_length(const struct ph_event *ev, void *arg)
{
    struct ph_reply *reply = ph_reply_text("a reply that must not be seen any more", 38);

    (void)ev;
    (void)arg;
    ph_reply_set_state(reply, "state");
    return reply;
}

static void a_response_can_be_used_again(void **state)
{
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "hi");
    struct ph_app *app = new_app();
    struct ph_request *other = ph_request_new("GET", "/other");
    struct ph_response *res;

    (void)state;
    ph_app_on_event(app, NULL, "*", reply_at_length, NULL, NULL);
    res = webhook__post(app, &ev);
    assert_string_equal(webhook__header(res, "ce-connectionState"), "state");
    assert_int_equal(ph_app_serve(app, other, res), PH_OK);
    assert_null(webhook__header(res, "ce-connectionState"));
    expect(res, 404, "text/plain; charset=utf-8", "nothing is served at this path");
    ph_request_free(other);
    ph_app_free(app);
}

/* What an ordinary event needs is in the allocations of request and response. */
static void an_ordinary_event_takes_no_further_memory(void **state)
{
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "hello, world");
    struct ph_app *app = new_app();
    struct ph_response *res;

    (void)state;
    ev.user_id = STR("bob");
    ev.state = STR("eyJuIjoxfQ==");
    ph_app_on_event(app, NULL, "*", echo, NULL, NULL);
    res = webhook__post(app, &ev);
    assert_int_equal(res->arena.used, 0);
    expect(res, 200, "text/plain", "hello, world");
    ph_app_free(app);
}

static struct ph_reply *expect_headers(const struct ph_event *ev, void *arg)
{
    (void)arg;
    assert_string_equal(ph_event_http_header(ev, "cookie"), "affinity=\"a b\"; x=1");
    assert_string_equal(ph_event_http_header(ev, "x-ms-client-request-id"), "guid");
    return ph_reply_ok();
}

static void headers_without_a_meaning_are_left_alone(void **state)
{
    static const char *const lines[] = {EVENT_LINES,
                                        CONNECTION_LINE,
                                        SIGNATURE_LINE,
                                        "Cookie: affinity=\"a b\"; x=1",
                                        "x-ms-client-request-id: guid",
                                        NULL};
    struct ph_request *req = webhook__request("POST", "/eventhandler/message?code=x", lines);
    struct ph_app *app = new_app();

    (void)state;
    ph_app_on_event(app, NULL, "*", expect_headers, NULL, NULL);
    ph_request_set_body(req, "hi", 2);
    expect(webhook__serve(app, req), 204, NULL, "");
    ph_request_free(req);
    ph_app_free(app);
}

static void requests_refuse_wrong_use(void **state)
{
    struct ph_request *req = ph_request_new("GET", "/");

    (void)state;
    assert_null(ph_request_new(NULL, "/"));
    assert_null(ph_request_new("GET", NULL));
    assert_int_equal(ph_request_add_header(req, NULL, 0, "x", 1), PH_ERR_ARGUMENT);
    assert_int_equal(ph_request_add_header(req, "x", 1, NULL, 1), PH_ERR_ARGUMENT);
    assert_int_equal(ph_request_add_header(req, "x", 1, NULL, 0), PH_OK);
    ph_request_free(req);
    ph_request_free(NULL);
    ph_response_free(NULL);
    assert_string_equal(ph_version(), PH_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(user_event_reaches_its_handler),
        cmocka_unit_test(connect_is_accepted_with_what_the_handler_says),
        cmocka_unit_test(without_a_handler_everything_is_204),
        cmocka_unit_test(without_a_handler_mqtt_events_are_204_too),
        cmocka_unit_test(handlers_are_asked_in_order_until_one_does_not_pass),
        cmocka_unit_test(when_all_pass_it_is_as_if_nobody_were_there),
        cmocka_unit_test(lifecycle_events_reach_their_own_handlers),
        cmocka_unit_test(patterns),
        cmocka_unit_test(arguments_are_freed_once),
        cmocka_unit_test(failures_of_handlers_are_500_and_a_line_in_the_log),
        cmocka_unit_test(refusals_have_a_status_a_text_and_a_reason_in_the_log),
        cmocka_unit_test(paths_below_the_own_are_served),
        cmocka_unit_test(validation_by_options_and_get),
        cmocka_unit_test(events_of_foreign_origins_are_forbidden),
        cmocka_unit_test(without_a_key_nothing_is_served),
        cmocka_unit_test(a_second_key_is_for_rotation),
        cmocka_unit_test(connection_string_gives_key_and_origin),
        cmocka_unit_test(bodies_are_limited),
        cmocka_unit_test(headers_are_limited),
        cmocka_unit_test(json_depth_is_limited),
        cmocka_unit_test(limits_have_defaults_and_no_zero),
        cmocka_unit_test(the_head_is_judged_before_the_body_is_there),
        cmocka_unit_test(a_response_can_be_used_again),
        cmocka_unit_test(an_ordinary_event_takes_no_further_memory),
        cmocka_unit_test(headers_without_a_meaning_are_left_alone),
        cmocka_unit_test(requests_refuse_wrong_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
