#include "entra/entra_keys.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/url.h"
#include "curl/call.h"

#include <stdatomic.h>
#include <stdlib.h>

/* A key that was withdrawn is forgotten after this time at the latest. */
#define MAX_AGE_MS (12 * 3600 * 1000LL)
#define RETRY_MS 5000 /* after a reading that failed, unless refresh_seconds is less */
#define FETCH_SECONDS 10L
#define CONNECT_SECONDS 5L

struct entra_keys {
    struct entra_keys_config config;
    char *file, *url;
    pthread_t thread;
    bool started;
    atomic_bool stopping; /* also looked at by curl, without the lock */

    pthread_mutex_t lock;
    pthread_cond_t changed;  /* for the thread: there is something to do */
    pthread_cond_t settled;  /* for those who wait: a reading is over */
    unsigned waiting;        /* of those */
    bool slow;               /* one of them has waited in vain for this reading */
    const struct jwks *keys; /* as they were read last, at ... */
    int64_t read_at;
    bool wanted, reading;
    int64_t not_before; /* when the next reading may begin, on the monotonic clock */
    int64_t due;        /* when it begins although nobody asks */
};

/* --- Sources ------------------------------------------------------------------ */

/* What no URL may hold, and user names and fragments, which mean nothing here. */
static bool is_clean(struct str url)
{
    for (size_t i = 0; i < url.len; i++) {
        unsigned char c = (unsigned char)url.ptr[i];

        if (c <= ' ' || c >= 0x7f || strchr("\"\\<>^`{|}#@", c))
            return false;
    }
    return url.len > 0 && url.len <= ENTRA_KEYS_MAX_URL;
}

bool entra_keys__good_url(struct str url)
{
    struct str http = STR("http://"), https = STR("https://"), scheme = STR_NONE, host;
    const char *slash;

    if (str__starts_with_nocase(url, https))
        scheme = https;
    else if (str__starts_with_nocase(url, http))
        scheme = http;
    if (!scheme.ptr || !is_clean(url))
        return false;
    url = str__n(url.ptr + scheme.len, url.len - scheme.len);
    slash = memchr(url.ptr, '/', url.len);
    host = url__host_only(str__n(url.ptr, slash ? (size_t)(slash - url.ptr) : 0));
    return host.len > 0 && !memchr(host.ptr, '?', host.len) &&
           (scheme.len == https.len || url__is_loopback(host));
}

static int may_go_on(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct entra_keys *k = arg;

    (void)a, (void)b, (void)c, (void)d;
    return atomic_load(&k->stopping);
}

static enum ph_err perform(struct entra_keys *k, struct call *call, struct buf *out,
                           struct diag *diag)
{
    const struct http_request get = {.method = STR("GET")};
    const struct call_request request = {.url = str__of(k->url), .http = &get};
    const struct http_response *response;
    CURLcode code;

    if (!call__prepare(call, &request))
        return diag__set(diag, PH_ERR_MEMORY, "%s: out of memory", k->url);
    curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(call->easy, CURLOPT_TIMEOUT, FETCH_SECONDS);
    curl_easy_setopt(call->easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(call->easy, CURLOPT_XFERINFOFUNCTION, may_go_on);
    curl_easy_setopt(call->easy, CURLOPT_XFERINFODATA, k);
    curl_easy_setopt(call->easy, CURLOPT_QUICK_EXIT, 1L); /* not waiting for a name server */
    code = curl_easy_perform(call->easy);
    response = call__response(call, code);
    if (!response)
        return diag__set(diag, PH_ERR_SYSTEM, "%s: %s", k->url, call__problem(call, code));
    if (response->status != 200)
        return diag__set(diag, PH_ERR_SYSTEM, "%s: answered %d, expected 200", k->url,
                         response->status);
    buf__str(out, response->body);
    return out->failed ? diag__set(diag, PH_ERR_MEMORY, "%s: out of memory", k->url) : PH_OK;
}

/* No redirects: where keys come from is the operator's decision. */
static enum ph_err read_url(struct entra_keys *k, struct buf *out, struct diag *diag)
{
    static const struct call_limits limits = {
        .headers = 100, .header_bytes = 32 << 10, .body = JWKS_MAX_LEN};
    struct call call;
    enum ph_err err;

    if (!call__init(&call, &limits))
        return diag__set(diag, PH_ERR_MEMORY, "%s: out of memory", k->url);
    err = perform(k, &call, out, diag);
    call__free(&call);
    return err;
}

static struct jwks *read_keys(struct entra_keys *k, struct diag *diag)
{
    struct jwks *keys = NULL;
    struct diag why = {""};
    struct buf text;
    enum ph_err err;

    buf__init(&text, JWKS_MAX_LEN);
    err = k->url ? read_url(k, &text, diag) : file__read(k->file, &text, diag);
    if (err == PH_OK) {
        keys = jwks__parse(buf__view(&text), &why);
        if (!keys)
            diag__set(diag, PH_ERR_SYNTAX, "%s: %s", k->url ? k->url : k->file, why.text);
    }
    buf__free(&text);
    return keys;
}

/* --- The thread ---------------------------------------------------------------- */

/* Takes over `keys`; with the lock, or before there is a thread. */
static void settle(struct entra_keys *k, struct jwks *keys)
{
    int64_t now = clock__mono_ms(), pause = (int64_t)k->config.refresh_seconds * 1000;

    k->wanted = k->slow = false;
    if (keys) {
        jwks__unref(k->keys);
        k->keys = keys;
        k->read_at = now;
        k->not_before = now + pause;
        k->due = now + MAX_AGE_MS;
    } else { /* nobody has to ask for the next try, but may sooner */
        k->not_before = now + (pause < RETRY_MS ? pause : RETRY_MS);
        k->due = now + (pause > RETRY_MS ? pause : RETRY_MS);
    }
}

/* On the thread, which alone changes the keys. */
static void say(struct entra_keys *k, bool read, const struct diag *diag)
{
    if (read)
        log__info(k->config.log, LOG_NONE, "Entra: %zu public keys were read",
                  jwks__count(k->keys));
    else
        log__warn(k->config.log, LOG_NONE, "Entra: public keys cannot be read, %s: %s",
                  k->keys ? "those from before stay" : "so no token is accepted", diag->text);
}

/* Comes with the lock and returns with it. The log, which may be somebody's function, and whoever
 * else is told find what they hear of. */
static void read_again(struct entra_keys *k)
{
    struct diag diag = {""};
    struct jwks *keys;

    k->reading = true;
    pthread_mutex_unlock(&k->lock);
    keys = read_keys(k, &diag);
    pthread_mutex_lock(&k->lock);
    k->reading = false;
    settle(k, keys);
    pthread_cond_broadcast(&k->settled);
    pthread_mutex_unlock(&k->lock);
    if (!atomic_load(&k->stopping))
        say(k, keys, &diag);
    if (k->config.settled)
        k->config.settled(k->config.ctx);
    pthread_mutex_lock(&k->lock);
}

static void sleep_until(struct entra_keys *k, int64_t due)
{
    struct timespec at = {.tv_sec = due / 1000, .tv_nsec = due % 1000 * 1000000};

    pthread_cond_timedwait(&k->changed, &k->lock, &at);
}

static void *run(void *arg)
{
    struct entra_keys *k = arg;

    pthread_mutex_lock(&k->lock);
    while (!atomic_load(&k->stopping)) {
        if (k->wanted || clock__mono_ms() >= k->due)
            read_again(k);
        else
            sleep_until(k, k->due);
    }
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

/* --- Interface ------------------------------------------------------------------ */

static bool make_conditions(struct entra_keys *k, const pthread_condattr_t *monotonic)
{
    if (pthread_cond_init(&k->changed, monotonic) != 0)
        return false;
    if (pthread_cond_init(&k->settled, monotonic) == 0)
        return true;
    pthread_cond_destroy(&k->changed);
    return false;
}

static bool make_locks(struct entra_keys *k)
{
    pthread_condattr_t monotonic;
    bool made = false;

    if (pthread_condattr_init(&monotonic) != 0)
        return false;
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    if (pthread_mutex_init(&k->lock, NULL) == 0) {
        made = make_conditions(k, &monotonic);
        if (!made)
            pthread_mutex_destroy(&k->lock);
    }
    pthread_condattr_destroy(&monotonic);
    return made;
}

static bool copy_text(char **out, struct str text)
{
    *out = str__dup(text);
    return *out || !text.ptr;
}

static struct entra_keys *allocate(const struct entra_keys_config *config)
{
    struct entra_keys *k = calloc(1, sizeof(*k));

    if (!k || !make_locks(k)) {
        free(k);
        return NULL;
    }
    k->config = *config;
    if (copy_text(&k->file, config->file) && copy_text(&k->url, config->url))
        return k;
    entra_keys__free(k);
    return NULL;
}

struct entra_keys *entra_keys__new(const struct entra_keys_config *config, struct diag *diag)
{
    struct entra_keys *k = allocate(config);
    struct jwks *keys;

    if (!k) {
        diag__set(diag, PH_ERR_MEMORY, "out of memory");
        return NULL;
    }
    k->wanted = k->url;
    if (!k->file)
        return k;
    keys = read_keys(k, diag);
    if (keys) {
        settle(k, keys);
        return k;
    }
    entra_keys__free(k);
    return NULL;
}

bool entra_keys__start(struct entra_keys *k)
{
    k->started = thread__start(&k->thread, run, k);
    return k->started;
}

void entra_keys__stop(struct entra_keys *k)
{
    if (!k || !k->started)
        return;
    pthread_mutex_lock(&k->lock);
    atomic_store(&k->stopping, true);
    pthread_cond_signal(&k->changed);
    pthread_mutex_unlock(&k->lock);
    pthread_join(k->thread, NULL);
    k->started = false;
}

void entra_keys__free(struct entra_keys *k)
{
    if (!k)
        return;
    entra_keys__stop(k);
    pthread_cond_destroy(&k->settled);
    pthread_cond_destroy(&k->changed);
    pthread_mutex_destroy(&k->lock);
    jwks__unref(k->keys);
    free(k->file);
    free(k->url);
    free(k);
}

/* With the lock. */
static const struct jwks *usable(const struct entra_keys *k)
{
    int64_t max = (int64_t)k->config.max_age_seconds * 1000;

    return max > 0 && clock__mono_ms() - k->read_at > max ? NULL : k->keys;
}

const struct jwks *entra_keys__get(struct entra_keys *k)
{
    const struct jwks *keys;

    pthread_mutex_lock(&k->lock);
    keys = jwks__ref(usable(k));
    pthread_mutex_unlock(&k->lock);
    return keys;
}

enum entra_keys_hope entra_keys__want(struct entra_keys *k, const struct jwks *seen)
{
    enum entra_keys_hope hope = ENTRA_KEYS_FINAL;

    pthread_mutex_lock(&k->lock);
    if (usable(k) != seen)
        hope = ENTRA_KEYS_NEWER;
    else if (k->reading || k->wanted || clock__mono_ms() >= k->not_before)
        hope = ENTRA_KEYS_COMING;
    if (hope == ENTRA_KEYS_COMING && !k->reading) {
        k->wanted = true;
        pthread_cond_signal(&k->changed);
    }
    pthread_mutex_unlock(&k->lock);
    return hope;
}

void entra_keys__read_again(struct entra_keys *k)
{
    pthread_mutex_lock(&k->lock);
    k->wanted = true;
    pthread_cond_signal(&k->changed);
    pthread_mutex_unlock(&k->lock);
}

bool entra_keys__await(struct entra_keys *k, unsigned ms)
{
    int64_t until = clock__mono_ms() + ms;
    bool settled = false;

    pthread_mutex_lock(&k->lock);
    if (k->waiting < ENTRA_KEYS_MAX_WAITING && !k->slow) {
        const struct timespec at = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};
        int code = 0;

        k->waiting++;
        while ((k->reading || k->wanted) && code == 0)
            code = pthread_cond_timedwait(&k->settled, &k->lock, &at);
        settled = !k->reading && !k->wanted;
        k->slow = !settled;
        k->waiting--;
    }
    pthread_mutex_unlock(&k->lock);
    return settled;
}
