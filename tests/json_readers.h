/* The two readers of JSON asked the same: what is plain is read by base/json_plain.c, all else,
 * and all that may have comments, by yajl. */
#ifndef TESTS_JSON_READERS_H
#define TESTS_JSON_READERS_H

#include "base/json.h"

struct json_readers {
    bool plain;        /* json_plain__parse had an answer */
    bool plain_check;  /* json_plain__check had one */
    const char *wrong; /* what is not the same; NULL: nothing */
};

/* A text that is not UTF-8 is plain to nobody. `limits` say nothing of comments. */
struct json_readers json_readers__ask(struct str text, const struct json_limits *limits);

#endif
