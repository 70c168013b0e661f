#include "broker/net/inproc.h"

#include "app/app.h"
#include "base/clock.h"
#include "base/prefetch.h"
#include "broker/core/session.h"

#include <stdlib.h>

#define SPARE_JOBS 32      /* that an application keeps, each with its response, */
#define SPARE_ON_LOOP 1024 /* or without one */
#define WORKER_NS 200000   /* after so long a worker makes room in the pool */
#define FETCH_EXCHANGE 640 /* bytes that an answer touches of whatever has the exchange */

/* An event for a handler. */
struct job {
    struct job *next, *previous; /* of all jobs of the lane; `next` also of the spare ones */
    struct job *behind;          /* in line, or among what workers have done */
    struct job *answer_behind;   /* among those whose deferred answers have come */
    struct lane *lane;
    struct exchange *exchange;    /* NULL: nobody waits for the result */
    const struct ph_event *event; /* the sender's */
    const struct session *owner;  /* that waits for its outcome, or NULL */
    struct ph_event *handed;      /* over to the handler, or NULL */
    const char *why;              /* there is none */
    struct ph_response *response; /* NULL: on the loop one is enough */
    bool taken;                   /* by a worker */
    bool deferred;                /* the handler will answer later */
    bool waits;                   /* the loop has heard of that */
    bool answered;                /* and of the answer */
};

/* Works through a lane's line on a thread of the pool. */
struct worker {
    uv_work_t work;
    struct lane *lane;
    bool busy; /* until the loop has heard of its end */
};

/* Jobs that have left their line. */
struct jobs {
    struct job *first, **last;
};

/* The jobs of one application. All stand in line, until the loop or a worker takes them. */
struct lane {
    struct lane *next;
    struct inproc *owner;
    struct ph_app *app;
    bool on_loop, told_slow;
    unsigned busy; /* workers */
    struct job *jobs, *spare;
    unsigned spare_count;
    uv_mutex_t lock; /* of the line, where workers take from it */
    struct job *first, **last;
    struct worker workers[];
};

struct inproc {
    uv_loop_t *loop;
    unsigned threads; /* that one application may use at a time */
    struct lane *lanes;
    struct ph_log *log;
    exchange_report_fn *report;
    void *ctx;
    struct ph_response *response; /* of the handler on the loop; NULL: make one */
    bool closing;
    uv_async_t news;      /* from other threads: */
    uv_mutex_t lock;      /* of these */
    struct jobs done;     /* by workers */
    struct jobs answered; /* deferred events, by `answer_behind` */
};

/* --- Lanes ---------------------------------------------------------------------- */

static struct lane *lane_new(struct inproc *in, struct ph_app *app, bool on_loop)
{
    struct lane *lane = calloc(1, sizeof(*lane) + in->threads * sizeof(*lane->workers));

    if (!lane)
        return NULL;
    if (uv_mutex_init(&lane->lock) != 0) {
        free(lane);
        return NULL;
    }
    for (unsigned i = 0; i < in->threads; i++) {
        lane->workers[i].lane = lane;
        lane->workers[i].work.data = &lane->workers[i];
    }
    lane->owner = in;
    lane->app = app;
    lane->on_loop = on_loop;
    lane->last = &lane->first;
    lane->next = in->lanes;
    in->lanes = lane;
    return lane;
}

/* The lanes are as many as there are plugins, or two for one that was loaded again and then
 * declared something else. */
static struct lane *lane_of(struct inproc *in, struct ph_app *app)
{
    bool on_loop = app__never_blocks(app);
    struct lane *lane = in->lanes;

    while (lane && (lane->app != app || lane->on_loop != on_loop))
        lane = lane->next;
    return lane ? lane : lane_new(in, app, on_loop);
}

static void lock(struct lane *lane)
{
    if (!lane->on_loop)
        uv_mutex_lock(&lane->lock);
}

static void unlock(struct lane *lane)
{
    if (!lane->on_loop)
        uv_mutex_unlock(&lane->lock);
}

static void stand_in_line(struct job *job)
{
    struct lane *lane = job->lane;

    job->behind = NULL;
    lock(lane);
    *lane->last = job;
    lane->last = &job->behind;
    unlock(lane);
}

static void take_from(struct lane *lane, struct job **at)
{
    struct job *job = *at;

    *at = job->behind;
    if (lane->last == &job->behind)
        lane->last = at;
    job->behind = NULL;
    job->taken = true;
}

/* Any thread: the first in line; NULL: there is none. */
static struct job *take_next(struct lane *lane)
{
    struct job *job;

    lock(lane);
    job = lane->first;
    if (job)
        take_from(lane, &lane->first);
    unlock(lane);
    return job;
}

/* False: it has been taken already. */
static bool leave_line(struct job *job)
{
    struct lane *lane = job->lane;
    struct job **at = &lane->first;
    bool waits;

    lock(lane);
    waits = !job->taken;
    if (waits) {
        while (*at != job)
            at = &(*at)->behind;
        take_from(lane, at);
    }
    unlock(lane);
    return waits;
}

/* --- Jobs ------------------------------------------------------------------------- */

static struct job *job_make(const struct lane *lane)
{
    struct job *job = calloc(1, sizeof(*job));

    if (!job || lane->on_loop)
        return job;
    job->response = ph_response_new();
    if (job->response)
        return job;
    free(job);
    return NULL;
}

static void job_drop(struct job *job)
{
    ph_response_free(job->response);
    free(job);
}

static struct job *job_get(struct lane *lane)
{
    struct job *job = lane->spare;

    if (!job)
        return job_make(lane);
    lane->spare = job->next;
    lane->spare_count--;
    return job;
}

static void job_put(struct lane *lane, struct job *job)
{
    if (lane->spare_count == (lane->on_loop ? SPARE_ON_LOOP : SPARE_JOBS)) {
        job_drop(job);
        return;
    }
    job->next = lane->spare;
    lane->spare = job;
    lane->spare_count++;
}

static void list(struct job *job)
{
    struct lane *lane = job->lane;

    job->previous = NULL;
    job->next = lane->jobs;
    if (job->next)
        job->next->previous = job;
    lane->jobs = job;
}

static void end(struct job *job)
{
    struct lane *lane = job->lane;

    if (job->previous)
        job->previous->next = job->next;
    else
        lane->jobs = job->next;
    if (job->next)
        job->next->previous = job->previous;
    job_put(lane, job);
}

/* It lives in the response. The sender keeps his own while he waits, which is as long as a call on
 * the loop takes. */
static void hand_over(struct job *job, struct ph_response *res)
{
    struct lane *lane = job->lane;
    struct diag diag;

    diag__clear(&diag);
    if (app__hand_over(lane->app, job->event, lane->on_loop, res, &job->handed, &diag) != PH_OK) {
        job->handed = NULL;
        job->why = arena__strdup(&res->arena, str__of(diag.text));
    }
    job->event = NULL;
}

static void report(struct job *job, const struct ph_response *res)
{
    struct inproc *in = job->lane->owner;
    struct exchange *x = job->exchange;
    struct exchange_result result = {.failure = FAILURE_OTHER};

    if (res && job->handed)
        result.response = &res->http;
    else
        result.why = job->why ? job->why : "out of memory";
    if (x) {
        exchange__set_shell(x, NULL);
        in->report(in->ctx, x, &result);
    }
    end(job);
}

/* --- Deferred replies ------------------------------------------------------------------- */

/* Any thread. The loop may be gone as soon as it has the last answer, so it is woken under the
 * lock. */
static void hand_in(struct inproc *in, struct jobs *jobs, struct job *job, struct job **behind)
{
    uv_mutex_lock(&in->lock);
    *behind = NULL;
    *jobs->last = job;
    jobs->last = behind;
    uv_async_send(&in->news);
    uv_mutex_unlock(&in->lock);
}

static void on_answer(struct ph_response *res, void *arg)
{
    struct job *job = arg;
    struct inproc *in = job->lane->owner;

    (void)res;
    hand_in(in, &in->answered, job, &job->answer_behind);
}

static void ask(struct job *job)
{
    job->deferred = !app__dispatch(job->lane->app, job->handed, job->response, on_answer, job);
}

/* A job of a handler on the loop gives its response back. */
static void report_answer(struct job *job)
{
    struct lane *lane = job->lane;
    struct inproc *in = lane->owner;
    struct ph_response *res = job->response;

    if (!lane->on_loop) {
        report(job, res);
        return;
    }
    job->response = NULL;
    report(job, res);
    if (in->response)
        ph_response_free(res);
    else
        in->response = res;
}

/* Its exchange is over: true if the job is too, false if its answer is just being made. */
static bool withdraw(struct job *job)
{
    if (!app__withdraw(job->response))
        return false;
    job->handed = NULL;
    report_answer(job);
    return true;
}

static void wait_for_answer(struct job *job)
{
    job->waits = true;
    if (job->answered)
        report_answer(job);
    else if (!job->exchange)
        withdraw(job);
    else if (job->lane->on_loop)
        exchange__limit(job->exchange);
}

static void empty(struct jobs *jobs)
{
    *jobs = (struct jobs){.last = &jobs->first};
}

static struct job *take_all(struct inproc *in, struct jobs *jobs)
{
    struct job *first;

    uv_mutex_lock(&in->lock);
    first = jobs->first;
    empty(jobs);
    uv_mutex_unlock(&in->lock);
    return first;
}

static void free_if_done(struct inproc *in);

static void on_news(uv_async_t *handle)
{
    struct inproc *in = handle->data;
    struct job *job, *behind;

    for (job = take_all(in, &in->done); job; job = behind) {
        behind = job->behind;
        if (job->deferred)
            wait_for_answer(job);
        else
            report(job, job->response);
    }
    for (job = take_all(in, &in->answered); job; job = behind) {
        behind = job->answer_behind;
        job->answered = true;
        if (job->waits)
            report_answer(job);
    }
    if (in->closing)
        free_if_done(in);
}

/* --- On the loop -------------------------------------------------------------------- */

static void tell_slow(struct lane *lane, struct job *job, int64_t ms)
{
    if (!lane->told_slow)
        log__warn(lane->owner->log, LOG_NONE,
                  "%s declares that it never blocks, but a handler of it took %d ms, in which no "
                  "other client of this thread was served: unless the machine was too busy to run "
                  "it, make it faster, or take the call of ph_plugin_config_never_blocks out of it",
                  exchange__target(job->exchange), (int)ms);
    lane->told_slow = true;
}

static void call_handler(struct job *job)
{
    struct lane *lane = job->lane;
    int64_t start = clock__coarse_ms(), took;

    ask(job);
    took = clock__coarse_ms() - start;
    if (took > INPROC_SLOW_MS)
        tell_slow(lane, job, took);
}

/* A handler that defers keeps the response. */
static void serve_on_loop(struct job *job)
{
    struct inproc *in = job->lane->owner;
    struct ph_response *res = in->response ? in->response : ph_response_new();

    in->response = NULL;
    if (!res) {
        report(job, NULL);
        return;
    }
    if (job->owner)
        session__fetch_parts(job->owner);
    job->response = res;
    hand_over(job, res);
    if (job->handed)
        call_handler(job);
    if (job->deferred) {
        wait_for_answer(job);
        return;
    }
    job->response = NULL;
    in->response = res;
    report(job, res);
}

/* --- On worker threads ---------------------------------------------------------------- */

/* Each is handed in before the next begins, which may never end. What goes wrong is in the
 * response. */
static void work(uv_work_t *w)
{
    struct worker *worker = w->data;
    struct inproc *in = worker->lane->owner;
    uint64_t start = uv_hrtime();
    struct job *job = take_next(worker->lane);

    while (job) {
        if (job->handed)
            ask(job);
        hand_in(in, &in->done, job, &job->behind);
        job = uv_hrtime() - start < WORKER_NS ? take_next(worker->lane) : NULL;
    }
}

static void worked(uv_work_t *w, int status);

static void send_worker(struct worker *worker)
{
    struct lane *lane = worker->lane;

    worker->busy = uv_queue_work(lane->owner->loop, &worker->work, work, worked) == 0;
    lane->busy += worker->busy;
}

static unsigned line_length(struct lane *lane, unsigned max)
{
    unsigned length = 0;

    lock(lane);
    for (const struct job *job = lane->first; job && length < max; job = job->behind)
        length++;
    unlock(lane);
    return length;
}

/* As many as there are jobs in line, for each of these may block. */
static void send_workers(struct lane *lane)
{
    unsigned wanted = line_length(lane, lane->owner->threads);

    for (unsigned i = 0; i < lane->owner->threads && wanted > 0; i++) {
        if (lane->workers[i].busy)
            continue;
        send_worker(&lane->workers[i]);
        wanted--;
    }
}

static void worked(uv_work_t *w, int status)
{
    struct worker *worker = w->data;
    struct lane *lane = worker->lane;
    struct inproc *in = lane->owner;

    (void)status; /* work that was cancelled has done nothing */
    worker->busy = false;
    lane->busy--;
    send_workers(lane);
    if (in->closing)
        free_if_done(in);
}

/* --- Life ------------------------------------------------------------------------------- */

/* Nothing that the loop waits for, until the end. */
static bool open_news(struct inproc *in, uv_loop_t *loop)
{
    if (uv_mutex_init(&in->lock) != 0)
        return false;
    if (uv_async_init(loop, &in->news, on_news) != 0) {
        uv_mutex_destroy(&in->lock);
        return false;
    }
    in->news.data = in;
    uv_unref((uv_handle_t *)&in->news);
    return true;
}

struct inproc *inproc__new(uv_loop_t *loop, unsigned threads, struct ph_log *log,
                           exchange_report_fn *report_fn, void *ctx)
{
    struct inproc *in = calloc(1, sizeof(*in));

    if (!in)
        return NULL;
    empty(&in->done);
    empty(&in->answered);
    if (!open_news(in, loop)) {
        free(in);
        return NULL;
    }
    in->loop = loop;
    in->threads = threads;
    in->log = log;
    in->report = report_fn;
    in->ctx = ctx;
    return in;
}

static void lane_free(struct lane *lane)
{
    struct job *job;

    while ((job = lane->spare)) {
        lane->spare = job->next;
        job_drop(job);
    }
    uv_mutex_destroy(&lane->lock);
    free(lane);
}

static void on_closed(uv_handle_t *handle)
{
    struct inproc *in = handle->data;
    struct lane *lane;

    while ((lane = in->lanes)) {
        in->lanes = lane->next;
        lane_free(lane);
    }
    ph_response_free(in->response);
    uv_mutex_destroy(&in->lock);
    free(in);
}

static void free_if_done(struct inproc *in)
{
    for (struct lane *lane = in->lanes; lane; lane = lane->next) {
        if (lane->busy > 0 || lane->jobs)
            return;
    }
    if (!uv_is_closing((uv_handle_t *)&in->news))
        uv_close((uv_handle_t *)&in->news, on_closed);
}

/* The result of one that runs is dropped; one that stands in line goes. */
static void drop(struct job *job)
{
    if (job->exchange)
        exchange__set_shell(job->exchange, NULL);
    job->exchange = NULL;
    if (leave_line(job))
        end(job);
    else if (job->waits && !job->answered)
        withdraw(job);
}

static void close_lane(struct lane *lane)
{
    struct job *next;

    for (struct job *job = lane->jobs; job; job = next) {
        next = job->next;
        drop(job);
    }
    for (unsigned i = 0; i < lane->owner->threads; i++) {
        if (lane->workers[i].busy)
            uv_cancel((uv_req_t *)&lane->workers[i].work); /* fails once it has begun */
    }
}

void inproc__free(struct inproc *in)
{
    if (!in)
        return;
    in->closing = true;
    uv_ref((uv_handle_t *)&in->news);
    for (struct lane *lane = in->lanes; lane; lane = lane->next)
        close_lane(lane);
    free_if_done(in);
}

/* --- What the shell does ------------------------------------------------------------------ */

bool inproc__send(struct inproc *in, struct exchange *x, const struct upstream_request *req)
{
    struct lane *lane = lane_of(in, req->app);
    struct job *job = lane ? job_get(lane) : NULL;

    if (!job)
        return false;
    *job = (struct job){.lane = lane,
                        .exchange = x,
                        .event = req->event,
                        .owner = req->owner,
                        .response = job->response};
    if (job->response)
        hand_over(job, job->response);
    if (!lane->on_loop)
        exchange__limit(x);
    list(job);
    stand_in_line(job);
    exchange__set_shell(x, job);
    return true;
}

void inproc__cancel(struct inproc *in, struct exchange *x)
{
    struct job *job = exchange__shell(x);

    (void)in;
    if (job)
        drop(job);
}

/* By the time that its turn comes, most of what it touches has left the cache. */
static void fetch(const struct job *job)
{
    prefetch__bytes(job->event, sizeof(*job->event));
    prefetch__bytes(job->exchange, FETCH_EXCHANGE);
    if (job->owner)
        session__fetch(job->owner);
}

/* A report may raise the first event for another lane, which is then in front of all. */
unsigned inproc__turn(struct inproc *in, unsigned calls)
{
    unsigned called = 0;
    struct job *job;

    for (struct lane *lane = in->lanes; lane; lane = lane->next) {
        if (!lane->on_loop)
            send_workers(lane);
        while (lane->on_loop && called < calls && (job = take_next(lane))) {
            if (lane->first)
                fetch(lane->first);
            serve_on_loop(job);
            called++;
        }
    }
    return called;
}

/* Where all workers are busy, one of them goes on with the line. */
bool inproc__has_work(const struct inproc *in)
{
    for (struct lane *lane = in->lanes; lane; lane = lane->next) {
        if ((lane->on_loop || lane->busy < in->threads) && line_length(lane, 1) > 0)
            return true;
    }
    return false;
}
