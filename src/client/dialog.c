/* What comes, and what the program asks. */
#include "client/dialog_state.h"

#include <stdlib.h>

#define SEQUENCE_ACK_MS 1000 /* client-and-rest section 3, as the official client */
#define SEQUENCE_ACK_COUNT 300
#define MAX_FRAME_ARENA (256u << 20) /* what decoding may take: bounded by the frame's size */

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
        connection__acknowledge(d, &d->sequence_ack, now_ms);
    else if (d->sequence_ack.due.place == 0)
        dialog__set_timer(d, &d->sequence_ack, now_ms + SEQUENCE_ACK_MS);
}

static void take_message(struct dialog *d, const struct answer *a, int64_t now_ms)
{
    if (is_new(d, a) && !incoming__take(d, a, now_ms))
        d->ops->message(d->ctx, a, NULL);
    owe_acknowledgement(d, a, now_ms);
}

static void take_answer(struct dialog *d, const struct answer *a, int64_t now_ms)
{
    switch (a->kind) {
    case ANSWER_CONNECTED:
        connection__take_connected(d, a, now_ms);
        break;
    case ANSWER_DISCONNECTED:
        dialog__keep(&d->reason, a->reason);
        break;
    case ANSWER_ACK:
        pending__take_ack(d, a, now_ms);
        break;
    case ANSWER_GROUP_MESSAGE:
    case ANSWER_SERVER_MESSAGE:
        take_message(d, a, now_ms);
        break;
    case ANSWER_INVOKE_RESPONSE:
        pending__take_invoke_response(d, a);
        break;
    case ANSWER_STREAM_ACK:
        publishing__take_ack(d, a);
        break;
    case ANSWER_STREAM_NACK:
        publishing__take_nack(d, a, now_ms);
        break;
    case ANSWER_STREAM_CLOSED:
        publishing__take_closed(d, a);
        break;
    case ANSWER_PONG:
    case ANSWER_UNKNOWN:
        break;
    }
}

static void take_raw(struct dialog *d, bool binary, struct str frame)
{
    const struct answer a = {.kind = ANSWER_SERVER_MESSAGE,
                             .type = binary ? PH_DATA_BINARY : PH_DATA_TEXT,
                             .has_data = true,
                             .data = frame};

    d->ops->message(d->ctx, &a, NULL);
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
        buf__reset(&d->reason); /* that of the socket before */
        dialog__clear_timer(d, &d->give_up);
    }
    if (d->settings->protocol == PH_CLIENT_RAW) {
        take_raw(d, binary, frame);
        return;
    }
    arena__init(&arena, room, sizeof(room), MAX_FRAME_ARENA);
    err = frames__decode(&arena, frame, &answer, &diag);
    if (err == PH_OK) {
        take_answer(d, &answer, now_ms);
        pending__pump(d, now_ms);
    } else if (err == PH_ERR_MEMORY) {
        connection__out_of_memory(d, now_ms);
    } else {
        d->ops->complain(d->ctx, diag.text);
    }
    arena__free(&arena);
}

void dialog__drained(struct dialog *d, int64_t now_ms)
{
    pending__pump(d, now_ms);
}

static void start(struct dialog *d, struct op *op, int64_t now_ms)
{
    if (d->state != STOPPED) {
        pending__fail(d, op, PH_ERR_STATE, "the client is not stopped");
        return;
    }
    d->start = op;
    d->attempts = 0;
    connection__begin(d, now_ms);
}

static void stop(struct dialog *d, struct op *op, int64_t now_ms)
{
    struct ph_client_result done = dialog__success();

    if (d->state == STOPPED) {
        pending__finish(d, op, &done);
        return;
    }
    list__append(&d->stops, &op->link);
    if (d->state == STOPPING)
        return;
    if (d->state != CONNECTED) {
        d->ops->drop(d->ctx);
        connection__end(d);
        return;
    }
    d->flushing = true;
    pending__pump(d, now_ms);
    d->flushing = false;
    if (d->state != CONNECTED)
        return; /* out of memory: it has ended already */
    d->state = STOPPING;
    connection__clear_timers(d);
    d->ops->close(d->ctx);
}

static void take_url(struct dialog *d, struct op *op, int64_t now_ms)
{
    struct ph_client_result done = dialog__success();

    if (d->state == ASKING && op->name.len > 0)
        connection__open(d, op->name, now_ms);
    else if (d->state == ASKING)
        connection__attempt_failed(d, PH_ERR_NOT_FOUND, STR("there is no URL to connect to"),
                                   now_ms);
    pending__finish(d, op, &done);
}

static void enqueue(struct dialog *d, struct op *op, int64_t now_ms)
{
    if (d->state == STOPPED || d->state == STOPPING) {
        pending__fail(d, op, PH_ERR_CLOSED, "the client is stopped");
        return;
    }
    if (op->stream && op->kind != OP_STREAM_OPEN && list__empty(&op->stream->link)) {
        pending__fail(d, op, PH_ERR_CLOSED, "the stream is over");
        return;
    }
    if (op->kind == OP_STREAM_OPEN && publishing__find(d, op->stream->id)) {
        pending__fail(d, op, PH_ERR_STATE, "there is a stream of that id");
        return;
    }
    if (!pending__give_deadline(d, op, now_ms)) {
        pending__fail(d, op, PH_ERR_MEMORY, "out of memory");
        return;
    }
    if (op->kind == OP_STREAM_OPEN) {
        list__append(&d->streams, &op->stream->link);
        d->ops->stream_opened(d->ctx, op->stream);
    }
    list__append(&d->waiting, &op->link);
    pending__pump(d, now_ms);
}

void dialog__submit(struct dialog *d, struct op *op, int64_t now_ms)
{
    struct ph_client_result done = dialog__success();

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
        pending__cancel(d, op);
        break;
    case OP_ABANDON:
        publishing__abandon(d, op->stream);
        pending__finish(d, op, &done);
        break;
    default:
        enqueue(d, op, now_ms);
        break;
    }
}

/* What can be made without memory. */
static void init(struct dialog *d)
{
    struct link *const lists[] = {&d->stops,   &d->waiting, &d->sent,
                                  &d->delayed, &d->streams, &d->incoming};
    struct buf *const texts[] = {&d->url, &d->connection_id, &d->user_id, &d->token, &d->reason};

    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        list__init(lists[i]);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        buf__init(texts[i], DIALOG_MAX_URL);
    d->window = SIZE_MAX;
    connection__init(d);
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
    map__init(&d->groups, rejoin__key, seed);
    init(d);
    for (size_t i = 0; i < DIALOG_TIMERS; i++) {
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
    struct ph_client_result closed = dialog__failure(PH_ERR_CLOSED, "the client was freed");
    struct joined *j;
    uint32_t at;

    if (!d)
        return;
    d->state = STOPPED;
    connection__fail_all(d, &closed);
    pending__finish_all(d, &d->stops, &closed);
    if (d->start)
        pending__finish(d, d->start, &closed);
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
