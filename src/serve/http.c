/* The HTTP listener, on libmicrohttpd: an epoll loop on each of N threads, and the
 * handlers run in them. A request whose answer comes later is suspended; whoever answers
 * it leaves it with its loop, which alone touches libmicrohttpd. */
#include "serve/exchange.h"
#include "serve/head.h"
#include "serve/listen.h"
#include "serve/reaper.h"
#include "serve/server.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* libmicrohttpd keeps a request's head, its index of it and the response's head in one
 * pool for each connection: room for what is not limited by PH_LIMIT_HEADER_BYTES. */
#define POOL_EXTRA 4096
#define POOL_PER_HEADER 72
/* Events of our own that a turn of a loop takes. */
#define OWN_EVENTS 64
/* Connections are watched by the reaper, but for those that there was no memory for:
 * libmicrohttpd's own timeouts take a clock and a lock with each read and write. */
#define UNWATCHED_SECONDS 10u

/* A send wakes a peer that has fallen asleep since the one before, which is a good part of its
 * price. So where more requests than this come in a turn, and no handler holds up the others,
 * answers that are a status alone leave one right behind the other: libmicrohttpd gets them when it
 * asks again, in the next turn, which comes at once. */
#define FEW_REQUESTS 4

/* Threads of libmicrohttpd's own wait for ever when 128 connections, the size of its batch,
 * are ready at once and no other gets ready: it asks epoll for more before it looks at them
 * (0.9.75). It does not wait when others wait for it. */
struct loop {
    struct http_server *server;
    struct MHD_Daemon *daemon;
    pthread_t thread;
    int epoll; /* `wake`, and the peers of requests that wait */
    int wake;  /* eventfd: answers have come, or the server's stage has changed */
    bool quiesced;
    bool has_room;     /* libmicrohttpd, which stopped accepting without, sees it a turn later */
    unsigned requests; /* of this turn */
    bool many;         /* in the last turn that had any */
    struct exchanges exchanges;
    struct MHD_Response *empty;          /* for all answers of a status alone */
    struct connection *waiting;          /* suspended */
    pthread_mutex_t lock;                /* of the answered ones */
    struct connection *answered, **last; /* in the order of their answers */
};

/* The way to the end. */
enum stage {
    SERVING,
    DRAINING, /* no new connections; what is under way is answered */
    FAILING,  /* what still waits for its answer fails */
    STOPPING
};

struct http_server {
    struct ph_server base;
    struct loop *loops;
    size_t loop_count; /* those that run */
    int listener;
    struct reaper *reaper;
    atomic_size_t under_way; /* requests between their head and the end of their response */
    _Atomic enum stage stage;
    pthread_mutex_t lock; /* of the last request that leaves while draining */
    pthread_cond_t idle;
};

/* What there is to do when libmicrohttpd asks for the answer of a complete request. */
enum step {
    ASK,    /* the application */
    WAIT,   /* for its answer; suspended */
    ANSWER, /* it is there */
    STATUS, /* is all of the answer, and was held back */
    GIVE_UP /* the peer has gone */
};

/* A client's TCP connection with the request it is sending. */
struct connection {
    struct http_server *server;
    struct loop *loop;
    struct MHD_Connection *mhd;
    struct reaper_watch watch;
    enum step step;
    unsigned status;
    struct connection *prev, *next; /* while it waits */
    struct connection *behind;      /* among the answered */
    bool unread;                    /* answered without reading the body */
    bool entered;                   /* between the request's head and the end of the response */
    char *target;                   /* a copy from before libmicrohttpd decodes it in place */
    const char *raw_target;         /* where it stood in libmicrohttpd's buffer */
    struct exchange *exchange;      /* NULL between requests */
};

static void enter(struct connection *c)
{
    atomic_fetch_add(&c->server->under_way, 1);
    c->entered = true;
}

static void leave(struct connection *c)
{
    struct http_server *s = c->server;

    if (!c->entered)
        return;
    c->entered = false;
    if (atomic_fetch_sub(&s->under_way, 1) != 1 || atomic_load(&s->stage) == SERVING)
        return;
    pthread_mutex_lock(&s->lock);
    pthread_cond_signal(&s->idle);
    pthread_mutex_unlock(&s->lock);
}

/* Forgets the request and gets ready for the next on the same connection. */
static void reset(struct connection *c)
{
    leave(c);
    exchanges__give(&c->loop->exchanges, c->exchange);
    c->exchange = NULL;
    c->step = ASK;
    c->target = NULL;
}

static struct connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

static void open_connection(struct loop *l, struct MHD_Connection *mhd, void **context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *c = info ? calloc(1, sizeof(*c)) : NULL;

    *context = c; /* NULL: its requests are refused */
    if (!c) {
        MHD_set_connection_option(mhd, MHD_CONNECTION_OPTION_TIMEOUT, UNWATCHED_SECONDS);
        return;
    }
    c->server = l->server;
    c->loop = l;
    c->mhd = mhd;
    reaper__add(c->server->reaper, &c->watch, info->connect_fd);
}

static void close_connection(struct connection *c)
{
    int fd;

    if (!c)
        return;
    reaper__remove(c->server->reaper, &c->watch);
    if (c->unread && (fd = fcntl(c->watch.fd, F_DUPFD_CLOEXEC, 0)) >= 0)
        reaper__drain(c->server->reaper, fd);
    reset(c);
    free(c);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct loop *l = cls;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        open_connection(l, mhd, context);
    } else {
        l->has_room = true;
        close_connection(*context);
    }
}

/* The request line is here; the rest of the request has its own time from now on. */
static void *on_target(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    struct connection *c = connection_of(mhd);

    (void)cls;
    if (!c)
        return NULL;
    reaper__restart(&c->watch);
    if (!c->exchange)
        c->exchange = exchanges__take(&c->loop->exchanges);
    if (!c->exchange)
        return NULL;
    c->raw_target = uri;
    c->target = arena__strdup(&c->exchange->request->arena, str__of(uri));
    head__hide_query(uri);
    return c;
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct connection *c = *context;

    (void)cls, (void)mhd, (void)code;
    if (!c)
        return;
    reset(c);
    reaper__restart(&c->watch);
}

/* libmicrohttpd refuses an empty value (an empty ce-connectionState); a blank is one too,
 * for whoever reads it (RFC 9110 section 5.5). */
static bool add_headers(struct MHD_Response *out, const struct http_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        const struct http_header *h = &headers->items[i];
        const char *value = h->value.len > 0 ? h->value.ptr : " ";

        if (MHD_add_response_header(out, h->name.ptr, value) != MHD_YES)
            return false;
    }
    return true;
}

static bool is_status(const struct http_response *res)
{
    return res->body.len == 0 && res->headers.count == 0;
}

/* The body stays in our response, which lives until on_completed. */
static enum MHD_Result send_response(struct connection *c, struct MHD_Connection *mhd, bool close)
{
    const struct http_response *res = &c->exchange->response->http;
    struct MHD_Response *out;
    enum MHD_Result result = MHD_NO;

    reaper__restart(&c->watch);
    if (is_status(res) && !close)
        return MHD_queue_response(mhd, (unsigned)res->status, c->loop->empty);
    out = MHD_create_response_from_buffer(res->body.len, (void *)(uintptr_t)res->body.ptr,
                                          MHD_RESPMEM_PERSISTENT);
    if (!out)
        return MHD_NO;
    if (add_headers(out, &res->headers) &&
        (!close || MHD_add_response_header(out, "Connection", "close") == MHD_YES))
        result = MHD_queue_response(mhd, (unsigned)res->status, out);
    MHD_destroy_response(out);
    return result;
}

/* Answers by the head alone and ends the connection, whatever body is to come. */
static enum MHD_Result refuse(struct connection *c, struct MHD_Connection *mhd)
{
    c->unread = true;
    return send_response(c, mhd, true);
}

/* The head is complete: take it over, and refuse now what need not be read. */
static enum MHD_Result begin(struct connection *c, struct MHD_Connection *mhd, const char *method,
                             const char *version)
{
    struct head_line line = {method, c->raw_target, c->target, version};
    struct ph_request *req = c->exchange->request;
    const char *malformed;

    if (!c->target || !head__take(&req->arena, mhd, &line, &req->http, &malformed))
        return MHD_NO;
    enter(c);
    if (malformed) {
        app__refuse(c->server->base.app, req, c->exchange->response, 400, malformed);
        return refuse(c, mhd);
    }
    if (app__check_head(c->server->base.app, req, c->exchange->response))
        return refuse(c, mhd);
    return MHD_YES;
}

/* --- Requests that wait for their answers -------------------------------------------- */

static void wake(struct loop *l)
{
    eventfd_write(l->wake, 1);
}

/* Any thread. The loop may be gone as soon as it has the last answer, so it is woken under
 * the lock. */
static void on_answer(struct ph_response *res, void *arg)
{
    struct connection *c = arg;
    struct loop *l = c->loop;

    (void)res;
    pthread_mutex_lock(&l->lock);
    c->behind = NULL;
    *l->last = c;
    l->last = &c->behind;
    if (l->answered == c)
        wake(l);
    pthread_mutex_unlock(&l->lock);
}

/* libmicrohttpd does not look at a connection that is suspended. We see when its peer has
 * closed it; where memory is out for that, its answer finds out. */
static void watch_peer(struct connection *c, int op)
{
    struct epoll_event ev = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = c};

    (void)epoll_ctl(c->loop->epoll, op, c->watch.fd, &ev);
}

static void suspend(struct connection *c)
{
    struct loop *l = c->loop;

    c->step = WAIT;
    c->prev = NULL;
    c->next = l->waiting;
    if (c->next)
        c->next->prev = c;
    l->waiting = c;
    MHD_suspend_connection(c->mhd);
    watch_peer(c, EPOLL_CTL_ADD);
}

static void resume(struct connection *c, enum step step)
{
    watch_peer(c, EPOLL_CTL_DEL);
    if (c->prev)
        c->prev->next = c->next;
    else
        c->loop->waiting = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->step = step;
    MHD_resume_connection(c->mhd);
}

static void resume_answered(struct loop *l)
{
    struct connection *c, *behind;

    pthread_mutex_lock(&l->lock);
    c = l->answered;
    l->answered = NULL;
    l->last = &l->answered;
    pthread_mutex_unlock(&l->lock);
    for (; c; c = behind) {
        behind = c->behind;
        resume(c, ANSWER);
    }
}

/* Where somebody is answering just now, the answer finds nobody. */
static void on_peer_gone(struct connection *c)
{
    if (c->step == WAIT && app__withdraw(c->exchange->response))
        resume(c, GIVE_UP);
}

static void fail_waiting(struct loop *l)
{
    struct connection *next;

    for (struct connection *c = l->waiting; c; c = next) {
        next = c->next;
        if (!app__withdraw(c->exchange->response))
            continue;
        app__refuse(l->server->base.app, c->exchange->request, c->exchange->response, 503,
                    "the server is stopping");
        resume(c, ANSWER);
    }
}

/* --- Requests ---------------------------------------------------------------------------- */

/* Holds an answer back until libmicrohttpd asks again. The exchange is free for the next request.
 * False: it is to leave at once. */
static bool hold(struct connection *c)
{
    const struct http_response *res = &c->exchange->response->http;

    if (!c->loop->many || !is_status(res) || !app__never_blocks(c->server->base.app))
        return false;
    c->step = STATUS;
    c->status = (unsigned)res->status;
    exchanges__give(&c->loop->exchanges, c->exchange);
    c->exchange = NULL;
    return true;
}

static enum MHD_Result send_held(struct connection *c)
{
    reaper__restart(&c->watch);
    return MHD_queue_response(c->mhd, c->status, c->loop->empty);
}

/* The request is complete. One whose body grew past the limit was read to its end, or
 * to its deadline, because libmicrohttpd cannot answer in the middle of a body. */
static enum MHD_Result ask(struct connection *c, bool close)
{
    struct ph_app *app = c->server->base.app;
    struct exchange *x = c->exchange;

    reaper__pause(&c->watch);
    if (x->body.failed) {
        app__refuse(app, x->request, x->response, 413,
                    "the body is larger than this server allows");
        return send_response(c, c->mhd, true);
    }
    ph_request_set_body(x->request, buf__view(&x->body).ptr, x->body.len);
    c->loop->requests++;
    if (!app__serve_checked(app, x->request, x->response, on_answer, c))
        suspend(c);
    else if (close || !hold(c))
        return send_response(c, c->mhd, close);
    return MHD_YES;
}

static enum MHD_Result finish(struct connection *c)
{
    bool close = atomic_load_explicit(&c->server->stage, memory_order_relaxed) != SERVING;

    switch (c->step) {
    case ASK:
        return ask(c, close);
    case WAIT:
        return MHD_YES;
    case ANSWER:
        return send_response(c, c->mhd, close);
    case STATUS:
        return send_held(c);
    case GIVE_UP:
        break;
    }
    return MHD_NO;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **context)
{
    struct connection *c = *context;

    (void)cls, (void)url;
    if (!c)
        return MHD_NO;
    if (!c->entered)
        return begin(c, mhd, method, version);
    if (*size == 0)
        return finish(c);
    buf__append(&c->exchange->body, data, *size);
    *size = 0;
    return MHD_YES;
}

static void __attribute__((format(printf, 2, 0)))
on_message(void *cls, const char *fmt, va_list args)
{
    struct ph_log *log = app__log(cls);
    char text[512];

    if (!log__wants(log, PH_LOG_DEBUG))
        return;
    vsnprintf(text, sizeof(text), fmt, args);
    text[strcspn(text, "\n")] = '\0';
    log__debug(log, LOG_NONE, "http: %s", text);
}

/* --- Start and end ---------------------------------------------------------------------- */

static void set_stage(struct http_server *s, enum stage stage)
{
    atomic_store(&s->stage, stage);
    for (size_t i = 0; i < s->loop_count; i++)
        wake(&s->loops[i]);
}

/* Waits for all requests that are under way. */
static void drain(struct http_server *s, size_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(ms / 1000) + 1;
    pthread_mutex_lock(&s->lock);
    while (atomic_load(&s->under_way) > 0 &&
           pthread_cond_timedwait(&s->idle, &s->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&s->lock);
}

static void free_loop(struct loop *l)
{
    if (l->daemon)
        MHD_stop_daemon(l->daemon);
    if (l->empty)
        MHD_destroy_response(l->empty);
    exchanges__free(&l->exchanges);
    if (l->epoll >= 0)
        close(l->epoll);
    if (l->wake >= 0)
        close(l->wake);
    pthread_mutex_destroy(&l->lock);
}

/* Requests that were begun get their answer, for as long as a request may take. Those whose
 * answers are still to come fail then, and what they are told gets a second. */
static void end_loops(struct http_server *s)
{
    set_stage(s, DRAINING);
    drain(s, ph_app_limit(s->base.app, PH_LIMIT_REQUEST_MS));
    set_stage(s, FAILING);
    drain(s, 0);
    set_stage(s, STOPPING);
    for (size_t i = 0; i < s->loop_count; i++)
        pthread_join(s->loops[i].thread, NULL);
    for (size_t i = 0; i < s->loop_count; i++)
        free_loop(&s->loops[i]);
}

static void http_close(struct ph_server *base)
{
    struct http_server *s = (struct http_server *)base;

    if (s->loop_count > 0)
        end_loops(s);
    free(s->loops);
    if (s->listener >= 0)
        close(s->listener);
    reaper__free(s->reaper);
    pthread_cond_destroy(&s->idle);
    pthread_mutex_destroy(&s->lock);
    server__fini(base);
    free(s);
}

static size_t pool_size(const struct ph_app *app)
{
    return ph_app_limit(app, PH_LIMIT_HEADER_BYTES) +
           POOL_PER_HEADER * ph_app_limit(app, PH_LIMIT_HEADERS) + POOL_EXTRA;
}

/* Not more loops than connections, each of which may wait for its answer. */
static size_t loops_of(const struct http_server *s)
{
    size_t connections = ph_app_limit(s->base.app, PH_LIMIT_CONNECTIONS);

    return s->base.threads < connections ? s->base.threads : connections;
}

/* The loop's part. */
static unsigned connections_of(const struct loop *l)
{
    const struct http_server *s = l->server;
    size_t connections = ph_app_limit(s->base.app, PH_LIMIT_CONNECTIONS), loops = loops_of(s);
    size_t number = (size_t)(l - s->loops);

    return (unsigned)(connections / loops + (number < connections % loops));
}

static struct MHD_Daemon *make_daemon(struct loop *l)
{
    const struct http_server *s = l->server;
    const struct ph_app *app = s->base.app;

    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, l,
        MHD_OPTION_EXTERNAL_LOGGER, on_message, app, MHD_OPTION_LISTEN_SOCKET, s->listener,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_CONNECTION_LIMIT, connections_of(l), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        pool_size(app), MHD_OPTION_NOTIFY_CONNECTION, on_connection, l, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, l, MHD_OPTION_URI_LOG_CALLBACK, on_target, l, MHD_OPTION_END);
}

static int wait_ms(struct loop *l)
{
    MHD_UNSIGNED_LONG_LONG ms;

    if (l->has_room) {
        l->has_room = false;
        return 0;
    }
    if (MHD_get_timeout(l->daemon, &ms) != MHD_YES)
        return -1;
    return ms < 1000 ? (int)ms : 1000;
}

/* Our part of a turn. libmicrohttpd may free connections in its own, so all events of this
 * one are looked at before. */
static void look_at_ours(struct loop *l)
{
    struct epoll_event events[OWN_EVENTS];
    int count = epoll_wait(l->epoll, events, OWN_EVENTS, 0);
    eventfd_t times;

    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr)
            on_peer_gone(events[i].data.ptr);
        else
            eventfd_read(l->wake, &times);
    }
    resume_answered(l);
}

/* Only its own thread may quiesce a loop's daemon: from another, libmicrohttpd 0.9.75 may
 * meet itself in the middle, and aborts. */
static void quiesce(struct loop *l)
{
    if (!l->quiesced)
        MHD_quiesce_daemon(l->daemon);
    l->quiesced = true;
}

/* False: this was the last turn. */
static bool go_on(struct loop *l)
{
    enum stage stage = atomic_load(&l->server->stage);

    if (stage != SERVING)
        quiesce(l);
    if (stage >= FAILING)
        fail_waiting(l);
    return stage < STOPPING || l->waiting;
}

/* libmicrohttpd's part of a turn. */
static void run(struct loop *l)
{
    l->requests = 0;
    MHD_run(l->daemon);
    if (l->requests > 0)
        l->many = l->requests > FEW_REQUESTS;
}

static void *run_loop(void *arg)
{
    struct loop *l = arg;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct pollfd fds[] = {{.fd = info->epoll_fd, .events = POLLIN},
                           {.fd = l->epoll, .events = POLLIN}};
    sigset_t pipe;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, NULL);
    while (go_on(l)) {
        poll(fds, 2, wait_ms(l));
        if (fds[1].revents)
            look_at_ours(l);
        run(l);
    }
    return NULL;
}

static bool open_loop(struct loop *l)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};

    l->last = &l->answered;
    l->exchanges.app = l->server->base.app;
    pthread_mutex_init(&l->lock, NULL);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->epoll < 0 || l->wake < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->wake, &ev))
        return false;
    l->empty = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    l->daemon = l->empty ? make_daemon(l) : NULL;
    return l->daemon && pthread_create(&l->thread, NULL, run_loop, l) == 0;
}

static bool start_loop(struct http_server *s)
{
    struct loop *l = &s->loops[s->loop_count];

    l->server = s;
    if (open_loop(l)) {
        s->loop_count++;
        return true;
    }
    if (l->daemon)
        quiesce(l);
    free_loop(l);
    return false;
}

static bool start_loops(struct http_server *s)
{
    size_t count = loops_of(s);

    s->loops = calloc(count, sizeof(*s->loops));
    if (!s->loops)
        return false;
    while (s->loop_count < count) {
        if (!start_loop(s))
            return false;
    }
    return true;
}

static bool set_address(struct ph_server *base, const char *actual)
{
    struct str path = app__path(base->app);

    return asprintf(&base->address, "http://%s%.*s", actual, STR_FMT(path)) >= 0;
}

static enum ph_err http_open(struct http_server *s, const char *listen, struct diag *diag)
{
    char actual[LISTEN_ADDRESS_SIZE];
    enum ph_err err;

    err = listen__tcp(listen, &s->listener, actual, diag);
    if (err)
        return err;
    s->reaper = reaper__new(ph_app_limit(s->base.app, PH_LIMIT_REQUEST_MS));
    if (!s->reaper || !set_address(&s->base, actual))
        return PH_ERR_MEMORY;
    if (!start_loops(s))
        return diag__set(diag, PH_ERR_SYSTEM, "libmicrohttpd does not start on %s: %m", actual);
    return PH_OK;
}

enum ph_err ph_serve_http(struct ph_app *app, const char *listen, unsigned threads,
                          struct ph_server **out, const char **why)
{
    struct http_server *s = calloc(1, sizeof(*s));
    enum ph_err err;

    if (!s)
        return server__fail(PH_ERR_MEMORY, why);
    s->base.close = http_close;
    s->listener = -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->idle, NULL);
    err = server__init(&s->base, app, threads, server__diag());
    if (!err)
        err = http_open(s, listen, server__diag());
    if (err) {
        http_close(&s->base);
        return server__fail(err, why);
    }
    *out = &s->base;
    return PH_OK;
}
