/* A user's test of handlers: one suite over all transports, with nothing but the installed
 * headers and what `pkg-config --libs pubhooktest` names. Arguments: plugins that echo, also later.
 */
#include <pubhook/pubhook.h>
#include <pubhook/test.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *where = "";
static int failures;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("FAILED %s, %s:%d: %s\n", where, __FILE__, __LINE__, #condition);               \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

static int same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* --- The handlers under test -------------------------------------------------------- */

static struct ph_reply *on_connect(const struct ph_event *ev, void *arg)
{
    const char *room = ph_event_field(ev, PH_FIELD_QUERY, "room", 0);
    const char *agent = ph_event_field(ev, PH_FIELD_HEADERS, "User-Agent", 0);
    struct ph_reply *reply;

    (void)arg;
    if (!ph_event_user_id(ev))
        return ph_reply_reject(401, "who are you?");
    reply = ph_reply_accept();
    ph_reply_set_user_id(reply, agent ? agent : "nobody");
    ph_reply_add_group(reply, "lobby");
    if (room)
        ph_reply_add_group(reply, room);
    if (ph_event_field(ev, PH_FIELD_CLAIMS, "admin", 1))
        ph_reply_add_role(reply, "webpubsub.sendToGroup");
    else
        ph_reply_clear_roles(reply);
    if (ph_event_offered_subprotocol(ev, 1))
        ph_reply_set_subprotocol(reply, ph_event_offered_subprotocol(ev, 1));
    ph_reply_set_state(reply, "c3RhdGU=");
    return reply;
}

static struct ph_reply *on_mqtt_connect(const struct ph_event *ev, void *arg)
{
    size_t len = 0;
    const char *password = ph_event_mqtt_password(ev, &len);
    struct ph_reply *reply;

    (void)arg;
    if (!ph_event_is_mqtt(ev))
        return ph_reply_pass();
    if (!same(ph_event_mqtt_username(ev), "ann") || len != 3 || memcmp(password, "a\0b", 3) != 0)
        return ph_reply_reject_mqtt(PH_MQTT_5_BAD_USER_NAME_OR_PASSWORD, "no");
    reply = ph_reply_accept();
    ph_reply_add_mqtt_property(reply, "seen",
                               ph_event_field(ev, PH_FIELD_MQTT_PROPERTIES, "client", 0));
    return reply;
}

static struct ph_reply *on_message(const struct ph_event *ev, void *arg)
{
    size_t len;
    const void *data = ph_event_data(ev, &len);
    struct ph_reply *reply = ph_reply_data(ph_event_data_type(ev), data, len);
    const char *trace = ph_event_field(ev, PH_FIELD_METADATA, "trace", 0);

    (void)arg;
    if (trace)
        ph_reply_set_metadata(reply, "trace", trace);
    return reply;
}

static struct ph_reply *on_failing(const struct ph_event *ev, void *arg)
{
    (void)ev, (void)arg;
    return NULL;
}

static struct ph_reply *on_certificate(const struct ph_event *ev, void *arg)
{
    const char *print = ph_event_certificate_thumbprint(ev, 0);

    (void)arg;
    return print ? ph_reply_reject(403, print) : ph_reply_pass();
}

static struct ph_reply *on_disconnected(const struct ph_event *ev, void *arg)
{
    (void)arg;
    return same(ph_event_reason(ev), "bored") ? ph_reply_ok() : NULL;
}

static struct ph_reply *on_joined(const struct ph_event *ev, void *arg)
{
    (void)arg;
    return same(ph_event_group(ev), "group1") ? ph_reply_ok() : NULL;
}

static struct ph_app *make_app(void)
{
    struct ph_app *app = ph_app_new();

    CHECK(ph_app_add_key(app, PH_TEST_KEY) == PH_OK);
    CHECK(ph_app_allow_origin(app, "localhost") == PH_OK);
    ph_app_on_connect(app, "chat", on_certificate, NULL, NULL);
    ph_app_on_connect(app, "chat", on_mqtt_connect, NULL, NULL);
    ph_app_on_connect(app, "chat", on_connect, NULL, NULL);
    ph_app_on_event(app, "chat", "fails", on_failing, NULL, NULL);
    ph_app_on_event(app, "chat", "*", on_message, NULL, NULL);
    ph_app_on_disconnected(app, "chat", on_disconnected, NULL, NULL);
    ph_app_on_joined(app, "chat", on_joined, NULL, NULL);
    return app;
}

/* --- The suite ------------------------------------------------------------------------ */

static struct ph_test_reply *fire(struct ph_test_handler *h, struct ph_test_event *ev)
{
    struct ph_test_reply *reply = NULL;
    const char *why = "";

    if (ph_test_fire(h, ev, &reply, &why)) {
        printf("FAILED %s: %s\n", where, why);
        exit(EXIT_FAILURE);
    }
    ph_test_event_free(ev);
    return reply;
}

static void connect_is_decided(struct ph_test_handler *h)
{
    struct ph_test_event *ev = ph_test_event_new(PH_EVENT_CONNECT, "chat");
    struct ph_test_reply *r;

    ph_test_event_set(ev, PH_TEST_USER_ID, "\xd0\xb0nn");
    ph_test_event_add_field(ev, PH_FIELD_QUERY, "room", "room 1");
    ph_test_event_add_field(ev, PH_FIELD_HEADERS, "User-Agent", "browser");
    ph_test_event_add_field(ev, PH_FIELD_CLAIMS, "admin", "yes");
    ph_test_event_add_field(ev, PH_FIELD_CLAIMS, "admin", "really");
    ph_test_event_add_subprotocol(ev, "a");
    ph_test_event_add_subprotocol(ev, "b");
    r = fire(h, ev);
    CHECK(r->status == 200 && r->success && !r->problem);
    CHECK(same(r->user_id, "browser"));
    CHECK(r->groups && same(r->groups[0], "lobby") && same(r->groups[1], "room 1") &&
          !r->groups[2]);
    CHECK(r->roles && same(r->roles[0], "webpubsub.sendToGroup") && !r->roles[1]);
    CHECK(same(r->subprotocol, "b"));
    CHECK(same(r->state, "c3RhdGU="));
    CHECK(!r->has_data && same(r->data, ""));
    ph_test_reply_free(r);

    ev = ph_test_event_new(PH_EVENT_CONNECT, "chat");
    ph_test_event_set(ev, PH_TEST_USER_ID, "ann");
    r = fire(h, ev);
    CHECK(r->success && r->roles && !r->roles[0]);
    CHECK(!r->subprotocol);
    ph_test_reply_free(r);

    r = fire(h, ph_test_event_new(PH_EVENT_CONNECT, "chat"));
    CHECK(r->status == 401 && !r->success && same(r->body, "who are you?"));
    CHECK(!r->user_id && !r->groups && !r->roles && !r->state);
    ph_test_reply_free(r);

    ev = ph_test_event_new(PH_EVENT_CONNECT, "chat");
    ph_test_event_add_certificate(ev, "ABCD", "-----BEGIN CERTIFICATE-----\n");
    r = fire(h, ev);
    CHECK(r->status == 403 && same(r->body, "ABCD"));
    ph_test_reply_free(r);
}

static struct ph_test_event *mqtt_connect(const char *password, size_t len)
{
    struct ph_test_event *ev = ph_test_event_new(PH_EVENT_CONNECT, "chat");

    ph_test_event_set(ev, PH_TEST_PHYSICAL_CONNECTION_ID, "physical1");
    ph_test_event_add_subprotocol(ev, "mqtt");
    ph_test_event_set_mqtt_connect(ev, PH_MQTT_5, 1, "ann", password, len);
    ph_test_event_add_field(ev, PH_FIELD_MQTT_PROPERTIES, "client", "browser");
    return ev;
}

static void mqtt_clients_are_told_in_their_words(struct ph_test_handler *h)
{
    struct ph_test_reply *r = fire(h, mqtt_connect("a\0b", 3));

    CHECK(r->success && same(ph_test_reply_mqtt_property(r, "seen", 0), "browser"));
    CHECK(!ph_test_reply_mqtt_property(r, "seen", 1));
    ph_test_reply_free(r);
    r = fire(h, mqtt_connect("ab", 2));
    CHECK(!r->success && r->mqtt_code == PH_MQTT_5_BAD_USER_NAME_OR_PASSWORD);
    CHECK(same(r->mqtt_reason, "no"));
    ph_test_reply_free(r);
}

static void messages_are_answered(struct ph_test_handler *h)
{
    static const char binary[] = "a\0b\xff";
    struct ph_test_event *ev = ph_test_event_new(PH_EVENT_USER, "chat");
    struct ph_test_reply *r;
    char *large = calloc(1, 300001);

    ph_test_event_set_text(ev, "gr\xc3\xbc\xc3\x9f");
    ph_test_event_add_field(ev, PH_FIELD_METADATA, "trace", "t 1");
    r = fire(h, ev);
    CHECK(r->success && r->has_data && r->type == PH_DATA_TEXT);
    CHECK(same(r->data, "gr\xc3\xbc\xc3\x9f"));
    CHECK(same(ph_test_reply_metadata(r, "Trace"), "t 1"));
    CHECK(!ph_test_reply_metadata(r, "other"));
    CHECK(!strncmp(ph_test_reply_header(r, "content-type", 0), "text/plain", 10));
    CHECK(!ph_test_reply_header(r, "content-type", 1));
    CHECK(!r->state);
    ph_test_reply_free(r);

    ev = ph_test_event_new(PH_EVENT_USER, "chat");
    ph_test_event_set(ev, PH_TEST_EVENT_NAME, "other");
    ph_test_event_set_data(ev, PH_DATA_BINARY, binary, 4);
    r = fire(h, ev);
    CHECK(r->type == PH_DATA_BINARY && r->data_len == 4 && !memcmp(r->data, binary, 4));
    ph_test_reply_free(r);

    memset(large, 'x', 300000); /* more than one record of FastCGI */
    ev = ph_test_event_new(PH_EVENT_USER, "chat");
    ph_test_event_set_text(ev, large);
    r = fire(h, ev);
    CHECK(r->data_len == 300000 && same(r->data, large));
    ph_test_reply_free(r);
    free(large);

    ev = ph_test_event_new(PH_EVENT_USER, "chat");
    ph_test_event_set(ev, PH_TEST_EVENT_NAME, "fails");
    r = fire(h, ev);
    CHECK(r->status == 500 && !r->success);
    ph_test_reply_free(r);
}

static void notifications_arrive(struct ph_test_handler *h)
{
    struct ph_test_event *ev = ph_test_event_new(PH_EVENT_DISCONNECTED, "chat");
    struct ph_test_reply *r;

    ph_test_event_set(ev, PH_TEST_REASON, "bored");
    r = fire(h, ev);
    CHECK(r->success);
    ph_test_reply_free(r);
    r = fire(h, ph_test_event_new(PH_EVENT_DISCONNECTED, "chat"));
    CHECK(r->status == 500);
    ph_test_reply_free(r);
    r = fire(h, ph_test_event_new(PH_EVENT_JOINED, "chat"));
    CHECK(r->success);
    ph_test_reply_free(r);
    r = fire(h, ph_test_event_new(PH_EVENT_CONNECTED, "nobodys"));
    CHECK(r->success);
    ph_test_reply_free(r);
}

static int status_of(struct ph_test_handler *h, struct ph_test_event *ev)
{
    struct ph_test_reply *r = fire(h, ev);
    int status = r->status;

    ph_test_reply_free(r);
    return status;
}

static void what_is_wrong_is_refused(struct ph_test_handler *h)
{
    static const struct {
        enum ph_test_attribute attribute;
        const char *value;
        int status;
    } rows[] = {
        {PH_TEST_SIGNED_BY, NULL, 401},
        {PH_TEST_SIGNED_BY, "another key", 401},
        {PH_TEST_CONNECTION_ID, NULL, 401}, /* which is what the signature covers */
        {PH_TEST_HUB, NULL, 400},
        {PH_TEST_EVENT_NAME, NULL, 400},
        {PH_TEST_ORIGIN, "contoso.example", 403},
        {PH_TEST_TARGET, "/elsewhere", 404},
        {PH_TEST_METHOD, "PUT", 405},
    };
    struct ph_test_event *ev;
    struct ph_test_reply *r;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        int status;

        ev = ph_test_event_new(PH_EVENT_USER, "chat");
        ph_test_event_set(ev, rows[i].attribute, rows[i].value);
        status = status_of(h, ev);
        if (status != rows[i].status) {
            printf("FAILED %s, row %zu: status %d, expected %d\n", where, i, status,
                   rows[i].status);
            failures++;
        }
    }
    ev = ph_test_event_new(PH_EVENT_USER, "chat");
    ph_test_event_set(ev, PH_TEST_HUB, NULL); /* and there again */
    ph_test_event_set(ev, PH_TEST_HUB, "chat");
    ph_test_event_set_text(ev, "hello");
    r = fire(h, ev);
    CHECK(r->success && same(r->data, "hello"));
    ph_test_reply_free(r);
    ev = ph_test_event_new(PH_EVENT_CONNECT, "chat");
    ph_test_event_set_body(ev, "{\"claims\":", 10);
    CHECK(status_of(h, ev) == 400);
    ev = ph_test_event_new(PH_EVENT_USER, "chat");
    ph_test_event_set_header(ev, "Content-Type", "text/html");
    CHECK(status_of(h, ev) == 415);
    ev = ph_test_event_new(PH_EVENT_USER, "chat");
    ph_test_event_set_header(ev, "ce-type", NULL);
    CHECK(status_of(h, ev) == 400);
}

static void the_handshake_is_done(struct ph_test_handler *h)
{
    struct ph_test_reply *r = NULL;

    CHECK(ph_test_validate(h, "localhost", &r, NULL) == PH_OK);
    CHECK(r->success && same(ph_test_reply_header(r, "webhook-allowed-origin", 0), "localhost"));
    ph_test_reply_free(r);
    CHECK(ph_test_validate(h, "contoso.example", &r, NULL) == PH_OK);
    CHECK(!r->success && r->problem && r->status == 403);
    ph_test_reply_free(r);
}

static void a_retry_is_the_same_event(struct ph_test_handler *h)
{
    struct ph_test_event *ev = ph_test_event_new(PH_EVENT_USER, "chat");
    struct ph_test_reply *first = NULL, *second = NULL;

    ph_test_event_set_text(ev, "again");
    CHECK(ph_test_fire(h, ev, &first, NULL) == PH_OK);
    CHECK(ph_test_fire(h, ev, &second, NULL) == PH_OK);
    CHECK(same(first->data, second->data));
    ph_test_reply_free(first);
    ph_test_reply_free(second);
    ph_test_event_free(ev);
}

static void suite(struct ph_test_handler *h)
{
    connect_is_decided(h);
    mqtt_clients_are_told_in_their_words(h);
    messages_are_answered(h);
    notifications_arrive(h);
    what_is_wrong_is_refused(h);
    the_handshake_is_done(h);
    a_retry_is_the_same_event(h);
}

static void a_plugin_answers(const char *spec, enum ph_test_transport transport)
{
    struct ph_test_handler *h = NULL;
    struct ph_test_event *ev = ph_test_event_new(PH_EVENT_USER, "any");
    struct ph_test_reply *r;
    const char *why = "";

    if (ph_test_plugin_start(spec, transport, NULL, &h, &why)) {
        printf("FAILED %s: %s\n", where, why);
        exit(EXIT_FAILURE);
    }
    ph_test_event_set_text(ev, "hello");
    r = fire(h, ev);
    CHECK(r->success && same(r->data, "hello"));
    ph_test_reply_free(r);
    ph_test_handler_stop(h);
}

static void mistakes_are_explained(struct ph_app *app)
{
    struct ph_app *keyless = ph_app_new();
    struct ph_test_event *ev = ph_test_event_new(PH_EVENT_USER, "chat");
    struct ph_test_handler *h = (struct ph_test_handler *)"not touched";
    struct ph_test_reply *r = (struct ph_test_reply *)"not touched";
    const char *why = NULL;

    CHECK(ph_test_handler_start(keyless, PH_TEST_HTTP, NULL, &h, &why) == PH_ERR_CONFIG && !h);
    CHECK(why && strstr(why, "no access key"));
    CHECK(ph_test_plugin_start("a.so", PH_TEST_HTTP, &(struct ph_test_handler_options){.key = ""},
                               &h, &why) == PH_ERR_ARGUMENT);
    CHECK(strstr(why, "key is empty"));
    CHECK(ph_test_plugin_start("/nowhere/a.so", PH_TEST_HTTP, NULL, &h, &why) == PH_ERR_PLUGIN);
    CHECK(strstr(why, "/nowhere/a.so: no such file"));
    CHECK(ph_test_handler_start(app, PH_TEST_DIRECT, NULL, &h, &why) == PH_OK);
    ph_test_event_set(ev, PH_TEST_USER_ID, "line\nend");
    CHECK(ph_test_fire(h, ev, &r, &why) == PH_ERR_ARGUMENT && !r);
    CHECK(strstr(why, "control character"));
    ph_test_event_free(ev);
    ph_test_handler_stop(h);
    ph_test_handler_stop(NULL);
    ph_test_event_free(NULL);
    ph_test_reply_free(NULL);
    ph_app_free(keyless);
}

int main(int argc, char **argv)
{
    struct ph_app *app = make_app();

    for (int i = 0; i < PH_TEST_TRANSPORT_COUNT; i++) {
        enum ph_test_transport transport = (enum ph_test_transport)i;
        struct ph_test_handler *h = NULL;
        const char *why = "";

        where = ph_test_transport_name(transport);
        if (ph_test_handler_start(app, transport, NULL, &h, &why)) {
            printf("FAILED %s: %s\n", where, why);
            return EXIT_FAILURE;
        }
        suite(h);
        ph_test_handler_stop(h);
        for (int plugin = 1; plugin < argc; plugin++)
            a_plugin_answers(argv[plugin], transport);
    }
    mistakes_are_explained(app);
    ph_app_free(app);
    printf("%s\n", failures ? "failed" : "ok");
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
