#include "broker/net/inproc.h"

#include "app/app.h"

#include <stdlib.h>

struct job {
    uv_work_t work;
    struct job *next, *previous;
    struct inproc *owner;
    struct exchange *exchange; /* NULL: nobody waits for the result */
    struct ph_app *app;
    struct ph_request *request;
    struct ph_response *response;
    char body[];
};

struct inproc {
    uv_loop_t *loop;
    exchange_report_fn *report;
    void *ctx;
    struct job *jobs;
    bool closing;
};

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

static void served(uv_work_t *work, int status)
{
    struct job *job = work->data;
    struct inproc *in = job->owner;
    struct exchange *x = job->exchange;
    struct exchange_result result = {.response = &job->response->http};

    (void)status; /* cancelled work has no exchange any more */
    unlink_job(job);
    if (x) {
        exchange__set_shell(x, NULL);
        in->report(in->ctx, x, &result);
    }
    job_free(job);
    if (in->closing && !in->jobs)
        free(in);
}

struct inproc *inproc__new(uv_loop_t *loop, exchange_report_fn *report, void *ctx)
{
    struct inproc *in = calloc(1, sizeof(*in));

    if (!in)
        return NULL;
    in->loop = loop;
    in->report = report;
    in->ctx = ctx;
    return in;
}

static void drop(struct job *job)
{
    if (!job->exchange)
        return;
    exchange__set_shell(job->exchange, NULL);
    job->exchange = NULL;
    uv_cancel((uv_req_t *)&job->work); /* fails once the handler runs */
}

void inproc__free(struct inproc *in)
{
    if (!in)
        return;
    in->closing = true;
    for (struct job *job = in->jobs; job; job = job->next)
        drop(job);
    if (!in->jobs)
        free(in);
}

bool inproc__send(struct inproc *in, struct exchange *x, const struct upstream_request *req)
{
    struct job *job = job_new(in, x, req);

    if (!job)
        return false;
    if (uv_queue_work(in->loop, &job->work, serve, served) != 0) {
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
