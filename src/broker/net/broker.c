#include "broker/net/broker.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/random.h"
#include "broker/net/ca_file.h"
#include "broker/net/handler_tokens.h"
#include "broker/net/listener.h"
#include "broker/net/news.h"
#include "broker/net/publisher.h"
#include "broker/net/shard.h"
#include "entra/entra_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* Descriptors that are neither clients' nor webhooks': libraries, listening and HTTP
 * connections. */
#define RESERVED_FILES 64
#define RESERVED_FILES_PER_SHARD 256
#define MIN_SHARE 64

struct broker_limits broker__limits(const struct limits *set)
{
    struct broker_limits limits = BROKER_LIMITS_DEFAULT;

    limits.message_bytes = set->message_bytes;
    limits.frames_per_second = set->frames_per_second;
    limits.core = (struct core_limits){
        .queue = {set->queue_messages, set->queue_bytes},
        .unacked = {set->unacked_messages, set->unacked_bytes},
        .ack_ids = set->ack_ids,
        .permissions = {set->permission_names, set->permission_patterns + 1},
        .recovery_ms = 1000 * (int64_t)set->recovery_seconds,
        .groups = set->groups,
        .states_per_connection = set->group_states,
        .states_per_group = set->states_per_group,
        .streams = set->streams,
        .stream_idle_ms = 1000 * (int64_t)set->stream_idle_seconds,
        .invocation_ms = 1000 * (int64_t)set->invocation_seconds,
        .group_characters = set->group_characters,
    };
    return limits;
}

static size_t at_least(size_t count, size_t least)
{
    return count < least ? least : count;
}

/* Shares out the descriptors: a quarter for webhooks up to their limit, the rest for
 * clients. */
static void share_files(struct broker_limits *limits, size_t shards)
{
    struct rlimit files;
    size_t share = 0;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > RESERVED_FILES)
        share = (files.rlim_cur - RESERVED_FILES) / shards;
    share = share > RESERVED_FILES_PER_SHARD ? share - RESERVED_FILES_PER_SHARD : 0;
    if (limits->webhooks > share / 4)
        limits->webhooks = at_least(share / 4, MIN_SHARE);
    limits->transports =
        at_least(share > limits->webhooks ? share - limits->webhooks : 0, MIN_SHARE);
}

static void name_host(struct broker *b, struct str host, const struct listener_address *at)
{
    bool v6 = memchr(host.ptr, ':', host.len);

    snprintf(b->own_host, sizeof(b->own_host), v6 ? "[%.*s]:%u" : "%.*s:%u", STR_FMT(host),
             listener__port(at));
}

/* All sockets are bound before the first shard is made, so that its settled port is
 * known to all. */
static enum ph_err open_sockets(struct broker *b, const struct settings *settings, int *fds,
                                struct diag *diag)
{
    struct listener_address at;
    enum ph_err err = listener__resolve(settings->host, settings->port, &at, diag);

    if (!err && settings->port != 0)
        err = listener__check_free(&at, diag);
    for (size_t i = 0; !err && i < b->shard_count; i++)
        err = listener__open(&at, &fds[i], diag);
    if (!err)
        name_host(b, settings->host, &at);
    return err;
}

static bool make_shards(struct broker *b, const struct settings *settings, int *fds,
                        struct diag *diag)
{
    publisher__prepare(b->publisher, settings); /* events come as soon as a shard runs */
    for (size_t i = 0; i < b->shard_count; i++) {
        b->shards[i] = shard__new(b, settings, (uint8_t)i, fds[i], diag);
        fds[i] = -1;
        if (!b->shards[i])
            return false;
    }
    for (size_t i = 0; i < b->shard_count; i++) {
        if (!shard__start(b->shards[i])) {
            diag__set(diag, PH_ERR_SYSTEM, "cannot start %zu threads", b->shard_count);
            return false;
        }
    }
    return true;
}

/* There are shards when this is called, because the thread is started behind them. */
static void on_keys_settled(void *ctx)
{
    struct broker *b = ctx;

    for (size_t i = 0; i < b->shard_count; i++)
        shard__keys_settled(b->shards[i]);
}

static bool open_keys(struct broker *b, const struct settings *settings, struct diag *diag)
{
    const struct entra_keys_config config = {.file = settings->entra.jwks_file,
                                             .url = settings->entra.jwks_url,
                                             .refresh_seconds = b->limits.key_seconds,
                                             .log = b->log,
                                             .settled = on_keys_settled,
                                             .ctx = b};

    if (!settings->entra.audience.ptr)
        return true;
    b->initial = settings__ref(settings);
    b->entra = entra_keys__new(&config, diag);
    return b->entra;
}

/* Unvalidated tokens need no keys. */
static bool start_keys(struct broker *b, struct diag *diag)
{
    if (!b->entra || b->initial->entra.allow_unvalidated || entra_keys__start(b->entra))
        return true;
    diag__set(diag, PH_ERR_SYSTEM, "cannot start a thread for the keys of Entra");
    return false;
}

/* The keys' thread is the first to go, for it posts to the others. */
static void halt(struct broker *b)
{
    entra_keys__stop(b->entra);
    for (size_t i = 0; i < b->shard_count; i++) {
        if (b->shards[i])
            shard__halt(b->shards[i]);
    }
    for (size_t i = 0; i < b->shard_count; i++) {
        if (b->shards[i])
            shard__join(b->shards[i]);
    }
}

static void broker_free(struct broker *b)
{
    for (size_t i = 0; i < b->shard_count; i++)
        shard__free(b->shards[i]);
    frame__free_spare(); /* of this thread */
    handler_tokens__free(b->tokens);
    entra_keys__free(b->entra);
    settings__unref(b->initial);
    news__free(b->news);
    publisher__free(b->publisher);
    sem_destroy(&b->drained);
    free(b->shards);
    free(b);
}

static struct broker *broker_new(const struct settings *settings,
                                 const struct broker_limits *limits, struct ph_log *log)
{
    struct broker *b = calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    b->log = log;
    b->start_ms = clock__unix_ms();
    b->shard_count = settings->threads;
    b->shards = calloc(b->shard_count, sizeof(*b->shards));
    b->limits = *limits;
    if (b->limits.transports == 0)
        share_files(&b->limits, b->shard_count);
    b->news = news__new(&b->seed);
    b->publisher = publisher__new(log);
    b->tokens = handler_tokens__new(&HANDLER_TOKENS_TIMES_DEFAULT, log);
    if (b->shards && b->news && b->publisher && b->tokens &&
        random__bytes(&b->seed, sizeof(b->seed)) && sem_init(&b->drained, 0, 0) == 0)
        return b;
    handler_tokens__free(b->tokens);
    news__free(b->news);
    publisher__free(b->publisher);
    free(b->shards);
    free(b);
    return NULL;
}

enum ph_err broker__check(const struct settings *settings, struct diag *diag)
{
    return ca_files__check(settings, diag);
}

/* The first events find one, or are tried again. */
static bool get_tokens(struct broker *b, const struct settings *settings)
{
    handler_tokens__prime(b->tokens, settings);
    return true;
}

struct broker *broker__start(const struct settings *settings, const struct broker_limits *limits,
                             struct ph_log *log, struct diag *diag)
{
    struct broker *b = broker_new(settings, limits, log);
    int fds[SETTINGS_MAX_THREADS];
    bool started;

    if (!b) {
        diag__set(diag, PH_ERR_MEMORY, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < b->shard_count; i++)
        fds[i] = -1;
    started = broker__check(settings, diag) == PH_OK &&
              open_sockets(b, settings, fds, diag) == PH_OK && open_keys(b, settings, diag) &&
              get_tokens(b, settings) && make_shards(b, settings, fds, diag) && start_keys(b, diag);
    for (size_t i = 0; i < b->shard_count; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    if (started)
        return b;
    halt(b);
    broker_free(b);
    return NULL;
}

/* Settings on their way to all shards; each has a letter of its own. */
struct reform {
    const struct settings *settings;
    atomic_size_t left; /* letters that were not opened yet */
    void (*done)(void *arg);
    void *arg;
    struct reform_letter {
        struct letter letter;
        struct reform *reform;
    } letters[];
};

static void open_reform(struct letter *letter, void *reader)
{
    struct reform *reform = ((struct reform_letter *)letter)->reform;

    if (reader)
        shard__configure(reader, reform->settings);
    if (atomic_fetch_sub(&reform->left, 1) > 1)
        return;
    reform->done(reform->arg);
    settings__unref(reform->settings);
    free(reform);
}

bool broker__configure(struct broker *b, const struct settings *settings, void (*done)(void *arg),
                       void *arg)
{
    const size_t count = b->shard_count;
    struct reform *reform = calloc(1, sizeof(*reform) + count * sizeof(reform->letters[0]));

    if (!reform)
        return false;
    reform->settings = settings__ref(settings);
    reform->done = done;
    reform->arg = arg;
    atomic_init(&reform->left, count);
    publisher__prepare(b->publisher, settings);
    for (size_t i = 0; i < count; i++) {
        reform->letters[i].letter.open = open_reform;
        reform->letters[i].reform = reform;
    }
    for (size_t i = 0; i < count; i++) /* the last one frees them all */
        shard__post(b->shards[i], &reform->letters[i].letter);
    return true;
}

/* Each shard gives up by itself when its time is over, so this ends. */
static void drain(struct broker *b)
{
    for (size_t i = 0; i < b->shard_count; i++)
        shard__drain(b->shards[i]);
    for (size_t i = 0; i < b->shard_count; i++) {
        while (sem_wait(&b->drained) != 0)
            ;
    }
}

unsigned broker__stop_seconds(const struct broker *b)
{
    return b->limits.drain_seconds + publisher__drain_seconds(b->publisher);
}

void broker__stop(struct broker *b)
{
    if (!b)
        return;
    drain(b);
    halt(b);
    broker_free(b);
}
