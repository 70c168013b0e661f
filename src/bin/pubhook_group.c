/* group: members of a group: add, remove, exists, list, close. */
#include "bin/rest.h"
#include "bin/show.h"

#include <stdlib.h>

#define MAX_TOP 100000000u

struct settings {
    struct rest rest;
    bool all;
    unsigned top;
};

/* --- add and remove -------------------------------------------------------------------- */

VERB_FLAG(set_all, all)

static const struct cli_option member_options[] = {
    {"connection", "ID", "a connection", rest__set_connection},
    {"user", "ID", "the connections that a user has now", rest__set_user},
    REST_OPTION_FILTER,
    {"all", NULL, "all connections of the hub", set_all},
    REST_OPTIONS,
    OPTION_JSON,
};

struct members {
    enum ph_service_operation connection, user, many;
};

/* One group for a connection or a user, any number for a filter. */
static int change(const struct settings *s, const struct members *operations)
{
    const struct rest *r = &s->rest;
    struct ph_service_request request = {.user_id = r->user, .connection_id = r->connection};
    int ways = (r->user ? 1 : 0) + (r->connection ? 1 : 0) + (r->filter ? 1 : 0) + (s->all ? 1 : 0);

    if (ways != 1)
        return common__wrong(&r->common,
                             "who? Expected one of --connection ID, --user ID, --filter FILTER and "
                             "--all");
    if (r->filter || s->all) {
        request.operation = operations->many;
        request.filter = r->filter;
        request.groups = (const char *const *)(r->common.operands + 1);
    } else if (r->common.operand_count > 2) {
        return common__wrong(&r->common, "many groups go with --filter FILTER or --all");
    } else {
        request.operation = r->user ? operations->user : operations->connection;
        request.group = r->common.operands[1];
    }
    return rest__run(r, &request, NULL);
}

static int run_add(void *settings)
{
    static const struct members operations = {PH_SERVICE_ADD_CONNECTION_TO_GROUP,
                                              PH_SERVICE_ADD_USER_TO_GROUP,
                                              PH_SERVICE_ADD_CONNECTIONS_TO_GROUPS};

    return change(settings, &operations);
}

static int run_remove(void *settings)
{
    static const struct members operations = {PH_SERVICE_REMOVE_CONNECTION_FROM_GROUP,
                                              PH_SERVICE_REMOVE_USER_FROM_GROUP,
                                              PH_SERVICE_REMOVE_CONNECTIONS_FROM_GROUPS};

    return change(settings, &operations);
}

const struct verb verb_group_add = {
    .name = "group add",
    .operands = "HUB GROUP...",
    .summary = "add connections to a group, or many to groups",
    .examples = "  pubhook group add chat lobby --user alice\n"
                "  pubhook group add chat lobby news --filter \"userId ne null\"",
    PUBHOOK_OPTIONS(member_options),
    .settings_size = sizeof(struct settings),
    .run = run_add,
};

const struct verb verb_group_remove = {
    .name = "group remove",
    .operands = "HUB GROUP...",
    .summary = "remove connections from a group, or many from groups",
    .examples = "  pubhook group remove chat lobby --user alice\n"
                "  pubhook group remove chat lobby news --all",
    PUBHOOK_OPTIONS(member_options),
    .settings_size = sizeof(struct settings),
    .run = run_remove,
};

/* --- exists, close ------------------------------------------------------------------------ */

static const struct cli_option exists_options[] = {REST_OPTIONS, OPTION_JSON};

static int run_exists(void *settings)
{
    const struct rest *r = settings;
    const struct ph_service_request request = {.operation = PH_SERVICE_GROUP_EXISTS,
                                               .group = r->common.operands[1]};

    return rest__run(r, &request, "exists");
}

const struct verb verb_group_exists = {
    .name = "group exists",
    .operands = "HUB GROUP",
    .summary = "has a group a member? Says yes, or no with status 1",
    .examples = "  pubhook group exists chat lobby && pubhook send chat --group lobby --text hi",
    PUBHOOK_OPTIONS(exists_options),
    .settings_size = sizeof(struct settings),
    .run = run_exists,
};

static const struct cli_option close_options[] = {REST_OPTION_EXCLUDE, REST_OPTION_REASON,
                                                  REST_OPTIONS, OPTION_JSON};

static int run_close(void *settings)
{
    const struct rest *r = settings;
    const struct ph_service_request request = {.operation = PH_SERVICE_CLOSE_GROUP,
                                               .group = r->common.operands[1],
                                               .excluded =
                                                   r->excluded.count > 0 ? r->excluded.items : NULL,
                                               .reason = r->reason};

    return rest__run(r, &request, NULL);
}

const struct verb verb_group_close = {
    .name = "group close",
    .operands = "HUB GROUP",
    .summary = "close the connections of a group's members",
    .examples = "  pubhook group close chat lobby --reason 'the lobby is closed'",
    PUBHOOK_OPTIONS(close_options),
    .settings_size = sizeof(struct settings),
    .run = run_close,
};

/* --- list ------------------------------------------------------------------------------------ */

VERB_NUMBER(set_top, top, 1, MAX_TOP)

static const struct cli_option list_options[] = {
    {"top", "N", "not more than so many", set_top},
    REST_OPTIONS,
    OPTION_JSON,
};

static int print_connection(const struct rest *r, const char *id, const char *user)
{
    struct record out;

    if (!r->common.json) {
        show__text(stdout, str__of(id));
        fputs(user ? "\t" : "", stdout);
        show__text(stdout, str__of(user));
        putchar('\n');
        return EXIT_SUCCESS;
    }
    record__begin(&out);
    record__text(&out, "connectionId", str__of(id));
    if (user)
        record__text(&out, "userId", str__of(user));
    return common__print(&r->common, &out);
}

static int list(const struct rest *r, struct ph_service_list *connections)
{
    const char *id, *user;
    int status;

    do {
        if (ph_service_list_next(connections, &id, &user))
            return rest__failed(r, ph_service_list_result(connections));
        status = id ? print_connection(r, id, user) : EXIT_SUCCESS;
    } while (id && !status && !ferror(stdout));
    return status;
}

/* Page by page, each printed before the next is asked for. */
static int run_list(void *settings)
{
    const struct settings *s = settings;
    const struct rest *r = &s->rest;
    struct ph_service *service;
    struct ph_service_list *connections;
    int status = rest__open(r, r->common.operands[0], &service);

    if (status)
        return status;
    connections = ph_service_list_new(service, r->common.operands[1], s->top);
    status = connections ? list(r, connections)
                         : common__fail(&r->common, "%s", ph_strerror(PH_ERR_MEMORY));
    ph_service_list_free(connections);
    ph_service_free(service);
    return status;
}

const struct verb verb_group_list = {
    .name = "group list",
    .operands = "HUB GROUP",
    .summary = "list a group's connections, each with its user behind a tab",
    .examples = "  pubhook group list chat lobby\n"
                "  pubhook group list chat lobby --json | jq -r .userId | sort | uniq -c",
    PUBHOOK_OPTIONS(list_options),
    .settings_size = sizeof(struct settings),
    .run = run_list,
};
