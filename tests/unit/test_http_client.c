/* HTTP/1.1 to event handlers, without sockets: URLs to targets, requests to bytes, and bytes
 * to responses. Each response is read whole, cut in two at every place, and byte by byte, and
 * must mean the same. */
#include "unit.h"

#include "broker/http/http_reader.h"
#include "broker/http/http_writer.h"

#include <stdio.h>

#define MAX_BODY 20
#define MAX_LINES 4
#define MAX_LINE_BYTES 60

static const struct http_reader_limits limits = {.head = {MAX_LINES, MAX_LINE_BYTES},
                                                 .body = MAX_BODY};

/* --- targets ---------------------------------------------------------------------- */

static void plain_urls_are_read(void **state)
{
    static const struct {
        const char *url, *host, *authority, *path;
        uint16_t port;
    } rows[] = {
        {"http://h", "h", "h", "", 80},
        {"http://h/", "h", "h", "/", 80},
        {"HTTP://Handler-1.example_x.org:8080/eh?code=a/../b&x=%2e", "Handler-1.example_x.org",
         "Handler-1.example_x.org:8080", "/eh?code=a/../b&x=%2e", 8080},
        {"http://h:80/a", "h", "h", "/a", 80},
        {"http://h?q", "h", "h", "?q", 80},
        {"http://127.0.0.1:65535/a", "127.0.0.1", "127.0.0.1:65535", "/a", 65535},
        {"http://[::1]/a", "::1", "[::1]", "/a", 80},
        {"http://[2001:db8::1.2.3.4]:81/a", "2001:db8::1.2.3.4", "[2001:db8::1.2.3.4]:81", "/a",
         81},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct http_target t;

        if (!http_target__read(str__of(rows[i].url), &t))
            fail_msg("%s was not read", rows[i].url);
        assert_str(t.host, rows[i].host);
        assert_str(t.authority, rows[i].authority);
        assert_str(t.path, rows[i].path);
        assert_int_equal(t.port, rows[i].port);
    }
}

static void other_urls_are_left_to_others(void **state)
{
    static const char *const urls[] = {
        "",
        "https://h/",
        "http:/h/",
        "http://",
        "http:///a",
        "http://:80/",
        "http://h:/",
        "http://h:0/",
        "http://h:65536/",
        "http://h:8x/",
        "http://user@h/",
        "http://user:secret@h/",
        "http://h/a#b",
        "http://h/a b",
        "http://h/a\r\nX: y",
        "http://h/\xc3\xa9",
        "http://h\xc3\xa9/",
        "http://h%41/",
        "http://h/a/../b",
        "http://h/./b",
        "http://h/%2e%2e/b",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://127.1/",
        "http://127.0.0.01/",
        "http://127.0.0.256/",
        "http://h./",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://[::1]x/",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
        struct http_target t;

        if (http_target__read(str__of(urls[i]), &t))
            fail_msg("%s was taken for plain", urls[i]);
    }
}

/* --- requests --------------------------------------------------------------------- */

static struct buf written(const struct http_request *http, const char *url, struct str bearer,
                          bool want)
{
    struct http_target target;
    struct buf out;

    buf__init(&out, 4096);
    assert_true(http_target__read(str__of(url), &target));
    assert_int_equal(http_writer__head(&out, http, &target, bearer), want);
    return out;
}

static void requests_are_written(void **state)
{
    struct http_header items[] = {{STR("ce-userId"), STR("\xe7\x8e\x8b")},
                                  {STR("ce-connectionState"), STR("")}};
    struct http_request http = {.method = STR("POST"),
                                .headers = {.items = items, .count = 2, .cap = 2},
                                .body = STR("hello")};
    struct buf out = written(&http, "http://h:81?x", STR("secret"), true);

    (void)state;
    assert_str(buf__view(&out),
               "POST /?x HTTP/1.1\r\nHost: h:81\r\nAuthorization: Bearer secret\r\n"
               "ce-userId: \xe7\x8e\x8b\r\nce-connectionState:\r\n"
               "Content-Length: 5\r\n\r\n");
    buf__free(&out);
    http.body = STR_NONE;
    http.headers.count = 0;
    out = written(&http, "http://h/a", STR_NONE, true);
    assert_str(buf__view(&out), "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    buf__free(&out);
    http.method = STR("OPTIONS");
    out = written(&http, "http://h/a", STR_NONE, true);
    assert_str(buf__view(&out), "OPTIONS /a HTTP/1.1\r\nHost: h\r\n\r\n");
    buf__free(&out);
}

static void no_value_ends_its_line(void **state)
{
    static const struct str bad[] = {{"a\r\nX: y", 7}, {"a\nb", 3}, {"a\rb", 3}, {"a\0b", 3}};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct http_header value = {STR("x"), bad[i]}, name = {bad[i], STR("x")};
        struct http_request http = {.method = STR("POST")};
        struct buf out = written(&http, "http://h/", bad[i], false);

        buf__free(&out);
        http.headers = (struct http_headers){.items = &value, .count = 1, .cap = 1};
        out = written(&http, "http://h/", STR_NONE, false);
        buf__free(&out);
        http.headers.items = &name;
        out = written(&http, "http://h/", STR_NONE, false);
        buf__free(&out);
    }
}

/* --- responses -------------------------------------------------------------------- */

struct row {
    const char *what, *in;
    enum http_verdict verdict;
    int status;
    const char *body; /* of a complete one; else a part of why it is not */
    bool keeps;
};

#define OK_LINE "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK_LINE "Transfer-Encoding: chunked\r\n\r\n"
#define DONE(what, in, status, body, keeps)                                                        \
    {                                                                                              \
        what, in, HTTP_DONE, status, body, keeps                                                   \
    }
#define BROKEN(what, in, verdict, why)                                                             \
    {                                                                                              \
        what, in, verdict, 0, why, false                                                           \
    }
#define MALFORMED(what, in, why) BROKEN(what, in, HTTP_MALFORMED, why)
#define LARGE(what, in, why) BROKEN(what, in, HTTP_TOO_LARGE, why)
#define S19 "aaaaaaaaaaaaaaaaaaa"
#define S20 S19 "a"
#define S200 S20 S20 S20 S20 S20 S20 S20 S20 S20 S20
#define S1200 S200 S200 S200 S200 S200 S200 /* no line is so long */

static const struct row rows[] = {
    /* RFC 9112 section 4: the status line */
    DONE("no reason", "HTTP/1.1 204 \r\n\r\n", 204, "", true),
    DONE("not even the space", "HTTP/1.1 204\r\n\r\n", 204, "", true),
    DONE("reason in UTF-8", "HTTP/1.1 204 \xc3\xa9 a b\r\n\r\n", 204, "", true),
    MALFORMED("status of two digits", "HTTP/1.1 20\r\n\r\n", "status line"),
    MALFORMED("status of four digits", "HTTP/1.1 2000\r\n\r\n", "status line"),
    MALFORMED("no status", "HTTP/1.1 OK OK OK\r\n\r\n", "status line"),
    MALFORMED("status below 100", "HTTP/1.1 099 x\r\n\r\n", "100 to 599"),
    MALFORMED("status above 599", "HTTP/1.1 600 x\r\n\r\n", "100 to 599"),
    MALFORMED("two spaces", "HTTP/1.1  200 OK\r\n\r\n", "status line"),
    BROKEN("HTTP/2", "HTTP/2 200\r\n\r\n", HTTP_FOREIGN, "must speak HTTP/1.1"),
    BROKEN("lower case", "http/1.1 200 OK\r\n\r\n", HTTP_FOREIGN, "must speak HTTP/1.1"),
    BROKEN("SSH", "SSH-2.0-x\r\n", HTTP_FOREIGN, "must speak HTTP/1.1"),
    BROKEN("no line at all", "\x15\x03\x01", HTTP_FOREIGN, "must speak HTTP/1.1"),
    BROKEN("empty line in front", "\r\nHTTP/1.1 200 OK\r\n\r\n", HTTP_FOREIGN, "HTTP/1.1"),
    BROKEN("long line of another protocol", "220 " S1200 "\r\n", HTTP_FOREIGN, "HTTP/1.1"),
    BROKEN("long line without end", "220 " S1200, HTTP_FOREIGN, "must speak HTTP/1.1"),
    LARGE("reason without end", "HTTP/1.1 200 " S1200, "too large"),
    /* section 2.2: line ends */
    MALFORMED("LF alone behind the status", "HTTP/1.1 204 x\n\n", "LF without CR"),
    MALFORMED("LF alone behind a header", "HTTP/1.1 204 x\r\na: b\n\r\n", "LF without CR"),
    MALFORMED("LF alone ends the head", "HTTP/1.1 204 x\r\na: b\r\n\n", "LF without CR"),
    MALFORMED("CR in the reason", "HTTP/1.1 204 x\rb: c\r\n\r\n", "CR stands inside"),
    MALFORMED("CR in a value", "HTTP/1.1 204 x\r\na: b\rc: d\r\n\r\n", "CR stands inside"),
    /* section 5: header lines */
    DONE("blanks around a value", OK_LINE "Content-Length: \t 2 \t\r\n\r\nok", 200, "ok", true),
    DONE("names have no case", OK_LINE "CONTENT-length:2\r\n\r\nok", 200, "ok", true),
    MALFORMED("no colon", OK_LINE "a\r\n\r\n", "no colon"),
    MALFORMED("folded", OK_LINE "a: b\r\n c\r\n\r\n", "folded"),
    MALFORMED("folded with a tab", OK_LINE "a: b\r\n\tc: d\r\n\r\n", "folded"),
    MALFORMED("blank in front of the colon", OK_LINE "Content-Length : 2\r\n\r\nok", "token"),
    MALFORMED("no name", OK_LINE ": 2\r\n\r\nok", "token"),
    MALFORMED("control character", OK_LINE "a: b\x01\r\n\r\n", "control"),
    DONE("as many lines as allowed", "HTTP/1.1 204\r\na:1\r\nb:2\r\nc:3\r\nd:4\r\n\r\n", 204, "",
         true),
    LARGE("one more", "HTTP/1.1 204\r\na:1\r\nb:2\r\nc:3\r\nd:4\r\ne:5\r\n\r\n", "too many"),
    DONE("as many bytes as allowed", "HTTP/1.1 204\r\na: " S20 S20 S19 "\r\n\r\n", 204, "", true),
    LARGE("one more byte", "HTTP/1.1 204\r\na: " S20 S20 S20 "\r\n\r\n", "too large"),
    /* section 6.3: the length of the body */
    DONE("length", OK_LINE "Content-Length: 5\r\n\r\nhello", 200, "hello", true),
    DONE("length 0", OK_LINE "Content-Length: 0\r\n\r\n", 200, "", true),
    DONE("no body by its status", "HTTP/1.1 304\r\nContent-Length: 0\r\n\r\n", 304, "", true),
    DONE("one may follow all the same", "HTTP/1.1 304\r\nContent-Length: 5\r\n\r\n", 304, "",
         false),
    DONE("in chunks", "HTTP/1.1 204\r\nTransfer-Encoding: chunked\r\n\r\n", 204, "", false),
    DONE("largest body", OK_LINE "Content-Length: 20\r\n\r\n" S20, 200, S20, true),
    LARGE("too large by its length", OK_LINE "Content-Length: 21\r\n\r\n", "larger than"),
    LARGE("far too large", OK_LINE "Content-Length: 18446744073709551615\r\n\r\n", "larger than"),
    MALFORMED("length beyond numbers", OK_LINE "Content-Length: 18446744073709551616\r\n\r\n",
              "not a number"),
    MALFORMED("negative length", OK_LINE "Content-Length: -1\r\n\r\n", "not a number"),
    MALFORMED("hex length", OK_LINE "Content-Length: 0x5\r\n\r\nhello", "not a number"),
    MALFORMED("empty length", OK_LINE "Content-Length:\r\n\r\n", "not a number"),
    MALFORMED("list of lengths", OK_LINE "Content-Length: 5, 5\r\n\r\nhello", "not a number"),
    MALFORMED("two lengths", OK_LINE "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
              "2 times"),
    MALFORMED("the same twice", OK_LINE "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
              "2 times"),
    MALFORMED("length and chunks",
              OK_LINE "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
              "together"),
    MALFORMED("another coding", OK_LINE "Transfer-Encoding: gzip, chunked\r\n\r\n", "gzip"),
    MALFORMED("coding twice",
              OK_LINE "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
              "2 times"),
    MALFORMED("chunks of HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
              "HTTP/1.0"),
    DONE("until the end", OK_LINE "\r\nhello", 200, "hello", false),
    DONE("nothing until the end", OK_LINE "\r\n", 200, "", false),
    LARGE("too much until the end", OK_LINE "\r\n" S20 "a", "larger than"),
    BROKEN("nothing", "", HTTP_NOTHING, "without an answer"),
    BROKEN("part of a status line", "HTT", HTTP_CUT_OFF, "in the middle"),
    BROKEN("part of a head", OK_LINE "Content-Le", HTTP_CUT_OFF, "in the middle"),
    BROKEN("part of a body", OK_LINE "Content-Length: 5\r\n\r\nhell", HTTP_CUT_OFF,
           "in the middle"),
    /* section 7.1: chunks */
    DONE("chunks", CHUNKED "5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n", 200, "hello0123456789",
         true),
    DONE("no chunk", CHUNKED "0\r\n\r\n", 200, "", true),
    DONE("zeros in front", CHUNKED "0005\r\nhello\r\n000\r\n\r\n", 200, "hello", true),
    DONE("extensions", CHUNKED "5;a=b\r\nhello\r\n0 ; x\r\n\r\n", 200, "hello", true),
    DONE("trailers", CHUNKED "0\r\nContent-Length: 7\r\nb: c\r\n\r\n", 200, "", true),
    DONE("coding has no case", OK_LINE "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", 200, "",
         true),
    DONE("largest chunk", CHUNKED "14\r\n" S20 "\r\n0\r\n\r\n", 200, S20, true),
    LARGE("chunk too large", CHUNKED "15\r\n", "larger than"),
    LARGE("size without end", CHUNKED "ffffffffffffffffffffff\r\n", "larger than"),
    LARGE("chunks too large together", CHUNKED "14\r\n" S20 "\r\n1\r\na\r\n", "larger than"),
    LARGE("trailers too large", CHUNKED "0\r\na: " S20 S20 "\r\nb: " S20 "\r\n\r\n", "too large"),
    MALFORMED("no size", CHUNKED "\r\n", "size of a chunk"),
    MALFORMED("size of another base", CHUNKED "0x5\r\nhello\r\n", "size of a chunk"),
    MALFORMED("negative size", CHUNKED "-5\r\nhello\r\n", "size of a chunk"),
    MALFORMED("chunk longer than its size", CHUNKED "4\r\nhello\r\n0\r\n\r\n", "longer than"),
    MALFORMED("size ends in LF", CHUNKED "5\nhello\r\n", "LF without CR"),
    MALFORMED("chunk ends in LF", CHUNKED "5\r\nhello\n0\r\n\r\n", "LF without CR"),
    BROKEN("no last chunk", CHUNKED "5\r\nhello\r\n", HTTP_CUT_OFF, "in the middle"),
    BROKEN("no end of trailers", CHUNKED "0\r\n", HTTP_CUT_OFF, "in the middle"),
    /* section 9.3: connections that are kept */
    DONE("close", OK_LINE "Content-Length: 0\r\nConnection: close\r\n\r\n", 200, "", false),
    DONE("close among others", "HTTP/1.1 204\r\nConnection: x, Close ,y\r\n\r\n", 204, "", false),
    DONE("in a second line", "HTTP/1.1 204\r\nConnection: x\r\nConnection: close\r\n\r\n", 204, "",
         false),
    DONE("HTTP/1.0 closes", "HTTP/1.0 204\r\n\r\n", 204, "", false),
    DONE("unless it says otherwise", "HTTP/1.0 204\r\nConnection: Keep-Alive\r\n\r\n", 204, "",
         true),
    DONE("HTTP/1.2", "HTTP/1.2 204\r\n\r\n", 204, "", true),
    DONE("more than the response", "HTTP/1.1 204\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 204, "", false),
    /* RFC 9110 section 15.2: interim responses */
    DONE("interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103\r\na: b\r\n\r\nHTTP/1.1 204\r\n\r\n",
         204, "", true),
    DONE("interim has no body", "HTTP/1.1 103\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204\r\n\r\n",
         204, "", true),
    MALFORMED("switched protocols", "HTTP/1.1 101\r\nUpgrade: x\r\n\r\n", "101"),
    BROKEN("interim alone", "HTTP/1.1 103\r\n\r\n", HTTP_CUT_OFF, "in the middle"),
};

struct read {
    struct http_reader reader;
    enum http_verdict verdict;
};

/* Each piece is a block of its own, so that the address sanitizer sees any step outside. */
static void take(struct read *r, struct str piece)
{
    char *copy = malloc(piece.len ? piece.len : 1);

    if (piece.len > 0)
        memcpy(copy, piece.ptr, piece.len);
    r->verdict = http_reader__take(&r->reader, str__n(copy, piece.len));
    free(copy);
}

static void read_cut(struct read *r, struct str in, size_t first, size_t step)
{
    size_t at = first < in.len ? first : in.len;

    http_reader__reset(&r->reader, 16);
    take(r, str__n(in.ptr, at));
    for (; at < in.len; at += step)
        take(r, str__n(in.ptr + at, in.len - at < step ? in.len - at : step));
    if (r->verdict == HTTP_MORE)
        r->verdict = http_reader__end(&r->reader, true);
}

static void check(struct read *r, const struct row *row, const char *how, size_t first, size_t step)
{
    struct str body = r->reader.response.body;

    read_cut(r, str__of(row->in), first, step);
    body = r->reader.response.body;
    if (r->verdict != row->verdict)
        fail_msg("%s, %s %zu: verdict %d (%s), expected %d", row->what, how, first, r->verdict,
                 r->reader.why.text, row->verdict);
    if (row->verdict != HTTP_DONE) {
        if (!strstr(r->reader.why.text, row->body))
            fail_msg("%s, %s %zu: \"%s\", expected \"%s\"", row->what, how, first,
                     r->reader.why.text, row->body);
        return;
    }
    if (r->reader.response.status != row->status || r->reader.keeps != row->keeps ||
        !str__eq(body, str__of(row->body)))
        fail_msg("%s, %s %zu: %d, %s, body \"%.*s\"", row->what, how, first,
                 r->reader.response.status, r->reader.keeps ? "keeps" : "closes", STR_FMT(body));
}

static void responses_mean_the_same_however_cut(void **state)
{
    struct read r;

    (void)state;
    http_reader__init(&r.reader, &limits);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        size_t len = strlen(rows[i].in);

        check(&r, &rows[i], "whole", len, 1);
        for (size_t at = 1; at < len; at++)
            check(&r, &rows[i], "cut at", at, len);
        check(&r, &rows[i], "byte by byte", 1, 1);
    }
    http_reader__free(&r.reader);
}

static void headers_are_those_of_the_final_response(void **state)
{
    struct str in = STR("HTTP/1.1 103\r\na: no\r\n\r\nHTTP/1.1 204\r\nce-x: \xe7\x8e\x8b\r\nb:\r\n"
                        "b: 2\r\n\r\n");
    struct read r;

    (void)state;
    http_reader__init(&r.reader, &limits);
    for (size_t step = 1; step <= in.len; step++) {
        const struct http_headers *h = &r.reader.response.headers;

        read_cut(&r, in, step, step);
        assert_int_equal(h->count, 3);
        assert_str(http__get(h, STR("CE-X")), "\xe7\x8e\x8b");
        assert_str(h->items[1].value, "");
        assert_str(h->items[2].value, "2");
    }
    http_reader__free(&r.reader);
}

static void interim_responses_are_bounded(void **state)
{
    struct read r;

    (void)state;
    http_reader__init(&r.reader, &limits);
    for (int i = 0; i < 16; i++)
        take(&r, STR("HTTP/1.1 103\r\n\r\n"));
    assert_int_equal(r.verdict, HTTP_MORE);
    take(&r, STR("HTTP/1.1 103\r\n\r\n"));
    assert_int_equal(r.verdict, HTTP_MALFORMED);
    http_reader__free(&r.reader);
}

static void a_broken_connection_ends_no_body(void **state)
{
    struct read r;

    (void)state;
    http_reader__init(&r.reader, &limits);
    take(&r, STR(OK_LINE "\r\nhello"));
    assert_true(r.reader.has_headers);
    assert_int_equal(http_reader__end(&r.reader, false), HTTP_CUT_OFF);
    http_reader__free(&r.reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_urls_are_read),
        cmocka_unit_test(other_urls_are_left_to_others),
        cmocka_unit_test(requests_are_written),
        cmocka_unit_test(no_value_ends_its_line),
        cmocka_unit_test(responses_mean_the_same_however_cut),
        cmocka_unit_test(headers_are_those_of_the_final_response),
        cmocka_unit_test(interim_responses_are_bounded),
        cmocka_unit_test(a_broken_connection_ends_no_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
