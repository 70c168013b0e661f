#include "broker/rest/route.h"

#define SEND_PARAMS (ROUTE_EXCLUDED | ROUTE_FILTER | ROUTE_TTL)
#define HUB "/api/hubs/{hub}"
#define GROUP HUB "/groups/{group}"
#define USER HUB "/users/{userId}"
#define CONNECTION HUB "/connections/{connectionId}"

static const struct rest_route routes[] = {
    {.method = "HEAD", .path = "/api/health", .open = true, .success = 200},
    {.method = "GET", .path = "/api/health", .open = true, .success = 200},

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
     .path = CONNECTION,
     .op = HUB_CLOSE,
     .scope = SCOPE_CONNECTION,
     .params = ROUTE_REASON,
     .success = 204},
};

/* Where a {...} segment goes; NULL for a literal one. */
static struct str *place_of(struct str pattern, struct route_segments *segments)
{
    if (str__eq(pattern, STR("{hub}")))
        return &segments->hub;
    if (str__eq(pattern, STR("{group}")))
        return &segments->group;
    if (str__eq(pattern, STR("{userId}")))
        return &segments->user;
    if (str__eq(pattern, STR("{connectionId}")))
        return &segments->connection;
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
