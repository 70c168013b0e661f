/* Inside of replies, for the files that fill them. */
#ifndef EVENT_REPLY_H
#define EVENT_REPLY_H

#include "event/event.h"

/* `data_len`: bytes that are going to be copied into it. NULL when memory is out. */
struct ph_reply *reply__new(enum reply_kind kind, size_t data_len);
/* Remembers the first reason why it is not what the handler wanted. `why` is a constant. */
void reply__fail(struct ph_reply *reply, const char *why);
struct str reply__copy(struct ph_reply *reply, struct str s);

/* Adds a pair, and fails the reply when that is more than a reply may have. */
void reply__add_pair(struct ph_reply *reply, struct reply_pairs *pairs, struct str name,
                     struct str value);
#define REPLY_MAX_PAIRS 64
#define REPLY_MAX_PAIR_BYTES 16384

#endif
