/* The ids of a client's requests, to recognize one that is sent again
 * (client-and-rest section 2.3): the newest ones that succeeded, first in first
 * out. Ids that count up cost next to nothing; others 18 to 36 bytes each, and a binary search
 * and a move of two bytes for each of them. */
#ifndef BROKER_CORE_ACK_IDS_H
#define BROKER_CORE_ACK_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ack_ids;

bool ack_ids__has(const struct ack_ids *set, uint64_t id);
/* Remembers an id; the oldest one is forgotten when there are `limit` others already. *set is NULL
 * while empty. False when memory is out. */
bool ack_ids__add(struct ack_ids **set, uint64_t id, size_t limit);
void ack_ids__free(struct ack_ids *set);

#endif
