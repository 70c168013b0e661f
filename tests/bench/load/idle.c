/* Clients that only listen, to fill a server with. Prints `ready COUNT` when all are there,
 * and stays until its standard input ends. Stopped by a signal, they are readers that do not
 * read.
 *
 *   idle PORT DIALECT COUNT */
#include "crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

static bool input_ended(int fd)
{
    char byte;

    return read(fd, &byte, 1) <= 0;
}

int main(int argc, char **argv)
{
    struct crowd crowd = {0};
    struct epoll_event ev = {.events = EPOLLIN}, ready[2];
    int both = epoll_create1(EPOLL_CLOEXEC), count;

    if (argc != 4)
        bench__die("usage: idle PORT DIALECT COUNT");
    count = atoi(argv[3]);
    crowd__open(&crowd, argv[1], argv[2], count);
    printf("ready %d\n", count);
    fflush(stdout);
    ev.data.fd = STDIN_FILENO;
    epoll_ctl(both, EPOLL_CTL_ADD, STDIN_FILENO, &ev);
    ev.data.fd = crowd.client.epoll;
    epoll_ctl(both, EPOLL_CTL_ADD, crowd.client.epoll, &ev);
    for (;;) {
        int n = epoll_wait(both, ready, 2, -1);

        for (int i = 0; i < n; i++) {
            if (ready[i].data.fd != STDIN_FILENO)
                crowd__poll(&crowd, 0);
            else if (input_ended(STDIN_FILENO))
                return 0;
        }
    }
}
