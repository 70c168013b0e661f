/* What a client may do with which group (client-and-rest section 4). Whatever the
 * rules behind an answer are, this is all that others ask. */
#ifndef BROKER_CORE_PERMISSION_H
#define BROKER_CORE_PERMISSION_H

#include "base/map.h"

enum permission_action {
    PERMISSION_SEND_TO_GROUP,
    PERMISSION_JOIN_LEAVE_GROUP,
    PERMISSION_SET_GROUP_STATE, /* preview: client-and-rest section 2.6 */
    PERMISSION_GET_GROUP_STATE
};
#define PERMISSION_ACTIONS 4

/* Zeroed: nothing is allowed. */
struct permissions {
    struct map *names[PERMISSION_ACTIONS]; /* groups allowed by name; NULL: none */
    bool everything[PERMISSION_ACTIONS];
};

/* Takes over what a role grants; a role that is none of ours grants nothing. False when
 * memory is out, or when `limit` names are granted already: the role is then refused. */
bool permissions__grant_role(struct permissions *p, struct str role, size_t limit,
                             const struct map_seed *seed);
bool permissions__allow(const struct permissions *p, enum permission_action action,
                        struct str group);
void permissions__free(struct permissions *p);

#endif
