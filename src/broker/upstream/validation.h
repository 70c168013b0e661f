/* Whether an event handler's URL has agreed to get our events: the abuse-protection
 * handshake with its cache (event-handler section 1). One entry a resolved validation
 * URL; as these come from the settings, their number is bounded by them.
 *
 * The first event to a URL waits for the outcome, together with all that come
 * meanwhile. Consent holds for a minute; then it is asked for again in the background
 * while the old one is used. A refusal holds for 1 s, then 2, 4 ... 60 s, in which
 * events fail at once; the next event after that waits for a new check. A handler that
 * is down (no answer, 408, 5xx after all tries) has refused nothing: the next event
 * asks again, so that none fails once the handler is back. The emulator backs off from
 * that too, which makes a developer wait a minute for a handler that runs already. */
#ifndef BROKER_UPSTREAM_VALIDATION_H
#define BROKER_UPSTREAM_VALIDATION_H

#include "broker/upstream/upstream.h"

#define VALIDATION_FRESH_MS 60000
#define VALIDATION_BACKOFF_MS 1000 /* doubled by each failure in a row */
#define VALIDATION_MAX_BACKOFF_MS 60000
#define VALIDATION_LIMIT_MS 10000 /* each of OPTIONS and GET, with its further tries */

struct validation;

/* Somebody who waits for an outcome. Part of what waits; zero at first. */
struct validation_waiter {
    struct validation_waiter *next, *previous;
    struct validation *of; /* NULL: waits for nothing */
    /* `why` is NULL if the URL consented; valid until the next check of the URL ends. `down`:
     * nobody was there to say yes or no. */
    void (*ready)(struct validation_waiter *w, const char *why, bool down, int64_t now_ms);
};

enum validation_verdict { VALIDATION_CONSENT, VALIDATION_REFUSED, VALIDATION_WAIT };

/* The verdict on a URL, whose issuers `ca_file` has (struct upstream_request). VALIDATION_WAIT:
 * `w->ready` is called later. VALIDATION_REFUSED:
 * `*why` says why, also when memory is out. `target` names the handler in texts. */
enum validation_verdict validation__check(struct upstream *up, struct str url, struct str ca_file,
                                          const char *target, struct validation_waiter *w,
                                          const char **why, int64_t now_ms);
/* Waits no more, if it did. */
void validation__leave(struct validation_waiter *w);
/* Forgets all verdicts; checks that are under way go on. */
void validation__forget(struct upstream *up);
/* Frees all entries; nobody waits any more. */
void validation__free_all(struct upstream *up);
/* The key of an entry in struct upstream's map. */
struct str validation__url(const void *entry);

#endif
