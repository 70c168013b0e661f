#include "service/attempt.h"

#include <stdlib.h>

#define MAX_HEADERS 100
#define MAX_HEADER_BYTES (32u << 10)

/* --- What goes out ------------------------------------------------------------------- */

static size_t give_body(char *to, size_t size, size_t count, void *arg)
{
    struct attempt *t = arg;
    size_t n = size * count < t->upload.len ? size * count : t->upload.len;

    memcpy(to, t->upload.ptr, n);
    t->upload = str__n(t->upload.ptr + n, t->upload.len - n);
    return n;
}

/* libcurl sends a request again by itself when a connection that was used before dies before
 * an answer: the service may have read it all the same. It cannot when the body comes from a
 * function that cannot rewind; a request without body gets a fresh connection. */
static CURLcode set_once(struct attempt *t, const struct outgoing *out, bool once)
{
    CURL *c = t->call.easy;
    bool streams = once && out->http.body.len > 0;
    CURLcode code = CURLE_OK;

    t->upload = out->http.body;
    if (streams)
        code = curl_easy_setopt(c, CURLOPT_POSTFIELDS, NULL);
    if (!code && streams)
        code = curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->upload.len);
    if (!code)
        code = curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, once && !streams ? 1L : 0L);
    return code;
}

bool attempt__set(struct attempt *t, const struct outgoing *out, struct str address,
                  struct str bearer, bool once, int64_t timeout_ms)
{
    const struct call_request request = {.url = address,
                                         .http = &out->http,
                                         .bearer = bearer,
                                         .ca_file = str__of(t->options->ca_file)};
    long ms = timeout_ms > 0 ? (long)timeout_ms : 1;

    return call__prepare(&t->call, &request) && set_once(t, out, once) == CURLE_OK &&
           curl_easy_setopt(t->call.easy, CURLOPT_TIMEOUT_MS, ms) == CURLE_OK;
}

/* --- What became of it --------------------------------------------------------------- */

struct failure {
    CURLcode code;
    enum try_end end;
    enum ph_err err;
    const char *hint;
};

static const struct failure failures[] = {
    {CURLE_COULDNT_CONNECT, TRY_NOT_SENT, PH_ERR_SYSTEM,
     "is the service there, and the port right?"},
    {CURLE_COULDNT_RESOLVE_HOST, TRY_NOT_SENT, PH_ERR_SYSTEM, "is the endpoint's host name right?"},
    {CURLE_COULDNT_RESOLVE_PROXY, TRY_NOT_SENT, PH_ERR_SYSTEM, "is the proxy's name right?"},
    {CURLE_PROXY, TRY_NOT_SENT, PH_ERR_SYSTEM, "the proxy refused"},
    {CURLE_SSL_CONNECT_ERROR, TRY_NOT_SENT, PH_ERR_SYSTEM,
     "if it does not speak TLS, the endpoint must begin with http://"},
    {CURLE_PEER_FAILED_VERIFICATION, TRY_FINAL, PH_ERR_AUTH,
     "a private issuer's certificate goes into ca_file; the endpoint's host must be in the "
     "certificate"},
    {CURLE_SSL_CACERT_BADFILE, TRY_FINAL, PH_ERR_CONFIG,
     "ca_file must be a PEM file that can be read"},
    {CURLE_URL_MALFORMAT, TRY_FINAL, PH_ERR_ARGUMENT, "is the endpoint a URL?"},
    {CURLE_UNSUPPORTED_PROTOCOL, TRY_UNKNOWN, PH_ERR_SYNTAX, "does an HTTP server listen there?"},
    {CURLE_FILESIZE_EXCEEDED, TRY_FINAL, PH_ERR_LIMIT, "its answer is larger than max_answer"},
    {CURLE_OUT_OF_MEMORY, TRY_FINAL, PH_ERR_MEMORY, NULL},
    {CURLE_WEIRD_SERVER_REPLY, TRY_UNKNOWN, PH_ERR_SYNTAX, "does an HTTP server listen there?"},
};

static struct failure failure_of(CURLcode code)
{
    for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
        if (failures[i].code == code)
            return failures[i];
    }
    return (struct failure){code, TRY_UNKNOWN, PH_ERR_SYSTEM, NULL};
}

/* Did it get so far that the request went out? */
static bool had_connection(const struct attempt *t)
{
    curl_off_t us = 0;

    curl_easy_getinfo(t->call.easy, CURLINFO_PRETRANSFER_TIME_T, &us);
    return us > 0;
}

static enum ph_err error_of(const struct attempt *t, const struct failure *f)
{
    if (!t->call.broken)
        return f->err;
    return strcmp(t->call.broken, "out of memory") == 0 ? PH_ERR_MEMORY : PH_ERR_LIMIT;
}

static struct try_result fail(struct attempt *t, const struct operation *o, CURLcode code,
                              struct ph_service_result *result)
{
    struct failure f = failure_of(code);

    if (code == CURLE_OPERATION_TIMEDOUT && !had_connection(t))
        f.end = TRY_NOT_SENT;
    if (t->call.broken)
        f.end = TRY_FINAL;
    result->status = 0;
    result__fail(result, error_of(t, &f), "%s: %s%s%s", o->name, call__problem(&t->call, code),
                 f.hint ? ": " : "", f.hint ? f.hint : "");
    return (struct try_result){.end = f.end, .retry_after_ms = -1};
}

static int64_t retry_after(CURL *c)
{
    curl_off_t seconds = 0;

    curl_easy_getinfo(c, CURLINFO_RETRY_AFTER, &seconds);
    return seconds > 0 ? (int64_t)seconds * 1000 : -1;
}

struct try_result attempt__end(struct attempt *t, const struct operation *operation, CURLcode code,
                               struct ph_service_result *result)
{
    const struct http_response *response = call__response(&t->call, code);

    if (!response)
        return fail(t, operation, code, result);
    result__read(result, operation, response);
    return (struct try_result){.end = TRY_ANSWERED,
                               .status = response->status,
                               .retry_after_ms = retry_after(t->call.easy)};
}

/* --- Life ---------------------------------------------------------------------------- */

static CURLcode set_choices(struct attempt *t, const struct attempt_options *o)
{
    CURL *c = t->call.easy;
    CURLcode code = curl_easy_setopt(c, CURLOPT_USERAGENT, o->user_agent);

    if (!code && o->proxy)
        code = curl_easy_setopt(c, CURLOPT_PROXY, o->proxy);
    if (!code)
        code = curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_timeout_ms);
    if (!code)
        code = curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    if (!code)
        code = curl_easy_setopt(c, CURLOPT_READFUNCTION, give_body);
    if (!code)
        code = curl_easy_setopt(c, CURLOPT_READDATA, t);
    return code;
}

struct attempt *attempt__open(const struct attempt_options *options)
{
    const struct call_limits limits = {
        .headers = MAX_HEADERS, .header_bytes = MAX_HEADER_BYTES, .body = options->max_answer};
    struct attempt *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->options = options;
    if (!call__init(&t->call, &limits)) {
        free(t);
        return NULL;
    }
    if (set_choices(t, options) == CURLE_OK)
        return t;
    attempt__close(t);
    return NULL;
}

/* The token was in the header lines. */
void attempt__rest(struct attempt *t)
{
    for (struct curl_slist *line = t->call.headers; line; line = line->next)
        explicit_bzero(line->data, strlen(line->data));
    call__reset(&t->call);
    t->upload = STR_NONE;
}

void attempt__close(struct attempt *t)
{
    if (!t)
        return;
    attempt__rest(t);
    call__free(&t->call);
    free(t);
}
