#include "broker/net/entra_keys.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* A key that was withdrawn is forgotten after this time at the latest. */
#define MAX_AGE_MS (12 * 3600 * 1000LL)
#define RETRY_MS 5000 /* after a reading that failed, unless refresh_seconds is less */
#define FETCH_SECONDS 10L
#define CONNECT_SECONDS 5L

struct entra_keys {
    struct entra_keys_config config;
    const struct entra_settings *entra;
    pthread_t thread;
    bool started;
    atomic_bool stopping; /* also looked at by curl, without the lock */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    const struct jwks *keys;
    bool wanted, reading;
    int64_t not_before; /* when the next reading may begin, on the monotonic clock */
    int64_t due;        /* when it begins although nobody asks */
};

/* --- Sources ------------------------------------------------------------------ */

static enum ph_err read_file(const char *path, struct buf *out, struct diag *diag)
{
    FILE *f = fopen(path, "re");
    char part[8192];
    size_t n;

    if (!f)
        return diag__set(diag, PH_ERR_SYSTEM, "%s: %s", path, strerror(errno));
    while (!out->failed && (n = fread(part, 1, sizeof(part), f)) > 0)
        buf__append(out, part, n);
    if (ferror(f))
        diag__set(diag, PH_ERR_SYSTEM, "%s: %s", path, strerror(errno));
    else if (out->failed)
        diag__set(diag, PH_ERR_LIMIT, "%s: larger than %d bytes", path, JWKS_MAX_LEN);
    n = ferror(f) || out->failed;
    fclose(f);
    return n ? PH_ERR_SYSTEM : PH_OK;
}

static size_t take(char *data, size_t size, size_t count, void *out)
{
    buf__append(out, data, size * count);
    return ((struct buf *)out)->failed ? 0 : size * count;
}

static int may_go_on(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct entra_keys *k = arg;

    (void)a, (void)b, (void)c, (void)d;
    return atomic_load(&k->stopping);
}

/* No redirects: where keys come from is the operator's decision. */
static void set_options(CURL *easy, struct entra_keys *k, const char *url, struct buf *out,
                        char *error)
{
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, FETCH_SECONDS);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "pubhook-broker");
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, out);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, may_go_on);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, k);
}

static enum ph_err read_url(struct entra_keys *k, const char *url, struct buf *out,
                            struct diag *diag)
{
    char error[CURL_ERROR_SIZE] = "";
    CURL *easy = curl_easy_init();
    CURLcode code;
    long status = 0;

    if (!easy)
        return diag__set(diag, PH_ERR_MEMORY, "%s: out of memory", url);
    set_options(easy, k, url, out, error);
    code = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(easy);
    if (out->failed)
        return diag__set(diag, PH_ERR_LIMIT, "%s: larger than %d bytes", url, JWKS_MAX_LEN);
    if (code != CURLE_OK)
        return diag__set(diag, PH_ERR_SYSTEM, "%s: %s", url,
                         error[0] ? error : curl_easy_strerror(code));
    if (status != 200)
        return diag__set(diag, PH_ERR_SYSTEM, "%s: answered %ld, expected 200", url, status);
    return PH_OK;
}

/* Strings of the settings have a NUL behind them. */
static struct jwks *read_keys(struct entra_keys *k, struct diag *diag)
{
    const char *source = k->entra->jwks_url.ptr ? k->entra->jwks_url.ptr : k->entra->jwks_file.ptr;
    struct jwks *keys = NULL;
    struct diag why = {""};
    struct buf text;
    enum ph_err err;

    buf__init(&text, JWKS_MAX_LEN);
    err =
        k->entra->jwks_url.ptr ? read_url(k, source, &text, diag) : read_file(source, &text, diag);
    if (err == PH_OK) {
        keys = jwks__parse(buf__view(&text), &why);
        if (!keys)
            diag__set(diag, PH_ERR_SYNTAX, "%s: %s", source, why.text);
    }
    buf__free(&text);
    return keys;
}

/* --- The thread ---------------------------------------------------------------- */

/* Takes over `keys`; with the lock, or before there is a thread. */
static void settle(struct entra_keys *k, struct jwks *keys)
{
    int64_t now = clock__mono_ms(), pause = (int64_t)k->config.refresh_seconds * 1000;

    k->wanted = false;
    if (keys) {
        jwks__unref(k->keys);
        k->keys = keys;
        k->not_before = now + pause;
        k->due = now + MAX_AGE_MS;
    } else { /* nobody has to ask for the next try, but may sooner */
        k->not_before = now + (pause < RETRY_MS ? pause : RETRY_MS);
        k->due = now + (pause > RETRY_MS ? pause : RETRY_MS);
    }
}

static void say(struct entra_keys *k, const struct jwks *keys, const struct diag *diag)
{
    if (keys)
        log__info(k->config.log, LOG_NONE, "Entra: %zu public keys were read", jwks__count(keys));
    else
        log__warn(k->config.log, LOG_NONE, "Entra: public keys cannot be read, %s: %s",
                  k->keys ? "those from before stay" : "so no token is accepted", diag->text);
}

/* Comes with the lock and returns with it. */
static void read_again(struct entra_keys *k)
{
    struct diag diag = {""};
    struct jwks *keys;

    k->reading = true;
    pthread_mutex_unlock(&k->lock);
    keys = read_keys(k, &diag);
    pthread_mutex_lock(&k->lock);
    k->reading = false;
    if (!atomic_load(&k->stopping))
        say(k, keys, &diag);
    settle(k, keys);
    pthread_mutex_unlock(&k->lock);
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

static bool make_locks(struct entra_keys *k)
{
    pthread_condattr_t monotonic;
    bool made = false;

    if (pthread_condattr_init(&monotonic) != 0)
        return false;
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    if (pthread_mutex_init(&k->lock, NULL) == 0) {
        made = pthread_cond_init(&k->changed, &monotonic) == 0;
        if (!made)
            pthread_mutex_destroy(&k->lock);
    }
    pthread_condattr_destroy(&monotonic);
    return made;
}

struct entra_keys *entra_keys__new(const struct entra_keys_config *config, struct diag *diag)
{
    struct entra_keys *k = calloc(1, sizeof(*k));
    struct jwks *keys;

    if (!k || !make_locks(k)) {
        diag__set(diag, PH_ERR_MEMORY, "out of memory");
        free(k);
        return NULL;
    }
    k->config = *config;
    k->config.settings = settings__ref(config->settings);
    k->entra = &k->config.settings->entra;
    k->wanted = k->entra->jwks_url.ptr;
    if (!k->entra->jwks_file.ptr)
        return k;
    keys = read_keys(k, diag);
    if (keys) {
        settle(k, keys);
        return k;
    }
    entra_keys__free(k);
    return NULL;
}

/* Unvalidated tokens need no keys. */
bool entra_keys__start(struct entra_keys *k)
{
    if (k->entra->allow_unvalidated)
        return true;
    k->started = pthread_create(&k->thread, NULL, run, k) == 0;
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
    pthread_cond_destroy(&k->changed);
    pthread_mutex_destroy(&k->lock);
    jwks__unref(k->keys);
    settings__unref(k->config.settings);
    free(k);
}

const struct entra_settings *entra_keys__settings(const struct entra_keys *k)
{
    return k->entra;
}

const struct jwks *entra_keys__get(struct entra_keys *k)
{
    const struct jwks *keys;

    pthread_mutex_lock(&k->lock);
    keys = jwks__ref(k->keys);
    pthread_mutex_unlock(&k->lock);
    return keys;
}

enum entra_keys_hope entra_keys__want(struct entra_keys *k, const struct jwks *seen)
{
    enum entra_keys_hope hope = ENTRA_KEYS_FINAL;

    pthread_mutex_lock(&k->lock);
    if (k->keys != seen)
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
