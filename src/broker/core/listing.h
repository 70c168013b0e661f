/* Connections of a scope by their ids: the first ones behind a given id, however many there
 * are besides (client-and-rest section 5.2, operation 21). A heap with the last of them on
 * top, so that a shard looks at each connection once and keeps no more than a page. */
#ifndef BROKER_CORE_LISTING_H
#define BROKER_CORE_LISTING_H

#include "base/str.h"

struct listed {
    struct str connection_id;
    struct str user_id; /* absent: anonymous */
};

struct listing {
    size_t limit, count;
    bool sorted;
    struct listed **items;
};

/* NULL: memory. */
struct listing *listing__new(size_t limit);
void listing__free(struct listing *l); /* NULL is fine */
/* Keeps a copy if it is among the first. False when memory is out. */
bool listing__offer(struct listing *l, struct str connection_id, struct str user_id);
/* By connection id, byte by byte. Nothing can be offered any more. */
void listing__sort(struct listing *l);
/* The first ones of both, which are sorted and have the same limit; both are freed. One that
 * is NULL has none. NULL: both are, or memory is out. */
struct listing *listing__merge(struct listing *a, struct listing *b);

/* By bytes; what is absent comes first. */
int listing__compare(struct str a, struct str b);

#endif
