/* Says that its table is shorter than it must be. */
#include "bad.h"

static const struct ph_plugin_handler handlers[] = {
    {PH_EVENT_USER, "*", bad_handler},
    {0, NULL, NULL},
};

static const struct ph_plugin plugin = {
    PH_ABI_MAJOR, PH_ABI_MINOR, offsetof(struct ph_plugin, options) - 1, "bad", "1", NULL, NULL,
    handlers,     NULL,
};

PH_PLUGIN(plugin)
