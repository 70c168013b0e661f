#include "broker/rest/rest.h"

#include "base/names.h"
#include "base/utf8.h"
#include "broker/filter/filter.h"
#include "broker/rest/body.h"
#include "broker/rest/caller.h"
#include "broker/rest/groups.h"
#include "broker/rest/page.h"
#include "broker/rest/query.h"
#include "broker/rest/token.h"

bool rest__is_path(struct str path)
{
    return str__starts_with(path, STR("/api/"));
}

void rest__unavailable(struct arena *a, struct http_response *response, const char *why)
{
    answer__error(a, response, 503, "Error.ServiceUnavailable", NULL, why);
}

void rest__malformed(struct arena *a, struct http_response *response, int status, const char *why)
{
    const char *code = status == 431   ? "Error.RequestHeaderFieldsTooLarge"
                       : status == 501 ? "NotImplemented"
                                       : ANSWER_BAD_REQUEST;

    answer__error(a, response, status, code, "Request", why);
}

/* --- Which operation -------------------------------------------------------- */

static int refuse_method(struct judge *j, const char *allow)
{
    char *methods = arena__strdup(j->arena, str__of(allow));

    if (!methods)
        return judge__no_memory(j);
    diag__set(j->diag, PH_ERR_UNSUPPORTED, "this path takes the methods %s only", allow);
    judge__refuse(j, 405, "Error.MethodNotAllowed", NULL);
    http__add(j->arena, &j->call->response.headers, STR("Allow"), str__of(methods));
    return 405;
}

static int find_route(struct judge *j)
{
    char allow[ROUTE_ALLOW_MAX];

    j->call->route = rest_route__find(j->req->method, j->req->path, &j->segments, allow);
    if (j->call->route)
        return 0;
    if (allow[0])
        return refuse_method(j, allow);
    diag__set(j->diag, PH_ERR_NOT_FOUND,
              "this broker has no operation with this path: expected for example "
              "/api/hubs/{hub}/:send");
    return judge__refuse(j, 404, "Error.NotFound", NULL);
}

/* --- What it is about ------------------------------------------------------- */

/* Decodes after the path was split. False: a broken escape, not UTF-8, or empty. */
static bool decode_segment(struct judge *j, struct str *segment)
{
    if (!segment->ptr)
        return true;
    *segment = url__decode(j->arena, *segment, false);
    return segment->len > 0 && utf8__valid(*segment);
}

/* official-emulator section 2.3: names in any case, and the numbers of the service's enum. */
static bool find_permission(struct str name, enum permission_action *action)
{
    static const struct {
        struct str name, number;
        enum permission_action action;
    } rows[] = {
        {{"sendToGroup", 11}, {"1", 1}, PERMISSION_SEND_TO_GROUP},
        {{"joinLeaveGroup", 14}, {"2", 1}, PERMISSION_JOIN_LEAVE_GROUP},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (str__eq_nocase(name, rows[i].name) || str__eq(name, rows[i].number)) {
            *action = rows[i].action;
            return true;
        }
    }
    return false;
}

/* official-emulator section 2.2. User and connection ids may hold anything: one
 * that no connection has is simply not found. */
static int read_names(struct judge *j)
{
    struct route_segments *s = &j->segments;

    if (!decode_segment(j, &s->hub) || !names__valid_hub(s->hub))
        return judge__bad_request(j, "Request", "Invalid hub name.");
    if (!decode_segment(j, &s->group) || (s->group.ptr && !judge__is_group(j, s->group)))
        return judge__bad_request(j, "Request", "Invalid group name.");
    if (!decode_segment(j, &s->user))
        return judge__bad_request(j, "Request", "Invalid user id.");
    if (!decode_segment(j, &s->connection))
        return judge__bad_request(j, "Request", "Invalid connection id.");
    if (!decode_segment(j, &s->permission) ||
        (s->permission.ptr && !find_permission(s->permission, &j->call->command.action)))
        return judge__bad_request(j, "Request",
                                  "The permission must be sendToGroup or joinLeaveGroup.");
    j->call->command.hub = names__lower_hub(j->arena, s->hub);
    return j->call->command.hub.ptr ? 0 : judge__no_memory(j);
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
            return judge__no_memory(j);
        *group = j->segments.group;
        cmd->groups = group;
        cmd->group_count = 1;
    }
    return 0;
}

/* --- Headers ---------------------------------------------------------------- */

/* official-emulator section 2.2 */
static int read_metadata(struct judge *j)
{
    struct metadata *metadata = &j->call->metadata;
    const char *problem;

    if (j->call->route->body != ROUTE_MESSAGE)
        return 0;
    if (!metadata__from_headers(j->arena, &j->req->headers, METADATA_LAST_OF_LIST, metadata))
        return judge__no_memory(j);
    problem = metadata__problem(metadata);
    if (!problem)
        return 0;
    diag__set(j->diag, PH_ERR_SYNTAX, "The headers X-WebPubSub-Metadata-*: %s.", problem);
    return judge__refuse(j, 400, ANSWER_BAD_REQUEST, "Request");
}

/* --- The body --------------------------------------------------------------- */

static int check_length(struct judge *j)
{
    struct str length = http__get(&j->req->headers, STR("Content-Length"));
    uint64_t bytes;

    if (!length.ptr)
        return 0;
    if (!str__to_u64(str__trim(length), &bytes))
        return judge__bad_request(j, "Request", "Invalid Content-Length header.");
    return bytes > j->world->max_body ? judge__too_large(j) : 0;
}

static int check_type(struct judge *j)
{
    struct body_kind kind;

    if (j->call->route->body == ROUTE_GROUPS)
        return groups__check_type(j);
    if (j->call->route->body == ROUTE_NO_BODY ||
        body__kind(&j->req->headers, &kind, j->diag) == PH_OK)
        return 0;
    return judge__unsupported_type(j);
}

static struct message *new_message(const struct judge *j, enum ph_data_type type, struct str data)
{
    const struct rest_call *call = j->call;
    const struct hub_command *cmd = &call->command;
    bool to_group = cmd->scope == SCOPE_GROUP;
    int64_t ttl_ms = 1000 * (int64_t)call->ttl_seconds;

    return message__new(
        &(struct message){.from = to_group ? MESSAGE_FROM_GROUP : MESSAGE_FROM_SERVER,
                          .type = type,
                          .group = to_group ? cmd->name : STR_NONE,
                          .data = data,
                          .metadata = call->metadata,
                          .expires_ms = ttl_ms > 0 ? j->world->loop_ms + ttl_ms : 0});
}

static int read_message(struct judge *j)
{
    struct body_kind kind;
    struct buf room;
    struct str data;
    enum ph_err err;

    if (body__kind(&j->req->headers, &kind, j->diag) != PH_OK)
        return judge__unsupported_type(j);
    buf__init(&room, BODY_GROWTH * j->world->max_body);
    err = body__data(&kind, j->req->body, &room, &data, j->diag);
    if (err == PH_OK)
        j->call->command.message = new_message(j, kind.type, data);
    buf__free(&room);
    if (err == PH_ERR_SYNTAX)
        return judge__refuse(j, 400, ANSWER_BAD_REQUEST, "Request");
    return j->call->command.message ? 0 : judge__no_memory(j);
}

static int no_body(struct judge *j)
{
    (void)j;
    return 0;
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

/* Health has nothing to do but to answer. */
static int answer_health(struct judge *j)
{
    int status = j->call->route->success;

    if (j->call->route->work != ROUTE_HEALTH)
        return 0;
    answer__status(j->arena, &j->call->response, status);
    return status;
}

int rest__begin(struct arena *a, const struct http_request *head, const struct rest_world *world,
                struct rest_call *call, struct diag *diag)
{
    static step *const steps[] = {find_route,    caller__check, query__read,  query__check_version,
                                  answer_health, read_names,    make_command, query__apply,
                                  page__prepare, read_metadata, check_length, check_type,
                                  NULL};
    struct judge j = {.arena = a, .req = head, .world = world, .call = call, .diag = diag};

    *call = (struct rest_call){0};
    return run(&j, steps);
}

void rest__body(struct arena *a, const struct http_request *req, const struct rest_world *world,
                struct rest_call *call, struct diag *diag)
{
    static step *const readers[] = {
        [ROUTE_NO_BODY] = no_body, [ROUTE_MESSAGE] = read_message, [ROUTE_GROUPS] = groups__read};
    struct judge j = {.arena = a, .req = req, .world = world, .call = call, .diag = diag};
    int status =
        req->body.len > world->max_body ? judge__too_large(&j) : readers[call->route->body](&j);

    if (status == 0 && call->route->work == ROUTE_TOKEN)
        token__answer(&j);
    else
        call->has_command = status == 0;
}

/* official-emulator section 2.3 */
static void answer_missing(struct arena *a, struct rest_call *call)
{
    const struct rest_route *route = call->route;
    const char *message;

    if (route->op != HUB_EXISTS && route->op != HUB_MAY) /* those only ask */
        call->refusal = arena__printf(
            a,
            call->command.scope == SCOPE_USER
                ? "user `%.*s` has no connection in hub %.*s"
                : "connection `%.*s` is not in hub %.*s: it has ended, or is of another one",
            STR_FMT(call->command.name), STR_FMT(call->command.hub));
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

/* A grant or a group past the limits of client-and-rest section 6: nothing was changed. */
static void answer_conflict(struct arena *a, struct rest_call *call)
{
    bool joins = call->route->op == HUB_JOIN;
    const char *message = arena__printf(a, "Connection `%.*s` %s.", STR_FMT(call->command.name),
                                        joins ? "is in as many groups as it may be in"
                                              : "has as many permissions as it may have");

    call->refusal = arena__printf(a, "connection `%.*s` %s", STR_FMT(call->command.name),
                                  joins ? "is in as many groups as it may be in: "
                                          "limits.groupsPerConnection allows more"
                                        : "has as many permissions as it may have: "
                                          "limits.permissionNames allows more");
    answer__error(a, &call->response, 409, "Error.Connection.Conflict", "Connection",
                  message ? message : "Too many groups or permissions.");
}

void rest__finish(struct arena *a, struct rest_call *call, const struct hub_result *result)
{
    if (call->route->missing && result->matched == 0)
        answer_missing(a, call);
    else if (result->conflict && call->command.scope == SCOPE_CONNECTION)
        answer_conflict(a, call);
    else if (call->route->op == HUB_LIST)
        page__answer(a, call, result);
    else
        answer__status(a, &call->response, call->route->success);
}

void rest__free(struct rest_call *call)
{
    message__unref(call->command.message);
    call->command.message = NULL;
    filter__unref(call->command.filter);
    call->command.filter = NULL;
    settings__unref(call->page.settings);
    call->page.settings = NULL;
    arena__free(&call->body);
}
