/* Events of every kind from the request to the response, their state, their JSON and their
 * certificates, with each allocation failing in turn: an error, no crash, no leak, and nothing
 * half-done is sent. */
#include "app/app.h"
#include "base/x509.h"
#include "memory_kit.h"
#include "pubhook/json.h"
#include "pubhook/state.h"
#include "unit.h"
#include "webhook.h"

#include <openssl/crypto.h>
#include <stdio.h>

#define LONG_TEXT 6000 /* more than a block of an arena */

static char long_text[LONG_TEXT + 1];
static const char state_text[] = "eyJuIjoxLCJ0IjoieCJ9"; /* {"n":1,"t":"x"} */
static char pem[4096];

/* --- Handlers that use all there is ------------------------------------------------------------
 */

static void read_everything(const struct ph_event *ev)
{
    for (int field = PH_FIELD_CLAIMS; field <= PH_FIELD_MQTT_PROPERTIES; field++) {
        const char *name = ph_event_field_name(ev, (enum ph_field)field, 0);

        if (name)
            ph_event_field(ev, (enum ph_field)field, name, 0);
    }
    ph_event_http_header(ev, "ce-id");
    ph_event_mqtt_password(ev, NULL);
    ph_event_certificate_fact(ev, 0, PH_CERTIFICATE_SUBJECT);
    ph_event_certificate_validity(ev, 0, NULL, NULL);
}

static void change_state(struct ph_reply *reply, const struct ph_event *ev)
{
    struct ph_state *state = ph_state_from_event(ev);

    ph_state_set_int(state, "n", ph_state_get_int(state, "n", 0) + 1);
    ph_state_set(state, "t", long_text + LONG_TEXT - 3000);
    ph_state_set_json(state, "list", "[1,{\"a\":\"\\u00e4\"}]", 18);
    ph_state_set_double(state, "d", 0.5);
    ph_state_set_bool(state, "b", 1);
    ph_state_remove(state, "d");
    ph_reply_set_state_from(reply, state);
    ph_state_free(state);
}

static struct ph_reply *on_connect(const struct ph_event *ev, void *arg)
{
    struct ph_reply *reply = ph_reply_accept();
    char group[24];

    (void)arg;
    read_everything(ev);
    ph_reply_set_user_id(reply, "bob");
    for (int i = 0; i < 9; i++) {
        snprintf(group, sizeof(group), "group%d", i);
        ph_reply_add_group(reply, group);
        ph_reply_add_role(reply, group);
        ph_reply_add_header(reply, "Set-Cookie", group);
    }
    if (ph_event_mqtt_version(ev) == PH_MQTT_5)
        ph_reply_add_mqtt_property(reply, "long", long_text);
    change_state(reply, ev);
    return reply;
}

static struct ph_reply *on_refused(const struct ph_event *ev, void *arg)
{
    struct ph_reply *reply = ph_reply_reject_mqtt(PH_MQTT_5_BANNED, long_text);

    (void)ev, (void)arg;
    ph_reply_add_mqtt_property(reply, "a", "b");
    return reply;
}

static struct ph_reply *json_reply(const struct ph_event *ev)
{
    struct ph_json_writer *w = ph_json_writer_new();

    ph_json_put_object(w);
    ph_json_put_key(w, "long");
    ph_json_put_text(w, long_text);
    ph_json_put_key(w, "value");
    ph_json_put_value(w, ph_json_at(ph_event_json(ev), "/a/1"));
    ph_json_put_key(w, "number");
    ph_json_put_double(w, 0.25);
    ph_json_put_end(w);
    return ph_reply_json_from(w);
}

static struct ph_reply *on_user(const struct ph_event *ev, void *arg)
{
    struct ph_reply *reply = json_reply(ev);

    (void)arg;
    read_everything(ev);
    for (int i = 0; i < 5; i++)
        ph_reply_set_metadata(reply, (const char *[]){"a", "b", "c", "d", "e"}[i], "1");
    if (ph_event_is_mqtt(ev)) {
        ph_reply_add_mqtt_property(reply, "p", "q");
        ph_reply_set_content_type(reply, "application/vnd.x+json");
    }
    change_state(reply, ev);
    return reply;
}

static struct ph_reply *on_notice(const struct ph_event *ev, void *arg)
{
    (void)arg;
    read_everything(ev);
    return ph_reply_ok();
}

/* --- Events --------------------------------------------------------------------------------- */

static const struct str offered[] = {{"mqtt", 4}, {"custom", 6}};
static struct http_header properties[] = {{{"a", 1}, {"1", 1}}, {{"a", 1}, {"2", 1}}};
static const struct event_mqtt mqtt_connect = {
    .version = PH_MQTT_5, .username = {"u", 1}, .password = {"p\0q", 3}};
static const struct event_mqtt mqtt_end = {.has_packet = true, .code = 4};
static const struct metadata_entry metadata[] = {{{"k", 1}, {"v", 1}}, {{"l", 1}, {"w", 1}}};
static struct event_certificate certificate;

static struct ph_event of_kind(enum ph_event_kind kind, const char *name, bool mqtt)
{
    static const struct str values[] = {{"v", 1}, {"w", 1}};
    static const struct event_field fields[] = {{{"n", 1}, values, 2}, {{"o", 1}, values, 1}};
    struct ph_event ev = webhook__event(kind, name);

    ev.state = STR(state_text);
    if (kind == PH_EVENT_CONNECT) {
        ev.claims = ev.query = ev.headers = (struct event_fields){fields, 2};
        ev.subprotocols = offered;
        ev.subprotocol_count = 2;
        ev.certificates = mqtt ? NULL : &certificate; /* once is enough: it takes a thousand */
        ev.certificate_count = !mqtt;
    }
    if (kind == PH_EVENT_JOINED)
        ev.group = STR("g");
    if (kind == PH_EVENT_USER) {
        ev.data = STR("{\"a\":[1,{\"b\":\"\\u00e4\"}]}");
        ev.metadata = (struct metadata){metadata, 2};
    }
    if (mqtt) {
        ev.physical_id = STR("p");
        ev.subprotocol = STR("mqtt");
        ev.mqtt_properties = (struct http_headers){.items = properties, .count = 2, .cap = 2};
        ev.mqtt = kind == PH_EVENT_CONNECT ? &mqtt_connect : &mqtt_end;
    }
    return ev;
}

static const struct {
    enum ph_event_kind kind;
    const char *name;
    bool mqtt;
    int status; /* when all goes well */
} events[] = {
    {PH_EVENT_CONNECT, "connect", false, 200},
    {PH_EVENT_CONNECT, "connect", true, 200},
    {PH_EVENT_CONNECTED, "connected", true, 204},
    {PH_EVENT_USER, "message", false, 200},
    {PH_EVENT_USER, "message", true, 200},
    {PH_EVENT_JOINED, "joined", false, 204},
    {PH_EVENT_DISCONNECTED, "disconnected", true, 204},
};

/* --- Runs --------------------------------------------------------------------------------------
 */

static struct ph_app *new_app(ph_handler_fn *connect)
{
    struct ph_app *app = ph_app_new();

    if (!app)
        return NULL;
    if (ph_app_add_key(app, WEBHOOK_KEY) == PH_OK &&
        ph_app_on_connect(app, NULL, connect, NULL, NULL) == PH_OK &&
        ph_app_on_event(app, "chat", "mess*", on_user, NULL, NULL) == PH_OK &&
        ph_app_on_connected(app, NULL, on_notice, NULL, NULL) == PH_OK &&
        ph_app_on_joined(app, NULL, on_notice, NULL, NULL) == PH_OK &&
        ph_app_on_disconnected(app, NULL, on_notice, NULL, NULL) == PH_OK)
        return app;
    ph_app_free(app);
    return NULL;
}

/* A failure is a status of 5xx, which the service tries again, and nothing else of the reply. */
static void check_response(const struct ph_response *res, int status)
{
    int got = ph_response_status(res);

    if (got == status)
        return;
    assert_true(memory_kit__failed());
    assert_true(got >= 500);
    assert_null(webhook__header(res, "ce-connectionState"));
    assert_null(webhook__header(res, "Set-Cookie"));
}

static bool add_copies(struct ph_request *req, const struct http_request *from)
{
    for (size_t i = 0; i < from->headers.count; i++) {
        const struct http_header *h = &from->headers.items[i];

        if (ph_request_add_header(req, h->name.ptr, h->name.len, h->value.ptr, h->value.len))
            return false;
    }
    ph_request_set_body(req, from->body.ptr, from->body.len);
    return true;
}

/* From the broker's side to the handler and back. */
static void serve(struct ph_app *app, const struct ph_event *ev, int status)
{
    struct ph_request *req = ph_request_new("POST", "/eventhandler");
    struct ph_response *res = ph_response_new();
    struct http_request sent = {.method = STR("POST")};
    struct answer answer;
    struct arena a;

    arena__init(&a, NULL, 0, 1 << 20);
    if (req && res && event__encode(&a, ev, STR(WEBHOOK_SIGNATURE), &sent, NULL) == PH_OK &&
        add_copies(req, &sent) && ph_app_serve(app, req, res) == PH_OK) {
        check_response(res, status);
        if (response__decode_mqtt(&a, ev, &res->http, &answer, NULL) == PH_OK)
            assert_int_equal(answer.success, ph_response_status(res) / 100 == 2);
        else
            assert_true(memory_kit__failed());
    } else {
        assert_true(memory_kit__failed());
    }
    arena__free(&a);
    ph_response_free(res);
    ph_request_free(req);
}

/* The same without a request. */
static void hand_over(struct ph_app *app, const struct ph_event *ev, int status)
{
    struct ph_response *res = ph_response_new();
    struct ph_event *own;
    struct diag diag;

    if (res && app__hand_over(app, ev, false, res, &own, &diag) == PH_OK) {
        assert_true(app__dispatch(app, own, res, NULL, NULL));
        check_response(res, status);
    } else {
        assert_true(memory_kit__failed());
    }
    ph_response_free(res);
}

static void live(void *ctx)
{
    struct ph_app *app = new_app(ctx ? on_refused : on_connect);

    if (!app) {
        assert_true(memory_kit__failed());
        return;
    }
    for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++) {
        struct ph_event ev = of_kind(events[i].kind, events[i].name, events[i].mqtt);
        bool refused = ctx && ev.kind == PH_EVENT_CONNECT;
        int status = !refused ? events[i].status : ev.mqtt ? 403 : 500;

        serve(app, &ev, status);
        if (ev.certificate_count == 0)
            hand_over(app, &ev, status);
    }
    ph_app_free(app);
}

static void each_allocation_of_an_event_may_fail(void **state)
{
    (void)state;
    memory_kit__each_fails(live, NULL, 100);
    memory_kit__each_fails(live, on_refused, 100);
}

static void parse(void *ctx)
{
    static const char text[] =
        "{\"a\":[1,2,\"\\u00e4\"],\"b\":{\"c\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}}";
    struct ph_json_doc *doc;
    const char *why = NULL;
    enum ph_err err = ph_json_parse(text, strlen(text), &doc, &why);

    (void)ctx;
    assert_int_equal(err == PH_OK, !memory_kit__failed());
    assert_true(err == PH_OK || (err == PH_ERR_MEMORY && !doc && why));
    if (doc)
        assert_int_equal(ph_json_int(ph_json_root(doc), "/a/1", 0), 2);
    ph_json_free(doc);
}

static void each_allocation_of_a_document_may_fail(void **state)
{
    (void)state;
    memory_kit__each_fails(parse, NULL, 1);
}

/* Here OpenSSL's own allocations fail too, once it has set itself up. */
static void *openssl_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return malloc(size);
}

static void *openssl_realloc(void *old, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return realloc(old, size);
}

static void openssl_free(void *block, const char *file, int line)
{
    (void)file, (void)line;
    free(block);
}

static void read_certificate(void *ctx)
{
    struct x509_facts facts;
    struct arena a;
    bool read;

    (void)ctx;
    arena__init(&a, NULL, 0, 1 << 20);
    read = x509__read(&a, certificate.pem, &facts);
    assert_true(read || memory_kit__failed());
    if (read)
        assert_str(facts.texts[X509_SERIAL], "badcafe01");
    arena__free(&a);
}

static void each_allocation_of_a_certificate_may_fail(void **state)
{
    (void)state;
    read_certificate(NULL);
    memory_kit__each_fails(read_certificate, NULL, 50);
}

static void read_pem(void)
{
    FILE *file = fopen(VECTORS_DIR "/certificates/device.pem", "rb");

    assert_non_null(file);
    certificate.pem = str__n(pem, fread(pem, 1, sizeof(pem) - 1, file));
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_of_an_event_may_fail),
        cmocka_unit_test(each_allocation_of_a_document_may_fail),
        cmocka_unit_test(each_allocation_of_a_certificate_may_fail),
    };

    CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free);
    memset(long_text, 'x', LONG_TEXT);
    read_pem();
    return cmocka_run_group_tests_name("events, out of memory", tests, NULL, NULL);
}
