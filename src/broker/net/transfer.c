#include "broker/net/transfer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

bool transfer__prepare(struct transfer *t, const struct upstream_request *req)
{
    const struct call_request request = {
        .url = req->url, .http = req->http, .bearer = req->bearer, .ca_file = req->ca_file};

    t->timeout_ms = req->timeout_ms;
    return call__prepare(&t->call, &request);
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
    {CURLE_SEND_ERROR, false, NULL, "did it survive the request?", FAILURE_CONNECT},
    {CURLE_RECV_ERROR, false, NULL, "did it survive the request?", FAILURE_CONNECT},
    {CURLE_HTTP2, false, NULL, "does its server speak proper HTTP/2?", FAILURE_BAD_ANSWER},
    {CURLE_HTTP2_STREAM, false, NULL, "did it survive the request?", FAILURE_BAD_ANSWER},
    {CURLE_OPERATION_TIMEDOUT, false, NULL, "is it running, and does a firewall let us through?",
     FAILURE_CONNECT}, /* of connecting: our own timer is for the rest */
    {CURLE_SSL_CACERT_BADFILE, true, NULL, "is the caFile still there?", FAILURE_CONNECT},
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
    /* curl's word for such a line, too */
    {CURLE_OUT_OF_MEMORY, true, "a header line of its answer is too large, or memory is out", NULL,
     FAILURE_BAD_ANSWER},
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

    curl_easy_getinfo(t->call.easy, CURLINFO_OS_ERRNO, &os_errno);
    if (code == CURLE_COULDNT_CONNECT && os_errno == ECONNREFUSED)
        return "refused connection";
    if (f->what)
        return f->what;
    return call__problem(&t->call, code);
}

struct exchange_result transfer__result(struct transfer *t, CURLcode code)
{
    const struct http_response *response = call__response(&t->call, code);
    const struct failure *f;

    if (response)
        return (struct exchange_result){.response = response};
    if (code == CURLE_OK) /* curl is content with the beginning of a head */
        code = CURLE_PARTIAL_FILE;
    if (t->call.broken)
        return (struct exchange_result){.why = t->call.broken, .failure = FAILURE_BAD_ANSWER};
    f = failure_of(code);
    snprintf(t->why, sizeof(t->why), "%s%s%s", what_happened(t, f, code), f->hint ? ": " : "",
             f->hint ? f->hint : "");
    return (struct exchange_result){.why = t->why,
                                    .transient = !f->final,
                                    .failure = t->call.has_headers ? FAILURE_BAD_ANSWER : f->kind};
}

/* --- life -------------------------------------------------------------------------- */

struct transfer *transfer__new(void)
{
    static const struct call_limits limits = {WEBHOOK_MAX_HEADERS, WEBHOOK_MAX_HEADER_BYTES,
                                              UPSTREAM_MAX_RESPONSE};
    struct transfer *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    if (!call__init(&t->call, &limits)) {
        free(t);
        return NULL;
    }
    curl_easy_setopt(t->call.easy, CURLOPT_PRIVATE, t);
    return t;
}

void transfer__reset(struct transfer *t)
{
    call__reset(&t->call);
}

void transfer__free(struct transfer *t)
{
    call__free(&t->call);
    free(t);
}
