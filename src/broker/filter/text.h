/* The strings that a filter works on: UTF-8, measured in UTF-16 code units. */
#ifndef BROKER_FILTER_TEXT_H
#define BROKER_FILTER_TEXT_H

#include "base/str.h"

size_t text__length(struct str s);
/* The bytes before the `units`th code unit. *half: it is the second one of a character,
 * which begins there. `units` is not beyond the end. */
size_t text__offset(struct str s, size_t units, bool *half);
/* Without white space at both ends. */
struct str text__trim(struct str s);
/* Where `part` begins, in code units; -1: nowhere. */
int64_t text__index_of(struct str s, struct str part);
bool text__ends_with(struct str s, struct str end);

#endif
