#include "broker/net/request.h"
#include "base/exposition.h"

#include "base/clock.h"
#include "broker/metrics/metrics_text.h"
#include "broker/net/front.h"
#include "broker/net/metrics_page.h"
#include "broker/net/relay.h"
#include "broker/rest/route.h"
#include "entra/entra_keys.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define HOLD (-1) /* of endpoint.begin: try again when request__release says so */
#define MAX_RAW_HEAD 4096
#define SHUTDOWN_TEXT "the service is shutting down"

static const struct http_limits head_limits = {FRONT_MAX_HEADERS, FRONT_MAX_HEADER_BYTES};

/* What answers a request. `begin` judges its head: 0, a status with the response
 * filled in, or HOLD. `work` has the body too and returns true when the response is there, false
 * when request_answered will say so. */
struct endpoint {
    bool (*serves)(struct str path);
    int (*begin)(struct request *r);
    bool (*work)(struct request *r);
    void (*unavailable)(struct request *r, const char *why);      /* fills in a 503 */
    void (*tell)(struct request *r, int status, const char *why); /* the log, that it is refused */
    void (*end)(struct request *r);
};

/* --- Refusals --------------------------------------------------------------------- */

/* One line of the log for each refusal. Without the query, which may hold a token. */
static void log_refusal(struct request *r, const char *what, int status, const char *why)
{
    char peer[FRONT_PEER_MAX];
    const char *call =
        arena__printf(&r->arena, "%.*s %.*s", STR_FMT(r->http.method), STR_FMT(r->http.path));

    front__peer(r->mhd, peer);
    log__info(r->shard->broker->log, LOG_FIELDS("from", peer, "call", call),
              "%s refused with %d: %s", what, status, why);
}

static void tell_request(struct request *r, int status, const char *why)
{
    log_refusal(r, "request", status, why);
}

static void tell_call(struct request *r, int status, const char *why)
{
    log_refusal(r, "REST call", status, why);
}

/* Most clients show no more of it than the status. */
static void tell_client(struct request *r, int status, const char *why)
{
    const struct handshake *h = &r->admission.handshake;
    const char *hub = h->hub.ptr ? arena__strdup(&r->arena, h->hub) : NULL;
    const char *user = h->user_id.ptr ? arena__strdup(&r->arena, h->user_id) : NULL;
    char peer[FRONT_PEER_MAX];

    metrics__refused(r->shard->metrics, status);
    front__peer(r->mhd, peer);
    log__warn(r->shard->broker->log, LOG_FIELDS("from", peer, "hub", hub, "user", user),
              "client refused with %d: %s", status, why);
}

/* --- Responses ------------------------------------------------------------------- */

static void respond_as(struct request *r, int status, struct str body, struct str type)
{
    r->response = (struct http_response){.status = status, .body = body};
    http__add(&r->arena, &r->response.headers, STR("Content-Type"),
              type.ptr ? type : STR("text/plain; charset=utf-8"));
}

static void respond(struct request *r, int status, struct str text)
{
    respond_as(r, status, text, STR_NONE);
}

/* A refusal by the head; `why` is a sentence without a newline. */
static int turn_away(struct request *r, int status, const char *why)
{
    r->endpoint->tell(r, status, why);
    respond(r, status, str__of(arena__printf(&r->arena, "%s\n", why)));
    return status;
}

static enum MHD_Result queue(struct request *r, struct MHD_Response *out)
{
    enum MHD_Result result = MHD_YES;

    for (size_t i = 0; i < r->response.headers.count && result == MHD_YES; i++) {
        const struct http_header *h = &r->response.headers.items[i];
        const char *name = arena__strdup(&r->arena, h->name);
        const char *value = arena__strdup(&r->arena, h->value);

        result = name && value ? MHD_add_response_header(out, name, value) : MHD_NO;
    }
    if (result == MHD_YES && r->unread)
        result = MHD_add_response_header(out, "Connection", "close");
    if (result == MHD_YES)
        result = MHD_queue_response(r->mhd, (unsigned)r->response.status, out);
    MHD_destroy_response(out);
    return result;
}

/* The 101 is out. The descriptor is ours from here on. */
static void on_upgrade(void *cls, struct MHD_Connection *mhd, void *context, const char *extra,
                       size_t extra_len, MHD_socket socket, struct MHD_UpgradeResponseHandle *urh)
{
    struct request *r = cls;
    int fd = fcntl(socket, F_DUPFD_CLOEXEC, 0);

    (void)mhd, (void)context;
    if (fd >= 0)
        admission__enter(&r->admission, fd, str__n(extra, extra_len));
    else
        admission__tell_lost(&r->admission, "no descriptor to be had: raise LimitNOFILE");
    MHD_upgrade_action(urh, MHD_UPGRADE_ACTION_CLOSE);
    front__run(r->shard->front);
}

static void count(const struct request *r)
{
    size_t operation = 0;

    if (!r->endpoint || r->endpoint->serves != rest__is_path)
        return;
    while (operation < rest_route__count() && rest_route__at(operation) != r->rest.route)
        operation++;
    if (operation == rest_route__count())
        operation = METRICS_MAX_OPERATIONS;
    metrics__rest(r->shard->metrics, operation, r->response.status);
}

/* The body stays in our response, which lives until the request is over. */
static enum MHD_Result send_response(struct request *r)
{
    struct str body = r->response.body;
    struct MHD_Response *out;

    count(r);
    out = r->upgrade ? MHD_create_response_for_upgrade(on_upgrade, r)
                     : MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.ptr,
                                                       MHD_RESPMEM_PERSISTENT);
    return out ? queue(r, out) : MHD_NO;
}

/* The response is complete; goes on in the access handler. */
static void request_answered(void *arg)
{
    struct request *r = arg;

    r->stage = REQUEST_ANSWERED;
    if (!r->suspended)
        return;
    r->suspended = false;
    MHD_resume_connection(r->mhd);
    front__run(r->shard->front);
}

static void text_unavailable(struct request *r, const char *why)
{
    respond(r, 503, str__of(arena__printf(&r->arena, "%s\n", why)));
}

static void refuse_for_now(struct request *r, const char *why)
{
    r->endpoint->tell(r, 503, why);
    r->endpoint->unavailable(r, why);
}

/* --- The data-plane API ------------------------------------------------------------ */

static struct rest_world rest_world(const struct request *r)
{
    return (struct rest_world){.settings = r->shard->settings,
                               .own_host = str__of(r->shard->broker->own_host),
                               .now = clock__unix_ms() / 1000,
                               .loop_ms = shard__now(r->shard),
                               .max_body = r->body.max - 1,
                               .entra = r->shard->broker->entra ? &r->shard->broker->initial->entra
                                                                : NULL};
}

/* The answer is there without a command. */
static void rest_answered(struct request *r, const struct diag *diag)
{
    r->response = r->rest.response;
    if (r->response.status >= 400)
        tell_call(r, r->response.status, diag->text);
}

/* One look with the keys of now. *hope says what to do when they did not do. */
static int rest_judge(struct request *r, struct rest_world *world, struct diag *diag,
                      enum entra_keys_hope *hope)
{
    struct entra_keys *source = r->shard->broker->entra;
    const struct jwks *keys = source ? entra_keys__get(source) : NULL;
    int status;

    world->entra_keys = keys;
    status = rest__begin(&r->arena, &r->http, world, &r->rest, diag);
    if (status == REST_WANTS_KEYS)
        *hope = entra_keys__want(source, keys);
    jwks__unref(keys);
    return status;
}

/* Anybody can name a key that is not known, and while its source is slow, each such request
 * keeps an HTTP connection busy. They must leave some to everybody else. */
static int hold_or_refuse(struct request *r)
{
    static const char why[] = "Too many requests wait for the keys of Microsoft Entra.";
    const struct shard *s = r->shard;

    if (s->held < s->broker->limits.http_connections / 4)
        return HOLD;
    rest__unavailable(&r->arena, &r->rest.response, why);
    rest_answered(r, &(struct diag){.text = "too many requests wait for the keys of Microsoft "
                                            "Entra; is the server of entra.jwksUrl slow?"});
    return 503;
}

static int rest_begin(struct request *r)
{
    enum entra_keys_hope hope = ENTRA_KEYS_FINAL;
    struct rest_world world = rest_world(r);
    struct diag diag = {""};
    int status;

    world.entra_keys_final = r->held;
    while ((status = rest_judge(r, &world, &diag, &hope)) == REST_WANTS_KEYS) {
        if (hope == ENTRA_KEYS_COMING)
            return hold_or_refuse(r);
        world.entra_keys_final = hope == ENTRA_KEYS_FINAL;
    }
    if (status != 0)
        rest_answered(r, &diag);
    return status;
}

static void rest_finish(struct request *r, const struct hub_result *result)
{
    rest__finish(&r->arena, &r->rest, result);
    r->response = r->rest.response;
    if (r->rest.refusal)
        tell_call(r, r->response.status, r->rest.refusal);
}

static void rest_done(void *arg, const struct hub_result *result)
{
    rest_finish(arg, result);
    request_answered(arg);
}

static void rest_unavailable(struct request *r, const char *why)
{
    rest__unavailable(&r->arena, &r->response, why);
}

static bool rest_work(struct request *r)
{
    const struct rest_world world = rest_world(r);
    struct hub_result result = {0};
    struct diag diag = {""};

    rest__body(&r->arena, &r->http, &world, &r->rest, &diag);
    if (!r->rest.has_command) {
        rest_answered(r, &diag);
        return true;
    }
    switch (relay__call(r->shard, &r->rest.command, &result, rest_done, r)) {
    case RELAY_DONE:
        rest_finish(r, &result);
        hub_result__free(&result);
        return true;
    case RELAY_FAILED:
        refuse_for_now(r, "out of memory");
        return true;
    case RELAY_WAIT:
        break;
    }
    return false;
}

static void rest_end(struct request *r)
{
    rest__free(&r->rest);
}

/* --- Clients -------------------------------------------------------------------------- */

static bool has_body(const struct http_request *http)
{
    struct str length = http__get(&http->headers, STR("Content-Length"));

    return http__count(&http->headers, STR("Transfer-Encoding")) > 0 ||
           (length.ptr && !str__eq(length, STR("0")));
}

static int client_begin(struct request *r)
{
    return has_body(&r->http) ? turn_away(r, 400, "an upgrade request has no body") : 0;
}

static void client_respond(struct request *r)
{
    const struct admission *a = &r->admission;

    if (a->status != 0) {
        tell_client(r, a->status, a->detail);
        if (a->body.ptr)
            respond_as(r, a->status, a->body, a->body_type);
        else
            respond(r, a->status, str__of(a->why));
        if (a->status == 426) /* RFC 6455 section 4.4 */
            http__add(&r->arena, &r->response.headers, STR("Sec-WebSocket-Version"), STR("13"));
        return;
    }
    r->response = (struct http_response){.status = 101};
    r->upgrade = admission__answer(a, &r->response.headers);
    if (!r->upgrade)
        refuse_for_now(r, "out of memory");
}

static void client_ready(void *arg)
{
    client_respond(arg);
    request_answered(arg);
}

static bool client_work(struct request *r)
{
    if (!admission__begin(&r->admission, r->shard, &r->arena, &r->http, client_ready, r))
        return false;
    client_respond(r);
    return true;
}

static void client_end(struct request *r)
{
    admission__end(&r->admission);
}

/* --- Everything else -------------------------------------------------------------------- */

static bool is_root(struct str path)
{
    return str__eq(path, STR("/"));
}

static int root_begin(struct request *r)
{
    respond(r, 200,
            STR("This is pubhook-broker.\n"
                "Clients connect with WebSocket to /client/hubs/HUB, services call /api/.\n"));
    return 200;
}

static bool is_metrics(struct str path)
{
    return str__eq(path, STR("/metrics"));
}

static int metrics_begin(struct request *r)
{
    struct buf page;
    char *text;

    if (!r->shard->settings->metrics)
        return turn_away(r, 404,
                         "metrics are not served here; \"metrics\": true in the configuration file "
                         "turns them on");
    if (!str__eq(r->http.method, STR("GET")) && !str__eq(r->http.method, STR("HEAD"))) {
        turn_away(r, 405, "this path takes the methods GET and HEAD only");
        http__add(&r->arena, &r->response.headers, STR("Allow"), STR("GET, HEAD"));
        return 405;
    }
    buf__init(&page, METRICS_PAGE_MAX);
    metrics_page__write(r->shard, &page);
    text = page.failed ? NULL : arena__strdup(&r->arena, buf__view(&page));
    respond(r, 200, str__n(text, page.len));
    buf__free(&page);
    if (!text)
        refuse_for_now(r, "out of memory");
    else if (r->response.headers.count > 0)
        r->response.headers.items[0].value = STR(EXPOSITION_CONTENT_TYPE);
    return r->response.status;
}

static bool is_any(struct str path)
{
    (void)path;
    return true;
}

static int unknown_begin(struct request *r)
{
    return turn_away(r, 404, "nothing is here; clients connect to /client/hubs/HUB");
}

static const struct endpoint endpoints[] = {
    {rest__is_path, rest_begin, rest_work, rest_unavailable, tell_call, rest_end},
    {handshake__is_client_path, client_begin, client_work, text_unavailable, tell_client,
     client_end},
    {is_root, root_begin, NULL, text_unavailable, tell_request, NULL},
    {is_metrics, metrics_begin, NULL, text_unavailable, tell_request, NULL},
    {is_any, unknown_begin, NULL, text_unavailable, tell_request, NULL},
};

static const struct endpoint *find_endpoint(struct str path)
{
    const struct endpoint *e = endpoints;

    while (!e->serves(path))
        e++;
    return e;
}

/* --- Life --------------------------------------------------------------------------------- */

struct request *request__new(struct shard *s, struct MHD_Connection *mhd, const char *target)
{
    struct request *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->shard = s;
    r->mhd = mhd;
    r->raw_target = target;
    arena__init(&r->arena, r->memory, sizeof(r->memory), REQUEST_MEMORY);
    buf__init(&r->body, s->settings->limits.rest_body_bytes + (size_t)1);
    r->target = arena__strdup(&r->arena, str__of(target));
    head__hide_query(target);
    if (r->target)
        return r;
    free(r);
    return NULL;
}

static bool is_held(const struct request *r)
{
    return r->stage == REQUEST_HELD && r->suspended;
}

void request__free(struct request *r)
{
    if (is_held(r))
        r->shard->held--;
    if (r->endpoint && r->endpoint->end)
        r->endpoint->end(r);
    buf__free(&r->body);
    arena__free(&r->arena);
    free(r);
}

/* Answers by the head alone. A body that is still to come is not read, and so ends the
 * connection, as libmicrohttpd does with any answer at this point; without a body it is
 * given in request__complete, and the connection can be kept. */
static enum MHD_Result answer_early(struct request *r)
{
    r->stage = REQUEST_ANSWERED;
    r->unread = has_body(&r->http) || r->response.status == 400 || r->response.status == 431 ||
                front__is_quiet(r->shard->front);
    return r->unread ? send_response(r) : MHD_YES;
}

/* A head that is not even looked at. Callers of the API get its kind of answer. */
static enum MHD_Result refuse(struct request *r, int status, const char *why)
{
    if (rest__is_path(r->http.path)) {
        tell_call(r, status, why);
        rest__malformed(&r->arena, &r->response, status, why);
    } else {
        turn_away(r, status, why);
    }
    return answer_early(r);
}

enum MHD_Result request__head(struct request *r, const char *method, const char *version)
{
    const struct head_line line = {method, r->raw_target, r->target, version};
    const char *malformed;
    struct diag diag = {""};
    int status;

    if (!head__take(&r->arena, r->mhd, &line, &r->http, &malformed))
        return MHD_NO;
    r->endpoint = find_endpoint(r->http.path);
    if (malformed)
        return refuse(r, 400, malformed);
    status = http__check(&r->http.headers, &head_limits, &diag);
    if (status != 0)
        return refuse(r, status, diag.text);
    if (front__is_quiet(r->shard->front)) {
        refuse_for_now(r, SHUTDOWN_TEXT);
        return answer_early(r);
    }
    return request__judge(r);
}

/* libmicrohttpd asks again for the head of a connection that was suspended at it; until
 * then nothing of the body is read, and no 100 (Continue) is sent. */
static enum MHD_Result hold(struct request *r)
{
    r->stage = REQUEST_HELD;
    r->shard->held++;
    r->held = true;
    r->suspended = true;
    MHD_suspend_connection(r->mhd);
    return MHD_YES;
}

enum MHD_Result request__judge(struct request *r)
{
    int status = r->endpoint->begin(r);

    if (status == HOLD)
        return hold(r);
    if (status != 0)
        return answer_early(r);
    r->stage = REQUEST_BODY;
    return MHD_YES;
}

void request__release(struct request *r)
{
    if (!is_held(r))
        return;
    r->shard->held--;
    r->suspended = false;
    MHD_resume_connection(r->mhd);
    front__run(r->shard->front);
}

static bool work(struct request *r)
{
    if (r->body.failed) {
        refuse_for_now(r, "out of memory");
        return true;
    }
    r->http.body = buf__view(&r->body);
    return r->endpoint->work(r);
}

/* libmicrohttpd cannot answer in the middle of a body, so this is written past it. Nothing
 * else is on its way to the client, whose buffers are empty: it fits. */
static void answer_past(struct request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    const struct http_response *response = &r->response;
    struct buf out;

    buf__init(&out, MAX_RAW_HEAD + response->body.len);
    buf__printf(&out, "HTTP/1.1 %d %s\r\n", response->status, http__reason(response->status));
    for (size_t i = 0; i < response->headers.count; i++)
        buf__printf(&out, "%.*s: %.*s\r\n", STR_FMT(response->headers.items[i].name),
                    STR_FMT(response->headers.items[i].value));
    buf__printf(&out, "Connection: close\r\nContent-Length: %zu\r\n\r\n", response->body.len);
    buf__str(&out, response->body);
    count(r);
    if (info && !out.failed &&
        send(info->connect_fd, out.data, out.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log__debug(r->shard->broker->log, LOG_NONE, "the client left during its request: %m");
    buf__free(&out);
}

/* A body whose length is not known before is refused with the byte that is too much, by
 * which rest__body sees it. The rest of it is drained for a while, so that the client gets
 * to read the answer (linger.h). */
enum MHD_Result request__body(struct request *r, const char *data, size_t len)
{
    size_t room = r->body.max - r->body.len;

    if (r->stage != REQUEST_BODY)
        return MHD_NO;
    buf__append(&r->body, data, len < room ? len : room);
    if (r->body.len < r->body.max)
        return MHD_YES;
    r->unread = true;
    if (work(r))
        answer_past(r);
    return MHD_NO;
}

enum MHD_Result request__complete(struct request *r)
{
    if (r->stage == REQUEST_BODY) {
        r->stage = REQUEST_WAITING;
        if (work(r))
            r->stage = REQUEST_ANSWERED;
    }
    if (r->stage == REQUEST_ANSWERED)
        return send_response(r);
    MHD_suspend_connection(r->mhd);
    r->suspended = true;
    return MHD_YES;
}

bool request__waits_for_others(const struct request *r)
{
    return is_held(r) || (r->suspended && r->endpoint->work == client_work);
}

void request__give_up(struct request *r)
{
    if (!r->suspended)
        return;
    if (is_held(r))
        r->shard->held--;
    refuse_for_now(r, SHUTDOWN_TEXT);
    if (r->endpoint->end)
        r->endpoint->end(r);
    r->endpoint = NULL;
    r->unread = true;
    request_answered(r);
}
