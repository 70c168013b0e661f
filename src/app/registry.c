#include "app/registry.h"

#include <stdlib.h>

static bool grow(struct registry *r)
{
    size_t cap = r->cap ? r->cap * 2 : 8;
    struct handler *handlers = realloc(r->handlers, cap * sizeof(*handlers));

    if (!handlers)
        return false;
    r->handlers = handlers;
    r->cap = cap;
    return true;
}

static void free_handler(struct handler *h)
{
    if (h->free_fn)
        h->free_fn(h->arg);
    free((char *)h->hub);
    free((char *)h->pattern);
}

static bool copy_text(const char **out, const char *text)
{
    *out = text ? strdup(text) : NULL;
    return *out || !text;
}

enum ph_err registry__add(struct registry *r, const struct handler *handler)
{
    struct handler h = *handler;
    bool hub_copied = copy_text(&h.hub, handler->hub);
    bool pattern_copied = copy_text(&h.pattern, handler->pattern);
    enum ph_err err = PH_OK;

    if (!h.fn || (handler->hub && !*handler->hub) || (handler->pattern && !*handler->pattern))
        err = PH_ERR_ARGUMENT;
    else if (!hub_copied || !pattern_copied || (r->count == r->cap && !grow(r)))
        err = PH_ERR_MEMORY;
    if (err == PH_OK)
        r->handlers[r->count++] = h;
    else
        free_handler(&h);
    return err;
}

void registry__free(struct registry *r)
{
    for (size_t i = 0; i < r->count; i++)
        free_handler(&r->handlers[i]);
    free(r->handlers);
    *r = (struct registry){NULL, 0, 0};
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

struct ph_reply *registry__dispatch(const struct registry *r, const struct ph_event *ev,
                                    bool *found)
{
    *found = false;
    for (size_t i = 0; i < r->count; i++) {
        struct ph_reply *reply;

        if (!handles(&r->handlers[i], ev))
            continue;
        reply = r->handlers[i].fn(ev, r->handlers[i].arg);
        if (!reply || reply->kind != REPLY_PASS) {
            *found = true;
            return reply;
        }
        ph_reply_free(reply);
    }
    return NULL;
}
