/* Streams (client-and-rest section 2.4). */
#include "client/dialog_state.h"

#define MAX_NACKS 3 /* of one stream, without progress */

static struct ph_client_stream *stream_of(struct link *l)
{
    return LIST_ITEM(l, struct ph_client_stream, link);
}

struct ph_client_stream *publishing__find(struct dialog *d, struct str id)
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
            struct op *op = op__of(l);

            next = l->next;
            if (op->stream == s && op->stream_sequence_id < before)
                pending__finish(d, op, result);
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

void publishing__end_all(struct dialog *d, const struct ph_client_result *result)
{
    while (!list__empty(&d->streams))
        end_stream(d, stream_of(d->streams.next), result);
}

void publishing__take_ack(struct dialog *d, const struct answer *a)
{
    struct ph_client_stream *s = publishing__find(d, a->stream_id);
    struct ph_client_result result = dialog__success();

    if (!s)
        return;
    s->nacks = s->stale_nacks = 0;
    finish_stream_ops(d, s, a->expected_sequence_id, &result);
}

/* Sends again from where the service is. Each fragment that was on its way behind the one that
 * is missing is refused as well, which says nothing new. */
void publishing__take_nack(struct dialog *d, const struct answer *a, int64_t now_ms)
{
    struct ph_client_stream *s = publishing__find(d, a->stream_id);
    struct ph_client_result result = pending__refusal(a);
    struct link *before = d->waiting.next;

    if (!s)
        return;
    if (s->stale_nacks > 0 && s->nacked_id == a->expected_sequence_id) {
        s->stale_nacks--;
        return;
    }
    if (++s->nacks > MAX_NACKS) {
        dialog__say(d, &(struct frame_request){.kind = FRAME_STREAM_END,
                                               .stream_id = s->id,
                                               .failed = true,
                                               .error_code = STR("ProtocolViolation")});
        end_stream(d, s, &result);
        return;
    }
    s->nacked_id = a->expected_sequence_id;
    for (struct link *l = d->sent.next, *next; l != &d->sent; l = next) {
        next = l->next;
        if (op__of(l)->stream != s || op__of(l)->stream_sequence_id < a->expected_sequence_id)
            continue;
        s->stale_nacks++;
        pending__take_out(d, op__of(l));
        list__append(before, l); /* in front of `before` */
    }
    s->stale_nacks -= s->stale_nacks > 0; /* this one was told by the first of them */
    pending__pump(d, now_ms);
}

void publishing__take_closed(struct dialog *d, const struct answer *a)
{
    struct ph_client_stream *s = publishing__find(d, a->stream_id);
    struct ph_client_result result = a->error.name.ptr ? pending__refusal(a) : dialog__success();

    if (s)
        end_stream(d, s, &result);
}

void publishing__abandon(struct dialog *d, struct ph_client_stream *s)
{
    struct ph_client_result result = dialog__failure(PH_ERR_CANCELLED, "the stream was freed");

    if (list__empty(&s->link))
        return;
    if (d->state == CONNECTED)
        dialog__say(d, &(struct frame_request){
                           .kind = FRAME_STREAM_END, .stream_id = s->id, .failed = true});
    end_stream(d, s, &result);
}
