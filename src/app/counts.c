#include "app/counts.h"

#include "base/exposition.h"
#include "pubhook/version.h"

#include <stdio.h>
#include <stdlib.h>

/* Microseconds: a handler takes a few, or asks somebody else. */
static const uint32_t bounds[COUNTS_BUCKETS] = {100,     250,     500,     1000,    2500,   5000,
                                                10000,   25000,   50000,   100000,  250000, 500000,
                                                1000000, 2500000, 5000000, 10000000};

static const char *const kinds[] = {[PH_EVENT_CONNECT] = "connect",
                                    [PH_EVENT_CONNECTED] = "connected",
                                    [PH_EVENT_DISCONNECTED] = "disconnected",
                                    [PH_EVENT_USER] = "user",
                                    [PH_EVENT_JOINED] = "joined",
                                    [PH_EVENT_LEFT] = "left"};
static const char *const outcomes[COUNTS_OUTCOMES] = {
    [COUNTS_ANSWERED] = "answered", [COUNTS_REJECTED] = "rejected", [COUNTS_FAILED] = "failed",
    [COUNTS_LATE] = "late",         [COUNTS_GONE] = "gone",         [COUNTS_PASSED] = "passed"};
static const char *const refusals[COUNTS_REFUSALS] = {
    [COUNTS_REFUSED_SIGNATURE] = "bad_signature", [COUNTS_REFUSED_NO_KEY] = "no_key",
    [COUNTS_REFUSED_TOKEN] = "bad_token",         [COUNTS_REFUSED_UNAVAILABLE] = "unavailable",
    [COUNTS_REFUSED_ORIGIN] = "forbidden_origin", [COUNTS_REFUSED_MALFORMED] = "malformed",
    [COUNTS_REFUSED_TOO_LARGE] = "too_large",     [COUNTS_REFUSED_OTHER] = "other"};

/* --- Counting --------------------------------------------------------------------------- */

static unsigned bucket_of(uint64_t us)
{
    unsigned at = 0;

    while (at < COUNTS_BUCKETS && us > bounds[at])
        at++;
    return at;
}

void counts__ended(struct handler_counts *h, enum counts_outcome outcome, int64_t microseconds)
{
    uint64_t us = microseconds > 0 ? (uint64_t)microseconds : 0;

    if (!h)
        return;
    counts__add(&h->outcomes[outcome], 1);
    if (outcome == COUNTS_PASSED)
        return;
    counts__add(&h->buckets[bucket_of(us)], 1);
    counts__add(&h->microseconds, us);
}

enum counts_refusal counts__refusal_of(int status)
{
    static const struct {
        int status;
        enum counts_refusal refusal;
    } rows[] = {{400, COUNTS_REFUSED_MALFORMED}, {403, COUNTS_REFUSED_ORIGIN},
                {413, COUNTS_REFUSED_TOO_LARGE}, {415, COUNTS_REFUSED_MALFORMED},
                {431, COUNTS_REFUSED_TOO_LARGE}, {501, COUNTS_REFUSED_MALFORMED},
                {411, COUNTS_REFUSED_MALFORMED}, {503, COUNTS_REFUSED_UNAVAILABLE}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (rows[i].status == status)
            return rows[i].refusal;
    }
    return COUNTS_REFUSED_OTHER;
}

/* --- Handlers ----------------------------------------------------------------------------- */

static struct handler_counts *find(struct counts *counts, const struct handler_counts *like)
{
    struct handler_counts *h = atomic_load(&counts->handlers);

    while (h && !(h->kind == like->kind && str__eq(h->name, like->name) &&
                  str__eq(h->hub, like->hub) && str__eq(h->event, like->event)))
        h = h->next;
    return h;
}

/* With the NUL that is there behind it. */
static struct str place(char **at, struct str s)
{
    struct str copy = str__place(at, s);

    ++*at;
    return copy;
}

static struct handler_counts *copy(const struct handler_counts *like)
{
    struct handler_counts *h =
        calloc(1, sizeof(*h) + like->name.len + like->hub.len + like->event.len + 3);
    char *at;

    if (!h)
        return NULL;
    at = (char *)(h + 1);
    h->kind = like->kind;
    h->name = place(&at, like->name);
    h->hub = place(&at, like->hub);
    h->event = place(&at, like->event);
    return h;
}

static struct handler_counts *find_or_add(struct counts *counts, const struct handler_counts *like)
{
    struct handler_counts *h = find(counts, like);

    if (h)
        return h;
    h = copy(like);
    if (!h)
        return NULL;
    h->next = atomic_load(&counts->handlers);
    atomic_store(&counts->handlers, h);
    counts->handler_count++;
    return h;
}

struct handler_counts *counts__handler(struct counts *counts, const char *name,
                                       enum ph_event_kind kind, const char *hub,
                                       const char *pattern)
{
    struct handler_counts like = {.kind = kind,
                                  .name = str__of(name ? name : ""),
                                  .hub = str__of(hub ? hub : "*"),
                                  .event = str__of(pattern ? pattern : kinds[kind])};
    struct handler_counts *h;

    pthread_mutex_lock(&counts->lock);
    if (counts->handler_count >= COUNTS_MAX_HANDLERS && !find(counts, &like)) {
        like.name = STR("(others)");
        like.hub = like.event = STR("");
        like.kind = PH_EVENT_USER;
    }
    h = find_or_add(counts, &like);
    pthread_mutex_unlock(&counts->lock);
    return h;
}

void counts__init(struct counts *counts)
{
    pthread_mutex_init(&counts->lock, NULL);
}

void counts__free(struct counts *counts)
{
    struct handler_counts *h = atomic_load(&counts->handlers), *next;

    for (; h; h = next) {
        next = h->next;
        free(h);
    }
    pthread_mutex_destroy(&counts->lock);
}

/* --- As text --------------------------------------------------------------------------------- */

static uint64_t load(const counts_number *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

static void sum_up(counts_number *to, const counts_number *from, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        counts__add(&to[i], load(&from[i]));
}

static bool sum_handler(struct counts *to, const struct handler_counts *h, const char *hub)
{
    bool any = str__eq(h->hub, STR("*"));
    struct handler_counts *sum =
        counts__handler(to, h->name.ptr, h->kind, any && hub ? hub : h->hub.ptr, h->event.ptr);

    if (!sum)
        return false;
    sum_up(sum->outcomes, h->outcomes, COUNTS_OUTCOMES);
    sum_up(sum->buckets, h->buckets, COUNTS_BUCKETS + 1);
    sum_up(&sum->microseconds, &h->microseconds, 1);
    sum_up(&sum->deferred, &h->deferred, 1);
    sum_up(&sum->asked, &h->asked, 1);
    return true;
}

bool counts__sum(struct counts *to, struct counts *from, const char *hub)
{
    for (const struct handler_counts *h = atomic_load(&from->handlers); h; h = h->next) {
        if (!sum_handler(to, h, hub))
            return false;
    }
    sum_up(to->refusals, from->refusals, COUNTS_REFUSALS);
    sum_up(&to->validated, &from->validated, 1);
    sum_up(&to->invalidated, &from->invalidated, 1);
    sum_up(&to->unhandled, &from->unhandled, 1);
    sum_up(&to->repeated, &from->repeated, 1);
    return true;
}

/* Up to the place for one more label. */
static void put_handler(struct buf *out, const char *name, const struct handler_counts *h)
{
    buf__printf(out, "%s{", name);
    exposition__label(out, "handler", h->name);
    buf__byte(out, ',');
    exposition__label(out, "hub", h->hub);
    buf__printf(out, ",kind=\"%s\",", kinds[h->kind]);
    exposition__label(out, "event", h->event);
}

static void write_outcomes(struct buf *out, const char *name, const struct handler_counts *h)
{
    for (unsigned i = 0; i < COUNTS_OUTCOMES; i++) {
        put_handler(out, name, h);
        buf__printf(out, ",outcome=\"%s\"}", outcomes[i]);
        exposition__number(out, load(&h->outcomes[i]));
    }
}

/* Buckets count all up to their bound, those of the ones before included. */
static void write_histogram(struct buf *out, const char *name, const struct handler_counts *h)
{
    char part[64];
    uint64_t n = 0;

    snprintf(part, sizeof(part), "%s_bucket", name);
    for (unsigned i = 0; i <= COUNTS_BUCKETS; i++) {
        n += load(&h->buckets[i]);
        put_handler(out, part, h);
        if (i < COUNTS_BUCKETS)
            buf__printf(out, ",le=\"%g\"}", bounds[i] / 1e6);
        else
            buf__str(out, STR(",le=\"+Inf\"}"));
        exposition__number(out, n);
    }
    snprintf(part, sizeof(part), "%s_sum", name);
    put_handler(out, part, h);
    buf__byte(out, '}');
    exposition__millionths(out, load(&h->microseconds));
    snprintf(part, sizeof(part), "%s_count", name);
    put_handler(out, part, h);
    buf__byte(out, '}');
    exposition__number(out, n);
}

/* The ends are read first, so that there are hardly ever more of them than beginnings. */
static void write_in_flight(struct buf *out, const char *name, const struct handler_counts *h)
{
    uint64_t asked, ended = 0;

    for (unsigned i = 0; i < COUNTS_OUTCOMES; i++)
        ended += load(&h->outcomes[i]);
    asked = load(&h->asked);
    put_handler(out, name, h);
    buf__byte(out, '}');
    exposition__number(out, asked > ended ? asked - ended : 0);
}

static void write_deferred(struct buf *out, const char *name, const struct handler_counts *h)
{
    put_handler(out, name, h);
    buf__byte(out, '}');
    exposition__number(out, load(&h->deferred));
}

static const struct {
    const char *name, *type, *help;
    void (*write)(struct buf *out, const char *name, const struct handler_counts *h);
} families[] = {
    {"pubhook_handler_events_total", "counter", "Events that a handler was asked, by the outcome.",
     write_outcomes},
    {"pubhook_handler_duration_seconds", "histogram",
     "From the call of a handler to its reply, also one that came later.", write_histogram},
    {"pubhook_handler_events_in_flight", "gauge", "Events that a handler has not answered yet.",
     write_in_flight},
    {"pubhook_handler_events_deferred_total", "counter", "Events whose reply a handler deferred.",
     write_deferred},
};

static void write_plain(struct buf *out, const char *name, const char *help, const counts_number *c)
{
    exposition__family(out, name, "counter", help);
    buf__printf(out, "%s", name);
    exposition__number(out, load(c));
}

static void write_refusals(const struct counts *counts, struct buf *out)
{
    static const char name[] = "pubhook_requests_refused_total";

    exposition__family(out, name, "counter", "Requests that did not get to a handler, by why.");
    for (unsigned i = 0; i < COUNTS_REFUSALS; i++) {
        buf__printf(out, "%s{reason=\"%s\"}", name, refusals[i]);
        exposition__number(out, load(&counts->refusals[i]));
    }
}

static void write_validations(const struct counts *counts, struct buf *out)
{
    static const char name[] = "pubhook_validations_total";

    exposition__family(out, name, "counter", "Validation requests, by the answer.");
    buf__printf(out, "%s{result=\"allowed\"}", name);
    exposition__number(out, load(&counts->validated));
    buf__printf(out, "%s{result=\"refused\"}", name);
    exposition__number(out, load(&counts->invalidated));
}

void counts__write(struct counts *counts, struct buf *out)
{
    exposition__family(out, "pubhook_handlers_build_info", "gauge", "Version of libpubhook.");
    buf__str(out, STR("pubhook_handlers_build_info{version=\"" PH_VERSION "\"} 1\n"));
    for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
        exposition__family(out, families[i].name, families[i].type, families[i].help);
        for (const struct handler_counts *h = atomic_load(&counts->handlers); h; h = h->next)
            families[i].write(out, families[i].name, h);
    }
    write_plain(out, "pubhook_events_unhandled_total", "Events that no handler wanted.",
                &counts->unhandled);
    write_plain(out, "pubhook_events_repeated_total",
                "Events that came again and were answered without a handler.", &counts->repeated);
    write_refusals(counts, out);
    write_validations(counts, out);
}
