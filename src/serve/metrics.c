/* The metrics of an application over HTTP (pubhook/metrics.h). */
#include "pubhook/metrics.h"
#include "app/app.h"
#include "base/exposition.h"
#include "serve/listen.h"
#include "serve/server.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_CONNECTIONS 64
#define TIMEOUT_SECONDS 10

struct metrics_server {
    struct ph_server base;
    struct MHD_Daemon *daemon;
};

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, char *text, size_t len,
                              const char *type)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = MHD_NO;

    if (!response)
        return MHD_NO;
    if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES)
        result = MHD_queue_response(c, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status, const char *why)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "%s\n", why);

    return answer(c, status, text, (size_t)len, "text/plain; charset=utf-8");
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *path,
                                  const char *method, const char *version, const char *body,
                                  size_t *body_len, void **state)
{
    struct metrics_server *s = arg;
    enum MHD_Result result;
    char *text;
    size_t len;

    (void)version, (void)body, (void)state;
    if (*body_len > 0) {
        *body_len = 0; /* nobody wants it */
        return MHD_YES;
    }
    if (strcmp(path, "/metrics") != 0)
        return refuse(c, MHD_HTTP_NOT_FOUND, "metrics are at /metrics");
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "expected GET");
    if (ph_app_metrics(s->base.app, &text, &len) != PH_OK)
        return refuse(c, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
    result = answer(c, MHD_HTTP_OK, text, len, EXPOSITION_CONTENT_TYPE);
    ph_metrics_free(text);
    return result;
}

static void metrics_close(struct ph_server *base)
{
    struct metrics_server *s = (struct metrics_server *)(void *)base;

    if (s->daemon)
        MHD_stop_daemon(s->daemon);
    server__fini(base);
    free(s);
}

static enum ph_err open_daemon(struct metrics_server *s, const char *listen, struct diag *diag)
{
    char actual[LISTEN_ADDRESS_SIZE];
    int fd;
    enum ph_err err = listen__tcp(listen, &fd, actual, diag);

    if (err != PH_OK)
        return err;
    s->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, s,
                                 MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                                 (unsigned)MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
                                 (unsigned)TIMEOUT_SECONDS, MHD_OPTION_END);
    if (!s->daemon) {
        close(fd);
        return diag__set(diag, PH_ERR_SYSTEM, "libmicrohttpd does not start on %s: %m", actual);
    }
    return asprintf(&s->base.address, "http://%s/metrics", actual) < 0 ? PH_ERR_MEMORY : PH_OK;
}

enum ph_err ph_serve_metrics(struct ph_app *app, const char *listen, struct ph_server **server,
                             const char **why)
{
    struct metrics_server *s = calloc(1, sizeof(*s));
    enum ph_err err;

    if (!s)
        return server__fail(PH_ERR_MEMORY, why);
    s->base.close = metrics_close;
    err = server__init(&s->base, app, 1, server__diag());
    if (err == PH_OK)
        err = open_daemon(s, listen, server__diag());
    if (err != PH_OK) {
        metrics_close(&s->base);
        return server__fail(err, why);
    }
    *server = &s->base;
    return PH_OK;
}
