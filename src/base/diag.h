/* The sentence that goes with an error code: what was expected, what came, and
 * where. It lives on the caller's stack and is written by the code that knows. */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

#include "pubhook/err.h"

struct diag {
    char text[512];
};

/* No sentence yet. What is behind its end stays as it is, for most have no need of a text. */
static inline void diag__clear(struct diag *d)
{
    d->text[0] = '\0';
}

/* Writes the sentence (cut between two characters where `text` ends) and returns `err`, so that a
 * refusal is one statement. `d` may be NULL. */
enum ph_err diag__set(struct diag *d, enum ph_err err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
