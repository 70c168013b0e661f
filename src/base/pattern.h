/* Patterns over dotted names, as roles, event handlers and listeners use them
 * (official-emulator section 2.6; event-handler section 5, userEventPattern):
 *
 *   *   any characters but a dot, also none
 *   **  any characters, also none
 *   ?   one character that is no dot
 *   \   takes the meaning from the `*`, `?` or `\` behind it
 *
 * Matching takes time in proportion to pattern times name, however many wildcards there
 * are. */
#ifndef BASE_PATTERN_H
#define BASE_PATTERN_H

#include "base/str.h"

#define PATTERN_MAX_CHARACTERS 1024
#define PATTERN_MAX_BYTES (4 * PATTERN_MAX_CHARACTERS)
#define PATTERN_MAX_STARS 5 /* each `*` counts, so `**` is two */

enum pattern_case { PATTERN_EXACT, PATTERN_NOCASE /* of ASCII letters */ };

/* NULL when it keeps the rules. Else what is wrong, in words: "has more than 5 `*`". */
const char *pattern__problem(struct str pattern);
/* False: the pattern stands for one name (which may be escaped). */
bool pattern__has_wildcard(struct str pattern);
/* Both in UTF-8. A pattern that breaks the limits matches nothing. */
bool pattern__matches(struct str pattern, struct str name, enum pattern_case which);

#endif
