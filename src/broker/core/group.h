/* A group: the array of its members, which a send walks from end to end. A member and
 * its session point at each other by place, so joining and leaving are O(1): the last
 * member takes the place of the one that leaves. */
#ifndef BROKER_CORE_GROUP_H
#define BROKER_CORE_GROUP_H

#include "base/str.h"
#include "pubhook/err.h"

struct hub;
struct session;

struct member {
    struct session *session;
    uint32_t membership; /* place in the session's memberships */
};

struct group {
    struct member *members;
    uint32_t count, size;
    size_t name_len;
    char name[];
};

struct str group__key(const void *group); /* for the hub's map */
/* The group comes into being with its first member. PH_OK also for one who is a member
 * already; PH_ERR_LIMIT for one who is in as many groups as it may be; PH_ERR_MEMORY. */
enum ph_err group__join(struct hub *hub, struct session *s, struct str name);
/* The group vanishes with its last member. */
void group__leave(struct hub *hub, struct session *s, struct str name);
void group__leave_all(struct hub *hub, struct session *s);
void group__free(struct group *g);
/* Into the cache: what a delivery to those that come before member `i` touches. */
void group__fetch_ahead(const struct group *g, uint32_t i);
/* Raises `presence` for all groups of a session, if anybody wants to hear of it. */
void group__tell_all(struct session *s, bool joined);

#endif
