/* One request being judged: inside of rest. Steps return 0 to go on, or the status of
 * the answer, which is then complete; why is in `diag` and, with few exceptions, in the
 * body, so that the log and the caller read the same. */
#ifndef BROKER_REST_JUDGE_H
#define BROKER_REST_JUDGE_H

#include "base/url.h"
#include "broker/rest/answer.h"
#include "broker/rest/rest.h"
#include "broker/rest/route.h"

struct judge {
    struct arena *arena;
    const struct http_request *req; /* with the body in rest__body alone */
    const struct rest_world *world;
    struct rest_call *call;
    struct diag *diag;
    struct route_segments segments;
    struct url_query query;
};

/* Answers with what `diag` says. */
int judge__refuse(struct judge *j, int status, const char *code, const char *target);
int judge__bad_request(struct judge *j, const char *target, const char *message);
int judge__no_memory(struct judge *j);
int judge__too_large(struct judge *j);
/* Is it the name of a group, and no longer than the settings allow? */
bool judge__is_group(const struct judge *j, struct str name);
/* With what body__kind said. */
int judge__unsupported_type(struct judge *j);

/* A filter, of the query or a body; absent or empty: every connection is meant. */
int judge__filter(struct judge *j, struct str text);

#endif
