/* Its handler is for a kind of event that does not exist. */
#include "bad.h"

static const struct ph_plugin_handler handlers[] = {
    {(enum ph_event_kind)99, NULL, bad_handler},
    {0, NULL, NULL},
};

static const struct ph_plugin plugin = {
    PH_PLUGIN_HEAD, "bad", "1", NULL, NULL, handlers, NULL,
};

PH_PLUGIN(plugin)
