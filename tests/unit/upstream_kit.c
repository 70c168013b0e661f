#include "upstream_kit.h"

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
    if (req->app)
        exchange__limit(x);
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

bool kit__raise_event(struct fixture *f, struct upstream_peer *p, const char *name,
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
        assert_true(kit__raise_event(f, f->peer, "again", PH_DATA_TEXT, STR("x"), 0));
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

int kit__set_up(void **state)
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

int kit__tear_down(void **state)
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

int64_t kit__tick(struct fixture *f)
{
    return upstream__tick(f->up, f->now);
}

int64_t kit__after(struct fixture *f, int64_t ms)
{
    f->now += ms;
    return kit__tick(f);
}

struct sent *kit__last_sent(struct fixture *f)
{
    assert_true(f->sent_count > 0);
    return &f->sent[f->sent_count - 1];
}

void kit__report(struct fixture *f, struct sent *s, const struct exchange_result *result)
{
    struct exchange *x = s->x;

    assert_non_null(x);
    s->x = NULL;
    upstream__done(x, result, f->now);
    kit__tick(f);
}

void kit__answer_with(struct fixture *f, struct sent *s, int status, const char *name,
                      const char *value, const char *body)
{
    struct http_header items[2] = {{STR("Content-Type"), STR("text/plain")},
                                   {str__of(name), str__of(value)}};
    struct http_response res = {.status = status,
                                .headers = {.items = items, .count = name ? 2 : 1, .cap = 2},
                                .body = str__of(body)};
    struct exchange_result result = {.response = &res};

    kit__report(f, s, &result);
}

void kit__answer(struct fixture *f, struct sent *s, int status)
{
    kit__answer_with(f, s, status, NULL, NULL, "");
}

void kit__break_off(struct fixture *f, struct sent *s, bool transient)
{
    struct exchange_result result = {.why = "refused connection: is it running?",
                                     .transient = transient};

    kit__report(f, s, &result);
}

void kit__consent(struct fixture *f)
{
    struct sent *s = kit__last_sent(f);

    assert_string_equal(s->method, "OPTIONS");
    kit__answer_with(f, s, 200, "WebHook-Allowed-Origin", "*", "");
}

struct upstream_peer *kit__connect_as(struct fixture *f, const char *hub, const char *id)
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
    kit__tick(f);
    return p;
}

/* A connection that is through with connect and connected; the URL is validated. */
struct upstream_peer *kit__established(struct fixture *f)
{
    struct upstream_peer *p = kit__connect_as(f, "chat", "0f9c97a2f0bf4706afe87a14e0797b11");

    if (strcmp(kit__last_sent(f)->method, "OPTIONS") == 0)
        kit__consent(f);
    kit__answer(f, kit__last_sent(f), 204);
    upstream__connected(p, f, STR("user"), STR("proto"), f->now, 0);
    kit__answer(f, kit__last_sent(f), 204);
    f->peer = p;
    return p;
}

bool kit__message(struct fixture *f, struct upstream_peer *p, const char *data)
{
    bool ok = kit__raise_event(f, p, "message", PH_DATA_TEXT, str__of(data), 7);

    kit__tick(f);
    return ok;
}

unsigned kit__failures(const struct fixture *f, enum metric_failure kind)
{
    return (unsigned)metrics__load(&f->metrics->values[METRIC_HANDLER_FAILURES + kind]);
}

unsigned kit__outcomes(const struct fixture *f, enum metric_event event,
                       enum metric_outcome outcome)
{
    return (unsigned)metrics__load(
        &f->metrics->values[METRIC_EVENT_OUTCOMES + event * METRIC_OUTCOMES + outcome]);
}

void kit__nobody_answers(struct fixture *f)
{
    static const int waits[] = {1000, 3000, 5000};

    for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
        kit__break_off(f, kit__last_sent(f), true);
        kit__after(f, waits[i]);
    }
    kit__break_off(f, kit__last_sent(f), true);
}

unsigned kit__count_in_log(const struct fixture *f, const char *text)
{
    unsigned count = 0;

    for (const char *at = f->logged; (at = strstr(at, text)); at++)
        count++;
    return count;
}
