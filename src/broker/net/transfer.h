/* One webhook request in curl's hands, and the response as it comes in. Used again for
 * the next request, with its curl handle. */
#ifndef BROKER_NET_TRANSFER_H
#define BROKER_NET_TRANSFER_H

#include "broker/net/sender.h"
#include "curl/call.h"

struct transfer {
    struct sending sending;           /* first member */
    struct transfer *next, *previous; /* among those under way, or those kept for use */
    struct curl_sender *owner;
    struct exchange *exchange; /* NULL: not under way */
    struct call call;
    uv_timer_t timer; /* until the headers, then until the end of the body */
    int64_t timeout_ms;
    char why[SENDER_WHY_MAX];
};

/* NULL when memory is out. The owner starts and closes the timer. */
struct transfer *transfer__new(void);
/* The timer is closed, the curl handle is in no multi handle. */
void transfer__free(struct transfer *t);
/* Readies the curl handle for a request. False: out of memory. */
bool transfer__prepare(struct transfer *t, const struct upstream_request *req);
/* What became of it. All in the result is the transfer's. */
struct exchange_result transfer__result(struct transfer *t, CURLcode code);
/* Forgets request and response. */
void transfer__reset(struct transfer *t);

#endif
