/* A hub command under way through the connections of its scope. Most are done in one go
 * (core__apply); one that would hold up the shard's loop goes in slices (core__start). */
#ifndef BROKER_CORE_WALK_H
#define BROKER_CORE_WALK_H

#include "base/buf.h"
#include "broker/core/state.h"

struct walk {
    const struct hub_command *cmd;
    struct hub *hub; /* in slices: NULL once it has vanished */
    struct hub_result result;
    uint64_t work; /* what it has cost, in the unit of filter__match */
    struct close_reason close;
    struct buf close_text;
    struct frame *frames[FORMAT_COUNT]; /* the message in each wire format, made on first use */

    /* In slices: which of the hub's sessions come next, in the order in which they came. Those
     * that come after the command are behind `last`. Both NULL: it is over. */
    struct session *next, *last;
    struct link in_core, in_hub;
    core_done_fn *done;
    void *arg;
};

void walk__begin(struct walk *w, struct hub *hub, const struct hub_command *cmd);
/* Between the two, excluded sessions are known as such; nothing else may be applied. */
void walk__enter(struct walk *w);
void walk__leave(struct walk *w);
/* Does what the command says to a session of its scope. */
void walk__visit(struct walk *w, struct session *s);
void walk__end(struct walk *w);

/* What it costs those with so many memberships to leave their groups, if that comes of the
 * command. */
uint64_t walk__groups_work(const struct hub *hub, const struct hub_command *cmd,
                           uint64_t memberships);

/* A session leaves its hub: walks that would have come to it go on behind it. */
void walk__forget(struct hub *hub, struct session *s);
/* The hub vanishes: there is nothing left to visit. */
void walk__forget_hub(struct hub *hub);
/* Drops those under way; their callers are told that. */
void walk__drop_all(struct core *core);

#endif
