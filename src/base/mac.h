/* HMAC-SHA256 with keys that are used again and again. What is the same for all messages
 * is hashed once, when the key is made. */
#ifndef BASE_MAC_H
#define BASE_MAC_H

#include "base/str.h"

#define MAC_SIZE 32

struct mac_key;

/* The key is copied, and wiped when freed. NULL when memory is out. Any thread. */
struct mac_key *mac__key_new(struct str key);
void mac__key_free(struct mac_key *key);
struct str mac__key_text(const struct mac_key *key);

void mac__sign(const struct mac_key *key, struct str message, uint8_t out[MAC_SIZE]);

/* Compares in a time that depends on the length alone. */
bool mac__equal(const void *a, const void *b, size_t len);

#endif
