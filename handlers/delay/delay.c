/* delay: answers each user event with its own data, some time later. A handler that defers its
 * replies (pubhook/defer.h): one thread answers all, however many events wait.
 *
 *     pubhookd --plugin 'delay.so?after=2s' --access-key KEY
 *
 * Configuration:
 *   after=TIME   time to the answer: 0ms to 60s, default 1s */
#include <pthread.h>
#include <pubhook/plugin.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define MAX_MS 60000
#define DEADLINE_MS (MAX_MS + 30000)

/* An event that waits. */
struct waiting {
    struct waiting *next;
    struct ph_deferred *token;
    struct timespec at;
};

struct delay {
    long ms;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool closing;
    struct waiting *first, **last; /* the delay is the same for all, so they are in order */
};

static struct timespec in_ms(long ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

static bool has_come(const struct timespec *at)
{
    struct timespec now = in_ms(0);

    return now.tv_sec > at->tv_sec || (now.tv_sec == at->tv_sec && now.tv_nsec >= at->tv_nsec);
}

static struct waiting *take(struct delay *d)
{
    struct waiting *w = d->first;

    d->first = w->next;
    if (!d->first)
        d->last = &d->first;
    return w;
}

/* Sleeps until one is due. NULL: the plugin is being closed. */
static struct waiting *next_due(struct delay *d)
{
    struct waiting *w = NULL;

    pthread_mutex_lock(&d->lock);
    while (!d->closing && !w) {
        if (!d->first)
            pthread_cond_wait(&d->changed, &d->lock);
        else if (!has_come(&d->first->at))
            pthread_cond_timedwait(&d->changed, &d->lock, &d->first->at);
        else
            w = take(d);
    }
    pthread_mutex_unlock(&d->lock);
    return w;
}

/* That the client may have gone meanwhile (PH_ERR_GONE) is of no matter here. */
static void answer(struct waiting *w)
{
    const struct ph_event *ev = ph_deferred_event(w->token);
    size_t len;
    const void *data = ph_event_data(ev, &len);

    ph_deferred_answer(w->token, ph_reply_data(ph_event_data_type(ev), data, len));
    ph_deferred_unref(w->token);
    free(w);
}

static void *run(void *state)
{
    struct waiting *w;

    while ((w = next_due(state)))
        answer(w);
    return NULL;
}

static void add(struct delay *d, struct waiting *w)
{
    pthread_mutex_lock(&d->lock);
    w->at = in_ms(d->ms);
    *d->last = w;
    d->last = &w->next;
    pthread_cond_signal(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

static struct ph_reply *on_event(const struct ph_event *ev, void *state)
{
    struct waiting *w = calloc(1, sizeof(*w));
    struct ph_reply *reply;

    if (!w)
        return NULL;
    reply = ph_reply_defer(ev, DEADLINE_MS, &w->token);
    if (w->token)
        add(state, w);
    else
        free(w);
    return reply;
}

static struct ph_reply *on_connect(const struct ph_event *ev, void *state)
{
    (void)ev, (void)state;
    return ph_reply_accept();
}

static const struct ph_plugin_handler handlers[] = {
    {PH_EVENT_CONNECT, NULL, on_connect},
    {PH_EVENT_USER, "*", on_event},
    {0, NULL, NULL},
};

static const struct ph_plugin_option options[] = {
    {.name = "after",
     .type = PH_OPTION_DURATION,
     .help = "time to the answer",
     .preset = "1s",
     .least = 0,
     .most = MAX_MS},
    {.name = NULL},
};

static bool start(struct delay *d)
{
    pthread_condattr_t attr;

    d->last = &d->first;
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&d->changed, &attr);
    pthread_condattr_destroy(&attr);
    return pthread_create(&d->thread, NULL, run, d) == 0;
}

static void delay_free(struct delay *d)
{
    while (d->first) {
        struct waiting *w = take(d);

        ph_deferred_unref(w->token);
        free(w);
    }
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

static enum ph_err open_delay(struct ph_plugin_config *config, void **state)
{
    struct delay *d = calloc(1, sizeof(*d));

    ph_plugin_config_never_blocks(config);
    if (!d)
        return PH_ERR_MEMORY;
    d->ms = (long)ph_plugin_config_int(config, "after");
    if (!start(d)) {
        delay_free(d);
        return ph_plugin_config_fail(config, "cannot start a thread");
    }
    *state = d;
    return PH_OK;
}

static void close_delay(void *state)
{
    struct delay *d = state;

    pthread_mutex_lock(&d->lock);
    d->closing = true;
    pthread_cond_signal(&d->changed);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->thread, NULL);
    delay_free(d);
}

static const struct ph_plugin plugin = {
    PH_PLUGIN_HEAD, "delay", PH_VERSION, open_delay, close_delay, handlers, options,
};

PH_PLUGIN(plugin)
