/* Plugins: shared objects with handlers, behind the table of pubhook/plugin.h. */
#ifndef PLUGIN_PLUGIN_H
#define PLUGIN_PLUGIN_H

#include "base/diag.h"
#include "base/log.h"
#include "pubhook/app.h"

/* Most keys in the configuration of one plugin. */
#define PLUGIN_MAX_KEYS 64

/* Loads "FILE.so[?key=value&...]" and registers its handlers. FILE without a slash is
 * looked for in the working folder, then among the installed handlers. The key `hub`,
 * which may be repeated, names the hubs that the handlers are for; without it they are
 * for any. Keys that the plugin does not ask for are refused. The plugin is closed when
 * `app` is freed; after a failure `app` must not serve, only be freed.
 * `log` may be NULL and must outlive `app`.
 * PH_ERR_PLUGIN with file, what was expected and what was found in `diag`; PH_ERR_MEMORY. */
enum ph_err plugin__load(struct ph_app *app, const char *spec, struct ph_log *log,
                         struct diag *diag);

#endif
