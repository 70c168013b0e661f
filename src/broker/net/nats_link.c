#include "broker/net/nats_link.h"

#include "base/clock.h"

#include <nats/nats.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BATCH 256       /* messages that one confirmation is asked for */
#define CONFIRM_MS 5000 /* to wait for it */
/* No function of the library is called under our lock: it may hold its own for as long as
 * it takes to connect, and the shards would wait. */
#define CONNECT_MS 2000 /* to wait for a server that does not answer */
#define RETRY_MS 500    /* between two tries to connect */
#define SETTLE_MS 500   /* for a denial to be heard of, at least */
#define SHOWN_MAX 512

struct header {
    const char *name, *value; /* in the message's memory */
};

struct message {
    struct message *next;
    size_t size;
    const char *subject, *body;
    size_t body_len;
    bool given_up; /* it is lost; taken off with its batch */
    size_t header_count;
    struct header headers[]; /* and behind them the texts */
};

struct nats_link {
    struct ph_log *log;
    natsOptions *options;
    natsConnection *connection; /* the thread's own */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* the queue, `connected` or `finish_ms` */
    /* under the lock */
    struct message *first, **last;
    size_t messages, bytes;
    uint64_t sent, lost;
    uint64_t lost_logged;
    uint64_t denied;    /* not counted yet; of these: */
    uint64_t confirmed; /* since settled_ms */
    uint64_t settling;  /* confirmed before that */
    int64_t settled_ms;
    bool connected, full;
    int64_t finish_ms;     /* on the monotonic clock; 0: it goes on */
    char shown[SHOWN_MAX]; /* the endpoint without users and passwords */
    char *servers;         /* the endpoint, cut into pieces */
    size_t endpoint_len;
    char endpoint[];
};

struct str nats_link__endpoint(const struct nats_link *l)
{
    return str__n(l->endpoint, l->endpoint_len);
}

/* --- Messages ------------------------------------------------------------------ */

static const char *place_c_string(char **at, struct str s)
{
    const char *copy = *at;

    str__place(at, s);
    *(*at)++ = '\0';
    return copy;
}

static size_t text_size(const struct upstream_note *note)
{
    size_t size = note->subject.len + 1 + note->body.len + 1;

    for (size_t i = 0; i < note->headers.count; i++)
        size += note->headers.items[i].name.len + 1 + note->headers.items[i].value.len + 1;
    return size;
}

static struct message *message_new(const struct upstream_note *note)
{
    size_t size =
        sizeof(struct message) + note->headers.count * sizeof(struct header) + text_size(note);
    struct message *m = malloc(size);
    char *at;

    if (!m)
        return NULL;
    *m = (struct message){
        .size = size, .body_len = note->body.len, .header_count = note->headers.count};
    at = (char *)(m->headers + m->header_count);
    m->subject = place_c_string(&at, note->subject);
    m->body = place_c_string(&at, note->body);
    for (size_t i = 0; i < m->header_count; i++) {
        m->headers[i].name = place_c_string(&at, note->headers.items[i].name);
        m->headers[i].value = place_c_string(&at, note->headers.items[i].value);
    }
    return m;
}

/* --- The queue ------------------------------------------------------------------- */

static bool has_room(const struct nats_link *l, const struct message *m)
{
    return l->messages < NATS_LINK_MESSAGES && l->bytes + m->size <= NATS_LINK_BYTES;
}

static void append(struct nats_link *l, struct message *m)
{
    *l->last = m;
    l->last = &m->next;
    l->messages++;
    l->bytes += m->size;
    l->full = false;
    pthread_cond_signal(&l->changed);
}

static void remove_first(struct nats_link *l)
{
    struct message *m = l->first;

    l->first = m->next;
    if (!l->first)
        l->last = &l->first;
    l->messages--;
    l->bytes -= m->size;
    free(m);
}

void nats_link__publish(struct nats_link *l, const struct upstream_note *note)
{
    struct message *m = message_new(note);
    bool taken, news;

    pthread_mutex_lock(&l->lock);
    taken = m && has_room(l, m);
    news = !taken && !l->full; /* one line for all that follow until there is room again */
    if (taken) {
        append(l, m);
    } else {
        l->lost++;
        l->full = true;
    }
    pthread_mutex_unlock(&l->lock);
    if (!taken)
        free(m);
    if (news)
        log__error(l->log, LOG_FIELDS("listener", l->shown),
                   "events for event listener %s are lost: as many as there may be wait for it; "
                   "see that NATS runs and keeps up",
                   l->shown);
}

void nats_link__count(struct nats_link *l, struct nats_link_counts *sum)
{
    pthread_mutex_lock(&l->lock);
    sum->sent += l->sent;
    sum->lost += l->lost;
    sum->waiting += l->messages;
    pthread_mutex_unlock(&l->lock);
}

/* --- What the library tells, from threads of its own ------------------------------- */

static void say_away(struct nats_link *l)
{
    log__warn(l->log, LOG_FIELDS("listener", l->shown),
              "event listener %s is away: events wait for it", l->shown);
}

static void set_connected(struct nats_link *l)
{
    uint64_t lost, waiting;

    pthread_mutex_lock(&l->lock);
    l->connected = true;
    waiting = l->messages;
    lost = l->lost - l->lost_logged;
    l->lost_logged = l->lost;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
    log__info(l->log, LOG_FIELDS("listener", l->shown),
              "event listener %s is connected: %llu events wait, %llu were lost meanwhile",
              l->shown, (unsigned long long)waiting, (unsigned long long)lost);
}

static void on_connected(natsConnection *nc, void *closure)
{
    (void)nc;
    set_connected(closure);
}

static void on_disconnected(natsConnection *nc, void *closure)
{
    struct nats_link *l = closure;
    bool finishing;

    (void)nc;
    pthread_mutex_lock(&l->lock);
    l->connected = false;
    finishing = l->finish_ms > 0;
    pthread_mutex_unlock(&l->lock);
    if (!finishing)
        say_away(l);
}

/* The server takes such a message, says that it throws it away, and confirms what was flushed:
 * see `settle`. */
static void tell_denied(struct nats_link *l, const char *text)
{
    pthread_mutex_lock(&l->lock);
    l->denied++;
    pthread_mutex_unlock(&l->lock);
    log__error(
        l->log, LOG_FIELDS("listener", l->shown),
        "an event for event listener %s is lost: %s; give its user the permission to publish "
        "there, or change the listener's subject",
        l->shown, text);
}

/* Without this the library writes to standard error. */
static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus err, void *closure)
{
    struct nats_link *l = closure;
    natsStatus last = NATS_OK;
    const char *text = nats_GetLastError(&last); /* of this thread: the connection's may be newer */

    (void)nc, (void)sub;
    if (last != err || !text || !text[0])
        text = natsStatus_GetText(err);
    if (err == NATS_NOT_PERMITTED) {
        tell_denied(l, text);
        return;
    }
    log__warn(l->log, LOG_FIELDS("listener", l->shown), "event listener %s reports: %s", l->shown,
              text);
}

/* --- The thread -------------------------------------------------------------------- */

static bool is_over(const struct nats_link *l)
{
    return l->finish_ms && (!l->first || clock__mono_ms() >= l->finish_ms);
}

/* Under the lock: until something changes, or so long. */
static void wait_ms(struct nats_link *l, int64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&l->changed, &l->lock, &until);
}

static natsStatus send_message(natsConnection *nc, const struct message *m)
{
    natsMsg *msg = NULL;
    natsStatus s = natsMsg_Create(&msg, m->subject, NULL, m->body, (int)m->body_len);

    for (size_t i = 0; i < m->header_count && s == NATS_OK; i++)
        s = natsMsgHeader_Set(msg, m->headers[i].name, m->headers[i].value);
    if (s == NATS_OK)
        s = natsConnection_PublishMsg(nc, msg);
    natsMsg_Destroy(msg);
    return s;
}

/* What sending it again would not mend. */
static bool is_hopeless(natsStatus s)
{
    return s == NATS_MAX_PAYLOAD || s == NATS_INVALID_SUBJECT || s == NATS_INVALID_ARG ||
           s == NATS_NO_SERVER_SUPPORT;
}

static void give_up(struct nats_link *l, struct message *m, natsStatus s)
{
    m->given_up = true;
    pthread_mutex_lock(&l->lock);
    l->lost++;
    l->lost_logged++;
    pthread_mutex_unlock(&l->lock);
    log__error(l->log, LOG_FIELDS("listener", l->shown),
               "an event for subject %s of event listener %s is lost: %s%s", m->subject, l->shown,
               natsStatus_GetText(s),
               s == NATS_MAX_PAYLOAD ? "; raise max_payload of the NATS server" : "");
}

/* Messages are taken off by this thread alone, and others only append: the first `count`
 * may be read without the lock. Returns how many are hopeless; *all says whether the rest
 * was sent and confirmed. */
static size_t send_batch(struct nats_link *l, struct message *m, size_t count, bool *all)
{
    natsStatus s = NATS_OK;
    size_t lost = 0;

    for (size_t i = 0; i < count; i++) {
        s = m->given_up ? NATS_OK : send_message(l->connection, m); /* the batch comes again */
        if (is_hopeless(s)) {
            give_up(l, m, s);
            s = NATS_OK;
        }
        lost += m->given_up;
        if (s != NATS_OK)
            break;
        if (i + 1 < count) /* what is behind the last one is not ours to read */
            m = m->next;
    }
    if (s == NATS_OK)
        s = natsConnection_FlushTimeout(l->connection, CONFIRM_MS);
    *all = s == NATS_OK;
    return lost;
}

/* NATS confirms a batch whatever it denied of it, and the library tells of denials on a thread of
 * its own, when that has its turn. So what was confirmed counts as sent some time later, without
 * what was denied until then. A denial that finds nothing to be taken off is of a message that
 * was sent twice, or of one that counts as sent already. */
static void settle(struct nats_link *l)
{
    int64_t now = clock__mono_ms();
    uint64_t denied;

    if (now < l->settled_ms + SETTLE_MS)
        return;
    denied = l->denied < l->settling || l->confirmed == 0 ? l->denied : l->settling;
    l->sent += l->settling > denied ? l->settling - denied : 0;
    l->lost += denied;
    l->lost_logged += denied;
    l->denied -= denied;
    l->settling = l->confirmed;
    l->confirmed = 0;
    l->settled_ms = now;
}

/* One turn, under the lock, which is let go meanwhile. */
static void work(struct nats_link *l)
{
    size_t count = l->messages < BATCH ? l->messages : BATCH, lost;
    struct message *first = l->first;
    bool all;

    pthread_mutex_unlock(&l->lock);
    lost = send_batch(l, first, count, &all);
    pthread_mutex_lock(&l->lock);
    if (!all) {
        wait_ms(l, RETRY_MS);
        return;
    }
    l->confirmed += count - lost;
    while (count-- > 0)
        remove_first(l);
}

/* Servers that cannot be reached are tried again by the library; one that refuses us, by us. */
static bool open_connection(struct nats_link *l)
{
    natsStatus s = natsConnection_Connect(&l->connection, l->options);

    if (s == NATS_OK)
        set_connected(l);
    else if (s == NATS_NOT_YET_CONNECTED)
        say_away(l); /* until on_connected */
    else
        log__error(l->log, LOG_FIELDS("listener", l->shown),
                   "event listener %s cannot be reached: %s; it is tried again", l->shown,
                   natsStatus_GetText(s));
    return s == NATS_OK || s == NATS_NOT_YET_CONNECTED;
}

static void run_connected(struct nats_link *l)
{
    pthread_mutex_lock(&l->lock);
    while (!is_over(l)) {
        if (l->first && l->connected)
            work(l);
        else
            wait_ms(l, RETRY_MS);
        settle(l);
    }
    pthread_mutex_unlock(&l->lock);
}

static bool wait_to_retry(struct nats_link *l)
{
    bool over;

    pthread_mutex_lock(&l->lock);
    wait_ms(l, 10 * RETRY_MS);
    over = is_over(l);
    pthread_mutex_unlock(&l->lock);
    return !over;
}

static void *run(void *arg)
{
    struct nats_link *l = arg;
    bool connected = open_connection(l);

    while (!connected && wait_to_retry(l))
        connected = open_connection(l);
    if (connected)
        run_connected(l);
    natsConnection_Destroy(l->connection);
    nats_ReleaseThreadMemory();
    return NULL;
}

/* --- Life -------------------------------------------------------------------------- */

/* The endpoint without what stands between "//" and "@", and its servers one by one. */
static size_t take_apart(struct nats_link *l, const char *servers[SETTINGS_MAX_SERVERS])
{
    struct str rest = str__of(l->servers), url;
    char *shown = l->shown, *end = l->shown + sizeof(l->shown) - 1;
    size_t count = 0;

    while (count < SETTINGS_MAX_SERVERS && str__split(&rest, ',', &url)) {
        struct str host = url;

        servers[count++] = url.ptr;
        ((char *)(uintptr_t)url.ptr)[url.len] = '\0';
        for (size_t i = 0; i < url.len; i++) {
            if (url.ptr[i] == '@')
                host = str__n(url.ptr + i + 1, url.len - i - 1);
        }
        if (host.ptr == url.ptr)
            host = str__n(url.ptr + strlen("nats://"), url.len - strlen("nats://"));
        shown += snprintf(shown, (size_t)(end - shown), "%snats://%.*s", count > 1 ? "," : "",
                          STR_FMT(host));
        if (shown >= end)
            break;
    }
    return count;
}

static natsStatus set_options(struct nats_link *l)
{
    const char *servers[SETTINGS_MAX_SERVERS];
    int count = (int)take_apart(l, servers);
    natsStatus s = natsOptions_Create(&l->options);

    if (s == NATS_OK)
        s = natsOptions_SetServers(l->options, servers, count);
    if (s == NATS_OK)
        s = natsOptions_SetName(l->options, "pubhook-broker");
    if (s == NATS_OK)
        s = natsOptions_SetTimeout(l->options, CONNECT_MS);
    if (s == NATS_OK)
        s = natsOptions_SetMaxReconnect(l->options, -1);
    if (s == NATS_OK)
        s = natsOptions_SetReconnectWait(l->options, RETRY_MS);
    if (s == NATS_OK)
        s = natsOptions_SetWriteDeadline(l->options, CONFIRM_MS);
    if (s == NATS_OK) /* what is not confirmed stays in our queue */
        s = natsOptions_SetReconnectBufSize(l->options, 1);
    if (s == NATS_OK)
        s = natsOptions_SetRetryOnFailedConnect(l->options, true, on_connected, l);
    if (s == NATS_OK)
        s = natsOptions_SetReconnectedCB(l->options, on_connected, l);
    if (s == NATS_OK)
        s = natsOptions_SetDisconnectedCB(l->options, on_disconnected, l);
    if (s == NATS_OK)
        s = natsOptions_SetErrorHandler(l->options, on_error, l);
    return s;
}

static void open_lock(struct nats_link *l)
{
    pthread_condattr_t monotonic;

    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&l->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void destroy(struct nats_link *l)
{
    natsOptions_Destroy(l->options);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    free(l->servers);
    free(l);
}

struct nats_link *nats_link__new(struct str endpoint, struct ph_log *log)
{
    struct nats_link *l = calloc(1, sizeof(*l) + endpoint.len + 1);

    if (!l)
        return NULL;
    l->log = log;
    l->last = &l->first;
    l->endpoint_len = endpoint.len;
    memcpy(l->endpoint, endpoint.ptr, endpoint.len);
    l->servers = strdup(l->endpoint);
    open_lock(l);
    if (l->servers && set_options(l) == NATS_OK && pthread_create(&l->thread, NULL, run, l) == 0)
        return l;
    destroy(l);
    return NULL;
}

void nats_link__finish(struct nats_link *l, unsigned seconds)
{
    pthread_mutex_lock(&l->lock);
    l->finish_ms = clock__mono_ms() + 1000 * (int64_t)seconds;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

void nats_link__join(struct nats_link *l)
{
    pthread_join(l->thread, NULL);
}

void nats_link__free(struct nats_link *l)
{
    if (l->messages > 0)
        log__error(l->log, LOG_FIELDS("listener", l->shown),
                   "%zu events for event listener %s are lost: it was away until the end",
                   l->messages, l->shown);
    while (l->first)
        remove_first(l);
    destroy(l);
}
