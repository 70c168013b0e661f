/* Events on their way: what the broker sends to a handler and reads of its answer, and what
 * a handler does between. */
#include "app/app.h"
#include "broker/http/http_reader.h"
#include "broker/http/http_writer.h"
#include "broker/upstream/upstream.h"
#include "event/event.h"
#include "guard.h"

#include <stdlib.h>

#define CONNECTION "0f9c97a2f0bf4706afe87a14e0797b11"
#define MAX_MEMORY (1u << 20)
#define NOW 1000000
#define UNIX_MS 1763640000000
#define DATA_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct mac_key *new_key(void)
{
    struct mac_key *key = mac__key_new(STR(SETTINGS_DEFAULT_KEY));

    MUST(key);
    return key;
}

/* --- The codecs ------------------------------------------------------------------- */

struct desk {
    struct mac_key *key;
    struct buf signature;
    struct arena arena;
    char first[16 << 10];
};

static void *prepare_desk(const void *what)
{
    struct desk *d = guard__zalloc(sizeof(*d));

    (void)what;
    d->key = new_key();
    buf__init(&d->signature, 1024);
    MUST(event__sign(&d->signature, STR(CONNECTION), &d->key, 1));
    arena__init(&d->arena, d->first, sizeof(d->first), MAX_MEMORY);
    return d;
}

static void drop_desk(void *world)
{
    struct desk *d = world;

    arena__free(&d->arena);
    buf__free(&d->signature);
    mac__key_free(d->key);
    free(d);
}

static struct ph_event user_event(void)
{
    return (struct ph_event){.kind = PH_EVENT_USER,
                             .hub = STR("chat"),
                             .connection_id = STR(CONNECTION),
                             .name = STR("order"),
                             .user_id = STR("alice"),
                             .subprotocol = STR("json.webpubsub.azure.v1"),
                             .id = STR("17"),
                             .time = STR("2026-11-20T12:00:00Z"),
                             .origin = STR("localhost"),
                             .type = PH_DATA_TEXT,
                             .data = STR(DATA_64 DATA_64)};
}

static void encode_event(void *world)
{
    struct desk *d = world;
    const struct ph_event ev = user_event();
    struct http_request req = {0};
    struct diag diag;

    arena__reset(&d->arena);
    MUST(event__encode(&d->arena, &ev, buf__view(&d->signature), &req, &diag) == PH_OK);
}

static void decode_answer(void *world)
{
    struct desk *d = world;
    struct http_header headers[] = {
        {STR("Date"), STR("Fri, 20 Nov 2026 12:00:00 GMT")},
        {STR("Connection"), STR("keep-alive")},
        {STR("Content-Type"), STR("application/json; charset=utf-8")},
        {STR("ce-connectionState"), STR("eyJrIjoidiJ9")},
    };
    const struct http_response res = {.status = 200,
                                      .headers = {.items = headers, .count = 4, .cap = 4},
                                      .body = STR("{\"text\":\"" DATA_64 "\",\"n\":[1,2,3]}")};
    struct answer answer;
    struct diag diag;

    arena__reset(&d->arena);
    MUST(response__decode(&d->arena, PH_EVENT_USER, &res, &answer, &diag) == PH_OK);
    MUST(answer.success && answer.has_data && answer.state.ptr);
}

/* --- HTTP/1.1 to a handler ------------------------------------------------------------ */

struct line {
    struct http_reader reader;
    struct http_target target;
    struct desk *desk;
    struct http_request event; /* encoded and signed */
    struct buf head;
};

static const struct http_reader_limits reader_limits = {{100, 32 << 10}, MAX_MEMORY};

static void *prepare_line(const void *what)
{
    struct line *l = guard__zalloc(sizeof(*l));
    const struct ph_event ev = user_event();
    struct diag diag;

    l->desk = prepare_desk(what);
    MUST(event__encode(&l->desk->arena, &ev, buf__view(&l->desk->signature), &l->event, &diag) ==
         PH_OK);
    l->event.method = STR("POST");
    MUST(http_target__read(STR("http://localhost:9/eventhandler?code=17"), &l->target));
    http_reader__init(&l->reader, &reader_limits);
    buf__init(&l->head, MAX_MEMORY);
    return l;
}

static void write_head(void *world)
{
    struct line *l = world;

    buf__reset(&l->head);
    MUST(http_writer__head(&l->head, &l->event, &l->target, STR_NONE));
}

static void read_response(void *world)
{
    struct line *l = world;
    const struct str response = STR("HTTP/1.1 200 OK\r\n"
                                    "Date: Fri, 20 Nov 2026 12:00:00 GMT\r\n"
                                    "Connection: keep-alive\r\n"
                                    "Content-Type: text/plain\r\n"
                                    "ce-connectionState: eyJrIjoidiJ9\r\n"
                                    "Content-Length: 64\r\n\r\n" DATA_64);

    http_reader__reset(&l->reader, 4096);
    MUST(http_reader__take(&l->reader, response) == HTTP_DONE);
    MUST(l->reader.response.body.len == 64);
}

static void drop_line(void *world)
{
    struct line *l = world;

    http_reader__free(&l->reader);
    buf__free(&l->head);
    drop_desk(l->desk);
    free(l);
}

/* --- From an event to its answer, at the broker --------------------------------------- */

struct courier {
    struct settings settings;
    struct hub_settings hub;
    struct event_handler handler;
    struct upstream *up;
    struct upstream_peer *peer;
    struct exchange *sent; /* the request that waits for its answer */
    unsigned answers;
};

static bool on_send(void *ctx, struct exchange *x, const struct upstream_request *req)
{
    (void)req;
    ((struct courier *)ctx)->sent = x;
    return true;
}

static void on_cancel(void *ctx, struct exchange *x)
{
    (void)ctx, (void)x;
}

static void on_connect_done(void *ctx, void *token, int status, const struct answer *answer,
                            const char *why)
{
    (void)ctx, (void)token, (void)answer, (void)why;
    MUST(status == 0);
}

static void on_event_done(void *ctx, void *owner, uint64_t ticket, const struct answer *answer,
                          bool no_handler, const char *why)
{
    struct courier *c = ctx;

    (void)owner, (void)ticket, (void)no_handler, (void)why;
    MUST(answer && answer->success);
    c->answers++;
}

static void on_make_guid(void *ctx, char out[37])
{
    (void)ctx;
    memcpy(out, "00000000-0000-4000-8000-000000000000", 37);
}

static const struct upstream_ops ops = {.send = on_send,
                                        .cancel = on_cancel,
                                        .connect_done = on_connect_done,
                                        .event_done = on_event_done,
                                        .make_guid = on_make_guid};

/* The handler answers what was sent last. */
static void play_handler(struct courier *c, int status, struct http_header *header)
{
    struct exchange *x = c->sent;
    const struct http_response res = {
        .status = status, .headers = {.items = header, .count = 1, .cap = 1}, .body = STR("fine")};

    MUST(x);
    c->sent = NULL;
    upstream__done(x, &(struct exchange_result){.response = &res}, NOW);
    upstream__tick(c->up, NOW);
}

static struct http_header text = {{"Content-Type", 12}, {"text/plain", 10}},
                          consent = {{"WebHook-Allowed-Origin", 22}, {"*", 1}};

static void *prepare_courier(const void *what)
{
    struct courier *c = guard__zalloc(sizeof(*c));
    const struct upstream_config config = {.settings = &c->settings,
                                           .origin = STR("localhost"),
                                           .ops = &ops,
                                           .ctx = c,
                                           .seed = {1, 2}};
    const struct ph_event connect = {.kind = PH_EVENT_CONNECT,
                                     .hub = STR("chat"),
                                     .connection_id = STR(CONNECTION),
                                     .user_id = STR("alice")};

    (void)what;
    c->settings.keys[0] = new_key();
    c->settings.key_count = 1;
    c->settings.hubs = &c->hub;
    c->settings.hub_count = 1;
    c->hub =
        (struct hub_settings){.name = STR("chat"), .handlers = &c->handler, .handler_count = 1};
    c->handler = (struct event_handler){.url_template = STR("http://localhost:9/{hub}"),
                                        .user_event_pattern = STR("*"),
                                        .system_events = SYSTEM_EVENT_CONNECT,
                                        .identity = STR("chat http://localhost:9/{hub}")};
    c->up = upstream__new(&config);
    MUST(c->up);
    c->peer = upstream__connect(c->up, &connect, c, NOW, UNIX_MS);
    MUST(c->peer);
    upstream__tick(c->up, NOW);
    play_handler(c, 200, &consent);
    play_handler(c, 204, &text);
    upstream__connected(c->peer, c, STR("alice"), STR("json.webpubsub.azure.v1"), NOW, UNIX_MS);
    upstream__tick(c->up, NOW);
    return c;
}

static void carry_event(void *world)
{
    struct courier *c = world;
    const struct upstream_event event = {
        .name = STR("order"), .type = PH_DATA_TEXT, .data = STR(DATA_64 DATA_64), .ticket = 1};
    unsigned answers = c->answers;

    MUST(!upstream__event(c->peer, &event, NOW, UNIX_MS));
    upstream__tick(c->up, NOW);
    play_handler(c, 200, &text);
    MUST(c->answers == answers + 1);
}

static void drop_courier(void *world)
{
    struct courier *c = world;

    upstream__free(c->up);
    mac__key_free(c->settings.keys[0]);
    free(c);
}

/* --- At the handler --------------------------------------------------------------------- */

struct host {
    struct ph_app *app;
    struct desk *desk;
    struct http_request event; /* encoded and signed */
    struct ph_request *request;
    struct ph_response *response;
};

static struct ph_reply *answer_event(const struct ph_event *ev, void *arg)
{
    (void)ev, (void)arg;
    return ph_reply_text("fine", 4);
}

static void *prepare_host(const void *what)
{
    struct host *h = guard__zalloc(sizeof(*h));
    const struct ph_event ev = user_event();
    struct diag diag;

    h->app = ph_app_new();
    MUST(h->app && ph_app_add_key(h->app, SETTINGS_DEFAULT_KEY) == PH_OK);
    MUST(ph_app_on_event(h->app, "other", "*", answer_event, NULL, NULL) == PH_OK);
    MUST(ph_app_on_event(h->app, "chat", "order", answer_event, NULL, NULL) == PH_OK);
    MUST(ph_app_check(h->app, NULL) == PH_OK);
    h->desk = prepare_desk(what);
    MUST(event__encode(&h->desk->arena, &ev, buf__view(&h->desk->signature), &h->event, &diag) ==
         PH_OK);
    h->request = app__request_new();
    h->response = ph_response_new();
    MUST(h->request && h->response);
    return h;
}

/* As serve/http.c does with what it has read. */
static void serve_event(void *world)
{
    const struct host *h = world;
    struct ph_request *req = h->request;

    req->http.method = STR("POST");
    http__set_target(&req->http, STR("/eventhandler"));
    for (size_t i = 0; i < h->event.headers.count; i++)
        app__request_add_borrowed(req, h->event.headers.items[i].name,
                                  h->event.headers.items[i].value);
    MUST(app__check_head(h->app, req, h->response) == 0);
    ph_request_set_body(req, h->event.body.ptr, h->event.body.len);
    MUST(app__serve_checked(h->app, req, h->response, NULL, NULL));
    MUST(ph_response_status(h->response) == 200);
    app__request_reset(req);
    app__response_reset(h->response);
}

static void drop_host(void *world)
{
    struct host *h = world;

    ph_request_free(h->request);
    ph_response_free(h->response);
    ph_app_free(h->app);
    drop_desk(h->desk);
    free(h);
}

const struct scenario guard_webhooks[] = {
    {"event-encode", 100, NULL, prepare_desk, encode_event, drop_desk},
    {"answer-decode", 100, NULL, prepare_desk, decode_answer, drop_desk},
    {"http-write-head", 100, NULL, prepare_line, write_head, drop_line},
    {"http-read-response", 100, NULL, prepare_line, read_response, drop_line},
    {"event-and-answer", 100, NULL, prepare_courier, carry_event, drop_courier},
    {"handler-serves-event", 100, NULL, prepare_host, serve_event, drop_host},
    {.name = NULL},
};
