/* Who calls, and where: the endpoint, and the bearer token of each request (client-and-rest
 * section 5.6). */
#ifndef SERVICE_IDENTITY_H
#define SERVICE_IDENTITY_H

#include "base/connection_string.h"
#include "base/mac.h"
#include "pubhook/service.h"

#include <stdatomic.h>

/* A token of an access key names one URL and is made for each request. */
#define IDENTITY_TOKEN_SECONDS 300

/* Immutable, and counted: a request keeps the one that it began with. */
struct identity {
    atomic_size_t refs;
    char *text, *proxy_text; /* what the views point into */
    struct connection_string service;
    struct connection_string reverse_proxy; /* host absent: none */
    struct mac_key *key;                    /* NULL: tokens of Microsoft Entra */
    ph_service_token_fn *token;
    void *token_arg;
};

/* All or nothing; errors are those of ph_service_new. */
enum ph_err identity__new(const char *connection_string, const struct ph_service_options *options,
                          struct identity **out, struct diag *diag);
struct identity *identity__ref(struct identity *id);
void identity__unref(struct identity *id); /* NULL is fine */

/* Appends the token for a URL; `now` in seconds since 1970. Any thread. */
enum ph_err identity__token(const struct identity *id, const char *url, int64_t now,
                            struct buf *out, struct diag *diag);

/* Appends where a request for `path` goes: the endpoint's URL is url[0..path). */
void identity__address(const struct identity *id, const char *url, const char *path,
                       struct buf *out);

#endif
