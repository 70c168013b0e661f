#include "client/dialog.h"

#include "base/url.h"
#include "ws/ws.h"

#include <stdlib.h>

#define RECOVERY_PAUSE_MS 1000
#define SEQUENCE_ACK_MS 1000 /* client-and-rest section 3, as the official client */
#define SEQUENCE_ACK_COUNT 300
#define MAX_CONTROL 512              /* a frame of our own: sequence ack, ping, cancel */
#define MAX_FRAME_ARENA (256u << 20) /* what decoding may take: bounded by the frame's size */
#define MAX_URL (64u << 10)
#define TIMERS 7    /* of the dialog itself */
#define MAX_NACKS 3 /* of one stream, without progress */
/* Operations without an answer on a socket that follows a lost one; each answer makes it one
 * more. Where sockets live briefly, a flood would use up each of them before one answer. */
#define FIRST_WINDOW 8

enum dialog_state {
    STOPPED,
    ASKING,    /* for a URL */
    OPENING,   /* a socket for a new connection */
    GREETING,  /* the socket is open, `connected` has not come */
    CONNECTED, /* may send */
    RECOVERING,
    PAUSING, /* before connecting again */
    STOPPING /* the socket closes in order */
};

struct joined {
    struct str group;
    char text[];
};

struct dialog {
    const struct dialog_settings *settings;
    const struct dialog_ops *ops;
    void *ctx;
    enum dialog_state state;
    bool announced;                     /* `connected` was told, `disconnected` not yet */
    bool unproven;                      /* a recovered socket that has not said a word */
    bool opening;                       /* RECOVERING: a socket is being opened */
    bool flushing;                      /* what waits goes out whatever the room */
    unsigned attempts;                  /* to connect that failed */
    size_t rejoins;                     /* that have no answer yet */
    size_t in_flight;                   /* operations in `sent` */
    size_t window;                      /* how many there may be */
    struct op *start;                   /* whom to tell that it is connected, or not */
    struct link stops;                  /* and stopped */
    struct link waiting, sent, delayed; /* operations */
    struct link streams;
    struct map groups; /* joined by our calls */
    struct buf url, connection_id, user_id, token, reason;
    uint64_t sequence_id; /* the last one that came */
    unsigned unacked;
    struct deadlines deadlines;
    struct dialog_timer connect_by, recover, give_up, retry, ping, silence, sequence_ack;
};

static struct op *op_of(struct link *l)
{
    return LIST_ITEM(l, struct op, link);
}

static struct ph_client_stream *stream_of(struct link *l)
{
    return LIST_ITEM(l, struct ph_client_stream, link);
}

/* --- Small things ------------------------------------------------------------------- */

static void set_timer(struct dialog *d, struct dialog_timer *t, int64_t at_ms)
{
    deadlines__set(&d->deadlines, &t->due, at_ms);
}

static void clear_timer(struct dialog *d, struct dialog_timer *t)
{
    deadlines__clear(&d->deadlines, &t->due);
}

/* An absent string leaves it empty. */
static bool keep(struct buf *b, struct str s)
{
    buf__reset(b);
    if (s.ptr)
        buf__str(b, s);
    return !b->failed;
}

static struct ph_client_result failure(enum ph_err err, const char *message)
{
    return (struct ph_client_result){.err = err, .name = "", .message = message};
}

static struct ph_client_result success(void)
{
    return failure(PH_OK, "");
}

static bool has_retries(const struct ph_client_retry *r, unsigned failed)
{
    return failed <= r->retries;
}

static uint32_t pause_ms(struct dialog *d, const struct ph_client_retry *r, unsigned failed)
{
    uint64_t ms = r->delay_ms;

    if (r->backoff == PH_CLIENT_BACKOFF_FIXED)
        return r->delay_ms;
    for (unsigned i = 1; i < failed && ms < r->max_delay_ms; i++)
        ms *= 2;
    if (ms > r->max_delay_ms)
        ms = r->max_delay_ms;
    return (uint32_t)(ms + (uint64_t)d->ops->chance(d->ctx) % (ms / 4 + 1));
}

/* --- The end of an operation ------------------------------------------------------------ */

static void announce(struct dialog *d);

/* Off the list that it is on. */
static void take_out(struct dialog *d, struct op *op)
{
    list__remove(&op->link);
    d->in_flight -= op->in_flight;
    op->in_flight = false;
}

static void finish(struct dialog *d, struct op *op, const struct ph_client_result *result)
{
    bool rejoin = op->rejoin;

    if (op->in_flight && d->window < SIZE_MAX)
        d->window++;
    take_out(d, op);
    if (op->has_room) {
        clear_timer(d, &op->timer);
        deadlines__release(&d->deadlines);
        op->has_room = false;
    }
    if (rejoin && result->err != PH_OK)
        d->ops->rejoin_failed(d->ctx, op->name, result);
    d->ops->finished(d->ctx, op, result);
    if (rejoin && --d->rejoins == 0 && d->state == CONNECTED)
        announce(d);
}

static void finish_all(struct dialog *d, struct link *list, const struct ph_client_result *result)
{
    while (!list__empty(list))
        finish(d, op_of(list->next), result);
}

static void fail(struct dialog *d, struct op *op, enum ph_err err, const char *message)
{
    struct ph_client_result result = failure(err, message);

    result.ack_id = op->ack_id;
    finish(d, op, &result);
}

/* --- Sending --------------------------------------------------------------------------- */

static void socket_lost(struct dialog *d, uint16_t code, enum ph_err err, struct str why,
                        int64_t now_ms);

static void out_of_memory(struct dialog *d, int64_t now_ms)
{
    d->ops->drop(d->ctx);
    socket_lost(d, WS_CLOSE_ABNORMAL, PH_ERR_MEMORY, STR("out of memory"), now_ms);
}

/* A frame of our own, without an answer of its own. */
static bool say(struct dialog *d, const struct frame_request *r)
{
    struct buf b;
    bool ok;

    buf__init(&b, MAX_CONTROL + 6 * (r->invocation_id.len + r->stream_id.len));
    frames__encode(&b, r);
    ok = !b.failed && d->ops->write(d->ctx, false, buf__view(&b));
    buf__free(&b);
    return ok;
}

static void pump(struct dialog *d, int64_t now_ms)
{
    while (d->state == CONNECTED && !list__empty(&d->waiting) &&
           (d->flushing || (d->in_flight < d->window && d->ops->has_room(d->ctx)))) {
        struct op *op = op_of(d->waiting.next);
        struct ph_client_result done = success();

        if (!d->ops->write(d->ctx, op->binary, buf__view(&op->frame))) {
            out_of_memory(d, now_ms);
            return;
        }
        op->was_sent = true;
        list__remove(&op->link);
        if (op->kind == OP_NOTICE) {
            finish(d, op, &done);
            continue;
        }
        op->in_flight = true;
        d->in_flight++;
        list__append(&d->sent, &op->link);
    }
}

/* What was sent and has no answer goes in front of what waits, in its order. */
static void requeue(struct dialog *d)
{
    while (!list__empty(&d->sent)) {
        struct link *last = d->sent.prev;

        take_out(d, op_of(last));
        list__append(d->waiting.next, last);
    }
    d->window = FIRST_WINDOW;
}

/* --- Streams (client-and-rest section 2.4) ------------------------------------------------ */

static struct ph_client_stream *find_stream(struct dialog *d, struct str id)
{
    for (struct link *l = d->streams.next; l != &d->streams; l = l->next) {
        if (str__eq(stream_of(l)->id, id))
            return stream_of(l);
    }
    return NULL;
}

/* `take` says which of the stream's operations. */
static void finish_stream_ops(struct dialog *d, struct ph_client_stream *s, uint64_t before,
                              const struct ph_client_result *result)
{
    struct link *const lists[] = {&d->sent, &d->waiting};

    for (size_t i = 0; i < 2; i++) {
        for (struct link *l = lists[i]->next, *next; l != lists[i]; l = next) {
            struct op *op = op_of(l);

            next = l->next;
            if (op->stream == s && op->stream_sequence_id < before)
                finish(d, op, result);
        }
    }
}

/* The opening has the sequence id 0, the end UINT64_MAX - 1. */
static void end_stream(struct dialog *d, struct ph_client_stream *s,
                       const struct ph_client_result *result)
{
    list__remove(&s->link);
    finish_stream_ops(d, s, UINT64_MAX, result);
    d->ops->stream_ended(d->ctx, s, result);
}

static void end_streams(struct dialog *d, const struct ph_client_result *result)
{
    while (!list__empty(&d->streams))
        end_stream(d, stream_of(d->streams.next), result);
}

static void take_stream_ack(struct dialog *d, const struct answer *a)
{
    struct ph_client_stream *s = find_stream(d, a->stream_id);
    struct ph_client_result result = success();

    if (!s)
        return;
    s->nacks = 0;
    finish_stream_ops(d, s, a->expected_sequence_id, &result);
}

/* Sends again from where the service is. */
static void take_stream_nack(struct dialog *d, const struct answer *a, int64_t now_ms)
{
    struct ph_client_stream *s = find_stream(d, a->stream_id);
    struct ph_client_result result = failure(PH_ERR_REFUSED, a->error.message.ptr);
    struct link *before = d->waiting.next;

    if (!s)
        return;
    if (++s->nacks > MAX_NACKS) {
        result.name = a->error.name.ptr ? a->error.name.ptr : "";
        result.message = a->error.message.ptr ? a->error.message.ptr : "";
        say(d, &(struct frame_request){.kind = FRAME_STREAM_END,
                                       .stream_id = s->id,
                                       .failed = true,
                                       .error_code = STR("ProtocolViolation")});
        end_stream(d, s, &result);
        return;
    }
    for (struct link *l = d->sent.next, *next; l != &d->sent; l = next) {
        next = l->next;
        if (op_of(l)->stream != s || op_of(l)->stream_sequence_id < a->expected_sequence_id)
            continue;
        take_out(d, op_of(l));
        list__append(before, l); /* in front of `before` */
    }
    pump(d, now_ms);
}

static enum ph_err error_code(struct str name)
{
    static const struct {
        struct str name;
        enum ph_err err;
    } known[] = {
        {STR("Forbidden"), PH_ERR_FORBIDDEN},
        {STR("NotFound"), PH_ERR_NOT_FOUND},
        {STR("Timeout"), PH_ERR_TIMEOUT},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        if (str__eq_nocase(name, known[i].name))
            return known[i].err;
    }
    return PH_ERR_REFUSED;
}

static struct ph_client_result refusal(const struct answer *a)
{
    return (struct ph_client_result){
        .err = error_code(a->error.name),
        .name = a->error.name.ptr ? a->error.name.ptr : "",
        .message = a->error.message.ptr ? a->error.message.ptr : "",
        .ack_id = a->ack_id,
    };
}

static void take_stream_closed(struct dialog *d, const struct answer *a)
{
    struct ph_client_stream *s = find_stream(d, a->stream_id);
    struct ph_client_result result = a->error.name.ptr ? refusal(a) : success();

    if (s)
        end_stream(d, s, &result);
}

static void abandon(struct dialog *d, struct ph_client_stream *s)
{
    struct ph_client_result result = failure(PH_ERR_CANCELLED, "the stream was freed");

    if (list__empty(&s->link))
        return;
    if (d->state == CONNECTED)
        say(d,
            &(struct frame_request){.kind = FRAME_STREAM_END, .stream_id = s->id, .failed = true});
    end_stream(d, s, &result);
}

/* --- Groups -------------------------------------------------------------------------------- */

static struct str group_key(const void *item)
{
    return ((const struct joined *)item)->group;
}

static bool remember_group(struct dialog *d, struct str name)
{
    struct joined *j;
    char *at;

    if (map__get(&d->groups, name))
        return true;
    j = malloc(sizeof(*j) + name.len);
    if (!j)
        return false;
    at = j->text;
    j->group = str__place(&at, name);
    if (map__add(&d->groups, j))
        return true;
    free(j);
    return false;
}

static void forget_group(struct dialog *d, struct str name)
{
    free(map__remove(&d->groups, name));
}

static void expired(struct dialog *d, struct dialog_timer *t, int64_t now_ms);

static bool give_deadline(struct dialog *d, struct op *op, int64_t now_ms)
{
    if (!deadlines__reserve(&d->deadlines))
        return false;
    op->has_room = true;
    op->timer.ring = expired;
    op->expires_ms = now_ms + op->timeout_ms;
    set_timer(d, &op->timer, op->expires_ms);
    return true;
}

static bool rejoin_one(struct dialog *d, struct str group, struct link *before, int64_t now_ms)
{
    struct op *op = op__new(OP_JOIN, group, SIZE_MAX);

    if (!op)
        return false;
    op->rejoin = true;
    op->ack_id = d->ops->new_ack_id(d->ctx);
    op->timeout_ms = d->settings->connect_timeout_ms;
    frames__encode(&op->frame, &(struct frame_request){
                                   .kind = FRAME_JOIN_GROUP, .group = group, .ack_id = op->ack_id});
    if (op->frame.failed || !give_deadline(d, op, now_ms)) {
        op__free(op);
        return false;
    }
    list__append(before, &op->link);
    d->rejoins++;
    return true;
}

/* In front of all that waits. */
static void rejoin(struct dialog *d, int64_t now_ms)
{
    struct ph_client_result no_memory = failure(PH_ERR_MEMORY, "out of memory");
    struct link *before = d->waiting.next;
    struct joined *j;
    uint32_t at = 0;

    while (d->settings->rejoins && (j = map__next(&d->groups, &at))) {
        if (!rejoin_one(d, j->group, before, now_ms))
            d->ops->rejoin_failed(d->ctx, j->group, &no_memory);
    }
}

/* --- From connection to connection ------------------------------------------------------------ */

static void connect_anew(struct dialog *d, int64_t now_ms);

static void clear_timers(struct dialog *d)
{
    struct dialog_timer *const all[TIMERS] = {&d->connect_by,  &d->recover, &d->give_up,
                                              &d->retry,       &d->ping,    &d->silence,
                                              &d->sequence_ack};

    for (size_t i = 0; i < TIMERS; i++)
        clear_timer(d, all[i]);
}

static void announce(struct dialog *d)
{
    struct ph_client_result done = success();
    struct op *start = d->start;

    d->announced = true;
    d->attempts = 0;
    d->ops->connected(d->ctx, buf__view(&d->connection_id),
                      d->user_id.len > 0 ? buf__view(&d->user_id) : STR_NONE);
    d->start = NULL;
    if (start)
        finish(d, start, &done);
}

static void say_goodbye(struct dialog *d)
{
    if (d->announced)
        d->ops->disconnected(d->ctx, buf__view(&d->connection_id), buf__view(&d->reason));
    d->announced = false;
}

static void drop_rejoins_of(struct dialog *d, struct link *list)
{
    for (struct link *l = list->next, *next; l != list; l = next) {
        struct op *op = op_of(l);

        next = l->next;
        if (!op->rejoin)
            continue;
        op->rejoin = false; /* nobody is to be told */
        fail(d, op, PH_ERR_CLOSED, "the connection was lost");
    }
}

static void drop_rejoins(struct dialog *d)
{
    d->rejoins = 0;
    drop_rejoins_of(d, &d->waiting);
    drop_rejoins_of(d, &d->delayed);
}

static void end(struct dialog *d)
{
    struct ph_client_result closed = failure(PH_ERR_CLOSED, "the client has stopped");
    struct ph_client_result done = success();
    struct op *start = d->start;

    d->state = STOPPED;
    clear_timers(d);
    requeue(d);
    drop_rejoins(d);
    end_streams(d, &closed);
    finish_all(d, &d->waiting, &closed);
    finish_all(d, &d->delayed, &closed);
    d->start = NULL;
    say_goodbye(d);
    if (start)
        fail(d, start, PH_ERR_CLOSED, "the client was stopped");
    else
        d->ops->stopped(d->ctx);
    finish_all(d, &d->stops, &done);
}

/* A new connection could not be had. The first one is the caller's matter. */
static void attempt_failed(struct dialog *d, enum ph_err err, struct str why, int64_t now_ms)
{
    struct ph_client_result closed = failure(PH_ERR_CLOSED, "the client could not connect");
    struct op *start = d->start;

    clear_timers(d);
    if (start) {
        d->start = NULL;
        d->state = STOPPED;
        finish_all(d, &d->waiting, &closed);
        finish_all(d, &d->delayed, &closed);
        end_streams(d, &closed);
        keep(&d->reason, why);
        fail(d, start, err, d->reason.len > 0 ? d->reason.data : "");
        finish_all(d, &d->stops, &(struct ph_client_result){.name = "", .message = ""});
        return;
    }
    d->attempts++;
    if (!has_retries(&d->settings->reconnect, d->attempts)) {
        end(d);
        return;
    }
    d->state = PAUSING;
    set_timer(d, &d->retry, now_ms + pause_ms(d, &d->settings->reconnect, d->attempts));
}

/* Of the operations that had no answer when the connection was lost for good. */
static void retry_or_fail(struct dialog *d, struct op *op)
{
    if (op->kind == OP_INVOKE)
        fail(d, op, PH_ERR_CLOSED, "the connection was lost");
    else if (op->was_sent && !has_retries(&d->settings->resend, ++op->attempts))
        fail(d, op, PH_ERR_CLOSED, "the connection was lost before the answer came");
}

static void lost(struct dialog *d, int64_t now_ms)
{
    struct ph_client_result closed = failure(PH_ERR_CLOSED, "the connection was lost");

    clear_timers(d);
    requeue(d);
    drop_rejoins(d);
    end_streams(d, &closed);
    for (struct link *l = d->waiting.next, *next; l != &d->waiting; l = next) {
        next = l->next;
        retry_or_fail(d, op_of(l));
    }
    say_goodbye(d);
    if (d->settings->reconnects)
        connect_anew(d, now_ms);
    else
        end(d);
}

static bool can_recover(const struct dialog *d)
{
    return d->settings->protocol == PH_CLIENT_RELIABLE && d->connection_id.len > 0 &&
           d->token.len > 0;
}

/* The URL with what proves who we are (client-and-rest section 3). */
static bool recovery_url(struct dialog *d, struct buf *out)
{
    struct str url = buf__view(&d->url);

    buf__init(out, MAX_URL);
    buf__str(out, url);
    buf__byte(out, memchr(url.ptr, '?', url.len) ? '&' : '?');
    buf__str(out, STR("awps_connection_id="));
    url__encode(out, buf__view(&d->connection_id));
    buf__str(out, STR("&awps_reconnection_token="));
    url__encode(out, buf__view(&d->token));
    return !out->failed;
}

static void try_to_recover(struct dialog *d, int64_t now_ms)
{
    struct buf url;

    d->opening = recovery_url(d, &url);
    if (d->opening)
        d->ops->open(d->ctx, buf__view(&url));
    else
        set_timer(d, &d->recover, now_ms + RECOVERY_PAUSE_MS);
    buf__free(&url);
}

/* When the same recovery failed before, its time runs on. */
static void recover(struct dialog *d, int64_t now_ms)
{
    bool again = d->state == RECOVERING || d->unproven;

    clear_timer(d, &d->ping);
    clear_timer(d, &d->silence);
    clear_timer(d, &d->sequence_ack);
    d->state = RECOVERING;
    d->opening = false;
    d->unproven = false;
    if (!again) {
        set_timer(d, &d->give_up, now_ms + d->settings->recovery_ms);
        try_to_recover(d, now_ms);
    } else {
        set_timer(d, &d->recover, now_ms + RECOVERY_PAUSE_MS);
    }
}

static void fail_invocations(struct dialog *d)
{
    for (struct link *l = d->sent.next, *next; l != &d->sent; l = next) {
        next = l->next;
        if (op_of(l)->kind == OP_INVOKE)
            fail(d, op_of(l), PH_ERR_CLOSED, "the socket was lost before the answer came");
    }
}

static void socket_lost(struct dialog *d, uint16_t code, enum ph_err err, struct str why,
                        int64_t now_ms)
{
    if (d->state == STOPPED || d->state == ASKING || d->state == PAUSING)
        return;
    if (d->state == STOPPING) {
        end(d);
        return;
    }
    if (d->state == OPENING || d->state == GREETING) {
        attempt_failed(d, err != PH_OK ? err : PH_ERR_CLOSED, why, now_ms);
        return;
    }
    if (d->state == CONNECTED) {
        fail_invocations(d);
        requeue(d);
        if (d->reason.len == 0)
            keep(&d->reason, why);
    }
    if (can_recover(d) && code != DIALOG_CLOSE_REFUSED)
        recover(d, now_ms);
    else
        lost(d, now_ms);
}

void dialog__closed(struct dialog *d, uint16_t code, enum ph_err err, struct str why,
                    int64_t now_ms)
{
    socket_lost(d, code, err, why, now_ms);
}

/* --- Timers ------------------------------------------------------------------------------------
 */

static void connect_too_slow(struct dialog *d, struct dialog_timer *t, int64_t now_ms)
{
    (void)t;
    d->ops->drop(d->ctx);
    attempt_failed(d, PH_ERR_TIMEOUT, STR("connecting took too long"), now_ms);
}

static void recover_again(struct dialog *d, struct dialog_timer *t, int64_t now_ms)
{
    (void)t;
    try_to_recover(d, now_ms);
}

static void recovery_over(struct dialog *d, struct dialog_timer *t, int64_t now_ms)
{
    (void)t;
    d->ops->drop(d->ctx);
    lost(d, now_ms);
}

static void connect_again(struct dialog *d, struct dialog_timer *t, int64_t now_ms)
{
    (void)t;
    connect_anew(d, now_ms);
}

/* A raw client has only the pings of WebSocket itself. */
static bool say_ping(struct dialog *d)
{
    return d->settings->protocol == PH_CLIENT_RAW
               ? d->ops->ping(d->ctx)
               : say(d, &(struct frame_request){.kind = FRAME_PING});
}

static void ping(struct dialog *d, struct dialog_timer *t, int64_t now_ms)
{
    set_timer(d, t, now_ms + d->settings->keep_alive_ms);
    if (!say_ping(d))
        out_of_memory(d, now_ms);
}

static void too_silent(struct dialog *d, struct dialog_timer *t, int64_t now_ms)
{
    (void)t;
    d->ops->drop(d->ctx);
    socket_lost(d, WS_CLOSE_ABNORMAL, PH_ERR_TIMEOUT, STR("the service was silent for too long"),
                now_ms);
}

static void acknowledge(struct dialog *d, struct dialog_timer *t, int64_t now_ms)
{
    clear_timer(d, t);
    d->unacked = 0;
    if (!say(d, &(struct frame_request){.kind = FRAME_SEQUENCE_ACK, .sequence_id = d->sequence_id}))
        out_of_memory(d, now_ms);
}

/* An operation has waited long enough, for its answer or to be tried again. */
static void expired(struct dialog *d, struct dialog_timer *t, int64_t now_ms)
{
    struct op *op = (struct op *)t;

    if (now_ms >= op->expires_ms) {
        if (op->kind == OP_INVOKE && op->was_sent && d->state == CONNECTED)
            say(d, &(struct frame_request){.kind = FRAME_CANCEL_INVOCATION,
                                           .invocation_id = op->name});
        fail(d, op, PH_ERR_TIMEOUT, "no answer came in time");
        return;
    }
    take_out(d, op); /* of those that are tried later */
    list__append(&d->waiting, &op->link);
    set_timer(d, t, op->expires_ms);
    pump(d, now_ms);
}

void dialog__tick(struct dialog *d, int64_t now_ms)
{
    struct deadline *first;

    while ((first = deadlines__first(&d->deadlines)) && first->at_ms <= now_ms) {
        struct dialog_timer *t = (struct dialog_timer *)first;

        deadlines__clear(&d->deadlines, first);
        t->ring(d, t, now_ms);
    }
}

int64_t dialog__next_ms(const struct dialog *d)
{
    const struct deadline *first = deadlines__first(&d->deadlines);

    return first ? first->at_ms : INT64_MAX;
}

/* --- Connecting
 * ------------------------------------------------------------------------------------ */

static void open_url(struct dialog *d, struct str url, int64_t now_ms)
{
    if (!keep(&d->url, url)) {
        attempt_failed(d, PH_ERR_MEMORY, STR("out of memory, or the URL is too long"), now_ms);
        return;
    }
    d->state = OPENING;
    d->ops->open(d->ctx, buf__view(&d->url));
}

static void connect_anew(struct dialog *d, int64_t now_ms)
{
    clear_timers(d);
    d->sequence_id = 0;
    d->unacked = 0;
    d->unproven = false;
    buf__reset(&d->connection_id);
    buf__reset(&d->user_id);
    buf__reset(&d->token);
    buf__reset(&d->reason);
    d->state = ASKING;
    set_timer(d, &d->connect_by, now_ms + d->settings->connect_timeout_ms);
    if (d->settings->url.ptr)
        open_url(d, d->settings->url, now_ms);
    else
        d->ops->need_url(d->ctx);
}

static void begin_sending(struct dialog *d, int64_t now_ms)
{
    d->state = CONNECTED;
    clear_timer(d, &d->connect_by);
    dialog__alive(d, now_ms);
    if (d->settings->keep_alive_ms != PH_CLIENT_NEVER)
        set_timer(d, &d->ping, now_ms + d->settings->keep_alive_ms);
}

static void greet(struct dialog *d, int64_t now_ms)
{
    begin_sending(d, now_ms);
    rejoin(d, now_ms);
    if (d->rejoins == 0)
        announce(d);
    pump(d, now_ms);
}

/* What has come need not be sent again: on a bad network, sockets may live too briefly for
 * an acknowledgement in its time. The answer to the ping proves the socket when nothing else
 * does. */
static bool say_where_we_are(struct dialog *d)
{
    if (d->sequence_id > 0 &&
        !say(d, &(struct frame_request){.kind = FRAME_SEQUENCE_ACK, .sequence_id = d->sequence_id}))
        return false;
    d->unacked = 0;
    return say_ping(d);
}

/* The socket of a recovery is not known to be accepted before something comes; the service
 * closes it with DIALOG_CLOSE_REFUSED otherwise. What is sent until then is sent again. */
void dialog__opened(struct dialog *d, int64_t now_ms)
{
    if (d->state == OPENING && d->settings->protocol == PH_CLIENT_RAW) {
        greet(d, now_ms);
    } else if (d->state == OPENING) {
        d->state = GREETING;
    } else if (d->state == RECOVERING) {
        d->opening = false;
        d->unproven = true;
        begin_sending(d, now_ms);
        if (!d->announced && d->rejoins == 0)
            announce(d);
        if (say_where_we_are(d))
            pump(d, now_ms);
        else
            out_of_memory(d, now_ms);
    }
}

static void take_connected(struct dialog *d, const struct answer *a, int64_t now_ms)
{
    bool first = d->state == GREETING;

    if (!keep(&d->token, a->reconnection_token) ||
        (first && (!keep(&d->connection_id, a->connection_id) || !keep(&d->user_id, a->user_id)))) {
        out_of_memory(d, now_ms);
        return;
    }
    if (first)
        greet(d, now_ms);
}

/* --- What comes
 * ----------------------------------------------------------------------------------- */

static struct op *find_sent(struct dialog *d, uint64_t ack_id)
{
    for (struct link *l = d->sent.next; l != &d->sent; l = l->next) {
        if (op_of(l)->ack_id == ack_id && ack_id != 0)
            return op_of(l);
    }
    return NULL;
}

/* The service could not, but may be able to in a moment; the same ack id, since it
 * remembers only what succeeded (client-and-rest section 2.3). */
static bool try_later(struct dialog *d, struct op *op, const struct answer *a, int64_t now_ms)
{
    int64_t at_ms;

    if (!str__eq_nocase(a->error.name, STR("InternalServerError")) ||
        !has_retries(&d->settings->resend, op->attempts + 1))
        return false;
    op->attempts++;
    take_out(d, op);
    list__append(&d->delayed, &op->link);
    at_ms = now_ms + pause_ms(d, &d->settings->resend, op->attempts);
    set_timer(d, &op->timer, at_ms < op->expires_ms ? at_ms : op->expires_ms);
    return true;
}

static void take_ack(struct dialog *d, const struct answer *a, int64_t now_ms)
{
    struct op *op = find_sent(d, a->ack_id);
    bool duplicate = !a->success && str__eq_nocase(a->error.name, STR("Duplicate"));
    struct ph_client_result result = refusal(a);

    if (!op || (!a->success && !duplicate && try_later(d, op, a, now_ms)))
        return;
    if (a->success || duplicate) {
        result = success();
        result.ack_id = a->ack_id;
        result.duplicate = duplicate;
        if (op->kind == OP_JOIN && !remember_group(d, op->name))
            d->ops->complain(d->ctx, "out of memory: a group will not be joined again");
        if (op->kind == OP_LEAVE)
            forget_group(d, op->name);
    }
    finish(d, op, &result);
}

static void take_invoke_response(struct dialog *d, const struct answer *a)
{
    struct ph_client_result result = a->success ? success() : refusal(a);

    for (struct link *l = d->sent.next; l != &d->sent; l = l->next) {
        struct op *op = op_of(l);

        if (op->kind != OP_INVOKE || !str__eq(op->name, a->invocation_id))
            continue;
        result.type = a->type;
        result.data = a->has_data ? a->data.ptr : NULL;
        result.len = a->data.len;
        finish(d, op, &result);
        return;
    }
}

/* False: it has come before. It is acknowledged when the program has seen it. */
static bool is_new(struct dialog *d, const struct answer *a)
{
    if (a->sequence_id == 0 || d->settings->protocol != PH_CLIENT_RELIABLE)
        return true;
    if (a->sequence_id <= d->sequence_id)
        return false;
    d->sequence_id = a->sequence_id;
    return true;
}

static void owe_acknowledgement(struct dialog *d, const struct answer *a, int64_t now_ms)
{
    if (a->sequence_id == 0 || d->settings->protocol != PH_CLIENT_RELIABLE)
        return;
    if (++d->unacked >= SEQUENCE_ACK_COUNT)
        acknowledge(d, &d->sequence_ack, now_ms);
    else if (d->sequence_ack.due.place == 0)
        set_timer(d, &d->sequence_ack, now_ms + SEQUENCE_ACK_MS);
}

static void take_message(struct dialog *d, const struct answer *a, int64_t now_ms)
{
    if (is_new(d, a))
        d->ops->message(d->ctx, a);
    owe_acknowledgement(d, a, now_ms);
}

static void take_answer(struct dialog *d, const struct answer *a, int64_t now_ms)
{
    switch (a->kind) {
    case ANSWER_CONNECTED:
        take_connected(d, a, now_ms);
        break;
    case ANSWER_DISCONNECTED:
        keep(&d->reason, a->reason);
        break;
    case ANSWER_ACK:
        take_ack(d, a, now_ms);
        break;
    case ANSWER_GROUP_MESSAGE:
    case ANSWER_SERVER_MESSAGE:
        take_message(d, a, now_ms);
        break;
    case ANSWER_INVOKE_RESPONSE:
        take_invoke_response(d, a);
        break;
    case ANSWER_STREAM_ACK:
        take_stream_ack(d, a);
        break;
    case ANSWER_STREAM_NACK:
        take_stream_nack(d, a, now_ms);
        break;
    case ANSWER_STREAM_CLOSED:
        take_stream_closed(d, a);
        break;
    case ANSWER_PONG:
    case ANSWER_UNKNOWN:
        break;
    }
}

void dialog__alive(struct dialog *d, int64_t now_ms)
{
    if (d->settings->keep_alive_timeout_ms != PH_CLIENT_NEVER && d->state == CONNECTED)
        set_timer(d, &d->silence, now_ms + d->settings->keep_alive_timeout_ms);
}

static void take_raw(struct dialog *d, bool binary, struct str frame)
{
    const struct answer a = {.kind = ANSWER_SERVER_MESSAGE,
                             .type = binary ? PH_DATA_BINARY : PH_DATA_TEXT,
                             .has_data = true,
                             .data = frame};

    d->ops->message(d->ctx, &a);
}

void dialog__take(struct dialog *d, bool binary, struct str frame, int64_t now_ms)
{
    char room[4096];
    struct arena arena;
    struct answer answer;
    struct diag diag;
    enum ph_err err;

    dialog__alive(d, now_ms);
    if (d->unproven) {
        d->unproven = false;
        clear_timer(d, &d->give_up);
    }
    if (d->settings->protocol == PH_CLIENT_RAW) {
        take_raw(d, binary, frame);
        return;
    }
    arena__init(&arena, room, sizeof(room), MAX_FRAME_ARENA);
    err = frames__decode(&arena, frame, &answer, &diag);
    if (err == PH_OK) {
        take_answer(d, &answer, now_ms);
        pump(d, now_ms);
    } else if (err == PH_ERR_MEMORY) {
        out_of_memory(d, now_ms);
    } else {
        d->ops->complain(d->ctx, diag.text);
    }
    arena__free(&arena);
}

void dialog__drained(struct dialog *d, int64_t now_ms)
{
    pump(d, now_ms);
}

/* --- What the program asks ----------------------------------------------------------------------
 */

static void start(struct dialog *d, struct op *op, int64_t now_ms)
{
    if (d->state != STOPPED) {
        fail(d, op, PH_ERR_STATE, "the client is not stopped");
        return;
    }
    d->start = op;
    d->attempts = 0;
    connect_anew(d, now_ms);
}

static void stop(struct dialog *d, struct op *op, int64_t now_ms)
{
    struct ph_client_result done = success();

    if (d->state == STOPPED) {
        finish(d, op, &done);
        return;
    }
    list__append(&d->stops, &op->link);
    if (d->state == STOPPING)
        return;
    if (d->state != CONNECTED) {
        d->ops->drop(d->ctx);
        end(d);
        return;
    }
    d->flushing = true;
    pump(d, now_ms);
    d->flushing = false;
    if (d->state != CONNECTED)
        return; /* out of memory: it has ended already */
    d->state = STOPPING;
    clear_timers(d);
    d->ops->close(d->ctx);
}

static void take_url(struct dialog *d, struct op *op, int64_t now_ms)
{
    struct ph_client_result done = success();

    if (d->state == ASKING && op->name.len > 0)
        open_url(d, op->name, now_ms);
    else if (d->state == ASKING)
        attempt_failed(d, PH_ERR_NOT_FOUND, STR("there is no URL to connect to"), now_ms);
    finish(d, op, &done);
}

static struct op *find_invocation(struct dialog *d, struct str id)
{
    struct link *const lists[] = {&d->sent, &d->waiting};

    for (size_t i = 0; i < 2; i++) {
        for (struct link *l = lists[i]->next; l != lists[i]; l = l->next) {
            if (op_of(l)->kind == OP_INVOKE && str__eq(op_of(l)->name, id))
                return op_of(l);
        }
    }
    return NULL;
}

static void cancel(struct dialog *d, struct op *op)
{
    struct op *invocation = find_invocation(d, op->name);
    struct ph_client_result done = success();

    if (invocation && invocation->was_sent && d->state == CONNECTED)
        say(d, &(struct frame_request){.kind = FRAME_CANCEL_INVOCATION, .invocation_id = op->name});
    if (invocation)
        fail(d, invocation, PH_ERR_CANCELLED, "the invocation was cancelled");
    finish(d, op, &done);
}

static void enqueue(struct dialog *d, struct op *op, int64_t now_ms)
{
    if (d->state == STOPPED || d->state == STOPPING) {
        fail(d, op, PH_ERR_CLOSED, "the client is stopped");
        return;
    }
    if (op->stream && op->kind != OP_STREAM_OPEN && list__empty(&op->stream->link)) {
        fail(d, op, PH_ERR_CLOSED, "the stream is over");
        return;
    }
    if (op->kind == OP_STREAM_OPEN && find_stream(d, op->stream->id)) {
        fail(d, op, PH_ERR_STATE, "there is a stream of that id");
        return;
    }
    if (!give_deadline(d, op, now_ms)) {
        fail(d, op, PH_ERR_MEMORY, "out of memory");
        return;
    }
    if (op->kind == OP_STREAM_OPEN) {
        list__append(&d->streams, &op->stream->link);
        d->ops->stream_opened(d->ctx, op->stream);
    }
    list__append(&d->waiting, &op->link);
    pump(d, now_ms);
}

void dialog__submit(struct dialog *d, struct op *op, int64_t now_ms)
{
    struct ph_client_result done = success();

    switch (op->kind) {
    case OP_START:
        start(d, op, now_ms);
        break;
    case OP_STOP:
        stop(d, op, now_ms);
        break;
    case OP_URL:
        take_url(d, op, now_ms);
        break;
    case OP_CANCEL:
        cancel(d, op);
        break;
    case OP_ABANDON:
        abandon(d, op->stream);
        finish(d, op, &done);
        break;
    default:
        enqueue(d, op, now_ms);
        break;
    }
}

/* --- Begin and end
 * ---------------------------------------------------------------------------------- */

/* What can be made without memory. */
static void init(struct dialog *d)
{
    struct link *const lists[] = {&d->stops, &d->waiting, &d->sent, &d->delayed, &d->streams};
    struct buf *const texts[] = {&d->url, &d->connection_id, &d->user_id, &d->token, &d->reason};

    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        list__init(lists[i]);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        buf__init(texts[i], MAX_URL);
    d->window = SIZE_MAX;
    d->connect_by.ring = connect_too_slow;
    d->recover.ring = recover_again;
    d->give_up.ring = recovery_over;
    d->retry.ring = connect_again;
    d->ping.ring = ping;
    d->silence.ring = too_silent;
    d->sequence_ack.ring = acknowledge;
}

struct dialog *dialog__new(const struct dialog_settings *settings, const struct dialog_ops *ops,
                           void *ctx, const struct map_seed *seed)
{
    struct dialog *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    d->settings = settings;
    d->ops = ops;
    d->ctx = ctx;
    map__init(&d->groups, group_key, seed);
    init(d);
    for (size_t i = 0; i < TIMERS; i++) {
        if (!deadlines__reserve(&d->deadlines)) {
            deadlines__free(&d->deadlines);
            free(d);
            return NULL;
        }
    }
    return d;
}

void dialog__free(struct dialog *d)
{
    struct ph_client_result closed = failure(PH_ERR_CLOSED, "the client was freed");
    struct joined *j;
    uint32_t at;

    if (!d)
        return;
    d->state = STOPPED;
    requeue(d);
    drop_rejoins(d);
    end_streams(d, &closed);
    finish_all(d, &d->waiting, &closed);
    finish_all(d, &d->delayed, &closed);
    finish_all(d, &d->stops, &closed);
    if (d->start)
        finish(d, d->start, &closed);
    for (at = 0; (j = map__next(&d->groups, &at));)
        free(j);
    map__free(&d->groups);
    buf__free(&d->url);
    buf__free(&d->connection_id);
    buf__free(&d->user_id);
    buf__free(&d->token);
    buf__free(&d->reason);
    deadlines__free(&d->deadlines);
    free(d);
}
