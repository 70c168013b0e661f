/* Two builds of one plugin, for the tests of loading it again: BUILD is "one" or "two". It
 * says in the log when it opens and closes. User events, on which it can be made to wait by
 * the key gate=FD (it reads a byte from there):
 *   name   answered with BUILD; so is message
 *   slow   the same, behind the gate
 *   later  deferred; answered by a thread behind the gate
 *   never  deferred for a second and not answered */
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
    int gate; /* -1: none */
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
    say(b, "closes");
    free(b);
}

static const struct ph_plugin_handler handlers[] = {
    {PH_EVENT_USER, "name", on_name},
    {PH_EVENT_USER, "slow", on_slow},
    {PH_EVENT_USER, "later", on_later},
    {PH_EVENT_USER, "never", on_never},
    {PH_EVENT_USER, BUILD, on_name},
    {PH_EVENT_USER, "message", on_name},
    {0, NULL, NULL},
};

static const struct ph_plugin plugin = {
    PH_PLUGIN_HEAD, "build", BUILD, open_build, close_build, handlers, NULL,
};

PH_PLUGIN(plugin)
