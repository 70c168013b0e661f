/* What the machine takes away from a program: spins, looks at the clock, and reports where it
 * has jumped. Pinned to a core that is otherwise idle, what is lost is lost to the kernel and to
 * who runs the virtual machine.
 *
 *   stalls SECONDS
 *
 * Prints one line of JSON: which part of the time went in jumps of more than 200 microseconds,
 * how many they were, and the longest. */
#include "ws_client.h"

#include <stdio.h>
#include <stdlib.h>

#define STALL_US 200
#define MAX_SECONDS 600

int main(int argc, char **argv)
{
    int seconds = argc == 2 ? atoi(argv[1]) : 0, count = 0;
    int64_t start = bench__now_us(), last = start, lost = 0, longest = 0;

    if (seconds < 1 || seconds > MAX_SECONDS)
        bench__die("usage: stalls SECONDS (1 to %d)", MAX_SECONDS);
    while (last - start < (int64_t)seconds * 1000000) {
        int64_t now = bench__now_us(), gap = now - last;

        last = now;
        if (gap <= STALL_US)
            continue;
        count++;
        lost += gap;
        if (gap > longest)
            longest = gap;
    }
    printf("{\"lost\":%.5f,\"stalls\":%d,\"longest_us\":%lld}\n",
           (double)lost / (double)(last - start), count, (long long)longest);
    return 0;
}
