/* Its handler of user events does not say of which. */
#include "bad.h"

static const struct ph_plugin_handler handlers[] = {
    {PH_EVENT_USER, NULL, bad_handler},
    {0, NULL, NULL},
};

static const struct ph_plugin plugin = {
    PH_PLUGIN_HEAD, "bad", "1", NULL, NULL, handlers, NULL,
};

PH_PLUGIN(plugin)
