/* What a string of JSON says: its escapes (RFC 8259 section 7) undone. */
#ifndef BASE_JSON_TEXT_H
#define BASE_JSON_TEXT_H

#include "base/str.h"

/* `raw` is what stands between the quotes of a valid string. Writes UTF-8 to `out`, as many bytes
 * as `raw` has at the most, and returns how many. Half of a pair of surrogates, for which there is
 * no UTF-8, becomes U+FFFD. */
size_t json_text__unescape(char *out, struct str raw);

#endif
