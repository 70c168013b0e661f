#include "service/background.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "curl/sigpipe.h"
#include "loop/loop_curl.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MAX_IDLE 16
/* libcurl ends a try at the request's deadline; if it cannot, we do after this time. */
#define GRACE_MS 1000

enum stage {
    STAGE_FRESH,   /* the loop has not seen it */
    STAGE_LINE,    /* waits until another one has ended */
    STAGE_SENDING, /* in libcurl's hands */
    STAGE_PAUSE    /* before the next try */
};

struct pending {
    struct pending *next, *previous; /* of all */
    struct pending *behind;          /* of the fresh ones, or in line */
    struct background *owner;
    uint64_t id;
    ph_service_done_fn *done;
    void *arg;
    bool posted, cancelled; /* the latter behind the lock */
    bool failed;            /* before anything could be sent */
    /* The loop's alone: */
    enum stage stage;
    struct errand errand;
    struct attempt *attempt;
    struct loop_timer timer;
    bool has_timer;
};

struct queue {
    struct pending *first, **last;
};

struct background {
    struct background_config config;
    pthread_t thread;
    bool has_thread;
    atomic_bool stopping;

    pthread_mutex_t turn; /* of whoever runs the loop */
    struct loop *loop;
    struct loop_curl *curl;
    struct queue line;
    unsigned sending;
    struct attempt *idle;
    unsigned idle_count;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t ended;
    struct pending *all;
    struct queue fresh;
    size_t count;
    uint64_t last_id;
    bool some_cancelled;
};

/* --- Lists --------------------------------------------------------------------------- */

static void queue_init(struct queue *q)
{
    q->first = NULL;
    q->last = &q->first;
}

static void put(struct queue *q, struct pending *p)
{
    p->behind = NULL;
    *q->last = p;
    q->last = &p->behind;
}

static void take_out(struct queue *q, struct pending **at)
{
    struct pending *p = *at;

    *at = p->behind;
    if (q->last == &p->behind)
        q->last = at;
    p->behind = NULL;
}

static void remove_from(struct queue *q, struct pending *p)
{
    for (struct pending **at = &q->first; *at; at = &(*at)->behind) {
        if (*at == p) {
            take_out(q, at);
            return;
        }
    }
}

static void enlist(struct background *b, struct pending *p)
{
    p->next = b->all;
    if (p->next)
        p->next->previous = p;
    b->all = p;
    b->count++;
}

static void unlist(struct background *b, struct pending *p)
{
    if (p->previous)
        p->previous->next = p->next;
    else
        b->all = p->next;
    if (p->next)
        p->next->previous = p->previous;
}

/* --- Attempts ------------------------------------------------------------------------ */

static struct attempt *take_attempt(struct background *b)
{
    struct attempt *attempt = b->idle;

    if (!attempt)
        return attempt__open(b->config.attempts);
    b->idle = attempt->next;
    b->idle_count--;
    return attempt;
}

static void put_attempt(struct background *b, struct attempt *attempt)
{
    if (b->idle_count == MAX_IDLE) {
        attempt__close(attempt);
        return;
    }
    attempt->next = b->idle;
    b->idle = attempt;
    b->idle_count++;
}

/* --- The end of one ------------------------------------------------------------------ */

static void withdraw(struct pending *p)
{
    struct background *b = p->owner;

    loop_curl__remove(b->curl, p->attempt->call.easy);
    attempt__rest(p->attempt);
    put_attempt(b, p->attempt);
    p->attempt = NULL;
    b->sending--;
}

static void release(struct pending *p)
{
    if (p->attempt)
        withdraw(p);
    if (p->stage == STAGE_LINE)
        remove_from(&p->owner->line, p);
    if (p->has_timer)
        loop__remove_timer(p->owner->loop, &p->timer);
    ph_service_result_free(errand__finish(&p->errand));
    free(p);
}

static void tell_of_post(const struct background *b, const struct ph_service_result *result)
{
    if (result->err == PH_OK)
        return;
    log__warn(b->config.log, LOG_FIELDS("request", ph_service_result_request_id(result)),
              "a request to the service failed: %s", ph_service_result_why(result));
    if (b->config.failed)
        b->config.failed(result, b->config.failed_arg);
}

static void tell(const struct pending *p)
{
    if (p->posted)
        tell_of_post(p->owner, p->errand.result);
    else
        p->done(p->errand.result, p->arg);
}

/* Once it is not listed, nobody can cancel it. */
static void end(struct pending *p)
{
    struct background *b = p->owner;
    bool cancelled;

    if (p->attempt)
        withdraw(p);
    pthread_mutex_lock(&b->lock);
    unlist(b, p);
    cancelled = p->cancelled;
    pthread_mutex_unlock(&b->lock);
    if (!cancelled)
        tell(p);
    release(p);
    pthread_mutex_lock(&b->lock);
    if (--b->count == 0)
        pthread_cond_broadcast(&b->ended);
    pthread_mutex_unlock(&b->lock);
}

/* --- In the loop --------------------------------------------------------------------- */

static void stand_in_line(struct pending *p)
{
    p->stage = STAGE_LINE;
    put(&p->owner->line, p);
    loop__set_timer(p->owner->loop, &p->timer, p->errand.deadline_ms);
}

/* False: it cannot be sent, and the result says why. */
static bool send_off(struct pending *p)
{
    struct background *b = p->owner;
    struct attempt *attempt = take_attempt(b);

    if (!attempt) {
        result__fail(p->errand.result, PH_ERR_MEMORY, "out of memory");
        return false;
    }
    if (!errand__prepare(&p->errand, attempt)) {
        put_attempt(b, attempt);
        return false;
    }
    curl_easy_setopt(attempt->call.easy, CURLOPT_PRIVATE, p);
    if (!loop_curl__add(b->curl, attempt->call.easy)) {
        result__fail(p->errand.result, PH_ERR_MEMORY, "out of memory");
        attempt__rest(attempt);
        put_attempt(b, attempt);
        return false;
    }
    p->stage = STAGE_SENDING;
    p->attempt = attempt;
    b->sending++;
    loop__set_timer(b->loop, &p->timer, p->errand.deadline_ms + GRACE_MS);
    return true;
}

static void work_on_line(struct background *b)
{
    struct pending *p;

    while (b->sending < b->config.max_connections && (p = b->line.first)) {
        take_out(&b->line, &b->line.first);
        p->stage = STAGE_FRESH;
        if (!send_off(p))
            end(p);
    }
}

static void transfer_ended(void *ctx, CURL *easy, CURLcode code)
{
    struct background *b = ctx;
    struct pending *p = NULL;
    struct attempt *attempt;
    int64_t pause;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&p);
    attempt = p->attempt;
    loop_curl__remove(b->curl, easy);
    pause = errand__judge(&p->errand, b->config.rules, attempt, code);
    p->attempt = NULL;
    b->sending--;
    put_attempt(b, attempt);
    if (pause >= 0) {
        p->stage = STAGE_PAUSE;
        loop__set_timer(b->loop, &p->timer, clock__mono_ms() + pause);
    } else {
        end(p);
    }
    work_on_line(b);
}

static void ring(struct loop_timer *timer)
{
    struct pending *p = timer->ctx;
    struct background *b = p->owner;

    if (p->stage == STAGE_PAUSE) {
        stand_in_line(p);
    } else {
        result__fail(p->errand.result, PH_ERR_SYSTEM, "%s: the time was up before %s",
                     p->errand.out.operation->name,
                     p->stage == STAGE_LINE ? "a connection was free for it" : "it was answered");
        end(p);
    }
    work_on_line(b);
}

static void admit(struct pending *p)
{
    p->timer = (struct loop_timer){.ring = ring, .ctx = p};
    p->has_timer = loop__add_timer(p->owner->loop, &p->timer);
    if (!p->failed && !p->has_timer) {
        result__fail(p->errand.result, PH_ERR_MEMORY, "out of memory");
        p->failed = true;
    }
    if (p->failed)
        end(p);
    else
        stand_in_line(p);
}

/* One that somebody has cancelled, in no queue any more; NULL: there is none. */
static struct pending *next_cancelled(struct background *b)
{
    struct pending *p = NULL;

    pthread_mutex_lock(&b->lock);
    if (b->some_cancelled) {
        for (p = b->all; p && !p->cancelled; p = p->next)
            ;
        b->some_cancelled = p != NULL;
        if (p) /* it may have come after the fresh ones were taken in */
            remove_from(&b->fresh, p);
    }
    pthread_mutex_unlock(&b->lock);
    return p;
}

static struct pending *next_fresh(struct background *b)
{
    struct pending *p;

    pthread_mutex_lock(&b->lock);
    p = b->fresh.first;
    if (p)
        take_out(&b->fresh, &b->fresh.first);
    pthread_mutex_unlock(&b->lock);
    return p;
}

static void woken(void *ctx)
{
    struct background *b = ctx;
    struct pending *p;

    while ((p = next_fresh(b)))
        admit(p);
    while ((p = next_cancelled(b)))
        end(p);
    work_on_line(b);
}

static void *run(void *arg)
{
    struct background *b = arg;

    while (!atomic_load(&b->stopping))
        loop__run(b->loop, -1);
    return NULL;
}

/* --- From any thread ------------------------------------------------------------------ */

static bool list_fresh(struct background *b, struct pending *p)
{
    bool room;

    pthread_mutex_lock(&b->lock);
    room = b->count < b->config.max_pending;
    if (room) {
        p->id = ++b->last_id;
        enlist(b, p);
        put(&b->fresh, p);
    }
    pthread_mutex_unlock(&b->lock);
    return room;
}

enum ph_err background__start(struct background *b, struct identity *identity, struct str hub,
                              const struct ph_service_request *request, ph_service_done_fn *done,
                              void *arg, uint64_t *id)
{
    struct pending *p = calloc(1, sizeof(*p));
    uint64_t made;

    if (!p) {
        identity__unref(identity);
        return PH_ERR_MEMORY;
    }
    p->owner = b;
    p->done = done;
    p->arg = arg;
    p->posted = !done;
    p->failed = !errand__init(&p->errand, b->config.rules, identity, hub, request);
    if (p->errand.result->err == PH_ERR_MEMORY || !list_fresh(b, p)) {
        bool memory = p->errand.result->err == PH_ERR_MEMORY;

        release(p);
        return memory ? PH_ERR_MEMORY : PH_ERR_LIMIT;
    }
    made = p->id;
    loop__wake(b->loop);
    if (id)
        *id = made;
    return PH_OK;
}

enum ph_err background__cancel(struct background *b, uint64_t id)
{
    struct pending *p;

    pthread_mutex_lock(&b->lock);
    for (p = b->all; p && (p->id != id || p->cancelled); p = p->next)
        ;
    if (p) {
        p->cancelled = true;
        b->some_cancelled = true;
    }
    pthread_mutex_unlock(&b->lock);
    if (!p)
        return PH_ERR_NOT_FOUND;
    loop__wake(b->loop);
    return PH_OK;
}

size_t background__pending(struct background *b)
{
    size_t count;

    pthread_mutex_lock(&b->lock);
    count = b->count;
    pthread_mutex_unlock(&b->lock);
    return count;
}

int background__fd(const struct background *b)
{
    return b->has_thread ? -1 : loop__fd(b->loop);
}

void background__process(struct background *b)
{
    struct sigpipe sigpipe;

    if (b->has_thread || pthread_mutex_trylock(&b->turn) != 0)
        return;
    sigpipe__hold(&sigpipe);
    loop__process(b->loop);
    sigpipe__release(&sigpipe);
    pthread_mutex_unlock(&b->turn);
}

static void wait_for_thread(struct background *b, int64_t until_ms)
{
    struct timespec at = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};

    pthread_mutex_lock(&b->lock);
    while (b->count > 0 && pthread_cond_timedwait(&b->ended, &b->lock, &at) == 0)
        ;
    pthread_mutex_unlock(&b->lock);
}

static void run_until(struct background *b, int64_t until_ms)
{
    struct sigpipe sigpipe;
    int64_t left;

    pthread_mutex_lock(&b->turn);
    sigpipe__hold(&sigpipe);
    while (background__pending(b) > 0 && (left = until_ms - clock__mono_ms()) > 0)
        loop__run(b->loop, left < INT32_MAX ? (int)left : INT32_MAX);
    sigpipe__release(&sigpipe);
    pthread_mutex_unlock(&b->turn);
}

bool background__flush(struct background *b, int64_t timeout_ms)
{
    int64_t until = clock__mono_ms() + timeout_ms;

    if (b->has_thread)
        wait_for_thread(b, until);
    else
        run_until(b, until);
    return background__pending(b) == 0;
}

/* --- Life ----------------------------------------------------------------------------- */

static bool make_locks(struct background *b)
{
    pthread_condattr_t monotonic;
    bool made = false;

    if (pthread_condattr_init(&monotonic) != 0)
        return false;
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    if (pthread_mutex_init(&b->turn, NULL) == 0) {
        made = pthread_mutex_init(&b->lock, NULL) == 0;
        if (made && pthread_cond_init(&b->ended, &monotonic) != 0) {
            pthread_mutex_destroy(&b->lock);
            made = false;
        }
        if (!made)
            pthread_mutex_destroy(&b->turn);
    }
    pthread_condattr_destroy(&monotonic);
    return made;
}

static bool start_thread(struct background *b)
{
    b->has_thread = thread__start(&b->thread, run, b);
    return b->has_thread;
}

struct background *background__new(const struct background_config *config)
{
    struct background *b = calloc(1, sizeof(*b));

    if (!b || !make_locks(b)) {
        free(b);
        return NULL;
    }
    b->config = *config;
    queue_init(&b->line);
    queue_init(&b->fresh);
    b->loop = loop__new();
    b->curl = b->loop ? loop_curl__new(b->loop, transfer_ended, b) : NULL;
    if (b->curl) {
        loop__on_wake(b->loop, woken, b);
        if (!config->thread || start_thread(b))
            return b;
    }
    background__free(b);
    return NULL;
}

void background__free(struct background *b)
{
    struct attempt *attempt;
    struct pending *p;

    if (!b)
        return;
    atomic_store(&b->stopping, true);
    if (b->has_thread) {
        loop__wake(b->loop);
        pthread_join(b->thread, NULL);
    }
    while ((p = b->all)) {
        unlist(b, p);
        release(p);
    }
    while ((attempt = b->idle)) {
        b->idle = attempt->next;
        attempt__close(attempt);
    }
    loop_curl__free(b->curl);
    loop__free(b->loop);
    pthread_cond_destroy(&b->ended);
    pthread_mutex_destroy(&b->lock);
    pthread_mutex_destroy(&b->turn);
    free(b);
}
