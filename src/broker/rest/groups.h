/* The body of :addToGroups and :removeFromGroups, {"groups": [...], "filter": "..."}
 * (official-emulator section 2.3). Inside of rest. */
#ifndef BROKER_REST_GROUPS_H
#define BROKER_REST_GROUPS_H

#include "broker/rest/body.h"
#include "broker/rest/judge.h"

/* Names in one request. The contract has no limit, but each is a change of every
 * connection of the hub. */
#define GROUPS_MAX 1000

/* Steps: by the head; and with the body, into the command. */
int groups__check_type(struct judge *j);
int groups__read(struct judge *j);

#endif
