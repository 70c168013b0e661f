#include "base/map.h"

#include "base/word.h"

#include <stdlib.h>

#define FIRST_SLOTS 8

static inline uint64_t rotl(uint64_t x, int b)
{
    return (x << b) | (x >> (64 - b));
}

#define SIP_ROUND                                                                                  \
    do {                                                                                           \
        v0 += v1;                                                                                  \
        v2 += v3;                                                                                  \
        v1 = rotl(v1, 13) ^ v0;                                                                    \
        v3 = rotl(v3, 16) ^ v2;                                                                    \
        v0 = rotl(v0, 32) + v3;                                                                    \
        v2 += v1;                                                                                  \
        v3 = rotl(v3, 21) ^ v0;                                                                    \
        v1 = rotl(v1, 17) ^ v2;                                                                    \
        v2 = rotl(v2, 32);                                                                         \
    } while (0)

/* SipHash-1-3: one compression round, three at the end; enough against
 * collisions chosen from outside, and twice as fast as 2-4 on short keys. */
uint64_t map__hash(const struct map_seed *seed, struct str key)
{
    uint64_t v0 = seed->k0 ^ 0x736f6d6570736575ULL, v1 = seed->k1 ^ 0x646f72616e646f6dULL;
    uint64_t v2 = seed->k0 ^ 0x6c7967656e657261ULL, v3 = seed->k1 ^ 0x7465646279746573ULL;
    uint64_t last = (uint64_t)key.len << 56;
    size_t whole = key.len & ~(size_t)7;

    for (size_t i = 0; i < whole; i += 8) {
        uint64_t word = word__at(key.ptr + i);

        v3 ^= word;
        SIP_ROUND;
        v0 ^= word;
    }
    for (size_t i = whole; i < key.len; i++)
        last |= (uint64_t)(unsigned char)key.ptr[i] << (8 * (i - whole));
    v3 ^= last;
    SIP_ROUND;
    v0 ^= last;
    v2 ^= 0xff;
    SIP_ROUND;
    SIP_ROUND;
    SIP_ROUND;
    return v0 ^ v1 ^ v2 ^ v3;
}

void map__init(struct map *m, struct str (*key_of)(const void *item), const struct map_seed *seed)
{
    *m = (struct map){.key_of = key_of, .seed = seed};
}

void map__free(struct map *m)
{
    free(m->slots);
    m->slots = NULL;
    m->mask = 0;
    m->count = 0;
}

/* The slot of the key, or the free slot where it belongs. */
static uint32_t find(const struct map *m, struct str key, uint32_t hash)
{
    uint32_t i = hash & m->mask;

    while (m->slots[i].item &&
           (m->slots[i].hash != hash || !str__eq(m->key_of(m->slots[i].item), key)))
        i = (i + 1) & m->mask;
    return i;
}

void *map__get(const struct map *m, struct str key)
{
    if (m->count == 0)
        return NULL;
    return m->slots[find(m, key, (uint32_t)map__hash(m->seed, key))].item;
}

static void place(struct map_slot *slots, uint32_t mask, struct map_slot slot)
{
    uint32_t i = slot.hash & mask;

    while (slots[i].item)
        i = (i + 1) & mask;
    slots[i] = slot;
}

static bool grow(struct map *m)
{
    uint32_t old_size = m->slots ? m->mask + 1 : 0;
    uint32_t size = old_size ? old_size * 2 : FIRST_SLOTS;
    struct map_slot *slots;

    if (size < old_size)
        return false;
    slots = calloc(size, sizeof(*slots));
    if (!slots)
        return false;
    for (uint32_t i = 0; i < old_size; i++) {
        if (m->slots[i].item)
            place(slots, size - 1, m->slots[i]);
    }
    free(m->slots);
    m->slots = slots;
    m->mask = size - 1;
    return true;
}

bool map__add(struct map *m, void *item)
{
    /* At most three quarters full, so that probes stay short. */
    if ((!m->slots || (uint64_t)(m->count + 1) * 4 > (uint64_t)(m->mask + 1) * 3) && !grow(m))
        return false;
    place(m->slots, m->mask,
          (struct map_slot){item, (uint32_t)map__hash(m->seed, m->key_of(item))});
    m->count++;
    return true;
}

void *map__remove(struct map *m, struct str key)
{
    uint32_t hole, i;
    void *item;

    if (m->count == 0)
        return NULL;
    hole = find(m, key, (uint32_t)map__hash(m->seed, key));
    item = m->slots[hole].item;
    if (!item)
        return NULL;
    m->count--;
    /* Close the gap: move back every later item of the run that may sit here. */
    for (i = (hole + 1) & m->mask; m->slots[i].item; i = (i + 1) & m->mask) {
        uint32_t home = m->slots[i].hash & m->mask;

        if (((i - home) & m->mask) >= ((i - hole) & m->mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole].item = NULL;
    return item;
}

void *map__next(const struct map *m, uint32_t *at)
{
    if (!m->slots)
        return NULL;
    while (*at <= m->mask) {
        void *item = m->slots[(*at)++].item;

        if (item)
            return item;
    }
    return NULL;
}
