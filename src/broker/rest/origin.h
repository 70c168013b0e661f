/* What stands in front of a path when an answer holds a URL of ours, as the caller
 * sees it. Nothing is decided by it: who is let in, access.h says. Inside of rest. */
#ifndef BROKER_REST_ORIGIN_H
#define BROKER_REST_ORIGIN_H

#include "base/buf.h"
#include "broker/rest/rest.h"

/* Appends scheme://host[:port][/path]. Where the settings have public endpoints, it is
 * the one that the request's Host names, or else the first: a proxy may have put another
 * Host in. Without any, it is the request's Host, and https when X-Forwarded-Proto says so:
 * a caller that lies in it misleads nobody but itself. */
void origin__write(struct buf *out, const struct rest_world *world,
                   const struct http_headers *headers);

#endif
