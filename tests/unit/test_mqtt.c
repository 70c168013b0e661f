/* Replies to MQTT clients, and what the broker's side makes of them (event-handler sections
 * 3.1, 3.2 and 3.5). Events of theirs are in test_event.c. */
#include "event/mqtt.h"
#include "unit.h"

struct fixture {
    struct arena arena;
    struct event_mqtt mqtt;
    struct ph_event ev;
    struct http_response res;
    struct answer answer;
    struct diag diag;
};

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){.diag = {""}};
    arena__init(&f.arena, NULL, 0, 64 << 20);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    arena__free(&((struct fixture *)*state)->arena);
    return 0;
}

static void connect_of(struct fixture *f, enum ph_mqtt_version version)
{
    f->mqtt = (struct event_mqtt){.version = version};
    f->ev = (struct ph_event){.kind = PH_EVENT_CONNECT, .mqtt = version ? &f->mqtt : NULL};
}

static void user_event(struct fixture *f, bool mqtt)
{
    f->ev = (struct ph_event){.kind = PH_EVENT_USER, .physical_id = STR("p")};
    if (!mqtt)
        f->ev.physical_id = STR_NONE;
}

static enum ph_err encode(struct fixture *f, struct ph_reply *reply)
{
    enum ph_err err;

    f->diag.text[0] = '\0';
    err = response__encode(&f->arena, &f->ev, reply, &f->res, &f->diag);
    ph_reply_free(reply);
    return err;
}

/* Encodes, and decodes as the broker would. */
static void answer(struct fixture *f, struct ph_reply *reply)
{
    if (encode(f, reply) != PH_OK ||
        response__decode_mqtt(&f->arena, &f->ev, &f->res, &f->answer, &f->diag) != PH_OK)
        fail_msg("%s", f->diag.text);
}

static void expect_property(struct fixture *f, size_t at, const char *name, const char *value)
{
    assert_true(at < f->answer.mqtt_properties.count);
    assert_str(f->answer.mqtt_properties.items[at].name, name);
    assert_str(f->answer.mqtt_properties.items[at].value, value);
}

/* Section 3.2, every row of it. */
static void codes_become_statuses(void **state)
{
    static const struct {
        enum ph_mqtt_version version;
        int code, status;
    } rows[] = {
        {PH_MQTT_3_1_1, 1, 400}, {PH_MQTT_3_1_1, 2, 400}, {PH_MQTT_3_1_1, 3, 503},
        {PH_MQTT_3_1_1, 4, 401}, {PH_MQTT_3_1_1, 5, 401}, {PH_MQTT_5, 135, 401},
        {PH_MQTT_5, 134, 401},   {PH_MQTT_5, 133, 400},   {PH_MQTT_5, 129, 400},
        {PH_MQTT_5, 132, 400},   {PH_MQTT_5, 140, 400},   {PH_MQTT_5, 144, 400},
        {PH_MQTT_5, 153, 400},   {PH_MQTT_5, 131, 400},   {PH_MQTT_5, 149, 400},
        {PH_MQTT_5, 154, 400},   {PH_MQTT_5, 155, 400},   {PH_MQTT_5, 151, 429},
        {PH_MQTT_5, 159, 429},   {PH_MQTT_5, 138, 403},   {PH_MQTT_5, 156, 500},
        {PH_MQTT_5, 157, 500},   {PH_MQTT_5, 136, 500},   {PH_MQTT_5, 137, 500},
        {PH_MQTT_5, 128, 500},   {PH_MQTT_5, 130, 500},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        connect_of(f, rows[i].version);
        answer(f, ph_reply_reject_mqtt(rows[i].code, NULL));
        assert_int_equal(f->res.status, rows[i].status);
        assert_int_equal(f->answer.mqtt_code, rows[i].code);
        assert_false(f->answer.success);
    }
}

static void statuses_become_codes(void **state)
{
    static const struct {
        int status, code_3, code_5;
    } rows[] = {
        {400, 4, 134}, {401, 5, 135}, {500, 3, 128}, {403, 5, 135},
        {429, 3, 159}, {503, 3, 136}, {404, 5, 128}, {599, 3, 128},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        connect_of(f, PH_MQTT_3_1_1);
        answer(f, ph_reply_reject(rows[i].status, "no"));
        assert_int_equal(f->res.status, rows[i].status);
        assert_int_equal(f->answer.mqtt_code, rows[i].code_3);
        connect_of(f, PH_MQTT_5);
        answer(f, ph_reply_reject(rows[i].status, "no \"way\""));
        assert_int_equal(f->res.status, rows[i].status);
        assert_int_equal(f->answer.mqtt_code, rows[i].code_5);
        assert_str(f->answer.mqtt_reason, "no \"way\"");
    }
}

static void refusal_has_code_reason_and_properties(void **state)
{
    struct fixture *f = *state;
    struct ph_reply *reply = ph_reply_reject_mqtt(PH_MQTT_5_BANNED, "go away");

    connect_of(f, PH_MQTT_5);
    ph_reply_add_mqtt_property(reply, "a \xc3\xa4", "1");
    ph_reply_add_mqtt_property(reply, "a \xc3\xa4", "");
    answer(f, reply);
    assert_int_equal(f->res.status, 403);
    assert_str(http__get(&f->res.headers, STR("Content-Type")), "application/json");
    assert_str(f->res.body, "{\"mqtt\":{\"code\":138,\"reason\":\"go away\",\"userProperties\":"
                            "[{\"name\":\"a \xc3\xa4\",\"value\":\"1\"},"
                            "{\"name\":\"a \xc3\xa4\",\"value\":\"\"}]}}");
    assert_str(f->answer.mqtt_reason, "go away");
    expect_property(f, 1, "a \xc3\xa4", "");
}

static void accept_has_properties_of_the_connack(void **state)
{
    struct fixture *f = *state;
    struct ph_reply *reply = ph_reply_accept();

    connect_of(f, PH_MQTT_5);
    ph_reply_set_user_id(reply, "bob");
    ph_reply_add_mqtt_property(reply, "k", "v");
    ph_reply_add_mqtt_property(reply, "k", "w");
    answer(f, reply);
    assert_str(f->res.body,
               "{\"userId\":\"bob\",\"mqtt\":{\"userProperties\":"
               "[{\"name\":\"k\",\"value\":\"v\"},{\"name\":\"k\",\"value\":\"w\"}]}}");
    assert_true(f->answer.success);
    assert_str(f->answer.user_id, "bob");
    expect_property(f, 0, "k", "v");
    expect_property(f, 1, "k", "w");
    answer(f, ph_reply_accept());
    assert_int_equal(f->res.status, 204);
    reply = ph_reply_ok();
    ph_reply_add_mqtt_property(reply, "k", "v");
    answer(f, reply);
    assert_true(f->answer.success);
    expect_property(f, 0, "k", "v");
    answer(f, ph_reply_ok());
    assert_int_equal(f->res.status, 204);
}

static void user_replies_have_properties_and_any_content_type(void **state)
{
    struct fixture *f = *state;
    struct ph_reply *reply = ph_reply_binary("\x89PNG", 4);

    user_event(f, true);
    ph_reply_add_mqtt_property(reply, "Room", "7");
    ph_reply_add_mqtt_property(reply, "Room", "8");
    ph_reply_set_content_type(reply, "image/png");
    answer(f, reply);
    assert_int_equal(http__count(&f->res.headers, STR("mqtt-room")), 2);
    assert_str(http__get(&f->res.headers, STR("mqtt-room")), "7");
    assert_str(f->answer.content_type, "image/png");
    assert_int_equal(f->answer.type, PH_DATA_BINARY);
    assert_str(f->answer.data, "\x89PNG");
    expect_property(f, 1, "Room", "8");

    reply = ph_reply_reject(403, "no");
    ph_reply_add_mqtt_property(reply, "why", "because");
    answer(f, reply);
    assert_false(f->answer.success);
    assert_str(f->answer.refusal, "no");
    expect_property(f, 0, "why", "because");
}

static struct ph_reply *with_property(struct ph_reply *reply, const char *name, const char *value)
{
    ph_reply_add_mqtt_property(reply, name, value);
    return reply;
}

static struct ph_reply *with_type(struct ph_reply *reply, const char *type)
{
    ph_reply_set_content_type(reply, type);
    return reply;
}

static void expect_refused(struct fixture *f, struct ph_reply *reply, const char *reason)
{
    assert_int_not_equal(encode(f, reply), PH_OK);
    assert_int_equal(f->res.status, 500);
    assert_int_equal(f->res.headers.count, 0);
    if (!strstr(f->diag.text, reason))
        fail_msg("got \"%s\", expected \"%s\"", f->diag.text, reason);
}

static void what_does_not_fit_the_protocol_is_refused(void **state)
{
    static const int none_of_5[] = {-1, 0, 4, 5, 127, 139, 141, 160, 256};
    static const int none_of_3[] = {-1, 0, 6, 128, 135};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(none_of_5) / sizeof(*none_of_5); i++) {
        connect_of(f, PH_MQTT_5);
        expect_refused(f, ph_reply_reject_mqtt(none_of_5[i], NULL), "MQTT 5 has no CONNACK code");
    }
    for (size_t i = 0; i < sizeof(none_of_3) / sizeof(*none_of_3); i++) {
        connect_of(f, PH_MQTT_3_1_1);
        expect_refused(f, ph_reply_reject_mqtt(none_of_3[i], NULL), "MQTT 3.1.1 has no CONNACK");
    }
    expect_refused(f, with_property(ph_reply_accept(), "a", "b"), "since MQTT 5");
    connect_of(f, PH_MQTT_UNKNOWN);
    expect_refused(f, ph_reply_reject_mqtt(135, NULL), "ph_event_mqtt_version tells");
    expect_refused(f, with_property(ph_reply_accept(), "a", "b"), "user properties go to MQTT");
    user_event(f, true);
    expect_refused(f, ph_reply_reject_mqtt(135, NULL), "for connect events");
    expect_refused(f, with_property(ph_reply_ok(), "a b", "1"), "name of an MQTT property");
    expect_refused(f, with_property(ph_reply_ok(), "a", "\xc3\xa4"), "value of an MQTT property");
    user_event(f, false);
    expect_refused(f, with_property(ph_reply_text("x", 1), "a", "b"), "user properties go to MQTT");
    expect_refused(f, with_type(ph_reply_text("x", 1), "image/png"), "know a Content-Type such as");
    f->ev.kind = PH_EVENT_DISCONNECTED;
    f->ev.physical_id = STR("p");
    expect_refused(f, with_property(ph_reply_ok(), "a", "b"), "user properties go to MQTT");
}

static void wrong_values_spoil_a_reply(void **state)
{
    struct fixture *f = *state;
    struct ph_reply *reply;

    user_event(f, true);
    expect_refused(f, with_property(ph_reply_ok(), NULL, "b"), "is NULL");
    expect_refused(f, with_property(ph_reply_ok(), "a", NULL), "is NULL");
    expect_refused(f, with_property(ph_reply_ok(), "a", "\xff"), "UTF-8");
    expect_refused(f, with_property(ph_reply_ok(), "a", "x\r\ny: z"), "control");
    expect_refused(f, with_property(ph_reply_pass(), "a", "b"), "passes");
    expect_refused(f, with_type(ph_reply_ok(), "text/html"), "with data");
    expect_refused(f, with_type(ph_reply_text("x", 1), NULL), "type/subtype");
    expect_refused(f, with_type(ph_reply_text("x", 1), "text"), "type/subtype");
    expect_refused(f, with_type(ph_reply_text("x", 1), "text/"), "type/subtype");
    expect_refused(f, with_type(ph_reply_text("x", 1), "text/html\r\na: b"), "type/subtype");
    connect_of(f, PH_MQTT_5);
    expect_refused(f, ph_reply_reject_mqtt(135, "\xff"), "UTF-8");
    ph_reply_add_mqtt_property(NULL, "a", "b");
    ph_reply_set_content_type(NULL, "a/b");
    reply = ph_reply_accept();
    for (int i = 0; i < 64; i++)
        ph_reply_add_mqtt_property(reply, "a", "b");
    assert_null(reply->failed);
    ph_reply_add_mqtt_property(reply, "a", "b");
    assert_non_null(reply->failed);
    ph_reply_free(reply);
}

static void respond(struct fixture *f, int status, const char *type, const char *body)
{
    f->res = (struct http_response){.status = status, .body = str__of(body)};
    http__add(&f->arena, &f->res.headers, STR("Content-Type"), str__of(type));
}

/* An invalid code is an unspecified error; a body that is none is judged by its status. */
static void broken_refusals_still_refuse(void **state)
{
    static const struct {
        const char *body;
        int code;
    } rows[] = {
        {"", 135},
        {"nothing", 135},
        {"{\"mqtt\":null}", 135},
        {"{\"mqtt\":{\"reason\":\"x\"}}", 135},
        {"{\"mqtt\":{\"code\":\"135\"}}", 135},
        {"{\"mqtt\":{\"code\":0}}", 128},
        {"{\"mqtt\":{\"code\":99999999999}}", 128},
        {"{\"mqtt\":{\"code\":138}}", 138},
    };
    struct fixture *f = *state;

    connect_of(f, PH_MQTT_5);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        respond(f, 401, "application/json", rows[i].body);
        assert_int_equal(response__decode_mqtt(&f->arena, &f->ev, &f->res, &f->answer, &f->diag),
                         PH_OK);
        assert_false(f->answer.success);
        assert_int_equal(f->answer.mqtt_code, rows[i].code);
    }
}

static void broken_properties_break_an_answer(void **state)
{
    struct fixture *f = *state;

    connect_of(f, PH_MQTT_5);
    respond(f, 200, "application/json", "{\"mqtt\":{\"userProperties\":[{\"name\":\"a\"}]}}");
    assert_int_equal(response__decode_mqtt(&f->arena, &f->ev, &f->res, &f->answer, &f->diag),
                     PH_ERR_SYNTAX);
    assert_false(f->answer.success);
    /* who is no MQTT client is not asked about it */
    assert_int_equal(response__decode(&f->arena, PH_EVENT_CONNECT, &f->res, &f->answer, &f->diag),
                     PH_OK);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(codes_become_statuses),
        TEST(statuses_become_codes),
        TEST(refusal_has_code_reason_and_properties),
        TEST(accept_has_properties_of_the_connack),
        TEST(user_replies_have_properties_and_any_content_type),
        TEST(what_does_not_fit_the_protocol_is_refused),
        TEST(wrong_values_spoil_a_reply),
        TEST(broken_refusals_still_refuse),
        TEST(broken_properties_break_an_answer),
    };

    return cmocka_run_group_tests_name("MQTT", tests, NULL, NULL);
}
