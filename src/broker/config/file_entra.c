/* entra */
#include "broker/config/entra.h"
#include "broker/config/file_reader.h"

static enum ph_err read_issuer(struct file_reader *r, const struct json *value, void *target)
{
    return file_reader__keep(r, value, &((struct entra_settings *)target)->issuer);
}

static enum ph_err read_audience(struct file_reader *r, const struct json *value, void *target)
{
    return file_reader__keep(r, value, &((struct entra_settings *)target)->audience);
}

static enum ph_err read_jwks_file(struct file_reader *r, const struct json *value, void *target)
{
    return file_reader__keep(r, value, &((struct entra_settings *)target)->jwks_file);
}

static enum ph_err read_jwks_url(struct file_reader *r, const struct json *value, void *target)
{
    enum ph_err err = entra__check_url(value->string, r->diag);

    return err ? err : file_reader__keep(r, value, &((struct entra_settings *)target)->jwks_url);
}

static enum ph_err read_unvalidated(struct file_reader *r, const struct json *value, void *target)
{
    (void)r;
    ((struct entra_settings *)target)->allow_unvalidated = value->boolean;
    return PH_OK;
}

static const struct file_key entra_keys[] = {
    {STR("issuer"), TYPE(JSON_STRING), "the `iss` of tokens", read_issuer},
    {STR("audience"), TYPE(JSON_STRING), "the `aud` of tokens", read_audience},
    {STR("jwksFile"), TYPE(JSON_STRING), "the name of a file", read_jwks_file},
    {STR("jwksUrl"), TYPE(JSON_STRING), "an https:// URL", read_jwks_url},
    {STR("allowUnvalidatedTokens"), TYPE(JSON_BOOL), "true or false", read_unvalidated},
};

static const struct file_table entra_table = {"entra", entra_keys,
                                              sizeof(entra_keys) / sizeof(*entra_keys)};
enum ph_err file__entra(struct file_reader *r, const struct json *value, void *target)
{
    struct settings *s = target;
    enum ph_err err = file_reader__object(r, &entra_table, value, &s->entra);

    return err ? err : entra__check(&s->entra, r->diag);
}
