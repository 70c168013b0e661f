/* A response of an event handler as bytes. Read whole and in small pieces it must mean the
 * same. */
#include "broker/http/http_reader.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_reader_limits limits = {.head = {20, 1024}, .body = 4096};

static void check(bool condition)
{
    if (!condition)
        abort();
}

static enum http_verdict read_all(struct http_reader *r, struct str in, size_t step)
{
    enum http_verdict verdict = HTTP_MORE;

    http_reader__init(r, &limits);
    for (size_t at = 0; at < in.len; at += step)
        verdict =
            http_reader__take(r, str__n(in.ptr + at, in.len - at < step ? in.len - at : step));
    return verdict == HTTP_MORE ? http_reader__end(r, true) : verdict;
}

static void check_headers(const struct http_headers *headers, const struct http_headers *cut)
{
    size_t bytes = 0;

    check(headers->count == cut->count);

    for (size_t i = 0; i < headers->count; i++) {
        check(str__eq(headers->items[i].name, cut->items[i].name));
        check(str__eq(headers->items[i].value, cut->items[i].value));
        check(http__is_token(headers->items[i].name));
        check(!headers->items[i].value.len ||
              !memchr(headers->items[i].value.ptr, '\n', headers->items[i].value.len));
        bytes += headers->items[i].name.len + headers->items[i].value.len;
    }
    check(headers->count <= limits.head.headers && bytes <= limits.head.header_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str__n(data, size);
    struct http_reader whole, cut;
    enum http_verdict verdict = read_all(&whole, in, size ? size : 1);

    check(verdict != HTTP_MORE);
    check(read_all(&cut, in, 1 + size % 7) == verdict);
    check(strcmp(whole.why.text, cut.why.text) == 0);
    check(whole.has_headers == cut.has_headers);
    if (verdict == HTTP_DONE) {
        const struct http_response *res = &whole.response;

        check(res->status >= 200 && res->status <= 599);
        check(res->body.len <= limits.body && str__eq(res->body, cut.response.body));
        check(res->status == cut.response.status && whole.keeps == cut.keeps);
        check_headers(&res->headers, &cut.response.headers);
    } else {
        check(whole.why.text[0]);
    }
    http_reader__free(&whole);
    http_reader__free(&cut);
    return 0;
}
