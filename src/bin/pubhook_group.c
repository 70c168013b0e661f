/* group: members of a group: add, remove, exists, list, close. */
#include "bin/rest.h"
#include "bin/show.h"

#include <stdlib.h>

#define MAX_PAGE 200
#define MAX_TOP 100000000u

/* --- add and remove -------------------------------------------------------------------- */

static enum ph_err set_all(void *settings, const char *value, struct diag *diag)
{
    struct rest *r = settings;

    (void)value, (void)diag;
    r->all = true;
    return PH_OK;
}

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
static int change(const struct rest *r, const struct members *operations)
{
    struct ph_service_request request = {.user_id = r->user, .connection_id = r->connection};
    int ways = (r->user ? 1 : 0) + (r->connection ? 1 : 0) + (r->filter ? 1 : 0) + (r->all ? 1 : 0);

    if (ways != 1)
        return common__wrong(&r->common,
                             "who? Expected one of --connection ID, --user ID, --filter FILTER and "
                             "--all");
    if (r->filter || r->all) {
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
    .settings_size = sizeof(struct rest),
    .run = run_add,
};

const struct verb verb_group_remove = {
    .name = "group remove",
    .operands = "HUB GROUP...",
    .summary = "remove connections from a group, or many from groups",
    .examples = "  pubhook group remove chat lobby --user alice\n"
                "  pubhook group remove chat lobby news --all",
    PUBHOOK_OPTIONS(member_options),
    .settings_size = sizeof(struct rest),
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
    .settings_size = sizeof(struct rest),
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
    .settings_size = sizeof(struct rest),
    .run = run_close,
};

/* --- list ------------------------------------------------------------------------------------ */

static enum ph_err set_page_size(void *settings, const char *value, struct diag *diag)
{
    struct rest *r = settings;

    return cli__number(value, 1, MAX_PAGE, &r->page_size, diag);
}

static enum ph_err set_top(void *settings, const char *value, struct diag *diag)
{
    struct rest *r = settings;

    return cli__number(value, 1, MAX_TOP, &r->top, diag);
}

static const struct cli_option list_options[] = {
    {"top", "N", "not more than so many", set_top},
    {"page-size", "N", "so many at a time, 1 to 200 (default 200)", set_page_size},
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

static int print_page(const struct rest *r, const struct ph_service_result *page)
{
    const char *id, *user;
    int status = EXIT_SUCCESS;

    for (size_t i = 0; !status && (id = ph_service_result_connection(page, i, &user)); i++)
        status = print_connection(r, id, user);
    return status;
}

/* Page by page, each printed before the next is asked for. */
static int list(const struct rest *r, struct ph_service *service)
{
    struct ph_service_request request = {.operation = PH_SERVICE_LIST_CONNECTIONS_IN_GROUP,
                                         .group = r->common.operands[1],
                                         .page_size = r->page_size,
                                         .top = r->top};
    struct ph_service_result *page = NULL, *before;
    int status;

    do {
        before = page;
        status =
            ph_service_call(service, &request, &page) ? rest__failed(r, page) : print_page(r, page);
        ph_service_result_free(before);
        request.continuation = ph_service_result_continuation(page);
    } while (!status && request.continuation);
    ph_service_result_free(page);
    return status;
}

static int run_list(void *settings)
{
    const struct rest *r = settings;
    struct ph_service *service;
    int status = rest__open(r, r->common.operands[0], &service);

    if (status)
        return status;
    status = list(r, service);
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
    .settings_size = sizeof(struct rest),
    .run = run_list,
};
