/* Built with the headers of plugin interface 1.0, whose table ends before the options: what
 * stands behind it is not the host's business. */
#include "bad.h"

static const struct ph_plugin_handler handlers[] = {
    {PH_EVENT_USER, "*", bad_handler},
    {0, NULL, NULL},
};

static enum ph_err open_old(struct ph_plugin_config *config, void **state)
{
    (void)state;
    ph_plugin_config_get(config, "colour");
    return PH_OK;
}

static const struct ph_plugin plugin = {
    PH_ABI_MAJOR, 0,        offsetof(struct ph_plugin, options), "old", "1", open_old,
    NULL,         handlers, (const struct ph_plugin_option *)8,
};

PH_PLUGIN(plugin)
