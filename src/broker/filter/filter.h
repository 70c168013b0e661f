/* The `filter` of REST operations: an OData expression over the properties of a
 * connection (client-and-rest section 5.4, official-emulator section 2.9). No I/O.
 *
 * A filter is compiled once for a request, with all its types checked, so that a filter
 * that is wrong is refused also where nobody is connected, and one that is right cannot
 * fail for any connection. Then it is immutable, and shared by all shards. Evaluating it
 * allocates nothing.
 *
 * Where the contract leaves something open:
 *   - Lengths and positions in strings count UTF-16 code units, as .NET does. Cutting a
 *     character in two leaves U+FFFD for each half.
 *   - tolower and toupper map one character to one, as the invariant culture does.
 *   - `in` takes any simple expressions in its list, as the grammar has it.
 *   - A computed text of more than FILTER_SCRATCH bytes is null, like a substring that is
 *     out of range. */
#ifndef BROKER_FILTER_FILTER_H
#define BROKER_FILTER_FILTER_H

#include "base/diag.h"
#include "base/str.h"

#define FILTER_MAX_BYTES (32u << 10)
#define FILTER_MAX_CLAUSES 100 /* comparisons, `in`, and functions that are true or false */
#define FILTER_MAX_DEPTH 100   /* of parentheses, functions and `not` in each other */
#define FILTER_MAX_NODES 4000  /* operators, functions, properties and literals */
#define FILTER_MAX_TEXTS 200   /* calls of tolower, toupper and concat, which make texts */
#define FILTER_SCRATCH (16u << 10)

struct filter;

/* What a filter asks about a connection. */
struct filter_subject {
    struct str connection_id;
    struct str user_id;  /* absent: anonymous */
    struct str protocol; /* absent: a simple client */
    size_t group_count;
    bool (*in_group)(const void *ctx, struct str group);
    const void *ctx;
};

/* One reference is the caller's. PH_ERR_SYNTAX: not a filter, PH_ERR_LIMIT: too large or
 * too deep; `diag` says so in the words of the service, "Invalid syntax for '...': ...
 * (Parameter 'filter')", with the place. PH_ERR_MEMORY. */
enum ph_err filter__compile(struct str text, struct filter **out, struct diag *diag);
/* Any thread. */
struct filter *filter__ref(struct filter *f);
void filter__unref(struct filter *f); /* NULL is fine */

/* What a match costs at the most, about, in the unit of `work`. */
uint64_t filter__cost(const struct filter *f);
/* Is it true for this connection? Adds to *work what it cost: 1 for about 5 to 30 ns. */
bool filter__match(const struct filter *f, const struct filter_subject *subject, uint64_t *work);

#endif
