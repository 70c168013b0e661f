/* The roles of a client (client-and-rest section 4): what they permit. */
#ifndef BROKER_CORE_ROLE_H
#define BROKER_CORE_ROLE_H

#include "base/diag.h"
#include "broker/core/permission.h"

/* Roles are granted in this order, whatever that of the token is (official-emulator
 * section 2.6): names come before patterns. For qsort over struct str. */
int role__compare(const void *a, const void *b);
/* PH_ERR_NOT_FOUND: it begins like a role of the service and is none. PH_ERR_MEMORY.
 * Otherwise it is refused. `diag` says why, and what to change. Roles of others' making
 * grant nothing, and are fine. */
enum ph_err role__grant(struct permissions *p, struct str role,
                        const struct permission_limits *limits, const struct map_seed *seed,
                        struct diag *diag);

#endif
