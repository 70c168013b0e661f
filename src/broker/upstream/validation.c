#include "broker/upstream/validation.h"

#include "broker/upstream/exchange.h"
#include "broker/upstream/route.h"
#include "broker/upstream/state.h"

#include <stdio.h>
#include <stdlib.h>

#define WORK_MAX 65536
#define WHY_MAX 1024

struct validation {
    struct exchange exchange; /* first member */
    bool known, consent, checking;
    bool by_get;       /* OPTIONS was answered 404 */
    int64_t stale_ms;  /* the verdict is to be checked again from here on */
    unsigned refusals; /* in a row */
    char why[WHY_MAX]; /* of the last refusal */
    struct arena work; /* of the check under way */
    struct http_request http;
    struct validation_waiter *first, *last;
    struct validation *next_idle;
    struct str url;
    struct str ca_file; /* of the handler that asked first */
    char *target;       /* behind the others in `text` */
    char text[];
};

struct str validation__url(const void *entry)
{
    return ((const struct validation *)entry)->url;
}

static const char *target_of(struct exchange *x)
{
    return ((struct validation *)x)->target;
}

/* --- who waits ------------------------------------------------------------------ */

static void join(struct validation *v, struct validation_waiter *w)
{
    w->of = v;
    w->next = NULL;
    w->previous = v->last;
    if (v->last)
        v->last->next = w;
    else
        v->first = w;
    v->last = w;
}

void validation__leave(struct validation_waiter *w)
{
    struct validation *v = w->of;

    if (!v)
        return;
    if (w->previous)
        w->previous->next = w->next;
    else
        v->first = w->next;
    if (w->next)
        w->next->previous = w->previous;
    else
        v->last = w->previous;
    w->of = NULL;
}

/* Not those who have had it checked again meanwhile, who are behind all the others. */
static void wake_all(struct validation *v, bool down, int64_t now_ms)
{
    const struct validation_waiter *end = v->last;
    bool done = !end;

    while (!done) {
        struct validation_waiter *w = v->first;

        done = w == end;
        validation__leave(w);
        w->ready(w, v->consent ? NULL : v->why, down, now_ms);
    }
}

/* --- verdicts -------------------------------------------------------------------- */

static int64_t backoff_ms(unsigned refusals)
{
    int64_t ms = VALIDATION_BACKOFF_MS;

    if (refusals == 0)
        return 0;
    while (--refusals > 0 && ms < VALIDATION_MAX_BACKOFF_MS)
        ms *= 2;
    return ms < VALIDATION_MAX_BACKOFF_MS ? ms : VALIDATION_MAX_BACKOFF_MS;
}

static void settle(struct validation *v, bool consent, bool down, int64_t now_ms)
{
    const struct upstream_config *config = &v->exchange.up->config;
    struct ph_log *log = config->log;
    bool changed = !v->known || v->consent != consent;
    bool news = !config->ops->is_news || config->ops->is_news(config->ctx, v->url, consent);

    v->checking = false;
    v->known = true;
    v->consent = consent;
    v->refusals = consent || down ? 0 : v->refusals + 1;
    v->stale_ms = now_ms + (consent ? VALIDATION_FRESH_MS : backoff_ms(v->refusals));
    arena__reset(&v->work);
    if (consent && changed && news)
        log__info(log, LOG_FIELDS("handler", route__bare(v->target)), "%s is validated", v->target);
    else if (!consent && !v->first) /* else those who wait report it */
        log__warn(log, LOG_FIELDS("handler", route__bare(v->target)), "%s", v->why);
    wake_all(v, down, now_ms);
}

struct hint {
    int status;
    const char *text;
};

static const struct hint hints[] = {
    {401, ": let the validation request through without credentials, or put them into the URL "
          "(?code=...)"},
    {403, ": let the validation request through without credentials, or put them into the URL "
          "(?code=...)"},
    {404, ": is the path of the URL right?"},
    {405, ": the handler must answer OPTIONS with 200 and a header WebHook-Allowed-Origin: *"},
    {301, ": redirects are not followed, use the final URL"},
    {302, ": redirects are not followed, use the final URL"},
    {307, ": redirects are not followed, use the final URL"},
    {308, ": redirects are not followed, use the final URL"},
};

static const char *hint_for(int status)
{
    for (size_t i = 0; i < sizeof(hints) / sizeof(*hints); i++) {
        if (hints[i].status == status)
            return hints[i].text;
    }
    return "";
}

static void refuse(struct validation *v, const struct exchange_result *result,
                   const struct diag *diag)
{
    const char *method = v->by_get ? "OPTIONS, then GET" : "OPTIONS";
    int status = result->response ? result->response->status : 0;

    if (!result->response)
        snprintf(v->why, WHY_MAX, "validation (%s) of %s failed: %s", method, v->target,
                 result->why);
    else if (status / 100 != 2)
        snprintf(v->why, WHY_MAX, "%s answered %d to the validation (%s)%s", v->target, status,
                 method, hint_for(status));
    else
        snprintf(v->why, WHY_MAX, "%s answered %d to the validation (%s) without consent: %s",
                 v->target, status, method, diag->text);
}

/* --- checks -------------------------------------------------------------------- */

static bool ask(struct validation *v, int64_t now_ms)
{
    struct upstream_request request = {.http = &v->http, .url = v->url, .ca_file = v->ca_file};

    v->http = (struct http_request){0};
    if (!event__validation_request(&v->work, v->exchange.up->config.origin, &v->http))
        return false;
    v->http.method = v->by_get ? STR("GET") : STR("OPTIONS");
    exchange__start(&v->exchange, &request, now_ms + VALIDATION_LIMIT_MS, now_ms);
    return true;
}

/* Nobody was there to say yes or no. */
static bool is_down(const struct exchange_result *result)
{
    return !result->response || result->response->status == 408 || result->response->status >= 500;
}

static void checked(struct exchange *x, const struct exchange_result *result, int64_t now_ms)
{
    struct validation *v = (struct validation *)x;
    struct diag diag = {.text = ""};
    bool consent;

    if (result->response && result->response->status == 404 && !v->by_get) {
        v->by_get = true;
        if (ask(v, now_ms))
            return;
    }
    consent = result->response &&
              event__validation_consent(result->response, x->up->config.origin, &diag);
    if (!consent)
        refuse(v, result, &diag);
    settle(v, consent, is_down(result), now_ms);
}

static void check(struct validation *v, int64_t now_ms)
{
    v->checking = true;
    v->by_get = false;
    if (!ask(v, now_ms))
        exchange__settle(&v->exchange, "out of memory", now_ms);
}

/* --- the cache ------------------------------------------------------------------ */

static void entry_free(struct validation *v)
{
    exchange__free(&v->exchange);
    arena__free(&v->work);
    free(v);
}

static struct validation *entry_new(struct upstream *up, struct str url, struct str ca_file,
                                    const char *target)
{
    struct validation *v = calloc(1, sizeof(*v) + url.len + ca_file.len + strlen(target) + 1);
    char *at;

    if (!v)
        return NULL;
    if (!exchange__init(&v->exchange, up, checked, target_of)) {
        free(v);
        return NULL;
    }
    arena__init(&v->work, NULL, 0, WORK_MAX);
    at = v->text;
    v->url = str__place(&at, url);
    v->ca_file = str__place(&at, ca_file);
    v->target = strcpy(at, target);
    if (!map__add(&up->validations, v)) {
        entry_free(v);
        return NULL;
    }
    return v;
}

enum validation_verdict validation__check(struct upstream *up, struct str url, struct str ca_file,
                                          const char *target, struct validation_waiter *w,
                                          const char **why, int64_t now_ms)
{
    struct validation *v = map__get(&up->validations, url);

    if (!v)
        v = entry_new(up, url, ca_file, target);
    if (!v) {
        *why = "out of memory";
        return VALIDATION_REFUSED;
    }
    if (!v->checking && (!v->known || now_ms >= v->stale_ms))
        check(v, now_ms);
    if (v->known && v->consent)
        return VALIDATION_CONSENT;
    if (v->checking) {
        join(v, w);
        return VALIDATION_WAIT;
    }
    *why = v->why;
    return VALIDATION_REFUSED;
}

void validation__forget(struct upstream *up)
{
    struct validation *v, *idle = NULL;
    uint32_t at = 0;

    while ((v = map__next(&up->validations, &at))) {
        v->known = false; /* whoever comes now waits for the check under way */
        if (v->checking)
            continue;
        v->next_idle = idle;
        idle = v;
    }
    while ((v = idle)) {
        idle = v->next_idle;
        map__remove(&up->validations, v->url);
        entry_free(v);
    }
}

void validation__free_all(struct upstream *up)
{
    struct validation *v;
    uint32_t at = 0;

    while ((v = map__next(&up->validations, &at)))
        entry_free(v);
    map__free(&up->validations);
}
