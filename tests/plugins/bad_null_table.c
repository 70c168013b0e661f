/* Its entry function returns no table. */
#include <pubhook/plugin.h>

PH_API const struct ph_plugin *ph_plugin_entry(const struct ph_host *host);

const struct ph_plugin *ph_plugin_entry(const struct ph_host *host)
{
    (void)host;
    return NULL;
}
