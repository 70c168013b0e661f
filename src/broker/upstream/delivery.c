#include "broker/upstream/delivery.h"

#include "broker/upstream/route.h"
#include "broker/upstream/state.h"

#include <stdlib.h>

#define QUOTE_MAX 200 /* of a refusing answer's text in a log line */

/* Its body is ours. */
static const struct event_limits connect_limits = {.json_depth = 8};

/* --- sending -------------------------------------------------------------------- */

static void settle(struct upstream_peer *p, const char *why, int64_t now_ms)
{
    const char *copy = arena__strdup(&p->work, str__of(why));

    exchange__settle(&p->exchange, copy ? copy : "out of memory", now_ms);
}

/* A handler's own, or that of all. */
static struct str ca_file_of(const struct queued_event *q)
{
    return q->handler->ca_file.ptr ? q->handler->ca_file : q->settings->ca_file;
}

/* A connect was made ready when it came. */
static enum ph_err make_ready(struct upstream_peer *p, struct queued_event *q, struct diag *diag)
{
    if (q->event.kind == PH_EVENT_CONNECT)
        return PH_OK;
    if (!peer__complete(p, q))
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    return q->handler->app ? PH_OK : peer__encode(p, q, diag);
}

static void send_first(struct upstream_peer *p, int64_t now_ms)
{
    struct queued_event *q = p->first;
    struct upstream_request request = {.app = q->handler->app};
    struct diag diag;

    diag__clear(&diag);
    if (make_ready(p, q, &diag) != PH_OK) {
        settle(p, diag.text, now_ms);
        return;
    }
    if (request.app) {
        request.event = &q->event;
        /* notices outlive their session */
        request.owner = q->event.kind == PH_EVENT_USER ? p->owner : NULL;
    } else {
        request.http = &p->http;
    }
    request.url = p->url;
    request.ca_file = ca_file_of(q);
    exchange__authorize(&p->exchange,
                        q->handler->auth.origin == TOKEN_NONE ? NULL : &q->handler->auth);
    exchange__start(&p->exchange, &request, p->exchange.ends_ms, now_ms);
}

static void enter(struct upstream_peer *p, int64_t now_ms);

static void validated(struct validation_waiter *w, const char *why, bool down, int64_t now_ms)
{
    struct upstream_peer *p =
        (struct upstream_peer *)((char *)w - offsetof(struct upstream_peer, waiter));

    if (!why) {
        send_first(p, now_ms);
        return;
    }
    exchange__found(&p->exchange, !down, why, now_ms);
    if (down && p->exchange.patient && gate__is_shut(p->first->gate))
        enter(p, now_ms); /* waits there */
    else
        settle(p, why, now_ms);
}

static void validate_first(struct upstream_peer *p, int64_t now_ms)
{
    struct str url = event__url(&p->work, p->first->handler->url_template, p->hub, STR("validate"));
    const char *why = "out of memory";
    const char *target = url.ptr ? route__show(&p->work, p->first->handler, url) : NULL;

    p->waiter.ready = validated;
    if (!target) {
        settle(p, "the URL of the event handler is too long, or memory is out", now_ms);
        return;
    }
    switch (validation__check(p->up, url, ca_file_of(p->first), target, &p->waiter, &why, now_ms)) {
    case VALIDATION_CONSENT:
        send_first(p, now_ms);
        break;
    case VALIDATION_REFUSED:
        settle(p, why, now_ms);
        break;
    case VALIDATION_WAIT:
        break;
    }
}

/* Where the event goes; "" is a handler in this process. False when the URL is too long, or memory
 * is out. */
static bool aim(struct upstream_peer *p, const struct queued_event *q)
{
    const struct event_handler *h = q->handler;

    p->target = NULL;
    p->url = h->app ? STR("") : event__url(&p->work, h->url_template, p->hub, q->event.name);
    return h->app || p->url.ptr;
}

/* Most events need no text that names their handler. */
static const char *target_of(struct upstream_peer *p, const struct queued_event *q)
{
    if (!p->target)
        p->target = route__show(&p->work, q->handler, p->url);
    return p->target ? p->target : "an event handler";
}

const char *delivery__target(struct exchange *x)
{
    struct upstream_peer *p = (struct upstream_peer *)x;

    return target_of(p, p->first);
}

/* Somebody waits for the outcome of the others. */
static bool is_notice(enum ph_event_kind kind)
{
    return kind != PH_EVENT_CONNECT && kind != PH_EVENT_USER;
}

static void resume(struct exchange *x, int64_t now_ms)
{
    enter((struct upstream_peer *)x, now_ms);
}

/* For a notice it begins when it happened: many of a connection may be queued one behind the
 * other, and to a handler that is down each would wait in its turn. */
static int64_t waits_until(const struct queued_event *q, int64_t now_ms)
{
    return UPSTREAM_TIMEOUT_MS + (is_notice(q->event.kind) ? q->since_ms : now_ms);
}

static void enter(struct upstream_peer *p, int64_t now_ms)
{
    const struct queued_event *q = p->first;
    const int64_t until_ms = waits_until(q, now_ms);
    const bool patient = is_notice(q->event.kind) && now_ms < until_ms;

    if (exchange__enter(&p->exchange, q->gate, patient, until_ms, resume, now_ms) != EXCHANGE_IN)
        return;
    if (q->handler->app)
        send_first(p, now_ms);
    else
        validate_first(p, now_ms);
}

static void begin(struct upstream_peer *p, int64_t now_ms)
{
    struct queued_event *q = p->first;

    p->active = true;
    p->exchange.tries = 0;
    p->exchange.refused = false;
    if (!q->handler)
        exchange__settle(&p->exchange, NULL, now_ms);
    else if (q->event.kind != PH_EVENT_CONNECT && !aim(p, q))
        settle(p, "the URL of the event handler is too long, or memory is out", now_ms);
    else
        enter(p, now_ms);
}

void delivery__proceed(struct upstream_peer *p, int64_t now_ms)
{
    if (p->active)
        return;
    if (p->first)
        begin(p, now_ms);
    else if (p->ended)
        peer__free(p);
}

/* The event itself for a handler in the broker, else the request. */
static bool keep_connect(struct upstream_peer *p, struct queued_event *q)
{
    struct diag diag = {.text = ""};
    struct ph_event *copy;

    if (!q->handler->app)
        return peer__encode(p, q, &diag) == PH_OK && http__own(&p->work, &p->http);
    if (event__hand_over(&p->work, &q->event, &connect_limits, &copy, &diag) != PH_OK)
        return false;
    copy->charset = q->event.charset;
    copy->request_id = q->event.request_id;
    q->event = *copy;
    return true;
}

bool delivery__prepare_connect(struct upstream_peer *p, const struct ph_event *connect,
                               struct queued_event *q)
{
    const struct ph_event own = q->event;

    if (!q->handler)
        return true;
    q->event = *connect;
    q->event.kind = own.kind;
    q->event.name = own.name;
    q->event.id = own.id;
    q->event.time = own.time;
    return aim(p, q) && peer__complete(p, q) && keep_connect(p, q);
}

/* Is the first event being worked on? While an outcome is told, the event that it is of
 * has left the queue already. */
static bool first_is_under_way(const struct upstream_peer *p)
{
    return p->active && !p->delivering;
}

static void stop_first(struct upstream_peer *p)
{
    validation__leave(&p->waiter);
    exchange__stop(&p->exchange);
    arena__reset(&p->work);
    p->active = false;
}

static void drop_user_event(struct upstream_peer *p, struct queued_event **at)
{
    queued_event__free(&p->up->spare_events, peer__take(p, at));
    metrics__event(p->up->config.metrics, METRIC_USER, OUTCOME_DROPPED);
}

void delivery__drop_user_events(struct upstream_peer *p)
{
    struct queued_event **at = &p->first;

    if (first_is_under_way(p) && p->first->event.kind == PH_EVENT_USER)
        stop_first(p);
    while (*at) {
        if ((*at)->event.kind == PH_EVENT_USER)
            drop_user_event(p, at);
        else
            at = &(*at)->next;
    }
}

void delivery__drop_user_event(struct upstream_peer *p, uint64_t ticket)
{
    struct queued_event **at = &p->first;

    while (*at && !((*at)->event.kind == PH_EVENT_USER && (*at)->ticket == ticket))
        at = &(*at)->next;
    if (!*at)
        return;
    if (at == &p->first && first_is_under_way(p))
        stop_first(p);
    drop_user_event(p, at);
}

/* --- outcomes ------------------------------------------------------------------- */

struct outcome {
    const struct answer *answer; /* NULL: there is none that can be used */
    bool success;
    const char *why; /* of a failure */
};

static const char *describe(struct upstream_peer *p, const struct queued_event *q)
{
    const char *text = arena__printf(
        &p->work,
        q->event.kind == PH_EVENT_USER ? "user event `%.*s` of hub %.*s" : "%.*s of hub %.*s",
        STR_FMT(q->event.name), STR_FMT(p->hub));

    return text ? text : "an event";
}

static const char *or_memory(const char *text)
{
    return text ? text : "out of memory";
}

static const char *why_no_handler(struct upstream_peer *p, const struct queued_event *q)
{
    if (settings__hub(p->up->config.settings, p->hub)->handler_count > 0)
        return or_memory(arena__printf(&p->work,
                                       "no event handler matches %s: see the userEventPattern of "
                                       "those under hubs.%.*s.eventHandlers",
                                       describe(p, q), STR_FMT(p->hub)));
    return or_memory(arena__printf(&p->work,
                                   "no event handler matches %s: add one under "
                                   "hubs.%.*s.eventHandlers or with --event-handler %.*s=URL",
                                   describe(p, q), STR_FMT(p->hub), STR_FMT(p->hub)));
}

struct hint {
    int status;
    const char *text;
};

static const struct hint hints[] = {
    {301, "redirects are not followed: use the final URL"},
    {302, "redirects are not followed: use the final URL"},
    {307, "redirects are not followed: use the final URL"},
    {308, "redirects are not followed: use the final URL"},
    {401, "if the handler did not mean it, check that it has the broker's access key"},
    {404, "is the path of the URL right?"},
    {405, "the handler must take POST"},
    {413, "the handler's limit for bodies is too low"},
    {415, "the handler does not know this type of data"},
    {429, "the handler asks for fewer events; this status is not tried again"},
};

static const char *hint_for(int status)
{
    for (size_t i = 0; i < sizeof(hints) / sizeof(*hints); i++) {
        if (hints[i].status == status)
            return hints[i].text;
    }
    return NULL;
}

/* A handler says in its text what it did not like: worth more than any hint of ours. */
static const char *why_status(struct upstream_peer *p, const struct queued_event *q,
                              const struct http_response *res)
{
    struct str text = str__trim(res->body);
    bool quote = text.len > 0 && text.len <= QUOTE_MAX && !memchr(text.ptr, 0, text.len);
    const char *hint = quote ? NULL : hint_for(res->status);

    return or_memory(arena__printf(&p->work, "%s answered %d to %s%s%.*s%s%s%s", target_of(p, q),
                                   res->status, describe(p, q), quote ? ": \"" : "",
                                   quote ? (int)text.len : 0, quote ? text.ptr : "",
                                   quote ? "\"" : "", hint ? ": " : "", hint ? hint : ""));
}

static void judge(struct upstream_peer *p, const struct queued_event *q,
                  const struct exchange_result *result, struct answer *answer, struct outcome *out)
{
    struct diag diag;
    enum ph_err err;

    if (!q->handler) {
        out->success = q->event.kind == PH_EVENT_CONNECT || q->heard;
        if (q->heard) { /* as if a handler had answered 204 (official-emulator section 2.8) */
            *answer = (struct answer){.success = true, .status = 204};
            out->answer = answer;
        }
        out->why = out->success ? NULL : why_no_handler(p, q);
        return;
    }
    if (!result->response) {
        /* what the gate or the validation says names the handler */
        out->why = p->exchange.tries == 0 && result->failure != FAILURE_QUEUE_FULL
                       ? result->why
                       : or_memory(arena__printf(&p->work, "%s failed for %s: %s", target_of(p, q),
                                                 describe(p, q), result->why));
        return;
    }
    diag__clear(&diag);
    err = response__decode(&p->work, q->event.kind, result->response, answer, &diag);
    if (err) {
        out->why =
            or_memory(arena__printf(&p->work, "%s broke the contract in its answer to %s: %s",
                                    target_of(p, q), describe(p, q), diag.text));
        return;
    }
    out->answer = answer;
    out->success = answer->success;
    out->why = out->success ? NULL : why_status(p, q, result->response);
}

static void tell_connect(struct upstream_peer *p, const struct queued_event *q,
                         const struct outcome *out)
{
    const struct upstream_config *config = &p->up->config;
    int status = 0;

    if (!out->success) {
        p->refused = true;
        status = out->answer ? out->answer->status : 500;
        if (status < 400 || status > 599)
            status = 500;
    }
    config->ops->connect_done(config->ctx, q->token, status, out->answer, out->why);
}

static void tell(struct upstream_peer *p, const struct queued_event *q, const struct outcome *out)
{
    const struct upstream_config *config = &p->up->config;

    switch (q->event.kind) {
    case PH_EVENT_CONNECT:
        tell_connect(p, q, out);
        break;
    case PH_EVENT_USER:
        if (!p->ended)
            config->ops->event_done(config->ctx, p->owner, q->ticket, out->answer,
                                    !q->handler && !q->heard, out->why);
        break;
    case PH_EVENT_CONNECTED:
    case PH_EVENT_DISCONNECTED:
    case PH_EVENT_JOINED:
    case PH_EVENT_LEFT:
        if (!out->success) /* nobody else hears of it (event-handler section 3.3) */
            log__warn(config->log,
                      LOG_FIELDS("handler", q->handler ? route__bare(target_of(p, q)) : "", "event",
                                 q->event.name.ptr, "connection",
                                 arena__strdup(&p->work, p->connection_id)),
                      "%s", out->why);
        break;
    }
}

static const enum metric_event metric_of[] = {
    [PH_EVENT_CONNECT] = METRIC_CONNECT, [PH_EVENT_CONNECTED] = METRIC_CONNECTED,
    [PH_EVENT_USER] = METRIC_USER,       [PH_EVENT_DISCONNECTED] = METRIC_DISCONNECTED,
    [PH_EVENT_JOINED] = METRIC_JOINED,   [PH_EVENT_LEFT] = METRIC_LEFT,
};

enum metric_event delivery__metric(enum ph_event_kind kind)
{
    return metric_of[kind];
}

static enum metric_failure failure_of(const struct upstream_peer *p,
                                      const struct exchange_result *result,
                                      const struct outcome *out)
{
    if (out->answer)
        return result->response->status / 100 == 5 ? FAILURE_STATUS_5XX : FAILURE_STATUS_4XX;
    if (result->response)
        return FAILURE_BAD_ANSWER;
    if (p->exchange.refused)
        return result->failure == FAILURE_QUEUE_FULL ? FAILURE_QUEUE_FULL : FAILURE_BREAKER;
    return p->exchange.tries == 0 ? FAILURE_VALIDATION : result->failure;
}

static void count(const struct upstream_peer *p, const struct queued_event *q,
                  const struct exchange_result *result, const struct outcome *out, int64_t now_ms)
{
    struct metrics *m = p->up->config.metrics;
    enum metric_event event = metric_of[q->event.kind];

    if (!q->handler && !q->heard) {
        metrics__event(m, event, OUTCOME_NO_HANDLER);
        return;
    }
    metrics__event_took(m, event, now_ms - q->since_ms);
    if (out->success) {
        metrics__event(m, event, OUTCOME_OK);
    } else if (q->event.kind == PH_EVENT_CONNECT && out->answer && out->answer->status / 100 == 4) {
        metrics__event(m, event, OUTCOME_REFUSED); /* what the event is for, no failure */
    } else {
        metrics__event(m, event, OUTCOME_FAILED);
        metrics__failure(m, failure_of(p, result, out));
    }
}

void delivery__finished(struct exchange *x, const struct exchange_result *result, int64_t now_ms)
{
    struct upstream_peer *p = (struct upstream_peer *)x;
    struct queued_event *q = peer__take(p, &p->first);
    struct answer answer;
    struct outcome out = {0};

    judge(p, q, result, &answer, &out);
    count(p, q, result, &out, now_ms);
    if (out.success && out.answer)
        peer__keep(p, out.answer,
                   q->event.kind == PH_EVENT_CONNECT || q->event.kind == PH_EVENT_USER, p->url);
    p->delivering = true;
    tell(p, q, &out);
    p->delivering = false;
    p->active = false;
    queued_event__free(&p->up->spare_events, q);
    arena__reset(&p->work);
    if (p->refused)
        peer__free(p);
    else
        delivery__proceed(p, now_ms);
}
