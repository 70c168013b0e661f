#include "loop/loop_curl.h"

#include "base/clock.h"

#include <stdlib.h>

struct loop_curl {
    struct loop *loop;
    CURLM *multi;
    struct loop_timer timer; /* curl's */
    CURL *unwatched;         /* memory was out for its socket */
    void (*done)(void *ctx, CURL *easy, CURLcode code);
    void *ctx;
};

/* --- What has ended -------------------------------------------------------------- */

/* `done` may add and remove transfers, so each message is fetched anew. */
static void report_ended(struct loop_curl *c)
{
    CURL *unwatched = c->unwatched;
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(c->multi, &left))) {
        if (message->msg == CURLMSG_DONE)
            c->done(c->ctx, message->easy_handle, message->data.result);
    }
    if (unwatched && unwatched == c->unwatched) { /* it has not ended by itself */
        c->unwatched = NULL;
        c->done(c->ctx, unwatched, CURLE_OUT_OF_MEMORY);
    }
}

static void act(struct loop_curl *c, curl_socket_t socket, int events)
{
    int running;

    curl_multi_socket_action(c->multi, socket, events, &running);
    report_ended(c);
}

/* --- What curl waits for ----------------------------------------------------------- */

static void time_is_up(struct loop_timer *t)
{
    act(t->ctx, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct loop_curl *c = arg;

    (void)multi;
    if (timeout_ms < 0)
        loop__clear_timer(c->loop, &c->timer);
    else
        loop__set_timer(c->loop, &c->timer, clock__mono_ms() + timeout_ms);
    return 0;
}

/* The watch may be gone when curl returns. An error that waits at the socket is found by
 * curl when it reads. */
static void socket_ready(struct loop_watch *w, unsigned events)
{
    int flags = 0;

    if (events & (EPOLLERR | EPOLLHUP))
        flags = CURL_CSELECT_IN | CURL_CSELECT_OUT;
    flags |= events & EPOLLIN ? CURL_CSELECT_IN : 0;
    flags |= events & EPOLLOUT ? CURL_CSELECT_OUT : 0;
    act(w->ctx, w->fd, flags);
}

static int forget_socket(struct loop_curl *c, curl_socket_t socket, struct loop_watch *w)
{
    curl_multi_assign(c->multi, socket, NULL);
    if (w)
        loop__unwatch(c->loop, w);
    free(w);
    return 0;
}

static bool watch_new(struct loop_curl *c, curl_socket_t socket, unsigned events)
{
    struct loop_watch *w = malloc(sizeof(*w));

    if (!w)
        return false;
    *w = (struct loop_watch){socket_ready, c, -1};
    if (!loop__watch(c->loop, w, socket, events)) {
        free(w);
        return false;
    }
    curl_multi_assign(c->multi, socket, w);
    return true;
}

static int watch_socket(CURL *easy, curl_socket_t socket, int what, void *arg, void *assigned)
{
    struct loop_curl *c = arg;
    struct loop_watch *w = assigned;
    unsigned events = 0;

    if (what == CURL_POLL_REMOVE)
        return forget_socket(c, socket, w);
    events |= what & CURL_POLL_IN ? EPOLLIN : 0u;
    events |= what & CURL_POLL_OUT ? EPOLLOUT : 0u;
    /* -1 would be something that libcurl (7.88) does not survive. */
    if (w ? !loop__rewatch(c->loop, w, events) : !watch_new(c, socket, events))
        c->unwatched = easy;
    return 0;
}

/* --- Interface ---------------------------------------------------------------------- */

struct loop_curl *loop_curl__new(struct loop *l, void (*done)(void *ctx, CURL *easy, CURLcode code),
                                 void *ctx)
{
    struct loop_curl *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        goto no_curl;
    c->multi = curl_multi_init();
    if (!c->multi || !loop__add_timer(l, &c->timer))
        goto no_multi;
    c->loop = l;
    c->timer.ring = time_is_up;
    c->timer.ctx = c;
    c->done = done;
    c->ctx = ctx;
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    return c;

no_multi:
    curl_multi_cleanup(c->multi);
    curl_global_cleanup();
no_curl:
    free(c);
    return NULL;
}

void loop_curl__free(struct loop_curl *c)
{
    if (!c)
        return;
    curl_multi_cleanup(c->multi);
    loop__remove_timer(c->loop, &c->timer);
    curl_global_cleanup();
    free(c);
}

CURLM *loop_curl__multi(struct loop_curl *c)
{
    return c->multi;
}

bool loop_curl__add(struct loop_curl *c, CURL *easy)
{
    return curl_multi_add_handle(c->multi, easy) == CURLM_OK;
}

void loop_curl__remove(struct loop_curl *c, CURL *easy)
{
    if (c->unwatched == easy)
        c->unwatched = NULL;
    curl_multi_remove_handle(c->multi, easy);
}
