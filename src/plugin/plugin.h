/* Plugins: shared objects with handlers, behind the table of pubhook/plugin.h. */
#ifndef PLUGIN_PLUGIN_H
#define PLUGIN_PLUGIN_H

#include "base/buf.h"
#include "base/diag.h"
#include "base/log.h"
#include "pubhook/app.h"

#include <stdbool.h>

/* Most keys in the configuration of one plugin. */
#define PLUGIN_MAX_KEYS 64

/* Loads "FILE.so[?key=value&...]" and registers its handlers. FILE without a slash is
 * looked for in the working folder, then among the installed handlers. The key `hub`,
 * which may be repeated, names the hubs that the handlers are for; without it they are
 * for any. Keys that the plugin does not ask for are refused. The plugin is closed when
 * `app` is freed; after a failure nothing is registered.
 * `log` may be NULL and must outlive `app`.
 * PH_ERR_PLUGIN with file, what was expected and what was found in `diag`; PH_ERR_MEMORY. */
enum ph_err plugin__load(struct ph_app *app, const char *spec, struct ph_log *log,
                         struct diag *diag);

/* Appends what the plugin says of itself: name, version, handlers, options; it is not opened. */
enum ph_err plugin__describe(const char *spec, struct buf *out, struct diag *diag);

/* plugin__load, in more detail. */
struct yard;
struct plugin_order {
    const char *spec;
    struct ph_log *log;
    const void *owner; /* whose handlers these replace, if there are any; NULL: nobody's */
    struct yard *yard; /* where it is left at its end; NULL: closed by the last user */
    bool copied;       /* load a copy of the file */
    bool again;        /* for the log */
};
/* PH_ERR_SYSTEM: no copy can be made. After a failure the handlers are as they were. */
enum ph_err plugin__bring(struct ph_app *app, const struct plugin_order *order, struct diag *diag);
/* The file that a specification leads to; to be freed. NULL: none, or no memory. */
char *plugin__path(const char *spec, struct diag *diag);

#endif
