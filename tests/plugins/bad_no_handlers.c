/* Has no array of handlers. */
#include <pubhook/plugin.h>

static const struct ph_plugin plugin = {
    PH_PLUGIN_HEAD, "bad", "1", NULL, NULL, NULL, NULL,
};

PH_PLUGIN(plugin)
