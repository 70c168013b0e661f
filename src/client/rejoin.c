/* The groups that our calls have joined, for the next connection. */
#include "client/dialog_state.h"

#include <stdlib.h>

struct str rejoin__key(const void *item)
{
    return ((const struct joined *)item)->group;
}

bool rejoin__remember(struct dialog *d, struct str name)
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

void rejoin__forget(struct dialog *d, struct str name)
{
    free(map__remove(&d->groups, name));
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
    if (op->frame.failed || !pending__give_deadline(d, op, now_ms)) {
        op__free(op);
        return false;
    }
    list__append(before, &op->link);
    d->rejoins++;
    return true;
}

/* In front of all that waits. */
void rejoin__all(struct dialog *d, int64_t now_ms)
{
    struct ph_client_result no_memory = dialog__failure(PH_ERR_MEMORY, "out of memory");
    struct link *before = d->waiting.next;
    struct joined *j;
    uint32_t at = 0;

    while (d->settings->rejoins && (j = map__next(&d->groups, &at))) {
        if (!rejoin_one(d, j->group, before, now_ms))
            d->ops->rejoin_failed(d->ctx, j->group, &no_memory);
    }
}

static void drop_rejoins_of(struct dialog *d, struct link *list)
{
    for (struct link *l = list->next, *next; l != list; l = next) {
        struct op *op = op__of(l);

        next = l->next;
        if (!op->rejoin)
            continue;
        op->rejoin = false; /* nobody is to be told */
        pending__fail(d, op, PH_ERR_CLOSED, "the connection was lost");
    }
}

void rejoin__drop(struct dialog *d)
{
    d->rejoins = 0;
    drop_rejoins_of(d, &d->waiting);
    drop_rejoins_of(d, &d->delayed);
}
