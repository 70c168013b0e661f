/* Query parameters of the REST API (client-and-rest section 5.2). Names compare without
 * case. What an operation does not take is ignored; what it takes once and gets twice is
 * refused, because either of the two would be a guess. Inside of rest. */
#ifndef BROKER_REST_QUERY_H
#define BROKER_REST_QUERY_H

#include "broker/rest/judge.h"

/* Steps, in this order. */
int query__read(struct judge *j);
int query__check_version(struct judge *j);
/* What the route takes, into the call and its command. */
int query__apply(struct judge *j);

#endif
