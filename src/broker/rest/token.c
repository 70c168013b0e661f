#include "broker/rest/token.h"

#include "base/json.h"
#include "base/jwt.h"
#include "broker/rest/origin.h"

#define DEFAULT_MINUTES 60
/* A token is base64 of its claims between a header and a signature of 81 characters. */
#define MAX_CLAIMS ((JWT_MAX_LEN - 128) * 3 / 4)
#define MAX_URL 4096

static void write_list(struct buf *out, const char *name, const struct str *items, size_t count)
{
    if (count == 0)
        return;
    buf__printf(out, "\"%s\":", name);
    json__quote_array(out, items, count);
    buf__byte(out, ',');
}

/* The URL that the client connects to; its scheme does not matter to whoever checks it. */
static void write_audience(struct judge *j, struct buf *out)
{
    struct buf url;

    buf__init(&url, MAX_URL);
    origin__write(&url, j->world, &j->req->headers);
    buf__str(&url, j->call->token.mqtt ? STR("/clients/mqtt/hubs/") : STR("/client/hubs/"));
    buf__str(&url, j->call->command.hub);
    buf__str(out, STR("\"aud\":"));
    json__quote(out, buf__view(&url));
    out->failed |= url.failed;
    buf__free(&url);
}

static void write_claims(struct judge *j, struct buf *out)
{
    const struct rest_token *t = &j->call->token;
    int64_t now = j->world->now, minutes = t->minutes ? t->minutes : DEFAULT_MINUTES;

    buf__byte(out, '{');
    write_list(out, "role", t->roles, t->role_count);
    write_list(out, "webpubsub.group", t->groups, t->group_count);
    buf__printf(out, "\"iat\":%lld,\"exp\":%lld,", (long long)now, (long long)(now + minutes * 60));
    write_audience(j, out);
    if (t->user_id.ptr) {
        buf__str(out, STR(",\"sub\":"));
        json__quote(out, t->user_id);
    }
    buf__byte(out, '}');
}

/* {"token":"..."}; a token needs no escapes. */
static bool write_body(struct judge *j, struct str claims)
{
    struct http_response *response = &j->call->response;
    struct buf body;
    char *copy;

    buf__init(&body, JWT_MAX_LEN + 16);
    buf__str(&body, STR("{\"token\":\""));
    jwt__sign(&body, claims, j->world->settings->keys[0]);
    buf__str(&body, STR("\"}"));
    copy = body.failed ? NULL : arena__strdup(j->arena, buf__view(&body));
    answer__status(j->arena, response, j->call->route->success);
    response->body = copy ? str__n(copy, body.len) : STR_NONE;
    buf__free(&body);
    return copy &&
           http__add(j->arena, &response->headers, STR("Content-Type"), STR("application/json"));
}

int token__answer(struct judge *j)
{
    struct buf claims;
    int status = 0;

    buf__init(&claims, MAX_CLAIMS);
    write_claims(j, &claims);
    if (claims.failed)
        status = judge__bad_request(j, "Request",
                                    "The roles, groups and user id are too long for a token, which "
                                    "has at most 18 KiB.");
    else if (!write_body(j, buf__view(&claims)))
        status = judge__no_memory(j);
    buf__free(&claims);
    return status;
}
