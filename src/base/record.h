/* A JSON object on one line, member by member: what programs print for programs. */
#ifndef BASE_RECORD_H
#define BASE_RECORD_H

#include "base/buf.h"

#define RECORD_MAX (64u << 20)

struct record {
    struct buf text;
    bool first; /* nothing stands yet in the innermost object or array */
};

void record__begin(struct record *r);
/* Absent text is null. What is not UTF-8 is written in base64, under the name NAMEBase64. */
void record__text(struct record *r, const char *name, struct str value);
void record__bool(struct record *r, const char *name, bool value);
void record__number(struct record *r, const char *name, uint64_t value);
/* With three digits behind the point. */
void record__decimal(struct record *r, const char *name, double value);
/* `json` is one value, copied as it is, on one line. */
void record__raw(struct record *r, const char *name, struct str json);
/* Nested ones, up to record__close. A member of an array has no name: NULL. */
void record__open(struct record *r, const char *name, char bracket);
void record__close(struct record *r, char bracket);
/* Ends the object. False when memory was out. The text is in `text`. */
bool record__end(struct record *r);
void record__free(struct record *r);

#endif
