/* FastCGI's other side, record by record (FastCGI specification 1.0). */
#ifndef TESTS_UNIT_FASTCGI_CLIENT_H
#define TESTS_UNIT_FASTCGI_CLIENT_H

#include "base/buf.h"

/* A signed event with `body`, of which Content-Length says that it has `length` bytes. */
void fastcgi_client__put_event(struct buf *out, bool keep, struct str body, size_t length);
/* False when the peer is gone. */
bool fastcgi_client__send_event(int fd, bool keep, const char *body, size_t length);
/* Reads to the end of the request; false when the connection ended before. */
bool fastcgi_client__read_response(int fd, char *out, size_t size);

#endif
