#include "broker/net/token_command.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS 100        /* between two looks at `stop` */
#define COMPLAINT_MAX 8192 /* bytes of standard error */
#define LINE_MAX_SHOWN 200 /* of its first line */

extern char **environ;

struct child {
    pid_t pid;
    int out, err; /* -1: closed */
};

static bool open_pipe(int ends[2])
{
    return pipe2(ends, O_CLOEXEC) == 0;
}

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Nothing of the broker's is handed down but the environment: no descriptors, no blocked or
 * ignored signals. */
static int spawn(pid_t *pid, char *const *words, int out, int err)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, usual;
    int failed;

    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, err, STDERR_FILENO);
#ifdef __GLIBC_PREREQ
#if __GLIBC_PREREQ(2, 34)
    posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
#endif
#endif
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    failed = posix_spawnp(pid, words[0], &files, &attributes, words, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return failed;
}

static enum ph_err start(struct child *c, char *const *words, struct diag *diag)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1};
    int failed = 0;

    if (!open_pipe(out) || !open_pipe(err))
        failed = errno;
    else
        failed = spawn(&c->pid, words, out[1], err[1]);
    close_end(&out[1]);
    close_end(&err[1]);
    c->out = out[0];
    c->err = err[0];
    if (!failed)
        return PH_OK;
    close_end(&c->out);
    close_end(&c->err);
    return diag__set(diag, PH_ERR_SYSTEM, "%s does not start: %s", words[0], strerror(failed));
}

/* Takes what has come. What `to` has no room for is read and lost, so that the program goes
 * on; `to` is marked as failed then. */
static void take(int *fd, struct buf *to)
{
    char room[4096];
    ssize_t got = read(*fd, room, sizeof(room));

    if (got > 0)
        buf__append(to, room, (size_t)got);
    else if (got == 0 || errno != EINTR)
        close_end(fd);
}

/* False: its time is up, or nobody wants it any more. */
static bool listen_to(struct child *c, int64_t ends_ms, const atomic_bool *stop, struct buf *out,
                      struct buf *err)
{
    while (c->out >= 0 || c->err >= 0) {
        struct pollfd fds[] = {{c->out, POLLIN, 0}, {c->err, POLLIN, 0}};

        if (atomic_load(stop) || clock__mono_ms() >= ends_ms)
            return false;
        if (poll(fds, 2, LOOK_MS) <= 0)
            continue;
        if (fds[0].revents)
            take(&c->out, out);
        if (fds[1].revents)
            take(&c->err, err);
    }
    return true;
}

/* The program may have closed its output and run on. */
static bool wait_for(pid_t pid, int64_t ends_ms, const atomic_bool *stop, int *status)
{
    for (;;) {
        pid_t ended = waitpid(pid, status, WNOHANG);

        if (ended == pid || (ended < 0 && errno != EINTR))
            return true;
        if (atomic_load(stop) || clock__mono_ms() >= ends_ms)
            return false;
        poll(NULL, 0, LOOK_MS / 10);
    }
}

static void end(struct child *c)
{
    int status;

    kill(-c->pid, SIGKILL);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        ;
}

static struct str first_line(const struct buf *err)
{
    struct str rest = buf__view(err), line = {"", 0};

    str__split(&rest, '\n', &line);
    line = str__trim(line);
    return utf8__cut(line, LINE_MAX_SHOWN);
}

static enum ph_err judge(const char *name, int status, const struct buf *out, const struct buf *err,
                         struct diag *diag)
{
    struct str said = first_line(err);

    if (WIFSIGNALED(status))
        return diag__set(diag, PH_ERR_SYSTEM, "%s was ended by signal %d%s%.*s", name,
                         WTERMSIG(status), said.len ? ": " : "", STR_FMT(said));
    if (WEXITSTATUS(status) != 0)
        return diag__set(diag, PH_ERR_SYSTEM, "%s ended with status %d%s%.*s", name,
                         WEXITSTATUS(status), said.len ? ": " : ", and said nothing",
                         STR_FMT(said));
    if (out->failed)
        return diag__set(diag, PH_ERR_LIMIT, "%s printed more than the %zu bytes of a token", name,
                         out->max);
    return PH_OK;
}

enum ph_err token_command__run(char *const *words, int limit_ms, const atomic_bool *stop,
                               struct buf *out, struct diag *diag)
{
    struct child c = {0, -1, -1};
    int64_t ends_ms = clock__mono_ms() + limit_ms;
    enum ph_err result = start(&c, words, diag);
    struct buf err;
    int status = 0;

    if (result)
        return result;
    buf__init(&err, COMPLAINT_MAX);
    if (listen_to(&c, ends_ms, stop, out, &err) && wait_for(c.pid, ends_ms, stop, &status)) {
        result = judge(words[0], status, out, &err, diag);
    } else {
        end(&c);
        result =
            diag__set(diag, PH_ERR_SYSTEM, "%s did not end within %d s", words[0], limit_ms / 1000);
    }
    close_end(&c.out);
    close_end(&c.err);
    buf__free(&err);
    return result;
}
