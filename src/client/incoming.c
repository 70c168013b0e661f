/* Streams that come in (client-and-rest section 2.4). A fragment of none that is wanted is a
 * message like all others. */
#include "client/dialog_state.h"

#include <stdlib.h>

#define MAX_NAMES 2048 /* bytes of a group and a stream's id */
#define IDLE_MS (5u * 60 * 1000)

struct incoming {
    struct dialog_timer idle; /* first, see dialog.c */
    struct link link;
    uint64_t next_id;
    struct str group, id;
    struct ph_client_incoming told; /* not wanted: `fragment` is NULL */
    char text[];
};

static struct incoming *incoming_of(struct link *l)
{
    return LIST_ITEM(l, struct incoming, link);
}

static struct incoming *find(struct dialog *d, const struct answer *a)
{
    for (struct link *l = d->incoming.next; l != &d->incoming; l = l->next) {
        if (str__eq(incoming_of(l)->id, a->stream_id) && str__eq(incoming_of(l)->group, a->group))
            return incoming_of(l);
    }
    return NULL;
}

static void end(struct dialog *d, struct incoming *in, const struct ph_client_result *result)
{
    dialog__clear_timer(d, &in->idle);
    deadlines__release(&d->deadlines);
    list__remove(&in->link);
    d->incoming_count--;
    d->crowded = false;
    if (in->told.fragment)
        d->ops->incoming_ended(d->ctx, &in->told, result);
    free(in);
}

void incoming__end_all(struct dialog *d, const struct ph_client_result *result)
{
    while (!list__empty(&d->incoming))
        end(d, incoming_of(d->incoming.next), result);
}

static void restart_timer(struct dialog *d, struct incoming *in, int64_t now_ms)
{
    uint32_t ms = in->told.idle_timeout_ms;

    dialog__set_timer(d, &in->idle, now_ms + (ms > 0 ? ms : IDLE_MS));
}

static void too_quiet(struct dialog *d, struct dialog_timer *t, int64_t now_ms)
{
    struct ph_client_result result =
        dialog__failure(PH_ERR_TIMEOUT, "no fragment came within the idle timeout of the reader");

    (void)now_ms;
    result.name = "IdleTimeout";
    end(d, (struct incoming *)t, &result);
}

void incoming__pause(struct dialog *d)
{
    for (struct link *l = d->incoming.next; l != &d->incoming; l = l->next)
        dialog__clear_timer(d, &incoming_of(l)->idle);
}

void incoming__resume(struct dialog *d, int64_t now_ms)
{
    for (struct link *l = d->incoming.next; l != &d->incoming; l = l->next)
        restart_timer(d, incoming_of(l), now_ms);
}

static struct incoming *new_incoming(struct dialog *d, const struct answer *a)
{
    struct incoming *in = calloc(1, sizeof(*in) + a->group.len + a->stream_id.len + 2);
    char *at;

    if (!in || !deadlines__reserve(&d->deadlines)) {
        free(in);
        return NULL;
    }
    at = in->text;
    in->idle.ring = too_quiet;
    in->group = str__place(&at, a->group);
    at++; /* its NUL */
    in->id = str__place(&at, a->stream_id);
    in->told.group = in->group.ptr;
    in->told.stream_id = in->id.ptr;
    in->told.sequence_id = a->stream_sequence_id;
    list__append(&d->incoming, &in->link);
    d->incoming_count++;
    return in;
}

/* NULL: there is no room for it. Told once, until there is room again. */
static struct incoming *begin(struct dialog *d, const struct answer *a)
{
    bool fits = d->incoming_count < d->settings->max_incoming &&
                a->group.len + a->stream_id.len <= MAX_NAMES;
    struct incoming *in = fits ? new_incoming(d, a) : NULL;

    if (in)
        d->ops->incoming_begun(d->ctx, &in->told);
    else if (!d->crowded)
        d->ops->complain(d->ctx, fits ? "out of memory: a stream is told as group messages"
                                      : "too many streams come in, or the name of one is too "
                                        "long: it is told as group messages");
    d->crowded |= !in;
    return in;
}

/* An end by an error may come from wherever the service noticed it. */
static bool in_turn(const struct incoming *in, const struct answer *a)
{
    return a->stream_sequence_id == in->next_id || (a->end_of_stream && a->error.name.ptr);
}

bool incoming__take(struct dialog *d, const struct answer *a, int64_t now_ms)
{
    const struct ph_client_result lost =
        dialog__failure(PH_ERR_SYNTAX, "a fragment of the stream is missing or came twice");
    struct ph_client_result result = a->error.name.ptr ? pending__refusal(a) : dialog__success();
    struct incoming *in;
    bool wanted;

    result.user_error_code = a->error.user_code.ptr;
    if (!a->stream_id.ptr || d->settings->max_incoming == 0)
        return false;
    in = find(d, a);
    if (in && !in_turn(in, a)) {
        end(d, in, &lost);
        in = NULL;
    }
    in = in ? in : begin(d, a);
    if (!in)
        return false;
    in->next_id = a->stream_sequence_id + 1;
    restart_timer(d, in, now_ms);
    wanted = in->told.fragment;
    if (wanted && (!a->end_of_stream || a->data.len > 0))
        d->ops->message(d->ctx, a, &in->told);
    if (a->end_of_stream)
        end(d, in, &result);
    return wanted;
}
