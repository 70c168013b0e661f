/* Where a request of HTTP/1.1 without TLS goes, out of its URL. */
#ifndef BROKER_HTTP_HTTP_TARGET_H
#define BROKER_HTTP_HTTP_TARGET_H

#include "base/str.h"

#define HTTP_TARGET_MAX_HOST 255

struct http_target {
    struct str host;      /* a name, or an address without brackets */
    struct str authority; /* for the Host header: no port if it is the usual one */
    struct str path;      /* with the query; may lack the '/' in front */
    uint16_t port;
};

/* Views into `url`. False for all that is not plain: another scheme, a user, a fragment, dots
 * to be resolved in the path, characters that a URL may not hold, a host in an odd form.
 * That is for somebody who knows all about URLs. */
bool http_target__read(struct str url, struct http_target *out);

#endif
