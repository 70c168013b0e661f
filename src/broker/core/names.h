/* Which names are allowed (client-and-rest.md section 6). Hub names are settings'. */
#ifndef BROKER_CORE_NAMES_H
#define BROKER_CORE_NAMES_H

#include "base/str.h"

#define NAMES_GROUP_MAX 1024 /* characters, not bytes */

/* A group name: 1 to NAMES_GROUP_MAX characters of UTF-8, not all white space. */
bool names__valid_group(struct str name);
/* A user or connection id from outside: not empty, UTF-8, and free of control
 * characters, because it travels in HTTP headers of events. */
bool names__valid_id(struct str id);

#endif
