#include "app/registry.h"

#include "base/clock.h"

#include <stdlib.h>

struct shared_handler {
    atomic_size_t refs; /* registries */
    struct handler is;
};

static bool grow(struct registry *r)
{
    size_t cap = r->cap ? r->cap * 2 : 8;
    struct shared_handler **handlers = realloc(r->handlers, cap * sizeof(*handlers));

    if (!handlers)
        return false;
    r->handlers = handlers;
    r->cap = cap;
    return true;
}

static void free_contents(struct handler *h)
{
    if (h->free_fn)
        h->free_fn(h->arg);
    free((char *)h->hub);
    free((char *)h->pattern);
}

static void unref_handler(struct shared_handler *h)
{
    if (atomic_fetch_sub(&h->refs, 1) != 1)
        return;
    free_contents(&h->is);
    free(h);
}

static bool copy_text(const char **out, const char *text)
{
    *out = text ? strdup(text) : NULL;
    return *out || !text;
}

struct registry *registry__new(void)
{
    struct registry *r = calloc(1, sizeof(*r));

    if (r)
        atomic_init(&r->refs, 1);
    return r;
}

struct registry *registry__ref(struct registry *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void registry__unref(struct registry *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    for (size_t i = 0; i < r->count; i++)
        unref_handler(r->handlers[i]);
    free(r->handlers);
    free(r);
}

/* There is room. */
static void append(struct registry *r, struct shared_handler *h)
{
    r->handlers[r->count++] = h;
    r->blocking += !h->is.never_blocks;
}

enum ph_err registry__add(struct registry *r, const struct handler *handler)
{
    struct shared_handler *shared = malloc(sizeof(*shared));
    struct handler h = *handler;
    bool hub_copied = copy_text(&h.hub, handler->hub);
    bool pattern_copied = copy_text(&h.pattern, handler->pattern);
    enum ph_err err = PH_OK;

    if (!h.fn || (handler->hub && !*handler->hub) || (handler->pattern && !*handler->pattern))
        err = PH_ERR_ARGUMENT;
    else if (!shared || !hub_copied || !pattern_copied || (r->count == r->cap && !grow(r)))
        err = PH_ERR_MEMORY;
    if (err != PH_OK) {
        free_contents(&h);
        free(shared);
        return err;
    }
    atomic_init(&shared->refs, 1);
    shared->is = h;
    append(r, shared);
    return PH_OK;
}

static void share(struct registry *r, struct shared_handler *h)
{
    atomic_fetch_add(&h->refs, 1);
    append(r, h);
}

static void share_all(struct registry *r, const struct registry *from)
{
    for (size_t i = 0; i < from->count; i++)
        share(r, from->handlers[i]);
}

struct registry *registry__exchanged(const struct registry *old, const void *owner,
                                     const struct registry *fresh)
{
    struct registry *r = registry__new();
    bool placed = false;

    if (!r)
        return NULL;
    r->cap = old->count + fresh->count;
    r->handlers = malloc((r->cap + 1) * sizeof(struct shared_handler *));
    if (!r->handlers) {
        free(r);
        return NULL;
    }
    for (size_t i = 0; i < old->count; i++) {
        if (old->handlers[i]->is.owner != owner) {
            share(r, old->handlers[i]);
        } else if (!placed) {
            share_all(r, fresh);
            placed = true;
        }
    }
    if (!placed)
        share_all(r, fresh);
    return r;
}

/* Greedy with one point to come back to: linear in practice, and never worse than
 * pattern times name, however many stars a pattern has. */
bool registry__matches(struct str pattern, struct str name)
{
    size_t p = 0, n = 0, star = SIZE_MAX, star_name = 0;

    while (n < name.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            star_name = n;
        } else if (p < pattern.len &&
                   str__eq_nocase(str__n(pattern.ptr + p, 1), str__n(name.ptr + n, 1))) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++star_name;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

static bool handles(const struct handler *h, const struct ph_event *ev)
{
    return h->kind == ev->kind && (!h->hub || str__eq_nocase(str__of(h->hub), ev->hub)) &&
           (!h->pattern || registry__matches(str__of(h->pattern), ev->name));
}

bool registry__may_block(const struct registry *r, const struct ph_event *ev)
{
    for (size_t i = 0; r->blocking > 0 && i < r->count; i++) {
        if (!r->handlers[i]->is.never_blocks && handles(&r->handlers[i]->is, ev))
            return true;
    }
    return false;
}

static struct ph_reply *ask(const struct handler *h, const struct ph_event *ev, struct turn *turn)
{
    turn->counts = h->counts;
    if (h->counts) {
        turn->asked_us = clock__mono_us();
        counts__add(&h->counts->asked, 1);
    }
    return h->fn(ev, h->arg);
}

struct ph_reply *registry__dispatch(const struct registry *r, const struct ph_event *ev,
                                    struct turn *turn)
{
    *turn = (struct turn){.decided = false};
    for (size_t i = 0; i < r->count; i++) {
        const struct handler *h = &r->handlers[i]->is;
        struct ph_reply *reply;

        if (!handles(h, ev))
            continue;
        reply = ask(h, ev, turn);
        if (!reply || !reply__is_genuine(reply) || reply->kind != REPLY_PASS) {
            turn->decided = true;
            return reply;
        }
        counts__ended(h->counts, COUNTS_PASSED, 0);
        ph_reply_free(reply);
    }
    return NULL;
}
