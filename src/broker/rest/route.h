/* The operations of the REST API as rows of a table (client-and-rest section 5.2,
 * official-emulator section 2.3), and the search in it. */
#ifndef BROKER_REST_ROUTE_H
#define BROKER_REST_ROUTE_H

#include "broker/core/core.h"

/* Query parameters that an operation takes; it ignores all others. */
enum {
    ROUTE_EXCLUDED = 1, /* repeated */
    ROUTE_FILTER = 2,
    ROUTE_TTL = 4, /* messageTtlSeconds */
    ROUTE_REASON = 8,
    ROUTE_TARGET = 16,       /* targetName */
    ROUTE_TOKEN_CLAIMS = 32, /* those of :generateToken */
    ROUTE_PAGE = 64          /* maxpagesize, top, continuationToken */
};

enum route_work {
    ROUTE_COMMAND, /* a command for the hub, whose result is answered */
    ROUTE_HEALTH,  /* needs no token and no hub: answered with `success` at once */
    ROUTE_TOKEN    /* makes a client's token; for callers with a Microsoft Entra token alone */
};

enum route_body { ROUTE_NO_BODY, ROUTE_MESSAGE, ROUTE_GROUPS };

struct rest_route {
    const char *method;
    const char *path; /* with {hub}, {group}, {userId}, ... for a whole segment */
    enum route_work work;
    enum hub_op op; /* ROUTE_COMMAND */
    enum scope scope;
    unsigned params;
    enum route_body body;
    int success;
    int missing;              /* status when no connection was meant; 0: `success` too */
    const char *missing_code; /* x-ms-error-code then, NULL: none */
    const char *missing_what; /* target of the error body then, NULL: no body */
};

/* Segments that stood for {...}, still percent-encoded; absent where the path has none. */
struct route_segments {
    struct str hub, group, user, connection, permission;
};

#define ROUTE_ALLOW_MAX 64

/* All rows, for those who count what they do. */
size_t rest_route__count(void);
const struct rest_route *rest_route__at(size_t i);

/* The row for a request, or NULL. `allow` then lists the methods that the path has,
 * for the Allow header; it is empty for an unknown path. */
const struct rest_route *rest_route__find(struct str method, struct str path,
                                          struct route_segments *segments,
                                          char allow[ROUTE_ALLOW_MAX]);

#endif
