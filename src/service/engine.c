#include "service/engine.h"

#include "curl/sigpipe.h"
#include "pubhook/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MAX_IDLE 16

/* --- Who calls ----------------------------------------------------------------------- */

struct identity *engine__identity(struct engine *e)
{
    struct identity *identity;

    pthread_mutex_lock(&e->lock);
    identity = identity__ref(e->identity);
    pthread_mutex_unlock(&e->lock);
    return identity;
}

void engine__set_identity(struct engine *e, struct identity *identity)
{
    struct identity *before;

    pthread_mutex_lock(&e->lock);
    before = e->identity;
    e->identity = identity;
    pthread_mutex_unlock(&e->lock);
    identity__unref(before);
}

/* --- Connections --------------------------------------------------------------------- */

struct attempt *engine__take(struct engine *e)
{
    struct attempt *attempt;

    pthread_mutex_lock(&e->lock);
    attempt = e->idle;
    if (attempt) {
        e->idle = attempt->next;
        e->idle_count--;
    }
    pthread_mutex_unlock(&e->lock);
    return attempt ? attempt : attempt__open(&e->attempts);
}

void engine__put(struct engine *e, struct attempt *attempt)
{
    pthread_mutex_lock(&e->lock);
    if (e->idle_count < MAX_IDLE) {
        attempt->next = e->idle;
        e->idle = attempt;
        e->idle_count++;
        attempt = NULL;
    }
    pthread_mutex_unlock(&e->lock);
    attempt__close(attempt);
}

/* --- Calls that wait ----------------------------------------------------------------- */

static void wait_ms(int64_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    while (nanosleep(&left, &left) != 0)
        ;
}

static void perform(struct engine *e, struct errand *c)
{
    struct attempt *attempt = engine__take(e);
    int64_t pause = 0;

    if (!attempt) {
        result__fail(c->result, PH_ERR_MEMORY, "out of memory");
        return;
    }
    while (pause >= 0 && errand__prepare(c, attempt)) {
        pause = errand__judge(c, &e->rules, attempt, curl_easy_perform(attempt->call.easy));
        if (pause > 0)
            wait_ms(pause);
    }
    engine__put(e, attempt);
}

struct ph_service_result *engine__call(struct engine *e, struct str hub,
                                       const struct ph_service_request *request)
{
    struct errand c;
    struct sigpipe sigpipe;
    bool ready = errand__init(&c, &e->rules, engine__identity(e), hub, request);

    if (ready && atomic_load(&e->may_not_wait)) {
        result__fail(c.result, PH_ERR_STATE,
                     "%s: this handler runs on a loop that must not wait: use ph_service_post or "
                     "ph_service_start",
                     c.out.operation->name);
    } else if (ready) {
        sigpipe__hold(&sigpipe);
        perform(e, &c);
        sigpipe__release(&sigpipe);
    }
    return errand__finish(&c);
}

/* --- Calls that do not --------------------------------------------------------------- */

struct background *engine__has_background(struct engine *e)
{
    struct background *b;

    pthread_mutex_lock(&e->lock);
    b = e->background;
    pthread_mutex_unlock(&e->lock);
    return b;
}

struct background *engine__background(struct engine *e)
{
    struct background *b;

    pthread_mutex_lock(&e->lock);
    if (!e->background)
        e->background = background__new(&e->in_background);
    b = e->background;
    pthread_mutex_unlock(&e->lock);
    return b;
}

/* --- Life ---------------------------------------------------------------------------- */

static unsigned or_default(unsigned value, unsigned otherwise)
{
    return value ? value : otherwise;
}

static bool copy_text(char **out, const char *text)
{
    *out = text ? strdup(text) : NULL;
    return *out || !text;
}

static bool make_user_agent(struct engine *e, const char *more)
{
    if (asprintf(&e->user_agent, "%s%spubhook/" PH_VERSION, more ? more : "", more ? " " : "") < 0)
        e->user_agent = NULL;
    return e->user_agent;
}

static bool copy_options(struct engine *e, const struct ph_service_options *o)
{
    int retries = o->retries ? o->retries : 3;

    e->rules =
        (struct errand_rules){.retry = {.retries = retries > 0 ? (unsigned)retries : 0,
                                        .pause_ms = or_default(o->retry_pause_ms, 800),
                                        .pause_max_ms = or_default(o->retry_pause_max_ms, 10000)},
                              .timeout_ms = or_default(o->timeout_ms, 30000)};
    if (!copy_text(&e->proxy, o->proxy) || !copy_text(&e->ca_file, o->ca_file) ||
        !make_user_agent(e, o->user_agent))
        return false;
    e->attempts =
        (struct attempt_options){.proxy = e->proxy,
                                 .ca_file = e->ca_file,
                                 .user_agent = e->user_agent,
                                 .connect_timeout_ms = or_default(o->connect_timeout_ms, 10000),
                                 .max_answer = o->max_answer ? o->max_answer : 1u << 20};
    e->in_background =
        (struct background_config){.rules = &e->rules,
                                   .attempts = &e->attempts,
                                   .max_connections = or_default(o->max_connections, 16),
                                   .max_pending = or_default(o->max_pending, 1000),
                                   .thread = o->thread,
                                   .log = o->log,
                                   .failed = o->failed,
                                   .failed_arg = o->failed_arg};
    return true;
}

static enum ph_err check_options(const struct ph_service_options *o, struct diag *diag)
{
    if (o->user_agent && str__has_control(str__of(o->user_agent)))
        return diag__set(diag, PH_ERR_ARGUMENT, "user_agent: expected printable ASCII");
    return PH_OK;
}

static void release(struct engine *e)
{
    struct attempt *attempt;

    background__free(e->background);
    while ((attempt = e->idle)) {
        e->idle = attempt->next;
        attempt__close(attempt);
    }
    identity__unref(e->identity);
    free(e->proxy);
    free(e->ca_file);
    free(e->user_agent);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

static struct engine *make(void)
{
    struct engine *e = calloc(1, sizeof(*e));

    if (!e)
        return NULL;
    if (pthread_mutex_init(&e->lock, NULL) != 0) {
        free(e);
        return NULL;
    }
    atomic_init(&e->refs, 1);
    return e;
}

/* Threads: curl_global_init counts, and locks since 7.84. */
enum ph_err engine__new(const char *connection_string, const struct ph_service_options *options,
                        struct engine **out, struct diag *diag)
{
    enum ph_err err = check_options(options, diag);
    struct engine *e;

    if (err)
        return err;
    e = make();
    if (!e || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        if (e)
            release(e);
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    }
    err = identity__new(connection_string, options, &e->identity, diag);
    if (!err && !copy_options(e, options))
        err = diag__set(diag, PH_ERR_MEMORY, "out of memory");
    if (err)
        engine__unref(e);
    else
        *out = e;
    return err;
}

struct engine *engine__ref(struct engine *e)
{
    atomic_fetch_add(&e->refs, 1);
    return e;
}

void engine__unref(struct engine *e)
{
    if (atomic_fetch_sub(&e->refs, 1) != 1)
        return;
    release(e);
    curl_global_cleanup();
}
