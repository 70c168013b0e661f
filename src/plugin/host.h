/* The table of functions that plugins are handed. */
#ifndef PLUGIN_HOST_H
#define PLUGIN_HOST_H

#define PH_PLUGIN_HOST_SIDE
#include "pubhook/plugin.h"

const struct ph_host *plugin__host(void);

#endif
