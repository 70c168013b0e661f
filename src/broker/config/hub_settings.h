/* The hubs of the settings and their event handlers. */
#ifndef BROKER_CONFIG_HUB_SETTINGS_H
#define BROKER_CONFIG_HUB_SETTINGS_H

#include "broker/config/settings.h"

/* The hub called `name` (without case), or NULL. */
struct hub_settings *hub_settings__find(const struct settings *s, struct str name);
/* Adds a hub with default settings, which must not exist yet. *out is valid until the
 * next hub is added. PH_ERR_ARGUMENT: the name, or too many hubs. PH_ERR_MEMORY. */
enum ph_err hub_settings__add(struct settings *s, struct str name, struct hub_settings **out,
                              struct diag *diag);
/* Appends a row; its strings are copied. PH_ERR_ARGUMENT: too many. PH_ERR_MEMORY. */
enum ph_err hub_settings__add_handler(struct settings *s, struct hub_settings *hub,
                                      const struct event_handler *row, struct diag *diag);
/* Likewise. */
enum ph_err hub_settings__add_listener(struct settings *s, struct hub_settings *hub,
                                       const struct event_listener *row, struct diag *diag);

#endif
