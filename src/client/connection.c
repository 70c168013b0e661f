/* From connection to connection (client-and-rest section 3). */
#include "base/url.h"
#include "client/dialog_state.h"
#include "ws/ws.h"

#define RECOVERY_PAUSE_MS 1000

static void lost(struct dialog *d, int64_t now_ms);

uint32_t dialog__pause_ms(struct dialog *d, const struct ph_client_retry *r, unsigned failed)
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

void connection__clear_timers(struct dialog *d)
{
    struct dialog_timer *const all[DIALOG_TIMERS] = {&d->connect_by,  &d->recover, &d->give_up,
                                                     &d->retry,       &d->ping,    &d->silence,
                                                     &d->sequence_ack};

    for (size_t i = 0; i < DIALOG_TIMERS; i++)
        dialog__clear_timer(d, all[i]);
}

void connection__announce(struct dialog *d)
{
    struct ph_client_result done = dialog__success();
    struct op *start = d->start;

    d->announced = true;
    d->attempts = 0;
    d->ops->connected(d->ctx, buf__view(&d->connection_id),
                      d->user_id.len > 0 ? buf__view(&d->user_id) : STR_NONE);
    d->start = NULL;
    if (start)
        pending__finish(d, start, &done);
}

static void say_goodbye(struct dialog *d)
{
    if (d->announced)
        d->ops->disconnected(d->ctx, buf__view(&d->connection_id), buf__view(&d->reason));
    d->announced = false;
}

void connection__fail_all(struct dialog *d, const struct ph_client_result *why)
{
    pending__requeue(d);
    rejoin__drop(d);
    publishing__end_all(d, why);
    incoming__end_all(d, why);
    pending__finish_all(d, &d->waiting, why);
    pending__finish_all(d, &d->delayed, why);
}

void connection__end(struct dialog *d)
{
    struct ph_client_result closed = dialog__failure(PH_ERR_CLOSED, "the client has stopped");
    struct ph_client_result done = dialog__success();
    struct op *start = d->start;

    d->state = STOPPED;
    connection__clear_timers(d);
    connection__fail_all(d, &closed);
    d->start = NULL;
    say_goodbye(d);
    if (start)
        pending__fail(d, start, PH_ERR_CLOSED, "the client was stopped");
    else
        d->ops->stopped(d->ctx);
    pending__finish_all(d, &d->stops, &done);
}

/* A new connection could not be had. The first one is the caller's matter. */
void connection__attempt_failed(struct dialog *d, enum ph_err err, struct str why, int64_t now_ms)
{
    struct ph_client_result closed = dialog__failure(PH_ERR_CLOSED, "the client could not connect");
    struct op *start = d->start;

    connection__clear_timers(d);
    if (start) {
        d->start = NULL;
        d->state = STOPPED;
        pending__finish_all(d, &d->waiting, &closed);
        pending__finish_all(d, &d->delayed, &closed);
        publishing__end_all(d, &closed);
        dialog__keep(&d->reason, why);
        pending__fail(d, start, err, d->reason.len > 0 ? d->reason.data : "");
        pending__finish_all(d, &d->stops, &(struct ph_client_result){.name = "", .message = ""});
        return;
    }
    d->attempts++;
    if (!dialog__has_retries(&d->settings->reconnect, d->attempts)) {
        connection__end(d);
        return;
    }
    d->state = PAUSING;
    dialog__set_timer(d, &d->retry,
                      now_ms + dialog__pause_ms(d, &d->settings->reconnect, d->attempts));
}

static void lost(struct dialog *d, int64_t now_ms)
{
    struct ph_client_result closed = dialog__failure(PH_ERR_CLOSED, "the connection was lost");

    connection__clear_timers(d);
    pending__requeue(d);
    rejoin__drop(d);
    publishing__end_all(d, &closed);
    incoming__end_all(d, &closed);
    for (struct link *l = d->waiting.next, *next; l != &d->waiting; l = next) {
        next = l->next;
        pending__retry_or_fail(d, op__of(l));
    }
    say_goodbye(d);
    if (d->settings->reconnects)
        connection__begin(d, now_ms);
    else
        connection__end(d);
}

/* What this client cannot take (a message that is too large, say) would come again and again
 * after each recovery. */
static bool would_come_again(const struct dialog *d, enum ph_err err)
{
    return d->state == CONNECTED && (err == PH_ERR_LIMIT || err == PH_ERR_SYNTAX);
}

static bool can_recover(const struct dialog *d, uint16_t code, enum ph_err err)
{
    return code != DIALOG_CLOSE_REFUSED && !would_come_again(d, err) &&
           d->settings->protocol == PH_CLIENT_RELIABLE && d->connection_id.len > 0 &&
           d->token.len > 0;
}

/* The URL with what proves who we are (client-and-rest section 3). */
static bool recovery_url(struct dialog *d, struct buf *out)
{
    struct str url = buf__view(&d->url);

    buf__init(out, DIALOG_MAX_URL);
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

    if (recovery_url(d, &url))
        d->ops->open(d->ctx, buf__view(&url));
    else
        dialog__set_timer(d, &d->recover, now_ms + RECOVERY_PAUSE_MS);
    buf__free(&url);
}

/* When the same recovery failed before, its time runs on. */
static void recover(struct dialog *d, int64_t now_ms)
{
    bool again = d->state == RECOVERING || d->unproven;

    dialog__clear_timer(d, &d->ping);
    dialog__clear_timer(d, &d->silence);
    dialog__clear_timer(d, &d->sequence_ack);
    incoming__pause(d);
    d->state = RECOVERING;
    d->unproven = false;
    if (!again) {
        dialog__set_timer(d, &d->give_up, now_ms + d->settings->recovery_ms);
        try_to_recover(d, now_ms);
    } else {
        dialog__set_timer(d, &d->recover, now_ms + RECOVERY_PAUSE_MS);
    }
}

void connection__socket_lost(struct dialog *d, uint16_t code, enum ph_err err, struct str why,
                             int64_t now_ms)
{
    if (d->state == STOPPED || d->state == ASKING || d->state == PAUSING)
        return;
    if (d->state == STOPPING) {
        connection__end(d);
        return;
    }
    if (d->state == OPENING || d->state == GREETING) {
        connection__attempt_failed(d, err != PH_OK ? err : PH_ERR_CLOSED, why, now_ms);
        return;
    }
    if (d->state == CONNECTED) {
        pending__fail_invocations(d);
        pending__requeue(d);
        if (d->reason.len == 0)
            dialog__keep(&d->reason, why);
    }
    if (can_recover(d, code, err))
        recover(d, now_ms);
    else
        lost(d, now_ms);
}

void connection__out_of_memory(struct dialog *d, int64_t now_ms)
{
    d->ops->drop(d->ctx);
    connection__socket_lost(d, WS_CLOSE_ABNORMAL, PH_ERR_MEMORY, STR("out of memory"), now_ms);
}

void dialog__closed(struct dialog *d, uint16_t code, enum ph_err err, struct str why,
                    int64_t now_ms)
{
    connection__socket_lost(d, code, err, why, now_ms);
}

static void connect_too_slow(struct dialog *d, struct dialog_timer *t, int64_t now_ms)
{
    (void)t;
    d->ops->drop(d->ctx);
    connection__attempt_failed(d, PH_ERR_TIMEOUT, STR("connecting took too long"), now_ms);
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
    connection__begin(d, now_ms);
}

/* A raw client has only the pings of WebSocket itself. */
static bool say_ping(struct dialog *d)
{
    return d->settings->protocol == PH_CLIENT_RAW
               ? d->ops->ping(d->ctx)
               : dialog__say(d, &(struct frame_request){.kind = FRAME_PING});
}

static void ping(struct dialog *d, struct dialog_timer *t, int64_t now_ms)
{
    dialog__set_timer(d, t, now_ms + d->settings->keep_alive_ms);
    if (!say_ping(d))
        connection__out_of_memory(d, now_ms);
}

static void too_silent(struct dialog *d, struct dialog_timer *t, int64_t now_ms)
{
    (void)t;
    d->ops->drop(d->ctx);
    connection__socket_lost(d, WS_CLOSE_ABNORMAL, PH_ERR_TIMEOUT,
                            STR("the service was silent for too long"), now_ms);
}

void connection__acknowledge(struct dialog *d, struct dialog_timer *t, int64_t now_ms)
{
    dialog__clear_timer(d, t);
    d->unacked = 0;
    if (!dialog__say(
            d, &(struct frame_request){.kind = FRAME_SEQUENCE_ACK, .sequence_id = d->sequence_id}))
        connection__out_of_memory(d, now_ms);
}

void connection__open(struct dialog *d, struct str url, int64_t now_ms)
{
    if (!dialog__keep(&d->url, url)) {
        connection__attempt_failed(d, PH_ERR_MEMORY, STR("out of memory, or the URL is too long"),
                                   now_ms);
        return;
    }
    d->state = OPENING;
    d->ops->open(d->ctx, buf__view(&d->url));
}

void connection__begin(struct dialog *d, int64_t now_ms)
{
    connection__clear_timers(d);
    d->sequence_id = 0;
    d->unacked = 0;
    d->unproven = false;
    buf__reset(&d->connection_id);
    buf__reset(&d->user_id);
    buf__reset(&d->token);
    buf__reset(&d->reason);
    d->state = ASKING;
    dialog__set_timer(d, &d->connect_by, now_ms + d->settings->connect_timeout_ms);
    if (d->settings->url.ptr)
        connection__open(d, d->settings->url, now_ms);
    else
        d->ops->need_url(d->ctx);
}

static void begin_sending(struct dialog *d, int64_t now_ms)
{
    d->state = CONNECTED;
    dialog__clear_timer(d, &d->connect_by);
    dialog__alive(d, now_ms);
    if (d->settings->keep_alive_ms != PH_CLIENT_NEVER)
        dialog__set_timer(d, &d->ping, now_ms + d->settings->keep_alive_ms);
}

static void greet(struct dialog *d, int64_t now_ms)
{
    begin_sending(d, now_ms);
    rejoin__all(d, now_ms);
    if (d->rejoins == 0)
        connection__announce(d);
    pending__pump(d, now_ms);
}

/* What has come need not be sent again: on a bad network, sockets may live too briefly for
 * an acknowledgement in its time. The answer to the ping proves the socket when nothing else
 * does. */
static bool say_where_we_are(struct dialog *d)
{
    if (d->sequence_id > 0 &&
        !dialog__say(
            d, &(struct frame_request){.kind = FRAME_SEQUENCE_ACK, .sequence_id = d->sequence_id}))
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
        d->unproven = true;
        begin_sending(d, now_ms);
        incoming__resume(d, now_ms);
        if (!d->announced && d->rejoins == 0)
            connection__announce(d);
        if (say_where_we_are(d))
            pending__pump(d, now_ms);
        else
            connection__out_of_memory(d, now_ms);
    }
}

void connection__take_connected(struct dialog *d, const struct answer *a, int64_t now_ms)
{
    bool first = d->state == GREETING;

    if (!dialog__keep(&d->token, a->reconnection_token) ||
        (first && (!dialog__keep(&d->connection_id, a->connection_id) ||
                   !dialog__keep(&d->user_id, a->user_id)))) {
        connection__out_of_memory(d, now_ms);
        return;
    }
    if (first)
        greet(d, now_ms);
}

void dialog__alive(struct dialog *d, int64_t now_ms)
{
    if (d->settings->keep_alive_timeout_ms != PH_CLIENT_NEVER && d->state == CONNECTED)
        dialog__set_timer(d, &d->silence, now_ms + d->settings->keep_alive_timeout_ms);
}

void connection__init(struct dialog *d)
{
    d->connect_by.ring = connect_too_slow;
    d->recover.ring = recover_again;
    d->give_up.ring = recovery_over;
    d->retry.ring = connect_again;
    d->ping.ring = ping;
    d->silence.ring = too_silent;
    d->sequence_ack.ring = connection__acknowledge;
}
