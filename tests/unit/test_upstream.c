/* The broker's way to event handlers under a fake shell and a fake clock: each test
 * raises events, looks at what the shell was asked to send, and plays the handler. */
#include "unit.h"

#include "base/deadlines.h"
#include "broker/upstream/cookies.h"
#include "broker/upstream/gate.h"
#include "broker/upstream/route.h"
#include "broker/upstream/upstream.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_SENT 600

/* One request that the shell was asked to send, as copies. */
struct sent {
    struct exchange *x; /* NULL: answered or cancelled */
    char method[8];
    char url[256];
    char id[24], event[64], type[64], bearer[16], names[512], origin[32], source[96],
        content_type[64], guid[40], state[64], cookie[128], signature[160], user[64];
    char body[128], trace[64];
    bool has_state;
    void *app;
    int64_t timeout_ms;
};

struct told {
    int calls;
    int status; /* connect */
    bool success, no_handler;
    uint64_t ticket;
    bool answered; /* there was an answer */
    char data[64], user[64], why[1024];
};

struct fixture {
    struct settings settings;
    struct hub_settings hubs[2];
    struct event_handler handlers[3];
    struct upstream *up;
    struct metrics *metrics;
    struct ph_log *log;
    char logged[4096];
    struct sent sent[MAX_SENT];
    int sent_count, cancelled;
    bool send_fails;
    const char *token; /* of handlers that have one; NULL: none */
    int refused_tokens;
    unsigned guids;
    struct upstream_outage shared, *outage; /* NULL: none */
    struct told connect, event;
    struct upstream_peer *peer; /* what the callbacks below act on */
    bool disconnect_in_callback, event_in_callback;
    int64_t now;
};

static void copy(char *out, size_t size, struct str s)
{
    snprintf(out, size, "%.*s", STR_FMT(s));
}

static bool fake_send(void *ctx, struct exchange *x, const struct upstream_request *req)
{
    struct fixture *f = ctx;
    struct sent *s = &f->sent[f->sent_count];
    const struct http_request *http = req->http;
    const struct http_headers *h;
    struct http_request encoded = {.method = STR("POST")};
    struct diag diag;
    struct arena a;

    if (f->send_fails)
        return false;
    arena__init(&a, NULL, 0, 65536);
    if (req->app) { /* such a handler gets the event itself */
        assert_null(http);
        assert_int_equal(event__encode(&a, req->event, STR_NONE, &encoded, &diag), PH_OK);
        http = &encoded;
    }
    h = &http->headers;
    assert_true(f->sent_count < MAX_SENT);
    f->sent_count++;
    *s = (struct sent){.x = x, .app = req->app, .timeout_ms = req->timeout_ms};
    copy(s->method, sizeof(s->method), http->method);
    copy(s->url, sizeof(s->url), req->url);
    copy(s->id, sizeof(s->id), http__get(h, STR("ce-id")));
    copy(s->bearer, sizeof(s->bearer), req->bearer);
    copy(s->origin, sizeof(s->origin), http__get(h, STR("WebHook-Request-Origin")));
    for (size_t i = 0; i < h->count; i++) {
        size_t at = strlen(s->names);

        snprintf(s->names + at, sizeof(s->names) - at, "%.*s,", STR_FMT(h->items[i].name));
    }
    copy(s->event, sizeof(s->event), http__get(h, STR("ce-eventName")));
    copy(s->type, sizeof(s->type), http__get(h, STR("ce-type")));
    copy(s->source, sizeof(s->source), http__get(h, STR("ce-source")));
    copy(s->content_type, sizeof(s->content_type), http__get(h, STR("Content-Type")));
    copy(s->guid, sizeof(s->guid), http__get(h, STR("x-ms-client-request-id")));
    copy(s->state, sizeof(s->state), http__get(h, STR("ce-connectionState")));
    copy(s->cookie, sizeof(s->cookie), http__get(h, STR("Cookie")));
    copy(s->signature, sizeof(s->signature), http__get(h, STR("ce-signature")));
    copy(s->user, sizeof(s->user), http__get(h, STR("ce-userId")));
    copy(s->body, sizeof(s->body), http->body);
    copy(s->trace, sizeof(s->trace), http__get(h, STR("x-webpubsub-metadata-trace")));
    s->has_state = http__count(h, STR("ce-connectionState")) > 0;
    assert_null(exchange__shell(x));
    exchange__set_shell(x, s);
    arena__free(&a);
    return true;
}

static void fake_cancel(void *ctx, struct exchange *x)
{
    struct fixture *f = ctx;
    struct sent *s = exchange__shell(x);

    assert_ptr_equal(s->x, x);
    s->x = NULL;
    f->cancelled++;
}

static void fake_connect_done(void *ctx, void *token, int status, const struct answer *answer,
                              const char *why)
{
    struct fixture *f = ctx;

    assert_ptr_equal(token, &f->connect);
    f->connect.calls++;
    f->connect.status = status;
    f->connect.answered = answer != NULL;
    copy(f->connect.user, sizeof(f->connect.user), answer ? answer->user_id : STR_NONE);
    copy(f->connect.why, sizeof(f->connect.why), str__of(why));
    if (f->disconnect_in_callback)
        upstream__disconnected(f->peer, STR("in callback"), f->now, 0);
}

static bool raise_event(struct fixture *f, struct upstream_peer *p, const char *name,
                        enum ph_data_type type, struct str data, uint64_t ticket)
{
    const struct upstream_event event = {
        .name = str__of(name), .type = type, .data = data, .ticket = ticket};

    return upstream__event(p, &event, f->now, 0) == NULL;
}

static void fake_event_done(void *ctx, void *owner, uint64_t ticket, const struct answer *answer,
                            bool no_handler, const char *why)
{
    struct fixture *f = ctx;

    assert_ptr_equal(owner, f);
    f->event.calls++;
    f->event.success = answer && answer->success;
    f->event.no_handler = no_handler;
    f->event.ticket = ticket;
    copy(f->event.data, sizeof(f->event.data), answer ? answer->data : STR_NONE);
    copy(f->event.why, sizeof(f->event.why), str__of(why));
    if (f->event_in_callback) {
        f->event_in_callback = false;
        assert_true(raise_event(f, f->peer, "again", PH_DATA_TEXT, STR("x"), 0));
    }
    if (f->disconnect_in_callback)
        upstream__disconnected(f->peer, STR("in callback"), f->now, 0);
}

static bool fake_token(void *ctx, const struct handler_auth *auth, struct upstream_token *out)
{
    struct fixture *f = ctx;

    assert_true(auth->origin != TOKEN_NONE);
    *out = (struct upstream_token){.serial = 5};
    if (f->token)
        strcpy(out->text, f->token);
    else
        strcpy(out->why, "no token in the fixture");
    return f->token != NULL;
}

static void fake_token_refused(void *ctx, const struct handler_auth *auth, uint64_t serial)
{
    struct fixture *f = ctx;

    (void)auth;
    assert_int_equal(serial, 5);
    f->refused_tokens++;
}

static struct upstream_outage *fake_outage(void *ctx, struct str identity)
{
    const struct fixture *f = ctx;

    (void)identity;
    return f->outage;
}

static void fake_guid(void *ctx, char out[37])
{
    struct fixture *f = ctx;

    snprintf(out, 37, "00000000-0000-0000-0000-%012u", ++f->guids);
}

static void keep_log(void *arg, enum ph_log_level level, const char *line, size_t len)
{
    struct fixture *f = arg;
    size_t at = strlen(f->logged);

    (void)level;
    snprintf(f->logged + at, sizeof(f->logged) - at, "%.*s", (int)len, line);
}

static const struct upstream_ops fake_ops = {
    .send = fake_send,
    .cancel = fake_cancel,
    .connect_done = fake_connect_done,
    .event_done = fake_event_done,
    .token = fake_token,
    .token_refused = fake_token_refused,
    .make_guid = fake_guid,
    .outage = fake_outage,
};

#define URL "http://h:80/eh/{event}?code=secret"

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct upstream_config config = {
        .settings = &f->settings,
        .origin = STR("broker.test"),
        .ops = &fake_ops,
        .ctx = f,
    };

    f->settings.keys[0] = mac__key_new(STR("7aab239577fd4f24bc919802fb629f5f"));
    f->settings.keys[1] = mac__key_new(STR("a5f2815d0d0c4b00bd27e832432f91ab"));
    f->settings.key_count = 2;
    f->settings.hubs = f->hubs;
    f->settings.hub_count = 2;
    f->hubs[0] = (struct hub_settings){.name = STR("chat"), .handlers = f->handlers};
    f->hubs[1] = (struct hub_settings){.name = STR("bare")};
    f->handlers[0] = (struct event_handler){
        .url_template = STR(URL),
        .user_event_pattern = STR("*"),
        .system_events = SYSTEM_EVENT_CONNECT | SYSTEM_EVENT_CONNECTED | SYSTEM_EVENT_DISCONNECTED,
        .identity = STR("chat " URL)};
    f->hubs[0].handler_count = 1;
    f->now = 1000000;
    f->log = ph_log_new(PH_LOG_DEBUG, PH_LOG_TEXT);
    ph_log_set_sink(f->log, keep_log, f);
    config.log = f->log;
    config.metrics = f->metrics = metrics__new();
    assert_non_null(f->metrics);
    f->up = upstream__new(&config);
    assert_non_null(f->up);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    upstream__free(f->up);
    metrics__free(f->metrics);
    mac__key_free(f->settings.keys[0]);
    mac__key_free(f->settings.keys[1]);
    ph_log_free(f->log);
    free(f);
    return 0;
}

/* --- the script ------------------------------------------------------------------- */

static int64_t tick(struct fixture *f)
{
    return upstream__tick(f->up, f->now);
}

static int64_t after(struct fixture *f, int64_t ms)
{
    f->now += ms;
    return tick(f);
}

static struct sent *last_sent(struct fixture *f)
{
    assert_true(f->sent_count > 0);
    return &f->sent[f->sent_count - 1];
}

static void report(struct fixture *f, struct sent *s, const struct exchange_result *result)
{
    struct exchange *x = s->x;

    assert_non_null(x);
    s->x = NULL;
    upstream__done(x, result, f->now);
    tick(f);
}

static void answer_with(struct fixture *f, struct sent *s, int status, const char *name,
                        const char *value, const char *body)
{
    struct http_header items[2] = {{STR("Content-Type"), STR("text/plain")},
                                   {str__of(name), str__of(value)}};
    struct http_response res = {
        .status = status, .headers = {items, name ? 2 : 1, 2}, .body = str__of(body)};
    struct exchange_result result = {.response = &res};

    report(f, s, &result);
}

static void answer(struct fixture *f, struct sent *s, int status)
{
    answer_with(f, s, status, NULL, NULL, "");
}

static void break_off(struct fixture *f, struct sent *s, bool transient)
{
    struct exchange_result result = {.why = "refused connection: is it running?",
                                     .transient = transient};

    report(f, s, &result);
}

static void consent(struct fixture *f)
{
    struct sent *s = last_sent(f);

    assert_string_equal(s->method, "OPTIONS");
    answer_with(f, s, 200, "WebHook-Allowed-Origin", "*", "");
}

static struct upstream_peer *connect_as(struct fixture *f, const char *hub, const char *id)
{
    struct str protocols[] = {STR("json.webpubsub.azure.v1")};
    struct ph_event ev = {.kind = PH_EVENT_CONNECT,
                          .hub = str__of(hub),
                          .connection_id = str__of(id),
                          .user_id = STR("\xe7\x8e\x8b"),
                          .subprotocols = protocols,
                          .subprotocol_count = 1};
    struct upstream_peer *p = upstream__connect(f->up, &ev, &f->connect, f->now, 0);

    assert_non_null(p);
    tick(f);
    return p;
}

/* A connection that is through with connect and connected; the URL is validated. */
static struct upstream_peer *established(struct fixture *f)
{
    struct upstream_peer *p = connect_as(f, "chat", "0f9c97a2f0bf4706afe87a14e0797b11");

    if (strcmp(last_sent(f)->method, "OPTIONS") == 0)
        consent(f);
    answer(f, last_sent(f), 204);
    upstream__connected(p, f, STR("user"), STR("proto"), f->now, 0);
    answer(f, last_sent(f), 204);
    f->peer = p;
    return p;
}

static bool message(struct fixture *f, struct upstream_peer *p, const char *data)
{
    bool ok = raise_event(f, p, "message", PH_DATA_TEXT, str__of(data), 7);

    tick(f);
    return ok;
}

static unsigned failures(const struct fixture *f, enum metric_failure kind)
{
    return (unsigned)metrics__load(&f->metrics->values[METRIC_HANDLER_FAILURES + kind]);
}

static unsigned outcomes(const struct fixture *f, enum metric_event event,
                         enum metric_outcome outcome)
{
    return (unsigned)metrics__load(
        &f->metrics->values[METRIC_EVENT_OUTCOMES + event * METRIC_OUTCOMES + outcome]);
}

/* --- route -------------------------------------------------------------------------- */

/* event-handler section 5; the matcher itself is tested in test_pattern.c. */
static void patterns(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool matches;
    } rows[] = {
        {"*", "any", true},
        {"*", "any.thing", true}, /* alone it stands for all */
        {"Message", "message", true},
        {"a, b ,c", "B", true},
        {"a,*", "b.c", true},
        {"a,b", "ab", false},
        {"a,,b", "", false},
        {"", "", false},
        {"mess*", "MESSAGE", true},
        {"mess*", "mess.age", false},
        {"mess**", "mess.age", true},
        {"order.*", "order.created", true},
        {"order.*", "order.line.created", false},
        {"**.created, x", "order.line.created", true},
        {"v?", "v1", true},
        {"v?", "v.", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (route__pattern_matches(str__of(rows[i].pattern), str__of(rows[i].name)) !=
            rows[i].matches)
            fail_msg("pattern %s, name %s", rows[i].pattern, rows[i].name);
    }
}

static void first_handler_that_matches_wins(void **state)
{
    struct event_handler h[] = {
        {.user_event_pattern = STR("a"), .system_events = SYSTEM_EVENT_CONNECTED},
        {.system_events = SYSTEM_EVENT_CONNECT | SYSTEM_EVENT_CONNECTED},
        {.user_event_pattern = STR("*")},
    };
    struct hub_settings hub = {.handlers = h, .handler_count = 3};

    (void)state;
    assert_ptr_equal(route__find(&hub, PH_EVENT_CONNECT, STR("connect")), &h[1]);
    assert_ptr_equal(route__find(&hub, PH_EVENT_CONNECTED, STR("connected")), &h[0]);
    assert_null(route__find(&hub, PH_EVENT_DISCONNECTED, STR("disconnected")));
    assert_ptr_equal(route__find(&hub, PH_EVENT_USER, STR("A")), &h[0]);
    /* a user event may have a system event's name (event-handler section 2.2) */
    assert_ptr_equal(route__find(&hub, PH_EVENT_USER, STR("connected")), &h[2]);
}

static void presence_goes_to_the_first_handler_of_the_group(void **state)
{
    static const struct str chats[] = {STR("chat-*"), STR("**.chat")}, any[] = {STR("*")};
    struct event_handler h[] = {
        {.presence_events = PRESENCE_EVENT_JOINED, .group_filters = chats, .group_filter_count = 2},
        {.system_events = SYSTEM_EVENT_CONNECT, .user_event_pattern = STR("*")},
        {.presence_events = PRESENCE_EVENT_LEFT, .group_filters = any, .group_filter_count = 1},
        {.presence_events = PRESENCE_EVENT_JOINED | PRESENCE_EVENT_LEFT},
    };
    struct hub_settings hub = {.handlers = h, .handler_count = 4};

    (void)state;
    assert_ptr_equal(route__find(&hub, PH_EVENT_JOINED, STR("chat-1")), &h[0]);
    assert_ptr_equal(route__find(&hub, PH_EVENT_JOINED, STR("a.b.chat")), &h[0]);
    assert_ptr_equal(route__find(&hub, PH_EVENT_JOINED, STR("Chat-1")), &h[3]);
    assert_ptr_equal(route__find(&hub, PH_EVENT_JOINED, STR("chat-1.2")), &h[3]);
    assert_ptr_equal(route__find(&hub, PH_EVENT_LEFT, STR("chat-1.2")), &h[2]);
    hub.handler_count = 2;
    assert_null(route__find(&hub, PH_EVENT_LEFT, STR("chat-1")));
}

static void urls_are_escaped_and_shown_without_secrets(void **state)
{
    struct event_handler h = {.plugin = STR("chat.so?key=secret")};
    struct arena a;
    struct str url;

    (void)state;
    arena__init(&a, NULL, 0, 65536);
    url = event__url(&a, STR("http://u:p@h/{Hub}/x{EVENT}?code=s&{other}"), STR("a[b]"),
                     STR("\xc3\xa4/"));
    assert_str(url, "http://u:p@h/a%5Bb%5D/x%C3%A4%2F?code=s&{other}");
    assert_string_equal(route__show(&a, &h, url), "event handler http://h/a%5Bb%5D/x%C3%A4%2F");
    assert_string_equal(route__bare(route__show(&a, &h, url)), "http://h/a%5Bb%5D/x%C3%A4%2F");
    assert_string_equal(route__show(&a, &h, STR_NONE), "plugin chat.so");
    assert_string_equal(route__bare(route__show(&a, &h, STR_NONE)), "chat.so");
    arena__free(&a);
}

/* --- deadlines, cookies ------------------------------------------------------------- */

static void deadlines_come_in_order(void **state)
{
    enum { COUNT = 100 };
    struct deadline d[COUNT] = {0};
    struct deadlines ds = {0};
    int64_t last = -1;
    int left = COUNT - COUNT / 4;

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        assert_true(deadlines__reserve(&ds));
        deadlines__set(&ds, &d[i], i * 37 % 101);
    }
    for (int i = 0; i < COUNT; i += 4)
        deadlines__clear(&ds, &d[i]);
    for (int i = 1; i < COUNT; i += 4)
        deadlines__set(&ds, &d[i], i * 53 % 103);
    for (struct deadline *first; (first = deadlines__first(&ds)); left--) {
        assert_true(first->at_ms >= last);
        last = first->at_ms;
        deadlines__clear(&ds, first);
        deadlines__clear(&ds, first);
    }
    assert_int_equal(left, 0);
    deadlines__free(&ds);
}

static void cookies_stay_with_their_site(void **state)
{
    struct cookies jar = {0};
    struct arena a;

    (void)state;
    arena__init(&a, NULL, 0, 65536);
    assert_null(cookies__header(&jar, &a, STR("http://a/")).ptr);
    cookies__set(&jar, STR("http://a:1/x?y"), STR("one=1; Path=/; HttpOnly"));
    cookies__set(&jar, STR("http://a:1/z"), STR(" two=a=b "));
    cookies__set(&jar, STR("http://b/"), STR("three=3"));
    cookies__set(&jar, STR("http://b/"), STR("nonsense"));
    cookies__set(&jar, STR("http://b/"), STR("=x"));
    cookies__set(&jar, STR("http://b/"), STR("one=3")); /* another's of the same name */
    assert_str(cookies__header(&jar, &a, STR("http://A:1?q")), "one=1; two=a=b");
    assert_str(cookies__header(&jar, &a, STR("http://b/c")), "three=3; one=3");
    cookies__set(&jar, STR("http://a:1/"), STR("one=2"));
    cookies__set(&jar, STR("http://a:1/"), STR("two=; Max-Age=0"));
    assert_str(cookies__header(&jar, &a, STR("http://a:1/")), "one=2");
    cookies__free(&jar);
    arena__free(&a);
}

static void cookies_are_bounded(void **state)
{
    struct cookies jar = {0};
    char value[COOKIES_MAX_BYTES + 2];
    size_t most = COOKIES_MAX_BYTES - strlen("http://a");

    (void)state;
    memset(value, 'v', sizeof(value));
    value[1] = '=';
    cookies__set(&jar, STR("http://a"), str__n(value, most + 1));
    assert_int_equal(jar.count, 0);
    for (int i = 0; i < COOKIES_MAX + 1; i++) {
        value[0] = (char)('a' + i);
        cookies__set(&jar, STR("http://a"), str__n(value, most));
        assert_int_equal(jar.count, i < COOKIES_MAX ? i + 1 : COOKIES_MAX);
    }
    cookies__free(&jar);
}

/* --- connect ---------------------------------------------------------------------------- */

static void connect_without_handler_is_accepted(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = connect_as(f, "bare", "c");

    assert_int_equal(f->sent_count, 0);
    assert_int_equal(f->connect.calls, 1);
    assert_int_equal(f->connect.status, 0);
    assert_false(f->connect.answered);
    upstream__connected(p, f, STR_NONE, STR_NONE, f->now, 0);
    upstream__disconnected(p, STR("bye"), f->now, 0);
    assert_int_equal(upstream__pending(f->up), 0);
    assert_true(tick(f) == INT64_MAX);
}

static void connect_outcome_never_comes_from_inside_the_call(void **state)
{
    struct fixture *f = *state;
    struct ph_event ev = {.hub = STR("bare"), .connection_id = STR("c")};

    assert_non_null(upstream__connect(f->up, &ev, &f->connect, f->now, 0));
    assert_int_equal(f->connect.calls, 0);
    tick(f);
    assert_int_equal(f->connect.calls, 1);
}

static void connect_is_validated_then_sent(void **state)
{
    struct fixture *f = *state;
    struct sent *s;

    connect_as(f, "chat", "0f9c97a2f0bf4706afe87a14e0797b11");
    s = last_sent(f);
    assert_string_equal(s->method, "OPTIONS");
    assert_string_equal(s->url, "http://h:80/eh/validate?code=secret");
    assert_string_equal(s->signature, "");
    assert_int_equal(s->timeout_ms, 10000);
    consent(f);
    s = last_sent(f);
    assert_int_equal(f->sent_count, 2);
    assert_string_equal(s->method, "POST");
    assert_string_equal(s->url, "http://h:80/eh/connect?code=secret");
    assert_string_equal(s->id, "0");
    assert_string_equal(s->user, "\xe7\x8e\x8b");
    assert_int_equal(s->timeout_ms, UPSTREAM_TIMEOUT_MS);
    /* vectors 1 and 2 of event-handler section 4 */
    assert_string_equal(s->signature,
                        "sha256=7767effcb3946f3e1de039df4b986ef02c110b1469d02c0a06f41b3b727ab561,"
                        "sha256=d4aefb65547a00a9881fa8ac8bd03d0faf77af9da5205d45c6e57cbda4377760");
    answer_with(f, s, 200, NULL, NULL, "{\"userId\":\"other\"}");
    assert_int_equal(f->connect.calls, 1);
    assert_int_equal(f->connect.status, 0);
    assert_string_equal(f->connect.user, "other");
}

static void connect_status_goes_to_the_client(void **state)
{
    static const int cases[][2] = {{401, 401}, {403, 403}, {404, 404}, {429, 429}, {302, 500}};
    struct fixture *f = *state;

    established(f);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        connect_as(f, "chat", "c");
        answer_with(f, last_sent(f), cases[i][0], NULL, NULL, "no user");
        assert_int_equal(f->connect.status, cases[i][1]);
        assert_non_null(strstr(f->connect.why, "to connect of hub chat: \"no user\""));
        assert_null(strstr(f->connect.why, "secret"));
    }
}

static void connect_status_goes_to_the_client_after_all_tries(void **state)
{
    static const int delays[] = {1000, 3000, 5000};
    struct fixture *f = *state;

    established(f);
    connect_as(f, "chat", "c");
    for (int i = 0; i < 3; i++) {
        answer(f, last_sent(f), 503);
        after(f, delays[i]);
    }
    assert_int_equal(f->connect.calls, 1); /* the first client's */
    answer(f, last_sent(f), 503);
    assert_int_equal(f->connect.calls, 2);
    assert_int_equal(f->connect.status, 503);
}

static void connect_that_breaks_the_contract_is_500(void **state)
{
    struct fixture *f = *state;

    connect_as(f, "chat", "c");
    consent(f);
    answer_with(f, last_sent(f), 200, NULL, NULL, "{\"userId\":");
    assert_int_equal(f->connect.status, 500);
    assert_non_null(strstr(f->connect.why, "broke the contract"));
}

static void connect_is_500_when_the_handler_is_down(void **state)
{
    static const int delays[] = {1000, 3000, 5000};
    struct fixture *f = *state;

    connect_as(f, "chat", "c");
    for (int i = 0; i < 3; i++) {
        break_off(f, last_sent(f), true);
        after(f, delays[i]);
    }
    assert_int_equal(f->connect.calls, 0);
    break_off(f, last_sent(f), true);
    assert_int_equal(f->connect.status, 500);
    assert_non_null(strstr(f->connect.why, "event handler http://h:80/eh/validate"));
    assert_non_null(strstr(f->connect.why, "refused connection: is it running?"));
}

static void abandon_cancels(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *waits = connect_as(f, "chat", "1");
    struct upstream_peer *waits_too = connect_as(f, "chat", "2");
    struct upstream_peer *sends;

    upstream__abandon(waits);
    assert_int_equal(f->cancelled, 0); /* the check goes on for the other */
    upstream__abandon(waits_too);
    consent(f);
    assert_int_equal(f->sent_count, 1);
    sends = connect_as(f, "chat", "3");
    assert_string_equal(last_sent(f)->method, "POST");
    upstream__abandon(sends);
    assert_int_equal(f->cancelled, 1);
    assert_int_equal(f->connect.calls, 0);
    assert_int_equal(upstream__pending(f->up), 0);
}

static void out_of_memory_in_the_shell_fails_the_connect(void **state)
{
    struct fixture *f = *state;

    established(f);
    f->send_fails = true;
    connect_as(f, "chat", "c");
    assert_int_equal(f->connect.status, 500);
    assert_non_null(strstr(f->connect.why, "out of memory"));
}

/* --- validation ----------------------------------------------------------------------- */

static void get_only_after_404(void **state)
{
    static const int others[] = {400, 401, 403, 405};
    struct fixture *f = *state;

    connect_as(f, "chat", "c");
    answer(f, last_sent(f), 404);
    assert_string_equal(last_sent(f)->method, "GET");
    assert_string_equal(last_sent(f)->url, "http://h:80/eh/validate?code=secret");
    answer(f, last_sent(f), 404);
    assert_int_equal(f->connect.status, 500);
    assert_non_null(strstr(f->connect.why,
                           "http://h:80/eh/validate answered 404 to the validation (OPTIONS, "
                           "then GET): is the path of the URL right?"));
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        f->now += 61000;
        connect_as(f, "chat", "c");
        assert_string_equal(last_sent(f)->method, "OPTIONS");
        answer(f, last_sent(f), others[i]);
        assert_int_equal(f->connect.calls, (int)i + 2);
    }
}

static void get_may_consent(void **state)
{
    struct fixture *f = *state;

    connect_as(f, "chat", "c");
    answer(f, last_sent(f), 404);
    answer_with(f, last_sent(f), 200, "WebHook-Allowed-Origin", "BROKER.test", "");
    assert_string_equal(last_sent(f)->method, "POST");
}

/* event-handler section 1: these two headers, and nothing else. */
static void validation_says_who_asks_and_no_more(void **state)
{
    struct fixture *f = *state;

    f->handlers[0].url_template = STR("http://h/eh?code=secret"); /* without {event}: as it is */
    f->handlers[0].auth.origin = TOKEN_FILE;
    f->token = "t";
    connect_as(f, "chat", "c");
    for (int i = 0; i < 2; i++) {
        assert_string_equal(last_sent(f)->method, i == 0 ? "OPTIONS" : "GET");
        assert_string_equal(last_sent(f)->url, "http://h/eh?code=secret");
        assert_string_equal(last_sent(f)->names, "WebHook-Request-Origin,ce-awpsversion,");
        assert_string_equal(last_sent(f)->origin, "broker.test");
        assert_string_equal(last_sent(f)->body, "");
        assert_string_equal(last_sent(f)->bearer, "");
        assert_int_equal(last_sent(f)->timeout_ms, 10000); /* each has its own time */
        f->now += 7000;
        if (i == 0)
            answer(f, last_sent(f), 404);
    }
}

static void any_2xx_with_the_header_consents(void **state)
{
    static const int statuses[] = {200, 202, 204, 299};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
        upstream__configure(f->up, &f->settings); /* forgets the consent */
        connect_as(f, "chat", "c");
        answer_with(f, last_sent(f), statuses[i], "webhook-allowed-origin", "Broker.Test", "");
        assert_string_equal(last_sent(f)->event, "connect");
        answer(f, last_sent(f), 204);
    }
    upstream__configure(f->up, &f->settings);
    connect_as(f, "chat", "c");
    answer_with(f, last_sent(f), 200, "WebHook-Allowed-Origin", "other.test, broker.test", "");
    assert_int_equal(f->connect.status, 500);
}

static void no_consent_without_the_header(void **state)
{
    struct fixture *f = *state;

    connect_as(f, "chat", "c");
    answer(f, last_sent(f), 200);
    assert_int_equal(f->connect.status, 500);
    assert_non_null(strstr(f->connect.why, "without consent: expected a header "
                                           "WebHook-Allowed-Origin with * or broker.test, but "
                                           "there is none"));
}

static void validation_tries_within_ten_seconds(void **state)
{
    struct fixture *f = *state;

    connect_as(f, "chat", "c");
    answer(f, last_sent(f), 503);
    assert_int_equal(f->sent_count, 1);
    after(f, 1000);
    assert_int_equal(f->sent_count, 2);
    assert_int_equal(last_sent(f)->timeout_ms, 9000);
    answer(f, last_sent(f), 408);
    after(f, 2999);
    assert_int_equal(f->sent_count, 2);
    after(f, 1);
    break_off(f, last_sent(f), true);
    after(f, 5000);
    assert_int_equal(f->sent_count, 4);
    assert_int_equal(last_sent(f)->timeout_ms, 1000);
    consent(f);
    assert_string_equal(last_sent(f)->event, "connect");
}

static void validation_is_shared_and_cached(void **state)
{
    struct fixture *f = *state;
    struct sent *check;

    connect_as(f, "chat", "1");
    connect_as(f, "chat", "2");
    assert_int_equal(f->sent_count, 1);
    consent(f);
    assert_int_equal(f->sent_count, 3);
    f->now += 59999;
    connect_as(f, "chat", "3");
    assert_int_equal(f->sent_count, 4); /* the POST alone */
    f->now += 1;
    connect_as(f, "chat", "4"); /* goes out on the old consent, which is asked for again */
    assert_int_equal(f->sent_count, 6);
    check = &f->sent[4];
    assert_string_equal(check->method, "OPTIONS");
    assert_string_equal(last_sent(f)->method, "POST");
    connect_as(f, "chat", "5");
    assert_int_equal(f->sent_count, 7);
    answer(f, check, 401); /* from here on it is refused */
    assert_non_null(strstr(f->logged, "answered 401 to the validation (OPTIONS)"));
    assert_int_equal(f->connect.calls, 0);
    connect_as(f, "chat", "6");
    assert_int_equal(f->connect.status, 500);
    assert_int_equal(f->sent_count, 7);
}

static void failed_validation_backs_off(void **state)
{
    static const int seconds[] = {1, 2, 4, 8, 16, 32, 60, 60};
    struct fixture *f = *state;

    connect_as(f, "chat", "c");
    answer(f, last_sent(f), 401);
    for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++) {
        int sent = f->sent_count;

        f->now += seconds[i] * 1000 - 1;
        connect_as(f, "chat", "c");
        assert_int_equal(f->sent_count, sent);
        assert_int_equal(f->connect.status, 500);
        f->now += 1;
        connect_as(f, "chat", "c");
        assert_int_equal(f->sent_count, sent + 1);
        answer(f, last_sent(f), 401);
    }
    f->now += 60000;
    connect_as(f, "chat", "c"); /* waits, so that it succeeds if the handler is back */
    consent(f);
    assert_string_equal(last_sent(f)->method, "POST");
    answer(f, last_sent(f), 204);
    assert_int_equal(f->connect.status, 0);
}

/* A check in which nobody answers, in any of its four tries. */
static void nobody_answers_the_check(struct fixture *f)
{
    static const int waits[] = {1000, 3000, 5000};

    for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
        break_off(f, last_sent(f), true);
        after(f, waits[i]);
    }
    break_off(f, last_sent(f), true);
}

static void handler_that_is_down_is_asked_again_at_once(void **state)
{
    struct fixture *f = *state;
    int sent;

    for (int i = 1; i <= 3; i++) {
        connect_as(f, "chat", "c");
        assert_string_equal(last_sent(f)->method, "OPTIONS");
        nobody_answers_the_check(f);
        assert_int_equal(f->connect.calls, i);
        assert_int_equal(f->connect.status, 500);
    }
    sent = f->sent_count;
    connect_as(f, "chat", "c");
    assert_int_equal(f->sent_count, sent + 1);
    consent(f);
    assert_string_equal(last_sent(f)->event, "connect");
}

static void user_event_fails_without_consent(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);

    f->now += 60000;
    message(f, p, "1"); /* POST on the old consent, and the check */
    answer(f, &f->sent[f->sent_count - 1], 204);
    answer(f, &f->sent[f->sent_count - 2], 403);
    message(f, p, "2");
    assert_int_equal(f->event.calls, 2);
    assert_false(f->event.success);
    assert_false(f->event.no_handler);
    assert_int_equal(f->event.ticket, 7);
    assert_non_null(strstr(f->event.why, "answered 403 to the validation"));
}

/* --- events ----------------------------------------------------------------------------- */

static void events_of_a_connection_are_sent_in_order(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);
    int sent = f->sent_count;

    message(f, p, "a");
    message(f, p, "b");
    upstream__disconnected(p, STR("bye"), f->now, 0);
    /* the one under way and the one behind it are dropped, disconnected goes out */
    assert_int_equal(f->cancelled, 1);
    assert_int_equal(f->sent_count, sent + 2);
    assert_string_equal(last_sent(f)->event, "disconnected");
    assert_string_equal(last_sent(f)->id, "4");
    assert_non_null(strstr(last_sent(f)->body, "bye"));
    assert_int_equal(upstream__pending(f->up), 1);
    answer(f, last_sent(f), 200);
    assert_int_equal(upstream__pending(f->up), 0);
    assert_int_equal(f->event.calls, 0);
}

static void one_under_way_per_connection(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f), *other = established(f);
    int sent = f->sent_count;

    message(f, p, "a");
    message(f, p, "b");
    message(f, other, "c");
    assert_int_equal(f->sent_count, sent + 2);
    assert_string_equal(f->sent[sent].body, "a");
    assert_string_equal(f->sent[sent].id, "2");
    assert_string_equal(f->sent[sent + 1].body, "c");
    answer_with(f, &f->sent[sent], 200, NULL, NULL, "reply");
    assert_int_equal(f->event.calls, 1);
    assert_true(f->event.success);
    assert_string_equal(f->event.data, "reply");
    assert_int_equal(f->event.ticket, 7);
    assert_string_equal(last_sent(f)->body, "b");
    assert_string_equal(last_sent(f)->id, "3");
}

static void one_event_can_be_taken_back(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);
    int sent = f->sent_count;

    raise_event(f, p, "e", PH_DATA_TEXT, STR("a"), 11);
    raise_event(f, p, "e", PH_DATA_TEXT, STR("b"), 12);
    raise_event(f, p, "e", PH_DATA_TEXT, STR("c"), 13);
    upstream__cancel(p, 99, f->now);
    upstream__cancel(p, 12, f->now); /* waits: just gone */
    assert_int_equal(f->cancelled, 0);
    assert_int_equal(upstream__pending(f->up), 2);
    upstream__cancel(p, 11, f->now); /* under way: the next one has its turn */
    assert_int_equal(f->cancelled, 1);
    assert_int_equal(f->sent_count, sent + 2);
    assert_string_equal(last_sent(f)->body, "c");
    answer(f, last_sent(f), 204);
    assert_int_equal(f->event.calls, 1);
    assert_int_equal(f->event.ticket, 13);
    assert_int_equal(upstream__pending(f->up), 0);
    upstream__cancel(p, 13, f->now);
}

static void a_retry_can_be_taken_back(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);
    int sent;

    raise_event(f, p, "e", PH_DATA_TEXT, STR("a"), 11);
    answer(f, last_sent(f), 500);
    sent = f->sent_count;
    upstream__cancel(p, 11, f->now);
    assert_int_equal(after(f, 60000), INT64_MAX);
    assert_int_equal(f->sent_count, sent);
    assert_int_equal(f->event.calls, 0);
    message(f, p, "b");
    assert_string_equal(last_sent(f)->body, "b");
}

static void the_text_of_a_refusal_is_handed_on(void **state)
{
    static const struct {
        int status;
        const char *type, *body, *want;
    } rows[] = {
        {400, "text/plain; charset=utf-8", "no such room", "no such room"},
        {403, "text/plain", "", ""},
        {400, "text/html", "<p>no", NULL},
        {400, NULL, "no type", NULL},
        {400, "text/plain", "\xff", NULL},
        {501, "text/plain", "stack trace", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_header type = {STR("Content-Type"), str__of(rows[i].type)};
        struct http_response res = {.status = rows[i].status,
                                    .headers = {&type, rows[i].type ? 1 : 0, 1},
                                    .body = str__of(rows[i].body)};
        struct answer answer;

        assert_int_equal(response__decode(NULL, PH_EVENT_USER, &res, &answer, NULL), PH_OK);
        assert_false(answer.success);
        assert_int_equal(answer.status, rows[i].status);
        if (rows[i].want)
            assert_str(answer__refusal_text(&answer), rows[i].want);
        else
            assert_null(answer__refusal_text(&answer).ptr);
    }
}

static void connected_keeps_its_place(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = connect_as(f, "chat", "c");

    consent(f);
    answer(f, last_sent(f), 200);
    upstream__connected(p, f, STR("u"), STR_NONE, f->now, 0);
    message(f, p, "a");
    assert_string_equal(last_sent(f)->event, "connected");
    assert_string_equal(last_sent(f)->id, "1");
    assert_string_equal(last_sent(f)->user, "u");
    answer(f, last_sent(f), 500); /* tried again, as any event */
    after(f, 1000);
    answer(f, last_sent(f), 400);
    assert_non_null(strstr(f->logged, "answered 400 to connected of hub chat"));
    assert_string_equal(last_sent(f)->event, "message");
    upstream__disconnected(p, STR("x"), f->now, 0);
    assert_string_equal(last_sent(f)->id, "3");
}

static void ids_are_taken_even_when_no_handler_wants_the_event(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    f->handlers[0].system_events = 0;
    p = connect_as(f, "chat", "c");
    assert_int_equal(f->connect.calls, 1);
    upstream__connected(p, f, STR("u"), STR_NONE, f->now, 0);
    message(f, p, "a");
    consent(f);
    assert_string_equal(last_sent(f)->id, "2");
}

/* Kept while the event waits, and sent with it. */
static void metadata_goes_with_the_event(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);
    char value[] = "1";
    const struct metadata_entry entry = {STR("Trace"), str__of(value)};
    const struct upstream_event event = {
        .name = STR("e"), .data = STR("x"), .metadata = {&entry, 1}};

    message(f, p, "first");
    assert_null(upstream__event(p, &event, f->now, 0));
    value[0] = '?';
    assert_string_equal(last_sent(f)->trace, "");
    answer(f, last_sent(f), 204);
    assert_string_equal(last_sent(f)->body, "x");
    assert_string_equal(last_sent(f)->trace, "1");
}

static void event_without_handler(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    f->handlers[0].user_event_pattern = STR("other");
    p = established(f);
    assert_true(raise_event(f, p, "message", PH_DATA_TEXT, STR("x"), 0));
    assert_int_equal(f->event.calls, 0);
    tick(f);
    assert_int_equal(f->event.calls, 1);
    assert_true(f->event.no_handler);
    assert_int_equal(f->event.ticket, 0);
    assert_string_equal(f->event.why,
                        "no event handler matches user event `message` of hub chat: see the "
                        "userEventPattern of those under hubs.chat.eventHandlers");
    f->hubs[0].handler_count = 0;
    assert_true(raise_event(f, p, "message", PH_DATA_TEXT, STR("x"), 0));
    tick(f);
    assert_string_equal(f->event.why,
                        "no event handler matches user event `message` of hub chat: add one under "
                        "hubs.chat.eventHandlers or with --event-handler chat=URL");
}

static void event_is_tried_again_with_the_same_ids(void **state)
{
    static const int delays[] = {1000, 3000, 5000};
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);
    int64_t left = UPSTREAM_TIMEOUT_MS;
    char guid[40], id[24];

    message(f, p, "a");
    strcpy(guid, last_sent(f)->guid);
    strcpy(id, last_sent(f)->id);
    for (int i = 0; i < 3; i++) {
        int sent = f->sent_count;

        if (i == 0)
            break_off(f, last_sent(f), true);
        else
            answer(f, last_sent(f), i == 1 ? 408 : 502);
        assert_true(after(f, delays[i] - 1) == f->now + 1);
        assert_int_equal(f->sent_count, sent);
        after(f, 1);
        assert_int_equal(f->sent_count, sent + 1);
        left -= delays[i];
        assert_int_equal(last_sent(f)->timeout_ms, left);
        assert_string_equal(last_sent(f)->guid, guid);
        assert_string_equal(last_sent(f)->id, id);
        assert_string_equal(last_sent(f)->body, "a");
    }
    answer(f, last_sent(f), 500);
    assert_int_equal(f->event.calls, 1);
    assert_false(f->event.success);
    assert_non_null(strstr(f->event.why, "answered 500 to user event `message` of hub chat"));
    assert_non_null(strstr(f->logged, "answered 502; trying again in 5 s"));
}

static void final_answers_are_not_tried_again(void **state)
{
    static const int statuses[] = {400, 401, 404, 429, 302};
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);

    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
        message(f, p, "a");
        answer(f, last_sent(f), statuses[i]);
        assert_int_equal(f->event.calls, (int)i + 1);
        assert_false(f->event.success);
    }
    message(f, p, "a");
    break_off(f, last_sent(f), false);
    assert_int_equal(f->event.calls, 6);
    assert_non_null(strstr(f->event.why, "failed for user event `message`"));
}

/* official-emulator section 2.7: nothing of the kind is sent or tried again. */
static void what_cannot_be_a_header_fails_at_once(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);
    int sent;

    upstream__connected(p, f, STR("\xe7\x8e\x8b"), STR("pr\xc3\xb6to"), f->now, 0);
    sent = f->sent_count;
    message(f, p, "a");
    assert_int_equal(f->sent_count, sent);
    assert_int_equal(f->event.calls, 1);
    assert_string_equal(f->event.why, "ce-subprotocol holds characters outside ASCII and so cannot "
                                      "be sent to an event handler");
}

static void hundred_seconds_in_all(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);

    message(f, p, "a");
    f->now += 98999;
    break_off(f, last_sent(f), true); /* next try would be at 99,999 */
    assert_int_equal(f->event.calls, 0);
    after(f, 1000);
    assert_int_equal(last_sent(f)->timeout_ms, 1);
    break_off(f, last_sent(f), true);
    assert_int_equal(f->event.calls, 1);
    message(f, p, "b");
    f->now += 99000;
    break_off(f, last_sent(f), true); /* at 100,000: too late */
    assert_int_equal(f->event.calls, 2);
    assert_false(f->event.success);
}

static void state_is_kept_set_and_emptied(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);

    message(f, p, "a");
    assert_false(last_sent(f)->has_state);
    answer_with(f, last_sent(f), 200, "ce-connectionState", "one", "");
    message(f, p, "b");
    assert_string_equal(last_sent(f)->state, "one");
    answer(f, last_sent(f), 204);
    message(f, p, "c");
    assert_string_equal(last_sent(f)->state, "one");
    answer_with(f, last_sent(f), 400, "ce-connectionState", "bad", "");
    message(f, p, "d");
    assert_string_equal(last_sent(f)->state, "one");
    answer_with(f, last_sent(f), 200, "ce-connectionState", "", "");
    upstream__disconnected(p, STR("x"), f->now, 0);
    assert_true(last_sent(f)->has_state);
    assert_string_equal(last_sent(f)->state, "");
}

static void connected_cannot_set_the_state(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = connect_as(f, "chat", "c");

    consent(f);
    answer_with(f, last_sent(f), 200, "ce-connectionState", "s", "");
    upstream__connected(p, f, STR("u"), STR_NONE, f->now, 0);
    assert_string_equal(last_sent(f)->state, "s");
    answer_with(f, last_sent(f), 200, "ce-connectionState", "other", "");
    message(f, p, "a");
    assert_string_equal(last_sent(f)->state, "s");
}

static void cookies_go_back(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = connect_as(f, "chat", "c");

    answer_with(f, last_sent(f), 404, "Set-Cookie", "v=1", "");
    answer_with(f, last_sent(f), 200, "WebHook-Allowed-Origin", "*", "");
    assert_string_equal(last_sent(f)->cookie, ""); /* not from validation */
    answer_with(f, last_sent(f), 200, "Set-Cookie", "a=1; Path=/", "");
    upstream__connected(p, f, STR("u"), STR_NONE, f->now, 0);
    assert_string_equal(last_sent(f)->cookie, "a=1");
    answer_with(f, last_sent(f), 200, "Set-Cookie", "b=2", "");
    message(f, p, "a");
    assert_string_equal(last_sent(f)->cookie, "a=1; b=2");
    answer_with(f, last_sent(f), 404, "Set-Cookie", "c=3", "");
    message(f, p, "b");
    assert_string_equal(last_sent(f)->cookie, "a=1; b=2");
}

static void queue_is_bounded_by_events(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);

    for (int i = 0; i < UPSTREAM_PEER_QUEUE; i++)
        assert_true(message(f, p, "a"));
    assert_false(message(f, p, "a"));
    assert_int_equal(upstream__pending(f->up), UPSTREAM_PEER_QUEUE);
    answer(f, last_sent(f), 204);
    assert_true(message(f, p, "a"));
    assert_false(message(f, p, "a"));
    upstream__disconnected(p, STR("x"), f->now, 0); /* has a place of its own */
    assert_int_equal(upstream__pending(f->up), 1);
}

static void queue_is_bounded_by_bytes(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);
    char *data = calloc(1, UPSTREAM_PEER_BYTES + 1);
    const struct metadata_entry entry = {STR("k"), STR("")};

    assert_true(raise_event(f, p, "e", PH_DATA_BINARY, str__n(data, UPSTREAM_PEER_BYTES - 1), 0));
    assert_false(raise_event(f, p, "e", PH_DATA_BINARY, str__n(data, UPSTREAM_PEER_BYTES + 1), 0));
    assert_false(raise_event(f, p, "e", PH_DATA_BINARY, str__n(data, 2), 0));
    assert_true(raise_event(f, p, "e", PH_DATA_BINARY, str__n(data, 1), 0));
    assert_false(raise_event(f, p, "e", PH_DATA_BINARY, str__n(data, 1), 0));
    assert_non_null(upstream__event(
        p, &(struct upstream_event){.name = STR("e"), .metadata = {&entry, 1}}, f->now, 0));
    assert_true(raise_event(f, p, "e", PH_DATA_BINARY, STR(""), 0));
    free(data);
    answer(f, last_sent(f), 204);
    /* the refused ones have taken no numbers */
    assert_string_equal(last_sent(f)->id, "3");
}

/* Alone, an event may have as many bytes as a message (limits.messageBytes). */
static void an_empty_queue_takes_any_event(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);
    char *data = calloc(1, LIMITS_MAX_MESSAGE_BYTES);

    for (int i = 0; i < 2; i++) {
        assert_true(
            raise_event(f, p, "e", PH_DATA_BINARY, str__n(data, LIMITS_MAX_MESSAGE_BYTES), 0));
        assert_false(raise_event(f, p, "e", PH_DATA_BINARY, STR("x"), 0));
        answer(f, last_sent(f), 204);
    }
    free(data);
}

/* --- disconnect ---------------------------------------------------------------------- */

static void disconnect_while_a_retry_waits(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);

    message(f, p, "a");
    break_off(f, last_sent(f), true);
    upstream__disconnected(p, STR("x"), f->now, 0);
    assert_int_equal(f->cancelled, 0);
    assert_string_equal(last_sent(f)->event, "disconnected");
    answer(f, last_sent(f), 204);
    assert_true(after(f, 100000) == INT64_MAX);
    assert_int_equal(f->event.calls, 0);
}

static void disconnect_waits_for_connected(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = connect_as(f, "chat", "c");

    consent(f);
    answer(f, last_sent(f), 204);
    upstream__connected(p, f, STR("u"), STR_NONE, f->now, 0);
    message(f, p, "a");
    upstream__disconnected(p, STR("x"), f->now, 0);
    assert_int_equal(f->cancelled, 0); /* connected survives (event-handler section 3.6) */
    assert_string_equal(last_sent(f)->event, "connected");
    answer(f, last_sent(f), 204);
    assert_string_equal(last_sent(f)->event, "disconnected");
    assert_string_equal(last_sent(f)->id, "3");
}

static void disconnect_from_inside_an_outcome(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);

    message(f, p, "a");
    message(f, p, "b");
    f->disconnect_in_callback = true;
    answer(f, last_sent(f), 500 - 100);
    assert_int_equal(f->event.calls, 1);
    assert_string_equal(last_sent(f)->event, "disconnected");
    answer(f, last_sent(f), 204);
    assert_int_equal(upstream__pending(f->up), 0);
}

static void disconnect_from_inside_an_accepted_connect(void **state)
{
    struct fixture *f = *state;

    f->peer = connect_as(f, "chat", "c");
    consent(f);
    f->disconnect_in_callback = true;
    answer(f, last_sent(f), 204);
    /* connect was answered 2xx, so the handler is told (event-handler section 2.4) */
    assert_string_equal(last_sent(f)->event, "disconnected");
    assert_string_equal(last_sent(f)->id, "1");
}

static void event_from_inside_an_outcome(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);

    message(f, p, "a");
    message(f, p, "b");
    f->event_in_callback = true;
    answer(f, last_sent(f), 204);
    assert_string_equal(last_sent(f)->body, "b");
    answer(f, last_sent(f), 204);
    assert_string_equal(last_sent(f)->event, "again");
}

static void disconnected_event_failure_is_logged(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);

    upstream__disconnected(p, STR("x"), f->now, 0);
    break_off(f, last_sent(f), false);
    assert_int_equal(upstream__pending(f->up), 0);
    assert_non_null(strstr(f->logged, "failed for disconnected of hub chat: refused connection"));
    assert_non_null(strstr(f->logged, "handler=http://h:80/eh/disconnected event=disconnected "
                                      "connection=0f9c97a2f0bf4706afe87a14e0797b11\n"));
    assert_null(strstr(f->logged, "secret"));
}

static void free_cancels_all(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);

    message(f, p, "a");
    connect_as(f, "chat", "c");
    f->now += 60000;
    message(f, p, "b");
    upstream__free(f->up);
    f->up = NULL;
    assert_int_equal(f->cancelled, 2);
}

/* --- the gate: limits and circuit breaker ------------------------------------------------- */

/* Nobody answers any of the four tries of what was sent last. */
static void nobody_answers(struct fixture *f)
{
    static const int waits[] = {1000, 3000, 5000};

    for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
        break_off(f, last_sent(f), true);
        after(f, waits[i]);
    }
    break_off(f, last_sent(f), true);
}

static unsigned count_in_log(const struct fixture *f, const char *text)
{
    unsigned count = 0;

    for (const char *at = f->logged; (at = strstr(at, text)); at++)
        count++;
    return count;
}

#define SHUT "failed 3 times in a row"

/* A connection whose handler has failed three times, after which it is left alone. */
static struct upstream_peer *left_alone(struct fixture *f)
{
    struct upstream_peer *p;

    f->handlers[0].breaker_failures = 3;
    p = established(f);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(count_in_log(f, SHUT), 0);
        assert_true(message(f, p, "a"));
        nobody_answers(f);
        assert_int_equal(f->event.calls, i);
    }
    assert_int_equal(count_in_log(f, SHUT), 1);
    return p;
}

static void events_for_a_handler_that_fails_fail_at_once(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = left_alone(f);
    const struct upstream_event event = {.name = STR("e"), .data = STR("x")};
    int sent = f->sent_count;
    const char *why = upstream__event(p, &event, f->now, 0);

    assert_string_equal(why, "event handler http://h:80/eh/{event} of hub chat is left alone after "
                             "3 failures in a row, the last one: refused connection: is it "
                             "running?; it is tried again in 1 s");
    connect_as(f, "chat", "c");
    assert_int_equal(f->connect.status, 500);
    assert_non_null(strstr(f->connect.why, "is left alone after 3 failures"));
    assert_int_equal(f->sent_count, sent);
    assert_int_equal(upstream__pending(f->up), 0);
    assert_int_equal(count_in_log(f, SHUT), 1);
}

static void one_probe_at_a_time_more_and_more_seldom(void **state)
{
    static const int waits[] = {1, 2, 4, 8, 10, 10};
    struct fixture *f = *state;
    struct upstream_peer *p = left_alone(f), *other;

    for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
        int sent = f->sent_count;

        after(f, waits[i] * 1000 - 1);
        assert_false(message(f, p, "a"));
        after(f, 1);
        assert_true(message(f, p, "a")); /* to see whether it is back */
        if (strcmp(f->sent[sent].method, "OPTIONS") == 0)
            sent++; /* the consent is a minute old and is asked for again */
        assert_int_equal(f->sent_count, sent + 1);
        assert_false(message(f, p, "b"));
        other = connect_as(f, "chat", "c");
        (void)other;
        assert_int_equal(f->sent_count, sent + 1);
        break_off(f, last_sent(f), true); /* a probe has one try */
        assert_int_equal(f->event.calls, 4 + (int)i);
    }
    assert_int_equal(count_in_log(f, SHUT), 1);
}

static void an_answer_lets_all_in_again(void **state)
{
    static const int statuses[] = {204, 404}; /* whatever it says, it is there */
    struct fixture *f = *state;
    struct upstream_peer *p = left_alone(f);

    for (int i = 0; i < 2; i++) {
        assert_false(message(f, p, "x"));
        after(f, 1000);
        assert_true(message(f, p, "a"));
        answer(f, last_sent(f), statuses[i]);
        assert_int_equal(count_in_log(f, "answers again after"), (unsigned)i + 1);
        assert_non_null(strstr(f->logged, "of hub chat answers again after 1 s; 1 events failed "
                                          "meanwhile without being sent"));
        assert_true(message(f, p, "b"));
        answer(f, last_sent(f), 204);
        for (int n = 0; i == 0 && n < 3; n++) {
            assert_true(message(f, p, "a"));
            nobody_answers(f);
        }
    }
}

static void fail_thrice(struct fixture *f, struct upstream_peer *p)
{
    for (int i = 0; i < 3; i++) {
        assert_true(message(f, p, "a"));
        nobody_answers(f);
    }
    assert_false(message(f, p, "a"));
}

static void be_back(struct fixture *f, struct upstream_peer *p)
{
    after(f, 1000);
    assert_true(message(f, p, "a"));
    answer(f, last_sent(f), 204);
}

static void threads_tell_together_that_a_handler_is_down_and_is_back(void **state)
{
    struct fixture *one = *state, *two;
    struct upstream_peer *p, *q;
    void *other;

    assert_int_equal(set_up(&other), 0);
    two = other;
    one->outage = two->outage = &one->shared;
    p = left_alone(one);
    two->handlers[0].breaker_failures = 3;
    q = established(two);
    assert_false(message(one, p, "a"));
    fail_thrice(two, q);
    assert_int_equal(count_in_log(two, SHUT), 0);
    be_back(two, q);
    assert_int_equal(count_in_log(two, "answers again after 1 s; 2 events failed"), 1);
    be_back(one, p);
    assert_int_equal(count_in_log(one, "answers again"), 0);

    fail_thrice(one, p);
    assert_int_equal(count_in_log(one, SHUT), 2);
    upstream__configure(one->up, &one->settings); /* which begins anew */
    fail_thrice(two, q);
    assert_int_equal(count_in_log(two, SHUT), 1);
    be_back(two, q);
    assert_int_equal(count_in_log(two, "answers again after 1 s; 1 events failed"), 1);
    tear_down(&other);
}

static void notices_wait_for_a_handler_that_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *other = established(f), *p = left_alone(f);
    int sent = f->sent_count;

    upstream__disconnected(p, STR("bye"), f->now, 0);
    upstream__disconnected(other, STR("too"), f->now, 0);
    assert_int_equal(f->sent_count, sent);
    assert_int_equal(upstream__pending(f->up), 2);
    assert_true(tick(f) == f->now + 1000);
    after(f, 1000); /* no client needs to do anything: one of them is the probe */
    assert_int_equal(f->sent_count, sent + 1);
    assert_string_equal(last_sent(f)->event, "disconnected");
    break_off(f, last_sent(f), true); /* not lost by that */
    assert_int_equal(upstream__pending(f->up), 2);
    after(f, 2000);
    assert_int_equal(f->sent_count, sent + 2);
    assert_non_null(strstr(last_sent(f)->body, "bye"));
    answer(f, last_sent(f), 204);
    assert_int_equal(f->sent_count, sent + 3);
    assert_non_null(strstr(last_sent(f)->body, "too"));
    answer(f, last_sent(f), 204);
    assert_int_equal(upstream__pending(f->up), 0);
    assert_int_equal(count_in_log(f, "answers again after 3 s; 0 events"), 1);
}

static void notices_wait_a_hundred_seconds(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = left_alone(f);

    upstream__disconnected(p, STR("bye"), f->now, 0);
    for (int s = 0; s < 99; s++) {
        struct sent *last = last_sent(f);

        if (last->x)
            break_off(f, last, true);
        after(f, 1000);
    }
    assert_int_equal(upstream__pending(f->up), 1);
    if (last_sent(f)->x)
        break_off(f, last_sent(f), true);
    after(f, 1000);
    if (last_sent(f)->x)
        break_off(f, last_sent(f), true);
    after(f, 1000);
    assert_int_equal(upstream__pending(f->up), 0);
    assert_non_null(strstr(f->logged, "event=disconnected"));
}

static void a_notice_that_waited_in_vain_failed_for_the_breaker(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *other = established(f), *p = left_alone(f);
    unsigned before = failures(f, FAILURE_BREAKER);

    upstream__disconnected(p, STR("bye"), f->now, 0);
    upstream__disconnected(other, STR("too"), f->now, 0);
    after(f, 1000);
    assert_non_null(last_sent(f)->x); /* the probe, which nobody answers */
    after(f, 99000);
    assert_int_equal(failures(f, FAILURE_BREAKER), before + 1);
    assert_int_equal(failures(f, FAILURE_QUEUE_FULL), 0);
    assert_int_equal(upstream__pending(f->up), 1);
}

static void time_out(struct fixture *f, struct sent *s)
{
    struct exchange_result result = {.why = "gave no answer in time", .failure = FAILURE_TIMEOUT};

    report(f, s, &result);
}

/* What was sent before the gate shut says nothing of the probe that is under way. */
static void only_its_own_failure_ends_a_probe(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p, *other;
    struct sent *early, *late, *probe;

    f->handlers[0].breaker_failures = 1;
    other = established(f);
    p = established(f);
    assert_true(message(f, p, "early"));
    early = last_sent(f);
    assert_true(message(f, other, "late"));
    late = last_sent(f);
    time_out(f, early);
    after(f, 1000);
    assert_true(message(f, p, "probe"));
    probe = last_sent(f);
    time_out(f, late);
    after(f, 10000);
    assert_false(message(f, other, "a second probe"));
    answer(f, probe, 204);
    assert_int_equal(count_in_log(f, "answers again after 11 s"), 1);
    assert_true(message(f, other, "b"));
}

/* The check that has just failed was not the probe's. */
static void a_probe_waits_for_its_own_validation(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p, *first, *second;
    struct sent *early, *check;

    f->handlers[0].breaker_failures = 1;
    first = established(f);
    second = established(f);
    p = established(f);
    assert_true(message(f, p, "early"));
    early = last_sent(f);
    upstream__configure(f->up, &f->settings);
    upstream__disconnected(first, STR("first"), f->now, 0);
    upstream__disconnected(second, STR("second"), f->now, 0);
    check = last_sent(f);
    assert_string_equal(check->method, "OPTIONS");
    time_out(f, early);
    after(f, 10000);
    time_out(f, check);
    assert_ptr_not_equal(last_sent(f), check); /* the probe has begun with another check */
    consent(f);
    assert_non_null(strstr(last_sent(f)->body, "first"));
    answer(f, last_sent(f), 204);
    assert_non_null(strstr(last_sent(f)->body, "second"));
    answer(f, last_sent(f), 204);
    assert_int_equal(upstream__pending(f->up), 0);
}

/* As when handlers start later than the broker. */
static void a_probe_that_has_to_validate_waits_for_no_other(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *peers[2];

    f->handlers[0].breaker_failures = 1;
    f->handlers[0].system_events = SYSTEM_EVENT_CONNECTED;
    for (int i = 0; i < 2; i++)
        peers[i] = connect_as(f, "chat", "c");
    upstream__connected(peers[0], f, STR("first"), STR_NONE, f->now, 0);
    nobody_answers(f);
    upstream__connected(peers[1], f, STR("second"), STR_NONE, f->now, 0);
    after(f, 1000);
    consent(f);
    assert_string_equal(last_sent(f)->user, "first");
    answer(f, last_sent(f), 204);
    assert_string_equal(last_sent(f)->user, "second");
    answer(f, last_sent(f), 204);
    assert_int_equal(upstream__pending(f->up), 0);
}

static void a_probe_that_is_dropped_leaves_its_turn_to_the_next(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *other = established(f), *p = left_alone(f);
    int sent;

    after(f, 1000);
    assert_true(message(f, p, "a"));
    sent = f->sent_count;
    assert_false(message(f, other, "a"));
    f->peer = other;
    upstream__disconnected(p, STR("bye"), f->now, 0); /* takes the event back */
    assert_int_equal(f->cancelled, 1);
    tick(f);
    assert_int_equal(f->sent_count, sent + 1); /* `disconnected` probes */
    assert_string_equal(last_sent(f)->event, "disconnected");
    answer(f, last_sent(f), 204);
    assert_true(message(f, other, "a"));
}

static void failures_count_in_a_row_only(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    f->handlers[0].breaker_failures = 3;
    p = established(f);
    for (int i = 0; i < 5; i++) {
        message(f, p, "a");
        if (i == 2)
            answer(f, last_sent(f), 429);
        else
            nobody_answers(f);
    }
    assert_int_equal(count_in_log(f, SHUT), 0);
    assert_true(message(f, p, "a"));
}

static void answers_of_500_and_timeouts_are_failures(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;
    struct exchange_result late = {.why = "no answer within 100 s", .failure = FAILURE_TIMEOUT};
    static const int waits[] = {1000, 3000, 5000};

    f->handlers[0].breaker_failures = 2;
    p = established(f);
    message(f, p, "a");
    for (int i = 0; i < 3; i++) {
        answer(f, last_sent(f), 500);
        after(f, waits[i]);
    }
    answer(f, last_sent(f), 503);
    message(f, p, "a");
    report(f, last_sent(f), &late);
    assert_non_null(strstr(f->logged, "failed 2 times in a row, the last one: no answer within"));
    assert_false(message(f, p, "a"));
}

static void a_validation_that_nobody_answers_is_a_failure(void **state)
{
    struct fixture *f = *state;

    f->handlers[0].breaker_failures = 2;
    connect_as(f, "chat", "1");
    connect_as(f, "chat", "2");
    nobody_answers(f);
    assert_int_equal(f->connect.calls, 2);
    assert_int_equal(count_in_log(f, "failed 2 times in a row"), 1);
    connect_as(f, "chat", "3");
    assert_int_equal(f->connect.calls, 3);
    assert_non_null(strstr(f->connect.why, "is left alone"));
    after(f, 1000);
    connect_as(f, "chat", "4");
    consent(f);
    answer(f, last_sent(f), 204);
    assert_int_equal(f->connect.status, 0);
    assert_int_equal(count_in_log(f, "answers again"), 1);
}

static void the_breaker_can_be_turned_off(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    f->handlers[0].breaker_off = true;
    p = established(f);
    for (int i = 0; i < 12; i++) {
        assert_true(message(f, p, "a"));
        break_off(f, last_sent(f), true);
        upstream__tick(f->up, f->now);
        f->now += 1000;
        tick(f);
        break_off(f, last_sent(f), false);
    }
    assert_int_equal(count_in_log(f, "in a row"), 0);
}

static void hubs_have_gates_of_their_own(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p, *other;

    f->handlers[2] = f->handlers[0];
    f->handlers[2].identity = STR("bare " URL);
    f->hubs[1].handlers = &f->handlers[2];
    f->hubs[1].handler_count = 1;
    p = left_alone(f);
    assert_false(message(f, p, "a"));
    other = connect_as(f, "bare", "other");
    answer(f, last_sent(f), 204);
    assert_int_equal(f->connect.status, 0);
    upstream__connected(other, f, STR("u"), STR_NONE, f->now, 0);
    answer(f, last_sent(f), 204);
    assert_true(message(f, other, "b"));
    assert_string_equal(last_sent(f)->body, "b");
    answer(f, last_sent(f), 204);
    assert_true(f->event.success);
}

static void events_that_wait_fail_when_the_gate_shuts(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p[3];
    struct exchange_result late = {.why = "late", .failure = FAILURE_TIMEOUT};

    f->handlers[0].breaker_failures = 1;
    f->handlers[0].max_requests = 1;
    for (int i = 0; i < 3; i++)
        p[i] = established(f);
    for (int i = 0; i < 2; i++)
        assert_true(message(f, p[i], "a"));
    upstream__presence(p[2], true, STR("g"), f->now, 0); /* nobody wants it */
    upstream__disconnected(p[2], STR("x"), f->now, 0);
    report(f, last_sent(f), &late);
    assert_int_equal(f->event.calls, 2); /* the first, and the one that waited for its place */
    assert_non_null(strstr(f->event.why, "is left alone after 1 failures in a row"));
    assert_int_equal(upstream__pending(f->up), 1); /* disconnected */
}

static void a_retry_does_not_pass_a_gate_that_has_shut(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p[2];
    struct exchange_result late = {.why = "late", .failure = FAILURE_TIMEOUT};
    int sent;

    f->handlers[0].breaker_failures = 1;
    f->handlers[0].breaker_seconds = 3600;
    for (int i = 0; i < 2; i++) {
        p[i] = established(f);
        assert_true(message(f, p[i], "a"));
    }
    sent = f->sent_count;
    break_off(f, &f->sent[sent - 1], true); /* to be tried again in a second */
    f->now += 500;
    for (int i = 0; i < sent - 1; i++) {
        if (f->sent[i].x)
            report(f, &f->sent[i], &late);
    }
    assert_int_equal(f->event.calls, 1);
    after(f, 500);
    assert_int_equal(f->sent_count, sent);
    assert_int_equal(f->event.calls, 2);
}

static void a_handler_has_so_many_requests_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p[4];
    int sent;

    f->handlers[0].max_requests = 2;
    for (int i = 0; i < 4; i++)
        p[i] = established(f);
    sent = f->sent_count;
    for (int i = 0; i < 4; i++)
        assert_true(message(f, p[i], (char[]){(char)('a' + i), '\0'}));
    assert_int_equal(f->sent_count, sent + 2);
    answer(f, &f->sent[sent + 1], 204);
    assert_int_equal(f->sent_count, sent + 3);
    assert_string_equal(last_sent(f)->body, "c");
    upstream__disconnected(p[0], STR("x"), f->now, 0); /* gives its place up, and needs one */
    tick(f);
    assert_int_equal(f->sent_count, sent + 4);
    assert_string_equal(last_sent(f)->body, "d");
    break_off(f, last_sent(f), true); /* waits without a place */
    assert_int_equal(f->sent_count, sent + 5);
    assert_string_equal(last_sent(f)->event, "disconnected");
    answer(f, last_sent(f), 204);
    after(f, 1000);
    assert_string_equal(last_sent(f)->body, "d");
}

static void nobody_waits_for_ever_for_a_place(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p[2];

    f->handlers[0].max_requests = 1;
    for (int i = 0; i < 2; i++)
        p[i] = established(f);
    message(f, p[0], "a");
    message(f, p[1], "b");
    after(f, UPSTREAM_TIMEOUT_MS - 1);
    assert_int_equal(f->event.calls, 0);
    after(f, 1);
    assert_int_equal(f->event.calls, 1);
    assert_string_equal(f->event.why,
                        "event handler http://h:80/eh/message failed for user event `message` of "
                        "hub chat: too many requests to it were under way all the time: make it "
                        "faster, or raise its maxConcurrentRequests");
    answer(f, last_sent(f), 204);
    assert_int_equal(f->event.calls, 2);
    assert_int_equal(upstream__pending(f->up), 0);
}

static void a_handler_has_so_many_events_waiting(void **state)
{
    const struct upstream_event event = {.name = STR("message"), .data = STR("a")};
    struct fixture *f = *state;
    struct upstream_peer *p[12];
    unsigned lost;

    f->handlers[0].max_queued = 2;
    f->handlers[0].presence_events = PRESENCE_EVENT_JOINED;
    for (int i = 0; i < 12; i++)
        p[i] = established(f);
    assert_true(message(f, p[0], "a"));
    assert_true(message(f, p[1], "a"));
    assert_string_equal(upstream__event(p[2], &event, f->now, 0),
                        "too many events of all connections wait for event handler "
                        "http://h:80/eh/{event} of hub chat; make it faster, or raise its "
                        "maxQueuedEvents");
    assert_false(message(f, p[0], "a"));
    upstream__presence(p[2], true, STR("g"), f->now, 0);
    assert_int_equal(upstream__pending(f->up), 2);
    assert_int_equal(count_in_log(f, "joined events and others for event handler"), 1);
    for (int i = 2; i < 12; i++) /* these have more room, but not for ever */
        upstream__disconnected(p[i], STR("x"), f->now, 0);
    assert_int_equal(upstream__pending(f->up), 2 * GATE_NOTICES);
    assert_int_equal(count_in_log(f, "are lost"), 1);
    assert_int_equal(outcomes(f, METRIC_USER, OUTCOME_FAILED), 2);
    assert_int_equal(outcomes(f, METRIC_JOINED, OUTCOME_FAILED), 1);
    lost = outcomes(f, METRIC_DISCONNECTED, OUTCOME_FAILED);
    assert_int_equal(lost, 10 - (2 * GATE_NOTICES - 2));
    assert_int_equal(failures(f, FAILURE_QUEUE_FULL), 2 + 1 + lost);
}

static void fail_by_status(struct fixture *f, int status)
{
    message(f, f->peer, "a");
    answer(f, last_sent(f), status);
}

static void fail_by_4xx(struct fixture *f)
{
    fail_by_status(f, 429);
}

static void fail_in_all_tries(struct fixture *f, enum metric_failure kind, int status)
{
    static const int waits[] = {1000, 3000, 5000, 0};

    message(f, f->peer, "a");
    for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
        const struct exchange_result broken = {.why = "w", .transient = true, .failure = kind};

        if (status)
            answer(f, last_sent(f), status);
        else
            report(f, last_sent(f), &broken);
        after(f, waits[i]);
    }
}

static void fail_by_5xx(struct fixture *f)
{
    fail_in_all_tries(f, FAILURE_OTHER, 503);
}

static void fail_to_connect(struct fixture *f)
{
    fail_in_all_tries(f, FAILURE_CONNECT, 0);
}

static void fail_by_time(struct fixture *f)
{
    const struct exchange_result late = {.why = "w", .failure = FAILURE_TIMEOUT};

    message(f, f->peer, "a");
    report(f, last_sent(f), &late);
}

static void fail_by_contract(struct fixture *f)
{
    message(f, f->peer, "a");
    answer_with(f, last_sent(f), 200, NULL, NULL, "\xff");
}

static void fail_by_validation(struct fixture *f)
{
    upstream__configure(f->up, &f->settings);
    message(f, f->peer, "a");
    answer(f, last_sent(f), 401);
}

static void fail_by_breaker(struct fixture *f)
{
    const struct exchange_result late = {.why = "w", .failure = FAILURE_TIMEOUT};

    f->handlers[0].breaker_failures = 1;
    after(f, 1000); /* the last row's validation is not asked again before */
    message(f, f->peer, "a");
    consent(f);
    report(f, last_sent(f), &late);
    message(f, f->peer, "b");
}

static void failures_are_counted_by_kind(void **state)
{
    static const struct {
        void (*happen)(struct fixture *f);
        enum metric_failure kind;
        unsigned events;
    } rows[] = {
        {fail_by_4xx, FAILURE_STATUS_4XX, 1},      {fail_by_5xx, FAILURE_STATUS_5XX, 1},
        {fail_to_connect, FAILURE_CONNECT, 1},     {fail_by_time, FAILURE_TIMEOUT, 1},
        {fail_by_contract, FAILURE_BAD_ANSWER, 1}, {fail_by_validation, FAILURE_VALIDATION, 1},
        {fail_by_breaker, FAILURE_BREAKER, 2},
    };
    struct fixture *f = *state;
    unsigned events = 0;

    established(f);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(failures(f, rows[i].kind), 0);
        rows[i].happen(f);
        events += rows[i].events;
        if (failures(f, rows[i].kind) != 1)
            fail_msg("row %zu", i);
        assert_int_equal(outcomes(f, METRIC_USER, OUTCOME_FAILED), events);
    }
    assert_int_equal(metrics__load(&f->metrics->values[METRIC_EVENT_RETRIES]), 6);
    assert_int_equal(failures(f, FAILURE_OTHER), 0);
}

static void other_settings_forget_what_is_unused(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = left_alone(f);

    upstream__configure(f->up, &f->settings);
    assert_true(message(f, p, "a"));          /* a new gate, which knows of no failure */
    upstream__configure(f->up, &f->settings); /* while an event holds it */
    consent(f);
    answer(f, last_sent(f), 204);
    assert_true(f->event.success);
}

/* --- tokens --------------------------------------------------------------------------------- */

static void events_carry_the_token_of_their_handler(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    f->handlers[0].auth.origin = TOKEN_FILE;
    f->token = "one";
    connect_as(f, "chat", "c");
    assert_string_equal(last_sent(f)->bearer, ""); /* the validation has none (section 1) */
    p = established(f);
    message(f, p, "a");
    assert_string_equal(last_sent(f)->bearer, "one");
    f->token = "two";
    break_off(f, last_sent(f), true);
    after(f, 1000);
    assert_string_equal(last_sent(f)->bearer, "two");
    answer(f, last_sent(f), 204);
    f->handlers[0].auth.origin = TOKEN_NONE;
    message(f, p, "a");
    assert_string_equal(last_sent(f)->bearer, "");
    assert_null(strstr(f->logged, "two"));
}

static void without_a_token_the_event_is_tried_again_and_fails(void **state)
{
    static const int waits[] = {1000, 3000, 5000};
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);
    int sent = f->sent_count;

    f->handlers[0].auth.origin = TOKEN_FILE;
    message(f, p, "a");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(f->event.calls, 0);
        after(f, waits[i]);
    }
    assert_int_equal(f->event.calls, 1);
    assert_string_equal(f->event.why, "event handler http://h:80/eh/message failed for user event "
                                      "`message` of hub chat: no token in the fixture");
    message(f, p, "b");
    f->token = "late"; /* between two tries */
    after(f, 1000);
    assert_int_equal(f->sent_count, sent + 1);
    assert_string_equal(last_sent(f)->bearer, "late");
    answer(f, last_sent(f), 204);
    assert_true(f->event.success);
}

static void a_401_is_answered_with_another_token_once(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);

    message(f, p, "a");
    answer(f, last_sent(f), 401); /* it has no token to renew */
    assert_int_equal(f->event.calls, 1);
    f->handlers[0].auth.origin = TOKEN_COMMAND;
    f->token = "old";
    for (int i = 0; i < 2; i++) {
        message(f, p, "a");
        answer(f, last_sent(f), 401);
        assert_int_equal(f->refused_tokens, i + 1);
        assert_int_equal(f->event.calls, i + 1);
        f->token = "new";
        after(f, 1000);
        assert_string_equal(last_sent(f)->bearer, "new");
        answer(f, last_sent(f), i == 0 ? 401 : 204); /* the second refusal is final */
        assert_int_equal(f->refused_tokens, i + 1);
        assert_int_equal(f->event.calls, i + 2);
    }
    assert_true(f->event.success);
}

static void an_event_that_lacks_a_token_can_be_dropped(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);

    f->handlers[0].auth.origin = TOKEN_FILE;
    assert_true(raise_event(f, p, "e", PH_DATA_TEXT, STR("x"), 0)); /* told at the next tick */
    f->handlers[0].auth.origin = TOKEN_NONE;
    upstream__disconnected(p, STR("x"), f->now, 0);
    tick(f);
    assert_string_equal(last_sent(f)->event, "disconnected");
    answer(f, last_sent(f), 204);
    assert_int_equal(f->event.calls, 0);
}

/* --- what services differ in (event-handler section 3.8) ----------------------------------- */

static void sources_and_charsets_follow_the_hub(void **state)
{
    static const char *const names[] = {"json.webpubsub.azure.v1", "custom"};
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);

    for (int i = 0; i < 4; i++) {
        bool pubsub = i < 2, compatible = i % 2 == 1;

        f->hubs[0].compatibility.short_source = f->hubs[0].compatibility.charset = compatible;
        upstream__connected(p, f, STR("u"), str__of(names[pubsub ? 0 : 1]), f->now, 0);
        assert_string_equal(last_sent(f)->source,
                            "/hubs/chat/client/0f9c97a2f0bf4706afe87a14e0797b11");
        assert_string_equal(last_sent(f)->content_type,
                            compatible ? "application/json; charset=utf-8" : "application/json");
        answer(f, last_sent(f), 204);
        message(f, p, "a");
        assert_string_equal(last_sent(f)->source,
                            compatible && pubsub
                                ? "/client/0f9c97a2f0bf4706afe87a14e0797b11"
                                : "/hubs/chat/client/0f9c97a2f0bf4706afe87a14e0797b11");
        assert_string_equal(last_sent(f)->content_type,
                            compatible ? "text/plain; charset=utf-8" : "text/plain");
        answer(f, last_sent(f), 204);
    }
}

/* --- group presence -------------------------------------------------------------------- */

static void presence_is_told_in_order_and_numbered(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    f->handlers[0].presence_events = PRESENCE_EVENT_JOINED | PRESENCE_EVENT_LEFT;
    p = established(f);
    upstream__presence(p, true, STR("g \"1\""), f->now, 0);
    assert_string_equal(last_sent(f)->url, "http://h:80/eh/joined?code=secret");
    assert_string_equal(last_sent(f)->event, "joined");
    assert_string_equal(last_sent(f)->type, "azure.webpubsub.gp.joined");
    assert_string_equal(last_sent(f)->body, "{\"group\":\"g \\\"1\\\"\"}");
    assert_string_equal(last_sent(f)->id, "2");
    upstream__presence(p, false, STR("g"), f->now, 0);
    upstream__disconnected(p, STR("x"), f->now, 0); /* drops user events alone */
    assert_string_equal(last_sent(f)->event, "joined");
    answer(f, last_sent(f), 503); /* tried again as any other */
    after(f, 1000);
    answer(f, last_sent(f), 204);
    assert_string_equal(last_sent(f)->event, "left");
    assert_string_equal(last_sent(f)->type, "azure.webpubsub.gp.left");
    answer_with(f, last_sent(f), 404, "ce-connectionState", "s", "");
    assert_non_null(strstr(f->logged, "answered 404 to left of hub chat"));
    assert_string_equal(last_sent(f)->event, "disconnected");
    assert_string_equal(last_sent(f)->id, "4");
    assert_false(last_sent(f)->has_state);
}

static void presence_without_handler_is_nothing(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);
    int sent = f->sent_count;

    upstream__presence(p, true, STR("g"), f->now, 0);
    assert_int_equal(f->sent_count, sent);
    assert_int_equal(upstream__pending(f->up), 0);
}

static void presence_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    f->handlers[0].presence_events = PRESENCE_EVENT_JOINED;
    p = established(f);
    for (int i = 0; i < UPSTREAM_PEER_PRESENCE; i++)
        upstream__presence(p, true, STR("g"), f->now, 0);
    assert_int_equal(upstream__pending(f->up), UPSTREAM_PEER_PRESENCE);
    assert_null(strstr(f->logged, "are lost"));
    upstream__presence(p, true, STR("g"), f->now, 0);
    assert_int_equal(upstream__pending(f->up), UPSTREAM_PEER_PRESENCE);
    assert_non_null(strstr(f->logged,
                           "joined and left events of connection 0f9c97a2f0bf4706afe87a14e0797b11 "
                           "of hub chat are lost"));
    f->logged[0] = '\0';
    answer(f, last_sent(f), 204);
    upstream__presence(p, true, STR("g"), f->now, 0);
    assert_int_equal(upstream__pending(f->up), UPSTREAM_PEER_PRESENCE);
    upstream__presence(p, true, STR("g"), f->now, 0);
    assert_null(strstr(f->logged, "are lost"));        /* it is told once */
    upstream__presence(p, false, STR("g"), f->now, 0); /* which nobody wants to hear */
    assert_int_equal(outcomes(f, METRIC_JOINED, OUTCOME_FAILED), 2);
    assert_int_equal(failures(f, FAILURE_QUEUE_FULL), 2);
}

/* --- in-process handlers ------------------------------------------------------------- */

static void plugin_needs_no_validation(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;
    int app;

    f->handlers[0].url_template = STR_NONE;
    f->handlers[0].plugin = STR("chat.so?x=y");
    f->handlers[0].app = &app;
    p = connect_as(f, "chat", "c");
    assert_ptr_equal(last_sent(f)->app, &app);
    assert_string_equal(last_sent(f)->method, "POST");
    assert_string_equal(last_sent(f)->url, "");
    answer(f, last_sent(f), 204);
    assert_int_equal(f->connect.status, 0);
    upstream__connected(p, f, STR("u"), STR_NONE, f->now, 0);
    answer(f, last_sent(f), 204);
    message(f, p, "a");
    answer(f, last_sent(f), 400);
    assert_non_null(strstr(f->event.why, "plugin chat.so answered 400"));
}

static void plugin_that_hangs_is_given_up(void **state)
{
    struct fixture *f = *state;
    int app;

    f->handlers[0].app = &app;
    f->handlers[0].plugin = STR("chat.so");
    connect_as(f, "chat", "c");
    assert_true(after(f, UPSTREAM_TIMEOUT_MS - 1) == f->now + 1);
    assert_int_equal(f->connect.calls, 0);
    after(f, 1);
    assert_int_equal(f->cancelled, 1);
    assert_int_equal(f->connect.status, 500);
    assert_non_null(strstr(f->connect.why, "no answer in time"));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* --- other settings ------------------------------------------------------------------ */

static struct settings *settings_with(const char *key, const char *url)
{
    struct settings *s = settings__new();
    char value[128];

    assert_non_null(s);
    snprintf(value, sizeof(value), "chat=%s", url);
    assert_int_equal(settings__add_key(s, key, NULL), PH_OK);
    assert_int_equal(settings__add_event_handler(s, value, NULL), PH_OK);
    return s;
}

static void configure(struct fixture *f, const char *key, const char *url)
{
    struct settings *s = settings_with(key, url);

    upstream__configure(f->up, s);
    settings__unref(s);
    tick(f);
}

/* The one under way and those behind it were meant for the old handler, whose settings
 * must still be there; new ones go to the new handler. */
static void events_that_wait_keep_their_handler(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    configure(f, "0123456789012345678901234567890a", "http://old/eh");
    p = established(f);
    assert_true(message(f, p, "under way"));
    assert_true(message(f, p, "waits"));
    configure(f, "0123456789012345678901234567890a", "http://new/eh");
    assert_true(message(f, p, "new"));
    assert_string_equal(last_sent(f)->url, "http://old/eh");
    assert_string_equal(last_sent(f)->body, "under way");
    answer(f, last_sent(f), 204);
    assert_string_equal(last_sent(f)->method, "OPTIONS"); /* verdicts are forgotten */
    consent(f);
    assert_string_equal(last_sent(f)->url, "http://old/eh");
    assert_string_equal(last_sent(f)->body, "waits");
    answer(f, last_sent(f), 204);
    assert_string_equal(last_sent(f)->url, "http://new/eh");
    assert_string_equal(last_sent(f)->method, "OPTIONS");
    consent(f);
    assert_string_equal(last_sent(f)->body, "new");
    answer(f, last_sent(f), 204);
    assert_int_equal(f->event.calls, 3);
}

static void retries_survive_their_settings(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p;

    configure(f, "0123456789012345678901234567890a", "http://old/eh");
    p = established(f);
    assert_true(message(f, p, "once more"));
    answer(f, last_sent(f), 503);
    configure(f, "0123456789012345678901234567890a", "http://new/eh");
    after(f, 1000);
    assert_string_equal(last_sent(f)->url, "http://old/eh");
    answer(f, last_sent(f), 204);
    assert_true(f->event.success);
}

static void clients_that_stay_are_signed_for_by_new_keys(void **state)
{
    struct fixture *f = *state;
    struct upstream_peer *p = established(f);
    char before[160];

    assert_true(message(f, p, "old key"));
    copy(before, sizeof(before), str__of(last_sent(f)->signature));
    answer(f, last_sent(f), 204);
    configure(f, "0123456789012345678901234567890b", "http://h/eh");
    assert_true(message(f, p, "new key"));
    consent(f);
    assert_string_not_equal(last_sent(f)->signature, before);
    assert_null(strchr(last_sent(f)->signature, ','));
    answer(f, last_sent(f), 204);
    assert_true(f->event.success);
}

static void a_check_under_way_outlives_its_settings(void **state)
{
    struct fixture *f = *state;

    configure(f, "0123456789012345678901234567890a", "http://old/eh");
    connect_as(f, "chat", "one");
    assert_string_equal(last_sent(f)->method, "OPTIONS");
    configure(f, "0123456789012345678901234567890a", "http://new/eh");
    consent(f);
    assert_string_equal(last_sent(f)->url, "http://old/eh");
    assert_string_equal(last_sent(f)->event, "connect");
    answer(f, last_sent(f), 204);
    assert_int_equal(f->connect.status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns),
        cmocka_unit_test(first_handler_that_matches_wins),
        cmocka_unit_test(presence_goes_to_the_first_handler_of_the_group),
        cmocka_unit_test(urls_are_escaped_and_shown_without_secrets),
        cmocka_unit_test(deadlines_come_in_order),
        cmocka_unit_test(cookies_stay_with_their_site),
        cmocka_unit_test(cookies_are_bounded),
        WITH_FIXTURE(connect_without_handler_is_accepted),
        WITH_FIXTURE(connect_outcome_never_comes_from_inside_the_call),
        WITH_FIXTURE(connect_is_validated_then_sent),
        WITH_FIXTURE(connect_status_goes_to_the_client),
        WITH_FIXTURE(connect_status_goes_to_the_client_after_all_tries),
        WITH_FIXTURE(connect_that_breaks_the_contract_is_500),
        WITH_FIXTURE(connect_is_500_when_the_handler_is_down),
        WITH_FIXTURE(abandon_cancels),
        WITH_FIXTURE(out_of_memory_in_the_shell_fails_the_connect),
        WITH_FIXTURE(get_only_after_404),
        WITH_FIXTURE(get_may_consent),
        WITH_FIXTURE(validation_says_who_asks_and_no_more),
        WITH_FIXTURE(any_2xx_with_the_header_consents),
        WITH_FIXTURE(no_consent_without_the_header),
        WITH_FIXTURE(validation_tries_within_ten_seconds),
        WITH_FIXTURE(validation_is_shared_and_cached),
        WITH_FIXTURE(failed_validation_backs_off),
        WITH_FIXTURE(handler_that_is_down_is_asked_again_at_once),
        WITH_FIXTURE(user_event_fails_without_consent),
        WITH_FIXTURE(events_of_a_connection_are_sent_in_order),
        WITH_FIXTURE(one_under_way_per_connection),
        WITH_FIXTURE(one_event_can_be_taken_back),
        WITH_FIXTURE(a_retry_can_be_taken_back),
        cmocka_unit_test(the_text_of_a_refusal_is_handed_on),
        WITH_FIXTURE(connected_keeps_its_place),
        WITH_FIXTURE(ids_are_taken_even_when_no_handler_wants_the_event),
        WITH_FIXTURE(metadata_goes_with_the_event),
        WITH_FIXTURE(event_without_handler),
        WITH_FIXTURE(event_is_tried_again_with_the_same_ids),
        WITH_FIXTURE(final_answers_are_not_tried_again),
        WITH_FIXTURE(what_cannot_be_a_header_fails_at_once),
        WITH_FIXTURE(hundred_seconds_in_all),
        WITH_FIXTURE(state_is_kept_set_and_emptied),
        WITH_FIXTURE(connected_cannot_set_the_state),
        WITH_FIXTURE(cookies_go_back),
        WITH_FIXTURE(queue_is_bounded_by_events),
        WITH_FIXTURE(queue_is_bounded_by_bytes),
        WITH_FIXTURE(an_empty_queue_takes_any_event),
        WITH_FIXTURE(disconnect_while_a_retry_waits),
        WITH_FIXTURE(disconnect_waits_for_connected),
        WITH_FIXTURE(disconnect_from_inside_an_outcome),
        WITH_FIXTURE(disconnect_from_inside_an_accepted_connect),
        WITH_FIXTURE(event_from_inside_an_outcome),
        WITH_FIXTURE(disconnected_event_failure_is_logged),
        WITH_FIXTURE(free_cancels_all),
        WITH_FIXTURE(events_for_a_handler_that_fails_fail_at_once),
        WITH_FIXTURE(one_probe_at_a_time_more_and_more_seldom),
        WITH_FIXTURE(an_answer_lets_all_in_again),
        WITH_FIXTURE(threads_tell_together_that_a_handler_is_down_and_is_back),
        WITH_FIXTURE(notices_wait_for_a_handler_that_is_left_alone),
        WITH_FIXTURE(notices_wait_a_hundred_seconds),
        WITH_FIXTURE(a_notice_that_waited_in_vain_failed_for_the_breaker),
        WITH_FIXTURE(only_its_own_failure_ends_a_probe),
        WITH_FIXTURE(a_probe_waits_for_its_own_validation),
        WITH_FIXTURE(a_probe_that_has_to_validate_waits_for_no_other),
        WITH_FIXTURE(a_probe_that_is_dropped_leaves_its_turn_to_the_next),
        WITH_FIXTURE(failures_count_in_a_row_only),
        WITH_FIXTURE(answers_of_500_and_timeouts_are_failures),
        WITH_FIXTURE(a_validation_that_nobody_answers_is_a_failure),
        WITH_FIXTURE(the_breaker_can_be_turned_off),
        WITH_FIXTURE(hubs_have_gates_of_their_own),
        WITH_FIXTURE(events_that_wait_fail_when_the_gate_shuts),
        WITH_FIXTURE(a_retry_does_not_pass_a_gate_that_has_shut),
        WITH_FIXTURE(a_handler_has_so_many_requests_at_a_time),
        WITH_FIXTURE(nobody_waits_for_ever_for_a_place),
        WITH_FIXTURE(a_handler_has_so_many_events_waiting),
        WITH_FIXTURE(other_settings_forget_what_is_unused),
        WITH_FIXTURE(events_carry_the_token_of_their_handler),
        WITH_FIXTURE(without_a_token_the_event_is_tried_again_and_fails),
        WITH_FIXTURE(a_401_is_answered_with_another_token_once),
        WITH_FIXTURE(an_event_that_lacks_a_token_can_be_dropped),
        WITH_FIXTURE(sources_and_charsets_follow_the_hub),
        WITH_FIXTURE(presence_is_told_in_order_and_numbered),
        WITH_FIXTURE(presence_without_handler_is_nothing),
        WITH_FIXTURE(presence_is_bounded),
        WITH_FIXTURE(failures_are_counted_by_kind),
        WITH_FIXTURE(plugin_needs_no_validation),
        WITH_FIXTURE(plugin_that_hangs_is_given_up),
        WITH_FIXTURE(events_that_wait_keep_their_handler),
        WITH_FIXTURE(retries_survive_their_settings),
        WITH_FIXTURE(clients_that_stay_are_signed_for_by_new_keys),
        WITH_FIXTURE(a_check_under_way_outlives_its_settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
