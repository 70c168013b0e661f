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
    ROUTE_REASON = 8
};

enum route_body { ROUTE_NO_BODY, ROUTE_MESSAGE };

struct rest_route {
    const char *method;
    const char *path; /* with {hub}, {group}, {userId}, {connectionId} for a whole segment */
    bool open;        /* needs no token and no hub: answered with `success` at once */
    enum hub_op op;
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
    struct str hub, group, user, connection;
};

#define ROUTE_ALLOW_MAX 64

/* The row for a request, or NULL. `allow` then lists the methods that the path has,
 * for the Allow header; it is empty for an unknown path. */
const struct rest_route *rest_route__find(struct str method, struct str path,
                                          struct route_segments *segments,
                                          char allow[ROUTE_ALLOW_MAX]);

#endif
