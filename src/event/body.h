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

/* --- Parts of bodies; `where` is a member's path, for `diag` --------------------- */

/* Is it there, and not null? */
static inline bool body__is_given(const struct json *node)
{
    return node && node->type != JSON_NULL;
}

enum ph_err body__wrong_type(struct diag *diag, const char *where, const struct json *node,
                             const char *expected);
/* A string without NUL. */
enum ph_err body__read_string(const struct json *node, const char *where, struct str *out,
                              struct diag *diag);
/* Appends a string, or null when it is absent. */
void body__write_optional(struct buf *out, struct str value);

#endif
