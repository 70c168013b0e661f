/* The parts of URLs that servers need: percent coding, queries, host and port. */
#ifndef BASE_URL_H
#define BASE_URL_H

#include "base/arena.h"
#include "base/buf.h"

struct url_param {
    struct str name, value; /* decoded */
};

struct url_query {
    struct url_param *params; /* in the order of the URL; names may repeat */
    size_t count;
};

/* Percent-decodes into the arena, with a NUL behind. `plus` turns '+' into a space
 * (queries only). .ptr is NULL for a broken escape, a NUL byte, or no memory. */
struct str url__decode(struct arena *a, struct str s, bool plus);
/* Escapes all but the unreserved characters of RFC 3986 section 2.3. */
void url__encode(struct buf *out, struct str s);
/* Escapes only what no URL may hold (RFC 3986 section 2: controls, space, what is not
 * ASCII), for a part that is escaped already but for the bytes that a peer forgot. */
void url__encode_rest(struct buf *out, struct str s);

/* Parses what stands behind the '?'. False: broken escape, over `max` params, no memory. */
bool url__parse_query(struct arena *a, struct str query, size_t max, struct url_query *out);
/* First value of a name (compared with case, or without), absent when there is none. */
struct str url__query_get(const struct url_query *q, struct str name, bool ignore_case);

/* Splits HOST:PORT, [V6]:PORT or :PORT; `host` comes without brackets. False unless
 * there is a port from 0 to 65535. */
bool url__host_port(struct str s, struct str *host, uint16_t *port);
/* Host of a Host header or URL authority, without port and brackets. */
struct str url__host_only(struct str authority);
/* localhost, *.localhost, 127.0.0.0/8 or ::1, by name alone. */
bool url__is_loopback(struct str host);

#endif
