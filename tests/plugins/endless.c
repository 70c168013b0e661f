/* Its handler never returns. */
#include <pubhook/plugin.h>
#include <unistd.h>

static struct ph_reply *on_event(const struct ph_event *ev, void *state)
{
    (void)ev, (void)state;
    for (;;)
        pause();
    return NULL;
}

static const struct ph_plugin_handler handlers[] = {
    {PH_EVENT_USER, "*", on_event},
    {0, NULL, NULL},
};

static const struct ph_plugin plugin = {
    PH_PLUGIN_HEAD, "endless", "1", NULL, NULL, handlers, NULL,
};

PH_PLUGIN(plugin)
