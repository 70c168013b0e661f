#include "broker/core/backlog.h"

#include "base/prefetch.h"
#include "broker/core/state.h"

void backlog__init(struct backlog *b)
{
    *b = (struct backlog){0};
    list__init(&b->answered);
    list__init(&b->others);
}

void backlog__add(struct backlog *b, struct session *s, bool answer)
{
    b->frames++;
    if (list__empty(&s->dirty))
        b->sessions++;
    else if (answer)
        list__remove(&s->dirty);
    else
        return;
    list__append(answer ? &b->answered : &b->others, &s->dirty);
}

void backlog__remove(struct backlog *b, struct session *s)
{
    if (list__empty(&s->dirty))
        return;
    list__remove(&s->dirty);
    b->frames -= b->frames / b->sessions;
    b->sessions--;
}

static struct session *session_of(const struct link *l)
{
    return LIST_ITEM(l, struct session, dirty);
}

/* By the time that one session is written to, the kernel has thrown the next ones out of
 * the cache. Fetched while it works, each when what refers to it is there, they cost no wait. */
static void fetch_ahead(const struct link *list, const struct session *s)
{
    const struct link *at = s->dirty.next;
    const struct session *next;

    if (at == list)
        return;
    outbox__prefetch_frame(&session_of(at)->outbox);
    at = at->next;
    if (at == list)
        return;
    next = session_of(at);
    prefetch__line(next->transport);
    prefetch__line((const char *)next->transport + CACHE_LINE - 1);
    outbox__prefetch(&next->outbox);
    if (at->next != list)
        session__prefetch(session_of(at->next));
}

static struct session *take(struct backlog *b, struct link *list)
{
    struct session *s;

    if (list__empty(list))
        return NULL;
    s = session_of(list->next);
    fetch_ahead(list, s);
    backlog__remove(b, s);
    return s;
}

struct session *backlog__next_answered(struct backlog *b)
{
    return take(b, &b->answered);
}

struct session *backlog__next(struct backlog *b)
{
    struct session *s = take(b, &b->answered);

    return s ? s : take(b, &b->others);
}
