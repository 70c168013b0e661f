/* Its open fails and says why. */
#include "bad.h"

static const struct ph_plugin_handler handlers[] = {
    {PH_EVENT_USER, "*", bad_handler},
    {0, NULL, NULL},
};

static enum ph_err open_bad(struct ph_plugin_config *config, void **state)
{
    (void)state;
    return ph_plugin_config_fail(config, "the moon is in the wrong phase");
}

static void close_bad(void *state)
{
    (void)state;
    __builtin_trap(); /* must not be called after open failed */
}

static const struct ph_plugin plugin = {
    PH_PLUGIN_HEAD, "bad", "1.2", open_bad, close_bad, handlers, NULL,
};

PH_PLUGIN(plugin)
