/* Deadlines of many connections, to the second: a ring of lists, one for each second
 * ahead. Setting, moving and removing a deadline is O(1), so that no connection needs
 * a timer of its own. No clock inside: `now_ms` is always a parameter. */
#ifndef BROKER_NET_WHEEL_H
#define BROKER_NET_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_SLOTS 128 /* power of two */
#define WHEEL_MAX_SECONDS (WHEEL_SLOTS - 2)

/* Member of whatever has a deadline; all zero at first. */
struct wheel_entry {
    struct wheel_entry *prev, *next; /* NULL: not on the wheel */
};

struct wheel {
    struct wheel_entry slots[WHEEL_SLOTS];
    int64_t second; /* all slots up to this one are done */
    uint32_t count;
};

void wheel__init(struct wheel *w, int64_t now_ms);
/* Sets or moves the deadline to `seconds` (1 to WHEEL_MAX_SECONDS) from now, at most one
 * second late and never early. */
void wheel__put(struct wheel *w, struct wheel_entry *entry, unsigned seconds, int64_t now_ms);
void wheel__remove(struct wheel *w, struct wheel_entry *entry);
/* Takes off and returns an entry whose deadline has passed, NULL when there is none. */
struct wheel_entry *wheel__next_due(struct wheel *w, int64_t now_ms);
/* When to look again; INT64_MAX when the wheel is empty. */
int64_t wheel__deadline(const struct wheel *w);

#endif
