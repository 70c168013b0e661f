/* Memory that many clients leave behind when they come or go at once. The C library keeps it
 * for the next ones, in pieces between those that stay: 2 KiB and more for each. Once it is
 * quiet again, what makes up whole pages goes back to the system. */
#ifndef BROKER_NET_TRIM_H
#define BROKER_NET_TRIM_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed at first, but for `release`. */
struct trim {
    void (*release)(void *ctx); /* lets go of what is kept for the next clients; NULL: nothing */
    void *ctx;
    uint64_t done; /* count of the last time */
    uint64_t seen; /* count when the pause began */
    int64_t pause_until;
};

/* End of a turn. `ended` grows with each connection that ends, `live` are there now: the more,
 * the longer it takes, and the more must have ended. Returns when to look again. */
int64_t trim__tick(struct trim *t, uint64_t ended, size_t live, int64_t now_ms);

#endif
