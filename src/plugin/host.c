#include "plugin/host.h"

#include "plugin/config.h"

/* The names of pubhook/plugin.h that are the host's alone. */
#define ph_plugin_config_get plugin_config__get
#define ph_plugin_config_int plugin_config__int
#define ph_plugin_config_bool plugin_config__bool
#define ph_plugin_config_choice plugin_config__choice
#define ph_plugin_config_is_given plugin_config__is_given
#define ph_plugin_config_fail plugin_config__fail
#define ph_plugin_config_log plugin_config__log
#define ph_plugin_config_never_blocks plugin_config__never_blocks

static const struct ph_host host = {.abi_major = PH_ABI_MAJOR,
                                    .abi_minor = PH_ABI_MINOR,
                                    .size = sizeof(struct ph_host),
#define HOST_ROW(result, name, params) .name = ph_##name,
                                    PH_HOST_FUNCTIONS(HOST_ROW)
#undef HOST_ROW
};

const struct ph_host *plugin__host(void)
{
    return &host;
}
