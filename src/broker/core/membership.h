/* The groups of one session. A few are searched one by one; beyond that a small hash
 * index over the groups' addresses keeps finding one O(1) whether there are 10 or 10,000. */
#ifndef BROKER_CORE_MEMBERSHIP_H
#define BROKER_CORE_MEMBERSHIP_H

#include <stdbool.h>
#include <stdint.h>

struct group;

struct membership {
    struct group *group;
    uint32_t member; /* the session's place in the group's array */
};

/* Zeroed: in no group. */
struct memberships {
    struct membership *items;
    uint32_t count, size;
    uint32_t index_size; /* power of two; 0: no index */
    uint32_t *index;     /* place in items + 1; 0: free */
};

#define MEMBERSHIP_NONE UINT32_MAX

/* The place of a group in `items`, or MEMBERSHIP_NONE. */
uint32_t memberships__find(const struct memberships *m, const struct group *group);
/* Adds one that is not there yet, at the end. False when memory is out. */
bool memberships__add(struct memberships *m, struct group *group, uint32_t member);
/* The last one takes the free place. */
void memberships__remove(struct memberships *m, uint32_t at);
void memberships__free(struct memberships *m);

#endif
