/* What an application counts. Any thread adds; whoever reads gets each number as it is at
 * that moment. */
#ifndef APP_COUNTS_H
#define APP_COUNTS_H

#include "base/buf.h"
#include "pubhook/event.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define COUNTS_BUCKETS 16
#define COUNTS_MAX_HANDLERS 1000 /* that are told apart; the rest is counted as one */

/* How it ends when a handler is asked. */
enum counts_outcome {
    COUNTS_ANSWERED,
    COUNTS_REJECTED, /* 4xx */
    COUNTS_FAILED,   /* 5xx */
    COUNTS_LATE,     /* it deferred the reply, and the deadline passed */
    COUNTS_GONE,     /* it deferred the reply, and nobody waits for it any more */
    COUNTS_PASSED,
    COUNTS_OUTCOMES
};

/* Why a request does not get to a handler. */
enum counts_refusal {
    COUNTS_REFUSED_SIGNATURE,
    COUNTS_REFUSED_NO_KEY,
    COUNTS_REFUSED_TOKEN,
    COUNTS_REFUSED_UNAVAILABLE,
    COUNTS_REFUSED_ORIGIN,
    COUNTS_REFUSED_MALFORMED,
    COUNTS_REFUSED_TOO_LARGE,
    COUNTS_REFUSED_OTHER,
    COUNTS_REFUSALS
};

typedef atomic_uint_least64_t counts_number;

/* Of one registration, or of several that look the same from outside. */
struct handler_counts {
    struct handler_counts *next;
    enum ph_event_kind kind;
    struct str name, hub, event; /* in the same allocation, each with a NUL behind it */
    counts_number asked, deferred, microseconds;
    counts_number outcomes[COUNTS_OUTCOMES];
    counts_number buckets[COUNTS_BUCKETS + 1];
};

struct counts {
    pthread_mutex_t lock; /* for adding to the list, which only grows */
    struct handler_counts *_Atomic handlers;
    size_t handler_count;
    counts_number refusals[COUNTS_REFUSALS];
    counts_number validated, invalidated;
    counts_number unhandled;
    counts_number repeated;
};

static inline void counts__add(counts_number *c, uint64_t n)
{
    atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

void counts__init(struct counts *counts);
void counts__free(struct counts *counts);

/* Where a handler is counted, for as long as the application lives. `hub` and `pattern` may be
 * NULL. NULL: memory is out. */
struct handler_counts *counts__handler(struct counts *counts, const char *name,
                                       enum ph_event_kind kind, const char *hub,
                                       const char *pattern);
/* `h` may be NULL. */
void counts__ended(struct handler_counts *h, enum counts_outcome outcome, int64_t microseconds);
/* What an answer with this status is about that is no reply of a handler. */
enum counts_refusal counts__refusal_of(int status);

/* Adds up what several applications count. Handlers for any hub are those of `hub` then, because
 * the application is; NULL for none. False: memory is out. */
bool counts__sum(struct counts *to, struct counts *from, const char *hub);

/* As text (base/exposition.h). */
void counts__write(struct counts *counts, struct buf *out);

#endif
