/* Bodies: JSON for system events (event-handler sections 2.2 to 2.4), data for user events. */
#ifndef EVENT_BODY_H
#define EVENT_BODY_H

#include "event/event.h"

/* Reads ev->data into the fields of the event's kind. */
enum ph_err body__decode(struct arena *a, struct ph_event *ev, const struct event_limits *limits,
                         struct diag *diag);
/* The data of a user event: is it what its type says? */
enum ph_err body__check_user_data(const struct ph_event *ev, const struct event_limits *limits,
                                  struct diag *diag);
/* Appends the body of a system event. */
void body__encode(struct buf *out, const struct ph_event *ev);

#endif
