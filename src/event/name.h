/* Names that both sides check. */
#ifndef EVENT_NAME_H
#define EVENT_NAME_H

#include "base/str.h"

#define GROUP_NAME_MAX 1024 /* characters, not bytes (section 3.1) */

/* 1 to 1024 characters of UTF-8, not all of them blank. */
bool event__is_group_name(struct str name);

#endif
