#include "client/client.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "base/thread.h"
#include "base/utf8.h"

#include <stdlib.h>

static const char *text_of(struct str s)
{
    return s.ptr ? s.ptr : "";
}

/* --- Streams ---------------------------------------------------------------------- */

bool client__stream_is_over(struct ph_client_stream *s)
{
    bool over;

    pthread_mutex_lock(&s->client->lock);
    over = s->over;
    pthread_mutex_unlock(&s->client->lock);
    return over;
}

void client__silence_stream(struct ph_client_stream *s)
{
    pthread_mutex_lock(&s->client->lock);
    s->failed = NULL;
    pthread_mutex_unlock(&s->client->lock);
}

void client__stream_unref(struct ph_client_stream *s)
{
    unsigned left;

    pthread_mutex_lock(&s->client->lock);
    left = --s->refs;
    pthread_mutex_unlock(&s->client->lock);
    if (left > 0)
        return;
    pthread_mutex_destroy(&s->order);
    free(s);
}

static void on_stream_opened(void *ctx, struct ph_client_stream *s)
{
    struct ph_client *c = ctx;

    pthread_mutex_lock(&c->lock);
    s->refs++;
    pthread_mutex_unlock(&c->lock);
}

static void on_stream_ended(void *ctx, struct ph_client_stream *s,
                            const struct ph_client_result *result)
{
    struct ph_client *c = ctx;
    void (*failed)(struct ph_client_stream * stream, const struct ph_client_result *, void *);

    pthread_mutex_lock(&c->lock);
    s->over = true;
    failed = s->failed;
    pthread_mutex_unlock(&c->lock);
    if (result->err != PH_OK && failed)
        failed(s, result, s->arg);
    client__stream_unref(s);
}

/* --- News for the program ---------------------------------------------------------- */

static void on_finished(void *ctx, struct op *op, const struct ph_client_result *result)
{
    struct ph_client *c = ctx;

    if (op->done)
        op->done(c, result, op->arg);
    if (op->counts) {
        pthread_mutex_lock(&c->lock);
        c->bytes -= op__bytes(op);
        c->pending--;
        pthread_mutex_unlock(&c->lock);
    }
    if (op->stream)
        client__stream_unref(op->stream);
    op__free(op);
}

static void on_connected(void *ctx, struct str connection_id, struct str user_id)
{
    struct ph_client *c = ctx;

    log__info(c->options.log, LOG_FIELDS("connection", text_of(connection_id)), "connected");
    if (c->options.connected)
        c->options.connected(c, text_of(connection_id), user_id.ptr, c->options.arg);
}

static void on_disconnected(void *ctx, struct str connection_id, struct str reason)
{
    struct ph_client *c = ctx;

    log__info(c->options.log, LOG_FIELDS("connection", text_of(connection_id)), "disconnected: %s",
              text_of(reason));
    if (c->options.disconnected)
        c->options.disconnected(c, text_of(connection_id), text_of(reason), c->options.arg);
}

static void on_stopped(void *ctx)
{
    struct ph_client *c = ctx;

    if (c->options.stopped)
        c->options.stopped(c, c->options.arg);
}

static void on_rejoin_failed(void *ctx, struct str group, const struct ph_client_result *result)
{
    struct ph_client *c = ctx;

    log__warn(c->options.log, LOG_NONE, "the group \"%s\" could not be joined again: %s",
              text_of(group), result->message);
    if (c->options.rejoin_failed)
        c->options.rejoin_failed(c, text_of(group), result, c->options.arg);
}

static void on_incoming_begun(void *ctx, struct ph_client_incoming *stream)
{
    struct ph_client *c = ctx;

    c->options.group_stream(c, stream, c->options.arg);
}

static void on_incoming_ended(void *ctx, struct ph_client_incoming *stream,
                              const struct ph_client_result *result)
{
    (void)ctx;
    if (stream->ended)
        stream->ended(stream, result, stream->arg);
}

static void on_complaint(void *ctx, const char *what)
{
    struct ph_client *c = ctx;

    log__warn(c->options.log, LOG_NONE, "%s", what);
}

static void tell(struct ph_client *c, const struct answer *a, const struct ph_client_message *m,
                 struct ph_client_incoming *stream)
{
    if (stream)
        stream->fragment(stream, m, stream->arg);
    else if (a->kind == ANSWER_GROUP_MESSAGE && c->options.group_message)
        c->options.group_message(c, m, c->options.arg);
    else if (a->kind == ANSWER_SERVER_MESSAGE && c->options.server_message)
        c->options.server_message(c, m, c->options.arg);
}

static void on_message(void *ctx, const struct answer *a, struct ph_client_incoming *stream)
{
    struct ph_client_fragment fragment = {
        .stream_id = a->stream_id.ptr,
        .sequence_id = a->stream_sequence_id,
        .end = a->end_of_stream,
        .error_name = a->error.name.ptr,
        .error_message = a->error.message.ptr,
        .user_error_code = a->error.user_code.ptr,
    };
    struct ph_client_message m = {
        .group = a->group.ptr,
        .from_user_id = a->from_user_id.len > 0 ? a->from_user_id.ptr : NULL,
        .type = a->type,
        .data = a->data.ptr,
        .len = a->data.len,
        .sequence_id = a->sequence_id,
        .fragment = a->stream_id.ptr ? &fragment : NULL,
    };
    struct ph_client_metadata some[16], *pairs = some;

    if (a->metadata.count > sizeof(some) / sizeof(*some))
        pairs = calloc(a->metadata.count, sizeof(*pairs));
    for (size_t i = 0; pairs && i < a->metadata.count; i++)
        pairs[i] = (struct ph_client_metadata){a->metadata.items[i].name.ptr,
                                               a->metadata.items[i].value.ptr};
    m.metadata = pairs;
    m.metadata_count = pairs ? a->metadata.count : 0;
    if (!pairs)
        on_complaint(ctx, "out of memory: the metadata of a message are left out");
    tell(ctx, a, &m, stream);
    if (pairs != some)
        free(pairs);
}

/* --- The dialog and its channel ---------------------------------------------------- */

static void need_url(void *ctx)
{
    struct ph_client *c = ctx;

    c->options.need_url(c, c->options.arg);
}

static void open_channel(void *ctx, struct str url)
{
    channel__open(((struct ph_client *)ctx)->channel, url);
}

static void close_channel(void *ctx)
{
    channel__close(((struct ph_client *)ctx)->channel);
}

static void drop_channel(void *ctx)
{
    channel__drop(((struct ph_client *)ctx)->channel);
}

static void trace(struct ph_client *c, bool outgoing, bool binary, struct str frame)
{
    if (c->options.trace)
        c->options.trace(c, outgoing, binary, frame.ptr, frame.len, c->options.arg);
}

static bool write_frame(void *ctx, bool binary, struct str frame)
{
    struct ph_client *c = ctx;

    if (!channel__write(c->channel, binary ? WS_OP_BINARY : WS_OP_TEXT, frame))
        return false;
    trace(c, true, binary, frame);
    return true;
}

static bool write_ping(void *ctx)
{
    return channel__write(((struct ph_client *)ctx)->channel, WS_OP_PING, STR(""));
}

static bool has_room(void *ctx)
{
    return channel__has_room(((struct ph_client *)ctx)->channel);
}

/* The next one is behind all that the program chose: the service takes what comes under the
 * same id for the same request. */
uint64_t client__take_ack_id(struct ph_client *c, uint64_t chosen)
{
    uint64_t id;

    pthread_mutex_lock(&c->lock);
    id = chosen ? chosen : c->last_ack_id + 1;
    if (c->last_ack_id < id)
        c->last_ack_id = id;
    pthread_mutex_unlock(&c->lock);
    return id;
}

static uint64_t new_ack_id(void *ctx)
{
    return client__take_ack_id(ctx, 0);
}

static uint32_t chance(void *ctx)
{
    uint32_t number = 0;

    (void)ctx;
    random__bytes(&number, sizeof(number));
    return number;
}

static const struct dialog_ops dialog_ops = {
    .need_url = need_url,
    .open = open_channel,
    .close = close_channel,
    .drop = drop_channel,
    .write = write_frame,
    .ping = write_ping,
    .has_room = has_room,
    .new_ack_id = new_ack_id,
    .chance = chance,
    .finished = on_finished,
    .connected = on_connected,
    .disconnected = on_disconnected,
    .stopped = on_stopped,
    .message = on_message,
    .rejoin_failed = on_rejoin_failed,
    .stream_opened = on_stream_opened,
    .stream_ended = on_stream_ended,
    .incoming_begun = on_incoming_begun,
    .incoming_ended = on_incoming_ended,
    .complain = on_complaint,
};

static void on_opened(void *ctx)
{
    dialog__opened(((struct ph_client *)ctx)->dialog, clock__mono_ms());
}

static void on_frame(void *ctx, bool binary, struct str frame)
{
    struct ph_client *c = ctx;

    trace(c, false, binary, frame);
    dialog__take(c->dialog, binary, frame, clock__mono_ms());
}

static void on_alive(void *ctx)
{
    dialog__alive(((struct ph_client *)ctx)->dialog, clock__mono_ms());
}

static void on_closed(void *ctx, uint16_t code, enum ph_err err, struct str why)
{
    struct ph_client *c = ctx;

    log__debug(c->options.log, LOG_NONE, "socket closed with code %u: %.*s", code, STR_FMT(why));
    dialog__closed(c->dialog, code, err, why, clock__mono_ms());
}

static void on_drained(void *ctx)
{
    dialog__drained(((struct ph_client *)ctx)->dialog, clock__mono_ms());
}

static const struct channel_ops channel_ops = {
    .opened = on_opened,
    .frame = on_frame,
    .alive = on_alive,
    .closed = on_closed,
    .drained = on_drained,
};

/* --- Turns --------------------------------------------------------------------------- */

static struct op *take_from_inbox(struct ph_client *c)
{
    struct op *op = NULL;

    pthread_mutex_lock(&c->lock);
    if (!list__empty(&c->inbox)) {
        op = LIST_ITEM(c->inbox.next, struct op, link);
        list__remove(&op->link);
    }
    pthread_mutex_unlock(&c->lock);
    return op;
}

static void woken(void *ctx)
{
    struct ph_client *c = ctx;
    struct op *op;

    while ((op = take_from_inbox(c)))
        dialog__submit(c->dialog, op, clock__mono_ms());
}

static void time_is_up(struct loop_timer *t)
{
    dialog__tick(((struct ph_client *)t->ctx)->dialog, clock__mono_ms());
}

/* Writing makes room, which lets more be written. */
static void settle(struct ph_client *c)
{
    int64_t next_ms;

    channel__flush(c->channel);
    next_ms = dialog__next_ms(c->dialog);
    if (next_ms == INT64_MAX)
        loop__clear_timer(c->loop, &c->timer);
    else
        loop__set_timer(c->loop, &c->timer, next_ms);
}

static void set_busy(struct ph_client *c, bool busy)
{
    pthread_mutex_lock(&c->lock);
    c->busy = busy;
    if (busy)
        c->thread = pthread_self();
    pthread_mutex_unlock(&c->lock);
}

static bool is_leaving(struct ph_client *c)
{
    bool leaving;

    pthread_mutex_lock(&c->lock);
    leaving = c->leaving;
    pthread_mutex_unlock(&c->lock);
    return leaving;
}

/* --- Begin and end --------------------------------------------------------------------- */

static void destroy(struct ph_client *c)
{
    struct ph_client_result closed = {
        .err = PH_ERR_CLOSED, .name = "", .message = "the client was freed"};
    struct op *op;

    if (c->channel)
        channel__drop(c->channel);
    dialog__free(c->dialog);
    while ((op = take_from_inbox(c)))
        on_finished(c, op, &closed);
    channel__free(c->channel);
    if (c->loop)
        loop__remove_timer(c->loop, &c->timer);
    loop__free(c->loop);
    pthread_mutex_destroy(&c->lock);
    buf__free(&c->texts);
    free(c);
}

/* Whoever frees the client on this thread, in a callback, cannot wait for it: it detaches
 * the thread. */
static void *run(void *arg)
{
    struct ph_client *c = arg;

    set_busy(c, true);
    while (!is_leaving(c)) {
        loop__run(c->loop, -1);
        settle(c);
    }
    destroy(c);
    return NULL;
}

void ph_client_free(struct ph_client *c)
{
    pthread_t thread;
    bool inside, own_loop;

    if (!c)
        return;
    own_loop = c->options.own_loop;
    pthread_mutex_lock(&c->lock);
    c->leaving = true;
    thread = c->thread;
    inside = c->busy && pthread_equal(thread, pthread_self());
    loop__wake(c->loop); /* under the lock: once it is open, the thread may have ended all */
    pthread_mutex_unlock(&c->lock);
    if (own_loop && !inside)
        destroy(c);
    if (own_loop)
        return;
    if (inside) {
        pthread_detach(thread);
        return;
    }
    pthread_join(thread, NULL);
}

int ph_client_fd(const struct ph_client *c)
{
    return c->options.own_loop ? loop__fd(c->loop) : -1;
}

enum ph_err ph_client_process(struct ph_client *c)
{
    if (!c->options.own_loop)
        return PH_ERR_STATE;
    set_busy(c, true);
    loop__process(c->loop);
    settle(c);
    set_busy(c, false);
    if (!is_leaving(c))
        return PH_OK;
    destroy(c);
    return PH_ERR_CLOSED;
}

static bool make_parts(struct ph_client *c)
{
    if (!random__bytes(&c->seed, sizeof(c->seed)))
        return false;
    c->timer.ring = time_is_up;
    c->timer.ctx = c;
    c->channel = channel__new(c->loop, &c->channel_settings, &channel_ops, c);
    c->dialog = dialog__new(&c->dialog_settings, &dialog_ops, c, &c->seed);
    loop__on_wake(c->loop, woken, c);
    return c->channel && c->dialog;
}

enum ph_err ph_client_new(const struct ph_client_options *options, struct ph_client **out,
                          const char **why)
{
    struct ph_client *c;
    enum ph_err err = client__check_options(options, why);

    *out = NULL;
    if (err != PH_OK)
        return err;
    c = calloc(1, sizeof(*c));
    if (!c)
        return client__fail(why, PH_ERR_MEMORY, "out of memory");
    c->options = *options;
    pthread_mutex_init(&c->lock, NULL);
    list__init(&c->inbox);
    c->loop = client__take_options(c) ? loop__new() : NULL;
    if (c->loop && !loop__add_timer(c->loop, &c->timer)) {
        loop__free(c->loop);
        c->loop = NULL;
    }
    if (!c->loop || !make_parts(c)) {
        destroy(c);
        return client__fail(why, PH_ERR_MEMORY, "out of memory or of descriptors");
    }
    if (!options->own_loop && !thread__start(&c->thread, run, c)) {
        destroy(c);
        return client__fail(why, PH_ERR_SYSTEM, "no thread can be made");
    }
    *out = c;
    return PH_OK;
}

/* --- Operations ------------------------------------------------------------------------- */

enum ph_err client__submit(struct ph_client *c, struct op *op)
{
    enum ph_err err = PH_OK;
    bool first = false;

    op->counts = op->kind >= OP_NOTICE;
    pthread_mutex_lock(&c->lock);
    if (c->leaving)
        err = PH_ERR_CLOSED;
    else if (op->counts && (c->pending >= c->options.max_pending ||
                            op__bytes(op) > c->options.max_queue - c->bytes))
        err = PH_ERR_LIMIT;
    if (err == PH_OK) {
        first = list__empty(&c->inbox);
        list__append(&c->inbox, &op->link);
        c->bytes += op->counts ? op__bytes(op) : 0;
        c->pending += op->counts;
        if (op->stream)
            op->stream->refs++;
    }
    pthread_mutex_unlock(&c->lock);
    if (err != PH_OK)
        op__free(op);
    else if (first)
        loop__wake(c->loop);
    return err;
}

enum ph_err client__encode(struct ph_client *c, struct op *op, const struct frame_request *r)
{
    frames__encode(&op->frame, r);
    if (!op->frame.failed)
        return PH_OK;
    return op->frame.cap + r->data.len + 1024 > c->options.max_send ? PH_ERR_LIMIT : PH_ERR_MEMORY;
}

enum ph_err client__check_data(enum ph_data_type type, const void *data, size_t len)
{
    if ((unsigned)type > PH_DATA_PROTOBUF || (!data && len > 0))
        return PH_ERR_ARGUMENT;
    if (type == PH_DATA_TEXT && !utf8__valid(str__n(data, len)))
        return PH_ERR_SYNTAX;
    if (type == PH_DATA_JSON)
        return json__check(str__n(data, len), 64, NULL);
    return PH_OK;
}

static enum ph_err order(struct ph_client *c, enum op_kind kind, struct str name,
                         ph_client_done *done, void *arg)
{
    struct op *op = op__new(kind, name, 0);

    if (!op)
        return PH_ERR_MEMORY;
    op->done = done;
    op->arg = arg;
    return client__submit(c, op);
}

enum ph_err ph_client_start(struct ph_client *c, ph_client_done *done, void *arg)
{
    return order(c, OP_START, STR(""), done, arg);
}

enum ph_err ph_client_stop(struct ph_client *c, ph_client_done *done, void *arg)
{
    return order(c, OP_STOP, STR(""), done, arg);
}

enum ph_err ph_client_give_url(struct ph_client *c, const char *url)
{
    enum ph_err err = url ? client__check_url(url, NULL) : PH_OK;

    return err == PH_OK ? order(c, OP_URL, url ? str__of(url) : STR(""), NULL, NULL) : err;
}

enum ph_err ph_client_cancel(struct ph_client *c, const char *invocation_id)
{
    return invocation_id ? order(c, OP_CANCEL, str__of(invocation_id), NULL, NULL)
                         : PH_ERR_ARGUMENT;
}
