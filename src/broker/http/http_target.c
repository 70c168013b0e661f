#include "broker/http/http_target.h"

#include "base/url.h"

#define USUAL_PORT 80

static bool all(struct str s, bool (*fits)(char c))
{
    for (size_t i = 0; i < s.len; i++) {
        if (!fits(s.ptr[i]))
            return false;
    }
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool of_name(char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' || c == '.' ||
           c == '_';
}

static bool of_ipv6(char c)
{
    return str__hex_digit(c) >= 0 || c == ':' || c == '.';
}

static bool of_path(char c)
{
    return c > ' ' && c < '\x7F' && c != '#';
}

/* Four numbers without a zero in front, which some take for octal. */
static bool is_ipv4(struct str host)
{
    struct str part;
    uint64_t value;
    int count = 0;

    while (str__split(&host, '.', &part)) {
        if (!str__to_u64(part, &value) || value > 255 || part.len > 3 ||
            (part.len > 1 && part.ptr[0] == '0'))
            return false;
        count++;
    }
    return count == 4;
}

/* A name whose last part is a number is an address (WHATWG URL, section 3.5), in one of
 * many forms. */
static bool is_plain_name(struct str host)
{
    struct str rest = host, last = host;

    while (str__split(&rest, '.', &last))
        ;
    return all(host, of_name) && last.len > 0 && (!is_digit(last.ptr[0]) || is_ipv4(host));
}

static bool read_authority(struct str authority, struct http_target *out)
{
    bool ipv6 = authority.len > 0 && authority.ptr[0] == '[';
    bool has_port = url__host_port(authority, &out->host, &out->port);

    if (!has_port) {
        out->host = url__host_only(authority);
        out->port = USUAL_PORT;
        if (authority.len != out->host.len + (ipv6 ? 2 : 0))
            return false;
    }
    out->authority = authority;
    if (out->port == USUAL_PORT)
        out->authority.len = out->host.len + (ipv6 ? 2 : 0);
    return out->port > 0 && out->host.len > 0 && out->host.len < HTTP_TARGET_MAX_HOST &&
           (ipv6 ? all(out->host, of_ipv6) : is_plain_name(out->host));
}

/* A path with "/." may hold "." or "..", which are to be resolved (RFC 3986 section 5.2.4);
 * they may be escaped. */
static bool has_dots(struct str path)
{
    struct str before;

    str__split(&path, '?', &before);
    return memmem(before.ptr, before.len, "/.", 2) || memmem(before.ptr, before.len, "/%2", 3);
}

bool http_target__read(struct str url, struct http_target *out)
{
    struct str scheme = STR("http://"), authority;

    if (!str__starts_with_nocase(url, scheme))
        return false;
    authority = str__n(url.ptr + scheme.len, 0);
    while (scheme.len + authority.len < url.len && !strchr("/?#", authority.ptr[authority.len]))
        authority.len++;
    out->path = str__n(authority.ptr + authority.len, url.len - scheme.len - authority.len);
    return read_authority(authority, out) && all(out->path, of_path) && !has_dots(out->path);
}
