#include "base/url.h"

struct str url__decode(struct arena *a, struct str s, bool plus)
{
    char *out = arena__alloc(a, s.len + 1);
    size_t len = 0;

    if (!out)
        return STR_NONE;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == '%') {
            int high = s.len - i > 2 ? str__hex_digit(s.ptr[i + 1]) : -1;
            int low = high >= 0 ? str__hex_digit(s.ptr[i + 2]) : -1;

            if (low < 0)
                return STR_NONE;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c == '\0')
            return STR_NONE;
        out[len++] = c;
    }
    out[len] = '\0';
    return str__n(out, len);
}

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static bool is_printable(char c)
{
    return c > ' ' && c < '\x7F';
}

static void encode(struct buf *out, struct str s, bool (*stays)(char))
{
    for (size_t i = 0; i < s.len; i++) {
        if (stays(s.ptr[i]))
            buf__byte(out, s.ptr[i]);
        else
            buf__printf(out, "%%%02X", (unsigned char)s.ptr[i]);
    }
}

void url__encode(struct buf *out, struct str s)
{
    encode(out, s, is_unreserved);
}

void url__encode_rest(struct buf *out, struct str s)
{
    encode(out, s, is_printable);
}

static size_t count_params(struct str query)
{
    size_t count = query.len > 0;

    for (size_t i = 0; i < query.len; i++)
        count += query.ptr[i] == '&';
    return count;
}

bool url__parse_query(struct arena *a, struct str query, size_t max, struct url_query *out)
{
    size_t count = count_params(query);
    struct str rest = query, part;

    *out = (struct url_query){NULL, 0};
    if (count == 0)
        return true;
    if (count > max)
        return false;
    out->params = arena__alloc(a, count * sizeof(*out->params));
    if (!out->params)
        return false;
    while (str__split(&rest, '&', &part)) {
        struct url_param *p = &out->params[out->count];
        struct str value = part, name;

        if (part.len == 0)
            continue;
        str__split(&value, '=', &name);
        p->name = url__decode(a, name, true);
        p->value = url__decode(a, value, true);
        if (!p->name.ptr || !p->value.ptr)
            return false;
        out->count++;
    }
    return true;
}

struct str url__query_get(const struct url_query *q, struct str name, bool ignore_case)
{
    for (size_t i = 0; i < q->count; i++) {
        if (ignore_case ? str__eq_nocase(q->params[i].name, name)
                        : str__eq(q->params[i].name, name))
            return q->params[i].value;
    }
    return STR_NONE;
}

/* Splits an authority into host and the text behind the colon (absent if none). */
static bool split_authority(struct str s, struct str *host, struct str *port)
{
    const char *end;

    if (s.len > 0 && s.ptr[0] == '[') {
        end = memchr(s.ptr, ']', s.len);
        if (!end)
            return false;
        *host = str__n(s.ptr + 1, (size_t)(end - s.ptr - 1));
        *port = str__n(end + 1, s.len - host->len - 2);
        if (port->len == 0) {
            *port = STR_NONE;
            return true;
        }
        if (port->ptr[0] != ':')
            return false;
        *port = str__n(port->ptr + 1, port->len - 1);
        return true;
    }
    *port = s;
    str__split(port, ':', host);
    return !port->ptr || !memchr(port->ptr, ':', port->len);
}

bool url__host_port(struct str s, struct str *host, uint16_t *port)
{
    struct str digits;
    uint64_t value;

    if (!s.ptr || !split_authority(s, host, &digits) || !str__to_u64(digits, &value) ||
        value > UINT16_MAX)
        return false;
    *port = (uint16_t)value;
    return true;
}

struct str url__host_only(struct str authority)
{
    struct str host, port;

    return authority.ptr && split_authority(authority, &host, &port) ? host : authority;
}

bool url__is_loopback(struct str host)
{
    struct str suffix = STR(".localhost");

    if (str__eq_nocase(host, STR("localhost")) || str__eq(host, STR("::1")))
        return true;
    if (host.len > suffix.len &&
        str__eq_nocase(str__n(host.ptr + host.len - suffix.len, suffix.len), suffix))
        return true;
    if (!str__starts_with(host, STR("127.")))
        return false;
    for (size_t i = 0; i < host.len; i++) {
        if (host.ptr[i] != '.' && (host.ptr[i] < '0' || host.ptr[i] > '9'))
            return false;
    }
    return true;
}
