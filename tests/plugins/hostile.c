/* Its handlers do what no handler may; each user event is named after what comes. */
#include <pubhook/plugin.h>
#include <string.h>

static struct ph_plugin_config *kept;  /* which is the host's once `open` has returned */
static struct ph_deferred *unanswered; /* only for leak detectors */

static struct ph_reply *on_nothing(const struct ph_event *ev, void *self)
{
    (void)ev, (void)self;
    return NULL;
}

static struct ph_reply *on_foreign(const struct ph_event *ev, void *self)
{
    static char memory[1024] __attribute__((aligned(16)));

    (void)ev, (void)self;
    return (struct ph_reply *)(void *)memory;
}

static struct ph_reply *on_crooked(const struct ph_event *ev, void *self)
{
    static char memory[1024] __attribute__((aligned(16)));

    (void)ev, (void)self;
    return (struct ph_reply *)(void *)(memory + 1);
}

/* A copy of a reply is none. */
static struct ph_reply *on_copied(const struct ph_event *ev, void *self)
{
    static char memory[1024] __attribute__((aligned(16)));
    struct ph_reply *reply = ph_reply_ok();

    (void)ev, (void)self;
    memcpy(memory, (const void *)reply, 64);
    ph_reply_free(reply);
    return (struct ph_reply *)(void *)memory;
}

static struct ph_reply *on_wrong(const struct ph_event *ev, void *self)
{
    (void)ev, (void)self;
    return ph_reply_accept();
}

static struct ph_reply *on_connected(const struct ph_event *ev, void *self)
{
    (void)ev, (void)self;
    return ph_reply_text("to whom?", 8);
}

/* Answers before it has returned, and once more: the first counts. */
static struct ph_reply *on_twice(const struct ph_event *ev, void *self)
{
    struct ph_deferred *token;
    struct ph_reply *reply = ph_reply_defer(ev, 0, &token);

    (void)self;
    if (!token)
        return reply;
    if (ph_deferred_answer(token, ph_reply_text("first", 5)) != PH_OK ||
        ph_deferred_answer(token, ph_reply_text("second", 6)) != PH_ERR_STATE)
        __builtin_trap();
    ph_deferred_unref(token);
    return reply;
}

/* An answer that is none is refused, and the event still waits. */
static struct ph_reply *on_answered_by_foreign(const struct ph_event *ev, void *self)
{
    struct ph_deferred *token;
    struct ph_reply *reply = ph_reply_defer(ev, 0, &token);

    if (!token)
        return reply;
    if (ph_deferred_answer(token, on_foreign(ev, self)) != PH_ERR_ARGUMENT)
        __builtin_trap();
    ph_deferred_answer(token, ph_reply_text("own", 3));
    ph_deferred_unref(token);
    return reply;
}

static struct ph_reply *on_never(const struct ph_event *ev, void *self)
{
    (void)self;
    ph_deferred_unref(unanswered); /* of an earlier event, whose time is over */
    return ph_reply_defer(ev, 20, &unanswered);
}

static struct ph_reply *on_dropped(const struct ph_event *ev, void *self)
{
    struct ph_deferred *token;
    struct ph_reply *reply = ph_reply_defer(ev, 0, &token);

    (void)self;
    ph_deferred_unref(token);
    return reply;
}

static struct ph_reply *on_config(const struct ph_event *ev, void *self)
{
    const char *value = ph_plugin_config_get(kept, "key");

    (void)ev, (void)self;
    ph_plugin_config_never_blocks(kept);
    ph_plugin_config_fail(kept, "too late");
    return ph_reply_text(value ? value : "none", strlen(value ? value : "none"));
}

static enum ph_err open_hostile(struct ph_plugin_config *config, void **state)
{
    (void)state;
    kept = config;
    ph_plugin_config_get(config, "key");
    ph_plugin_config_get(config, NULL);
    return PH_OK;
}

static void close_hostile(void *state)
{
    (void)state;
    ph_deferred_unref(unanswered);
}

static const struct ph_plugin_handler handlers[] = {
    {PH_EVENT_CONNECTED, NULL, on_connected},
    {PH_EVENT_USER, "nothing", on_nothing},
    {PH_EVENT_USER, "foreign", on_foreign},
    {PH_EVENT_USER, "crooked", on_crooked},
    {PH_EVENT_USER, "copied", on_copied},
    {PH_EVENT_USER, "wrong", on_wrong},
    {PH_EVENT_USER, "twice", on_twice},
    {PH_EVENT_USER, "byforeign", on_answered_by_foreign},
    {PH_EVENT_USER, "never", on_never},
    {PH_EVENT_USER, "dropped", on_dropped},
    {PH_EVENT_USER, "config", on_config},
    {PH_EVENT_USER, "**********************************************x", on_nothing},
    {0, NULL, NULL},
};

static const struct ph_plugin plugin = {
    PH_PLUGIN_HEAD, "hostile", "1", open_hostile, close_hostile, handlers, NULL,
};

PH_PLUGIN(plugin)
