/* Two builds of one plugin, for the tests of loading it again: BUILD is "one" or "two". It
 * says in the log when it opens and closes. User events, on which it can be made to wait by
 * the key gate=FD (it reads a byte from there):
 *   name     answered with BUILD
 *   message  the same, but each second one is deferred and answered at once by a thread
 *   slow     as name, behind the gate
 *   later    deferred; answered by a thread behind the gate
 *   never    deferred for a second and not answered */
#include <pthread.h>
#include <pubhook/plugin.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_LATER 16

struct build {
    struct ph_log *log;
    int gate;    /* -1: none */
    int line[2]; /* tokens on their way to the thread that answers at once; NULL ends it */
    pthread_t clerk;
    atomic_uint messages;
    atomic_int later_count;
    struct {
        pthread_t thread;
        struct ph_deferred *token;
        struct build *build;
    } later[MAX_LATER];
};

static void say(const struct build *b, const char *what)
{
    char text[64];

    snprintf(text, sizeof(text), "build " BUILD " %s", what);
    ph_log_write(b->log, PH_LOG_INFO, text);
}

static void wait_at_gate(const struct build *b)
{
    char byte;

    if (read(b->gate, &byte, 1) != 1)
        say(b, "has no gate");
}

static struct ph_reply *on_name(const struct ph_event *ev, void *self)
{
    (void)ev, (void)self;
    return ph_reply_text(BUILD, strlen(BUILD));
}

static struct ph_reply *on_slow(const struct ph_event *ev, void *self)
{
    say(self, "waits");
    wait_at_gate(self);
    return on_name(ev, self);
}

static void *answer_at_once(void *arg)
{
    struct build *b = arg;
    struct ph_deferred *token;

    while (read(b->line[0], &token, sizeof(token)) == sizeof(token) && token) {
        ph_deferred_answer(token, ph_reply_text(BUILD, strlen(BUILD)));
        ph_deferred_unref(token);
    }
    return NULL;
}

static void pass_on(const struct build *b, struct ph_deferred *token)
{
    if (write(b->line[1], &token, sizeof(token)) != sizeof(token))
        say(b, "has no line");
}

static struct ph_reply *on_message(const struct ph_event *ev, void *self)
{
    struct build *b = self;
    struct ph_deferred *token;
    struct ph_reply *reply;

    if (atomic_fetch_add(&b->messages, 1) % 2 == 0)
        return on_name(ev, self);
    reply = ph_reply_defer(ev, 0, &token);
    if (token)
        pass_on(b, token);
    return reply;
}

static void *answer(void *arg)
{
    struct build *b = *(struct build **)arg;
    size_t at = (size_t)((char *)arg - (char *)b->later) / sizeof(b->later[0]);

    wait_at_gate(b);
    ph_deferred_answer(b->later[at].token, ph_reply_text(BUILD " later", strlen(BUILD " later")));
    ph_deferred_unref(b->later[at].token);
    return NULL;
}

static struct ph_reply *on_later(const struct ph_event *ev, void *self)
{
    struct build *b = self;
    int at = atomic_fetch_add(&b->later_count, 1);
    struct ph_reply *reply = ph_reply_defer(ev, 0, &b->later[at].token);

    b->later[at].build = b;
    pthread_create(&b->later[at].thread, NULL, answer, &b->later[at].build);
    say(b, "waits");
    return reply;
}

static struct ph_reply *on_never(const struct ph_event *ev, void *self)
{
    struct build *b = self;
    int at = atomic_fetch_add(&b->later_count, 1);
    struct ph_reply *reply = ph_reply_defer(ev, 1000, &b->later[at].token);

    say(b, "waits");
    return reply;
}

static enum ph_err open_build(struct ph_plugin_config *config, void **state)
{
    const char *gate = ph_plugin_config_get(config, "gate");
    struct build *b = calloc(1, sizeof(*b));

    if (!b)
        return ph_plugin_config_fail(config, "out of memory");
    b->log = ph_plugin_config_log(config);
    b->gate = gate ? atoi(gate) : -1;
    if (pipe(b->line) != 0 || pthread_create(&b->clerk, NULL, answer_at_once, b) != 0) {
        free(b);
        return ph_plugin_config_fail(config, "no pipe, or no thread");
    }
    say(b, "opens");
    *state = b;
    return PH_OK;
}

static void close_build(void *state)
{
    struct build *b = state;

    for (int i = 0; i < b->later_count; i++) {
        if (b->later[i].build)
            pthread_join(b->later[i].thread, NULL);
        else
            ph_deferred_unref(b->later[i].token);
    }
    pass_on(b, NULL);
    pthread_join(b->clerk, NULL);
    close(b->line[0]);
    close(b->line[1]);
    say(b, "closes");
    free(b);
}

static const struct ph_plugin_handler handlers[] = {
    {PH_EVENT_USER, "name", on_name},
    {PH_EVENT_USER, "slow", on_slow},
    {PH_EVENT_USER, "later", on_later},
    {PH_EVENT_USER, "never", on_never},
    {PH_EVENT_USER, BUILD, on_name},
    {PH_EVENT_USER, "message", on_message},
    {0, NULL, NULL},
};

static const struct ph_plugin plugin = {
    PH_PLUGIN_HEAD, "build", BUILD, open_build, close_build, handlers, NULL,
};

PH_PLUGIN(plugin)
