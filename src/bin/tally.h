/* What came of many requests: how many of which status, how fast. */
#ifndef BIN_TALLY_H
#define BIN_TALLY_H

#include "base/record.h"

#include <stdio.h>

#define TALLY_MAX_STATUS 600

struct tally {
    uint32_t *microseconds; /* of each that was answered */
    size_t answered, capacity;
    uint64_t statuses[TALLY_MAX_STATUS];
    uint64_t unanswered, failed; /* failed: unanswered ones too */
    char why[256];               /* of the first that was not answered */
    int64_t began_ms;
};

/* False when there is no memory for so many. */
bool tally__init(struct tally *t, uint64_t count);
void tally__free(struct tally *t);
void tally__answer(struct tally *t, int status, bool success, int64_t microseconds);
void tally__no_answer(struct tally *t, const char *why);

/* "812 of 1000, 405 a second, 0 failed" on one line that the next one replaces. */
void tally__progress(const struct tally *t, uint64_t count, FILE *out);
void tally__show(struct tally *t, FILE *out);
void tally__record(struct tally *t, struct record *r);

#endif
