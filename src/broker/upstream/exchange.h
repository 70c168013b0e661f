/* One thing asked of an event handler: a request, its further tries and its time limit
 * (event-handler section 3.6). The shell sees each try as an exchange of its own. */
#ifndef BROKER_UPSTREAM_EXCHANGE_H
#define BROKER_UPSTREAM_EXCHANGE_H

#include "base/deadlines.h"
#include "broker/upstream/gate.h"
#include "broker/upstream/upstream.h"

#define EXCHANGE_TRIES 4

typedef void exchange_resume_fn(struct exchange *x, int64_t now_ms);
typedef const char *exchange_target_fn(struct exchange *x);
typedef void exchange_finished_fn(struct exchange *x, const struct exchange_result *result,
                                  int64_t now_ms);

struct exchange {
    struct deadline due; /* next try, end of the wait at the gate, or end of an in-process
                            handler's time; first member */
    struct upstream *up;
    exchange_finished_fn *finished;
    exchange_target_fn *target; /* for texts, made when there is one: route__show */
    struct upstream_request request;
    int64_t ends_ms;     /* no try begins after this, and none lasts longer, but for the least time
                            of one that has waited or probes */
    int64_t try_ends_ms; /* of the last one */
    unsigned tries;
    bool under_way; /* the shell has it */
    bool settled;   /* no request: `verdict` at the next tick */
    bool refused;   /* ... because the gate is shut, or no place was free in time */
    const char *verdict;
    struct gate *gate; /* NULL: of a validation, or between events */
    bool patient;      /* rather waits at a shut gate than fails */
    bool waited;       /* ... there or for a place, before the try that comes */
    struct gate_waiter waiter;
    exchange_resume_fn *resume;      /* behind the gate */
    const struct handler_auth *auth; /* NULL: requests carry no token */
    uint64_t token_serial;           /* of the token that was sent last */
    bool lacks_token;                /* there was none, which is told at the next tick */
    bool token_renewed;              /* a 401 has been answered with another token */
    void *shell;
};

/* `finished` is called once for each start or settle that is not stopped, only from
 * inside upstream__done and upstream__tick. It may start the exchange again. False:
 * memory is out. */
bool exchange__init(struct exchange *x, struct upstream *up, exchange_finished_fn *finished,
                    exchange_target_fn *target);
void exchange__free(struct exchange *x);

enum exchange_entry { EXCHANGE_IN, EXCHANGE_WAITS, EXCHANGE_REFUSED };

/* Before anything is done for an event: may it be sent? EXCHANGE_WAITS: `resume` is called
 * later, and finishes are as below. EXCHANGE_REFUSED: it has been settled. Nothing waits
 * longer than until `ends_ms`, or UPSTREAM_LEAST_MS if that is later. `gate` lives until `finished`
 * or exchange__stop. */
enum exchange_entry exchange__enter(struct exchange *x, struct gate *gate, bool patient,
                                    int64_t ends_ms, exchange_resume_fn *resume, int64_t now_ms);
/* For an event that has entered and for which validation has found out: the handler was
 * there, or not. */
void exchange__found(struct exchange *x, bool there, const char *why, int64_t now_ms);

/* Events to this handler carry a token, from the next start on. NULL: they do not. Lives as
 * long as the request. */
void exchange__authorize(struct exchange *x, const struct handler_auth *auth);
/* `request` (but for its timeout) lives until `finished` or exchange__stop. */
void exchange__start(struct exchange *x, const struct upstream_request *request, int64_t ends_ms,
                     int64_t now_ms);
/* Finishes at the next tick without a request: no response, `why`. */
void exchange__settle(struct exchange *x, const char *why, int64_t now_ms);
/* Forgets what is under way, if anything. */
void exchange__stop(struct exchange *x);
/* Its deadline has come. */
void exchange__due(struct exchange *x, int64_t now_ms);

#endif
