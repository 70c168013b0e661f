/* The validation of a handler's URL as the service does it (event-handler section 1), and
 * what is wrong with the answer. */
#ifndef BIN_HANDSHAKE_H
#define BIN_HANDSHAKE_H

#include "curl/call.h"

struct handshake_problem {
    const char *name;   /* a word for programs: "no-consent" */
    const char *what;   /* a sentence's part: "it answers without WebHook-Allowed-Origin" */
    const char *remedy; /* what to do about it */
};

struct handshake {
    struct call *call;
    struct str url;
    struct str origin; /* a host, or a comma list of them */
    struct str ca_file;
    bool once; /* do not try again */
    /* Told of each answer; `res` is NULL when there was none and `why` then says so.
     * `again_s`: seconds until the next try, 0 for none. May be NULL. */
    void (*seen)(void *arg, const char *method, const struct http_response *res, const char *why,
                 unsigned again_s);
    void *arg;
};

/* NULL: the handler consents. Else what is wrong; `detail` gets what is particular about it,
 * "" when nothing is. */
const struct handshake_problem *handshake__run(const struct handshake *h, struct diag *detail);

#endif
