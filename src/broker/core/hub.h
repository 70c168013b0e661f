/* A hub: its connections, users and groups on this shard. Hubs and users come into
 * being with their first connection and vanish with their last; a hub also stays while
 * connections on other shards have group states. */
#ifndef BROKER_CORE_HUB_H
#define BROKER_CORE_HUB_H

#include "base/list.h"
#include "broker/core/core.h"
#include "broker/core/group.h"

struct hub {
    struct map connections; /* struct session by id */
    struct map groups;
    struct map users;
    struct link sessions;    /* in the order in which they came */
    struct link walks;       /* that go along them */
    struct map state_rooms;  /* groups with states of any shard, or subscribers (group_state.h) */
    metrics_number *counted; /* connections, for the metrics; NULL: nowhere */
    struct hub_rules rules;
    char name[]; /* lower case, with a NUL */
};

/* The connections of one user id: a list through the sessions. */
struct user {
    struct session *first;
    uint32_t count;
    size_t id_len;
    char id[]; /* with a NUL */
};

struct str hub__key(const void *hub); /* for the core's map */
/* The hub of that name, made if need be. NULL when memory is out. */
struct hub *hub__get(struct core *core, struct str name);
/* Frees the hub if nobody is in it. */
void hub__release(struct core *core, struct hub *hub);
void hub__free(struct hub *hub);
void hub__ask_rules(struct core *core, struct hub *hub);
/* Puts the session into the hub, under its id and its user (absent: anonymous). False:
 * the id is in use, or memory is out. */
bool hub__enter(struct hub *hub, struct session *s, struct str user_id);
/* Takes the session out of its groups, from its user, and out of the hub. */
void hub__leave(struct hub *hub, struct session *s);

#endif
