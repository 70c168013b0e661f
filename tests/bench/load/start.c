/* How long a server takes from exec to ready: until it prints a line that begins with
 * READY, to standard output or error, or where READY is `port:NUMBER`, until it accepts a
 * connection there.
 *
 *   start COUNT READY COMMAND [ARGUMENT...]
 *
 * Starts it COUNT times, one after the other, and prints one line of JSON. */
#include "ws_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_US 10000000

extern char **environ;

static void set_up(posix_spawn_file_actions_t *actions, const int out[2])
{
    posix_spawn_file_actions_init(actions);
    posix_spawn_file_actions_addopen(actions, 0, "/dev/null", 0, 0);
    posix_spawn_file_actions_adddup2(actions, out[1], 1);
    posix_spawn_file_actions_adddup2(actions, out[1], 2);
    posix_spawn_file_actions_addclose(actions, out[0]);
    posix_spawn_file_actions_addclose(actions, out[1]);
}

static pid_t spawn(char **command, int *output)
{
    posix_spawn_file_actions_t actions;
    int out[2];
    pid_t pid;

    if (pipe(out) != 0)
        bench__die("pipe: %s", strerror(errno));
    set_up(&actions, out);
    if (posix_spawnp(&pid, command[0], &actions, NULL, command, environ) != 0)
        bench__die("%s cannot be started", command[0]);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    *output = out[0];
    return pid;
}

static bool has_line(const char *text, const char *begin)
{
    size_t len = strlen(begin);

    for (; text; text = strchr(text, '\n'), text = text ? text + 1 : NULL) {
        if (strncmp(text, begin, len) == 0 && strchr(text, '\n'))
            return true;
    }
    return false;
}

static void wait_for_line(int output, const char *begin)
{
    char text[65536];
    size_t len = 0;

    for (;;) {
        struct pollfd ready = {.fd = output, .events = POLLIN};
        ssize_t n;

        if (poll(&ready, 1, PATIENCE_US / 1000) <= 0)
            bench__die("no line that begins with \"%s\"", begin);
        n = read(output, text + len, sizeof(text) - 1 - len);
        if (n <= 0)
            bench__die("it ended, and printed:\n%.*s", (int)len, text);
        len += (size_t)n;
        text[len] = '\0';
        if (has_line(text, begin))
            return;
    }
}

static void wait_for_port(uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int64_t end = bench__now_us() + PATIENCE_US;
    bool accepted = false;

    while (!accepted) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        accepted = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
        close(fd);
        if (!accepted && bench__now_us() > end)
            bench__die("nobody listens on port %u", port);
        if (!accepted)
            usleep(50);
    }
}

static int64_t start_once(const char *ready, char **command)
{
    int64_t began = bench__now_us(), took;
    int output;
    pid_t pid = spawn(command, &output);

    if (strncmp(ready, "port:", 5) == 0)
        wait_for_port((uint16_t)atoi(ready + 5));
    else
        wait_for_line(output, ready);
    took = bench__now_us() - began;
    kill(pid, SIGTERM);
    close(output);
    waitpid(pid, NULL, 0);
    return took;
}

int main(int argc, char **argv)
{
    int count = argc > 3 ? atoi(argv[1]) : 0;
    int64_t *took = calloc((size_t)count + 1, sizeof(*took)), p50;

    if (count < 1 || !took)
        bench__die("usage: start COUNT READY COMMAND [ARGUMENT...]");
    for (int i = 0; i < count; i++)
        took[i] = start_once(argv[2], argv + 3);
    p50 = bench__quantile(took, (size_t)count, 0.5); /* sorts them */
    printf("{\"p50_us\":%lld,\"min_us\":%lld,\"max_us\":%lld}\n", (long long)p50,
           (long long)took[0], (long long)took[count - 1]);
    return 0;
}
