/* Connection ids: opaque to clients, but they name the shard that owns the session,
 * so that any shard routes to it without asking. 32 lower-case hex digits: 26 random,
 * 4 for the node, 2 for the shard. */
#ifndef BROKER_CORE_CONNECTION_ID_H
#define BROKER_CORE_CONNECTION_ID_H

#include "base/str.h"

#define CONNECTION_ID_LEN 32
#define CONNECTION_ID_RANDOM_BYTES 13

/* `random` comes from the caller; writes CONNECTION_ID_LEN characters and a NUL. */
void connection_id__make(char out[CONNECTION_ID_LEN + 1],
                         const uint8_t random[CONNECTION_ID_RANDOM_BYTES], uint16_t node,
                         uint8_t shard);
/* False when the text is no id of ours. */
bool connection_id__owner(struct str id, uint16_t *node, uint8_t *shard);

#endif
