/* Lines of a log that would be the same over and over: so many of one kind are written in
 * a while, the others are counted, and the count is written when the while is over. No
 * clock and no lock inside. */
#ifndef BASE_LOG_LIMIT_H
#define BASE_LOG_LIMIT_H

#include "base/str.h"

#define LOG_LIMIT_LINES 100 /* of a kind, within ... */
#define LOG_LIMIT_MS 10000
#define LOG_LIMIT_KINDS 64 /* that are known; the one that began first makes room */
#define LOG_LIMIT_SAMPLE 96

struct log_kind {
    uint64_t kind;
    int64_t since_ms;
    unsigned lines;                /* since then; 0: the slot is free */
    unsigned left_out;             /* of them */
    char sample[LOG_LIMIT_SAMPLE]; /* start of one of those */
};

struct log_limits {
    struct log_kind kinds[LOG_LIMIT_KINDS];
};

/* What tells kinds apart: where a line comes from, and how it begins. */
uint64_t log_limit__kind(const void *from, struct str line);
/* May this line be written? */
bool log_limit__take(struct log_limits *l, uint64_t kind, struct str line, int64_t now_ms);
/* Takes out a kind whose while is over and of which lines were left out; to be called until
 * there is none (false). With now_ms INT64_MAX: whether it is over or not. */
bool log_limit__over(struct log_limits *l, int64_t now_ms, struct log_kind *out);

#endif
