/* Hub commands that concern more than this shard. Each shard applies a command to its
 * own part of the hub; a command for one connection goes only to the shard that owns
 * it, which its id names. What one shard sends to another arrives in order. */
#ifndef BROKER_NET_RELAY_H
#define BROKER_NET_RELAY_H

#include "broker/net/shard.h"

/* A bag for each shard; false: memory is out. */
bool relay__open(struct shard *s);
/* The shard goes: what was not delivered is dropped, and nothing is published any more. */
void relay__close(struct shard *s);

/* Hands a command that is applied here already to the shards that it concerns besides, with the
 * next delivery. */
void relay__publish(struct shard *s, const struct hub_command *cmd);
/* Posts what was published in this turn: the others get all of it at once, and write it together.
 * It comes before anything by which somebody could learn of it, so that what is done then comes
 * behind it everywhere. */
void relay__deliver(struct shard *s);
/* Anything else for a shard, behind what was published. */
void relay__post(struct shard *from, struct shard *to, struct letter *letter);

/* Does so much wait for another shard that this one had better send nothing more? */
bool relay__congested(const struct shard *s);

enum relay_outcome {
    RELAY_DONE,   /* *result is the sum of all shards, for hub_result__free */
    RELAY_WAIT,   /* `done` is called with the sum later, never from inside */
    RELAY_FAILED, /* out of memory, applied nowhere */
};
typedef void relay_done_fn(void *arg, const struct hub_result *result);

/* Applies a command wherever it belongs, behind all that has been published to that shard
 * before, and gathers what came of it. */
enum relay_outcome relay__call(struct shard *s, const struct hub_command *cmd,
                               struct hub_result *result, relay_done_fn *done, void *arg);

#endif
