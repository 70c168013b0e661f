/* Blocking sockets with a deadline, and without signals. */
#ifndef TEST_SOCKET_H
#define TEST_SOCKET_H

#include "base/buf.h"
#include "base/diag.h"

/* Connects to a port of 127.0.0.1. PH_ERR_SYSTEM. */
enum ph_err test_socket__connect(uint16_t port, int *fd, struct diag *diag);
/* Writes it all, unless the peer has had enough, who may have answered all the same.
 * `until` in milliseconds of clock__mono_ms. PH_ERR_SYSTEM: the time is over. */
enum ph_err test_socket__write(int fd, struct str bytes, int64_t until, struct diag *diag);
/* Appends what has come; *more is false at the end. PH_ERR_SYSTEM, PH_ERR_LIMIT: more than the
 * buffer takes. */
enum ph_err test_socket__read(int fd, struct buf *in, int64_t until, bool *more, struct diag *diag);

#endif
