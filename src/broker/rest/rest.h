/* The data-plane REST API without I/O (client-and-rest section 5): a request goes
 * in, and either a response comes out at once or a hub command whose result decides
 * the response. Routes are rows of a table (route.c).
 *
 * Where the contract leaves the status open:
 *   413  a body over limits.restBodyBytes, by its Content-Length before it is read;
 *   415  a Content-Type other than those of section 5.3, or a charset that
 *        charset.h does not know (the known ones are converted to UTF-8);
 *   400  a body that is not in its charset, a name in the path that is none, a query
 *        parameter twice that means one thing;
 *   404  a path that no row has; 405 with Allow: a path without this method.
 * Query parameters that an operation does not take are ignored. Segments are decoded
 * after the path was split, so a name may hold '/', '%' and any other character. */
#ifndef BROKER_REST_REST_H
#define BROKER_REST_REST_H

#include "base/http.h"
#include "base/jwks.h"
#include "broker/config/settings.h"
#include "broker/core/core.h"

struct rest_route;

/* What a request is judged by, besides itself. */
struct rest_world {
    const struct settings *settings;
    struct str own_host;                /* as in struct access_request */
    int64_t now;                        /* seconds since 1970 */
    int64_t loop_ms;                    /* the loops' clock, by which messages expire */
    size_t max_body;                    /* bytes; limits.restBodyBytes as the request began */
    const struct entra_settings *entra; /* NULL: no tokens of Microsoft Entra */
    const struct jwks *entra_keys;      /* NULL: none are known yet */
    bool entra_keys_final;              /* there are no others to wait for */
};

/* rest__begin: the token is signed with a key that is not among entra_keys. Try again
 * with newer ones, or with these as the final ones, which makes it a 401. */
#define REST_WANTS_KEYS (-1)

/* What :generateToken was asked for. */
struct rest_token {
    struct str user_id;
    const struct str *roles, *groups;
    size_t role_count, group_count;
    int64_t minutes; /* 0: the default */
    bool mqtt;
};

/* What of a list was asked for. */
struct rest_page {
    uint32_t size, link_size;        /* connections in this page, in the next ones */
    uint32_t top;                    /* in this and the pages to come; 0: all */
    struct str link;                 /* to the list, without a query */
    const struct settings *settings; /* whose key signs the link; a reference */
};

struct rest_call {
    const struct rest_route *route;
    bool has_command; /* apply it, then rest__finish; otherwise `response` is the answer */
    struct hub_command command; /* points into the request, the arena and `body`; its message
                                   and filter are owned */
    struct metadata metadata;   /* of the message to come */
    uint32_t ttl_seconds;       /* of the message; 0: it does not expire */
    struct rest_token token;
    struct rest_page page;
    struct arena body; /* what was read of a JSON body, or the body of a list */
    struct http_response response;
    const char *refusal; /* of rest__finish, for the log; NULL: none */
};

/* True for paths below /api/. */
bool rest__is_path(struct str path);
/* Judges the head of a request, before its body is read: 0; or a status with
 * call->response filled (unknown route, token, api-version, length); or REST_WANTS_KEYS. */
int rest__begin(struct arena *a, const struct http_request *head, const struct rest_world *world,
                struct rest_call *call, struct diag *diag);
/* The rest, with req->body complete. Without a command, `diag` says why. */
void rest__body(struct arena *a, const struct http_request *req, const struct rest_world *world,
                struct rest_call *call, struct diag *diag);
/* The response once the command was applied; `result` is the sum over all shards. */
void rest__finish(struct arena *a, struct rest_call *call, const struct hub_result *result);
/* A 503 with the error body that SDKs expect; `why` is copied. */
void rest__unavailable(struct arena *a, struct http_response *response, const char *why);
/* The same for a head that http__check or the HTTP server refuses. */
void rest__malformed(struct arena *a, struct http_response *response, int status, const char *why);
void rest__free(struct rest_call *call);

#endif
