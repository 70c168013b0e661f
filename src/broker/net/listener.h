/* Listening sockets that share one address, one for each shard; the kernel spreads
 * new connections over them. */
#ifndef BROKER_NET_LISTENER_H
#define BROKER_NET_LISTENER_H

#include "base/buf.h"
#include "base/diag.h"

#include <sys/socket.h>

struct listener_address {
    struct sockaddr_storage addr;
    socklen_t len;
};

/* Resolves a name or address; the first answer counts. PH_ERR_ARGUMENT. */
enum ph_err listener__resolve(struct str host, uint16_t port, struct listener_address *out,
                              struct diag *diag);
/* Says so when somebody listens there already, which sockets with SO_REUSEPORT do not
 * notice: a second broker on the same port would take half of the clients. PH_ERR_SYSTEM. */
enum ph_err listener__check_free(const struct listener_address *at, struct diag *diag);
/* Opens a non-blocking listening socket with SO_REUSEPORT. With port 0 the kernel
 * picks one and `at` holds it afterwards, for the sockets that follow. PH_ERR_SYSTEM. */
enum ph_err listener__open(struct listener_address *at, int *fd, struct diag *diag);
uint16_t listener__port(const struct listener_address *at);

#endif
