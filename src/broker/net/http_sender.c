#include "broker/net/http_sender.h"

#include "base/list.h"
#include "broker/http/http_reader.h"
#include "broker/http/http_writer.h"
#include "broker/net/addresses.h"
#include "broker/net/outbound.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECT_MS 10000       /* at the last address of a host */
#define NEXT_ADDRESS_MS 1000   /* at the others */
#define KEPT_MS 118000         /* a connection is not used again after so long: as libcurl */
#define MAX_HEAD (1u << 20)    /* of a request */
#define MAX_SPARE 64           /* calls kept for the next request, */
#define SPARE_BYTES (64 << 10) /* with so much memory for lines and bodies each */

static const struct http_reader_limits limits = {
    .head = {WEBHOOK_MAX_HEADERS, WEBHOOK_MAX_HEADER_BYTES}, .body = UPSTREAM_MAX_RESPONSE};

struct http_sender {
    uv_loop_t *loop;
    struct sender_budget *budget;
    exchange_report_fn *report;
    void *ctx;
    struct link origins;     /* as many as the settings name hosts */
    struct link live, spare; /* calls */
    size_t spare_count;
    size_t open;    /* connections */
    size_t waiting; /* calls in line */
    size_t handles; /* that libuv still has; the last one takes the sender with it */
    bool closing;
    struct outbound_room room;
};

/* A host and port. */
struct origin {
    struct addresses addresses; /* first member */
    struct link link;           /* among all */
    struct http_sender *owner;
    struct link idle; /* connections, the one used last first */
    struct link line; /* calls that wait for a connection */
    size_t open;      /* connections */
    uint16_t port;
    struct str host;
    char host_text[];
};

struct connection {
    struct outbound out; /* first member */
    struct link link;    /* among the idle ones */
    struct origin *origin;
    struct http_sender *owner;
    struct call *call;  /* NULL: idle */
    bool used;          /* has brought an answer */
    int64_t idle_since; /* ms */
};

/* A request under way, and its response as it comes in. */
struct call {
    struct sending sending; /* first member */
    struct link link;       /* among those under way, or spare */
    struct link in_line;
    struct http_sender *owner;
    struct origin *origin;
    struct exchange *exchange;
    struct connection *connection; /* NULL: in line, or doomed */
    uv_timer_t timer;              /* until the headers, then until the end of the body */
    int64_t timeout_ms;
    struct buf head;
    struct str body;
    unsigned first; /* address of the origin that was tried, */
    unsigned tries; /* and those behind it */
    bool again;     /* sent once more, on a new connection */
    bool doomed;    /* fails when the loop goes round, for `why` */
    struct http_reader reader;
    char why[SENDER_WHY_MAX];
};

static void let_go(struct http_sender *s)
{
    struct link *link;

    if (--s->handles > 0 || !s->closing)
        return;
    while (!list__empty(&s->origins)) {
        link = s->origins.next;
        list__remove(link);
        free(LIST_ITEM(link, struct origin, link));
    }
    free(s);
}

/* --- calls ------------------------------------------------------------------------ */

static void call_closed(uv_handle_t *handle)
{
    struct call *call = handle->data;
    struct http_sender *s = call->owner;

    http_reader__free(&call->reader);
    buf__free(&call->head);
    free(call);
    let_go(s);
}

static void put_back(struct call *call)
{
    struct http_sender *s = call->owner;

    buf__reset(&call->head);
    http_reader__reset(&call->reader, SPARE_BYTES);
    if (s->closing || s->spare_count == MAX_SPARE) {
        uv_close((uv_handle_t *)&call->timer, call_closed);
        return;
    }
    list__append(s->spare.next, &call->link); /* in front: it is still in the caches */
    s->spare_count++;
}

static void cancel(struct sending *sending);

static struct call *make_call(struct http_sender *s)
{
    struct call *call = calloc(1, sizeof(*call));

    if (!call)
        return NULL;
    call->sending.cancel = cancel;
    call->owner = s;
    list__init(&call->link);
    list__init(&call->in_line);
    buf__init(&call->head, MAX_HEAD);
    http_reader__init(&call->reader, &limits);
    uv_timer_init(s->loop, &call->timer);
    call->timer.data = call;
    s->handles++;
    return call;
}

static struct call *take(struct http_sender *s)
{
    struct call *call;

    if (list__empty(&s->spare))
        return make_call(s);
    call = LIST_ITEM(s->spare.next, struct call, link);
    list__remove(&call->link);
    s->spare_count--;
    return call;
}

static void join_line(struct call *call, struct link *before)
{
    list__append(before, &call->in_line);
    call->owner->waiting++;
}

static void leave_line(struct call *call)
{
    if (list__empty(&call->in_line))
        return;
    list__remove(&call->in_line);
    call->owner->waiting--;
}

/* The exchange is not the call's any more. */
static struct exchange *withdraw(struct call *call)
{
    struct exchange *x = call->exchange;

    uv_timer_stop(&call->timer);
    list__remove(&call->link);
    leave_line(call);
    call->exchange = NULL;
    exchange__set_shell(x, NULL);
    return x;
}

/* The report may send and cancel; nothing but the call is touched behind it. */
static void finish(struct call *call, const struct exchange_result *result)
{
    struct http_sender *s = call->owner;
    struct exchange *x = withdraw(call);

    s->report(s->ctx, x, result);
    put_back(call);
}

static void fail_connect(struct call *call)
{
    const struct exchange_result result = {
        .why = call->why, .transient = true, .failure = FAILURE_CONNECT};

    finish(call, &result);
}

static void time_is_up(uv_timer_t *timer);

/* Fails it from outside of what sent it. */
static void doom(struct call *call, const char *why)
{
    leave_line(call);
    call->doomed = true;
    snprintf(call->why, sizeof(call->why), "%s", why);
    uv_timer_start(&call->timer, time_is_up, 0, 0);
}

/* --- connections ------------------------------------------------------------------ */

static void connection_closed(struct outbound *o)
{
    struct connection *c = (struct connection *)o;
    struct http_sender *s = c->owner;

    free(c);
    let_go(s);
}

static void drop(struct connection *c)
{
    struct http_sender *s = c->owner;

    if (c->call)
        c->call->connection = NULL;
    c->call = NULL;
    list__remove(&c->link);
    c->origin->open--;
    s->open--;
    s->budget->open--;
    outbound__close(&c->out);
}

static struct connection *first_idle(const struct origin *o)
{
    return list__empty(&o->idle) ? NULL : LIST_ITEM(o->idle.next, struct connection, link);
}

/* Bytes that nobody asked for would be taken for the answer. */
static bool is_usable(const struct connection *c)
{
    return (int64_t)uv_now(c->owner->loop) - c->idle_since <= KEPT_MS &&
           outbound__is_quiet(&c->out);
}

static struct connection *take_idle(struct origin *o)
{
    struct connection *c = first_idle(o);

    while (c && !is_usable(c)) {
        drop(c);
        c = first_idle(o);
    }
    if (c)
        list__remove(&c->link);
    return c;
}

static bool drop_idle(struct origin *o)
{
    if (list__empty(&o->idle))
        return false;
    drop(LIST_ITEM(o->idle.prev, struct connection, link));
    return true;
}

static bool drop_any_idle(struct http_sender *s)
{
    for (struct link *at = s->origins.next; at != &s->origins; at = at->next) {
        if (drop_idle(LIST_ITEM(at, struct origin, link)))
            return true;
    }
    return false;
}

/* Room for one more connection, for which an idle one may have to go. */
static bool make_room(struct origin *o)
{
    struct http_sender *s = o->owner;

    if (o->open >= s->budget->per_host && !drop_idle(o))
        return false;
    return s->open < sender__share(s->budget, s->open) || drop_any_idle(s);
}

static const struct outbound_events connection_events;

/* At the address that is the call's turn. False: out of memory. */
static bool dial(struct call *call)
{
    struct origin *o = call->origin;
    struct http_sender *s = call->owner;
    const struct sockaddr *to = addresses__at(&o->addresses, call->first, call->tries);
    bool last = !addresses__at(&o->addresses, call->first, call->tries + 1);
    struct connection *c = calloc(1, sizeof(*c));

    if (!c)
        return false;
    list__init(&c->link);
    c->owner = s;
    c->origin = o;
    c->call = call;
    call->connection = c;
    o->open++;
    s->open++;
    s->budget->open++;
    s->handles++;
    outbound__dial(&c->out, s->loop, to, last ? CONNECT_MS : NEXT_ADDRESS_MS, &s->room,
                   &connection_events);
    return true;
}

static void write_request(struct call *call)
{
    outbound__write(&call->connection->out, buf__view(&call->head), call->body);
}

/* --- the line --------------------------------------------------------------------- */

/* What a call that no kept connection can serve does next. False: it stays in line. */
static bool open_for(struct call *call)
{
    struct origin *o = call->origin;

    if (!addresses__known(&o->addresses)) {
        bool looking = o->addresses.looking;

        if (addresses__look_up(&o->addresses)) {
            o->owner->handles += !looking;
            return false;
        }
        doom(call, "out of memory");
        return true;
    }
    if (!make_room(o))
        return false;
    leave_line(call);
    call->first = o->addresses.first;
    call->tries = 0;
    if (!dial(call))
        doom(call, "out of memory");
    return true;
}

static bool proceed(struct call *call)
{
    struct connection *c = call->again ? NULL : take_idle(call->origin);

    if (!c)
        return open_for(call);
    leave_line(call);
    c->call = call;
    call->connection = c;
    write_request(call);
    return true;
}

static void advance(struct origin *o)
{
    while (!list__empty(&o->line) && proceed(LIST_ITEM(o->line.next, struct call, in_line)))
        ;
}

/* A place is free: whoever waits for one may go on, first where no request has come for the
 * longest time. */
static void advance_all(struct http_sender *s)
{
    if (s->waiting == 0 || s->closing)
        return;
    for (struct link *at = s->origins.prev; at != &s->origins; at = at->prev)
        advance(LIST_ITEM(at, struct origin, link));
}

static void found(struct addresses *addresses, const char *why)
{
    struct origin *o = (struct origin *)addresses;
    struct http_sender *s = o->owner;

    while (why && !list__empty(&o->line)) {
        char text[SENDER_WHY_MAX];

        snprintf(text, sizeof(text),
                 "the address of its host was not found: %s: is the host name "
                 "right?",
                 why);
        doom(LIST_ITEM(o->line.next, struct call, in_line), text);
    }
    if (!s->closing)
        advance(o);
    let_go(s);
}

/* --- outcomes --------------------------------------------------------------------- */

static void say_why(struct call *call, int error)
{
    if (error == ECONNREFUSED)
        snprintf(call->why, sizeof(call->why), "refused connection: is it running?");
    else
        snprintf(call->why, sizeof(call->why), "cannot be connected to: %s: is it running?",
                 strerror(error));
}

static struct exchange_result result_of(struct call *call, enum http_verdict verdict)
{
    if (verdict == HTTP_DONE)
        return (struct exchange_result){.response = &call->reader.response};
    return (struct exchange_result){
        .why = call->reader.why.text,
        .transient = verdict == HTTP_NOTHING || verdict == HTTP_CUT_OFF,
        .failure = verdict == HTTP_NOTHING ? FAILURE_CONNECT : FAILURE_BAD_ANSWER,
    };
}

/* Takes the connection from the call, for the next one if it is good for that. */
static void release(struct connection *c, bool keep)
{
    if (!keep) {
        drop(c);
        return;
    }
    c->call->connection = NULL;
    c->call = NULL;
    c->used = true;
    c->idle_since = (int64_t)uv_now(c->owner->loop);
    list__append(c->origin->idle.next, &c->link); /* in front */
}

static void settle(struct call *call, enum http_verdict verdict)
{
    struct http_sender *s = call->owner;
    struct connection *c = call->connection;
    struct exchange_result result = result_of(call, verdict);

    release(c, verdict == HTTP_DONE && call->reader.keeps && outbound__has_written(&c->out));
    advance_all(s);
    finish(call, &result);
}

/* The request may not even have been seen. */
static void send_again(struct call *call)
{
    call->again = true;
    drop(call->connection);
    join_line(call, call->origin->line.next);
    advance(call->origin);
}

static void cancel(struct sending *sending)
{
    struct call *call = (struct call *)sending;
    struct http_sender *s = call->owner;

    if (call->connection)
        drop(call->connection);
    withdraw(call);
    put_back(call);
    advance_all(s);
}

static void time_is_up(uv_timer_t *timer)
{
    struct call *call = timer->data;
    struct exchange_result result;

    if (call->doomed) {
        fail_connect(call);
        return;
    }
    result = sender__timed_out(call->why, call->reader.has_headers, call->timeout_ms);
    if (call->connection)
        drop(call->connection);
    leave_line(call);
    advance_all(call->owner);
    finish(call, &result);
}

/* --- events of a connection ------------------------------------------------------- */

static void on_opened(struct outbound *o)
{
    struct connection *c = (struct connection *)o;

    addresses__prefer(&c->origin->addresses, c->call->first, c->call->tries);
    write_request(c->call);
}

static void on_failed(struct outbound *o, int error)
{
    struct connection *c = (struct connection *)o;
    struct call *call = c->call;
    struct http_sender *s = c->owner;

    drop(c);
    if (addresses__at(&call->origin->addresses, call->first, ++call->tries) && dial(call))
        return;
    say_why(call, error);
    advance_all(s);
    fail_connect(call);
}

static void on_came(struct outbound *o, struct str bytes)
{
    struct connection *c = (struct connection *)o;
    struct call *call = c->call;
    bool had_headers;
    enum http_verdict verdict;

    if (!call) { /* nobody asked */
        drop(c);
        return;
    }
    had_headers = call->reader.has_headers;
    verdict = http_reader__take(&call->reader, bytes);
    if (verdict != HTTP_MORE)
        settle(call, verdict);
    else if (call->reader.has_headers && !had_headers)
        uv_timer_start(&call->timer, time_is_up, WEBHOOK_BODY_MS, 0);
}

static void on_ended(struct outbound *o, bool orderly)
{
    struct connection *c = (struct connection *)o;
    struct call *call = c->call;

    if (!call)
        drop(c);
    else if (c->used && !call->again && !call->reader.began)
        send_again(call);
    else
        settle(call, http_reader__end(&call->reader, orderly));
}

static const struct outbound_events connection_events = {
    .opened = on_opened,
    .failed = on_failed,
    .came = on_came,
    .ended = on_ended,
    .closed = connection_closed,
};

/* --- interface -------------------------------------------------------------------- */

static struct origin *make_origin(struct http_sender *s, const struct http_target *target)
{
    struct origin *o = calloc(1, sizeof(*o) + target->host.len);
    char *at;

    if (!o)
        return NULL;
    at = o->host_text;
    addresses__init(&o->addresses, s->loop, target->host, target->port, found);
    o->owner = s;
    o->host = str__place(&at, target->host);
    o->port = target->port;
    list__init(&o->idle);
    list__init(&o->line);
    list__append(s->origins.next, &o->link);
    return o;
}

/* Few at a time are in use: they stay in front. */
static struct origin *find_origin(struct http_sender *s, const struct http_target *target)
{
    for (struct link *at = s->origins.next; at != &s->origins; at = at->next) {
        struct origin *o = LIST_ITEM(at, struct origin, link);

        if (o->port != target->port || !str__eq_nocase(o->host, target->host))
            continue;
        if (at != s->origins.next) {
            list__remove(at);
            list__append(s->origins.next, at);
        }
        return o;
    }
    return make_origin(s, target);
}

struct http_sender *http_sender__new(uv_loop_t *loop, struct sender_budget *budget,
                                     exchange_report_fn *report, void *ctx)
{
    struct http_sender *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->loop = loop;
    s->budget = budget;
    s->report = report;
    s->ctx = ctx;
    s->handles = 1;
    list__init(&s->origins);
    list__init(&s->live);
    list__init(&s->spare);
    return s;
}

static void drop_all(struct origin *o)
{
    while (drop_idle(o))
        ;
    if (o->addresses.looking)
        uv_cancel((uv_req_t *)&o->addresses.lookup);
}

void http_sender__free(struct http_sender *s)
{
    if (!s)
        return;
    s->closing = true;
    while (!list__empty(&s->live)) {
        struct call *call = LIST_ITEM(s->live.next, struct call, link);

        cancel(&call->sending);
    }
    while (!list__empty(&s->spare))
        put_back(take(s));
    for (struct link *at = s->origins.next; at != &s->origins; at = at->next)
        drop_all(LIST_ITEM(at, struct origin, link));
    let_go(s);
}

bool http_sender__send(struct http_sender *s, struct exchange *x,
                       const struct upstream_request *req, const struct http_target *target)
{
    struct origin *o = find_origin(s, target);
    struct call *call = o ? take(s) : NULL;

    if (!call)
        return false;
    if (!http_writer__head(&call->head, req->http, target, req->bearer)) {
        put_back(call);
        return false;
    }
    call->origin = o;
    call->exchange = x;
    call->body = req->http->body;
    call->timeout_ms = req->timeout_ms;
    call->again = call->doomed = false;
    exchange__set_shell(x, &call->sending);
    list__append(&s->live, &call->link);
    uv_timer_start(&call->timer, time_is_up, (uint64_t)req->timeout_ms, 0);
    join_line(call, &o->line);
    advance(o);
    return true;
}
