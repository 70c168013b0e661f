/* It asks for a key that is not in its table, or as if it were of another type. */
#include "bad.h"

static const struct ph_plugin_option options[] = {
    {.name = "colour", .type = PH_OPTION_CHOICE, .choices = "red|green", .preset = "red"},
    {.name = "size", .type = PH_OPTION_INTEGER, .required = 1, .help = "how large"},
    {.name = NULL},
};

static enum ph_err open_bad(struct ph_plugin_config *config, void **state)
{
    (void)state;
    switch (ph_plugin_config_int(config, "size")) {
    case 1:
        ph_plugin_config_get(config, "color");
        break;
    case 2:
        ph_plugin_config_bool(config, "size");
        break;
    case 3:
        ph_plugin_config_int(config, "colour");
        break;
    }
    return PH_OK;
}

static const struct ph_plugin_handler handlers[] = {
    {PH_EVENT_USER, "*", bad_handler},
    {0, NULL, NULL},
};

static const struct ph_plugin plugin = {
    PH_PLUGIN_HEAD, "bad", "1", open_bad, NULL, handlers, options,
};

PH_PLUGIN(plugin)
