/* JSON Web Tokens signed with HS256 (RFC 7519; client-and-rest section 1.2).
 * The HMAC key is the text of the access key as it is, not its base64 decoding. */
#ifndef BASE_JWT_H
#define BASE_JWT_H

#include "base/json.h"
#include "base/mac.h"

#define JWT_MAX_LEN (16 * 1024)

struct jwt_rules {
    struct mac_key *const *keys; /* any may have signed */
    size_t key_count;
    int64_t now;  /* seconds since 1970 */
    int64_t skew; /* seconds of clock difference allowed */
};

/* Checks form, algorithm, signature, exp (required) and nbf. Audience and issuer
 * are the caller's to check. *claims is an object in the arena.
 * PH_ERR_SYNTAX: not a token. PH_ERR_AUTH: refused; `diag` says why and holds no
 * part of the token. PH_ERR_MEMORY. */
enum ph_err jwt__verify(struct arena *a, struct str token, const struct jwt_rules *rules,
                        const struct json **claims, struct diag *diag);

/* Appends a token whose payload is the JSON text `claims`. */
void jwt__sign(struct buf *out, struct str claims, const struct mac_key *key);

#endif
