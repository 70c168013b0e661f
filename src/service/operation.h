/* The operations of the service as a table, and a request as the HTTP message that it becomes
 * (client-and-rest section 5.2). No I/O. */
#ifndef SERVICE_OPERATION_H
#define SERVICE_OPERATION_H

#include "base/connection_string.h"
#include "base/http.h"
#include "pubhook/service.h"

#define SERVICE_API_VERSION "2024-12-01"
#define SERVICE_MAX_BODY (16u << 20) /* the service takes 1 MiB; what it takes is its to say */

struct operation {
    const char *name; /* "sendToGroup", as the service's own SDKs have it */
    const char *method;
    const char *path;
    unsigned needs, may; /* parts of the request */
    int success;         /* status */
    bool repeatable;     /* twice has the effect of once */
    bool asks;           /* 404 is an answer */
    bool anonymous;      /* needs no token */
};

/* NULL: there is no such operation. */
const struct operation *operation__find(enum ph_service_operation id);

/* What goes out. Everything is in the arena, with a NUL behind it. */
struct outgoing {
    const struct operation *operation;
    const char *url;          /* at the endpoint, which is what a token names */
    const char *path;         /* where it begins in `url` */
    const char *request_id;   /* x-ms-client-request-id */
    struct http_request http; /* method, headers and body */
};

/* Judges a request and writes it down. PH_ERR_ARGUMENT: `diag` says what it misses or has too
 * much. PH_ERR_MEMORY; PH_ERR_LIMIT. */
enum ph_err operation__write(struct arena *a, const struct ph_service_request *request,
                             const struct connection_string *service, struct str hub,
                             struct outgoing *out, struct diag *diag);

#endif
