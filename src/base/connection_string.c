#include "base/connection_string.h"

struct parts {
    struct str endpoint, access_key, version, port;
};

static struct str *part_named(struct parts *parts, struct str key)
{
    if (str__eq_nocase(key, STR("Endpoint")))
        return &parts->endpoint;
    if (str__eq_nocase(key, STR("AccessKey")))
        return &parts->access_key;
    if (str__eq_nocase(key, STR("Port")))
        return &parts->port;
    return &parts->version; /* and whatever else: not ours to judge */
}

/* Only the first '=' separates: access keys end in '=' when they look like base64. */
static enum ph_err split(struct str text, struct parts *parts, struct diag *diag)
{
    struct str part, key;

    while (str__split(&text, ';', &part)) {
        struct str value = str__trim(part);

        if (value.len == 0)
            continue;
        str__split(&value, '=', &key);
        if (!value.ptr)
            return diag__set(diag, PH_ERR_SYNTAX,
                             "a part has no \"=\", expected "
                             "Endpoint=https://HOST;AccessKey=KEY;Version=1.0;");
        *part_named(parts, str__trim(key)) = str__trim(value);
    }
    if (parts->endpoint.len == 0 || parts->access_key.len == 0)
        return diag__set(diag, PH_ERR_SYNTAX,
                         "%s is missing, expected Endpoint=https://HOST;AccessKey=KEY;Version=1.0;",
                         parts->endpoint.len == 0 ? "Endpoint" : "AccessKey");
    return PH_OK;
}

static bool cut_prefix(struct str *s, struct str prefix)
{
    if (!str__starts_with_nocase(*s, prefix))
        return false;
    *s = str__n(s->ptr + prefix.len, s->len - prefix.len);
    return true;
}

static enum ph_err split_authority(struct str authority, struct connection_string *out)
{
    size_t at = authority.len;

    /* From the end: the colons inside of [::1] separate nothing. */
    while (at > 0 && authority.ptr[at - 1] != ':' && authority.ptr[at - 1] != ']')
        at--;
    out->host = authority;
    if (at > 0 && authority.ptr[at - 1] == ':') {
        out->host.len = at - 1;
        out->port = str__n(authority.ptr + at, authority.len - at);
    }
    return out->host.len > 0 ? PH_OK : PH_ERR_SYNTAX;
}

static enum ph_err split_endpoint(struct str endpoint, struct connection_string *out)
{
    const char *slash;

    out->secure = true;
    if (cut_prefix(&endpoint, STR("http://")))
        out->secure = false;
    else
        cut_prefix(&endpoint, STR("https://"));
    while (endpoint.len > 0 && endpoint.ptr[endpoint.len - 1] == '/')
        endpoint.len--;
    slash = endpoint.len > 0 ? memchr(endpoint.ptr, '/', endpoint.len) : NULL;
    out->path = STR("");
    if (slash) {
        size_t len = (size_t)(slash - endpoint.ptr);

        out->path = str__n(slash, endpoint.len - len);
        endpoint.len = len;
    }
    return split_authority(endpoint, out);
}

/* The scheme's own port is left out, as URL parsers do: tokens name it without. */
static enum ph_err check_port(struct connection_string *out)
{
    uint64_t port;

    if (!out->port.ptr)
        return PH_OK;
    if (!str__to_u64(out->port, &port) || port == 0 || port > UINT16_MAX)
        return PH_ERR_SYNTAX;
    if (port == (out->secure ? 443 : 80))
        out->port = STR_NONE;
    return PH_OK;
}

/* `port`: given beside the endpoint; it wins. */
static enum ph_err read_endpoint(struct str endpoint, struct str port,
                                 struct connection_string *out, struct diag *diag)
{
    if (split_endpoint(endpoint, out) != PH_OK)
        return diag__set(diag, PH_ERR_SYNTAX, "Endpoint is no URL, expected https://HOST[:PORT]");
    if (port.len > 0)
        out->port = port;
    if (check_port(out) != PH_OK)
        return diag__set(diag, PH_ERR_SYNTAX, "the port is no number from 1 to 65535");
    return PH_OK;
}

enum ph_err connection_string__endpoint(struct str endpoint, struct connection_string *out,
                                        struct diag *diag)
{
    *out = (struct connection_string){.access_key = STR_NONE};
    return read_endpoint(endpoint, STR_NONE, out, diag);
}

static struct str first_line(struct str text)
{
    struct str line;

    while (str__split(&text, '\n', &line)) {
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (str__trim(line).len > 0)
            return line;
    }
    return STR("");
}

enum ph_err connection_string__parse(struct str text, struct connection_string *out,
                                     struct diag *diag)
{
    struct parts parts = {STR_NONE, STR_NONE, STR_NONE, STR_NONE};
    enum ph_err err = split(first_line(text), &parts, diag);

    *out = (struct connection_string){.access_key = parts.access_key};
    if (err != PH_OK)
        return err;
    return read_endpoint(parts.endpoint, parts.port, out, diag);
}

void connection_string__url(struct buf *out, const char *scheme, const struct connection_string *c)
{
    buf__printf(out, "%s%s://", scheme, c->secure ? "s" : "");
    buf__str(out, c->host);
    if (c->port.ptr) {
        buf__byte(out, ':');
        buf__str(out, c->port);
    }
    buf__str(out, c->path);
}
