#include "broker/net/transfer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECT_MS 10000      /* for name, TCP and TLS; then it counts as a transport error */
#define ARENA_MAX (1u << 20)  /* lines of the request's headers, later those of the response */
#define KEPT_BODY (64u << 10) /* memory for bodies that is kept for the next response */

/* --- the request ----------------------------------------------------------------- */

/* curl leaves a header without value out unless it ends in a semicolon; an empty
 * ce-connectionState must go out as empty (event-handler section 2.1). */
static bool add_header(struct transfer *t, struct str name, struct str value)
{
    const char *line = value.len > 0
                           ? arena__printf(&t->arena, "%.*s: %.*s", STR_FMT(name), STR_FMT(value))
                           : arena__printf(&t->arena, "%.*s;", STR_FMT(name));
    struct curl_slist *list = line ? curl_slist_append(t->headers, line) : NULL;

    if (!list)
        return false;
    t->headers = list;
    return true;
}

/* What curl would add by itself: nothing goes out that the encoder did not ask for. */
static bool suppress(struct transfer *t, const char *line)
{
    struct curl_slist *list = curl_slist_append(t->headers, line);

    if (!list)
        return false;
    t->headers = list;
    return true;
}

static bool add_headers(struct transfer *t, const struct http_request *http, struct str bearer)
{
    bool ok = suppress(t, "Expect:") && suppress(t, "Accept:");

    if (ok && http__count(&http->headers, STR("Content-Type")) == 0)
        ok = suppress(t, "Content-Type:");
    if (ok && bearer.ptr)
        ok = add_header(t, STR("Authorization"),
                        str__of(arena__printf(&t->arena, "Bearer %.*s", STR_FMT(bearer))));
    for (size_t i = 0; ok && i < http->headers.count; i++) {
        const struct http_header *h = &http->headers.items[i];

        ok = add_header(t, h->name, h->value);
    }
    return ok;
}

static size_t on_header(char *line, size_t size, size_t count, void *arg);
static size_t on_body(char *data, size_t size, size_t count, void *arg);

static void set_constant_options(struct transfer *t)
{
    CURL *c = t->easy;

    curl_easy_setopt(c, CURLOPT_PRIVATE, t);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)UPSTREAM_MAX_RESPONSE);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
}

static CURLcode set_method(CURL *c, const struct http_request *http, const char *method)
{
    CURLcode code;

    if (!str__eq(http->method, STR("POST"))) {
        code = curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
        return code ? code : curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
    }
    code = curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, NULL);
    if (!code)
        code = curl_easy_setopt(c, CURLOPT_POST, 1L);
    if (!code)
        code = curl_easy_setopt(c, CURLOPT_POSTFIELDS, http->body.len > 0 ? http->body.ptr : "");
    if (!code)
        code = curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)http->body.len);
    return code;
}

/* libcurl's own file is the system's. Debian's libcurl looks into the system's folder of
 * certificates besides, so that a private issuer comes on top. */
static CURLcode set_issuers(struct transfer *t, struct str ca_file)
{
    const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
    const char *path = curl->cainfo;

    if (ca_file.ptr)
        path = arena__strdup(&t->arena, ca_file);
    if (ca_file.ptr && !path)
        return CURLE_OUT_OF_MEMORY;
    return curl_easy_setopt(t->easy, CURLOPT_CAINFO, path);
}

/* Over TLS the first connection may turn out to be HTTP/2, which takes many requests. */
static CURLcode set_pipe_wait(CURL *c, struct str url)
{
    bool tls = str__starts_with_nocase(url, STR("https:"));

    return curl_easy_setopt(c, CURLOPT_PIPEWAIT, tls ? 1L : 0L);
}

bool transfer__prepare(struct transfer *t, const struct upstream_request *req)
{
    char *url, *method;
    CURLcode code;

    t->timeout_ms = req->timeout_ms;
    if (!add_headers(t, req->http, req->bearer))
        return false;
    url = arena__strdup(&t->arena, req->url);
    method = arena__strdup(&t->arena, req->http->method);
    if (!url || !method)
        return false;
    code = curl_easy_setopt(t->easy, CURLOPT_URL, url); /* copies, as all but POSTFIELDS */
    if (!code)
        code = set_issuers(t, req->ca_file);
    if (!code)
        code = set_pipe_wait(t->easy, req->url);
    if (!code)
        code = set_method(t->easy, req->http, method);
    if (!code)
        code = curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    arena__reset(&t->arena);
    return code == CURLE_OK;
}

/* --- the response --------------------------------------------------------------- */

static bool give_up(struct transfer *t, const char *why)
{
    t->broken = why;
    return false;
}

/* A status line: what came before belonged to a 1xx. */
static bool start_response(struct transfer *t)
{
    arena__reset(&t->arena);
    t->response = (struct http_response){0};
    t->header_bytes = 0;
    return true;
}

static bool end_of_headers(struct transfer *t)
{
    long status = 0;

    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200)
        return true;
    t->response.status = (int)status;
    t->has_headers = true;
    t->headers_came(t);
    return true;
}

static bool keep_header(struct transfer *t, struct str line)
{
    struct http_headers *headers = &t->response.headers;
    struct str value = line, name;

    str__split(&value, ':', &name);
    value = str__trim(value);
    t->header_bytes += name.len + value.len;
    if (headers->count == WEBHOOK_MAX_HEADERS || t->header_bytes > WEBHOOK_MAX_HEADER_BYTES)
        return give_up(t, "the headers of its answer are too many or too large");
    name.ptr = arena__strdup(&t->arena, name);
    value.ptr = arena__strdup(&t->arena, value);
    if (!name.ptr || !value.ptr || !http__add(&t->arena, headers, name, value))
        return give_up(t, "out of memory");
    return true;
}

static bool take_line(struct transfer *t, struct str line)
{
    if (t->has_headers) /* trailers mean nothing here */
        return true;
    while (line.len > 0 && (line.ptr[line.len - 1] == '\r' || line.ptr[line.len - 1] == '\n'))
        line.len--;
    if (line.len == 0)
        return end_of_headers(t);
    if (str__starts_with(line, STR("HTTP/")))
        return start_response(t);
    return keep_header(t, line);
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
    return take_line(arg, str__n(line, size * count)) ? size * count : CURL_WRITEFUNC_ERROR;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;

    buf__append(&t->body, data, size * count);
    if (!t->body.failed)
        return size * count;
    give_up(t, t->body.len + size * count > t->body.max
                   ? "its answer is larger than the limit of 16 MiB"
                   : "out of memory");
    return CURL_WRITEFUNC_ERROR;
}

/* --- outcomes -------------------------------------------------------------------- */

struct failure {
    CURLcode code;
    bool final;       /* another try would end the same way */
    const char *what; /* NULL: curl's own text */
    const char *hint;
    enum metric_failure kind;
};

static const struct failure failures[] = {
    {CURLE_COULDNT_CONNECT, false, NULL, "is it running?", FAILURE_CONNECT},
    {CURLE_COULDNT_RESOLVE_HOST, false, NULL, "is the host name right?", FAILURE_CONNECT},
    {CURLE_COULDNT_RESOLVE_PROXY, false, NULL, "are http_proxy and no_proxy right?",
     FAILURE_CONNECT},
    {CURLE_URL_MALFORMAT, true, "the URL is malformed", "correct it in the settings",
     FAILURE_OTHER},
    {CURLE_UNSUPPORTED_PROTOCOL, true, NULL,
     "the URL must start with http:// or https://, and "
     "the handler must speak HTTP/1.1 or later",
     FAILURE_OTHER},
    {CURLE_WEIRD_SERVER_REPLY, true, NULL, "does an HTTP server listen there?", FAILURE_BAD_ANSWER},
    {CURLE_GOT_NOTHING, false, "closed the connection without an answer",
     "does an HTTP server listen there, and did it survive the request?", FAILURE_CONNECT},
    {CURLE_PARTIAL_FILE, false, "closed the connection in the middle of its answer",
     "did it survive the request?", FAILURE_BAD_ANSWER},
    {CURLE_FILESIZE_EXCEEDED, true, "its answer is larger than the limit of 16 MiB", NULL,
     FAILURE_BAD_ANSWER},
    {CURLE_PEER_FAILED_VERIFICATION, true, NULL,
     "give the issuer's certificate as the caFile of the handler, or add it to the system's; the "
     "name in the URL must be in the certificate",
     FAILURE_CONNECT},
    {CURLE_SSL_CONNECT_ERROR, false, NULL, "if it does not speak TLS, use http://",
     FAILURE_CONNECT},
    {CURLE_OUT_OF_MEMORY, true, "out of memory", NULL, FAILURE_OTHER},
};

static const struct failure *failure_of(CURLcode code)
{
    static const struct failure other = {CURLE_OK, false, NULL, NULL, FAILURE_OTHER};

    for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
        if (failures[i].code == code)
            return &failures[i];
    }
    return &other;
}

static const char *what_happened(const struct transfer *t, const struct failure *f, CURLcode code)
{
    long os_errno = 0;

    curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
    if (code == CURLE_COULDNT_CONNECT && os_errno == ECONNREFUSED)
        return "refused connection";
    if (f->what)
        return f->what;
    return t->error[0] ? t->error : curl_easy_strerror(code);
}

struct exchange_result transfer__result(struct transfer *t, CURLcode code)
{
    const struct failure *f = failure_of(code);

    if (code == CURLE_OK && t->has_headers) {
        t->response.body = buf__view(&t->body);
        return (struct exchange_result){.response = &t->response};
    }
    if (t->broken)
        return (struct exchange_result){.why = t->broken, .failure = FAILURE_BAD_ANSWER};
    snprintf(t->why, sizeof(t->why), "%s%s%s", what_happened(t, f, code), f->hint ? ": " : "",
             f->hint ? f->hint : "");
    return (struct exchange_result){.why = t->why, .transient = !f->final, .failure = f->kind};
}

/* --- life -------------------------------------------------------------------------- */

struct transfer *transfer__new(void)
{
    struct transfer *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->easy = curl_easy_init();
    if (!t->easy) {
        free(t);
        return NULL;
    }
    arena__init(&t->arena, NULL, 0, ARENA_MAX);
    buf__init(&t->body, UPSTREAM_MAX_RESPONSE);
    set_constant_options(t);
    return t;
}

void transfer__reset(struct transfer *t)
{
    curl_slist_free_all(t->headers);
    t->headers = NULL;
    arena__reset(&t->arena);
    if (t->body.cap > KEPT_BODY)
        buf__free(&t->body);
    buf__reset(&t->body);
    t->response = (struct http_response){0};
    t->header_bytes = 0;
    t->has_headers = false;
    t->broken = NULL;
    t->error[0] = '\0';
}

void transfer__free(struct transfer *t)
{
    transfer__reset(t);
    buf__free(&t->body);
    curl_easy_cleanup(t->easy);
    free(t);
}
