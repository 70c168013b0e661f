/* Who asks (client-and-rest section 5.6): a bearer of a token that is signed with the
 * access key, or of one by Microsoft Entra. Inside of rest. */
#ifndef BROKER_REST_CALLER_H
#define BROKER_REST_CALLER_H

#include "broker/rest/judge.h"

/* A step. Refusals have an empty body (section 5.5). */
int caller__check(struct judge *j);

#endif
