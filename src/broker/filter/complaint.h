/* What is wrong with a filter, in the words of the service. They are the same for
 * `invalid filter`, `not length(userId) gt 5` and the like; long filters are quoted around
 * the place that is meant. */
#ifndef BROKER_FILTER_COMPLAINT_H
#define BROKER_FILTER_COMPLAINT_H

#include "broker/filter/node.h"

/* "Invalid syntax for 'TEXT': WHAT at position N in 'TEXT'. (Parameter 'filter')"; N
 * counts UTF-16 code units up to the byte `at`, which is a character's first. */
enum ph_err complaint__at(struct diag *diag, struct str text, uint32_t at, const char *what);
/* "Invalid syntax for 'PART': WHAT. (Parameter 'filter')" */
enum ph_err complaint__of(struct diag *diag, struct str text, struct extent part, const char *what);
/* "Invalid syntax for 'TEXT': Token 'PART' is not supported. (Parameter 'filter')" */
enum ph_err complaint__token(struct diag *diag, struct str text, struct extent part);
enum ph_err complaint__limit(struct diag *diag, struct str text, uint32_t at, const char *what);

#endif
