/* CGI: one process, one request, from the environment and standard input. */
#include "base/clock.h"
#include "serve/gateway.h"
#include "serve/server.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

extern char **environ;

/* Standard input need not end behind the body (RFC 3875 section 4.2), so the length
 * says how much there is to read. */
struct input {
    uint64_t left;
    int64_t until; /* monotonic ms */
};

static size_t read_input(void *source, char *to, size_t len)
{
    struct input *in = source;
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    int64_t wait = in->until - clock__mono_ms();
    ssize_t n;

    if (in->left == 0 || wait <= 0 || poll(&p, 1, (int)wait) <= 0)
        return 0;
    n = read(STDIN_FILENO, to, in->left < len ? (size_t)in->left : len);
    if (n <= 0)
        return 0;
    in->left -= (uint64_t)n;
    return (size_t)n;
}

static enum ph_err write_output(struct str s, struct diag *diag)
{
    while (s.len > 0) {
        ssize_t n = write(STDOUT_FILENO, s.ptr, s.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return diag__set(diag, PH_ERR_SYSTEM, "cannot write the response: %m");
        s = str__n(s.ptr + n, s.len - (size_t)n);
    }
    return PH_OK;
}

int ph_is_cgi(void)
{
    return getenv("GATEWAY_INTERFACE") != NULL;
}

enum ph_err ph_serve_cgi(struct ph_app *app, const char **why)
{
    const char *const *variables = (const char *const *)environ;
    struct input in = {0};
    struct ph_server checked = {.stop_fd = -1};
    enum ph_err err = server__init(&checked, app, 1, server__diag());
    struct gateway gateway;

    server__fini(&checked);
    if (err)
        return server__fail(err, why);
    str__to_u64(gateway__variable(variables, STR("CONTENT_LENGTH")), &in.left);
    in.until = clock__mono_ms() + (int64_t)ph_app_limit(app, PH_LIMIT_REQUEST_MS);
    if (gateway__init(&gateway, app)) {
        gateway__serve(&gateway, variables, read_input, &in, NULL, NULL);
        err = write_output(gateway__response(&gateway), server__diag());
    } else {
        err = PH_ERR_MEMORY;
    }
    gateway__free(&gateway);
    return err ? server__fail(err, why) : PH_OK;
}
