/* A JSON Web Key Set (RFC 7517): public RSA keys by name, as an identity provider
 * publishes them. Immutable and counted by references, for any thread. */
#ifndef BASE_JWKS_H
#define BASE_JWKS_H

#include "base/diag.h"
#include "base/str.h"

#define JWKS_MAX_LEN (256 * 1024) /* bytes of the JSON text */
#define JWKS_MAX_KEYS 100
#define JWKS_MIN_BITS 2048 /* RFC 7518 section 3.3 */
#define JWKS_MAX_BITS 8192

struct jwks;

/* Keys that are not for RS256 signatures (another kty, use or alg) are left out; one that
 * claims to be and is malformed, weak or oversized fails the set, and so does a set
 * without any key that is of use. NULL: `diag` says why. */
struct jwks *jwks__parse(struct str text, struct diag *diag);
const struct jwks *jwks__ref(const struct jwks *set);
void jwks__unref(const struct jwks *set); /* NULL is fine */
size_t jwks__count(const struct jwks *set);

/* RS256. `kid` names the key; it may be absent only when the set has just one.
 * PH_ERR_NOT_FOUND: no such key. PH_ERR_AUTH: another signature. PH_ERR_MEMORY: this cannot be
 * told. */
enum ph_err jwks__verify(const struct jwks *set, struct str kid, struct str message,
                         struct str signature);

#endif
