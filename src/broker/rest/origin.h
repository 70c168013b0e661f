/* What stands in front of a path when an answer holds a URL of ours. */
#ifndef BROKER_REST_ORIGIN_H
#define BROKER_REST_ORIGIN_H

#include "base/buf.h"
#include "broker/rest/rest.h"

/* Appends scheme://host[:port][/path] as the caller sees it. */
void origin__write(struct buf *out, const struct rest_world *world,
                   const struct http_headers *headers);

#endif
