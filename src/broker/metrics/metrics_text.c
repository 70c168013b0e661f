#include "broker/metrics/metrics_text.h"

#include "base/exposition.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

/* client-and-rest section 3: why the service closes connections. */
const char *const metrics_closes[METRIC_CLOSES] = {
    "Normal",          "ClosedByAppServer",
    "ServiceReload",   "PingTimeout",
    "SlowClient",      "Throttled",
    "SendEventFailed", "EventHandlerNotFound",
    "BadRequest",      "ServiceTransientError",
    "Unauthorized",    "Other",
};
const char *const metrics_refusals[METRIC_REFUSALS] = {
    "400", "401", "403", "404", "405", "408", "426", "429", "500", "502", "503", "other",
};
const uint32_t metrics_buckets[METRIC_BUCKETS] = {1,   2,    5,    10,   20,    50,    100,   200,
                                                  500, 1000, 2000, 5000, 10000, 30000, 100000};

static const char *const event_names[METRIC_EVENTS] = {"connect",      "connected", "user",
                                                       "disconnected", "joined",    "left"};
static const char *const outcome_names[METRIC_OUTCOMES] = {"ok", "refused", "failed", "no_handler",
                                                           "dropped"};
static const char *const failure_names[METRIC_FAILURES] = {
    "other",      "connect",    "timeout",    "status_4xx",  "status_5xx",
    "bad_answer", "validation", "queue_full", "breaker_open"};
static const char *const class_names[METRIC_CLASSES] = {"2xx", "3xx", "4xx", "5xx"};

/* One family of the page. `write` writes its samples. */
struct family {
    const char *name;
    const char *type;
    const char *help;
    void (*write)(struct buf *out, const struct metrics_page *page, const struct family *f);
    unsigned first; /* of its series */
    const char *label;
    const char *const *values; /* of the label */
    unsigned count;            /* of them */
    size_t fact;               /* offset in struct metrics_facts */
};

/* --- samples ------------------------------------------------------------------------ */

static uint64_t sum(const struct metrics_page *page, unsigned metric)
{
    uint64_t n = 0;

    for (size_t i = 0; i < page->shard_count; i++)
        n += metrics__load(&page->shards[i]->values[metric]);
    return n;
}

static void write_plain(struct buf *out, const struct metrics_page *page, const struct family *f)
{
    buf__printf(out, "%s", f->name);
    exposition__number(out, sum(page, f->first));
}

static void write_labelled(struct buf *out, const struct metrics_page *page, const struct family *f)
{
    for (unsigned i = 0; i < f->count; i++) {
        buf__printf(out, "%s{", f->name);
        exposition__label(out, f->label, str__of(f->values[i]));
        buf__byte(out, '}');
        exposition__number(out, sum(page, f->first + i));
    }
}

static void write_outcomes(struct buf *out, const struct metrics_page *page, const struct family *f)
{
    for (unsigned i = 0; i < METRIC_EVENTS * METRIC_OUTCOMES; i++) {
        buf__printf(out, "%s{event=\"%s\",outcome=\"%s\"}", f->name,
                    event_names[i / METRIC_OUTCOMES], outcome_names[i % METRIC_OUTCOMES]);
        exposition__number(out, sum(page, f->first + i));
    }
}

static void write_operation(struct buf *out, const struct metrics_page *page,
                            const struct family *f, unsigned row, const char *name)
{
    for (unsigned i = 0; i < METRIC_CLASSES; i++) {
        buf__printf(out, "%s{", f->name);
        exposition__label(out, "operation", str__of(name));
        buf__printf(out, ",status=\"%s\"}", class_names[i]);
        exposition__number(out, sum(page, f->first + row * METRIC_CLASSES + i));
    }
}

static void write_rest(struct buf *out, const struct metrics_page *page, const struct family *f)
{
    for (unsigned i = 0; i < page->operation_count && i < METRICS_MAX_OPERATIONS; i++) {
        char name[160];

        snprintf(name, sizeof(name), "%s %s", page->operations[i].method, page->operations[i].path);
        write_operation(out, page, f, i, name);
    }
    write_operation(out, page, f, METRICS_MAX_OPERATIONS, "none");
}

/* Buckets count all events up to their bound, those of the ones before included. */
static void write_histogram(struct buf *out, const struct metrics_page *page,
                            const struct family *f)
{
    for (unsigned event = 0; event < METRIC_EVENTS; event++) {
        unsigned first = METRIC_EVENT_BUCKETS + event * (METRIC_BUCKETS + 1);
        const char *name = event_names[event];
        uint64_t count = 0;

        for (unsigned i = 0; i < METRIC_BUCKETS; i++) {
            count += sum(page, first + i);
            buf__printf(out, "%s_bucket{event=\"%s\",le=\"%g\"} %" PRIu64 "\n", f->name, name,
                        metrics_buckets[i] / 1000.0, count);
        }
        count += sum(page, first + METRIC_BUCKETS);
        buf__printf(out, "%s_bucket{event=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", f->name, name, count);
        buf__printf(out, "%s_sum{event=\"%s\"}", f->name, name);
        exposition__thousandths(out, sum(page, METRIC_EVENT_MS + event));
        buf__printf(out, "%s_count{event=\"%s\"} %" PRIu64 "\n", f->name, name, count);
    }
}

/* --- hubs: each shard has its own list, in an order of its own ------------------------ */

static const struct metrics_hub *hub_at(const struct metrics *m, size_t i)
{
    return i < METRICS_MAX_HUBS ? atomic_load_explicit(&m->hubs[i], memory_order_acquire) : NULL;
}

static const struct metrics_hub *hub_called(const struct metrics *m, struct str name)
{
    const struct metrics_hub *h;

    for (size_t i = 0; (h = hub_at(m, i)); i++) {
        if (str__eq(str__n(h->name, h->len), name))
            return h;
    }
    return NULL;
}

/* A hub is written with the first shard that knows it. */
static bool known_before(const struct metrics_page *page, size_t shard, struct str name)
{
    for (size_t i = 0; i < shard; i++) {
        if (hub_called(page->shards[i], name))
            return true;
    }
    return false;
}

static void write_hub(struct buf *out, const struct metrics_page *page, const struct family *f,
                      size_t shard, struct str name)
{
    uint64_t n = 0;

    for (size_t i = shard; i < page->shard_count; i++) {
        const struct metrics_hub *h = hub_called(page->shards[i], name);

        n += h ? metrics__load(&h->connections) : 0;
    }
    buf__printf(out, "%s{", f->name);
    exposition__label(out, f->label, name);
    buf__byte(out, '}');
    exposition__number(out, n);
}

static void write_hubs(struct buf *out, const struct metrics_page *page, const struct family *f)
{
    const struct metrics_hub *h;
    uint64_t others = 0;

    for (size_t shard = 0; shard < page->shard_count; shard++) {
        others += metrics__load(&page->shards[shard]->other_hubs);
        for (size_t i = 0; (h = hub_at(page->shards[shard], i)); i++) {
            if (!known_before(page, shard, str__n(h->name, h->len)))
                write_hub(out, page, f, shard, str__n(h->name, h->len));
        }
    }
    /* No hub can have this name. */
    buf__printf(out, "%s{%s=\"(others)\"}", f->name, f->label);
    exposition__number(out, others);
}

/* --- the process ---------------------------------------------------------------------- */

static uint64_t fact(const struct metrics_page *page, const struct family *f)
{
    return *(const uint64_t *)(const void *)((const char *)page->facts + f->fact);
}

static void write_fact(struct buf *out, const struct metrics_page *page, const struct family *f)
{
    buf__printf(out, "%s", f->name);
    exposition__number(out, fact(page, f));
}

static void write_seconds(struct buf *out, const struct metrics_page *page, const struct family *f)
{
    buf__printf(out, "%s", f->name);
    exposition__thousandths(out, fact(page, f));
}

static void write_build(struct buf *out, const struct metrics_page *page, const struct family *f)
{
    buf__printf(out, "%s{", f->name);
    exposition__label(out, "version", str__of(page->facts->version));
    buf__printf(out, ",threads=\"%u\"} 1\n", page->facts->shards);
}

/* --- the table ------------------------------------------------------------------------ */

#define FAMILY(its_name, its_type, its_help, writer)                                               \
    .name = (its_name), .type = (its_type), .help = (its_help), .write = (writer)
#define LABEL(its_name, its_values)                                                                \
    .label = (its_name), .values = (its_values), .count = sizeof(its_values) / sizeof(*(its_values))
#define FACT(member) .fact = offsetof(struct metrics_facts, member)

static const struct family families[] = {
    {FAMILY("pubhook_build_info", "gauge", "Version of the broker and its threads.", write_build)},
    {FAMILY("pubhook_connections", "gauge",
            "Connections of a hub, with those that wait for a lost client to come back.",
            write_hubs),
     .label = "hub"},
    {FAMILY("pubhook_connections_detached", "gauge",
            "Reliable connections that have lost their socket and may be recovered.", write_plain),
     .first = METRIC_DETACHED},
    {FAMILY("pubhook_sockets", "gauge", "WebSockets of clients, with those that are being closed.",
            write_plain),
     .first = METRIC_SOCKETS},
    {FAMILY("pubhook_sockets_blocked", "gauge", "WebSockets that take no more bytes at the moment.",
            write_plain),
     .first = METRIC_BLOCKED},
    {FAMILY("pubhook_connections_accepted_total", "counter", "Connections that were made.",
            write_plain),
     .first = METRIC_ACCEPTED},
    {FAMILY("pubhook_connections_recovered_total", "counter",
            "Connections that went on with another socket.", write_plain),
     .first = METRIC_RECOVERED},
    {FAMILY("pubhook_connections_closed_total", "counter",
            "Connections that ended, by the categories of the service.", write_labelled),
     .first = METRIC_CLOSED, LABEL("reason", metrics_closes)},
    {FAMILY("pubhook_handshakes_refused_total", "counter",
            "Clients that were not let in, by HTTP status.", write_labelled),
     .first = METRIC_REFUSED, LABEL("status", metrics_refusals)},
    {FAMILY("pubhook_recoveries_refused_total", "counter",
            "Clients that wanted a connection back which is gone.", write_plain),
     .first = METRIC_RECOVERY_REFUSED},
    {FAMILY("pubhook_messages_received_total", "counter", "WebSocket messages from clients.",
            write_plain),
     .first = METRIC_MESSAGES_IN},
    {FAMILY("pubhook_messages_sent_total", "counter",
            "WebSocket messages to clients, acknowledgements included.", write_plain),
     .first = METRIC_MESSAGES_OUT},
    {FAMILY("pubhook_received_bytes_total", "counter", "Bytes from clients, after the handshake.",
            write_plain),
     .first = METRIC_BYTES_IN},
    {FAMILY("pubhook_sent_bytes_total", "counter", "Bytes to clients, after the handshake.",
            write_plain),
     .first = METRIC_BYTES_OUT},
    {FAMILY("pubhook_events_total", "counter", "Events for event handlers, by what became of them.",
            write_outcomes),
     .first = METRIC_EVENT_OUTCOMES},
    {FAMILY("pubhook_event_duration_seconds", "histogram",
            "From an event to the end of its handler's answer, waiting and further tries included.",
            write_histogram)},
    {FAMILY("pubhook_event_retries_total", "counter",
            "Further tries of requests to event handlers.", write_plain),
     .first = METRIC_EVENT_RETRIES},
    {FAMILY("pubhook_handler_failures_total", "counter", "Events that failed, by why.",
            write_labelled),
     .first = METRIC_HANDLER_FAILURES, LABEL("kind", failure_names)},
    {FAMILY("pubhook_handlers_left_alone", "gauge",
            "Event handlers of a hub that failed so often that they are not asked for a while.",
            write_fact),
     FACT(handlers_left_alone)},
    {FAMILY("pubhook_events_pending", "gauge", "Events that wait for a handler or for its answer.",
            write_plain),
     .first = METRIC_PENDING_EVENTS},
    {FAMILY("pubhook_listener_events_total", "counter",
            "Events that event listeners confirmed to have.", write_fact),
     FACT(listener_sent)},
    {FAMILY("pubhook_listener_events_lost_total", "counter",
            "Events that event listeners will not have.", write_fact),
     FACT(listener_lost)},
    {FAMILY("pubhook_listener_events_waiting", "gauge", "Events that wait for event listeners.",
            write_fact),
     FACT(listener_waiting)},
    {FAMILY("pubhook_rest_requests_total", "counter", "Calls of the data-plane REST API.",
            write_rest),
     .first = METRIC_REST},
    {FAMILY("pubhook_mailbox_bytes", "gauge",
            "What threads have for each other and have not taken yet.", write_fact),
     FACT(mailbox_bytes)},
    {FAMILY("pubhook_heap_bytes", "gauge", "Memory that is allocated and not freed.", write_fact),
     FACT(heap_bytes)},
    {FAMILY("process_start_time_seconds", "gauge", "Start of the process, Unix time.",
            write_seconds),
     FACT(start_ms)},
    {FAMILY("process_cpu_seconds_total", "counter", "Processor time, user and system.",
            write_seconds),
     FACT(cpu_ms)},
    {FAMILY("process_resident_memory_bytes", "gauge", "Resident memory.", write_fact),
     FACT(resident_bytes)},
    {FAMILY("process_open_fds", "gauge", "Open file descriptors.", write_fact), FACT(open_files)},
    {FAMILY("process_max_fds", "gauge", "How many may be open.", write_fact), FACT(max_files)},
};

void metrics__write(struct buf *out, const struct metrics_page *page)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
        const struct family *f = &families[i];

        exposition__family(out, f->name, f->type, f->help);
        f->write(out, page, f);
    }
}
