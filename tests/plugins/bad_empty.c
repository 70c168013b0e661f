/* Has an array of handlers without any. */
#include <pubhook/plugin.h>

static const struct ph_plugin_handler handlers[] = {
    {0, NULL, NULL},
};

static const struct ph_plugin plugin = {
    PH_PLUGIN_HEAD, "bad", "1", NULL, NULL, handlers, NULL,
};

PH_PLUGIN(plugin)
