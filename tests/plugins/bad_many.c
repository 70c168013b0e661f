/* It has more handlers than anybody needs, as if the end of the array were missing. */
#include "bad.h"

#define ONE {PH_EVENT_USER, "*", bad_handler},
#define TEN ONE ONE ONE ONE ONE ONE ONE ONE ONE ONE
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct ph_plugin_handler handlers[] = {HUNDRED HUNDRED HUNDRED{0, NULL, NULL}};

static const struct ph_plugin plugin = {
    PH_PLUGIN_HEAD, "bad", "1", NULL, NULL, handlers, NULL,
};

PH_PLUGIN(plugin)
