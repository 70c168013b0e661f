#include "broker/net/handler_tokens.h"

#include "base/clock.h"
#include "broker/net/token_command.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct source {
    struct handler_tokens *owner;
    struct source *next;
    pthread_t thread;
    /* constant */
    enum token_origin origin;
    int64_t refresh_ms;
    char *file;   /* TOKEN_FILE */
    char **words; /* TOKEN_COMMAND; NULL at the end */
    char *key;
    /* under the owner's lock */
    char *text; /* NULL: none */
    uint64_t serial;
    char why[sizeof(((struct diag *)NULL)->text)];
    bool settled;   /* has been read once, for good or bad */
    bool wanted;    /* by somebody, since it was read last */
    bool asked;     /* to be read before its time */
    int64_t due_ms; /* until then the text is fresh */
};

struct handler_tokens {
    struct handler_tokens_times times;
    struct ph_log *log;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* on the monotonic clock; for threads that wait, and for prime */
    struct source *sources;
    size_t count;
    atomic_bool stop;
};

/* --- reading ---------------------------------------------------------------------------- */

static enum ph_err read_file(const char *name, struct buf *out, struct diag *diag)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO would hold us for ever */
    char room[4096];
    ssize_t got;

    if (fd < 0)
        return diag__set(diag, PH_ERR_SYSTEM, "%s cannot be opened: %s", name, strerror(errno));
    while ((got = read(fd, room, sizeof(room))) > 0 && !out->failed)
        buf__append(out, room, (size_t)got);
    if (got < 0)
        diag__set(diag, PH_ERR_SYSTEM, "%s cannot be read: %s", name, strerror(errno));
    close(fd);
    if (got < 0)
        return PH_ERR_SYSTEM;
    return out->failed ? diag__set(diag, PH_ERR_LIMIT, "%s has more than the %d bytes of a token",
                                   name, UPSTREAM_MAX_TOKEN)
                       : PH_OK;
}

static const char *name_of(const struct source *s)
{
    return s->origin == TOKEN_FILE ? s->file : s->words[0];
}

/* RFC 6750 section 2.1 has a smaller alphabet; what matters here is that it is one word of
 * one header line. The token itself is not shown. */
static enum ph_err check(const struct source *s, struct str *text, struct diag *diag)
{
    while (text->len > 0 && strchr(" \t\r\n", text->ptr[text->len - 1]))
        text->len--;
    while (text->len > 0 && strchr(" \t\r\n", text->ptr[0]))
        *text = str__n(text->ptr + 1, text->len - 1);
    if (text->len == 0)
        return diag__set(diag, PH_ERR_SYNTAX, "%s gave nothing, expected a token", name_of(s));
    if (text->len > UPSTREAM_MAX_TOKEN)
        return diag__set(diag, PH_ERR_LIMIT, "%s gave more than the %d bytes of a token",
                         name_of(s), UPSTREAM_MAX_TOKEN);
    for (size_t i = 0; i < text->len; i++) {
        if (text->ptr[i] <= ' ' || text->ptr[i] > '~')
            return diag__set(diag, PH_ERR_SYNTAX,
                             "%s gave something with a blank, a second line or another character "
                             "that a token does not have",
                             name_of(s));
    }
    return PH_OK;
}

static enum ph_err fetch(struct source *s, struct buf *out, struct str *text, struct diag *diag)
{
    enum ph_err err =
        s->origin == TOKEN_FILE
            ? read_file(s->file, out, diag)
            : token_command__run(s->words, s->owner->times.command_ms, &s->owner->stop, out, diag);

    *text = buf__view(out);
    return err ? err : check(s, text, diag);
}

static void keep_text(struct source *s, struct str text)
{
    char *copy;

    if (s->text && str__eq(str__of(s->text), text))
        return;
    copy = str__dup(text);
    if (!copy)
        return; /* the old one, if any, is better than none */
    if (!s->text)
        log__info(s->owner->log, LOG_NONE, "there is a token from %s", name_of(s));
    free(s->text);
    s->text = copy;
    s->serial++;
}

/* A token that is there stays while another cannot be had: it may still be good. */
static void keep_failure(struct source *s, const char *why)
{
    if (strcmp(s->why, why) != 0)
        log__warn(s->owner->log, LOG_NONE, "no new token for event handlers: %s%s", why,
                  s->text ? "; the last one goes on being used" : "");
    snprintf(s->why, sizeof(s->why), "%s", why);
}

/* When it is to be read again. Under the lock, with the outcome: a token without its time
 * would pass for a stale one. */
static void set_due(struct source *s, int64_t read_ms)
{
    const struct handler_tokens_times *times = &s->owner->times;

    if (s->origin == TOKEN_FILE)
        s->due_ms = read_ms + times->file_ms;
    else
        s->due_ms = read_ms + (s->why[0] == '\0' ? s->refresh_ms : times->pause_ms);
}

static void refresh(struct source *s, int64_t read_ms)
{
    struct diag diag = {""};
    struct str text;
    struct buf out;
    enum ph_err err;

    buf__init(&out, 2 * UPSTREAM_MAX_TOKEN);
    err = fetch(s, &out, &text, &diag);
    pthread_mutex_lock(&s->owner->lock);
    if (atomic_load(&s->owner->stop)) {
        /* what was interrupted is no failure */
    } else if (err) {
        keep_failure(s, diag.text);
    } else {
        s->why[0] = '\0';
        keep_text(s, text);
    }
    set_due(s, read_ms);
    s->settled = true;
    pthread_cond_broadcast(&s->owner->changed);
    pthread_mutex_unlock(&s->owner->lock);
    buf__free(&out);
}

/* --- the thread --------------------------------------------------------------------------- */

static void wait_until(struct handler_tokens *t, int64_t at_ms)
{
    struct timespec at = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000};

    if (at_ms == INT64_MAX)
        pthread_cond_wait(&t->changed, &t->lock);
    else
        pthread_cond_timedwait(&t->changed, &t->lock, &at);
}

/* When to read again, if nothing else comes. A command whose token nobody wants rests. */
static int64_t next_read(const struct source *s)
{
    return s->origin == TOKEN_COMMAND && !s->wanted && s->why[0] == '\0' ? INT64_MAX : s->due_ms;
}

static void rest(struct source *s, int64_t read_ms)
{
    struct handler_tokens *t = s->owner;
    int64_t earliest = read_ms + (s->origin == TOKEN_COMMAND ? t->times.pause_ms : 0);

    pthread_mutex_lock(&t->lock);
    while (!atomic_load(&t->stop)) {
        int64_t at = s->asked ? earliest : next_read(s);

        if (clock__mono_ms() >= at)
            break;
        wait_until(t, at);
    }
    s->asked = s->wanted = false;
    pthread_mutex_unlock(&t->lock);
}

static void *run(void *arg)
{
    struct source *s = arg;

    while (!atomic_load(&s->owner->stop)) {
        int64_t read_ms = clock__mono_ms();

        refresh(s, read_ms);
        rest(s, read_ms);
    }
    return NULL;
}

/* --- sources -------------------------------------------------------------------------------- */

static void source_free(struct source *s)
{
    for (size_t i = 0; s->words && s->words[i]; i++)
        free(s->words[i]);
    free(s->words);
    free(s->file);
    free(s->key);
    free(s->text);
    free(s);
}

static bool copy_words(struct source *s, const struct handler_auth *auth)
{
    s->words = calloc(auth->command_count + 1, sizeof(*s->words));
    for (size_t i = 0; s->words && i < auth->command_count; i++) {
        s->words[i] = str__dup(auth->command[i]);
        if (!s->words[i])
            return false;
    }
    return s->words != NULL;
}

static struct source *source_new(struct handler_tokens *t, const struct handler_auth *auth)
{
    struct source *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->owner = t;
    s->origin = auth->origin;
    s->refresh_ms = (int64_t)1000 * auth->refresh_seconds;
    s->key = str__dup(auth->key);
    if (auth->origin == TOKEN_FILE)
        s->file = str__dup(auth->file);
    if (!s->key || (auth->origin == TOKEN_FILE ? !s->file : !copy_words(s, auth)) ||
        pthread_create(&s->thread, NULL, run, s) != 0) {
        source_free(s);
        return NULL;
    }
    s->next = t->sources;
    t->sources = s;
    t->count++;
    return s;
}

/* Under the lock, for which a new source's thread has to wait. */
static struct source *source_of(struct handler_tokens *t, const struct handler_auth *auth)
{
    struct source *s = t->sources;

    while (s && !str__eq(str__of(s->key), auth->key))
        s = s->next;
    if (s)
        return s;
    return t->count < HANDLER_TOKENS_MAX_SOURCES ? source_new(t, auth) : NULL;
}

/* --- interface -------------------------------------------------------------------------------- */

struct handler_tokens *handler_tokens__new(const struct handler_tokens_times *times,
                                           struct ph_log *log)
{
    struct handler_tokens *t = calloc(1, sizeof(*t));
    pthread_condattr_t attributes;

    if (!t)
        return NULL;
    t->times = *times;
    t->log = log;
    atomic_init(&t->stop, false);
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&t->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return t;
}

void handler_tokens__free(struct handler_tokens *t)
{
    struct source *s;

    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    atomic_store(&t->stop, true);
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    while ((s = t->sources)) {
        t->sources = s->next;
        pthread_join(s->thread, NULL);
        source_free(s);
    }
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static void start_all(struct handler_tokens *t, const struct settings *settings)
{
    for (size_t i = 0; i < settings->hub_count; i++) {
        const struct hub_settings *hub = &settings->hubs[i];

        for (size_t j = 0; j < hub->handler_count; j++) {
            if (hub->handlers[j].auth.origin != TOKEN_NONE)
                source_of(t, &hub->handlers[j].auth);
        }
    }
}

void handler_tokens__prime(struct handler_tokens *t, const struct settings *settings)
{
    pthread_mutex_lock(&t->lock);
    start_all(t, settings);
    for (struct source *s = t->sources; s; s = s->next) {
        while (!s->settled)
            pthread_cond_wait(&t->changed, &t->lock);
    }
    pthread_mutex_unlock(&t->lock);
}

static void fill_in(struct source *s, struct upstream_token *out)
{
    bool stale = s->origin == TOKEN_COMMAND && !s->wanted && clock__mono_ms() >= s->due_ms;

    if (stale) /* it has rested: what it gave then may have expired */
        s->asked = true;
    if (!s->wanted)
        pthread_cond_broadcast(&s->owner->changed);
    s->wanted = true;
    out->serial = s->serial;
    if (s->text && !(stale && s->why[0] == '\0'))
        memcpy(out->text, s->text, strlen(s->text) + 1);
    else
        snprintf(out->why, sizeof(out->why), "there is no token yet: %s",
                 s->why[0] ? s->why : "it is being read");
}

bool handler_tokens__get(struct handler_tokens *t, const struct handler_auth *auth,
                         struct upstream_token *out)
{
    struct source *s;

    out->text[0] = out->why[0] = '\0';
    out->serial = 0;
    pthread_mutex_lock(&t->lock);
    s = source_of(t, auth);
    if (s)
        fill_in(s, out);
    else
        snprintf(out->why, sizeof(out->why),
                 "there is no token: out of memory or threads, or there are more than %d sources "
                 "of tokens",
                 HANDLER_TOKENS_MAX_SOURCES);
    pthread_mutex_unlock(&t->lock);
    return out->text[0] != '\0';
}

void handler_tokens__refused(struct handler_tokens *t, const struct handler_auth *auth,
                             uint64_t serial)
{
    struct source *s;

    pthread_mutex_lock(&t->lock);
    s = source_of(t, auth);
    if (s && s->serial == serial) { /* else there is another one already */
        s->asked = true;
        pthread_cond_broadcast(&t->changed);
    }
    pthread_mutex_unlock(&t->lock);
}
