#include "broker/rest/rest.h"

#include "base/names.h"
#include "base/url.h"
#include "base/utf8.h"
#include "broker/rest/answer.h"
#include "broker/rest/body.h"
#include "broker/rest/route.h"

#define MAX_QUERY_PARAMS 1024
#define MAX_TTL_SECONDS 300

/* One request being judged. Steps return 0 to go on, or the status of the answer. */
struct judge {
    struct arena *arena;
    const struct http_request *head;
    const struct settings *settings;
    struct str own_host;
    int64_t now;
    struct rest_call *call;
    struct diag *diag;
    struct route_segments segments;
    struct url_query query;
};

bool rest__is_path(struct str path)
{
    return str__starts_with(path, STR("/api/"));
}

/* Answers with what `diag` says, so that the log and the caller read the same. */
static int answer_diag(struct arena *a, struct rest_call *call, int status, const char *code,
                       const char *target, const struct diag *diag)
{
    answer__error(a, &call->response, status, code, target, diag->text);
    return status;
}

static int bad_request(struct judge *j, const char *target, const char *message)
{
    diag__set(j->diag, PH_ERR_SYNTAX, "%s", message);
    return answer_diag(j->arena, j->call, 400, ANSWER_BAD_REQUEST, target, j->diag);
}

void rest__unavailable(struct arena *a, struct http_response *response, const char *why)
{
    answer__error(a, response, 503, "Error.ServiceUnavailable", NULL, why);
}

static int no_memory(struct arena *a, struct rest_call *call, struct diag *diag)
{
    diag__set(diag, PH_ERR_MEMORY, "no memory for the request; try again");
    rest__unavailable(a, &call->response, diag->text);
    return 503;
}

/* --- Which operation -------------------------------------------------------- */

static int refuse_method(struct judge *j, const char *allow)
{
    char *methods = arena__strdup(j->arena, str__of(allow));

    if (!methods)
        return no_memory(j->arena, j->call, j->diag);
    diag__set(j->diag, PH_ERR_UNSUPPORTED, "this path takes the methods %s only", allow);
    answer_diag(j->arena, j->call, 405, "Error.MethodNotAllowed", NULL, j->diag);
    http__add(j->arena, &j->call->response.headers, STR("Allow"), str__of(methods));
    return 405;
}

static int find_route(struct judge *j)
{
    char allow[ROUTE_ALLOW_MAX];

    j->call->route = rest_route__find(j->head->method, j->head->path, &j->segments, allow);
    if (j->call->route)
        return 0;
    if (allow[0])
        return refuse_method(j, allow);
    diag__set(j->diag, PH_ERR_NOT_FOUND,
              "this broker has no operation with this path: expected for example "
              "/api/hubs/{hub}/:send");
    return answer_diag(j->arena, j->call, 404, "Error.NotFound", NULL, j->diag);
}

/* --- Who asks --------------------------------------------------------------- */

/* client-and-rest sections 5.5 and 5.6: refused with an empty body. */
static int authenticate(struct judge *j)
{
    struct jwt_rules rules = {j->settings->keys, j->settings->key_count, j->now,
                              ACCESS_SKEW_SECONDS};
    struct access_request request = {.host = http__get(&j->head->headers, STR("Host")),
                                     .own_host = j->own_host,
                                     .path = j->head->path,
                                     .query = j->head->query,
                                     .parent_paths = true};
    struct str token = access__bearer(&j->head->headers);
    const struct json *claims;
    enum ph_err err;

    if (j->call->route->open)
        return 0;
    if (token.len == 0)
        err = diag__set(j->diag, PH_ERR_AUTH,
                        "no access token: add a header Authorization: Bearer TOKEN, signed with "
                        "the access key (SDKs do it when given the connection string)");
    else
        err = access__check(j->arena, token, &rules, &request, &claims, j->diag);
    if (err == PH_OK)
        return 0;
    if (err == PH_ERR_MEMORY)
        return no_memory(j->arena, j->call, j->diag);
    answer__status(j->arena, &j->call->response, 401);
    return 401;
}

/* --- What it says ----------------------------------------------------------- */

static int read_query(struct judge *j)
{
    if (!url__parse_query(j->arena, j->head->query, MAX_QUERY_PARAMS, &j->query))
        return bad_request(j, "Request",
                           "The query has a broken percent-escape or over 1024 parameters.");
    for (size_t i = 0; i < j->query.count; i++) {
        if (!utf8__valid(j->query.params[i].value))
            return bad_request(j, "Request", "The query is not UTF-8.");
    }
    return 0;
}

static bool is_param(const struct url_param *param, struct str name)
{
    return str__eq_nocase(param->name, name);
}

/* client-and-rest section 5.1: none means the newest; one of the list, once. */
static int check_version(struct judge *j)
{
    size_t count = 0;
    bool known = true;

    for (size_t i = 0; i < j->query.count; i++) {
        struct str versions = STR(ANSWER_VERSIONS), version;
        bool found = false;

        if (!is_param(&j->query.params[i], STR("api-version")))
            continue;
        count++;
        while (str__split(&versions, ',', &version))
            found |= str__eq(str__trim(version), j->query.params[i].value);
        known &= found;
    }
    if (known && count <= 1)
        return 0;
    return bad_request(j, "api-version", "The specified API version is not supported.");
}

/* Decodes after the path was split. False: a broken escape, not UTF-8, or empty. */
static bool decode_segment(struct judge *j, struct str *segment)
{
    if (!segment->ptr)
        return true;
    *segment = url__decode(j->arena, *segment, false);
    return segment->len > 0 && utf8__valid(*segment);
}

/* official-emulator section 2.2. User and connection ids may hold anything: one
 * that no connection has is simply not found. */
static int read_names(struct judge *j)
{
    struct route_segments *s = &j->segments;

    if (!decode_segment(j, &s->hub) || !names__valid_hub(s->hub))
        return bad_request(j, "Request", "Invalid hub name.");
    if (!decode_segment(j, &s->group) || (s->group.ptr && !names__valid_group(s->group)))
        return bad_request(j, "Request", "Invalid group name.");
    if (!decode_segment(j, &s->user))
        return bad_request(j, "Request", "Invalid user id.");
    if (!decode_segment(j, &s->connection))
        return bad_request(j, "Request", "Invalid connection id.");
    j->call->command.hub = names__lower_hub(j->arena, s->hub);
    return j->call->command.hub.ptr ? 0 : no_memory(j->arena, j->call, j->diag);
}

static int make_command(struct judge *j)
{
    struct hub_command *cmd = &j->call->command;
    const struct rest_route *route = j->call->route;
    const struct str names[] = {[SCOPE_HUB] = STR_NONE,
                                [SCOPE_GROUP] = j->segments.group,
                                [SCOPE_USER] = j->segments.user,
                                [SCOPE_CONNECTION] = j->segments.connection};

    cmd->op = route->op;
    cmd->scope = route->scope;
    cmd->name = names[route->scope];
    if ((route->op == HUB_JOIN || route->op == HUB_LEAVE) && j->segments.group.ptr) {
        struct str *group = arena__alloc(j->arena, sizeof(*group));

        if (!group)
            return no_memory(j->arena, j->call, j->diag);
        *group = j->segments.group;
        cmd->groups = group;
        cmd->group_count = 1;
    }
    return 0;
}

/* --- Query parameters ------------------------------------------------------- */

static int read_excluded(struct judge *j, struct str value)
{
    struct hub_command *cmd = &j->call->command;

    if (!cmd->excluded)
        cmd->excluded = arena__alloc(j->arena, j->query.count * sizeof(*cmd->excluded));
    if (!cmd->excluded)
        return no_memory(j->arena, j->call, j->diag);
    /* The array is ours; only the core may not write to it. */
    ((struct str *)cmd->excluded)[cmd->excluded_count++] = value;
    return 0;
}

/* Refused rather than ignored: ignoring it would send to those who are to be left out. */
static int read_filter(struct judge *j, struct str value)
{
    if (value.len == 0)
        return 0;
    diag__set(j->diag, PH_ERR_UNSUPPORTED,
              "The query parameter `filter` is not supported by this broker yet.");
    return answer_diag(j->arena, j->call, 501, "NotImplemented", "filter", j->diag);
}

/* A message is delivered at once or not at all, so within any time to live. */
static int read_ttl(struct judge *j, struct str value)
{
    uint64_t seconds;

    if (str__to_u64(value, &seconds) && seconds <= MAX_TTL_SECONDS)
        return 0;
    return bad_request(j, "Request", "messageTtlSeconds must be a whole number from 0 to 300.");
}

static int read_reason(struct judge *j, struct str value)
{
    j->call->command.reason = value;
    return 0;
}

static int read_params(struct judge *j)
{
    static const struct {
        struct str name;
        unsigned flag;
        int (*read)(struct judge *j, struct str value);
    } rows[] = {
        {{"excluded", 8}, ROUTE_EXCLUDED, read_excluded},
        {{"filter", 6}, ROUTE_FILTER, read_filter},
        {{"messageTtlSeconds", 17}, ROUTE_TTL, read_ttl},
        {{"reason", 6}, ROUTE_REASON, read_reason},
    };
    int status = 0;

    for (size_t i = 0; i < j->query.count; i++) {
        for (size_t k = 0; k < sizeof(rows) / sizeof(*rows) && status == 0; k++) {
            if ((j->call->route->params & rows[k].flag) &&
                is_param(&j->query.params[i], rows[k].name))
                status = rows[k].read(j, j->query.params[i].value);
        }
    }
    return status;
}

/* --- Headers ---------------------------------------------------------------- */

/* What one line lists with commas counts like that many lines: the last wins. */
static struct str last_of_list(struct str value)
{
    struct str last = value, part;

    while (str__split(&value, ',', &part))
        last = part;
    return str__trim(last);
}

/* official-emulator section 2.2 */
static int read_metadata(struct judge *j)
{
    struct metadata *metadata = &j->call->metadata;
    const char *problem;

    if (j->call->route->body != ROUTE_MESSAGE)
        return 0;
    if (!metadata__from_headers(j->arena, &j->head->headers, metadata))
        return no_memory(j->arena, j->call, j->diag);
    for (size_t i = 0; i < metadata->count; i++) {
        /* The array is ours, just made. */
        struct metadata_entry *entry = (struct metadata_entry *)&metadata->items[i];

        entry->value = last_of_list(entry->value);
    }
    problem = metadata__problem(metadata);
    if (!problem)
        return 0;
    diag__set(j->diag, PH_ERR_SYNTAX, "The headers X-WebPubSub-Metadata-*: %s.", problem);
    return answer_diag(j->arena, j->call, 400, ANSWER_BAD_REQUEST, "Request", j->diag);
}

/* --- The body --------------------------------------------------------------- */

/* Section 5.3 leaves the status open; 413 says what to change, and no SDK retries it. */
static int too_large(struct arena *a, struct rest_call *call, struct diag *diag)
{
    diag__set(diag, PH_ERR_LIMIT, "The request body is larger than %d bytes.", REST_MAX_BODY);
    return answer_diag(a, call, 413, "Error.PayloadTooLarge", "Request", diag);
}

static int check_length(struct judge *j)
{
    struct str length = http__get(&j->head->headers, STR("Content-Length"));
    uint64_t bytes;

    if (!length.ptr)
        return 0;
    if (!str__to_u64(str__trim(length), &bytes))
        return bad_request(j, "Request", "Invalid Content-Length header.");
    return bytes > REST_MAX_BODY ? too_large(j->arena, j->call, j->diag) : 0;
}

static int unsupported_type(struct arena *a, struct rest_call *call, struct diag *diag)
{
    return answer_diag(a, call, 415, "Error.UnsupportedMediaType", "Content-Type", diag);
}

static int check_type(struct judge *j)
{
    struct body_kind kind;

    if (j->call->route->body == ROUTE_NO_BODY ||
        body__kind(&j->head->headers, &kind, j->diag) == PH_OK)
        return 0;
    return unsupported_type(j->arena, j->call, j->diag);
}

/* --- All of it -------------------------------------------------------------- */

typedef int step(struct judge *j);

static int run(struct judge *j, step *const *steps)
{
    int status = 0;

    while (*steps && status == 0)
        status = (*steps++)(j);
    return status;
}

/* An operation without a hub has nothing to do but to answer. */
static int answer_open(struct judge *j)
{
    int status = j->call->route->success;

    if (!j->call->route->open)
        return 0;
    answer__status(j->arena, &j->call->response, status);
    return status;
}

int rest__begin(struct arena *a, const struct http_request *head, const struct settings *settings,
                struct str own_host, int64_t now_seconds, struct rest_call *call, struct diag *diag)
{
    static step *const steps[] = {find_route,    authenticate, read_query,   check_version,
                                  answer_open,   read_names,   make_command, read_params,
                                  read_metadata, check_length, check_type,   NULL};
    struct judge j = {.arena = a,
                      .head = head,
                      .settings = settings,
                      .own_host = own_host,
                      .now = now_seconds,
                      .call = call,
                      .diag = diag};

    *call = (struct rest_call){0};
    return run(&j, steps);
}

static struct message *new_message(const struct rest_call *call, enum ph_data_type type,
                                   struct str data)
{
    const struct hub_command *cmd = &call->command;
    bool to_group = cmd->scope == SCOPE_GROUP;

    return message__new(
        &(struct message){.from = to_group ? MESSAGE_FROM_GROUP : MESSAGE_FROM_SERVER,
                          .type = type,
                          .group = to_group ? cmd->name : STR_NONE,
                          .data = data,
                          .metadata = call->metadata});
}

static int read_message(struct arena *a, const struct http_request *req, struct rest_call *call,
                        struct diag *diag)
{
    struct body_kind kind;
    struct buf room;
    struct str data;
    enum ph_err err;

    if (body__kind(&req->headers, &kind, diag) != PH_OK)
        return unsupported_type(a, call, diag);
    buf__init(&room, BODY_GROWTH * REST_MAX_BODY);
    err = body__data(&kind, req->body, &room, &data, diag);
    if (err == PH_OK)
        call->command.message = new_message(call, kind.type, data);
    buf__free(&room);
    if (err == PH_ERR_SYNTAX)
        return answer_diag(a, call, 400, ANSWER_BAD_REQUEST, "Request", diag);
    return call->command.message ? 0 : no_memory(a, call, diag);
}

void rest__body(struct arena *a, const struct http_request *req, struct rest_call *call,
                struct diag *diag)
{
    int status = 0;

    if (req->body.len > REST_MAX_BODY)
        status = too_large(a, call, diag);
    else if (call->route->body == ROUTE_MESSAGE)
        status = read_message(a, req, call, diag);
    call->has_command = status == 0;
}

/* official-emulator section 2.3 */
static void answer_missing(struct arena *a, struct rest_call *call)
{
    const struct rest_route *route = call->route;
    const char *message;

    if (route->missing_what) {
        message = arena__printf(a, "%s `%.*s` is not found.", route->missing_what,
                                STR_FMT(call->command.name));
        answer__error(a, &call->response, route->missing, route->missing_code, route->missing_what,
                      message ? message : "Not found.");
        return;
    }
    answer__status(a, &call->response, route->missing);
    if (route->missing_code)
        http__add(a, &call->response.headers, STR("x-ms-error-code"), str__of(route->missing_code));
}

void rest__finish(struct arena *a, struct rest_call *call, const struct hub_result *result)
{
    if (call->route->missing && result->matched == 0)
        answer_missing(a, call);
    else
        answer__status(a, &call->response, call->route->success);
}

void rest__free(struct rest_call *call)
{
    message__unref(call->command.message);
    call->command.message = NULL;
}
