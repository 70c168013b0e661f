/* The way to one event handler of one hub. It bounds what is asked of the handler at a
 * time and what waits for it, and it is a circuit breaker: when everything that is asked
 * fails, asking is left off for a while (see upstream.h for the rules).
 *
 * Hubs do not share a gate, since {hub} in a URL may lead elsewhere, and those that fail
 * must not take others along. */
#ifndef BROKER_UPSTREAM_GATE_H
#define BROKER_UPSTREAM_GATE_H

#include "base/deadlines.h"
#include "broker/upstream/upstream.h"

#define GATE_FIRST_WAIT_MS 1000 /* doubled by each probe that fails */
#define GATE_NOTICES                                                                               \
    4 /* times the room for other events; then connected and                                       \
         disconnected are lost too */
#define GATE_WHY_MAX 1024

struct gate;

/* Somebody who waits at a gate. Part of what waits; zero at first. */
struct gate_waiter {
    struct gate_waiter *next, *previous;
    struct gate *at; /* NULL: waits nowhere */
    /* Its turn, or a reason to look again: it may go on waiting. From upstream__tick only. */
    void (*enter)(struct gate_waiter *w, int64_t now_ms);
};

/* The gate of a handler, with one more reference. NULL: memory is out. */
struct gate *gate__of(struct upstream *up, const struct event_handler *handler, struct str hub);
/* NULL is fine. What the gate knows is kept until the settings change. */
void gate__unref(struct gate *g);
/* Gates go that nobody uses; the others when nobody does any more, unless gate__of finds them by
 * then. */
void gate__settings_changed(struct upstream *up);
/* ... which struct upstream's gates_unused says. */
void gate__forget_unused(struct upstream *up);
void gate__free_all(struct upstream *up);
/* The key of an entry in struct upstream's map. */
struct str gate__key(const void *gate);

/* --- what waits --------------------------------------------------------------------- */

bool gate__has_room(const struct gate *g, enum ph_event_kind kind);
/* An event is not taken for want of room: why. Valid until the next call. */
const char *gate__full(struct gate *g);
/* What is lost for want of room; told once until there is room again. */
void gate__lost(struct gate *g, enum ph_event_kind kind);
void gate__add(struct gate *g);
void gate__remove(struct gate *g);

/* --- what is asked at a time ---------------------------------------------------------- */

/* False: no place is free, or others wait for one. There is always one for the probe. */
bool gate__take_place(struct gate *g, const struct exchange *x);
void gate__leave_place(struct gate *g);
void gate__wait(struct gate *g, struct gate_waiter *w, bool first);
/* Waits no more, if it did. */
void gate__go(struct gate_waiter *w);

/* --- the circuit breaker ---------------------------------------------------------------- */

/* Too much has failed: only a probe may pass. */
bool gate__is_shut(const struct gate *g);
/* ... and none may pass now. */
bool gate__lets_none_in(const struct gate *g, int64_t now_ms);
/* True for the one that may find out whether the handler is back; it must report, or say
 * gate__no_probe. */
bool gate__probe(struct gate *g, const struct exchange *x, int64_t now_ms);
bool gate__is_probe(const struct gate *g, const struct exchange *x);
/* It will not report, if it is the one. */
void gate__no_probe(struct gate *g, const struct exchange *x);
/* An event fails for it: why. Valid until the next call. */
const char *gate__refuse(struct gate *g, int64_t now_ms);
/* The handler was there, whatever it said. */
void gate__succeeded(struct gate *g, int64_t now_ms);
/* It was not there, or could not do its work, in all tries or in a probe. At a shut gate only the
 * probe counts. */
void gate__failed(struct gate *g, const struct exchange *x, const char *why, int64_t now_ms);

/* Lets those in who may enter now: `d` is from struct upstream's gate_deadlines. */
void gate__due(struct deadline *d, int64_t now_ms);

#endif
