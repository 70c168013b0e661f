#include "base/url.h"
#include "event/event.h"

#define REQUEST_ORIGIN STR("WebHook-Request-Origin")
#define ALLOWED "WebHook-Allowed-Origin"
#define ALLOWED_ORIGIN STR(ALLOWED)

bool event__same_host(struct str a, struct str b)
{
    return str__eq_nocase(a, b) || (url__is_loopback(a) && url__is_loopback(b));
}

static bool any_allowed(const struct str *allowed, size_t allowed_count)
{
    for (size_t i = 0; i < allowed_count; i++) {
        if (str__eq(allowed[i], STR("*")))
            return true;
    }
    return allowed_count == 0;
}

static bool host_allowed(struct str host, const struct str *allowed, size_t allowed_count)
{
    for (size_t i = 0; i < allowed_count; i++) {
        if (event__same_host(url__host_only(host), allowed[i]))
            return true;
    }
    return false;
}

bool event__origin_allowed(struct str origin, const struct str *allowed, size_t allowed_count)
{
    struct str host;

    if (any_allowed(allowed, allowed_count))
        return true;
    while (str__split(&origin, ',', &host)) {
        if (host_allowed(str__trim(host), allowed, allowed_count))
            return true;
    }
    return false;
}

struct consent {
    struct arena *arena;
    const struct str *allowed;
    size_t allowed_count;
    struct http_response *res;
    bool asked; /* a host was named at all */
    bool given;
    bool failed;
};

static void allow(struct consent *c, struct str host)
{
    char *value = arena__strdup(c->arena, host);

    if (!value || !http__add(c->arena, &c->res->headers, ALLOWED_ORIGIN, str__n(value, host.len)))
        c->failed = true;
    c->given = true;
}

/* One line per host: a comma list in one line is not split by the service (section 1). */
static void judge_hosts(struct consent *c, struct str hosts)
{
    bool any = any_allowed(c->allowed, c->allowed_count);
    struct str host;

    while (str__split(&hosts, ',', &host)) {
        host = str__trim(host);
        if (host.len == 0)
            continue;
        c->asked = true;
        if (!any && host_allowed(host, c->allowed, c->allowed_count))
            allow(c, host);
    }
}

static void refuse(struct http_response *res, int status)
{
    *res = (struct http_response){.status = status};
}

void event__validate(struct arena *a, const struct http_request *req, const struct str *allowed,
                     size_t allowed_count, struct http_response *res, struct diag *diag)
{
    struct consent c = {.arena = a, .allowed = allowed, .allowed_count = allowed_count, .res = res};

    *res = (struct http_response){.status = 200};
    for (size_t i = 0; i < req->headers.count; i++) {
        if (str__eq_nocase(req->headers.items[i].name, REQUEST_ORIGIN))
            judge_hosts(&c, req->headers.items[i].value);
    }
    if (c.asked && any_allowed(allowed, allowed_count))
        allow(&c, STR("*"));
    /* The CloudEvents webhook specification wants to be told the method of deliveries. */
    if (!http__add(a, &res->headers, STR("Allow"), STR("POST")))
        c.failed = true;
    if (!c.asked) {
        diag__set(diag, PH_ERR_SYNTAX,
                  "this is a webhook for Web PubSub events: send events with POST, or validate "
                  "with OPTIONS and the header WebHook-Request-Origin");
        refuse(res, 400);
    } else if (!c.given) {
        diag__set(diag, PH_ERR_FORBIDDEN, "no host in WebHook-Request-Origin is allowed");
        refuse(res, 403);
    } else if (c.failed) {
        diag__set(diag, PH_ERR_MEMORY, "out of memory");
        refuse(res, 500);
    }
}

bool event__validation_request(struct arena *a, struct str origin, struct http_request *out)
{
    out->headers = (struct http_headers){0};
    out->body = STR_NONE;
    return http__add(a, &out->headers, REQUEST_ORIGIN, origin) &&
           http__add(a, &out->headers, STR("ce-awpsversion"), STR("1.0"));
}

/* Consent is the header, never the status alone. */
bool event__validation_consent(const struct http_response *res, struct str origin,
                               struct diag *diag)
{
    struct str came;

    if (res->status < 200 || res->status > 299) {
        diag__set(diag, PH_ERR_FORBIDDEN,
                  "the handler answered the validation request with status %d, expected 2xx",
                  res->status);
        return false;
    }
    for (size_t i = 0; i < res->headers.count; i++) {
        struct str value = str__trim(res->headers.items[i].value);

        if (str__eq_nocase(res->headers.items[i].name, ALLOWED_ORIGIN) &&
            (str__eq(value, STR("*")) || str__eq_nocase(value, origin)))
            return true;
    }
    came = http__get(&res->headers, ALLOWED_ORIGIN);
    diag__set(diag, PH_ERR_FORBIDDEN, "expected a header " ALLOWED " with * or %.*s, but %s%.*s",
              STR_FMT(origin), came.ptr ? "it is " : "there is none", STR_FMT(came));
    return false;
}
