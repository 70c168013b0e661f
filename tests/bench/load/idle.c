/* Clients that only listen, to fill a server with. Prints `ready COUNT` when all are there,
 * and stays until it is stopped or its parent ends. Halted by SIGSTOP, they are readers
 * that do not read; RECEIVE_BUFFER bytes are then what the kernel takes for each.
 *
 *   idle PORT DIALECT COUNT [RECEIVE_BUFFER] */
#include "crowd.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
    struct crowd crowd = {0};
    int count;

    if (argc != 4 && argc != 5)
        bench__die("usage: idle PORT DIALECT COUNT [RECEIVE_BUFFER]");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    count = atoi(argv[3]);
    crowd.client.receive_buffer = argc > 4 ? atoi(argv[4]) : 0;
    crowd__open(&crowd, argv[1], argv[2], count);
    printf("ready %d\n", count);
    fflush(stdout);
    for (;;)
        crowd__poll(&crowd, -1);
}
