#include "broker/net/curl_sender.h"

#include "broker/net/transfer.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_IDLE_TRANSFERS 64 /* kept for the next request */

struct curl_sender {
    uv_loop_t *loop;
    struct sender_budget *budget;
    size_t open; /* connections */
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
    struct curl_sender *owner;
    curl_socket_t socket;
};

static void handle_closed(struct curl_sender *s)
{
    if (--s->handles == 0 && s->closing)
        free(s);
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
    struct curl_sender *s = t->owner;

    transfer__free(t);
    handle_closed(s);
}

/* Takes one that is not under way any more. */
static void put_back(struct curl_sender *s, struct transfer *t)
{
    transfer__reset(t);
    if (s->closing || s->idle_count == MAX_IDLE_TRANSFERS) {
        uv_close((uv_handle_t *)&t->timer, timer_closed);
        return;
    }
    push(&s->idle, t);
    s->idle_count++;
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct curl_sender *s = arg;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

    (void)purpose;
    if (fd < 0)
        return CURL_SOCKET_BAD;
    s->open++;
    s->budget->open++;
    return fd;
}

static int close_socket(void *arg, curl_socket_t socket)
{
    struct curl_sender *s = arg;

    s->open--;
    s->budget->open--;
    return close(socket);
}

static void count_sockets(struct curl_sender *s, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, s);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, s);
}

static void body_must_follow(struct call *call);
static void cancel(struct sending *sending);

static struct transfer *take(struct curl_sender *s)
{
    struct transfer *t = s->idle;

    if (t) {
        unlink_from(&s->idle, t);
        s->idle_count--;
        return t;
    }
    t = transfer__new();
    if (!t)
        return NULL;
    t->owner = s;
    t->sending.cancel = cancel;
    count_sockets(s, t->call.easy);
    t->call.headers_came = body_must_follow;
    uv_timer_init(s->loop, &t->timer);
    t->timer.data = t;
    s->handles++;
    return t;
}

/* Ends a transfer's time with curl. The exchange is not the transfer's any more. */
static struct exchange *withdraw(struct curl_sender *s, struct transfer *t)
{
    struct exchange *x = t->exchange;

    curl_multi_remove_handle(s->multi, t->call.easy);
    uv_timer_stop(&t->timer);
    unlink_from(&s->live, t);
    t->exchange = NULL;
    exchange__set_shell(x, NULL);
    return x;
}

static void finish(struct curl_sender *s, struct transfer *t, const struct exchange_result *result)
{
    struct exchange *x = withdraw(s, t);

    s->report(s->ctx, x, result);
    put_back(s, t);
}

static void cancel(struct sending *sending)
{
    struct transfer *t = (struct transfer *)sending;
    struct curl_sender *s = t->owner;

    withdraw(s, t);
    put_back(s, t);
}

static void time_is_up(uv_timer_t *timer)
{
    struct transfer *t = timer->data;
    struct exchange_result result = sender__timed_out(t->why, t->call.has_headers, t->timeout_ms);

    finish(t->owner, t, &result);
}

static void body_must_follow(struct call *call)
{
    struct transfer *t = (struct transfer *)((char *)call - offsetof(struct transfer, call));

    uv_timer_start(&t->timer, time_is_up, WEBHOOK_BODY_MS, 0);
}

/* --- curl in the loop -------------------------------------------------------------- */

/* A report may start and cancel other transfers, so each message is fetched anew. */
static void report_finished(struct curl_sender *s)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(s->multi, &left))) {
        CURLcode code = message->data.result;
        struct exchange_result result;
        struct transfer *t = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        result = transfer__result(t, code);
        finish(s, t, &result);
    }
}

static void curl_timeout(uv_timer_t *timer)
{
    struct curl_sender *s = timer->data;
    int running;

    curl_multi_socket_action(s->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    report_finished(s);
}

static int set_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct curl_sender *s = arg;

    (void)multi;
    if (timeout_ms < 0)
        uv_timer_stop(&s->timer);
    else
        uv_timer_start(&s->timer, curl_timeout, (uint64_t)timeout_ms, 0);
    return 0;
}

static void socket_ready(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    struct curl_sender *s = watch->owner;
    int flags = 0;
    int running;

    if (status < 0) /* an error waits at the socket: curl finds out which when it reads */
        events = UV_READABLE | UV_WRITABLE;
    flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    curl_multi_socket_action(s->multi, watch->socket, flags, &running);
    report_finished(s);
}

static void watch_closed(uv_handle_t *handle)
{
    struct watch *watch = handle->data;
    struct curl_sender *s = watch->owner;

    free(watch);
    handle_closed(s);
}

static struct watch *watch_new(struct curl_sender *s, curl_socket_t socket)
{
    struct watch *watch = malloc(sizeof(*watch));

    if (!watch)
        return NULL;
    if (uv_poll_init_socket(s->loop, &watch->poll, socket) != 0) {
        free(watch);
        return NULL;
    }
    watch->poll.data = watch;
    watch->owner = s;
    watch->socket = socket;
    s->handles++;
    curl_multi_assign(s->multi, socket, watch);
    return watch;
}

static int watch_socket(CURL *easy, curl_socket_t socket, int what, void *arg, void *assigned)
{
    struct curl_sender *s = arg;
    struct watch *watch = assigned;
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        curl_multi_assign(s->multi, socket, NULL);
        if (watch)
            uv_close((uv_handle_t *)&watch->poll, watch_closed);
        return 0;
    }
    if (!watch)
        watch = watch_new(s, socket);
    if (!watch)
        return -1;
    events |= what & CURL_POLL_IN ? UV_READABLE : 0;
    events |= what & CURL_POLL_OUT ? UV_WRITABLE : 0;
    return uv_poll_start(&watch->poll, events, socket_ready);
}

/* --- interface ---------------------------------------------------------------------- */

static void set_multi_options(struct curl_sender *s)
{
    curl_multi_setopt(s->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(s->multi, CURLMOPT_SOCKETDATA, s);
    curl_multi_setopt(s->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(s->multi, CURLMOPT_TIMERDATA, s);
    curl_multi_setopt(s->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)s->budget->per_host);
    curl_multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, (long)s->budget->total);
}

struct curl_sender *curl_sender__new(uv_loop_t *loop, struct sender_budget *budget,
                                     exchange_report_fn *report, void *ctx)
{
    struct curl_sender *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        goto no_curl;
    s->multi = curl_multi_init();
    if (!s->multi)
        goto no_multi;
    s->loop = loop;
    s->budget = budget;
    s->report = report;
    s->ctx = ctx;
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    s->handles = 1;
    set_multi_options(s);
    return s;

no_multi:
    curl_global_cleanup();
no_curl:
    free(s);
    return NULL;
}

static void curl_timer_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

void curl_sender__free(struct curl_sender *s)
{
    struct transfer *t;

    if (!s)
        return;
    s->closing = true;
    while ((t = s->live)) {
        withdraw(s, t);
        put_back(s, t);
    }
    while ((t = s->idle)) {
        unlink_from(&s->idle, t);
        put_back(s, t);
    }
    curl_multi_cleanup(s->multi);
    curl_global_cleanup();
    uv_close((uv_handle_t *)&s->timer, curl_timer_closed);
}

bool curl_sender__send(struct curl_sender *s, struct exchange *x,
                       const struct upstream_request *req)
{
    struct transfer *t = take(s);

    if (!t)
        return false;
    curl_multi_setopt(s->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                      (long)sender__share(s->budget, s->open));
    if (!transfer__prepare(t, req) || curl_multi_add_handle(s->multi, t->call.easy) != CURLM_OK) {
        put_back(s, t);
        return false;
    }
    t->exchange = x;
    exchange__set_shell(x, &t->sending);
    push(&s->live, t);
    uv_timer_start(&t->timer, time_is_up, (uint64_t)req->timeout_ms, 0);
    return true;
}
