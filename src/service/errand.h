/* A request on its way: the tries that it takes until there is a result. Whoever has it
 * performs the tries, on the spot or in a loop. */
#ifndef SERVICE_ERRAND_H
#define SERVICE_ERRAND_H

#include "service/attempt.h"

/* What the calls of one client have in common. */
struct errand_rules {
    struct retry_rules retry;
    int64_t timeout_ms;
};

struct errand {
    struct identity *identity; /* a reference */
    struct arena arena;
    struct outgoing out;
    struct ph_service_result *result;
    int64_t deadline_ms; /* on the monotonic clock */
    bool repeatable;
};

/* Writes a request down, and takes over the reference to who makes it. After a failure the result
 * says why; the call is freed all the same. False also when there is no memory for a result:
 * `result` is then result__no_memory(). */
bool errand__init(struct errand *c, const struct errand_rules *rules, struct identity *identity,
                  struct str hub, const struct ph_service_request *request);
/* Frees all but the result, which is then the caller's. */
struct ph_service_result *errand__finish(struct errand *c);

/* Sets up the next try. False: it cannot be made, and the result says why. */
bool errand__prepare(struct errand *c, struct attempt *attempt);
/* It has ended: the pause before the next one, in milliseconds, or -1 when there is none and the
 * result is what came of it. The attempt rests. */
int64_t errand__judge(struct errand *c, const struct errand_rules *rules, struct attempt *attempt,
                      CURLcode code);

#endif
