/* What a client may do with which group (client-and-rest section 4, official-emulator
 * section 2.6). For each action there is a default, then patterns that allow, and then
 * single groups for which the answer is another one than those give. */
#ifndef BROKER_CORE_PERMISSION_H
#define BROKER_CORE_PERMISSION_H

#include "base/map.h"
#include "pubhook/err.h"

enum permission_action {
    PERMISSION_SEND_TO_GROUP,
    PERMISSION_JOIN_LEAVE_GROUP,
    PERMISSION_SET_GROUP_STATE, /* preview: client-and-rest section 2.6 */
    PERMISSION_GET_GROUP_STATE
};
#define PERMISSION_ACTIONS 4

/* Of one action of one connection. */
struct permission_limits {
    size_t literals; /* groups by name; 1000 */
    size_t rules;    /* the default, which is one, and patterns; 10 */
};

/* Zeroed: nothing is allowed. Most clients have a default and no more, and allocate nothing. */
struct permissions {
    struct rules *rules;                 /* of the actions that have patterns or names, linked */
    bool everything[PERMISSION_ACTIONS]; /* the default */
};

/* An absent group stands for every group. */
bool permissions__allow(const struct permissions *p, enum permission_action action,
                        struct str group);
/* From now on the action is allowed, or not. An absent group changes the default and
 * forgets all that differed from it. PH_ERR_LIMIT: as many names as there may be;
 * PH_ERR_ARGUMENT: not the name of a group; PH_ERR_MEMORY. Nothing is changed then. */
enum ph_err permissions__set(struct permissions *p, enum permission_action action, struct str group,
                             bool allow, const struct permission_limits *limits,
                             const struct map_seed *seed);
/* Allows all groups that a pattern matches, also those that were denied by name.
 * PH_ERR_SYNTAX: pattern__problem knows what is wrong; PH_ERR_LIMIT: as many patterns or
 * names as there may be; PH_ERR_ARGUMENT, PH_ERR_MEMORY as above. */
enum ph_err permissions__allow_pattern(struct permissions *p, enum permission_action action,
                                       struct str pattern, const struct permission_limits *limits,
                                       const struct map_seed *seed);
void permissions__free(struct permissions *p);

#endif
