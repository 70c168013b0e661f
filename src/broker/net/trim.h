/* Memory that many clients leave behind when they come or go at once. The C library keeps it
 * for the next ones, in pieces between those that stay: 2 KiB and more for each. Once it is
 * quiet again, what makes up whole pages goes back to the system. */
#ifndef BROKER_NET_TRIM_H
#define BROKER_NET_TRIM_H

#include <stdint.h>

/* Zeroed at first. */
struct trim {
    uint64_t done; /* count of the last time */
    uint64_t seen; /* count when the pause began */
    int64_t pause_until;
};

/* End of a turn. `count` grows with each connection that ends. Returns when to look again. */
int64_t trim__tick(struct trim *t, uint64_t count, int64_t now_ms);

#endif
