/* Plugins that are loaded again when their files change, or when they are told to. A thread of
 * its own loads them, and closes old builds when the last event that they handle is through.
 * A build that does not load changes nothing. */
#ifndef PLUGIN_WATCH_H
#define PLUGIN_WATCH_H

#include "plugin/plugin.h"

#define PLUGIN_WATCH_QUIET_MS 200 /* a file is written in several steps */

struct plugin_watch;

/* `files`: they are watched, and plugins are loaded as copies, for a file in use may be
 * overwritten; else plugins are loaded again only when told. NULL: memory or descriptors are
 * out. */
struct plugin_watch *plugin_watch__new(struct ph_log *log, bool files);
/* plugin__load, remembered. `spec` is copied. Before the thread starts. */
enum ph_err plugin_watch__load(struct plugin_watch *w, struct ph_app *app, const char *spec,
                               struct diag *diag);
/* Starts the thread, which takes no signals; none if there is no plugin. PH_ERR_SYSTEM. */
enum ph_err plugin_watch__start(struct plugin_watch *w, struct diag *diag);
/* Loads again what has changed, and tries again what did not load. Any thread, and signal
 * handlers. */
void plugin_watch__look(struct plugin_watch *w);
/* Ends the thread. Before the applications are freed; those stay as they are. NULL is fine. */
void plugin_watch__free(struct plugin_watch *w);

#endif
