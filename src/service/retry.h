/* What is tried again, and when: the table in pubhook/service.h. No I/O. */
#ifndef SERVICE_RETRY_H
#define SERVICE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

enum try_end {
    TRY_ANSWERED,
    TRY_NOT_SENT, /* for sure */
    TRY_UNKNOWN,  /* it may have been carried out */
    TRY_FINAL     /* another try would end the same way */
};

struct try_result {
    enum try_end end;
    int status;             /* TRY_ANSWERED */
    int64_t retry_after_ms; /* as the answer says; -1: it does not */
};

struct retry_rules {
    unsigned retries;
    unsigned pause_ms, pause_max_ms;
};

/* How long to wait before the next try; -1: there is none. `tries` were made, `left_ms` is left
 * of the request's time, and `chance` is a random number. */
int64_t retry__pause(const struct retry_rules *rules, bool repeatable,
                     const struct try_result *result, unsigned tries, int64_t left_ms,
                     uint32_t chance);

#endif
