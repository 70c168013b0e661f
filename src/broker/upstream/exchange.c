#include "broker/upstream/exchange.h"

#include "broker/upstream/route.h"
#include "broker/upstream/state.h"

#include <stdio.h>

#define TOKEN_RENEW_MS 1000

static const int64_t retry_delay_ms[EXCHANGE_TRIES - 1] = {1000, 3000, 5000};

bool exchange__init(struct exchange *x, struct upstream *up, exchange_finished_fn *finished,
                    exchange_target_fn *target)
{
    *x = (struct exchange){.up = up, .finished = finished, .target = target};
    return deadlines__reserve(&up->deadlines);
}

void exchange__free(struct exchange *x)
{
    exchange__stop(x);
    deadlines__release(&x->up->deadlines);
}

/* --- the gate --------------------------------------------------------------------- */

static void turn_has_come(struct gate_waiter *w, int64_t now_ms)
{
    struct exchange *x = (struct exchange *)((char *)w - offsetof(struct exchange, waiter));

    deadlines__clear(&x->up->deadlines, &x->due);
    x->waited = true;
    x->resume(x, now_ms);
}

static void wait_at_gate(struct exchange *x, bool first, exchange_resume_fn *resume)
{
    x->resume = resume;
    x->waiter.enter = turn_has_come;
    gate__wait(x->gate, &x->waiter, first);
    deadlines__set(&x->up->deadlines, &x->due, x->ends_ms);
}

static void refuse(struct exchange *x, int64_t now_ms)
{
    exchange__settle(x, gate__refuse(x->gate, now_ms), now_ms);
    x->refused = true;
}

/* However late it is: a place may come free, and the handler has time to answer. */
static void give_time(struct exchange *x, int64_t now_ms)
{
    if (x->ends_ms < now_ms + UPSTREAM_LEAST_MS)
        x->ends_ms = now_ms + UPSTREAM_LEAST_MS;
}

/* True when nothing stands in the way of this exchange; else it waits or is settled. */
static bool passes(struct exchange *x, exchange_resume_fn *resume, int64_t now_ms)
{
    if (!gate__is_shut(x->gate) || gate__is_probe(x->gate, x) || gate__probe(x->gate, x, now_ms))
        return true;
    if (x->patient)
        wait_at_gate(x, false, resume);
    else
        refuse(x, now_ms);
    return false;
}

enum exchange_entry exchange__enter(struct exchange *x, struct gate *gate, bool patient,
                                    int64_t ends_ms, exchange_resume_fn *resume, int64_t now_ms)
{
    if (x->gate != gate) { /* not resumed */
        x->gate = gate;
        x->patient = patient;
        x->ends_ms = ends_ms;
        give_time(x, now_ms);
    }
    if (passes(x, resume, now_ms))
        return EXCHANGE_IN;
    return x->settled ? EXCHANGE_REFUSED : EXCHANGE_WAITS;
}

/* It has nothing to do with the gate any more. */
static void leave_gate(struct exchange *x)
{
    gate__go(&x->waiter);
    if (x->gate)
        gate__no_probe(x->gate, x);
    x->gate = NULL;
}

void exchange__found(struct exchange *x, bool there, const char *why, int64_t now_ms)
{
    if (there)
        gate__succeeded(x->gate, now_ms);
    else
        gate__failed(x->gate, x, why, now_ms);
}

static void end_try(struct exchange *x)
{
    if (x->under_way && x->gate)
        gate__leave_place(x->gate);
    x->under_way = false;
}

/* --- tries ------------------------------------------------------------------------- */

static void out_of_memory(struct exchange *x, int64_t now_ms)
{
    if (x->gate)
        gate__leave_place(x->gate);
    exchange__settle(x, "out of memory", now_ms);
}

/* What has waited for this try, or asks for all others, is not asked for nothing. It has no more
 * tries by that, for `ends_ms` stays. */
static int64_t time_for_try(const struct exchange *x, int64_t now_ms)
{
    const bool matters = x->waited || (x->gate && gate__is_probe(x->gate, x));
    const int64_t least_ms = matters ? UPSTREAM_LEAST_MS : 1; /* a late tick */
    const int64_t left_ms = x->ends_ms - now_ms;

    return left_ms > least_ms ? left_ms : least_ms;
}

/* The token is not for the validation, and is not kept longer than it takes. */
static void send(struct exchange *x, int64_t now_ms)
{
    struct upstream *up = x->up;
    struct upstream_token token;

    x->lacks_token = x->auth && !up->config.ops->token(up->config.ctx, x->auth, &token);
    if (x->lacks_token) {
        if (x->gate)
            gate__leave_place(x->gate);
        deadlines__set(&up->deadlines, &x->due, now_ms);
        return;
    }
    x->request.bearer = x->auth ? str__of(token.text) : STR_NONE;
    x->token_serial = x->auth ? token.serial : 0;
    if (x->tries == 0)
        give_time(x, now_ms);
    x->request.timeout_ms = time_for_try(x, now_ms);
    x->try_ends_ms = now_ms + x->request.timeout_ms;
    x->waited = false;
    x->shell = NULL;
    x->tries++;
    x->under_way = up->config.ops->send(up->config.ctx, x, &x->request);
    x->request.bearer = STR_NONE;
    if (!x->under_way)
        out_of_memory(x, now_ms);
}

static void attempt(struct exchange *x, int64_t now_ms)
{
    if (x->gate && !passes(x, attempt, now_ms))
        return;
    if (x->gate && !gate__take_place(x->gate, x)) {
        wait_at_gate(x, false, attempt);
        return;
    }
    send(x, now_ms);
}

void exchange__authorize(struct exchange *x, const struct handler_auth *auth)
{
    x->auth = auth;
}

void exchange__start(struct exchange *x, const struct upstream_request *request, int64_t ends_ms,
                     int64_t now_ms)
{
    x->request = *request;
    x->ends_ms = ends_ms;
    x->tries = 0;
    x->settled = x->token_renewed = false;
    attempt(x, now_ms);
}

void exchange__settle(struct exchange *x, const char *why, int64_t now_ms)
{
    x->settled = true;
    x->refused = false;
    x->verdict = why;
    deadlines__set(&x->up->deadlines, &x->due, now_ms);
}

void exchange__stop(struct exchange *x)
{
    if (x->under_way)
        x->up->config.ops->cancel(x->up->config.ctx, x);
    end_try(x);
    leave_gate(x);
    x->settled = x->lacks_token = false;
    deadlines__clear(&x->up->deadlines, &x->due);
}

static void finish(struct exchange *x, const struct exchange_result *result, int64_t now_ms)
{
    leave_gate(x);
    x->finished(x, result, now_ms);
}

/* 408, 5xx and transport errors; not 429 (event-handler section 3.6). */
static bool worth_another_try(const struct exchange_result *result)
{
    if (!result->response)
        return result->transient;
    return result->response->status == 408 || result->response->status / 100 == 5;
}

/* The first failure is news; that the next tries fail too is not, and the end is told by
 * whoever waits for it. */
static void log_retry(struct exchange *x, const struct exchange_result *result, int64_t delay_ms)
{
    enum ph_log_level level = x->tries == 1 ? PH_LOG_INFO : PH_LOG_DEBUG;
    struct ph_log *log = x->up->config.log;
    const char *target = x->target(x);
    const char *const *fields = LOG_FIELDS("handler", route__bare(target));
    int seconds = (int)(delay_ms / 1000);

    if (result->response)
        log__write(log, level, fields, "%s answered %d; trying again in %d s", target,
                   result->response->status, seconds);
    else
        log__write(log, level, fields, "%s: %s; trying again in %d s", target, result->why,
                   seconds);
}

static bool try_again(struct exchange *x, const struct exchange_result *result, int64_t now_ms)
{
    int64_t delay_ms;

    if (!worth_another_try(result) || x->tries >= EXCHANGE_TRIES)
        return false;
    if (x->gate && gate__is_shut(x->gate))
        return false;
    delay_ms = retry_delay_ms[x->tries - 1];
    if (now_ms + delay_ms >= x->ends_ms)
        return false;
    log_retry(x, result, delay_ms);
    metrics__add(x->up->config.metrics, METRIC_EVENT_RETRIES, 1);
    deadlines__set(&x->up->deadlines, &x->due, now_ms + delay_ms);
    return true;
}

/* A handler that takes too long is as good as none. */
static bool is_down(const struct exchange_result *result)
{
    return worth_another_try(result) || (!result->response && result->failure == FAILURE_TIMEOUT);
}

static void found_down(struct exchange *x, const struct exchange_result *result, int64_t now_ms)
{
    char text[64];

    if (result->response)
        snprintf(text, sizeof(text), "it answered %d", result->response->status);
    exchange__found(x, false, result->response ? text : result->why, now_ms);
}

/* A notice whose try fails at a shut gate has lost nothing yet but this try. */
static bool goes_on_waiting(struct exchange *x, int64_t now_ms)
{
    if (!x->patient || !gate__is_shut(x->gate) || now_ms >= x->ends_ms)
        return false;
    wait_at_gate(x, true, attempt);
    return true;
}

static void settle_gate(struct exchange *x, const struct exchange_result *result, int64_t now_ms)
{
    bool down = is_down(result);
    bool probed = gate__is_probe(x->gate, x);

    if (!down)
        exchange__found(x, true, NULL, now_ms);
    else if (probed)
        found_down(x, result, now_ms);
    if (down && goes_on_waiting(x, now_ms))
        return;
    if (try_again(x, result, now_ms))
        return;
    if (down && !probed)
        found_down(x, result, now_ms);
    finish(x, result, now_ms);
}

/* Tokens expire, and the handler knows first: one more try with another one, if there is
 * another in a second. */
static bool renews_token(struct exchange *x, const struct exchange_result *result, int64_t now_ms)
{
    if (!x->auth || x->token_renewed || !result->response || result->response->status != 401 ||
        now_ms + TOKEN_RENEW_MS >= x->ends_ms)
        return false;
    x->token_renewed = true;
    x->up->config.ops->token_refused(x->up->config.ctx, x->auth, x->token_serial);
    deadlines__set(&x->up->deadlines, &x->due, now_ms + TOKEN_RENEW_MS);
    return true;
}

void upstream__done(struct exchange *x, const struct exchange_result *result, int64_t now_ms)
{
    deadlines__clear(&x->up->deadlines, &x->due);
    end_try(x);
    if (renews_token(x, result, now_ms))
        return;
    if (x->gate)
        settle_gate(x, result, now_ms);
    else if (!try_again(x, result, now_ms))
        finish(x, result, now_ms);
}

/* The handler's thread cannot be stopped: nobody waits for it any more. */
static void give_up(struct exchange *x, int64_t now_ms)
{
    const struct exchange_result result = {.why = "gave no answer in time",
                                           .failure = FAILURE_TIMEOUT};

    x->up->config.ops->cancel(x->up->config.ctx, x);
    upstream__done(x, &result, now_ms);
}

/* Looks once more, for the reason was not kept. */
static void look_for_token(struct exchange *x, int64_t now_ms)
{
    struct upstream_token token;
    const struct exchange_result result = {
        .why = token.why, .transient = true, .failure = FAILURE_OTHER};

    x->lacks_token = false;
    if (x->up->config.ops->token(x->up->config.ctx, x->auth, &token)) {
        attempt(x, now_ms);
        return;
    }
    x->tries++;
    upstream__done(x, &result, now_ms);
}

static void waited_in_vain(struct exchange *x, int64_t now_ms)
{
    struct exchange_result result = {
        .why = "too many requests to it were under way all the time: make it faster, or raise its "
               "maxConcurrentRequests",
        .failure = FAILURE_QUEUE_FULL};

    x->refused = true;
    if (gate__is_shut(x->gate))
        result = (struct exchange_result){.why = gate__refuse(x->gate, now_ms),
                                          .failure = FAILURE_BREAKER};
    finish(x, &result, now_ms);
}

void exchange__due(struct exchange *x, int64_t now_ms)
{
    const struct exchange_result result = {.why = x->verdict};

    deadlines__clear(&x->up->deadlines, &x->due);
    if (x->under_way) {
        give_up(x, now_ms);
    } else if (x->lacks_token) {
        look_for_token(x, now_ms);
    } else if (x->waiter.at) {
        waited_in_vain(x, now_ms);
    } else if (x->settled) {
        x->settled = false;
        finish(x, &result, now_ms);
    } else {
        attempt(x, now_ms);
    }
}

void exchange__limit(struct exchange *x)
{
    deadlines__set(&x->up->deadlines, &x->due, x->try_ends_ms);
}

void exchange__set_shell(struct exchange *x, void *shell)
{
    x->shell = shell;
}

void *exchange__shell(const struct exchange *x)
{
    return x->shell;
}

const char *exchange__target(struct exchange *x)
{
    return x->target(x);
}

bool exchange__in_process(const struct exchange *x)
{
    return x->request.app != NULL;
}
