/* A handler under test, and the ways to reach it. */
#ifndef TEST_HANDLER_H
#define TEST_HANDLER_H

#include "base/buf.h"
#include "base/http.h"
#include "pubhook/test.h"

struct ph_server;

struct ph_test_handler {
    const struct test_transport *transport;
    struct ph_app *app; /* NULL: each child process loads the plugin */
    bool owns_app;
    char *plugin;             /* of CGI */
    struct ph_server *server; /* of HTTP and FastCGI */
    uint16_t port;
    char *key, *target;
    unsigned threads;
    int timeout_ms;
};

/* An application that accepts the key and has the plugin alone; to be freed with ph_app_free. */
enum ph_err test_handler__load(const char *key, const char *plugin, struct ph_app **out,
                               const char **reason);

/* One request to the handler. The response's strings are in the arena. PH_ERR_SYSTEM: there
 * is none; PH_ERR_MEMORY. */
typedef enum ph_err test_call_fn(const struct ph_test_handler *h, const struct http_request *req,
                                 struct arena *a, struct http_response *out, struct diag *diag);

test_call_fn test_direct__call, test_http__call, test_fastcgi__call, test_cgi__call;

/* Takes a response out of the bytes of HTTP/1.1. */
enum ph_err test_http__read(struct str bytes, struct arena *a, struct http_response *out,
                            struct diag *diag);

#endif
