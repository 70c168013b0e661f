/* What may stand in one row of a hub's eventHandlers (event-handler section 5). */
#ifndef BROKER_CONFIG_EVENT_HANDLER_H
#define BROKER_CONFIG_EVENT_HANDLER_H

#include "broker/config/settings.h"

#define SYSTEM_EVENTS_ALL                                                                          \
    (SYSTEM_EVENT_CONNECT | SYSTEM_EVENT_CONNECTED | SYSTEM_EVENT_DISCONNECTED)

/* An http or https URL whose path and query, but not its host, may hold {hub} and
 * {event}. PH_ERR_ARGUMENT and the reason. */
enum ph_err event_handler__check_url(struct str url, struct diag *diag);
/* Event names in a comma list, with blanks around them and wildcards (base/pattern.h).
 * Documents know "*", one name and a list; the service's own matcher knows the rest. */
enum ph_err event_handler__check_pattern(struct str pattern, struct diag *diag);
/* Adds the bit of a system event's name to *events. */
enum ph_err event_handler__add_system_event(struct str name, unsigned *events, struct diag *diag);

/* Likewise of a group presence event's name. */
enum ph_err event_handler__add_presence_event(struct str name, unsigned *events, struct diag *diag);
/* A pattern of group names (base/pattern.h). */
enum ph_err event_handler__check_group_filter(struct str filter, struct diag *diag);

#endif
