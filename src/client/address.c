#include "client/address.h"

#include "base/url.h"

#define MAX_TARGET (128u << 10)
#define MAX_HOST 1024

static const struct {
    struct str scheme, http;
} schemes[] = {
    {STR("ws://"), STR("http://")},
    {STR("wss://"), STR("https://")},
    {STR("http://"), STR("http://")},
    {STR("https://"), STR("https://")},
};

static bool is_host_char(char c)
{
    return c > ' ' && c < 0x7f && !strchr("@\\\"<>^`{|}%", c);
}

static bool is_authority(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_host_char(s.ptr[i]))
            return false;
    }
    return s.len > 0;
}

static bool take_rest(struct str rest, struct str http, struct address *out)
{
    size_t len = 0;
    struct str host;

    while (len < rest.len && rest.ptr[len] != '/' && rest.ptr[len] != '?')
        len++;
    host = str__n(rest.ptr, len);
    rest = str__n(rest.ptr + len, rest.len - len);
    if (!is_authority(host) || memchr(rest.ptr, '#', rest.len))
        return false;
    buf__str(&out->server, http);
    buf__str(&out->server, host);
    buf__str(&out->host, host);
    if (rest.len == 0 || rest.ptr[0] != '/')
        buf__byte(&out->target, '/');
    url__encode_rest(&out->target, rest);
    return !out->server.failed && !out->host.failed && !out->target.failed;
}

bool address__parse(struct str url, struct address *out)
{
    buf__init(&out->server, MAX_HOST + 16);
    buf__init(&out->host, MAX_HOST);
    buf__init(&out->target, MAX_TARGET);
    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
        struct str scheme = schemes[i].scheme;

        if (!str__starts_with_nocase(url, scheme))
            continue;
        if (take_rest(str__n(url.ptr + scheme.len, url.len - scheme.len), schemes[i].http, out))
            return true;
    }
    address__free(out);
    return false;
}

void address__free(struct address *a)
{
    buf__free(&a->server);
    buf__free(&a->host);
    buf__free(&a->target);
}
