/* Which event handler gets an event, and at which URL (event-handler section 5). */
#ifndef BROKER_UPSTREAM_ROUTE_H
#define BROKER_UPSTREAM_ROUTE_H

#include "base/arena.h"
#include "broker/config/settings.h"
#include "pubhook/event.h"

/* The first handler in the list that wants the event; NULL when none does. `subject` is
 * what patterns are compared with: see route__subject. */
const struct event_handler *route__find(const struct hub_settings *hub, enum ph_event_kind kind,
                                        struct str subject);
/* The name of a user event, the group that was joined or left. */
struct str route__subject(enum ph_event_kind kind, struct str name, struct str data);
bool route__is_heard(const struct event_listener *listener, enum ph_event_kind kind,
                     struct str name);
/* `pattern` is a comma list of patterns (base/pattern.h), compared without case. One that
 * is "*" alone stands for every event, also for one with dots. */
bool route__pattern_matches(struct str pattern, struct str name);

/* A handler as people may see it in a log: "event handler http://host/path" without
 * user, password and query, where secrets are kept; or "plugin FILE". `url` is empty
 * for a plugin. NULL when memory is out. */
const char *route__show(struct arena *a, const struct event_handler *handler, struct str url);
/* The URL or file alone of such a text. */
const char *route__bare(const char *shown);

#endif
