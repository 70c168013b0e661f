#include "broker/rest/route.h"

#define SEND_PARAMS (ROUTE_EXCLUDED | ROUTE_FILTER | ROUTE_TTL)
#define HUB "/api/hubs/{hub}"
#define GROUP HUB "/groups/{group}"
#define USER HUB "/users/{userId}"
#define CONNECTION HUB "/connections/{connectionId}"
#define PERMISSION HUB "/permissions/{permission}/connections/{connectionId}"

static const struct rest_route routes[] = {
    {.method = "HEAD", .path = "/api/health", .work = ROUTE_HEALTH, .success = 200},
    {.method = "GET", .path = "/api/health", .work = ROUTE_HEALTH, .success = 200},

    {.method = "POST",
     .path = HUB "/:send",
     .op = HUB_SEND,
     .scope = SCOPE_HUB,
     .params = SEND_PARAMS,
     .body = ROUTE_MESSAGE,
     .success = 202},
    {.method = "POST",
     .path = GROUP "/:send",
     .op = HUB_SEND,
     .scope = SCOPE_GROUP,
     .params = SEND_PARAMS,
     .body = ROUTE_MESSAGE,
     .success = 202},
    {.method = "POST",
     .path = USER "/:send",
     .op = HUB_SEND,
     .scope = SCOPE_USER,
     .params = ROUTE_FILTER | ROUTE_TTL,
     .body = ROUTE_MESSAGE,
     .success = 202},
    {.method = "POST",
     .path = CONNECTION "/:send",
     .op = HUB_SEND,
     .scope = SCOPE_CONNECTION,
     .params = ROUTE_TTL,
     .body = ROUTE_MESSAGE,
     .success = 202},

    {.method = "HEAD",
     .path = CONNECTION,
     .op = HUB_EXISTS,
     .scope = SCOPE_CONNECTION,
     .success = 200,
     .missing = 404},
    {.method = "HEAD",
     .path = GROUP,
     .op = HUB_EXISTS,
     .scope = SCOPE_GROUP,
     .success = 200,
     .missing = 404,
     .missing_code = "Warning.Group.NotExisted"},
    {.method = "HEAD",
     .path = USER,
     .op = HUB_EXISTS,
     .scope = SCOPE_USER,
     .success = 200,
     .missing = 404,
     .missing_code = "Warning.User.NotExisted"},

    {.method = "GET",
     .path = GROUP "/connections",
     .op = HUB_LIST,
     .scope = SCOPE_GROUP,
     .params = ROUTE_PAGE,
     .success = 200},
    {.method = "PUT",
     .path = GROUP "/connections/{connectionId}",
     .op = HUB_JOIN,
     .scope = SCOPE_CONNECTION,
     .success = 200,
     .missing = 404,
     .missing_code = "Error.Connection.NotExisted",
     .missing_what = "Connection"},
    {.method = "DELETE",
     .path = GROUP "/connections/{connectionId}",
     .op = HUB_LEAVE,
     .scope = SCOPE_CONNECTION,
     .success = 204},
    {.method = "PUT",
     .path = USER "/groups/{group}",
     .op = HUB_JOIN,
     .scope = SCOPE_USER,
     .success = 200,
     .missing = 404},
    {.method = "DELETE",
     .path = USER "/groups/{group}",
     .op = HUB_LEAVE,
     .scope = SCOPE_USER,
     .success = 204},

    {.method = "DELETE",
     .path = USER "/groups",
     .op = HUB_LEAVE,
     .scope = SCOPE_USER,
     .success = 204},
    {.method = "DELETE",
     .path = CONNECTION "/groups",
     .op = HUB_LEAVE,
     .scope = SCOPE_CONNECTION,
     .success = 204},
    {.method = "POST",
     .path = HUB "/:addToGroups",
     .op = HUB_JOIN,
     .scope = SCOPE_HUB,
     .body = ROUTE_GROUPS,
     .success = 200},
    {.method = "POST",
     .path = HUB "/:removeFromGroups",
     .op = HUB_LEAVE,
     .scope = SCOPE_HUB,
     .body = ROUTE_GROUPS,
     .success = 200},

    {.method = "POST",
     .path = HUB "/:closeConnections",
     .op = HUB_CLOSE,
     .scope = SCOPE_HUB,
     .params = ROUTE_EXCLUDED | ROUTE_REASON,
     .success = 204},
    {.method = "POST",
     .path = GROUP "/:closeConnections",
     .op = HUB_CLOSE,
     .scope = SCOPE_GROUP,
     .params = ROUTE_EXCLUDED | ROUTE_REASON,
     .success = 204},
    {.method = "POST",
     .path = USER "/:closeConnections",
     .op = HUB_CLOSE,
     .scope = SCOPE_USER,
     .params = ROUTE_EXCLUDED | ROUTE_REASON,
     .success = 204},
    {.method = "DELETE",
     .path = CONNECTION,
     .op = HUB_CLOSE,
     .scope = SCOPE_CONNECTION,
     .params = ROUTE_REASON,
     .success = 204},

    {.method = "PUT",
     .path = PERMISSION,
     .op = HUB_GRANT,
     .scope = SCOPE_CONNECTION,
     .params = ROUTE_TARGET,
     .success = 200,
     .missing = 404,
     .missing_code = "Info.Connection.NotExisted",
     .missing_what = "Connection"},
    {.method = "DELETE",
     .path = PERMISSION,
     .op = HUB_REVOKE,
     .scope = SCOPE_CONNECTION,
     .params = ROUTE_TARGET,
     .success = 204},
    {.method = "HEAD",
     .path = PERMISSION,
     .op = HUB_MAY,
     .scope = SCOPE_CONNECTION,
     .params = ROUTE_TARGET,
     .success = 200,
     .missing = 404,
     .missing_code = "Info.Connection.NotExisted"},

    {.method = "POST",
     .path = HUB "/:generateToken",
     .work = ROUTE_TOKEN,
     .params = ROUTE_TOKEN_CLAIMS,
     .success = 200},
};

/* Where a {...} segment goes; NULL for a literal one. */
static struct str *place_of(struct str pattern, struct route_segments *segments)
{
    const struct {
        struct str pattern;
        struct str *place;
    } rows[] = {
        {STR("{hub}"), &segments->hub},
        {STR("{group}"), &segments->group},
        {STR("{userId}"), &segments->user},
        {STR("{connectionId}"), &segments->connection},
        {STR("{permission}"), &segments->permission},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (str__eq(pattern, rows[i].pattern))
            return rows[i].place;
    }
    return NULL;
}

/* Splits on raw slashes, before any decoding, so that an encoded one belongs to a
 * name (client-and-rest section 5.2). */
static bool path_matches(struct str pattern, struct str path, struct route_segments *segments)
{
    struct str want, got;

    *segments = (struct route_segments){0};
    while (str__split(&pattern, '/', &want)) {
        struct str *place = place_of(want, segments);

        if (!str__split(&path, '/', &got) || (!place && !str__eq(want, got)))
            return false;
        if (place)
            *place = got;
    }
    return !path.ptr;
}

static void add_method(char allow[ROUTE_ALLOW_MAX], const char *method)
{
    size_t used = strlen(allow);

    if (used + strlen(method) + 3 > ROUTE_ALLOW_MAX)
        return;
    if (used > 0)
        strcat(allow, ", ");
    strcat(allow, method);
}

const struct rest_route *rest_route__find(struct str method, struct str path,
                                          struct route_segments *segments,
                                          char allow[ROUTE_ALLOW_MAX])
{
    allow[0] = '\0';
    for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++) {
        if (!path_matches(str__of(routes[i].path), path, segments))
            continue;
        if (str__eq(str__of(routes[i].method), method))
            return &routes[i];
        add_method(allow, routes[i].method);
    }
    return NULL;
}

size_t rest_route__count(void)
{
    return sizeof(routes) / sizeof(*routes);
}

const struct rest_route *rest_route__at(size_t i)
{
    return &routes[i];
}
