/* Values that both the command line and the configuration file set. Inside config only. */
#ifndef BROKER_CONFIG_VALUES_H
#define BROKER_CONFIG_VALUES_H

#include "broker/config/settings.h"

enum ph_err settings__listen(struct settings *s, struct str value, struct diag *diag);
/* Appends a key, whoever the others came from. */
enum ph_err settings__key(struct settings *s, struct str value, struct diag *diag);
enum ph_err settings__threads(struct settings *s, uint64_t value, struct diag *diag);

#endif
