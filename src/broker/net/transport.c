#include "broker/net/transport.h"

#include "base/list.h"
#include "broker/net/gather.h"
#include "broker/upstream/upstream.h"
#include "ws/ws.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Writing to many in one turn, in units of a small write, which takes 3 to 4 us: what is left
 * then waits while others are heard. */
#define FLUSH_WORK 1000
#define FLUSH_UNIT (8u << 10) /* bytes that cost as much as the write itself */

#define DECODE_GROWTH 8          /* memory of a decoded message, by its largest size, and */
#define DECODE_ROOM (2u << 20)   /* that of its parts, of which a small one may have many */
#define DECODE_FIRST (16u << 10) /* of it, kept at hand so that small ones allocate nothing */

/* Input comes once and is read at once, which spares the kernel a look at each socket for each
 * turn; see read_some for what is left behind. A socket that is full is rare. */
#define WATCH_INPUT (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET)
/* Seen with input: one read may leave some of it behind, or the end. */
#define WATCH_MORE (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)
#define WATCH_BOTH (EPOLLIN | EPOLLOUT)

enum transport_state {
    TRANSPORT_OPEN,
    TRANSPORT_CLOSING, /* the session has ended: its queue and the close frame are to be written */
    TRANSPORT_LINGER   /* the close frame is out: wait for the client's */
};

/* Pings and pongs that wait. A pong is shorter than its ping, so one read's pongs always
 * fit; a client that asks for more and reads none gets none for the rest (RFC 6455
 * section 5.5.3 asks for an answer to the latest ping only). */
#define CONTROL_MAX TRANSPORT_READ_SIZE

/* Frames of the transport itself: pongs and pings, or the close frame. */
struct control {
    uint32_t len;
    uint32_t at; /* bytes written */
    char bytes[];
};

/* What a write touches comes first, so that it lies in one cache line. */
struct transport {
    struct poller_watch watch;
    struct transports *all;
    struct session *session; /* NULL: never had one, or detached */
    struct control *control; /* pings and pongs, between two frames of the queue */
    struct control *goodbye; /* close frame, behind the queue */
    uint32_t written;        /* bytes of the first item in the queue */
    enum transport_state state : 8;
    bool listed : 1;  /* in all->pending: has something of its own to write */
    bool blocked : 1; /* the socket is full, EPOLLOUT is watched */
    bool failed : 1;  /* the socket refused a write */
    bool peer_closed : 1;
    bool pinged : 1;    /* by keep-alive, and nothing came since */
    bool deaf : 1;      /* the decoder met an error: the client's close frame will not be read */
    uint8_t keep_alive; /* seconds; 0: none */
    uint32_t seen_s;    /* when the client was last heard */
    uint32_t frames;    /* that came in that second */
    struct transport *next_pending;
    struct wheel_entry timer;
    struct ws ws;
};

static uint32_t now_s(const struct transports *all)
{
    return (uint32_t)(all->now_ms(all->ctx) / 1000);
}

static void set_timer(struct transport *t, unsigned seconds)
{
    wheel__put(&t->all->wheel, &t->timer, seconds, t->all->now_ms(t->all->ctx));
}

/* --- End -------------------------------------------------------------------- */

static void unlist(struct transport *t)
{
    struct transport **at = &t->all->pending;

    if (!t->listed)
        return;
    while (*at != t)
        at = &(*at)->next_pending;
    *at = t->next_pending;
    t->listed = false;
}

static void destroy(struct transport *t)
{
    unlist(t);
    poller__remove(&t->all->poller, &t->watch);
    wheel__remove(&t->all->wheel, &t->timer);
    close(t->watch.fd);
    ws__free(&t->ws);
    free(t->control);
    free(t->goodbye);
    t->all->count--;
    t->all->ended++;
    t->all->blocked -= t->blocked;
    free(t);
}

static void detach(struct transport *t, struct str reason)
{
    struct session *s = t->session;

    t->session = NULL;
    if (s)
        session__detach(s, t->all->now_ms(t->all->ctx), reason);
}

/* The socket is of no use any more. */
static void lose(struct transport *t, struct str reason)
{
    detach(t, reason);
    destroy(t);
}

/* --- Output ----------------------------------------------------------------- */

static void watch_output(struct transport *t, bool blocked)
{
    if (t->blocked == blocked)
        return;
    t->blocked = blocked;
    t->all->blocked += blocked ? 1 : (size_t)-1;
    poller__change(&t->all->poller, &t->watch, blocked ? WATCH_BOTH : WATCH_INPUT);
}

/* A single piece is cheaper to hand over without a description. */
static ssize_t hand_over(int fd, struct iovec *pieces, size_t count)
{
    const struct msghdr msg = {.msg_iov = pieces, .msg_iovlen = count};
    const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;

    return count == 1 ? send(fd, pieces[0].iov_base, pieces[0].iov_len, flags)
                      : sendmsg(fd, &msg, flags);
}

/* Bytes taken by the socket; 0 and `blocked` or `failed` when it takes none now. */
static size_t write_pieces(struct transport *t, struct iovec *pieces, size_t count)
{
    ssize_t n;

    t->all->work++;
    if (t->all->writing)
        t->all->writing(t->all->ctx);
    do
        n = hand_over(t->watch.fd, pieces, count);
    while (n < 0 && errno == EINTR);
    if (n >= 0) {
        t->all->work += (size_t)n / FLUSH_UNIT;
        metrics__add(t->all->metrics, METRIC_BYTES_OUT, (uint64_t)n);
        return (size_t)n;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        watch_output(t, true);
    else
        t->failed = true;
    return 0;
}

static bool append(struct control **control, const char *frame, size_t len)
{
    uint32_t used = *control ? (*control)->len : 0, at = *control ? (*control)->at : 0;
    struct control *c;

    if (used + len > CONTROL_MAX)
        return false;
    c = realloc(*control, sizeof(*c) + used + len);
    if (!c)
        return false;
    memcpy(c->bytes + used, frame, len);
    c->len = used + (uint32_t)len;
    c->at = at;
    *control = c;
    return true;
}

static void drop(struct control **control)
{
    free(*control);
    *control = NULL;
}

/* True when all of it is out (or there is none); it is freed then. */
static bool write_control(struct transport *t, struct control **control)
{
    struct control *c = *control;
    struct iovec piece;

    if (!c)
        return true;
    piece = (struct iovec){c->bytes + c->at, c->len - c->at};
    c->at += (uint32_t)write_pieces(t, &piece, 1);
    if (c->at < c->len) {
        if (!t->failed)
            watch_output(t, true);
        return false;
    }
    drop(control);
    return true;
}

/* Writes the session's queue. True when it is empty, false when the socket is full or
 * has failed. */
static bool write_queue(struct transport *t)
{
    struct gather *gather = t->all->gather;
    struct out_item items[GATHER_FRAMES];
    size_t count;

    while (t->session && (count = session__outgoing(t->session, items, GATHER_FRAMES)) > 0) {
        size_t total = gather__build(gather, session__format(t->session), items, count, t->written);
        size_t taken = write_pieces(t, gather->pieces, gather->count);
        size_t done = gather__done(gather, taken + t->written, &t->written);

        session__written(t->session, done, t->written > 0);
        metrics__add(t->all->metrics, METRIC_MESSAGES_OUT, done);
        if (t->failed)
            return false;
        if (taken < total) {
            watch_output(t, true);
            return false;
        }
    }
    return true;
}

static void list(struct transport *t)
{
    if (t->listed)
        return;
    t->next_pending = t->all->pending;
    t->all->pending = t;
    t->listed = true;
}

/* Everything there is, in an order that never puts a frame inside another. */
static bool write_all(struct transport *t)
{
    bool between = t->written == 0;

    if (between && !write_control(t, &t->control))
        return false;
    if (!write_queue(t))
        return false;
    return write_control(t, &t->control) && write_control(t, &t->goodbye);
}

/* False: `t` is gone. */
static bool finish_closing(struct transport *t)
{
    detach(t, STR_NONE);
    if (t->peer_closed) {
        destroy(t);
        return false;
    }
    t->state = TRANSPORT_LINGER;
    watch_output(t, false);
    /* The client may still be sending what we refused to read. It learns from the end
     * of our side that no answer to its own close frame will come. */
    if (t->deaf)
        shutdown(t->watch.fd, SHUT_WR);
    set_timer(t, t->all->close_seconds);
    return true;
}

/* Writes what it can. False: `t` is gone. */
static bool flush(struct transport *t)
{
    bool all_out;

    if (t->state == TRANSPORT_LINGER)
        return true;
    all_out = write_all(t);
    if (t->failed) {
        lose(t, STR("the connection broke while writing"));
        return false;
    }
    if (all_out && t->state == TRANSPORT_CLOSING)
        return finish_closing(t);
    if (all_out)
        watch_output(t, false);
    return true;
}

void transport__relieve(struct transport *t)
{
    if (t->blocked || t->failed || (t->control && t->control->at > 0))
        return;
    write_queue(t);
    if (t->failed)
        list(t); /* it is lost at the end of the turn */
}

static void queue_control(struct transport *t, enum ws_opcode opcode, struct str payload)
{
    char frame[WS_MAX_CONTROL_FRAME];

    if (t->state == TRANSPORT_OPEN &&
        append(&t->control, frame, ws__control_frame(frame, opcode, payload)))
        list(t);
}

/* --- The closing handshake --------------------------------------------------- */

static void begin_closing(struct transport *t, uint16_t code, struct str reason)
{
    char frame[WS_MAX_CONTROL_FRAME];

    if (t->state != TRANSPORT_OPEN)
        return;
    t->state = TRANSPORT_CLOSING;
    append(&t->goodbye, frame, ws__close_frame(frame, code, reason));
    list(t);
    set_timer(t, t->all->close_seconds);
}

void transport__close(struct transport *t, uint16_t code, struct str reason)
{
    begin_closing(t, code, reason);
}

void transport__abort(struct transport *t)
{
    t->session = NULL;
    destroy(t);
}

/* The client broke a rule: tell it which, and end the session. */
static void fail(struct transport *t, uint16_t code, struct str why, struct str category)
{
    const struct close_reason reason = {
        .code = code, .text = why, .message = why, .category = category, .upstream = why};

    if (t->session && t->state == TRANSPORT_OPEN)
        session__end(t->session, &reason);
}

/* --- Input ------------------------------------------------------------------- */

/* What a decoder refuses, JSON nested too deep included, does not parse
 * (client-and-rest section 3); 1009 is for the size of messages. */
static void refuse_message(struct transport *t, enum ph_err err, struct diag *diag)
{
    if (err == PH_ERR_MEMORY)
        fail(t, WS_CLOSE_INTERNAL, STR("The service is out of memory."),
             STR("ServiceTransientError"));
    else
        fail(t, WS_CLOSE_BAD_DATA, str__of(diag->text), STR("BadRequest"));
}

static void on_message(struct transport *t, const struct ws_event *ev)
{
    const struct format *format;
    struct command command;
    struct diag diag;
    enum ph_err err;

    if (t->state != TRANSPORT_OPEN || !t->session)
        return;
    metrics__add(t->all->metrics, METRIC_MESSAGES_IN, 1);
    format = session__format(t->session);
    if (ev->binary ? !format->accepts_binary : !format->accepts_text) {
        fail(t, WS_CLOSE_UNSUPPORTED,
             ev->binary ? STR("Binary messages are not part of this subprotocol, send text.")
                        : STR("Text messages are not part of this subprotocol, send binary."),
             STR("BadRequest"));
        return;
    }
    arena__reset(&t->all->arena);
    diag__clear(&diag);
    err = format->decode(&t->all->arena, ev->binary, ev->data, &command, &diag);
    if (err == PH_OK)
        session__command(t->session, &command);
    else
        refuse_message(t, err, &diag);
}

/* 1000 and a close frame without a code are the client's word that the session is over;
 * with any other code one of a reliable subprotocol may come back (client-and-rest
 * section 3). The event handler hears the client's own words (event-handler section 2.4). */
static void on_close(struct transport *t, const struct ws_event *ev)
{
    bool final = ev->code == WS_CLOSE_NORMAL || ev->code == WS_CLOSE_NONE;
    char detail[64 + WS_MAX_CONTROL];
    const struct close_reason over = {
        .code = ev->code, .category = STR("Normal"), .upstream = ev->data, .detail = detail};

    snprintf(detail, sizeof(detail), "the client closed the connection with %u%s%.*s", ev->code,
             ev->data.len > 0 ? ": " : "", STR_FMT(ev->data));
    t->peer_closed = true;
    if (t->state != TRANSPORT_OPEN)
        return;
    if (t->session && (final || !session__format(t->session)->reliable)) {
        session__end(t->session, &over);
        return;
    }
    /* What is queued stays with the session; a frame cut in the middle leaves no place
     * for a close frame. */
    detach(t, str__of(detail));
    begin_closing(t, ev->code, STR_NONE);
    if (t->written > 0) {
        drop(&t->control);
        drop(&t->goodbye);
    }
}

static void on_error(struct transport *t, const struct ws_event *ev)
{
    t->deaf = true;
    if (t->state == TRANSPORT_LINGER)
        shutdown(t->watch.fd, SHUT_WR); /* as finish_closing */
    fail(t, ev->code, ev->data, STR("BadRequest"));
}

static void note_life(struct transport *t)
{
    uint32_t now = now_s(t->all);

    if (t->seen_s != now)
        t->frames = 0;
    t->seen_s = now;
    t->pinged = false;
}

/* Counts messages, pings and pongs alike. Once it has said so, the session is over, and
 * the client's close frame is all that it waits for. */
static bool too_fast(struct transport *t)
{
    uint32_t limit = t->all->frames_per_second;

    if (limit == 0 || t->state != TRANSPORT_OPEN || ++t->frames <= limit)
        return false;
    fail(t, WS_CLOSE_POLICY, STR("The client sends too many messages in a second."),
         STR("Throttled"));
    return true;
}

/* Works through bytes in the shared buffer. `t` may be gone after. */
static void receive(struct transport *t, size_t len)
{
    char *at = t->all->input, *end = at + len;
    struct ws_event ev;

    metrics__add(t->all->metrics, METRIC_BYTES_IN, len);
    note_life(t);
    while (ws__next(&t->ws, &at, end, &ev) != WS_NEED_MORE) {
        if (too_fast(t))
            continue;
        if (ev.type == WS_MESSAGE)
            on_message(t, &ev);
        else if (ev.type == WS_PING)
            queue_control(t, WS_OP_PONG, ev.data);
        else if (ev.type == WS_CLOSE)
            on_close(t, &ev);
        else if (ev.type == WS_ERROR)
            on_error(t, &ev);
    }
    if (t->peer_closed && t->state == TRANSPORT_LINGER)
        destroy(t);
}

/* Most of what the last commands have touched is in no cache any more. It comes while the one
 * before is worked on, and while the kernel reads. */
static void on_fetch(const struct poller_watch *watch)
{
    const struct transport *t = (const struct transport *)watch;

    if (t->session)
        session__fetch(t->session);
}

static ssize_t read_input(const struct transport *t)
{
    if (t->session) {
        session__fetch_parts(t->session);
        upstream__fetch(session__peer(t->session));
    }
    return recv(t->watch.fd, t->all->input, TRANSPORT_READ_SIZE, MSG_DONTWAIT);
}

/* Behind a full read there may be more, and behind the last bytes the end; a read ends before the
 * mark of urgent data, too. None of it would be told of again. */
static void read_some(struct transport *t, uint32_t events)
{
    ssize_t n = read_input(t);

    if (n == TRANSPORT_READ_SIZE || (n > 0 && (events & WATCH_MORE)))
        poller__again(&t->all->poller, &t->watch);
    if (n > 0)
        receive(t, (size_t)n);
    else if (n == 0)
        lose(t, STR("the client closed the socket without a close frame"));
    else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        lose(t, STR("the connection broke"));
}

static void on_ready(struct poller_watch *watch, uint32_t events)
{
    struct transport *t = (struct transport *)watch;

    if ((events & EPOLLOUT) && !flush(t))
        return;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_some(t, events);
}

static const struct poller_ops watch_ops = {.ready = on_ready, .fetch = on_fetch};

/* --- Life -------------------------------------------------------------------- */

struct transport *transport__new(struct transports *all, int fd, struct session *session,
                                 unsigned keep_alive_seconds)
{
    struct transport *t = calloc(1, sizeof(*t));
    int on = 1;

    if (!t || !poller__add(&all->poller, &t->watch, fd, WATCH_INPUT)) {
        free(t);
        close(fd);
        return NULL;
    }
    /* Frames of a turn leave in one write already; Nagle would only hold them back. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    t->watch.ops = &watch_ops;
    t->all = all;
    t->session = session;
    t->seen_s = now_s(all);
    t->keep_alive = (uint8_t)keep_alive_seconds;
    ws__init(&t->ws, all->message_bytes, 0);
    all->count++;
    set_timer(t, keep_alive_seconds);
    return t;
}

void transport__start(struct transport *t, struct str early)
{
    if (early.len == 0 || early.len > TRANSPORT_READ_SIZE)
        return;
    memcpy(t->all->input, early.ptr, early.len);
    receive(t, early.len);
}

void transport__refuse(struct transports *all, int fd, uint16_t code, struct str reason)
{
    struct transport *t = transport__new(all, fd, NULL, all->close_seconds);

    if (t)
        begin_closing(t, code, reason);
}

/* --- All of a shard ----------------------------------------------------------- */

void transports__set_limits(struct transports *all, uint32_t message_bytes,
                            uint32_t frames_per_second)
{
    all->message_bytes = message_bytes;
    all->frames_per_second = frames_per_second;
    arena__free(&all->arena);
    arena__init(&all->arena, all->input + TRANSPORT_READ_SIZE, DECODE_FIRST,
                DECODE_GROWTH * (size_t)message_bytes + DECODE_ROOM);
}

bool transports__open(struct transports *all, uv_loop_t *loop, unsigned close_seconds,
                      int64_t (*now_ms)(void *ctx), void *ctx)
{
    *all = (struct transports){.close_seconds = close_seconds, .now_ms = now_ms, .ctx = ctx};
    wheel__init(&all->wheel, now_ms(ctx));
    all->input = malloc(TRANSPORT_READ_SIZE + DECODE_FIRST);
    all->gather = calloc(1, sizeof(*all->gather));
    if (all->input)
        transports__set_limits(all, WS_DEFAULT_MAX_MESSAGE, 0);
    if (all->input && all->gather && poller__open(&all->poller, loop))
        return true;
    free(all->gather);
    free(all->input);
    all->input = NULL;
    return false;
}

void transports__close(struct transports *all)
{
    int64_t end_of_time = (all->wheel.second + WHEEL_SLOTS) * 1000;
    struct wheel_entry *entry;

    if (!all->input)
        return;
    /* Each transport has a deadline at all times, so the wheel knows them all. */
    while ((entry = wheel__next_due(&all->wheel, end_of_time)))
        lose(LIST_ITEM(entry, struct transport, timer), STR("the service stopped"));
    poller__close(&all->poller);
    arena__free(&all->arena);
    gather__clear(all->gather);
    free(all->gather);
    free(all->input);
    all->input = NULL;
}

static void write_to(struct transport *t)
{
    if (t && !t->blocked)
        flush(t);
}

bool transports__flush(struct transports *all, struct core *core)
{
    uint64_t start;
    struct session *s;
    struct transport *t;

    while ((s = core__next_answered(core)))
        write_to(session__transport(s));
    while ((t = all->pending)) {
        unlist(t);
        write_to(t);
    }
    start = all->work;
    while ((all->work - start < FLUSH_WORK || !core__is_patient(core)) &&
           (s = core__next_dirty(core)))
        write_to(session__transport(s));
    gather__clear(all->gather);
    return !core__has_dirty(core) && !all->pending;
}

/* A reliable client may have lost no more than its socket. */
static void lose_dead(struct transport *t)
{
    static const struct close_reason why = {.code = WS_CLOSE_POLICY,
                                            .category = {"PingTimeout", 11},
                                            .upstream = {"The client did not answer pings.", 32}};

    if (t->session && !session__format(t->session)->reliable)
        session__end(t->session, &why);
    lose(t, why.upstream);
}

/* A deadline has come: of the closing handshake, or to see whether the client lives.
 * Anything that came from it since the last look counts as life. */
static void on_deadline(struct transport *t)
{
    uint32_t silent_s = now_s(t->all) - t->seen_s;

    if (t->state != TRANSPORT_OPEN) {
        lose(t, STR("the client did not finish the closing handshake"));
    } else if (silent_s >= t->keep_alive && t->pinged) {
        lose_dead(t);
    } else if (silent_s >= t->keep_alive) {
        t->pinged = true;
        queue_control(t, WS_OP_PING, STR(""));
        set_timer(t, t->keep_alive);
    } else {
        set_timer(t, t->keep_alive - silent_s);
    }
}

int64_t transports__tick(struct transports *all)
{
    int64_t now = all->now_ms(all->ctx);
    struct wheel_entry *entry;

    while ((entry = wheel__next_due(&all->wheel, now)))
        on_deadline(LIST_ITEM(entry, struct transport, timer));
    return wheel__deadline(&all->wheel);
}
