#include "bin/load.h"

#include "bin/cli.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define TICK_MS 250
#define ARENA_MAX (64u << 20)

static const struct call_limits limits = {200, 65536, 16u << 20};

/* One connection's worth: a request at a time. */
struct slot {
    struct call call;
    struct arena arena;
    struct load_call made;
    int64_t began_us;
    struct slot *next; /* idle ones */
};

struct run {
    const struct load *load;
    CURLM *multi;
    struct slot *slots;
    size_t slot_count;
    struct slot *idle;
    size_t busy;
    uint64_t started;
    int64_t began_us;
    bool over; /* nothing more is to start */
    enum ph_err err;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* When the next request is due, by the rate. */
static int64_t due_us(const struct run *r)
{
    if (r->load->rate <= 0)
        return 0;
    return r->began_us + (int64_t)((double)r->started * 1e6 / r->load->rate);
}

static bool has_more(const struct run *r)
{
    return !r->over && !interrupted && r->started < r->load->count;
}

static void make_idle(struct run *r, struct slot *s)
{
    call__reset(&s->call);
    arena__reset(&s->arena);
    s->next = r->idle;
    r->idle = s;
}

/* With a rate, a request that waited for a free connection has waited since it was due. */
static bool begin(struct run *r, struct slot *s)
{
    int64_t due = due_us(r);

    s->made = (struct load_call){.number = r->started};
    if (!r->load->make(r->load->arg, &s->arena, &s->made))
        return false;
    if (!call__prepare(&s->call, &s->made.request)) {
        r->err = PH_ERR_MEMORY;
        return false;
    }
    curl_easy_setopt(s->call.easy, CURLOPT_TIMEOUT_MS, (long)r->load->timeout_s * 1000);
    s->began_us = due ? due : now_us();
    if (curl_multi_add_handle(r->multi, s->call.easy) == CURLM_OK)
        return true;
    r->err = PH_ERR_MEMORY;
    return false;
}

static void begin_due(struct run *r)
{
    while (r->idle && has_more(r) && due_us(r) <= now_us()) {
        struct slot *s = r->idle;

        r->idle = s->next;
        if (!begin(r, s)) {
            r->over = true;
            make_idle(r, s);
            return;
        }
        r->started++;
        r->busy++;
    }
}

static void finish(struct run *r, struct slot *s, CURLcode code)
{
    curl_multi_remove_handle(r->multi, s->call.easy);
    s->made.microseconds = now_us() - s->began_us;
    s->made.response = call__response(&s->call, code);
    if (!s->made.response)
        s->made.why = call__problem(&s->call, code);
    r->load->done(r->load->arg, &s->made);
    r->busy--;
    make_idle(r, s);
}

static void collect(struct run *r)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(r->multi, &left))) {
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;
        struct slot *s = NULL;

        curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&s);
        finish(r, s, code);
    }
}

static int wait_ms(const struct run *r)
{
    int64_t left_ms;

    if (!has_more(r) || !r->idle)
        return TICK_MS;
    left_ms = (due_us(r) - now_us() + 999) / 1000;
    return left_ms > TICK_MS ? TICK_MS : left_ms > 0 ? (int)left_ms : 0;
}

static void loop(struct run *r)
{
    int64_t next_tick = now_us();
    int running;

    r->began_us = now_us();
    while (has_more(r) || r->busy > 0) {
        begin_due(r);
        if (curl_multi_perform(r->multi, &running) != CURLM_OK)
            break;
        collect(r);
        if (r->load->tick && now_us() >= next_tick) {
            r->load->tick(r->load->arg);
            next_tick = now_us() + TICK_MS * 1000;
        }
        if (has_more(r) || r->busy > 0)
            curl_multi_poll(r->multi, NULL, 0, r->idle || !has_more(r) ? wait_ms(r) : TICK_MS,
                            NULL);
    }
}

static bool make_slots(struct run *r)
{
    uint64_t wanted = r->load->connections;

    if (wanted > r->load->count)
        wanted = r->load->count;
    r->slots = calloc(wanted, sizeof(*r->slots));
    for (; r->slots && r->slot_count < wanted; r->slot_count++) {
        struct slot *s = &r->slots[r->slot_count];

        if (!call__init(&s->call, &limits))
            return false;
        curl_easy_setopt(s->call.easy, CURLOPT_PRIVATE, s);
        arena__init(&s->arena, NULL, 0, ARENA_MAX);
        make_idle(r, s);
    }
    return r->slots;
}

static void free_slots(struct run *r)
{
    for (size_t i = 0; i < r->slot_count; i++) {
        curl_multi_remove_handle(r->multi, r->slots[i].call.easy);
        call__free(&r->slots[i].call);
        arena__free(&r->slots[i].arena);
    }
    free(r->slots);
}

enum ph_err load__run(const struct load *load)
{
    struct run r = {.load = load, .multi = curl_multi_init()};

    if (!r.multi)
        return PH_ERR_MEMORY;
    curl_multi_setopt(r.multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)load->connections);
    if (make_slots(&r)) {
        cli__on_end(on_signal);
        loop(&r);
    } else {
        r.err = PH_ERR_MEMORY;
    }
    free_slots(&r);
    curl_multi_cleanup(r.multi);
    return r.err;
}
