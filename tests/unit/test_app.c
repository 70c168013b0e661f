/* One request in, one response out: dispatch, refusals, limits. */
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
        webhook__user_event("message", PH_DATA_TEXT, "hi"),
    };
    struct ph_app *app = new_app();

    (void)state;
    for (size_t i = 0; i < 4; i++)
        expect(webhook__post(app, &events[i]), 204, NULL, "");
    ph_app_free(app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(user_event_reaches_its_handler),
        cmocka_unit_test(connect_is_accepted_with_what_the_handler_says),
        cmocka_unit_test(without_a_handler_everything_is_204),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
