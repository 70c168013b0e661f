/* The URLs under which a broker behind a proxy is known (client-and-rest section 5.6). */
#ifndef BROKER_CONFIG_ENDPOINT_H
#define BROKER_CONFIG_ENDPOINT_H

#include "broker/config/settings.h"

/* http(s)://HOST[:PORT][/PATH], as it stands behind Endpoint= in connection strings. The
 * strings of *out are views into `url`. PH_ERR_ARGUMENT and the reason. */
enum ph_err endpoint__parse(struct str url, struct public_endpoint *out, struct diag *diag);
/* Parses and copies it. */
enum ph_err endpoint__add(struct settings *s, struct str url, struct diag *diag);

#endif
