/* What connections say about themselves in groups, and who listens (client-and-rest
 * section 2.6, official-emulator section 3.6; a preview).
 *
 * The shard that owns a connection decides about its states. Each change is published
 * and kept on every shard, so that any of them answers a subscriber by itself; the
 * changes of one connection arrive in their order. A hub has a room for each group with
 * states or subscribers; connections and groups without any cost nothing.
 *
 * A state ends with the membership in the group, a subscription with the connection or
 * when it is told to; both survive a recovery. */
#ifndef BROKER_CORE_GROUP_STATE_H
#define BROKER_CORE_GROUP_STATE_H

#include "broker/core/core.h"

#define GROUP_STATE_MAX_BYTES 512 /* keys and values of one state */
/* Of one frame: the rest of a large snapshot follows in updates, because another snapshot
 * would take the first one's place. */
#define GROUP_STATE_FRAME_ITEMS 200

/* A change of one connection's state in one group. Immutable and counted by any thread. */
struct group_state;

struct group_state *group_state__ref(struct group_state *g);
void group_state__unref(struct group_state *g); /* NULL is fine */
size_t group_state__size(const struct group_state *g);

/* NULL when the session may set this state of the group now, as far as it is about states
 * (permissions are somebody else's); else the refusal. */
const struct ack_error *group_state__refusal(const struct session *s, const struct command *cmd);
/* The change that the command asks for, with all that it takes to apply it; NULL: memory. */
struct group_state *group_state__draft(struct session *s, const struct command *cmd);
/* Applies the draft, here and everywhere, and tells the subscribers. Takes over the
 * reference. */
void group_state__change(struct session *s, struct str group, struct group_state *g);

/* NULL when the session may subscribe, as far as it is about states. */
const struct ack_error *group_state__subscribe_refusal(const struct session *s, struct str group);
/* True also for one who has subscribed already; false when memory is out. */
bool group_state__subscribe(struct session *s, struct str group);
/* The states of the group as they are, for one who has just subscribed. */
void group_state__tell_all(struct session *s, struct str group);
void group_state__unsubscribe(struct session *s, struct str group);

/* HUB_SET_GROUP_STATE: a change that another shard has published. */
void group_state__apply(struct core *core, const struct hub_command *cmd);
/* The session is no longer a member of the group. */
void group_state__left(struct session *s, struct str group);
/* The session has ended: its states are cleared, its subscriptions are forgotten. */
void group_state__end(struct session *s);

/* --- For the owners of what hangs on these ------------------------------------ */

struct own_states;
struct state_room;

struct str state_room__key(const void *room); /* for the hub's map */
void state_room__free(struct state_room *room);
void own_states__free(struct own_states *own); /* NULL is fine */

#endif
