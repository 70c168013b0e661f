/* Operations: they go out in the order in which they were asked for, and keep their ack id
 * until they have an answer. */
#include "client/dialog_state.h"

#define MAX_CONTROL 512 /* a frame of our own: sequence ack, ping, cancel */
/* Operations without an answer on a socket that follows a lost one; each answer makes it one
 * more. Where sockets live briefly, a flood would use up each of them before one answer. */
#define FIRST_WINDOW 8

static void expired(struct dialog *d, struct dialog_timer *t, int64_t now_ms);

/* Off the list that it is on. */
void pending__take_out(struct dialog *d, struct op *op)
{
    list__remove(&op->link);
    d->in_flight -= op->in_flight;
    op->in_flight = false;
}

void pending__finish(struct dialog *d, struct op *op, const struct ph_client_result *result)
{
    bool rejoin = op->rejoin;

    if (op->in_flight && d->window < SIZE_MAX)
        d->window++;
    pending__take_out(d, op);
    if (op->has_room) {
        dialog__clear_timer(d, &op->timer);
        deadlines__release(&d->deadlines);
        op->has_room = false;
    }
    if (rejoin && result->err != PH_OK)
        d->ops->rejoin_failed(d->ctx, op->name, result);
    d->ops->finished(d->ctx, op, result);
    if (rejoin && --d->rejoins == 0 && d->state == CONNECTED)
        connection__announce(d);
}

void pending__finish_all(struct dialog *d, struct link *list, const struct ph_client_result *result)
{
    while (!list__empty(list))
        pending__finish(d, op__of(list->next), result);
}

void pending__fail(struct dialog *d, struct op *op, enum ph_err err, const char *message)
{
    struct ph_client_result result = dialog__failure(err, message);

    result.ack_id = op->ack_id;
    pending__finish(d, op, &result);
}

/* A frame of our own, without an answer of its own. */
bool dialog__say(struct dialog *d, const struct frame_request *r)
{
    struct buf b;
    bool ok;

    buf__init(&b, MAX_CONTROL + 6 * (r->invocation_id.len + r->stream_id.len));
    frames__encode(&b, r);
    ok = !b.failed && d->ops->write(d->ctx, false, buf__view(&b));
    buf__free(&b);
    return ok;
}

void pending__pump(struct dialog *d, int64_t now_ms)
{
    while (d->state == CONNECTED && !list__empty(&d->waiting) &&
           (d->flushing || (d->in_flight < d->window && d->ops->has_room(d->ctx)))) {
        struct op *op = op__of(d->waiting.next);
        struct ph_client_result done = dialog__success();

        if (!d->ops->write(d->ctx, op->binary, buf__view(&op->frame))) {
            connection__out_of_memory(d, now_ms);
            return;
        }
        op->was_sent = true;
        list__remove(&op->link);
        if (op->kind == OP_NOTICE) {
            pending__finish(d, op, &done);
            continue;
        }
        op->in_flight = true;
        d->in_flight++;
        list__append(&d->sent, &op->link);
    }
}

/* What was sent and has no answer goes in front of what waits, in its order. */
void pending__requeue(struct dialog *d)
{
    while (!list__empty(&d->sent)) {
        struct link *last = d->sent.prev;

        pending__take_out(d, op__of(last));
        list__append(d->waiting.next, last);
    }
    d->window = FIRST_WINDOW;
}

/* An operation has waited long enough, for its answer or to be tried again. */
static void expired(struct dialog *d, struct dialog_timer *t, int64_t now_ms)
{
    struct op *op = (struct op *)t;

    if (now_ms >= op->expires_ms) {
        if (op->kind == OP_INVOKE && op->was_sent && d->state == CONNECTED)
            dialog__say(d, &(struct frame_request){.kind = FRAME_CANCEL_INVOCATION,
                                                   .invocation_id = op->name});
        pending__fail(d, op, PH_ERR_TIMEOUT, "no answer came in time");
        return;
    }
    pending__take_out(d, op); /* of those that are tried later */
    list__append(&d->waiting, &op->link);
    dialog__set_timer(d, t, op->expires_ms);
    pending__pump(d, now_ms);
}

bool pending__give_deadline(struct dialog *d, struct op *op, int64_t now_ms)
{
    if (!deadlines__reserve(&d->deadlines))
        return false;
    op->has_room = true;
    op->timer.ring = expired;
    op->expires_ms = now_ms + op->timeout_ms;
    dialog__set_timer(d, &op->timer, op->expires_ms);
    return true;
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

struct ph_client_result pending__refusal(const struct answer *a)
{
    return (struct ph_client_result){
        .err = error_code(a->error.name),
        .name = a->error.name.ptr ? a->error.name.ptr : "",
        .message = a->error.message.ptr ? a->error.message.ptr : "",
        .ack_id = a->ack_id,
    };
}

static struct op *find_sent(struct dialog *d, uint64_t ack_id)
{
    for (struct link *l = d->sent.next; l != &d->sent; l = l->next) {
        if (op__of(l)->ack_id == ack_id && ack_id != 0)
            return op__of(l);
    }
    return NULL;
}

/* The service could not, but may be able to in a moment; the same ack id, since it
 * remembers only what succeeded (client-and-rest section 2.3). */
static bool try_later(struct dialog *d, struct op *op, const struct answer *a, int64_t now_ms)
{
    int64_t at_ms;

    if (!str__eq_nocase(a->error.name, STR("InternalServerError")) ||
        !dialog__has_retries(&d->settings->resend, op->attempts + 1))
        return false;
    op->attempts++;
    pending__take_out(d, op);
    list__append(&d->delayed, &op->link);
    at_ms = now_ms + dialog__pause_ms(d, &d->settings->resend, op->attempts);
    dialog__set_timer(d, &op->timer, at_ms < op->expires_ms ? at_ms : op->expires_ms);
    return true;
}

void pending__take_ack(struct dialog *d, const struct answer *a, int64_t now_ms)
{
    struct op *op = find_sent(d, a->ack_id);
    bool duplicate = !a->success && str__eq_nocase(a->error.name, STR("Duplicate"));
    struct ph_client_result result = pending__refusal(a);

    if (!op || (!a->success && !duplicate && try_later(d, op, a, now_ms)))
        return;
    if (a->success || duplicate) {
        result = dialog__success();
        result.ack_id = a->ack_id;
        result.duplicate = duplicate;
        if (op->kind == OP_JOIN && !rejoin__remember(d, op->name))
            d->ops->complain(d->ctx, "out of memory: a group will not be joined again");
        if (op->kind == OP_LEAVE)
            rejoin__forget(d, op->name);
    }
    pending__finish(d, op, &result);
}

void pending__take_invoke_response(struct dialog *d, const struct answer *a)
{
    struct ph_client_result result = a->success ? dialog__success() : pending__refusal(a);

    for (struct link *l = d->sent.next; l != &d->sent; l = l->next) {
        struct op *op = op__of(l);

        if (op->kind != OP_INVOKE || !str__eq(op->name, a->invocation_id))
            continue;
        result.type = a->type;
        result.data = a->has_data ? a->data.ptr : NULL;
        result.len = a->data.len;
        pending__finish(d, op, &result);
        return;
    }
}

/* Of the operations that had no answer when the connection was lost for good. */
void pending__retry_or_fail(struct dialog *d, struct op *op)
{
    if (op->kind == OP_INVOKE)
        pending__fail(d, op, PH_ERR_CLOSED, "the connection was lost");
    else if (op->was_sent && !dialog__has_retries(&d->settings->resend, ++op->attempts))
        pending__fail(d, op, PH_ERR_CLOSED, "the connection was lost before the answer came");
}

void pending__fail_invocations(struct dialog *d)
{
    for (struct link *l = d->sent.next, *next; l != &d->sent; l = next) {
        next = l->next;
        if (op__of(l)->kind == OP_INVOKE)
            pending__fail(d, op__of(l), PH_ERR_CLOSED,
                          "the socket was lost before the answer came");
    }
}

static struct op *find_invocation(struct dialog *d, struct str id)
{
    struct link *const lists[] = {&d->sent, &d->waiting};

    for (size_t i = 0; i < 2; i++) {
        for (struct link *l = lists[i]->next; l != lists[i]; l = l->next) {
            if (op__of(l)->kind == OP_INVOKE && str__eq(op__of(l)->name, id))
                return op__of(l);
        }
    }
    return NULL;
}

void pending__cancel(struct dialog *d, struct op *op)
{
    struct op *invocation = find_invocation(d, op->name);
    struct ph_client_result done = dialog__success();

    if (invocation && invocation->was_sent && d->state == CONNECTED)
        dialog__say(
            d, &(struct frame_request){.kind = FRAME_CANCEL_INVOCATION, .invocation_id = op->name});
    if (invocation)
        pending__fail(d, invocation, PH_ERR_CANCELLED, "the invocation was cancelled");
    pending__finish(d, op, &done);
}
