/* One thing asked of an event handler: a request, its further tries and its time limit
 * (event-handler section 3.6). The shell sees each try as an exchange of its own. */
#ifndef BROKER_UPSTREAM_EXCHANGE_H
#define BROKER_UPSTREAM_EXCHANGE_H

#include "base/deadlines.h"
#include "broker/upstream/upstream.h"

#define EXCHANGE_TRIES 4

typedef void exchange_finished_fn(struct exchange *x, const struct exchange_result *result,
                                  int64_t now_ms);

struct exchange {
    struct deadline due; /* next try, or end of an in-process handler's time; first member */
    struct upstream *up;
    exchange_finished_fn *finished;
    struct upstream_request request;
    const char *target; /* for the log: route__show */
    int64_t ends_ms;    /* no answer after this */
    unsigned tries;
    bool under_way; /* the shell has it */
    bool settled;   /* no request: `verdict` at the next tick */
    const char *verdict;
    void *shell;
};

/* `finished` is called once for each start or settle that is not stopped, only from
 * inside upstream__done and upstream__tick. It may start the exchange again. False:
 * memory is out. */
bool exchange__init(struct exchange *x, struct upstream *up, exchange_finished_fn *finished);
void exchange__free(struct exchange *x);

/* `request` (but for its timeout) and `target` live until `finished` or exchange__stop. */
void exchange__start(struct exchange *x, const struct upstream_request *request, const char *target,
                     int64_t limit_ms, int64_t now_ms);
/* Finishes at the next tick without a request: no response, `why`. */
void exchange__settle(struct exchange *x, const char *why, int64_t now_ms);
/* Forgets what is under way, if anything. */
void exchange__stop(struct exchange *x);
/* Its deadline has come. */
void exchange__due(struct exchange *x, int64_t now_ms);

#endif
