/* JSON as nearly all of it is, read in one pass: no escapes in what becomes a node, no comments.
 * What is odd in any way is left to the parser of json.c, which alone decides what is wrong with
 * a text and says so. */
#ifndef BASE_JSON_PLAIN_H
#define BASE_JSON_PLAIN_H

#include "base/json.h"

/* The tree of json__parse. `text` must be UTF-8.
 * PH_ERR_SYNTAX: not plain, or too much for a limit; the arena is as it was. PH_ERR_MEMORY. */
enum ph_err json_plain__parse(struct arena *a, struct str text, const struct json_limits *limits,
                              struct json **out);

/* Is it one value, no deeper than that? A no may be wrong. */
bool json_plain__check(struct str text, uint32_t depth);

/* How many bytes come before the first that JSON escapes in a string. */
size_t json_plain__length(struct str s);

#endif
