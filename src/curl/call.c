#include "curl/call.h"

#include <stdio.h>

#define CONNECT_MS 10000      /* for name, TCP and TLS; then it counts as a transport error */
#define ARENA_MAX (1u << 20)  /* lines of the request's headers, later those of the response */
#define KEPT_BODY (64u << 10) /* memory for bodies that is kept for the next response */

/* --- the request ----------------------------------------------------------------- */

/* curl leaves a header without value out unless it ends in a semicolon; an empty
 * ce-connectionState must go out as empty (event-handler section 2.1). */
static bool add_header(struct call *c, struct str name, struct str value)
{
    const char *line = value.len > 0
                           ? arena__printf(&c->arena, "%.*s: %.*s", STR_FMT(name), STR_FMT(value))
                           : arena__printf(&c->arena, "%.*s;", STR_FMT(name));
    struct curl_slist *list = line ? curl_slist_append(c->headers, line) : NULL;

    if (!list)
        return false;
    c->headers = list;
    return true;
}

/* What curl would add by itself: nothing goes out that the encoder did not ask for. */
static bool suppress(struct call *c, const char *line)
{
    struct curl_slist *list = curl_slist_append(c->headers, line);

    if (!list)
        return false;
    c->headers = list;
    return true;
}

static bool add_headers(struct call *c, const struct http_request *http, struct str bearer)
{
    bool ok = suppress(c, "Expect:") && suppress(c, "Accept:");

    if (ok && http__count(&http->headers, STR("Content-Type")) == 0)
        ok = suppress(c, "Content-Type:");
    if (ok && bearer.ptr)
        ok = add_header(c, STR("Authorization"),
                        str__of(arena__printf(&c->arena, "Bearer %.*s", STR_FMT(bearer))));
    for (size_t i = 0; ok && i < http->headers.count; i++) {
        const struct http_header *h = &http->headers.items[i];

        ok = add_header(c, h->name, h->value);
    }
    return ok;
}

static size_t on_header(char *line, size_t size, size_t count, void *arg);
static size_t on_body(char *data, size_t size, size_t count, void *arg);

static void set_constant_options(struct call *c)
{
    CURL *easy = c->easy;

    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, c->error);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)c->limits.body);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, c);
}

static CURLcode set_body(CURL *easy, struct str body)
{
    CURLcode code = curl_easy_setopt(easy, CURLOPT_POST, 1L);

    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.len > 0 ? body.ptr : "");
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    return code;
}

/* POST and PUT always have a body, be it empty; other methods have one when there is one. */
static CURLcode set_method(CURL *easy, const struct http_request *http, const char *method)
{
    bool post = str__eq(http->method, STR("POST")), head = str__eq(http->method, STR("HEAD"));
    bool has_body = post || str__eq(http->method, STR("PUT")) || http->body.len > 0;
    CURLcode code =
        has_body ? set_body(easy, http->body) : curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);

    if (!code && head)
        code = curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    /* also to forget the method of the request before */
    return code ? code
                : curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, post || head ? NULL : method);
}

/* libcurl's own file is the system's. Debian's libcurl looks into the system's folder of
 * certificates besides, so that a private issuer comes on top. */
static CURLcode set_issuers(struct call *c, struct str ca_file)
{
    const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
    const char *path = curl->cainfo;

    if (ca_file.ptr)
        path = arena__strdup(&c->arena, ca_file);
    if (ca_file.ptr && !path)
        return CURLE_OUT_OF_MEMORY;
    return curl_easy_setopt(c->easy, CURLOPT_CAINFO, path);
}

/* Over TLS the first connection may turn out to be HTTP/2, which takes many requests. */
static CURLcode set_pipe_wait(CURL *easy, struct str url)
{
    bool tls = str__starts_with_nocase(url, STR("https:"));

    return curl_easy_setopt(easy, CURLOPT_PIPEWAIT, tls ? 1L : 0L);
}

bool call__prepare(struct call *c, const struct call_request *req)
{
    char *url, *method;
    CURLcode code;

    if (!add_headers(c, req->http, req->bearer))
        return false;
    url = arena__strdup(&c->arena, req->url);
    method = arena__strdup(&c->arena, req->http->method);
    if (!url || !method)
        return false;
    code = curl_easy_setopt(c->easy, CURLOPT_URL, url); /* copies, as all but POSTFIELDS */
    if (!code)
        code = set_issuers(c, req->ca_file);
    if (!code)
        code = set_pipe_wait(c->easy, req->url);
    if (!code)
        code = set_method(c->easy, req->http, method);
    if (!code)
        code = curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
    arena__reset(&c->arena);
    return code == CURLE_OK;
}

/* --- the response --------------------------------------------------------------- */

static bool give_up(struct call *c, const char *why)
{
    c->broken = why;
    return false;
}

/* A status line: what came before belonged to a 1xx. */
static bool start_response(struct call *c)
{
    arena__reset(&c->arena);
    c->response = (struct http_response){0};
    c->header_bytes = 0;
    return true;
}

static bool end_of_headers(struct call *c)
{
    long status = 0;

    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 101)
        return give_up(c, "it switches protocols (101), which nobody asked for");
    if (status < 200)
        return ++c->interims <= HTTP_MAX_INTERIMS ||
               give_up(c, "interim responses (1xx) without end");
    c->response.status = (int)status;
    c->has_headers = true;
    if (c->headers_came)
        c->headers_came(c);
    return true;
}

static bool keep_header(struct call *c, struct str line)
{
    struct http_headers *headers = &c->response.headers;
    struct str value = line, name;

    str__split(&value, ':', &name);
    value = str__trim(value);
    c->header_bytes += name.len + value.len;
    if (headers->count == c->limits.headers || c->header_bytes > c->limits.header_bytes)
        return give_up(c, "the headers of its answer are too many or too large");
    name.ptr = arena__strdup(&c->arena, name);
    value.ptr = arena__strdup(&c->arena, value);
    if (!name.ptr || !value.ptr || !http__add(&c->arena, headers, name, value))
        return give_up(c, "out of memory");
    return true;
}

static bool take_line(struct call *c, struct str line)
{
    if (c->has_headers) /* trailers mean nothing here */
        return true;
    while (line.len > 0 && (line.ptr[line.len - 1] == '\r' || line.ptr[line.len - 1] == '\n'))
        line.len--;
    if (line.len == 0)
        return end_of_headers(c);
    if (str__starts_with(line, STR("HTTP/")))
        return start_response(c);
    return keep_header(c, line);
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
    return take_line(arg, str__n(line, size * count)) ? size * count : CURL_WRITEFUNC_ERROR;
}

static bool over_limit(struct call *c)
{
    snprintf(c->limit_text, sizeof(c->limit_text), "its answer is larger than the limit of %zu %s",
             c->limits.body >> (c->limits.body >> 20 ? 20 : 0),
             c->limits.body >> 20 ? "MiB" : "bytes");
    return give_up(c, c->limit_text);
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct call *c = arg;

    buf__append(&c->body, data, size * count);
    if (!c->body.failed)
        return size * count;
    if (c->body.len + size * count > c->body.max)
        over_limit(c);
    else
        give_up(c, "out of memory");
    return CURL_WRITEFUNC_ERROR;
}

const struct http_response *call__response(struct call *c, CURLcode code)
{
    if (code != CURLE_OK || !c->has_headers)
        return NULL;
    c->response.body = buf__view(&c->body);
    return &c->response;
}

const char *call__problem(const struct call *c, CURLcode code)
{
    if (c->broken)
        return c->broken;
    return c->error[0] ? c->error : curl_easy_strerror(code);
}

/* --- life -------------------------------------------------------------------------- */

bool call__init(struct call *c, const struct call_limits *limits)
{
    *c = (struct call){.easy = curl_easy_init(), .limits = *limits};
    if (!c->easy)
        return false;
    arena__init(&c->arena, NULL, 0, ARENA_MAX);
    buf__init(&c->body, limits->body);
    set_constant_options(c);
    return true;
}

void call__reset(struct call *c)
{
    curl_slist_free_all(c->headers);
    c->headers = NULL;
    arena__reset(&c->arena);
    if (c->body.cap > KEPT_BODY)
        buf__free(&c->body);
    buf__reset(&c->body);
    c->response = (struct http_response){0};
    c->header_bytes = 0;
    c->interims = 0;
    c->has_headers = false;
    c->broken = NULL;
    c->error[0] = '\0';
}

void call__free(struct call *c)
{
    call__reset(c);
    buf__free(&c->body);
    curl_easy_cleanup(c->easy);
}
