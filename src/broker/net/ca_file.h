/* Files with certificates of issuers that event handlers over HTTPS may have. */
#ifndef BROKER_NET_CA_FILE_H
#define BROKER_NET_CA_FILE_H

#include "broker/config/settings.h"

/* That all such files of the settings can be read and hold certificates. PH_ERR_CONFIG says
 * which does not. */
enum ph_err ca_files__check(const struct settings *settings, struct diag *diag);

#endif
