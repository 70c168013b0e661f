#include "broker/wire/handshake.h"

#include "base/names.h"
#include "base/utf8.h"
#include "broker/wire/formats.h"
#include "broker/wire/upgrade.h"

#define MAX_QUERY_PARAMS 256
#define HUBS_PREFIX "/client/hubs/"

/* Claim names that .NET issuers write in full (official-emulator section 2.4). */
#define LONG_USER_CLAIM "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
#define LONG_ROLE_CLAIM "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"

/* One handshake being read. Steps return 0 to go on, or the status to refuse with. */
struct reader {
    struct arena *arena;
    const struct http_request *req;
    const struct settings *settings;
    struct str own_host;
    int64_t now;
    struct handshake *out;
    struct diag *diag;
    struct str token;    /* absent: none given */
    struct str sent_hub; /* percent-encoded when it came in the path */
    bool hub_in_query;
};

static int refuse(struct reader *r, int status, const char *why)
{
    diag__set(r->diag, PH_ERR_SYNTAX, "%s", why);
    return status;
}

static int no_memory(struct reader *r)
{
    diag__set(r->diag, PH_ERR_MEMORY, "no memory for the handshake");
    return 503;
}

/* --- Where to --------------------------------------------------------------- */

bool handshake__is_client_path(struct str path)
{
    return str__eq(path, STR("/client")) || str__starts_with(path, STR("/client/"));
}

/* Takes a parameter, which is ours and no part of the connect event, off the query. */
static struct str take_param(struct url_query *query, struct str name)
{
    struct str first = STR_NONE;
    size_t kept = 0;

    for (size_t i = 0; i < query->count; i++) {
        if (!str__eq_nocase(query->params[i].name, name))
            query->params[kept++] = query->params[i];
        else if (!first.ptr)
            first = query->params[i].value;
    }
    query->count = kept;
    return first;
}

/* The last value of a repeated parameter (official-emulator section 2.6). */
static struct str last_param(const struct url_query *query, struct str name)
{
    for (size_t i = query->count; i > 0; i--) {
        if (str__eq_nocase(query->params[i - 1].name, name))
            return query->params[i - 1].value;
    }
    return STR_NONE;
}

static int read_query(struct reader *r)
{
    struct url_query *query = &r->out->query;

    if (!url__parse_query(r->arena, r->req->query, MAX_QUERY_PARAMS, query))
        return refuse(r, 400, "the query has a broken percent-escape or over 256 parameters");
    /* Names and values go into the JSON of the connect event. */
    for (size_t i = 0; i < query->count; i++) {
        if (!utf8__valid(query->params[i].name) || !utf8__valid(query->params[i].value))
            return refuse(r, 400, "the query is not UTF-8");
    }
    r->token = take_param(query, STR("access_token"));
    return 0;
}

/* client-and-rest section 1.1 */
static int read_hub(struct reader *r)
{
    struct str path = r->req->path, prefix = STR(HUBS_PREFIX), hub;

    if (str__eq(path, STR("/client")) || str__eq(path, STR("/client/"))) {
        r->hub_in_query = true;
        r->sent_hub = hub = url__query_get(&r->out->query, STR("hub"), true);
    } else if (str__starts_with(path, prefix)) {
        r->sent_hub = str__n(path.ptr + prefix.len, path.len - prefix.len);
        if (r->sent_hub.len > 0 && r->sent_hub.ptr[r->sent_hub.len - 1] == '/')
            r->sent_hub.len--;
        hub = url__decode(r->arena, r->sent_hub, false);
    } else {
        return refuse(r, 404, "no such client endpoint: expected /client/hubs/{hub}");
    }
    if (hub.len == 0)
        return refuse(r, 400, "no hub: connect to /client/hubs/{hub} or /client/?hub={hub}");
    if (!names__valid_hub(hub))
        return refuse(r, 400,
                      "invalid hub name: expected a letter, then up to 127 letters, digits or "
                      "any of _`,.[]");
    r->out->hub = names__lower_hub(r->arena, hub);
    return r->out->hub.ptr ? 0 : no_memory(r);
}

/* --- The upgrade and its subprotocol ---------------------------------------- */

/* Headers go into the JSON of the connect event too, whatever they are for. */
static int check_headers(struct reader *r)
{
    const struct http_headers *h = &r->req->headers;

    for (size_t i = 0; i < h->count; i++) {
        if (!utf8__valid(h->items[i].value))
            return refuse(r, 400, "a header of the upgrade request is not UTF-8");
    }
    return 0;
}

static int read_upgrade(struct reader *r)
{
    return upgrade__check(r->req, &r->out->websocket_key, r->diag);
}

/* client-and-rest section 1.4: the first predefined name in the client's order;
 * with none of them, a raw client whose subprotocol a connect handler may choose. */
static int read_subprotocol(struct reader *r)
{
    struct handshake *out = r->out;
    int status =
        upgrade__offered(r->arena, &r->req->headers, &out->offered, &out->offered_count, r->diag);

    out->format = &format_raw;
    for (size_t i = 0; i < out->offered_count && status == 0; i++) {
        const struct format *format = formats__find(out->offered[i]);

        if (!format)
            continue;
        out->format = format;
        out->subprotocol = out->offered[i];
        break;
    }
    return status;
}

/* Names of the client's own may differ in case alone: the one meant is the one written. */
static const struct str *find_offered(const struct handshake *h, struct str subprotocol)
{
    const struct str *found = NULL;

    for (size_t i = 0; i < h->offered_count; i++) {
        if (str__eq(h->offered[i], subprotocol))
            return &h->offered[i];
        if (!found && str__eq_nocase(h->offered[i], subprotocol))
            found = &h->offered[i];
    }
    return found;
}

/* --- Who -------------------------------------------------------------------- */

/* client-and-rest section 3: the connection keeps its subprotocol, whatever is offered. That
 * is what the answer names, unless the client does not know it any more. */
static void keep_subprotocol(struct handshake *out, struct str kept)
{
    const struct str *offered = find_offered(out, kept);
    const struct format *format = formats__find(kept);

    if (!offered || !format)
        return;
    out->format = format;
    out->subprotocol = *offered;
}

/* A reconnection token without a connection id means nothing; it is kept from the
 * connect event all the same, because it opens a session for a week. */
static int read_recovery(struct reader *r)
{
    struct handshake *out = r->out;

    out->reconnection_token = take_param(&out->query, STR("awps_reconnection_token"));
    out->connection_id = url__query_get(&out->query, STR("awps_connection_id"), true);
    out->recovery = out->connection_id.len > 0 && out->reconnection_token.len > 0;
    if (out->recovery)
        keep_subprotocol(out, access__reconnection_subprotocol(r->arena, out->reconnection_token));
    return 0;
}

/* client-and-rest section 1.2: the audience is the endpoint of the hub, however
 * the client wrote it; in the query form it may also be the URL as written. */
static enum ph_err check_token(struct reader *r)
{
    struct jwt_rules rules = {.keys = r->settings->keys,
                              .key_count = r->settings->key_count,
                              .now = r->now,
                              .skew = ACCESS_SKEW_SECONDS};
    const char *path = arena__printf(r->arena, HUBS_PREFIX "%.*s", STR_FMT(r->sent_hub));
    const char *query = arena__printf(r->arena, "hub=%.*s", STR_FMT(r->sent_hub));
    struct access_request request = {.host = http__get(&r->req->headers, STR("Host")),
                                     .own_host = r->own_host,
                                     .path = str__of(path),
                                     .endpoints = r->settings->endpoints,
                                     .endpoint_count = r->settings->endpoint_count};
    enum ph_err err;

    if (!path || !query)
        return diag__set(r->diag, PH_ERR_MEMORY, "no memory for the audience");
    err = access__check(r->arena, r->token, &rules, &request, &r->out->claims, r->diag);
    if (err != PH_ERR_AUTH || !r->hub_in_query)
        return err;
    request.path = r->req->path;
    request.query = str__of(query);
    return access__check(r->arena, r->token, &rules, &request, &r->out->claims, NULL) == PH_OK
               ? PH_OK
               : err;
}

/* client-and-rest section 1.3 */
static int admit_anonymous(struct reader *r)
{
    if (settings__hub(r->settings, r->out->hub)->anonymous_allowed)
        return 0;
    diag__set(r->diag, PH_ERR_AUTH,
              "no access token: add ?access_token= or an Authorization header; or set "
              "hubs.%.*s.anonymousConnectPolicy to \"allow\"",
              STR_FMT(r->out->hub));
    return 401;
}

static int authenticate(struct reader *r)
{
    enum ph_err err;

    /* Sources disagree on it (event-handler sections 2.3 and 3.8). */
    if (settings__hub(r->settings, r->out->hub)->compatibility.token_in_connect_query)
        r->out->shown_token = r->token;
    if (r->token.len == 0)
        r->token = http__bearer(&r->req->headers);
    if (r->token.len == 0)
        return admit_anonymous(r);
    err = check_token(r);
    if (err == PH_OK)
        return 0;
    return err == PH_ERR_MEMORY ? 503 : 401;
}

/* --- What it may do --------------------------------------------------------- */

static int read_claim(struct reader *r, struct str name, struct str **items, size_t *count)
{
    enum ph_err err = jwt__claim_strings(r->arena, r->out->claims, name, items, count, r->diag);

    if (err == PH_OK)
        return 0;
    return err == PH_ERR_MEMORY ? 503 : 400;
}

static int check_lengths(struct reader *r)
{
    return handshake__check_lengths(r->out, &r->settings->limits, r->diag) == PH_OK ? 0 : 400;
}

/* client-and-rest section 1.2: one user id. Issuers that have numbers for their users may
 * write them as such; whatever else is no id must not pass as nobody's. */
static bool user_claim(const struct json *claims, struct str name, struct str *user)
{
    const struct json *claim = json__get(claims, name);

    *user = STR_NONE;
    if (!claim || claim->type == JSON_NULL)
        return true;
    *user = claim->string;
    return claim->type == JSON_STRING || claim->type == JSON_NUMBER;
}

static int read_user(struct reader *r)
{
    const struct json *claims = r->out->claims;
    struct str user;
    const char *fault;

    if (!user_claim(claims, STR("sub"), &user) ||
        (!user.ptr && !user_claim(claims, STR(LONG_USER_CLAIM), &user)))
        return refuse(r, 400, "the token's `sub` is not a string: it holds one user id");
    if (user.len == 0)
        return 0;
    fault = names__user_fault(user);
    if (fault) {
        diag__set(r->diag, PH_ERR_SYNTAX, "the token's `sub` %s", fault);
        return 400;
    }
    r->out->user_id = user;
    return check_lengths(r);
}

static int read_roles(struct reader *r)
{
    struct handshake *out = r->out;
    int status = read_claim(r, STR("role"), &out->roles, &out->role_count);

    if (status == 0 && out->role_count == 0)
        status = read_claim(r, STR(LONG_ROLE_CLAIM), &out->roles, &out->role_count);
    return status;
}

static int read_groups(struct reader *r)
{
    struct handshake *out = r->out;
    int status = read_claim(r, STR("webpubsub.group"), &out->groups, &out->group_count);

    for (size_t i = 0; i < out->group_count && status == 0; i++) {
        if (!names__valid_group(out->groups[i]))
            status = refuse(r, 400,
                            "the token's `webpubsub.group` holds an invalid group name: expected "
                            "1 to 1024 characters, not all white space");
    }
    return status ? status : check_lengths(r);
}

/* official-emulator section 2.6: checked for every client, used by raw ones. */
static int read_no_echo(struct reader *r)
{
    struct str value = last_param(&r->out->query, STR("noEcho"));

    r->out->publish_no_echo = str__eq_nocase(value, STR("true"));
    if (value.len == 0 || r->out->publish_no_echo || str__eq_nocase(value, STR("false")))
        return 0;
    return refuse(r, 400, "invalid noEcho in the query: expected true or false");
}

static int read_mode(struct reader *r)
{
    struct str mode = last_param(&r->out->query, STR("webpubsub_mode"));
    struct str group = last_param(&r->out->query, STR("group"));

    if (mode.len == 0 || str__eq_nocase(mode, STR("sendEvent")))
        return 0;
    if (!str__eq_nocase(mode, STR("sendToGroup")))
        return refuse(r, 400, "invalid webpubsub_mode: expected sendEvent or sendToGroup");
    if (!names__valid_group(group))
        return refuse(r, 400,
                      "webpubsub_mode=sendToGroup needs &group= with 1 to 1024 characters, not all "
                      "white space");
    r->out->publish_group = group;
    return check_lengths(r);
}

/* --- All of it -------------------------------------------------------------- */

typedef int step(struct reader *r);

static int run(struct reader *r, step *const *steps)
{
    int status = 0;

    while (*steps && status == 0)
        status = (*steps++)(r);
    return status;
}

void handshake__read(struct arena *a, const struct http_request *req,
                     const struct settings *settings, struct str own_host, int64_t now_seconds,
                     struct handshake *out, struct diag *diag)
{
    static step *const of_everyone[] = {
        read_query, read_hub, check_headers, read_upgrade, read_subprotocol, read_recovery, NULL};
    static step *const of_new_clients[] = {authenticate, read_user, read_roles, read_groups,
                                           read_no_echo, read_mode, NULL};
    struct reader r = {.arena = a,
                       .req = req,
                       .settings = settings,
                       .own_host = own_host,
                       .now = now_seconds,
                       .out = out,
                       .diag = diag};

    *out = (struct handshake){0};
    out->status = run(&r, of_everyone);
    /* A recovery brings its own proof; the JWT beside it may have expired long ago. */
    if (out->status == 0 && !out->recovery)
        out->status = run(&r, of_new_clients);
}

static bool any_longer(const struct str *names, size_t count, size_t characters)
{
    for (size_t i = 0; i < count; i++) {
        if (utf8__longer(names[i], characters))
            return true;
    }
    return false;
}

enum ph_err handshake__check_lengths(const struct handshake *h, const struct limits *limits,
                                     struct diag *diag)
{
    if (any_longer(&h->user_id, 1, limits->user_characters))
        return diag__set(diag, PH_ERR_LIMIT,
                         "the user id has more than %u characters (limits.userIdCharacters)",
                         limits->user_characters);
    if (any_longer(h->groups, h->group_count, limits->group_characters) ||
        any_longer(&h->publish_group, 1, limits->group_characters))
        return diag__set(diag, PH_ERR_LIMIT,
                         "the name of a group has more than %u characters "
                         "(limits.groupNameCharacters)",
                         limits->group_characters);
    if (h->group_count > limits->groups)
        return diag__set(diag, PH_ERR_LIMIT,
                         "the token or the connect handler names %zu groups, more than the %u of a "
                         "connection (limits.groupsPerConnection)",
                         h->group_count, limits->groups);
    return PH_OK;
}

enum ph_err handshake__choose(struct handshake *h, struct str subprotocol, struct diag *diag)
{
    const struct str *offered = find_offered(h, subprotocol);
    const struct format *format = formats__find(subprotocol);

    if (subprotocol.len == 0)
        return PH_OK;
    if (!offered)
        return diag__set(diag, PH_ERR_CONFIG,
                         "the connect handler chose subprotocol \"%.*s\", which the client did not "
                         "offer: choose one of those in the connect event, or none",
                         STR_FMT(subprotocol));
    h->format = format ? format : &format_raw;
    h->subprotocol = *offered;
    return PH_OK;
}
