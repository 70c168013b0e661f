/* One try of a request: a call with libcurl that is used again, with its connection. Whoever
 * owns it performs it, alone or in a multi handle. */
#ifndef SERVICE_ATTEMPT_H
#define SERVICE_ATTEMPT_H

#include "curl/call.h"
#include "service/identity.h"
#include "service/result.h"
#include "service/retry.h"

struct attempt_options {
    const char *proxy, *ca_file, *user_agent; /* NULL: libcurl's own */
    unsigned connect_timeout_ms;
    size_t max_answer;
};

struct attempt {
    struct attempt *next; /* of those that are idle */
    struct call call;
    const struct attempt_options *options;
    struct str upload; /* what is left to be sent */
};

/* NULL: no memory. The options outlive it. */
struct attempt *attempt__open(const struct attempt_options *options);
void attempt__close(struct attempt *t);
/* Forgets the request; the connection stays. */
void attempt__rest(struct attempt *t);

/* `once`: the request must not be sent twice, not even by libcurl itself. `bearer` absent: no
 * token. False: no memory. */
bool attempt__set(struct attempt *t, const struct outgoing *out, struct str address,
                  struct str bearer, bool once, int64_t timeout_ms);
/* What became of it. With an answer, `result` has been read from it. */
struct try_result attempt__end(struct attempt *t, const struct operation *operation, CURLcode code,
                               struct ph_service_result *result);

#endif
