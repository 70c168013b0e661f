#include "service/operation.h"

#include "base/json.h"
#include "base/metadata.h"
#include "base/names.h"
#include "base/random.h"
#include "base/url.h"
#include "base/utf8.h"
#include "service/token.h"

#define MAX_URL (256u << 10) /* excluded ids make them long */
#define MAX_TTL 300
#define MAX_PAGE 200
#define DEFAULT_MINUTES 60

/* --- The table ----------------------------------------------------------------------- */

enum part {
    GROUP = 1 << 0,
    USER = 1 << 1,
    CONNECTION = 1 << 2,
    DATA = 1 << 3,
    FILTER = 1 << 4,
    EXCLUDED = 1 << 5,
    TTL = 1 << 6,
    METADATA = 1 << 7,
    REASON = 1 << 8,
    GROUPS = 1 << 9,
    PERMISSION = 1 << 10,
    TARGET = 1 << 11,
    PAGE = 1 << 12,
    TOKEN = 1 << 13
};

#define HUB_PATH "/api/hubs/{hub}"
#define GROUP_PATH HUB_PATH "/groups/{group}"
#define USER_PATH HUB_PATH "/users/{userId}"
#define CONNECTION_PATH HUB_PATH "/connections/{connectionId}"
#define PERMISSION_PATH HUB_PATH "/permissions/{permission}/connections/{connectionId}"
#define MESSAGE (DATA | TTL | METADATA)

static const struct operation operations[] = {
    [PH_SERVICE_HEALTH] = {.name = "health",
                           .method = "HEAD",
                           .path = "/api/health",
                           .success = 200,
                           .repeatable = true,
                           .anonymous = true},

    [PH_SERVICE_SEND_TO_ALL] = {.name = "sendToAll",
                                .method = "POST",
                                .path = HUB_PATH "/:send",
                                .may = MESSAGE | FILTER | EXCLUDED,
                                .success = 202},
    [PH_SERVICE_SEND_TO_GROUP] = {.name = "sendToGroup",
                                  .method = "POST",
                                  .path = GROUP_PATH "/:send",
                                  .needs = GROUP,
                                  .may = MESSAGE | FILTER | EXCLUDED,
                                  .success = 202},
    [PH_SERVICE_SEND_TO_USER] = {.name = "sendToUser",
                                 .method = "POST",
                                 .path = USER_PATH "/:send",
                                 .needs = USER,
                                 .may = MESSAGE | FILTER,
                                 .success = 202},
    [PH_SERVICE_SEND_TO_CONNECTION] = {.name = "sendToConnection",
                                       .method = "POST",
                                       .path = CONNECTION_PATH "/:send",
                                       .needs = CONNECTION,
                                       .may = MESSAGE,
                                       .success = 202},

    [PH_SERVICE_CLOSE_ALL] = {.name = "closeAllConnections",
                              .method = "POST",
                              .path = HUB_PATH "/:closeConnections",
                              .may = EXCLUDED | REASON,
                              .success = 204},
    [PH_SERVICE_CLOSE_GROUP] = {.name = "closeGroupConnections",
                                .method = "POST",
                                .path = GROUP_PATH "/:closeConnections",
                                .needs = GROUP,
                                .may = EXCLUDED | REASON,
                                .success = 204},
    [PH_SERVICE_CLOSE_USER] = {.name = "closeUserConnections",
                               .method = "POST",
                               .path = USER_PATH "/:closeConnections",
                               .needs = USER,
                               .may = EXCLUDED | REASON,
                               .success = 204},
    [PH_SERVICE_CLOSE_CONNECTION] = {.name = "closeConnection",
                                     .method = "DELETE",
                                     .path = CONNECTION_PATH,
                                     .needs = CONNECTION,
                                     .may = REASON,
                                     .success = 204,
                                     .repeatable = true},

    [PH_SERVICE_CONNECTION_EXISTS] = {.name = "connectionExists",
                                      .method = "HEAD",
                                      .path = CONNECTION_PATH,
                                      .needs = CONNECTION,
                                      .success = 200,
                                      .repeatable = true,
                                      .asks = true},
    [PH_SERVICE_GROUP_EXISTS] = {.name = "groupExists",
                                 .method = "HEAD",
                                 .path = GROUP_PATH,
                                 .needs = GROUP,
                                 .success = 200,
                                 .repeatable = true,
                                 .asks = true},
    [PH_SERVICE_USER_EXISTS] = {.name = "userExists",
                                .method = "HEAD",
                                .path = USER_PATH,
                                .needs = USER,
                                .success = 200,
                                .repeatable = true,
                                .asks = true},

    [PH_SERVICE_ADD_CONNECTION_TO_GROUP] = {.name = "addConnectionToGroup",
                                            .method = "PUT",
                                            .path = GROUP_PATH "/connections/{connectionId}",
                                            .needs = GROUP | CONNECTION,
                                            .success = 200,
                                            .repeatable = true},
    [PH_SERVICE_REMOVE_CONNECTION_FROM_GROUP] = {.name = "removeConnectionFromGroup",
                                                 .method = "DELETE",
                                                 .path = GROUP_PATH "/connections/{connectionId}",
                                                 .needs = GROUP | CONNECTION,
                                                 .success = 204,
                                                 .repeatable = true},
    [PH_SERVICE_REMOVE_CONNECTION_FROM_ALL_GROUPS] = {.name = "removeConnectionFromAllGroups",
                                                      .method = "DELETE",
                                                      .path = CONNECTION_PATH "/groups",
                                                      .needs = CONNECTION,
                                                      .success = 204,
                                                      .repeatable = true},
    [PH_SERVICE_ADD_USER_TO_GROUP] = {.name = "addUserToGroup",
                                      .method = "PUT",
                                      .path = USER_PATH "/groups/{group}",
                                      .needs = GROUP | USER,
                                      .success = 200,
                                      .repeatable = true},
    [PH_SERVICE_REMOVE_USER_FROM_GROUP] = {.name = "removeUserFromGroup",
                                           .method = "DELETE",
                                           .path = USER_PATH "/groups/{group}",
                                           .needs = GROUP | USER,
                                           .success = 204,
                                           .repeatable = true},
    [PH_SERVICE_REMOVE_USER_FROM_ALL_GROUPS] = {.name = "removeUserFromAllGroups",
                                                .method = "DELETE",
                                                .path = USER_PATH "/groups",
                                                .needs = USER,
                                                .success = 204,
                                                .repeatable = true},
    [PH_SERVICE_ADD_CONNECTIONS_TO_GROUPS] = {.name = "addConnectionsToGroups",
                                              .method = "POST",
                                              .path = HUB_PATH "/:addToGroups",
                                              .needs = GROUPS,
                                              .may = FILTER,
                                              .success = 200,
                                              .repeatable = true},
    [PH_SERVICE_REMOVE_CONNECTIONS_FROM_GROUPS] = {.name = "removeConnectionsFromGroups",
                                                   .method = "POST",
                                                   .path = HUB_PATH "/:removeFromGroups",
                                                   .needs = GROUPS,
                                                   .may = FILTER,
                                                   .success = 200,
                                                   .repeatable = true},
    [PH_SERVICE_LIST_CONNECTIONS_IN_GROUP] = {.name = "listConnectionsInGroup",
                                              .method = "GET",
                                              .path = GROUP_PATH "/connections",
                                              .needs = GROUP,
                                              .may = PAGE,
                                              .success = 200,
                                              .repeatable = true},

    [PH_SERVICE_GRANT_PERMISSION] = {.name = "grantPermission",
                                     .method = "PUT",
                                     .path = PERMISSION_PATH,
                                     .needs = PERMISSION | CONNECTION,
                                     .may = TARGET,
                                     .success = 200,
                                     .repeatable = true},
    [PH_SERVICE_REVOKE_PERMISSION] = {.name = "revokePermission",
                                      .method = "DELETE",
                                      .path = PERMISSION_PATH,
                                      .needs = PERMISSION | CONNECTION,
                                      .may = TARGET,
                                      .success = 204,
                                      .repeatable = true},
    [PH_SERVICE_CHECK_PERMISSION] = {.name = "checkPermission",
                                     .method = "HEAD",
                                     .path = PERMISSION_PATH,
                                     .needs = PERMISSION | CONNECTION,
                                     .may = TARGET,
                                     .success = 200,
                                     .repeatable = true,
                                     .asks = true},

    [PH_SERVICE_GENERATE_TOKEN] = {.name = "generateClientToken",
                                   .method = "POST",
                                   .path = HUB_PATH "/:generateToken",
                                   .may = TOKEN,
                                   .success = 200,
                                   .repeatable = true},
};

const struct operation *operation__find(enum ph_service_operation id)
{
    size_t at = (size_t)id;

    return at < sizeof(operations) / sizeof(*operations) && operations[at].name ? &operations[at]
                                                                                : NULL;
}

static const struct ph_token_options anonymous;

/* --- Judging ------------------------------------------------------------------------- */

static bool is_id(const char *id)
{
    return *id && utf8__valid(str__of(id));
}

static bool are_ids(const char *const *ids)
{
    while (*ids && is_id(*ids))
        ids++;
    return !*ids;
}

static bool are_groups(const char *const *groups)
{
    while (*groups && names__valid_group(str__of(*groups)))
        groups++;
    return !*groups;
}

static bool is_text(const char *text)
{
    return utf8__valid(str__of(text));
}

/* A continuation goes into the URL as it is. */
static bool is_query(const char *text)
{
    for (; *text; text++) {
        if (*text <= ' ' || *text > '~' || *text == '#')
            return false;
    }
    return true;
}

static bool metadata_of(const struct ph_service_request *r, struct metadata_entry *items,
                        size_t max, struct metadata *out)
{
    size_t count = 0;

    for (; r->metadata[count].name; count++) {
        if (count == max)
            return false;
        items[count] = (struct metadata_entry){str__of(r->metadata[count].name),
                                               str__of(r->metadata[count].value)};
    }
    *out = (struct metadata){items, count};
    return true;
}

#define MAX_METADATA 128

/* NULL: it is as it should be. Else what it should be. */
static const char *problem_with(const struct ph_service_request *r, enum part part)
{
    struct metadata_entry items[MAX_METADATA];
    struct metadata metadata;

    switch (part) {
    case GROUP:
        return names__valid_group(str__of(r->group)) ? NULL : "1 to 1024 characters, not all blank";
    case USER:
        return is_id(r->user_id) ? NULL : "text that is not empty";
    case CONNECTION:
        return is_id(r->connection_id) ? NULL : "text that is not empty";
    case DATA:
        if (r->text && (r->data || r->len))
            return "either `text`, or `data` and `len`";
        if (!r->data && r->len)
            return "not NULL with a `len`";
        return r->len <= SERVICE_MAX_BODY ? NULL : "at most 16 MiB";
    case FILTER:
        return is_text(r->filter) ? NULL : "UTF-8";
    case EXCLUDED:
        return are_ids(r->excluded) ? NULL : "connection ids that are not empty";
    case TTL:
        return r->ttl_seconds <= MAX_TTL ? NULL : "up to 300";
    case METADATA:
        return metadata_of(r, items, MAX_METADATA, &metadata) ? metadata__problem(&metadata)
                                                              : "at most 128 entries";
    case REASON:
        return is_text(r->reason) ? NULL : "UTF-8";
    case GROUPS:
        return r->groups[0] && are_groups(r->groups)
                   ? NULL
                   : "at least one name of 1 to 1024 characters, not all blank";
    case PERMISSION:
        return r->permission == PH_PERMISSION_SEND_TO_GROUP ||
                       r->permission == PH_PERMISSION_JOIN_LEAVE_GROUP
                   ? NULL
                   : "one of enum ph_service_permission";
    case TARGET:
        return names__valid_group(str__of(r->target_name)) ? NULL
                                                           : "1 to 1024 characters, not all blank";
    case PAGE:
        if (r->continuation && !is_query(r->continuation))
            return "as ph_service_result_continuation returned it";
        return r->page_size <= MAX_PAGE && r->top <= INT32_MAX ? NULL : "page_size up to 200";
    case TOKEN:
        return token__check(r->token) ? NULL : "valid ids, roles, groups and protocol";
    }
    return NULL;
}

static unsigned parts_of(const struct ph_service_request *r)
{
    return (r->group ? GROUP : 0u) | (r->user_id ? USER : 0u) |
           (r->connection_id ? CONNECTION : 0u) | (r->text || r->data || r->len ? DATA : 0u) |
           (r->filter ? FILTER : 0u) | (r->excluded ? EXCLUDED : 0u) | (r->ttl_seconds ? TTL : 0u) |
           (r->metadata ? METADATA : 0u) | (r->reason ? REASON : 0u) | (r->groups ? GROUPS : 0u) |
           (r->permission ? PERMISSION : 0u) | (r->target_name ? TARGET : 0u) |
           (r->page_size || r->top || r->continuation ? PAGE : 0u) | (r->token ? TOKEN : 0u);
}

static enum ph_err check_part(const struct operation *o, const struct ph_service_request *r,
                              enum part part, const char *name, struct diag *diag)
{
    bool given = parts_of(r) & part;
    const char *problem;

    if (!given && o->needs & part)
        return diag__set(diag, PH_ERR_ARGUMENT, "%s: %s is missing", o->name, name);
    if (!given)
        return PH_OK;
    if (!((o->needs | o->may) & part))
        return diag__set(diag, PH_ERR_ARGUMENT, "%s has no %s", o->name, name);
    problem = problem_with(r, part);
    return problem ? diag__set(diag, PH_ERR_ARGUMENT, "%s: %s: expected %s", o->name, name, problem)
                   : PH_OK;
}

static enum ph_err check(const struct operation *o, const struct ph_service_request *r,
                         struct diag *diag)
{
    static const struct {
        enum part part;
        const char *name;
    } rows[] = {
        {GROUP, "group"},
        {USER, "user_id"},
        {CONNECTION, "connection_id"},
        {DATA, "data"},
        {FILTER, "filter"},
        {EXCLUDED, "excluded"},
        {TTL, "ttl_seconds"},
        {METADATA, "metadata"},
        {REASON, "reason"},
        {GROUPS, "groups"},
        {PERMISSION, "permission"},
        {TARGET, "target_name"},
        {PAGE, "page_size, top or continuation"},
        {TOKEN, "token"},
    };
    enum ph_err err = PH_OK;

    for (size_t i = 0; !err && i < sizeof(rows) / sizeof(*rows); i++)
        err = check_part(o, r, rows[i].part, rows[i].name, diag);
    return err;
}

/* --- The URL ------------------------------------------------------------------------- */

static struct str permission_name(enum ph_service_permission permission)
{
    return permission == PH_PERMISSION_SEND_TO_GROUP ? STR("sendToGroup") : STR("joinLeaveGroup");
}

static void write_place(struct buf *out, struct str place, const struct ph_service_request *r,
                        struct str hub)
{
    const struct {
        struct str place, value;
    } rows[] = {
        {STR("{hub}"), hub},
        {STR("{group}"), str__of(r->group)},
        {STR("{userId}"), str__of(r->user_id)},
        {STR("{connectionId}"), str__of(r->connection_id)},
        {STR("{permission}"), permission_name(r->permission)},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (str__eq(rows[i].place, place)) {
            url__encode(out, rows[i].value);
            return;
        }
    }
    buf__str(out, place);
}

/* Between slashes; the one in front is an empty part. */
static void write_path(struct buf *out, const char *path, const struct ph_service_request *r,
                       struct str hub)
{
    struct str rest = str__of(path), part;

    str__split(&rest, '/', &part);
    while (str__split(&rest, '/', &part)) {
        buf__byte(out, '/');
        write_place(out, part, r, hub);
    }
}

static void write_param(struct buf *out, const char *name, const char *value)
{
    if (!value)
        return;
    buf__printf(out, "&%s=", name);
    url__encode(out, str__of(value));
}

static void write_params(struct buf *out, const char *name, const char *const *values)
{
    for (; values && *values; values++)
        write_param(out, name, *values);
}

static void write_number(struct buf *out, const char *name, unsigned value)
{
    if (value)
        buf__printf(out, "&%s=%u", name, value);
}

static void write_token_claims(struct buf *out, const struct ph_token_options *t)
{
    write_param(out, "userId", t->user_id);
    write_params(out, "role", t->roles);
    write_number(out, "minutesToExpire", t->minutes ? t->minutes : DEFAULT_MINUTES);
    write_params(out, "group", t->groups);
    write_param(out, "clientType", token__client_type(t));
}

/* A continuation is the query of the link to the next page, version and all. */
static void write_query(struct buf *out, const struct ph_service_request *r)
{
    if (r->continuation) {
        buf__byte(out, '?');
        buf__str(out, str__of(r->continuation));
        return;
    }
    buf__str(out, STR("?api-version=" SERVICE_API_VERSION));
    write_params(out, "excluded", r->excluded);
    write_param(out, "filter", r->groups ? NULL : r->filter); /* else in the body */
    write_number(out, "messageTtlSeconds", r->ttl_seconds);
    write_param(out, "reason", r->reason);
    write_param(out, "targetName", r->target_name);
    write_number(out, "maxpagesize", r->page_size);
    write_number(out, "top", r->top);
    if (r->operation == PH_SERVICE_GENERATE_TOKEN)
        write_token_claims(out, r->token ? r->token : &anonymous);
}

/* Moves what was written to the arena. */
static char *keep(struct arena *a, struct buf *b)
{
    char *text = b->failed ? NULL : arena__strdup(a, buf__view(b));

    buf__free(b);
    return text;
}

static bool write_url(struct arena *a, const struct ph_service_request *r,
                      const struct connection_string *service, struct str hub, struct outgoing *out)
{
    struct buf url;
    size_t origin;

    buf__init(&url, MAX_URL);
    connection_string__url(&url, "http", service);
    origin = url.len - service->path.len;
    write_path(&url, out->operation->path, r, hub);
    write_query(&url, r);
    out->url = keep(a, &url);
    out->path = out->url ? out->url + origin : NULL;
    return out->url;
}

/* --- The message --------------------------------------------------------------------- */

static bool add_header(struct arena *a, struct outgoing *out, const char *name, const char *value)
{
    return http__add(a, &out->http.headers, str__of(name), str__of(value));
}

static bool write_metadata(struct arena *a, const struct ph_service_request *r,
                           struct outgoing *out)
{
    struct metadata_entry items[MAX_METADATA];
    struct metadata metadata;

    return !r->metadata || (metadata_of(r, items, MAX_METADATA, &metadata) &&
                            metadata__to_headers(a, &metadata, &out->http.headers));
}

static const char *content_type(enum ph_data_type type)
{
    switch (type) {
    case PH_DATA_TEXT:
        return "text/plain";
    case PH_DATA_JSON:
        return "application/json";
    case PH_DATA_BINARY:
    case PH_DATA_PROTOBUF:
        break;
    }
    return "application/octet-stream";
}

static bool write_message(struct arena *a, const struct ph_service_request *r, struct outgoing *out)
{
    struct str data = r->text ? str__of(r->text) : str__n(r->data ? r->data : "", r->len);

    out->http.body = str__n(arena__strdup(a, data), data.len);
    return out->http.body.ptr &&
           add_header(a, out, "Content-Type", content_type(r->text ? PH_DATA_TEXT : r->type)) &&
           write_metadata(a, r, out);
}

static bool write_groups(struct arena *a, const struct ph_service_request *r, struct outgoing *out)
{
    struct buf json;

    buf__init(&json, SERVICE_MAX_BODY);
    buf__str(&json, STR("{\"groups\":["));
    for (size_t i = 0; r->groups[i]; i++) {
        if (i > 0)
            buf__byte(&json, ',');
        json__quote(&json, str__of(r->groups[i]));
    }
    buf__byte(&json, ']');
    if (r->filter) {
        buf__str(&json, STR(",\"filter\":"));
        json__quote(&json, str__of(r->filter));
    }
    buf__byte(&json, '}');
    out->http.body = str__of(keep(a, &json));
    return out->http.body.ptr && add_header(a, out, "Content-Type", "application/json");
}

static bool write_body(struct arena *a, const struct ph_service_request *r, struct outgoing *out)
{
    if (out->operation->may & DATA)
        return write_message(a, r, out);
    return !(out->operation->needs & GROUPS) || write_groups(a, r, out);
}

/* --- All of it ----------------------------------------------------------------------- */

/* A random UUID (RFC 9562 section 5.4). */
static const char *make_id(struct arena *a)
{
    uint8_t b[16];

    if (!random__bytes(b, sizeof(b)))
        return NULL;
    b[6] = (uint8_t)((b[6] & 0x0F) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3F) | 0x80);
    return arena__printf(a, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                         b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11],
                         b[12], b[13], b[14], b[15]);
}

static bool write_head(struct arena *a, const struct ph_service_request *r, struct outgoing *out)
{
    out->http.method = str__of(out->operation->method);
    out->request_id = r->request_id ? arena__strdup(a, str__of(r->request_id)) : make_id(a);
    return out->request_id && add_header(a, out, "x-ms-client-request-id", out->request_id) &&
           (str__eq(out->http.method, STR("HEAD")) || /* which is answered without a body */
            add_header(a, out, "Accept",
                       r->operation == PH_SERVICE_GENERATE_TOKEN ? "application/json, text/json"
                                                                 : "application/json"));
}

enum ph_err operation__write(struct arena *a, const struct ph_service_request *request,
                             const struct connection_string *service, struct str hub,
                             struct outgoing *out, struct diag *diag)
{
    const struct operation *o = operation__find(request->operation);
    struct str id = str__of(request->request_id);
    enum ph_err err;

    *out = (struct outgoing){.operation = o};
    if (!o)
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "%d is no operation, expected one of enum ph_service_operation",
                         (int)request->operation);
    err = check(o, request, diag);
    if (err)
        return err;
    if (str__has_control(id) || !str__is_ascii(id))
        return diag__set(diag, PH_ERR_ARGUMENT, "%s: request_id: expected printable ASCII",
                         o->name);
    if (!write_url(a, request, service, hub, out) || !write_head(a, request, out) ||
        !write_body(a, request, out))
        return diag__set(diag, PH_ERR_MEMORY,
                         "%s: out of memory, or the request is larger than 16 MiB", o->name);
    return PH_OK;
}
