/* The cookies that a connection's event handlers set, which keep the connection with
 * one server behind a balancer (event-handler section 2.1). A cookie goes back only to
 * the scheme, host and port that set it; its path and life time are not looked at,
 * except that Max-Age=0 removes it: a connection is shorter than a browser session. */
#ifndef BROKER_UPSTREAM_COOKIES_H
#define BROKER_UPSTREAM_COOKIES_H

#include "base/arena.h"

#define COOKIES_MAX 16         /* of one connection; more are ignored */
#define COOKIES_MAX_BYTES 4096 /* of one cookie with its site; a longer one is ignored */

struct cookies {
    struct cookie *first;
    size_t count;
};

void cookies__free(struct cookies *jar);
/* A value of Set-Cookie in an answer from `url`. */
void cookies__set(struct cookies *jar, struct str url, struct str set_cookie);
/* The value of Cookie for a request to `url`; absent if there is none or memory is out. */
struct str cookies__header(const struct cookies *jar, struct arena *a, struct str url);

#endif
