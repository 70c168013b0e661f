/* What may stand in one row of a hub's eventListeners. */
#ifndef BROKER_CONFIG_EVENT_LISTENER_H
#define BROKER_CONFIG_EVENT_LISTENER_H

#include "broker/config/settings.h"

/* nats://[USER[:PASSWORD]@]HOST[:PORT], or some of those with commas between them: servers
 * of one cluster. PH_ERR_ARGUMENT and the reason. */
enum ph_err event_listener__check_endpoint(struct str endpoint, struct diag *diag);
/* A NATS subject, which may hold {hub} and {event}. */
enum ph_err event_listener__check_subject(struct str subject, struct diag *diag);
/* "connected" and "disconnected". */
enum ph_err event_listener__add_system_event(struct str name, unsigned *events, struct diag *diag);

#endif
