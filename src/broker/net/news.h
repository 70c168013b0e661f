/* What the shards found out, each for itself, and the log shall hear once. */
#ifndef BROKER_NET_NEWS_H
#define BROKER_NET_NEWS_H

#include "base/map.h"
#include "broker/upstream/upstream.h"

#define NEWS_MAX 4096 /* things known; beyond that everything is news */

struct news;

/* NULL: memory is out. `seed` outlives it. */
struct news *news__new(const struct map_seed *seed);
void news__free(struct news *n);
/* Any thread: is this not what was said of it last? */
bool news__is(struct news *n, struct str of, bool value);
/* Any thread: what is shared about an event handler, until news__free. NULL: too much is known
 * already, or memory is out. */
struct upstream_outage *news__outage(struct news *n, struct str identity);
/* Any thread: how many handlers the log says are left alone. */
size_t news__outages(struct news *n);

#endif
