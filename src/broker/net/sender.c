#include "broker/net/sender.h"

#include <stdio.h>

size_t sender__share(const struct sender_budget *budget, size_t own)
{
    size_t others = budget->open - own;
    size_t rest = budget->total > others ? budget->total - others : 0;

    return rest > budget->per_host ? rest : budget->per_host;
}

struct exchange_result sender__timed_out(char *why, bool has_headers, int64_t timeout_ms)
{
    if (has_headers)
        snprintf(why, SENDER_WHY_MAX, "its answer was not complete %d s after its headers",
                 WEBHOOK_BODY_MS / 1000);
    else
        snprintf(why, SENDER_WHY_MAX, "no answer within %.1f s: is it blocked or overloaded?",
                 (double)timeout_ms / 1000);
    return (struct exchange_result){.why = why, .failure = FAILURE_TIMEOUT};
}
