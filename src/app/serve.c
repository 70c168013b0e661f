/* ph_app_serve: one request in, one response out. Each refusal says why in the log;
 * the answer says it too, except where that would help a forger. */
#include "app/call.h"
#include "app/defer.h"
#include "app/repeats.h"
#include "app/settings.h"
#include "app/workers.h"
#include "base/clock.h"

#include <errno.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>

/* Above what the limits let in, an event and its reply need at most this. */
#define SERVE_MAX_MEMORY (64u << 20)
#define LOGGED_ID_MAX 128

struct serving {
    struct ph_app *app;
    const struct http_request *req;
    struct ph_response *res;
    bool copies_body; /* there may be no NUL behind it */
    struct diag diag;
};

static void init(struct serving *s, struct ph_app *app, const struct ph_request *req,
                 struct ph_response *res, bool copies_body)
{
    s->app = app;
    s->req = &req->http;
    s->res = res;
    s->copies_body = copies_body;
    diag__clear(&s->diag);
}

/* What a refused request says about itself, as far as it says anything. */
static const struct {
    const char *field;
    struct str header;
} logged[] = {
    {"hub", {"ce-hub", 6}},
    {"connection", {"ce-connectionId", 15}},
    {"event", {"ce-eventName", 12}},
};

#define LOGGED_COUNT (sizeof(logged) / sizeof(*logged))

static void log_refusal(const struct serving *s, int status)
{
    char texts[LOGGED_COUNT][LOGGED_ID_MAX], number[12];
    const char *fields[2 * (LOGGED_COUNT + 1) + 1] = {"status", number};
    size_t count = 2;

    if (!log__wants(s->app->log, PH_LOG_WARN))
        return;
    snprintf(number, sizeof(number), "%d", status);
    for (size_t i = 0; i < LOGGED_COUNT; i++) {
        struct str value = http__get(&s->req->headers, logged[i].header);

        if (!value.ptr)
            continue;
        snprintf(texts[i], sizeof(texts[i]), "%.*s", STR_FMT(value));
        fields[count++] = logged[i].field;
        fields[count++] = texts[i];
    }
    log__warn(s->app->log, fields, "refused %.*s %.*s: %s", STR_FMT(s->req->method),
              STR_FMT(s->req->path), s->diag.text);
}

static void respond(struct ph_response *res, int status, struct str text)
{
    char *body = text.len > 0 ? arena__strdup(&res->arena, text) : NULL;

    res->http.status = status;
    res->http.body = STR_NONE;
    if (body && http__add(&res->arena, &res->http.headers, STR("Content-Type"),
                          STR("text/plain; charset=utf-8")))
        res->http.body = str__n(body, text.len);
}

/* Answers with the reason, or with `text` instead when that is given. */
static void turn_away(struct serving *s, int status, const char *text)
{
    respond(s->res, status, str__of(text ? text : s->diag.text));
    log_refusal(s, status);
}

static void refuse_for(struct serving *s, enum counts_refusal why, int status, const char *text)
{
    counts__add(&s->app->counts.refusals[why], 1);
    turn_away(s, status, text);
}

static void refuse(struct serving *s, int status, const char *text)
{
    refuse_for(s, counts__refusal_of(status), status, text);
}

void app__refuse(struct ph_app *app, const struct ph_request *req, struct ph_response *res,
                 int status, const char *why)
{
    struct serving s;

    init(&s, app, req, res, false);
    diag__set(&s.diag, PH_ERR_SYNTAX, "%s", why);
    refuse(&s, status, NULL);
}

static bool below_path(struct str path, struct str base)
{
    if (str__eq(base, STR("/")))
        return true;
    return str__starts_with(path, base) && (path.len == base.len || path.ptr[base.len] == '/');
}

static bool is_method(const struct http_request *req, const char *method)
{
    return str__eq(req->method, str__of(method));
}

static int check_method(struct serving *s)
{
    if (is_method(s->req, "POST") || is_method(s->req, "OPTIONS") || is_method(s->req, "GET"))
        return 0;
    diag__set(&s->diag, PH_ERR_UNSUPPORTED,
              "the method is not supported, expected POST for an event, OPTIONS or GET for "
              "validation");
    http__add(&s->res->arena, &s->res->http.headers, STR("Allow"), STR("POST, OPTIONS, GET"));
    return 405;
}

static int check_length(struct serving *s)
{
    struct str length = http__get(&s->req->headers, STR("Content-Length"));
    size_t max = s->app->limits[PH_LIMIT_BODY];
    uint64_t value = 0;

    if (length.len > 0 && !str__to_u64(str__trim(length), &value)) {
        diag__set(&s->diag, PH_ERR_SYNTAX, "Content-Length is not a number");
        return 400;
    }
    if (value <= max && s->req->body.len <= max)
        return 0;
    diag__set(&s->diag, PH_ERR_LIMIT, "the body is larger than %zu bytes", max);
    return 413;
}

static int judge_head(struct serving *s)
{
    struct http_limits limits = {.headers = s->app->limits[PH_LIMIT_HEADERS],
                                 .header_bytes = s->app->limits[PH_LIMIT_HEADER_BYTES]};
    int status = http__check(&s->req->headers, &limits, &s->diag);

    if (status == 0 && !below_path(s->req->path, app__path(s->app))) {
        diag__set(&s->diag, PH_ERR_NOT_FOUND, "nothing is served at this path");
        status = 404;
    }
    if (status == 0)
        status = check_method(s);
    if (status == 0)
        status = check_length(s);
    if (status != 0)
        refuse(s, status, NULL);
    return status;
}

/* Who may send at all; whether they sign correctly is another question. */
static const struct str *allowed_origins(struct serving *s, size_t *count)
{
    const struct keyring *ring = auth__ring(&s->app->auth);
    const struct str *allowed;

    *count = s->app->origin_count;
    allowed = keyring__allowed(ring, &s->res->arena, s->app->origins, count);
    keyring__unref(ring);
    return allowed;
}

static void serve_validation(struct serving *s)
{
    struct http_response *res = &s->res->http;
    size_t count;
    const struct str *allowed = allowed_origins(s, &count);

    event__validate(&s->res->arena, s->req, allowed, count, res, &s->diag);
    counts__add(res->status == 200 ? &s->app->counts.validated : &s->app->counts.invalidated, 1);
    if (res->status == 200)
        log__info(s->app->log, LOG_NONE, "validated for %.*s",
                  STR_FMT(http__get(&s->req->headers, STR("WebHook-Request-Origin"))));
    else
        turn_away(s, res->status, NULL);
}

static enum counts_refusal why_of(enum ph_err err)
{
    if (err == PH_ERR_NOT_FOUND)
        return COUNTS_REFUSED_NO_KEY;
    return err == PH_ERR_FORBIDDEN ? COUNTS_REFUSED_TOKEN : COUNTS_REFUSED_SIGNATURE;
}

/* To whoever is refused, it is all the same why. */
static bool is_authentic(struct serving *s)
{
    enum ph_err err = auth__check(&s->app->auth, &s->req->headers, &s->res->arena, &s->diag);

    if (err == PH_ERR_STATE || err == PH_ERR_MEMORY)
        refuse_for(s, COUNTS_REFUSED_UNAVAILABLE, 503, "try again later");
    else if (err != PH_OK)
        refuse_for(s, why_of(err), 401, "unauthorized");
    return err == PH_OK;
}

static bool is_allowed(struct serving *s)
{
    const struct str *allowed;
    size_t count;

    if (s->app->origin_count == 0)
        return true;
    allowed = allowed_origins(s, &count);
    for (size_t i = 0; i < s->req->headers.count; i++) {
        const struct http_header *h = &s->req->headers.items[i];

        if (str__eq_nocase(h->name, STR("WebHook-Request-Origin")) &&
            event__origin_allowed(h->value, allowed, count))
            return true;
    }
    if (event__origin_allowed(STR_NONE, allowed, count))
        return true; /* "*" is among them */
    diag__set(&s->diag, PH_ERR_FORBIDDEN,
              "WebHook-Request-Origin \"%.*s\" is not an allowed origin",
              STR_FMT(http__get(&s->req->headers, STR("WebHook-Request-Origin"))));
    return false;
}

static int status_of(enum ph_err err)
{
    if (err == PH_ERR_MEMORY)
        return 500;
    return err == PH_ERR_UNSUPPORTED ? 415 : 400;
}

/* --- What handlers decide ------------------------------------------------------------- */

static struct ph_response *response_of(struct app_call *call)
{
    return (struct ph_response *)(void *)((char *)call - offsetof(struct ph_response, call));
}

static void log_failure(const struct app_call *call, int status, const char *why)
{
    char number[12];

    snprintf(number, sizeof(number), "%d", status);
    log__error(call->app->log,
               LOG_FIELDS("status", number, "hub", ph_event_hub(call->ev), "connection",
                          ph_event_connection_id(call->ev), "event", ph_event_name(call->ev)),
               "%s", why);
}

void app__complete(struct app_call *call, struct ph_reply *reply)
{
    struct ph_response *res = response_of(call);
    struct diag diag;

    if (response__encode(&res->arena, call->ev, reply, &res->http, &diag) != PH_OK)
        log_failure(call, 500, diag.text);
    ph_reply_free(reply);
}

void app__fail(struct app_call *call, int status, const char *fmt, ...)
{
    char why[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);
    response_of(call)->http.status = status;
    log_failure(call, status, why);
}

static enum counts_outcome outcome_of(const struct app_call *call, int status)
{
    if (call->late)
        return COUNTS_LATE;
    if (call->gone)
        return COUNTS_GONE;
    if (status >= 500)
        return COUNTS_FAILED;
    return status >= 400 ? COUNTS_REJECTED : COUNTS_ANSWERED;
}

static void count_end(struct app_call *call)
{
    if (call->counts)
        counts__ended(call->counts, outcome_of(call, response_of(call)->http.status),
                      clock__mono_us() - call->asked_us);
}

/* The last event of a plugin that was replaced lets it go. */
static void release(struct app_call *call)
{
    registry__unref(call->handlers);
    call->handlers = NULL;
}

static void settle(struct app_call *call)
{
    count_end(call);
    release(call);
}

void app__done(struct app_call *call)
{
    settle(call);
    repeats__end(call);
    call->done(response_of(call), call->arg);
}

/* As if no handler were there: connect as the token says, user events without data (sections
 * 3.1 and 3.4). */
static void do_without(struct app_call *call)
{
    log__debug(call->app->log,
               LOG_FIELDS("hub", ph_event_hub(call->ev), "event", ph_event_name(call->ev)),
               "no handler for this event");
    counts__add(&call->app->counts.unhandled, 1);
    response_of(call)->http.status = 204;
}

/* The call may be over as soon as it waits. */
static bool defer(struct app_call *call, struct ph_reply **reply)
{
    if (call->counts)
        counts__add(&call->counts->deferred, 1);
    return deferred__wait(call, reply);
}

/* Asks the handlers, on this thread. False: one of them has deferred its reply. */
static bool decide(struct app_call *call)
{
    struct turn turn;
    struct ph_reply *reply = registry__dispatch(call->handlers, call->ev, &turn);

    if (turn.decided) {
        call->counts = turn.counts;
        call->asked_us = turn.asked_us;
    }
    if (reply && !reply__is_genuine(reply)) {
        app__fail(call, 500,
                  "the handler has returned what is no reply: freed, returned before, or not made "
                  "by ph_reply_...()");
        return true;
    }
    if (reply && reply->kind == REPLY_DEFERRED && defer(call, &reply))
        return false;
    if (turn.decided)
        app__complete(call, reply);
    else
        do_without(call);
    return true;
}

void app__work(struct app_call *call)
{
    if (decide(call))
        app__done(call);
}

/* False: the answer comes later. */
static bool leave_to_workers(struct app_call *call)
{
    struct workers *workers = call->app->workers;

    if (workers__give(workers, call))
        return false;
    counts__add(&call->app->counts.refusals[COUNTS_REFUSED_UNAVAILABLE], 1);
    app__fail(call, 503,
              "all %u worker threads run handlers, and %zu events stand in line for one, which is "
              "all that may",
              workers__threads(workers), workers__queue(workers));
    return true;
}

/* Handlers that may block have threads of their own, if there are any. */
static bool ask(struct app_call *call)
{
    bool answered;

    call->handlers = app__handlers(call->app);
    if (call->app->workers && registry__may_block(call->handlers, call->ev))
        answered = leave_to_workers(call);
    else
        answered = decide(call);
    if (answered)
        settle(call);
    return answered;
}

static struct app_call *begin(struct ph_app *app, struct ph_event *ev, struct ph_response *res,
                              ph_served_fn *done, void *arg)
{
    res->call = (struct app_call){.app = app, .ev = ev, .done = done, .arg = arg};
    ev->call = &res->call;
    return &res->call;
}

bool app__dispatch(struct ph_app *app, struct ph_event *ev, struct ph_response *res,
                   ph_served_fn *done, void *arg)
{
    return ask(begin(app, ev, res, done, arg));
}

/* The service sends an event again that it has got no answer to. */
static bool dispatch_once(struct ph_app *app, struct ph_event *ev, struct ph_response *res,
                          ph_served_fn *done, void *arg)
{
    struct app_call *call = begin(app, ev, res, done, arg);
    enum repeat repeat = repeats__begin(app->repeats, call);

    if (repeat != REPEAT_NEW) {
        log__debug(app->log, LOG_NONE, "an event came again and gets the answer of the first");
        counts__add(&app->counts.repeated, 1);
        return repeat == REPEAT_ANSWERED;
    }
    if (!ask(call))
        return false;
    repeats__end(call);
    return true;
}

/* It stands in line for a worker, or its reply was deferred. */
static bool take_back(struct app_call *call)
{
    struct workers *workers = call->app->workers;

    return (workers && workers__take_back(workers, call)) || deferred__withdraw(call);
}

/* The next repetition is handled in place of one that nobody waits for. */
static void pass_on(struct app_call *call)
{
    struct app_call *next = repeats__pass_on(call);

    if (!next || !ask(next))
        return;
    repeats__end(next);
    next->done(response_of(next), next->arg);
}

bool app__withdraw(struct ph_response *res)
{
    if (repeats__withdraw(&res->call))
        return true;
    if (!take_back(&res->call))
        return false;
    counts__ended(res->call.counts, COUNTS_GONE, clock__mono_us() - res->call.asked_us);
    release(&res->call);
    pass_on(&res->call);
    return true;
}

int ph_response_cancel(struct ph_response *response)
{
    return response->call.app && app__withdraw(response);
}

/* --- Requests ----------------------------------------------------------------------------- */

/* The request with a NUL behind its body, which stays as long as the event, for that is made of
 * views into it and may wait. */
static enum ph_err complete(struct serving *s, const struct http_request **out)
{
    struct http_request *copy;
    char *body;

    *out = s->req;
    if (!s->copies_body)
        return PH_OK;
    copy = (void *)arena__dup(&s->res->arena, s->req, sizeof(*copy));
    body = arena__strdup(&s->res->arena, s->req->body);
    if (!copy || !body)
        return diag__set(&s->diag, PH_ERR_MEMORY, "out of memory");
    copy->body = str__n(body, copy->body.len);
    *out = copy;
    return PH_OK;
}

static struct event_limits limits_of(const struct ph_app *app)
{
    return (struct event_limits){.json_depth = (uint32_t)app->limits[PH_LIMIT_JSON_DEPTH]};
}

/* These two return as app__serve_checked. */
static bool serve_event(struct serving *s, ph_served_fn *done, void *arg)
{
    const struct event_limits limits = limits_of(s->app);
    const struct http_request *req;
    struct ph_event *ev;
    enum ph_err err;

    if (!is_authentic(s))
        return true;
    if (!is_allowed(s)) {
        refuse(s, 403, "forbidden");
        return true;
    }
    err = complete(s, &req);
    if (err == PH_OK)
        err = event__decode(&s->res->arena, req, &limits, &ev, &s->diag);
    if (err != PH_OK) {
        refuse(s, status_of(err), NULL);
        return true;
    }
    return dispatch_once(s->app, ev, s->res, done, arg);
}

static void reset(const struct ph_app *app, struct ph_response *res)
{
    app__response_reset(res);
    res->arena.max = SERVE_MAX_MEMORY + 2 * app->limits[PH_LIMIT_BODY];
}

static bool serve_request(struct serving *s, ph_served_fn *done, void *arg)
{
    if (is_method(s->req, "POST"))
        return serve_event(s, done, arg);
    serve_validation(s);
    return true;
}

int app__check_head(struct ph_app *app, const struct ph_request *req, struct ph_response *res)
{
    struct serving s;

    init(&s, app, req, res, false);
    reset(app, res);
    return judge_head(&s);
}

/* Who waits for a response in place. */
static void wake(struct ph_response *res, void *arg)
{
    (void)res;
    sem_post(arg);
}

static void wait_for(sem_t *answered)
{
    while (sem_wait(answered) < 0 && errno == EINTR)
        ;
}

/* As serve_request, of a request that nobody has judged yet. */
static enum ph_err serve_unchecked(struct serving *s, ph_served_fn *done, void *arg, bool *answered)
{
    const char *why;
    enum ph_err err = ph_app_check(s->app, &why);

    reset(s->app, s->res);
    *answered = true;
    if (err != PH_OK) {
        diag__set(&s->diag, err, "%s", why);
        refuse(s, 500, "this event handler is not configured");
    } else if (judge_head(s) == 0) {
        *answered = serve_request(s, done, arg);
    }
    return err;
}

enum ph_err ph_app_serve_async(struct ph_app *app, const struct ph_request *request,
                               struct ph_response *response, ph_served_fn *done, void *arg)
{
    struct serving s;
    bool answered;
    enum ph_err err;

    init(&s, app, request, response, true);
    err = serve_unchecked(&s, done, arg, &answered);
    if (answered)
        done(response, arg);
    return err;
}

enum ph_err ph_app_serve(struct ph_app *app, const struct ph_request *request,
                         struct ph_response *response)
{
    struct serving s;
    bool answered;
    enum ph_err err;
    sem_t later;

    init(&s, app, request, response, true);
    sem_init(&later, 0, 0);
    err = serve_unchecked(&s, wake, &later, &answered);
    if (!answered)
        wait_for(&later);
    sem_destroy(&later);
    return err;
}

bool app__serve_checked(struct ph_app *app, const struct ph_request *req, struct ph_response *res,
                        ph_served_fn *done, void *arg)
{
    struct serving s;

    init(&s, app, req, res, false);
    reset(app, res);
    return serve_request(&s, done, arg);
}

void app__serve_waiting(struct ph_app *app, const struct ph_request *req, struct ph_response *res)
{
    sem_t later;

    sem_init(&later, 0, 0);
    if (!app__serve_checked(app, req, res, wake, &later))
        wait_for(&later);
    sem_destroy(&later);
}

/* With worker threads, handlers may be asked after app__dispatch has returned. */
enum ph_err app__hand_over(const struct ph_app *app, const struct ph_event *ev, bool stays,
                           struct ph_response *res, struct ph_event **out, struct diag *diag)
{
    const struct event_limits limits = limits_of(app);

    reset(app, res);
    return stays && !app->workers ? event__lend(&res->arena, ev, &limits, out, diag)
                                  : event__hand_over(&res->arena, ev, &limits, out, diag);
}
