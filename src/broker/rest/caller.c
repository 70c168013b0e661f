#include "broker/rest/caller.h"

#include "broker/core/access.h"

static enum ph_err check_access_key(struct judge *j, struct str token,
                                    const struct jwt_rules *rules)
{
    const struct settings *settings = j->world->settings;
    const struct access_request request = {.host = http__get(&j->req->headers, STR("Host")),
                                           .own_host = j->world->own_host,
                                           .path = j->req->path,
                                           .query = j->req->query,
                                           .parent_paths = true,
                                           .endpoints = settings->endpoints,
                                           .endpoint_count = settings->endpoint_count};
    const struct json *claims;
    enum ph_err err = access__check(j->arena, token, rules, &request, &claims, j->diag);

    if (err == PH_OK && j->call->route->work == ROUTE_TOKEN)
        err = diag__set(j->diag, PH_ERR_AUTH,
                        ":generateToken is for callers with a token of Microsoft Entra (setting "
                        "`entra`); whoever has the access key can sign tokens without it");
    return err;
}

static enum ph_err check_token(struct judge *j, struct str token)
{
    const struct rest_world *w = j->world;
    const struct jwt_rules rules = {.keys = w->settings->keys,
                                    .key_count = w->settings->key_count,
                                    .now = w->now,
                                    .skew = ACCESS_SKEW_SECONDS,
                                    .public_keys = w->entra_keys};

    if (w->entra && access__is_entra(j->arena, token, w->entra))
        return access__check_entra(j->arena, token, &rules, w->entra, j->diag);
    return check_access_key(j, token, &rules);
}

int caller__check(struct judge *j)
{
    struct str token = http__bearer(&j->req->headers);
    enum ph_err err;

    if (j->call->route->work == ROUTE_HEALTH)
        return 0;
    if (token.len == 0)
        err = diag__set(j->diag, PH_ERR_AUTH,
                        "no access token: add a header Authorization: Bearer TOKEN, signed with "
                        "the access key (SDKs do it when given the connection string)");
    else
        err = check_token(j, token);
    if (err == PH_OK)
        return 0;
    if (err == PH_ERR_NOT_FOUND && !j->world->entra_keys_final)
        return REST_WANTS_KEYS;
    if (err == PH_ERR_MEMORY)
        return judge__no_memory(j);
    answer__status(j->arena, &j->call->response, 401);
    return 401;
}
