/* GET /metrics: the counters of all shards and what the system knows of the process. */
#ifndef BROKER_NET_METRICS_PAGE_H
#define BROKER_NET_METRICS_PAGE_H

#include "base/buf.h"
#include "broker/net/shard.h"

#define METRICS_PAGE_MAX (4u << 20)

/* On the thread of `s`. `out` has failed when memory is out. */
void metrics_page__write(struct shard *s, struct buf *out);

#endif
