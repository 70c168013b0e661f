#include "broker/net/metrics_page.h"

#include "app/app.h"
#include "app/counts.h"
#include "broker/metrics/metrics_text.h"
#include "broker/net/news.h"
#include "broker/net/publisher.h"
#include "broker/rest/route.h"
#include "pubhook/version.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* There in a program that is built with a sanitizer, whose allocator replaces the one
 * that mallinfo2 knows. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static uint64_t heap_bytes(void)
{
    struct mallinfo2 info;

    if (__sanitizer_get_current_allocated_bytes)
        return __sanitizer_get_current_allocated_bytes();
    info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static uint64_t resident_bytes(void)
{
    unsigned long total, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (!f)
        return 0;
    if (fscanf(f, "%lu %lu", &total, &resident) != 2)
        resident = 0;
    fclose(f);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Linux tells the number since 6.2; before, they have to be counted. */
static uint64_t open_files(void)
{
    struct stat st;
    uint64_t count = 0;
    DIR *dir;

    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return (uint64_t)st.st_size;
    dir = opendir("/proc/self/fd");
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count > 3 ? count - 3 : 0; /* without ".", ".." and the folder itself */
}

static uint64_t max_files(void)
{
    struct rlimit files = {0};

    getrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_cur;
}

static uint64_t milliseconds(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_usec / 1000;
}

static uint64_t cpu_ms(void)
{
    struct rusage used = {0};

    getrusage(RUSAGE_SELF, &used);
    return milliseconds(used.ru_utime) + milliseconds(used.ru_stime);
}

static uint64_t mailbox_bytes(const struct broker *b)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < b->shard_count; i++)
        bytes += mailbox__waiting(&b->shards[i]->mailbox);
    return bytes;
}

/* Handlers inside of the broker, which count for themselves. */
static bool sum_handlers(const struct settings *s, struct counts *sum)
{
    for (size_t i = 0; i < s->hub_count; i++) {
        const struct hub_settings *hub = &s->hubs[i];

        for (size_t k = 0; k < hub->handler_count; k++) {
            struct ph_app *app = hub->handlers[k].app;

            if (app && !app__sum_counts(app, sum, hub->name.ptr))
                return false;
        }
    }
    return true;
}

static void write_handlers(const struct settings *s, struct buf *out)
{
    struct counts sum = {.handler_count = 0};

    counts__init(&sum);
    if (!sum_handlers(s, &sum))
        out->failed = true;
    else if (sum.handler_count > 0)
        counts__write(&sum, out);
    counts__free(&sum);
}

void metrics_page__write(struct shard *s, struct buf *out)
{
    const struct broker *b = s->broker;
    const struct nats_link_counts heard = publisher__count(b->publisher);
    struct metrics_operation operations[METRICS_MAX_OPERATIONS];
    const struct metrics *shards[SETTINGS_MAX_THREADS];
    const struct metrics_facts facts = {.version = PH_VERSION,
                                        .start_ms = (uint64_t)b->start_ms,
                                        .cpu_ms = cpu_ms(),
                                        .resident_bytes = resident_bytes(),
                                        .heap_bytes = heap_bytes(),
                                        .open_files = open_files(),
                                        .max_files = max_files(),
                                        .mailbox_bytes = mailbox_bytes(b),
                                        .handlers_left_alone = news__outages(b->news),
                                        .listener_sent = heard.sent,
                                        .listener_lost = heard.lost,
                                        .listener_waiting = heard.waiting,
                                        .shards = (unsigned)b->shard_count};
    struct metrics_page page = {shards, b->shard_count, operations, 0, &facts};

    shard__gauge(s);
    for (size_t i = 0; i < b->shard_count; i++)
        shards[i] = b->shards[i]->metrics;
    for (; page.operation_count < rest_route__count() &&
           page.operation_count < METRICS_MAX_OPERATIONS;
         page.operation_count++) {
        const struct rest_route *route = rest_route__at(page.operation_count);

        operations[page.operation_count] = (struct metrics_operation){route->method, route->path};
    }
    metrics__write(out, &page);
    write_handlers(s->settings, out);
}
