/* The words of a filter. */
#ifndef BROKER_FILTER_TOKEN_H
#define BROKER_FILTER_TOKEN_H

#include "broker/filter/node.h"

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,    /* an operator, a property, a function, true, false, null */
    TOKEN_STRING,  /* with its quotes */
    TOKEN_INTEGER, /* with its sign */
    TOKEN_FOREIGN, /* a literal of a kind that filters do not have: 1.5, 2024-01-01 */
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_COMMA
};

struct token {
    enum token_kind kind;
    struct extent extent;
};

/* The first token from byte `at` on. */
enum ph_err token__next(struct str text, uint32_t at, struct token *out, struct diag *diag);
/* The end of the parenthesis that opens at byte `at`, with everything in it skipped; 0: it
 * is not closed. */
uint32_t token__skip_parenthesis(struct str text, uint32_t at);

#endif
