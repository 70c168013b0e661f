/* Writes the head of a request of HTTP/1.1. */
#ifndef BROKER_HTTP_HTTP_WRITER_H
#define BROKER_HTTP_HTTP_WRITER_H

#include "base/buf.h"
#include "base/http.h"
#include "broker/http/http_target.h"

/* Appends the request line and all header lines: those of `http`, Host, Content-Length for a
 * POST, and Authorization with `bearer` if that is there. Nothing else goes out. False: a
 * value holds a line end or NUL, or memory is out. */
bool http_writer__head(struct buf *out, const struct http_request *http,
                       const struct http_target *target, struct str bearer);

#endif
