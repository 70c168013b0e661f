/* A running broker with a handler inside: what the connect handler says, as the client
 * sees it (client-and-rest section 1.5). */
#include "broker_kit.h"

#include "base/jwt.h"
#include "pubhook/app.h"
#include "pubhook/event.h"
#include "pubhook/reply.h"

#include <stdio.h>

static struct broker_kit kit;
static struct ph_app *app;

/* The client says in its user id what the handler is to answer. */
static struct ph_reply *on_connect(const struct ph_event *ev, void *arg)
{
    const char *wish = ph_event_user_id(ev);
    struct ph_reply *reply;

    (void)arg;
    if (strcmp(wish, "refuse") == 0)
        return ph_reply_reject(403, "a secret of the handler");
    if (strcmp(wish, "fail") == 0)
        return NULL;
    reply = ph_reply_accept();
    if (strcmp(wish, "keep") != 0)
        ph_reply_set_user_id(reply, strcmp(wish, "nobody") == 0 ? "" : "ann");
    return reply;
}

/* Replies with the user id that came with the event. */
static struct ph_reply *on_event(const struct ph_event *ev, void *arg)
{
    const char *user = ph_event_user_id(ev);

    (void)arg;
    if (!user)
        user = "absent";
    return ph_reply_text(user, strlen(user));
}

static int setup(void **state)
{
    struct diag diag = {""};

    (void)state;
    app = ph_app_new();
    assert_non_null(app);
    assert_int_equal(ph_app_add_key(app, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"), PH_OK);
    assert_int_equal(ph_app_on_connect(app, NULL, on_connect, NULL, NULL), PH_OK);
    assert_int_equal(ph_app_on_event(app, NULL, "*", on_event, NULL, NULL), PH_OK);
    broker_kit__init(&kit, 2);
    assert_int_equal(settings__add_plugin(&kit.settings, "chat=unused.so", &diag), PH_OK);
    kit.settings.hubs[0].handlers[0].app = app;
    broker_kit__start(&kit);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    broker_kit__free(&kit);
    ph_app_free(app);
    return 0;
}

static void open_as(struct client *c, const char *wish)
{
    char claims[64];

    snprintf(claims, sizeof(claims), ",\"sub\":\"%s\"", wish);
    client__open(c, &kit, &(struct client_options){.protocol = JSON_PROTOCOL, .claims = claims});
}

/* An empty user id makes the client anonymous; it is no user with an empty name. */
static void test_user(void **state)
{
    static const struct {
        const char *wish, *connected, *event;
    } rows[] = {
        {"nobody", "\"userId\":null", "\"data\":\"absent\""},
        {"keep", "\"userId\":\"keep\"", "\"data\":\"keep\""},
        {"another", "\"userId\":\"ann\"", "\"data\":\"ann\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct client c;

        open_as(&c, rows[i].wish);
        assert_int_equal(c.status, 101);
        assert_int_equal(client__read(&c), WS_OP_TEXT);
        assert_non_null(strstr(c.payload.data, rows[i].connected));
        client__text(&c,
                     "{\"type\":\"event\",\"event\":\"who\",\"dataType\":\"text\",\"data\":\"\"}");
        assert_int_equal(client__read(&c), WS_OP_TEXT);
        assert_non_null(strstr(c.payload.data, rows[i].event));
        client__close(&c);
    }
}

/* The status is the handler's; its words, and where it is, are for the log. */
static void test_refusal(void **state)
{
    static const struct {
        const char *wish, *body;
        int status;
    } rows[] = {{"refuse", "\r\n\r\nForbidden", 403},
                {"fail", "\r\n\r\nInternal Server Error", 500}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct client c;

        open_as(&c, rows[i].wish);
        assert_int_equal(c.status, rows[i].status);
        c.at = 0; /* to see the head again, and the body behind it */
        assert_non_null(strstr(c.in.data, rows[i].body));
        client__close(&c);
    }
}

/* event-handler section 3.8: both values of each are what the two settings say. */
static void test_compatibility(void **state)
{
    struct hub_compatibility *as = &kit.settings.hubs[0].compatibility;
    struct client c;

    (void)state;
    as->forward_connect_body = as->user_id_required = true;
    open_as(&c, "refuse");
    assert_int_equal(c.status, 403);
    c.at = 0;
    assert_non_null(strstr(c.in.data, "\r\n\r\na secret of the handler"));
    assert_non_null(strstr(c.in.data, "Content-Type: text/plain; charset=utf-8\r\n"));
    client__close(&c);
    open_as(&c, "fail"); /* says nothing */
    c.at = 0;
    assert_non_null(strstr(c.in.data, "\r\n\r\nInternal Server Error"));
    client__close(&c);
    open_as(&c, "nobody");
    assert_int_equal(c.status, 401);
    client__close(&c);
    open_as(&c, "keep");
    assert_int_equal(c.status, 101);
    client__close(&c);
    as->forward_connect_body = as->user_id_required = false;
}

/* As many groups as a token of 18 KiB has room for. */
static void test_full_token(void **state)
{
    struct client c;
    struct buf claims;

    (void)state;
    buf__init(&claims, JWT_MAX_LEN);
    buf__str(&claims, STR(",\"sub\":\"keep\",\"webpubsub.group\":[\"g\""));
    while (claims.len < 13500)
        buf__str(&claims, STR(",\"g\""));
    buf__str(&claims, STR("]"));
    buf__byte(&claims, '\0');
    client__open(&c, &kit,
                 &(struct client_options){.protocol = JSON_PROTOCOL, .claims = claims.data});
    assert_int_equal(c.status, 101);
    client__close(&c);
    buf__free(&claims);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_user),
        cmocka_unit_test(test_refusal),
        cmocka_unit_test(test_compatibility),
        cmocka_unit_test(test_full_token),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
