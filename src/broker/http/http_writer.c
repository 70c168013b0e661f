#include "broker/http/http_writer.h"

#include <stdio.h>

#define LINE_EXTRA 4 /* ": " and CR LF */

static char *put(char *at, struct str s)
{
    if (s.len > 0)
        memcpy(at, s.ptr, s.len);
    return at + s.len;
}

static bool ends_line(struct str s)
{
    return s.len > 0 &&
           (memchr(s.ptr, '\r', s.len) || memchr(s.ptr, '\n', s.len) || memchr(s.ptr, '\0', s.len));
}

/* The value in two parts, which saves joining them. */
static bool add_line(struct buf *out, struct str name, struct str start, struct str value)
{
    char *at = buf__reserve(out, name.len + start.len + value.len + LINE_EXTRA);

    if (!at || ends_line(name) || ends_line(value))
        return false;
    at = put(at, name);
    at = put(at, start.len + value.len > 0 ? STR(": ") : STR(":"));
    at = put(at, start);
    at = put(at, value);
    at = put(at, STR("\r\n"));
    out->len = (size_t)(at - out->data);
    return true;
}

static bool add_request_line(struct buf *out, struct str method, const struct http_target *target)
{
    bool has_slash = target->path.len > 0 && target->path.ptr[0] == '/';

    buf__str(out, method);
    buf__str(out, has_slash ? STR(" ") : STR(" /"));
    buf__str(out, target->path);
    buf__str(out, STR(" HTTP/1.1\r\n"));
    return !out->failed;
}

static bool add_length(struct buf *out, const struct http_request *http)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%zu", http->body.len);

    return !str__eq(http->method, STR("POST")) ||
           add_line(out, STR("Content-Length"), STR_NONE, str__n(digits, (size_t)len));
}

bool http_writer__head(struct buf *out, const struct http_request *http,
                       const struct http_target *target, struct str bearer)
{
    bool ok = add_request_line(out, http->method, target) &&
              add_line(out, STR("Host"), STR_NONE, target->authority);

    if (ok && bearer.ptr)
        ok = add_line(out, STR("Authorization"), STR("Bearer "), bearer);
    for (size_t i = 0; ok && i < http->headers.count; i++)
        ok = add_line(out, http->headers.items[i].name, STR_NONE, http->headers.items[i].value);
    ok = ok && add_length(out, http);
    buf__str(out, STR("\r\n"));
    return ok && !out->failed;
}
