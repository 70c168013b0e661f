/* JSON Web Tokens (RFC 7519). Those of access keys are signed with HS256 (client-and-rest
 * section 1.2): the HMAC key is the text of the access key as it is, not its base64
 * decoding. Those of Microsoft Entra are signed with RS256 (section 5.6). Which of the
 * two a token must be is the caller's decision and never the token's. */
#ifndef BASE_JWT_H
#define BASE_JWT_H

#include "base/json.h"
#include "base/jwks.h"
#include "base/mac.h"

/* A group's name has 1024 characters, of which each may take 12 bytes of a URL, and 16 of the
 * token whose audience that is. With it, they fill the 32 KiB of a request's head. */
#define JWT_MAX_LEN (18 * 1024)

struct jwt_rules {
    struct mac_key *const *keys; /* HS256: any may have signed */
    size_t key_count;
    int64_t now;                    /* seconds since 1970 */
    int64_t skew;                   /* seconds of clock difference allowed */
    const struct jwks *public_keys; /* RS256; NULL: there are none */
};

/* Checks form, algorithm, signature, exp (required) and nbf. Audience and issuer
 * are the caller's to check. *claims is an object in the arena.
 * PH_ERR_SYNTAX: not a token. PH_ERR_AUTH: refused; `diag` says why and holds
 * nothing of the token that is secret. PH_ERR_MEMORY. */
enum ph_err jwt__verify(struct arena *a, struct str token, const struct jwt_rules *rules,
                        const struct json **claims, struct diag *diag);

/* The same for RS256. PH_ERR_NOT_FOUND: none of the public keys has the name that the
 * token gives. */
enum ph_err jwt__verify_rs256(struct arena *a, struct str token, const struct jwt_rules *rules,
                              const struct json **claims, struct diag *diag);
/* Form, exp and nbf alone, whatever the signature is. */
enum ph_err jwt__check_times(struct arena *a, struct str token, const struct jwt_rules *rules,
                             struct diag *diag);
/* What a token claims, with nothing checked but its form. */
enum ph_err jwt__peek(struct arena *a, struct str token, const struct json **claims);

/* A claim that is a string or an array of strings, as an array (client-and-rest 1.2). */
enum ph_err jwt__claim_strings(struct arena *a, const struct json *claims, struct str name,
                               struct str **items, size_t *count, struct diag *diag);

/* Appends a token whose payload is the JSON text `claims`. */
void jwt__sign(struct buf *out, struct str claims, const struct mac_key *key);

#endif
