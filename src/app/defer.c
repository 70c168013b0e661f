/* A token is open until its event ends, in one way only: whoever ends it does so under the
 * lock, and has the call to himself from then on. Callbacks and answers are made without
 * the lock. */
#include "app/defer.h"

#include "app/settings.h"
#include "base/clock.h"
#include "base/deadlines.h"
#include "base/thread.h"

#include <stdatomic.h>
#include <stdlib.h>

#define TOKEN_TAIL 3072 /* for the copy of a usual event */
#define MAX_MEMORY (64u << 20)

enum token_state {
    OPEN, /* with a call: it waits; without: its handler has not returned yet */
    ANSWERED,
    DROPPED, /* by its holders, or by its handler */
    LATE,
    GONE
};

struct ph_deferred {
    struct pending *pending;
    atomic_size_t refs;    /* one for each holder, and one for the reply or the call */
    atomic_size_t holders; /* references that were given out */
    struct ph_event *event;
    const struct app_call *origin; /* the call whose event this is; only to be compared */
    int64_t at_ms;
    unsigned deadline_ms;
    /* under the lock */
    enum token_state state;
    struct app_call *call; /* it waits */
    struct ph_reply *answer, *late;
    struct deadline deadline;
    ph_deferred_notice_fn *notice;
    void *notice_arg;
    void (*free_notice_arg)(void *arg);
    struct arena arena; /* first bytes are the tail of the token's own allocation */
};

struct pending {
    atomic_size_t refs; /* the application and the tokens */
    struct ph_app *app; /* until it is closed */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct deadlines deadlines; /* of those that wait */
    size_t count;               /* open */
    size_t ending;              /* calls that holders of tokens complete just now */
    int64_t wakes_ms;           /* when the thread looks again */
    pthread_t thread;
    bool runs, closing;
};

static const enum ph_err errors[] = {
    [OPEN] = PH_OK,          [ANSWERED] = PH_ERR_STATE, [DROPPED] = PH_ERR_STATE,
    [LATE] = PH_ERR_TIMEOUT, [GONE] = PH_ERR_GONE,
};

static struct ph_deferred *of_deadline(struct deadline *d)
{
    return (struct ph_deferred *)(void *)((char *)d - offsetof(struct ph_deferred, deadline));
}

/* --- References ---------------------------------------------------------------------- */

static void pending_unref(struct pending *p)
{
    if (atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    deadlines__free(&p->deadlines);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static void unref(struct ph_deferred *t)
{
    if (atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    ph_reply_free(t->answer);
    ph_reply_free(t->late);
    if (t->free_notice_arg)
        t->free_notice_arg(t->notice_arg);
    arena__free(&t->arena);
    pending_unref(t->pending);
    free(t);
}

/* --- Ends ------------------------------------------------------------------------------ */

/* Under the lock: an open token is open no more. Returns the call that waited for it, which
 * is the caller's with its reference. */
static struct app_call *end(struct ph_deferred *t, enum token_state state)
{
    struct pending *p = t->pending;
    struct app_call *call = t->call;

    t->state = state;
    t->call = NULL;
    deadlines__clear(&p->deadlines, &t->deadline);
    deadlines__release(&p->deadlines);
    p->count--;
    if (call)
        call->deferred = NULL;
    return call;
}

static void hold(struct ph_deferred *t)
{
    atomic_fetch_add(&t->refs, 1);
    atomic_fetch_add(&t->holders, 1);
}

/* Tells the holders of an end that is not theirs, as one of them (`hold`). */
static void tell(struct ph_deferred *t)
{
    if (t->notice)
        t->notice(t, errors[t->state], t->notice_arg);
    ph_deferred_unref(t);
}

static void expire(struct ph_deferred *t, struct app_call *call)
{
    struct ph_reply *reply = t->late;

    t->late = NULL;
    call->late = true;
    if (reply)
        app__complete(call, reply);
    else
        app__fail(call, 504, "the event was deferred and not answered within %u ms",
                  t->deadline_ms);
    tell(t);
    unref(t); /* before its plugin may go, whose function frees the notice's argument */
    app__done(call);
}

/* --- The application's side ---------------------------------------------------------------- */

static struct ph_deferred *due(struct pending *p, int64_t now)
{
    struct deadline *first = deadlines__first(&p->deadlines);

    p->wakes_ms = first ? first->at_ms : INT64_MAX;
    return first && first->at_ms <= now ? of_deadline(first) : NULL;
}

static void sleep_until(struct pending *p, int64_t at_ms)
{
    const struct timespec at = {(time_t)(at_ms / 1000), (long)(at_ms % 1000) * 1000000};

    if (at_ms == INT64_MAX)
        pthread_cond_wait(&p->changed, &p->lock);
    else
        pthread_cond_timedwait(&p->changed, &p->lock, &at);
}

static void *keep_deadlines(void *arg)
{
    struct pending *p = arg;

    pthread_mutex_lock(&p->lock);
    while (!p->closing) {
        struct ph_deferred *t = due(p, clock__mono_ms());
        struct app_call *call;

        if (!t) {
            sleep_until(p, p->wakes_ms);
            continue;
        }
        hold(t);
        call = end(t, LATE);
        pthread_mutex_unlock(&p->lock);
        expire(t, call);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Under the lock. The thread starts with the first event that is deferred. */
static bool start(struct pending *p)
{
    if (!p->runs && !p->closing)
        p->runs = thread__start(&p->thread, keep_deadlines, p);
    return p->runs;
}

struct pending *pending__new(struct ph_app *app)
{
    struct pending *p = calloc(1, sizeof(*p));
    pthread_condattr_t attr;

    if (!p)
        return NULL;
    p->app = app;
    atomic_init(&p->refs, 1);
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->changed, &attr);
    pthread_condattr_destroy(&attr);
    return p;
}

static void end_all(struct pending *p)
{
    struct deadline *first;

    pthread_mutex_lock(&p->lock);
    while ((first = deadlines__first(&p->deadlines))) {
        struct ph_deferred *t = of_deadline(first);
        struct app_call *call;

        hold(t);
        call = end(t, GONE);
        pthread_mutex_unlock(&p->lock);
        call->gone = true;
        app__fail(call, 503, "the event was deferred, and the application ends");
        tell(t);
        unref(t);
        app__done(call);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
}

/* Whoever has taken a call to answer it needs the application until that is done. */
static void wait_for_the_rest(struct pending *p)
{
    pthread_mutex_lock(&p->lock);
    while (p->ending > 0)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void pending__close(struct pending *p)
{
    bool runs;

    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    runs = p->runs;
    p->runs = false;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
    if (runs)
        pthread_join(p->thread, NULL);
    end_all(p);
    wait_for_the_rest(p);
    pending_unref(p);
}

struct ph_app *pending__lock(struct pending *p)
{
    pthread_mutex_lock(&p->lock);
    return p->closing ? NULL : p->app;
}

void pending__unlock(struct pending *p)
{
    pthread_mutex_unlock(&p->lock);
}

/* --- A call --------------------------------------------------------------------------------- */

/* Under the lock: an open token waits from now on, with the only event that is sure to stay. */
static void wait_for(struct ph_deferred *t, struct app_call *call)
{
    struct pending *p = t->pending;

    t->call = call;
    call->ev = t->event;
    call->deferred = t;
    deadlines__set(&p->deadlines, &t->deadline, t->at_ms);
    if (t->at_ms < p->wakes_ms)
        pthread_cond_signal(&p->changed);
}

bool deferred__wait(struct app_call *call, struct ph_reply **reply)
{
    struct ph_deferred *t = (*reply)->deferred;
    struct pending *p = t->pending;
    enum token_state state;

    (*reply)->deferred = NULL;
    ph_reply_free(*reply);
    pthread_mutex_lock(&p->lock);
    if (t->state == OPEN && t->origin != call)
        end(t, DROPPED); /* it is another event's */
    else if (t->state == OPEN && (call->withdrawn || p->closing))
        end(t, GONE);
    else if (t->state == OPEN)
        wait_for(t, call);
    state = t->state;
    *reply = t->answer;
    t->answer = NULL;
    pthread_mutex_unlock(&p->lock);
    if (state == OPEN)
        return true;
    if (state == GONE) {
        call->gone = true;
        hold(t);
        tell(t);
        *reply = ph_reply_reject(503, NULL);
    }
    unref(t);
    return false;
}

bool deferred__withdraw(struct app_call *call)
{
    struct pending *p = call->app->pending;
    struct ph_deferred *t;

    pthread_mutex_lock(&p->lock);
    t = call->deferred;
    call->withdrawn = true;
    if (t) {
        hold(t);
        end(t, GONE);
    }
    pthread_mutex_unlock(&p->lock);
    if (!t)
        return false;
    tell(t);
    unref(t);
    return true;
}

/* --- The handlers' side ----------------------------------------------------------------------- */

/* Counts one more. False: there are too many (*full), or what it takes is not to be had. */
static bool admit(struct pending *p, size_t max, bool *full)
{
    bool admitted;

    pthread_mutex_lock(&p->lock);
    *full = p->count >= max;
    admitted = !*full && start(p) && deadlines__reserve(&p->deadlines);
    p->count += admitted;
    pthread_mutex_unlock(&p->lock);
    if (admitted)
        atomic_fetch_add(&p->refs, 1);
    return admitted;
}

static bool keep_event(struct ph_deferred *t, const struct ph_event *ev)
{
    const struct ph_app *app = ev->call->app;
    const struct event_limits limits = {(uint32_t)app->limits[PH_LIMIT_JSON_DEPTH]};
    struct diag diag;

    arena__init(&t->arena, t + 1, TOKEN_TAIL, MAX_MEMORY + 2 * app->limits[PH_LIMIT_BODY]);
    return event__keep(&t->arena, ev, &limits, &t->event, &diag) == PH_OK;
}

static struct ph_deferred *new_token(const struct ph_event *ev, unsigned deadline_ms)
{
    struct ph_deferred *t = malloc(sizeof(*t) + TOKEN_TAIL);

    if (!t)
        return NULL;
    *t = (struct ph_deferred){.pending = ev->call->app->pending,
                              .origin = ev->call,
                              .deadline_ms = deadline_ms,
                              .at_ms = clock__mono_ms() + deadline_ms};
    atomic_init(&t->refs, 2);
    atomic_init(&t->holders, 1);
    if (keep_event(t, ev)) {
        t->event->pending = t->pending;
        return t;
    }
    arena__free(&t->arena);
    free(t);
    return NULL;
}

static void take_back(struct pending *p)
{
    pthread_mutex_lock(&p->lock);
    p->count--;
    deadlines__release(&p->deadlines);
    pthread_mutex_unlock(&p->lock);
    pending_unref(p);
}

/* Under the lock: an open token ends by one of its holders, who must `finish` the call, if
 * there is one. */
static struct app_call *take(struct ph_deferred *t, enum token_state state)
{
    struct app_call *call = end(t, state);

    t->pending->ending += call != NULL;
    return call;
}

static void finish(struct ph_deferred *t, struct app_call *call)
{
    struct pending *p = t->pending;

    app__done(call);
    pthread_mutex_lock(&p->lock);
    if (--p->ending == 0 && p->closing)
        pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
    unref(t);
}

static void drop(struct ph_deferred *t)
{
    struct app_call *call = NULL;

    pthread_mutex_lock(&t->pending->lock);
    if (t->state == OPEN)
        call = take(t, DROPPED);
    pthread_mutex_unlock(&t->pending->lock);
    if (!call)
        return;
    app__fail(call, 500, "the handler deferred this event and then dropped it unanswered");
    finish(t, call);
}

/* The handler has not returned the reply. */
static void drop_reply(struct ph_deferred *t)
{
    drop(t);
    unref(t);
}

static struct ph_reply *refuse_one_more(const struct ph_event *ev, size_t max)
{
    log__warn(ev->call->app->log,
              LOG_FIELDS("status", "503", "hub", ph_event_hub(ev), "event", ph_event_name(ev)),
              "%zu deferred events wait for their answers, which is all that PH_LIMIT_PENDING "
              "allows",
              max);
    return ph_reply_reject(503, NULL);
}

struct ph_reply *ph_reply_defer(const struct ph_event *ev, unsigned deadline_ms,
                                struct ph_deferred **token)
{
    struct ph_app *app = ev && ev->call ? ev->call->app : NULL;
    struct ph_reply *reply;
    bool full;

    *token = NULL;
    if (!app)
        return NULL;
    if (!admit(app->pending, app->limits[PH_LIMIT_PENDING], &full))
        return full ? refuse_one_more(ev, app->limits[PH_LIMIT_PENDING]) : NULL;
    if (deadline_ms == 0)
        deadline_ms = (unsigned)app->limits[PH_LIMIT_REQUEST_MS];
    *token = new_token(ev, deadline_ms);
    if (!*token) {
        take_back(app->pending);
        return NULL;
    }
    reply = reply__deferred(*token, drop_reply);
    if (reply)
        return reply;
    drop_reply(*token);
    ph_deferred_unref(*token);
    *token = NULL;
    return NULL;
}

const struct ph_event *ph_deferred_event(const struct ph_deferred *token)
{
    return token->event;
}

static bool is_answer(const struct ph_reply *reply)
{
    return !reply ||
           (reply__is_genuine(reply) && reply->kind != REPLY_PASS && reply->kind != REPLY_DEFERRED);
}

enum ph_err ph_deferred_answer(struct ph_deferred *token, struct ph_reply *reply)
{
    struct app_call *call = NULL;
    enum ph_err err;

    if (!is_answer(reply)) {
        ph_reply_free(reply);
        return PH_ERR_ARGUMENT;
    }
    pthread_mutex_lock(&token->pending->lock);
    err = errors[token->state];
    if (err == PH_OK) {
        call = take(token, ANSWERED);
        token->answer = call ? NULL : reply;
    }
    pthread_mutex_unlock(&token->pending->lock);
    if (err != PH_OK)
        ph_reply_free(reply);
    if (!call)
        return err;
    app__complete(call, reply);
    finish(token, call);
    return PH_OK;
}

enum ph_err ph_deferred_at_deadline(struct ph_deferred *token, struct ph_reply *reply)
{
    struct ph_reply *unused = reply;
    enum ph_err err = reply && is_answer(reply) ? PH_OK : PH_ERR_ARGUMENT;

    pthread_mutex_lock(&token->pending->lock);
    if (err == PH_OK)
        err = errors[token->state];
    if (err == PH_OK) {
        unused = token->late;
        token->late = reply;
    }
    pthread_mutex_unlock(&token->pending->lock);
    ph_reply_free(unused);
    return err;
}

enum ph_err ph_deferred_on_cancel(struct ph_deferred *token, ph_deferred_notice_fn *notice,
                                  void *arg, void (*free_fn)(void *arg))
{
    enum ph_err err = notice ? PH_OK : PH_ERR_ARGUMENT;

    pthread_mutex_lock(&token->pending->lock);
    if (err == PH_OK)
        err = token->notice ? PH_ERR_STATE : errors[token->state];
    if (err == PH_OK) {
        token->notice = notice;
        token->notice_arg = arg;
        token->free_notice_arg = free_fn;
    }
    pthread_mutex_unlock(&token->pending->lock);
    if (err != PH_OK && free_fn)
        free_fn(arg);
    return err;
}

struct ph_deferred *ph_deferred_ref(struct ph_deferred *token)
{
    hold(token);
    return token;
}

void ph_deferred_unref(struct ph_deferred *token)
{
    if (!token)
        return;
    if (atomic_fetch_sub(&token->holders, 1) == 1)
        drop(token);
    unref(token);
}
