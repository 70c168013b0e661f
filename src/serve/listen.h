/* Listening sockets, not blocking and closed on exec. */
#ifndef SERVE_LISTEN_H
#define SERVE_LISTEN_H

#include "base/diag.h"
#include "base/str.h"

#define LISTEN_BACKLOG 1024
/* Enough for "[v6 address]:port", and for the path of a UNIX socket. */
#define LISTEN_ADDRESS_SIZE 128

/* Listens on "HOST:PORT" (":PORT" for all addresses, port 0 for a free one), or takes a socket
 * that somebody else listens on already:
 *
 *   "fd:N"          descriptor N, inherited
 *   "systemd:NAME"  the one of that name (FileDescriptorName= of a socket unit) among those
 *                   that systemd has handed over (sd_listen_fds(3)); "systemd:" for the only one
 *
 * `actual` gets the address with the port taken. PH_ERR_ARGUMENT, PH_ERR_SYSTEM. */
enum ph_err listen__tcp(const char *where, int *fd, char actual[LISTEN_ADDRESS_SIZE],
                        struct diag *diag);

/* Listens on a UNIX socket. Its permissions are those the umask leaves, so that the
 * operator decides who may connect. A socket file that nobody listens on any more is
 * replaced; one in use, and a file that is no socket, are not touched. */
enum ph_err listen__unix(const char *path, int *fd, struct diag *diag);

#endif
