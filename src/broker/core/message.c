#include "broker/core/message.h"

#include <stdlib.h>

/* Copies `s` to *at and moves *at behind it; an absent string stays absent. */
static struct str place(char **at, struct str s)
{
    struct str copy = {s.ptr ? *at : NULL, s.len};

    if (s.len > 0)
        memcpy(*at, s.ptr, s.len);
    *at += s.len;
    return copy;
}

struct message *message__new(enum message_from from, enum ph_data_type type, struct str group,
                             struct str from_user, struct str data)
{
    struct message *m = malloc(sizeof(*m) + group.len + from_user.len + data.len);
    char *at;

    if (!m)
        return NULL;
    at = (char *)(m + 1);
    atomic_init(&m->refs, 1);
    m->from = from;
    m->type = type;
    m->group = place(&at, group);
    m->from_user = place(&at, from_user);
    m->data = place(&at, data);
    return m;
}

struct message *message__ref(struct message *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

void message__unref(struct message *m)
{
    /* Release, then acquire: what other threads read of it happens before the free. */
    if (m && atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1)
        free(m);
}
