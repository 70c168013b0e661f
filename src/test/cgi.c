/* Events to a child process that is a CGI program: one for each. */
#include "base/clock.h"
#include "pubhook/serve.h"
#include "test/handler.h"
#include "test/socket.h"
#include "test/variables.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ANSWER (64u << 20)

static enum ph_err serve(const struct ph_test_handler *h)
{
    struct ph_app *app = h->app;
    const char *reason;
    enum ph_err err = h->plugin ? test_handler__load(h->key, h->plugin, &app, &reason) : PH_OK;

    if (!err)
        err = ph_serve_cgi(app, NULL);
    if (h->plugin)
        ph_app_free(app); /* sends what the handler has posted */
    return err;
}

/* Nothing of the test's own shall happen in it: no atexit, no flush of what it has printed. */
static _Noreturn void be_child(const struct ph_test_handler *h, int fd,
                               const struct test_variables *variables)
{
    bool ready = dup2(fd, STDIN_FILENO) >= 0 && dup2(fd, STDOUT_FILENO) >= 0 && clearenv() == 0;

    for (size_t i = 0; ready && i < variables->count; i++)
        ready = setenv(variables->items[i].name.ptr, variables->items[i].value.ptr, 1) == 0;
    _exit(ready && serve(h) == PH_OK ? EXIT_SUCCESS : EXIT_FAILURE);
}

static enum ph_err talk(int fd, struct str body, int64_t until, struct buf *answer,
                        struct diag *diag)
{
    enum ph_err err = test_socket__write(fd, body, until, diag);
    bool more = true;

    shutdown(fd, SHUT_WR);
    while (!err && more)
        err = test_socket__read(fd, answer, until, &more, diag);
    return err;
}

/* It has answered or has had its time. */
static enum ph_err end_child(pid_t child, enum ph_err err, struct diag *diag)
{
    int status = 0;

    if (err)
        kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (!err && WIFSIGNALED(status))
        return diag__set(diag, PH_ERR_SYSTEM, "the handler's process was ended by signal %d (%s)",
                         WTERMSIG(status), strsignal(WTERMSIG(status)));
    return err;
}

static enum ph_err run_child(const struct ph_test_handler *h,
                             const struct test_variables *variables, struct str body,
                             struct buf *answer, struct diag *diag)
{
    int64_t until = clock__mono_ms() + h->timeout_ms;
    enum ph_err err;
    pid_t child;
    int ends[2];

    /* A socket and no pipe, for that raises no SIGPIPE. */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return diag__set(diag, PH_ERR_SYSTEM, "socketpair: %m");
    child = fork();
    if (child == 0)
        be_child(h, ends[1], variables);
    close(ends[1]);
    if (child < 0)
        err = diag__set(diag, PH_ERR_SYSTEM, "fork: %m");
    else
        err = end_child(child, talk(ends[0], body, until, answer, diag), diag);
    close(ends[0]);
    if (err && h->app && clock__mono_ms() >= until)
        return diag__set(diag, PH_ERR_SYSTEM,
                         "the handler does not answer in time; its process for CGI has none of "
                         "the threads that the application had started before");
    return err;
}

enum ph_err test_cgi__call(const struct ph_test_handler *h, const struct http_request *req,
                           struct arena *a, struct http_response *out, struct diag *diag)
{
    struct test_variables variables;
    struct buf answer;
    enum ph_err err;

    if (!test_variables__of(req, 80, a, &variables))
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    buf__init(&answer, MAX_ANSWER);
    err = run_child(h, &variables, req->body, &answer, diag);
    if (!err)
        err = test_variables__answer(buf__view(&answer), a, out, diag);
    buf__free(&answer);
    return err;
}
