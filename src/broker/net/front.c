#include "broker/net/front.h"

#include "base/list.h"
#include "broker/net/linger.h"
#include "broker/net/received.h"
#include "broker/net/request.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_RUNS 4 /* of libmicrohttpd at the end of a turn; the rest waits for the next */

struct front {
    struct shard *shard;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    bool polling;
    struct wheel wheel; /* of connections that have yet to complete a request */
    struct lingerers linger;
    struct request *requests;
    struct link connections;
    uint64_t ended;     /* connections */
    bool quiet;         /* no new requests */
    bool closing;       /* nor the rest of those that have begun */
    bool has_work;      /* that shows at no descriptor: a resumed or upgraded connection */
    unsigned complaint; /* of libmicrohttpd, that is nobody's yet: see settle_complaint; 0: none */
};

/* A TCP connection. libmicrohttpd's own timeout starts again with each byte, so a client
 * that sends one byte a second would stay for ever; this deadline is for the whole
 * request. */
struct connection {
    struct wheel_entry deadline;
    struct front *front;
    struct link link; /* in the front's connections */
    struct MHD_Connection *mhd;
    struct request *request; /* that is here, or of which the line is */
    int fd;
    unsigned complaint; /* status that libmicrohttpd answers with by itself; 0: none, or told */
    bool unread;        /* answered without reading the body */
    bool asked;         /* a request line has come, of this request or of one before */
    bool late;          /* its time was up */
};

static struct connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

void front__peer(struct MHD_Connection *mhd, char out[FRONT_PEER_MAX])
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *at = info ? info->client_addr : NULL;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    socklen_t len = 0;

    out[0] = '\0';
    if (at)
        len = at->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (at && getnameinfo(at, len, host, sizeof(host), port, sizeof(port),
                          NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        snprintf(out, FRONT_PEER_MAX, "%s:%s", host, port);
}

/* --- What nobody else hears of ------------------------------------------------------ */

static const char *complaint_text(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } texts[] = {
        {413, "a chunk of its body is too large"},
        {414, "its URL is longer than the memory for a head (32 KiB): shorten the query"},
        {431, "its headers are larger than the memory for a head (32 KiB): send fewer, or shorter "
              "cookies"},
        {505, "the broker speaks HTTP/1.1: use that"},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (texts[i].status == status)
            return texts[i].text;
    }
    return "it is not proper HTTP/1.1; --log-level debug says more";
}

/* Of a request, or of the beginning of one. */
static void tell_late(struct front *f, const char *peer, const char *call)
{
    log__info(f->shard->broker->log, LOG_FIELDS("from", peer, "call", call),
              "request refused: it was not complete within %u s: is the client, or the network, "
              "that slow?",
              f->shard->broker->limits.request_seconds);
}

static void tell_complaint(struct connection *c, const char *peer, const char *call)
{
    log__info(c->front->shard->broker->log, LOG_FIELDS("from", peer, "call", call),
              "request refused with %u: %s", c->complaint, complaint_text(c->complaint));
    c->complaint = 0;
}

/* A request that libmicrohttpd has refused by itself, or that did not come in time. */
static void tell_unheard(struct front *f, struct connection *c, struct request *r)
{
    char peer[FRONT_PEER_MAX];
    struct str rest = str__of(r->target), path;
    const char *call = str__split(&rest, '?', &path) ? arena__strdup(&r->arena, path) : NULL;

    front__peer(r->mhd, peer);
    if (c->late)
        tell_late(f, peer, call);
    else if (c->complaint != 0)
        tell_complaint(c, peer, call);
}

/* Bytes came, and no request line was among them. Those who only look whether somebody listens,
 * as some load balancers do, send none. */
static void tell_gibberish(struct front *f, struct connection *c)
{
    char peer[FRONT_PEER_MAX];

    if (c->complaint == 0 && (c->asked || received__bytes(c->fd) == 0))
        return;
    front__peer(c->mhd, peer);
    if (c->complaint != 0)
        tell_complaint(c, peer, NULL);
    else if (c->late)
        tell_late(f, peer, NULL);
    else
        log__info(f->shard->broker->log, LOG_FIELDS("from", peer),
                  "connection closed: what came is no request of HTTP/1.1; if it is TLS, use "
                  "http:// and ws://, or put a proxy in front that takes the TLS off");
}

/* Neither has it been answered here nor is it being answered. */
static bool is_unheard(const struct request *r)
{
    return (r->stage == REQUEST_NEW || r->stage == REQUEST_BODY) && !r->unread;
}

static bool is_refused_unheard(const struct connection *c)
{
    const union MHD_ConnectionInfo *info;

    if (c->complaint != 0 || (c->request && !is_unheard(c->request)))
        return false;
    info = MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_HTTP_STATUS);
    return info && info->http_status != 0;
}

/* libmicrohttpd does not say of whom it complains, but knows which connections it is answering.
 * So it complained of the one whose answer is none of ours; or else of the one that is ending,
 * whose answer it has just forgotten. Before another complaint, and before any end: there is one
 * at a time to be settled. */
static void settle_complaint(struct front *f, struct connection *ending)
{
    struct connection *whose = ending, *c;

    if (f->complaint == 0)
        return;
    for (struct link *l = f->connections.next; l != &f->connections; l = l->next) {
        c = LIST_ITEM(l, struct connection, link);
        if (c != ending && is_refused_unheard(c))
            whose = c;
    }
    if (whose)
        whose->complaint = f->complaint;
    f->complaint = 0;
}

static void expect_request(struct connection *c)
{
    wheel__put(&c->front->wheel, &c->deadline, c->front->shard->broker->limits.request_seconds,
               shard__now(c->front->shard));
}

static void open_connection(struct front *f, struct MHD_Connection *mhd, void **context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *c = info ? calloc(1, sizeof(*c)) : NULL;

    *context = c; /* NULL: its requests are refused */
    if (!c)
        return;
    c->front = f;
    c->mhd = mhd;
    c->fd = info->connect_fd;
    list__append(&f->connections, &c->link);
    expect_request(c);
}

static void close_connection(struct connection *c)
{
    struct front *f = c->front;
    int fd;

    settle_complaint(f, c);
    if (!f->closing)
        tell_gibberish(f, c);
    if (c->unread && (fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 0)) >= 0)
        linger__add(&f->linger, fd, shard__now(f->shard));
    wheel__remove(&f->wheel, &c->deadline);
    list__remove(&c->link);
    f->ended++;
    free(c);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct front *f = cls;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        open_connection(f, mhd, context);
    } else if (*context) {
        close_connection(*context);
        *context = NULL;
    }
}

static void link_request(struct front *f, struct request *r)
{
    r->next = f->requests;
    if (r->next)
        r->next->prev = r;
    f->requests = r;
}

static void unlink_request(struct front *f, struct request *r)
{
    if (r->next)
        r->next->prev = r->prev;
    if (r->prev)
        r->prev->next = r->next;
    else
        f->requests = r->next;
}

/* The request line is here. */
static void *on_target(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    struct front *f = cls;
    struct connection *c = connection_of(mhd);
    struct request *r = c ? request__new(f->shard, mhd, uri) : NULL;

    if (c) {
        c->asked = true;
        c->request = r;
    }
    if (r)
        link_request(f, r);
    return r;
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct connection *c = connection_of(mhd);
    struct request *r = *context;
    struct front *f = cls;

    *context = NULL;
    settle_complaint(f, c);
    if (!r)
        return;
    if (c && (c->late || code == MHD_REQUEST_TERMINATED_WITH_ERROR)) {
        if (is_unheard(r) && !f->closing)
            tell_unheard(f, c, r);
        c->complaint = 0; /* or it has an answer of ours, and was told of with that */
    }
    if (c) {
        c->request = NULL;
        c->unread = r->unread;
        expect_request(c);
    }
    unlink_request(f, r);
    request__free(r);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **context)
{
    struct request *r = *context;
    struct front *f = cls;
    enum MHD_Result result;
    size_t len = *size;

    (void)url;
    if (!r || (f->closing && r->stage < REQUEST_WAITING))
        return MHD_NO;
    if (r->stage == REQUEST_NEW)
        return request__head(r, method, version);
    if (r->stage == REQUEST_HELD)
        return request__judge(r);
    *size = 0;
    if (len > 0)
        return request__body(r, data, len);
    /* While the request waits, it is our time and not the client's. */
    wheel__remove(&f->wheel, &connection_of(mhd)->deadline);
    result = request__complete(r);
    if (!r->suspended)
        expect_request(connection_of(mhd));
    return result;
}

static void __attribute__((format(printf, 2, 0)))
on_message(void *cls, const char *fmt, va_list args)
{
    static const char complaint[] = "Error processing request (HTTP response code is ";
    struct front *f = cls;
    char text[512];

    vsnprintf(text, sizeof(text), fmt, args);
    text[strcspn(text, "\n")] = '\0';
    if (strncmp(text, complaint, strlen(complaint)) == 0) {
        settle_complaint(f, NULL);
        f->complaint = (unsigned)strtoul(text + strlen(complaint), NULL, 10);
    }
    log__debug(f->shard->broker->log, LOG_NONE, "http: %s", text);
}

/* --- In the loop --------------------------------------------------------------------- */

static void on_readable(uv_poll_t *handle, int status, int events)
{
    struct front *f = handle->data;

    (void)status, (void)events;
    MHD_run(f->daemon);
}

static bool has_work(struct front *f)
{
    MHD_UNSIGNED_LONG_LONG wait;

    return f->has_work || (MHD_get_timeout(f->daemon, &wait) == MHD_YES && wait == 0);
}

void front__run(struct front *f)
{
    f->has_work = true;
}

bool front__has_work(const struct front *f)
{
    return f->has_work;
}

static void end_late(struct connection *c)
{
    c->late = true;
    shutdown(c->fd, SHUT_RDWR);
}

int64_t front__tick(struct front *f)
{
    int64_t now = shard__now(f->shard), at;
    struct wheel_entry *entry;

    while ((entry = wheel__next_due(&f->wheel, now)))
        end_late(LIST_ITEM(entry, struct connection, deadline));
    for (unsigned i = 0; has_work(f); i++) {
        if (i == MAX_RUNS)
            return now;
        f->has_work = false;
        MHD_run(f->daemon);
    }
    at = linger__tick(&f->linger, now);
    return at < wheel__deadline(&f->wheel) ? at : wheel__deadline(&f->wheel);
}

static struct MHD_Daemon *start_daemon(struct front *f, int fd)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_UPGRADE | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
        NULL, on_request, f, MHD_OPTION_EXTERNAL_LOGGER, on_message, f, MHD_OPTION_LISTEN_SOCKET,
        fd, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_CONNECTION_LIMIT,
        f->shard->broker->limits.http_connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)FRONT_POOL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, f,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, f, MHD_OPTION_URI_LOG_CALLBACK, on_target, f,
        MHD_OPTION_END);
}

static bool watch(struct front *f)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(f->daemon, MHD_DAEMON_INFO_EPOLL_FD);

    if (!info || uv_poll_init(&f->shard->loop, &f->poll, info->epoll_fd) != 0)
        return false;
    f->poll.data = f;
    f->polling = true;
    return uv_poll_start(&f->poll, UV_READABLE, on_readable) == 0;
}

struct front *front__open(struct shard *s, int listen_fd, struct diag *diag)
{
    struct front *f = calloc(1, sizeof(*f));

    if (f) {
        f->shard = s;
        list__init(&f->connections);
        wheel__init(&f->wheel, shard__now(s));
        linger__init(&f->linger, &s->transports.poller, shard__now(s));
        f->daemon = start_daemon(f, listen_fd);
    }
    if (f && f->daemon && watch(f))
        return f;
    if (!f || !f->daemon)
        close(listen_fd);
    front__close(f);
    diag__set(diag, PH_ERR_SYSTEM, "libmicrohttpd does not start: %m");
    return NULL;
}

uint64_t front__ended(const struct front *f)
{
    return f->ended;
}

bool front__is_quiet(const struct front *f)
{
    return f->quiet;
}

bool front__is_busy(const struct front *f)
{
    const struct request *r = f->requests;

    while (r && !r->suspended)
        r = r->next;
    return r;
}

void front__keys_settled(struct front *f)
{
    for (struct request *r = f->requests; r; r = r->next)
        request__release(r);
}

void front__quiesce(struct front *f)
{
    MHD_socket fd = MHD_quiesce_daemon(f->daemon);

    if (fd != MHD_INVALID_SOCKET)
        close(fd);
    f->quiet = true;
    for (struct request *r = f->requests; r; r = r->next) {
        if (request__waits_for_others(r))
            request__give_up(r);
    }
    MHD_run(f->daemon);
}

static void free_poll(uv_handle_t *handle)
{
    free(handle->data);
}

void front__close(struct front *f)
{
    if (!f)
        return;
    if (f->daemon) {
        /* libmicrohttpd does not stop while a connection is suspended, and the run that
         * lets them go may read more requests. */
        f->closing = true;
        for (struct request *r = f->requests; r; r = r->next)
            request__give_up(r);
        MHD_run(f->daemon);
        if (f->polling)
            uv_poll_stop(&f->poll);
        MHD_stop_daemon(f->daemon);
        linger__free(&f->linger);
    }
    if (f->polling)
        uv_close((uv_handle_t *)&f->poll, free_poll);
    else
        free(f);
}
