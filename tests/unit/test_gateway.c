/* Requests in CGI's variables: how they become HTTP again. */
#include "serve/gateway.h"
#include "serve_client.h"
#include "unit.h"

#define EVENT_VARIABLES                                                                            \
    "REQUEST_METHOD=POST", "CONTENT_TYPE=text/plain", "HTTP_CE_SPECVERSION=1.0",                   \
        "HTTP_CE_AWPSVERSION=1.0", "HTTP_CE_TYPE=azure.webpubsub.user.message",                    \
        "HTTP_CE_SOURCE=/hubs/chat/client/conn1", "HTTP_CE_ID=2",                                  \
        "HTTP_CE_TIME=2026-11-20T12:00:00Z", "HTTP_CE_SIGNATURE=" WEBHOOK_SIGNATURE,               \
        "HTTP_CE_CONNECTIONID=" WEBHOOK_CONNECTION, "HTTP_CE_HUB=chat",                            \
        "HTTP_CE_EVENTNAME=message", "HTTP_CE_USERID=\xd0\xba"

struct body {
    struct str rest;
};

/* One byte at a time: the worst that a stream may do. */
static size_t read_byte(void *source, char *to, size_t len)
{
    struct body *b = source;

    assert_true(len > 0);
    if (b->rest.len == 0)
        return 0;
    *to = *b->rest.ptr;
    b->rest = str__n(b->rest.ptr + 1, b->rest.len - 1);
    return 1;
}

static void expect(struct ph_app *app, const char *const *variables, const char *body,
                   const char *start, const char *end)
{
    struct gateway gateway;
    size_t len = strlen(end);

    assert_true(gateway__init(&gateway, app));
    for (int round = 0; round < 2; round++) { /* nothing of one request is in the next */
        struct body source = {str__of(body)};
        struct str out;

        assert_true(gateway__serve(&gateway, variables, read_byte, &source, NULL, NULL));
        out = gateway__response(&gateway);
        if (strncmp(out.ptr, start, strlen(start)) != 0)
            fail_msg("got \"%s\", expected \"%s...\"", out.ptr, start);
        assert_true(out.len > len);
        assert_string_equal(out.ptr + out.len - len, end);
        assert_int_equal(source.rest.len, 0); /* read to the end, whatever the answer */
        gateway__reset(&gateway);
    }
    gateway__free(&gateway);
}

static struct ph_reply *report(const struct ph_event *ev, void *arg)
{
    const char *value = ph_event_field(ev, PH_FIELD_METADATA, "trace-id", 0);

    (void)arg;
    assert_string_equal(ph_event_user_id(ev), "\xd0\xba");
    return ph_reply_text(value ? value : "none", value ? strlen(value) : 4);
}

static struct ph_app *new_app(void)
{
    struct ph_app *app = ph_app_new();

    assert_int_equal(ph_app_add_key(app, WEBHOOK_KEY), PH_OK);
    assert_int_equal(ph_app_on_event(app, NULL, "*", report, NULL, NULL), PH_OK);
    return app;
}

static void variables_become_headers(void **state)
{
    static const char *const with_uri[] = {EVENT_VARIABLES, "REQUEST_URI=/eventhandler?code=1",
                                           "HTTP_X_WEBPUBSUB_METADATA_TRACE_ID=7", NULL};
    static const char *const with_parts[] = {EVENT_VARIABLES, "SCRIPT_NAME=/eventhandler",
                                             "PATH_INFO=/message", "QUERY_STRING=code=1", NULL};
    struct ph_app *app = new_app();

    (void)state;
    expect(app, with_uri, "", "Status: 200 OK\r\n", "Content-Length: 1\r\n\r\n7");
    expect(app, with_parts, "", "Status: 200 OK\r\n", "\r\n\r\nnone");
    ph_app_free(app);
}

static void framing_is_the_web_servers(void **state)
{
    static const char *const variables[] = {EVENT_VARIABLES,
                                            "REQUEST_URI=/eventhandler",
                                            "CONTENT_LENGTH=5",
                                            "HTTP_CONTENT_LENGTH=5",
                                            "HTTP_TRANSFER_ENCODING=chunked",
                                            "HTTP_CONTENT_TYPE=text/plain",
                                            NULL};
    static const char *const empty[] = {EVENT_VARIABLES, "REQUEST_URI=/eventhandler",
                                        "CONTENT_LENGTH=", NULL};
    struct ph_app *app = new_app();

    (void)state;
    expect(app, variables, "hello", "Status: 200 OK\r\n", "none");
    expect(app, variables, "hell", "Status: 400 Bad Request\r\n", "Content-Length says");
    expect(app, variables, "hello!", "Status: 400 Bad Request\r\n", "Content-Length says");
    expect(app, empty, "", "Status: 200 OK\r\n", "none");
    ph_app_free(app);
}

static void refusals_read_the_body_too(void **state)
{
    static const char *const elsewhere[] = {EVENT_VARIABLES, "REQUEST_URI=/elsewhere", NULL};
    static const char *const large[] = {EVENT_VARIABLES, "REQUEST_URI=/eventhandler", NULL};
    struct ph_app *app = new_app();
    struct webhook_log log;

    (void)state;
    webhook__log_open(&log);
    ph_app_set_log(app, log.log);
    ph_app_set_limit(app, PH_LIMIT_BODY, 4);
    expect(app, elsewhere, "hello", "Status: 404 Not Found\r\n", "");
    expect(app, large, "hell", "Status: 200 OK\r\n", "none");
    expect(app, large, "hello", "Status: 413 Content Too Large\r\n", "this server allows");
    assert_non_null(strstr(log.text, "POST /elsewhere: nothing is served"));
    assert_non_null(strstr(log.text, "POST /eventhandler: the body is larger"));
    assert_non_null(strstr(log.text, "status=413"));
    ph_app_free(app);
    webhook__log_close(&log);
}

static void nothing_at_all_is_refused(void **state)
{
    static const char *const none[] = {NULL};
    struct ph_app *app = new_app();

    (void)state;
    expect(app, none, "", "Status: 404 Not Found\r\n", "");
    ph_app_free(app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_become_headers),
        cmocka_unit_test(framing_is_the_web_servers),
        cmocka_unit_test(refusals_read_the_body_too),
        cmocka_unit_test(nothing_at_all_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
