#include "broker/rest/groups.h"

#include "base/json.h"
#include "base/names.h"

/* The list, the object around it, its filter, and a few members that we do not know. */
#define MAX_NODES (GROUPS_MAX + 100)
#define MAX_TREE (4u << 20) /* nodes and decoded strings of the largest body */

int groups__check_type(struct judge *j)
{
    struct body_kind kind;

    if (body__kind(&j->req->headers, &kind, j->diag) == PH_OK && kind.type == PH_DATA_JSON)
        return 0;
    diag__set(j->diag, PH_ERR_UNSUPPORTED,
              "expected one Content-Type: application/json, in " CHARSET_NAMES);
    return judge__unsupported_type(j);
}

static int bad_list(struct judge *j)
{
    return judge__bad_request(j, "Request", "A nonempty list of valid group names is required.");
}

static int too_many(struct judge *j)
{
    diag__set(j->diag, PH_ERR_LIMIT, "At most %d groups can be named in one request.", GROUPS_MAX);
    return judge__refuse(j, 400, ANSWER_BAD_REQUEST, "Request");
}

static int read_list(struct judge *j, const struct json *list)
{
    struct hub_command *cmd = &j->call->command;
    struct str *groups;
    size_t count = 0;

    if (!list || list->type != JSON_ARRAY || list->count == 0)
        return bad_list(j);
    if (list->count > GROUPS_MAX)
        return too_many(j);
    groups = arena__alloc(&j->call->body, list->count * sizeof(*groups));
    if (!groups)
        return judge__no_memory(j);
    for (const struct json *item = list->child; item; item = item->next) {
        if (item->type != JSON_STRING || !judge__is_group(j, item->string))
            return bad_list(j);
        groups[count++] = item->string;
    }
    cmd->groups = groups;
    cmd->group_count = count;
    return 0;
}

static int read_filter(struct judge *j, const struct json *filter)
{
    if (!filter || filter->type == JSON_NULL)
        return 0;
    if (filter->type != JSON_STRING)
        return judge__bad_request(j, "Request", "`filter` must be a string.");
    return judge__filter(j, filter->string);
}

static int read_tree(struct judge *j, struct str text)
{
    const struct json_limits limits = {.depth = BODY_MAX_DEPTH, .nodes = MAX_NODES, .tree = 2};
    struct json *root;
    struct diag detail;
    enum ph_err err = json__parse(&j->call->body, text, &limits, &root, &detail);
    int status;

    if (err == PH_ERR_MEMORY)
        return judge__no_memory(j);
    if (err == PH_ERR_LIMIT)
        return too_many(j);
    if (err != PH_OK)
        return judge__bad_request(j, "Request", "The request body is not a valid JSON.");
    status = read_filter(j, json__get(root, STR("filter")));
    return status ? status : read_list(j, json__get(root, STR("groups")));
}

int groups__read(struct judge *j)
{
    struct body_kind kind;
    struct buf room;
    struct str text;
    enum ph_err err;
    int status;

    if (body__kind(&j->req->headers, &kind, j->diag) != PH_OK)
        return judge__unsupported_type(j);
    arena__init(&j->call->body, NULL, 0, MAX_TREE);
    buf__init(&room, BODY_GROWTH * j->world->max_body);
    err = body__data(&kind, j->req->body, &room, &text, j->diag);
    if (err == PH_OK)
        status = read_tree(j, text);
    else if (err == PH_ERR_SYNTAX)
        status = judge__refuse(j, 400, ANSWER_BAD_REQUEST, "Request");
    else
        status = judge__no_memory(j);
    buf__free(&room);
    return status;
}
