#include "broker/net/shard.h"

#include "base/clock.h"
#include "base/hex.h"
#include "base/random.h"
#include "base/url.h"
#include "broker/net/admission.h"
#include "broker/net/front.h"
#include "broker/net/handler_tokens.h"
#include "broker/net/news.h"
#include "broker/net/publisher.h"
#include "broker/net/relay.h"
#include "ws/ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WEBHOOK_SHARES 8
#define HANDLER_CALLS 1024 /* of handlers on the loop, before sockets have their turn */
#define MORE_LOOKS 16      /* at what has come, before much is written */
#define CONGESTION_MS 1    /* between two looks at a mailbox that is too full */
#define SHUTDOWN_TEXT "The service is shutting down."

int64_t shard__now(const struct shard *s)
{
    return (int64_t)uv_now(&s->loop);
}

bool shard__draining(const struct shard *s)
{
    return s->drain_until > 0;
}

void shard__post(struct shard *s, struct letter *letter)
{
    mailbox__post(&s->mailbox, letter);
}

/* --- Effects of the core ------------------------------------------------------ */

static void on_publish(void *ctx, const struct hub_command *cmd)
{
    relay__publish(ctx, cmd);
}

static const char *on_event(void *ctx, struct session *session, const struct user_event *event)
{
    const struct upstream_event e = {.name = event->name,
                                     .type = event->type,
                                     .data = event->data,
                                     .metadata = event->metadata,
                                     .ticket = event->ticket};

    return upstream__event(session__peer(session), &e, shard__now(ctx), clock__coarse_unix_ms());
}

static void on_presence(void *ctx, struct session *session, bool joined, struct str group)
{
    if (session__peer(session))
        upstream__presence(session__peer(session), joined, group, shard__now(ctx),
                           clock__coarse_unix_ms());
}

static void on_hub_rules(void *ctx, struct str hub, struct hub_rules *out)
{
    const struct shard *s = ctx;
    const struct hub_settings *settings = settings__hub(s->settings, hub);
    const struct hub_compatibility *as = &settings->compatibility;

    *out = (struct hub_rules){
        .close_on_failed = as->close_on_failed_event,
        .close_on_failed_ack = as->close_on_failed_ack_event,
        .invocation_failed = as->invocation_failed,
        .normal_raw_close = as->normal_raw_close,
    };
    for (size_t i = 0; i < settings->handler_count; i++)
        out->presence |= settings->handlers[i].presence_events != 0;
}

static void on_cancel_event(void *ctx, struct session *session, uint64_t ticket)
{
    upstream__cancel(session__peer(session), ticket, shard__now(ctx));
}

static void on_relieve(void *ctx, struct transport *t)
{
    (void)ctx;
    transport__relieve(t);
}

static void on_close(void *ctx, struct transport *t, uint16_t code, struct str reason)
{
    (void)ctx;
    transport__close(t, code, reason);
}

static void on_abort(void *ctx, struct transport *t)
{
    (void)ctx;
    transport__abort(t);
}

static void on_ended(void *ctx, struct session *session, struct str reason)
{
    if (session__peer(session))
        upstream__disconnected(session__peer(session), reason, shard__now(ctx),
                               clock__coarse_unix_ms());
}

static int64_t now_of(void *ctx)
{
    return shard__now(ctx);
}

static int64_t unix_of(void *ctx)
{
    (void)ctx;
    return clock__unix_ms();
}

static const struct core_ops core_ops = {
    .publish = on_publish,
    .event = on_event,
    .presence = on_presence,
    .hub_rules = on_hub_rules,
    .cancel_event = on_cancel_event,
    .relieve = on_relieve,
    .close = on_close,
    .abort = on_abort,
    .ended = on_ended,
    .now_ms = now_of,
    .unix_ms = unix_of,
};

/* --- Effects of upstream -------------------------------------------------------- */

static bool on_send(void *ctx, struct exchange *x, const struct upstream_request *req)
{
    struct shard *s = ctx;

    relay__deliver(s);
    return req->app ? inproc__send(s->inproc, x, req) : webhook__send(s->webhook, x, req);
}

static void on_cancel(void *ctx, struct exchange *x)
{
    struct shard *s = ctx;

    if (exchange__in_process(x))
        inproc__cancel(s->inproc, x);
    else
        webhook__cancel(s->webhook, x);
}

static void on_connect_done(void *ctx, void *token, int status, const struct answer *answer,
                            const char *why)
{
    (void)ctx;
    admission__decided(token, status, answer, why);
}

static void on_event_done(void *ctx, void *owner, uint64_t ticket, const struct answer *answer,
                          bool no_handler, const char *why)
{
    struct event_answer a = {
        .success = answer && answer->success, .failure = why, .no_handler = no_handler};

    (void)ctx;
    if (answer && !answer->success) {
        a.status = answer->status;
        a.refusal = answer__refusal_text(answer);
    }
    if (a.success && answer->has_data) {
        a.has_data = true;
        a.type = answer->type;
        a.data = answer->data;
        a.metadata = answer->metadata;
    }
    session__event_answer(owner, ticket, &a);
}

/* A version 4 UUID (RFC 9562 section 5.4). One for each event: no printf here. */
static void on_make_guid(void *ctx, char out[37])
{
    struct shard *s = ctx;
    uint8_t b[16] = {0};

    random__take(&s->random, b, sizeof(b));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    out = hex__put(out, b, 4);
    *out++ = '-';
    out = hex__put(out, b + 4, 2);
    *out++ = '-';
    out = hex__put(out, b + 6, 2);
    *out++ = '-';
    out = hex__put(out, b + 8, 2);
    *out++ = '-';
    *hex__put(out, b + 10, 6) = '\0';
}

static bool on_is_news(void *ctx, struct str url, bool consent)
{
    const struct shard *s = ctx;

    return news__is(s->broker->news, url, consent);
}

static struct upstream_outage *on_outage(void *ctx, struct str identity)
{
    const struct shard *s = ctx;

    return news__outage(s->broker->news, identity);
}

static void on_note(void *ctx, const struct upstream_note *note)
{
    struct shard *s = ctx;

    relay__deliver(s);
    publisher__publish(s->broker->publisher, note);
}

static bool on_token(void *ctx, const struct handler_auth *auth, struct upstream_token *out)
{
    const struct shard *s = ctx;

    return handler_tokens__get(s->broker->tokens, auth, out);
}

static void on_token_refused(void *ctx, const struct handler_auth *auth, uint64_t serial)
{
    const struct shard *s = ctx;

    handler_tokens__refused(s->broker->tokens, auth, serial);
}

static const struct upstream_ops upstream_ops = {
    .send = on_send,
    .cancel = on_cancel,
    .connect_done = on_connect_done,
    .event_done = on_event_done,
    .token = on_token,
    .token_refused = on_token_refused,
    .make_guid = on_make_guid,
    .is_news = on_is_news,
    .outage = on_outage,
    .publish = on_note,
};

static void on_report(void *ctx, struct exchange *x, const struct exchange_result *result)
{
    upstream__done(x, result, shard__now(ctx));
}

/* --- The loop --------------------------------------------------------------------- */

static void on_trim(void *ctx)
{
    struct shard *s = ctx;

    frame__free_spare();
    upstream__free_spare(s->upstream);
}

static void on_wake(uv_async_t *handle)
{
    struct shard *s = handle->data;

    mailbox__read(&s->mailbox);
}

static void wake(void *reader)
{
    struct shard *s = reader;

    uv_async_send(&s->wake);
}

/* The timer only ends the sleep; what is due is done at the end of the turn. */
static void on_timer(uv_timer_t *handle)
{
    struct shard *s = handle->data;

    s->timer_at = INT64_MAX;
}

static void set_timer(struct shard *s, int64_t at)
{
    int64_t now = shard__now(s);

    if (at == s->timer_at)
        return;
    s->timer_at = at;
    if (at == INT64_MAX)
        uv_timer_stop(&s->timer);
    else
        uv_timer_start(&s->timer, on_timer, at > now ? (uint64_t)(at - now) : 0, 0);
}

static void check_drained(struct shard *s)
{
    if (s->drain_until == 0 || s->drained)
        return;
    if (shard__now(s) < s->drain_until &&
        (s->transports.count > 0 || upstream__pending(s->upstream) > 0 || front__is_busy(s->front)))
        return;
    s->drained = true;
    sem_post((sem_t *)&s->broker->drained);
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A shard whose clients send faster than another can deliver would fill the other's
 * mailbox: it leaves the bytes in the clients' sockets. The mailbox itself is read all
 * the time, so two shards cannot wait for each other. Returns when to look again. */
static int64_t hold_back(struct shard *s, int64_t now)
{
    bool congested = relay__congested(s);

    poller__pause(&s->transports.poller, congested);
    return congested ? now + CONGESTION_MS : INT64_MAX;
}

void shard__gauge(struct shard *s)
{
    metrics__set(s->metrics, METRIC_SOCKETS, s->transports.count);
    metrics__set(s->metrics, METRIC_BLOCKED, s->transports.blocked);
    metrics__set(s->metrics, METRIC_DETACHED, core__detached_count(s->core));
    metrics__set(s->metrics, METRIC_PENDING_EVENTS, upstream__pending(s->upstream));
}

/* Writing one more message to a client costs next to nothing while one is written anyway. So
 * where many are to be written to, what has come in the meantime goes along. */
static void look_again(struct shard *s)
{
    for (int i = 0; i < MORE_LOOKS && core__is_patient(s->core); i++) {
        bool letters = mailbox__read(&s->mailbox);

        if (!poller__look(&s->transports.poller) && !letters)
            return;
    }
}

/* Answers bring the next events of their connections, and let in those that waited at a gate;
 * what comes of a turn of them is enough for one turn of the loop. */
static void call_handlers(struct shard *s, int64_t now)
{
    unsigned called, left = HANDLER_CALLS;

    do {
        /* A connect handler's answer lets a client in, which then has something to read. */
        upstream__tick(s->upstream, now);
        called = inproc__turn(s->inproc, left);
        left -= called;
    } while (called > 0 && left > 0);
}

/* Everything that came in this turn has been worked on, and the loop is about to sleep. */
static void on_turn(uv_prepare_t *handle)
{
    struct shard *s = handle->data;
    int64_t now = shard__now(s);
    int64_t at;
    bool written;

    call_handlers(s, now);
    at = front__tick(s->front);
    core__continue(s->core);
    look_again(s);
    at = sooner(at, transports__tick(&s->transports));
    written = transports__flush(&s->transports, s->core);
    /* Writing may have detached sessions, whose time runs now, or ended them, which
     * raises events. */
    at = sooner(at, core__tick(s->core, now));
    at = sooner(at, upstream__tick(s->upstream, now));
    relay__deliver(s);
    at = sooner(at, hold_back(s, now));
    at = sooner(at, trim__tick(&s->trim, front__ended(s->front) + s->transports.ended,
                               s->transports.count, now));
    if (front__has_work(s->front) || !written || s->transports.pending ||
        core__has_dirty(s->core) || core__has_walks(s->core) || inproc__has_work(s->inproc))
        at = now;
    shard__gauge(s);
    check_drained(s);
    if (s->drain_until > 0 && !s->drained)
        at = sooner(at, s->drain_until);
    set_timer(s, at);
}

/* --- Life --------------------------------------------------------------------------- */

static bool open_loop(struct shard *s)
{
    if (uv_loop_init(&s->loop) != 0)
        return false;
    uv_async_init(&s->loop, &s->wake, on_wake);
    uv_prepare_init(&s->loop, &s->turn);
    uv_timer_init(&s->loop, &s->timer);
    s->wake.data = s->turn.data = s->timer.data = s;
    s->timer_at = INT64_MAX;
    uv_prepare_start(&s->turn, on_turn);
    return true;
}

static struct core *make_core(struct shard *s)
{
    const struct core_config config = {.limits = s->broker->limits.core,
                                       .ops = &core_ops,
                                       .ctx = s,
                                       .seed = s->broker->seed,
                                       .log = s->broker->log,
                                       .metrics = s->metrics};

    return core__new(&config);
}

static struct upstream *make_upstream(struct shard *s)
{
    /* Of the connections to event handlers, so that eight that hang at once leave some. */
    const size_t share = s->broker->limits.webhooks / WEBHOOK_SHARES;
    const struct upstream_config config = {.max_requests = share ? (unsigned)share : 1,
                                           .settings = s->settings,
                                           .origin = url__host_only(str__of(s->broker->own_host)),
                                           .ops = &upstream_ops,
                                           .ctx = s,
                                           .seed = s->broker->seed,
                                           .log = s->broker->log,
                                           .metrics = s->metrics};

    return upstream__new(&config);
}

/* Whoever reads of a message may act on it. */
static void on_writing(void *ctx)
{
    relay__deliver(ctx);
}

static bool open_transports(struct shard *s)
{
    if (!transports__open(&s->transports, &s->loop, s->broker->limits.close_seconds, now_of, s))
        return false;
    s->transports.metrics = s->metrics;
    s->transports.writing = on_writing;
    transports__set_limits(&s->transports, s->broker->limits.message_bytes,
                           s->broker->limits.frames_per_second);
    return true;
}

/* Of the pool that all shards share: as many for each plugin, for plugins come from the
 * command line and stay. */
static unsigned threads_of_a_plugin(const struct shard *s)
{
    size_t plugins = 0, share;

    for (size_t i = 0; i < s->settings->hub_count; i++) {
        for (size_t j = 0; j < s->settings->hubs[i].handler_count; j++)
            plugins += s->settings->hubs[i].handlers[j].app != NULL;
    }
    share = s->broker->limits.handler_threads / (plugins ? plugins : 1) / s->broker->shard_count;
    return share ? (unsigned)share : 1;
}

static bool make_parts(struct shard *s)
{
    s->metrics = metrics__new();
    s->core = make_core(s);
    s->upstream = make_upstream(s);
    s->webhook = webhook__new(&s->loop, s->broker->limits.webhooks, on_report, s);
    s->trim = (struct trim){.release = on_trim, .ctx = s};
    s->inproc = inproc__new(&s->loop, threads_of_a_plugin(s), s->broker->log, on_report, s);
    return relay__open(s) && s->metrics && s->core && s->upstream && s->webhook && s->inproc &&
           open_transports(s);
}

struct shard *shard__new(const struct broker *b, const struct settings *settings, uint8_t index,
                         int listen_fd, struct diag *diag)
{
    struct shard *s = calloc(1, sizeof(*s));

    if (!s || !open_loop(s)) {
        diag__set(diag, PH_ERR_MEMORY, "cannot make an event loop: out of memory or descriptors");
        close(listen_fd);
        free(s);
        return NULL;
    }
    s->broker = b;
    s->index = index;
    s->settings = settings__ref(settings);
    map__init(&s->asking, asking__hub, &b->seed);
    mailbox__init(&s->mailbox, wake, s);
    s->front = front__open(s, listen_fd, diag);
    if (s->front && make_parts(s))
        return s;
    if (s->front)
        diag__set(diag, PH_ERR_MEMORY, "cannot start a shard: out of memory or descriptors");
    shard__free(s);
    return NULL;
}

static void *run(void *arg)
{
    struct shard *s = arg;

    uv_run(&s->loop, UV_RUN_DEFAULT);
    frame__free_spare();
    return NULL;
}

bool shard__start(struct shard *s)
{
    s->started = pthread_create(&s->thread, NULL, run, s) == 0;
    return s->started;
}

static void close_loop(struct shard *s)
{
    uv_close((uv_handle_t *)&s->wake, NULL);
    uv_close((uv_handle_t *)&s->turn, NULL);
    uv_close((uv_handle_t *)&s->timer, NULL);
    /* Handlers that still run in worker threads are waited for here. */
    uv_run(&s->loop, UV_RUN_DEFAULT);
    uv_loop_close(&s->loop);
}

void shard__join(struct shard *s)
{
    if (s->started)
        pthread_join(s->thread, NULL);
    s->started = false;
}

void shard__free(struct shard *s)
{
    if (!s)
        return;
    uv_prepare_stop(&s->turn);
    relay__close(s); /* nobody is there to hear any more */
    front__close(s->front);
    if (s->core)
        transports__close(&s->transports);
    core__free(s->core);
    upstream__free(s->upstream);
    webhook__free(s->webhook);
    inproc__free(s->inproc);
    close_loop(s);
    mailbox__free(&s->mailbox, letter__discard);
    map__free(&s->asking); /* those who asked have gone with the front */
    settings__unref(s->settings);
    metrics__free(s->metrics);
    free(s);
}

/* --- Keys ------------------------------------------------------------------------------- */

static void open_keys(struct letter *letter, void *reader)
{
    struct shard *s = reader;

    (void)letter;
    if (!s)
        return;
    /* First of all, so that keys that are read from now on are not missed. */
    atomic_store(&s->keys_posted, false);
    front__keys_settled(s->front);
}

void shard__keys_settled(struct shard *s)
{
    if (atomic_exchange(&s->keys_posted, true))
        return;
    s->keys_letter.open = open_keys;
    shard__post(s, &s->keys_letter);
}

/* --- Other settings --------------------------------------------------------------------- */

static void set_limits(struct shard *s, const struct limits *set)
{
    const struct broker_limits limits = broker__limits(set);

    core__set_limits(s->core, &limits.core);
    transports__set_limits(&s->transports, limits.message_bytes, limits.frames_per_second);
}

void shard__configure(struct shard *s, const struct settings *settings)
{
    const struct settings *old = s->settings;

    s->settings = settings__ref(settings);
    upstream__configure(s->upstream, s->settings);
    core__ask_rules(s->core);
    set_limits(s, &s->settings->limits);
    settings__unref(old);
}

/* --- Shutdown ------------------------------------------------------------------------ */

struct order {
    struct letter letter;
};

static void post_order(struct shard *s, void (*open)(struct letter *letter, void *reader))
{
    struct order *order = calloc(1, sizeof(*order));

    if (!order)
        abort(); /* a broker that can neither serve nor stop */
    order->letter.open = open;
    shard__post(s, &order->letter);
}

static void open_drain(struct letter *letter, void *reader)
{
    const struct close_reason going = {.code = WS_CLOSE_GOING_AWAY,
                                       .text = STR(SHUTDOWN_TEXT),
                                       .message = STR(SHUTDOWN_TEXT),
                                       .category = STR("ServiceReload"),
                                       .upstream = STR(SHUTDOWN_TEXT)};
    struct shard *s = reader;

    free(letter);
    if (!s)
        return;
    s->drain_until = shard__now(s) + 1000 * (int64_t)s->broker->limits.drain_seconds;
    front__quiesce(s->front);
    core__close_all(s->core, &going);
}

static void open_halt(struct letter *letter, void *reader)
{
    struct shard *s = reader;

    free(letter);
    if (s)
        uv_stop(&s->loop);
}

void shard__drain(struct shard *s)
{
    post_order(s, open_drain);
}

void shard__halt(struct shard *s)
{
    post_order(s, open_halt);
}
