/* Access keys of events: lists of them as they are given, and what is made of all lists
 * together, in which the keys for a request are found. */
#ifndef APP_KEYS_H
#define APP_KEYS_H

#include "base/http.h"
#include "base/mac.h"
#include "pubhook/auth.h"

#define KEYS_MAX 1024
#define KEYS_MAX_TEXT (64u << 10) /* of a file */
#define KEYS_MAX_HOSTS 16         /* in WebHook-Request-Origin; services name two or three */

struct key_entry {
    char *origin; /* without port; NULL: general */
    struct mac_key *key;
};

struct ph_keys {
    struct key_entry *entries;
    size_t count;
    struct diag why;
};

/* ph_keys_add with views; the origin is absent for a general key. */
enum ph_err keys__add(struct ph_keys *keys, struct str origin, struct str key);
/* Adds copies of all in `from`; with an error some are missing. */
enum ph_err keys__add_all(struct ph_keys *keys, const struct ph_keys *from);

/* All keys of an application, by the hosts that they are for. Immutable and counted by
 * references, for any thread. */
struct keyring;

/* NULL: memory is out. */
const struct keyring *keyring__new(const struct ph_keys *const *lists, size_t count);
const struct keyring *keyring__ref(const struct keyring *ring);
void keyring__unref(const struct keyring *ring); /* NULL is fine */
size_t keyring__count(const struct keyring *ring);
/* The hosts of `allowed` and those that have keys of their own, in the arena. Whoever is given a
 * key may send. An empty list, which allows everybody, stays
 * so. */
const struct str *keyring__allowed(const struct keyring *ring, struct arena *a,
                                   const struct str *allowed, size_t *count);

/* Is the request signed with the keys that the hosts in its WebHook-Request-Origin ask for?
 * PH_ERR_AUTH: no. PH_ERR_NOT_FOUND: there are no keys for them. PH_ERR_MEMORY: this cannot be
 * told. `diag` says why. */
enum ph_err keyring__check(const struct keyring *ring, const struct http_headers *headers,
                           struct diag *diag);

#endif
