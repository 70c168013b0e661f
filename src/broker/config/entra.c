#include "broker/config/entra.h"

#include "entra/entra_keys.h"

enum ph_err entra__check_url(struct str url, struct diag *diag)
{
    if (entra_keys__good_url(url))
        return PH_OK;
    return diag__set(diag, PH_ERR_ARGUMENT,
                     "jwksUrl must be an https:// URL with a path (http:// for this machine alone, "
                     "because whoever can change the keys can sign tokens), got \"%.*s\"",
                     STR_FMT(url));
}

enum ph_err entra__check(struct entra_settings *entra, struct diag *diag)
{
    bool validates = entra->issuer.ptr || entra->jwks_file.ptr || entra->jwks_url.ptr;

    if (!entra->audience.ptr)
        entra->audience = STR(ENTRA_DEFAULT_AUDIENCE);
    if (entra->allow_unvalidated)
        return validates ? diag__set(diag, PH_ERR_ARGUMENT,
                                     "entra has allowUnvalidatedTokens, which leaves issuer, "
                                     "jwksFile and jwksUrl without a meaning; decide for one")
                         : PH_OK;
    if (entra->issuer.ptr && !!entra->jwks_file.ptr != !!entra->jwks_url.ptr)
        return PH_OK;
    return diag__set(diag, PH_ERR_ARGUMENT,
                     "entra must have an issuer and one of jwksFile and jwksUrl, or, on loopback "
                     "only, allowUnvalidatedTokens");
}
