/* The usual operations of pubhook/service.h: parameters as a request. */
#include "pubhook/service.h"

#include <stddef.h>

enum ph_err ph_service_send_to_all(struct ph_service *service, enum ph_data_type type,
                                   const void *data, size_t len, struct ph_service_result **out)
{
    const struct ph_service_request request = {
        .operation = PH_SERVICE_SEND_TO_ALL, .type = type, .data = data, .len = len};

    return ph_service_call(service, &request, out);
}

enum ph_err ph_service_send_to_group(struct ph_service *service, const char *group,
                                     enum ph_data_type type, const void *data, size_t len,
                                     struct ph_service_result **out)
{
    const struct ph_service_request request = {.operation = PH_SERVICE_SEND_TO_GROUP,
                                               .group = group,
                                               .type = type,
                                               .data = data,
                                               .len = len};

    return ph_service_call(service, &request, out);
}

enum ph_err ph_service_send_to_user(struct ph_service *service, const char *user_id,
                                    enum ph_data_type type, const void *data, size_t len,
                                    struct ph_service_result **out)
{
    const struct ph_service_request request = {.operation = PH_SERVICE_SEND_TO_USER,
                                               .user_id = user_id,
                                               .type = type,
                                               .data = data,
                                               .len = len};

    return ph_service_call(service, &request, out);
}

enum ph_err ph_service_send_to_connection(struct ph_service *service, const char *connection_id,
                                          enum ph_data_type type, const void *data, size_t len,
                                          struct ph_service_result **out)
{
    const struct ph_service_request request = {.operation = PH_SERVICE_SEND_TO_CONNECTION,
                                               .connection_id = connection_id,
                                               .type = type,
                                               .data = data,
                                               .len = len};

    return ph_service_call(service, &request, out);
}

enum ph_err ph_service_close_all(struct ph_service *service, const char *reason,
                                 struct ph_service_result **out)
{
    const struct ph_service_request request = {.operation = PH_SERVICE_CLOSE_ALL, .reason = reason};

    return ph_service_call(service, &request, out);
}

enum ph_err ph_service_close_group(struct ph_service *service, const char *group,
                                   const char *reason, struct ph_service_result **out)
{
    const struct ph_service_request request = {
        .operation = PH_SERVICE_CLOSE_GROUP, .group = group, .reason = reason};

    return ph_service_call(service, &request, out);
}

enum ph_err ph_service_close_user(struct ph_service *service, const char *user_id,
                                  const char *reason, struct ph_service_result **out)
{
    const struct ph_service_request request = {
        .operation = PH_SERVICE_CLOSE_USER, .user_id = user_id, .reason = reason};

    return ph_service_call(service, &request, out);
}

enum ph_err ph_service_close_connection(struct ph_service *service, const char *connection_id,
                                        const char *reason, struct ph_service_result **out)
{
    const struct ph_service_request request = {
        .operation = PH_SERVICE_CLOSE_CONNECTION, .connection_id = connection_id, .reason = reason};

    return ph_service_call(service, &request, out);
}

/* A question: the answer is wanted besides the result. */
static enum ph_err ask(struct ph_service *service, const struct ph_service_request *request,
                       int *answer, struct ph_service_result **out)
{
    struct ph_service_result *result;
    enum ph_err err = ph_service_call(service, request, &result);

    if (answer)
        *answer = ph_service_result_answer(result);
    if (out)
        *out = result;
    else
        ph_service_result_free(result);
    return err;
}

enum ph_err ph_service_connection_exists(struct ph_service *service, const char *connection_id,
                                         int *exists, struct ph_service_result **out)
{
    const struct ph_service_request request = {.operation = PH_SERVICE_CONNECTION_EXISTS,
                                               .connection_id = connection_id};

    return ask(service, &request, exists, out);
}

enum ph_err ph_service_group_exists(struct ph_service *service, const char *group, int *exists,
                                    struct ph_service_result **out)
{
    const struct ph_service_request request = {.operation = PH_SERVICE_GROUP_EXISTS,
                                               .group = group};

    return ask(service, &request, exists, out);
}

enum ph_err ph_service_user_exists(struct ph_service *service, const char *user_id, int *exists,
                                   struct ph_service_result **out)
{
    const struct ph_service_request request = {.operation = PH_SERVICE_USER_EXISTS,
                                               .user_id = user_id};

    return ask(service, &request, exists, out);
}

/* A connection or a user, and a group or all of them. */
static enum ph_err move(struct ph_service *service, enum ph_service_operation operation,
                        const char *group, const char *connection_id, const char *user_id,
                        struct ph_service_result **out)
{
    const struct ph_service_request request = {
        .operation = operation, .group = group, .connection_id = connection_id, .user_id = user_id};

    return ph_service_call(service, &request, out);
}

enum ph_err ph_service_add_connection_to_group(struct ph_service *service, const char *group,
                                               const char *connection_id,
                                               struct ph_service_result **out)
{
    return move(service, PH_SERVICE_ADD_CONNECTION_TO_GROUP, group, connection_id, NULL, out);
}

enum ph_err ph_service_remove_connection_from_group(struct ph_service *service, const char *group,
                                                    const char *connection_id,
                                                    struct ph_service_result **out)
{
    return move(service, PH_SERVICE_REMOVE_CONNECTION_FROM_GROUP, group, connection_id, NULL, out);
}

enum ph_err ph_service_remove_connection_from_all_groups(struct ph_service *service,
                                                         const char *connection_id,
                                                         struct ph_service_result **out)
{
    return move(service, PH_SERVICE_REMOVE_CONNECTION_FROM_ALL_GROUPS, NULL, connection_id, NULL,
                out);
}

enum ph_err ph_service_add_user_to_group(struct ph_service *service, const char *group,
                                         const char *user_id, struct ph_service_result **out)
{
    return move(service, PH_SERVICE_ADD_USER_TO_GROUP, group, NULL, user_id, out);
}

enum ph_err ph_service_remove_user_from_group(struct ph_service *service, const char *group,
                                              const char *user_id, struct ph_service_result **out)
{
    return move(service, PH_SERVICE_REMOVE_USER_FROM_GROUP, group, NULL, user_id, out);
}

enum ph_err ph_service_remove_user_from_all_groups(struct ph_service *service, const char *user_id,
                                                   struct ph_service_result **out)
{
    return move(service, PH_SERVICE_REMOVE_USER_FROM_ALL_GROUPS, NULL, NULL, user_id, out);
}

enum ph_err ph_service_add_connections_to_groups(struct ph_service *service,
                                                 const char *const *groups, const char *filter,
                                                 struct ph_service_result **out)
{
    const struct ph_service_request request = {
        .operation = PH_SERVICE_ADD_CONNECTIONS_TO_GROUPS, .groups = groups, .filter = filter};

    return ph_service_call(service, &request, out);
}

enum ph_err ph_service_remove_connections_from_groups(struct ph_service *service,
                                                      const char *const *groups, const char *filter,
                                                      struct ph_service_result **out)
{
    const struct ph_service_request request = {
        .operation = PH_SERVICE_REMOVE_CONNECTIONS_FROM_GROUPS, .groups = groups, .filter = filter};

    return ph_service_call(service, &request, out);
}

static struct ph_service_request about_permission(enum ph_service_operation operation,
                                                  const char *connection_id,
                                                  enum ph_service_permission permission,
                                                  const char *group)
{
    return (struct ph_service_request){.operation = operation,
                                       .connection_id = connection_id,
                                       .permission = permission,
                                       .target_name = group};
}

enum ph_err ph_service_grant_permission(struct ph_service *service, const char *connection_id,
                                        enum ph_service_permission permission, const char *group,
                                        struct ph_service_result **out)
{
    const struct ph_service_request request =
        about_permission(PH_SERVICE_GRANT_PERMISSION, connection_id, permission, group);

    return ph_service_call(service, &request, out);
}

enum ph_err ph_service_revoke_permission(struct ph_service *service, const char *connection_id,
                                         enum ph_service_permission permission, const char *group,
                                         struct ph_service_result **out)
{
    const struct ph_service_request request =
        about_permission(PH_SERVICE_REVOKE_PERMISSION, connection_id, permission, group);

    return ph_service_call(service, &request, out);
}

enum ph_err ph_service_check_permission(struct ph_service *service, const char *connection_id,
                                        enum ph_service_permission permission, const char *group,
                                        int *allowed, struct ph_service_result **out)
{
    const struct ph_service_request request =
        about_permission(PH_SERVICE_CHECK_PERMISSION, connection_id, permission, group);

    return ask(service, &request, allowed, out);
}

enum ph_err ph_service_health(struct ph_service *service, struct ph_service_result **out)
{
    const struct ph_service_request request = {.operation = PH_SERVICE_HEALTH};

    return ph_service_call(service, &request, out);
}
