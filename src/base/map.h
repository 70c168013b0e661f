/* A hash table from byte strings to items that hold their own key.
 *
 * Keyed SipHash with a secret seed, because keys (group names, user ids) come
 * from clients. Open addressing with linear probing; removal leaves no
 * tombstones. The table never owns keys or items. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map_seed {
    uint64_t k0, k1;
};

struct map_slot {
    void *item; /* NULL: free */
    uint32_t hash;
};

struct map {
    struct map_slot *slots; /* NULL until the first item */
    uint32_t mask;
    uint32_t count;
    struct str (*key_of)(const void *item);
    const struct map_seed *seed; /* outlives the map */
};

void map__init(struct map *m, struct str (*key_of)(const void *item), const struct map_seed *seed);
void map__free(struct map *m);
void *map__get(const struct map *m, struct str key);
/* Adds an item whose key is not there yet. False when memory is out. */
bool map__add(struct map *m, void *item);
/* Removes and returns the item, or returns NULL. */
void *map__remove(struct map *m, struct str key);
/* Walks all items: start with *at = 0; NULL at the end. The map must not change meanwhile. */
void *map__next(const struct map *m, uint32_t *at);

uint64_t map__hash(const struct map_seed *seed, struct str key);

#endif
