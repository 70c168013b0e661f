#include "app/workers.h"

#include "base/thread.h"

#include <stdlib.h>

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t some;
    work_fn *work;
    struct app_call *first, **last;
    size_t length, queue;
    bool ending;
    unsigned count; /* threads that run */
    pthread_t threads[];
};

/* Under the lock. */
static void take(struct workers *w, struct app_call **at)
{
    struct app_call *call = *at;

    *at = call->behind;
    if (w->last == &call->behind)
        w->last = at;
    call->stands_in_line = false;
    w->length--;
}

static struct app_call *next(struct workers *w)
{
    struct app_call *call;

    pthread_mutex_lock(&w->lock);
    while (!w->first && !w->ending)
        pthread_cond_wait(&w->some, &w->lock);
    call = w->first;
    if (call)
        take(w, &w->first);
    pthread_mutex_unlock(&w->lock);
    return call;
}

static void *run(void *arg)
{
    struct workers *w = arg;
    struct app_call *call;

    while ((call = next(w)))
        w->work(call);
    return NULL;
}

bool workers__give(struct workers *w, struct app_call *call)
{
    bool room;

    pthread_mutex_lock(&w->lock);
    room = w->length < w->queue;
    if (room) {
        call->behind = NULL;
        call->stands_in_line = true;
        *w->last = call;
        w->last = &call->behind;
        w->length++;
        pthread_cond_signal(&w->some);
    }
    pthread_mutex_unlock(&w->lock);
    return room;
}

bool workers__take_back(struct workers *w, struct app_call *call)
{
    struct app_call **at;
    bool stood;

    pthread_mutex_lock(&w->lock);
    stood = call->stands_in_line;
    if (stood) {
        for (at = &w->first; *at != call; at = &(*at)->behind)
            ;
        take(w, at);
    }
    pthread_mutex_unlock(&w->lock);
    return stood;
}

unsigned workers__threads(const struct workers *w)
{
    return w->count;
}

size_t workers__queue(const struct workers *w)
{
    return w->queue;
}

static bool start(struct workers *w, unsigned threads)
{
    while (w->count < threads && thread__start(&w->threads[w->count], run, w))
        w->count++;
    return w->count == threads;
}

struct workers *workers__new(unsigned threads, size_t queue, work_fn *work)
{
    struct workers *w = calloc(1, sizeof(*w) + threads * sizeof(*w->threads));

    if (!w)
        return NULL;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->some, NULL);
    w->last = &w->first;
    w->queue = queue;
    w->work = work;
    if (start(w, threads))
        return w;
    workers__free(w);
    return NULL;
}

void workers__free(struct workers *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->ending = true;
    pthread_cond_broadcast(&w->some);
    pthread_mutex_unlock(&w->lock);
    while (w->count > 0)
        pthread_join(w->threads[--w->count], NULL);
    pthread_cond_destroy(&w->some);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
