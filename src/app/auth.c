/* The access keys of an application, and their sources (pubhook/auth.h). */
#include "app/settings.h"
#include "base/thread.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* --- The keys of now ------------------------------------------------------------ */

const struct keyring *auth__ring(struct auth *auth)
{
    const struct keyring *ring;

    pthread_mutex_lock(&auth->lock);
    ring = keyring__ref(auth->ring);
    pthread_mutex_unlock(&auth->lock);
    return ring;
}

/* The set of all lists, with `own` for those of the application. Only whoever changes
 * something comes here. */
static enum ph_err renew(struct auth *auth, const struct ph_keys *own)
{
    const struct ph_keys *lists[AUTH_MAX_SOURCES + 1] = {own};
    const struct keyring *ring, *old;

    for (size_t i = 0; i < auth->source_count; i++)
        lists[i + 1] = auth->sources[i].keys;
    ring = keyring__new(lists, auth->source_count + 1);
    if (!ring)
        return PH_ERR_MEMORY;
    pthread_mutex_lock(&auth->lock);
    old = auth->ring;
    auth->ring = ring;
    pthread_mutex_unlock(&auth->lock);
    keyring__unref(old);
    return PH_OK;
}

static void take_own(struct auth *auth, struct ph_keys *own)
{
    ph_keys_free(auth->own);
    auth->own = own;
}

/* A copy is changed, so that after a failure nothing is. */
static enum ph_err change_own(struct auth *auth, struct ph_keys *next)
{
    enum ph_err err = renew(auth, next);

    if (err == PH_OK)
        take_own(auth, next);
    else
        ph_keys_free(next);
    return err;
}

static enum ph_err add_to_own(struct auth *auth, struct str origin, struct str key)
{
    struct ph_keys *next = ph_keys_new();
    enum ph_err err = next ? keys__add_all(next, auth->own) : PH_ERR_MEMORY;

    if (err == PH_OK)
        err = keys__add(next, origin, key);
    if (err == PH_OK)
        return change_own(auth, next);
    ph_keys_free(next);
    return err;
}

enum ph_err auth__add_key(struct auth *auth, struct str origin, struct str key)
{
    enum ph_err err;

    pthread_mutex_lock(&auth->changing);
    err = add_to_own(auth, origin, key);
    pthread_mutex_unlock(&auth->changing);
    return err;
}

enum ph_err ph_app_add_key_for(struct ph_app *app, const char *origin, const char *key)
{
    return origin ? auth__add_key(&app->auth, str__of(origin), str__of(key)) : PH_ERR_ARGUMENT;
}

enum ph_err ph_app_replace_keys(struct ph_app *app, const struct ph_keys *keys)
{
    struct ph_keys *next;
    enum ph_err err;

    if (keys->count == 0)
        return PH_ERR_ARGUMENT;
    next = ph_keys_new();
    if (!next)
        return PH_ERR_MEMORY;
    err = keys__add_all(next, keys);
    if (err != PH_OK) {
        ph_keys_free(next);
        return err;
    }
    pthread_mutex_lock(&app->auth.changing);
    err = change_own(&app->auth, next);
    pthread_mutex_unlock(&app->auth.changing);
    return err;
}

/* --- Sources -------------------------------------------------------------------- */

/* The whole of a file fits without growing, which would leave pieces of keys behind. */
static enum ph_err read_file(struct key_source *source, struct ph_keys *keys, struct diag *diag)
{
    struct buf text;
    enum ph_err err = PH_ERR_MEMORY;

    buf__init(&text, KEYS_MAX_TEXT);
    file__stamp(source->path, &source->read);
    if (buf__reserve(&text, KEYS_MAX_TEXT)) {
        err = file__read(source->path, &text, diag) == PH_OK ? PH_OK : PH_ERR_SYSTEM;
        if (err == PH_OK)
            err = ph_keys_read(keys, buf__view(&text).ptr, text.len, NULL);
        if (err != PH_OK && err != PH_ERR_SYSTEM)
            diag__set(diag, err, "%s: %s", source->path, keys->why.text);
        OPENSSL_cleanse(text.data, text.cap);
    }
    buf__free(&text);
    return err;
}

static enum ph_err call_function(struct key_source *source, struct ph_keys *keys, struct diag *diag)
{
    enum ph_err err = source->fn(keys, source->arg);

    if (err == PH_OK && keys->count == 0)
        err = PH_ERR_NOT_FOUND;
    return err == PH_OK
               ? err
               : diag__set(diag, err, "the function that gives keys: %s", ph_strerror(err));
}

/* Asks it again; with an error it keeps what it had. */
static enum ph_err ask(struct key_source *source, struct diag *diag)
{
    struct ph_keys *keys = ph_keys_new();
    enum ph_err err;

    diag__set(diag, PH_ERR_MEMORY, "out of memory");
    if (!keys)
        return PH_ERR_MEMORY;
    err = source->fn ? call_function(source, keys, diag) : read_file(source, keys, diag);
    if (err == PH_OK) {
        ph_keys_free(source->keys);
        source->keys = keys;
    } else {
        ph_keys_free(keys);
    }
    return err;
}

static void source_free(struct key_source *source)
{
    if (source->free_fn)
        source->free_fn(source->arg);
    ph_keys_free(source->keys);
    free(source->path);
}

static enum ph_err add_source(struct auth *auth, struct key_source source)
{
    enum ph_err err = PH_ERR_LIMIT;

    pthread_mutex_lock(&auth->changing);
    diag__set(&auth->why, err, "more than %d sources of keys", AUTH_MAX_SOURCES);
    if (auth->source_count < AUTH_MAX_SOURCES)
        err = ask(&source, &auth->why);
    if (err == PH_OK) {
        source.seen = source.read;
        auth->sources[auth->source_count++] = source;
        err = renew(auth, auth->own);
        if (err != PH_OK)
            auth->source_count--;
    }
    pthread_mutex_unlock(&auth->changing);
    if (err != PH_OK)
        source_free(&source);
    return err;
}

enum ph_err ph_app_add_key_file(struct ph_app *app, const char *path, const char **why)
{
    struct key_source source = {.path = path ? strdup(path) : NULL};

    if (why)
        *why = app->auth.why.text;
    if (!source.path)
        return diag__set(&app->auth.why, path ? PH_ERR_MEMORY : PH_ERR_ARGUMENT, "no path");
    return add_source(&app->auth, source);
}

enum ph_err ph_app_add_key_source(struct ph_app *app, ph_keys_fn *fn, void *arg,
                                  void (*free_fn)(void *arg))
{
    const struct key_source source = {.fn = fn, .arg = arg, .free_fn = free_fn};

    if (fn)
        return add_source(&app->auth, source);
    if (free_fn)
        free_fn(arg);
    return PH_ERR_ARGUMENT;
}

/* --- Asking them again ------------------------------------------------------------ */

/* A file that is written in several steps is left alone until it has rested. */
static bool is_due(struct key_source *source)
{
    struct file_stamp now;
    bool rested;

    if (source->fn)
        return true;
    file__stamp(source->path, &now);
    rested = file__same(&now, &source->seen);
    source->seen = now;
    return rested && !file__same(&now, &source->read);
}

static void tell(struct auth *auth, const struct key_source *source, bool was_failing,
                 const struct diag *diag)
{
    if (!source->failing && source->path)
        log__info(auth->log, LOG_NONE, "%s: %zu access keys were read", source->path,
                  source->keys->count);
    else if (source->failing && (source->path || !was_failing))
        log__warn(auth->log, LOG_NONE, "the access keys from before stay: %s", diag->text);
}

/* What the log says is true by then: the keys are in use. */
static enum ph_err refresh_one(struct auth *auth, struct key_source *source, struct diag *diag)
{
    bool was_failing = source->failing;
    enum ph_err err = ask(source, diag);

    if (err == PH_OK) {
        err = renew(auth, auth->own);
        if (err != PH_OK)
            source->read = (struct file_stamp){0}; /* so that it is due again */
    }
    source->failing = err != PH_OK;
    tell(auth, source, was_failing, diag);
    return err;
}

/* All of them, or only those that seem to have something new. */
static enum ph_err refresh(struct auth *auth, bool all)
{
    enum ph_err first = PH_OK, err;

    pthread_mutex_lock(&auth->changing);
    for (size_t i = 0; i < auth->source_count; i++) {
        struct diag diag = {""};

        if (!all && !is_due(&auth->sources[i]))
            continue;
        err = refresh_one(auth, &auth->sources[i], &diag);
        if (err != PH_OK && first == PH_OK)
            first = diag__set(&auth->why, err, "%s", diag.text);
    }
    if (all && auth->tokens)
        tokens__read_again(auth->tokens);
    pthread_mutex_unlock(&auth->changing);
    return first;
}

enum ph_err ph_app_refresh_keys(struct ph_app *app, const char **why)
{
    enum ph_err err = refresh(&app->auth, true);

    if (why)
        *why = err == PH_OK ? "" : app->auth.why.text;
    return err;
}

/* --- The thread that looks after them ----------------------------------------------- */

static void *watch(void *arg)
{
    struct auth *auth = arg;
    struct pollfd wake = {.fd = atomic_load(&auth->wake), .events = POLLIN};

    while (!atomic_load(&auth->stopping)) {
        uint64_t count;
        int ready = poll(&wake, 1, (int)auth->seconds * 1000);

        if (ready > 0 && read(wake.fd, &count, sizeof(count)) < 0)
            continue;
        if (ready >= 0 && !atomic_load(&auth->stopping))
            refresh(auth, ready > 0);
    }
    return NULL;
}

enum ph_err ph_app_watch_keys(struct ph_app *app, unsigned seconds)
{
    struct auth *auth = &app->auth;
    int fd;

    if (seconds == 0 || seconds > 86400)
        return PH_ERR_ARGUMENT;
    if (auth->watching)
        return PH_ERR_STATE;
    fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return PH_ERR_SYSTEM;
    auth->seconds = seconds;
    atomic_store(&auth->wake, fd);
    auth->watching = thread__start(&auth->watcher, watch, auth);
    if (auth->watching)
        return PH_OK;
    atomic_store(&auth->wake, -1);
    close(fd);
    return PH_ERR_SYSTEM;
}

static void wake(struct auth *auth)
{
    const uint64_t one = 1;
    int fd = atomic_load(&auth->wake), saved = errno;

    /* It can only fail when very many are there already. */
    if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
        errno = saved;
}

void ph_app_refresh_keys_soon(struct ph_app *app)
{
    wake(&app->auth);
}

static void stop_watching(struct auth *auth)
{
    int fd = atomic_load(&auth->wake);

    if (!auth->watching)
        return;
    atomic_store(&auth->stopping, true);
    wake(auth);
    pthread_join(auth->watcher, NULL);
    atomic_store(&auth->wake, -1);
    close(fd);
}

/* --- What is demanded ------------------------------------------------------------------ */

static bool has_keys(struct auth *auth)
{
    const struct keyring *ring = auth__ring(auth);
    bool any = keyring__count(ring) > 0;

    keyring__unref(ring);
    return any;
}

static enum ph_proof proof_of(const struct auth *auth, bool keys)
{
    if (auth->proof != PH_PROOF_CONFIGURED)
        return auth->proof;
    if (!auth->tokens)
        return PH_PROOF_SIGNATURE;
    return keys ? PH_PROOF_BOTH : PH_PROOF_TOKEN;
}

static bool accepts_all(const struct auth *auth, bool keys)
{
    return auth->allow_unsigned && auth->proof == PH_PROOF_CONFIGURED && !auth->tokens && !keys;
}

const char *auth__fault(struct auth *auth)
{
    bool keys = has_keys(auth);
    enum ph_proof proof = proof_of(auth, keys);

    if (accepts_all(auth, keys))
        return NULL;
    if (proof != PH_PROOF_TOKEN && !keys)
        return "no access key is configured, so nobody could tell a true event from a forged one: "
               "add a key or a connection string, or allow unsigned events";
    if (proof != PH_PROOF_SIGNATURE && !auth->tokens)
        return "tokens of Microsoft Entra are required, and nothing says which are good: add an "
               "audience, and a tenant or an issuer and its keys";
    return NULL;
}

static enum ph_err check_token(struct auth *auth, const struct http_headers *headers,
                               struct arena *a, struct diag *diag)
{
    enum ph_err err;

    if (!auth->tokens)
        return diag__set(diag, PH_ERR_FORBIDDEN, "no tokens are accepted");
    err = tokens__check(auth->tokens, headers, a, diag);
    return err == PH_OK || err == PH_ERR_STATE || err == PH_ERR_MEMORY ? err : PH_ERR_FORBIDDEN;
}

static enum ph_err check_either(struct auth *auth, const struct keyring *ring,
                                const struct http_headers *headers, struct arena *a,
                                struct diag *diag)
{
    struct diag first, second;
    enum ph_err err;

    if (keyring__check(ring, headers, &first) == PH_OK)
        return PH_OK;
    err = check_token(auth, headers, a, &second);
    if (err == PH_OK)
        return PH_OK;
    return diag__set(diag, err, "%.240s; %.240s", first.text, second.text);
}

/* With the signature first, which costs less. */
static enum ph_err check_proof(struct auth *auth, const struct keyring *ring,
                               const struct http_headers *headers, struct arena *a,
                               struct diag *diag)
{
    bool keys = keyring__count(ring) > 0;
    enum ph_proof proof = proof_of(auth, keys);
    enum ph_err err = PH_OK;

    if (accepts_all(auth, keys))
        return PH_OK;
    if (proof == PH_PROOF_EITHER)
        return check_either(auth, ring, headers, a, diag);
    if (proof != PH_PROOF_TOKEN)
        err = keyring__check(ring, headers, diag);
    if (err == PH_OK && proof != PH_PROOF_SIGNATURE)
        err = check_token(auth, headers, a, diag);
    return err;
}

enum ph_err auth__check(struct auth *auth, const struct http_headers *headers, struct arena *a,
                        struct diag *diag)
{
    const struct keyring *ring = auth__ring(auth);
    enum ph_err err = check_proof(auth, ring, headers, a, diag);

    keyring__unref(ring);
    return err;
}

enum ph_err ph_app_require(struct ph_app *app, enum ph_proof proof)
{
    if ((unsigned)proof > PH_PROOF_EITHER)
        return PH_ERR_ARGUMENT;
    app->auth.proof = proof;
    return PH_OK;
}

enum ph_err ph_app_use_entra(struct ph_app *app, const struct ph_entra_options *options,
                             const char **why)
{
    struct auth *auth = &app->auth;
    enum ph_err err;

    if (why)
        *why = auth->why.text;
    if (auth->tokens)
        return diag__set(&auth->why, PH_ERR_STATE, "tokens are configured already");
    auth->tokens = tokens__new(options, app->log, &err, &auth->why);
    return err;
}

/* --- Its life ------------------------------------------------------------------------ */

static bool make_locks(struct auth *auth)
{
    if (pthread_mutex_init(&auth->lock, NULL) != 0)
        return false;
    if (pthread_mutex_init(&auth->changing, NULL) == 0)
        return true;
    pthread_mutex_destroy(&auth->lock);
    return false;
}

bool auth__init(struct auth *auth)
{
    if (!make_locks(auth))
        return false;
    atomic_init(&auth->wake, -1);
    auth->own = ph_keys_new();
    if (auth->own && renew(auth, auth->own) == PH_OK)
        return true;
    auth__free(auth);
    return false;
}

void auth__free(struct auth *auth)
{
    stop_watching(auth);
    tokens__free(auth->tokens);
    for (size_t i = 0; i < auth->source_count; i++)
        source_free(&auth->sources[i]);
    ph_keys_free(auth->own);
    keyring__unref(auth->ring);
    pthread_mutex_destroy(&auth->changing);
    pthread_mutex_destroy(&auth->lock);
}
