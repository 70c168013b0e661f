/* What the verbs share that call the service's REST interface (pubhook/service.h). */
#ifndef BIN_REST_H
#define BIN_REST_H

#include "bin/pubhook.h"
#include "pubhook/service.h"

/* Settings of these verbs, or their first member; each has the options that its operation
 * knows. */
struct rest {
    struct common common;
    const char *endpoint, *bearer, *ca_file;
    unsigned timeout_s;
    const char *group, *user, *connection, *filter, *reason;
    struct values excluded;
};

enum ph_err rest__set_endpoint(void *settings, const char *value, struct diag *diag);
enum ph_err rest__set_bearer(void *settings, const char *value, struct diag *diag);
enum ph_err rest__set_ca_file(void *settings, const char *value, struct diag *diag);
enum ph_err rest__set_timeout(void *settings, const char *value, struct diag *diag);
enum ph_err rest__set_group(void *settings, const char *value, struct diag *diag);
enum ph_err rest__set_user(void *settings, const char *value, struct diag *diag);
enum ph_err rest__set_connection(void *settings, const char *value, struct diag *diag);
enum ph_err rest__set_filter(void *settings, const char *value, struct diag *diag);
enum ph_err rest__set_reason(void *settings, const char *value, struct diag *diag);
enum ph_err rest__add_excluded(void *settings, const char *value, struct diag *diag);

/* Rows that end every table of options. */
#define REST_OPTIONS                                                                               \
    OPTION_CONNECTION_STRING,                                                                      \
        {"endpoint", "URL", "in place of a connection string, with --bearer", rest__set_endpoint}, \
        {"bearer", "TOKEN", "a token of Microsoft Entra for https://webpubsub.azure.com",          \
         rest__set_bearer},                                                                        \
        {"ca-file", "FILE", "certificates of issuers to trust in place of the system's",           \
         rest__set_ca_file},                                                                       \
        {"timeout", "SECONDS", "how long it may take with all tries (default 30)",                 \
         rest__set_timeout},                                                                       \
        OPTION_OUTPUT
#define REST_OPTION_EXCLUDE                                                                        \
    {                                                                                              \
        "exclude", "ID", "but not this connection; may be repeated", rest__add_excluded            \
    }
#define REST_OPTION_REASON                                                                         \
    {                                                                                              \
        "reason", "TEXT", "what the clients are told", rest__set_reason                            \
    }
#define REST_OPTION_FILTER                                                                         \
    {                                                                                              \
        "filter", "FILTER", "connections that an OData filter matches: \"userId ne 'ann'\"",       \
            rest__set_filter                                                                       \
    }

/* A client of the hub. EXIT_SUCCESS, or after a message the status to exit with. */
int rest__open(const struct rest *r, const char *hub, struct ph_service **out);
/* Says why a request failed, and returns the status to exit with. */
int rest__failed(const struct rest *r, const struct ph_service_result *result);

/* Performs the request for the hub that is the first operand, prints what came of it and
 * returns the exit status. The answer to a question is "yes" or "no", which is EXIT_FAILURE;
 * `question` is its name for --json, NULL when it is none. */
int rest__run(const struct rest *r, const struct ph_service_request *request, const char *question);

#endif
