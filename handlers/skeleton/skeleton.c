/* skeleton: a plugin to copy. It handles every kind of event, reads a configuration,
 * keeps state of its own, and is compiled and tested with everything else.
 *
 * Build a copy outside of this tree, with the Makefile beside it, or:
 *
 *     cc -shared -fPIC -o mine.so mine.c $(pkg-config --cflags pubhook)
 *     pubhookd --plugin './mine.so?greeting=hello' --access-key KEY
 *
 * (A plugin is not linked with libpubhook: the host hands it the functions.)
 *
 * Configuration:
 *   greeting=TEXT   what the event "greet" is answered with (default "hello") */
#include <pubhook/plugin.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One of these for each use of the plugin. Handlers run on several threads at once, so
 * what changes must be atomic or locked. */
struct skeleton {
    char *greeting;
    struct ph_log *log; /* the host's; may be NULL, which ph_log_write accepts */
    atomic_long connections;
};

/* Called before the client is let in; this reply decides. ph_reply_ok() would accept it
 * just as its token says. */
static struct ph_reply *on_connect(const struct ph_event *ev, void *self)
{
    struct ph_reply *reply = ph_reply_accept();

    (void)self;
    /* The state comes back with each later event of this connection. */
    if (!ph_event_user_id(ev))
        ph_reply_set_user_id(reply, "guest");
    ph_reply_set_state(reply, "");
    return reply;
}

/* Notifications: the service ignores the reply, but a failure (NULL) makes it try again. */
static struct ph_reply *on_connected(const struct ph_event *ev, void *self)
{
    struct skeleton *s = self;

    (void)ev;
    atomic_fetch_add(&s->connections, 1);
    return ph_reply_ok();
}

static struct ph_reply *on_disconnected(const struct ph_event *ev, void *self)
{
    struct skeleton *s = self;
    const char *reason = ph_event_reason(ev);
    char text[256];

    snprintf(text, sizeof(text), "skeleton: a client left (%s), %ld remain",
             reason ? reason : "no reason", atomic_fetch_sub(&s->connections, 1) - 1);
    ph_log_write(s->log, PH_LOG_DEBUG, text);
    return ph_reply_ok();
}

/* Only from a service whose settings have groupPresenceEvents for this handler. */
static struct ph_reply *on_joined_or_left(const struct ph_event *ev, void *self)
{
    struct skeleton *s = self;
    char text[256];

    snprintf(text, sizeof(text), "skeleton: a client has %s %s",
             ph_event_kind(ev) == PH_EVENT_JOINED ? "joined" : "left", ph_event_group(ev));
    ph_log_write(s->log, PH_LOG_DEBUG, text);
    return ph_reply_ok();
}

/* A custom event, by its name. */
static struct ph_reply *on_greet(const struct ph_event *ev, void *self)
{
    const struct skeleton *s = self;

    (void)ev;
    return ph_reply_text(s->greeting, strlen(s->greeting));
}

/* All other user events: counted in the connection's own state, answered with nothing. */
static struct ph_reply *on_other(const struct ph_event *ev, void *self)
{
    struct ph_state *state = ph_state_from_event(ev);
    struct ph_reply *reply = ph_reply_ok();

    (void)self;
    ph_state_set_int(state, "events", ph_state_get_int(state, "events", 0) + 1);
    ph_reply_set_state_from(reply, state);
    ph_state_free(state);
    return reply;
}

/* What may stand behind the '?' of the command line; the host refuses all else before it calls
 * open_skeleton, and prints this for `pubhookd --describe --plugin skeleton.so`. */
static const struct ph_plugin_option options[] = {
    {.name = "greeting",
     .type = PH_OPTION_TEXT,
     .help = "what the event \"greet\" is answered with",
     .preset = "hello",
     .least = 1,
     .most = 1000},
    {.name = NULL},
};

static enum ph_err open_skeleton(struct ph_plugin_config *config, void **state)
{
    struct skeleton *s = calloc(1, sizeof(*s));

    if (!s)
        return ph_plugin_config_fail(config, "out of memory");
    s->greeting = strdup(ph_plugin_config_get(config, "greeting"));
    s->log = ph_plugin_config_log(config);
    atomic_init(&s->connections, 0);
    if (!s->greeting) {
        free(s);
        return ph_plugin_config_fail(config, "out of memory");
    }
    /* Leave this out if a handler of yours waits for anything: it would hold up all clients of
     * a loop of pubhook-broker. */
    ph_plugin_config_never_blocks(config);
    *state = s;
    return PH_OK;
}

static void close_skeleton(void *state)
{
    struct skeleton *s = state;

    free(s->greeting);
    free(s);
}

/* Asked in this order; the first whose reply is not ph_reply_pass() decides. */
static const struct ph_plugin_handler handlers[] = {
    {PH_EVENT_CONNECT, NULL, on_connect},
    {PH_EVENT_CONNECTED, NULL, on_connected},
    {PH_EVENT_DISCONNECTED, NULL, on_disconnected},
    {PH_EVENT_JOINED, NULL, on_joined_or_left},
    {PH_EVENT_LEFT, NULL, on_joined_or_left},
    {PH_EVENT_USER, "greet", on_greet},
    {PH_EVENT_USER, "*", on_other},
    {0, NULL, NULL},
};

static const struct ph_plugin plugin = {
    PH_PLUGIN_HEAD, "skeleton", "1.0", open_skeleton, close_skeleton, handlers, options,
};

PH_PLUGIN(plugin)
