/* Tokens of Microsoft Entra (client-and-rest section 5.6, event-handler section 2.1): who
 * may have made one, and whom it is for. */
#ifndef ENTRA_ENTRA_TOKEN_H
#define ENTRA_ENTRA_TOKEN_H

#include "base/jwt.h"

struct entra_policy {
    const struct str *issuers; /* any of them; likewise below */
    size_t issuer_count;
    const struct str *audiences;
    size_t audience_count;
};

/* Does a token with these claims, whether true or not, name one of the audiences? */
enum ph_err entra_token__is_for(struct arena *a, const struct json *claims,
                                const struct entra_policy *policy, struct diag *diag);
/* Checks signature (RS256 alone), times, issuer and audience. PH_ERR_NOT_FOUND: all is right but
 * that it is signed with a key which is not among the public ones. Else PH_ERR_AUTH,
 * PH_ERR_SYNTAX or PH_ERR_MEMORY. */
enum ph_err entra_token__check(struct arena *a, struct str token, const struct jwt_rules *rules,
                               const struct entra_policy *policy, struct diag *diag);

#endif
