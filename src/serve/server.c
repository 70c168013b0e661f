#include "serve/server.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct diag *server__diag(void)
{
    static _Thread_local struct diag diag;

    return &diag;
}

enum ph_err server__fail(enum ph_err err, const char **why)
{
    if (why)
        *why = err == PH_ERR_MEMORY ? ph_strerror(err) : server__diag()->text;
    return err;
}

static unsigned cpu_count(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : n > SERVER_MAX_THREADS ? SERVER_MAX_THREADS : (unsigned)n;
}

enum ph_err server__init(struct ph_server *server, struct ph_app *app, unsigned threads,
                         struct diag *diag)
{
    const char *why = "";
    enum ph_err err = ph_app_check(app, &why);

    if (err)
        return diag__set(diag, err, "%s", why);
    if (threads > SERVER_MAX_THREADS)
        return diag__set(diag, PH_ERR_ARGUMENT, "%u threads, at most %d are allowed", threads,
                         SERVER_MAX_THREADS);
    server->app = app;
    server->threads = threads ? threads : cpu_count();
    server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->stop_fd < 0)
        return diag__set(diag, PH_ERR_SYSTEM, "eventfd: %m");
    return PH_OK;
}

void server__fini(struct ph_server *server)
{
    if (server->app && server->stop_fd >= 0)
        close(server->stop_fd);
    free(server->address);
}

/* Also called from signal handlers: nothing here but write(2). */
void ph_server_stop(struct ph_server *server)
{
    static const uint64_t one = 1;
    int saved = errno;

    while (write(server->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    errno = saved;
}

void ph_server_wait(struct ph_server *server)
{
    struct pollfd p = {.fd = server->stop_fd, .events = POLLIN};

    while (poll(&p, 1, -1) < 0 && errno == EINTR)
        ;
}

const char *ph_server_address(const struct ph_server *server)
{
    return server->address;
}

void ph_server_free(struct ph_server *server)
{
    if (server)
        server->close(server);
}
