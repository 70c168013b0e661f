/* Each allocation of the service client fails in turn, those that libcurl makes among them:
 * an error, no crash, no leak, and nothing that hangs. */
#include "app/app.h"
#include "event/event.h"
#include "memory_kit.h"
#include "pubhook/service.h"
#include "rude_server.h"
#include "unit.h"

#include <curl/curl.h>
#include <stdio.h>

#define WAIT_MS (1000 * UNIT_WAIT_S)
#define TIMEOUT_MS 10000 /* of what libcurl never ends, because it could not remember it */
#define OK(length, body) "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\n\r\n" body
#define BAD_BODY                                                                                   \
    "{\"code\":\"a\",\"message\":\"b\",\"target\":\"c\",\"details\":[{\"message\":\"d\"}]}"
#define PAGE_BODY                                                                                  \
    "{\"value\":[{\"connectionId\":\"c\",\"userId\":\"u\"}],\"nextLink\":\"http://a/?b=1\"}"

static struct rude_server server;
static char page[512], bad[512];

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);

/* libcurl's allocations are counted with ours, but for those of its multi interface: 7.88
 * divides by zero after it could not note which transfer a socket is of. */
static bool curl_is_counted;

static void *curl_malloc(size_t size)
{
    return curl_is_counted ? malloc(size) : __real_malloc(size);
}

static void *curl_calloc(size_t count, size_t size)
{
    return curl_is_counted ? calloc(count, size) : __real_calloc(count, size);
}

static void *curl_realloc(void *old, size_t size)
{
    return curl_is_counted ? realloc(old, size) : __real_realloc(old, size);
}

static char *curl_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = curl_malloc(size);

    return copy ? memcpy(copy, text, size) : NULL;
}

/* Fine as long as memory is; once it was not, any error will do. */
static void expect(enum ph_err err, enum ph_err wanted, const char *what)
{
    if (err != wanted && !memory_kit__failed())
        fail_msg("%s: error %d without a cause", what, err);
}

static void call(struct ph_service *s, const struct ph_service_request *request, enum ph_err wanted)
{
    struct ph_service_result *r;
    enum ph_err err = ph_service_call(s, request, &r);

    assert_int_equal(ph_service_result_error(r), err);
    assert_non_null(ph_service_result_why(r));
    assert_non_null(ph_service_result_request_id(r));
    expect(err, wanted, ph_service_result_why(r));
    ph_service_result_free(r);
}

static struct ph_service *make(unsigned port)
{
    struct ph_service_options options = {.retries = 1,
                                         .retry_pause_ms = 1,
                                         .timeout_ms = TIMEOUT_MS,
                                         .user_agent = "test",
                                         .ca_file = "/nowhere"};
    struct ph_service *s;
    char text[128];
    const char *why;
    enum ph_err err;

    snprintf(text, sizeof(text), "Endpoint=http://127.0.0.1:%u;AccessKey=k;", port);
    err = ph_service_new(text, "chat", &options, &s, &why);
    expect(err, PH_OK, "ph_service_new");
    return s;
}

static const char *const excluded[] = {"a", "b", NULL};
static const char *const groups[] = {"a", "b", NULL};
static const struct ph_service_metadata metadata[] = {{"Trace", "1"}, {NULL, NULL}};
static const struct ph_service_request say = {.operation = PH_SERVICE_SEND_TO_ALL,
                                              .text = "x",
                                              .filter = "userId eq null",
                                              .excluded = excluded,
                                              .metadata = metadata};
static const struct ph_service_request add = {
    .operation = PH_SERVICE_ADD_CONNECTIONS_TO_GROUPS, .groups = groups, .filter = "true"};
static const struct ph_service_request exists = {.operation = PH_SERVICE_GROUP_EXISTS,
                                                 .group = "g"};
static const struct ph_service_request join = {
    .operation = PH_SERVICE_ADD_CONNECTION_TO_GROUP, .group = "g", .connection_id = "c"};

static void calls_that_wait(void *ctx)
{
    static const struct rude_step script[] = {
        {RUDE_ANSWER, "HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n"},
        {RUDE_ANSWER, OK("0", "")},
        {RUDE_ANSWER, bad},
        {RUDE_END, NULL}};
    struct ph_service *s, *other = NULL;

    rude_server__play(ctx, script);
    s = make(server.port);
    if (!s)
        return;
    expect(ph_service_for_hub(s, "other", &other), PH_OK, "ph_service_for_hub");
    call(s, &say, PH_OK);
    call(other ? other : s, &add, PH_OK);
    call(s, &join, PH_ERR_SYNTAX);
    ph_service_free(other);
    ph_service_free(s);
}

static void a_walk_and_tokens(void *ctx)
{
    static const struct rude_step script[] = {
        {RUDE_ANSWER, page}, {RUDE_ANSWER, OK("12", "{\"value\":[]}")}, {RUDE_END, NULL}};
    struct ph_service *s;
    struct ph_service_list *list;
    const char *id, *user;
    char *text;

    rude_server__play(ctx, script);
    s = make(server.port);
    list = s ? ph_service_list_new(s, "g", 0) : NULL;
    while (list) {
        enum ph_err err = ph_service_list_next(list, &id, &user);

        expect(err, PH_OK, "ph_service_list_next");
        if (err || !id)
            break;
        assert_string_equal(id, "c");
    }
    ph_service_list_free(list);
    if (s) {
        expect(ph_service_client_url(s, NULL, &text, NULL), PH_OK, "ph_service_client_url");
        ph_token_free(text);
    }
    ph_service_free(s);
}

static void count(const struct ph_service_result *result, void *arg)
{
    assert_non_null(ph_service_result_why(result));
    ++*(unsigned *)arg;
}

/* Each that could be started is told of. */
static void requests_that_are_started(void *ctx)
{
    static const struct rude_step script[] = {
        {RUDE_ANSWER, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"}, {RUDE_END, NULL}};
    unsigned started = 0, told = 0;
    uint64_t id;
    struct ph_service *s;

    rude_server__play(ctx, script);
    s = make(server.port);
    if (!s)
        return;
    for (int i = 0; i < 3; i++)
        started += ph_service_start(s, &say, count, &told, &id) == PH_OK;
    if (ph_service_start(s, &exists, count, &told, &id) == PH_OK)
        expect(ph_service_cancel(s, id), PH_OK, "ph_service_cancel");
    assert_int_equal(ph_service_flush(s, WAIT_MS), PH_OK);
    assert_int_equal(told, started);
    ph_service_free(s);
}

/* The clients that an application has for its handlers. */
static void what_handlers_post(void *ctx)
{
    static const struct rude_step script[] = {{RUDE_END, NULL}};
    const struct str hubs[] = {STR("chat"), STR("other"), STR("CHAT")};
    struct ph_app *app;
    char text[128];
    enum ph_err err;

    rude_server__play(ctx, script);
    app = ph_app_new();
    if (!app)
        return;
    snprintf(text, sizeof(text), "Endpoint=http://127.0.0.1:%u;AccessKey=k;", server.port);
    err = ph_app_use_connection_string(app, text);
    expect(err, PH_OK, "ph_app_use_connection_string");
    for (size_t i = 0; !err && i < sizeof(hubs) / sizeof(*hubs); i++) {
        struct app_call asked = {.app = app};
        const struct ph_event ev = {.hub = hubs[i], .origin = STR("127.0.0.1"), .call = &asked};

        expect(ph_service_post(ph_event_service(&ev), &say), PH_OK, "ph_service_post");
    }
    expect(ph_app_set_service(app, text, NULL, NULL), PH_OK, "ph_app_set_service");
    ph_app_free(app);
}

static void each_allocation_fails(void **state)
{
    static const struct {
        const char *name;
        void (*run)(void *ctx);
        bool curl_is_counted;
    } runs[] = {{"calls that wait", calls_that_wait, true},
                {"a walk and tokens", a_walk_and_tokens, true},
                {"requests that are started", requests_that_are_started, false},
                {"what handlers post", what_handlers_post, false}};

    (void)state;
    for (size_t i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
        print_message("%s\n", runs[i].name);
        curl_is_counted = runs[i].curl_is_counted;
        memory_kit__each_fails(runs[i].run, &server, 40);
    }
}

static int setup(void **state)
{
    (void)state;
    snprintf(page, sizeof(page), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(PAGE_BODY), PAGE_BODY);
    snprintf(bad, sizeof(bad),
             "HTTP/1.1 400 Bad\r\nx-ms-error-code: a\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(BAD_BODY), BAD_BODY);
    curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_malloc, free, curl_realloc, curl_strdup,
                         curl_calloc);
    rude_server__start(&server);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rude_server__stop(&server);
    curl_global_cleanup();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_allocation_fails)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
