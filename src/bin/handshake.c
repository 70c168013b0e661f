#include "bin/handshake.h"

#include "base/clock.h"
#include "event/event.h"

#include <time.h>

/* For an OPTIONS or GET with its tries (section 1). */
#define OPERATION_MS 10000

static const unsigned pauses_s[] = {1, 3, 5};
#define PAUSE_COUNT (sizeof(pauses_s) / sizeof(*pauses_s))

/* --- problems ---------------------------------------------------------------------------- */

static const struct {
    CURLcode code;
    struct handshake_problem problem;
} unreachable[] = {
    {CURLE_COULDNT_RESOLVE_HOST,
     {"name-not-found", "its host name is not found",
      "check the spelling; the service looks names up from the internet"}},
    {CURLE_COULDNT_CONNECT,
     {"no-connection", "nobody accepts connections there",
      "start the handler, and check the port and the firewall"}},
    {CURLE_OPERATION_TIMEDOUT,
     {"timeout", "it does not answer within 10 seconds",
      "check that no firewall drops the packets and that the handler is not stuck"}},
    {CURLE_PEER_FAILED_VERIFICATION,
     {"certificate", "its certificate is not trusted",
      "have it issued for the name in the URL by an authority that the service knows, and let the "
      "server send the intermediate certificates; for a private issuer, try --ca-file"}},
    {CURLE_SSL_CACERT_BADFILE,
     {"ca-file", "the file of issuers cannot be read", "give a PEM file as --ca-file"}},
    {CURLE_SSL_CONNECT_ERROR,
     {"tls", "it does not speak TLS as expected",
      "if it serves plain HTTP, use http:// (the service in the cloud accepts https:// alone)"}},
    {CURLE_GOT_NOTHING,
     {"no-answer", "it closes the connection without an answer",
      "look at the handler's log; if it serves TLS, use https://"}},
    {CURLE_RECV_ERROR,
     {"no-answer", "it breaks the connection off",
      "look at the handler's log; if it serves TLS, use https://"}},
    {CURLE_WEIRD_SERVER_REPLY,
     {"not-http", "what listens there does not speak HTTP", "check the port"}},
    {CURLE_UNSUPPORTED_PROTOCOL,
     {"not-http",
      "what listens there does not speak HTTP/1.1, or the URL does not begin with "
      "http:// or https://",
      "check the port and the URL"}},
};

static const struct handshake_problem no_answer = {
    "no-answer", "there is no answer", "look at the handler's log and at what stands before it"};

static const struct {
    int first, last;
    struct handshake_problem problem;
} statuses[] = {
    {300,
     399,
     {"redirect", "it redirects, which the service does not follow",
      "give the URL that it redirects to, or serve the handler at this one"}},
    {400,
     400,
     {"bad-request", "it calls the request bad",
      "if WebHook-Request-Origin or ce-awpsversion is lost on the way, let the proxy pass all "
      "headers on"}},
    {401,
     401,
     {"unauthorized", "it wants a login, and the validation has none",
      "let OPTIONS requests through without authentication, or put the key of a function into the "
      "URL (?code=...)"}},
    {403,
     403,
     {"forbidden", "it refuses this service",
      "allow the origin (pubhookd --allowed-origin, ph_app_allow_origin), or see what a proxy or "
      "firewall forbids"}},
    {404,
     404,
     {"not-found", "there is nothing at this path, for OPTIONS nor for GET",
      "compare the path with the handler's (pubhookd --path; default /eventhandler)"}},
    {405,
     405,
     {"method", "it does not allow OPTIONS, and GET is tried after 404 alone",
      "route OPTIONS requests to the handler; CORS settings of a web server often take them"}},
    {408, 408, {"timeout", "it says that the request took too long", "look at the handler's log"}},
    {429,
     429,
     {"too-many", "it says that there are too many requests",
      "exempt the service from the limit of requests"}},
    {500,
     599,
     {"server-error", "it fails",
      "look at the handler's log; behind a proxy, 502 and 504 mean that the handler is down or "
      "slow"}},
};

static const struct handshake_problem other_status = {
    "status", "its answer is neither a success nor a failure that is known",
    "answer OPTIONS with 200 and WebHook-Allowed-Origin"};
static const struct handshake_problem no_consent = {
    "no-consent", "it answers without WebHook-Allowed-Origin",
    "is this the event handler? Answer OPTIONS with WebHook-Allowed-Origin: * or the origin; a "
    "proxy must pass the header on"};
static const struct handshake_problem comma_list = {
    "comma-list", "its WebHook-Allowed-Origin is a list in one line, which is not split",
    "send one WebHook-Allowed-Origin line for each origin, or *"};
static const struct handshake_problem other_origin = {
    "other-origin", "its WebHook-Allowed-Origin allows other origins",
    "allow this origin: the host name alone, without scheme and port, or *"};
static const struct handshake_problem out_of_memory = {"memory", "there is no memory left",
                                                       "free "
                                                       "some"};

static const struct handshake_problem *problem_of_code(CURLcode code)
{
    for (size_t i = 0; i < sizeof(unreachable) / sizeof(*unreachable); i++) {
        if (unreachable[i].code == code)
            return &unreachable[i].problem;
    }
    return &no_answer;
}

static const struct handshake_problem *problem_of_status(int status)
{
    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
        if (status >= statuses[i].first && status <= statuses[i].last)
            return &statuses[i].problem;
    }
    return &other_status;
}

/* --- judging an answer -------------------------------------------------------------------- */

/* Each host of the list must be consented to. */
static bool consents(const struct http_response *res, struct str origins, struct diag *detail)
{
    struct str host;

    while (str__split(&origins, ',', &host)) {
        if (!event__validation_consent(res, str__trim(host), detail))
            return false;
    }
    detail->text[0] = '\0';
    return true;
}

static const struct handshake_problem *judge(const struct handshake *h,
                                             const struct http_response *res, struct diag *detail)
{
    struct str allowed = http__get(&res->headers, STR("WebHook-Allowed-Origin"));

    detail->text[0] = '\0';
    if (res->status / 100 != 2) {
        struct str location = http__get(&res->headers, STR("Location"));

        if (res->status / 100 == 3 && location.ptr)
            diag__set(detail, PH_OK, "to %.*s", STR_FMT(location));
        return problem_of_status(res->status);
    }
    if (consents(res, h->origin, detail))
        return NULL;
    if (!allowed.ptr)
        detail->text[0] = '\0';
    if (!allowed.ptr)
        return &no_consent;
    return memchr(allowed.ptr, ',', allowed.len) ? &comma_list : &other_origin;
}

/* --- asking --------------------------------------------------------------------------------- */

struct asked {
    const struct http_response *res; /* NULL: none */
    CURLcode code;
};

static bool is_retried(const struct asked *a)
{
    return !a->res || a->res->status == 408 || a->res->status / 100 == 5;
}

static void rest(unsigned seconds)
{
    struct timespec time = {.tv_sec = (time_t)seconds};

    nanosleep(&time, NULL);
}

static void report(const struct handshake *h, const char *method, const struct asked *a,
                   unsigned again_s)
{
    if (h->seen)
        h->seen(h->arg, method, a->res, a->res ? NULL : call__problem(h->call, a->code), again_s);
}

static bool ask_once(const struct handshake *h, const char *method, int64_t left_ms,
                     struct asked *out)
{
    struct arena arena;
    struct http_request req = {.method = str__of(method)};
    struct call_request call = {.url = h->url, .http = &req, .ca_file = h->ca_file};
    bool ok;

    arena__init(&arena, NULL, 0, 65536);
    call__reset(h->call);
    ok = event__validation_request(&arena, h->origin, &req) && call__prepare(h->call, &call);
    if (ok) {
        curl_easy_setopt(h->call->easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
        out->code = curl_easy_perform(h->call->easy);
        out->res = call__response(h->call, out->code);
    }
    arena__free(&arena);
    return ok;
}

/* With its tries. False: out of memory. */
static bool ask(const struct handshake *h, const char *method, struct asked *out)
{
    int64_t end = clock__mono_ms() + OPERATION_MS;

    for (size_t n = 0;; n++) {
        int64_t now = clock__mono_ms();
        unsigned pause = n < PAUSE_COUNT && !h->once ? pauses_s[n] : 0;

        if (!ask_once(h, method, end > now ? end - now : 1, out))
            return false;
        if (!is_retried(out) || clock__mono_ms() + pause * 1000 >= end)
            pause = 0;
        report(h, method, out, pause);
        if (pause == 0)
            return true;
        rest(pause);
    }
}

const struct handshake_problem *handshake__run(const struct handshake *h, struct diag *detail)
{
    struct asked asked;
    bool ok = ask(h, "OPTIONS", &asked);

    detail->text[0] = '\0';
    if (ok && asked.res && asked.res->status == 404)
        ok = ask(h, "GET", &asked);
    if (!ok)
        return &out_of_memory;
    if (asked.res)
        return judge(h, asked.res, detail);
    diag__set(detail, PH_OK, "%s", call__problem(h->call, asked.code));
    return problem_of_code(asked.code);
}
