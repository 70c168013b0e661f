/* What differs between two texts of a configuration file, for people: the names of keys,
 * never their values. It compares the JSON, so that blanks and comments do not matter and
 * no setting has to be known here. */
#ifndef BROKER_CONFIG_CHANGES_H
#define BROKER_CONFIG_CHANGES_H

#include "base/buf.h"

#define CHANGES_MAX_NAMED 20 /* the others are counted */

/* Appends "hubs.chat.eventHandlers, hubs.news (new), threads (needs a restart)"; nothing
 * when nothing differs, or when one of the texts is no configuration. */
void settings__changes(struct str before, struct str after, struct buf *out);

#endif
