#include "broker/config/endpoint.h"

#include "base/url.h"

#define EXPECTED "publicEndpoints must hold URLs such as https://chat.example.com, got \"%.*s\""

static bool take_scheme(struct str *url, bool *secure)
{
    struct str http = STR("http://"), https = STR("https://");

    *secure = str__starts_with_nocase(*url, https);
    if (!*secure && !str__starts_with_nocase(*url, http))
        return false;
    *url = str__n(url->ptr + (*secure ? https.len : http.len),
                  url->len - (*secure ? https.len : http.len));
    return true;
}

/* Names and addresses; a path may hold whatever needs no escape in a token. */
static bool is_clean(struct str url)
{
    for (size_t i = 0; i < url.len; i++) {
        unsigned char c = (unsigned char)url.ptr[i];

        if (c <= ' ' || c >= 0x7f || strchr("\"\\<>^`{|}?#@", c))
            return false;
    }
    return true;
}

static bool take_authority(struct str *url, struct public_endpoint *out)
{
    const char *slash = memchr(url->ptr, '/', url->len);
    struct str authority = str__n(url->ptr, slash ? (size_t)(slash - url->ptr) : url->len);

    *url = str__n(url->ptr + authority.len, url->len - authority.len);
    out->port = 0;
    if (!url__host_port(authority, &out->host, &out->port)) {
        out->host = url__host_only(authority);
        /* An authority of another form comes back as it is, with its colon. */
        if (authority.len > 0 && authority.ptr[0] != '[' &&
            memchr(authority.ptr, ':', authority.len))
            return false;
    } else if (out->port == 0) {
        return false;
    }
    return out->host.len > 0;
}

enum ph_err endpoint__parse(struct str url, struct public_endpoint *out, struct diag *diag)
{
    struct str rest = url;

    *out = (struct public_endpoint){.url = url};
    while (out->url.len > 0 && out->url.ptr[out->url.len - 1] == '/')
        out->url.len--;
    rest = out->url;
    if (url.len > SETTINGS_MAX_URL || !is_clean(url) || !take_scheme(&rest, &out->secure) ||
        !take_authority(&rest, out))
        return diag__set(diag, PH_ERR_ARGUMENT, EXPECTED, STR_FMT(url));
    out->path = rest;
    return PH_OK;
}

enum ph_err endpoint__add(struct settings *s, struct str url, struct diag *diag)
{
    struct public_endpoint *to;
    char *copy;

    if (s->endpoint_count == SETTINGS_MAX_ENDPOINTS)
        return diag__set(diag, PH_ERR_ARGUMENT, "publicEndpoints may hold %d URLs at the most",
                         SETTINGS_MAX_ENDPOINTS);
    if (!s->endpoints)
        s->endpoints = arena__alloc(&s->arena, SETTINGS_MAX_ENDPOINTS * sizeof(*s->endpoints));
    copy = s->endpoints ? arena__strdup(&s->arena, url) : NULL;
    if (!copy)
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    to = &s->endpoints[s->endpoint_count];
    if (endpoint__parse(str__n(copy, url.len), to, diag) != PH_OK)
        return PH_ERR_ARGUMENT;
    s->endpoint_count++;
    return PH_OK;
}
