/* The plugins of --handler, one application for each, which stays until the end. */
#ifndef BIN_BROKER_PLUGINS_H
#define BIN_BROKER_PLUGINS_H

#include "broker/config/settings.h"
#include "plugin/watch.h"

/* Loads the plugins that the settings name, into them. On failure those that were loaded
 * are to be unloaded too. `watch`, which may be NULL, remembers them. */
enum ph_err broker_plugins__load(struct settings *s, struct plugin_watch *watch, struct ph_log *log,
                                 struct diag *diag);
/* Lets their handlers call the broker that runs them, at HOST:PORT and with this key; again
 * when the key has changed. */
void broker_plugins__connect(struct settings *s, const char *host, struct str key,
                             struct ph_log *log);
/* When nobody calls them any more. */
void broker_plugins__unload(struct settings *s);
/* Gives other settings of the same command line the plugins of these. */
void broker_plugins__share(const struct settings *from, struct settings *to);

/* Uses of plugins; two of one file are two. */
size_t broker_plugins__count(const struct settings *s);

#endif
