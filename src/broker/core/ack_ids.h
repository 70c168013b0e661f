/* The ids of a client's requests, to recognize one that is sent again
 * (client-and-rest section 2.3): the newest ones that succeeded, first in first
 * out. O(1), and memory grows only as ids come. */
#ifndef BROKER_CORE_ACK_IDS_H
#define BROKER_CORE_ACK_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ack_ids;

bool ack_ids__has(const struct ack_ids *set, uint64_t id);
/* Remembers an id that is not there yet; the oldest one is forgotten when there are
 * `limit` already. *set is NULL while empty. False when memory is out. */
bool ack_ids__add(struct ack_ids **set, uint64_t id, size_t limit);
void ack_ids__free(struct ack_ids *set);

#endif
