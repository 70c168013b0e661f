#include "broker/net/webhook.h"

#include "broker/net/transfer.h"

#include <stdlib.h>

#define MAX_IDLE_TRANSFERS 64 /* kept for the next request */

struct webhook {
    uv_loop_t *loop;
    exchange_report_fn *report;
    void *ctx;
    CURLM *multi;
    uv_timer_t timer; /* curl's */
    struct transfer *live, *idle;
    size_t idle_count;
    size_t handles; /* of libuv, not closed yet; the last one takes the webhook with it */
    bool closing;
};

/* A socket that curl wants to know about. */
struct watch {
    uv_poll_t poll;
    struct webhook *owner;
    curl_socket_t socket;
};

static void handle_closed(struct webhook *w)
{
    if (--w->handles == 0 && w->closing)
        free(w);
}

/* --- transfers -------------------------------------------------------------------- */

static void push(struct transfer **list, struct transfer *t)
{
    t->previous = NULL;
    t->next = *list;
    if (t->next)
        t->next->previous = t;
    *list = t;
}

static void unlink_from(struct transfer **list, struct transfer *t)
{
    if (t->previous)
        t->previous->next = t->next;
    else
        *list = t->next;
    if (t->next)
        t->next->previous = t->previous;
}

static void timer_closed(uv_handle_t *handle)
{
    struct transfer *t = handle->data;
    struct webhook *w = t->owner;

    transfer__free(t);
    handle_closed(w);
}

/* Takes one that is not under way any more. */
static void put_back(struct webhook *w, struct transfer *t)
{
    transfer__reset(t);
    if (w->closing || w->idle_count == MAX_IDLE_TRANSFERS) {
        uv_close((uv_handle_t *)&t->timer, timer_closed);
        return;
    }
    push(&w->idle, t);
    w->idle_count++;
}

static void body_must_follow(struct transfer *t);

static struct transfer *take(struct webhook *w)
{
    struct transfer *t = w->idle;

    if (t) {
        unlink_from(&w->idle, t);
        w->idle_count--;
        return t;
    }
    t = transfer__new();
    if (!t)
        return NULL;
    t->owner = w;
    t->headers_came = body_must_follow;
    uv_timer_init(w->loop, &t->timer);
    t->timer.data = t;
    w->handles++;
    return t;
}

/* Ends a transfer's time with curl. The exchange is not the transfer's any more. */
static struct exchange *withdraw(struct webhook *w, struct transfer *t)
{
    struct exchange *x = t->exchange;

    curl_multi_remove_handle(w->multi, t->easy);
    uv_timer_stop(&t->timer);
    unlink_from(&w->live, t);
    t->exchange = NULL;
    exchange__set_shell(x, NULL);
    return x;
}

static void finish(struct webhook *w, struct transfer *t, const struct exchange_result *result)
{
    struct exchange *x = withdraw(w, t);

    w->report(w->ctx, x, result);
    put_back(w, t);
}

static void time_is_up(uv_timer_t *timer)
{
    struct transfer *t = timer->data;
    struct exchange_result result = transfer__timed_out(t);

    finish(t->owner, t, &result);
}

static void body_must_follow(struct transfer *t)
{
    uv_timer_start(&t->timer, time_is_up, WEBHOOK_BODY_MS, 0);
}

/* --- curl in the loop -------------------------------------------------------------- */

/* A report may start and cancel other transfers, so each message is fetched anew. */
static void report_finished(struct webhook *w)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(w->multi, &left))) {
        CURLcode code = message->data.result;
        struct exchange_result result;
        struct transfer *t = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        result = transfer__result(t, code);
        finish(w, t, &result);
    }
}

static void curl_timeout(uv_timer_t *timer)
{
    struct webhook *w = timer->data;
    int running;

    curl_multi_socket_action(w->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    report_finished(w);
}

static int set_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct webhook *w = arg;

    (void)multi;
    if (timeout_ms < 0)
        uv_timer_stop(&w->timer);
    else
        uv_timer_start(&w->timer, curl_timeout, (uint64_t)timeout_ms, 0);
    return 0;
}

static void socket_ready(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    struct webhook *w = watch->owner;
    int flags = 0;
    int running;

    if (status < 0) /* an error waits at the socket: curl finds out which when it reads */
        events = UV_READABLE | UV_WRITABLE;
    flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    curl_multi_socket_action(w->multi, watch->socket, flags, &running);
    report_finished(w);
}

static void watch_closed(uv_handle_t *handle)
{
    struct watch *watch = handle->data;
    struct webhook *w = watch->owner;

    free(watch);
    handle_closed(w);
}

static struct watch *watch_new(struct webhook *w, curl_socket_t socket)
{
    struct watch *watch = malloc(sizeof(*watch));

    if (!watch)
        return NULL;
    if (uv_poll_init_socket(w->loop, &watch->poll, socket) != 0) {
        free(watch);
        return NULL;
    }
    watch->poll.data = watch;
    watch->owner = w;
    watch->socket = socket;
    w->handles++;
    curl_multi_assign(w->multi, socket, watch);
    return watch;
}

static int watch_socket(CURL *easy, curl_socket_t socket, int what, void *arg, void *assigned)
{
    struct webhook *w = arg;
    struct watch *watch = assigned;
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        curl_multi_assign(w->multi, socket, NULL);
        if (watch)
            uv_close((uv_handle_t *)&watch->poll, watch_closed);
        return 0;
    }
    if (!watch)
        watch = watch_new(w, socket);
    if (!watch)
        return -1;
    events |= what & CURL_POLL_IN ? UV_READABLE : 0;
    events |= what & CURL_POLL_OUT ? UV_WRITABLE : 0;
    return uv_poll_start(&watch->poll, events, socket_ready);
}

/* --- interface ---------------------------------------------------------------------- */

static void set_multi_options(struct webhook *w, size_t max_connections)
{
    long per_host = max_connections < 4 ? 1 : (long)(max_connections / 4);

    curl_multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(w->multi, CURLMOPT_SOCKETDATA, w);
    curl_multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(w->multi, CURLMOPT_TIMERDATA, w);
    curl_multi_setopt(w->multi, CURLMOPT_MAX_HOST_CONNECTIONS, per_host);
    curl_multi_setopt(w->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)max_connections);
    curl_multi_setopt(w->multi, CURLMOPT_MAXCONNECTS, (long)max_connections);
}

struct webhook *webhook__new(uv_loop_t *loop, size_t max_connections, exchange_report_fn *report,
                             void *ctx)
{
    struct webhook *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        goto no_curl;
    w->multi = curl_multi_init();
    if (!w->multi)
        goto no_multi;
    w->loop = loop;
    w->report = report;
    w->ctx = ctx;
    uv_timer_init(loop, &w->timer);
    w->timer.data = w;
    w->handles = 1;
    set_multi_options(w, max_connections);
    return w;

no_multi:
    curl_global_cleanup();
no_curl:
    free(w);
    return NULL;
}

static void curl_timer_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

void webhook__free(struct webhook *w)
{
    struct transfer *t;

    if (!w)
        return;
    w->closing = true;
    while ((t = w->live)) {
        withdraw(w, t);
        put_back(w, t);
    }
    while ((t = w->idle)) {
        unlink_from(&w->idle, t);
        put_back(w, t);
    }
    curl_multi_cleanup(w->multi);
    curl_global_cleanup();
    uv_close((uv_handle_t *)&w->timer, curl_timer_closed);
}

bool webhook__send(struct webhook *w, struct exchange *x, const struct upstream_request *req)
{
    struct transfer *t = take(w);

    if (!t)
        return false;
    if (!transfer__prepare(t, req) || curl_multi_add_handle(w->multi, t->easy) != CURLM_OK) {
        put_back(w, t);
        return false;
    }
    t->exchange = x;
    exchange__set_shell(x, t);
    push(&w->live, t);
    uv_timer_start(&t->timer, time_is_up, (uint64_t)req->timeout_ms, 0);
    return true;
}

void webhook__cancel(struct webhook *w, struct exchange *x)
{
    struct transfer *t = exchange__shell(x);

    if (!t)
        return;
    withdraw(w, t);
    put_back(w, t);
}
