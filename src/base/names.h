/* Which names are allowed (client-and-rest sections 1.1 and 6), for both sides. */
#ifndef BASE_NAMES_H
#define BASE_NAMES_H

#include "base/arena.h"

#define NAMES_GROUP_MAX 1024 /* characters, not bytes */
#define NAMES_HUB_MAX 128
#define NAMES_EVENT_MAX 128

/* A group name: 1 to NAMES_GROUP_MAX characters of UTF-8, not all white space. */
bool names__valid_group(struct str name);
/* An id that a client gives to what it begins: not empty, UTF-8, and free of control characters. */
bool names__valid_id(struct str id);
/* What is wrong with a user's id from outside, to be put behind its name; NULL: nothing. All later
 * events of the user carry it in a header. */
const char *names__user_fault(struct str id);
/* ^[A-Za-z][A-Za-z0-9_`,.[\]]{0,127}$ */
bool names__valid_hub(struct str name);
/* A user event's: ^[A-Za-z][A-Za-z0-9_.-]{0,127}$ (section 2.1) */
bool names__valid_event(struct str name);
/* A copy in lower case: hubs are the same whatever their case. Absent: no memory. */
struct str names__lower_hub(struct arena *a, struct str name);

#endif
