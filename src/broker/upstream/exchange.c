#include "broker/upstream/exchange.h"

#include "broker/upstream/route.h"
#include "broker/upstream/state.h"

static const int64_t retry_delay_ms[EXCHANGE_TRIES - 1] = {1000, 3000, 5000};

bool exchange__init(struct exchange *x, struct upstream *up, exchange_finished_fn *finished)
{
    *x = (struct exchange){.up = up, .finished = finished};
    return deadlines__reserve(&up->deadlines);
}

void exchange__free(struct exchange *x)
{
    exchange__stop(x);
    deadlines__release(&x->up->deadlines);
}

static void attempt(struct exchange *x, int64_t now_ms)
{
    struct upstream *up = x->up;

    x->request.timeout_ms = now_ms < x->ends_ms ? x->ends_ms - now_ms : 1; /* a late tick */
    x->shell = NULL;
    x->tries++;
    x->under_way = up->config.ops->send(up->config.ctx, x, &x->request);
    if (!x->under_way)
        exchange__settle(x, "out of memory", now_ms);
    else if (x->request.app) /* the network has its own clock; a handler's thread has none */
        deadlines__set(&up->deadlines, &x->due, x->ends_ms);
}

void exchange__start(struct exchange *x, const struct upstream_request *request, const char *target,
                     int64_t limit_ms, int64_t now_ms)
{
    x->request = *request;
    x->target = target;
    x->ends_ms = now_ms + limit_ms;
    x->tries = 0;
    x->settled = false;
    attempt(x, now_ms);
}

void exchange__settle(struct exchange *x, const char *why, int64_t now_ms)
{
    x->settled = true;
    x->verdict = why;
    deadlines__set(&x->up->deadlines, &x->due, now_ms);
}

void exchange__stop(struct exchange *x)
{
    if (x->under_way)
        x->up->config.ops->cancel(x->up->config.ctx, x);
    x->under_way = false;
    x->settled = false;
    deadlines__clear(&x->up->deadlines, &x->due);
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
static void log_retry(const struct exchange *x, const struct exchange_result *result,
                      int64_t delay_ms)
{
    enum ph_log_level level = x->tries == 1 ? PH_LOG_INFO : PH_LOG_DEBUG;
    const char *const *fields = LOG_FIELDS("handler", route__bare(x->target));
    struct ph_log *log = x->up->config.log;
    int seconds = (int)(delay_ms / 1000);

    if (result->response)
        log__write(log, level, fields, "%s answered %d; trying again in %d s", x->target,
                   result->response->status, seconds);
    else
        log__write(log, level, fields, "%s: %s; trying again in %d s", x->target, result->why,
                   seconds);
}

static bool try_again(struct exchange *x, const struct exchange_result *result, int64_t now_ms)
{
    int64_t delay_ms;

    if (!worth_another_try(result) || x->tries == EXCHANGE_TRIES)
        return false;
    delay_ms = retry_delay_ms[x->tries - 1];
    if (now_ms + delay_ms >= x->ends_ms)
        return false;
    log_retry(x, result, delay_ms);
    metrics__add(x->up->config.metrics, METRIC_EVENT_RETRIES, 1);
    deadlines__set(&x->up->deadlines, &x->due, now_ms + delay_ms);
    return true;
}

void upstream__done(struct exchange *x, const struct exchange_result *result, int64_t now_ms)
{
    x->under_way = false;
    deadlines__clear(&x->up->deadlines, &x->due);
    if (!try_again(x, result, now_ms))
        x->finished(x, result, now_ms);
}

void exchange__due(struct exchange *x, int64_t now_ms)
{
    struct exchange_result result = {.why = x->verdict};

    deadlines__clear(&x->up->deadlines, &x->due);
    if (!x->under_way && !x->settled) {
        attempt(x, now_ms);
        return;
    }
    if (x->under_way) {
        result.why = "gave no answer in time";
        result.failure = FAILURE_TIMEOUT;
    }
    exchange__stop(x);
    x->finished(x, &result, now_ms);
}

void exchange__set_shell(struct exchange *x, void *shell)
{
    x->shell = shell;
}

void *exchange__shell(const struct exchange *x)
{
    return x->shell;
}

bool exchange__in_process(const struct exchange *x)
{
    return x->request.app != NULL;
}
