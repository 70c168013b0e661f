/* Event listeners: their settings, which events they hear of, and in what form
 * (official-emulator section 2.8). */
#include "base/buf.h"
#include "broker/upstream/upstream.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct settings settings;
    struct upstream *up;
    struct upstream_peer *peer;
    struct buf notes; /* "subject id body", one a line */
    struct buf headers;
    int token, outcomes, successes, without_handler;
    bool has_handler;
};

/* --- A shell without event handlers --------------------------------------------- */

static bool on_send(void *ctx, struct exchange *x, const struct upstream_request *req)
{
    const struct fixture *f = ctx;

    (void)x, (void)req;
    if (!f->has_handler)
        fail_msg("there is no handler");
    return f->has_handler; /* which never answers */
}

static void on_cancel(void *ctx, struct exchange *x)
{
    (void)ctx, (void)x;
}

static void on_connect_done(void *ctx, void *token, int status, const struct answer *answer,
                            const char *why)
{
    (void)ctx, (void)token, (void)answer, (void)why;
    assert_int_equal(status, 0);
}

static void on_event_done(void *ctx, void *owner, uint64_t ticket, const struct answer *answer,
                          bool no_handler, const char *why)
{
    struct fixture *f = ctx;

    (void)owner, (void)ticket, (void)why;
    f->outcomes++;
    f->successes += answer && answer->success && !answer->has_data;
    f->without_handler += no_handler;
}

static void on_guid(void *ctx, char out[37])
{
    (void)ctx;
    memcpy(out, "00000000-0000-0000-0000-000000000000", 37);
}

static void on_note(void *ctx, const struct upstream_note *note)
{
    struct fixture *f = ctx;

    buf__printf(&f->notes, "%.*s %.*s %.*s\n", STR_FMT(note->subject),
                STR_FMT(http__get(&note->headers, STR("ce-id"))), STR_FMT(note->body));
    buf__reset(&f->headers);
    for (size_t i = 0; i < note->headers.count; i++)
        buf__printf(&f->headers, "%.*s\n", STR_FMT(note->headers.items[i].name));
}

static const struct upstream_ops ops = {
    .send = on_send,
    .cancel = on_cancel,
    .connect_done = on_connect_done,
    .event_done = on_event_done,
    .make_guid = on_guid,
    .publish = on_note,
};

static void start(struct fixture *f, const char *hub, const char *listeners)
{
    char file[1024];
    struct diag diag = {""};
    struct ph_event connect = {
        .kind = PH_EVENT_CONNECT, .hub = str__of(hub), .connection_id = STR("c1")};

    *f = (struct fixture){.token = 0};
    snprintf(file, sizeof(file), "{\"hubs\":{\"%s\":{\"eventListeners\":[%s]}}}", hub, listeners);
    assert_true(settings__init(&f->settings));
    if (settings__parse_file(&f->settings, "file", str__of(file), &diag) != PH_OK)
        fail_msg("%s", diag.text);
    assert_int_equal(settings__finish(&f->settings, 1, &diag), PH_OK);
    buf__init(&f->notes, 1 << 16);
    buf__init(&f->headers, 1 << 16);
    f->up = upstream__new(&(struct upstream_config){
        .settings = &f->settings, .origin = STR("h"), .ops = &ops, .ctx = f});
    assert_non_null(f->up);
    f->peer = upstream__connect(f->up, &connect, &f->token, 0, 0);
    assert_non_null(f->peer);
    upstream__tick(f->up, 0);
    upstream__connected(f->peer, f, STR("u"), STR_NONE, 0, 0);
}

static void stop(struct fixture *f)
{
    upstream__free(f->up);
    settings__free(&f->settings);
    buf__free(&f->notes);
    buf__free(&f->headers);
}

static void raise_event(struct fixture *f, const char *name, const char *data)
{
    const struct upstream_event event = {
        .name = str__of(name), .type = PH_DATA_TEXT, .data = str__of(data), .ticket = 1};

    assert_null(upstream__event(f->peer, &event, 0, 0));
    upstream__tick(f->up, 0);
}

#define LISTENER(subject, filter)                                                                  \
    "{\"endpoint\":\"nats://h\",\"subject\":\"" subject "\",\"eventNameFilter\":{" filter "}}"
#define assert_notes(f, want) assert_str(buf__view(&(f)->notes), want)

/* --- What they hear --------------------------------------------------------------- */

static void filters_choose_events(void **state)
{
    struct fixture f;

    (void)state;
    start(
        &f, "chat",
        LISTENER(
            "a.{hub}.{event}",
            "\"systemEvents\":[\"connected\",\"Disconnected\"]") "," LISTENER("b.{EVENT}",
                                                                              "\"userEventPattern\""
                                                                              ":\"order.*, x\""));
    raise_event(&f, "order.new", "1");
    raise_event(&f, "order.new.line", "2");
    raise_event(&f, "X", "3");
    upstream__disconnected(f.peer, STR("gone"), 0, 0);
    assert_notes(&f, "a.chat.connected 1 {}\n"
                     "b.order.new 2 1\n"
                     "b.X 4 3\n"
                     "a.chat.disconnected 5 {\"reason\":\"gone\"}\n");
    assert_int_equal(f.outcomes, 3);
    assert_int_equal(f.successes, 2);
    assert_int_equal(f.without_handler, 1);
    stop(&f);
}

static void all_that_match_hear_it(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, "chat",
          LISTENER("a", "\"userEventPattern\":\"*\"") "," LISTENER("b",
                                                                   "\"userEventPattern\":\"e\""));
    raise_event(&f, "e", "x");
    assert_notes(&f, "a 2 x\nb 2 x\n");
    assert_int_equal(f.outcomes, 1);
    stop(&f);
}

/* They know an event again by its id, so one that a handler has no room for keeps its own. */
static void refused_events_keep_their_ids(void **state)
{
    static const char *const data[] = {"a", "b", "c"};
    struct fixture f;

    (void)state;
    start(&f, "chat",
          LISTENER("s", "\"userEventPattern\":\"*\"") "],\"eventHandlers\":[{\"urlTemplate\":"
                                                      "\"http://h/\",\"userEventPattern\":\"*\","
                                                      "\"maxQueuedEvents\":1}");
    f.has_handler = true;
    for (int i = 0; i < 3; i++) {
        const struct upstream_event event = {
            .name = STR("e"), .type = PH_DATA_TEXT, .data = str__of(data[i]), .ticket = 1};
        const char *why = upstream__event(f.peer, &event, 0, 0);

        assert_true(i == 0 ? why == NULL : strstr(why, "maxQueuedEvents") != NULL);
    }
    assert_notes(&f, "s 2 a\ns 3 b\ns 4 c\n");
    stop(&f);
}

/* A token of a subject must not be empty. */
static void dots_part_the_subject(void **state)
{
    static const struct {
        const char *event, *subject;
    } rows[] = {{"a.b", "s.h%2E%2E.a.b 2 x\n"},
                {"a..b", "s.h%2E%2E.a%2E.b 2 x\n"},
                {"a.", "s.h%2E%2E.a%2E 2 x\n"},
                {"a-b_1", "s.h%2E%2E.a-b_1 2 x\n"}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;

        start(&f, "h..", LISTENER("s.{hub}.{event}", "\"userEventPattern\":\"*\""));
        raise_event(&f, rows[i].event, "x");
        assert_notes(&f, rows[i].subject);
        stop(&f);
    }
}

/* An event that only such a listener wants has no one who hears it. */
static void a_subject_that_is_too_long_is_not_heard(void **state)
{
    char name[129];
    struct fixture f;

    (void)state;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    start(&f, "chat",
          LISTENER("{event}.{event}.{event}.{event}.{event}.{event}.{event}.{event}",
                   "\"userEventPattern\":\"*\""));
    raise_event(&f, name, "1");
    assert_notes(&f, "");
    assert_int_equal(f.without_handler, 1);
    raise_event(&f, name + 2, "2");
    assert_int_equal(f.successes, 1);
    stop(&f);
}

static void what_is_for_handlers_stays_out(void **state)
{
    static const char *const absent[] = {"ce-signature", "WebHook-Request-Origin", "Cookie",
                                         "x-ms-client-request-id"};
    static const char *const present[] = {"ce-specversion", "ce-type",      "ce-source",
                                          "ce-userId",      "Content-Type", "Nats-Msg-Id"};
    struct fixture f;

    (void)state;
    start(&f, "chat", LISTENER("a", "\"systemEvents\":[\"connected\"]"));
    buf__byte(&f.headers, '\0');
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        assert_null(strstr(f.headers.data, absent[i]));
    for (size_t i = 0; i < sizeof(present) / sizeof(present[0]); i++)
        assert_non_null(strstr(f.headers.data, present[i]));
    stop(&f);
}

/* --- Settings --------------------------------------------------------------------- */

static void wrong_settings_are_refused(void **state)
{
    static const struct {
        const char *listener, *why;
    } rows[] = {
        {"{}", "must have an endpoint"},
        {"{\"endpoint\":\"\"}", "endpoint must be a nats:// URL"},
        {"{\"endpoint\":\"http://h\"}", "endpoint must be nats://HOST:PORT"},
        {"{\"endpoint\":\"nats://\"}", "endpoint must be nats://HOST:PORT"},
        {"{\"endpoint\":\"nats://h:0\"}", "endpoint must be nats://HOST:PORT"},
        {"{\"endpoint\":\"nats://h:70000\"}", "endpoint must be nats://HOST:PORT"},
        {"{\"endpoint\":\"nats://h/x\"}", "endpoint must be nats://HOST:PORT"},
        {"{\"endpoint\":\"nats://a,b\"}", "endpoint must be nats://HOST:PORT"},
        {"{\"endpoint\":\"nats://a b\"}", "without blanks"},
        {"{\"endpoint\":\"nats://h\"}", "must have an eventNameFilter"},
        {LISTENER("", ""), "subject must have 1 to 255 bytes"},
        {LISTENER("a b", ""), "no blanks"},
        {LISTENER("a.", ""), "begin or end with a dot"},
        {LISTENER("a.*.b", ""), "wildcard"},
        {LISTENER("a.{user}", ""), "parameters {hub} and {event}"},
        {LISTENER("a.{hub", ""), "parameters {hub} and {event}"},
        {LISTENER("a", "\"systemEvents\":[\"connect\"]"), "connect needs an answer"},
        {LISTENER("a", "\"systemEvents\":[\"joined\"]"), "may hold \"connected\" and"},
        {LISTENER("a", "\"userEventPattern\":\"1\""), "userEventPattern"},
        {LISTENER("a", "\"events\":[]"), "unknown key"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct diag diag = {""};
        struct settings s;
        char file[1024];

        snprintf(file, sizeof(file), "{\"hubs\":{\"h\":{\"eventListeners\":[\n%s]}}}",
                 rows[i].listener);
        assert_true(settings__init(&s));
        assert_int_equal(settings__parse_file(&s, "file", str__of(file), &diag), PH_ERR_CONFIG);
        if (!strstr(diag.text, rows[i].why) || strncmp(diag.text, "file:2: ", 8) != 0)
            fail_msg("%s: %s", rows[i].listener, diag.text);
        settings__free(&s);
    }
}

static void good_endpoints(void **state)
{
    static const char *const endpoints[] = {"nats://h", "NATS://h:4222", "nats://[::1]:4222",
                                            "nats://u:p@h:1", "nats://a:1,nats://u@b:2"};

    (void)state;
    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
        struct diag diag = {""};
        struct settings s;
        char file[1024];

        snprintf(file, sizeof(file),
                 "{\"hubs\":{\"h\":{\"eventListeners\":[{\"endpoint\":\"%s\","
                 "\"filter\":{\"userEventPattern\":\"*\"}}]}}}",
                 endpoints[i]);
        assert_true(settings__init(&s));
        if (settings__parse_file(&s, "file", str__of(file), &diag) != PH_OK)
            fail_msg("%s: %s", endpoints[i], diag.text);
        assert_str(s.hubs[0].listeners[0].subject, SETTINGS_DEFAULT_SUBJECT);
        settings__free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_choose_events),
        cmocka_unit_test(all_that_match_hear_it),
        cmocka_unit_test(refused_events_keep_their_ids),
        cmocka_unit_test(dots_part_the_subject),
        cmocka_unit_test(a_subject_that_is_too_long_is_not_heard),
        cmocka_unit_test(what_is_for_handlers_stays_out),
        cmocka_unit_test(wrong_settings_are_refused),
        cmocka_unit_test(good_endpoints),
    };

    return cmocka_run_group_tests_name("listening", tests, NULL, NULL);
}
