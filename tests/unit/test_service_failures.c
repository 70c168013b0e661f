/* The service client and a server that is broken, slow, or somebody else: what is tried again,
 * what is not, and what is told of it. No broker. */
#include "curl/sigpipe.h"
#include "pubhook/service.h"
#include "rude_server.h"
#include "service/retry.h"
#include "unit.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define WAIT_MS (1000 * UNIT_WAIT_S)
#define HEAD(status) "HTTP/1.1 " status "\r\n"
#define EMPTY(status) HEAD(status) "Content-Length: 0\r\n\r\n"
#define BODY(status, length, body) HEAD(status) "Content-Length: " length "\r\n\r\n" body

static struct rude_server server;

static struct ph_service *make(struct ph_service_options options)
{
    struct ph_service *s;
    char text[128];
    const char *why;

    snprintf(text, sizeof(text), "Endpoint=http://127.0.0.1:%u;AccessKey=secret-key;", server.port);
    options.retry_pause_ms = 1;
    if (ph_service_new(text, "chat", &options, &s, &why))
        fail_msg("%s", why);
    return s;
}

/* What counts of a result, however it was got. */
struct outcome {
    enum ph_err err;
    int status, answer;
    unsigned tries;
    char why[512], code[64];
};

static void note(const struct ph_service_result *r, void *arg)
{
    const char *code = ph_service_result_code(r);
    struct outcome *o = arg;

    *o = (struct outcome){.err = ph_service_result_error(r),
                          .status = ph_service_result_status(r),
                          .answer = ph_service_result_answer(r),
                          .tries = ph_service_result_tries(r)};
    snprintf(o->why, sizeof(o->why), "%s", ph_service_result_why(r));
    snprintf(o->code, sizeof(o->code), "%s", code ? code : "");
}

static void call(struct ph_service *s, const struct ph_service_request *request, struct outcome *o)
{
    struct ph_service_result *r;

    ph_service_call(s, request, &r);
    note(r, o);
    ph_service_result_free(r);
}

/* Until no more requests are pending than these. */
static void process_until(struct ph_service *s, size_t pending)
{
    struct pollfd fd = {.fd = ph_service_fd(s), .events = POLLIN};

    while (ph_service_pending(s) > pending) {
        assert_int_equal(poll(&fd, 1, WAIT_MS), 1);
        ph_service_process(s);
    }
}

static void start(struct ph_service *s, const struct ph_service_request *request, struct outcome *o)
{
    assert_int_equal(ph_service_start(s, request, note, o, NULL), PH_OK);
    process_until(s, 0);
}

static const struct {
    const char *name;
    void (*perform)(struct ph_service *, const struct ph_service_request *, struct outcome *);
} ways[] = {{"call", call}, {"start", start}};

static const struct ph_service_request say = {.operation = PH_SERVICE_SEND_TO_ALL, .text = "x"};
static const struct ph_service_request say_twice = {
    .operation = PH_SERVICE_SEND_TO_ALL, .text = "x", .repeat = 1};
static const struct ph_service_request say_nothing = {.operation = PH_SERVICE_SEND_TO_ALL};
static const struct ph_service_request close_all = {.operation = PH_SERVICE_CLOSE_ALL};
static const struct ph_service_request ask = {.operation = PH_SERVICE_GROUP_EXISTS, .group = "g"};
static const struct ph_service_request join = {
    .operation = PH_SERVICE_ADD_CONNECTION_TO_GROUP, .group = "g", .connection_id = "c"};
static const struct ph_service_request list = {.operation = PH_SERVICE_LIST_CONNECTIONS_IN_GROUP,
                                               .group = "g"};

/* --- What is tried again ------------------------------------------------------------- */

#define STEPS 6

static const struct row {
    const char *name;
    const struct ph_service_request *request;
    struct rude_step steps[STEPS];
    enum ph_err err;
    int status;
    unsigned requests;
    const char *why;
} rows[] = {
    {"503 is a refusal", &say, {{RUDE_ANSWER, EMPTY("503 Busy")}}, PH_OK, 202, 2, ""},
    {"429 is a refusal", &say, {{RUDE_ANSWER, EMPTY("429 Slow Down")}}, PH_OK, 202, 2, ""},
    {"as often as is said",
     &say,
     {{RUDE_ANSWER, EMPTY("503 Busy")},
      {RUDE_ANSWER, EMPTY("503 Busy")},
      {RUDE_ANSWER, EMPTY("503 Busy")},
      {RUDE_ANSWER, EMPTY("503 Busy")}},
     PH_ERR_SYSTEM,
     503,
     4,
     "sendToAll: the service answered 503"},
    {"a later time than there is",
     &say,
     {{RUDE_ANSWER, HEAD("429 Slow Down") "Retry-After: 3600\r\nContent-Length: 0\r\n\r\n"}},
     PH_ERR_LIMIT,
     429,
     1,
     "takes no more for now"},
    {"500 after a send", &say, {{RUDE_ANSWER, EMPTY("500 Oops")}}, PH_ERR_SYSTEM, 500, 1, "500"},
    {"504 after a send", &say, {{RUDE_ANSWER, EMPTY("504 Late")}}, PH_ERR_SYSTEM, 504, 1, "504"},
    {"500 after a question",
     &ask,
     {{RUDE_ANSWER, EMPTY("500 Oops")}},
     PH_ERR_UNSUPPORTED,
     202,
     2,
     "202"},
    {"408 after a join",
     &join,
     {{RUDE_ANSWER, EMPTY("408 Slow")}, {RUDE_ANSWER, EMPTY("200 OK")}},
     PH_OK,
     200,
     2,
     ""},
    {"501 is final", &join, {{RUDE_ANSWER, EMPTY("501 No")}}, PH_ERR_UNSUPPORTED, 501, 1, "501"},
    {"cut after a send", &say, {{RUDE_CUT, NULL}}, PH_ERR_SYSTEM, 0, 1, "sendToAll: "},
    {"cut after a send that may be repeated", &say_twice, {{RUDE_CUT, NULL}}, PH_OK, 202, 2, ""},
    {"cut after closing all", &close_all, {{RUDE_CUT, NULL}}, PH_ERR_SYSTEM, 0, 1, ""},
    {"cut after a join",
     &join,
     {{RUDE_CUT, NULL}, {RUDE_ANSWER, EMPTY("200 OK")}},
     PH_OK,
     200,
     2,
     ""},
    {"half an answer to a join",
     &join,
     {{RUDE_LAST, HEAD("200 OK") "Content-Len"}, {RUDE_ANSWER, EMPTY("200 OK")}},
     PH_OK,
     200,
     2,
     ""},
    {"half a page",
     &list,
     {{RUDE_LAST, BODY("200 OK", "100", "{\"value\":[")},
      {RUDE_ANSWER, BODY("200 OK", "12", "{\"value\":[]}")}},
     PH_OK,
     200,
     2,
     ""},
    {"no HTTP", &say, {{RUDE_LAST, "SSH-2.0-OpenSSH_9\r\n"}}, PH_ERR_SYNTAX, 0, 1, "HTTP server"},
    {"redirect",
     &say,
     {{RUDE_ANSWER, HEAD("307 Away") "Location: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"}},
     PH_ERR_UNSUPPORTED,
     307,
     1,
     "redirects are not followed"},
    {"somebody else's success",
     &say,
     {{RUDE_ANSWER, BODY("200 OK", "7", "<html/>")}},
     PH_ERR_UNSUPPORTED,
     200,
     1,
     "does the endpoint lead to the service?"},
    {"an interim answer",
     &say,
     {{RUDE_ANSWER, HEAD("103 Early") "x-ms-error-code: Early\r\n\r\n" EMPTY("400 Bad")}},
     PH_ERR_SYNTAX,
     400,
     1,
     "sendToAll: the service answered 400"},
    {"401", &say, {{RUDE_ANSWER, EMPTY("401 No")}}, PH_ERR_AUTH, 401, 1, "access key"},
    {"403", &say, {{RUDE_ANSWER, EMPTY("403 No")}}, PH_ERR_FORBIDDEN, 403, 1, "may not"},
    {"404", &say, {{RUDE_ANSWER, EMPTY("404 No")}}, PH_ERR_NOT_FOUND, 404, 1, "404"},
    {"409", &say, {{RUDE_ANSWER, EMPTY("409 No")}}, PH_ERR_STATE, 409, 1, "409"},
    {"413", &say, {{RUDE_ANSWER, EMPTY("413 No")}}, PH_ERR_LIMIT, 413, 1, "larger"},
    {"415", &say, {{RUDE_ANSWER, EMPTY("415 No")}}, PH_ERR_UNSUPPORTED, 415, 1, "415"},
    {"418", &say, {{RUDE_ANSWER, EMPTY("418 Tea")}}, PH_ERR_SYNTAX, 418, 1, "418"},
    {"no page",
     &list,
     {{RUDE_ANSWER, BODY("200 OK", "9", "{\"value\":")}},
     PH_ERR_SYNTAX,
     200,
     1,
     "cannot be read"},
    {"no list",
     &list,
     {{RUDE_ANSWER, BODY("200 OK", "13", "{\"value\":\"x\"}")}},
     PH_ERR_SYNTAX,
     200,
     1,
     "no list of connections"},
    {"a connection without id",
     &list,
     {{RUDE_ANSWER, BODY("200 OK", "14", "{\"value\":[{}]}")}},
     PH_ERR_SYNTAX,
     200,
     1,
     "without id"},
};

static void check(const struct row *row, const char *way, const struct outcome *o)
{
    if (o->err != row->err || o->status != row->status || !strstr(o->why, row->why) ||
        atomic_load(&server.requests) != row->requests)
        fail_msg("%s (%s): error %d, status %d, %u requests, \"%s\"", row->name, way, o->err,
                 o->status, atomic_load(&server.requests), o->why);
    assert_int_equal(o->tries, row->requests);
    assert_null(strstr(o->why, "secret"));
}

static void what_is_tried_again_and_what_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        for (size_t w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
            struct ph_service *s = make((struct ph_service_options){0});
            struct outcome o;

            rude_server__play(&server, rows[i].steps);
            ways[w].perform(s, rows[i].request, &o);
            check(&rows[i], ways[w].name, &o);
            ph_service_free(s);
        }
    }
}

/* libcurl by itself would send again what a connection that was used before has lost. */
static void nothing_is_sent_twice_over_a_connection_that_died(void **state)
{
    static const struct ph_service_request *const once[] = {&say, &say_nothing, &close_all};
    static const struct rude_step script[] = {
        {RUDE_ANSWER, EMPTY("202 Accepted")}, {RUDE_CUT, NULL}, {RUDE_END, NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof(once) / sizeof(*once); i++) {
        for (size_t w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
            struct ph_service *s = make((struct ph_service_options){0});
            struct outcome o;

            rude_server__play(&server, script);
            ways[w].perform(s, &say, &o);
            assert_int_equal(o.err, PH_OK);
            ways[w].perform(s, once[i], &o);
            assert_int_equal(o.err, PH_ERR_SYSTEM);
            assert_int_equal(server.requests, 2);
            ph_service_free(s);
        }
    }
}

static void connections_are_used_again(void **state)
{
    static const struct rude_step script[] = {{RUDE_END, NULL}};

    (void)state;
    for (size_t w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
        struct ph_service *s = make((struct ph_service_options){0});
        struct outcome o;

        rude_server__play(&server, script);
        for (int i = 0; i < 5; i++) {
            ways[w].perform(s, &say, &o);
            assert_int_equal(o.err, PH_OK);
        }
        assert_int_equal(server.requests, 5);
        assert_int_equal(server.connections, 1);
        ph_service_free(s);
    }
}

/* --- Time and size ------------------------------------------------------------------- */

static void nobody_waits_longer_than_the_time_limit(void **state)
{
    static const struct rude_step silent[] = {
        {RUDE_HANG, NULL}, {RUDE_ANSWER, HEAD("200 OK")}, {RUDE_END, NULL}};
    struct ph_service_request short_ask = ask;

    (void)state;
    short_ask.timeout_ms = 100;
    for (size_t w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
        struct ph_service *s = make((struct ph_service_options){.retries = -1});
        struct outcome o;

        rude_server__play(&server, silent);
        for (int i = 0; i < 2; i++) {
            ways[w].perform(s, &short_ask, &o);
            assert_int_equal(o.err, PH_ERR_SYSTEM);
            assert_int_equal(o.answer, -1);
            if (!strstr(o.why, "imed out") && !strstr(o.why, "time was up"))
                fail_msg("%s", o.why);
        }
        ph_service_free(s);
    }
}

static void those_in_line_have_a_time_limit_too(void **state)
{
    static const struct rude_step silent[] = {{RUDE_HANG, NULL}, {RUDE_HANG, NULL}};
    struct ph_service *s = make((struct ph_service_options){.max_connections = 1, .retries = -1});
    struct ph_service_request slow = ask, quick = ask;
    struct outcome o[2] = {{.why = ""}};

    (void)state;
    rude_server__play(&server, silent);
    slow.timeout_ms = WAIT_MS;
    quick.timeout_ms = 50;
    assert_int_equal(ph_service_start(s, &slow, note, &o[0], NULL), PH_OK);
    assert_int_equal(ph_service_start(s, &quick, note, &o[1], NULL), PH_OK);
    process_until(s, 1);
    assert_non_null(strstr(o[1].why, "the time was up before a connection was free"));
    assert_int_equal(o[1].tries, 0);
    ph_service_free(s); /* with the other under way */
    assert_string_equal(o[0].why, "");
}

static void nobody_there(void **state)
{
    struct ph_service *s;

    (void)state;
    for (size_t w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
        const struct ph_service_options options = {.retry_pause_ms = 1, .retries = 2};
        struct outcome o;

        assert_int_equal(
            ph_service_new("Endpoint=http://127.0.0.1:1;AccessKey=k", "chat", &options, &s, NULL),
            PH_OK);
        ways[w].perform(s, &say, &o);
        assert_int_equal(o.err, PH_ERR_SYSTEM);
        assert_int_equal(o.tries, 3);
        assert_non_null(strstr(o.why, "is the service there"));
        ph_service_free(s);
    }
}

static void answers_have_a_limit(void **state)
{
    static const struct rude_step script[] = {
        {RUDE_LAST, HEAD("200 OK") "\r\n{\"value\":[                                    ]}"},
        {RUDE_LAST, BODY("200 OK", "20", "{\"value\":[        ]}")},
        {RUDE_ANSWER, BODY("200 OK", "12", "{\"value\":[]}")},
        {RUDE_END, NULL}};

    (void)state;
    for (size_t w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
        struct ph_service *s = make((struct ph_service_options){.max_answer = 19});
        struct outcome o;

        rude_server__play(&server, script);
        for (int i = 0; i < 2; i++) {
            ways[w].perform(s, &list, &o);
            if (o.err != PH_ERR_LIMIT)
                fail_msg("%s %d: %d %s", ways[w].name, i, o.err, o.why);
        }
        ways[w].perform(s, &list, &o);
        assert_int_equal(o.err, PH_OK);
        assert_int_equal(server.requests, 3);
        ph_service_free(s);
    }
}

/* --- What an answer says ------------------------------------------------------------- */

static void an_error_is_read_with_all_it_says(void **state)
{
#define ERROR_BODY                                                                                 \
    "{\"code\":\"Error.Bad\",\"message\":\"no good\",\"target\":\"Request\","                      \
    "\"details\":[{\"code\":\"a\",\"message\":\"first\"},{\"message\":\"second\"}]}"
    static char text[1024];
    static const struct rude_step script[] = {{RUDE_ANSWER, text}, {RUDE_END, NULL}};
    struct ph_service *s = make((struct ph_service_options){0});
    struct ph_service_result *r;
    const char *code;

    (void)state;
    snprintf(text, sizeof(text), "%sContent-Length: %zu\r\n\r\n%s", HEAD("400 Bad"),
             strlen(ERROR_BODY), ERROR_BODY);
    rude_server__play(&server, script);
    assert_int_equal(ph_service_call(s, &say, &r), PH_ERR_SYNTAX);
    assert_string_equal(ph_service_result_code(r), "Error.Bad");
    assert_string_equal(ph_service_result_message(r), "no good");
    assert_string_equal(ph_service_result_target(r), "Request");
    assert_string_equal(ph_service_result_detail(r, 0, &code), "first");
    assert_string_equal(code, "a");
    assert_string_equal(ph_service_result_detail(r, 1, &code), "second");
    assert_null(code);
    assert_null(ph_service_result_detail(r, 2, NULL));
    assert_string_equal(ph_service_result_why(r),
                        "sendToAll: the service answered 400 Error.Bad: no good");
    ph_service_result_free(r);
    ph_service_free(s);
}

/* A token would go there, too. */
static void a_link_to_somebody_else_is_followed_at_the_endpoint(void **state)
{
    static char text[1024];
    const char page[] = "{\"value\":[],\"nextLink\":\"http://evil.example/x?api-version=1&"
                        "continuationToken=a%2Bb\"}";
    static const struct rude_step script[] = {{RUDE_ANSWER, text},
                                              {RUDE_ANSWER, BODY("200 OK", "12", "{\"value\":[]}")},
                                              {RUDE_END, NULL}};
    struct ph_service *s = make((struct ph_service_options){0});
    struct ph_service_list *walk;
    const char *id;

    (void)state;
    snprintf(text, sizeof(text), "%sContent-Length: %zu\r\n\r\n%s", HEAD("200 OK"), strlen(page),
             page);
    rude_server__play(&server, script);
    walk = ph_service_list_new(s, "g", 0);
    assert_int_equal(ph_service_list_next(walk, &id, NULL), PH_OK);
    assert_null(id);
    assert_int_equal(server.requests, 2);
    assert_true(str__starts_with(
        str__of(server.last),
        STR("GET /api/hubs/chat/groups/g/connections?api-version=1&continuationToken=a%2Bb ")));
    ph_service_list_free(walk);
    ph_service_free(s);
}

/* --- Changes ------------------------------------------------------------------------- */

static void another_key_from_now_on(void **state)
{
    static const struct rude_step script[] = {{RUDE_END, NULL}};
    struct ph_service *s = make((struct ph_service_options){0});
    char text[128], before[4096];
    const char *why;

    (void)state;
    rude_server__play(&server, script);
    assert_int_equal(ph_service_call(s, &say, NULL), PH_OK);
    strcpy(before, strstr(server.last, "Authorization"));
    snprintf(text, sizeof(text), "Endpoint=http://127.0.0.1:%u;AccessKey=other", server.port);
    assert_int_equal(ph_service_set_connection_string(s, "nothing", &why), PH_ERR_SYNTAX);
    assert_int_equal(ph_service_set_connection_string(s, text, &why), PH_OK);
    assert_int_equal(ph_service_call(s, &say, NULL), PH_OK);
    assert_string_not_equal(before, strstr(server.last, "Authorization"));
    ph_service_free(s);
}

static enum ph_err give_bad_token(void *arg, void (*give)(void *to, const char *token), void *to)
{
    if (arg)
        give(to, arg);
    return arg ? PH_OK : PH_ERR_NOT_FOUND;
}

static void tokens_that_are_none(void **state)
{
    static const struct {
        char *token;
        enum ph_err err;
        const char *why;
    } tokens[] = {{NULL, PH_ERR_NOT_FOUND, "no token could be had: not found"},
                  {(char *)"", PH_ERR_AUTH, "gave no token"},
                  {(char *)"a\r\nEvil: 1", PH_ERR_AUTH, "gave no token"}};
    char endpoint[64];

    (void)state;
    snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u", server.port);
    rude_server__play(&server, NULL);
    for (size_t i = 0; i < sizeof(tokens) / sizeof(*tokens); i++) {
        struct ph_service_options options = {
            .endpoint = endpoint, .token = give_bad_token, .token_arg = tokens[i].token};
        struct ph_service *s;
        struct outcome o;

        assert_int_equal(ph_service_new(NULL, "chat", &options, &s, NULL), PH_ERR_FORBIDDEN);
        options.allow_plain_token = 1;
        assert_int_equal(ph_service_new(NULL, "chat", &options, &s, NULL), PH_OK);
        call(s, &say, &o);
        assert_int_equal(o.err, tokens[i].err);
        assert_non_null(strstr(o.why, tokens[i].why));
        ph_service_free(s);
    }
    assert_int_equal(server.requests, 0);
}

/* --- The rules by themselves ---------------------------------------------------------- */

static void pauses_double_vary_and_end(void **state)
{
    const struct retry_rules rules = {.retries = 3, .pause_ms = 100, .pause_max_ms = 250};
    const struct try_result refused = {TRY_ANSWERED, 503, -1}, later = {TRY_ANSWERED, 503, 700};
    const struct try_result lost = {TRY_UNKNOWN, 0, -1}, final = {TRY_FINAL, 0, -1};

    (void)state;
    assert_int_equal(retry__pause(&rules, false, &refused, 1, 9999, 0), 100);
    assert_int_equal(retry__pause(&rules, false, &refused, 1, 9999, 50), 50);
    assert_int_equal(retry__pause(&rules, false, &refused, 1, 9999, 51), 100);
    assert_int_equal(retry__pause(&rules, false, &refused, 2, 9999, 0), 200);
    assert_int_equal(retry__pause(&rules, false, &refused, 3, 9999, 0), 250);
    assert_int_equal(retry__pause(&rules, false, &refused, 4, 9999, 0), -1);
    assert_int_equal(retry__pause(&rules, false, &refused, 1, 100, 0), -1);
    assert_int_equal(retry__pause(&rules, false, &later, 1, 701, 9), 700);
    assert_int_equal(retry__pause(&rules, false, &later, 1, 700, 9), -1);
    assert_int_equal(retry__pause(&rules, false, &lost, 1, 9999, 0), -1);
    assert_int_equal(retry__pause(&rules, true, &lost, 1, 9999, 0), 100);
    assert_int_equal(retry__pause(&rules, true, &final, 1, 9999, 0), -1);
}

static void on_pipe(int number)
{
    (void)number;
    fail_msg("SIGPIPE reached the program");
}

static void a_broken_pipe_does_not_reach_the_program(void **state)
{
    struct sigaction sa = {.sa_handler = on_pipe}, before;
    struct sigpipe held;
    int fds[2];

    (void)state;
    assert_int_equal(sigaction(SIGPIPE, &sa, &before), 0);
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    sigpipe__hold(&held);
    assert_int_equal(write(fds[1], "x", 1), -1);
    sigpipe__release(&held);
    close(fds[1]);
    sigaction(SIGPIPE, &before, NULL);
}

static int setup(void **state)
{
    (void)state;
    rude_server__start(&server);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rude_server__stop(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_tried_again_and_what_is_told),
        cmocka_unit_test(nothing_is_sent_twice_over_a_connection_that_died),
        cmocka_unit_test(connections_are_used_again),
        cmocka_unit_test(nobody_waits_longer_than_the_time_limit),
        cmocka_unit_test(those_in_line_have_a_time_limit_too),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(answers_have_a_limit),
        cmocka_unit_test(an_error_is_read_with_all_it_says),
        cmocka_unit_test(a_link_to_somebody_else_is_followed_at_the_endpoint),
        cmocka_unit_test(another_key_from_now_on),
        cmocka_unit_test(tokens_that_are_none),
        cmocka_unit_test(a_broken_pipe_does_not_reach_the_program),
        cmocka_unit_test(pauses_double_vary_and_end),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
