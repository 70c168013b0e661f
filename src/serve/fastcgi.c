/* FastCGI responder, on libfcgi.
 *
 * libfcgi's own loop gives a thread to a connection for as long as the connection is
 * open; web servers keep theirs open, and T threads would starve all but T of them. So
 * connections are accepted here, one epoll set watches those that idle, and a thread
 * takes one only when a request has begun to arrive on it. libfcgi reads and writes
 * the records of that request; then the connection goes back into the set. One whose
 * answer comes later waits without a thread, and any thread finishes it. */
#include "base/thread.h"
#include "serve/gateway.h"
#include "serve/listen.h"
#include "serve/reaper.h"
#include "serve/server.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* How long it stops accepting when there is no descriptor and no connection to end. */
#define PAUSE_MS 100

/* A web server's connection. `fd` is ours; libfcgi has a duplicate, which it closes when
 * it finds the connection broken: the reaper must never meet a descriptor that libfcgi
 * closed and somebody else got. */
struct connection {
    int fd;
    FCGX_Request fcgi;
    struct reaper_watch watch;
    struct gateway gateway;
    struct fastcgi_server *server;
    /* under the server's lock */
    bool idle;                        /* in the list: it may be ended to make room */
    bool ended;                       /* it was */
    bool under_way;                   /* a request is */
    bool waits;                       /* for its answer */
    bool answered;                    /* it is there */
    bool held;                        /* somebody withdraws it just now */
    bool failed;                      /* and need not do so again at the end */
    struct connection *older, *newer; /* the list of idle ones */
    struct connection *prev, *next;   /* all */
    struct connection *behind;        /* the list of answered ones */
};

/* The way to the end. */
enum stage {
    SERVING,
    DRAINING, /* no new requests; those that were begun are answered */
    FAILING   /* what still waits for its answer fails */
};

struct fastcgi_server {
    struct ph_server base;
    int listen_fd;
    int epoll_fd;
    int quit_fd;     /* eventfd, readable when the threads shall end */
    int answered_fd; /* eventfd, counts the answered ones */
    int gone_fd;     /* an epoll set: the web server has closed a connection that waits */
    char *path;      /* of the UNIX socket; NULL for TCP */
    size_t most;     /* connections */
    struct reaper *reaper;
    pthread_t *workers;
    unsigned worker_count;
    pthread_mutex_t lock; /* of all below */
    struct connection *all;
    struct connection *oldest, *newest; /* idle */
    size_t count;
    bool full;     /* one more has come: the listening socket is not watched until one ends */
    bool no_spare; /* ... and none idles that could be ended: the next that would idle is */
    struct connection *answered, **last;
    size_t under_way; /* connections that are neither idle nor new */
    enum stage stage;
    pthread_cond_t changed; /* while stopping: one more waits, or one less is under way */
};

/* --- what the epoll set watches --------------------------------------------- */

/* Each is reported once, to one thread, until it is watched again. */
static bool watch(struct fastcgi_server *s, int op, int fd, void *what)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = what};

    return epoll_ctl(s->epoll_fd, op, fd, &ev) == 0;
}

static void unlist_idle(struct fastcgi_server *s, struct connection *c)
{
    if (!c->idle)
        return;
    c->idle = false;
    *(c->older ? &c->older->newer : &s->oldest) = c->newer;
    *(c->newer ? &c->newer->older : &s->newest) = c->older;
}

static void list_idle(struct fastcgi_server *s, struct connection *c)
{
    c->idle = true;
    c->newer = NULL;
    c->older = s->newest;
    *(c->older ? &c->older->newer : &s->oldest) = c;
    s->newest = c;
}

static bool has_request(const struct connection *c)
{
    char byte;

    return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Makes room by ending the connection that idles longest. It is shut down, not freed:
 * the thread that takes it will find its end. One whose request is here does not idle any more,
 * though no thread has taken it yet. False: there is none. */
static bool end_oldest_idle(struct fastcgi_server *s)
{
    struct connection *c;

    while ((c = s->oldest)) {
        unlist_idle(s, c);
        if (has_request(c))
            continue;
        c->ended = true;
        shutdown(c->fd, SHUT_RDWR);
        return true;
    }
    return false;
}

/* --- connections --------------------------------------------------------------- */

static struct connection *new_connection(struct fastcgi_server *s, int fd)
{
    struct connection *c = calloc(1, sizeof(*c));
    bool ready = c && gateway__init(&c->gateway, s->base.app);
    int copy = ready ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;

    if (copy < 0) {
        if (c)
            gateway__free(&c->gateway);
        free(c);
        return NULL;
    }
    c->fd = fd;
    c->server = s;
    FCGX_InitRequest(&c->fcgi, -1, FCGI_FAIL_ACCEPT_ON_INTR); /* -1: it shall accept nothing */
    c->fcgi.ipcFd = copy;
    c->fcgi.keepConnection = 1; /* or FCGX_Accept_r closes it as a remainder */
    FCGX_Detach(&c->fcgi);      /* it would linger for seconds, in select(2), when it closes */
    return c;
}

static void free_connection(struct connection *c)
{
    FCGX_Free(&c->fcgi, 1);
    close(c->fd);
    gateway__free(&c->gateway);
    free(c);
}

/* A request begins. False: there shall be no new ones, or none on this connection. */
static bool enter(struct fastcgi_server *s, struct connection *c)
{
    bool serving;

    pthread_mutex_lock(&s->lock);
    unlist_idle(s, c);
    serving = s->stage == SERVING && !c->ended;
    c->under_way = serving;
    s->under_way += serving;
    c->waits = c->answered = c->failed = false;
    pthread_mutex_unlock(&s->lock);
    return serving;
}

/* Under the lock: it ends. */
static void leave(struct fastcgi_server *s, struct connection *c)
{
    s->under_way -= c->under_way;
    c->under_way = false;
    if (s->stage != SERVING)
        pthread_cond_signal(&s->changed);
}

static void end_connection(struct fastcgi_server *s, struct connection *c)
{
    reaper__remove(s->reaper, &c->watch);
    pthread_mutex_lock(&s->lock);
    leave(s, c);
    unlist_idle(s, c);
    if (c->prev)
        c->prev->next = c->next;
    else
        s->all = c->next;
    if (c->next)
        c->next->prev = c->prev;
    s->count--;
    if (s->full)
        s->full = !watch(s, EPOLL_CTL_MOD, s->listen_fd, s);
    s->no_spare &= s->full;
    pthread_mutex_unlock(&s->lock);
    free_connection(c);
}

/* Nobody connects without a request to send: it is not ended to make room, but must begin with one
 * in the time of a request. */
static void begin_connection(struct fastcgi_server *s, struct connection *c)
{
    reaper__add(s->reaper, &c->watch, c->fd);
    reaper__await(&c->watch);
    pthread_mutex_lock(&s->lock);
    c->next = s->all;
    if (c->next)
        c->next->prev = c;
    s->all = c;
    s->count++;
    pthread_mutex_unlock(&s->lock);
    if (!watch(s, EPOLL_CTL_ADD, c->fd, c))
        end_connection(s, c);
}

/* Back into the set, until its next request begins, unless others wait for its place. Once it is
 * watched again, another thread may have it. */
static void park(struct fastcgi_server *s, struct connection *c)
{
    bool watched;

    reaper__pause(&c->watch);
    pthread_mutex_lock(&s->lock);
    leave(s, c);
    if (!s->no_spare)
        list_idle(s, c);
    watched = !s->no_spare && watch(s, EPOLL_CTL_MOD, c->fd, c);
    s->no_spare = false; /* one is enough */
    pthread_mutex_unlock(&s->lock);
    if (!watched)
        end_connection(s, c);
}

/* One more has come. False: it waits, and the listening socket is not watched, until another
 * connection has ended: the one that idles longest, or else the next that is done. */
static bool has_room(struct fastcgi_server *s, size_t most)
{
    bool room;

    pthread_mutex_lock(&s->lock);
    room = s->count < most;
    s->full = !room;
    s->no_spare = !room && !end_oldest_idle(s);
    pthread_mutex_unlock(&s->lock);
    return room;
}

/* Descriptors or memory are out. Without connections none will end, and what others hold is not
 * told of when it is free. */
static bool may_try_again(struct fastcgi_server *s)
{
    struct pollfd quit = {.fd = s->quit_fd, .events = POLLIN};

    if (!has_room(s, 1))
        return false;
    poll(&quit, 1, PAUSE_MS);
    return true;
}

/* By one thread at a time: whoever was told of the listening socket, which is watched again by
 * him, or by who makes the room that is missing. */
static void accept_one(struct fastcgi_server *s)
{
    struct connection *c;
    bool exhausted;
    int fd;

    if (!has_room(s, s->most))
        return;
    fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    exhausted = fd < 0 && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR;
    c = fd >= 0 ? new_connection(s, fd) : NULL;
    if (c)
        begin_connection(s, c);
    else if (fd >= 0)
        close(fd);
    if ((!exhausted && (c || fd < 0)) || may_try_again(s))
        watch(s, EPOLL_CTL_MOD, s->listen_fd, s);
}

/* --- requests ---------------------------------------------------------------------- */

/* Reads the body. Only that has a deadline, not the handler that runs after it. */
static size_t read_body(void *source, char *to, size_t len)
{
    struct connection *c = source;
    int n = FCGX_GetStr(to, (int)len, c->fcgi.in);

    if (n > 0)
        return (size_t)n;
    reaper__pause(&c->watch);
    return 0;
}

/* Sends the answer and gets ready for the next request. */
static void finish(struct fastcgi_server *s, struct connection *c)
{
    struct str out = gateway__response(&c->gateway);

    reaper__restart(&c->watch);
    FCGX_PutStr(out.ptr, (int)out.len, c->fcgi.out);
    gateway__reset(&c->gateway);
    FCGX_Finish_r(&c->fcgi);
    if (c->fcgi.ipcFd >= 0) /* the web server wants it kept, and has it still */
        park(s, c);
    else
        end_connection(s, c);
}

/* --- requests that wait for their answers --------------------------------------------- */

/* Under the lock: a worker will finish it. */
static void hand_to_workers(struct fastcgi_server *s, struct connection *c)
{
    c->behind = NULL;
    *s->last = c;
    s->last = &c->behind;
    eventfd_write(s->answered_fd, 1);
}

/* Any thread. */
static void on_answer(struct ph_response *res, void *arg)
{
    struct connection *c = arg;
    struct fastcgi_server *s = c->server;

    (void)res;
    pthread_mutex_lock(&s->lock);
    c->answered = true;
    if (c->waits && !c->held)
        hand_to_workers(s, c);
    pthread_mutex_unlock(&s->lock);
}

/* Sees when the web server closes the connection, which it does when its own client has gone. */
static void watch_peer(struct fastcgi_server *s, struct connection *c, int op)
{
    struct epoll_event ev = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = c};

    (void)epoll_ctl(s->gone_fd, op, c->fd, &ev);
}

/* False: it is answered already. */
static bool begin_to_wait(struct fastcgi_server *s, struct connection *c)
{
    bool waits;

    pthread_mutex_lock(&s->lock);
    waits = c->waits = !c->answered;
    if (waits)
        watch_peer(s, c, EPOLL_CTL_ADD);
    if (waits && s->stage == FAILING)
        pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return waits;
}

/* Under the lock, which it gives up meanwhile. True: nobody is going to answer it. Until it is
 * told so, or put into the hands of the workers, the connection stays. */
static bool withdraw(struct fastcgi_server *s, struct connection *c)
{
    bool withdrawn;

    c->held = true;
    pthread_mutex_unlock(&s->lock);
    withdrawn = app__withdraw(c->gateway.exchange.response);
    pthread_mutex_lock(&s->lock);
    c->held = false;
    if (withdrawn)
        c->waits = false;
    else if (c->answered)
        hand_to_workers(s, c);
    return withdrawn;
}

static struct connection *take_gone(struct fastcgi_server *s)
{
    struct epoll_event ev;

    /* whoever is in the set waits, for only the lock's holder takes him out of it */
    if (epoll_wait(s->gone_fd, &ev, 1, 0) <= 0)
        return NULL;
    watch_peer(s, ev.data.ptr, EPOLL_CTL_DEL);
    return ev.data.ptr;
}

static void on_gone(struct fastcgi_server *s)
{
    struct connection *c;
    bool withdrawn;

    pthread_mutex_lock(&s->lock);
    c = take_gone(s);
    withdrawn = c && !c->answered && !c->held && withdraw(s, c);
    watch(s, EPOLL_CTL_MOD, s->gone_fd, &s->gone_fd);
    pthread_mutex_unlock(&s->lock);
    if (withdrawn)
        end_connection(s, c);
}

static struct connection *take_answered(struct fastcgi_server *s)
{
    struct connection *c;
    eventfd_t one;

    pthread_mutex_lock(&s->lock);
    c = eventfd_read(s->answered_fd, &one) == 0 ? s->answered : NULL;
    if (c) {
        s->answered = c->behind;
        if (!s->answered)
            s->last = &s->answered;
        watch_peer(s, c, EPOLL_CTL_DEL);
    }
    watch(s, EPOLL_CTL_MOD, s->answered_fd, &s->answered_fd);
    pthread_mutex_unlock(&s->lock);
    return c;
}

static void on_answered(struct fastcgi_server *s)
{
    struct connection *c = take_answered(s);

    if (c)
        finish(s, c);
}

/* Under the lock. */
static struct connection *next_to_fail(struct fastcgi_server *s)
{
    struct connection *c = s->all;

    while (c && (!c->waits || c->answered || c->held || c->failed))
        c = c->next;
    return c;
}

static void fail_waiting(struct fastcgi_server *s)
{
    struct connection *c;

    while ((c = next_to_fail(s))) {
        c->failed = true;
        if (!withdraw(s, c))
            continue;
        gateway__refuse(&c->gateway, 503, "the server is stopping");
        c->answered = true;
        hand_to_workers(s, c);
    }
}

/* --- threads ------------------------------------------------------------------------------ */

/* A request has begun, or the connection has ended. */
static void serve_connection(struct fastcgi_server *s, struct connection *c)
{
    bool serving = enter(s, c);

    reaper__restart(&c->watch);
    if (!serving || FCGX_Accept_r(&c->fcgi) != 0) {
        end_connection(s, c);
        return;
    }
    if (gateway__serve(&c->gateway, (const char *const *)c->fcgi.envp, read_body, c, on_answer,
                       c) ||
        !begin_to_wait(s, c))
        finish(s, c);
}

static void *work(void *arg)
{
    struct fastcgi_server *s = arg;
    struct epoll_event ev;

    for (;;) {
        if (epoll_wait(s->epoll_fd, &ev, 1, -1) <= 0)
            continue;
        if (!ev.data.ptr)
            return NULL; /* quit_fd: stays readable for the others */
        if (ev.data.ptr == s)
            accept_one(s);
        else if (ev.data.ptr == &s->answered_fd)
            on_answered(s);
        else if (ev.data.ptr == &s->gone_fd)
            on_gone(s);
        else
            serve_connection(s, ev.data.ptr);
    }
}

/* --- start and end ------------------------------------------------------------------- */

/* Requests that were begun get their answer, for as long as a request may take. Those whose
 * answers are still to come fail then. */
static void end_requests(struct fastcgi_server *s)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(ph_app_limit(s->base.app, PH_LIMIT_REQUEST_MS) / 1000) + 1;
    pthread_mutex_lock(&s->lock);
    s->stage = DRAINING;
    epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, s->listen_fd, NULL);
    while (s->under_way > 0 && pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0)
        ;
    s->stage = FAILING;
    fail_waiting(s);
    while (s->under_way > 0) {
        pthread_cond_wait(&s->changed, &s->lock);
        fail_waiting(s);
    }
    pthread_mutex_unlock(&s->lock);
}

static void join_workers(struct fastcgi_server *s)
{
    static const uint64_t one = 1;

    while (s->worker_count > 0 && write(s->quit_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    while (s->worker_count > 0)
        pthread_join(s->workers[--s->worker_count], NULL);
    free(s->workers);
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void fastcgi_close(struct ph_server *base)
{
    struct fastcgi_server *s = (struct fastcgi_server *)base;

    if (s->path)
        unlink(s->path);
    end_requests(s);
    join_workers(s);
    while (s->all)
        end_connection(s, s->all);
    reaper__free(s->reaper);
    close_fd(s->listen_fd);
    close_fd(s->epoll_fd);
    close_fd(s->quit_fd);
    close_fd(s->answered_fd);
    close_fd(s->gone_fd);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s->path);
    server__fini(base);
    free(s);
}

/* Without signals, for libfcgi takes an interrupted read for a broken connection. */
static enum ph_err start_workers(struct fastcgi_server *s, struct diag *diag)
{
    s->workers = calloc(s->base.threads, sizeof(*s->workers));
    if (!s->workers)
        return PH_ERR_MEMORY;
    while (s->worker_count < s->base.threads) {
        if (!thread__start(&s->workers[s->worker_count], work, s))
            return diag__set(diag, PH_ERR_SYSTEM, "cannot start a thread: %m");
        s->worker_count++;
    }
    return PH_OK;
}

static enum ph_err listen_on(struct fastcgi_server *s, const char *where, struct diag *diag)
{
    char actual[LISTEN_ADDRESS_SIZE];
    bool is_path = strchr(where, '/') != NULL || strchr(where, ':') == NULL;
    enum ph_err err = is_path ? listen__unix(where, &s->listen_fd, diag)
                              : listen__tcp(where, &s->listen_fd, actual, diag);

    if (err)
        return err;
    if (is_path && !(s->path = strdup(where)))
        return PH_ERR_MEMORY;
    return asprintf(&s->base.address, "fastcgi:%s", is_path ? where : actual) < 0 ? PH_ERR_MEMORY
                                                                                  : PH_OK;
}

static enum ph_err watch_all(struct fastcgi_server *s, struct diag *diag)
{
    struct epoll_event quit = {.events = EPOLLIN, .data.ptr = NULL};

    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->gone_fd = epoll_create1(EPOLL_CLOEXEC);
    s->quit_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->answered_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    if (s->epoll_fd < 0 || s->gone_fd < 0 || s->quit_fd < 0 || s->answered_fd < 0 ||
        epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->quit_fd, &quit) ||
        !watch(s, EPOLL_CTL_ADD, s->gone_fd, &s->gone_fd) ||
        !watch(s, EPOLL_CTL_ADD, s->answered_fd, &s->answered_fd) ||
        !watch(s, EPOLL_CTL_ADD, s->listen_fd, s))
        return diag__set(diag, PH_ERR_SYSTEM, "epoll: %m");
    s->most = ph_app_limit(s->base.app, PH_LIMIT_CONNECTIONS);
    s->reaper = reaper__new(ph_app_limit(s->base.app, PH_LIMIT_REQUEST_MS));
    return s->reaper ? PH_OK : PH_ERR_MEMORY;
}

enum ph_err ph_serve_fastcgi(struct ph_app *app, const char *socket, unsigned threads,
                             struct ph_server **out, const char **why)
{
    struct fastcgi_server *s = calloc(1, sizeof(*s));
    struct diag *diag = server__diag();
    enum ph_err err;

    if (!s)
        return server__fail(PH_ERR_MEMORY, why);
    s->base.close = fastcgi_close;
    s->listen_fd = s->epoll_fd = s->quit_fd = s->answered_fd = s->gone_fd = -1;
    s->last = &s->answered;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    err = server__init(&s->base, app, threads, diag);
    if (!err && FCGX_Init())
        err = diag__set(diag, PH_ERR_SYSTEM, "libfcgi does not start: %m");
    if (!err)
        err = listen_on(s, socket, diag);
    if (!err)
        err = watch_all(s, diag);
    if (!err)
        err = start_workers(s, diag);
    if (err) {
        fastcgi_close(&s->base);
        return server__fail(err, why);
    }
    *out = &s->base;
    return PH_OK;
}
