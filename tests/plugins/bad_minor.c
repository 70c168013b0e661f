/* Built for a newer minor version, whose functions this host does not have. */
#include "bad.h"

static const struct ph_plugin_handler handlers[] = {
    {PH_EVENT_USER, "*", bad_handler},
    {0, NULL, NULL},
};

static const struct ph_plugin plugin = {
    PH_ABI_MAJOR, PH_ABI_MINOR + 1, sizeof(struct ph_plugin), "bad", "1", NULL, NULL, handlers,
    NULL,
};

PH_PLUGIN(plugin)
