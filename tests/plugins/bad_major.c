/* Built for another major version of the interface. */
#include "bad.h"

static const struct ph_plugin_handler handlers[] = {
    {PH_EVENT_USER, "*", bad_handler},
    {0, NULL, NULL},
};

static const struct ph_plugin plugin = {
    PH_ABI_MAJOR + 1, PH_ABI_MINOR, sizeof(struct ph_plugin), "bad", "1", NULL, NULL,
    handlers,         NULL,
};

PH_PLUGIN(plugin)
