#include "broker/net/inproc.h"

#include "app/app.h"

#include <stdlib.h>

struct job {
    uv_work_t work;
    struct job *next, *previous; /* of all jobs */
    struct job *behind;          /* in its lane */
    struct lane *lane;
    bool started; /* a worker thread has it, or will */
    struct inproc *owner;
    struct exchange *exchange; /* NULL: nobody waits for the result */
    struct ph_app *app;
    struct ph_request *request;
    struct ph_response *response;
    char body[];
};

/* The jobs of one application. Those that no thread may take yet stand in line. */
struct lane {
    struct lane *next;
    struct ph_app *app;
    unsigned running;
    struct job *first, **last;
};

struct inproc {
    uv_loop_t *loop;
    unsigned threads; /* that one application may use at a time */
    struct lane *lanes;
    exchange_report_fn *report;
    void *ctx;
    struct job *jobs;
    bool closing;
};

/* The lanes are as many as there are plugins. */
static struct lane *lane_of(struct inproc *in, struct ph_app *app)
{
    struct lane *lane = in->lanes;

    while (lane && lane->app != app)
        lane = lane->next;
    if (lane)
        return lane;
    lane = calloc(1, sizeof(*lane));
    if (!lane)
        return NULL;
    lane->app = app;
    lane->last = &lane->first;
    lane->next = in->lanes;
    in->lanes = lane;
    return lane;
}

static void stand_in_line(struct job *job)
{
    job->behind = NULL;
    *job->lane->last = job;
    job->lane->last = &job->behind;
}

static void leave_line(struct job *job)
{
    struct job **at = &job->lane->first;

    while (*at != job)
        at = &(*at)->behind;
    *at = job->behind;
    if (job->lane->last == &job->behind)
        job->lane->last = at;
}

static void free_all(struct inproc *in)
{
    struct lane *lane;

    while ((lane = in->lanes)) {
        in->lanes = lane->next;
        free(lane);
    }
    free(in);
}

static void job_free(struct job *job)
{
    ph_request_free(job->request);
    ph_response_free(job->response);
    free(job);
}

static bool copy_request(struct job *job, const struct http_request *http)
{
    char *path = strndup(app__path(job->app).ptr, app__path(job->app).len);

    job->request = path ? ph_request_new("POST", path) : NULL;
    free(path);
    if (!job->request)
        return false;
    for (size_t i = 0; i < http->headers.count; i++) {
        const struct http_header *h = &http->headers.items[i];

        if (ph_request_add_header(job->request, h->name.ptr, h->name.len, h->value.ptr,
                                  h->value.len) != PH_OK)
            return false;
    }
    if (http->body.len > 0)
        memcpy(job->body, http->body.ptr, http->body.len);
    ph_request_set_body(job->request, job->body, http->body.len);
    return true;
}

static struct job *job_new(struct inproc *in, struct exchange *x,
                           const struct upstream_request *req)
{
    struct job *job = calloc(1, sizeof(*job) + req->http->body.len + 1);

    if (!job)
        return NULL;
    job->owner = in;
    job->exchange = x;
    job->app = req->app;
    job->work.data = job;
    job->response = ph_response_new();
    if (!job->response || !copy_request(job, req->http)) {
        job_free(job);
        return NULL;
    }
    return job;
}

/* On a worker thread. What goes wrong is in the response. */
static void serve(uv_work_t *work)
{
    struct job *job = work->data;

    ph_app_serve(job->app, job->request, job->response);
}

static void unlink_job(struct job *job)
{
    if (job->previous)
        job->previous->next = job->next;
    else
        job->owner->jobs = job->next;
    if (job->next)
        job->next->previous = job->previous;
}

static void served(uv_work_t *work, int status);

static bool start(struct job *job)
{
    job->started = uv_queue_work(job->owner->loop, &job->work, serve, served) == 0;
    job->lane->running += job->started;
    return job->started;
}

/* A thread is free for this application. Queuing work that libuv took once does not fail. */
static void start_next(struct lane *lane)
{
    struct job *job = lane->first;

    if (!job)
        return;
    leave_line(job);
    start(job);
}

static void served(uv_work_t *work, int status)
{
    struct job *job = work->data;
    struct inproc *in = job->owner;
    struct exchange *x = job->exchange;
    struct exchange_result result = {.response = &job->response->http};

    (void)status; /* cancelled work has no exchange any more */
    unlink_job(job);
    job->lane->running--;
    start_next(job->lane);
    if (x) {
        exchange__set_shell(x, NULL);
        in->report(in->ctx, x, &result);
    }
    job_free(job);
    if (in->closing && !in->jobs)
        free_all(in);
}

struct inproc *inproc__new(uv_loop_t *loop, unsigned threads, exchange_report_fn *report, void *ctx)
{
    struct inproc *in = calloc(1, sizeof(*in));

    if (!in)
        return NULL;
    in->loop = loop;
    in->threads = threads;
    in->report = report;
    in->ctx = ctx;
    return in;
}

/* The result of one that runs is dropped; one that stands in line goes. */
static void drop(struct job *job)
{
    if (job->exchange)
        exchange__set_shell(job->exchange, NULL);
    job->exchange = NULL;
    if (job->started) {
        uv_cancel((uv_req_t *)&job->work); /* fails once the handler runs */
        return;
    }
    leave_line(job);
    unlink_job(job);
    job_free(job);
}

void inproc__free(struct inproc *in)
{
    struct job *next;

    if (!in)
        return;
    in->closing = true;
    for (struct job *job = in->jobs; job; job = next) {
        next = job->next;
        drop(job);
    }
    if (!in->jobs)
        free_all(in);
}

bool inproc__send(struct inproc *in, struct exchange *x, const struct upstream_request *req)
{
    struct lane *lane = lane_of(in, req->app);
    struct job *job = lane ? job_new(in, x, req) : NULL;

    if (!job)
        return false;
    job->lane = lane;
    if (lane->running >= in->threads) {
        stand_in_line(job);
    } else if (!start(job)) {
        job_free(job);
        return false;
    }
    job->next = in->jobs;
    if (job->next)
        job->next->previous = job;
    in->jobs = job;
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
