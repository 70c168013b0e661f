/* Metrics as text: Prometheus' exposition format, version 0.0.4. */
#ifndef BROKER_METRICS_METRICS_TEXT_H
#define BROKER_METRICS_METRICS_TEXT_H

#include "base/buf.h"
#include "broker/metrics/metrics.h"

/* What the writer cannot know by itself. */
struct metrics_facts {
    const char *version;
    uint64_t start_ms; /* Unix time */
    uint64_t cpu_ms;
    uint64_t resident_bytes;
    uint64_t heap_bytes; /* allocated and not freed */
    uint64_t open_files, max_files;
    uint64_t mailbox_bytes;
    uint64_t handlers_left_alone;
    uint64_t listener_sent, listener_lost, listener_waiting; /* events for event listeners */
    unsigned shards;
};

/* The operations of the REST API, in the order of metrics__rest. */
struct metrics_operation {
    const char *method, *path;
};

struct metrics_page {
    const struct metrics *const *shards;
    size_t shard_count;
    const struct metrics_operation *operations;
    size_t operation_count;
    const struct metrics_facts *facts;
};

void metrics__write(struct buf *out, const struct metrics_page *page);
/* Values of the labels of METRIC_CLOSED and METRIC_REFUSED; METRIC_CLOSES and
 * METRIC_REFUSALS of them, the last for all others. */
extern const char *const metrics_closes[METRIC_CLOSES];
extern const char *const metrics_refusals[METRIC_REFUSALS];
/* Upper bounds of the histogram's buckets in milliseconds. */
extern const uint32_t metrics_buckets[METRIC_BUCKETS];

#endif
